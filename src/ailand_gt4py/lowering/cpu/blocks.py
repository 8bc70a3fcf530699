"""A program over columns in blocks of columns, matrix products and all."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import ClassVar

import dace
from dace.sdfg import nodes

from ailand_gt4py.lowering.columns.column_node import ColumnNode, Interface, source_text
from ailand_gt4py.lowering.columns.column_program import ColumnProgram
from ailand_gt4py.lowering.cpu import blas
from ailand_gt4py.lowering.cpu.block_code import block_code
from ailand_gt4py.lowering.entry import PARAMETERS, entry_code, numbers_of, packed

_HEADERS = tuple(
    pathlib.Path(__file__).with_name(f"{name}.hpp")
    for name in ("threads", "watched", "vectors", "transposition", "kernels")
)

#: What products of factors in bfloat16 are made of.
_ROUNDED = pathlib.Path(__file__).with_name("rounded.hpp")


def _again_code(program: str) -> str:
    """C++ of the entry for the arrays of the last call, if they are as before (`bound_call.EntryCall.again`)."""
    return f"""
extern "C" int {program}_again({PARAMETERS}, const ailand::Watched* watched, std::size_t count) {{
    if (!ailand::as_before(watched, count)) return 0;
    {program}_columns(arrays, numbers);
    return 1;
}}
"""


@dataclasses.dataclass(frozen=True)
class ColumnBlocks(ColumnNode):
    """`ColumnNode` on the CPU: code that takes block after block of columns through the whole program.

    What lies between the layers so stays in the cache.

    Attributes:
        blas_prefix: of the functions of the BLAS for the matrix products; None for this package's kernels.
        packed: how the names of weights begin that come packed in bfloat16 (`core.matrices.packed`).
    """

    mode: ClassVar[str] = "in blocks of columns"
    on_gpu: ClassVar[bool] = False

    blas_prefix: str | None = None
    packed: tuple[str, ...] = ()

    def make(self, sdfg: dace.SDFG, program: ColumnProgram, interface: Interface) -> nodes.Node:
        """A tasklet."""
        numbers = numbers_of(program, interface)
        code = block_code(program, interface, self.blas_prefix is not None, self.packed)
        headers = (*_HEADERS, *([_ROUNDED] if self.packed else []))
        library = "" if self.blas_prefix is None else blas.declaration(self.blas_prefix)
        inputs, outputs = (
            {connector: dace.pointer(interface.arrays[name].dtype) for name, connector in names.items()}
            for names in (interface.inputs, interface.outputs)
        )
        return nodes.Tasklet(
            "column_blocks",
            inputs,
            outputs,
            f"{packed(interface, numbers)}\n{sdfg.name}_columns(arrays, numbers);",
            language=dace.Language.CPP,
            code_global=source_text(*headers)
            + library
            + entry_code(sdfg.name, interface, numbers, code)
            + _again_code(sdfg.name),
        )
