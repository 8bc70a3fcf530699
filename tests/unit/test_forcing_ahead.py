"""Forcing that is prepared while steps are made, and output that is written meanwhile."""

from __future__ import annotations

import dataclasses
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tests.unit.linear_models import linear_model

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.emulator.forcing import ForcingAssembler
from ailand_gt4py.io import forcing_ahead
from ailand_gt4py.io.forcing_ahead import ForcingAhead
from ailand_gt4py.io.writers import Writer, WriterBehind
from ailand_gt4py.weights.model import previous_name

N_COLUMNS, N_STEPS = 3, 11


def source(waits_for_steps: bool = False, wrong: int | None = None) -> Any:
    """Columns with forcing that tells its window; that of ``wrong`` cannot be read."""
    model = linear_model()
    own = model.forcing[0]
    before = dataclasses.replace(own, name=f"{own.name}_before", derived=previous_name(own.name))
    forcing = (own, before, dataclasses.replace(own, name="sun", derived="cos_solar_zenith_angle"))
    asked: list[tuple[int, int]] = []

    def read(first: int, last: int) -> np.ndarray:
        asked.append((first, last))
        if wrong is not None and first <= wrong < last:
            raise InputError(f"window {wrong} cannot be")
        return np.arange(first, last, dtype=np.float32)[:, None, None] + np.zeros((1, N_COLUMNS, 1), np.float32)

    return SimpleNamespace(
        model=SimpleNamespace(forcing=forcing, step_seconds=21_600.0),
        n_columns=N_COLUMNS,
        times=np.datetime64("2021-03-01", "ns") + np.arange(N_STEPS) * np.timedelta64(6, "h"),
        latitude=np.linspace(-40.0, 60.0, N_COLUMNS),
        longitude=np.linspace(0.0, 120.0, N_COLUMNS),
        waits_for_steps=waits_for_steps,
        forcing=read,
        asked=asked,
    )


def ahead(given: Any) -> ForcingAhead:
    assembler = ForcingAssembler(given.model.forcing, given.latitude, given.longitude)
    return ForcingAhead(given, assembler, np.dtype(np.float32))


@pytest.mark.parametrize("together", [1, 2, 4, 100])
def test_windows_are_those_put_together_all_at_once(together: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many are prepared together, and wherever a run's blocks end or a signal stops it."""
    given = source()
    whole = np.empty((N_STEPS, N_COLUMNS, 3), np.float32)
    assembler = ForcingAssembler(given.model.forcing, given.latitude, given.longitude)
    before = np.full((N_COLUMNS, 1), -7.0, np.float32)
    assembler.assemble(whole, given.forcing(0, N_STEPS), given.times, 21_600.0, before)
    monkeypatch.setattr(forcing_ahead, "FORCING_BYTES", together * N_COLUMNS * 3 * 4)
    prepared, found = ahead(given), list[np.ndarray]()
    for stop, made in ((3, 3), (8, 5), (8, 8), (N_STEPS, N_STEPS)):
        for part in prepared.windows(len(found), stop, before):
            rows = part[: made - len(found)]  # a signal came in the middle of what is prepared
            found += [one.copy() for one in rows]
            before = assembler.of_window(rows[-1])
            if len(found) == made:
                break
    prepared.close()
    np.testing.assert_array_equal(np.array(found), whole)


def test_the_next_windows_are_read_before_they_are_asked_for_and_none_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forcing_ahead, "FORCING_BYTES", 2 * N_COLUMNS * 3 * 4)
    given = source()
    prepared = ahead(given)
    next(prepared.windows(0, N_STEPS, None))
    prepared.close()
    assert given.asked == [(0, 2), (2, 4)]


def test_nothing_is_read_while_it_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    """The netCDF library is for one thread at a time, and a checkpoint is written by another one."""
    monkeypatch.setattr(forcing_ahead, "FORCING_BYTES", 2 * N_COLUMNS * 3 * 4)
    given, is_reading = source(), threading.Event()
    read = given.forcing

    def slowly(first: int, last: int) -> np.ndarray:
        is_reading.set()
        time.sleep(0.05)
        is_reading.clear()
        return read(first, last)

    given.forcing = slowly
    prepared = ahead(given)
    for part in prepared.windows(0, N_STEPS, None):
        prepared.rest()
        assert not is_reading.is_set()
        assert len(part) <= 2
    assert given.asked == [(0, 2), (2, 4), (4, 6), (6, 8), (8, 10), (10, 11)]
    prepared.close()


def test_a_source_that_waits_for_steps_is_asked_for_one_window_at_a_time() -> None:
    given = source(waits_for_steps=True)
    prepared = ahead(given)
    for row in range(4):
        assert [len(part) for part in prepared.windows(row, row + 1, None)] == [1]
        assert given.asked[-1] == (row, row + 1)
    assert len(given.asked) == 4


def test_what_cannot_be_read_is_an_error_when_its_turn_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forcing_ahead, "FORCING_BYTES", 2 * N_COLUMNS * 3 * 4)
    prepared = ahead(source(wrong=5))
    windows = prepared.windows(0, N_STEPS, None)
    assert [len(next(windows)) for _ in range(2)] == [2, 2]
    with pytest.raises(InputError, match="window 5 cannot be"):
        next(windows)
    prepared.close()


class SlowWriter(Writer):
    """Remembers rows, once it may."""

    def __init__(self, wrong: bool = False) -> None:
        self.may_write, self.rows, self._wrong = threading.Event(), list[tuple[int, np.ndarray]](), wrong

    def _create(self, path: Path) -> None: ...

    def _open(self) -> None: ...

    def write(self, first: int, values: np.ndarray, flags: np.ndarray) -> None:
        self.may_write.wait(10.0)
        if self._wrong:
            raise OSError("disk full")
        self.rows.append((first, values.copy()))

    def flush(self) -> None:
        self.rows.append((-1, np.empty(0)))


def test_a_block_is_filled_while_the_one_before_is_written() -> None:
    writer = SlowWriter()
    with WriterBehind(writer, (2, 1, 1), np.dtype(np.float32)) as behind:
        for first in (0, 2):
            values, _ = behind.block(2)
            values[...] = first
            if first:
                writer.may_write.set()  # only now: the second block is filled already
            behind.write(first, 2)
        behind.block(1)[0][...] = 4
        behind.write(4, 1)
        behind.flush()
    assert [(first, values.ravel().tolist()) for first, values in writer.rows] == [
        (0, [0.0, 0.0]), (2, [2.0, 2.0]), (4, [4.0]), (-1, [])
    ]  # fmt: skip


@pytest.mark.parametrize("end", ["write", "flush", "end"])
def test_what_cannot_be_written_is_an_error_at_the_next_call(end: str) -> None:
    writer = SlowWriter(wrong=True)
    writer.may_write.set()

    def write() -> None:
        with WriterBehind(writer, (2, 1, 1), np.dtype(np.float32)) as behind:
            behind.write(0, 2)
            if end == "write":
                behind.write(2, 2)
            elif end == "flush":
                behind.flush()

    with pytest.raises(OSError, match="disk full"):
        write()
