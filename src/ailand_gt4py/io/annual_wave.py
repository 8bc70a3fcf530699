"""The annual wave of a variable: how far a smooth course of the seasons is from the year's mean."""

from __future__ import annotations

import math

import numpy as np

from ailand_gt4py.core.types import Values
from ailand_gt4py.io.blocks import BLOCK_BYTES, tiles
from ailand_gt4py.io.column_file import ColumnFile, Source

YEAR = np.timedelta64(365 * 86_400_000_000_000, "ns")


def read_annual_wave(
    file: ColumnFile, source: Source, times: Values, step: np.timedelta64, start: int
) -> Values | None:
    """The first harmonic of a year that has the start in it: from the start on, or the last year of the file.

    Args:
        source: a variable with time. times: datetime64[ns], all of the file. step: between them in the year.
        start: index of the time at which the phase is counted from 0.

    Returns:
        complex (n_columns,): the real part of it times exp(2 pi i t / `YEAR`) is the wave at the time t after the
        start, in the source's units. None where there is no such year: the file is shorter, its times are not a step
        apart, or a value is missing.
    """
    count = int(YEAR // step)
    first = min(start, len(times) - count)
    if first < 0 or (np.diff(times[first : first + count]) != step).any():
        return None
    angle = (times - times[start]) / YEAR * (2.0 * math.pi)
    weights = np.stack([np.ones(len(times)), np.cos(angle), -np.sin(angle)])
    sums = np.zeros((3, file.n_columns))
    for slab, columns in tiles(file, source.own_name, first, count, BLOCK_BYTES):
        values = source.conversion.apply(file.read(source.own_name, slab, columns))
        sums[:, columns] += weights[:, slab] @ values
    if not np.isfinite(sums).all():
        return None
    # The mean is taken out, as a year need not be a whole number of steps.
    mean_weights = weights[1:, first : first + count].mean(axis=1, keepdims=True)
    real, imaginary = 2.0 * (sums[1:] - mean_weights * sums[0]) / count
    wave: Values = real + 1j * imaginary
    return wave
