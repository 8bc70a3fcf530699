"""Measured observations as a cycle takes them: at its steps, some withheld, rescaled to the model if that is wanted.

Where a model's climatology is another than the instrument's, an analysis that takes observations as they are moves
the model to where it does not stay. `rescaled` gives them the open loop's mean, or mean and standard deviation, column
by column: the linear rescaling by which ECMWF takes scatterometers' soil moisture (Scipal et al. 2008,
doi:10.1016/j.advwatres.2008.04.013). Its two numbers are of the cycle's whole period, or of the restart's.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Self

import numpy as np

from ailand_gt4py.assimilation.cycle import Land, WindowObservations
from ailand_gt4py.assimilation.settings import Errors, Rescaling, Withholding
from ailand_gt4py.assimilation.window import Observation, Schedule
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.times import step_of
from ailand_gt4py.core.types import Values
from ailand_gt4py.observations.observed import Observed
from ailand_gt4py.observations.operators import ObservationOperator, kinds
from ailand_gt4py.weights.model import Variable
from ailand_gt4py.weights.variables import CATALOGUE

#: Fewest pairs by which a column's observations are rescaled: this project's.
FEWEST_PAIRS = 20


def observable_variables(names: Sequence[str]) -> list[Variable]:
    """What files may have of observables, as variables."""
    return [CATALOGUE[name].variable() for name in names]


def observables_of(kind: str) -> tuple[str, ...]:
    """Names of what a kind of observation gives."""
    return tuple(kinds()[kind].errors)


def at_steps(observed: Observed, land: Land) -> Observed:
    """Observations of a land's steps: means by their starts, those that were well measured, and instants by their ends.

    Raises:
        InputError: there are none.
    """
    step = step_of(land.model.step_seconds)
    if observed.is_mean:
        return observed.on_labels(land.times, step).well_measured()
    return observed.on_labels(land.times + step, step)


@dataclasses.dataclass(frozen=True)
class Measurements:
    """What was measured, by observable, at the ends of a cycle's steps.

    Attributes:
        values: (n_steps, n_columns), NaN where nothing was. errors: likewise, NaN where they are not known.
        withheld: (n_steps,) booleans of steps at whose ends nothing is assimilated.
    """

    values: Mapping[str, Values]
    errors: Mapping[str, Values]
    withheld: Values

    @classmethod
    def of(cls, observed: Mapping[str, Observed], land: Land, withholding: Withholding) -> Self:
        """Of observations at their own times.

        Raises:
            InputError: of an observable there is nothing at the ends of the land's steps.
        """
        ends = land.times + step_of(land.model.step_seconds)
        found = {name: at_steps(one, land) for name, one in observed.items()}
        withheld = np.zeros(len(ends), dtype=bool)
        if withholding == "odd-days":
            withheld = ends.astype("datetime64[D]").astype(np.int64) % 2 == 1
        values, errors = ({name: getattr(one, part) for name, one in found.items()} for part in ("values", "errors"))
        return cls(values, errors, withheld)

    def assimilated(self, name: str) -> Values:
        """(n_steps, n_columns) with gaps where observations are withheld."""
        return np.where(self.withheld[:, None], np.nan, self.values[name])

    def rescaled(self, factors: Mapping[str, Values]) -> Self:
        """Values gain * y + shift, errors times the gain; ``factors`` (2, n_columns) by observable."""
        values, errors = dict(self.values), dict(self.errors)
        for name, (gain, shift) in factors.items():
            values[name], errors[name] = gain * values[name] + shift, gain * errors[name]
        return dataclasses.replace(self, values=values, errors=errors)

    def rescaling(self, equivalents: Mapping[str, Values], how: Rescaling) -> dict[str, Values]:
        """Gain and shift (2, n_columns) by observable, that give what is assimilated the moments of equivalents.

        Raises:
            InputError: a column has fewer pairs than `FEWEST_PAIRS`.
        """
        factors = {}
        for name, run in equivalents.items():
            pairs = np.stack([run, self.assimilated(name)])
            known = np.isfinite(pairs).all(axis=0)
            has_any = np.isfinite(self.values[name]).any(axis=0)
            if (few := has_any & (known.sum(axis=0) < FEWEST_PAIRS)).any():
                column = int(np.argmax(few))
                raise InputError(
                    f"observations of '{name}': column {column} has {known[:, column].sum()} to be rescaled by, "
                    f"expected at least {FEWEST_PAIRS}"
                )
            mean = pairs.sum(axis=1, where=known) / np.maximum(known.sum(axis=0), 1)
            spread = np.sqrt(np.square(pairs - mean[:, None]).sum(axis=1, where=known))
            gain = np.divide(spread[0], spread[1], out=np.ones_like(spread[0]), where=spread[1] > 0.0)
            gain = gain if how == "mean-and-deviation" else np.ones_like(gain)
            factors[name] = np.stack([gain, mean[0] - gain * mean[1]])
        return factors


@dataclasses.dataclass(frozen=True)
class Observing:
    """Measurements by window, with errors: their own where they are known, else the settings', and the model's."""

    measurements: Measurements
    settings: Errors
    steps_per_window: int

    def __call__(self, operators: Mapping[str, ObservationOperator], begin: int) -> WindowObservations:
        measured = self.measurements
        columns = slice(begin, begin + self.steps_per_window)
        values = {name: measured.assimilated(name)[columns] for name in measured.values}
        schedule = Schedule(
            tuple(
                Observation(step, operator)
                for step in range(1, self.steps_per_window + 1)
                for operator in operators.values()
                if any(np.isfinite(values[one.name][step - 1]).any() for one in operator.observables)
            )
        )
        n_columns = next(iter(values.values())).shape[1]
        taken, errors = np.empty((2, n_columns, len(schedule.steps)))
        for position, (step, name) in enumerate(zip(schedule.steps, schedule.names, strict=True)):
            own = measured.errors[name][begin + step - 1]
            taken[:, position] = values[name][step - 1]
            errors[:, position] = np.where(np.isfinite(own), own, self.settings.observation[name])
            errors[:, position] = np.hypot(errors[:, position], self.settings.emulator[name])
        return WindowObservations(schedule, taken, errors)
