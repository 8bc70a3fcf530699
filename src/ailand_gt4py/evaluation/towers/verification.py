"""A free run, ecLand and empirical benchmarks against what was observed at the same columns."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ailand_gt4py.core.constants import LEAST_MEASURED
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.text_table import aligned
from ailand_gt4py.core.times import step_of, step_text
from ailand_gt4py.core.types import Values
from ailand_gt4py.ecland.humidity import saturation_pressure, vapour_pressure
from ailand_gt4py.evaluation.columns import VerificationColumns
from ailand_gt4py.evaluation.runs import FreeRun
from ailand_gt4py.evaluation.scores.verify import SUMS, compared
from ailand_gt4py.evaluation.towers import brightness
from ailand_gt4py.evaluation.towers.closure import Balance, Closure, closure, corrected
from ailand_gt4py.evaluation.towers.empirical import BENCHMARKS, Benchmark, Weather, learnt_at
from ailand_gt4py.evaluation.towers.scores import TowerScore
from ailand_gt4py.io import interval_means
from ailand_gt4py.observations.observed import Observed
from ailand_gt4py.weights.model import Model, Variable
from ailand_gt4py.weights.variables import CATALOGUE

#: What benchmarks predict, and what a balance is made of beside these.
FLUXES, NET_RADIATION, GROUND = ("sshf", "slhf"), "rnet", "ghf"
EMULATOR, ECLAND = "emulator", "ecLand"


@dataclasses.dataclass(frozen=True)
class Compared:
    """One observed variable beside what models have of it.

    Attributes:
        labels: (n,) datetime64; observed: (n, n_columns). models: name -> (n, n_columns) at the same labels.
        window: length of the means that begin at the labels; 0 of what is instantaneous.
        errors: (n, n_columns) standard deviations of what was observed; NaN where they are not known.
    """

    variable: Variable
    labels: Values
    observed: Values
    models: Mapping[str, Values]
    window: np.timedelta64
    errors: Values

    @property
    def is_known(self) -> Values:
        """(n, n_columns) where all have a value: so that no model is judged by other windows."""
        return np.asarray(np.isfinite(np.stack([self.observed, *self.models.values()])).all(axis=0))

    @property
    def scores(self) -> dict[str, TowerScore]:
        """Of each model, where all is known."""
        observed = np.where(self.is_known, self.observed, np.nan)
        return {name: TowerScore.of(values, observed) for name, values in self.models.items()}

    @property
    def within_errors(self) -> dict[str, float]:
        """Share of windows of each model that differ by no more than the observation's standard deviation.

        Of the windows in which all is known, and this, too; nothing where there is none.
        """
        known = self.is_known & np.isfinite(self.errors)
        if not known.any():
            return {}
        return {
            name: float((np.abs(values - self.observed) <= self.errors)[known].mean())
            for name, values in self.models.items()
        }

    def cycle(self, of: str) -> tuple[Values, dict[str, Values]]:
        """Means by hour of the day ("hour") or by month ("month"), (n,), of windows in which all is known.

        Returns:
            Hours or months; means of the observations ("observed") and of each model.
        """
        if of == "hour":
            by = self.labels.astype("datetime64[h]").astype(np.int64) % 24
        else:  # a local day that begins before the month does, in UTC, is the month's
            by = (self.labels + self.window // 2).astype("datetime64[M]").astype(np.int64) % 12 + 1
        series = {"observed": self.observed, **self.models}
        known = self.is_known
        classes = np.unique(by)
        means = {
            name: np.array(
                [values[by == one][known[by == one]].mean() if known[by == one].any() else np.nan for one in classes]
            )
            for name, values in series.items()
        }
        return classes, means

    def cycle_data(self, of: str) -> dict[str, list[float | None]]:
        """`cycle` as JSON takes it: a list of the classes, and of the means of each."""
        classes, means = self.cycle(of)
        known = {name: [float(one) if np.isfinite(one) else None for one in values] for name, values in means.items()}
        return {of: classes.tolist(), **known}


@dataclasses.dataclass(frozen=True)
class TowerStudy:
    """All that was observed at the columns of a file, and the closure of the observed energy balance if it is told.

    ``step``: of the run.
    """

    variables: tuple[Compared, ...]
    balance: Closure | None
    is_corrected: bool
    least_measured: float
    step: np.timedelta64

    def rows(self) -> list[list[str]]:
        """Titles, then of each variable and model the number of windows and scores."""
        titles = ["variable", "model", "windows", "RMSE", "bias", "correlation", "NME", "units"]
        return [titles] + [
            [one.variable.name, name, f"{score.n}", *(f"{value:.3g}" for value in score[1:]), one.variable.units]
            for one in self.variables
            for name, score in one.scores.items()
        ]

    def text(self) -> str:
        """For a terminal."""
        titles, *rows = self.rows()
        return "\n".join(["Against observations", *aligned(titles, rows, left=2), *self.sentences()])

    def sentences(self) -> list[str]:
        found = [
            f"Windows of which at least {self.least_measured:g} was measured and which all models have. NME: sum of "
            "absolute errors over that of deviations from the observed mean."
        ]
        if any(one.models.keys() & BENCHMARKS.keys() for one in self.variables):
            found.append("Benchmarks were trained at other sites.")
        longer: dict[np.timedelta64, list[str]] = {}
        for one in self.variables:
            if one.window > self.step:
                longer.setdefault(one.window, []).append(one.variable.name)
        found += [
            f"{', '.join(names)}: means over {step_text(window)}, for models over the same hours; the models' means "
            f"over {step_text(self.step)} are taken as constant within."
            for window, names in longer.items()
        ]
        for one in self.variables:
            if one.within_errors:
                shares = ", ".join(f"{name} {100.0 * share:.0f} %" for name, share in one.within_errors.items())
                found.append(f"{one.variable.name}: windows within the observations' standard deviation: {shares}.")
        if self.balance is not None:
            found.append(self.balance.sentence())
        if any(one.variable.name in brightness.NAMES for one in self.variables):
            found.append(
                "Brightness temperatures come from the observation operator at 40 degrees (docs/assimilation.md), "
                "where neither run has snow or frozen soil."
            )
        if self.is_corrected:
            found.append("Sensible and latent heat are corrected to close the energy balance, with their ratio kept.")
        return found

    def data(self) -> dict[str, Any]:
        """As JSON takes it."""
        return {
            "least_measured": self.least_measured,
            "corrected": self.is_corrected,
            "balance": None if self.balance is None else {**self.balance._asdict(), "ratio": self.balance.ratio},
            "scores": {
                one.variable.name: {name: score._asdict() for name, score in one.scores.items()}
                for one in self.variables
            },
            "window_hours": {one.variable.name: float(one.window / np.timedelta64(1, "h")) for one in self.variables},
            "cycles": {
                one.variable.name: {of: one.cycle_data(of) for of in ("hour", "month")} for one in self.variables
            },
            "within_errors": {one.variable.name: one.within_errors for one in self.variables if one.within_errors},
        }


def observable(model: Model) -> list[Variable]:
    """What of a run can be compared with observations, and what the energy balance is made of beside that."""
    return [*compared(model), CATALOGUE[GROUND].variable(), *brightness.observables(model)]


def weather_of(model: Model, columns: VerificationColumns) -> Weather:
    """Of the windows that start at the labels, (n_times, n_columns) each.

    Raises:
        InputError: the model lacks what a benchmark takes.
    """
    names = [variable.name for variable in model.forcing]
    wanted = ("met_swdown", "met_tair", "met_qair", "met_psurf")
    if missing := [name for name in wanted if name not in names]:
        raise InputError(f"benchmarks: the model takes no {', '.join(missing)}, expected all of {', '.join(wanted)}")
    radiation, temperature, humidity, pressure = (
        columns.forcing[..., names.index(name)].astype(np.float64) for name in wanted
    )
    return Weather(radiation, temperature, vapour_pressure(humidity, pressure) / saturation_pressure(temperature))


def site_of(
    model: Model, columns: VerificationColumns, observed: Mapping[str, Observed], least_measured: float = LEAST_MEASURED
) -> tuple[Weather, dict[str, Values]]:
    """Weather and observed fluxes of a site's windows, for `benchmarks_of`."""
    step = step_of(model.step_seconds)
    fluxes = {
        name: one.on_labels(columns.times, step).well_measured(least_measured).values for name, one in observed.items()
    }
    return weather_of(model, columns), fluxes


def benchmarks_of(
    sites: Sequence[tuple[Weather, Mapping[str, Values]]], names: Iterable[str] = tuple(BENCHMARKS)
) -> dict[str, dict[str, Benchmark]]:
    """Flux -> benchmark's name -> what was learnt of the weather and observed fluxes of sites, at the same windows."""
    found: dict[str, dict[str, Benchmark]] = {}
    for flux in FLUXES:
        there = [(weather, fluxes[flux]) for weather, fluxes in sites if flux in fluxes]
        if there:
            found[flux] = {name: learnt_at(name, *zip(*there, strict=True)) for name in names}
    return found


def make_study(
    model: Model,
    columns: VerificationColumns,
    free: FreeRun,
    observed: Mapping[str, Observed],
    benchmarks: Mapping[str, Mapping[str, Benchmark]] | None = None,
    least_measured: float = LEAST_MEASURED,
    corrects: bool = False,
    clay: Values | None = None,
) -> TowerStudy:
    """Compare a free run of columns, and ecLand where the columns have it, with observations of them.

    Args:
        clay: (n_columns,) mass fraction in the soil, for brightness temperatures.

    Raises:
        InputError: nothing was observed in the run's windows; a correction is asked for without net radiation and
            ground heat, or brightness temperatures are compared without clay fractions.
    """
    step = step_of(model.step_seconds)
    found = {
        name: (
            one.within(columns.times[0], columns.times[-1] + step)
            if one.is_longer(step)
            else one.on_labels(columns.times, step)
        ).well_measured(least_measured)
        for name, one in observed.items()
    }
    balanced = (*FLUXES, NET_RADIATION, GROUND)
    lacking = [name for name in balanced if name not in found or found[name].window != step]
    if corrects and lacking:
        others = ", ".join(f"{name} over {step_text(found[name].window)}" for name in lacking if name in found)
        raise InputError(
            f"correction of the energy balance: {', '.join(lacking)} was not observed"
            f"{f' over steps of {step_text(step)} (but {others})' if others else ''}, expected all four"
        )
    balance = None
    if not lacking:
        fluxes = Balance(*(found[name].values for name in (*FLUXES, NET_RADIATION, GROUND)))
        balance = closure(fluxes)
        if corrects:
            pair = zip(FLUXES, corrected(fluxes, model.step_seconds), strict=True)
            found |= {name: dataclasses.replace(found[name], values=values) for name, values in pair}
    weather = weather_of(model, columns) if benchmarks else None
    compared_ones = []
    for variable in compared(model):
        if variable.name in found:
            models = {EMULATOR: _of_run(model, columns, free, variable)}
            truth = _of_truth(model, columns, variable)
            if truth is not None:
                models[ECLAND] = truth
            if weather is not None and benchmarks:
                models |= {name: one(weather) for name, one in benchmarks.get(variable.name, {}).items()}
            compared_ones.append(_compared(found[variable.name], columns.times, step, models))
    of_radiometer = [found[name] for name in brightness.NAMES if name in found]
    if of_radiometer:
        compared_ones += _of_radiometer(model, columns, free, of_radiometer, clay)
    for one in compared_ones:
        if not one.is_known.any():
            they = "they, corrected," if corrects else "they"
            raise InputError(
                f"{found[one.variable.name].what}: found no window in which {they} and all of {', '.join(one.models)} "
                "have a value, expected some"
            )
    return TowerStudy(tuple(compared_ones), balance, corrects, least_measured, step)


def _compared(one: Observed, labels: Values, step: np.timedelta64, models: Mapping[str, Values]) -> Compared:
    """Observations beside what models have at the labels of a run; over longer windows their means over these."""
    if one.is_longer(step):
        models = {
            name: interval_means.of_means(labels, step, values, one.times, one.window)
            for name, values in models.items()
        }
    window = one.window if one.is_mean else np.timedelta64(0, "s")
    return Compared(one.variable, one.times, one.values, models, window, one.errors)


def _of_radiometer(
    model: Model, columns: VerificationColumns, free: FreeRun, observed: Sequence[Observed], clay: Values | None
) -> list[Compared]:
    """Brightness temperatures at the labels of the file, which must be those of the observations."""
    if clay is None:
        raise InputError(
            "brightness temperatures were observed: variable 'clim_sotype' is missing, from which the clay fraction "
            "follows; expected it in the files of the run"
        )
    there = np.any([np.isfinite(one.values).any(axis=1) for one in observed], axis=0)
    # The state at a label is that at the end of the window before it.
    rows = np.flatnonzero(there & (np.arange(columns.n_times) > 0))
    truth = np.concatenate([columns.state[rows], columns.diagnostics[rows]], axis=-1)
    models = {}
    for name, results in ((EMULATOR, free.results[rows - 1]), (ECLAND, truth)):
        found = brightness.equivalents(model, columns.static, clay, columns.forcing[rows - 1], results)
        models[name] = {variable: np.full(columns.state.shape[:2], np.nan) for variable in found}
        for variable, values in found.items():
            models[name][variable][rows] = values
    step = step_of(model.step_seconds)
    return [
        _compared(one, columns.times, step, {name: found[one.name] for name, found in models.items()})
        for one in observed
    ]


def _outputs(model: Model, variable: Variable) -> list[int]:
    """Positions of a result, or of those that it is the sum of, among states, then diagnostics."""
    names = [one.name for one in (*model.state, *model.diagnostics)]
    return [names.index(name) for name in ([variable.name] if variable.name in names else SUMS[variable.name])]


def _of_run(model: Model, columns: VerificationColumns, free: FreeRun, variable: Variable) -> Values:
    """(n_times, n_columns) at the labels of the file; NaN where the run has none."""
    values = np.full(columns.state.shape[:2], np.nan)
    targets = (*model.state, *model.diagnostics)
    positions = _outputs(model, variable)
    values[free.labels(targets[positions[0]])] = free.results[..., positions].sum(axis=-1)
    return values


def _of_truth(model: Model, columns: VerificationColumns, variable: Variable) -> Values | None:
    positions = _outputs(model, variable)
    targets = (*model.state, *model.diagnostics)
    if any(targets[position].name in columns.absent for position in positions):
        return None
    return np.sum([columns.output(position).astype(np.float64) for position in positions], axis=0)
