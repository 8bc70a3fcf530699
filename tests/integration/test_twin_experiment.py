"""Twin experiments: on a linear land, where the filter must find the truth, and the command on the example file."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from linear_land import LinearLand, land_model, make_columns

from ailand_gt4py.assimilation import twin_scores
from ailand_gt4py.assimilation.settings import Errors, Limits, Screening
from ailand_gt4py.assimilation.twin import AssimilationSettings, Twin, TwinResult, is_observed
from ailand_gt4py.assimilation.window import REASONS, run_window
from ailand_gt4py.cli import main as cli
from ailand_gt4py.core.errors import InputError
from helpers import Bench

EXAMPLE = Path(__file__).parents[2] / "examples" / "column_run" / "ecland_columns.nc"
MODEL = land_model()
#: The land is the model: no error of its own, and none of the emulator.
PERFECT = Errors(
    emulator=dict.fromkeys(("t2m", "rh2m", "ssm", "tbh", "tbv"), 0.0),
    model=dict.fromkeys(("swvl1", "swvl2", "swvl3", "stl1"), 1e-4),
)
SETTINGS = AssimilationSettings(
    days=12.0,
    initial_error=0.05,
    errors=PERFECT,
    screening=Screening(largest_departure=5.0),
    limits=Limits(plant_range_from=4.0),
)


def run(settings: AssimilationSettings = SETTINGS, n_columns: int = 30) -> TwinResult:
    columns = make_columns(n_columns, 60)
    return Twin(MODEL, columns, settings, LinearLand).run()


@pytest.fixture(scope="module")
def result() -> TwinResult:
    return run()


def test_on_a_perfect_linear_land_the_filter_finds_the_truth(result: TwinResult) -> None:
    scores = twin_scores.score(result)
    root_zone = scores.score("root zone", "snow-free")
    assert root_zone.n_columns == 30
    assert root_zone.ratio < 0.5
    assert root_zone.analysis < root_zone.background
    # And it knows how well: believed spread and departures fit the errors.
    assert scores.chi_square == pytest.approx(1.0, abs=0.05)
    truth, found = (twin_scores.soil_water(result, states) for states in (result.truth, result.background))
    starts = slice(result.steps_per_window, None, result.steps_per_window)
    errors = found[starts, :, :3] - truth[starts, :, :3]
    believed = np.stack([window.background_spread for window in result.windows[1:]])
    assert (errors / believed).std() == pytest.approx(1.0, abs=0.15)
    for name, (first, analysed, last, _) in scores.spread.items():
        assert first > analysed > last, name
    for observable in scores.consistency:
        assert observable.observation_error == pytest.approx(observable.believed_observation_error, rel=0.1)


def test_runs_stand_at_their_labels(result: TwinResult) -> None:
    """The open loop is the plain run; a window's analysis ends where the next background begins."""
    columns = make_columns(30, 60)
    emulator = LinearLand(MODEL, 30)
    plain = run_window(emulator, columns.static, columns.forcing[:48], result.open_loop[0]).states
    np.testing.assert_array_equal(result.open_loop, plain[:48])
    np.testing.assert_array_equal(result.truth, columns.state[:48])
    assert not np.array_equal(result.open_loop[0], result.truth[0])
    per_window = result.steps_per_window
    for number in range(1, len(result.windows)):
        begin = number * per_window
        before = result.windows[number - 1].analysis.states[-1]
        np.testing.assert_array_equal(result.background[begin], before)
        np.testing.assert_allclose(
            result.analysis[begin, :, :3] - result.background[begin, :, :3],
            result.windows[number].increment,
            atol=1e-12,
        )


def test_observations_are_the_truth_with_noise_of_their_size(result: TwinResult) -> None:
    columns = make_columns(30, 60)
    noise: dict[str, list[np.ndarray]] = {"t2m": [], "ssm": []}
    for number, schedule in enumerate(result.schedules):
        for position, name in enumerate(schedule.names):
            label = number * result.steps_per_window + schedule.steps[position]
            if name in noise:
                truth = columns.diagnostics[label, :, 0] if name == "t2m" else columns.state[label, :, 0]
                noise[name].append(result.observations[number][:, position] - truth)
    for name, size in (("t2m", 1.0), ("ssm", 0.05)):
        values = np.stack(noise[name])
        assert values.std() == pytest.approx(size, rel=0.08)
        assert abs(values.mean()) < 0.1 * size
    assert (len(noise["t2m"]), len(noise["ssm"])) == (48, 24)


def test_seeds_make_the_noise_and_other_observations_do_not_change_it(result: TwinResult) -> None:
    same, other = run(), run(SETTINGS.replace(seed=2))
    np.testing.assert_array_equal(same.analysis, result.analysis)
    assert not np.array_equal(other.open_loop, result.open_loop)
    fewer = run(SETTINGS.replace(observe=("ssm",)))
    np.testing.assert_array_equal(fewer.open_loop, result.open_loop)
    own = [position for position, name in enumerate(result.schedules[0].names) if name == "ssm"]
    whole = result.observations[0][:, own]
    np.testing.assert_array_equal(fewer.observations[0], whole)


@pytest.mark.parametrize("jacobian", ["adjoint", "finite-differences"])
def test_all_ways_to_the_jacobian_find_about_the_same(jacobian: str, result: TwinResult) -> None:
    found = run(SETTINGS.replace(jacobian=jacobian))
    tolerance = 1e-9 if jacobian == "adjoint" else 3e-3
    np.testing.assert_allclose(found.analysis[..., :3], result.analysis[..., :3], atol=tolerance)


def test_the_ensemble_finds_the_truth_about_as_well(result: TwinResult) -> None:
    found = run(SETTINGS.replace(method="etkf", members=40, relaxation=0.0))
    ratios = [twin_scores.score(each).score("root zone", "all").ratio for each in (found, result)]
    assert ratios[0] < 1.3 * ratios[1]


def test_cycled_errors_do_better_than_constant_ones(result: TwinResult) -> None:
    constant = run(SETTINGS.replace(errors=PERFECT.replace(covariance="constant")))
    ratios = [twin_scores.score(each).score("root zone", "all").ratio for each in (result, constant)]
    assert ratios[0] < ratios[1] < 1.0


def test_without_weather_errors_the_weather_is_that_of_the_file() -> None:
    columns = make_columns(4, 60)
    right = Twin(MODEL, columns, SETTINGS, LinearLand)
    np.testing.assert_array_equal(right.forcing, columns.forcing[:48])
    assert right.forcing.shape == (48, 4, 1)


def test_how_often_something_is_observed() -> None:
    seen = {kind: [step for step in range(1, 13) if is_observed(kind, step, 21_600.0)] for kind in ("t2m", "ssm", "tb")}
    assert seen == {"t2m": list(range(1, 13)), "ssm": [1, 3, 5, 7, 9, 11], "tb": [1, 9]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"days": 100.0}, "has 61 times from the start on, expected at least 401"),
        ({"days": 1.5}, "length of the experiment: found 1.5 days, expected a multiple of the window of 24 h"),
        ({"window_hours": 5.0}, "option --window-hours: found 5 h, expected a multiple of the model's step of 6 h"),
        ({"observe": ("t2m", "lai")}, "option 'observe': found 'lai', expected some of rh2m, .*t2m, ssm, tb"),
        ({"observe": ()}, r"option 'observe': found \(\), expected some of .*t2m"),
        ({"control": ("swvl4",)}, "option 'control': found 'swvl4', expected some of swvl1, swvl2, swvl3, stl1"),
        ({"control": ("swvl1", "swvl1")}, "option 'control': found .*each once"),
        ({"observe": ("ssm", "ssm")}, "each once"),
        ({"days": -1.0}, "option 'days': found -1, expected more than 0"),
        ({"initial_error": -0.1}, "option 'initial_error': found -0.1, expected at least 0"),
        (
            {"observe": ("tb",)},
            "found no clay fraction of the columns, expected clim_sotype, or one of all columns",
        ),
    ],
)
def test_experiments_that_cannot_be_made_are_refused(change: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        run(SETTINGS.replace(**change))


def command(*arguments: object) -> int:
    return cli.main(["assimilate", *map(str, arguments), "--backend", "embedded"])


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The command on the example with the model that ships and all observations: its folder, and what it printed."""
    folder, printed = tmp_path_factory.mktemp("twin"), io.StringIO()
    options = ("--start", "2021-06-01", "--days", 2, "--observations", "t2m,rh2m,ssm,tb", "--quiet")
    with contextlib.redirect_stdout(printed):
        status = command(EXAMPLE, *options, "-o", folder / "out.nc", "--plot", folder / "figure.png")
    assert status == 0
    return folder, printed.getvalue()


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[object, ...]:
    """Arguments for a small random network on a small random file."""
    bench = Bench(tmp_path_factory.mktemp("small"), n_times=12)
    return (bench.forcing, "--model", bench.model)


def test_command_prints_tables(finished: tuple[Path, str]) -> None:
    _, printed = finished
    assert "SEKF (tangent-linear, cycled background error), 2 days from 2021-06-01T00:00" in printed
    rows = [line.split() for line in printed.splitlines() if line.startswith("  root zone")]
    assert [row[2] for row in rows] == ["snow-free", "all"]
    assert [line.split()[0] for line in printed.splitlines()[-5:]] == ["t2m", "rh2m", "ssm", "tbh", "tbv"]


def test_command_writes_cf(finished: tuple[Path, str]) -> None:
    folder, printed = finished
    assert sorted(path.name for path in folder.iterdir()) == ["figure.png", "out.nc"]
    assert (folder / "figure.png").stat().st_size > 20_000
    with xr.open_dataset(folder / "out.nc") as data:
        data.load()
    assert data.attrs["Conventions"] == "CF-1.11"
    assert "ailand assimilate" in data.attrs["history"]
    assert json.loads(data.attrs["settings"])["observe"] == ["t2m", "rh2m", "ssm", "tb"]
    assert data.sizes == {"time": 8, "observation_time": 8, "window": 2, "x": 5}
    for name, field in data.data_vars.items():
        assert field.attrs["long_name"], name
        assert field.attrs.get("units") or field.attrs["standard_name"] == "quality_flag", name
        assert {"lat", "lon"} <= set(field.coords), name
    with xr.open_dataset(EXAMPLE) as example:
        truth = example["swvl1"].sel(time=data["time"]).values
    np.testing.assert_array_equal(data["truth_swvl1"].values, truth)
    error = [data[run].values - data["truth_root_zone"].values for run in ("open_loop_root_zone", "analysis_root_zone")]
    ratio = np.sqrt((error[1] ** 2).mean() / (error[0] ** 2).mean())
    row = next(line.split() for line in printed.splitlines() if line.startswith("  root zone") and " all " in line)
    assert ratio == pytest.approx(float(row[-1]), abs=2e-3)


def test_observations_in_the_file_are_where_and_when_they_were_made(finished: tuple[Path, str]) -> None:
    with xr.open_dataset(finished[0] / "out.nc") as data:
        data.load()
    step = np.timedelta64(6, "h")
    np.testing.assert_array_equal(data["observation_time"].values, data["time"].values + step)
    assert np.isfinite(data["observation_t2m"].values).all()
    assert np.isfinite(data["observation_ssm"].values[::2]).all()
    assert np.isnan(data["observation_ssm"].values[1::2]).all()
    flags = data["rejected_ssm"]
    assert (flags.values[1::2] == REASONS["missing"]).all()
    assert flags.attrs["flag_meanings"].split() == list(REASONS)
    np.testing.assert_array_equal(np.isnan(data["observation_tbh"].values).all(axis=1), np.arange(8) != 0)
    seen = data["observation_tbh"].values[0]
    assert ((seen > 150.0) & (seen < 320.0)).all()
    departures = data["departure_t2m"].values
    with xr.open_dataset(EXAMPLE) as example:
        truth = example["t2m"].sel(time=data["observation_time"].values).values
    # One kelvin of noise, and the emulator's own error.
    assert 0.5 < (data["observation_t2m"].values - truth).std() < 1.6
    assert np.abs(departures).mean() < 6.0


def test_ensemble_and_options_of_the_command(small: tuple, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    arguments = ("--method", "etkf", "--members", 4, "--days", 1, "--window-hours", 12, "--weather-error", 0.5)
    assert command(*small, *arguments, "--set", "errors.observation.ssm=0.02", "-o", tmp_path / "out.nc") == 0
    printed = capsys.readouterr()
    assert "ETKF (4 members), 1 days from" in printed.out
    assert "100.0 %  4/4 steps, at 2021-01-02T00:00" in printed.err
    with xr.open_dataset(tmp_path / "out.nc") as data:
        settings = json.loads(data.attrs["settings"])
        assert data.sizes["window"] == 2
    assert settings["errors"]["observation"]["ssm"] == 0.02
    assert settings["weather_error"] == 0.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("--start", "2019-01-01"),
            "start: found 2019-01-01T00:00; ",
        ),
        (("--start", "soon"), "option --start: found 'soon', expected a time"),
        (
            ("--observations", "lai"),
            "option --observations: found 'lai', expected files that there are, 'same', or kinds",
        ),
        (("--precision", "bf16"), "option --precision: found 'bf16'"),
        (("-o", "out.txt"), "option --output: found 'out.txt', expected a file name that ends in .nc"),
        (
            ("-o", "/nowhere/out.nc"),
            "/nowhere/out.nc: cannot be written: '/nowhere' is no directory, expected an existing one",
        ),
        (("--plot", "figure.xyz"), "option --plot: found 'figure.xyz', expected a file name that ends in .png"),
        (("--clay", "3"), "option --clay: found 3, expected at most 1"),
        (("--set", "errors.nothing=1"), "option 'errors.nothing' is unknown; expected one of observation, emulator"),
        (("--config", "nowhere.yaml"), "nowhere.yaml: cannot be read: No such file"),
        (("--control", "swvl4"), "option --control: found 'swvl4', expected some of swvl1, swvl2, swvl3, stl1"),
        (("--members", "1"), "option --members: found 1, expected at least 2"),
        (("--days", "3"), "has 12 times from the start on, expected at least 13"),
        (("--observations", "tb"), "variable 'clim_sotype' is missing, from which the clay fraction follows"),
        (("--method", "3dvar"), "option --method: found '3dvar', expected 'sekf' or 'etkf'"),
    ],
)
def test_wrong_usage_is_one_line_and_a_status(
    small: tuple, arguments: tuple, message: str, capsys: pytest.CaptureFixture
) -> None:
    assert command(*small, *arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error


def test_a_device_that_is_not_the_hosts_is_refused(small: tuple, capsys: pytest.CaptureFixture) -> None:
    assert cli.main(["assimilate", *map(str, small), "--backend", "dace_gpu"]) == 2
    assert "option --backend: found 'dace_gpu', expected 'embedded' or 'dace_cpu'" in capsys.readouterr().err


def test_the_emulators_adjoint_assimilates_as_its_tangent_linear(small: tuple, tmp_path: Path) -> None:
    options = ("--days", 1, "--precision", "float64", "--quiet")
    for way in ("adjoint", "tangent-linear"):
        assert command(*small, *options, "--jacobian", way, "-o", tmp_path / f"{way}.nc") == 0
    with xr.open_dataset(tmp_path / "adjoint.nc") as found, xr.open_dataset(tmp_path / "tangent-linear.nc") as expected:
        np.testing.assert_allclose(found["increment_swvl3"].values, expected["increment_swvl3"].values, atol=1e-6)
