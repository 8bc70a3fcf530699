"""The error function and the activations of point-wise networks: values and derivatives, against SciPy and PyTorch."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from point_wise_models import ACTIVATIONS
from scipy.special import erf

from ailand_gt4py.core.dimensions import unit_dimension
from ailand_gt4py.lowering.columns.column_program import ROW, ColumnProgram
from ailand_gt4py.lowering.columns.differentiate import Derivative, differentiate
from ailand_gt4py.lowering.columns.fields import Tables
from ailand_gt4py.lowering.columns.interpret import OPERATIONS, Interpreter
from ailand_gt4py.lowering.columns.read_gtir import read_program
from ailand_gt4py.stencils.fields import columns
from ailand_gt4py.stencils.instances import Statement, write_program
from ailand_gt4py.stencils.network.error_function import error_function
from ailand_gt4py.stencils.network.smooth_activations import SMOOTH
from ailand_gt4py.weights import processing

UNITS = unit_dimension("x0")
#: All ranges of the approximations and their ends; far beyond; 0 of both signs.
ARGUMENTS = np.concatenate(
    [
        np.linspace(-8.0, 8.0, 4001),
        [0.0, -0.0, 0.46875, -0.46875, 3.92, -3.92, 4.0, -4.0, 6.0, -6.0, 30.0, -30.0, 1e4, -1e4],
    ]
)


def program_of(operator: Any, dtype: type) -> ColumnProgram:
    fields = {name: columns(UNITS, dtype) for name in ("x", "y")}
    program = write_program(f"of_{operator.__name__}", fields, [Statement(operator, ("x",), "y")], __file__)
    shapes = {name: (1, len(ARGUMENTS)) for name in fields}
    return read_program(program.gtir, shapes, Tables(frozenset(), frozenset(), {}))


def value_and_slope(operator: Any, dtype: type = np.float64) -> tuple[np.ndarray, np.ndarray]:
    """Of the operator's program and of its derivative in forward mode, for `ARGUMENTS`."""
    program, x = program_of(operator, dtype), ARGUMENTS[np.newaxis].astype(dtype)
    (value,) = Interpreter(1, {"x": x}).run(program).values()
    program.arguments["change"] = (ROW, x.shape)
    tangent = differentiate(program, Derivative("forward", (("x", "change"),), (("y", "slope"),)))
    (slope,) = Interpreter(1, {"x": x, "change": np.ones_like(x)}).run(tangent).values()
    return value[0], slope[0]


def test_error_function_and_its_derivative() -> None:
    value, slope = value_and_slope(error_function(UNITS, np.float64))
    np.testing.assert_allclose(value, erf(ARGUMENTS), rtol=1e-15, atol=1e-15)
    np.testing.assert_allclose(slope, 2.0 / np.sqrt(np.pi) * np.exp(-(ARGUMENTS**2)), rtol=0.0, atol=1e-13)


def test_error_function_in_single_precision() -> None:
    value, slope = value_and_slope(error_function(UNITS, np.float32), np.float32)
    assert value.dtype == np.float32
    np.testing.assert_allclose(value, erf(ARGUMENTS), rtol=4e-7, atol=0.0)
    np.testing.assert_allclose(slope, 2.0 / np.sqrt(np.pi) * np.exp(-(ARGUMENTS**2)), rtol=0.0, atol=3e-6)


def torch_modules() -> dict[str, Callable[[Any], Any]]:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed; its activations are the reference here")
    modules = torch.nn
    (slope,), (alpha,), (beta, threshold) = (ACTIVATIONS[name][0] for name in ("leaky_relu", "elu", "softplus"))
    (w, phi), (least,) = (ACTIVATIONS[name][0] for name in ("sine", "custom_relu"))
    return {
        "gelu": modules.GELU(),
        "gelu_tanh": modules.GELU(approximate="tanh"),
        "silu": modules.SiLU(),
        "relu": modules.ReLU(),
        "leaky_relu": modules.LeakyReLU(slope),
        "elu": modules.ELU(alpha),
        "tanh": modules.Tanh(),
        "softplus": modules.Softplus(beta, threshold),
        "sine": lambda x: torch.sin(w * x + phi),
        "custom_relu": lambda x: torch.relu(x - least) + least,
    }


def test_the_tables_have_the_same_activations() -> None:
    assert set(SMOOTH) == set(processing.ACTIVATIONS) == set(ACTIVATIONS)
    assert {name for name, factory in SMOOTH.items() if factory is None} == {"identity"}
    assert torch_modules().keys() == SMOOTH.keys() - {"identity"}


@functools.cache
def of_torch(name: str) -> tuple[np.ndarray, np.ndarray]:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed; it is the reference here")
    x = torch.tensor(ARGUMENTS, requires_grad=True)
    value = torch_modules()[name](x)
    value.sum().backward()
    return value.detach().numpy(), x.grad.numpy()


@pytest.mark.parametrize("name", sorted(set(SMOOTH) - {"identity"}))
def test_activations_and_their_derivatives_are_those_of_pytorch(name: str) -> None:
    factory = SMOOTH[name]
    assert factory is not None
    value, slope = value_and_slope(factory(UNITS, *ACTIVATIONS[name][0], np.float64))
    expected_value, expected_slope = of_torch(name)
    np.testing.assert_allclose(value, expected_value, rtol=1e-14, atol=1e-15)
    # At the kink itself either side's slope will do.
    away = ARGUMENTS != 0.0
    np.testing.assert_allclose(slope[away], expected_slope[away], rtol=1e-12, atol=1e-13)
    assert np.isfinite(slope).all()


@pytest.mark.parametrize("name", sorted(set(SMOOTH) - {"identity"}))
def test_nan_stays_nan(name: str) -> None:
    factory = SMOOTH[name]
    assert factory is not None
    program = program_of(factory(UNITS, *ACTIVATIONS[name][0], np.float64), np.float64)

    def maximum(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """As compiled code compares."""
        return np.where(a > b, a, b)

    def minimum(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.where(a < b, a, b)

    x = np.full((1, len(ARGUMENTS)), np.nan)
    (value,) = Interpreter(1, {"x": x}, {**OPERATIONS, "max": maximum, "min": minimum}).run(program).values()
    assert np.isnan(value).all()
