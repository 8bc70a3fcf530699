"""Which field capacity and wilting point did ecLand use? An estimate from its soil water with the emulator.

    python -m studies.parameter_estimation DATA_DIRECTORY --model MODEL.nc -o docs/studies/parameter_estimation

ecLand was run at 44 sites with five sets of field capacity and wilting point each, in the same weather. The first
guess is that of the unperturbed member of a site; each member's parameters are estimated from the soil water of its
three upper layers over a year, from the member's own first state. Two methods:

* absolute: the member's soil water as it is. The emulator's own errors are attributed to the parameters.
* relative: the member's difference from the unperturbed member, added to the emulator's run with the first guess.
  Errors that the emulator makes for both cancel.

The sites in the Europe-like box were never used in training. Writes a figure (.png) and a table (.md).
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ailand_gt4py.calibration import report as parameter_report
from ailand_gt4py.calibration.case import Case, make_case, observe
from ailand_gt4py.calibration.estimation import Estimate, by_gauss_newton
from ailand_gt4py.calibration.misfit import Misfit
from ailand_gt4py.core.times import parse_interval, whole_steps
from ailand_gt4py.emulator.emulator import Emulator
from ailand_gt4py.evaluation.figures import style as figure_style
from ailand_gt4py.evaluation.scores.groups import inside_box
from ailand_gt4py.evaluation.scores.moments import rmse
from ailand_gt4py.io.column_file import ColumnFile
from ailand_gt4py.io.period import read_period
from ailand_gt4py.io.whole_files import write_figure
from ailand_gt4py.weights.model import Model
from ailand_gt4py.weights.model_file import read_model
from studies import page

FILE = "ecland_perturbed_params_6h.nc"
PARAMETERS = {"clim_theta_cap": "theta_cap_table", "clim_theta_pwp": "theta_pwp_table"}
OBSERVED = ("swvl1", "swvl2", "swvl3")

#: The members' values were drawn evenly within 20 % of the first guess: a standard deviation of 0.2 / sqrt(3).
BACKGROUND = 0.2 / np.sqrt(3.0)

#: Part of the value that ecLand used, within which an estimate counts as near it.
NEAR = 0.05

METHODS = ("absolute", "relative")


@dataclasses.dataclass(frozen=True)
class Found:
    """The estimates of one method. quality: by the observations alone."""

    case: Case
    estimate: Estimate
    quality: parameter_report.Quality


def absolute_case(model: Model, path: Path, first_guess: np.ndarray, error: float, every: str) -> Case:
    """The whole year, observed every so often."""
    with ColumnFile(path) as file:
        last = file.times()[-1]
    period = read_period(path, model, np.dtype(np.float32), end=last)
    emulator, steps = Emulator(model, period.n_columns), whole_steps(parse_interval(every), period.step, "--every")
    observations = observe(emulator, period, dict.fromkeys(OBSERVED, error), steps)
    return make_case(emulator, period, tuple(PARAMETERS), observations, first_guess, search=0.5, background=BACKGROUND)


def relative_case(case: Case, site: np.ndarray, member: np.ndarray) -> Case:
    """The same with differences from the unperturbed member of each site."""
    whole = case.misfit.observations
    run = case.misfit.run(case.first_guess)
    unperturbed = np.array([np.flatnonzero((site == one) & (member == 0))[0] for one in site])
    values = whole.values - whole.values[:, unperturbed] + run[:, unperturbed]
    observations = dataclasses.replace(whole, values=values)
    given = case.misfit
    misfit = Misfit(given.emulator, case.period, given.parameters, observations, given.background, given.sought)
    return dataclasses.replace(case, misfit=misfit)


def find(case: Case, iterations: int, what: str) -> Found:
    """Search, with a line for each iteration."""

    def after(done: int, now: str) -> None:
        print(f"{what}, iteration {done}: {now}", file=sys.stderr)

    estimate = by_gauss_newton(case, iterations, after)
    return Found(case, estimate, parameter_report.quality(case, estimate, NEAR))


def groups(about: xr.Dataset) -> dict[str, np.ndarray]:
    """Perturbed members in training, and never trained on."""
    inside = inside_box(about.lat.values, (about.lon.values + 180.0) % 360.0 - 180.0)
    is_perturbed = about.member.values > 0
    return {"in training": is_perturbed & ~inside, "never trained on (Europe-like box)": is_perturbed & inside}


def table(found: dict[str, Found], about: xr.Dataset) -> list[str]:
    """Rows of Markdown."""
    lines = [
        "| parameter | method | sites | runs | RMSE of the first guess | RMSE of the estimate | correlation | slope "
        "| within 5 %: first guess | within 5 %: estimate | out of training range |",
        "|---|---|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for k, name in enumerate(PARAMETERS):
        for method, one in found.items():
            case, estimate = one.case, one.estimate
            for where, chosen in groups(about).items():
                used, first, value = (
                    values[chosen, k] for values in (case.file_values, case.first_guess, estimate.values)
                )
                truth, change = used - first, value - first
                slope = (change * truth).sum() / (truth**2).sum()
                cells = [
                    name,
                    method,
                    where,
                    str(truth.size),
                    f"{rmse(truth):.4f} ({rmse(truth / used):.1%})",
                    f"{rmse(change - truth):.4f} ({rmse(value / used - 1.0):.1%})",
                    f"{np.corrcoef(change, truth)[0, 1]:.2f}",
                    f"{slope:.2f}",
                    *(f"{(np.abs(one / used - 1.0) <= NEAR).mean():.0%}" for one in (first, value)),
                    str(int(one.quality.outside[chosen, k].sum())),
                ]
                lines.append(f"| {' | '.join(cells)} |")
    return lines


def figure(found: dict[str, Found], about: xr.Dataset) -> Any:
    """Changes found against changes made."""
    with figure_style.styled():
        result = figure_style.new_figure(8.4, 7.6)
        panels = result.subplots(len(PARAMETERS), len(METHODS), squeeze=False, sharex="row", sharey="row")
        for k, name in enumerate(PARAMETERS):
            for panel, (method, one) in zip(panels[k], found.items(), strict=True):
                for (where, chosen), colour, marker in zip(
                    groups(about).items(), ("#1f77b4", "#d1495b"), "o^", strict=True
                ):
                    truth = (one.case.file_values - one.case.first_guess)[chosen, k]
                    change = (one.estimate.values - one.case.first_guess)[chosen, k]
                    panel.plot(truth, change, marker, ms=3.5, color=colour, alpha=0.75, label=where)
                limit = 1.05 * np.abs((one.case.file_values - one.case.first_guess)[:, k]).max()
                panel.plot((-limit, limit), (-limit, limit), color="0.6", lw=0.8)
                panel.set_title(f"{name}, {method}", loc="left")
                panel.set_xlabel("change that ecLand was run with (m³ m⁻³)")
            panels[k, 0].set_ylabel("change found (m³ m⁻³)")
        panels[0, 0].legend()
    return result


def write(output: Path, found: dict[str, Found], about: xr.Dataset, model: Model, options: argparse.Namespace) -> None:
    """Write figure and page.

    Args:
        output: without suffix. options: of the command.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    picture = output.with_suffix(".png")
    write_figure(picture, lambda: figure(found, about))
    model_name = model.provenance.get("title", "") or str(options.model)
    converged = ", ".join(f"{method} {int(one.estimate.converged.sum())}" for method, one in found.items())
    text = [
        "# Field capacity and wilting point estimated from ecLand's soil water",
        "",
        f"Made by `python -m studies.parameter_estimation --iterations {options.iterations}` with the",
        f"{model_name}. ecLand was run with five sets of field capacity and wilting point at each of 44 sites,",
        "in the same weather of 2021; the model was trained on the sites outside the Europe-like box. For",
        "each perturbed member, both parameters are estimated from its soil water in three layers, every",
        f"{options.every} over the year (standard deviation {options.error:g} m3 m-3). The first guess is that",
        f"of the site's unperturbed member, with a standard deviation of {BACKGROUND:.1%} (that of the",
        "perturbations), which constrains the estimate where the observations say little. Absolute: from the",
        "member's soil water as it is. Relative: from its difference from the unperturbed member's, added to",
        "the emulator's run with the first guess, so that errors of the emulator cancel. RMSE is in m3 m-3",
        "and relative to ecLand's value; a parameter that is not determined at all keeps that of the first",
        "guess. Correlation and slope (through zero) relate estimated to true changes. Where the emulator",
        "responds more weakly to a parameter than ecLand, it needs a larger change for the same soil water: a",
        f"slope above one. Columns that converged within {options.iterations} iterations, of",
        f"{about.sizes['x']}: {converged}.",
        "",
        "How soil moisture itself responds to the two, in emulator and ecLand: [field_capacity.md](field_capacity.md).",
        "How the estimates are made: [parameter_estimation.md](../parameter_estimation.md).",
        "",
        f"![estimated and true changes]({picture.name})",
        "",
        *table(found, about),
    ]
    page.write(output.with_suffix(".md"), text)


def main() -> int:
    parser = argparse.ArgumentParser(description="Field capacity and wilting point from ecLand's soil water.")
    parser.add_argument("data", type=Path, metavar="DATA_DIRECTORY")
    parser.add_argument("--model", type=Path, help="model file (default: the model in the package)")
    parser.add_argument("--every", default="5d", help="time between observations (default: %(default)s)")
    parser.add_argument("--error", type=float, default=0.02, help="of an observation, m3 m-3 (default: %(default)s)")
    parser.add_argument("--iterations", type=int, default=10)
    parser.add_argument("-o", "--output", type=Path, default=Path("parameter_estimation"), help="without suffix")
    options = parser.parse_args()
    model, path = read_model(options.model), options.data / FILE
    with xr.open_dataset(path, decode_times=False) as data:
        about = data[["site", "member", *PARAMETERS.values()]].load()
    first_guess = np.stack([about[name].values for name in PARAMETERS.values()], axis=1).astype(np.float64)
    case = absolute_case(model, path, first_guess, options.error, options.every)
    cases = (case, relative_case(case, about.site.values, about.member.values))
    found = {method: find(one, options.iterations, method) for method, one in zip(METHODS, cases, strict=True)}
    write(options.output, found, about, model, options)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
