"""The normalisation by logarithms: forward, tangent-linear, compiled, and what models may have it."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from random_models import random_model

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.emulator.emulator import Emulator
from ailand_gt4py.weights.model import Model, Normalisation
from ailand_gt4py.weights.model_file import read_model, write_model

SIZES = (3, 4, 3, 2)
FLOOR = 1e-3
LOG = Normalisation("log", mean=-1.0, std=0.7, minimum=FLOOR)


def models(architecture: str = "layer_norm") -> tuple[Model, Model]:
    """A model that takes the logarithm of its second forcing, and one that is given it."""
    plain = random_model(architecture, SIZES, seed=3, width=8, dtype=np.float64)
    first, second, *others = plain.forcing
    given = dataclasses.replace(second, normalisation=Normalisation("mean-std", mean=LOG.mean, std=LOG.std))
    taking = dataclasses.replace(second, normalisation=LOG)
    return (
        dataclasses.replace(plain, forcing=(first, taking, *others)),
        dataclasses.replace(plain, forcing=(first, given, *others)),
    )


def inputs(n: int = 7, dtype: type = np.float64) -> list[np.ndarray]:
    """The second forcing is positive in most columns, on the floor, below it and negative in others."""
    rng = np.random.default_rng(5)
    static, forcing, state = (rng.normal(size=(n, size)).astype(dtype) for size in SIZES[:3])
    forcing[:, 1] = [1.0, 0.2, 5.0, FLOOR, 0.5 * FLOOR, -2.0, 0.03]
    return [static, forcing, state]


def logarithms_given(arrays: list[np.ndarray]) -> list[np.ndarray]:
    static, forcing, state = arrays
    forcing = forcing.copy()
    forcing[:, 1] = np.log(np.maximum(forcing[:, 1], FLOOR))
    return [static, forcing, state]


@pytest.mark.parametrize("architecture", ["layer_norm", "two_branch", "simple"])
def test_step_takes_the_logarithm(architecture: str) -> None:
    taking, given = models(architecture)
    results = Emulator(taking, 7, "embedded", "float64").step(*inputs())
    expected = Emulator(given, 7, "embedded", "float64").step(*logarithms_given(inputs()))
    for found, wanted in zip(results, expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-13, atol=1e-13)


def test_tangent_linear_is_that_of_the_logarithm() -> None:
    """The chain rule by hand; 0 on and below the floor."""
    taking, given = models()
    arrays = inputs()
    d_forcing = np.random.default_rng(6).normal(size=arrays[1].shape)
    value = arrays[1][:, 1]
    d_logarithm = d_forcing.copy()
    d_logarithm[:, 1] = np.where(value > FLOOR, d_forcing[:, 1] / np.where(value > FLOOR, value, 1.0), 0.0)
    found = Emulator(taking, 7, "embedded", "float64").tangent_linear(*arrays, None, d_forcing)
    expected = Emulator(given, 7, "embedded", "float64").tangent_linear(*logarithms_given(arrays), None, d_logarithm)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)


def test_nan_is_not_lost_in_the_floor() -> None:
    arrays = inputs()
    arrays[1][2, 1] = np.nan
    for result in Emulator(models()[0], 7, "embedded", "float64").step(*arrays):
        assert np.isnan(result[2]).all()
        assert np.isfinite(np.delete(result, 2, axis=0)).all()


@pytest.mark.slow
def test_compiled_is_embedded() -> None:
    arrays = inputs(dtype=np.float32)
    arrays[1][5, 1] = np.nan
    d_forcing = np.ones_like(arrays[1])
    emulators = [Emulator(models()[0], 7, backend, "float32") for backend in ("embedded", "dace_cpu")]
    tolerance = 1e-5
    for expected, found in zip(*(emulator.step(*arrays) for emulator in emulators), strict=True):
        np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)
    tangents = (emulator.tangent_linear(*arrays, None, d_forcing) for emulator in emulators)
    for expected, found in zip(*tangents, strict=True):
        np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


def test_a_model_file_keeps_it(tmp_path: Path) -> None:
    write_model(models()[0], tmp_path / "model.nc")
    assert read_model(tmp_path / "model.nc").forcing == models()[0].forcing


def test_only_forcing_with_a_positive_floor_can_have_it() -> None:
    with pytest.raises(InputError, match="normalisation 'log' has the minimum 0.0, expected more than 0"):
        Normalisation("log", mean=0.0, std=1.0, minimum=0.0)
    with pytest.raises(InputError, match="normalisation 'log' needs the statistic 'minimum'"):
        Normalisation("log", mean=0.0, std=1.0)
    plain = models()[0]
    state = tuple(dataclasses.replace(variable, normalisation=LOG) for variable in plain.state)
    with pytest.raises(InputError, match="found the normalisation 'log', expected it for forcing only"):
        dataclasses.replace(plain, state=state)
