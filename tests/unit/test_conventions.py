"""A new kind of input is one module: a convention, or a source of columns, that registers itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from column_files import FORCING_UNITS, N_COLUMNS, dataset, driver_model, write
from xarray.backends.file_manager import FILE_CACHE

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.types import Values
from ailand_gt4py.io.conventions import CONVENTIONS, Convention, read
from ailand_gt4py.io.conventions.ec_land_db import LAYOUT, STORE
from ailand_gt4py.io.period import read_period
from ailand_gt4py.io.sources import KINDS, ColumnSource, Request, open_source
from ailand_gt4py.io.sources.anemoi import AnemoiSource

MODEL = driver_model()
RAIN = "kg m-2 s-1"


def test_what_there_is() -> None:
    assert LAYOUT in CONVENTIONS.items()
    assert STORE in CONVENTIONS.items()
    assert AnemoiSource in KINDS.items()


def test_a_convention_has_its_own_names_units_and_time_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CONVENTIONS, "_items", list(CONVENTIONS.items()))
    CONVENTIONS.add(
        Convention(
            "files of CLASSIC",
            recognises=lambda data: data.attrs.get("title") == "CLASSIC",
            aliases={"met_tair": ("tas",)},
            units={"met_qair": ("kg/cm3", "kg kg-1")},
            time_labels="Time labels: taken as starts of windows of {window}.",
        )
    )
    data = dataset().rename({"met_tair": "TAS"})
    data["met_qair"].attrs["units"] = "kg/cm3"
    with pytest.raises(InputError, match="'met_qair': unit 'kg/cm3' is of another quantity"):
        open_source(write(data, tmp_path / "other.nc"), MODEL)
    with (
        open_source(write(data.assign_attrs(title="CLASSIC"), tmp_path / "in.nc"), MODEL) as source,
        open_source(write(dataset(), tmp_path / "good.nc"), MODEL) as good,
    ):
        np.testing.assert_array_equal(source.forcing(0, 9), good.forcing(0, 9))
        assert "Read under another name: met_tair from 'TAS'." in source.history
        told = "met_qair: the unit 'kg/cm3' is read as 'kg kg-1', which is meant in files of CLASSIC."
        assert told in source.history
        assert source.history[-1] == "Time labels: taken as starts of windows of 6 h."


class Constant(ColumnSource):
    """Columns in which nothing changes, out of a text file with one number."""

    def __init__(self, path: Path, request: Request) -> None:
        self.path, self.model, self.history, self.lacking = path, request.model, [], ()
        self._value, n = float(path.read_text()), N_COLUMNS
        self.x, self.latitude, self.longitude = np.arange(n), np.zeros(n), np.zeros(n)
        self.climate = np.full(n, "")
        self.step = np.timedelta64(6, "h")
        self.times = self.labels = np.datetime64("2020-01-01", "ns") + np.arange(4) * self.step
        self.static = np.full((n, len(request.model.static)), self._value)
        self.initial_state = np.full((n, len(request.model.state)), self._value)

    @classmethod
    def recognises(cls, path: Path) -> bool:
        return path.suffix == ".number"

    def forcing(self, first: int, last: int) -> Values:
        return np.full((last - first, self.n_columns, len(FORCING_UNITS)), self._value, np.float32)


def test_a_source_is_taken_by_whoever_reads_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(KINDS, "_items", list(KINDS.items()))
    KINDS.add(Constant)
    (tmp_path / "in.number").write_text("0.5")
    period = read_period(tmp_path / "in.number", MODEL, np.dtype(np.float32))
    given = [position for position, variable in enumerate(MODEL.forcing) if not variable.derived]
    assert period.forcing.shape == (4, N_COLUMNS, len(MODEL.forcing))
    np.testing.assert_array_equal(period.forcing[..., given], 0.5)
    assert np.ptp(period.forcing[..., 0]) > 0.5, "the cosine of the time of day is derived"


def test_standard_names_find_what_one_variable_alone_has(tmp_path: Path) -> None:
    dims, shape = ("time", "lat", "lon"), (4, 1, 2)
    names = {
        **{"tas": ("air_temperature", "K"), "tdps": ("dew_point_temperature", "K"), "pr": ("precipitation_flux", RAIN)},
        **{"LEAVES": ("leaf_area_index", "1"), "tsl": ("soil_temperature", "K"), "tsl2": ("soil_temperature", "K")},
        **{"orog": ("surface_altitude", "m"), "a": ("eastward_wind", "m s-1"), "b": ("eastward_wind", "m s-1")},
    }
    data = xr.Dataset(
        {own: (dims, np.ones(shape), {"standard_name": text, "units": unit}) for own, (text, unit) in names.items()},
        {"time": np.datetime64("2020-01-01", "ns") + np.arange(4) * np.timedelta64(1, "h"), "lat": [50.0]},
    )
    found = read(write(data.assign_coords(lon=[7.0, 8.0]), tmp_path / "in.nc")).own_names
    expected = {
        "met_tair": "tas",
        "met_dewpoint": "tdps",
        "met_precipitation": "pr",
        "lai": "LEAVES",
        "clim_orog": "orog",
    }
    assert {name: own for name, own in found.items() if name not in ("lat", "lon")} == expected


def test_time_labels_of_a_dimension_with_another_name(tmp_path: Path) -> None:
    write(dataset(), tmp_path / "good.nc")
    with xr.open_dataset(tmp_path / "good.nc", decode_times=False) as data:
        data.swap_dims({"time": "record"}).drop_vars("record", errors="ignore").to_netcdf(tmp_path / "in.nc")
    with (
        open_source(tmp_path / "in.nc", MODEL) as source,
        open_source(tmp_path / "good.nc", MODEL) as good,
    ):
        np.testing.assert_array_equal(source.times, good.times)
        np.testing.assert_array_equal(source.forcing(0, 9), good.forcing(0, 9))


def test_files_that_something_was_made_of_are_closed(tmp_path: Path) -> None:
    """Else they cannot be opened again as a reference."""
    path = write(dataset().expand_dims(level=[1.0]), tmp_path / "in.nc")
    with open_source(path, MODEL) as source:
        assert str(path) in str(list(FILE_CACHE.keys()))
        source.forcing(0, 9)
    assert str(path) not in str(list(FILE_CACHE.keys()))


@pytest.mark.parametrize(("own", "convention"), [("sshf", "ec-land-db's layout"), ("Qh", "ecLand")])
@pytest.mark.parametrize("direction", ["upward", "downward", ""])
def test_a_standard_name_of_the_other_direction_is_said(
    own: str, convention: str, direction: str, tmp_path: Path
) -> None:
    """``sshf`` is positive downward, ecLand's traditional ``Qh`` upward, whatever the standard name."""
    standard_name = {"standard_name": f"surface_{direction}_sensible_heat_flux"} if direction else {}
    values = {own: (("time", "x"), np.full((4, 2), 30.0), {"units": "W m-2", **standard_name})}
    data = xr.Dataset(values, {"time": np.datetime64("2020-01-01", "ns") + np.arange(4) * np.timedelta64(1, "h")})
    data.attrs["SurfSgn_convention"] = "Traditional"
    fields = read(write(data, tmp_path / "in.nc"), convention)
    is_upward = own == "Qh"
    np.testing.assert_array_equal(fields.dataset["sshf"], -30.0 if is_upward else 30.0)
    said = [note for note in fields.notes if note.startswith("Contradiction, the name is followed")]
    assert bool(said) == (direction == ("downward" if is_upward else "upward"))
