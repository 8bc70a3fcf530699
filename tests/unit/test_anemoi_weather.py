"""The land's forcing from an atmosphere's fields; what of the coupling needs no anemoi-inference."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import yaml

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.integration.hosts.anemoi.atmosphere import Atmosphere
from ailand_gt4py.integration.hosts.anemoi.land import gifts, weather_of
from ailand_gt4py.integration.hosts.anemoi.options import ProcessorOptions, read_options
from ailand_gt4py.integration.hosts.anemoi.weather import (
    FIELDS,
    WindowWeather,
    at_forcing_height,
    specific_humidity,
)
from ailand_gt4py.weights.model_file import read_model
from ailand_gt4py.weights.processing import Step

#: Of AIFS-single v1.1, as published: what it predicts again from itself, and what it only gives.
AIFS_PROGNOSTIC = ("10u", "10v", "2d", "2t", "msl", "skt", "sp", "tcw", "stl1", "stl2", "swvl1", "swvl2")
AIFS_DIAGNOSTIC = ("100u", "100v", "cp", "hcc", "lcc", "mcc", "ro", "sf", "ssrd", "strd", "tcc", "tp")
EXAMPLE = Path(__file__).parents[2] / "examples" / "aifs" / "aifs_single_v1.1.yaml"


def aifs() -> Atmosphere:
    return Atmosphere(
        step=np.timedelta64(6, "h"),
        outputs=AIFS_PROGNOSTIC + AIFS_DIAGNOSTIC,
        prognostic=frozenset(AIFS_PROGNOSTIC),
        forcings=frozenset({"insolation"}),
        units={},
        periods={name: np.timedelta64(6, "h") for name in ("tp", "cp", "sf", "ro", "ssrd", "strd")},
    )


def fields(**changes):
    values = {"2t": 290.0, "2d": 280.0, "skt": 288.0, "10u": 3.0, "10v": -4.0, "sp": 1e5}
    values |= {"tp": 21.6, "cp": 5.4, "sf": 10.8, "ssrd": 2.16e6, "strd": 6.48e6} | changes
    return {name: np.array([value]) for name, value in values.items()}


def weather(to_forcing_height=False, lacking=()):
    return WindowWeather(read_model().forcing, set(FIELDS) - set(lacking), to_forcing_height)


def forcing(start, end, **keywords):
    one = weather(**keywords)
    prescribed = {variable.name: np.array([0.25]) for variable in one.prescribed}
    values = one.forcing(start, end, 21_600.0, prescribed)
    assert values.dtype == np.float32
    return dict(zip((variable.name for variable in one.given), values[0].tolist(), strict=True))


def test_forcing_of_a_window():
    found = forcing(fields(**{"2t": 280.0, "10u": 1.0}), fields())
    expected = {
        "met_tair": 285.0, "met_wind_e": 2.0, "met_wind_n": -4.0, "met_psurf": 1e5, "met_rainf": 5e-4,
        "met_snowf": 5e-4, "met_ctpf": 0.25, "met_swdown": 100.0, "met_lwdown": 300.0, "lai_hv": 0.25, "lai_lv": 0.25,
        "albedo_background": 0.25,
    }  # fmt: skip
    assert found.pop("met_qair") == pytest.approx(float(specific_humidity(np.array([280.0]), np.array([1e5]))[0]))
    assert found == pytest.approx(expected, rel=1e-6)


def test_humidity_of_a_dew_point():
    """9.91 hPa at 280 K after the IFS, and at the triple point 611 Pa after any formula."""
    assert float(specific_humidity(np.array(273.16), np.array(1e5))) == pytest.approx(0.0038104, rel=1e-4)
    assert float(specific_humidity(np.array(280.0), np.array(1e5))) == pytest.approx(0.006186, rel=2e-4)


def test_humidity_is_averaged_not_the_dew_point():
    start, end = fields(**{"2d": 270.0}), fields(**{"2d": 290.0})
    both = [float(specific_humidity(one["2d"], one["sp"])[0]) for one in (start, end)]
    assert forcing(start, end)["met_qair"] == pytest.approx(np.mean(both), rel=1e-6)


def test_sums_that_a_network_makes_negative():
    """Never negative rates; no fraction of no precipitation."""
    found = forcing({}, fields(tp=-1e-3, cp=1e-3, sf=2e-3, ssrd=-5.0))
    assert (found["met_rainf"], found["met_swdown"], found["met_ctpf"]) == (0.0, 0.0, 0.0)
    assert found["met_snowf"] == pytest.approx(2e-3 / 21_600.0)
    assert forcing({}, fields(cp=30.0))["met_ctpf"] == 1.0


def test_without_convective_precipitation_its_fraction_is_prescribed():
    assert [one.name for one in weather(lacking=["cp"]).prescribed] == [
        "met_ctpf",
        "lai_hv",
        "lai_lv",
        "albedo_background",
    ]
    assert forcing({}, fields(), lacking=["cp"])["met_ctpf"] == 0.25


def test_the_first_window_has_its_end_where_nothing_is_known_of_its_start():
    assert forcing({"10u": np.array([1.0])}, fields())["met_tair"] == 290.0
    assert forcing({"10u": np.array([1.0])}, fields())["met_wind_e"] == 2.0


def test_temperature_at_the_height_of_the_forcing(shared):
    """In ecLand's hourly runs it is that of the forcing to a quarter of a Kelvin, at 2 m to one."""
    with netCDF4.Dataset(shared / "data" / "ecland_synth_1h.nc") as data:
        names = ("t2m", "skt", "met_tair", "d2m", "met_qair", "met_psurf")
        t2m, skt, air, d2m, humidity, pressure = (np.asarray(data[name][:3000], dtype=np.float64) for name in names)

    def error(at_ends, of_window):
        return float(np.sqrt(np.mean((0.5 * (at_ends[:-1] + at_ends[1:]) - of_window[:-1]) ** 2)))

    assert error(t2m, air) > 0.9
    assert error(at_forcing_height(t2m, skt), air) < 0.3
    assert error(specific_humidity(d2m, pressure), humidity) < 3e-4


def options(**changes):
    """Those of the example for AIFS."""
    (entry,) = yaml.safe_load(EXAMPLE.read_text())["mid_processors"]
    return read_options(ProcessorOptions, entry["ailand"] | changes)


def test_the_example_for_aifs_fits_its_published_variables():
    model, atmosphere = read_model(), aifs()
    found = weather_of(options(), model, atmosphere)
    assert [one.name for one in found.prescribed] == ["lai_hv", "lai_lv", "albedo_background"]
    assert set(found.needs) <= set(atmosphere.outputs)
    assert set(options().give_back) <= atmosphere.prognostic
    given = gifts(options().give_back, model, atmosphere)
    assert {name: one.name for name, one in given.items()} == {name: name for name in options().give_back}
    assert all(one.conversion.is_identity for one in given.values())


def test_amounts_of_water_are_metres_unless_said():
    assert aifs().input_conversion("tp", "tp").scale == 1000.0
    said = Atmosphere(**{**vars(aifs()), "units": {"tp": "kg m-2"}})
    assert said.input_conversion("tp", "tp").is_identity


def test_a_mean_over_the_window_is_not_given():
    with pytest.raises(InputError, match="'sshf' is no result of the land model for the atmosphere's 'sshf'"):
        gifts(["sshf"], read_model(), aifs())


def test_screen_level_goes_by_the_atmospheres_name():
    assert gifts(["2t", "2d"], read_model(), aifs())["2t"].name == "t2m"


def test_what_may_be_missing_of_an_atmosphere():
    """A field of which all that is made is imputed by the land; then the input is missing, too."""
    own = read_model().forcing
    imputed = [
        dataclasses.replace(one, processing=(Step("impute", (0.0,)),)) if one.name in ("met_snowf", "met_ctpf") else one
        for one in own
    ]
    assert WindowWeather(own, FIELDS, True).may_be_missing == set()
    found = WindowWeather(imputed, FIELDS, True)
    assert found.may_be_missing == {"cp"}  # rain needs the snow
    has = [one for one in imputed if one.name != "met_rainf"]
    assert WindowWeather(has, FIELDS, True).may_be_missing == {"cp", "sf", "tp"}
    prescribed = {variable.name: np.array([0.25]) for variable in found.prescribed}
    values = found.forcing(fields(), fields(cp=np.nan), 21_600.0, prescribed)[0]
    assert [one.name for one, value in zip(found.given, values, strict=True) if np.isnan(value)] == ["met_ctpf"]
    values = WindowWeather(has, FIELDS, True).forcing(fields(), fields(tp=np.nan), 21_600.0, prescribed)[0]
    assert np.isnan(values).sum() == 1
