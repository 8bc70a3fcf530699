"""A cycle with measured observations on a period of files: which are there, rescaled, tuned, gone on with."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ailand_gt4py.assimilation import measured_scores
from ailand_gt4py.assimilation.consistency import of_result
from ailand_gt4py.assimilation.cycle import Cycle, CycleResult, Land, operators_of
from ailand_gt4py.assimilation.measured import Measurements, Observing, at_steps, observable_variables, observables_of
from ailand_gt4py.assimilation.restart import Standing
from ailand_gt4py.assimilation.settings import AssimilationSettings, Rescaling, Withholding
from ailand_gt4py.assimilation.tuning import tuned
from ailand_gt4py.assimilation.window import run_window
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.times import step_of, whole_steps
from ailand_gt4py.core.types import Values
from ailand_gt4py.evaluation.scores.groups import ColumnLocations
from ailand_gt4py.io.period import Period
from ailand_gt4py.observations.observed import Observed, read_observed
from ailand_gt4py.observations.operators import kinds
from ailand_gt4py.weights import schema
from ailand_gt4py.weights.model import Model

logger = logging.getLogger(__name__)


class MeasuredCycle:
    """Observations of files and the land that they are of.

    Args:
        paths: files with observations. wanted: kinds to assimilate; None: all that the files have.
        named: what they call variables that have other names there.
        clay: gives mass fractions (n_columns,) where brightness temperature is observed.

    Raises:
        InputError: nothing that was asked for was observed at the columns within the period.
    """

    def __init__(
        self,
        model: Model,
        period: Period,
        paths: Sequence[str],
        settings: AssimilationSettings,
        wanted: Sequence[str] | None,
        named: Mapping[str, str],
        withholding: Withholding,
        clay: Callable[[], Values],
    ) -> None:
        step, window = step_of(model.step_seconds), step_of(3600.0 * settings.window_hours)
        per_window = whole_steps(window, step, "--window-hours")
        self.n_steps = period.n_steps // per_window * per_window
        if not self.n_steps:
            raise InputError(f"{period.name}: has {period.n_steps} steps, expected a window of {per_window} at least")
        known = [name for kind in (wanted or kinds()) for name in observables_of(kind)]
        results = [*model.state, *model.diagnostics]
        if unknown := sorted(set(named) - {*known, *(one.name for one in results)}):
            raise InputError(f"option --observed-as: found '{unknown[0]}', expected some of {', '.join(known)}")
        variables = [*observable_variables(known), *(one for one in results if one.name not in known)]
        found = read_observed(
            paths, variables, x=period.x, latitude=period.latitude, longitude=period.longitude,
            reading=period.reading, named=named,
        )  # fmt: skip
        taken = [kind for kind in (wanted or kinds()) if any(name in found for name in observables_of(kind))]
        if missing := [kind for kind in wanted or [] if kind not in taken]:
            raise InputError(
                f"{', '.join(paths)}: nothing in it was observed of {', '.join(missing)}, found {', '.join(found)}"
            )
        if not taken:
            raise InputError(f"{', '.join(paths)}: found {', '.join(found)}, expected some of {', '.join(kinds())}")
        self.settings = settings.replace(observe=tuple(taken))
        self.land = Land(
            model, period.times[: self.n_steps], period.static, period.forcing[: self.n_steps], period.initial_state,
            clay() if "tb" in taken else None, period.calendar,
        )  # fmt: skip
        assimilated = {name: found.pop(name) for kind in taken for name in observables_of(kind) if name in found}
        self._measured = Measurements.of(assimilated, self.land, withholding)
        self._others = self._usable({name: one for name, one in found.items() if name not in known})
        self._cycle: Cycle | None = None
        self._rescaling: dict[str, Values] = {}

    def _usable(self, found: Mapping[str, Observed]) -> dict[str, Observed]:
        """Observations to compare with only, at the steps; those that cannot be had there are said and left out."""
        usable = {}
        for name, one in found.items():
            try:
                usable[name] = at_steps(one, self.land)
            except InputError as error:
                logger.info("  not compared: %s", error)
        return usable

    def run(
        self,
        make_emulator: Callable[[Model, int], Any],
        rescale: Rescaling,
        standing: Standing | None,
        n_tunings: int,
        after_window: Callable[[int], None],
    ) -> tuple[CycleResult, measured_scores.MeasuredScores]:
        """Run the cycle, as often as its errors are tuned and once more; the result is the last one's.

        Args:
            standing: where a cycle stands that this one goes on with; its rescaling is taken.
        """
        operators, settings = operators_of(self.land, self.settings.observe), self.settings
        measured = self._measured
        if standing is not None:
            self._rescaling = dict(standing.rescaling)
        elif rescale != "none":
            self._rescaling = measured.rescaling(self._open_loop(make_emulator, operators), rescale)
        measured = measured.rescaled(self._rescaling)
        for tuning in range(n_tunings + 1):
            cycle = Cycle(self.land, settings, make_emulator)
            if standing is not None:
                cycle.restore(standing.snapshot)
            observing = Observing(measured, settings.errors, cycle.steps_per_window)
            result = cycle.run(observing, after_window if tuning == n_tunings else lambda done: None)
            if tuning < n_tunings:
                settings = settings.replace(errors=tuned(settings.errors, of_result(result)))
        self._cycle = cycle
        return result, measured_scores.score(result, measured, operators, self._others)

    def identity(self, precision: str, rescale: Rescaling) -> dict[str, str]:
        """What is the same in a cycle that goes on with another."""
        settings = self.settings
        members = f" of {settings.members}" if settings.method == "etkf" else ""
        return {
            "model_checksum": schema.checksum(self.land.model),
            "precision": precision,
            "method": f"{settings.method}{members}",
            "control": ",".join(settings.control),
            "rescaling": rescale,
        }

    def standing(self, precision: str, rescale: Rescaling, where: ColumnLocations) -> Standing:
        """Where the cycle that was run stands."""
        assert self._cycle is not None
        end = self.land.times[-1] + step_of(self.land.model.step_seconds)
        return Standing(end, self.identity(precision, rescale), where, self._cycle.snapshot(), self._rescaling)

    def _open_loop(self, make_emulator: Callable[[Model, int], Any], operators: Mapping[str, Any]) -> dict[str, Values]:
        """What the open loop makes of what is assimilated, (n_steps, n_columns) by observable."""
        land = self.land
        run = run_window(make_emulator(land.model, land.n_columns), land.static, land.forcing, land.start)
        found = {}
        for operator in operators.values():
            values = measured_scores.equivalents_through([run], operator)
            for position, observable in enumerate(operator.observables):
                if observable.name in self._measured.values:
                    found[observable.name] = values[..., position]
        return found
