"""A small file's data, their statistics, and both as tensors."""

from __future__ import annotations

import copy

import pytest


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Model units; tests must not change them."""
    # PyTorch may be missing, which the tests, not this file, skip for.
    from training_files import write_columns

    from ailand_gt4py.training.dataset import read_windows
    from ailand_gt4py.weights.variables import DEFAULT

    return read_windows([write_columns(tmp_path_factory.mktemp("data") / "a.nc")], DEFAULT)


@pytest.fixture(scope="module")
def measured(data):
    from ailand_gt4py.training import scaling
    from ailand_gt4py.weights.variables import choose

    return scaling.measure(data, choose([], [], [], [], soil_heat=True))


@pytest.fixture(scope="module")
def tensors(data, measured):
    from ailand_gt4py.training.tensors import normalised_tensors

    return normalised_tensors(copy.deepcopy(data), measured)
