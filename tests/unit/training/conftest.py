"""A small file's data, their statistics, and both as tensors."""

from __future__ import annotations

import copy

import pytest


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """A file of columns; tests must not change it."""
    from training_files import write_columns

    return write_columns(tmp_path_factory.mktemp("data") / "a.nc")


@pytest.fixture(scope="module")
def data(path):
    """Model units; tests must not change them."""
    # PyTorch may be missing, which the tests, not this file, skip for.
    from ailand_gt4py.training.dataset import read_windows
    from ailand_gt4py.weights.variables import DEFAULT

    return read_windows([path], DEFAULT)


@pytest.fixture(scope="module")
def measured(data):
    from ailand_gt4py.training import scaling
    from ailand_gt4py.weights.variables import choose

    return scaling.measure(data, choose([], [], [], [], soil_heat=True, soil_water=True))


@pytest.fixture(scope="module")
def tensors(data, measured):
    from ailand_gt4py.training.tensors import normalised_tensors

    return normalised_tensors(copy.deepcopy(data), measured)
