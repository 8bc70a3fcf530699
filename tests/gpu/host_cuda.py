"""A GT4Py backend that runs the generated CUDA on the host, with ``host_cuda.hpp`` in the place of CUDA and cuBLAS."""

from __future__ import annotations

import ctypes
import dataclasses
import hashlib
import pathlib
import re
from typing import Any

import dace
import gt4py.next as gtx
import numpy as np
from dace.sdfg import nodes
from gt4py.next.program_processors.runners.dace import make_dace_backend
from gt4py.next.program_processors.runners.dace.transformations import GT4PyAutoOptHook

from ailand_gt4py.dimensions import Column
from ailand_gt4py.emulator import Emulator
from ailand_gt4py.lowering.backends import SCRATCH_PREFIXES
from ailand_gt4py.lowering.bound_call import compiled_dace_program
from ailand_gt4py.lowering.device_code import Products
from ailand_gt4py.lowering.device_columns import DeviceColumns, DeviceProgram
from ailand_gt4py.parameters import step_operands
from ailand_gt4py.weights.model import Model

_SHIM = (pathlib.Path(__file__).parent / "host_cuda.hpp").read_text()
_LAUNCH = "on_rows<Body><<<(unsigned)blocks, block_threads, 0, stream>>>(body);"


def on_host(cuda: str) -> str:
    """Generated CUDA as C++ for the host."""
    assert cuda.count(_LAUNCH) == 1
    cuda = cuda.replace(_LAUNCH, "host_launch<Body>(blocks, block_threads, on_rows<Body>, body);")
    cuda = re.sub(r"#include <cu\w+\.h>\n", "", cuda).replace("const Body body)", "Body body)")
    return _SHIM + cuda.replace("#pragma unroll", "")


@dataclasses.dataclass(frozen=True)
class OnHost(DeviceColumns):
    """As `DeviceColumns`, but all of the program's code is the host's."""

    shim: str = hashlib.sha256(_SHIM.encode()).hexdigest()

    def __call__(self, sdfg: dace.SDFG) -> None:
        super().__call__(sdfg)
        code = on_host(sdfg.global_code.pop("cuda").as_string)
        ((node, state),) = [
            (node, state) for state in sdfg.states() for node in state.nodes() if isinstance(node, DeviceProgram)
        ]
        call = re.sub(r"__state->gpu_context->record_error\(.*\)", "std::abort()", node.body)
        call = call.replace("__state->gpu_context->streams[0]", "nullptr")
        tasklet = nodes.Tasklet(
            node.label,
            dict.fromkeys(node.in_connectors, None),
            dict.fromkeys(node.out_connectors, None),
            call,
            language=dace.Language.CPP,
            code_global=code,
            state_fields=["void* ailand_device;"],
            code_init="__state->ailand_device = nullptr;",
            code_exit=f"{node.release}(__state->ailand_device);",
        )
        state.add_node(tasklet)
        for edge in [*state.in_edges(node), *state.out_edges(node)]:
            source, target = (tasklet if end is node else end for end in (edge.src, edge.dst))
            state.add_edge(source, edge.src_conn, target, edge.dst_conn, edge.data)
        for edge in [*state.in_edges(tasklet), *state.out_edges(tasklet)]:
            connectors, name = (
                (tasklet.in_connectors, edge.dst_conn)
                if edge.dst is tasklet
                else (tasklet.out_connectors, edge.src_conn)
            )
            connectors[name] = dace.pointer(sdfg.arrays[edge.data.data].dtype)
        state.remove_node(node)


def host_backend(model: Model, precision: str, products: Products = "full") -> Any:
    """The backend for one model's programs."""
    operands = step_operands(model, np.dtype(precision), "cpu")
    hook = OnHost(
        tuple(sorted(operands.complete_tables)),
        tuple(sorted(operands.broadcast_tables)),
        Column.value,
        SCRATCH_PREFIXES,
        products,
    )
    backend: gtx.backend.Backend = make_dace_backend(
        gpu=False,
        auto_optimize=True,
        async_sdfg_call=False,
        unstructured_horizontal_has_unit_stride=False,
        optimization_args={"optimization_hooks": {GT4PyAutoOptHook.TopLevelDataFlowPre: hook}},
        use_zero_origin=True,
        use_metrics=False,
    )
    return backend


def allocations(emulator: Emulator) -> int:
    """How often the emulator's step has allocated device memory."""
    compiled = compiled_dace_program(emulator._step._program).sdfg_program
    return int(compiled.get_exported_function("host_cuda_allocations", restype=ctypes.c_int)())
