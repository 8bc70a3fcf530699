"""Estimated parameters as a table and in a file: values, how well the observations determine them, and where not."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import xarray as xr

from ailand_gt4py.calibration.case import Case
from ailand_gt4py.calibration.estimation import Estimate
from ailand_gt4py.core.text_table import aligned
from ailand_gt4py.core.types import Values
from ailand_gt4py.evaluation.scores.groups import Grouping
from ailand_gt4py.evaluation.scores.moments import rmse
from ailand_gt4py.io.training_ranges import outside_training_range
from ailand_gt4py.io.whole_files import columns, field, texts, write_netcdf

TITLE = "soil and vegetation parameters estimated with aiLand, an emulator of ecLand"

#: Directions whose information is below this part of the largest one count as without any.
LEAST_INFORMATION = 1e-12


@dataclasses.dataclass(frozen=True)
class Quality:
    """How well the observations alone tell parameters, (n_columns, n_parameters); deviations may be infinite.

    Estimates may be outside of the training range, or at a bound of what was sought.
    """

    deviations: Values
    relative: Values
    determined: Values
    outside: Values
    at_bound: Values


def deviations(information: Values, scale: Values) -> Values:
    """(n_columns, n) from Fisher information (n_columns, n, n); infinite in a direction without information."""
    values, vectors = np.linalg.eigh(_scaled(information, scale))
    is_empty = values <= LEAST_INFORMATION * np.maximum(values[:, -1:], 1e-300)
    variances = np.einsum("cij,cj->ci", vectors**2, 1.0 / np.where(is_empty, np.inf, values))
    touched = (vectors**2 * is_empty[:, None]).sum(axis=2) > 1e-6
    return np.where(touched, np.inf, np.sqrt(variances)) * scale


def quality(case: Case, found: Estimate, tolerance: float) -> Quality:
    """How well the parameters are known; determined: with a deviation of up to that part of their value."""
    deviation = deviations(found.information, case.first_guess)
    edge, relative = 1e-6 * case.first_guess, deviation / np.abs(found.values)
    return Quality(
        deviations=deviation,
        relative=relative,
        determined=relative <= tolerance,
        outside=np.asarray(outside_training_range(found.values, case.parameters).any(axis=0)),
        at_bound=(found.values <= case.lower + edge) | (found.values >= case.upper - edge),
    )


def table(case: Case, found: Estimate, known: Quality, tolerance: float) -> str:
    """Estimates against the file's parameters, which are the truth of a twin and what ecLand used of ecLand's data."""
    within = f"within {tolerance:.0%}"
    titles = ("parameter", "units", "where", "n", "first guess", "estimate", "corr", within, "std", "at bound")
    rows: list[tuple[str, ...]] = []
    for k, variable in enumerate(case.parameters):
        truth, first, value = case.file_values[:, k], case.first_guess[:, k], found.values[:, k]
        determined = known.determined[:, k]
        for where, chosen in (("all", np.ones_like(determined)), ("determined", determined), ("not", ~determined)):
            if not chosen.any():
                continue
            near = np.abs(value - truth)[chosen] <= tolerance * np.abs(truth[chosen])
            distances = (f"{rmse(one[chosen] - truth[chosen]):.3g}" for one in (first, value))
            correlation = _correlation((value - first)[chosen], (truth - first)[chosen])
            parts = (f"{near.mean():.0%}", f"{np.median(known.relative[chosen, k]):.1%}")
            counts = (str(int(flags[chosen, k].sum())) for flags in (known.at_bound, known.outside))
            n_chosen = str(int(chosen.sum()))
            rows.append((variable.name, variable.units, where, n_chosen, *distances, correlation, *parts, *counts))
    done = int(found.converged.sum())
    return "\n".join(
        [
            *aligned((*titles, "untrained"), rows, left=3),
            f"Misfit {found.misfit.sum():.4g} (first guess {found.first_misfit.sum():.4g}); {done} of "
            f"{len(found.converged)} columns converged; {found.evaluations} runs.",
            "first guess, estimate: RMS distance from the file's parameters; corr: of the estimated and the file's",
            "change of the first guess; std: median standard deviation by the Fisher information of the observations;",
            f"determined: where that is at most {tolerance:.0%} of the value; untrained: out of the training range.",
        ]
    )


def _correlation(one: Values, other: Values) -> str:
    if one.size < 3 or one.std() == 0.0 or other.std() == 0.0:
        return "-"
    return f"{np.corrcoef(one, other)[0, 1]:.3f}"


def group_table(case: Case, known: Quality, grouping: Grouping) -> str:
    """Where the observations determine the parameters: parts of columns and median deviations by class."""
    titles = (grouping.name, "n", *(text for one in case.parameters for text in (one.name, "std")))
    rows = []
    for name in grouping.classes:
        chosen = grouping.members(name)
        cells = [name, str(int(chosen.sum()))]
        for k in range(len(case.parameters)):
            cells += [f"{known.determined[chosen, k].mean():.0%}", f"{np.median(known.relative[chosen, k]):.1%}"]
        rows.append(tuple(cells))
    note = "Parts of the columns in which each parameter is determined, and its median std."
    return "\n".join([*aligned(titles, rows, left=1), note])


def write(path: Path, case: Case, found: Estimate, known: Quality, attributes: dict[str, str]) -> None:
    """Write all results."""
    period = case.period
    data = xr.Dataset(attrs=attributes)
    data.update(columns(period.x, period.latitude, period.longitude))
    for k, variable in enumerate(case.parameters):
        text = variable.long_name or variable.name
        for suffix, values, what in (
            ("", found.values, "estimate"),
            ("_first_guess", case.first_guess, "first guess"),
            ("_file", case.file_values, "value in the input file"),
            ("_error", known.deviations, "standard deviation of the estimate by the observations alone"),
        ):
            finite = np.where(np.isfinite(values[:, k]), values[:, k], np.nan)
            data[f"{variable.name}{suffix}"] = field(("x",), finite, f"{text}: {what}", variable.units)
        for suffix, flags, what in (
            ("_determined", known.determined, "whether the observations determine it"),
            ("_at_bound", known.at_bound, "whether the estimate is at the edge of the search"),
            ("_outside_training_range", known.outside, "whether the estimate is out of the training range"),
        ):
            data[f"{variable.name}{suffix}"] = _flag(flags[:, k], f"{text}: {what}")
    for name, values, what in (
        ("misfit_first_guess", found.first_misfit, "misfit of the run with the first guess"),
        ("misfit", found.misfit, "misfit of the run with the estimate"),
        ("observations", case.misfit.counts.astype(np.float64), "number of observed values"),
    ):
        data[name] = field(("x",), values, what, "1")
    data["converged"] = _flag(found.converged, "whether the search ended by itself")
    for dimension in ("parameter", "other_parameter"):
        data[dimension] = texts(dimension, [variable.name for variable in case.parameters], "name of a parameter")
    data["information"] = field(
        ("x", "parameter", "other_parameter"), _scaled(found.information, case.first_guess),
        "Fisher information of the observations about the parameters in units of their first guesses", "1",
    )  # fmt: skip
    write_netcdf(path, data)


def _flag(flags: Values, long_name: str) -> xr.Variable:
    meaning = {"flag_values": np.array([0, 1], np.uint8), "flag_meanings": "no yes"}
    return field(("x",), flags.astype(np.uint8), long_name, "1", **meaning)


def _scaled(information: Values, scale: Values) -> Values:
    """Information about parameters in units of their scales."""
    return information * scale[:, :, None] * scale[:, None, :]
