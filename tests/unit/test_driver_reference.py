"""Reference values for scores: right labels, right columns, right units."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from column_files import DIAGNOSTIC_UNITS, N_COLUMNS, N_TIMES, STATE_UNITS, dataset, driver_model, write

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.io.reference import Reference
from ailand_gt4py.io.sources import open_source

MODEL = driver_model()
VARIABLES = (*MODEL.state, *MODEL.diagnostics)
TIMES = np.datetime64("2021-01-01", "ns") + np.arange(N_TIMES) * np.timedelta64(6, "h")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write(dataset(), tmp_path / "reference.nc")


def refusal(path: Path, **options: object) -> str:
    times = options.pop("times", TIMES)
    with pytest.raises(InputError) as caught:
        Reference(path, VARIABLES, times, **options).close()  # type: ignore[arg-type]
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    return message


def test_values_are_in_model_units_at_the_labels_asked_for(path: Path) -> None:
    data = dataset()
    locations = {"latitude": data["lat"].values, "longitude": data["lon"].values}
    with Reference(path, VARIABLES, TIMES[2:7], **locations) as reference:
        assert reference.names == (*STATE_UNITS, *DIAGNOSTIC_UNITS)
        assert reference.missing == ()
        found = reference.read(1, 3)
        for index, name in enumerate(reference.names):
            factor = 0.01 if name == "snowc" else 1.0
            np.testing.assert_allclose(found[:, :, index], data[name].values[3:5] * factor, rtol=1e-6)
        column = reference.read(0, 5)[:, 2, reference.names.index("skt")]
        np.testing.assert_array_equal(column, data["skt"].values[2:7, 2])
        assert reference.history == ["snowc: converted from '%' to '1' (multiplied by 0.01)."]


def test_missing_values_stay_and_missing_variables_are_listed(tmp_path: Path) -> None:
    data = dataset().drop_vars(["t2m", "stl2"])
    data["skt"].values[4, 1] = np.nan
    with Reference(write(data, tmp_path / "in.nc"), VARIABLES, TIMES) as reference:
        assert reference.missing == ("stl2", "t2m")
        assert "t2m" not in reference.names
        missing = np.argwhere(np.isnan(reference.read(0, N_TIMES)))
        np.testing.assert_array_equal(missing, [[4, 1, reference.names.index("skt")]])


def test_input_gives_its_own_reference(path: Path) -> None:
    data = dataset()
    with open_source(path, MODEL, start=TIMES[3]) as source:
        found = source.reference(["sshf", "stl1"], 0, 2)
        np.testing.assert_array_equal(found[:, :, 0], data["sshf"].values[3:5])
        np.testing.assert_array_equal(found[:, :, 1], data["stl1"].values[3:5])
        np.testing.assert_array_equal(source.reference(["skt"], 1, 2)[0, :, 0], data["skt"].values[4])
        with pytest.raises(InputError, match="reference variable 'met_tair' is none of the model's"):
            source.reference(["met_tair"], 0, 1)


def test_none_of_the_variables(tmp_path: Path) -> None:
    data = dataset().drop_vars([*STATE_UNITS, *DIAGNOSTIC_UNITS])
    assert "has none of the reference variables swvl1, " in refusal(write(data, tmp_path / "in.nc"))


def test_times_that_are_not_there(path: Path) -> None:
    message = refusal(path, times=TIMES + np.timedelta64(12, "h"))
    assert "reference has no time 2021-01-03T06:00 (2 of the run's 9 times are missing" in message


def test_shorter_step_is_not_taken_for_the_run_s(path: Path) -> None:
    assert "reference has a step of 6 h, expected the run's 12 h" in refusal(path, times=TIMES[::2])


def test_other_columns(path: Path) -> None:
    data = dataset()
    latitude, longitude = data["lat"].values, data["lon"].values
    message = refusal(path, latitude=latitude[:2], longitude=longitude[:2])
    assert f"has {N_COLUMNS} columns, expected the run's 2" in message
    message = refusal(path, latitude=latitude[::-1], longitude=longitude)
    assert "variable 'lat' is -60.0000 in column 0, expected the run's 70.0000 degrees_north" in message
    # 350 E and 10 W are the same location.
    with Reference(path, VARIABLES, TIMES, latitude=latitude, longitude=longitude - 360.0):
        pass


def test_static_or_unknown_reference(tmp_path: Path) -> None:
    data = dataset()
    data["skt"] = data["skt"].isel(time=0)
    message = refusal(write(data, tmp_path / "a.nc"))
    assert "variable 'skt' has the dimensions (x: 3), expected (time: 9, x: 3)" in message
    data = dataset()
    data["skt"].attrs["units"] = "W m-2"
    message = refusal(write(data, tmp_path / "b.nc"))
    assert "variable 'skt': unit 'W m-2' is of another quantity; expected 'K'" in message


def test_public_store_is_a_reference_for_the_states(shared: Path) -> None:
    path = shared / "data/ecland_cy49r2_2020_2022.zarr"
    with xr.open_zarr(path, chunks=None) as data:
        times, expected = data["time"].values[1000:1010], data["stl2"].values[1000:1010]
    with Reference(path, VARIABLES, times) as reference:
        assert reference.missing == ("t2m", "d2m", "sshf", "slhf")
        np.testing.assert_array_equal(reference.read(0, 10)[:, :, reference.names.index("stl2")], expected)
