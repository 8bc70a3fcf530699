"""Progress: plain lines where there is no terminal, a bar on one."""

from __future__ import annotations

import io
import os
import select
import sys

import numpy as np
import pytest

from ailand_gt4py.driver.progress import duration, progress

START, STEP = np.datetime64("2021-01-01", "ns"), np.timedelta64(6, "h")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    """A clock that goes on by `tick` seconds a step."""

    def __init__(self, tick: float) -> None:
        self.now, self.tick = 100.0, tick

    def __call__(self) -> float:
        return self.now


def watched(stream, n_steps=40, tick=1.0, **options) -> str:
    clock = Clock(tick)
    with progress(n_steps, 3, stream, clock=clock, **options) as advance:
        for done in range(options.get("n_done", 0) + 1, n_steps + 1):
            clock.now += tick
            advance(done, START + done * STEP)
    return stream.getvalue()


def test_plain_lines_every_tenth():
    lines = watched(io.StringIO()).splitlines()
    assert len(lines) == 10
    assert lines[0] == " 10.0 %  4/40 steps, at 2021-01-02T00:00, 3 column-steps/s, 0:36 left"
    assert lines[-1].startswith("100.0 %  40/40 steps, at 2021-01-11T00:00")
    assert lines[-1].endswith("0:00 left")


def test_a_short_run_has_few_lines():
    assert len(watched(io.StringIO(), n_steps=1).splitlines()) == 1
    assert len(watched(io.StringIO(), n_steps=3).splitlines()) == 3


def test_a_slow_run_is_heard_of_every_ten_minutes():
    lines = watched(io.StringIO(), n_steps=1000, tick=60.0).splitlines()
    assert len(lines) == 100
    assert "16:30:00 left" in lines[0]


def test_the_rate_of_a_resumed_run_counts_its_own_steps():
    lines = watched(io.StringIO(), n_done=20).splitlines()
    assert lines[0].startswith(" 60.0 %  24/40 steps")
    assert "3 column-steps/s, 0:16 left" in lines[0]


def test_quiet_says_nothing():
    assert watched(io.StringIO(), quiet=True) == ""
    assert watched(Terminal(), quiet=True) == ""


def test_a_terminal_that_does_not_tell_its_size_gets_a_bar_too(monkeypatch):
    """As a pseudo-terminal whose size nobody set."""
    leader, follower = os.openpty()
    with os.fdopen(follower, "w") as stream, os.fdopen(leader, "rb") as screen:
        assert os.get_terminal_size(follower).columns == 0
        monkeypatch.setattr(sys, "stderr", stream)  # tqdm asks for the size of this one
        with progress(2, 3, stream) as advance:
            advance(2, START)
        stream.flush()
        shown = b""
        while b"2/2 steps" not in shown and select.select([screen], [], [], 5.0)[0]:
            shown += os.read(screen.fileno(), 4096)
        assert b"2/2 steps" in shown


def test_a_terminal_gets_a_bar():
    text = watched(Terminal())
    assert "\r" in text
    assert "100 %" in text
    assert "40/40 steps" in text
    assert "left" in text
    assert "at 2021-01-" in text


@pytest.mark.parametrize(("seconds", "text"), [(0.2, "0:00"), (59.6, "1:00"), (200, "3:20"), (7380, "2:03:00")])
def test_durations(seconds, text):
    assert duration(seconds) == text
