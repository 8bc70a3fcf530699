"""What a network would take if it were its matrix products alone, by each BLAS at hand: rivals of the contestants.

The products are the layers' (`Network.gemms`), on prepared operands in float32, with nothing between them: no
normalisation, no bias, no activation, and no dependence of one on the other. Many columns are computed in blocks,
which needs little memory and is faster than one product of all columns, for it stays in a cache.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import machine
import numpy as np
import scale
from contestants import Contestant, UnavailableError, require, require_cuda
from networks import Network

#: Columns of a product.
BLOCK = scale.of(10_000, 40)

Products = Callable[[], tuple[Any, Any]]


def names(device: str, n_columns: int) -> tuple[str, ...]:
    """Limits for a device and a number of columns; none for few columns, where the BLAS is not what limits."""
    if n_columns < BLOCK:
        return ()
    return ("gemm_cublas", "gemm_cublas_tf32", "gemm_cublas_bf16") if device == "cuda" else ON_CPU


#: Of the large network, for each takes its memory: MKL's were slower than these.
OF_LARGE = ("gemm_openblas", "gemm_onednn")
ON_CPU = ("gemm_openblas", "gemm_mkl", "gemm_onednn")


def build(name: str, network: Network, n_columns: int) -> Contestant:
    """The products of a network's step.

    Raises:
        UnavailableError: the library is missing.
    """
    random = np.random.default_rng(0)
    gemms = network.gemms()
    weights = [random.standard_normal((n_in, n_out), dtype=np.float32) for n_in, n_out in gemms]
    if name.startswith("gemm_cublas"):
        return _cublas(name, weights, n_columns)
    rows = min(n_columns, BLOCK)
    inputs = [random.standard_normal((rows, n_in), dtype=np.float32) for n_in, _ in gemms]
    blocks = [min(BLOCK, n_columns - first) for first in range(0, n_columns, BLOCK)]
    if name == "gemm_openblas":
        return Contestant(name, _openblas(inputs, weights, blocks))
    (torch,) = require("torch")
    torch.set_num_threads(machine.threads())
    tensors = [(torch.from_numpy(x), torch.from_numpy(weight)) for x, weight in zip(inputs, weights, strict=True)]
    if name == "gemm_mkl":
        if not torch.backends.mkl.is_available():
            raise UnavailableError("this PyTorch has no MKL")
        return Contestant(name, _mkl(torch, tensors, blocks), during=torch.inference_mode)
    return Contestant(name, _onednn(torch, tensors, blocks), during=torch.inference_mode)


def _openblas(inputs: Sequence[np.ndarray], weights: Sequence[np.ndarray], blocks: Sequence[int]) -> Products:
    """NumPy's BLAS."""
    require("threadpoolctl")
    machine.set_numpy_threads(machine.threads())
    results = [np.empty((len(x), weight.shape[1]), np.float32) for x, weight in zip(inputs, weights, strict=True)]

    def step() -> tuple[Any, Any]:
        for n in blocks:
            for x, weight, result in zip(inputs, weights, results, strict=True):
                np.matmul(x[:n], weight, out=result[:n])
        return results[0], results[-1]

    return step


def _mkl(torch: Any, operands: Sequence[tuple[Any, Any]], blocks: Sequence[int]) -> Products:
    """What ``torch.mm`` calls in float32 where PyTorch is built with MKL."""
    results = [torch.empty((len(x), weight.shape[1])) for x, weight in operands]

    def step() -> tuple[Any, Any]:
        for n in blocks:
            for (x, weight), result in zip(operands, results, strict=True):
                torch.mm(x[:n], weight, out=result[:n])
        return results[0], results[-1]

    return step


def _onednn(torch: Any, operands: Sequence[tuple[Any, Any]], blocks: Sequence[int]) -> Products:
    """What ``torch.compile`` calls for frozen weights: an operator that PyTorch keeps to itself."""
    try:
        reorder, linear = torch.ops.mkldnn._reorder_linear_weight, torch.ops.mkldnn._linear_pointwise
        packed = [(x, reorder(weight.T.contiguous(), len(x))) for x, weight in operands]
        first = linear(*packed[0], None, "none", [], "")
    except (AttributeError, RuntimeError) as error:
        raise UnavailableError(f"this PyTorch has no packed oneDNN products: {str(error).splitlines()[0]}") from error

    def step() -> tuple[Any, Any]:
        result = first
        for n in blocks:
            for x, weight in packed:
                result = linear(x[:n], weight, None, "none", [], "")
        return first, result

    return step


def _cublas(name: str, weights: Sequence[np.ndarray], n_columns: int) -> Contestant:
    """cuBLAS through PyTorch, all columns at once: a GPU is not filled by less."""
    require_cuda()
    (torch,) = require("torch")
    if not torch.cuda.is_available():
        raise UnavailableError("PyTorch finds no CUDA device")
    precision = {"gemm_cublas_tf32": "tf32", "gemm_cublas_bf16": "bf16"}.get(name, "float32")
    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    operands = [
        (torch.randn(n_columns, len(weight), device="cuda", dtype=kind), torch.from_numpy(weight).to("cuda", kind))
        for weight in weights
    ]
    results = [torch.empty((n_columns, weight.shape[1]), device="cuda", dtype=kind) for _, weight in operands]

    def step() -> tuple[Any, Any]:
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
        for (x, weight), result in zip(operands, results, strict=True):
            torch.mm(x, weight, out=result)
        torch.set_float32_matmul_precision(before)
        return results[0], results[-1]

    return Contestant(
        name,
        step,
        precision=precision,
        to_host=lambda tensor: tensor.float().cpu().numpy(),
        synchronise=torch.cuda.synchronize,
        during=torch.inference_mode,
    )
