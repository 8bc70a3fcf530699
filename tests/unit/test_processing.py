"""Steps between a variable's physical value and the network's: values, inverses, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
from point_wise_models import PROCESSINGS

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.weights.processing import Bounding, PointWise, Step, to_network, to_physical

X = np.linspace(0.05, 0.95, 19)


@pytest.mark.parametrize(
    ("step", "x", "expected"),
    [
        (Step("impute", (7.0,)), np.nan, 7.0),
        (Step("affine", (2.0, -1.0)), 3.0, 5.0),
        (Step("log1p"), math.e - 1.0, 1.0),
        (Step("sqrt"), 9.0, 3.0),
        (Step("power", (0.5, 0.0, 0.0)), 9.0, 3.0),
        (Step("power", (0.5, 1.0, 0.0)), -9.0, 0.0),
        (Step("power", (0.5, 0.0, 1.0)), 9.0, 5.0),
        (Step("power", (0.5, 0.0, 1.0)), 0.25, 0.5),
        (Step("boxcox", (0.5,)), 9.0, 4.0),
        (Step("boxcox", (0.0,)), math.e, 1.0),
        (Step("asinh", (2.0,)), 0.5 * math.sinh(1.5), 1.5),
        (Step("atanh", (2.0,)), 1.0, 1.0),
        (Step("atanh", (2.0,)), 0.5, 0.0),
        (Step("scale", (2.0, -1.0)), 3.0, 5.0),
        (Step("boundary_atoms", (0.0, -0.5, 1.0, 1.5, 0.01)), 0.005, -0.5),
        (Step("boundary_atoms", (0.0, -0.5, 1.0, 1.5, 0.01)), 0.995, 1.5),
        (Step("boundary_atoms", (0.0, -0.5, 1.0, 1.5, 0.01)), 0.5, 0.5),
        (Step("boundary_atoms", (-math.inf, -math.inf, 1.0, 1.5, 0.0)), -1e30, -1e30),
    ],
)
def test_values(step: Step, x: float, expected: float) -> None:
    assert step.apply(np.array([x]))[0] == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("name", PROCESSINGS)
def test_there_and_back(name: str) -> None:
    steps = PROCESSINGS[name]
    kept = (X > 0.31) & (X < 0.79) if "atom" in name else np.ones(X.shape, bool)
    np.testing.assert_allclose(to_physical(steps, to_network(steps, X))[kept], X[kept], rtol=1e-13)


@pytest.mark.parametrize(
    ("step", "v", "expected"),
    [
        (Step("sqrt"), -2.0, 0.0),
        (Step("power", (0.33, 0.0, 0.0)), -2.0, 0.0),
        (Step("boxcox", (0.5,)), -3.0, 0.0),
        (Step("atanh", (2.0,)), 1.7, 1.0),
        (Step("atanh", (2.0,)), -1.7, 0.0),
        (Step("boundary_atoms", (0.0, -0.5, 1.0, 1.5, 0.01)), -0.3, 0.0),
        (Step("boundary_atoms", (0.0, -0.5, 1.0, 1.5, 0.01)), 1.2, 1.0),
        (Step("log1p"), 1e-12, 1e-12),
        (Step("impute", (7.0,)), 3.0, 3.0),
    ],
)
def test_results_that_no_input_is_mapped_to(step: Step, v: float, expected: float) -> None:
    assert step.invert(np.array([v]))[0] == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize(
    ("kind", "parameters", "message"),
    [
        ("cube", (), "processing step 'cube' is unknown; expected one of impute, affine,"),
        ("affine", (1.0,), r"'affine' has the parameters \(1.0,\), expected \(multiply, add\)"),
        ("affine", (0.0, 1.0), "expected multiply other than 0"),
        ("affine", (math.inf, 1.0), "expected multiply other than 0"),
        ("impute", (math.nan,), "expected finite numbers"),
        ("power", (0.0, 0.0, 0.0), "expected exponent above 0"),
        ("power", (0.5, 0.5, 0.0), "clip_negative and tangent_linear_above_one 0 or 1"),
        ("boxcox", (-1.0,), "expected exponent 0 or above"),
        ("atanh", (0.0,), "expected rho above 0"),
        ("boundary_atoms", (0.0, 0.1, 1.0, 1.5, 0.0), "lower_target <= lower_atom"),
        ("boundary_atoms", (0.0, -0.1, 1.0, math.nan, 0.0), "lower_target <= lower_atom"),
    ],
)
def test_steps_that_cannot_be_had(kind: str, parameters: tuple[float, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Step(kind, parameters)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("cut", ("a",), (0.0,), (1.0,)), "bounding 'cut' is unknown; expected one of clip, fraction"),
        (("clip", (), (), ()), "bounding 'clip' of nothing: expected the names of results"),
        (("clip", ("a", "a"), (0.0, 0.0), (1.0, 1.0)), "expected the names of results, each once"),
        (("clip", ("a", "b"), (0.0,), (1.0, 1.0)), "found 1 lower and 2 upper bounds"),
        (("clip", ("a",), (1.0,), (0.0,)), "'a' has the bounds 1.0 to 0.0, expected numbers in order"),
        (("clip", ("a",), (math.nan,), (0.0,)), "'a' has the bounds nan to 0.0"),
        (("clip", ("a",), (0.0,), (1.0,), 1.5), "found the slope 1.5"),
        (("clip", ("a",), (0.0,), (1.0,), 0.0, "b"), "found the total 'b', expected none"),
        (("fraction", ("a",), (0.0,), (1.0,)), "found the total '', expected another result"),
        (("fraction", ("a",), (0.0,), (1.0,), 0.0, "a"), "found the total 'a', expected another result"),
    ],
)
def test_boundings_that_cannot_be_had(arguments: tuple, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Bounding(*arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("swiglu",), "activation 'swiglu' is unknown; expected one of gelu, gelu_tanh"),
        (("elu", ()), r"activation 'elu' has the parameters \(\), expected finite numbers \(alpha\)"),
        (("softplus", (1.0, math.inf)), r"expected finite numbers \(beta, threshold\)"),
        (("gelu", (), True, 0.0), "epsilon 0.0, expected more than 0, less than 1"),
    ],
)
def test_networks_that_cannot_be_had(arguments: tuple, message: str) -> None:
    with pytest.raises(InputError, match=message):
        PointWise(*arguments)
