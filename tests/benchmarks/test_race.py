"""Rivals are timed in turn, and pytest-benchmark is shown what was measured."""

from __future__ import annotations

import itertools
import time

import pytest
import race
from contestants import Contestant


def _sleeper(name: str, seconds: float, log: list[str]) -> Contestant:
    def step() -> tuple[None, None]:
        log.append(name)
        time.sleep(seconds)
        return None, None

    return Contestant(name, step)


def _choose(monkeypatch: pytest.MonkeyPatch, **settings: float) -> None:
    """Settings of a race that is as short as its rounds let it be."""
    for name, value in {"RACE_SECONDS": 0.0, **settings}.items():
        monkeypatch.setattr(race, name, value)


def test_rivals_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    _choose(monkeypatch, ROUND_SECONDS=0.004, MINIMUM_ROUNDS=7, MAXIMUM_ROUNDS=21)
    log: list[str] = []
    timings = race.run([_sleeper(name, seconds, log) for name, seconds in (("slow", 0.004), ("fast", 0.001))], rest=0.0)
    assert timings["slow"].median > timings["fast"].median >= 0.001
    assert timings["fast"].calls > 1
    assert {len(timing.seconds) for timing in timings.values()} == {race.MINIMUM_ROUNDS}
    # Without repetitions the log is who came after whom: in turn, in changing order.
    turns = [name for name, before in zip(log, ["", *log], strict=False) if name != before]
    assert turns.count("slow") >= race.MINIMUM_ROUNDS // 2
    assert turns.count("fast") >= race.MINIMUM_ROUNDS // 2
    assert len(log) == sum(4 + race.MINIMUM_ROUNDS * (1 + timing.calls) for timing in timings.values())


def test_a_long_call_is_not_made_untimed_before_each_round(monkeypatch: pytest.MonkeyPatch) -> None:
    _choose(monkeypatch, LONG_CALL=0.003, MINIMUM_ROUNDS=3, MAXIMUM_ROUNDS=3)
    log: list[str] = []
    timings = race.run([_sleeper("slow", 0.004, log)], rest=0.0)
    assert len(log) == 1 + 3 * timings["slow"].calls


def test_turn_waits_for_threads_to_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processor time of the process before and after each watch: busy, busy, at rest."""
    spent = iter([0.0, race.WATCHED, race.WATCHED, 1.5 * race.WATCHED, 1.5 * race.WATCHED, 1.5 * race.WATCHED])
    monkeypatch.setattr(race.time, "process_time", lambda: next(spent))
    assert 2 * race.WATCHED <= race.settle(30.0) < 30.0
    assert next(spent, None) is None


def test_turn_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    spent = itertools.count()
    monkeypatch.setattr(race.time, "process_time", lambda: float(next(spent)))
    assert race.settle(0.05) >= 0.05


def test_clock_shows_each_duration_once() -> None:
    clock, shown = race.Clock(), []

    class Fixture:
        def __init__(self) -> None:
            self.extra_info: dict[str, object] = {}
            self.group = ""

        def pedantic(self, target, rounds: int, iterations: int) -> None:
            for _ in range(rounds * iterations):
                start = clock.read()
                target()
                shown.append(clock.read() - start)

    fixture = Fixture()
    clock.show(fixture, (0.25, 1.5, 0.125), "group", {"kind": "step"})  # type: ignore[arg-type]
    assert shown == [0.25, 1.5, 0.125]
    assert fixture.group == "group"
    assert fixture.extra_info == {"kind": "step"}
