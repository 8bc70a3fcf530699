"""A GT4Py backend that runs the generated CUDA on the host, with ``host_cuda.hpp`` in the place of CUDA and cuBLAS."""

from __future__ import annotations

import ctypes
import dataclasses
import hashlib
import pathlib
import re
from collections.abc import Sequence
from typing import ClassVar

import dace
import gt4py.next as gtx
import numpy as np
from dace.sdfg import nodes

from ailand_gt4py.emulator.emulator import Emulator
from ailand_gt4py.emulator.operands import step_operands
from ailand_gt4py.emulator.programs import LAYERS
from ailand_gt4py.lowering.calls import backends
from ailand_gt4py.lowering.calls.bound_call import compiled_dace_program
from ailand_gt4py.lowering.columns.column_node import Interface
from ailand_gt4py.lowering.columns.column_program import ColumnProgram
from ailand_gt4py.lowering.gpu.device_code import Products
from ailand_gt4py.lowering.gpu.device_columns import DeviceColumns, DeviceProgram
from ailand_gt4py.weights.model import Model

_SHIM = (pathlib.Path(__file__).parent / "host_cuda.hpp").read_text()
#: It is run once, on nine columns: a compiler that optimises it takes longer than all else.
_PLAIN = '#pragma GCC optimize("O0")\n'
_LAUNCH = "on_rows<Body><<<(unsigned)blocks, block_threads, 0, stream>>>(body);"


def on_host(cuda: str) -> str:
    """Generated CUDA as C++ for the host."""
    assert cuda.count(_LAUNCH) == 1
    cuda = cuda.replace(_LAUNCH, "host_launch<Body>(blocks, block_threads, on_rows<Body>, body);")
    cuda = re.sub(r"#include <cu\w+\.h>\n", "", cuda).replace("const Body body)", "Body body)")
    return _PLAIN + _SHIM + cuda.replace("#pragma unroll", "")


@dataclasses.dataclass(frozen=True)
class OnHost(DeviceColumns):
    """As `DeviceColumns`, but all of the program's code is the host's."""

    on_gpu: ClassVar[bool] = False

    shim: str = hashlib.sha256(_SHIM.encode()).hexdigest()

    def make(self, sdfg: dace.SDFG, program: ColumnProgram, interface: Interface) -> nodes.Node:
        node = super().make(sdfg, program, interface)
        assert isinstance(node, DeviceProgram)
        call = re.sub(r"__state->gpu_context->record_error\(.*\)", "std::abort()", node.body)
        types = {
            connector: dace.pointer(interface.arrays[name].dtype) for name, connector in interface.connectors.items()
        }
        return nodes.Tasklet(
            node.label,
            {connector: types[connector] for connector in node.in_connectors},
            {connector: types[connector] for connector in node.out_connectors},
            call.replace("__state->gpu_context->streams[0]", "nullptr"),
            language=dace.Language.CPP,
            code_global=on_host(sdfg.global_code.pop("cuda").as_string),
            state_fields=["void* ailand_device;"],
            code_init="__state->ailand_device = nullptr;",
            code_exit=f"{node.release}(__state->ailand_device);",
        )


def host_backend(model: Model, precision: str, products: Products = "full") -> gtx.backend.Backend:
    """The backend for one model's programs."""
    operands = step_operands(model, np.dtype(precision), "cpu")
    return backend_of(operands.complete_tables, operands.broadcast_tables, products)


def backend_of(
    complete_tables: Sequence[str], broadcast_tables: Sequence[str], products: Products = "full"
) -> gtx.backend.Backend:
    """The backend for programs with these tables."""
    backend = backends.column_backend(False, complete_tables, broadcast_tables)
    cached = backend.executor.translation
    translation = dataclasses.replace(cached, step=dataclasses.replace(cached.step, node=OnHost(products, LAYERS)))
    return dataclasses.replace(backend, executor=dataclasses.replace(backend.executor, translation=translation))


def allocations(emulator: Emulator) -> int:
    """How often the emulator's step has allocated device memory."""
    compiled = compiled_dace_program(emulator._step._call.program).sdfg_program
    return int(compiled.get_exported_function("host_cuda_allocations", restype=ctypes.c_int)())
