"""Tower files: names, units, signs, UTC, land cover, flags; what they do not tell is taken from the user or refused."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from tower_files import ELEVATION, FLUX, LATITUDE, LONGITUDE, MET, labels, plumber2, table, utc, weather

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.types import Values
from ailand_gt4py.ecland import humidity
from ailand_gt4py.io.cloudiness import CLEAR_PER_METRE, CLEAR_SHARE, cloud_cover
from ailand_gt4py.io.conventions import read
from ailand_gt4py.io.fields import Fields
from ailand_gt4py.io.local_time import sun_offset
from ailand_gt4py.io.preparation import open_columns
from ailand_gt4py.io.request import Request
from ailand_gt4py.io.site import Site
from ailand_gt4py.io.site_files import UnknownSiteError
from ailand_gt4py.io.ways import clear_sky_longwave
from ailand_gt4py.weights.variables import DEFAULT

HERE = Site(LATITUDE, LONGITUDE, ELEVATION)


def values(fields: Fields, name: str) -> Values:
    found = fields.dataset[name]
    assert found.dims in (("time", "x"), ("x",))
    return np.asarray(found.values)[..., 0]


def test_a_met_file_of_plumber2(tmp_path: Path) -> None:
    fields = read(plumber2(tmp_path / "Met.nc", MET))
    truth = weather(utc())
    np.testing.assert_array_equal(fields.dataset["time"].values, utc())
    for name, own in (("met_tair", "tair"), ("met_swdown", "swdown"), ("met_precipitation", "precip"), ("lai", "lai")):
        np.testing.assert_allclose(values(fields, name), truth[own], rtol=1e-6)
    assert fields.dataset["met_vapour_pressure_deficit"].attrs["units"] == "hPa"
    assert values(fields, "igbp_class") == 10.0
    assert (values(fields, "lat"), values(fields, "lon"), values(fields, "clim_orog")) == (
        LATITUDE,
        LONGITUDE,
        ELEVATION,
    )
    for name in ("met_tair", "met_swdown", "met_precipitation"):
        assert (fields.meanings[name].kind, fields.meanings[name].label) == ("mean", "start")
    assert fields.meanings["lai"].kind == "point"
    assert fields.convention == "PLUMBER2"


def test_a_location_that_is_a_coordinate(tmp_path: Path) -> None:
    """As in a file that xarray has written once more."""
    with xr.open_dataset(plumber2(tmp_path / "Met.nc", MET)) as data:
        data.isel(y=0).set_coords(["latitude", "longitude"]).to_netcdf(tmp_path / "again.nc")
    fields = read(tmp_path / "again.nc")
    assert (values(fields, "lat"), values(fields, "lon")) == (LATITUDE, LONGITUDE)


def test_daily_fluxes_are_refused_as_such(tmp_path: Path) -> None:
    """Those of CalLMIP."""
    with xr.open_dataset(plumber2(tmp_path / "Flux.nc", FLUX, days=4), decode_times=False) as data:
        daily = data[["Qle", "Qh", "latitude", "longitude"]].isel(time=slice(0, None, 48))
        daily.rename(Qle="Qle_daily", Qh="Qh_daily").to_netcdf(tmp_path / "daily.nc")
    request = Request(DEFAULT.template(21_600.0), initial_state="none")
    with pytest.raises(InputError, match="variable 'Q.*_daily': means over 24 h, coarser than the model's step of 6 h"):
        open_columns([tmp_path / "daily.nc"], request)


def test_fluxes_are_positive_downward(tmp_path: Path) -> None:
    fields = read(plumber2(tmp_path / "Flux.nc", FLUX))
    np.testing.assert_allclose(values(fields, "sshf"), -weather(utc())["h"], rtol=1e-6)
    np.testing.assert_allclose(values(fields, "slhf"), -weather(utc())["le"], rtol=1e-6)
    assert any("checked against the sun" in note for note in fields.notes)  # by the net radiation


def test_the_clock_of_fluxes_alone_is_that_of_the_sensible_heat(tmp_path: Path) -> None:
    """Which leaves the ground by day: of a file without radiation it tells the sun, whatever sign it is given."""
    fields = read(plumber2(tmp_path / "Flux.nc", {"Qh": "h", "Qle": "le"}))
    np.testing.assert_array_equal(fields.dataset["time"].values, utc())
    assert any("fits the sun best at UTC+1" in note for note in fields.notes)


def test_filled_fluxes_are_said_or_left_out(tmp_path: Path) -> None:
    flag = np.arange(len(utc())) % 4  # a quarter is measured
    path = plumber2(tmp_path / "Flux.nc", FLUX, flags={"Qh": flag.astype(float), "Qle": 0.0 * flag})
    fields = read(path)
    assert np.isfinite(values(fields, "sshf")).all()
    assert any("taken as if measured (--measured-only leaves them out): Qh 75 %." in note for note in fields.notes)
    fields = read(path, site=Site(measured_only=True))
    np.testing.assert_array_equal(np.isfinite(values(fields, "sshf")), flag == 0)
    assert np.isfinite(values(fields, "slhf")).all()


def test_a_table_of_fluxnet(tmp_path: Path) -> None:
    fields = read(table(tmp_path / "FLX.csv"), site=HERE)
    truth = weather(utc())
    np.testing.assert_array_equal(fields.dataset["time"].values, utc())
    np.testing.assert_allclose(values(fields, "met_tair"), truth["tair"] - 273.15, rtol=1e-5)
    np.testing.assert_allclose(values(fields, "met_precipitation"), truth["precip"] * 1800.0, rtol=1e-5)
    np.testing.assert_allclose(values(fields, "slhf"), -truth["le"], rtol=1e-5)
    found = {name: fields.dataset[name].attrs["units"] for name in fields.dataset.data_vars}
    assert found["met_tair"] == "degC"
    assert found["met_vapour_pressure_deficit"] == "hPa"
    assert found["met_psurf"] == "kPa"
    assert (found["met_precipitation"], fields.meanings["met_precipitation"].kind) == ("mm", "sum")
    assert (fields.meanings["met_tair"].kind, fields.meanings["met_tair"].label) == ("mean", "start")
    assert "igbp_class" not in fields.dataset


def test_the_first_name_with_values_goes_first(tmp_path: Path) -> None:
    path = table(tmp_path / "FLX.csv", without=("TA_F",), TA_F_MDS=np.full(144, 7.0), TA=np.full(144, 9.0))
    assert (values(read(path, site=HERE), "met_tair") == 7.0).all()


def test_a_table_with_the_ends_of_intervals_only(tmp_path: Path) -> None:
    path = table(tmp_path / "FLX.csv")
    lines = [line.split(",", 1)[1] for line in path.read_text().splitlines()]
    with gzip.open(tmp_path / "short.csv.gz", "wt") as file:
        file.write("\n".join(lines))
    fields = read(tmp_path / "short.csv.gz", site=HERE)
    np.testing.assert_array_equal(fields.dataset["time"].values, utc())


def test_a_direction_with_gaps_is_left_out(tmp_path: Path) -> None:
    direction = np.full(144, 90.0)
    assert "met_wind_direction" in read(table(tmp_path / "a.csv", WD=direction), site=HERE).dataset
    direction[7] = -9999.0
    fields = read(table(tmp_path / "b.csv", WD=direction), site=HERE)
    assert "met_wind_direction" not in fields.dataset
    assert "Left out, as values are missing: WD." in fields.notes


def test_missing_values(tmp_path: Path) -> None:
    gaps = np.where(np.arange(144) == 20, -9999.0, 300.0)
    found = values(read(table(tmp_path / "FLX.csv", LW_IN_F=gaps), site=HERE), "met_lwdown")
    assert np.flatnonzero(np.isnan(found)).tolist() == [20]
    nothing = read(table(tmp_path / "b.csv", LW_IN_F=np.full(144, -9999.0)), site=HERE)
    assert "met_lwdown" not in nothing.dataset


def test_the_location_is_told_or_refused(tmp_path: Path) -> None:
    path = table(tmp_path / "FLX.csv")
    with pytest.raises(UnknownSiteError, match="does not give the location of the site; expected --site LAT,LON"):
        read(path)
    other = read(plumber2(tmp_path / "Met.nc", MET), site=Site(50.4, 7.8))
    assert values(other, "lat") == 50.4
    assert any("Location: 50.4, 7.8 as told, not 50.2, 7.8" in note for note in other.notes)


@pytest.mark.parametrize("shift", [-5.0, 3.0, 6.0])
def test_a_wrong_clock_is_refused_and_the_right_one_named(tmp_path: Path, shift: float) -> None:
    path = plumber2(tmp_path / "Met.nc", MET, offset=1.0 + shift)
    with pytest.raises(InputError, match=f"--utc-offset {1 + shift:g}"):
        read(path)
    fields = read(path, site=Site(utc_offset=1.0 + shift))
    np.testing.assert_array_equal(fields.dataset["time"].values, utc())


def test_half_an_hour_is_seen(tmp_path: Path) -> None:
    """Labels at the ends instead of the starts of half-hours."""
    times, shortwave = labels(utc(30), 1.5), weather(utc(30))["swdown"]
    offsets, found = sun_offset(times, np.timedelta64(1800, "s"), shortwave, LATITUDE, LONGITUDE)
    assert offsets[np.argmax(found)] == 1.5


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("TIMESTAMP_START,TIMESTAMP_END,TA_F\n", "has no line below its header"),
        ("TIMESTAMP_START,TIMESTAMP_END,TA_F\n202001010000,202001010030,warm\n", "'TA_F' is 'warm' in line 2"),
        ("TIMESTAMP_START,TIMESTAMP_END,TA_F\n202013010000,202001010030,1\n", "'TIMESTAMP_START' is '202013010000'"),
        ("TIMESTAMP_START,TIMESTAMP_END,TA_F,TA_F\n202001010000,202001010030,1,2\n", "'TA_F' is there twice"),
        ("TIMESTAMP_END,TA_F\n202001010030,1\n", "has one line and no 'TIMESTAMP_START'"),
        ("TIMESTAMP_START,TIMESTAMP_END,TA_F\n202001010000,202001010030,1,2\n", "line 2 has 4 values, expected 3"),
    ],
)
def test_damaged_tables(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "FLX.csv"
    path.write_text(content)
    with pytest.raises(InputError, match=message):
        read(path, site=HERE)


def test_an_unknown_land_cover(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="land cover: found 'XYZ', expected one of ENF"):
        read(table(tmp_path / "FLX.csv"), site=Site(LATITUDE, LONGITUDE, igbp="XYZ"))


def test_clouds_from_the_short_wave(tmp_path: Path) -> None:
    site = Site(LATITUDE, LONGITUDE, ELEVATION, estimates_longwave=True)
    fields = read(table(tmp_path / "FLX.csv", days=4, without=("LW_IN_F",)), site=site)
    cover = values(fields, "met_cloud_cover")
    assert any("Cloud cover from the short wave" in note for note in fields.notes)
    assert 0.0 < cover.min() < cover.max() < 0.6
    # Not where there is the radiation itself, and not unless asked for.
    assert "met_cloud_cover" not in read(table(tmp_path / "b.csv"), site=site).dataset
    assert "met_cloud_cover" not in read(table(tmp_path / "c.csv", without=("LW_IN_F",)), site=HERE).dataset


def test_a_clear_sky_has_no_clouds_and_a_dark_one_only() -> None:
    times = utc(4)
    sun = weather(times)["swdown"] * 0.0 + 1.0
    assert cloud_cover(times, np.timedelta64(1800, "s"), 0.0 * sun, (LATITUDE, LONGITUDE), 0.0).tolist() == [1.0] * 192
    bright = np.full(len(times), 1500.0)
    assert cloud_cover(times, np.timedelta64(1800, "s"), bright, (LATITUDE, LONGITUDE), 0.0).tolist() == [0.0] * 192
    winter = np.datetime64("2020-12-10", "ns") + np.arange(48) * np.timedelta64(1800, "s")
    assert cloud_cover(winter, np.timedelta64(1800, "s"), np.zeros(48), (80.0, 20.0), 0.0) is None
    assert pytest.approx(0.77) == CLEAR_SHARE + CLEAR_PER_METRE * 1000.0


@pytest.mark.parametrize("site", ["CdP", "Alptal-open", "Bondville"])
def test_the_estimate_of_the_long_wave_at_sites_that_measure_it(shared: Path, site: str) -> None:
    path = shared / "towers" / f"tower_{site}_1h.nc"
    if not path.exists():
        pytest.skip(f"no {path}")
    with xr.open_dataset(path) as file:
        data = {name: file[name].values[:, 0].astype(float) for name in file if str(name).startswith("met_")}
        where = float(file.lat[0]), float(file.lon[0])
        cover = cloud_cover(file.time.values, np.timedelta64(3600, "s"), data["met_swdown"], where, 0.0)
    vapour = humidity.vapour_pressure(data["met_qair"], data["met_psurf"])
    error = clear_sky_longwave(data["met_tair"], vapour, cover) - data["met_lwdown"]
    assert abs(error.mean()) < 12.0
    assert np.sqrt((error**2).mean()) < 32.0


def test_the_files_of_networks(shared: Path) -> None:
    """Samples as they were published."""
    met = shared / "formats" / "plumber2" / "FI-Hyy_1996-2014_FLUXNET2015_Met.nc"
    tables = sorted((shared / "formats" / "fluxnet").glob("*.csv")) if shared.exists() else []
    if not (met.exists() and tables):
        pytest.skip("no samples of formats")
    fields = read(met)
    assert str(fields.dataset["time"].values[0]) == "1995-12-31T22:00:00.000000000"
    assert values(fields, "igbp_class") == 1.0
    fields = read(tables[0], site=Site(47.21, 8.41, 393.0))
    assert any("fits the sun best at UTC+1 (correlation 1.000" in note for note in fields.notes)
    assert fields.dataset.sizes["time"] == 99


def test_alma_of_any_grid_stays_in_its_times(tmp_path: Path) -> None:
    dims, shape = ("time", "lat", "lon"), (4, 2, 3)
    names = {"Tair": "K", "Qair": "kg/kg", "PSurf": "Pa", "SWdown": "W/m2", "Qh": "W/m2"}
    data = xr.Dataset({name: (dims, np.ones(shape), {"units": units}) for name, units in names.items()})
    data["time"] = ("time", 3.0 * np.arange(4), {"units": "hours since 2020-01-01"})
    data["lat"] = ("lat", [50.0, 51.0], {"units": "degrees_north"})
    data["lon"] = ("lon", [90.0, 91.0, 92.0], {"units": "degrees_east"})
    data.to_netcdf(tmp_path / "alma.nc")
    fields = read(tmp_path / "alma.nc")
    assert fields.convention == "ALMA"
    assert str(fields.dataset["time"].values[1])[:13] == "2020-01-01T03"
    assert (fields.dataset["sshf"].values == -1.0).all()
    assert (fields.meanings["met_swdown"].kind, fields.meanings["met_swdown"].label) == ("mean", "start")


def test_several_sites_in_one_file_are_refused(tmp_path: Path) -> None:
    with xr.open_dataset(plumber2(tmp_path / "one.nc", MET)) as one:
        xr.concat([one, one], "x", data_vars="all").to_netcdf(tmp_path / "two.nc")
    with pytest.raises(InputError, match="has 2 sites along 'x', expected one"):
        read(tmp_path / "two.nc")
