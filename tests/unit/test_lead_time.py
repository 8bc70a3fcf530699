"""Baselines on analytic series, and the alignment of lead-time scores with an emulator whose answers are known."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from ailand_gt4py.cli import evaluate as command
from ailand_gt4py.cli.options import parse
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.files import whole_file
from ailand_gt4py.evaluation import runs
from ailand_gt4py.evaluation.columns import VerificationColumns, read_columns
from ailand_gt4py.evaluation.report import report
from ailand_gt4py.evaluation.scores import climatology, lead_time
from ailand_gt4py.evaluation.scores.moments import rmse
from ailand_gt4py.weights.model import Model, Variable

DAY = np.timedelta64(1, "D")
HOUR = np.timedelta64(1, "h")


def _days(first: str, count: int, step: np.timedelta64 = DAY) -> np.ndarray:
    return np.datetime64(first, "ns") + np.arange(count) * step


# ------------------------------------------------------------------------------------------------------ baselines


def test_day_of_year_and_leap_days():
    times = np.array(["2020-01-01", "2020-02-29", "2020-12-31", "2021-12-31", "2021-03-01"], dtype="datetime64[ns]")
    assert climatology.day_of_year(times).tolist() == [0, 59, 364, 364, 59]
    assert climatology.calendar_year(times).astype("datetime64[Y]").astype(int).tolist() == [50, 50, 50, 51, 51]


def test_climatology_of_a_yearly_cycle_is_the_cycle():
    times = _days("2021-01-01", 730)
    cycle = np.sin(2 * np.pi * climatology.day_of_year(times) / 365)[:, None] * [1.0, 3.0]
    assert np.allclose(climatology.day_of_year_climatology(cycle, times, 1), cycle)
    smoothed = climatology.day_of_year_climatology(cycle, times, 31)
    damping = np.mean(np.cos(2 * np.pi * np.arange(-15, 16) / 365))
    assert np.allclose(smoothed, damping * cycle)


def test_climatology_without_the_verified_year():
    """Three years at 1, 2 and 6: all years give 3, the other years 4, 3.5 and 1.5."""
    times = _days("2021-01-01", 3 * 365)
    values = np.repeat([1.0, 2.0, 6.0], 365)[:, None]
    assert np.allclose(climatology.day_of_year_climatology(values, times, 31), 3.0)
    others = climatology.day_of_year_climatology(values, times, 31, leave_year_out=True)
    assert np.allclose(others[:, 0], np.repeat([4.0, 3.5, 1.5], 365))


def test_climatology_by_time_of_day():
    times = _days("2021-01-01", 8 * 365, 6 * HOUR)
    values = np.tile([1.0, 2.0, 3.0, 4.0], 730)
    assert np.allclose(climatology.day_of_year_climatology(values, times, 31), 2.5)
    assert np.allclose(climatology.day_of_year_climatology(values, times, 31, by_time_of_day=True), values)


@given(st.integers(0, 200), st.sampled_from([1, 3, 31]))
def test_climatology_is_the_mean_over_the_window(start, window):
    """Against a direct sum, over a period that does not begin with a year."""
    times = _days("2020-03-05", 400) + np.timedelta64(start, "D")
    values = np.random.default_rng(start).normal(size=(400, 1))
    found = climatology.day_of_year_climatology(values, times, window)
    days = climatology.day_of_year(times)
    distance = np.abs((days[:, None] - days[None] + 182) % 365 - 182)
    near = distance <= window // 2
    assert np.allclose(found[:, 0], (near @ values[:, 0]) / near.sum(axis=1))


@pytest.mark.parametrize("window", [0, 2, 366, 367])
def test_bad_windows(window):
    with pytest.raises(InputError, match=f"window is {window} days"):
        climatology.day_of_year_climatology(np.zeros((2, 1)), _days("2021-01-01", 2), window)


def test_one_year_has_no_other():
    with pytest.raises(InputError, match="1 year found, expected at least 2"):
        climatology.day_of_year_climatology(np.zeros((9, 1)), _days("2021-01-01", 9), 1, leave_year_out=True)


def test_rmse():
    assert rmse(np.array([[3.0, 0.0], [4.0, 0.0]]), axis=0).tolist() == [pytest.approx(12.5**0.5), 0.0]


# ----------------------------------------------------------------------------------------------- lead-time scores


def counting_model() -> Model:
    """A model whose state s becomes s + forcing, and whose two diagnostics are the new state.

    With layers of width 2, layer normalisation of (u, -u) gives the sign of u, so the increment cannot come from the
    trunk; instead the forcing is constant and the increment is the prognostic bias.
    """
    parameters = {
        "trunk.0.weight": np.zeros((2, 3)),
        "trunk.0.bias": np.zeros(2),
        "trunk.0.gain": np.ones(2),
        "trunk.0.offset": np.zeros(2),
        "prognostic.0.weight": np.zeros((1, 2)),
        "prognostic.0.bias": np.ones(1),
        "diagnostic.0.weight": np.zeros((2, 3)),
        "diagnostic.0.bias": np.zeros(2),
        "diagnostic.0.gain": np.ones(2),
        "diagnostic.0.offset": np.zeros(2),
        "diagnostic.1.weight": np.zeros((2, 2)),
        "diagnostic.1.bias": np.array([5.0, 7.0]),
    }
    return Model(
        architecture="layer_norm",
        static=(Variable("a", "1", time_meaning="static"),),
        forcing=(Variable("f", "1"),),
        state=(Variable("s", "K", time_meaning="window start"),),
        diagnostics=(Variable("end", "K", time_meaning="window end"), Variable("mean", "W m-2")),
        parameters=parameters,
        step_seconds=21600.0,
    )


def counting_columns(n_times: int = 60) -> VerificationColumns:
    """The truth: the state counts labels in each column from another number; diagnostics are their label's index."""
    labels = np.arange(n_times, dtype=np.float64)
    state = labels[:, None, None] + np.array([0.0, 10.0, -3.0])[:, None]
    diagnostics = np.broadcast_to(labels[:, None, None], (n_times, 3, 2)).copy()
    return VerificationColumns(
        times=_days("2021-01-01", n_times, 6 * HOUR),
        static=np.zeros((3, 1)),
        forcing=np.zeros((n_times, 3, 1)),
        state=state,
        diagnostics=diagnostics,
    )


@pytest.fixture(scope="module")
def scored():
    model, columns, how = counting_model(), counting_columns(), ("embedded", "float64")
    leads = runs.lead_steps(model, (1, 2, 5))
    from_starts = runs.run_from_starts(model, columns, leads, 4, *how)
    done = runs.Runs(model, columns, leads, from_starts, runs.run_free(model, columns, *how))
    return [score for variable in lead_time.variable_studies(done, window_days=1) for score in variable.curve]


def test_state_is_compared_at_the_end_of_the_last_window(scored):
    """The model is exact; one label off, its error would be 1."""
    states = [score for score in scored if score.variable == "s"]
    assert [score.lead_days for score in states] == [1.0, 2.0, 5.0]
    for score in states:
        assert score.rmse == pytest.approx(0.0, abs=1e-9)
        assert score.bias == pytest.approx(0.0, abs=1e-9)
        assert score.persistence == pytest.approx(4.0 * score.lead_days)
        assert score.climatology == pytest.approx(0.0, abs=1e-9)
        assert np.isnan(score.climatology_other_years)


def test_diagnostics_are_compared_with_their_windows_label(scored):
    """The model says 5 and 7 always; from a start s the truth is s + lead, for the mean one label less."""
    starts = runs.start_labels(60, 20, 4)
    for score in scored:
        steps = round(score.lead_days * 4)
        if score.variable == "end":
            assert score.bias == pytest.approx(np.mean(5.0 - (starts + steps)))
        if score.variable == "mean":
            assert score.bias == pytest.approx(np.mean(7.0 - (starts + steps - 1)))
        if score.variable != "s":
            assert score.persistence == pytest.approx(steps), (
                "persistence is of the previous window, at the same distance"
            )


def test_free_run(scored):
    scores = lead_time.free_run_scores(
        counting_model(), counting_columns(), window_days=1, backend="embedded", precision="float64"
    )
    state, end, mean = scores
    assert state.rmse == pytest.approx(0.0, abs=1e-9)
    assert state.rmse_by_year == (pytest.approx(0.0, abs=1e-9),)
    assert (state.lowest, state.highest) == (-2.0, 69.0)
    assert (state.truth_lowest, state.truth_highest) == (-3.0, 69.0)
    assert end.bias == pytest.approx(5.0 - np.mean(np.arange(1, 60)))
    assert mean.bias == pytest.approx(7.0 - np.mean(np.arange(0, 59)))


def test_starts_and_leads():
    assert runs.start_labels(60, 20, 4).tolist() == [1, 14, 26, 39]
    assert runs.start_labels(22, 20, 4).tolist() == [1]
    with pytest.raises(InputError, match="21 times, expected at least 22"):
        runs.start_labels(21, 20, 4)
    assert runs.lead_steps(counting_model(), [2, 0.25]).tolist() == [1, 8]
    for wrong in (0.3, 0.0):
        with pytest.raises(InputError, match=f"lead {wrong} days"):
            runs.lead_steps(counting_model(), [1, wrong])


def test_verdict_needs_both_baselines():
    score = lead_time.LeadScore("s", "K", 1.0, 1.0, 0.0, 2.0, 2.0, 3.0)
    change = dataclasses.replace
    assert score.verdict == "yes"
    assert change(score, climatology=1.0).verdict == "other years"
    assert change(score, climatology=1.0, climatology_other_years=1.0).verdict == "no"
    assert change(score, climatology=1.0, climatology_other_years=float("nan")).verdict == "no"
    assert change(score, persistence=1.0).verdict == "no"


# ------------------------------------------------------------------------------------------------------- reports


def test_reports(scored):
    free_run = lead_time.free_run_scores(counting_model(), counting_columns(), 1, "embedded", "float64")
    text = report.text_report(scored, free_run)
    assert len([line for line in text.splitlines() if line.startswith("end ")]) == 4
    content = json.loads(report.file_report(".json", scored, free_run))
    assert len(content["lead_time"]) == 9
    assert len(content["free_run"]) == 3
    rows = report.file_report(".csv", scored, free_run).splitlines()
    assert rows[0].startswith("variable,units,lead_days,rmse")
    assert len(rows) == 10
    assert report.file_report(".md", scored, free_run).count("\n|---|") == 2


def _run(*words):
    options = parse(command.Options, [str(word) for word in words])
    with options.claimed():
        command.run(options)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--leads", "1,x"], "option --leads: found '1,x', expected numbers"),
        (["--leads", "-1"], "option --leads: found -1, expected more than 0"),
        (["--starts", "0"], "option --starts: found 0"),
        (["--precision", "half"], "option --precision: found 'half'"),
        (["-o", "a.txt"], "option --output: found 'a.txt', expected a file name that ends in .html"),
        (["-o", "nowhere/a.md"], "nowhere/a.md: cannot be written"),
        (["--model", "none.nc"], "none.nc"),
    ],
)
def test_command_names_what_is_wrong(tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        _run("data.nc", *words)


def test_a_report_that_cannot_be_written_leaves_nothing(tmp_path):
    (tmp_path / "taken.md").mkdir()
    refused = pytest.raises(InputError, match=r"taken\.md: exists and is a directory")
    with refused, whole_file(tmp_path / "taken.md", "writing the report") as temporary:
        temporary.write_text("text")
    assert [path.name for path in tmp_path.iterdir()] == ["taken.md"]


# --------------------------------------------------------------------------------------------- reading and command


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A small data file and an untrained network as a model file."""
    torch = pytest.importorskip("torch", reason="makes its model with PyTorch")
    torch.set_num_threads(1)
    from training_files import write_columns

    from ailand_gt4py.training import scaling
    from ailand_gt4py.training.configuration import Network
    from ailand_gt4py.training.dataset import read_windows
    from ailand_gt4py.training.models import to_model
    from ailand_gt4py.training.network import LayerNormNetwork
    from ailand_gt4py.weights.model_file import write_model
    from ailand_gt4py.weights.variables import DEFAULT

    directory = tmp_path_factory.mktemp("trained")
    path = write_columns(directory / "data.nc", n_columns=3, n_times=40)
    data = read_windows([path], DEFAULT)
    measured = scaling.measure(data, DEFAULT)
    sizes = Network(width=4, depth=1, diagnostic_width=4, diagnostic_depth=1)
    network = LayerNormNetwork(sizes, measured, seed=1)
    write_model(to_model(network, measured, data.step_seconds, {}), directory / "model.nc")
    return path, directory / "model.nc", data


def test_columns_are_those_that_training_reads(trained):
    from ailand_gt4py.weights.model_file import read_model

    path, model_path, data = trained
    columns = read_columns(path, read_model(model_path), np.dtype("float32"))
    (block,) = data.blocks()
    assert np.allclose(columns.forcing[:-1], block.forcing.transpose(1, 0, 2), rtol=1e-5, atol=1e-5)
    assert np.allclose(columns.state, block.state.transpose(1, 0, 2), rtol=1e-6)
    assert np.allclose(columns.static, data.static)
    ends, means = columns.diagnostics[1:, :, :3], columns.diagnostics[:-1, :, 3:]
    assert np.allclose(np.concatenate([ends, means], axis=2), block.diagnostics.transpose(1, 0, 2))


def test_a_state_that_may_be_lacking_is_guessed_at_each_label(trained, tmp_path):
    from ailand_gt4py.weights.model_file import read_model

    path, model_path, _ = trained
    model = read_model(model_path)
    with xr.open_dataset(path) as data:
        data.drop_vars("asn").to_netcdf(tmp_path / "lacking.nc")
    with pytest.raises(InputError, match=r"lacking\.nc.*asn"):
        read_columns(tmp_path / "lacking.nc", model, np.dtype("float32"))
    found = read_columns(tmp_path / "lacking.nc", model, np.dtype("float32"), may_lack=("asn",))
    whole = read_columns(path, model, np.dtype("float32"), may_lack=("asn",))
    asn = [variable.name for variable in model.state].index("asn")
    bare = found.state[:, :, [variable.name for variable in model.state].index("sd")] == 0.0
    np.testing.assert_array_equal(found.state[..., asn], np.where(bare, np.float32(0.85), np.float32(0.675)))
    assert (found.absent, whole.absent) == ({"asn": "not there"}, {})
    np.testing.assert_array_equal(np.delete(found.state, asn, axis=2), np.delete(whole.state, asn, axis=2))
    np.testing.assert_array_equal(found.diagnostics, whole.diagnostics)
    assert np.isfinite(whole.state).all()


def test_command_prints_and_writes_the_tables(trained, tmp_path, capsys):
    path, model_path, _ = trained
    words = (
        "--model",
        model_path,
        "--leads",
        "1,3",
        "--starts",
        "2",
        "--backend",
        "embedded",
        "-o",
        tmp_path / "t.json",
    )
    _run(path, *words)
    printed = capsys.readouterr().out
    assert "Skill by lead time" in printed
    assert "Free run" in printed
    assert "slhf" in printed
    content = json.loads((tmp_path / "t.json").read_text())
    by_name = {(score["variable"], score["lead_days"]): score for score in content["lead_time"]}
    for name in ("swvl1", "stl3", "snowc"):
        score = by_name[name, 3.0]
        assert score["rmse"] == pytest.approx(score["persistence"], rel=1e-3), "the untrained network is persistence"
