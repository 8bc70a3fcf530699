"""Runs a case in a process of its own, under limits, and says what came of it."""

from __future__ import annotations

import dataclasses
import json
import os
import resource
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from ailand_gt4py.core import trial
from ailand_gt4py.core.errors import AilandError

#: Limits: seconds of a clock, and bytes beside ten for each byte of the input.
SECONDS, SPARE_BYTES = 15.0, 100 * 2**20
#: Beside those, for what a run itself needs; past it the process is stopped.
_OWN_BYTES = 2**30

RIGHT, REFUSED, WRONG = "right", "refused", "WRONG"


class WrongError(Exception):
    """What must not be."""


@dataclasses.dataclass(frozen=True)
class Case:
    """An input: what was done to it, its bytes, and what reads it.

    ``run`` returns where the result is right and raises `AilandError` where the input is refused; `WrongError`, or
    any other exception, is a fault.
    """

    what: str
    size: int
    run: Callable[[], None]


@dataclasses.dataclass(frozen=True)
class Outcome:
    verdict: str
    message: str
    seconds: float
    growth: float


def isolated(case: Case) -> Outcome:
    """Run a case in a forked process."""
    if trial._HELPER._owner != os.getpid():
        trial._HELPER._process, trial._HELPER._owner = trial._start(), os.getpid()
    reading, writing = os.pipe()
    before, begin = resident(), time.monotonic()
    child = os.fork()
    if not child:
        os.close(reading)
        _run(case, writing)
    os.close(writing)
    text = b""
    while (left := begin + SECONDS - time.monotonic()) > 0:
        if select.select([reading], [], [], left)[0]:
            part = os.read(reading, 65536)
            text += part
            if not part:
                break
    else:
        os.kill(child, signal.SIGKILL)
    os.close(reading)
    _, status, usage = os.wait4(child, 0)
    seconds, growth = time.monotonic() - begin, max(usage.ru_maxrss * 1024 - before, 0)
    code = os.waitstatus_to_exitcode(status)
    if code == -signal.SIGKILL:
        trial._HELPER._owner = 0  # which it may have been talking to
        return Outcome(WRONG, f"did not end in {SECONDS:g} s", seconds, growth)
    if code or not text:
        return Outcome(WRONG, f"ended with {signal.Signals(-code).name if code < 0 else code}", seconds, growth)
    verdict, message = json.loads(text)
    if verdict != WRONG and growth > trial.BYTES_PER_BYTE * case.size + SPARE_BYTES:
        verdict, message = WRONG, f"took {growth / 2**20:.0f} MiB for {case.size} bytes ({message})"
    return Outcome(verdict, message, seconds, growth)


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def _run(case: Case, writing: int) -> None:
    """In the child: run the case, say what came of it and end as a process does."""
    trial._HELPER._owner = os.getpid()  # one helper for all children: they run one after the other
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    limit = size + trial.BYTES_PER_BYTE * case.size + SPARE_BYTES + _OWN_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    try:
        case.run()
        verdict, message = RIGHT, ""
    except AilandError as error:
        verdict, message = REFUSED, str(error)
        if "\n" in message:
            verdict = WRONG
    except WrongError as error:
        verdict, message = WRONG, str(error)
    except BaseException as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        verdict = WRONG
        message = f"{type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno})"
    os.write(writing, json.dumps([verdict, message[:1000]]).encode())
    sys.stdout.flush()
    # To the end of the process by way of the libraries, some of which crash there, but not of Python's test tools.
    import ctypes

    ctypes.CDLL(None).exit(0)
