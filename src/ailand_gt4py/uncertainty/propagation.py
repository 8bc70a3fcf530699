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
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ailand_gt4py.core.amounts import Amount
from ailand_gt4py.core.types import Values
from ailand_gt4py.emulator.emulator import Emulator
from ailand_gt4py.emulator.forcing import ForcingAssembler
from ailand_gt4py.io.period import Period
from ailand_gt4py.weights.model import Model, Variable

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
    """Standard deviations of errors, by variable; all errors are independent of each other.

    Attributes:
        state: of the initial state. forcing: of the weather. parameters: of static inputs.
        model: that every step adds to the state.
        correlation_seconds: of the errors of the weather; 0: they are new in every window.
    """

    state: dict[str, Amount]
    forcing: dict[str, Amount] = dataclasses.field(default_factory=dict)
    parameters: dict[str, Amount] = dataclasses.field(default_factory=dict)
    model: dict[str, Amount] = dataclasses.field(default_factory=dict)
    correlation_seconds: float = 86_400.0

    def scaled(self, factor: float) -> Errors:
        """The same, all ``factor`` times as large."""

        def times(amounts: dict[str, Amount]) -> dict[str, Amount]:
            return {name: Amount(one.value * factor, one.is_relative) for name, one in amounts.items()}

        return Errors(
            times(self.state), times(self.forcing), times(self.parameters), times(self.model), self.correlation_seconds
        )


class ErrorSizes:
    """Errors as arrays, for a model and a period.

    Attributes:
        state: (n_columns, n_state) standard deviations of the initial state.
        parameters: (n_columns, n_parameters), and parameter_positions: of them among the static inputs.
        forcing_positions: of the uncertain forcing.
        before_positions: of the inputs that are the same of the previous window, -1 where there is none.
        phi: correlation of the forcing's errors in successive windows.
    """

    def __init__(self, errors: Errors, model: Model, period: Period) -> None:
        self._errors, self._model, self._period = errors, model, period
        self.state = np.zeros(period.initial_state.shape)
        for name, amount in errors.state.items():
            position = _position(model.state, name)
            self.state[:, position] = amount.of(period.initial_state[:, position].astype(np.float64))
        self.parameter_positions = [_position(model.static, name) for name in errors.parameters]
        self.parameters = np.zeros((period.n_columns, len(self.parameter_positions)))
        for k, (position, amount) in enumerate(zip(self.parameter_positions, errors.parameters.values(), strict=True)):
            self.parameters[:, k] = amount.of(period.static[:, position].astype(np.float64))
        self.forcing_positions = [_position(model.forcing, name) for name in errors.forcing]
        assembler = ForcingAssembler(model.forcing)
        before = dict(zip(assembler.previous_of, assembler.previous, strict=True))
        self.before_positions = [before.get(position, -1) for position in self.forcing_positions]
        step = float(period.step / np.timedelta64(1, "s"))
        self.phi = math.exp(-step / errors.correlation_seconds) if errors.correlation_seconds > 0.0 else 0.0

    @property
    def n_forcing(self) -> int:
        return len(self.forcing_positions)

    def forcing(self, step: int) -> Values:
        """(n_columns, n_forcing) standard deviations of the forcing of a window; -1: of that before the first."""
        is_before = step < 0
        result = np.zeros((self._period.n_columns, self.n_forcing))
        positions = self.before_positions if is_before else self.forcing_positions
        for k, (position, amount) in enumerate(zip(positions, self._errors.forcing.values(), strict=True)):
            if position >= 0:
                result[:, k] = amount.of(self._period.forcing[max(step, 0), :, position].astype(np.float64))
        return result

    def model_error(self, state: Values) -> Values:
        """(n_columns, n_state) standard deviations of what a step to this state adds."""
        result = np.zeros(state.shape)
        for name, amount in self._errors.model.items():
            position = _position(self._model.state, name)
            result[:, position] = amount.of(state[:, position].astype(np.float64))
        return result


def _position(variables: Sequence[Variable], name: str) -> int:
    return [variable.name for variable in variables].index(name)


@dataclasses.dataclass(frozen=True)
class Propagation:
    """A run and the variances of its errors, to first order.

    Attributes:
        results: (n_steps, n_columns, n_state + n_diagnostics) of the run itself, after each step.
        variances: (n_sources, n_steps, n_columns, n_state + n_diagnostics), in the order of `SOURCES`.
        covariance: (n_columns, n_state, n_state) of the state after the last step, all sources together.
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
    return np.where(total > 0.0, variances / np.where(total > 0.0, total, 1.0), np.nan)


def propagate(
    emulator: Emulator, period: Period, sizes: ErrorSizes, after_step: Callable[[int], None] = lambda done: None
) -> Propagation:
    """Run through a period and carry the covariances of its errors along.

    Args:
        emulator: for the period's columns; in float64 where the last digits matter.
        after_step: called with the number of steps that are done.

    Raises:
        RunError: the network cannot be compiled.
    """
    model, shape = emulator.model, (period.n_steps, period.n_columns)
    n_state = len(model.state)
    covariances = _first_covariances(sizes, period.n_columns, n_state)
    results = np.empty((*shape, n_state + len(model.diagnostics)))
    variances = np.empty((len(SOURCES), *results.shape))
    state, before, inputs = period.initial_state, sizes.forcing(-1), _inputs(sizes, model)
    static = emulator.prepare_static(period.static)
    for step in range(period.n_steps):
        forcing, now = period.forcing[step], sizes.forcing(step)
        jacobian = emulator.jacobian(static, forcing, state, inputs=inputs)
        state, diagnostics = emulator.step(static, forcing, state)
        results[step, :, :n_state], results[step, :, n_state:] = state, diagnostics
        rows = _of_uncertain(jacobian, sizes, now, before)
        to_diagnostics = rows[:, n_state:]
        variances[:, step, :, n_state:] = np.einsum(
            "cij,scjk,cik->sci", to_diagnostics, covariances, to_diagnostics, optimize=True
        )
        matrix = _step_matrix(rows[:, :n_state], sizes)
        covariances = matrix @ covariances @ np.swapaxes(matrix, 1, 2)
        _add_errors(covariances, sizes, state)
        variances[:, step, :, :n_state] = np.diagonal(covariances, axis1=2, axis2=3)[..., :n_state]
        before = now
        after_step(step + 1)
    return Propagation(results, variances, covariances.sum(axis=0)[:, :n_state, :n_state])


def _first_covariances(sizes: ErrorSizes, n_columns: int, n_state: int) -> Values:
    """(n_sources, n_columns, n, n) of all that is uncertain, at the start."""
    n_parameters, n_forcing = len(sizes.parameter_positions), sizes.n_forcing
    n = n_state + n_parameters + 2 * n_forcing
    result = np.zeros((len(SOURCES), n_columns, n, n))
    own = np.arange(n_state)
    result[SOURCES.index("initial state"), :, own, own] = np.square(sizes.state).T
    parameters = n_state + np.arange(n_parameters)
    result[SOURCES.index("parameters"), :, parameters, parameters] = np.square(sizes.parameters).T
    now = n_state + n_parameters + np.arange(n_forcing)
    before, weather = now + n_forcing, SOURCES.index("forcing")
    for rows, columns, value in ((now, now, 1.0), (before, before, 1.0), (now, before, sizes.phi)):
        result[weather, :, rows, columns] = value
        result[weather, :, columns, rows] = value
    return result


def _inputs(sizes: ErrorSizes, model: Model) -> list[str]:
    """Names of the inputs that are uncertain: states, parameters, forcing, and what there is of the previous window."""
    positions = [*sizes.forcing_positions, *(position for position in sizes.before_positions if position >= 0)]
    return [
        *(variable.name for variable in model.state),
        *(model.static[position].name for position in sizes.parameter_positions),
        *(model.forcing[position].name for position in positions),
    ]


def _of_uncertain(jacobian: Values, sizes: ErrorSizes, now: Values, before: Values) -> Values:
    """(n_columns, n_outputs, n): the derivative of a step's results with respect to all that is uncertain.

    Args:
        jacobian: (n_columns, n_outputs, ...) by `_inputs`. now, before: sizes of the forcing's errors.
    """
    n_own = jacobian.shape[2] - sum(position >= 0 for position in sizes.before_positions)
    rows = np.zeros((*jacobian.shape[:2], n_own + sizes.n_forcing))
    rows[:, :, :n_own] = jacobian[:, :, :n_own]
    rows[:, :, n_own - sizes.n_forcing : n_own] *= now[:, None]
    has_before = np.flatnonzero(np.array(sizes.before_positions, dtype=np.int64) >= 0)
    rows[:, :, n_own + has_before] = jacobian[:, :, n_own:] * before[:, None, has_before]
    return rows


def _step_matrix(rows: Values, sizes: ErrorSizes) -> Values:
    """(n_columns, n, n): how all that is uncertain is carried on, from the rows for the new state."""
    n_columns, n_state, n = rows.shape
    n_parameters, n_forcing = len(sizes.parameter_positions), sizes.n_forcing
    result = np.zeros((n_columns, n, n))
    result[:, :n_state] = rows
    parameters = n_state + np.arange(n_parameters)
    result[:, parameters, parameters] = 1.0
    now = n_state + n_parameters + np.arange(n_forcing)
    result[:, now, now] = sizes.phi
    result[:, now + n_forcing, now] = 1.0  # what is now, is before in the next window
    return result


def _add_errors(covariances: Values, sizes: ErrorSizes, state: Values) -> None:
    n_state, n_parameters = state.shape[1], len(sizes.parameter_positions)
    own = np.arange(n_state)
    covariances[SOURCES.index("model error"), :, own, own] += np.square(sizes.model_error(state)).T
    now = n_state + n_parameters + np.arange(sizes.n_forcing)
    covariances[SOURCES.index("forcing"), :, now, now] += 1.0 - sizes.phi**2
