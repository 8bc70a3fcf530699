"""``ailand evaluate`` of towers' own files, which have weather and fluxes and no states, and what is said of ranges."""

import dataclasses
import json
import re

import numpy as np
import pytest
import xarray as xr
from tower_files import FLUX, MET, plumber2, utc, weather

from ailand_gt4py.cli import column_run
from ailand_gt4py.cli import main as cli
from ailand_gt4py.evaluation import training_range
from ailand_gt4py.evaluation.columns import lacks_states, read_columns, weather_of
from ailand_gt4py.evaluation.runs import run_free
from ailand_gt4py.evaluation.towers.scores import TowerScore
from ailand_gt4py.io.sources import open_source
from ailand_gt4py.weights.model_file import write_model
from helpers import small_dataset, small_model

DAYS = 20
MODEL = small_model()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """PLUMBER2's pair of a site, and a model."""
    found = tmp_path_factory.mktemp("plumber2")
    plumber2(found / "Met.nc", MET, days=DAYS)
    plumber2(found / "Flux.nc", {"Qh": "h", "Qle": "le"}, days=DAYS)
    write_model(MODEL, found / "model.nc")
    return found


def evaluate(folder, *words):
    options = ["--model", folder / "model.nc", "--backend", "embedded", "--quiet", *words]
    return cli.main(["evaluate", str(folder / "Met.nc"), *map(str, options)])


def test_a_tower_without_states_is_compared_with_what_was_observed(folder, tmp_path, capsys):
    """The scores are those of ailand-column-run on the same file, by hand from half-hours, and of no ecLand."""
    outputs = [word for suffix in ("json", "md", "html", "png") for word in ("-o", tmp_path / f"out.{suffix}")]
    assert evaluate(folder, "--observations", folder / "Flux.nc", *outputs) == 0
    said = capsys.readouterr().out
    assert "No states in the files: only the free run is scored" in said
    content = json.loads((tmp_path / "out.json").read_text())
    assert set(content) == {"training_range", "observations"}
    scores = content["observations"]["scores"]
    assert {name: set(models) for name, models in scores.items()} == {"sshf": {"emulator"}, "slhf": {"emulator"}}
    words = ["--model", folder / "model.nc", "--backend", "embedded", "--quiet", "-o", tmp_path / "run.nc"]
    assert column_run.main([str(word) for word in (folder / "Met.nc", *words)]) == 0
    with xr.open_dataset(tmp_path / "run.nc") as run:
        run = run.load()
    half_hours = weather(utc(DAYS))
    for name, own in (("sshf", "h"), ("slhf", "le")):
        observed = -half_hours[own].reshape(-1, 12).mean(axis=1)
        assert (run.time.values == utc(DAYS)[::12]).all()
        # The last window's results are at a label without a following state, and so in no evaluation.
        expected = TowerScore.of(run[name].values.reshape(-1, 1)[:-1], observed[:-1, None])
        assert scores[name]["emulator"] == pytest.approx(expected._asdict(), rel=1e-4)
    page = (tmp_path / "out.html").read_text()
    assert "Against observations" in page
    assert "Training range" in page
    assert "Skill by lead time" not in page + (tmp_path / "out.md").read_text()
    assert (tmp_path / "out.png").stat().st_size > 10_000


def test_a_loop_begins_where_the_one_before_ended(folder, tmp_path, capsys):
    out = tmp_path / "out.json"
    assert evaluate(folder, "--observations", folder / "Flux.nc", "--spin-up", 1, "-o", out) == 0
    with open_source([folder / "Met.nc"], MODEL) as source:
        assert lacks_states(source)
        columns = weather_of(source, MODEL, np.dtype(np.float32))
    assert np.isnan(columns.state[1:]).all()
    ended = run_free(MODEL, columns, backend="embedded").results[-1][:, : len(MODEL.state)]
    begun = dataclasses.replace(columns, state=np.concatenate([ended[None], columns.state[1:]]))
    position = [one.name for one in (*MODEL.state, *MODEL.diagnostics)].index("sshf")
    run = run_free(MODEL, begun, backend="embedded").results[..., position]
    observed = -weather(utc(DAYS))["h"].reshape(-1, 12).mean(axis=1)[:-1, None]
    found = json.loads(out.read_text())["observations"]["scores"]["sshf"]["emulator"]
    assert found == pytest.approx(TowerScore.of(run, observed)._asdict(), rel=1e-4)


def test_benchmarks_learn_at_pairs_of_files(tmp_path, capsys):
    """A pattern is the files of one site; where this one is, the others are not."""
    write_model(MODEL, tmp_path / "model.nc")
    plumber2(tmp_path / "grows.nc", MET, days=280)
    with xr.open_dataset(tmp_path / "grows.nc", decode_times=False) as grows:
        # The weather that is made up for some days grows beyond all that can be in many.
        steady = ("VPD", "Psurf", "Wind", "LWdown")
        usual = grows.assign(
            {
                name: (grows[name].dims, np.broadcast_to(grows[name][0], grows[name].shape), grows[name].attrs)
                for name in steady
            }
        )
        for name in ("Met.nc", "other_Met.nc"):
            usual.to_netcdf(tmp_path / name)
    (tmp_path / "grows.nc").unlink()
    plumber2(tmp_path / "other_Flux.nc", FLUX, days=280)
    words = ["--observations", tmp_path / "other_Flux.nc", "--benchmark-sites", tmp_path / "other_*.nc"]
    words += ["--end", "2020-06-15"]
    assert evaluate(tmp_path, *words, "--site", "50.2,7.8,900", "-o", tmp_path / "out.json") == 0
    scores = json.loads((tmp_path / "out.json").read_text())["observations"]["scores"]
    # What was observed is a straight line of the short wave.
    assert set(scores["sshf"]) == {"emulator", "1lin", "3km27"}
    assert scores["sshf"]["1lin"]["rmse"] < 1e-2
    assert scores["slhf"]["1lin"]["nme"] < 1e-3
    assert "Benchmarks were trained at other sites." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("-o", "out.csv"), "output .csv, of scores by lead time: .*Met.nc has no states to begin runs with"),
        (("-o", "out.html", "--at", "50,8"), "option --at: .*Met.nc has no states"),
    ],
)
def test_what_needs_states_is_refused(folder, tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    assert evaluate(folder, "--observations", folder / "Flux.nc", *words) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert re.search(message, said), said
    assert not list(tmp_path.iterdir())


def test_what_is_for_towers_is_refused_without_them(folder, tmp_path, capsys):
    assert evaluate(folder, "-o", "out.png") == 2
    assert "out.png is a figure of what was observed, expected --observations beside it" in capsys.readouterr().err
    assert evaluate(folder, "--spin-up", 2) == 2
    assert "option --spin-up is for observations, expected --observations beside it" in capsys.readouterr().err
    data = small_dataset(n_times=20, n_columns=1)
    data["obs_sshf"] = data.sshf
    data.to_netcdf(tmp_path / "states.nc")
    words = [
        "evaluate",
        tmp_path / "states.nc",
        "--observations",
        "same",
        "--spin-up",
        1,
        "--model",
        folder / "model.nc",
    ]
    assert cli.main([str(word) for word in words]) == 2
    assert "states.nc has states, with which runs begin; expected none" in capsys.readouterr().err


@pytest.fixture
def outside(tmp_path):
    """Two columns; the second is warmer than all training in five windows, and its mountains are higher."""
    data = small_dataset(n_times=60, n_columns=2)
    highest = next(one for one in MODEL.forcing if one.name == "met_tair").training_maximum
    data["met_tair"].values[10:15, 1] = highest + 15.0
    data["clim_sdor"].values[1] *= 0.0
    data["clim_sdor"].values[1] += next(one for one in MODEL.static if one.name == "clim_sdor").training_maximum * 1.9
    data["obs_sshf"] = data.sshf
    data.to_netcdf(tmp_path / "outside.nc")
    return tmp_path / "outside.nc"


def test_columns_outside_the_training_range_are_flagged(outside):
    found = training_range.look(MODEL, read_columns(outside, MODEL, np.dtype(np.float32)))
    np.testing.assert_array_equal(found.outside, [False, True])
    np.testing.assert_array_equal(found.steps, [0, 5])
    assert set(found.variables) == {"met_tair", "clim_sdor"}
    assert found.line().startswith(
        "OUTSIDE THE TRAINING RANGE: 1 of 2 columns, weather in 5 of 120 windows; the model extrapolates there. Worst: "
    )
    assert found.data()["columns_outside"] == [1]
    assert "5 above" in found.variables["met_tair"][1]
    excesses = [excess for excess, _ in found.variables.values()]
    assert excesses == sorted(excesses, reverse=True)


@pytest.mark.slow  # a page with all its figures
def test_the_command_says_so_everywhere(outside, folder, tmp_path, capsys):
    files = {suffix: tmp_path / f"out.{suffix}" for suffix in ("json", "html", "md")}
    words = ["evaluate", outside, "--model", folder / "model.nc", "--backend", "embedded", "--quiet", "--leads", 1]
    words += ["--starts", 1, "--observations", "same", *(word for path in files.values() for word in ("-o", path))]
    assert cli.main([str(word) for word in words]) == 0
    (line,) = (one for one in capsys.readouterr().out.splitlines() if "TRAINING RANGE" in one)
    assert json.loads(files["json"].read_text())["training_range"]["line"] == line
    assert line in files["md"].read_text()
    page = files["html"].read_text()
    assert page.count("OUTSIDE THE TRAINING RANGE: 1 of 2 columns") == 3  # at the top, in its section, in the data
    data = small_dataset(n_times=30, n_columns=1)
    data.to_netcdf(tmp_path / "inside.nc")
    inside = training_range.look(MODEL, read_columns(tmp_path / "inside.nc", MODEL, np.dtype(np.float32)))
    assert inside.line() == "Training range: static fields, weather and first state of all columns are within it."
    assert not inside.outside.any()
