"""The albedo of the ground that a file lacks: of its albedo where there is no snow, else by vegetation."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from column_files import dataset

from ailand_gt4py.ecland import surface_tables
from ailand_gt4py.io import ground_albedo, monthly
from ailand_gt4py.io.fields import Fields
from ailand_gt4py.io.sources import open_source
from ailand_gt4py.weights.variables import DEFAULT, choose

FORCING = [variable.name for variable in DEFAULT.forcing]
MODEL = choose(forcing=[*FORCING, "albedo_background"]).template(21_600.0)
TIMES = np.arange("2021-01-01", "2022-01-01", np.timedelta64(6, "h"), dtype="datetime64[ns]")
#: Of the months, (12, 2 columns), and what the columns have under snow.
CLIMATOLOGY = np.stack([0.20 + 0.03 * np.cos(np.arange(12) / 12 * 2 * np.pi), np.full(12, 0.31)], axis=1)
SNOW = 0.7


def fields_of(
    values: dict[str, tuple[np.ndarray, str]], times: np.ndarray = TIMES, calendar: str = "standard"
) -> Fields:
    data = xr.Dataset(
        {name: (("time", "x"), one, {"units": units}) for name, (one, units) in values.items()},
        coords={"time": ("time", times, {"calendar": calendar})},
    )
    return Fields(Path("file"), data.chunk({"time": 100}), {}, {})


def with_snow(snow: np.ndarray, name: str = "snowc", units: str = "%", scale: float = 100.0) -> Fields:
    """Columns with that climatology, bright where there is snow (n_times, 2)."""
    climatology = xr.DataArray(CLIMATOLOGY, dims=("month", "x"))
    ground = monthly.at_times(climatology, TIMES).values
    return fields_of({"fal": (np.where(snow, SNOW, ground), "1"), name: (snow * scale, units)})


def added(fields: Fields) -> tuple[np.ndarray, str]:
    result = ground_albedo.completed(fields, MODEL)
    assert len(result.notes) == 1
    return result.dataset["albedo_background"].values, result.notes[0]


@pytest.mark.parametrize(("name", "units", "scale"), [("snowc", "%", 100.0), ("snowc", "1", 1.0), ("sd", "m", 0.1)])
def test_it_is_that_of_windows_without_snow_through_the_year(name: str, units: str, scale: float) -> None:
    snow = np.zeros((len(TIMES), 2), bool)
    snow[:, 0] = (TIMES - np.datetime64("2021-03-10")) < np.timedelta64(0)
    found, note = added(with_snow(snow, name, units, scale))
    expected = monthly.at_times(xr.DataArray(CLIMATOLOGY, dims=("month", "x")), TIMES).values
    # Means of months do not have the extremes of the middles; January and February lie between December and March.
    np.testing.assert_allclose(found[:, 1], expected[:, 1], atol=1e-6)
    # After the middle of December it goes towards the January that is not known.
    month = TIMES.astype("datetime64[M]").astype(int) % 12
    free = (month >= 3) & (month < 11)
    np.testing.assert_allclose(found[free, 0], expected[free, 0], atol=2e-3)
    assert found[:, 0].max() < 0.232
    assert f"derived from fal where {name} shows no snow" in note
    assert note.endswith("albedo_background.")


def test_a_window_in_which_snow_comes_does_not_count() -> None:
    snow = np.zeros((len(TIMES), 2), bool)
    snow[::7] = True
    fields = with_snow(snow)
    # Snow falls in the window that ends where it lies.
    albedo = fields.dataset["fal"].values.copy()
    albedo[6::7] = 0.5
    fields = fields_of({"fal": (albedo, "1"), "snowc": (snow * 1.0, "1")})
    assert added(fields)[0].max() < 0.32


def test_a_column_always_under_snow_has_the_others_mean_and_that_is_said() -> None:
    snow = np.zeros((len(TIMES), 2), bool)
    snow[:, 0] = True
    found, note = added(with_snow(snow))
    np.testing.assert_allclose(found[:, 0], 0.31, atol=1e-6)
    assert "(the mean of the others in 1 columns always under snow)" in note


def test_it_is_left_alone_where_it_is_there_or_not_taken_or_cannot_be_told() -> None:
    bare = np.zeros((len(TIMES), 2), bool)
    fields = with_snow(bare)
    given = fields_of({"albedo_background": (bare + 0.1, "1"), "fal": (bare + 0.3, "1"), "snowc": (bare * 1.0, "1")})
    assert ground_albedo.completed(given, MODEL) is given
    assert ground_albedo.completed(fields, DEFAULT.template(21_600.0)) is fields
    for lacking in ("fal", "snowc"):
        without = Fields(fields.path, fields.dataset.drop_vars(lacking), {}, {})
        assert ground_albedo.completed(without, MODEL) is without
    always = with_snow(~bare)
    assert ground_albedo.completed(always, MODEL) is always


def test_calendars_of_360_days_have_months_too() -> None:
    times = np.datetime64("2021-01-01", "ns") + np.arange(360 * 4) * np.timedelta64(6, "h")
    values = np.full((len(times), 1), 0.25)
    found, _ = added(fields_of({"fal": (values, "1"), "snowc": (0.0 * values, "1")}, times, "360_day"))
    np.testing.assert_allclose(found, 0.25, atol=1e-6)


def test_a_file_without_any_albedo_has_that_of_its_vegetation(tmp_path: Path) -> None:
    data = dataset()
    types = {"clim_tvh": [3.0, 6.0, 0.0], "clim_tvl": [1.0, 2.0, 8.0], "clim_cvh": [0.8, 0.0, 0.0]}
    types |= {"clim_cvl": [0.2, 1.0, 0.0]}
    data = data.assign({name: ("x", np.array(values, np.float32), data[name].attrs) for name, values in types.items()})
    data.to_netcdf(tmp_path / "columns.nc")
    names = [name for name in FORCING if not name.endswith("_before")]
    model = choose(forcing=[*names, "albedo_background"], state=["swvl1", "swvl2", "swvl3", "stl1", "stl2", "stl3"])
    with open_source(tmp_path / "columns.nc", model.template(21_600.0)) as source:
        given = [one.name for one in source.model.forcing if not one.derived]
        found = source.forcing(0, len(source.times))[..., given.index("albedo_background")]
        history = " ".join(source.history)
    # BATS1e: evergreen needle trees .05/.23, crops .10/.30, short grass .10/.30, desert's soil of colour 1 half dry.
    visible, infrared = surface_tables.SOLAR_WEIGHTS
    grass = 0.10 * visible + 0.30 * infrared
    forest = 0.05 * visible + 0.23 * infrared
    desert = 1.5 * 0.12 * (visible + 2.0 * infrared)
    expected = np.array([0.8 * forest + 0.2 * grass, grass, desert]) - 0.03
    np.testing.assert_allclose(found, np.broadcast_to(expected, found.shape), atol=1e-6)
    assert "first guess from clim_cvh and clim_cvl and clim_tvh and clim_tvl by vegetation type (BATS1e" in history
