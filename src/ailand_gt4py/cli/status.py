"""How a command ends: its exit status, and a one-line message whatever went wrong."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import TextIO, TypeVar

from tqdm import tqdm

from ailand_gt4py.cli.options import parse
from ailand_gt4py.core.errors import AilandError
from ailand_gt4py.core.printable import one_line, printable
from ailand_gt4py.core.settings import CommandOptions
from ailand_gt4py.driver.interruption import Interrupted

Kind = TypeVar("Kind", bound=CommandOptions)

#: Exit status of a process that a signal ended is this and the signal's number.
SIGNAL_STATUS = 128


def execute(
    kind: type[Kind], run: Callable[[Kind], None], words: Sequence[str] | None = None, debug: bool = False
) -> int:
    """Run a command with the options of these words, or of the process; the exit status, as the help says."""
    words = sys.argv[1:] if words is None else words

    def command() -> None:
        nonlocal debug
        options = parse(kind, words)
        debug = debug or options.debug
        level = logging.ERROR if getattr(options, "quiet", False) else logging.INFO
        with _messages(level, debug), _printable_output(), _without_display(), options.claimed():
            run(options)

    return ended(kind.program.split()[0], command, lambda: debug or "--debug" in words)


def ended(program: str, action: Callable[[], None], is_debugged: Callable[[], bool]) -> int:
    """Do it; the exit status, after one line on standard error if it is not 0."""
    try:
        try:
            action()
        finally:
            _flush()
    except SystemExit as request:  # --help and --version
        if not isinstance(request.code, str):
            return int(request.code or 0)
        return failed(program, f"error: {request.code}", 1, is_debugged())
    except Interrupted as interruption:
        return failed(program, str(interruption), SIGNAL_STATUS + interruption.signal_number)
    except KeyboardInterrupt:
        return failed(program, "interrupted", SIGNAL_STATUS + signal.SIGINT)
    except BrokenPipeError:  # the reader of the output (head, less) has gone, and what was to follow was not done
        return failed(program, "interrupted: nobody reads its output any more", SIGNAL_STATUS + signal.SIGPIPE)
    except AilandError as error:
        return failed(program, f"error: {error}", error.exit_status, is_debugged())
    except BaseException as error:  # the last line of defence: one line, all of it with --debug
        message = f"error: {type(error).__name__}: {error} (--debug shows where)"
        return failed(program, message, 1, is_debugged())
    return 0


def _flush() -> None:
    """Write what was printed, lest that fail when nobody can say so."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except (OSError, ValueError):
        with contextlib.suppress(OSError, ValueError):  # what is still to be written would fail again at the exit
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise


class _AboveProgress(logging.Handler):
    """Messages go to standard error as they are, above a bar of progress; with ``debug``, where errors come from."""

    def __init__(self, debug: bool) -> None:
        super().__init__()
        self._debug = debug

    def emit(self, record: logging.LogRecord) -> None:
        tqdm.write(printable(record.getMessage()), file=sys.stderr)
        if self._debug and record.exc_info:
            traceback.print_exception(*record.exc_info)


@contextlib.contextmanager
def _messages(level: int, debug: bool) -> Iterator[None]:
    """The package's messages from this level on are shown."""
    logger, handler = logging.getLogger("ailand_gt4py"), _AboveProgress(debug)
    before = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(level)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before[0])
        logger.propagate = before[1]


class _Printable(io.TextIOBase):
    """Standard output, to which texts of files go as `printable` gives them."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(printable(text))
        return len(text)

    def flush(self) -> None:
        self._stream.flush()

    def isatty(self) -> bool:
        return self._stream.isatty()


@contextlib.contextmanager
def _printable_output() -> Iterator[None]:
    if sys.stdout is None:  # closed
        yield
        return
    with contextlib.redirect_stdout(_Printable(sys.stdout)):
        yield


@contextlib.contextmanager
def _without_display() -> Iterator[None]:
    """Figures go to files: matplotlib needs no backend for screens, which the environment may name and not have."""
    named = os.environ.pop("MPLBACKEND", None)
    try:
        yield
    finally:
        if named is not None:
            os.environ["MPLBACKEND"] = named


def failed(program: str, message: str, status: int, debug: bool = False) -> int:
    """Say why, in one line; returns the status."""
    with contextlib.suppress(OSError, ValueError):  # nobody reads it
        if debug:
            traceback.print_exc()
        print(f"{program}: {one_line(message)}", file=sys.stderr)
    return status
