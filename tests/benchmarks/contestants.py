"""One step of a network by this component and by its peers, all on the same inputs, results and threads.

Each contestant takes static, forcing and state in model units and gives the new state and the diagnostics in model
units: normalisation, network, increment, denormalisation and bounds are all in it. Each gets its best:

ailand
    `Emulator` with ``out=``; on a GPU once for each precision.
torch_eager
    `torch_network.TorchStep` as it is.
torch_compile
    the same through ``torch.compile``, as one would write it.
torch_compile_tuned
    ``torch.compile`` with frozen weights. On the CPU for a free number of columns, for then PyTorch packs the weights
    for oneDNN, whose products are here twice as fast as those of its MKL; for one column with its search for the best
    kernels instead, which is faster there.
torch_compile_autotune
    ``torch.compile`` with frozen weights for this number of columns, and its search for the best kernels; of the large
    network.
torch_compile_blocks, onnxruntime_blocks, openvino_blocks, jax_blocks
    the tuned network called on one block of columns after the other, so that activations stay in a cache and no large
    memory is allocated; for many columns.
onnxruntime, openvino
    the graph of ``ailand model export --format onnx``, all graph optimisations, inputs and results bound once;
    OpenVINO, which would take bfloat16 by itself where a processor has it, with its hint of float32.
jax
    `jax_network.jax_step` through ``jax.jit``, that is XLA, on arrays of its own; for few columns with frozen weights.
numpy, cupy
    `array_network.ArrayStep`: layer by layer by the library's BLAS, with buffers; on the CPU in blocks of columns.

Under the precisions ``_tf32`` (of GPUs) and ``_bf16`` a contestant may use these for its matrix products.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import importlib
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import machine
import numpy as np
import scale

from ailand_gt4py.core.errors import AilandError
from ailand_gt4py.emulator.emulator import Emulator
from ailand_gt4py.weights.model import Model

Arrays = tuple[Any, Any]

#: Columns of a call of the contestants ``..._blocks``, and of NumPy.
PEER_BLOCK, NUMPY_BLOCK = scale.of((2000, 1024), (16, 16))
#: Of the large network's activations, fewer columns fill a cache.
SMALL_BLOCK = scale.of(250, 3)
#: From how many columns on blocks are tried.
MANY_COLUMNS = scale.of(10_000, 40)

#: Bars of the relative error by precision, for peers.
TOLERANCE = {"float32": 1e-5, "tf32": 5e-3, "bf16": 5e-2}
#: And of this component's float32.
OWN_TOLERANCE = 5e-6


class UnavailableError(Exception):
    """Why a contestant cannot run here, in one line."""


@dataclasses.dataclass(frozen=True)
class Contestant:
    """A step that is ready to be timed.

    Attributes:
        name: see the module. precision: of its matrix products.
        step: makes one step; what it returns lives on the device and is overwritten by the next.
        to_host: brings a result of `step` to NumPy.
        tolerance: bar of the relative error.
        synchronise: waits until the device has finished; None on the CPU, where a step has finished when it returns.
        during: context in which steps are made, entered once for many of them.
        note: how it was prepared, where that is not plain.
    """

    name: str
    step: Callable[[], Arrays]
    precision: str = "float32"
    tolerance: float = TOLERANCE["float32"]
    to_host: Callable[[Any], np.ndarray] = np.asarray
    synchronise: Callable[[], None] | None = None
    during: Callable[[], AbstractContextManager[Any]] = nullcontext
    note: str = ""

    def results(self) -> tuple[np.ndarray, np.ndarray]:
        """New state and diagnostics of one step, in host memory."""
        with self.during():
            new_state, diagnostics = self.step()
            return self.to_host(new_state), self.to_host(diagnostics)


def names(device: str, n_columns: int) -> tuple[str, ...]:
    """Contestants for a device and a number of columns."""
    if device == "cuda":
        return (
            "ailand", "ailand_tf32", "ailand_bf16", "torch_eager", "torch_compile", "torch_compile_tf32",
            "torch_compile_bf16", "cupy",
        )  # fmt: skip
    blocks = _BLOCKS if n_columns >= MANY_COLUMNS else ()
    return (
        "ailand", "ailand_bf16", "torch_eager", "torch_compile", "torch_compile_tuned", "onnxruntime", "openvino",
        "openvino_bf16", "jax", *blocks, "numpy",
    )  # fmt: skip


_BLOCKS = ("torch_compile_blocks", "onnxruntime_blocks", "openvino_blocks", "openvino_blocks_bf16", "jax_blocks")
#: Contestants of the large network, each of which has the weights once or twice. PyTorch and onnxruntime were no faster
#: in blocks.
OF_LARGE = (
    "ailand", "torch_compile_tuned", "torch_compile_autotune", "onnxruntime", "openvino", "openvino_blocks", "jax",
    "jax_blocks",
)  # fmt: skip
#: With many columns, where a step takes ten seconds and more: the fastest of these.
OF_LARGE_MANY = ("ailand", "torch_compile_tuned", "openvino", "openvino_blocks")


def build(name: str, model: Model, inputs: Sequence[np.ndarray], device: str = "cpu") -> Contestant:
    """A contestant, compiled and warm.

    Args:
        name: one of `names`. model: to run.
        inputs: static, forcing, state (n_columns, n_features), float32, C order.

    Raises:
        UnavailableError: its package or its device is missing.
    """
    kind, _, suffix = name.rpartition("_")
    precision = suffix if suffix in ("tf32", "bf16") else "float32"
    kind = kind if precision != "float32" else name
    contestant = _BUILDERS[kind](kind, model, inputs, device, precision)
    contestant = dataclasses.replace(contestant, name=name, precision=precision)
    contestant.results()
    return contestant


def require(*packages: str) -> list[Any]:
    """Import packages.

    Raises:
        UnavailableError: one is not installed.
    """
    try:
        return [importlib.import_module(package) for package in packages]
    except ImportError as error:
        raise UnavailableError(f"package '{error.name}' is not installed") from error


def require_cuda() -> Any:
    """CuPy, where there is a device.

    Raises:
        UnavailableError: no CuPy or no device.
    """
    (cupy,) = require("cupy")
    try:
        cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        raise UnavailableError(f"no CUDA device: {error}") from error
    return cupy


def _ailand(kind: str, model: Model, inputs: Sequence[np.ndarray], device: str, precision: str) -> Contestant:
    cupy = require_cuda() if device == "cuda" else None
    try:
        emulator = Emulator(model, len(inputs[0]), "dace_gpu" if cupy else "dace_cpu", precision)  # type: ignore[arg-type]
        emulator.compile()
    except AilandError as error:
        raise UnavailableError(str(error)) from error
    own = [emulator.allocate(array.shape[1]) for array in inputs]
    out = (emulator.allocate(len(model.state)), emulator.allocate(len(model.diagnostics)))
    for array, values in zip(own, inputs, strict=True):
        array[...] = cupy.asarray(values) if cupy else values
    for array in out:
        array[...] = np.nan
    return Contestant(
        kind,
        functools.partial(emulator.step, *own, out=out),
        tolerance=OWN_TOLERANCE if precision == "float32" else TOLERANCE[precision],
        to_host=cupy.asnumpy if cupy else np.asarray,
        synchronise=cupy.cuda.Device().synchronize if cupy else None,
    )


def _torch(kind: str, model: Model, inputs: Sequence[np.ndarray], device: str, precision: str) -> Contestant:
    (torch,) = require("torch")
    if device == "cuda" and not torch.cuda.is_available():
        raise UnavailableError("PyTorch finds no CUDA device")
    from torch_network import torch_step

    torch.set_num_threads(machine.threads())
    network: Any = torch_step(model).eval().to(device)
    n_columns = len(inputs[0])
    tensors = [torch.from_numpy(array).to(device) for array in inputs]
    if scale.TOY and kind != "torch_eager":
        # All but what takes the time: the search for code and its compilation.
        network = torch.compile(network, fullgraph=True, dynamic=n_columns > 1, backend="eager")
    elif kind == "torch_compile":
        # On a GPU with CUDA graphs, without which a few columns would only show the cost of the launches.
        network = torch.compile(
            network, fullgraph=True, dynamic=False, mode="max-autotune" if device == "cuda" else None
        )
    elif kind != "torch_eager":
        is_searched = n_columns == 1 or kind == "torch_compile_autotune"
        mode = "max-autotune-no-cudagraphs" if is_searched else None
        network = torch.compile(network, fullgraph=True, dynamic=not is_searched, mode=mode)
    step = functools.partial(network, *tensors)
    if kind == "torch_compile_blocks":
        step = _torch_blocks(network, tensors, model)
    note = "" if kind == "torch_eager" else _compile_torch(step, frozen=kind != "torch_compile")

    @contextlib.contextmanager
    def during() -> Iterator[None]:
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
        try:
            with torch.inference_mode(), torch.autocast(device, torch.bfloat16, enabled=precision == "bf16"):
                yield
        finally:
            torch.set_float32_matmul_precision(before)

    return Contestant(
        kind,
        step,
        tolerance=TOLERANCE[precision],
        to_host=lambda tensor: tensor.float().cpu().numpy(),
        synchronise=torch.cuda.synchronize if device == "cuda" else None,
        during=during,
        note=note,
    )


def _compile_torch(step: Callable[[], Arrays], frozen: bool) -> str:
    """Make the first step of a network that is to be compiled; returns a word on how.

    PyTorch's own cache of compiled code is left aside: of a network that was once compiled otherwise it may bring back
    that code, slower by half.
    """
    (torch, inductor, counters) = require("torch", "torch._inductor.config", "torch._dynamo.utils")
    name = "mkldnn_linear_weight_pack_matcher_count"
    before = counters.counters["inductor"][name]
    with inductor.patch(freezing=frozen, force_disable_caches=True), torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        step()
    return f"{counters.counters['inductor'][name] - before} layers packed" if frozen else ""


def _block(model: Model) -> int:
    """Columns of a call of the contestants ``..._blocks``."""
    return PEER_BLOCK if model.point_wise is None else SMALL_BLOCK


def _torch_blocks(network: Any, tensors: Sequence[Any], model: Model) -> Callable[[], Arrays]:
    """The network on blocks of columns, results gathered in arrays made once."""
    (torch,) = require("torch")
    n_columns, length = len(tensors[0]), _block(model)
    new_state, diagnostics = (
        torch.full((n_columns, len(group)), float("nan")) for group in (model.state, model.diagnostics)
    )
    blocks = [
        tuple(array[first : first + length] for array in (*tensors, new_state, diagnostics))
        for first in range(0, n_columns, length)
    ]

    def step() -> Arrays:
        for *block, block_state, block_diagnostics in blocks:
            state, diagnosed = network(*block)
            block_state.copy_(state)
            block_diagnostics.copy_(diagnosed)
        return new_state, diagnostics

    return step


def _onnxruntime(kind: str, model: Model, inputs: Sequence[np.ndarray], device: str, precision: str) -> Contestant:
    runtime, _ = require("onnxruntime", "onnx")
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = machine.threads(), 1
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_ENABLE_ALL
    session = runtime.InferenceSession(_graph(model), options, providers=["CPUExecutionProvider"])
    n_columns = len(inputs[0])
    length = _block(model) if kind.endswith("_blocks") else n_columns
    arrays = dict(zip(("static", "forcing", "state"), inputs, strict=True))
    results = {
        name: np.full((n_columns, len(group)), np.nan, dtype=np.float32)
        for name, group in (("new_state", model.state), ("diagnostics", model.diagnostics))
    }
    bindings = []
    for first in range(0, n_columns, length):
        binding = session.io_binding()
        for group, bind in ((arrays, binding.bind_input), (results, binding.bind_output)):
            for name, array in group.items():
                rows = array[first : first + length]
                bind(name, "cpu", 0, np.float32, rows.shape, rows.ctypes.data)
        bindings.append(binding)

    def step() -> Arrays:
        for binding in bindings:
            session.run_with_iobinding(binding)
        # `arrays` is named so that the memory bound to the session lives as long as this function.
        return (results["new_state"], results["diagnostics"]) if arrays else (None, None)

    return Contestant(kind, step)


def _openvino(kind: str, model: Model, inputs: Sequence[np.ndarray], device: str, precision: str) -> Contestant:
    openvino, _ = require("openvino", "onnx")
    core = openvino.Core()
    if precision == "bf16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        raise UnavailableError("OpenVINO finds no bfloat16 in this processor")
    settings = {
        "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": machine.threads(),
        "NUM_STREAMS": 1,
    }
    graph = core.read_model(_graph(model))
    n_columns = len(inputs[0])
    length = _block(model) if kind == "openvino_blocks" else n_columns
    results = [np.full((n_columns, len(group)), np.nan, np.float32) for group in (model.state, model.diagnostics)]
    requests, compiled = [], {}
    for first in range(0, n_columns, length):
        rows = min(length, n_columns - first)
        if rows not in compiled:
            names = ("static", "forcing", "state")
            graph.reshape({name: [rows, array.shape[1]] for name, array in zip(names, inputs, strict=True)})
            compiled[rows] = core.compile_model(graph, "CPU", settings)
        request = compiled[rows].create_infer_request()
        for k, array in enumerate(inputs):
            request.set_input_tensor(k, openvino.Tensor(array[first : first + rows], shared_memory=True))
        for k, array in enumerate(results):
            request.set_output_tensor(k, openvino.Tensor(array[first : first + rows], shared_memory=True))
        requests.append(request)

    def step() -> Arrays:
        for request in requests:
            request.infer()
        # `inputs` is named so that the memory bound to the requests lives as long as this function.
        return (results[0], results[1]) if inputs else (None, None)

    return Contestant(kind, step, tolerance=TOLERANCE[precision])


def _graph(model: Model) -> bytes:
    from ailand_gt4py.training.exports.onnx.step import made

    return made(model).SerializeToString()


def _jax(kind: str, model: Model, inputs: Sequence[np.ndarray], device: str, precision: str) -> Contestant:
    # Both are read when JAX is first used: on the CPU, in so many threads.
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    os.environ.setdefault("NPROC", str(machine.threads()))
    (jax,) = require("jax")
    from jax_network import jax_step

    n_columns = len(inputs[0])
    network = jax_step(model, is_frozen=n_columns < MANY_COLUMNS and model.point_wise is None)
    if kind == "jax":
        arrays = [jax.device_put(array) for array in inputs]
        return Contestant(kind, lambda: jax.block_until_ready(network(*arrays)))
    length = _block(model)
    results = [np.full((n_columns, len(group)), np.nan, np.float32) for group in (model.state, model.diagnostics)]
    blocks = [
        (slice(first, first + length), [jax.device_put(array[first : first + length]) for array in inputs])
        for first in range(0, n_columns, length)
    ]

    def step() -> Arrays:
        for rows, block in blocks:
            for array, values in zip(results, network(*block), strict=True):
                array[rows] = values
        return results[0], results[1]

    return Contestant(kind, step)


def _numpy(kind: str, model: Model, inputs: Sequence[np.ndarray], device: str, precision: str) -> Contestant:
    from array_network import ArrayStep

    require("threadpoolctl")
    machine.set_numpy_threads(machine.threads())
    return Contestant(kind, functools.partial(ArrayStep(model, len(inputs[0]), np, NUMPY_BLOCK), *inputs))


def _cupy(kind: str, model: Model, inputs: Sequence[np.ndarray], device: str, precision: str) -> Contestant:
    from array_network import ArrayStep

    cupy = require_cuda()
    step = functools.partial(ArrayStep(model, len(inputs[0]), cupy), *(cupy.asarray(array) for array in inputs))
    return Contestant(kind, step, to_host=cupy.asnumpy, synchronise=cupy.cuda.Device().synchronize)


_BUILDERS: dict[str, Callable[[str, Model, Sequence[np.ndarray], str, str], Contestant]] = {
    "ailand": _ailand,
    "torch_eager": _torch,
    "torch_compile": _torch,
    "torch_compile_tuned": _torch,
    "torch_compile_autotune": _torch,
    "torch_compile_blocks": _torch,
    "onnxruntime": _onnxruntime,
    "onnxruntime_blocks": _onnxruntime,
    "openvino": _openvino,
    "openvino_blocks": _openvino,
    "jax": _jax,
    "jax_blocks": _jax,
    "numpy": _numpy,
    "cupy": _cupy,
}
