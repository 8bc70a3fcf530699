"""First order against Monte Carlo: by how much the standard deviations differ, and under which conditions.

Density, temperature and albedo of snow count only where there is snow in the run: elsewhere they are no quantities.

Each step of each column is of one class: the first of `monte_carlo.CONDITIONS` that holds there; "earlier" where none
holds, but one did since the start, whose trace the errors still bear; "none" where none ever did.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from ailand_gt4py.core.text_table import aligned
from ailand_gt4py.core.types import Values
from ailand_gt4py.evaluation.scores.moments import rmse
from ailand_gt4py.uncertainty.monte_carlo import CONDITIONS, MonteCarlo
from ailand_gt4py.uncertainty.propagation import Propagation
from ailand_gt4py.weights.meaning import SNOW_PROPERTIES, snow_of_state
from ailand_gt4py.weights.model import Model

CLASSES = ("none", *CONDITIONS, "earlier")
#: Standard deviations that differ by at most this part count as the same; one of 1000 members has a sampling error of
#: 2.2 % (1 / sqrt(2 (n - 1)), normal distribution).
SAME_WITHIN = 0.1
#: Deviations below this part of the model's spread of a variable are no errors to compare: they are rounding.
LEAST = 1e-5


@dataclasses.dataclass(frozen=True)
class Agreement:
    """How first order and Monte Carlo agree on one variable in one class, or in "all": what `table` says."""

    name: str
    units: str
    of_class: str
    count: int
    first_order: float
    members: float
    ratio: float
    same: float
    shift: float


def classes(found: MonteCarlo) -> Values:
    """(n_steps, n_columns) positions in `CLASSES`."""
    ever = np.logical_or.accumulate(found.conditions.any(axis=0), axis=0)
    otherwise = np.where(ever, CLASSES.index("earlier"), CLASSES.index("none"))
    return np.select(list(found.conditions), [CLASSES.index(name) for name in CONDITIONS], otherwise)


def agreements(model: Model, linear: Propagation, found: MonteCarlo) -> list[Agreement]:
    """Rows for each variable: all classes together (``of_class`` "all"), then those that occur."""
    of_class = classes(found)
    deviations, snowy, rows = linear.deviations, snow_of_state(model, linear.results), []
    for position, variable in enumerate((*model.state, *model.diagnostics)):
        first, members = deviations[..., position], found.deviation[..., position]
        shift = np.abs(found.mean[..., position] - linear.results[..., position])
        known = members > LEAST * variable.normalisation.scale
        if variable.name in SNOW_PROPERTIES and snowy is not None:
            known &= snowy
        for name in ("all", *CLASSES):
            chosen = known if name == "all" else known & (of_class == CLASSES.index(name))
            if chosen.any():
                ratio = first[chosen] / members[chosen]
                rows.append(
                    Agreement(
                        name=variable.name,
                        units=variable.units,
                        of_class=name,
                        count=int(ratio.size),
                        first_order=float(rmse(first[chosen])),
                        members=float(rmse(members[chosen])),
                        ratio=float(np.median(ratio)),
                        same=float((np.abs(ratio - 1.0) <= SAME_WITHIN).mean()),
                        shift=float(np.median(shift[chosen] / members[chosen])),
                    )
                )
    return rows


def table(rows: list[Agreement], n_members: int) -> str:
    """A table in plain text, and what its columns mean."""
    same = {(row.name, row.of_class): f"{row.same:.0%}" for row in rows}
    counts = {name: max((row.count for row in rows if row.of_class == name), default=0) for name in CLASSES}
    where = [name for name in CLASSES if counts[name]]
    titles = ("variable", "units", "1st order", "members", "ratio", "shift", "same", *where)
    cells = []
    for row in rows:
        if row.of_class == "all":
            numbers = (f"{row.first_order:.3g}", f"{row.members:.3g}", f"{row.ratio:.3f}", f"{row.shift:.2f}")
            parts = (same.get((row.name, name), "-") for name in ("all", *where))
            cells.append((row.name, row.units, *numbers, *parts))
    cells.append(("(steps x columns)", *("",) * 6, *(str(counts[name]) for name in where)))
    sampling = 1.0 / np.sqrt(2.0 * (n_members - 1))
    return "\n".join(
        [
            *aligned(titles, cells, left=2),
            f"Standard deviations of errors to first order and of {n_members} members (root mean squares over steps",
            f"and columns); ratio: median of their ratios, which sampling alone spreads by {sampling:.1%}; shift:",
            "median distance of the members' mean from the run, in the members' standard deviations; same: part of the",
            f"deviations within {SAME_WITHIN:.0%} of each other, then by condition: members differ in having snow, in",
            "being frozen, some have soil at a bound; 'earlier': they did since the start; 'none': never.",
        ]
    )
