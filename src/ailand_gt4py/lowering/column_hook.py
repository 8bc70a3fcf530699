"""What the transformations for CPU and GPU have in common: reading a program, and one node in the place of it all."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import pathlib
from typing import Any, ClassVar, NamedTuple

import dace
from dace.sdfg import nodes

from ailand_gt4py.errors import RunError
from ailand_gt4py.lowering.column_program import ColumnProgram
from ailand_gt4py.lowering.contraction_node import TABLE_PREFIX
from ailand_gt4py.lowering.fuse import fuse
from ailand_gt4py.lowering.lift import LiftContractions
from ailand_gt4py.lowering.read_program import RefusedError, read_program

_HERE = pathlib.Path(__file__).parent

#: Modules that decide what is generated on every device.
_DECIDING = ("column_hook.py", "column_program.py", "contraction_node.py", "fuse.py", "lift.py", "read_program.py")


@functools.cache
def source_text(*names: str) -> str:
    """Headers of this directory, one after another, to be part of generated code."""
    return "".join((_HERE / name).read_text().replace("#pragma once\n", "") for name in names)


@functools.cache
def code_digest(*names: str) -> str:
    """Of these files and of what decides for every device: part of the key of compiled programs."""
    digest = hashlib.sha256()
    for name in (*_DECIDING, *names):
        digest.update(name.encode() + b"\0" + (_HERE / name).read_bytes())
    return digest.hexdigest()[:16]


class Interface(NamedTuple):
    """What a program reads and writes of its caller.

    Attributes:
        arrays: DaCe's descriptors of both, those that are read first.
        inputs, outputs: array -> its name in the code.
    """

    arrays: dict[str, Any]
    inputs: dict[str, str]
    outputs: dict[str, str]

    @property
    def connectors(self) -> dict[str, str]:
        """Array -> its name in the code, of both."""
        return self.inputs | self.outputs


@dataclasses.dataclass(frozen=True)
class ColumnHook:
    """A hook for GT4Py's DaCe auto-optimiser (stage ``TopLevelDataFlowPre``) that replaces a program over columns.

    Lifts the dense layers (`LiftContractions`), reads the program as one over independent columns, fuses all
    element-wise work into the layers, and puts one node in the place of the whole.

    A value object, since GT4Py's cache of compiled programs is keyed by it.

    Attributes:
        tables: names of the offsets whose connectivity is complete.
        broadcast_tables: names of the offsets whose connectivity points to elements that are all alike.
        column: name of the column dimension.
        scratch_prefixes: arguments of such names hold nothing that the caller reads; they are not written.
    """

    #: How the program is run, for messages.
    way: ClassVar[str]

    tables: tuple[str, ...]
    broadcast_tables: tuple[str, ...]
    column: str
    scratch_prefixes: tuple[str, ...]

    def __call__(self, sdfg: dace.SDFG) -> None:
        """Transform in place.

        Raises:
            RunError: a contraction cannot be lifted, or the program is not one over independent columns.
        """
        LiftContractions(self.tables)(sdfg)
        try:
            program = fuse(read_program(sdfg, self.column, self.scratch_prefixes, self.broadcast_tables))
            interface = _interface(sdfg, program)
            node = self.replacement(sdfg, program, interface)
        except RefusedError as refusal:
            raise RunError(
                f"program '{sdfg.name}' cannot be run {self.way}: {refusal}; expected dense layers and "
                "element-wise operations in which each column depends on itself alone"
            ) from None
        _replace(sdfg, interface, node)

    def replacement(self, sdfg: dace.SDFG, program: ColumnProgram, interface: Interface) -> nodes.Node:
        """The node that does all that the program does, its connectors those of the interface.

        Raises:
            RefusedError: the program has something that the device's code cannot do.
        """
        raise NotImplementedError


def _interface(sdfg: dace.SDFG, program: ColumnProgram) -> Interface:
    computed = {definition.result for definition in program.definitions}
    read = dict.fromkeys(
        name for definition in program.definitions for name in definition.arrays() if name not in computed
    )
    arrays = {name: sdfg.arrays[name] for name in (*read, *program.results)}
    expected = arrays[program.results[0]].dtype
    for name, array in arrays.items():
        if array.dtype != expected or expected not in (dace.float32, dace.float64):
            raise RefusedError(
                f"'{name}' is of type {array.dtype}, the result '{program.results[0]}' of type {expected}"
            )
    inputs = {name: f"_in_{place}" for place, name in enumerate(read)}
    outputs = {name: f"_out_{place}" for place, name in enumerate(program.results)}
    return Interface(arrays, inputs, outputs)


def _replace(sdfg: dace.SDFG, interface: Interface, node: nodes.Node) -> None:
    (state,) = (state for state in sdfg.states() if state.number_of_nodes() > 0)
    state.remove_nodes_from(list(state.nodes()))
    # The program's own arguments must stay, used or not: GT4Py looks for them. Tables and intermediate values need not.
    for name, descriptor in list(sdfg.arrays.items()):
        if descriptor.transient or (name.startswith(TABLE_PREFIX) and name not in interface.arrays):
            sdfg.remove_data(name, validate=False)
    state.add_node(node)
    for name, connector in interface.inputs.items():
        whole = dace.Memlet.from_array(name, interface.arrays[name])
        state.add_edge(state.add_read(name), None, node, connector, whole)
    for name, connector in interface.outputs.items():
        whole = dace.Memlet.from_array(name, interface.arrays[name])
        state.add_edge(node, connector, state.add_write(name), None, whole)
