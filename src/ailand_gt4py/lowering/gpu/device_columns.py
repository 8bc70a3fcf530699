"""A program over columns on a GPU: matrix products and one kernel between them."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import ClassVar

import dace
import dace.library
from dace import properties
from dace.sdfg import nodes
from dace.transformation.transformation import ExpandTransformation

from ailand_gt4py.lowering.columns.column_node import ColumnNode, Interface, source_text
from ailand_gt4py.lowering.columns.column_program import ColumnProgram, RefusedError
from ailand_gt4py.lowering.gpu import cublas
from ailand_gt4py.lowering.gpu.device_code import DeviceCode, Products

#: The CUDA that generated code builds on.
HEADER = pathlib.Path(__file__).with_name("device_kernels.cuh")


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
            # CuPy's default stream, until another one is set by ``__dace_gpu_set_all_streams``.
            code_init="__state->ailand_device = nullptr;\n__state->gpu_context->streams[0] = nullptr;",
            code_exit=f"{node.release}(__state->ailand_device);",
        )


@dace.library.node
class DeviceProgram(nodes.LibraryNode):
    """A whole program, as a call of a function in the program's device code."""

    implementations: ClassVar[dict[str, type[ExpandTransformation]]] = {"call": ExpandToCall}
    default_implementation: ClassVar[str | None] = "call"

    body = properties.Property(dtype=str, default="", desc="the call, in C++")
    declaration = properties.Property(dtype=str, default="", desc="of the function")
    release = properties.Property(dtype=str, default="", desc="name of the function that releases what is kept")


@dataclasses.dataclass(frozen=True)
class DeviceColumns(ColumnNode):
    """`ColumnNode` on a GPU: generated CUDA, with cuBLAS for the layers and one kernel from each to the next.

    Attributes:
        products: how matrix products with the weights of layers are computed.
        layers: how the names of these weights begin.
    """

    mode: ClassVar[str] = "column by column on a GPU"
    on_gpu: ClassVar[bool] = True

    products: Products = "full"
    layers: tuple[str, ...] = ()

    def make(self, sdfg: dace.SDFG, program: ColumnProgram, interface: Interface) -> nodes.Node:
        """A call of a function in the program's device code."""
        if any(definition.directions is not None for definition in program.definitions):
            raise RefusedError("it has several directions for each column, which is written for the CPU only")
        code = DeviceCode(program, interface, self.products, self.layers)
        sdfg.append_global_code(source_text(HEADER) + code.text, "cuda")
        inputs, outputs = set(interface.inputs.values()), set(interface.outputs.values())
        node = DeviceProgram("device_columns", inputs=inputs, outputs=outputs)
        node.body, node.declaration, node.release = code.call, code.declaration, code.release
        return node
