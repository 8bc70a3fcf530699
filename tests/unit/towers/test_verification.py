"""A free run and ecLand against what was observed at the same columns, by function and by command."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from examples.satellite import make_smap
from tower_files import callmip

from ailand_gt4py.cli import main as cli
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.evaluation.columns import read_columns
from ailand_gt4py.evaluation.figures.towers import tower_figure
from ailand_gt4py.evaluation.runs import run_free
from ailand_gt4py.evaluation.towers import verification
from ailand_gt4py.evaluation.towers.scores import TowerScore
from ailand_gt4py.observations.observed import Observed, read_observed
from ailand_gt4py.observations.operators import Columns, Situation, make_operator
from ailand_gt4py.weights.model_file import write_model
from ailand_gt4py.weights.variables import CATALOGUE
from helpers import small_dataset, small_model

N_TIMES, N_COLUMNS = 130, 2
EXAMPLE = Path(__file__).parents[3] / "examples" / "column_run" / "ecland_columns.nc"
MODEL = small_model()


def tower(path, seed=1, **changes):
    """Columns with ecLand's and observed values: these are ecLand's, and something that is added."""
    data = small_dataset(n_times=N_TIMES, n_columns=N_COLUMNS, seed=seed)
    random = np.random.default_rng(seed + 100)
    for name, error in {"sshf": 5.0, "slhf": 3.0, "swvl1": 0.01, **changes}.items():
        values = data[name].values + error * random.normal(size=data[name].shape)
        data[f"obs_{name}"] = data[name].dims, values, dict(data[name].attrs)
    data["obs_sshf"].values[10:20, 0] = np.nan
    mean = {"units": "W m-2", "cell_methods": "time: mean"}
    for name, values in (("rn", -1.25 * (data.obs_sshf + data.obs_slhf) + 7.0), ("g", 0.0 * data.obs_slhf + 7.0)):
        data[f"obs_{name}"] = ("time", "x"), values.values, mean
    data.to_netcdf(path)
    return path


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    path = tower(tmp_path_factory.mktemp("tower") / "tower.nc")
    columns = read_columns(path, MODEL, np.dtype(np.float32))
    free = run_free(MODEL, columns, backend="embedded")
    return columns, free, read_observed([path], verification.observable(MODEL))


def test_results_are_compared_at_the_labels_of_their_windows(compared):
    """A flux with the mean over its window, a state at the window's end, net radiation with the sum of its parts."""
    columns, free, observed = compared
    study = verification.make_study(MODEL, columns, free, observed)
    by_name = {one.variable.name: one for one in study.variables}
    assert set(by_name) == {"sshf", "slhf", "swvl1", "rnet"}
    names = [one.name for one in (*MODEL.state, *MODEL.diagnostics)]
    of_run = {name: free.results[..., names.index(name)] for name in ("sshf", "swvl1", "ssr", "str")}
    sshf, swvl1, rnet = (by_name[name].models[verification.EMULATOR] for name in ("sshf", "swvl1", "rnet"))
    np.testing.assert_array_equal(sshf[:-1], of_run["sshf"])
    assert np.isnan(sshf[-1]).all()
    np.testing.assert_array_equal(swvl1[1:], of_run["swvl1"])
    assert np.isnan(swvl1[0]).all()
    np.testing.assert_allclose(rnet[:-1], of_run["ssr"].astype(float) + of_run["str"], rtol=1e-6)
    expected = TowerScore.of(of_run["sshf"], observed["sshf"].values[:-1])
    found = by_name["sshf"].scores[verification.EMULATOR]
    assert found.n == expected.n == (N_TIMES - 1) * N_COLUMNS - 10
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert by_name["sshf"].scores[verification.ECLAND].rmse == pytest.approx(5.0, rel=0.15)


def test_the_balance_is_told_and_closed(compared):
    columns, free, observed = compared
    study = verification.make_study(MODEL, columns, free, observed, corrects=True)
    assert study.balance.ratio == pytest.approx(0.8)
    assert "80 %" in study.text()
    (sshf,) = (one for one in study.variables if one.variable.name == "sshf")
    known = np.isfinite(sshf.observed)
    np.testing.assert_allclose(sshf.observed[known], 1.25 * observed["sshf"].values[known], rtol=1e-6)
    without = {name: one for name, one in observed.items() if name != "ghf"}
    with pytest.raises(InputError, match="correction of the energy balance: ghf was not observed, expected all four"):
        verification.make_study(MODEL, columns, free, without, corrects=True)
    assert verification.make_study(MODEL, columns, free, without).balance is None


def test_cycles_are_means_of_windows_in_which_all_is_known(compared):
    columns, free, observed = compared
    study = verification.make_study(MODEL, columns, free, observed)
    (sshf,) = (one for one in study.variables if one.variable.name == "sshf")
    hours, means = sshf.cycle("hour")
    assert hours.tolist() == [0, 6, 12, 18]
    run = sshf.models[verification.EMULATOR]
    known = np.isfinite(run) & np.isfinite(sshf.observed)
    at_noon = (sshf.labels.astype("datetime64[h]").astype(int) % 24 == 12)[:, None] & known
    assert means[verification.EMULATOR][2] == pytest.approx(run[at_noon].mean())
    assert means["observed"][2] == pytest.approx(sshf.observed[at_noon].mean())
    assert sshf.cycle("month")[0].tolist() == [1, 2]


def test_observations_of_other_times_are_refused(compared):
    columns, free, observed = compared
    later = {n: dataclasses.replace(one, times=one.times + np.timedelta64(3650, "D")) for n, one in observed.items()}
    with pytest.raises(InputError, match=r"observations of 'swvl1' are from 2030.*, expected some at labels every 6 h"):
        verification.make_study(MODEL, columns, free, {"swvl1": later["swvl1"]})


@pytest.fixture(scope="module")
def daily(tmp_path_factory):
    """One column, and what CalLMIP's file has of it: days by a clock two hours before UTC, by hand from its windows."""
    directory = tmp_path_factory.mktemp("daily")
    with xr.open_dataset(tower(directory / "both.nc")) as data:
        one = data.isel(x=[0]).load()
    one["lat"][:], one["lon"][:] = 61.85, 24.3
    one.drop_vars([name for name in one if str(name).startswith("obs_")]).to_netcdf(directory / "one.nc")
    first, n = int(np.flatnonzero(one.time.dt.hour == 18)[0]), (N_TIMES - 5) // 4
    days = one.time.values[first] + np.timedelta64(4, "h") + np.arange(n) * np.timedelta64(1, "D")
    h, le = (
        -sum(part * one[name].values[first + k : first + k + 4 * n : 4, 0] for k, part in enumerate((2, 6, 6, 6, 4)))
        / 24
        for name in ("sshf", "slhf")
    )
    error = np.full(n, 3.0)
    h[7], error[9] = np.nan, np.nan
    path = callmip(directory / "daily.nc", days, h + 2.0, le, error, (61.85, 24.3), 2.0)
    return directory / "one.nc", path, n


def test_daily_means_of_a_local_clock_are_compared_with_the_hours_of_the_run(daily):
    """CalLMIP's files; a day that begins at 22 UTC has two hours of one window, four of another."""
    run, path, n = daily
    columns = read_columns(run, MODEL, np.dtype(np.float32))
    free = run_free(MODEL, columns, backend="embedded")
    where = {"latitude": np.array([61.85]), "longitude": np.array([24.3])}
    observed = read_observed([path], verification.observable(MODEL), **where)
    assert set(observed) == {"sshf", "slhf"}
    assert observed["sshf"].window == np.timedelta64(24, "h")
    assert (observed["sshf"].times.astype("datetime64[h]").astype(int) % 24 == 22).all()
    np.testing.assert_allclose(observed["slhf"].errors[:9], 6.0)
    study = verification.make_study(MODEL, columns, free, observed)
    sshf, slhf = study.variables
    truth = sshf.scores[verification.ECLAND]
    assert truth.n == n - 1
    assert truth.bias == pytest.approx(2.0, rel=1e-5)  # downward, so that more upward is less
    assert truth.rmse == pytest.approx(2.0, rel=1e-5)
    assert slhf.scores[verification.ECLAND].rmse == pytest.approx(0.0, abs=1e-4)
    assert sshf.within_errors[verification.ECLAND] == 1.0
    differences = np.abs(sshf.models[verification.EMULATOR] - sshf.observed)
    known = np.isfinite(differences) & np.isfinite(sshf.errors)
    assert sshf.within_errors[verification.EMULATOR] == (differences <= 3.0)[known].mean() < 1.0
    assert "sshf, slhf: means over 24 h, for models over the same hours" in study.text()
    assert study.data()["window_hours"] == {"sshf": 24.0, "slhf": 24.0}
    hours, _ = sshf.cycle("hour")
    assert hours.tolist() == [22]
    tower_figure(study)  # has no cycle through the day
    with pytest.raises(
        InputError, match=r"rnet, ghf was not observed over steps of 6 h \(but sshf over 24 h, slhf over"
    ):
        verification.make_study(MODEL, columns, free, observed, corrects=True)


def test_a_local_day_counts_in_its_own_month(daily):
    """One that begins at 22 UTC on the last of a month is the first of the next one."""
    one = verification.Compared(
        CATALOGUE["sshf"].variable(),
        np.array(["2020-01-30T22", "2020-01-31T22", "2020-02-01T22"], "datetime64[ns]"),
        np.array([[1.0], [2.0], [4.0]]),
        {},
        np.timedelta64(24, "h"),
        np.full((3, 1), np.nan),
    )
    months, means = one.cycle("month")
    assert months.tolist() == [1, 2]
    np.testing.assert_array_equal(means["observed"], [1.0, 3.0])
    assert one.within_errors == {}


def test_days_beside_the_run_are_refused(daily):
    run, path, _ = daily
    columns = read_columns(run, MODEL, np.dtype(np.float32))
    free = run_free(MODEL, columns, backend="embedded")
    observed = read_observed([path], verification.observable(MODEL))
    later = {n: dataclasses.replace(one, times=one.times + np.timedelta64(3650, "D")) for n, one in observed.items()}
    with pytest.raises(InputError, match=r"'sshf' are from 2030.* to 2031.*, expected some means over 24 h from 2021"):
        verification.make_study(MODEL, columns, free, later)


def test_brightness_temperatures_are_the_operators_at_the_labels(compared):
    """Of the state at a label and the leaves of the window before it; what has snow or frozen soil is left out."""
    columns, free, _ = compared
    clay, n = np.array([0.1, 0.4]), columns.n_times
    names, hours = [one.name for one in MODEL.state], np.arange(n)
    expected = np.full((n, N_COLUMNS, 2), np.nan)
    operator = make_operator("tb", Columns(MODEL, columns.static, clay))
    for label in hours[1:]:
        situation = Situation(columns.forcing[label - 1], columns.state[label], columns.diagnostics[label])
        expected[label] = operator.values(situation)
    described = (columns.state[..., names.index("snowc")] <= 0.01) & (columns.state[..., names.index("stl1")] >= 274.16)
    assert described.any()
    assert not described.all()
    results = free.results.copy()
    results[..., names.index("snowc")], results[..., names.index("stl1")] = 0.0, 285.0
    results[6, 0, names.index("snowc")] = 0.5
    free = dataclasses.replace(free, results=results)
    unknown, all_of_it = np.full((n, N_COLUMNS), np.nan), np.ones((n, N_COLUMNS))
    observed = {
        name: Observed(CATALOGUE[name].variable(), columns.times, np.timedelta64(6, "h"), values, unknown, all_of_it)
        for name, values in zip(("tbh", "tbv"), np.moveaxis(expected + 2.0, -1, 0), strict=True)
    }
    study = verification.make_study(MODEL, columns, free, observed, clay=clay)
    assert [one.variable.name for one in study.variables] == ["tbh", "tbv"]
    for k, one in enumerate(study.variables):
        truth = np.where(described, expected[..., k], np.nan)
        np.testing.assert_allclose(one.models[verification.ECLAND], truth, rtol=1e-6)
        score = one.scores[verification.ECLAND]
        assert score.bias == pytest.approx(-2.0, abs=1e-3)
        assert score.n == described[1:].sum() - described[7, 0]
        of_run = one.models[verification.EMULATOR]
        situation = Situation(columns.forcing[6], *np.split(free.results[6], [len(names)], axis=-1))
        assert np.isnan(of_run[[0, 7], 0]).all()
        np.testing.assert_allclose(of_run[7, 1], operator.values(situation)[1, k], rtol=1e-6)
    assert "where neither run has snow or frozen soil" in study.text()
    with pytest.raises(InputError, match="brightness temperatures were observed: variable 'clim_sotype' is missing"):
        verification.make_study(MODEL, columns, free, observed)


def test_the_command_takes_half_orbits(tmp_path, capsys):
    """Of the example: ecLand differs from what was made of it by the noise of two looks, the emulator by more."""
    options = make_smap.Options(columns=EXAMPLE, directory=tmp_path / "orbits", start="2021-06-01", days=14)
    make_smap.make(options)
    words = [
        "evaluate",
        EXAMPLE,
        "--end",
        "2021-06-16",
        "--backend",
        "embedded",
        "--quiet",
        "--starts",
        1,
        "--leads",
        1,
    ]
    words += ["--observations", tmp_path / "orbits" / "*.h5", "-o", tmp_path / "out.json", "--start"]
    assert cli.main([str(word) for word in (*words, "2021-06-01")]) == 0
    found = json.loads((tmp_path / "out.json").read_text())["observations"]["scores"]
    for name in ("tbh", "tbv"):
        of_truth, of_run = found[name]["ecLand"], found[name]["emulator"]
        assert of_truth["n"] == of_run["n"] == 7 * 5
        assert of_truth["rmse"] == pytest.approx(make_smap.NOISE / np.sqrt(2.0), rel=0.3)
        assert of_run["rmse"] > of_truth["rmse"]
    at_labels = [*words, "2021-06-01", "--footprint-tolerance", "1h"]
    assert cli.main([str(word) for word in at_labels]) == 0
    of_few = json.loads((tmp_path / "out.json").read_text())["observations"]["scores"]["tbh"]["ecLand"]
    assert of_few["n"] == 7 * 2  # columns at 7.8 and 107.8 E, passed at 05:29 and 22:49 UTC, as it is at labels
    far = [*words, "2021-06-01", "--footprint-distance", "0.01"]
    assert cli.main([str(word) for word in far]) == 2
    assert "expected some within 0.01 km" in capsys.readouterr().err
    words[words.index("--end") + 1] = "2021-05-16"
    assert cli.main([str(word) for word in (*words, "2021-05-10")]) == 2
    assert "observations of 'tbh' are from 2021-06-0" in capsys.readouterr().err


def test_the_command_makes_table_data_and_report(tmp_path, capsys):
    write_model(MODEL, tmp_path / "model.nc")
    path = tower(tmp_path / "tower.nc")
    words = ["evaluate", path, "--model", tmp_path / "model.nc", "--backend", "embedded", "--quiet", "--starts", 2]
    words += ["--leads", 1, "--observations", "same"]
    for suffix in ("md", "json", "html"):
        words += ["-o", tmp_path / f"out.{suffix}"]
    assert cli.main([str(word) for word in words]) == 0
    printed = capsys.readouterr().out
    assert "Against observations" in printed
    assert "Energy balance: H + LE are 80 %" in printed
    found = json.loads((tmp_path / "out.json").read_text())["observations"]
    assert found["scores"]["sshf"]["ecLand"]["rmse"] == pytest.approx(5.0, rel=0.15)
    assert found["balance"]["ratio"] == pytest.approx(0.8)
    assert "| sshf | ecLand |" in (tmp_path / "out.md").read_text()
    assert 'id="observations"' in (tmp_path / "out.html").read_text()


def test_observations_of_another_file_are_matched_by_location(tmp_path, capsys):
    """Of more columns, in another order: each of the run's is compared with its own."""
    write_model(MODEL, tmp_path / "model.nc")
    path = tower(tmp_path / "tower.nc")
    with xr.open_dataset(path) as data:
        whole = data.load()
    others = whole.isel(x=[1]).assign_coords(x=[7])
    for name, more in (("lat", -20.0), ("lon", 3.0)):
        others[name] = others[name].copy(data=others[name].values + more)
    names = [f"obs_{name}" for name in ("sshf", "slhf", "swvl1", "rn", "g")]
    xr.concat([others, whole.isel(x=[1, 0])], dim="x", data_vars="all")[[*names, "lat", "lon"]].isel(
        time=slice(0, 90)
    ).to_netcdf(tmp_path / "observed.nc")
    whole.drop_vars(names).to_netcdf(tmp_path / "run.nc")
    found = []
    for file, observations in (("run.nc", tmp_path / "observed.nc"), ("tower.nc", "same")):
        words = ["evaluate", tmp_path / file, "--model", tmp_path / "model.nc", "--backend", "embedded", "--quiet"]
        words += ["--starts", 2, "--leads", 1, "--observations", observations, "-o", tmp_path / "out.json"]
        assert cli.main([str(word) for word in words]) == 0
        found.append(json.loads((tmp_path / "out.json").read_text())["observations"]["scores"]["sshf"]["ecLand"])
    assert found[0]["n"] == 90 * N_COLUMNS - 10
    assert found[0]["rmse"] == pytest.approx(found[1]["rmse"], rel=0.2)
    assert found[0]["rmse"] < 7.0


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--closed"], "option --closed is for observations, expected --observations beside it"),
        (["--benchmark-sites", "here.nc"], "option --benchmark-sites is for observations"),
        (["--footprint-distance", "20"], "option --footprint-distance is for observations"),
        (
            ["--observations", "same", "--benchmark-sites", "there.nc"],
            "benchmark '3km27': found 250 values to learn from, expected 1080 or more",
        ),
    ],
)
def test_what_does_not_go_together(tmp_path, monkeypatch, capsys, more, message):
    monkeypatch.chdir(tmp_path)
    write_model(MODEL, tmp_path / "model.nc")
    for seed, name in enumerate(("here", "there"), start=1):
        tower(tmp_path / f"{name}.nc", seed)
    words = ["evaluate", "here.nc", "--model", "model.nc", "--backend", "embedded", "--quiet", "--starts", "2"]
    assert cli.main([*words, "--leads", "1", *more]) == 2
    assert message in capsys.readouterr().err
