"""What the driver's reader refuses, each in one line that names what was found and expected."""

from __future__ import annotations

import dataclasses
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from column_files import (
    FORCING_UNITS,
    N_COLUMNS,
    N_TIMES,
    STATE_UNITS,
    STATIC_UNITS,
    Change,
    changed,
    dataset,
    driver_model,
    read_all,
    refusal,
    write,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.io.ways import WAYS
from ailand_gt4py.weights.model import Model

MODEL = driver_model()


@pytest.fixture
def good(tmp_path: Path) -> Path:
    """A file that suits the model."""
    return write(dataset(), tmp_path / "in.nc")


def test_missing_file(tmp_path: Path) -> None:
    message = refusal(tmp_path / "none.nc")
    assert message == f"{tmp_path / 'none.nc'}: no such file; expected a netCDF file or a zarr store"


def test_directory_without_zarr_metadata(tmp_path: Path) -> None:
    assert "is a directory without zarr metadata" in refusal(tmp_path)


def test_zip_archive_that_is_no_store(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:
        archive.writestr("readme", "hello")
    assert "cannot be opened" in refusal(tmp_path / "in.zip")


@pytest.mark.parametrize("content", [b"", b"not a file of columns\n", b"\x89HDF\r\n\x1a\n", b"CDF\x05"])
def test_file_of_another_kind(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "in.nc"
    path.write_bytes(content)
    message = refusal(path)
    assert message.startswith(f"{path}: cannot be opened (")
    assert message.endswith("expected a netCDF file or a zarr store")


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9])
def test_truncated_file(tmp_path: Path, good: Path, kept: float) -> None:
    content = good.read_bytes()
    path = tmp_path / "short.nc"
    path.write_bytes(content[: int(kept * len(content))])
    assert refusal(path).startswith(str(path))


def test_damaged_data_are_named_with_their_variable(tmp_path: Path) -> None:
    data, path = dataset(), tmp_path / "in.nc"
    data.to_netcdf(path, encoding={"met_tair": {"zlib": True, "fletcher32": True, "shuffle": False}})
    stored = bytearray(path.read_bytes())
    position = stored.find(b"\x78\x5e")  # The header of the only zlib stream.
    assert position > 0
    stored[position + 2 : position + 40] = b"\xff" * 38
    path.write_bytes(stored)
    message = refusal(path)
    assert message.startswith(f"{path}: variable 'met_tair' cannot be read (")


def test_all_missing_variables_are_named_together(tmp_path: Path) -> None:
    names = ["met_lwdown", "met_swdown", "swvl2", "clim_cvh"]
    message = refusal(changed(tmp_path, lambda data: data.drop_vars(names)))
    assert message.endswith(
        "variables missing that cannot be derived: 'clim_cvh', 'met_lwdown' (which would follow from met_tair and "
        "met_vapour_pressure (or met_dewpoint, met_relative_humidity, met_vapour_pressure_deficit, met_mixing_ratio) "
        "by --estimate-longwave), 'met_swdown', 'swvl2'; expected in the file, or --initial-state guess "
        "(ailand-column-run) for a first guess of the state"
    )


def test_missing_variable_tells_what_it_would_follow_from(tmp_path: Path) -> None:
    message = refusal(changed(tmp_path, lambda data: data.drop_vars(["clim_theta_cap", "clim_sotype"])))
    assert "variable missing" in message
    assert "'clim_theta_cap' (which would follow from clim_sotype; missing: clim_sotype)" in message


@pytest.mark.parametrize(
    ("name", "new_dims", "found"),
    [
        ("met_tair", ("time",), "(time: 9)"),
        ("met_tair", ("x",), "(x: 3)"),
        ("met_tair", ("time", "y"), "(time: 9, y: 4)"),
        ("met_tair", ("time", "x", "y"), "(time: 9, x: 3, y: 4)"),
        ("clim_cvh", ("y",), "(y: 4)"),
        ("clim_cvh", (), "(none)"),
    ],
)
def test_wrong_dimensions(tmp_path: Path, name: str, new_dims: tuple[str, ...], found: str) -> None:
    lengths = {"time": N_TIMES, "x": N_COLUMNS, "y": 4}

    def change(data: xr.Dataset) -> None:
        data[name] = (new_dims, np.zeros([lengths[dim] for dim in new_dims], np.float32), dict(data[name].attrs))

    message = refusal(changed(tmp_path, change))
    assert f"variable '{name}' has the dimensions {found}, expected (time: 9, x: 3)" in message


def test_missing_and_empty_dimensions(tmp_path: Path) -> None:
    assert "variable 'lat' is missing; expected it for each column or point" in refusal(
        changed(tmp_path, lambda data: data.rename({"x": "column"}).drop_vars(["lat", "lon"]))
    )
    assert "dimension 'time' has the length 0" in refusal(changed(tmp_path, lambda data: data.isel(time=slice(0, 0))))


def test_text_instead_of_numbers(tmp_path: Path) -> None:
    def change(data: xr.Dataset) -> None:
        data["clim_cu"] = ("x", np.array(["a", "b", "c"]), {"units": "1"})

    assert "variable 'clim_cu' is of type" in refusal(changed(tmp_path, change))


def test_two_variables_for_one_name(tmp_path: Path) -> None:
    def change(data: xr.Dataset) -> xr.Dataset:
        return data.assign(clim_CLAKE=data["clim_clake"], Clim_clake=data["clim_clake"]).drop_vars("clim_clake")

    assert "variable 'clim_clake' is there more than once (Clim_clake, clim_CLAKE)" in refusal(
        changed(tmp_path, change)
    )


@pytest.mark.parametrize("name", ["lat", "lon"])
def test_position(tmp_path: Path, name: str) -> None:
    assert f"variable '{name}' is missing" in refusal(changed(tmp_path, lambda data: data.drop_vars(name)))

    def change(data: xr.Dataset) -> None:
        data[name] = ("x", [0.0, 361.0, 0.0], dict(data[name].attrs))

    assert f"variable '{name}' is 361 in column 1, expected -" in refusal(changed(tmp_path, change))


def set_times(values: list[float], **attributes: str) -> Change:
    def change(data: xr.Dataset) -> xr.Dataset:
        data = data.isel(time=slice(0, len(values)))
        data["time"] = ("time", np.array(values), {"units": "hours since 2021-01-01", **attributes})
        return data

    return change


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (set_times([0, 6, 6, 12]), "at index 2 (2021-01-01T06:00) repeats the one at index 1 (2021-01-01T06:00)"),
        (set_times([0, 12, 6, 18]), "at index 2 (2021-01-01T06:00) is before the one at index 1 (2021-01-01T12:00)"),
        (
            set_times([0, 6, 18, 24]),
            "index 1 (2021-01-01T06:00) and 2 (2021-01-01T18:00) are 12 h apart, expected the model's step of 6 h",
        ),
        (set_times([0, 1, 2, 3]), "hold no whole window of 6 h that begins at 2021-01-01T00:00"),
        (set_times([0, 6.5, 12, 18]), "means over 5.5 h, which do not divide the model's step of 6 h"),
        (set_times([0, np.nan, 12]), "has no value at index 1"),
        (set_times([0, 6], calendar="lunar"), "has the calendar 'lunar'; expected standard"),
        (set_times([0, 6], units="hours"), "has the unit 'hours'; expected one such as 'hours since 2020-01-01'"),
        (set_times([0, 6], units="fortnights since 2021-01-01"), "expected one such as"),
        (lambda data: data.drop_vars("time"), "variable 'time' is missing"),
    ],
)
def test_time_axis(tmp_path: Path, change: Change, says: str) -> None:
    message = refusal(changed(tmp_path, change))
    assert says in message
    assert "time" in message


@pytest.mark.parametrize(
    ("start", "end", "says"),
    [
        ("2020-12-31", None, "start: found 2020-12-31T00:00; "),
        ("2021-01-01T03", None, "start: found 2021-01-01T03:00; "),
        ("2021-02-01", None, "has the times 2021-01-01T00:00 to 2021-01-03T00:00, expected one of them"),
        (None, "2021-01-04", "end: found 2021-01-04T00:00; "),
        (None, "2021-01-01T07", "expected one of them or 2021-01-03T06:00"),
        ("2021-01-02", "2021-01-01", "end: found 2021-01-01T00:00, expected a time after the start 2021-01-02T00:00"),
        ("2021-01-02", "2021-01-02", "expected a time after the start"),
        ("yesterday", None, "found 'yesterday', expected a time (UTC) such as"),
        (None, "", "found '', expected a time (UTC) such as"),
    ],
)
def test_start_and_end_outside_the_file(good: Path, start: str | None, end: str | None, says: str) -> None:
    assert says in refusal(good, start=start, end=end)


def test_last_window_ends_at_the_end(tmp_path: Path) -> None:
    path = changed(tmp_path, set_times([0, 6, 12, 24]))
    assert "index 2 (2021-01-01T12:00) and 3 (2021-01-02T00:00) are 12 h apart" in refusal(path, end="2021-01-02")
    # The gap is after the run.
    assert len(read_all(path, end="2021-01-01T12")) == 2


def test_grib_missing_value_is_missing(tmp_path: Path) -> None:
    def change(data: xr.Dataset) -> None:
        data["lai_hv"].values[2, 1] = np.float32(3.4028234663852886e38)
        data["lai_hv"].attrs["GRIB_missingValue"] = 3.4028234663852886e38

    message = refusal(changed(tmp_path, change))
    assert "variable 'lai_hv' is missing at 2021-01-01T12:00 in column 1 (x = 101)" in message


def test_grib_missing_value_as_text(tmp_path: Path) -> None:
    def change(found: object) -> Change:
        return lambda data: data["lai_hv"].attrs.update(GRIB_missingValue=found)

    assert refusal(changed(tmp_path, change("none"))).endswith(
        "variable 'lai_hv': attribute 'GRIB_missingValue': found 'none', expected a number"
    )
    assert read_all(changed(tmp_path, change("9999"))).size


def test_labels_of_a_type_that_is_none_of_labels(tmp_path: Path) -> None:
    def change(data: xr.Dataset) -> None:
        data["x"] = ("x", np.array([True, False, True]))

    assert refusal(changed(tmp_path, change)).endswith("'x' is of type bool, expected numbers or texts as labels")


def named(name: str, group: str = "static") -> Model:
    variables = getattr(MODEL, group)
    return dataclasses.replace(MODEL, **{group: (dataclasses.replace(variables[0], name=name), *variables[1:])})


@pytest.mark.parametrize("name", ["time", "x", "LAT", "quality_flag", "time_bnds"])
def test_variables_named_as_coordinates_of_files(good: Path, name: str) -> None:
    assert f"the model's variable '{name}' is named as something else in files" in refusal(good, named(name))


@pytest.mark.parametrize("name", ["a/b", "../a", ".hidden", " a", "a\x1b[2J", "a" * 250, "é" * 150])
def test_variables_whose_names_files_cannot_hold(good: Path, name: str) -> None:
    assert "cannot be a variable of a file, expected letters, digits" in refusal(good, named(name))


@pytest.mark.parametrize(("one", "other"), [("SWVL1", "other"), ("\u212b", "\u00c5")])
def test_variables_that_are_one_name_in_a_file(good: Path, one: str, other: str) -> None:
    model = dataclasses.replace(named(one), diagnostics=named(other, "diagnostics").diagnostics)
    assert "are one name in a file, expected different ones" in refusal(good, model)


def test_models_that_cannot_run_on_files(good: Path) -> None:
    assert "step is 1e-09 s; expected a positive step" in refusal(good, driver_model(1e-9 / 3600.0))
    assert "normalised space" in refusal(good, driver_model(normalised_space=True))
    assert "step is 0 s (unknown)" in refusal(good, driver_model(0.0))
    assert "coarser than the model's step of 1 h" in refusal(good, driver_model(1.0))


def test_constant_fields_alone(tmp_path: Path) -> None:
    def change(data: xr.Dataset) -> xr.Dataset:
        return data.drop_dims("time")

    assert "has no known variables with values through time, expected some" in refusal(changed(tmp_path, change))


@pytest.mark.parametrize("name", ["clim_cvh", "met_tair", "swvl1", "lat"])
def test_missing_units(tmp_path: Path, name: str) -> None:
    def change(data: xr.Dataset) -> None:
        del data[name].attrs["units"]

    assert f"variable '{name}': the attribute 'units' is missing; expected '" in refusal(changed(tmp_path, change))


# Any one damage to a good file gives one line that names what was damaged.

NEEDED = (*STATIC_UNITS, *FORCING_UNITS, *STATE_UNITS)
NOT_DERIVABLE = tuple(name for name in NEEDED if not name.startswith(("clim_theta", "clim_veg")) and name not in WAYS)


def damaged(change: Change) -> str:
    with tempfile.TemporaryDirectory() as folder:
        return refusal(changed(Path(folder), change))


@settings(max_examples=15, deadline=None)
@given(st.sets(st.sampled_from(NOT_DERIVABLE), min_size=1, max_size=5))
def test_any_missing_variable_is_named(names: set[str]) -> None:
    message = damaged(lambda data: data.drop_vars(names))
    for name in NOT_DERIVABLE:
        assert (f"'{name}'" in message) == (name in names)


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from(NEEDED),
    st.integers(0, N_TIMES - 1),
    st.integers(0, N_COLUMNS - 1),
    st.sampled_from([np.nan, np.inf, -np.inf]),
)
def test_any_value_that_is_not_finite_is_found_where_it_is(name: str, time: int, column: int, value: float) -> None:
    def change(data: xr.Dataset) -> None:
        if name in STATIC_UNITS:
            data[name].values[column] = value
            data["clim_cvh"].values[data["clim_cvh"].values == 0] = 0.5
        else:
            data[name].values[0 if name in STATE_UNITS else time, column] = value

    message = damaged(change)
    assert f"variable '{name}' is {'missing' if np.isnan(value) else f'{value:g}'}" in message
    assert f"in column {column} (x = {100 + column})" in message
    if name not in STATIC_UNITS:
        day, hour = divmod(0 if name in STATE_UNITS else 6 * time, 24)
        assert f" at 2021-01-{day + 1:02d}T{hour:02d}:00 " in message
    assert message.endswith("expected a finite number")


@settings(max_examples=15, deadline=None)
@given(st.permutations(range(N_TIMES)).filter(lambda order: order != list(range(N_TIMES))))
def test_any_other_order_of_times_is_refused(order: list[int]) -> None:
    message = damaged(lambda data: data.isel(time=order))
    assert "variable 'time' at index" in message
    assert "expected strictly increasing times" in message


@settings(max_examples=15, deadline=None)
@given(st.sampled_from(NEEDED), st.sampled_from(["furlong", "kg m", "K s-1", "J m-2", "9", "W m-2 sr-1"]))
def test_any_unknown_unit_is_named(name: str, unit: str) -> None:
    def change(data: xr.Dataset) -> None:
        data[name].attrs["units"] = unit

    message = damaged(change)
    expected = {**STATIC_UNITS, **FORCING_UNITS, **STATE_UNITS}[name]
    assert f"variable '{name}': unit '{unit}' is " in message
    assert f"'{expected}'" in message


# Always the same damages: HDF5 is not ours, and one of its crashes would end the whole test run.
@settings(max_examples=15, deadline=None, derandomize=True)
@given(st.integers(0, 10**6), st.integers(1, 400))
def test_damaged_bytes_never_give_anything_but_one_line_or_sound_values(position: int, length: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = write(dataset(), Path(folder) / "in.nc", fletcher32=True)
        stored = bytearray(path.read_bytes())
        start = position % len(stored)
        stored[start : start + length] = b"\x5a" * len(stored[start : start + length])
        path.write_bytes(stored)
        message, forcing = "", np.zeros(1)
        try:
            forcing = read_all(path)
        except InputError as error:
            message = str(error)
    assert "\n" not in message
    assert np.isfinite(forcing).all()
