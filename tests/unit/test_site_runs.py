"""From raw files of a site, and ecLand's own, to what a run takes: windows, static fields, state, reference."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from column_files import DIAGNOSTIC_UNITS, STATE_UNITS, dataset, driver_model, write
from tower_files import FLUX, LATITUDE, LONGITUDE, MET, plumber2, table, utc, weather

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.types import Values
from ailand_gt4py.driver.run import run
from ailand_gt4py.ecland import humidity
from ailand_gt4py.evaluation.scores.verify import check_reference
from ailand_gt4py.io.reference import Reference
from ailand_gt4py.io.request import Reading
from ailand_gt4py.io.site import Site
from ailand_gt4py.io.sources import ColumnSource, open_source

MODEL = driver_model()
FLUXES = [variable for variable in MODEL.diagnostics if variable.name in ("sshf", "slhf")]
HERE = Reading(site=Site(LATITUDE, LONGITUDE, 120.0, igbp="GRA"))


def windows(name: str, days: int = 3) -> Values:
    """Means over 6 h of half-hours."""
    return weather(utc(days))[name].reshape(-1, 12).mean(axis=1)


def forcing(source: ColumnSource) -> dict[str, Values]:
    names = [variable.name for variable in MODEL.forcing if not variable.derived]
    values = source.forcing(0, len(source.times))
    return {name: values[:, 0, position] for position, name in enumerate(names)}


def state(source: ColumnSource) -> dict[str, float]:
    assert source.initial_state is not None
    return {variable.name: float(source.initial_state[0, k]) for k, variable in enumerate(MODEL.state)}


def check_weather(found: dict[str, Values]) -> None:
    for name in ("tair", "psurf", "swdown", "lwdown"):
        np.testing.assert_allclose(found[f"met_{name}"], windows(name), rtol=2e-6)
    now = weather(utc())
    vapour = humidity.saturation_pressure(now["tair"]) - now["vpd"]
    q = humidity.specific_humidity(vapour, now["psurf"]).reshape(-1, 12).mean(axis=1)
    np.testing.assert_allclose(found["met_qair"], q, rtol=1e-5)
    np.testing.assert_allclose(found["met_rainf"] + found["met_snowf"], windows("precip"), rtol=1e-5)
    np.testing.assert_allclose(found["met_wind_e"], windows("wind"), rtol=1e-5)
    assert not found["met_wind_n"].any()


def site_file(path: Path, latitude: float = LATITUDE) -> Path:
    """Soil, vegetation and state of the tower in this package's layout."""
    data = dataset(1, 3).drop_vars(list(DIAGNOSTIC_UNITS))
    data = data.drop_vars([name for name in data.data_vars if str(name).startswith(("met_", "lai_"))])
    data["lat"].values[:], data["lon"].values[:] = latitude, LONGITUDE
    data["time"] = ("time", np.arange(3) * 6, {"units": "hours since 2020-06-01"})
    return write(data, path)


def test_a_met_file_alone(tmp_path: Path) -> None:
    with open_source(plumber2(tmp_path / "Met.nc", MET), MODEL) as source:
        np.testing.assert_array_equal(source.times, utc()[::12])
        check_weather(forcing(source))
        static = dict(zip((variable.name for variable in MODEL.static), source.static[0], strict=True))
        assert (static["clim_tvl"], static["clim_cvl"], static["clim_cvh"]) == (2.0, 0.95, 0.0)
        assert static["clim_geopot"] == pytest.approx(120.0 * 9.80665)
        assert state(source)["snowc"] == 0.0
        np.testing.assert_allclose(forcing(source)["lai_lv"], 2.5)


def test_a_table_alone_and_with_a_file_of_the_site(tmp_path: Path) -> None:
    path, beside = table(tmp_path / "FLX.csv"), site_file(tmp_path / "site.nc")
    with open_source(path, MODEL, reading=HERE) as source:
        check_weather(forcing(source))
        assert (source.latitude[0], source.longitude[0]) == (LATITUDE, LONGITUDE)
    with open_source((path, beside), MODEL) as source, xr.open_dataset(beside) as file:
        check_weather(forcing(source))
        assert state(source)["stl2"] == pytest.approx(float(file["stl2"][0, 0]))
        assert source.latitude[0] == pytest.approx(LATITUDE)
        assert any("as beside it" in line for line in source.history)


def test_what_a_tower_does_not_tell_is_refused_by_the_option_that_helps(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not give the location of the site; expected --site"):
        open_source(table(tmp_path / "a.csv"), MODEL)
    with pytest.raises(
        InputError, match=r"does not give the vegetation of the site; expected --land-cover CLASS \(IGBP"
    ):
        open_source(table(tmp_path / "b.csv"), MODEL, reading=Reading(site=Site(LATITUDE, LONGITUDE)))
    dark = table(tmp_path / "c.csv", without=("LW_IN_F",))
    with pytest.raises(InputError, match="has no downward long-wave radiation; .* or --estimate-longwave"):
        open_source(dark, MODEL, reading=HERE)
    estimate = dataclasses.replace(HERE, site=dataclasses.replace(HERE.site, estimates_longwave=True))
    with open_source(dark, MODEL, reading=estimate) as source:
        assert 200.0 < forcing(source)["met_lwdown"].min() < forcing(source)["met_lwdown"].max() < 420.0
        assert any("an estimate" in line and "met_lwdown" in line for line in source.history)


def test_a_gap_is_named(tmp_path: Path) -> None:
    gap = weather(utc())["lwdown"].copy()
    gap[70] = -9999.0
    path = table(tmp_path / "FLX.csv", LW_IN_F=gap)
    with (
        pytest.raises(InputError, match="'met_lwdown'.* 2020-06-02T06:00"),
        open_source(path, MODEL, reading=HERE) as one,
    ):
        one.forcing(0, 12)


@pytest.mark.parametrize("only_measured", [False, True])
def test_fluxes_as_a_reference(tmp_path: Path, only_measured: bool) -> None:
    flag = np.zeros(len(utc()))
    flag[30] = 1.0
    path = plumber2(tmp_path / "Flux.nc", FLUX, flags={"Qh": flag})
    where = {"latitude": np.array([LATITUDE]), "longitude": np.array([LONGITUDE])}
    reading = Reading(site=Site(measured_only=only_measured))
    with Reference(path, FLUXES, utc()[::12], **where, reading=reading) as reference:
        found = dict(zip(reference.names, np.moveaxis(np.array(reference.read(0, 12)), 2, 0)[:, :, 0], strict=True))
    np.testing.assert_allclose(found["slhf"], -windows("le"), rtol=1e-5)
    expected = -windows("h")
    if only_measured:
        expected[2] = np.nan  # the window that half-hour 30 lies in
    np.testing.assert_allclose(found["sshf"], expected, rtol=1e-5)


@pytest.mark.parametrize("kind", ["PLUMBER2", "FLUXNET"])
def test_net_radiation_is_compared_with_the_sum_of_short_and_long_wave(tmp_path: Path, capsys, kind: str) -> None:
    met = plumber2(tmp_path / "Met.nc", MET)
    observed = weather(utc())["swdown"] - 50.0
    path = table(tmp_path / "FLX.csv", NETRAD=observed)
    if kind == "PLUMBER2":
        path = plumber2(tmp_path / "Flux.nc", FLUX)  # whose Rnet is the incoming short wave
        observed = observed + 50.0
    run(met, output=tmp_path / "out.nc", reference=path, backend="embedded", quiet=True)
    rows = {line.split()[0]: line.split() for line in capsys.readouterr().out.splitlines() if line}
    with xr.open_dataset(tmp_path / "out.nc") as data:
        error = (data["ssr"] + data["str"]).values[:, 0] - observed.reshape(-1, 12).mean(axis=1)
    assert float(rows["rnet"][3]) == pytest.approx(np.sqrt(np.mean(np.square(error[1:]))), rel=0.01)
    assert rows["rnet"][-1] == str(len(error) - 1)


def test_a_table_is_a_reference_at_the_run_s_column(tmp_path: Path) -> None:
    where = {"latitude": np.array([LATITUDE]), "longitude": np.array([LONGITUDE])}
    with Reference(table(tmp_path / "FLX.csv"), FLUXES, utc()[::12], **where) as reference:
        assert reference.names == ("sshf", "slhf")
        np.testing.assert_allclose(np.array(reference.read(0, 12))[:, 0, 0], -windows("h"), rtol=1e-5)


def test_a_table_is_checked_as_a_reference_before_a_run(tmp_path: Path) -> None:
    path = table(tmp_path / "FLX.csv")
    with open_source(path, MODEL, reading=HERE) as source:
        lines = check_reference(path, FLUXES, source)
    assert any("as beside it" in line for line in lines)


def test_fluxes_of_another_site_are_refused(tmp_path: Path) -> None:
    path = plumber2(tmp_path / "Flux.nc", FLUX)
    with pytest.raises(InputError, match="has no cell at 51.0000 N"):
        Reference(path, FLUXES, utc()[::12], latitude=np.array([51.0]), longitude=np.array([LONGITUDE]))


def ecland_files(folder: Path) -> list[Path]:
    """Forcing of 13 hours, climate fields and state as ecLand has them."""
    n_hours = np.arange(13.0)
    plane = {"lat": ("lat", [50.0], {"units": "degrees_north"}), "lon": ("lon", [8.0], {"units": "degrees_east"})}
    time = {"time": ("time", 3600.0 * n_hours, {"units": "seconds since 2020-06-01 00:00:00.0"})}
    units = {"Tair": "K", "Qair": "kg/kg", "PSurf": "Pa", "SWdown": "W/m2", "LWdown": "W/m2", "Rainf": "kg/m2/s",
             "Snowf": "kg/m2/s", "Wind_E": "m/s", "Wind_N": "m/s", "Ctpf": "-"}  # fmt: skip
    base = {"Tair": 280.0, "Qair": 0.005, "PSurf": 99e3, "LWdown": 300.0, "SWdown": 100.0}
    met = {}
    for name, unit in units.items():
        values = base.get(name, 0.0) + n_hours * (1e-4 if name == "Qair" else 0.01)
        met[name] = ("time", "lat", "lon"), values.reshape(-1, 1, 1), {"units": unit}

    def fixed(value: object, unit: str, *dims: str) -> tuple[tuple[str, ...], Values, dict[str, str]]:
        shape = (-1, 1, 1) if dims else (1, 1)
        return (*dims, "lat", "lon"), np.asarray(value, dtype=np.float64).reshape(shape), {"units": unit}

    climate = {"geopot": 1000.0, "cvl": 0.9, "cvh": 0.0, "cu": 0.0, "tvl": 2.0, "tvh": 0.0, "sotype": 2.0, "sdor": 5.0,
               "CLAKE": 0.0, "landsea": 1.0}  # fmt: skip
    fields = {name: fixed(value, "m2/m" if name == "geopot" else "-") for name, value in climate.items()}
    fields |= {name: fixed(np.full(12, 2.0), "-", "month") for name in ("Mlail", "Mlaih")}
    first = {
        "SoilMoist": fixed([0.2, 0.25, 0.3, 0.35], "m3/m3", "nlevs"),
        "SoilTemp": fixed(np.arange(4) + 280.0, "K", "nlevs"),
        "SWE": fixed(0.0, "kg/m2"),
        "snowdens": fixed(100.0, "kg/m3"),
        "SnowT": fixed(273.16, "K"),
        "SAlbedo": fixed(0.85, "-"),
        "CanopInt": fixed(0.1, "kg/m2"),
    }
    files = {"met.nc": xr.Dataset(met, plane | time), "surfclim.nc": xr.Dataset(fields, plane, {"modelID": "chtessel"}),
             "surfinit.nc": xr.Dataset(first, plane, {"modelID": "ECLand"})}  # fmt: skip
    for name, data in files.items():
        data.to_netcdf(folder / name)
    return [folder / name for name in files]


def test_eclands_own_files(tmp_path: Path) -> None:
    with open_source(ecland_files(tmp_path), MODEL) as source:
        assert [str(time)[:13] for time in source.times] == ["2020-06-01T00", "2020-06-01T06"]
        found = forcing(source)
        np.testing.assert_allclose(found["met_tair"], [280.03, 280.09])  # values at 0..6 h: their mean
        np.testing.assert_allclose(found["met_swdown"], [100.035, 100.095])  # means that end at 1..6 h
        np.testing.assert_allclose(found["lai_lv"], 2.0)
        assert state(source)["swvl2"] == pytest.approx(0.25)
        assert state(source)["stl3"] == pytest.approx(282.0)
        line = next(line for line in source.history if line.startswith("Without time in the file"))
        assert "swvl1" in line


def test_eclands_output_as_a_reference(tmp_path: Path) -> None:
    plane = {"lat": ("lat", [50.0], {"units": "degrees_north"}), "lon": ("lon", [8.0], {"units": "degrees_east"})}
    time = {"time": ("time", 3600.0 * np.arange(13), {"units": "seconds since 2020-06-01 00:00:00.0"})}
    water = 30.0 * np.array([0.07, 0.21, 0.72, 1.89]) * (1.0 + np.arange(13)[:, np.newaxis])
    data = {"SoilMoist": (("time", "nlevs", "lat", "lon"), water.reshape(13, 4, 1, 1), {"units": "kg/m2"})}
    xr.Dataset(data, plane | time).to_netcdf(tmp_path / "o_gg.nc")
    wanted = [variable for variable in MODEL.state if variable.name in STATE_UNITS and variable.name.startswith("swvl")]
    times = np.datetime64("2020-06-01", "ns") + np.arange(3) * np.timedelta64(6, "h")
    where = {"latitude": np.array([50.0]), "longitude": np.array([8.0])}
    with Reference(tmp_path / "o_gg.nc", wanted, times, **where) as reference:
        np.testing.assert_allclose(np.array(reference.read(0, 3))[:, 0, 0], [0.03, 0.03 * 7, 0.03 * 13])


def test_gaps_of_the_long_wave_are_estimated_where_asked_for(tmp_path: Path) -> None:
    measured = weather(utc())["lwdown"].copy()
    gaps = measured.copy()
    gaps[60:75] = -9999.0
    estimate = dataclasses.replace(HERE, site=dataclasses.replace(HERE.site, estimates_longwave=True))
    with open_source(table(tmp_path / "whole.csv", LW_IN_F=measured), MODEL, reading=estimate) as source:
        whole = forcing(source)["met_lwdown"].copy()
        assert not any("is estimated" in line for line in source.history)
    with open_source(table(tmp_path / "gaps.csv", LW_IN_F=gaps), MODEL, reading=estimate) as source:
        filled = forcing(source)["met_lwdown"].copy()
        said = f"met_lwdown: missing values are estimated, 15 of {len(gaps)} values, from met_tair and"
        assert any(line.startswith(said) and line.endswith("the rest is as measured.") for line in source.history)
        assert any("Cloud cover from the short wave" in line for line in source.history)
    differs = np.flatnonzero(~np.isclose(filled, whole, rtol=1e-6))
    assert 1 <= len(differs) <= 3
    assert np.isfinite(filled).all()
    assert abs(filled - whole).max() < 120.0
