"""First guesses of the state of the climate in a file: of what a site lacks, and of all of it where asked for."""

from __future__ import annotations

from pathlib import Path

import era5_files
import numpy as np
import pytest
import xarray as xr
from column_files import FORCING_UNITS, STATE_UNITS, STATIC_UNITS, write

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.types import Values
from ailand_gt4py.ecland.soil_tables import LAYER_MIDDLES, soil_values
from ailand_gt4py.io import blocks
from ailand_gt4py.io.column_file import ColumnFile
from ailand_gt4py.io.first_guess import FIRST_GUESSES, FROM_CLIMATE, wave_below
from ailand_gt4py.io.request import Columns, InitialState, Reading
from ailand_gt4py.io.sources import ColumnSource, open_source
from ailand_gt4py.weights.variables import DEFAULT

MODEL = DEFAULT.template(21_600.0)
NAMES = [one.name for one in MODEL.state]
YEAR = 4 * 365
#: Of the cells of a grid: soil, mean and amplitude of the air's temperature, part of what could evaporate that falls.
SOIL = np.array([1.0, 2.0, 4.0, 6.0])
MEAN, AMPLITUDE = np.array([275.0, 280.0, 285.0, 290.0]), np.array([0.0, 5.0, 10.0, 15.0])
FALLS = np.array([0.1, 0.5, 1.0, 3.0])
GROUND = {"clim_ctype": 3.0, "clim_tvh": 3.0, "clim_tvl": 7.0, "clim_cvh": 0.4, "clim_cvl": 0.5, "clim_geopot": 100.0}


def phase(n_times: int = YEAR) -> Values:
    return 2.0 * np.pi * np.arange(n_times) / YEAR - 1.0


def weather(n_times: int = YEAR) -> xr.Dataset:
    """Weather and ground on a grid of 2 x 2 cells, without a state."""
    times = np.datetime64("2021-01-01", "ns") + np.arange(n_times) * np.timedelta64(6, "h")
    could = 0.6 * 20.0 / 2.5008e6
    values = dict.fromkeys(FORCING_UNITS, 0.5) | {
        "met_tair": MEAN + np.cos(phase(n_times))[:, np.newaxis] * AMPLITUDE,
        "met_swdown": 20.0,  # which may be by day and by night
        "met_rainf": 0.75 * could * FALLS,
        "met_snowf": 0.25 * could * FALLS,
        "met_psurf": 1e5,
        "met_qair": 0.003,
        "met_lwdown": 300.0,
    }
    data = xr.Dataset(
        coords={
            "time": times,
            "latitude": ("latitude", [10.0, 0.0], {"units": "degrees_north"}),
            "longitude": ("longitude", [0.0, 10.0], {"units": "degrees_east"}),
        }
    )
    for name, unit in FORCING_UNITS.items():
        full = np.broadcast_to(values[name], (n_times, 4)).reshape(n_times, 2, 2).astype(np.float32)
        method = "time: mean" if name.startswith("met_") else "time: point"
        data[name] = (("time", "latitude", "longitude"), full, {"units": unit, "cell_methods": method})
    for name in STATIC_UNITS.keys() - {one for one in STATIC_UNITS if one.startswith(("clim_theta", "clim_veg"))}:
        full = np.full((2, 2), GROUND.get(name, 0.0))
        data[name] = (("latitude", "longitude"), full, {"units": STATIC_UNITS[name]})
    data["clim_sotype"] = (("latitude", "longitude"), SOIL.reshape(2, 2), {"units": "1"})
    return data


def opened(data: xr.Dataset | Path, initial_state: InitialState = "guess", **options: str) -> ColumnSource:
    return open_source(data, MODEL, initial_state=initial_state, **options)  # type: ignore[arg-type]


def states(data: xr.Dataset | Path, initial_state: InitialState = "guess", **options: str) -> dict[str, Values]:
    with opened(data, initial_state, **options) as source:
        assert source.initial_state is not None
        return dict(zip(NAMES, source.initial_state.T, strict=True))


def water(part: Values) -> Values:
    dry, moist = (soil_values(one, SOIL.astype(np.int64)) for one in ("wilting_point", "field_capacity"))
    return dry + part * (moist - dry)


def test_each_cell_of_a_grid_has_the_guess_of_its_climate() -> None:
    found = states(weather())
    for layer, depth in enumerate(LAYER_MIDDLES, start=1):
        expected = MEAN + (AMPLITUDE * np.exp(-1j) * wave_below(depth)).real
        np.testing.assert_allclose(found[f"stl{layer}"], expected, atol=1e-3)
        np.testing.assert_allclose(found[f"swvl{layer}"], water(np.minimum(FALLS, 1.0)), rtol=1e-5)
    bare = {"sd": 0.0, "snowc": 0.0, "rsn": 100.0, "tsn": 273.16, "asn": 0.85, "src": 0.0}
    for name, value in bare.items():
        np.testing.assert_array_equal(found[name], value)


def test_a_guess_is_that_of_the_season_of_the_start() -> None:
    found = states(weather(2 * YEAR), start="2021-07-01")
    turn = np.exp(1j * phase()[4 * 181])
    np.testing.assert_allclose(found["stl4"], MEAN + (AMPLITUDE * turn * wave_below(LAYER_MIDDLES[3])).real, atol=1e-3)


def test_a_column_without_a_whole_year_has_the_mean_of_the_first_month() -> None:
    data = weather(YEAR + 40)
    data["met_tair"].values[YEAR - 1, 0, 1] = np.nan
    whole, found = states(weather(YEAR + 40)), states(data, end="2021-02-01")
    np.testing.assert_array_equal(found["stl2"][[0, 2, 3]], whole["stl2"][[0, 2, 3]])
    month = data["met_tair"].values[:120, 0, 1].astype(np.float64).mean()
    assert found["stl2"][1] == pytest.approx(month)


def test_less_than_a_year_gives_the_mean_of_the_first_month() -> None:
    data = weather(400)
    air = np.concatenate([np.full(120, 275.0), np.full(280, 295.0)]).astype(np.float32)
    data["met_tair"].values[...] = air[:, np.newaxis, np.newaxis]
    found = states(data)
    for layer in range(1, 5):
        np.testing.assert_allclose(found[f"stl{layer}"], 275.0)
    np.testing.assert_allclose(found["swvl3"], water(np.minimum(FALLS, 1.0)), rtol=1e-5)


def test_a_state_that_a_file_has_is_taken_only_where_it_is_asked_for() -> None:
    data = weather(8)
    for name in NAMES:
        value = 0.3 if name.startswith("swvl") else 271.0 if name.startswith(("stl", "tsn")) else 0.6
        unit = {**STATE_UNITS, "sd": "m", "rsn": "kg m-3", "src": "kg m-2"}.get(name, "K" if value > 1.0 else "1")
        unit = "m3 m-3" if name.startswith("swvl") else unit
        value = 200.0 if name == "rsn" else value
        data[name] = (("time", "latitude", "longitude"), np.full((8, 2, 2), value), {"units": unit})
    np.testing.assert_allclose(states(data, "file")["swvl2"], 0.3)
    with opened(data) as source:
        assert source.initial_state is not None
        np.testing.assert_allclose(source.initial_state[:, NAMES.index("swvl2")], water(np.minimum(FALLS, 1.0)))
        np.testing.assert_allclose(source.initial_state[:, NAMES.index("sd")], 0.0)
        history = "\n".join(source.history)
    asked = "State at the start, as asked for, whatever the file has, first guess"
    assert f"{asked} from the mean of met_tair by taking that of the first 30 days" in history
    assert f"{asked} by assuming no snow: snowc, sd." in history
    assert "--spin-up N" in history


def test_a_state_that_is_missing_is_refused_naming_the_option() -> None:
    with pytest.raises(InputError, match="'swvl1'.*'stl3'.*expected in the file, or --initial-state guess"):
        opened(weather(8), "file")
    with pytest.raises(InputError, match=r"cannot be derived: 'met_tair'; expected in the file$"):
        opened(weather(8).drop_vars("met_tair"))


def test_soil_type_and_lakes_are_guessed_with_the_state() -> None:
    bare = weather(8).drop_vars(("clim_sotype", "clim_clake", "clim_sdor"))
    with opened(bare) as source:
        names = [one.name for one in MODEL.static]
        capacity = source.static[:, names.index("clim_theta_cap")]
        np.testing.assert_allclose(capacity, soil_values("field_capacity", np.array([2]))[0])
        np.testing.assert_allclose(source.static[:, names.index("clim_clake")], 0.0)
    with pytest.raises(InputError, match="clim_theta_cap"):
        opened(bare, "file")
    # A part of a run, whose state at the start is elsewhere, has the same ground.
    with open_source(bare, MODEL, initial_state="none", reading=Reading(guesses_ground=True)) as source:
        np.testing.assert_array_equal(source.static[:, names.index("clim_theta_cap")], capacity)


def test_a_site_without_state_is_guessed_by_the_same_formulas(tmp_path: Path) -> None:
    cell = weather().isel(latitude=[0], longitude=[1])
    site = cell.assign(igbp_class=(("latitude", "longitude"), [[1.0]]), swvl1=cell["clim_sotype"] * 0.0 + 0.31)
    site["swvl1"].attrs["units"] = "m3 m-3"
    found, expected = states(site, "file"), states(cell)
    assert found["swvl1"][0] == pytest.approx(0.31)
    for name in set(NAMES) - {"swvl1"}:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-6, err_msg=name)
    with opened(site, "file") as source:
        history = "\n".join(source.history)
    assert "Not in the file, first guess from the annual wave of met_tair by mean and damped" in history


def test_snow_that_a_site_has_keeps_its_amount() -> None:
    cell = weather(8).isel(latitude=[0], longitude=[1])
    site = cell.assign(igbp_class=(("latitude", "longitude"), [[1.0]]), sd=cell["clim_sotype"] * 0.0 + 0.05)
    site["sd"].attrs["units"] = "m"
    found = states(site, "file")
    assert found["sd"][0] == pytest.approx(0.05)
    assert found["rsn"][0] == 250.0
    assert found["snowc"][0] == 1.0


def test_a_column_has_the_same_guess_alone_as_among_others() -> None:
    data = weather(YEAR + 3)
    data["met_tair"].values[...] += np.random.default_rng(1).normal(size=data["met_tair"].shape)
    whole = states(data)
    for part in ([2], [0, 1, 3]):
        reading = Reading(columns=Columns(np.array(part), part[0], 4))
        with open_source(data, MODEL, initial_state="guess", reading=reading) as source:
            assert source.initial_state is not None
            for name, values in zip(NAMES, source.initial_state.T, strict=True):
                np.testing.assert_array_equal(values, whole[name][part], err_msg=name)


def test_a_climate_is_read_block_by_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(weather(2 * YEAR), tmp_path / "two_years.nc")
    lengths = list[int]()
    read = ColumnFile.read

    def counted(self: ColumnFile, own: str, times: slice | None = None, columns: slice | None = None) -> Values:
        values = read(self, own, times, columns)
        lengths.append(len(values) if values.ndim == 2 else 1)
        return values

    monkeypatch.setattr(ColumnFile, "read", counted)
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 4096)
    monkeypatch.setattr("ailand_gt4py.io.opening.READ_BYTES", 4096)
    with open_source(path, MODEL, initial_state="guess", reading=Reading(block_bytes=4096)) as source:
        assert source.initial_state is not None
        found = source.initial_state[:, NAMES.index("stl1")]
    assert max(lengths) < 400
    np.testing.assert_allclose(found, states(weather())["stl1"], atol=1e-3)


def test_of_a_large_file_a_year_around_the_period_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(weather(2 * YEAR), tmp_path / "two_years.nc")
    period = {"start": "2022-11-01", "end": "2022-11-03"}
    expected = states(weather(2 * YEAR), **period)
    monkeypatch.setattr("ailand_gt4py.io.opening.READ_BYTES", 1024)
    monkeypatch.setattr("ailand_gt4py.io.opening.MOST_PARTS", 2)
    found = states(path, **period)
    for name in NAMES:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)
    with opened(path, **period) as source:
        assert len(source.labels) < 2 * YEAR
        assert any("annual wave" in line for line in source.history)


def test_every_state_of_the_default_model_has_a_guess() -> None:
    assert {one.name for one in MODEL.state} <= {*FROM_CLIMATE, *FIRST_GUESSES}


def test_era5_without_soil_begins_with_a_first_guess(tmp_path: Path) -> None:
    fields = {name: one for name, one in era5_files.era5(49).items() if name not in era5_files.STATE}
    paths = era5_files.cds_files(tmp_path, 49, fields)
    with open_source(paths, MODEL, initial_state="guess") as source:
        assert source.initial_state is not None
        state = dict(zip(NAMES, source.initial_state.T, strict=True))
        position = [one.name for one in MODEL.forcing if not one.derived].index("met_tair")
        air = source.forcing(0, 8)[..., position]
        assert source.n_columns == era5_files.N_CELLS - 1
    np.testing.assert_allclose(state["stl2"], air.mean(axis=0), rtol=1e-6)
    with pytest.raises(InputError, match="--initial-state guess"):
        open_source(paths, MODEL)
