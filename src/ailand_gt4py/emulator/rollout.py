"""Runs of many steps and their derivatives: tangents forward in time, adjoints backward.

A run passes the state of one step to the next. Its tangent-linear is carried along. Its adjoint goes back from the last
step and needs the states in reverse order: some of them are kept at a regular distance, and those between are
recomputed from the one before. With the square root of the number of steps as the distance, about as many states are
kept as are recomputed at a time (the first stage of Griewank 1992, doi:10.1080/10556789208805505); an adjoint then
costs one or two additional steps for each step of the run.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from ailand_gt4py.core import arrays
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.emulator.arrays import ArrayLike
from ailand_gt4py.emulator.emulator import Emulator, PreparedStatic
from ailand_gt4py.emulator.labels import VARIABLE, is_labelled
from ailand_gt4py.emulator.programs import positive

#: The dimension of steps in a DataArray.
TIME = "time"
#: One array for each step, or for some steps by index.
BySteps: TypeAlias = Sequence[ArrayLike] | Mapping[int, ArrayLike]


class Rollout:
    """Runs of one emulator, and their derivatives.

    Forcing and its tangents are given for each step: one array (n_steps, n_columns, n_forcing), or any sequence of
    arrays (n_columns, n_forcing), which may read them on request; the adjoint requests each of them two or three times.
    A DataArray of the forcing has its steps along ``time``, or else along its first dimension.
    If the forcing of a step is also an input of the next one, `ailand_gt4py.emulator.forcing.ForcingAssembler` spreads
    tangents and gathers adjoints.

    Args:
        emulator: makes the steps.
        distance: number of steps between two states that the adjoint keeps; None: about the square root of the number
            of steps.

    Raises:
        InputError: a distance that is not a whole number of at least one step.
    """

    def __init__(self, emulator: Emulator, distance: int | None = None) -> None:
        self.emulator = emulator
        self.distance = None if distance is None else positive(distance, "steps between the states that are kept")
        self._xp = arrays.array_module(emulator.device)

    def __reduce__(self) -> tuple[type[Rollout], tuple[Emulator, int | None]]:
        return type(self), (self.emulator, self.distance)

    def run(
        self, static: ArrayLike, forcing: Sequence[ArrayLike], state: ArrayLike
    ) -> tuple[arrays.Array, arrays.Array]:
        """Run all steps.

        Args:
            static: as for `Emulator.step`.
            forcing: the forcing of each step.
            state: the initial state, as for `Emulator.step`.

        Returns:
            States after each step (n_steps, n_columns, n_state) and diagnostics (n_steps, n_columns, n_diagnostics).

        Raises:
            InputError: no step, or as `Emulator.step`.
            RunError: as `Emulator.step`.
        """
        forcing = _by_time(forcing, static, state)
        states, diagnostics = self._results(len(forcing))
        prepared = self._prepared(static)
        for step, results in enumerate(zip(states, diagnostics, strict=True)):
            state, _ = self.emulator.step(prepared, forcing[step], state, out=results)
        return states, diagnostics

    def tangent_linear(
        self,
        static: ArrayLike,
        forcing: Sequence[ArrayLike],
        state: ArrayLike,
        d_static: ArrayLike = None,
        d_forcing: Sequence[ArrayLike] | None = None,
        d_state: ArrayLike = None,
    ) -> tuple[arrays.Array, arrays.Array]:
        """The tangent-linear of `run`: tangents of the results of all steps for tangents of the inputs.

        Args:
            static, forcing, state: as for `run`: where the derivative is taken.
            d_static: tangents of static inputs, the same in all steps; None: zero.
            d_forcing: tangents of the forcing of each step; None: zero.
            d_state: tangents of the initial state; None: zero.

        Returns:
            Tangents of the states after each step (n_steps, n_columns, n_state) and of its diagnostics (n_steps,
            n_columns, n_diagnostics).

        Raises:
            InputError, RunError: as for `run`; also tangents of another number of steps.
        """
        forcing = _by_time(forcing, static, state)
        n_steps = len(forcing)
        if d_forcing is not None and len(d_forcing) != n_steps:
            raise InputError(f"d_forcing: found {len(d_forcing)} steps, expected {n_steps} as of the forcing")
        d_states, d_diagnostics = self._results(n_steps)
        prepared = self._prepared(static)
        for step, results in enumerate(zip(d_states, d_diagnostics, strict=True)):
            tangent = None if d_forcing is None else d_forcing[step]
            self.emulator.tangent_linear(prepared, forcing[step], state, d_static, tangent, d_state, out=results)
            d_state, _ = results
            if step + 1 < n_steps:
                state, _ = self.emulator.step(prepared, forcing[step], state)
        return d_states, d_diagnostics

    def adjoint(
        self,
        static: ArrayLike,
        forcing: Sequence[ArrayLike],
        state: ArrayLike,
        g_states: BySteps | None = None,
        g_diagnostics: BySteps | None = None,
        *,
        g_forcing: ArrayLike = None,
    ) -> tuple[arrays.Array, arrays.Array, arrays.Array]:
        """The adjoint of `run`: adjoints of its inputs for adjoints of its results.

        Args:
            static, forcing, state: as for `run`: where the derivative is taken.
            g_states, g_diagnostics: adjoints of the state after each step and of its diagnostics: (n_steps, n_columns,
                n_features), a sequence of (n_columns, n_features), or a mapping from the index of a step (0 for the
                first) to these, for the steps whose results count; None: zero.
            g_forcing: destination of the forcing's adjoints, instead of a new array: anything that accepts
                ``g_forcing[step] = values``, once per step, the last one first.

        Returns:
            Adjoints of static inputs (n_columns, n_static), summed over the steps; of the forcing of each step
            (n_steps, n_columns, n_forcing), or ``g_forcing`` as given; and of the initial state (n_columns, n_state).

        Raises:
            InputError, RunError: as for `run`; also adjoints of another number of steps, or of steps that do not exist.
        """
        forcing = _by_time(forcing, static, state)
        n_steps = len(forcing)
        of_states = _by_step("g_states", g_states, n_steps)
        of_diagnostics = _by_step("g_diagnostics", g_diagnostics, n_steps)
        emulator, sizes = self.emulator, self.emulator.model.sizes
        if g_forcing is None:
            g_forcing = self._xp.empty((n_steps, emulator.n_columns, sizes.forcing), dtype=emulator.dtype)
        elif isinstance(g_forcing, self._xp.ndarray):
            named = {"the input 'static'": static, "the input 'forcing'": forcing, "the input 'state'": state}
            inputs = {name: one for name, one in named.items() if isinstance(one, self._xp.ndarray)}
            arrays.check_result(g_forcing, "g_forcing", inputs)
            expected = (n_steps, emulator.n_columns, sizes.forcing)
            if g_forcing.shape != expected or not np.can_cast(emulator.dtype, g_forcing.dtype):
                raise InputError(
                    f"g_forcing: found {g_forcing.dtype} {g_forcing.shape}, expected {emulator.dtype} {expected}"
                )
        prepared = self._prepared(static)
        distance = self.distance or math.isqrt(n_steps - 1) + 1
        kept = self._kept_states(prepared, forcing, state, distance)
        g_static = self._xp.zeros((emulator.n_columns, sizes.static), dtype=emulator.dtype)
        g_state: arrays.Array | None = None
        for first in reversed(range(0, n_steps, distance)):
            states = [kept.pop()]
            for step in range(first, min(first + distance, n_steps) - 1):
                states.append(emulator.step(prepared, forcing[step], states[-1])[0])
            for step in reversed(range(first, first + len(states))):
                given = self._checked(f"g_states of step {step}", of_states.get(step))
                total = given if g_state is None else g_state if given is None else g_state + given
                of_step = emulator.adjoint(prepared, forcing[step], states.pop(), total, of_diagnostics.get(step))
                g_static += of_step[0]
                g_forcing[step] = of_step[1]
                g_state = of_step[2]
        assert g_state is not None
        return g_static, g_forcing, g_state

    def _checked(self, name: str, adjoint: ArrayLike) -> arrays.Array | None:
        """The adjoint of one state. NumPy would add any shape that broadcasts to that from later steps."""
        if adjoint is None:
            return None
        emulator = self.emulator
        array = arrays.as_array(adjoint, emulator.device, name)
        arrays.check(array, name, (emulator.n_columns, emulator.model.sizes.state), emulator.dtype)
        return array

    def _kept_states(
        self, prepared: PreparedStatic, forcing: Sequence[ArrayLike], state: ArrayLike, distance: int
    ) -> list[arrays.Array]:
        """The states at the start of every so many steps."""
        kept = [state]
        for step in range((len(forcing) - 1) // distance * distance):
            state, _ = self.emulator.step(prepared, forcing[step], state)
            if (step + 1) % distance == 0:
                kept.append(state)
        return kept

    def _prepared(self, static: ArrayLike) -> PreparedStatic:
        return static if isinstance(static, PreparedStatic) else self.emulator.prepare_static(static)

    def _results(self, n_steps: int) -> tuple[arrays.Array, arrays.Array]:
        """Arrays for the results of so many steps."""
        sizes = self.emulator.model.sizes
        shape = (n_steps, self.emulator.n_columns)
        states, diagnostics = (self._xp.empty((*shape, size), dtype=self.emulator.dtype) for size in sizes[-2:])
        return states, diagnostics


def _by_time(forcing: Any, static: ArrayLike, state: ArrayLike) -> Sequence[ArrayLike]:
    """The forcing, its steps first: those of a DataArray are along ``time``, wherever it has that dimension."""
    if isinstance(forcing, Mapping) or not (hasattr(forcing, "__len__") and hasattr(forcing, "__getitem__")):
        raise InputError(
            f"forcing: found {type(forcing).__name__}, expected an array (n_steps, n_columns, n_forcing) or a sequence "
            "of arrays (n_columns, n_forcing)"
        )
    if is_labelled(forcing):
        columns = {one for value in (static, state) if is_labelled(value) for one in value.dims if one != VARIABLE}
        if TIME in forcing.dims:
            forcing = forcing.transpose(TIME, ...)
        elif forcing.ndim and forcing.dims[0] in columns:
            dims = ", ".join(map(str, forcing.dims))
            raise InputError(f"forcing: found the dimensions ({dims}), expected that of steps first, or '{TIME}'")
    if len(forcing) == 0:
        raise InputError("forcing: found no step, expected at least one")
    return forcing


def _by_step(name: str, adjoints: BySteps | None, n_steps: int) -> dict[int, ArrayLike]:
    """Step -> adjoint, of those steps that have one."""
    if adjoints is None:
        return {}
    if isinstance(adjoints, Mapping):
        unknown = [step for step in adjoints if step not in range(n_steps)]
        if unknown:
            raise InputError(f"{name}: found the step {unknown[0]}, expected 0 to {n_steps - 1}")
        return dict(adjoints)
    if len(adjoints) != n_steps:
        raise InputError(f"{name}: found {len(adjoints)} steps, expected {n_steps} as of the forcing")
    return dict(enumerate(adjoints))
