"""The twin experiment of brightness temperatures: its files, and what is observed where."""

from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

pytest.importorskip("torch", reason="training needs PyTorch")

from studies.brightness import __main__ as study
from studies.brightness import twin
from training_files import columns

from ailand_gt4py.training.configuration import Network
from ailand_gt4py.training.dataset import read_windows
from ailand_gt4py.training.models import to_model
from ailand_gt4py.training.network import LayerNormNetwork
from ailand_gt4py.training.scaling import measure
from ailand_gt4py.weights.variables import DEFAULT

N_COLUMNS, N_TIMES = 24, 40


@pytest.fixture
def source(tmp_path):
    """Columns without frost, the second organic, the third under snow."""
    data = columns(N_COLUMNS, N_TIMES)
    for name in ("stl1", "stl2"):
        data[name] = data[name].clip(min=276.0)
    data["snowc"] = data.snowc * 0.0
    data["snowc"][:, 2] = 50.0
    data["clim_sotype"] = (("x",), np.where(np.arange(N_COLUMNS) == 1, 6.0, 2.0), {"units": "1"})
    data.to_netcdf(tmp_path / "source.nc")
    return tmp_path / "source.nc"


def test_every_column_is_in_one_file_and_those_at_points_are_kept(source, tmp_path):
    with xr.open_dataset(source) as data:
        location = np.stack([data.lat.values, data.lon.values], axis=1)
    files = twin.split(source, location[[3, 7, 11, 15]], tmp_path)
    latitudes = []
    for path in files:
        with xr.open_dataset(path) as data:
            latitudes.append(data.lat.values)
    assert [len(one) for one in latitudes] == [2, 18, 4]
    np.testing.assert_array_equal(np.sort(np.concatenate(latitudes)), np.sort(location[:, 0]))
    np.testing.assert_array_equal(latitudes[2], location[[3, 7, 11, 15], 0])


def test_what_is_observed_has_gaps_noise_and_bias(source, monkeypatch):
    scaling = measure(read_windows([source], DEFAULT), DEFAULT)
    sizes = Network(width=4, depth=1, diagnostic_width=4, diagnostic_depth=1)
    model = to_model(LayerNormNetwork(sizes, scaling, 1), scaling, 21_600.0, {})
    soil = np.where(np.arange(N_COLUMNS) == 1, 6.0, 2.0)
    values = twin.observed(model, source, soil)
    is_bare = ~np.isin(np.arange(N_COLUMNS), (1, 2))
    labels = np.arange(twin.EVERY, N_TIMES, twin.EVERY)
    there = np.isfinite(values)
    assert there[:, labels][..., is_bare].all()
    assert there.sum() == 2 * len(labels) * is_bare.sum()
    monkeypatch.setattr(twin, "NOISE", 0.0)
    monkeypatch.setattr(twin, "BIAS", 0.0)
    difference = (values - twin.observed(model, source, soil))[there]
    assert difference.mean() == pytest.approx(2.0, abs=4.0 * 4.0 / np.sqrt(difference.size))
    assert difference.std() == pytest.approx(4.0, rel=0.2)


def test_the_most_similar_known_column_is_found():
    model = SimpleNamespace(
        forcing=[SimpleNamespace(name=name) for name in ("met_rainf", "met_tair")],
        static=[SimpleNamespace(name="clim_theta_sat")],
    )

    def of(rows):
        weather, static = np.array(rows)[:, :2], np.array(rows)[:, 2:]
        return SimpleNamespace(forcing=np.stack([weather, weather]), static=static)

    known = of([[1e-5, 280.0, 0.4], [5e-5, 299.0, 0.45]])
    others = of([[4e-5, 297.0, 0.45], [2e-5, 278.0, 0.42], [0.0, 283.0, 0.4]])
    assert twin.nearest(others, known, model).tolist() == [1, 0, 0]


def test_the_table_compares_with_the_known_states_alone():
    rmse = {study.ALONE: np.full((2, 3, 4), 0.1), "all Tb": np.full((2, 3, 4), 0.08)}
    rmse["all Tb"][1] = 0.06
    rmse["all Tb"][:, 2] = 9.0
    lines = study.table(rmse, np.array([True, True, False]))
    assert lines[-1].startswith("| all Tb | 0.0700 | 0.70 (0.60 to 0.80) |")
    assert len(lines) == 4
