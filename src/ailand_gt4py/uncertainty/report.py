"""Errors of a run in a file and as a table: standard deviations, where they come from, correlations at the end."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr

from ailand_gt4py.core.text_table import aligned
from ailand_gt4py.core.types import Values
from ailand_gt4py.io.period import Period
from ailand_gt4py.io.whole_files import columns, field, texts, time_labels, write_netcdf
from ailand_gt4py.uncertainty.linearity import CLASSES, classes
from ailand_gt4py.uncertainty.monte_carlo import MonteCarlo
from ailand_gt4py.uncertainty.propagation import SOURCES, Propagation, shares
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
    """Write all results."""
    data = xr.Dataset(attrs=attributes)
    data.update(columns(period.x, period.latitude, period.longitude))
    data["time"] = time_labels(period.ends, "end of the step; fluxes are means over the step", calendar=period.calendar)
    data["source"] = texts("source", SOURCES, "source of errors")
    over, deviations = ("time", "x"), linear.deviations
    for position, variable in enumerate((*model.state, *model.diagnostics)):
        name, text = variable.name, variable.long_name or variable.name
        rows = [("_error", deviations, f"standard deviation of the error of {name}, to first order")]
        if members is not None:
            words = f"of {name} over the members of a Monte Carlo run"
            rows.append(("_member_error", members.deviation, f"standard deviation {words}"))
            rows.append(("_member_mean", members.mean, f"mean {words}"))
        own = linear.results[..., position].astype(np.float32)
        data[name] = field(over, own, text, variable.units, standard_name=variable.standard_name)
        for suffix, values, words in rows:
            data[f"{name}{suffix}"] = field(over, values[..., position].astype(np.float32), words, variable.units)
        parts = shares(linear.variances[..., position]).astype(np.float32)
        words = f"part of the variance of the error of {name}, by source"
        data[f"{name}_error_share"] = field(("source", *over), parts, words, "1")
    if members is not None:
        data.attrs["members"] = np.int32(members.n_members)
        data["condition"] = field(
            over, classes(members).astype(np.uint8), "condition of the members", "1",
            flag_values=np.arange(len(CLASSES), dtype=np.uint8),
            flag_meanings=" ".join(name.replace(" ", "_") for name in CLASSES),
        )  # fmt: skip
    for dimension in ("state", "other_state"):
        data[dimension] = texts(dimension, [variable.name for variable in model.state], "name of a state")
    data["error_correlation"] = field(
        ("x", "state", "other_state"), correlations(linear.covariance).astype(np.float32),
        "correlation of the errors of two states after the last step, to first order", "1",
    )  # fmt: skip
    write_netcdf(path, data)


def correlations(covariance: Values) -> Values:
    """(n_columns, n, n); NaN where a variance is zero."""
    deviation = np.sqrt(np.maximum(np.diagonal(covariance, axis1=1, axis2=2), 0.0))
    scale = deviation[:, :, None] * deviation[:, None, :]
    return covariance / np.where(scale > 0.0, scale, np.nan)


def table(model: Model, period: Period, linear: Propagation) -> str:
    """Errors after some days and where they come from, as a table in plain text."""
    step_days = float(period.step / np.timedelta64(1, "D"))
    steps = {round(days / step_days) for days in SHOWN_DAYS}
    leads = sorted(steps & set(range(1, period.n_steps + 1))) or [period.n_steps]
    variances = linear.variances.mean(axis=2)
    deviations, parts = np.sqrt(variances.sum(axis=0)), shares(variances[:, leads[-1] - 1])
    titles = ("variable", "units", *(f"{lead * step_days:g} d" for lead in leads), *SOURCES)
    cells = []
    for position, variable in enumerate((*model.state, *model.diagnostics)):
        errors = (f"{deviations[lead - 1, position]:.3g}" for lead in leads)
        percents = ("-" if np.isnan(part) else f"{100.0 * part:.0f} %" for part in parts[:, position])
        cells.append((variable.name, variable.units, *errors, *percents))
    return "\n".join(
        [
            *aligned(titles, cells, left=2),
            "Standard deviations of errors to first order (root mean squares over columns) after some days, and shares",
            "of their variance after the last of these by source.",
        ]
    )
