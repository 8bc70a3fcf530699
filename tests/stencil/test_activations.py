"""The one table of activations: what is not in it is refused by the step and by every derivative."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from captured_programs import DESCRIPTIONS
from random_models import ARCHITECTURES, random_model

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.emulator.operands import network_shape
from ailand_gt4py.stencils.network.activations import ACTIVATIONS
from ailand_gt4py.stencils.network.shapes import ActivationName, NetworkShape
from ailand_gt4py.stencils.network.step import describe_static_part


class WithGelu(NetworkShape):
    """A network whose hidden layers have an activation that is nowhere defined."""

    def _activation(self, block: str, k: int) -> ActivationName:
        return "gelu"  # type: ignore[return-value]


def with_gelu(architecture: str) -> NetworkShape:
    shape = network_shape(random_model(architecture))
    return WithGelu(shape.architecture, shape.depths)


@pytest.mark.parametrize("what", sorted(set(DESCRIPTIONS) - {"static part"}))
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
