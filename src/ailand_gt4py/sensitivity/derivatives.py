"""Derivatives of steps along a trajectory: at which points, in blocks that the emulator takes at once."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.times import STANDARD
from ailand_gt4py.core.types import Values
from ailand_gt4py.emulator.emulator import Emulator
from ailand_gt4py.io.period import Period
from ailand_gt4py.io.training_ranges import outside_training_range
from ailand_gt4py.sensitivity.masks import meaningful
from ailand_gt4py.sensitivity.quantities import Quantity

#: Columns that the emulator takes at once, about: enough to be quick, few enough for the caches.
BLOCK_COLUMNS = 1024
#: Most bytes of derivatives in memory.
LARGEST_BYTES = 4 * 2**30


@dataclasses.dataclass(frozen=True)
class Derivatives:
    """Of steps that start at times (n_points,): (n_outputs, n_inputs, n_points, n_columns), NaN without a meaning.

    Input_spread is what a normalised derivative is per; outside: whether any input is out of the training range.
    """

    outputs: tuple[Quantity, ...]
    inputs: tuple[Quantity, ...]
    times: Values
    latitude: Values
    longitude: Values
    values: Values
    input_spread: Values
    outside: Values
    calendar: str = STANDARD

    def positions(self, output: str, by: str) -> tuple[int, int] | None:
        """Positions of a pair; None where it is not there."""
        outputs, inputs = [one.name for one in self.outputs], [one.name for one in self.inputs]
        return (outputs.index(output), inputs.index(by)) if output in outputs and by in inputs else None

    def normalised(self, output: int, by: int) -> Values:
        """(n_points, n_columns) of one pair, by positions: standard deviations per standard deviation."""
        return self.values[output, by] * self.input_spread[by] / self.outputs[output].spread


def states_of_run(
    emulator: Emulator, period: Period, steps: Values, after_step: Callable[[int], None] = lambda done: None
) -> Values:
    """(n_points, n_columns, n_state): states of the emulator's own run from the file's first state."""
    prepared, state, kept = emulator.prepare_static(period.static), period.initial_state, []
    for step in range(int(steps[-1]) + 1):
        if step in steps:
            kept.append(state.copy())
        state, _ = emulator.step(prepared, period.forcing[step], state)
        after_step(step + 1)
    return np.stack(kept)


def derivatives(
    make_emulator: Callable[[int], Emulator],
    period: Period,
    steps: Values,
    states: Values,
    outputs: Sequence[Quantity],
    inputs: Sequence[Quantity],
    after_points: Callable[[int], None] = lambda done: None,
) -> Derivatives:
    """At some steps (n_points,) of the period, from states (n_points, n_columns, n_state); told how many are done."""
    n_points, n_columns = states.shape[:2]
    shape = (len(outputs), len(inputs), n_points, n_columns)
    size = math.prod(shape) * states.dtype.itemsize
    if size > LARGEST_BYTES:
        raise InputError(
            f"{shape[0]} x {shape[1]} derivatives of {n_columns} columns at {n_points} times need "
            f"{size / 2**30:.1f} GiB, expected at most {LARGEST_BYTES / 2**30:.0f}; "
            "ask for fewer outputs, inputs or times"
        )
    values, spread = np.empty(shape, states.dtype), np.empty(shape[1:], states.dtype)
    outside = np.empty(shape[2:], dtype=bool)
    at_once = max(1, min(n_points, BLOCK_COLUMNS // n_columns))
    emulator, static = make_emulator(n_columns * at_once), np.tile(period.static, (at_once, 1))
    model, names = emulator.model, [[one.name for one in chosen] for chosen in (outputs, inputs)]
    for first in range(0, n_points, at_once):
        # The last block overlaps the one preceding it: all are of one size.
        points = np.arange(at_once) + min(first, n_points - at_once)
        forcing = period.forcing[steps[points]].reshape(len(static), -1)
        state = states[points].reshape(len(static), -1)
        new_state, _ = emulator.step(static, forcing, state)
        found = np.moveaxis(emulator.jacobian(static, forcing, state, *names), 0, 2)
        of_output, of_input = meaningful(outputs, inputs, model, static, forcing, state, new_state)
        found[~(of_output[:, None] & of_input[None]) | ~np.isfinite(found)] = np.nan
        groups = {"static": static, "forcing": forcing, "state": state}
        spreads = np.stack([one.spread_at(groups[one.group][:, one.position]) for one in inputs])
        flags = [outside_training_range(groups[name], getattr(model, name)).any(axis=(0, 2)) for name in groups]
        for target, block in ((values, found), (spread, spreads), (outside, np.logical_or.reduce(flags))):
            target[..., points, :] = block.reshape(*block.shape[:-1], at_once, n_columns)
        after_points(int(points[-1]) + 1)
    located = (period.times[steps], period.latitude, period.longitude)
    return Derivatives(tuple(outputs), tuple(inputs), *located, values, spread, outside, period.calendar)
