"""Soil water that frost holds in training: values and gradients."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs PyTorch")

from ailand_gt4py.core.errors import InputError  # noqa: E402
from ailand_gt4py.core.settings import read_settings  # noqa: E402
from ailand_gt4py.training.configuration import Configuration  # noqa: E402
from ailand_gt4py.training.network import SoilFrost  # noqa: E402
from ailand_gt4py.weights.variables import choose  # noqa: E402

OPTIONS = {"data": {"train": ["a.nc"]}, "stages": [{"iterations": 1, "steps": 1, "batch": 1}]}


def normalised(measured, **values):
    """A state of one column, the means where no value is given."""
    state = torch.zeros(1, len(measured.state), dtype=torch.float64)
    for position, variable in enumerate(measured.state):
        if variable.name in values:
            scaling = variable.normalisation
            state[0, position] = (values[variable.name] - scaling.shift) / scaling.scale
    return state


@pytest.mark.parametrize(
    ("before", "after", "share"),
    [
        ({"stl1": 260.0, "stl2": 260.0}, {"stl1": 260.0, "stl2": 260.0}, 0.1),
        ({"stl1": 260.0, "stl2": 260.0}, {"stl1": 260.0, "stl2": 272.26}, 0.55),
        ({"stl1": 275.0, "stl2": 260.0}, {"stl1": 260.0, "stl2": 260.0}, 1.0),
    ],
)
def test_frost_lets_a_share_through(measured, before, after, share):
    names = [variable.name for variable in measured.state]
    increment = torch.ones(1, len(names), dtype=torch.float64)
    free = normalised(measured, **after)
    change = (SoilFrost(measured)(normalised(measured, **before), free, increment) - (free - increment))[0]
    assert change[names.index("swvl2")] == pytest.approx(share, abs=1e-9)
    unheld = [k for k, name in enumerate(names) if not name.startswith("swvl")]
    assert torch.allclose(change[unheld], torch.ones(len(unheld), dtype=torch.float64), rtol=0.0, atol=1e-14)


def test_the_gradient_is_that_of_differences(measured):
    frost = SoilFrost(measured)
    generator = np.random.default_rng(1)
    numbers = [normalised(measured, stl1=t, stl2=t - 0.03, stl3=t + 0.05) for t in (272.2, 272.21, 272.23)]
    before, free, increment = numbers[0], numbers[1], torch.from_numpy(generator.normal(size=numbers[2].shape))
    assert torch.autograd.gradcheck(frost, [one.clone().requires_grad_() for one in (before, free, increment)])


def test_models_without_it_or_what_it_needs():
    names = [
        one.name
        for one in choose([], [], [], [], soil_heat=True, soil_water=True).state
        if one.increment_of == "soil_water"
    ]
    assert names == ["swvl1", "swvl2", "swvl3", "swvl4"]
    with pytest.raises(InputError, match=r"^variables.soil_water: found true without soil_heat"):
        read_settings(Configuration, OPTIONS | {"variables": {"soil_water": True}})
    options = {"soil_heat": True, "soil_water": True, "state": ["swvl1", "swvl2", "stl2"]}
    with pytest.raises(InputError, match=r"^variables.soil_water: .*'swvl1' by stl1, expected it among the state"):
        read_settings(Configuration, OPTIONS | {"variables": options})
