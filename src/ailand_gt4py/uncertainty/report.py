"""Errors of a run in a file and as a table: standard deviations, where they come from, correlations at the end."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr

from ailand_gt4py.core.text_table import aligned
from ailand_gt4py.io.period import Period
from ailand_gt4py.io.whole_files import columns, field, texts, time_labels, write_netcdf
from ailand_gt4py.uncertainty.linearity import CLASSES, classes
from ailand_gt4py.uncertainty.monte_carlo import MonteCarlo
from ailand_gt4py.uncertainty.propagation import SOURCES, Propagation
from ailand_gt4py.weights.model import Model

TITLE = "errors of aiLand, an emulator of ecLand, carried through its steps"

#: Days at which the table shows the errors.
SHOWN_DAYS = (1.0, 7.0, 30.0, 90.0)


def write(
    path: Path,
    model: Model,
    period: Period,
    linear: Propagation,
    members: MonteCarlo | None,
    attributes: dict[str, str],
) -> None:
    """Write all numbers.

    Args:
        members: None: there are none. attributes: global ones.

    Raises:
        RunError: writing failed.
    """
    variances = np.concatenate([linear.state_variance, linear.diagnostics_variance], axis=3)
    run = np.concatenate([linear.states, linear.diagnostics], axis=2)
    deviations = linear.deviations
    over = ("time", "x")
    data = xr.Dataset(attrs=attributes)
    data.update(columns(period.x, period.latitude, period.longitude))
    data["time"] = time_labels(period.ends, "end of the step; fluxes are means over the step")
    data["source"] = texts("source", SOURCES, "source of errors")
    for position, variable in enumerate((*model.state, *model.diagnostics)):
        name, units, text = variable.name, variable.units, variable.long_name or variable.name
        data[name] = field(over, _single(run[..., position]), text, units, standard_name=variable.standard_name)
        data[f"{name}_error"] = field(
            over,
            _single(deviations[..., position]),
            f"standard deviation of the error of {name}, to first order",
            units,
        )
        data[f"{name}_error_share"] = field(
            ("source", *over),
            _single(_shares(variances[..., position])),
            f"part of the variance of the error of {name}, by source",
            "1",
        )
        if members is not None:
            for suffix, values, what in (
                ("error", members.deviation, "standard deviation"),
                ("mean", members.mean, "mean"),
            ):
                text = f"{what} of {name} over the members of a Monte Carlo run"
                data[f"{name}_member_{suffix}"] = field(over, _single(values[..., position]), text, units)
    if members is not None:
        data.attrs["members"] = np.int32(members.n_members)
        data["condition"] = field(
            over,
            classes(members).astype(np.uint8),
            "condition of the members",
            "1",
            flag_values=np.arange(len(CLASSES), dtype=np.uint8),
            flag_meanings=" ".join(name.replace(" ", "_") for name in CLASSES),
        )
    names = [variable.name for variable in model.state]
    for dimension in ("state", "other_state"):
        data[dimension] = texts(dimension, names, "name of a state")
    data["error_correlation"] = field(
        ("x", "state", "other_state"),
        _single(correlations(linear.covariance)),
        "correlation of the errors of two states after the last step, to first order",
        "1",
    )
    write_netcdf(path, data)


def _single(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float32)


def _shares(variances: np.ndarray) -> np.ndarray:
    """Parts of the sum over the first axis; NaN where it is zero."""
    total = variances.sum(axis=0)
    return np.where(total > 0.0, variances / np.where(total > 0.0, total, 1.0), np.nan)


def correlations(covariance: np.ndarray) -> np.ndarray:
    """(n_columns, n, n); NaN where a variance is zero."""
    deviation = np.sqrt(np.maximum(np.diagonal(covariance, axis1=1, axis2=2), 0.0))
    scale = deviation[:, :, None] * deviation[:, None, :]
    return np.where(scale > 0.0, covariance / np.where(scale > 0.0, scale, 1.0), np.nan)


def table(model: Model, period: Period, linear: Propagation) -> str:
    """Errors after some days and where they come from, as a table for people."""
    step_days = float(period.step / np.timedelta64(1, "D"))
    leads = sorted({round(days / step_days) for days in SHOWN_DAYS if 0 < round(days / step_days) <= period.n_steps})
    leads = leads or [period.n_steps]
    variances = np.concatenate([linear.state_variance, linear.diagnostics_variance], axis=3).mean(axis=2)
    total = variances.sum(axis=0)
    titles = ("variable", "units", *(f"{lead * step_days:g} d" for lead in leads), *SOURCES)
    cells = []
    for position, variable in enumerate((*model.state, *model.diagnostics)):
        last = total[leads[-1] - 1, position]
        parts = variances[:, leads[-1] - 1, position] / last if last > 0.0 else np.full(len(SOURCES), np.nan)
        cells.append(
            (
                variable.name,
                variable.units,
                *(f"{np.sqrt(total[lead - 1, position]):.3g}" for lead in leads),
                *("-" if np.isnan(part) else f"{100.0 * part:.0f} %" for part in parts),
            )
        )
    return "\n".join(
        [
            *aligned(titles, cells, left=2),
            "Standard deviations of errors to first order (root mean squares over columns) after some days, and parts",
            "of their variance after the last of these by where they come from.",
        ]
    )
