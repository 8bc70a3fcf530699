"""What is known of the time before a run's start: forcing of previous windows that its first window takes.

A source may hold labels before the start: then these windows are as there. What follows from time and location is so in
any case. Of all else the first window, or the earliest that the source holds, has its own, as if nothing had changed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from ailand_gt4py.core.types import Values
from ailand_gt4py.emulator.forcing import ForcingAssembler
from ailand_gt4py.io.restart import Restart
from ailand_gt4py.io.sources import ColumnSource
from ailand_gt4py.weights.model import Variable


def previous_forcing(source: ColumnSource, assembler: ForcingAssembler, dtype: np.dtype) -> Values:
    """What the first window takes of previous ones (`ForcingAssembler.fill_previous`), (n_columns, n_previous)."""
    seconds = float(source.step / np.timedelta64(1, "s"))
    earlier = source.earlier_forcing()
    times = source.times[0] + np.arange(-len(earlier), 0) * source.step
    start = times[0] if len(times) else source.times[0]
    previous: Values = assembler.before_start(start, seconds, dtype)
    if len(earlier):
        forcing = np.empty((len(earlier), source.n_columns, len(source.model.forcing)), dtype=dtype)
        assembler.assemble(forcing, earlier, times, seconds, previous)
        previous = assembler.of_window(forcing[-1])
    return previous


def begun_again(point: Restart, source: ColumnSource) -> Restart:
    """Where a run stands taken as the start of one through a source, whatever its time.

    All that it remembers stays; what follows from time and location, of previous windows, is that before the start.
    """
    seconds = float(source.step / np.timedelta64(1, "s"))
    assembler = ForcingAssembler(source.model.forcing, source.latitude, source.longitude, calendar=source.calendar)
    derived = assembler.before_start(source.times[0], seconds, point.before.dtype)
    before = np.where(np.isfinite(derived), derived, point.before)
    return dataclasses.replace(point, before=before, valid_time=source.times[0], calendar=source.calendar)


def sentences(forcing: Sequence[Variable], n_earlier: int, remembered: str | None) -> list[str]:
    """Where inputs are from that no file gives as they are, for a history.

    Args:
        n_earlier: of as many windows before the start the source has the forcing.
        remembered: where all of the previous windows is, such as "in the restart file"; None: nowhere.
    """
    assembler = ForcingAssembler(forcing)
    roots = {k: assembler.root(k) for k in assembler.previous}
    derived = [*assembler.derived, *(k for k, (root, _) in roots.items() if forcing[root].derived)]
    there, own = list[int](), list[int]()
    for position, (root, count) in roots.items():
        if not forcing[root].derived:
            (there if remembered or count <= n_earlier else own).append(position)
    of_first = "Of the previous window, of the first window"
    where = remembered or "before the start"
    groups = {
        "Computed from time and location": derived,
        f"{of_first} what is {where}": there,
        f"{of_first} {'what is earliest before the start' if n_earlier else 'its own'}": own,
    }
    return [f"{what}: {', '.join(forcing[k].name for k in sorted(found))}." for what, found in groups.items() if found]
