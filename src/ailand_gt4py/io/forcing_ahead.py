"""The forcing of a run's windows, read and put together in a thread of its own while the steps before are made."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

import numpy as np

from ailand_gt4py.core.arrays import by_variable
from ailand_gt4py.core.types import Values
from ailand_gt4py.emulator.forcing import ForcingAssembler
from ailand_gt4py.io.sources import ColumnSource

#: Memory for the forcing of the windows that are prepared together, bytes; there are two such parts.
FORCING_BYTES = 8 << 20


@dataclasses.dataclass(frozen=True)
class Prepared:
    """Windows ``first`` to ``last`` - 1: forcing (n_windows, n_columns, n_forcing), and what the next takes of it."""

    first: int
    forcing: Values
    after: Values

    @property
    def last(self) -> int:
        return self.first + len(self.forcing)


class ForcingAhead:
    """Windows of a source in their order, some together.

    Args:
        source: read ahead of its use unless it ``waits_for_steps``.
        assembler: puts the forcing together.
        dtype: of the emulator.
    """

    def __init__(self, source: ColumnSource, assembler: ForcingAssembler, dtype: np.dtype[Any]) -> None:
        self._source, self._assembler = source, assembler
        n_forcing = len(source.model.forcing)
        most = max(1, FORCING_BYTES // max(source.n_columns * n_forcing * dtype.itemsize, 1))
        self._together = 1 if source.waits_for_steps else min(most, len(source.times))
        shape = self._together, source.n_columns, n_forcing
        self._memory = [by_variable(shape, dtype) for _ in range(1 if source.waits_for_steps else 2)]
        self._executor = None if source.waits_for_steps else ThreadPoolExecutor(1, "ailand-forcing")
        self._current: Prepared | None = None
        self._next: Future[Prepared] | None = None

    def windows(self, first: int, last: int, before: Values | None) -> Iterator[Values]:
        """The forcing of the windows ``first`` to ``last`` - 1, (n_windows, n_columns, n_forcing) at a time.

        It stays until the next is asked for. ``before``: of the window before the first (`ForcingAssembler.of_window`).
        """
        while first < last:
            found = self._current
            if found is None or not found.first <= first < found.last:
                found = self._current = self._at(first, before)
            stop = min(last, found.last)
            yield found.forcing[first - found.first : stop - found.first]
            first, before = stop, found.after

    def _at(self, first: int, before: Values | None) -> Prepared:
        """The windows from one on; those after them are begun."""
        found = None if self._next is None else self._next.result()
        if found is None or found.first != first:
            found = self._prepared(first, before)
        if self._executor is not None and found.last < len(self._source.times):
            self._memory.reverse()
            self._next = self._executor.submit(self._prepared, found.last, found.after)
        else:
            self._next = None
        return found

    def _prepared(self, first: int, before: Values | None) -> Prepared:
        source, model = self._source, self._source.model
        last = min(first + self._together, len(source.times))
        forcing = self._memory[0][: last - first]
        given, times = source.forcing(first, last), source.times[first:last]
        self._assembler.assemble(forcing, given, times, model.step_seconds, before)
        return Prepared(first, forcing, self._assembler.of_window(forcing[-1]))

    def rest(self) -> None:
        """Return when nothing is being read, until windows are asked for again."""
        if self._next is not None:
            wait([self._next])

    def close(self) -> None:
        """Wait for what is being read: its source can then be closed."""
        if self._executor is not None:
            self._executor.shutdown(cancel_futures=True)
