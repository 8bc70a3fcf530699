"""What the land component says of what it is given: wrong units, fill values, locations, types, times, restarts."""

import dataclasses
import datetime
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from land_hosts import HOUR, PRESCRIBED, START, Host, small_model
from random_models import random_parameters

from ailand_gt4py.core.errors import InputError, RunError
from ailand_gt4py.ecland import snow, soil_tables
from ailand_gt4py.emulator.emulator import Emulator
from ailand_gt4py.integration.component import LandComponent
from ailand_gt4py.io.whole_files import write_sealed
from ailand_gt4py.weights.model import Normalisation
from ailand_gt4py.weights.variables import CATALOGUE

MODEL = small_model()
MASK = np.array([True, False, True, True, False, True, False])
HOST = Host(MASK.shape)
LOGGER = "ailand_gt4py"


def run(land: LandComponent, n_steps: int, first: int = 0, **changes: Callable[[np.ndarray], np.ndarray]) -> None:
    """Hourly steps, some fields of them changed."""
    for hour in range(first, first + n_steps):
        land(weather(hour, **changes), START + hour * HOUR)


def weather(hour: int, **changes: Callable[[np.ndarray], np.ndarray]) -> dict[str, np.ndarray]:
    fields = HOST.weather(START + hour * HOUR)
    return fields | {name: change(fields[name]) for name, change in changes.items()}


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def at_point_2(value: float) -> Callable[[np.ndarray], np.ndarray]:
    def change(field: np.ndarray) -> np.ndarray:
        field[2] = value
        return field

    return change


IMPOSSIBLE = [
    ("met_tair", lambda v: v - 273.15, r"found [12].* K at point 0 and 3 more land points, .*156.5 to 378.5 K .*degC"),
    ("met_psurf", lambda v: v / 100.0, "found .* Pa at point 0 .*21000 to 129000 Pa .*hPa"),
    ("met_qair", lambda v: v * 1000.0, "found .* kg kg-1 at point 0 .*g kg-1"),
    ("met_swdown", lambda v: v * 3600.0, "found .* W m-2 at point 0 .*J m-2 over 3600 s"),
    ("met_lwdown", lambda v: v * 21_600.0, "found .* W m-2 at point 0 .*J m-2 over 21600 s"),
    ("met_rainf", lambda v: np.ones_like(v), "found 1 kg m-2 s-1 at point 0 .*mm h-1"),
    ("met_rainf", at_point_2(9.96921e36), "found 9.96921e.36 kg m-2 s-1 at point 2, .*expected -1e-05 to 0.11"),
    ("met_tair", at_point_2(-9999.0), "found -9999 K at point 2, .*expected 156.5 to 378.5 K"),
    ("met_wind_e", at_point_2(1e39), r"found 1e\+39 m s-1 at point 2"),
    ("met_qair", at_point_2(np.nan), "found a number that is not finite at point 2, .*expected finite"),
]


def test_an_impossible_sample_is_named_and_leaves_the_component_as_it_was() -> None:
    """Also where it is the first of a window: that before it is closed by the right sample."""
    land, same = (HOST.component(MODEL, MASK, precision="float32") for _ in range(2))
    for hour in range(8):
        for name, change, message in IMPOSSIBLE if hour in (0, 2, 6) else ():
            with pytest.raises(InputError, match=f"^{name}: {message}"):
                land(weather(hour, **{name: change}), START + hour * HOUR)
        run(land, 1, hour)
    run(same, 8)
    assert land.state.tobytes() == same.state.tobytes()
    for output, field in same.outputs.items():
        np.testing.assert_array_equal(land.outputs[output], field)


def test_an_impossible_sample_is_flagged_where_that_is_asked_for(caplog: pytest.LogCaptureFixture) -> None:
    land, same = (HOST.component(MODEL, MASK, not_finite="flag") for _ in range(2))
    before = land.state.copy()
    run(same, 7)
    with caplog.at_level(logging.WARNING, LOGGER):
        for hour in range(7):
            run(land, 1, hour, **({"met_rainf": at_point_2(9.96921e36)} if hour == 3 else {}))
    (text,) = warnings(caplog)
    assert text.startswith("met_rainf: found 9.96921e+36 kg m-2 s-1 at point 2, 2020-06-01T03:00, expected")
    np.testing.assert_array_equal(land.flagged, [False, True, False, False])
    np.testing.assert_array_equal(land.state[1], before[1])
    np.testing.assert_array_equal(land.state[[0, 2, 3]], same.state[[0, 2, 3]])
    run(land, 6, 7)
    assert not land.flagged.any()


def test_what_is_far_from_the_training_data_is_warned_of_once_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    land = HOST.component(MODEL, MASK)
    with caplog.at_level(logging.WARNING, LOGGER):
        run(land, 19, met_rainf=lambda v: v * 1000.0)
    texts = [text for text in warnings(caplog) if text.startswith("met_rainf")]
    assert len(texts) == 1
    assert "far outside the training range of 0 to 0.00460923; expected" in texts[0]
    assert "g m-2 s-1" in texts[0]
    (sentence,) = [text for text in land.range_sentences if text.startswith("met_rainf")]
    assert "above 0.00460923 kg m-2 s-1 of 12 values" in sentence


def test_usual_weather_is_not_talked_of(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, LOGGER):
        land = HOST.component(MODEL, MASK)
        run(land, 6)
    assert warnings(caplog) == []
    assert land.range_sentences == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"latitude": np.full(7, 120.0)},
            "latitude: found 120 at point 0 and 3 more .*expected -90 to 90 degrees north",
        ),
        ({"longitude": np.full(7, 361.0)}, "longitude: found 361 at point 0 .*expected -180 to 360 degrees east"),
        ({"units": {"met_tair": "degC"}}, "met_tair: found the unit 'degC', expected 'K'"),
        ({"units": {"met_swdown": "J m-2"}}, "met_swdown: unit 'J m-2' is an amount accumulated"),
        ({"prescribed": {"lai_hv": 2.0, "lai_lv": 1.0, "met_ctpf": 30.0}}, "met_ctpf: found 30 .*may be %"),
        ({"background_albedo": HOST.field(20.0)}, "background albedo: found 20 at point 0 .*expected 0 to 1"),
        ({"host_step": 300.0}, "host_step: found '300.0', expected a length of time .*timedelta"),
        ({"host_step": np.timedelta64(300)}, "host_step: found '300 generic time units'"),
        ({"start": 5.0}, "start: found 5.0, expected a time"),
        ({"state_time": "yesterday"}, "state_time: found 'yesterday', expected a time"),
        ({"host_dtype": "foo"}, "host_dtype: found foo, expected float32 or float64"),
        ({"horizontal": "Cell"}, "horizontal: found 'Cell', expected one or two GT4Py dimensions"),
        ({"ocean_value": "nan"}, "ocean_value: found 'nan', expected a number"),
        ({"derivatives": "no"}, "derivatives: found 'no', expected True or False"),
        ({"reference_height": "10 m"}, "reference_height: found '10 m', expected a number"),
        ({"prescribed": ["lai_hv"]}, "prescribed: found list, expected values by name"),
        ({"prescribed": {"lai_hv": True}}, "lai_hv: found bool, expected a NumPy or CuPy array"),
    ],
)
def test_bad_arguments_are_named(options: dict[str, Any], message: str) -> None:
    if "latitude" in options or "longitude" in options:
        host = Host(MASK.shape)
        host.latitude, host.longitude = (options.get(name, getattr(host, name)) for name in ("latitude", "longitude"))
        options = {}
    else:
        host = HOST
    with pytest.raises(InputError, match=message):
        host.component(MODEL, MASK, **options)


@pytest.mark.parametrize(
    ("group", "name", "value", "message"),
    [
        ("static", "clim_tvh", 5.37, r"clim_tvh: found 5.37 at point 0 .*a type, a whole number from 0 to 20"),
        ("static", "clim_tvl", 21.0, "clim_tvl: found 21 at point 0 .*a whole number from 0 to 20"),
        ("static", "clim_ctype", 3.5, "clim_ctype: found 3.5 at point 0 .*a type, a whole number"),
        ("static", "clim_cvh", 60.0, "clim_cvh: found 60 at point 0 .*may be %"),
        ("initial_state", "stl1", 15.0, r"stl1: found 15 at point 0 .*expected 156.5 to 378.5 K .*degC"),
        ("initial_state", "snowc", 55.0, "snowc: found 55 at point 0 .*may be %"),
        ("initial_state", "sd", 1e36, r"sd: found 1e\+36 at point 0"),
    ],
)
def test_ground_that_cannot_be_is_named(
    group: str, name: str, value: float, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    surface = HOST.surface(MODEL)
    surface[group][name] = HOST.field(value)
    monkeypatch.setattr(Host, "surface", lambda *_: surface)
    with pytest.raises(InputError, match=message):
        HOST.component(MODEL, MASK)


def test_locations_in_radians_are_suspected(caplog: pytest.LogCaptureFixture) -> None:
    host, word = Host(MASK.shape), "may be radians"
    with caplog.at_level(logging.WARNING, LOGGER):
        host.component(MODEL, MASK)
        assert word not in caplog.text
        host.latitude, host.longitude = np.deg2rad(host.latitude), np.deg2rad(host.longitude)
        host.component(MODEL, MASK)
    assert word in caplog.text


def test_units_are_those_meant() -> None:
    HOST.component(MODEL, MASK, units={"met_swdown": "W/m2", "met_qair": "kg/kg", "met_rainf": "mm s-1"})


@pytest.mark.parametrize(
    ("start", "step"),
    [
        (datetime.datetime(2020, 6, 1), datetime.timedelta(hours=1)),
        (pd.Timestamp("2020-06-01"), pd.Timedelta("1h")),
        ("2020-06-01T00:00", "3600s"),
        (START.astype("datetime64[h]"), np.timedelta64(60, "m")),
        (datetime.datetime(2020, 6, 1, 2, tzinfo=datetime.timezone(datetime.timedelta(hours=2))), "1h"),
    ],
)
def test_times_of_python_pandas_numpy_and_as_text_are_taken(start: Any, step: Any) -> None:
    land, same = HOST.component(MODEL, MASK, start=start, host_step=step), HOST.component(MODEL, MASK)
    assert land.time == START
    run(same, 7)
    for hour in range(7):
        moment = start if hour == 0 else (START + hour * HOUR).astype("datetime64[us]").item()
        land(HOST.weather(START + hour * HOUR), moment)
    np.testing.assert_array_equal(land.state, same.state)
    with pytest.raises(InputError, match="time: found 7, expected a time"):
        land(HOST.weather(START), 7)


def test_the_sun_of_the_year_1_is_that_of_the_year_2001() -> None:
    """The Gregorian calendar repeats itself after 400 years; nanoseconds end in 1678 and 2262."""
    states = []
    for year in ("0001", "2001", "4001"):
        start = np.datetime64(f"{year}-06-01", "h")
        land = HOST.component(MODEL, MASK, start=start)
        for hour in range(7):
            land(HOST.weather(START + hour * HOUR), start + hour)
        states.append(land.state)
        assert str(land.time) == f"{year}-06-01T07:00:00.000000"
    np.testing.assert_array_equal(states[0], states[1])
    np.testing.assert_array_equal(states[2], states[1])


def test_parameters_and_first_guesses_follow_from_types_as_for_files(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    surface = HOST.surface(MODEL)
    types = {name: np.resize(values, MASK.shape) for name, values in {"h": [3, 5, 18, 6], "l": [1, 7, 2]}.items()}
    soil = np.resize([1, 2, 3, 6], MASK.shape)
    static, state = surface["static"], surface["initial_state"]
    static |= {f"clim_tv{kind}": HOST.field(values) for kind, values in types.items()}
    for name, quantity in (("cap", "field_capacity"), ("pwp", "wilting_point"), ("sat", "saturation")):
        static[f"clim_theta_{name}"] = HOST.field(soil_tables.soil_values(quantity, soil))
    for name, quantity in (("cov", "coverage"), ("z0m", "roughness"), ("rsmin", "stomatal_resistance")):
        for kind, values in types.items():
            static[f"clim_veg_{name}{kind}"] = HOST.field(soil_tables.vegetation_values(quantity, values))
    air = HOST.weather(START)["met_tair"]
    state |= {"stl4": 2.0 * state["stl3"] - state["stl2"], "swvl4": state["swvl3"], "src": HOST.field(0.0)}
    state |= {"tsn": snow.temperature(state["sd"], state["stl1"], air), "rsn": snow.density(state["sd"])}
    monkeypatch.setattr(Host, "surface", lambda *_: surface)
    whole = HOST.component(MODEL, MASK)
    derived = [name for name in static if name.startswith(("clim_theta", "clim_veg_"))]
    surface = {
        "static": {name: field for name, field in static.items() if name not in derived},
        "initial_state": {name: field for name, field in state.items() if name not in ("stl4", "swvl4", "src", "tsn")},
    }
    surface["static"]["clim_sotype"], surface["initial_state"]["met_tair"] = HOST.field(soil), air
    with caplog.at_level(logging.INFO, LOGGER):
        land = HOST.component(MODEL, MASK)
    for found, expected in ((land._columns.static, whole._columns.static), (land.state, whole.state)):
        np.testing.assert_allclose(found, expected, rtol=1e-13)
    assert "Not given by the host, derived from clim_sotype by ecLand's van Genuchten parameters" in caplog.text
    assert "first guess from swvl3 by taking the third layer's: swvl4" in caplog.text
    del surface["static"]["clim_sotype"]
    with pytest.raises(InputError, match="clim_theta_cap: found no such static input, expected .* or clim_sotype"):
        HOST.component(MODEL, MASK)


def test_what_a_soil_conducts_follows_from_its_type_or_its_water_contents(caplog: pytest.LogCaptureFixture) -> None:
    ksat = CATALOGUE["clim_log_ksat"].variable(Normalisation("mean-std", mean=-13.0, std=1.0))
    others = [variable for variable in MODEL.static if variable.name != ksat.name]
    sizes = MODEL.sizes._replace(static=len(others) + 1)
    parameters = random_parameters("simple", sizes, np.random.default_rng(3), width=6, depth=2)
    model = dataclasses.replace(MODEL, static=(*others, ksat), parameters=parameters)
    surface = HOST.surface(MODEL)
    del surface["static"][ksat.name], surface["static"]["clim_connectivity"]
    soil = np.resize([1, 2, 3, 6], MASK.shape)
    for name, quantity in (("cap", "field_capacity"), ("pwp", "wilting_point"), ("sat", "saturation")):
        surface["static"][f"clim_theta_{name}"] = HOST.field(soil_tables.soil_values(quantity, soil))
    expected = soil_tables.soil_values("log_conductivity", soil)[MASK]
    with pytest.MonkeyPatch.context() as patch, caplog.at_level(logging.INFO, LOGGER):
        patch.setattr(Host, "surface", lambda *_: surface)
        nearest = HOST.component(model, MASK)
        surface["static"]["clim_sotype"] = HOST.field(np.where(soil == 1, 5, soil))
        by_type = HOST.component(model, MASK)
    np.testing.assert_allclose(nearest._columns.static[:, -1], expected, rtol=1e-12)
    np.testing.assert_allclose(
        by_type._columns.static[:, -1], np.where(soil[MASK] == 1, np.log(1.74e-6), expected), rtol=1e-12
    )
    assert (
        "first guess from clim_theta_sat and clim_theta_cap and clim_theta_pwp by taking the soil type" in caplog.text
    )


@pytest.mark.parametrize("group", [0, 1])
def test_a_result_that_is_not_finite_never_enters_the_state(group: int, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Emulator.step

    def step(emulator: Emulator, *arguments: Any, out: Any) -> Any:
        result = real(emulator, *arguments, out=out)
        out[group][2, 0] = np.inf
        return result

    name = (MODEL.state, MODEL.diagnostics)[group][0].name
    lands = [HOST.component(MODEL, MASK, not_finite=mode) for mode in ("raise", "flag")]
    before = lands[0].state.copy()
    for land in lands:
        run(land, 6)
        land.accumulate(HOST.weather(START + 6 * HOUR), START + 6 * HOUR)
    monkeypatch.setattr(Emulator, "step", step)
    for _ in range(2):
        with pytest.raises(RunError, match=f"result '{name}': found a number that is not finite at point 3"):
            lands[0].advance(START + 6 * HOUR)
    np.testing.assert_array_equal(lands[0].state, before)
    lands[1].advance(START + 6 * HOUR)
    np.testing.assert_array_equal(lands[1].flagged, [False, False, True, False])
    np.testing.assert_array_equal(lands[1].state[2], before[2])
    assert np.isfinite(lands[1].state).all()
    assert np.isfinite(lands[1].diagnostics).all()


def contents(land: LandComponent) -> list[bytes]:
    """All that a component remembers."""
    memory = land._content(None).memory
    return [np.array(array).tobytes() for array in memory.values()] + [json.dumps(land._clock.as_dict()).encode()]


@pytest.mark.parametrize(
    ("name", "message"),
    [("latitude", "other latitude"), ("longitude", "other longitude"), ("phase", "other static fields")],
)
def test_a_restart_of_another_rank_is_refused(name: str, message: str, tmp_path: Path) -> None:
    other = Host(MASK.shape)
    setattr(other, name, getattr(other, name) + 0.5)
    other.component(MODEL, MASK).write_restart(tmp_path / "land.nc")
    land = HOST.component(MODEL, MASK)
    before = contents(land)
    with pytest.raises(InputError, match=f"has {message}, expected those of this component"):
        land.restore(tmp_path / "land.nc")
    assert contents(land) == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"background_albedo": HOST.field(0.3)}, "has other background albedo"),
        ({"reference_height": 40.0}, "reference height: found '40 m', expected '10 m'"),
    ],
)
def test_a_restart_of_a_run_with_other_outputs_is_refused(
    options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    own = {"background_albedo": HOST.field(0.2), "reference_height": 10.0}
    HOST.component(MODEL, MASK, **(own | options)).write_restart(tmp_path / "land.nc")
    with pytest.raises(InputError, match=message):
        HOST.component(MODEL, MASK, **own).restore(tmp_path / "land.nc")


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("rain", [1.0], "host memory 'rain': found list, expected a NumPy"),
        ("rain", np.zeros(2, np.float16), "host memory 'rain': found the type float16, expected bool"),
        ("rain", np.zeros(2, complex), "host memory 'rain': found the type complex128"),
        ("rain", np.zeros(2, ">f8"), "host memory 'rain': found the type >f8"),
        ("time", np.zeros(1, "datetime64[us]"), r"host memory 'time': found the type datetime64\[us\].*microseconds"),
        ("a/b", np.zeros(2), "host memory: found the name 'a/b'"),
    ],
)
def test_host_memory_that_a_file_does_not_hold_is_refused_before_it_is_written(
    name: str, values: Any, message: str, tmp_path: Path
) -> None:
    land = HOST.component(MODEL, MASK)
    with pytest.raises(InputError, match=message):
        land.write_restart(tmp_path / "land.nc", {name: values})
    assert not any(tmp_path.iterdir())


def test_host_memory_is_restored_whole_or_nothing_is(tmp_path: Path) -> None:
    path, land = tmp_path / "land.nc", HOST.component(MODEL, MASK)
    run(land, 8)
    kept = {"rain": np.arange(3.0), "is_wet": np.array([True, False])}
    land.write_restart(path, kept)
    new = HOST.component(MODEL, MASK)
    before = contents(new)
    read_only = np.zeros(3)
    read_only.flags.writeable = False
    for given, message in (
        (None, "has host memory 'rain', which would be lost"),
        ({"rain": read_only, "is_wet": np.zeros(2, bool)}, "'host_rain': found a read-only array"),
    ):
        with pytest.raises(InputError, match=message):
            new.restore(path, given)
        assert contents(new) == before
    found = {name: np.zeros_like(values) for name, values in kept.items()}
    new.restore(path, found)
    assert contents(new) == contents(land)
    for name, values in kept.items():
        np.testing.assert_array_equal(found[name], values)


def test_fields_without_effect_are_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    leaves = {name: value for name, value in PRESCRIBED.items() if name != "albedo_background"}
    land = HOST.component(MODEL, MASK, prescribed=leaves)
    more = {"lai_hv": HOST.field(5.0), "albedo_backgruond": HOST.field(0.5)}
    with caplog.at_level(logging.WARNING, LOGGER):
        for hour in range(2):
            land(HOST.weather(START + hour * HOUR) | more, START + hour * HOUR)
    told = [record.getMessage() for record in caplog.records]
    assert [text.split(":")[0] for text in told] == ["lai_hv", "albedo_backgruond"]
    assert "albedo_background would be, and is guessed" in told[1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"clock": "{}"}, "clock"),
        ({"clock": '{"next_time": 1e400}'}, "clock"),
        ({"clock": f'{{"next_time": {2**70}}}'}, "clock"),
        ({"clock": "[]"}, "clock"),
        ({"window_start": -HOUR}, "expected a time in a window of 6 samples"),
        ({"n_samples": 7}, "expected a time in a window of 6 samples"),
        ({"is_full": 2}, "expected a time in a window of 6 samples"),
        ({"n_windows": None}, "clock: found .*expected .*n_windows"),
        ({"state": np.nan}, "'state': found a number that is not finite"),
    ],
)
def test_a_restart_that_cannot_be_changes_nothing(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    """A file whose digest is right, as an attacker or another version makes it."""
    path = tmp_path / "land.nc"
    land = HOST.component(MODEL, MASK)
    run(land, 8)
    land.write_restart(path)
    data = xr.load_dataset(path, engine="netcdf4", decode_cf=False)
    del data.attrs["digest"]
    ((name, value),) = change.items()
    clock = json.loads(data.attrs["clock"])
    if name == "state":
        data["state"].values[1, 2] = value
    elif name == "clock":
        data.attrs["clock"] = value
    else:
        if value is None:
            del clock[name]
        else:
            clock[name] = int(value.astype("timedelta64[us]").astype(int)) if name == "window_start" else value
        data.attrs["clock"] = json.dumps(clock)
    path.unlink()
    write_sealed(path, data, "writing")
    run(land, 1, 8)
    before = contents(land)
    with pytest.raises(InputError, match=f"land.nc: .*{message}"):
        land.restore(path)
    assert contents(land) == before


def test_a_flipped_bit_is_never_read_as_other_numbers(tmp_path: Path) -> None:
    path = tmp_path / "land.nc"
    land, other = HOST.component(MODEL, MASK), HOST.component(MODEL, MASK)
    run(land, 8)
    land.write_restart(path)
    right, untouched, whole = contents(land), contents(other), path.read_bytes()
    rng = np.random.default_rng(4)
    n_refused = 0
    for position in rng.integers(0, 8 * len(whole), 40):
        damaged = bytearray(whole)
        damaged[position // 8] ^= 1 << position % 8
        path.write_bytes(damaged)
        try:
            other.restore(path)
        except InputError:
            n_refused += 1
            assert contents(other) == untouched
        else:
            assert contents(other) == right
            other = HOST.component(MODEL, MASK)
    assert n_refused > 0
