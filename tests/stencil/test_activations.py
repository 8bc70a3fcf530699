"""The one table of activations: what is not in it is refused by the step and by every derivative."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

import numpy as np
import pytest
from random_models import ARCHITECTURES, random_model

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.emulator.operands import network_shape
from ailand_gt4py.stencils.network.activations import ACTIVATIONS
from ailand_gt4py.stencils.network.adjoint import describe_adjoint
from ailand_gt4py.stencils.network.jacobian_forward import describe_forward
from ailand_gt4py.stencils.network.jacobian_reverse import describe_reverse
from ailand_gt4py.stencils.network.shapes import ActivationName, NetworkShape
from ailand_gt4py.stencils.network.state_tangents import describe_state_tangents
from ailand_gt4py.stencils.network.step import describe_static_part, describe_step
from ailand_gt4py.stencils.network.tangent_linear import describe_tangent_linear

_BOTH = ("new_state", "diagnostics")
DESCRIPTIONS: dict[str, Callable[..., Any]] = {
    "step": describe_step,
    "tangent-linear": describe_tangent_linear,
    "adjoint": describe_adjoint,
    "tangent-linear of states": describe_state_tangents,
    "Jacobian in forward mode": lambda shape, dtype: describe_forward(shape, _BOTH, dtype),
    "Jacobian in reverse mode": lambda shape, dtype: describe_reverse(shape, _BOTH, dtype),
}


class WithGelu(NetworkShape):
    """A network whose hidden layers have an activation that is nowhere defined."""

    def _activation(self, block: str, k: int) -> ActivationName:
        return "gelu"  # type: ignore[return-value]


def with_gelu(architecture: str) -> NetworkShape:
    shape = network_shape(random_model(architecture))
    return WithGelu(shape.architecture, shape.depths)


@pytest.mark.parametrize("what", DESCRIPTIONS)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_an_activation_that_is_not_known_is_refused(architecture: str, what: str) -> None:
    message = "activation 'gelu' is unknown; expected one of linear, relu, leaky_relu, layer_norm_relu"
    with pytest.raises(InputError, match=message):
        DESCRIPTIONS[what](with_gelu(architecture), np.float64)


def test_the_static_branch_refuses_it_too() -> None:
    with pytest.raises(InputError, match="activation 'gelu' is unknown"):
        describe_static_part(with_gelu("two_branch"), np.float64)


def test_the_table_holds_every_activation_that_a_layer_may_have() -> None:
    assert tuple(ACTIVATIONS) == get_args(ActivationName)
