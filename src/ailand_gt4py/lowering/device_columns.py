"""The transformation that makes a program over columns run on a GPU: matrix products and one kernel between them."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import pathlib
from typing import Any, ClassVar

import dace
import dace.library
from dace import properties
from dace.sdfg import nodes
from dace.transformation.transformation import ExpandTransformation

from ailand_gt4py.errors import RunError
from ailand_gt4py.lowering import cublas
from ailand_gt4py.lowering.column_program import ColumnProgram
from ailand_gt4py.lowering.device_code import DeviceCode, Products
from ailand_gt4py.lowering.fuse import fuse
from ailand_gt4py.lowering.lift import LiftContractions
from ailand_gt4py.lowering.read_program import RefusedError, read_program

_HERE = pathlib.Path(__file__).parent


@functools.cache
def kernels() -> str:
    """The CUDA that generated code builds on."""
    return (_HERE / "device_kernels.cuh").read_text().replace("#pragma once\n", "")


_DECIDING = (
    "column_program.py",
    "contraction_node.py",
    "cublas.py",
    "device_code.py",
    "device_columns.py",
    "device_kernel.py",
    "device_kernels.cuh",
    "device_plan.py",
    "fuse.py",
    "lift.py",
    "read_program.py",
)


@functools.cache
def code_digest() -> str:
    """Of all that decides what is generated; part of the key of compiled programs."""
    digest = hashlib.sha256()
    for name in _DECIDING:
        digest.update(name.encode() + b"\0" + (_HERE / name).read_bytes())
    return digest.hexdigest()[:16]


@dace.library.expansion
class ExpandToCall(ExpandTransformation):
    """The call of the step's function, on the host."""

    environments: ClassVar[list] = [cublas.CuBlas]

    @staticmethod
    def expansion(node: DeviceProgram, state: dace.SDFGState, sdfg: dace.SDFG) -> nodes.Tasklet:
        """A tasklet on the host: DaCe would run one that stands in the program itself on the device."""
        return nodes.Tasklet(
            node.label,
            dict(node.in_connectors),
            dict(node.out_connectors),
            node.body,
            language=dace.Language.CPP,
            code_global=node.declaration,
            state_fields=["void* ailand_device;"],
            code_init=f"__state->ailand_device = nullptr;\n{_OWN_STREAM}",
            code_exit=f"{node.release}(__state->ailand_device);",
        )


#: CuPy's default stream, until another one is set by ``__dace_gpu_set_all_streams``.
_OWN_STREAM = "__state->gpu_context->streams[0] = nullptr;"


@dace.library.node
class DeviceProgram(nodes.LibraryNode):
    """A whole program, as a call of a function in the program's device code."""

    implementations: ClassVar[dict[str, type[ExpandTransformation]]] = {"call": ExpandToCall}
    default_implementation: ClassVar[str | None] = "call"

    body = properties.Property(dtype=str, default="", desc="the call, in C++")
    declaration = properties.Property(dtype=str, default="", desc="of the function")
    release = properties.Property(dtype=str, default="", desc="name of the function that releases what is kept")

    def __init__(self, name: str, *arguments: Any, **keywords: Any) -> None:
        super().__init__(name, *arguments, **keywords)


@dataclasses.dataclass(frozen=True)
class DeviceColumns:
    """A hook for GT4Py's DaCe auto-optimiser (stage ``TopLevelDataFlowPre``) on a GPU.

    Lifts the dense layers (`LiftContractions`), reads the program as one over independent columns, fuses all
    element-wise work, and replaces the whole by a call of generated CUDA: cuBLAS for the layers, and one kernel from
    each to the next.

    A value object, since GT4Py's cache of compiled programs is keyed by it.

    Attributes:
        tables: names of the offsets whose connectivity is complete.
        broadcast_tables: names of the offsets whose connectivity points to elements that are all alike.
        column: name of the column dimension.
        scratch_prefixes: arguments of such names hold nothing that the caller reads; they are not written.
        products: how matrix products are computed.
        digest: of the code that generates.
    """

    tables: tuple[str, ...]
    broadcast_tables: tuple[str, ...]
    column: str
    scratch_prefixes: tuple[str, ...]
    products: Products = "full"
    digest: str = dataclasses.field(default_factory=code_digest)

    def __call__(self, sdfg: dace.SDFG) -> None:
        """Transform in place.

        Raises:
            RunError: a contraction cannot be lifted, or the program is not one over independent columns.
        """
        LiftContractions(self.tables)(sdfg)
        try:
            program = fuse(read_program(sdfg, self.column, self.scratch_prefixes, self.broadcast_tables))
            _replace(sdfg, program, self.products)
        except RefusedError as refusal:
            raise RunError(
                f"program '{sdfg.name}' cannot be run column by column on a GPU: {refusal}; expected dense layers and "
                "element-wise operations in which each column depends on itself alone"
            ) from None


def _replace(sdfg: dace.SDFG, program: ColumnProgram, products: Products) -> None:
    """Put one node in the place of all that the program does."""
    (state,) = (state for state in sdfg.states() if state.number_of_nodes() > 0)
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
    connectors = {name: f"_in_{place}" for place, name in enumerate(read)}
    connectors |= {name: f"_out_{place}" for place, name in enumerate(program.results)}
    code = DeviceCode(program, arrays, connectors, products)
    call, text = code.call(), code.text()

    state.remove_nodes_from(list(state.nodes()))
    # The program's own arguments must stay, used or not: GT4Py looks for them. Tables and intermediate values need not.
    for name, descriptor in list(sdfg.arrays.items()):
        if descriptor.transient or (name.startswith("gt_conn_") and name not in arrays):
            sdfg.remove_data(name, validate=False)
    node = DeviceProgram(
        "device_columns",
        inputs={connectors[name] for name in read},
        outputs={connectors[name] for name in program.results},
    )
    node.body, node.declaration, node.release = call.body, call.declaration, f"{code.name}_release"
    state.add_node(node)
    for name in read:
        state.add_edge(state.add_read(name), None, node, connectors[name], dace.Memlet.from_array(name, arrays[name]))
    for name in program.results:
        state.add_edge(node, connectors[name], state.add_write(name), None, dace.Memlet.from_array(name, arrays[name]))
    sdfg.append_global_code(kernels() + text, "cuda")
