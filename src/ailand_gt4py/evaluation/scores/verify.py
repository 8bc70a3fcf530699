"""The score table of a finished run: compared with a reference file label by label, within bounded memory."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from ailand_gt4py.core.files import Paths, expanded
from ailand_gt4py.core.text_table import aligned
from ailand_gt4py.core.times import STANDARD, time_text
from ailand_gt4py.core.types import Values
from ailand_gt4py.evaluation.scores.climatology import other_years_climatology
from ailand_gt4py.evaluation.scores.definitions import SCORES
from ailand_gt4py.evaluation.scores.moments import Sample
from ailand_gt4py.io.output import RunOutput
from ailand_gt4py.io.preparation import labels_of
from ailand_gt4py.io.reference import Reference, at_site, reference_request
from ailand_gt4py.io.request import AS_THEY_ARE, Reading
from ailand_gt4py.weights.model import ModelVariables, Variable
from ailand_gt4py.weights.variables import CATALOGUE

#: Memory for the reference of a block of columns, all labels and variables, bytes.
BLOCK_BYTES = 64 << 20
#: Shortest reference that a climatology is made from: with less, most days have no second year.
MINIMUM_SPAN = np.timedelta64(2 * 365, "D")
#: What is observed as one -> the results that it is the sum of, all in W m-2.
SUMS: Mapping[str, tuple[str, ...]] = {"rnet": ("ssr", "str")}
#: States that differ by no larger part, or number, are the same.
SAME = 1e-5


class Columns(Protocol):
    """A source of columns, or a run's output of them."""

    x: Values
    latitude: Values
    longitude: Values
    times: Values
    step: np.timedelta64
    calendar: str


def compared(model: ModelVariables) -> tuple[Variable, ...]:
    """What of a model's results can be compared with a reference: they, and their `SUMS` that it does not give."""
    own = (*model.state, *model.diagnostics)
    units = {variable.name: variable.units for variable in own}
    sums = (
        entry.variable()
        for name, parts in SUMS.items()
        if name not in units and all(units.get(part) == (entry := CATALOGUE[name]).units for part in parts)
    )
    return (*own, *sums)


def _of_run(run: RunOutput, name: str, times: slice, columns: slice) -> Values:
    """(n_times, n_columns) of a result, or of a sum of results."""
    parts = (name,) if run.has(name) else SUMS[name]
    return np.sum([run.read(part, times, columns) for part in parts], axis=0)


def _times_of(paths: Paths, variables: Sequence[Variable], columns: Columns, reading: Reading) -> Values:
    here = at_site(reading, columns.latitude, columns.longitude)
    return labels_of(expanded(paths), reference_request(variables, columns.step, columns.times[0], here))[0]


def _open(paths: Paths, variables: Sequence[Variable], times: Values, columns: Columns, reading: Reading) -> Reference:
    return Reference(
        paths,
        variables,
        times,
        x=columns.x,
        latitude=columns.latitude,
        longitude=columns.longitude,
        reading=reading,
        calendar=columns.calendar,
    )


def why_no_climatology(labels: Values, times: Values, step: np.timedelta64) -> str:
    """Why a reference with these labels gives no climatology for a run's; empty where it does."""
    span = labels[-1] - labels[0] + step
    if span < MINIMUM_SPAN:
        return f"the reference has {span / np.timedelta64(1, 'D'):.0f} days and a climatology needs 730"
    if (np.diff(labels) != step).any() or times[0] not in labels:
        return "the reference's labels are not one step apart from its first to its last"
    return ""


def _covered(times: Values, labels: Values) -> Values:
    """The run's labels from the reference's first to its last one: one that begins later or ends earlier serves."""
    covered = times[(times >= labels[0]) & (times <= labels[-1])]
    # Where none is covered, opening the reference says so.
    return covered if len(covered) else times


def check_reference(
    paths: Paths, variables: Sequence[Variable], columns: Columns, reading: Reading = AS_THEY_ARE
) -> list[str]:
    """Check before a run that its columns can be compared with a reference; sentences on how that is read."""
    times = columns.times
    covered = _covered(times, _times_of(paths, variables, columns, reading))
    with _open(paths, variables, covered, columns, reading) as reference:
        sentences = list(reference.history)
        if len(covered) < len(times):
            part = f"{len(covered)} of the run's {len(times)} labels"
            ends = {"begins": (covered[0], times[0]), "ends": (covered[-1], times[-1])}
            text = " and ".join(
                f"{does} at {time_text(own, columns.calendar)}" for does, (own, of_run) in ends.items() if own != of_run
            )
            sentences.append(f"The reference {text}: {part} are compared.")
        missing = [name for name in reference.missing if name not in SUMS]
        if missing:
            sentences.append(f"Not in the reference, so without scores: {', '.join(missing)}.")
        sums = (f"{name} with {' + '.join(SUMS[name])}" for name in reference.names if name in SUMS)
        sentences += [f"Compared: {text} of the run." for text in sums]
        return sentences


def score_table(run: RunOutput, paths: Paths, variables: Sequence[Variable], reading: Reading = AS_THEY_ARE) -> str:
    """The score table of a finished run against a reference, for those variables that it has."""
    found = _times_of(paths, variables, run, reading)
    times = _covered(run.times, found)
    if len(times) < 2:
        return (
            f"No scores: one label is compared ({time_text(times[0], run.calendar)}), and the first one never counts."
        )
    without_climatology = why_no_climatology(found, times, run.step)
    if run.calendar != STANDARD:
        without_climatology = f"times are in the calendar '{run.calendar}'"
    # A climatology takes all of the reference.
    labels = times if without_climatology else found
    with _open(paths, variables, labels, run, reading) as reference:
        samples, differs = _samples(run, times, reference, not without_climatology)
    is_own = not any(differs[one.name] for one in variables if one.name in differs and _is_at_label(one))
    return table(samples, {variable.name: variable.units for variable in variables}, without_climatology, is_own)


def _is_at_label(variable: Variable) -> bool:
    """Whether a variable is a state, which the first label of a run has before any step."""
    return variable.time_meaning == "window start"


def _samples(
    run: RunOutput, times: Values, reference: Reference, has_climatology: bool
) -> tuple[dict[str, Sample], dict[str, bool]]:
    """A sample of each variable of the reference, and whether the run differs there at the first label, by blocks."""
    n_labels, n_columns, n_names = len(reference.times), run.n_columns, len(reference.names)
    first, of_run = int(np.searchsorted(reference.times, times[0])), int(np.searchsorted(run.times, times[0]))
    # At the first label persistence, and often the run, is the reference: it does not count, for any variable.
    window = slice(first + 1, first + len(times))
    differs = dict.fromkeys(reference.names, False)
    width = max(1, min(n_columns, BLOCK_BYTES // (4 * n_labels * n_names)))
    parts: dict[str, list[Sample]] = {name: [] for name in reference.names}
    for start in range(0, n_columns, width):
        columns = slice(start, min(start + width, n_columns))
        for name, values in zip(reference.names, _read_columns(reference, columns, n_columns), strict=True):
            truth, usual = values[window], np.full(values[window].shape, np.nan)
            if has_climatology:
                usual = other_years_climatology(values, reference.times)[window]
            forecast = _of_run(run, name, slice(of_run, of_run + len(times)), columns)
            known = np.isfinite(values[first]) & np.isfinite(forecast[0])
            differs[name] |= not np.allclose(forecast[0][known], values[first][known], SAME, SAME)
            forecast = forecast[1:]
            parts[name].append(Sample.of(forecast, truth, usual, persistence=values[first], climatology=usual))
    return {name: Sample.joined(samples) for name, samples in parts.items()}, differs


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
    paths: Paths, variables: Sequence[Variable], run: RunOutput, column: int, reading: Reading = AS_THEY_ARE
) -> dict[str, Values]:
    """The reference's values in one column of a run, of what it has: name -> (n_labels,), NaN where it has no label."""
    covered = _covered(run.times, _times_of(paths, variables, run, reading))
    with _open(paths, variables, covered, run, reading) as reference:
        values = _read_columns(reference, slice(column, column + 1), run.n_columns)[:, :, 0]
        before = int(np.searchsorted(run.times, covered[0]))
        padding = ((0, 0), (before, len(run.times) - len(covered) - before))
        return dict(zip(reference.names, np.pad(values, padding, constant_values=np.nan), strict=True))


def table(
    samples: Mapping[str, Sample], units: Mapping[str, str], without_climatology: str = "", is_own: bool = True
) -> str:
    """Scores by variable, with the baselines persistence and climatology, as a plain table, and what it means.

    Args:
        is_own: whether the run begins with the reference's own state.
    """
    shown = [score for score in SCORES.values() if score.short]
    rows = [
        [
            name,
            units[name],
            *(_text(score.of(sample), score.has_units) for score in shown),
            *(_text(sample.baseline(baseline)) for baseline in ("persistence", "climatology")),
            str(int(sample.pairs.n.sum())),
        ]
        for name, sample in samples.items()
    ]
    notes = [
        "ACC: centred anomaly correlation against the day-of-year climatology of the reference, pooled over columns "
        "and times.",
        "persist.: RMSE of persistence, the reference at the first label that is compared, held.",
        "climat.: RMSE of the climatology, the mean of the reference's other calendar years at the same time of day "
        "within 15 days of the day of the year.",
        "The first label is left out: the run has the reference's own state there."
        if is_own
        else "The first label that is compared is left out: persistence has the reference's state there, the run its "
        "own.",
    ]
    if without_climatology:
        notes[2] = f"climat., ACC: none, because {without_climatology}."
        del notes[0]
    titles = ["variable", "units", *(score.short for score in shown), "persist.", "climat.", "n"]
    return "\n".join([*aligned(titles, rows, left=2), *notes])


def _text(value: float, has_units: bool = True) -> str:
    if math.isnan(value):
        return "-"
    if not has_units:
        return f"{value:.3f}"
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
