"""The transformation that makes a program over columns run in blocks of columns, matrix products and all."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import pathlib
from collections.abc import Mapping
from typing import Any

import dace

from ailand_gt4py.errors import RunError
from ailand_gt4py.lowering import blas
from ailand_gt4py.lowering.block_code import BlockCode
from ailand_gt4py.lowering.column_entry import call_of_entry, entry_code
from ailand_gt4py.lowering.column_program import ColumnProgram
from ailand_gt4py.lowering.fuse import fuse
from ailand_gt4py.lowering.lift import LiftContractions
from ailand_gt4py.lowering.read_program import RefusedError, read_program

_HERE = pathlib.Path(__file__).parent


@functools.cache
def kernels() -> str:
    """The C++ that generated code builds on."""
    return "".join((_HERE / name).read_text().replace("#pragma once\n", "") for name in ("threads.hpp", "kernels.hpp"))


_DECIDING = (
    "blas.py",
    "block_code.py",
    "blocks.py",
    "column_entry.py",
    "column_program.py",
    "contraction_node.py",
    "fuse.py",
    "kernels.hpp",
    "lift.py",
    "read_program.py",
    "threads.hpp",
)


@functools.cache
def code_digest() -> str:
    """Of all that decides what is generated; part of the key of compiled programs."""
    digest = hashlib.sha256()
    for name in _DECIDING:
        digest.update(name.encode() + b"\0" + (_HERE / name).read_bytes())
    return digest.hexdigest()[:16]


@dataclasses.dataclass(frozen=True)
class ColumnBlocks:
    """A hook for GT4Py's DaCe auto-optimiser (stage ``TopLevelDataFlowPre``) on the CPU.

    Lifts the dense layers (`LiftContractions`), reads the program as one over independent columns, fuses all
    element-wise work into the layers, and replaces the whole by code that takes block after block of columns through
    it, so that what lies between the layers stays in the cache.

    A value object, since GT4Py's cache of compiled programs is keyed by it.

    Attributes:
        tables: names of the offsets whose connectivity is complete.
        broadcast_tables: names of the offsets whose connectivity points to elements that are all alike.
        column: name of the column dimension.
        scratch_prefixes: arguments of such names hold nothing that the caller reads; they are not written.
        blas_prefix: of the functions of the BLAS for the matrix products; None for this package's kernels.
        digest: of the code that generates.
    """

    tables: tuple[str, ...]
    broadcast_tables: tuple[str, ...]
    column: str
    scratch_prefixes: tuple[str, ...]
    blas_prefix: str | None = None
    digest: str = dataclasses.field(default_factory=code_digest)

    def __call__(self, sdfg: dace.SDFG) -> None:
        """Transform in place.

        Raises:
            RunError: a contraction cannot be lifted, or the program is not one over independent columns.
        """
        LiftContractions(self.tables)(sdfg)
        try:
            program = fuse(read_program(sdfg, self.column, self.scratch_prefixes, self.broadcast_tables))
            _check_types(sdfg, program)
            _replace(sdfg, program, self.blas_prefix)
        except RefusedError as refusal:
            raise RunError(
                f"program '{sdfg.name}' cannot be run in blocks of columns: {refusal}; expected dense layers and "
                "element-wise operations in which each column depends on itself alone"
            ) from None


def _arguments(program: ColumnProgram) -> tuple[list[str], list[str]]:
    """The caller's arrays that are read and those that are written."""
    computed = {definition.result for definition in program.definitions}
    read = [load for definition in program.definitions for load in definition.arrays() if load not in computed]
    return list(dict.fromkeys(read)), program.results


def _check_types(sdfg: dace.SDFG, program: ColumnProgram) -> None:
    read, written = _arguments(program)
    types = {name: sdfg.arrays[name].dtype for name in (*read, *written)}
    expected = types[written[0]]
    for name, found in types.items():
        if found != expected or found not in (dace.float32, dace.float64):
            raise RefusedError(f"'{name}' is of type {found}, the result '{written[0]}' of type {expected}")


def _symbols(program: ColumnProgram, arrays: Mapping[str, Any]) -> list[str]:
    """The names of all numbers that extents and strides depend on."""
    sizes = [*program.column_extents, *(stride for descriptor in arrays.values() for stride in descriptor.strides)]
    for definition in program.definitions:
        sizes += [definition.extent, *(product.inputs for product in definition.products)]
    return sorted({str(symbol) for size in sizes for symbol in getattr(size, "free_symbols", ())})


def _replace(sdfg: dace.SDFG, program: ColumnProgram, blas_prefix: str | None) -> None:
    """Put one tasklet in the place of all that the program does."""
    (state,) = (state for state in sdfg.states() if state.number_of_nodes() > 0)
    read, written = _arguments(program)
    arrays = {name: sdfg.arrays[name] for name in (*read, *written)}
    inputs = {name: f"_in_{place}" for place, name in enumerate(read)}
    outputs = {name: f"_out_{place}" for place, name in enumerate(written)}
    code = BlockCode(program, arrays, inputs | outputs, blas_prefix is not None).text()
    numbers = _symbols(program, arrays)
    entry = entry_code(
        sdfg.name,
        {
            name: (connector, arrays[name].dtype.ctype, name in outputs)
            for name, connector in (inputs | outputs).items()
        },
        numbers,
        code,
    )
    state.remove_nodes_from(list(state.nodes()))
    # The program's own arguments must stay, used or not: GT4Py looks for them. Tables and intermediate values need not.
    for name, descriptor in list(sdfg.arrays.items()):
        if descriptor.transient or (name.startswith("gt_conn_") and name not in arrays):
            sdfg.remove_data(name, validate=False)
    pointers = {name: dace.pointer(descriptor.dtype) for name, descriptor in arrays.items()}
    tasklet = state.add_tasklet(
        "column_blocks",
        {inputs[name]: pointers[name] for name in read},
        {outputs[name]: pointers[name] for name in written},
        call_of_entry(sdfg.name, list((inputs | outputs).values()), numbers),
        language=dace.Language.CPP,
        code_global=kernels() + (blas.declaration(blas_prefix) if blas_prefix is not None else "") + entry,
    )
    for name in read:
        state.add_edge(state.add_read(name), None, tasklet, inputs[name], dace.Memlet.from_array(name, arrays[name]))
    for name in written:
        state.add_edge(tasklet, outputs[name], state.add_write(name), None, dace.Memlet.from_array(name, arrays[name]))
