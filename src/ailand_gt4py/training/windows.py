"""Columns through time as training needs them: one row for each window of each column.

Columns may come from sources of different lengths, so rows lie one after another, column by column. Arrays may lie in
memory or in files that are mapped into it, where the operating system keeps what is in use.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.types import Values
from ailand_gt4py.evaluation.scores.groups import snow_regime
from ailand_gt4py.weights.variables import Specification

#: Columns that are taken at a time where all data are gone through.
COLUMN_BLOCK = 32


class ObservedBrightness(NamedTuple):
    """Brightness temperatures that were observed, and what they depend on in columns; float32.

    Attributes:
        names: of the catalogue, as tbh. values, errors: (n_rows, n_names) at the windows' ends and their standard
            deviations, K; NaN where nothing was observed, or the error is not known.
        clay: (n_columns,) mass fraction of clay, NaN where nothing was observed. covers, kinds: (2, n_columns) share of
            the column and type of high and low vegetation.
    """

    names: tuple[str, ...]
    values: Values
    errors: Values
    clay: Values
    covers: Values
    kinds: Values


class ObservedDiagnostics(NamedTuple):
    """Diagnostics that were observed in some columns; float32, model units.

    What was observed over a window is among the data's diagnostics. A mean over more than a window, such as a day's, is
    here, in the row of the last window that it reaches into.

    Attributes:
        positions: (n_names,) of the diagnostics, of all. is_observed: (n_columns, n_diagnostics) whether the column's
            source has observations of it, which stand for its own values.
        errors: (n_rows, n_names) standard deviations of the errors; NaN where they are not known.
        means: (n_rows, n_names), NaN where none ends. begins, ends: (n_rows, n_names) windows from where the mean
            begins and ends to the end of the row's window: 4 and 0 for a day of four windows.
        needs: (what, the number of windows that a rollout has to have to hold one) of means over more than one.
    """

    positions: Values
    is_observed: Values
    errors: Values
    means: Values
    begins: Values
    ends: Values
    needs: tuple[tuple[str, int], ...]


class Block(NamedTuple):
    """Some columns of one source, side by side: views of the data (n_columns, n_windows, n_features).

    The state has one more along time, as have ``times``; ``state_known`` (n_state,): what the source has.
    """

    columns: Values
    source: int
    static: Values
    forcing: Values
    state: Values
    diagnostics: Values
    times: Values
    state_known: Values


@dataclasses.dataclass
class WindowData:
    """What a network reads and what it should give, for every window of every column; float32.

    Attributes:
        static: (n_columns, n_static). forcing: (n_rows, n_forcing) of the window [t, t + step), all inputs.
        state: (n_rows + n_columns, n_state): a column has one more, entry k is the state at the start of its window k.
        diagnostics: (n_rows, n_diagnostics): what the window should give. n_windows: (n_columns,).
        source: (n_columns,) number of the source. times: by source, (n_windows + 1,) starts and the last end.
        latitude, longitude: (n_columns,) degrees. climate, soil: (n_columns,) class, "" where the source has none.
        state_known: (n_columns, n_state) whether the source has a state; a guess instead is not learnt.
        observed, brightness: what was observed of diagnostics and at L-band, where it was asked for.
    """

    static: Values
    forcing: Values
    state: Values
    diagnostics: Values
    n_windows: Values
    source: Values
    times: tuple[Values, ...]
    step_seconds: float
    latitude: Values
    longitude: Values
    climate: Values
    soil: Values
    state_known: Values
    observed: ObservedDiagnostics | None = None
    brightness: ObservedBrightness | None = None
    history: tuple[str, ...] = ()

    @property
    def locations(self) -> list[str]:
        """(n_columns,) "class/location" of each column, for `split_columns`."""
        columns = zip(self.climate, self.latitude, self.longitude, strict=True)
        return [f"{climate}/{latitude:.4f},{longitude:.4f}" for climate, latitude, longitude in columns]

    def kinds(self, state: Sequence[str]) -> list[Values]:
        """Other classes of each column, (n_columns,) each: of its soil and, with ``snowc`` in the state, its snow."""
        if "snowc" not in state:
            return [self.soil]
        cover = state.index("snowc")
        snow = [snow_regime(block.state[..., cover].T).labels for block in self.blocks()]
        return [self.soil, np.concatenate(snow)]

    def blocks(self, columns: Values | None = None) -> Iterator[Block]:
        """All columns, or those of ascending numbers, in blocks of neighbours."""
        columns = np.arange(len(self.n_windows)) if columns is None else np.asarray(columns)
        apart = (np.diff(columns) != 1) | (np.diff(self.source[columns]) != 0)
        for run in np.split(columns, np.flatnonzero(apart) + 1):
            for start in range(0, len(run), COLUMN_BLOCK):
                yield self.block(run[start : start + COLUMN_BLOCK])

    def block(self, columns: Values) -> Block:
        """Neighbouring columns of one source."""
        first, count = int(columns[0]), len(columns)
        length, source = int(self.n_windows[first]), int(self.source[first])
        rows = self.rows(columns)
        state_rows = slice(rows.start + first, rows.stop + first + count)
        return Block(
            columns,
            source,
            self.static[first : first + count],
            self.forcing[rows].reshape(count, length, self.forcing.shape[1]),
            self.state[state_rows].reshape(count, length + 1, self.state.shape[1]),
            self.diagnostics[rows].reshape(count, length, self.diagnostics.shape[1]),
            self.times[source],
            self.state_known[first],
        )

    def rows(self, columns: Values) -> slice:
        """Rows of all windows of neighbouring columns of one source."""
        first, count = int(columns[0]), len(columns)
        start = int(self.n_windows[:first].sum())
        return slice(start, start + count * int(self.n_windows[first]))


def split_columns(
    locations: Sequence[str], fraction: float, seed: int, kinds: Sequence[Values] = ()
) -> tuple[Values, Values]:
    """Numbers of the columns for training and for validation, both ascending, by "class/location" of each.

    Whole columns are kept apart, not times: a column's weather repeats itself from year to year. Columns of a location
    stay together. The fraction is of each class, rounded; if above 0, at least one location of a class that has two,
    and of each of the ``kinds`` (n_columns,).
    """
    texts = np.asarray(locations).astype(str)

    def members(of: Values) -> list[str]:
        # By digest, which is the same on every machine, an order of locations that does not depend on which others
        # there are: more data leave the split nearly as it was.
        names = set(texts[of].tolist())
        return sorted(names, key=lambda text: hashlib.sha256(f"{seed}:{text}".encode()).digest())

    classes = np.array([text.partition("/")[0] for text in texts])
    chosen: list[str] = []
    for labels in (classes, *kinds):
        for name in np.unique(labels):
            there = members(labels == name)
            count = round(fraction * len(there)) if labels is classes else 0
            if fraction > 0.0 and len(there) > 1 and not set(chosen) & set(there):
                count = max(count, 1)
            chosen += there[:count]
    validation = np.isin(texts, chosen)
    return np.flatnonzero(~validation), np.flatnonzero(validation)


def line_up(windows: Values, labelled: Values, first: int, diagnostics: Sequence[Specification]) -> None:
    """Put diagnostics by label, from ``first`` on, where their windows are; both (n_columns, ..., n_diagnostics)."""
    n_windows, last = windows.shape[1], first + labelled.shape[1]
    for position, variable in enumerate(diagnostics):
        shift = {"window end": 1, "window mean": 0}.get(variable.time_meaning)
        if shift is None:
            raise InputError(
                f"diagnostic '{variable.name}': time meaning '{variable.time_meaning}', expected 'window end' or "
                "'window mean'"
            )
        begin, end = max(first - shift, 0), min(last - shift, n_windows)
        windows[:, begin:end, position] = labelled[:, begin + shift - first : end + shift - first, position]
