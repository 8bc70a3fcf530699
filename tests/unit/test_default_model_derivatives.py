"""Derivatives of the model that ships, and what is made from them: signs that physics says, errors, parameters.

In one file, so that what they compile is compiled once.
"""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import ailand_gt4py
from ailand_gt4py.cli import main as cli
from ailand_gt4py.io.period import read_period
from ailand_gt4py.sensitivity import derivatives, quantities

pytestmark = pytest.mark.study

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "column_run" / "ecland_columns.nc"

#: Few enough inputs that the Jacobian is made in the way that the propagation of errors takes.
INPUTS = "swvl1,swvl2,swvl3,swvl4,stl1,stl2,stl3,stl4,met_rainf,met_qair,met_tair,met_swdown,met_lwdown"


def of_file(path: Path, every: int) -> tuple[derivatives.Derivatives, np.ndarray]:
    """Along ecLand's own states, at one step in so many of a year; and a step's rain, mm (n_points, n_columns)."""
    model = ailand_gt4py.read_model()
    period = read_period(path, model, np.dtype("f4"), end="2021-01-01", states_for="here")
    steps = np.arange(0, period.n_steps, every)
    assert period.states is not None
    states = period.states[steps]
    chosen = quantities.choose_outputs(model, None), quantities.choose_inputs(model, INPUTS)
    rain = period.forcing[steps][..., [variable.name for variable in model.forcing].index("met_rainf")]
    found = derivatives.derivatives(functools.partial(ailand_gt4py.Emulator, model), period, steps, states, *chosen)
    return found, rain * model.step_seconds


def check_physics(found: derivatives.Derivatives, rain: np.ndarray) -> None:
    """What physics says of the mean over all columns and times, and of how much of them."""

    def mean(output: str, by: str) -> float:
        return float(np.nanmean(found.values[found.positions(output, by)]))

    def finite(output: str, by: str, where: np.ndarray | bool = True) -> np.ndarray:
        values = np.where(where, found.values[found.positions(output, by)], np.nan)
        return values[np.isfinite(values)]

    def positive(output: str, by: str, where: np.ndarray | bool = True) -> float:
        return float((finite(output, by, where) > 0.0).mean())

    memory = [[mean(f"{kind}{layer}", f"{kind}{layer}") for layer in (1, 2, 3, 4)] for kind in ("swvl", "stl")]
    for of_layers in memory:
        assert np.all(np.diff(of_layers) > 0.0), "deeper layers remember better"
        assert 0.99 < of_layers[-1] < 1.01
    assert 0.8 < memory[0][0] < 1.0, "a quarter of a day changes little of the uppermost layer's water"
    assert np.nanmedian(found.values[found.positions("swvl1", "swvl1")]) > 0.9
    assert mean("skt", "stl1") > 0.0
    assert positive("skt", "stl1") > 0.6
    # All rain of six hours in the uppermost 7 cm: 21600 s / (1000 kg m-3 * 0.07 m).
    all_of_it = 21_600.0 / 70.0
    assert 0.1 < mean("swvl1", "met_rainf") / all_of_it < 1.0
    # Leaves hold 0.2 mm for each unit of their area: of less, the soil gets next to nothing.
    assert positive("swvl1", "met_rainf", rain > 1.0) > 0.85
    assert np.median(finite("swvl1", "met_rainf", rain > 1.0)) / all_of_it > 0.5
    assert (np.abs(finite("swvl1", "met_rainf", rain == 0.0)) / all_of_it < 0.15).mean() > 0.8
    # e and slhf are positive downward: moister air means less evaporation.
    for flux in ("e", "slhf"):
        assert mean(flux, "met_qair") > 0.0
        assert positive(flux, "met_qair") > 0.9
        assert mean(flux, "swvl1") < 0.0, "wet soil evaporates more"
    assert mean("sshf", "met_tair") > 0.0
    assert positive("sshf", "met_tair") > 0.85
    assert mean("stl1", "met_swdown") > 0.0
    assert positive("t2m", "met_tair") > 0.98
    assert positive("d2m", "met_qair") > 0.98
    assert 0.5 < mean("str", "met_lwdown") < 1.0
    assert 0.3 < mean("ssr", "met_swdown") < 0.95, "one minus the albedo"


def test_signs_on_the_example_file() -> None:
    check_physics(*of_file(EXAMPLE, every=13))


def test_signs_on_columns_never_trained_on(shared: Path) -> None:
    check_physics(*of_file(shared / "data" / "ecland_synth_6h_holdout.nc", every=61))


@pytest.mark.parametrize(("method", "iterations"), [("gauss-newton", 12), ("lbfgs", 40)])
def test_twin_of_the_model_that_ships_finds_its_parameters(tmp_path: Path, method: str, iterations: int) -> None:
    """From 20 % below to within 2 %, in every column of the example, without noise."""
    words = ["estimate", EXAMPLE, "--parameters", "clim_theta_cap,clim_theta_pwp", "--observations", "twin", "--quiet"]
    words += ["--start", "2020-04-01", "--days", 60, "--first-guess-factor", 0.8]
    words += ["--method", method, "--iterations", iterations]
    assert cli.main([str(word) for word in (*words, "-o", tmp_path / "out.nc")]) == 0
    with xr.open_dataset(tmp_path / "out.nc") as found:
        for name in ("clim_theta_cap", "clim_theta_pwp"):
            truth = found[f"{name}_file"].values
            np.testing.assert_allclose(found[f"{name}_first_guess"].values, 0.8 * truth, rtol=1e-5)
            np.testing.assert_allclose(found[name].values, truth, rtol=0.02)


def test_small_errors_of_the_model_that_ships_agree_with_members(tmp_path: Path) -> None:
    """A tenth of the usual errors over five days in May: the first order and 400 members differ by sampling."""
    words = ["uncertainty", EXAMPLE, "--start", "2020-05-01", "--days", 5, "--members", 400, "--scale", 0.1, "--quiet"]
    assert cli.main([str(word) for word in (*words, "-o", tmp_path / "out.nc")]) == 0
    with xr.open_dataset(tmp_path / "out.nc") as found:
        for name in ("swvl1", "swvl2", "swvl3", "stl2", "stl3"):
            ratio = found[f"{name}_error"].values / found[f"{name}_member_error"].values
            assert np.median(ratio) == pytest.approx(1.0, abs=0.05), name
            assert (np.abs(ratio - 1.0) < 0.15).mean() > 0.85, name
