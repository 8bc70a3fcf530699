"""Comparing a finished run with a reference file, label by label, within bounded memory."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from ailand_gt4py.core.times import time_text
from ailand_gt4py.core.types import Values
from ailand_gt4py.evaluation.scores.scores import ScoreAccumulator, Scores, climatology, climatology_is_possible, table
from ailand_gt4py.io.column_file import ColumnFile
from ailand_gt4py.io.output import ColumnOutput
from ailand_gt4py.io.reference import Reference, open_reference
from ailand_gt4py.io.time_axis import read_times
from ailand_gt4py.weights.model import Variable

#: Memory for the reference of a block of columns, all labels and variables, bytes.
BLOCK_BYTES = 64 << 20


@dataclasses.dataclass(frozen=True)
class Labels:
    """Labels of the reference that are read: the run's, or more where they serve a climatology.

    Attributes:
        times: datetime64[ns].
        first: index of the run's first label in them.
        without_climatology: why there is no climatology, empty where there is one.
    """

    times: Values
    first: int
    without_climatology: str


def reference_labels(path: Path, times: Values, step: np.timedelta64) -> Labels:
    """Which labels of a reference file to read.

    Args:
        path: of the reference.
        times, step: of the run.

    Raises:
        InputError: the file or its times cannot be read.
    """
    with ColumnFile(path) as file:
        found = read_times(file)
    if not climatology_is_possible(found, step):
        days = float((found[-1] - found[0] + step) / np.timedelta64(1, "D"))
        return Labels(times, 0, f"the reference has {days:.0f} days and a climatology needs 730")
    if (np.diff(found) != step).any() or times[0] not in found:
        return Labels(times, 0, "the reference's labels are not one step apart from its first to its last")
    return Labels(found, int(np.searchsorted(found, times[0])), "")


def covered_times(path: Path, times: Values) -> Values:
    """The run's labels up to the reference's last one; a reference that ends earlier than the run still serves.

    Raises:
        InputError: the file or its times cannot be read.
    """
    with ColumnFile(path) as file:
        last = read_times(file)[-1]
    covered = times[times <= last]
    # Where none is covered, opening the reference says so.
    return covered if len(covered) else times


@contextlib.contextmanager
def opened_reference(
    path: Path, variables: Sequence[Variable], labels: Labels, latitude: Values, longitude: Values
) -> Iterator[Reference]:
    """The reference at the labels, for the run's columns."""
    with open_reference(path, variables, labels.times, latitude=latitude, longitude=longitude) as reference:
        yield reference


def check_reference(
    path: Path, variables: Sequence[Variable], times: Values, latitude: Values, longitude: Values
) -> list[str]:
    """Check before a run that it can be compared with a reference.

    Returns:
        Sentences on how it is read.

    Raises:
        InputError: it cannot be used.
    """
    covered = covered_times(path, times)
    with open_reference(path, variables, covered, latitude=latitude, longitude=longitude) as reference:
        sentences = list(reference.history)
        if len(covered) < len(times):
            part = f"{len(covered)} of the run's {len(times)} labels"
            sentences.append(f"The reference ends at {time_text(covered[-1])}: {part} are compared.")
        if reference.missing:
            sentences.append(f"Not in the reference, so without scores: {', '.join(reference.missing)}.")
        return sentences


def score_table(output: Path, path: Path, variables: Sequence[Variable], step: np.timedelta64) -> str:
    """The score table of a finished run.

    Args:
        output: file of the run.
        path: of the reference.
        variables: those to compare; those the reference lacks are left out.
        step: of the run.

    Raises:
        InputError: the reference cannot be used.
    """
    with ColumnOutput(output) as run:
        times = covered_times(path, run.times)
        if len(times) < 2:
            return f"No scores: one label is compared ({time_text(times[0])}), and the first one never counts."
        labels = reference_labels(path, times, step)
        with opened_reference(path, variables, labels, run.latitude, run.longitude) as reference:
            known = {variable.name: variable for variable in variables}
            scores = _scores(run, len(times), reference, labels)
            units = [known[name].units for name in reference.names]
            return table(reference.names, units, scores, labels.without_climatology)


def _scores(run: ColumnOutput, n_compared: int, reference: Reference, labels: Labels) -> list[Scores]:
    n_labels, n_columns, n_names = len(labels.times), len(run.latitude), len(reference.names)
    width = max(1, min(n_columns, BLOCK_BYTES // (4 * n_labels * n_names)))
    accumulators = [ScoreAccumulator() for _ in reference.names]
    for start in range(0, n_columns, width):
        columns = slice(start, min(start + width, n_columns))
        truth = _read_columns(reference, columns, n_columns)
        for index, name in enumerate(reference.names):
            values = truth[index]
            usual = None if labels.without_climatology else climatology(values, labels.times)
            # Label 0 of the run is the reference's own state: it does not count, for any variable.
            window = slice(labels.first + 1, labels.first + n_compared)
            forecast = run.read(name, slice(1, n_compared), columns)
            accumulators[index].add(
                forecast, values[window], values[labels.first], None if usual is None else usual[window]
            )
    return [accumulator.result() for accumulator in accumulators]


def _read_columns(reference: Reference, columns: slice, n_columns: int) -> Values:
    """(n_names, n_labels, width) of the columns `columns` out of `n_columns`, read label block by label block."""
    n_labels, n_names = len(reference.times), len(reference.names)
    result = np.empty((n_names, n_labels, columns.stop - columns.start), dtype=np.float32)
    rows = max(1, BLOCK_BYTES // (4 * n_columns * n_names))
    for first in range(0, n_labels, rows):
        last = min(first + rows, n_labels)
        result[:, first:last] = np.moveaxis(reference.read(first, last)[:, columns], 2, 0)
    return result


def read_series(
    path: Path, variables: Sequence[Variable], times: Values, column: int, latitude: Values, longitude: Values
) -> dict[str, Values]:
    """The reference's values through time in one column: name -> (n_labels,), for the variables that it has.

    NaN at labels after the reference's last one.

    Raises:
        InputError: the reference cannot be used.
    """
    covered = covered_times(path, times)
    with open_reference(path, variables, covered, latitude=latitude, longitude=longitude) as reference:
        values = _read_columns(reference, slice(column, column + 1), len(latitude))[:, :, 0]
        padding = ((0, 0), (0, len(times) - len(covered)))
        return dict(zip(reference.names, np.pad(values, padding, constant_values=np.nan), strict=True))
