"""Timing rivals fairly on a noisy machine: in turn, round by round, and handing the times to pytest-benchmark.

pytest-benchmark runs each test for itself, so that what else the machine did in those seconds would count against one
rival and not another. Here all rivals of a group are timed in turn in each round, in an order that is drawn anew.
Before its timed calls each waits until the threads of the one before sleep (those of OpenMP and of ONNX Runtime wait
for more work actively, for up to a fifth of a second), and makes an untimed call, which wakes its own threads and
fetches its weights.

The tests of a group then hand the times measured to pytest-benchmark through a clock that shows them (`Clock`), so that
its tables, comparisons and JSON hold an entry for each rival.
"""

from __future__ import annotations

import dataclasses
import gc
import math
import random
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import scale
from contestants import Contestant
from pytest_benchmark.fixture import BenchmarkFixture

#: A round of each rival makes so many calls that they take this long, seconds.
ROUND_SECONDS = scale.of(0.03, 0.0)
#: Rounds: at least, at most, and how long a race may take within these, seconds.
MINIMUM_ROUNDS, MAXIMUM_ROUNDS, RACE_SECONDS = scale.of((7, 21, 12.0), (1, 1, 0.0))
#: A call of more seconds wakes its threads and fetches its weights in a small part of them: none is made untimed.
LONG_CALL = 0.3
#: Before a rival's turn: the longest wait for other threads to sleep, the time they are watched for, seconds, and the
#: share of it that the whole process may work.
LONGEST_REST, WATCHED, QUIET_SHARE = scale.of(0.5, 0.0), 0.01, 0.05


@dataclasses.dataclass(frozen=True)
class Timing:
    """Seconds of one call, mean of the calls of a round, for each round; and how many calls that were."""

    seconds: tuple[float, ...]
    calls: int

    @property
    def median(self) -> float:
        """Median of the rounds, seconds."""
        return float(np.median(self.seconds))


def _timed(rival: Contestant, calls: int) -> float:
    """Seconds of a call, mean of so many."""
    step, synchronise = rival.step, rival.synchronise
    if synchronise is not None:
        synchronise()
    start = time.perf_counter()
    for _ in range(calls):
        step()
    if synchronise is not None:
        synchronise()
    return (time.perf_counter() - start) / calls


def settle(longest: float) -> float:
    """Wait until no thread of this process works, at most so long; returns the seconds waited."""
    start = time.perf_counter()
    while (waited := time.perf_counter() - start) < longest:
        before = time.process_time()
        time.sleep(WATCHED)
        if time.process_time() - before < QUIET_SHARE * WATCHED:
            break
    return waited


def run(rivals: Sequence[Contestant], rest: float = LONGEST_REST) -> dict[str, Timing]:
    """Time rivals in interleaved rounds.

    Args:
        rivals: warm. rest: the longest before each turn, seconds.

    Returns:
        name -> its times.
    """
    calls: dict[str, int] = {}
    long: set[str] = set()
    took = 0.0
    for rival in rivals:
        with rival.during():
            estimate = _timed(rival, 1)
            if estimate > LONG_CALL:
                long.add(rival.name)
            else:
                estimate = min(_timed(rival, 1) for _ in range(3))
        calls[rival.name] = max(1, math.ceil(ROUND_SECONDS / max(estimate, 1e-9)))
        took += estimate * (calls[rival.name] + 1) + settle(rest)
    rounds = min(max(int(RACE_SECONDS / took), MINIMUM_ROUNDS), MAXIMUM_ROUNDS)
    seconds: dict[str, list[float]] = {rival.name: [] for rival in rivals}
    gc.collect()
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        order = random.Random(0)
        for _ in range(rounds):
            for rival in order.sample(rivals, len(rivals)):
                settle(rest)
                with rival.during():
                    if rival.name not in long:
                        _timed(rival, 1)
                    seconds[rival.name].append(_timed(rival, calls[rival.name]))
    finally:
        if was_enabled:
            gc.enable()
    return {name: Timing(tuple(values), calls[name]) for name, values in seconds.items()}


class Clock:
    """A clock that is moved by hand: shows pytest-benchmark durations that were measured elsewhere.

    To be named in the test's marker: ``@pytest.mark.benchmark(timer=CLOCK.read)``.
    """

    def __init__(self) -> None:
        self._now = 0.0

    def read(self) -> float:
        """What the clock shows, seconds."""
        return self._now

    def show(self, benchmark: BenchmarkFixture, seconds: Iterable[float], group: str, extra: Mapping[str, Any]) -> None:
        """Make durations the rounds of a test's benchmark.

        Args:
            benchmark: of a test with this clock.
            seconds: of the rounds, at least one.
            group: of pytest-benchmark's tables.
            extra: goes to the entry's ``extra_info``.
        """
        remaining = iter(durations := list(seconds))

        def advance() -> None:
            self._now += next(remaining)

        benchmark.group = group
        benchmark.extra_info.update(extra)
        self._now = 0.0
        benchmark.pedantic(advance, rounds=len(durations), iterations=1)


CLOCK = Clock()
