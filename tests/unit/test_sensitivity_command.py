"""``ailand jacobian``: derivatives in the file are those of the step, masks, means, figures, and what is refused."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from ailand_gt4py.cli import jacobian as command
from ailand_gt4py.cli import main as cli
from ailand_gt4py.cli.options import parse
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.times import parse_interval, whole_steps
from ailand_gt4py.emulator.emulator import Emulator
from ailand_gt4py.evaluation.figures.style import units_text
from ailand_gt4py.io.period import read_period
from ailand_gt4py.sensitivity import derivatives, figure, masks, quantities, report
from ailand_gt4py.weights.model_file import write_model
from helpers import Bench, small_dataset, small_model

N_TIMES = 12
STEP = np.timedelta64(6, "h")


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("sensitivity"), n_times=N_TIMES)


def call(bench: Bench, *words: object) -> int:
    own = ["jacobian", bench.forcing, "--model", bench.model, "--backend", "embedded", "--quiet"]
    return cli.main([str(word) for word in (*own, *words)])


@pytest.fixture(scope="module")
def made(bench: Bench) -> Path:
    words = ["--precision", "float64", "--every", "12h", "--outputs", "swvl1,rsn,e,ssr", "--at", "-50,-100"]
    words += ["--inputs", "swvl1,rsn,met_rainf,met_snowf,met_swdown,met_qair,met_tair_before,clim_theta_cap,lai_hv"]
    assert call(bench, *words, "-o", bench.path / "out.nc", "--plot", bench.path / "figure.png") == 0
    return bench.path / "out.nc"


# ------------------------------------------------------------------------------------------------------- the values


def test_values_are_finite_differences_of_the_step(bench: Bench, made: Path) -> None:
    model = small_model()
    period = read_period(bench.forcing, model, np.dtype("f8"), states_for="here")
    data, found = small_dataset(N_TIMES), xr.open_dataset(made)
    assert np.array_equal(found.time.values, data.time.values[::2])
    names = [v.name for v in (*model.static, *model.forcing, *model.state)]
    sizes = np.cumsum([len(model.static), len(model.forcing)])
    emulator = Emulator(model, 3, "embedded", "float64")
    for output in ("swvl1", "e"):
        for by, size in (("swvl1", 1e-6), ("met_rainf", 1e-9), ("met_qair", 1e-8), ("met_tair_before", 1e-4)):
            values = found[f"d_{output}_d_{by}"].values
            for row in (0, 4):
                step = 2 * row
                state = np.stack([data[v.name].values[step] for v in model.state], axis=1).astype(np.float64)
                inputs = np.concatenate([period.static, period.forcing[step], state], axis=1)
                results = []
                for sign in (1.0, -1.0):
                    moved = inputs.copy()
                    moved[:, names.index(by)] += sign * size
                    parts = [np.ascontiguousarray(part) for part in np.split(moved, sizes, axis=1)]
                    new_state, diagnostics = emulator.step(*parts)
                    own = [v.name for v in (*model.state, *model.diagnostics)].index(output)
                    results.append(np.concatenate([new_state, diagnostics], axis=1)[:, own])
                expected = (results[0] - results[1]) / (2.0 * size)
                known = np.isfinite(values[row])
                np.testing.assert_allclose(values[row][known], expected[known], rtol=2e-4, atol=1e-9)


def test_file_says_what_is_in_it(made: Path) -> None:
    found = xr.open_dataset(made)
    assert found.attrs["Conventions"].startswith("CF-")
    assert "jacobian" in found.attrs["history"]
    variable = found["d_swvl1_d_met_rainf"]
    assert variable.attrs["units"] == "m3 m-3 / (kg m-2 s-1)"
    assert variable.dims == ("time", "x")
    assert found["d_e_d_lai_hv"].attrs["units"] == "kg m-2 s-1 / (m2 m-2)"
    assert "mean over the step" in found["d_e_d_swvl1"].attrs["long_name"]
    assert "logarithm" in found["d_e_d_met_qair"].attrs["comment"]
    assert not found["outside_training_range"].values.all()
    assert found["lat"].attrs["standard_name"] == "latitude"
    assert list(made.parent.glob("*.partial")) == []
    assert (made.parent / "figure.png").read_bytes().startswith(b"\x89PNG")


def test_means_by_season_and_hemisphere_are_those_of_the_values(made: Path) -> None:
    found = xr.open_dataset(made)["d_swvl1_d_swvl1"].values
    by_season = xr.open_dataset(made, group="by_season")
    assert by_season.season.values.tolist() == ["DJF", "MAM", "JJA", "SON"]
    np.testing.assert_allclose(by_season["d_swvl1_d_swvl1"].values[0], found.mean(axis=0), rtol=1e-12)
    assert np.isnan(by_season["d_swvl1_d_swvl1"].values[1:]).all()
    halves = xr.open_dataset(made, group="by_hemisphere")
    # Latitudes are -50, 7.5 and 65 degrees.
    expected = [found[:, 1:].mean(), found[:, :1].mean()]
    np.testing.assert_allclose(halves["d_swvl1_d_swvl1"].values[:, 0], expected, rtol=1e-12)


def test_composites_of_a_year() -> None:
    times = np.datetime64("2021-01-15", "ns") + np.arange(12) * np.timedelta64(30, "D")
    values = np.arange(24.0).reshape(12, 2)
    values[0, 0] = np.nan
    seasons = report.by_season(values, times)
    months = times.astype("datetime64[M]").astype(int) % 12 + 1
    assert seasons[2, 0] == values[np.isin(months, (6, 7, 8)), 0].mean()
    assert seasons[0, 0] == values[np.isin(months, (12, 1, 2)), 0][1:].mean()
    halves = report.by_hemisphere(values, times, np.array([0.0, -0.1]))
    np.testing.assert_array_equal(halves, seasons.T)


def test_run_starts_from_the_file_and_leaves_it(bench: Bench) -> None:
    model = small_model()
    period = read_period(bench.forcing, model, np.dtype("f4"), states_for="here")
    steps = np.arange(0, period.n_steps, 3)
    of_file = period.states[steps]
    done: list[int] = []
    of_run = derivatives.states_of_run(Emulator(model, 3, "embedded"), period, steps, done.append)
    assert done == list(range(1, 11))
    np.testing.assert_array_equal(of_run[0], of_file[0])
    emulator = Emulator(model, period.n_columns, "embedded")
    state = period.initial_state
    for step in range(3):
        state, _ = emulator.step(period.static, period.forcing[step], state)
    np.testing.assert_array_equal(of_run[1], state)
    assert (of_run[1] != of_file[1]).any()


def test_blocks_do_not_change_the_values(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    model = small_model()
    period = read_period(bench.forcing, model, np.dtype("f8"), states_for="here")
    steps = np.arange(period.n_steps)
    states = period.states[steps]
    chosen = quantities.choose_outputs(model, "stl1,skt"), quantities.choose_inputs(model, "stl1,met_tair")

    def make_emulator(n_columns: int) -> Emulator:
        return Emulator(model, n_columns, "embedded", "float64")

    whole = derivatives.derivatives(make_emulator, period, steps, states, *chosen)
    monkeypatch.setattr(derivatives, "BLOCK_COLUMNS", 15)  # 5 points at once, 12 in all
    parts = derivatives.derivatives(make_emulator, period, steps, states, *chosen)
    np.testing.assert_allclose(parts.values, whole.values, rtol=1e-12)
    np.testing.assert_array_equal(parts.outside, whole.outside)
    np.testing.assert_allclose(
        whole.normalised(0, 1),
        whole.values[0, 1] * model.forcing[7].normalisation.std / model.state[3].normalisation.std,
    )
    assert model.forcing[7].name == "met_tair"


# --------------------------------------------------------------------------------------------------------- the masks


def masked(output: str, by: str, **changes: float) -> bool:
    """Whether a derivative is left out in a column with snow, sun, cold rain and vegetation, but for the changes."""
    model = small_model()
    values = {v.name: 0.5 for v in (*model.static, *model.forcing, *model.state)}
    values |= {"met_tair": 272.0, "met_tair_before": 272.0, "sd": 0.1, "new_sd": 0.1} | changes
    names = {group: [v.name for v in getattr(model, group)] for group in ("static", "forcing", "state")}
    arrays = [np.array([[values[name] for name in names[group]]]) for group in ("static", "forcing", "state")]
    new_state = arrays[2].copy()
    new_state[0, names["state"].index("sd")] = values["new_sd"]
    chosen = quantities.choose_outputs(model, output), quantities.choose_inputs(model, by)
    of_output, of_input = masks.meaningful(*chosen, model, *arrays, new_state)
    return not (of_output[0, 0] and of_input[0, 0])


@pytest.mark.parametrize(
    ("output", "by", "changes"),
    [
        ("stl1", "rsn", {"sd": 0.0}),
        ("stl1", "snowc", {"sd": 0.0}),
        ("tsn", "stl1", {"new_sd": 0.0}),
        ("sd", "met_snowf", {"sd": 0.0, "new_sd": 0.0}),
        ("stl1", "met_swdown", {"met_swdown": 0.0}),
        ("stl1", "met_swdown_before", {"met_swdown_before": 0.0}),
        ("ssr", "stl1", {"met_swdown": 0.0}),
        ("swvl1", "met_snowf", {"met_tair": 280.0}),
        ("swvl1", "met_rainf", {"met_tair": 260.0}),
        ("swvl1", "met_rainf_before", {"met_tair_before": 260.0}),
        ("e", "lai_hv", {"clim_cvh": 0.0}),
        ("e", "clim_veg_rsminl", {"clim_cvl": 0.0}),
    ],
)
def test_derivatives_without_a_meaning_are_left_out(output: str, by: str, changes: dict[str, float]) -> None:
    assert masked(output, by, **changes)
    assert not masked(output, by)


def test_rules_hold_for_what_they_name_only() -> None:
    nothing = {"sd": 0.0, "new_sd": 0.0, "met_swdown": 0.0, "met_tair": 290.0, "clim_cvh": 0.0}
    for output, by in (("swvl1", "swvl1"), ("stl1", "met_lwdown"), ("e", "lai_lv"), ("swvl1", "met_rainf")):
        assert not masked(output, by, **nothing)
    assert not masked("sd", "met_snowf", sd=0.0)  # snow that has just fallen
    assert not masked("swvl1", "met_rainf", met_tair_before=200.0)


def test_snow_is_read_off_its_cover_where_a_model_has_no_amount_of_it() -> None:
    cover = np.array([0.0, 0.2])
    found = masks.has_snow(lambda name: cover if name == "snowc" else None)
    assert found is not None
    assert found.tolist() == [False, True]
    assert masks.has_snow(lambda name: None) is None


# ------------------------------------------------------------------------------------------------ tables and figures


def some_derivatives(n_points: int = 30, n_columns: int = 9) -> derivatives.Derivatives:
    """Random ones, the first pair three times as strong as all others."""
    model, random = small_model(), np.random.default_rng(0)
    outputs, inputs = quantities.choose_outputs(model, "stl2,skt"), quantities.choose_inputs(model, "stl3,met_psurf")
    values = random.uniform(0.0, 1.0, (2, 2, n_points, n_columns))
    spread = np.stack([np.full((n_points, n_columns), one.spread) for one in inputs])
    for output, one in enumerate(outputs):
        for by, other in enumerate(inputs):
            values[output, by] *= (3.0 if output == by == 0 else 1.0) * one.spread / other.spread
    values[1, 1, :, 4] = np.nan
    times = np.datetime64("2021-01-01", "ns") + np.arange(n_points) * np.timedelta64(12, "D")
    positions = np.linspace(-50.0, 60.0, n_columns)
    outside = np.zeros((n_points, n_columns), dtype=bool)
    return derivatives.Derivatives(
        tuple(outputs), tuple(inputs), times, positions, 2.0 * positions, values, spread, outside
    )


def test_summary_of_a_pair() -> None:
    found = some_derivatives()
    row = report.pair_summary(found, 1, 1)
    values = np.delete(found.values[1, 1], 4, axis=1)
    assert row.count == values.size
    assert row.mean == pytest.approx(values.mean())
    assert (row.low, row.high) == pytest.approx(tuple(np.quantile(values, (0.05, 0.95))))
    assert row.positive == 1.0
    assert row.normalised == pytest.approx(0.5, abs=0.05)
    assert row.units == "K / (Pa)"
    rows = report.strongest(found, 1)
    assert (rows[0].output, rows[0].by) == ("stl2", "stl3")
    assert "stl2" in report.table(rows)


def test_figure_of_pairs_that_are_not_the_usual_ones_has_maps_for_many_columns() -> None:
    found = some_derivatives()
    pairs = figure.shown_pairs(found)
    assert pairs[0] == (0, 0)
    assert len(pairs) == 4
    drawn = figure.draw(found, (0.0, 0.0))
    assert len(drawn.subfigs) == 3
    few = dataclasses.replace(
        found, latitude=found.latitude[:3], longitude=found.longitude[:3], values=found.values[..., :3],
        input_spread=found.input_spread[..., :3], outside=found.outside[..., :3],
    )  # fmt: skip
    assert len(figure.draw(few, None).subfigs) == 2


def test_running_mean_counts_what_is_there() -> None:
    times = np.datetime64("2021-01-01", "ns") + np.arange(5) * np.timedelta64(1, "D")
    found = figure.running_mean(times, np.array([1.0, np.nan, 3.0, 8.0, np.nan]), 2.0)
    np.testing.assert_allclose(found, [1.0, 2.0, 5.5, 5.5, 8.0])


def test_units_of_figures_are_raised() -> None:
    assert units_text("W m-2 / (K)") == "W m$^{-2}$ / (K)"
    assert units_text("1 / (K)") == "1 / (K)"
    assert quantities.units_of_derivative("K", "1") == "K"


# ------------------------------------------------------------------------------------------------- the period's data


def test_period_has_the_previous_window_its_start(bench: Bench) -> None:
    model, data = small_model(), small_dataset(N_TIMES)
    whole = read_period(bench.forcing, model, np.dtype("f8"), states_for="here")
    later = read_period(bench.forcing, model, np.dtype("f8"), data.time.values[3], data.time.values[7])
    assert (later.n_steps, later.n_columns) == (4, 3)
    np.testing.assert_array_equal(later.forcing, whole.forcing[3:7])
    before = [v.name for v in model.forcing].index("met_tair_before")
    np.testing.assert_allclose(later.forcing[0, :, before], data.met_tair.values[2])
    np.testing.assert_allclose(whole.forcing[0, :, before], data.met_tair.values[0])
    np.testing.assert_allclose(later.initial_state[:, 0], data[model.state[0].name].values[3])
    assert later.ends[-1] == data.time.values[7]


# --------------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--outputs", "swvl9"], "option --outputs: found 'swvl9', expected some of state, diagnostics, swvl1"),
        (["--outputs", "skt,skt"], "option --outputs: found 'skt' more than once"),
        (["--inputs", "clim_tvh"], "option --inputs: 'clim_tvh' is the number of a class, expected a quantity"),
        (["--every", "7h"], "option --every: found 7 h, expected a multiple of the model's step of 6 h"),
        (["--every", "soon"], "option --every: found 'soon', expected a length of time such as 6h"),
        (["-o", "out.zarr"], "option --output: found 'out.zarr', expected a file name that ends in .nc"),
        (["-o", "nowhere/out.nc"], "nowhere/out.nc: cannot be written: 'nowhere' is no directory"),
        (["--plot", "figure.jpg"], "option --plot: found 'figure.jpg', expected a file name that ends in .png"),
        (["--at", "51,5"], "option --at is given without --plot"),
        (["--at", "95,5", "--plot", "figure.png"], "option --at: found '95,5', expected LAT,LON in degrees"),
        (["--precision", "half"], "option --precision: found 'half'"),
        (["--backend", "dace_gpu"], "option --backend: found 'dace_gpu', expected 'embedded' or 'dace_cpu'"),
        (["--start", "2031-01-01"], "start: found 2031-01-01T00:00"),
    ],
)
def test_options_that_are_refused(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, words, message
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call(bench, *words) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_file_without_a_state_cannot_be_followed_but_run(bench: Bench, tmp_path: Path, capsys) -> None:
    data = small_dataset(N_TIMES)
    data["stl2"][5, 1] = np.nan
    data.to_netcdf(tmp_path / "forcing.nc")
    write_model(small_model(), tmp_path / "model.nc")
    words = ["jacobian", tmp_path / "forcing.nc", "--model", tmp_path / "model.nc", "--backend", "embedded", "--quiet"]
    words += ["--outputs", "stl2", "--inputs", "stl2"]
    assert cli.main([str(word) for word in words]) == 2
    assert "variable 'stl2' is missing at 2021-01-02T06:00 in column 1 (x = 101)" in capsys.readouterr().err
    assert cli.main([str(word) for word in (*words, "--trajectory", "run")]) == 0


def test_too_many_derivatives_are_refused(monkeypatch: pytest.MonkeyPatch, bench: Bench, capsys) -> None:
    monkeypatch.setattr(derivatives, "LARGEST_BYTES", 1000)
    assert call(bench) == 2
    assert "ask for fewer outputs, inputs or times" in capsys.readouterr().err


def test_intervals() -> None:
    texts = ("6h", "30h", "1d", "0.5d")
    assert [whole_steps(parse_interval(text), STEP, "--every") for text in texts] == [1, 5, 4, 2]
    with pytest.raises(InputError, match="--every: found 7 h, expected a multiple"):
        whole_steps(parse_interval("7h"), STEP, "--every")
    with pytest.raises(InputError, match="found '', expected a length of time"):
        parse_interval("")


def test_default_inputs_are_weather_state_and_two_of_the_soil() -> None:
    names = [one.name for one in quantities.choose_inputs(small_model(), None)]
    assert names[0] == "swvl1"
    assert names[-2:] == ["clim_theta_cap", "clim_theta_pwp"]
    assert "met_tair_before" in names
    assert "time_of_day_cos" not in names
    assert "clim_tvh" not in [one.name for one in quantities.choose_inputs(small_model(), "static")]
    assert [one.name for one in quantities.choose_inputs(small_model(), "cos_solar_zenith_angle")] == [
        "cos_solar_zenith_angle"
    ]


def test_options_of_the_command_have_the_documented_defaults() -> None:
    found = parse(command.Options, ["file.nc"])
    assert (found.every, found.trajectory, found.backend) == (parse_interval("30h"), "file", "dace_cpu")
