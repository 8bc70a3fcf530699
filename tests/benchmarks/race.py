"""Timing rivals fairly on a noisy machine: in turn, round by round, and handing the times to pytest-benchmark.

pytest-benchmark runs each test for itself, so that what else the machine did in those seconds would count against one
rival and not another. Here all rivals of a group are timed in turn in each round; their order shifts by one from round
to round. Before its timed calls each has a short rest, in which the threads of the one before stop spinning (OpenMP's
and ONNX Runtime's wait actively for a while), and an untimed call, which wakes its own threads and fetches its weights.

The tests of a group then hand the times measured to pytest-benchmark through a clock that shows them (`Clock`), so that
its tables, comparisons and JSON hold an entry for each rival.
"""

from __future__ import annotations

import dataclasses
import gc
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from contestants import Contestant
from pytest_benchmark.fixture import BenchmarkFixture

#: A round of each rival makes so many calls that they take this long, seconds.
ROUND_SECONDS = 0.03
#: Rounds: at least, at most, and how long a race may take within these, seconds.
MINIMUM_ROUNDS, MAXIMUM_ROUNDS, RACE_SECONDS = 7, 21, 12.0
#: Rest before a rival's turn, seconds.
REST_SECONDS = 0.02


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


def run(rivals: Sequence[Contestant], rest: float = REST_SECONDS) -> dict[str, Timing]:
    """Time rivals in interleaved rounds.

    Args:
        rivals: warm. rest: before each turn, seconds.

    Returns:
        name -> its times.
    """
    calls: dict[str, int] = {}
    took = 0.0
    for rival in rivals:
        with rival.during():
            _timed(rival, 1)
            estimate = min(_timed(rival, 1) for _ in range(3))
        calls[rival.name] = max(1, math.ceil(ROUND_SECONDS / max(estimate, 1e-9)))
        took += estimate * (calls[rival.name] + 1) + rest
    rounds = min(max(int(RACE_SECONDS / took), MINIMUM_ROUNDS), MAXIMUM_ROUNDS)
    seconds: dict[str, list[float]] = {rival.name: [] for rival in rivals}
    gc.collect()
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        for round_number in range(rounds):
            first = round_number % len(rivals)
            for rival in (*rivals[first:], *rivals[:first]):
                time.sleep(rest)
                with rival.during():
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
