"""What stands for missing values in files is NaN, and nothing else is."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pytest
import xarray as xr
import zarr

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.io.column_file import ColumnFile

VALUES = np.arange(12, dtype=np.float64).reshape(4, 3)


def read(path: Path, name: str = "v") -> np.ndarray:
    with ColumnFile(path) as file:
        return file.read(name)


def netcdf(path: Path, dtype: str, values: np.ndarray, format: str = "NETCDF4", **attributes: Any) -> Path:
    """A file with stored values of a type; NaN stands for what is not written."""
    with netCDF4.Dataset(path, "w", format=format) as file:
        file.createDimension("time", None)
        file.createDimension("x", 3)
        variable = file.createVariable("v", dtype, ("time", "x"), fill_value=attributes.pop("_FillValue", None))
        variable.set_auto_maskandscale(False)
        variable.setncatts(attributes)
        for row, column in np.argwhere(~np.isnan(values)):
            variable[row, column] = values[row, column]
    return path


def but(row: int, value: float, base: np.ndarray = VALUES) -> np.ndarray:
    changed = base.copy()
    changed[row] = value
    return changed


@pytest.mark.parametrize("format", ["NETCDF4", "NETCDF3_CLASSIC"])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_rows_that_were_never_written_are_missing(tmp_path: Path, dtype: str, format: str) -> None:
    expected = but(2, np.nan)
    np.testing.assert_array_equal(read(netcdf(tmp_path / "a.nc", dtype, expected, format)), expected)


def test_packed_rows_that_were_never_written_are_missing(tmp_path: Path) -> None:
    path = netcdf(tmp_path / "a.nc", "i2", but(2, np.nan), scale_factor=0.5, add_offset=10.0)
    np.testing.assert_array_equal(read(path), 0.5 * but(2, np.nan) + 10.0)


@pytest.mark.parametrize(
    ("dtype", "attributes", "rows"),
    [
        ("f4", {"missing_value": np.array([-9999.0, 1e20], "f4")}, {0: -9999.0, 3: 1e20}),
        ("f4", {"missing_value": "-9999"}, {1: -9999.0}),
        ("f4", {"missing_value": "-9999, -99.5"}, {1: -9999.0, 2: -99.5}),
        ("f4", {"missing_value": -9999.0, "_FillValue": 1e20}, {0: -9999.0, 3: 1e20}),
        ("f4", {"GRIB_missingValue": 3.4028234663852886e38}, {2: 3.4028234663852886e38}),
        ("f8", {"valid_range": np.array([-1.0, 100.0])}, {0: -2.0, 3: 101.0}),
        ("f4", {"valid_min": np.float32(-0.1), "valid_max": 50.0}, {0: -0.2, 3: 50.1}),
        ("i4", {"_FillValue": -1}, {0: -1}),
        ("i2", {"scale_factor": 0.5, "missing_value": np.array([-5, -6], "i2")}, {0: -5, 3: -6}),
        ("i2", {"scale_factor": 0.5, "valid_range": np.array([-1, 100], "i2")}, {0: -2, 3: 101}),
        ("i2", {"scale_factor": 0.5, "valid_max": 50.0}, {3: 101}),
        ("i2", {"scale_factor": 0.5, "_FillValue": -7, "valid_min": np.int16(0)}, {0: -7, 3: -6}),
    ],
)
def test_codes_and_limits_of_attributes(
    tmp_path: Path, dtype: str, attributes: dict[str, Any], rows: dict[int, float]
) -> None:
    stored, expected = VALUES.copy(), VALUES * attributes.get("scale_factor", 1.0)
    for row, value in rows.items():
        stored[row, 1], expected[row, 1] = value, np.nan
    np.testing.assert_array_equal(read(netcdf(tmp_path / "a.nc", dtype, stored, **attributes)), expected)


@pytest.mark.parametrize(
    ("attributes", "is_missing"),
    [
        ({}, [False, False, False]),
        ({"_FillValue": -1}, [False, False, True]),
        ({"missing_value": np.int16(-2)}, [False, True, False]),
        ({"valid_range": np.array([0, -3], "i2")}, [False, True, True]),
        ({"valid_range": np.array([0, 65533], "u2")}, [False, True, True]),
        ({"_FillValue": -2, "valid_min": np.int16(1)}, [False, True, False]),
    ],
)
def test_integers_without_sign_by_attribute(tmp_path: Path, attributes: dict[str, Any], is_missing: list[bool]) -> None:
    """Their codes and limits have none, either."""
    stored, expected = VALUES + 1.0, 0.5 * (VALUES + 1.0)
    stored[2], expected[2] = [-32767, -2, -1], [0.5 * 32769, 0.5 * 65534, 0.5 * 65535]
    expected[2, is_missing] = np.nan
    path = netcdf(tmp_path / "a.nc", "i2", stored, **{"scale_factor": 0.5, "_Unsigned": "true", **attributes})
    np.testing.assert_array_equal(read(path), expected)


def test_limits_are_as_exact_as_their_type(tmp_path: Path) -> None:
    """0.1 in half the digits is more than 0.1."""
    stored = but(0, 0.1)
    path = netcdf(tmp_path / "a.nc", "f4", stored, valid_range=np.array([0.1, 11.0]))
    np.testing.assert_array_equal(read(path), stored.astype(np.float32))


@pytest.mark.parametrize(
    ("attributes", "says"),
    [
        ({"missing_value": "none"}, "attribute 'missing_value': found 'none', expected a number"),
        ({"valid_range": "0 to 1"}, "attribute 'valid_range': found '0 to 1', expected a number"),
        ({"valid_range": 3.0}, "attribute 'valid_range': found 3.0, expected 2 numbers"),
    ],
)
def test_attributes_that_are_no_numbers_are_named_where_their_variable_is_read(
    tmp_path: Path, attributes: dict[str, Any], says: str
) -> None:
    path = netcdf(tmp_path / "a.nc", "f4", VALUES, **attributes)
    with ColumnFile(path) as file:
        assert file.find("v") == "v"
        with pytest.raises(InputError) as caught:
            file.read("v")
    assert str(caught.value) == f"{path}: variable 'v': {says}"


def store(path: Path, **options: Any) -> Path:
    """A zarr store of format 2 with the rows 0 and 1, and 2 and 3 in a chunk."""
    is_newer = int(zarr.__version__.partition(".")[0]) > 2
    group = zarr.open_group(str(path), mode="w", **({"zarr_format": 2} if is_newer else {}))
    create = group.create_array if is_newer else group.create_dataset
    separator = options.pop("separator", ".")
    named = {"chunk_key_encoding": {"name": "v2", "separator": separator}}
    options |= named if is_newer else {"dimension_separator": separator}
    array = create("v", shape=(4, 3), chunks=(2, 3), dtype="f4", **options)
    array.attrs["_ARRAY_DIMENSIONS"] = ["time", "x"]
    array[...] = VALUES
    if options.get("fill_value") is None:
        metadata = path / "v" / ".zarray"
        metadata.write_text(json.dumps(json.loads(metadata.read_text()) | {"fill_value": None}))
    return path


def zipped(path: Path) -> Path:
    with zipfile.ZipFile(path.with_suffix(".zip"), "w") as archive:
        for member in sorted(path.rglob("*")):
            archive.write(member, member.relative_to(path))
    return path.with_suffix(".zip")


@pytest.mark.parametrize("kind", [lambda path: path, zipped])
@pytest.mark.parametrize("separator", [".", "/"])
def test_a_lost_chunk_without_fill_value_is_an_error_where_it_is_read(
    tmp_path: Path, separator: str, kind: Callable[[Path], Path]
) -> None:
    path = store(tmp_path / "a.zarr", fill_value=None, separator=separator)
    np.testing.assert_array_equal(read(kind(path)), VALUES)
    (path / "v" / f"1{separator}0").unlink()
    path = kind(path)
    with ColumnFile(path) as file:
        np.testing.assert_array_equal(file.read("v", slice(0, 2)), VALUES[:2])
        with pytest.raises(InputError) as caught:
            file.read("v", slice(1, 3), slice(1, 2))
    assert str(caught.value) == (
        f"{path}: variable 'v': a chunk is missing in the store (indices time 2 to 3, x 0 to 2), and no fill value "
        "says what stands for it (1 chunks are missing), expected all chunks"
    )


def test_a_chunk_that_is_not_stored_is_its_fill_value(tmp_path: Path) -> None:
    for name, fill, expected in (("a.zarr", np.nan, but(slice(2, 4), np.nan)), ("b.zarr", 0.0, but(slice(2, 4), 0.0))):
        path = store(tmp_path / name, fill_value=fill)
        (path / "v" / "1.0").unlink()
        np.testing.assert_array_equal(read(path), expected)


def test_zero_is_no_code_in_zarr(tmp_path: Path) -> None:
    """With which zarr fills a new array: as no rain, it is data."""
    np.testing.assert_array_equal(read(store(tmp_path / "a.zarr", fill_value=0)), VALUES)
    coded = store(tmp_path / "b.zarr", fill_value=5.0)
    assert np.isnan(read(coded)[1, 2])


def test_whole_numbers_stay_whole(tmp_path: Path) -> None:
    data = xr.Dataset({"v": (("time", "x"), VALUES)}, {"time": np.arange(4), "x": [5, -2147483647, 7]})
    data.to_netcdf(tmp_path / "a.nc", encoding={"x": {"dtype": "i4", "_FillValue": None}})
    with ColumnFile(tmp_path / "a.nc") as file:
        np.testing.assert_array_equal(file.labels(), [5, -2147483647, 7])
        assert file.labels().dtype.kind == "i"


def test_a_store_of_two_names(tmp_path: Path) -> None:
    """Reading is lazy: another variable's lost chunk does not matter."""
    path = store(tmp_path / "a.zarr", fill_value=None)
    shutil.copytree(path / "v", path / "w")
    (path / "w" / "0.0").unlink()
    np.testing.assert_array_equal(read(path), VALUES)
    with pytest.raises(InputError, match="variable 'w': a chunk is missing"):
        read(path, "w")
