"""Noise on inputs in training: how large it is for each of them."""

import pytest

torch = pytest.importorskip("torch", reason="training needs PyTorch")

from ailand_gt4py.core.settings import read_settings  # noqa: E402
from ailand_gt4py.training import session  # noqa: E402
from ailand_gt4py.training.configuration import Configuration  # noqa: E402
from ailand_gt4py.weights.variables import DEFAULT  # noqa: E402

OPTIONS = {
    "data": {"train": ["a.nc"], "validation_fraction": 0.0},
    "network": {"width": 7, "depth": 1, "diagnostic_width": 5, "diagnostic_depth": 1},
    "stages": [{"iterations": 2, "steps": 2, "batch": 4}],
    "optimiser": {"learning_rate": 0.01, "warmup_iterations": 1},
}


def first_layer(directory, path, **augmentation):
    """The trunk's first weights, which read the static inputs, after training."""
    run = {"directory": str(directory / "run")}
    chosen = read_settings(Configuration, OPTIONS | {"augmentation": augmentation, "run": run})
    model = session.train(chosen, [path], directory / "model.nc", False, "", lambda line: None)
    return next(array for name, array in sorted(model.parameters.items()) if name.startswith("trunk")).tolist()


def test_one_input_can_have_noise_of_its_own(path, tmp_path):
    names = [variable.name for variable in DEFAULT.static]
    without = first_layer(tmp_path / "without", path, static_noise=0.0)
    none_of_any = first_layer(tmp_path / "of_each", path, static_noise=1.0, static_noise_of=dict.fromkeys(names, 0.0))
    of_one = first_layer(tmp_path / "of_one", path, static_noise=0.0, static_noise_of={names[0]: 1.0})
    assert none_of_any == without
    assert of_one != without


def test_forcing_can_have_an_offset(path, tmp_path):
    nothing = first_layer(tmp_path / "nothing", path, forcing_offset_of={"met_psurf": 0.0, "lai_hv": 0.0})
    same = first_layer(tmp_path / "same", path, forcing_offset_of={"met_psurf": 0.0})
    of_one = first_layer(tmp_path / "of_one", path, forcing_offset_of={"met_psurf": 1.0})
    assert nothing == same
    assert of_one != same
