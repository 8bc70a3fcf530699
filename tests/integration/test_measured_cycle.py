"""Measured observations in a cycle: of a linear land, where the filter must find the truth, and the command."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from ailand_gt4py.assimilation.settings import Errors
from ailand_gt4py.assimilation.tuning import tuned
from ailand_gt4py.cli import main as cli
from ailand_gt4py.core.errors import InputError

EXAMPLE = Path(__file__).parents[2] / "examples" / "column_run" / "ecland_columns.nc"
OFFSET = 0.03


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example with what a probe would measure: ecLand's soil water, wetter, with noise; nothing in one column."""
    path = tmp_path_factory.mktemp("measured") / "site.nc"
    with xr.open_dataset(EXAMPLE) as data:
        part = data.sel(time=slice("2021-05-31T18:00", "2021-07-10")).load()
    noise = np.random.default_rng(0).normal(0.0, 0.01, part["swvl1"].shape)
    values = part["swvl1"] + OFFSET + noise
    values[:, 2] = np.nan
    part["obs_swvl1"] = values.astype(np.float32).assign_attrs(part["swvl1"].attrs)
    part.to_netcdf(path)
    return path


def run(measured: Path, *words: object) -> None:
    cli.main(["assimilate", str(measured), "--observations", "same", "--quiet", *map(str, words)])


def scores_of(path: Path) -> dict[tuple[str, str], dict]:
    import json

    with xr.open_dataset(path) as data:
        found = json.loads(data.attrs["scores"])["scores"]
    return {(one["name"], one["which"]): one for one in found}


def test_withheld_observations_are_nearer_to_the_analysis(measured: Path, tmp_path: Path) -> None:
    run(measured, "--start", "2021-06-01", "--withhold", "odd-days", "-o", tmp_path / "out.nc")
    scores = scores_of(tmp_path / "out.nc")
    for which in ("assimilated", "withheld"):
        one = scores["swvl1", which]
        assert one["rmse"]["analysis"] < 0.85 * one["rmse"]["open_loop"], which
        assert abs(one["bias"]["analysis"]) < abs(one["bias"]["open_loop"]), which
    with xr.open_dataset(tmp_path / "out.nc") as data:
        # Nothing is done where nothing was observed, and what is withheld takes no part.
        np.testing.assert_array_equal(data["increment_swvl1"].isel(x=2), 0.0)
        assert (np.abs(data["increment_swvl1"].isel(x=0)) > 0.0).any()
        withheld = data["withheld"].values == 1
        assert np.isnan(data["observation_swvl1"].values[withheld]).all()
        # (The last label of the file has no value after it.)
        assert np.isfinite(data["measured_swvl1"].values[withheld][:-1, 0]).all()


def test_rescaled_observations_have_the_open_loops_mean(measured: Path, tmp_path: Path) -> None:
    run(measured, "--start", "2021-06-01", "--rescale", "mean", "-o", tmp_path / "out.nc")
    one = scores_of(tmp_path / "out.nc")["swvl1", "assimilated"]
    assert abs(one["bias"]["open_loop"]) < 1e-6
    run(measured, "--start", "2021-06-01", "-o", tmp_path / "plain.nc")
    assert abs(scores_of(tmp_path / "plain.nc")["swvl1", "assimilated"]["bias"]["open_loop"]) > 0.01


@pytest.mark.parametrize("method", ["sekf", "etkf"])
def test_a_cycle_goes_on_bit_for_bit(measured: Path, tmp_path: Path, method: str) -> None:
    words = ("--method", method, "--members", 4)
    run(measured, "--start", "2021-06-01", "--days", 6, *words, "-o", tmp_path / "whole.nc")
    run(measured, "--start", "2021-06-01", "--days", 3, *words, "--restart-out", tmp_path / "restart.nc")
    restart = ("--restart", tmp_path / "restart.nc")
    run(measured, "--start", "2021-06-04", "--days", 3, *words, *restart, "-o", tmp_path / "second.nc")
    with xr.open_dataset(tmp_path / "whole.nc") as whole, xr.open_dataset(tmp_path / "second.nc") as second:
        for name in ("analysis_swvl1", "background_swvl3", "open_loop_swvl2"):
            np.testing.assert_array_equal(second[name], whole[name].sel(time=second["time"]))


def test_a_restart_of_another_cycle_is_refused(measured: Path, tmp_path: Path) -> None:
    from ailand_gt4py.cli.assimilate import Options
    from ailand_gt4py.cli.assimilate import run as assimilate
    from ailand_gt4py.cli.options import parse

    path = tmp_path / "restart.nc"
    run(measured, "--start", "2021-06-01", "--days", 3, "--restart-out", path)
    words = [str(measured), "--observations", "same", "--quiet", "--days", "3", "--restart", str(path)]
    for more, message in (
        (("--start", "2021-06-04", "--rescale", "mean"), "was written with the rescaling 'none', expected 'mean'"),
        (("--start", "2021-06-04", "--method", "etkf"), "was written with the method 'sekf', expected 'etkf of 24'"),
        (("--start", "2021-06-05"), "is valid at 2021-06-04T00:00, expected the start 2021-06-05T00:00"),
    ):
        with pytest.raises(InputError, match=message):
            assimilate(parse(Options, [*words, *more]))


def test_errors_that_are_believed_too_large_are_tuned(
    measured: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(measured, "--start", "2021-06-01", "--tune-errors", 2)
    text = capsys.readouterr().out
    size = float(text.split("observation: {swvl1: ")[1].split("}")[0])
    assert 0.005 < size < 0.03, "the noise is 0.01 m3 m-3, beside it the emulator's own error; believed were 0.04"


def test_without_departures_errors_stay_as_they_are() -> None:
    assert tuned(Errors(), ()).observation == Errors().observation


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--observations", "same", "--observe", "stl1"), "nothing in it was observed of stl1, found swvl1"),
        (("--observations", "same", "--observed-as", "lai=x"), "option --observed-as: found 'lai'"),
        (("--withhold", "odd-days"), "option --withhold is for measured observations"),
    ],
)
def test_what_cannot_be_assimilated_is_named(measured: Path, words: tuple[str, ...], message: str) -> None:
    from ailand_gt4py.cli.assimilate import Options
    from ailand_gt4py.cli.assimilate import run as assimilate
    from ailand_gt4py.cli.options import parse

    with pytest.raises(InputError, match=message):
        assimilate(parse(Options, [str(measured), "--start", "2021-06-01", "--quiet", *words]))
