"""Reference values for scores: right labels, right columns, right units."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from column_files import DIAGNOSTIC_UNITS, N_TIMES, STATE_UNITS, dataset, driver_model, write

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
        np.testing.assert_array_equal(source.reference(["met_tair"], 0, 1)[0, :, 0], data["met_tair"].values[3])
        with pytest.raises(
            InputError, match="reference variable 'nonsense' is neither of the model nor of the catalog"
        ):
            source.reference(["nonsense"], 0, 1)


def test_none_of_the_variables(tmp_path: Path) -> None:
    data = dataset().drop_vars([*STATE_UNITS, *DIAGNOSTIC_UNITS])
    assert "nothing in it can be compared: it has none of swvl1, " in refusal(write(data, tmp_path / "in.nc"))


def test_times_that_are_not_there(path: Path) -> None:
    message = refusal(path, times=TIMES + np.timedelta64(12, "h"))
    assert "reference has no time 2021-01-03T06:00 (2 of the run's 9 times are missing" in message


def test_of_a_shorter_step_the_run_s_windows_are_taken(path: Path) -> None:
    data = dataset()
    with Reference(path, VARIABLES, TIMES[:-1:2]) as reference:
        found = reference.read(0, 4)
    flux, state = (found[:, :, reference.names.index(name)] for name in ("sshf", "stl1"))
    np.testing.assert_allclose(flux, data["sshf"].values[:8].reshape(4, 2, -1).mean(axis=1), rtol=1e-6)
    np.testing.assert_array_equal(state, data["stl1"].values[:8:2])


def test_fluxes_that_are_labelled_at_the_ends_of_their_windows(tmp_path: Path) -> None:
    """By the time's bounds; states are values at the labels all the same."""
    data = dataset()[[*STATE_UNITS, "sshf", "slhf", "lat", "lon"]]
    late = data.isel(time=slice(1, None)).copy(deep=True)
    for name in ("sshf", "slhf"):
        late[name] = (("time", "x"), data[name].values[:-1], {"units": "W m-2", "cell_methods": "time: mean"})
    late["time"].attrs["bounds"] = "time_bnds"
    late["time_bnds"] = (("time", "nv"), np.stack([data["time"].values[:-1], data["time"].values[1:]], axis=1))
    with Reference(write(late, tmp_path / "in.nc"), VARIABLES, TIMES[1:-1]) as reference:
        found = reference.read(0, N_TIMES - 2)
        assert "end at the label (cell_methods and bounds 'time_bnds'): sshf, slhf" in "".join(reference.history)
    for name in ("sshf", "stl1"):
        np.testing.assert_array_equal(found[:, :, reference.names.index(name)], data[name].values[1:-1])


def test_other_columns(path: Path) -> None:
    data = dataset()
    latitude, longitude = data["lat"].values, data["lon"].values
    message = refusal(path, latitude=latitude[:2] + 0.02, longitude=longitude[:2])
    assert "has no cell at -59.9800 N, -170.0000 E (2 of 2 such cells; the nearest is 0.02 degrees away)" in message
    message = refusal(path, latitude=latitude[::-1], longitude=longitude)
    assert "has no cell at 70.0000 N, -170.0000 E (2 of 3 such cells" in message
    # 350 E and 10 W are the same location.
    with Reference(path, VARIABLES, TIMES, latitude=latitude, longitude=longitude - 360.0):
        pass


def test_columns_in_another_order_are_matched_by_label_or_location(tmp_path: Path) -> None:
    data = dataset()
    run = {"x": data["x"].values, "latitude": data["lat"].values, "longitude": data["lon"].values}
    turned = data.isel(x=[2, 0, 1])
    for labels, word in ((turned["x"].values, "labels"), ([0, 1, 2], "locations")):
        with Reference(write(turned.assign_coords(x=labels), tmp_path / "in.nc"), VARIABLES, TIMES, **run) as reference:
            found = reference.read(0, N_TIMES)[:, :, reference.names.index("skt")]
            assert f"matched with the run's by their {word}" in reference.history[0]
        np.testing.assert_array_equal(found, data["skt"])
    with Reference(
        write(data, tmp_path / "in.nc"), VARIABLES, TIMES, **{k: v[1:] for k, v in run.items()}
    ) as reference:
        found = reference.read(0, N_TIMES)[:, :, reference.names.index("skt")]
    np.testing.assert_array_equal(found, data["skt"][:, 1:])


def test_members_at_one_location_are_matched_by_their_labels_only(tmp_path: Path) -> None:
    data = dataset()
    data["lat"].values[:], data["lon"].values[:] = 50.0, 5.0
    run = {"x": data["x"].values, "latitude": data["lat"].values, "longitude": data["lon"].values}
    turned = data.isel(x=[2, 0, 1])
    with Reference(write(turned, tmp_path / "in.nc"), VARIABLES, TIMES, **run) as reference:
        found = reference.read(0, N_TIMES)[:, :, reference.names.index("skt")]
    np.testing.assert_array_equal(found, data["skt"])
    with Reference(write(data.assign_coords(x=[7, 8, 9]), tmp_path / "in.nc"), VARIABLES, TIMES, **run) as reference:
        assert "other labels x than the run's; they are compared in their order" in reference.history[0]
    other = write(data.assign_coords(x=[7, 8, 9]), tmp_path / "in.nc")
    message = refusal(other, **{key: values[:2] for key, values in run.items()})
    assert "has several columns at one location and other labels x than the run's" in message


def test_what_cannot_be_compared_is_left_out_and_said(tmp_path: Path) -> None:
    data = dataset()
    data["skt"] = data["skt"].isel(time=0)
    data["t2m"].attrs["units"] = "W m-2"
    data["slhf"].attrs["units"] = "J m-2"
    with Reference(write(data, tmp_path / "a.nc"), VARIABLES, TIMES) as reference:
        assert reference.names == (*STATE_UNITS, "d2m", "sshf")
        assert reference.missing == ()
        said = [line for line in reference.history if line.startswith("Not compared: ")]
        np.testing.assert_array_equal(reference.read(0, 9)[:, :, 7], data["d2m"].values)
    assert said[0].startswith("Not compared: t2m (variable 't2m': unit 'W m-2' is of another quantity; expected 'K'")
    assert said[1].startswith("Not compared: skt (variable 'skt' has the dimensions (x: 3), expected (time: 9, x: 3))")
    assert said[2].startswith("Not compared: slhf (variable 'slhf': unit 'J m-2' is an amount accumulated over a time")
    alone = data[["skt", "t2m", "lat", "lon", "time"]]
    assert "nothing in it can be compared: variable 't2m'" in refusal(write(alone, tmp_path / "b.nc"))


def test_values_that_cannot_be_are_not_compared(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    data = dataset()
    data["stl1"].values[3:5, 2] = -9999.0
    with Reference(write(data, tmp_path / "a.nc"), VARIABLES, TIMES) as reference:
        found = reference.read(0, N_TIMES)[:, :, reference.names.index("stl1")]
    np.testing.assert_array_equal(np.argwhere(np.isnan(found)), [[3, 2], [4, 2]])
    (record,) = caplog.records
    assert "variable 'stl1' has impossible values, the first -9999 at 2021-01-01T18:00 in" in record.getMessage()


def test_public_store_is_a_reference_for_the_states(shared: Path) -> None:
    path = shared / "data/ecland_cy49r2_2020_2022.zarr"
    with xr.open_zarr(path, chunks=None) as data:
        times, expected = data["time"].values[1000:1010], data["stl2"].values[1000:1010]
    with Reference(path, VARIABLES, times) as reference:
        assert reference.missing == ("t2m", "d2m", "sshf", "slhf")
        np.testing.assert_array_equal(reference.read(0, 10)[:, :, reference.names.index("stl2")], expected)
