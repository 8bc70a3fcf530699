"""How far runs with some static inputs are from observations, and how that changes with these inputs.

In each column

    J(p) = 1/2 sum_t sum_i ((x_i(t; p) - y_i(t)) / s_i)^2  +  1/2 sum_k ((p_k - b_k) / c_k)^2

with x the run from a given state, y observations with standard deviations s, and, where it is asked for, the distance
of the parameters p from a background b with standard deviations c. Its gradient comes from the adjoint of the run; the
Gauss-Newton matrix sum_t H^T S^-1 H, H = dx/dp, from its tangent-linear. The latter is the Fisher information of the
observations about the parameters where errors are normal and independent (Tarantola 2005, doi:10.1137/1.9780898717921,
chapter 3): its inverse is the covariance of the estimate.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from ailand_gt4py.core.types import Values
from ailand_gt4py.emulator.emulator import Emulator
from ailand_gt4py.emulator.rollout import Rollout
from ailand_gt4py.io.period import Period
from ailand_gt4py.observations.operators import ObservationOperator, Situation


@dataclasses.dataclass(frozen=True)
class Observations:
    """After each step: values (n_steps, n_columns, n_observed), NaN for none, and their errors (n_observed,)."""

    operator: ObservationOperator
    values: Values
    errors: Values


@dataclasses.dataclass(frozen=True)
class Background:
    """What is known of parameters before: values and standard deviations, (n_columns, n_parameters) each."""

    values: Values
    errors: Values


class Misfit:
    """The misfit of all columns, as a function of parameters (n_columns, n_parameters), in their units.

    Args:
        parameters: their positions among the static inputs. background: None: the observations alone count.
        sought: (n_columns, n_parameters), bool: where a parameter has a meaning; elsewhere the network's response to it
            is an artefact and counts as none. None: everywhere.
    """

    def __init__(
        self,
        emulator: Emulator,
        period: Period,
        parameters: Sequence[int],
        observations: Observations,
        background: Background | None = None,
        sought: Values | None = None,
    ) -> None:
        self.emulator, self.period, self.observations, self.background = emulator, period, observations, background
        self.parameters = list(parameters)
        self.sought = np.ones((period.n_columns, len(parameters)), dtype=bool) if sought is None else sought
        self._known = np.isfinite(observations.values)
        self._rollout, self._forcing = Rollout(emulator), list(period.forcing)

    @property
    def counts(self) -> Values:
        """(n_columns,) of observations."""
        return self._known.sum(axis=(0, 2))

    def static(self, values: Values) -> Values:
        """The static inputs with these parameters, of the emulator's type."""
        static = self.period.static.copy()
        static[:, self.parameters] = values
        return static

    def run(self, values: Values) -> Values:
        """What is compared, as observations, of the run with these parameters."""
        return self._run(self.static(values))[1]

    def _run(self, static: Values) -> tuple[list[Situation], Values]:
        results = self._rollout.run(static, self._forcing, self.period.initial_state)
        situations = list(map(Situation, self._forcing, *results))
        return situations, np.stack([self.observations.operator.values(one) for one in situations])

    def value(self, values: Values) -> Values:
        """(n_columns,) misfits."""
        return self._value(self.run(values), values)

    def gradient(self, values: Values) -> tuple[Values, Values]:
        """Misfits (n_columns,) and their gradients (n_columns, n_parameters), by one run and one back through it."""
        static = self.static(values)
        situations, compared = self._run(static)
        weighted = self._residuals(compared) / self.observations.errors
        adjoints = map(self.observations.operator.adjoint, situations, weighted)
        dtype = self.emulator.dtype
        g_states, g_diagnostics = ([one.astype(dtype) for one in group] for group in zip(*adjoints, strict=True))
        g_static, _, _ = self._rollout.adjoint(
            static, self._forcing, self.period.initial_state, g_states, g_diagnostics, g_forcing=_Forgotten()
        )
        result = np.where(self.sought, g_static[:, self.parameters], 0.0) + self._pull(values)
        return self._value(compared, values), result

    def curvature(self, values: Values) -> tuple[Values, Values, Values]:
        """Misfits and gradients, and (n_columns, n_parameters, n_parameters) information of the observations alone."""
        emulator, period, observations = self.emulator, self.period, self.observations
        prepared = emulator.prepare_static(self.static(values))
        n_columns, n_parameters = values.shape
        sizes = emulator.model.sizes
        d_static = np.zeros((n_parameters, *period.static.shape), emulator.dtype)
        d_static[np.arange(n_parameters), :, self.parameters] = 1.0
        d_state = np.zeros((n_columns, n_parameters, sizes.state), emulator.dtype)
        d_diagnostics = np.zeros((n_columns, n_parameters, sizes.diagnostics), emulator.dtype)
        compared = np.empty(observations.values.shape)
        gradient = np.zeros(values.shape)
        information = np.zeros((n_columns, n_parameters, n_parameters))
        state = period.initial_state
        # All parameters go along with one run; `Rollout.tangent_linear` would make it anew for each.
        for step, forcing in enumerate(self._forcing):
            for k in range(n_parameters):
                d_state[:, k], d_diagnostics[:, k] = emulator.tangent_linear(
                    prepared, forcing, state, d_static[k], None, d_state[:, k]
                )
            state, diagnostics = emulator.step(prepared, forcing, state)
            situation = Situation(forcing, state, diagnostics)
            compared[step] = observations.operator.values(situation)
            sensitivity = observations.operator.tangent(situation, d_state, d_diagnostics) * self.sought[:, :, None]
            scaled = np.where(self._known[step][:, None], sensitivity, 0.0) / observations.errors
            gradient += np.einsum("cko,co->ck", scaled, self._residuals(compared[step], step))
            information += np.einsum("cjo,cko->cjk", scaled, scaled)
        return self._value(compared, values), gradient + self._pull(values), information

    def _pull(self, values: Values) -> Values | float:
        """The gradient of the distance from the background."""
        return 0.0 if self.background is None else (values - self.background.values) / self.background.errors**2

    def _residuals(self, compared: Values, step: int | slice = slice(None)) -> Values:
        """Run minus observations in standard deviations, of one step or all; 0 where there is none."""
        difference = compared - self.observations.values[step]
        return np.where(self._known[step], difference, 0.0) / self.observations.errors

    def _value(self, compared: Values, values: Values) -> Values:
        result = 0.5 * np.square(self._residuals(compared)).sum(axis=(0, 2))
        if self.background is not None:
            distance = (values - self.background.values) / self.background.errors
            result += 0.5 * np.square(distance).sum(axis=1)
        return np.asarray(result)


class _Forgotten:
    """Takes the adjoint of the forcing, which nobody asks for."""

    def __setitem__(self, step: int, values: Values) -> None:
        pass
