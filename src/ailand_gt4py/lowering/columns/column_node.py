"""One node of DaCe's graph in the place of a whole program over columns: what CPU and GPU have in common."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import pathlib
from typing import ClassVar, NamedTuple

import dace
from dace.sdfg import nodes

from ailand_gt4py.lowering.columns.column_program import ROW, ColumnProgram, Extent

#: The room of all that generates code, and what code is made of.
_LOWERING = pathlib.Path(__file__).parents[1]
_MAKES_CODE = (".py", ".hpp", ".cuh")


@functools.cache
def source_text(*headers: pathlib.Path) -> str:
    """Headers, one after another, to be part of generated code."""
    return "".join(header.read_text().replace("#pragma once\n", "") for header in headers)


def code_files(root: pathlib.Path = _LOWERING) -> list[pathlib.Path]:
    """Every file that makes code, sorted; all of them, since a list would be forgotten when a file is added."""
    return sorted(path for path in root.rglob("*") if path.suffix in _MAKES_CODE)


def digest_of(root: pathlib.Path) -> str:
    """Digest of the names and contents of all files below a directory that make code."""
    digest = hashlib.sha256()
    for path in code_files(root):
        name, content = path.relative_to(root).as_posix().encode(), path.read_bytes()
        digest.update(b"%d %b %d " % (len(name), name, len(content)) + content)
    return digest.hexdigest()[:16]


@functools.cache
def code_digest() -> str:
    """Digest of everything that turns a program into code: part of the key of compiled programs."""
    return digest_of(_LOWERING)


class CallerArray(NamedTuple):
    """An array of the caller's.

    Attributes:
        dtype: DaCe's. strides: of columns and features, or of features alone.
    """

    dtype: dace.typeclass
    strides: tuple[Extent, ...]


class Interface(NamedTuple):
    """What a program reads and writes of its caller.

    Attributes:
        arrays: both, those that are read first.
        inputs, outputs: array -> its name in the code.
    """

    arrays: dict[str, CallerArray]
    inputs: dict[str, str]
    outputs: dict[str, str]

    @property
    def connectors(self) -> dict[str, str]:
        """Array -> its name in the code, of both."""
        return self.inputs | self.outputs


@dataclasses.dataclass(frozen=True)
class ColumnNode:
    """How a program becomes a node; a value object, part of the key of compiled programs.

    Attributes:
        mode: how the program is run, for messages.
        digest: of the code that generates.
    """

    mode: ClassVar[str]
    on_gpu: ClassVar[bool]

    digest: str = dataclasses.field(default_factory=code_digest, kw_only=True)

    def make(self, sdfg: dace.SDFG, program: ColumnProgram, interface: Interface) -> nodes.Node:
        """The node that does all that the program does, its connectors those of the interface.

        Raises:
            RefusedError: the program has something that the device's code cannot do.
        """
        raise NotImplementedError


def put_into(sdfg: dace.SDFG, program: ColumnProgram, kind: ColumnNode) -> None:
    """Put a fused program as one node into a graph that has its arguments and nothing else.

    Raises:
        RefusedError: the program has something that the device's code cannot do.
    """
    interface = interface_of(sdfg, program)
    node = kind.make(sdfg, program, interface)
    state = sdfg.start_block
    state.add_node(node)
    whole = {name: dace.Memlet.from_array(name, sdfg.arrays[name]) for name in interface.connectors}
    for name, connector in interface.inputs.items():
        state.add_edge(nodes.AccessNode(name), None, node, connector, whole[name])
    for name, connector in interface.outputs.items():
        state.add_edge(node, connector, nodes.AccessNode(name), None, whole[name])


def interface_of(sdfg: dace.SDFG, program: ColumnProgram) -> Interface:
    """What a program reads and writes of the arrays of a graph."""
    read = dict.fromkeys(
        name for definition in program.definitions for name in definition.arrays() if name not in program.computed
    )
    arrays = {}
    over_columns = {
        load.array for definition in program.definitions for load in definition.loads() if load.index[0] == ROW[0]
    }
    for name in (*read, *program.results):
        array = sdfg.arrays[name]
        strides = tuple(array.strides)
        # A field over columns alone is one feature of each.
        is_single = len(strides) == 1 and (name in over_columns or name in program.results)
        arrays[name] = CallerArray(array.dtype, (*strides, 1) if is_single else strides)
    inputs = {name: f"_in_{position}" for position, name in enumerate(read)}
    outputs = {name: f"_out_{position}" for position, name in enumerate(program.results)}
    return Interface(arrays, inputs, outputs)
