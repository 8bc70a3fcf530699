"""A program over columns in blocks of columns, matrix products and all."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import ClassVar

import dace
from dace.sdfg import nodes

from ailand_gt4py.lowering.columns.column_node import CallerArray, ColumnNode, Interface, source_text
from ailand_gt4py.lowering.columns.column_program import ColumnProgram
from ailand_gt4py.lowering.cpu import blas
from ailand_gt4py.lowering.cpu.block_code import block_code
from ailand_gt4py.lowering.cpu.column_entry import call_of_entry, entry_code

_HEADERS = tuple(pathlib.Path(__file__).with_name(name) for name in ("threads.hpp", "kernels.hpp"))


@dataclasses.dataclass(frozen=True)
class ColumnBlocks(ColumnNode):
    """`ColumnNode` on the CPU: code that takes block after block of columns through the whole program.

    What lies between the layers so stays in the cache.

    Attributes:
        blas_prefix: of the functions of the BLAS for the matrix products; None for this package's kernels.
    """

    mode: ClassVar[str] = "in blocks of columns"
    on_gpu: ClassVar[bool] = False

    blas_prefix: str | None = None

    def make(self, sdfg: dace.SDFG, program: ColumnProgram, interface: Interface) -> nodes.Node:
        """A tasklet."""
        arrays, connectors = interface.arrays, interface.connectors
        code = block_code(program, arrays, connectors, self.blas_prefix is not None)
        numbers = _symbols(program, arrays)
        described = {
            name: (connector, arrays[name].dtype.ctype, name in interface.outputs)
            for name, connector in connectors.items()
        }
        library = "" if self.blas_prefix is None else blas.declaration(self.blas_prefix)
        types = [
            {connector: dace.pointer(arrays[name].dtype) for name, connector in names.items()}
            for names in (interface.inputs, interface.outputs)
        ]
        return nodes.Tasklet(
            "column_blocks",
            *types,
            call_of_entry(sdfg.name, list(connectors.values()), numbers),
            language=dace.Language.CPP,
            code_global=source_text(*_HEADERS) + library + entry_code(sdfg.name, described, numbers, code),
        )


def _symbols(program: ColumnProgram, arrays: Mapping[str, CallerArray]) -> list[str]:
    """The names of all numbers that extents and strides depend on."""
    sizes = [program.columns, *(size for pair in program.equal_extents for size in pair)]
    sizes += [stride for descriptor in arrays.values() for stride in descriptor.strides]
    for definition in program.definitions:
        sizes += [definition.extent, definition.directions, *(product.inputs for product in definition.products)]
    return sorted({str(symbol) for size in sizes for symbol in getattr(size, "free_symbols", ())})
