"""Stopping a run between two steps when a signal comes."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType


class Interrupted(Exception):  # noqa: N818  # nothing went wrong
    """The run was stopped by a signal of this number, after it was saved."""

    def __init__(self, signal_number: int, where: str = "there") -> None:
        super().__init__(f"interrupted; the same command with --resume continues {where}")
        self.signal_number = signal_number


@contextlib.contextmanager
def stop_signals() -> Iterator[list[int]]:
    """Collects SIGINT and SIGTERM, so that the run can stop between two steps; a second one stops it at once."""
    received: list[int] = []

    def receive(number: int, frame: FrameType | None) -> None:
        if received:
            raise KeyboardInterrupt
        received.append(number)

    if threading.current_thread() is not threading.main_thread():
        yield received  # only the main thread may set handlers; the caller has others
        return
    previous = {number: signal.signal(number, receive) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
