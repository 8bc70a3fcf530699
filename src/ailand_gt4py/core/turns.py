"""Objects that one thread at a time may use, which say so where two do."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from ailand_gt4py.core.errors import RunError

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class Turn:
    """Whose turn it is to use an object; its thread may take it again.

    Args:
        what: the object, for messages: "emulator".
    """

    def __init__(self, what: str) -> None:
        self._what, self._process, self._lock = what, os.getpid(), threading.RLock()

    def take(self) -> Callable[[], None]:
        """Take the turn; what gives it back.

        Raises:
            RunError: another thread has it.
        """
        if not self._lock.acquire(False):
            if self._process == os.getpid():
                raise RunError(
                    f"{self._what}: found a call while one of another thread was not finished, expected one thread "
                    "at a time: each needs one of its own"
                )
            # A forked process does not have the thread that has it.
            self._process, self._lock = os.getpid(), threading.RLock()
            self._lock.acquire()
        return self._lock.release


class HasTurn(Protocol):
    turn: Turn


Owner = TypeVar("Owner", bound=HasTurn)


def in_turn(
    method: Callable[Concatenate[Owner, Arguments], Result],
) -> Callable[Concatenate[Owner, Arguments], Result]:
    """A method that takes its object's turn."""

    @functools.wraps(method)
    def call(self: Owner, /, *arguments: Arguments.args, **keywords: Arguments.kwargs) -> Result:
        release = self.turn.take()
        try:
            return method(self, *arguments, **keywords)
        finally:
            release()

    return call
