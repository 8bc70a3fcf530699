"""GT4Py's DaCe backend with a translation of its own for programs over columns.

GT4Py takes a program through some forty passes and builds a graph of maps from it, which DaCe then optimises: half a
minute to several for a network, most of it for nothing where all that is wanted is one piece of code in the place of
the whole program. `ColumnTranslator` reads the program as the front end gives it (`read_gtir`), and the graph that it
hands on has the program's arguments and one node. Everything after that is GT4Py's and DaCe's: code around the node,
compilation, cache, and the call.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import dace
from gt4py.next import common as gtx_common
from gt4py.next.iterator import ir
from gt4py.next.program_processors.runners.dace import sdfg_args, transformations
from gt4py.next.program_processors.runners.dace.lowering import gtir_to_sdfg
from gt4py.next.program_processors.runners.dace.workflow import translation

from ailand_gt4py.core.errors import RunError
from ailand_gt4py.lowering.columns.column_node import ColumnNode, put_into
from ailand_gt4py.lowering.columns.column_program import Extent, RefusedError
from ailand_gt4py.lowering.columns.differentiate import Derivative, differentiate
from ailand_gt4py.lowering.columns.fields import Tables
from ailand_gt4py.lowering.columns.fuse import fuse
from ailand_gt4py.lowering.columns.read_gtir import read_program


class _Arguments(gtir_to_sdfg.GTIRToSDFG):
    """GT4Py's graph of a program, of fields that begin at 0 (`arrays.wrap` makes no others).

    GT4Py puts zeros in the place of symbols afterwards, which takes longer than all else that is done here.
    """

    def _make_array_shape_and_strides(
        self, name: str, dims: Sequence[gtx_common.Dimension]
    ) -> tuple[list[Extent], list[Extent]]:
        tables = sdfg_args.filter_connectivity_types(self.offset_provider_type)
        shape = [
            tables[dim.value].max_neighbors
            if dim.kind == gtx_common.DimensionKind.LOCAL
            else sdfg_args.range_stop_symbol(name, dim)
            for dim in dims
        ]
        return shape, [sdfg_args.field_stride_symbol(name, dim, tables) for dim in dims]


@dataclasses.dataclass(frozen=True)
class ColumnTranslator(translation.DaCeTranslator):
    """GT4Py's translation step, for programs over columns only; a value object, since GT4Py's cache is keyed by it.

    Attributes:
        node: how the program becomes a node of the graph.
        complete_tables: names of the offsets whose connectivity is complete.
        broadcast_tables: names of the offsets whose connectivity points to elements that are all alike.
        derivative: of the program, where that is what is wanted.
    """

    node: ColumnNode = dataclasses.field(kw_only=True)
    complete_tables: tuple[str, ...] = dataclasses.field(kw_only=True)
    broadcast_tables: tuple[str, ...] = dataclasses.field(kw_only=True)
    derivative: Derivative | None = dataclasses.field(default=None, kw_only=True)

    def _generate_sdfg_without_configuring_dace(
        self, program: ir.Program, offset_provider: Any, column_axis: Any
    ) -> dace.SDFG:
        """The graph of a program: GT4Py's own step of this name.

        Raises:
            RunError: the program is not one over independent columns.
        """
        types = gtx_common.offset_provider_to_type(offset_provider)
        # The same program without statements: a graph of nothing but the arguments, under GT4Py's names.
        signature = ir.Program(id=program.id, function_definitions=[], params=program.params, declarations=[], body=[])
        sdfg = _Arguments(types, column_axis).visit(signature)
        shapes = {name: tuple(array.shape) for name, array in sdfg.arrays.items()}
        tables = Tables(frozenset(self.complete_tables), frozenset(self.broadcast_tables), types)
        try:
            read = read_program(program, shapes, tables)
            put_into(sdfg, fuse(differentiate(read, self.derivative) if self.derivative else read), self.node)
        except RefusedError as refusal:
            raise RunError(
                f"program '{sdfg.name}' cannot be run {self.node.mode}: {refusal}; expected dense layers and "
                "element-wise operations in which each column depends on itself alone"
            ) from None
        on_gpu = self.node.on_gpu
        # On the CPU there is nothing left to optimise.
        if on_gpu:
            transformations.gt_auto_optimize(sdfg, gpu=on_gpu, constant_symbols={}, **(self.auto_optimize_args or {}))
        if self.async_sdfg_call:
            translation.make_sdfg_call_async(sdfg, on_gpu)
        else:
            translation.make_sdfg_call_sync(sdfg, on_gpu)
        return sdfg
