"""Twin experiment: ecLand in a file is the truth, an emulator that starts from wrong soil moisture is to find it.

Observations are simulated from the truth, with noise. The open loop beside it is from the same wrong state with the
same wrong weather. Each kind of noise has a stream of random numbers of its own, so that one more kind of observation
leaves the noise of the others as it is.
"""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Callable, Mapping
from typing import Any

from ailand_gt4py.assimilation.control import SOIL_WATER
from ailand_gt4py.assimilation.cycle import (
    OBSERVATIONS,
    STATE,
    WEATHER,
    Cycle,
    CycleResult,
    Land,
    WindowObservations,
    operators_of,
    random_of,
    with_errors,
)
from ailand_gt4py.assimilation.perturbations import WEATHER_ERRORS, initial_errors, perturbed_weather
from ailand_gt4py.assimilation.settings import AssimilationSettings
from ailand_gt4py.assimilation.window import Observation, Schedule, Trajectory, equivalents
from ailand_gt4py.core.constants import SECONDS_PER_DAY
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.times import step_of, whole_steps
from ailand_gt4py.core.types import Values
from ailand_gt4py.evaluation.columns import VerificationColumns
from ailand_gt4py.observations.operators import ObservationOperator, kinds
from ailand_gt4py.weights.model import Model

#: Streams of the noise of observables, whatever other observables there are.
_FIRST = ("t2m", "rh2m", "ssm", "tbh", "tbv")


@dataclasses.dataclass(frozen=True)
class TwinResult(CycleResult):
    """What an experiment gave, and the truth, (n_steps, n_columns, n_state) at ``times``."""

    truth: Values


def is_observed(kind: str, step: int, step_seconds: float) -> bool:
    """Whether a kind of observation is made at the end of a step, counted from 1 at the experiment's start."""
    every = max(1, round(kinds()[kind].hours * 3600.0 / step_seconds))
    return (step - 1) % every == 0


class Twin:
    """An experiment, ready to run from label ``first`` of the columns, which are the truth.

    Clay fractions (n_columns,) may be None where no brightness temperature is observed.
    """

    def __init__(
        self,
        model: Model,
        columns: VerificationColumns,
        settings: AssimilationSettings,
        make_emulator: Callable[[Model, int], Any],
        first: int = 0,
        clay: Values | None = None,
    ) -> None:
        self.model, self.settings, self.first, self._columns = model, settings, first, columns
        self.n_steps = whole_steps(step_of(SECONDS_PER_DAY * settings.days), step_of(model.step_seconds), "--days")
        if first + self.n_steps >= columns.n_times:
            raise InputError(
                f"the file has {columns.n_times - first} times from the start on, expected at least {self.n_steps + 1}"
            )
        weather, truth = columns.forcing[first : first + self.n_steps], columns.state[first]
        sizes = settings.weather_error * WEATHER_ERRORS
        forcing, _ = perturbed_weather(random_of(settings, WEATHER), model, weather, sizes)
        # The truth at the start with an error in soil moisture.
        errors = initial_errors(random_of(settings, STATE), len(truth), settings.initial_error, len(SOIL_WATER))
        start = with_errors(model, columns.static, truth, errors)
        times = columns.times[first : first + self.n_steps]
        land = Land(model, times, columns.static, forcing, start, clay, columns.calendar)
        self._cycle, self._of_truth = Cycle(land, settings, make_emulator), operators_of(land, settings.observe)
        self.control, self.forcing = self._cycle.control, forcing

    def run(self, after_window: Callable[[int], None] = lambda done: None) -> TwinResult:
        """Run open loop and assimilation; `after_window` is called with the number of steps that are done."""
        result = self._cycle.run(self._simulated, after_window)
        labels = slice(self.first, self.first + self.n_steps)
        own = {field.name: getattr(result, field.name) for field in dataclasses.fields(result)}
        return TwinResult(**own, truth=self._columns.state[labels])

    def _schedule(self, operators: Mapping[str, ObservationOperator], begin: int) -> Schedule:
        """What is observed in the window that begins after ``begin`` steps."""
        return Schedule(
            tuple(
                Observation(step, operator)
                for step in range(1, self._cycle.steps_per_window + 1)
                for kind, operator in operators.items()
                if is_observed(kind, begin + step, self.model.step_seconds)
            )
        )

    def _simulated(self, operators: Mapping[str, ObservationOperator], begin: int) -> WindowObservations:
        """Observations of the truth in a window, with noise."""
        columns, schedule = self._columns, self._schedule(self._of_truth, begin)
        labels = slice(self.first + begin, self.first + begin + self._cycle.steps_per_window + 1)
        truth = Trajectory(columns.forcing[labels], columns.state[labels], columns.diagnostics[labels][1:])
        values = equivalents(truth, schedule)
        for position, (step, name) in enumerate(zip(schedule.steps, schedule.names, strict=True)):
            stream = _FIRST.index(name) if name in _FIRST else zlib.crc32(name.encode())
            random = random_of(self.settings, OBSERVATIONS, stream, begin + step)
            values[:, position] += self.settings.errors.observation[name] * random.standard_normal(len(values))
        return WindowObservations(self._schedule(operators, begin), values)
