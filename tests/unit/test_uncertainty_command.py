"""``ailand uncertainty`` and ``ailand estimate`` to the end: files, tables, figures, and what they refuse."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from ailand_gt4py.cli import main as cli
from helpers import Bench, small_dataset

N_TIMES = 12
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "column_run" / "ecland_columns.nc"


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("errors"), n_times=N_TIMES)


def call(bench: Bench, command: str, *words: object) -> int:
    own = [command, bench.forcing, "--model", bench.model, "--backend", "embedded", "--quiet"]
    return cli.main([str(word) for word in (*own, *words)])


# ------------------------------------------------------------------------------------------------------ uncertainty


@pytest.fixture(scope="module")
def uncertain(bench: Bench) -> tuple[xr.Dataset, str]:
    """The file, and what was printed."""
    import contextlib
    import io

    path, printed = bench.path / "uncertainty.nc", io.StringIO()
    words = ["--days", 1.5, "--members", 60, "--state-errors", "swvl1=0.01,stl1=1", "--forcing-errors", "met_tair=1"]
    words += ["--parameter-errors", "clim_theta_cap=10%", "--model-errors", "swvl2=0.001"]
    with contextlib.redirect_stdout(printed):
        assert call(bench, "uncertainty", *words, "-o", path, "--plot", bench.path / "uncertainty.png") == 0
    with xr.open_dataset(path) as data:
        return data.load(), printed.getvalue()


def test_errors_are_in_the_file_with_their_units(bench: Bench, uncertain: tuple[xr.Dataset, str]) -> None:
    found, _ = uncertain
    assert found.time.values[0] == small_dataset(N_TIMES).time.values[1]
    assert found.sizes["time"] == 6
    for name in ("swvl1", "stl1", "slhf"):
        assert found[f"{name}_error"].attrs["units"] == found[name].attrs["units"]
        assert (found[f"{name}_error"].values > 0.0).all()
        assert (found[f"{name}_member_error"].values > 0.0).all()
        np.testing.assert_allclose(found[f"{name}_error_share"].sum("source").values, 1.0, rtol=1e-5)
    assert found.source.values.tolist() == ["initial state", "forcing", "parameters", "model error"]
    assert (found["swvl2_error_share"].sel(time=found.time[-1]).values[3] > 0.0).all()
    assert found.attrs["members"] == 60
    assert "uncertainty" in found.attrs["history"]
    correlation = found["error_correlation"].values
    np.testing.assert_allclose(correlation, np.swapaxes(correlation, 1, 2), atol=1e-6)
    assert set(found["condition"].attrs["flag_meanings"].split()) >= {"snow_line", "freezing", "bounds"}
    assert (bench.path / "uncertainty.png").stat().st_size > 10_000
    assert list(bench.path.glob("*.partial")) == []


def test_first_order_and_members_agree_in_the_file(uncertain: tuple[xr.Dataset, str]) -> None:
    """The small network is nearly linear over an error of a hundredth; 60 members sample to 9 %."""
    found, _ = uncertain
    ratio = found["swvl1_error"].values / found["swvl1_member_error"].values
    assert np.abs(ratio - 1.0).max() < 0.4
    assert found["swvl1_member_mean"].values == pytest.approx(found["swvl1"].values, abs=0.01)


def test_tables_are_printed(uncertain: tuple[xr.Dataset, str]) -> None:
    _, printed = uncertain
    first, second = printed.split("\n\n")
    assert "initial state" in first.splitlines()[0]
    assert "1 d" in first.splitlines()[0]
    assert "60 members" in second
    assert second.splitlines()[2].startswith("swvl1")


def test_without_members_there_are_none(bench: Bench, tmp_path: Path, capsys) -> None:
    words = ["--days", 0.5, "--members", 0, "--scale", 2, "-o", tmp_path / "out.nc", "--plot", tmp_path / "figure.svg"]
    assert call(bench, "uncertainty", *words) == 0
    assert "members" not in capsys.readouterr().out
    with xr.open_dataset(tmp_path / "out.nc") as data:
        assert not any("member" in str(name) for name in data.variables)
        assert "condition" not in data


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--members", 1], "option --members: found 1, expected 0 for none, or at least 2"),
        (["--scale", 0], "option --scale: found 0, expected more than 0"),
        (["--forcing-hours", -1], "option --forcing-hours: found -1"),
        (["--seed", -1], "option --seed: found -1"),
        (["--days", 0.1], "option --days: found 2.4 h, expected a multiple of the model's step of 6 h"),
        (["--days", 30], "end: found 2021-01-31T00:00"),
        (["--state-errors", "swvl9=1"], "option --state-errors: found 'swvl9', expected some of swvl1"),
        (["--state-errors", "swvl1=wet"], "option --state-errors: found 'swvl1=wet', expected a number"),
        (["--state-errors", "swvl1=-1"], "option --state-errors: found 'swvl1=-1'"),
        (["--forcing-errors", "met_tair_before=1"], "option --forcing-errors: found 'met_tair_before'"),
        (["--parameter-errors", "clim_tvh=1"], "option --parameter-errors: found 'clim_tvh'"),
        (["--state-errors", ""], "found no errors to carry, expected some by --state-errors"),
    ],
)
def test_uncertainty_refuses(bench: Bench, tmp_path: Path, monkeypatch, capsys, words, message) -> None:
    monkeypatch.chdir(tmp_path)
    assert call(bench, "uncertainty", *words, "-o", "out.nc") == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


# --------------------------------------------------------------------------------------------------------- estimate


def test_estimates_are_in_the_file(bench: Bench, tmp_path: Path, capsys) -> None:
    data = small_dataset(N_TIMES)
    data["climate"] = ("x", ["wet", "dry", "dry"])
    data["guess"] = ("x", 90.0 * data["clim_theta_cap"].values, {"units": "%"})
    data.to_netcdf(tmp_path / "forcing.nc")
    words = ["estimate", tmp_path / "forcing.nc", "--model", bench.model, "--backend", "embedded", "--quiet"]
    words += ["--parameters", "clim_theta_cap,clim_theta_pwp", "--observe", "skt,swvl1", "--observations", "twin"]
    words += ["--days", 1.5, "--every", "12h", "--first-guess", "clim_theta_cap=guess", "--iterations", 3]
    words += ["--precision", "float64", "-o", tmp_path / "out.nc", "--plot", tmp_path / "figure.png"]
    assert cli.main([str(word) for word in words]) == 0
    printed = capsys.readouterr().out
    assert "clim_theta_pwp" in printed
    assert "dry" in printed
    with xr.open_dataset(tmp_path / "out.nc") as found:
        truth = data["clim_theta_cap"].values.astype(np.float64)
        np.testing.assert_allclose(found["clim_theta_cap_file"].values, truth)
        np.testing.assert_allclose(found["clim_theta_cap_first_guess"].values, 0.9 * truth, rtol=1e-6)
        assert found["clim_theta_cap"].attrs["units"] == "m3 m-3"
        assert (found["misfit"].values < found["misfit_first_guess"].values).all()
        assert (found["observations"].values == 6).all()
        assert found["information"].dims == ("x", "parameter", "other_parameter")
        for name in ("clim_theta_cap_determined", "clim_theta_pwp_outside_training_range", "converged"):
            assert set(np.unique(found[name].values)) <= {0, 1}
    assert (tmp_path / "figure.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--parameters", "clim_tvl"], "option --parameters: found 'clim_tvl', expected some of"),
        (["--observe", "rain"], "option --observe: found 'rain'"),
        (["--observe", "rsn"], "errors of observations: found no standard deviation above 0 of 'rsn' in kg m-3"),
        (["--observe-errors", "swvl1=10%"], "errors of observations: found no standard deviation above 0 of 'swvl1'"),
        (["--noise", 1], "option --noise is for a twin, expected --observations twin"),
        (["--first-guess-factor", 0], "option --first-guess-factor: found 0, expected more than 0"),
        (["--search", 1], "option --search: found 1, expected less than 1"),
        (["--iterations", 0], "option --iterations: found 0, expected at least 1"),
        (["--first-guess", "clim_theta_cap"], "option --first-guess: found 'clim_theta_cap', expected"),
        (["--first-guess", "clim_theta_cap=guess"], "variable 'guess' is missing, expected values of clim_theta_cap"),
        (
            ["--first-guess", "clim_tvl=guess"],
            "option --first-guess: found 'clim_tvl', expected some of clim_theta_cap",
        ),
        (["--every", "5h"], "option --every: found 5 h"),
        (["--days", 3], "reference has no time 2021-01-04T00:00"),
    ],
)
def test_estimate_refuses(bench: Bench, tmp_path: Path, monkeypatch, capsys, words, message) -> None:
    monkeypatch.chdir(tmp_path)
    own = ["--parameters", "clim_theta_cap", "--days", 1.5, "-o", "out.nc"]
    assert call(bench, "estimate", *own, *words) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_first_guess_must_be_positive(bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    data = small_dataset(N_TIMES)
    data["guess"] = data["clim_theta_cap"].copy()
    data["guess"][1] = 0.0
    data.to_netcdf(tmp_path / "zero.nc")
    words = ["estimate", tmp_path / "zero.nc", "--model", bench.model, "--backend", "embedded", "--days", 1]
    words += ["--parameters", "clim_theta_cap", "--first-guess", "clim_theta_cap=guess"]
    assert cli.main([str(word) for word in words]) == 2
    assert "zero.nc: first guess of 'clim_theta_cap' is 0, expected above 0" in capsys.readouterr().err


def test_observations_of_the_file_are_at_its_labels(bench: Bench) -> None:
    """States at the end of each step, fluxes with the label of its start."""
    from ailand_gt4py.calibration.case import make_case, observe
    from ailand_gt4py.emulator.emulator import Emulator
    from ailand_gt4py.io.period import read_period
    from ailand_gt4py.weights.model_file import read_model

    model, data = read_model(bench.model), small_dataset(N_TIMES)
    period = read_period(bench.forcing, model, np.dtype("f8"), end=data.time.values[8])
    emulator, guess = Emulator(model, 3, "embedded", "float64"), 0.5 * np.ones((3, 1))
    observations = observe(emulator, period, {"slhf": 2.0, "swvl2": 0.1}, every=2)
    case = make_case(emulator, period, ("clim_theta_cap",), observations, guess, 0.5)
    values = case.misfit.observations.values
    assert [one.name for one in case.misfit.observations.operator.observables] == ["swvl2", "slhf"]
    assert case.misfit.observations.errors.tolist() == [0.1, 2.0]
    np.testing.assert_array_equal(values[1::2, :, 0], data.swvl2.values[2:9:2])
    np.testing.assert_array_equal(values[1::2, :, 1], data.slhf.values[1:8:2])
    assert np.isnan(values[::2]).all()
    assert (case.upper[:, 0] == np.minimum(0.75, data.clim_theta_sat.values)).all()
