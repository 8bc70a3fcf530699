"""How often columns are drawn in training."""

import numpy as np
import pytest

pytest.importorskip("torch", reason="PyTorch is not installed; training needs it")

from training_files import write_columns

from ailand_gt4py.core.settings import read_settings
from ailand_gt4py.training.configuration import Configuration
from ailand_gt4py.training.dataset import read_windows
from ailand_gt4py.training.session import column_frequencies


def test_sources_and_static_inputs_decide_together(tmp_path):
    paths = [write_columns(tmp_path / name, seed=seed) for seed, name in enumerate(("a.nc", "b.nc"))]
    options = {
        "data": {
            "train": ["a.nc", "b.nc"],
            "frequency": {"b.nc": 3},
            "frequency_above": {"clim_cvh": [0.6, 2], "clim_cu": [0.5, 5]},
        },
        "stages": [{"iterations": 1, "steps": 1, "batch": 1}],
    }
    configuration = read_settings(Configuration, options)
    data = read_windows(paths, configuration.variable_set)
    names = [variable.name for variable in configuration.variable_set.static]
    found = column_frequencies(configuration, data)
    high, urban = (data.static[:, names.index(name)] for name in ("clim_cvh", "clim_cu"))
    expected = np.where(data.source == 1, 3, 1) * np.where(high > 0.6, 2, 1) * np.where(urban > 0.5, 5, 1)
    np.testing.assert_array_equal(found, expected)
    assert set(found) >= {1, 2, 3, 6}
