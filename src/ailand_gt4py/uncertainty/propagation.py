"""Covariances of errors carried through the emulator's steps by its derivatives.

With z the vector of all that is uncertain in a column, a step z' = M(z) + q with errors q of covariance Q carries a
covariance P on to first order by

    P' = M P M^T + Q,

M being the derivative of the step (Jazwinski 1970, Stochastic Processes and Filtering Theory, section 7.3: the
prediction of the extended Kalman filter). z holds the state, and, so that their errors are carried by the same formula,

* parameters: static inputs, whose errors do not change in time;
* errors of the forcing, as multiples of their standard deviations. Those of a variable in successive windows are a
  first-order autoregressive process of variance 1, e' = phi e + sqrt(1 - phi^2) w with white w, and
  phi = exp(-step / correlation time). The error in the previous window is kept too, for models that take its weather.

A diagnostic y = D(z) of the same step has the covariance D P D^T. P is linear in what is put into it, so errors of
different sources, independent of each other, are carried separately and add up.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from ailand_gt4py.core.constants import SECONDS_PER_DAY
from ailand_gt4py.core.option_types import Amount
from ailand_gt4py.core.types import Values
from ailand_gt4py.emulator.emulator import Emulator
from ailand_gt4py.io.period import Period
from ailand_gt4py.weights.model import Model, Variable, previous_positions

#: Standard deviations of a land analysis: 0.01 m3 m-3 of soil water as in ECMWF's soil moisture analysis (de Rosnay et
#: al. 2013, doi:10.1002/qj.2023); those of temperature are this project's assumption.
STATE_ERRORS: Mapping[str, Amount] = {
    **dict.fromkeys(("swvl1", "swvl2", "swvl3", "swvl4"), Amount(0.01)),
    **{"stl1": Amount(1.0), "stl2": Amount(1.0), "stl3": Amount(0.5), "stl4": Amount(0.5)},
}

#: Where errors come from, in the order of `Propagation.variances`.
SOURCES = ("initial state", "forcing", "parameters", "model error")


@dataclasses.dataclass(frozen=True)
class Errors:
    """Standard deviations of errors, by variable, independent of each other, times a scale.

    Model errors are what every step adds; a correlation time of 0 makes those of the weather new in every window.
    """

    state: dict[str, Amount]
    forcing: dict[str, Amount] = dataclasses.field(default_factory=dict)
    parameters: dict[str, Amount] = dataclasses.field(default_factory=dict)
    model: dict[str, Amount] = dataclasses.field(default_factory=dict)
    correlation_seconds: float = SECONDS_PER_DAY
    scale: float = 1.0


class ErrorSizes:
    """Errors as arrays (n_columns, n_features), for a model and a period, and positions of what is uncertain.

    Before_positions: inputs that are the forcing of the previous window, -1 where there is none. Phi: see the module.
    """

    def __init__(self, errors: Errors, model: Model, period: Period) -> None:
        self._errors, self._period = errors, period
        self._model_error_positions = _positions(model.state, errors.model)
        self.parameter_positions = _positions(model.static, errors.parameters)
        self.forcing_positions = _positions(model.forcing, errors.forcing)
        previous, previous_of = previous_positions(model.forcing)
        before = dict(zip(previous_of, previous, strict=True))
        self.before_positions = [before.get(position, -1) for position in self.forcing_positions]
        self.state, state_positions = np.zeros(period.initial_state.shape), _positions(model.state, errors.state)
        self.state[:, state_positions] = self._sizes(errors.state, state_positions, period.initial_state)
        self.parameters = self._sizes(errors.parameters, self.parameter_positions, period.static)
        step = float(period.step / np.timedelta64(1, "s"))
        self.phi = math.exp(-step / errors.correlation_seconds) if errors.correlation_seconds > 0.0 else 0.0

    def forcing(self, step: int) -> Values:
        """(n_columns, n_forcing) standard deviations of the forcing of a window; -1: of that before the first."""
        positions = self.before_positions if step < 0 else self.forcing_positions
        return self._sizes(self._errors.forcing, positions, self._period.forcing[max(step, 0)])

    def model_error(self, state: Values) -> Values:
        """(n_columns, n_state) standard deviations of what a step to this state adds."""
        result = np.zeros(state.shape)
        result[:, self._model_error_positions] = self._sizes(self._errors.model, self._model_error_positions, state)
        return result

    def _sizes(self, amounts: Mapping[str, Amount], positions: Sequence[int], values: Values) -> Values:
        """(n_columns, n_amounts) sizes for values at these positions; 0 where the position is -1."""
        result = np.zeros((len(values), len(positions)))
        for k, (position, amount) in enumerate(zip(positions, amounts.values(), strict=True)):
            if position >= 0:
                result[:, k] = self._errors.scale * amount.of(values[:, position].astype(np.float64))
        return result


def _positions(variables: Sequence[Variable], names: Iterable[str]) -> list[int]:
    known = [variable.name for variable in variables]
    return [known.index(name) for name in names]


@dataclasses.dataclass(frozen=True)
class Propagation:
    """Results (n_steps, n_columns, n_state + n_diagnostics), their variances by source, to first order, and at the end
    the covariance of the state (n_columns, n_state, n_state), all sources together.
    """

    results: Values
    variances: Values
    covariance: Values

    @property
    def deviations(self) -> Values:
        """(n_steps, n_columns, n_state + n_diagnostics) standard deviations, all sources together."""
        return np.sqrt(np.maximum(self.variances.sum(axis=0), 0.0))


def shares(variances: Values) -> Values:
    """Parts of the sum over the sources, the first axis; NaN where it is zero."""
    total = variances.sum(axis=0)
    return variances / np.where(total > 0.0, total, np.nan)


def propagate(
    emulator: Emulator, period: Period, sizes: ErrorSizes, after_step: Callable[[int], None] = lambda done: None
) -> Propagation:
    """Run through a period and carry the covariances of its errors along; in float64 where the last digits matter."""
    model, n_columns = emulator.model, period.n_columns
    n_state = len(model.state)
    # All that is uncertain: the state, the parameters, and the errors of the weather now and in the previous window.
    n_forcing = len(sizes.forcing_positions)
    ends = np.cumsum([n_state, len(sizes.parameter_positions), n_forcing, n_forcing])
    parts = np.split(np.arange(ends[-1]), ends[:-1])
    own, parameters, now, before = parts
    covariances, matrix = _start(sizes, n_columns, *parts)
    has_before = [k for k, position in enumerate(sizes.before_positions) if position >= 0]
    weather = [*sizes.forcing_positions, *(sizes.before_positions[k] for k in has_before)]
    inputs = [variable.name for variable in model.state]
    inputs += [model.static[position].name for position in sizes.parameter_positions]
    inputs += [model.forcing[position].name for position in weather]
    positions = np.concatenate([own, parameters, now, before[has_before]])
    results = np.empty((period.n_steps, n_columns, n_state + len(model.diagnostics)))
    variances = np.empty((len(SOURCES), *results.shape))
    derivative = np.zeros((n_columns, results.shape[-1], ends[-1]))
    state, static = period.initial_state, emulator.prepare_static(period.static)
    for step in range(period.n_steps):
        forcing = period.forcing[step]
        derivative[:, :, positions] = emulator.jacobian(static, forcing, state, inputs=inputs)
        derivative[:, :, now] *= sizes.forcing(step)[:, None]
        derivative[:, :, before] *= sizes.forcing(step - 1)[:, None]
        state, diagnostics = emulator.step(static, forcing, state)
        results[step, :, :n_state], results[step, :, n_state:] = state, diagnostics
        to_diagnostics = derivative[:, n_state:]
        variances[:, step, :, n_state:] = np.einsum(
            "cij,scjk,cik->sci", to_diagnostics, covariances, to_diagnostics, optimize=True
        )
        matrix[:, :n_state] = derivative[:, :n_state]
        covariances = matrix @ covariances @ np.swapaxes(matrix, 1, 2)
        covariances[SOURCES.index("model error"), :, own, own] += np.square(sizes.model_error(state)).T
        covariances[SOURCES.index("forcing"), :, now, now] += 1.0 - sizes.phi**2
        variances[:, step, :, :n_state] = np.diagonal(covariances, axis1=2, axis2=3)[..., :n_state]
        after_step(step + 1)
    return Propagation(results, variances, covariances.sum(axis=0)[:, :n_state, :n_state])


def _start(
    sizes: ErrorSizes, n_columns: int, own: Values, parameters: Values, now: Values, before: Values
) -> tuple[Values, Values]:
    """Covariances at the start, by source, and the part of a step's matrix that stays, for positions in both."""
    n = len(own) + len(parameters) + len(now) + len(before)
    covariances, matrix = np.zeros((len(SOURCES), n_columns, n, n)), np.zeros((n_columns, n, n))
    covariances[SOURCES.index("initial state"), :, own, own] = np.square(sizes.state).T
    covariances[SOURCES.index("parameters"), :, parameters, parameters] = np.square(sizes.parameters).T
    of_weather = covariances[SOURCES.index("forcing")]
    of_weather[:, now, now] = of_weather[:, before, before] = 1.0
    of_weather[:, now, before] = of_weather[:, before, now] = sizes.phi
    matrix[:, parameters, parameters] = 1.0
    matrix[:, now, now] = sizes.phi
    matrix[:, before, now] = 1.0  # what is now, is before in the next window
    return covariances, matrix
