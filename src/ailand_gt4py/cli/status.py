"""How a command ends: its exit status, and a one-line message whatever went wrong."""

from __future__ import annotations

import contextlib
import io
import logging
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
    program, debug = kind.program.split()[0], debug or "--debug" in words
    try:
        options = parse(kind, words)
        debug = debug or options.debug
        with _messages(logging.ERROR if getattr(options, "quiet", False) else logging.INFO), _printable_output():
            run(options)
    except SystemExit as request:  # --help and --version
        return int(request.code or 0)
    except Interrupted as interruption:
        return failed(program, str(interruption), SIGNAL_STATUS + interruption.signal_number)
    except KeyboardInterrupt:
        return failed(program, "interrupted", SIGNAL_STATUS + signal.SIGINT)
    except BrokenPipeError:  # the reader of the output (head, less) has gone
        sys.stderr.close()
        return 0
    except AilandError as error:
        return failed(program, f"error: {error}", error.exit_status, debug)
    except Exception as error:  # the last line of defence: one line, all of it with --debug
        return failed(program, f"error: {type(error).__name__}: {error} (--debug shows where)", 1, debug)
    return 0


class _AboveProgress(logging.Handler):
    """Messages go to standard error as they are, above a bar of progress."""

    def emit(self, record: logging.LogRecord) -> None:
        tqdm.write(printable(record.getMessage()), file=sys.stderr)


@contextlib.contextmanager
def _messages(level: int) -> Iterator[None]:
    """The package's messages from this level on are shown."""
    logger, handler = logging.getLogger("ailand_gt4py"), _AboveProgress()
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
    with contextlib.redirect_stdout(_Printable(sys.stdout)):
        yield


def failed(program: str, message: str, status: int, debug: bool = False) -> int:
    """Say why, in one line; returns the status."""
    if debug:
        traceback.print_exc()
    print(f"{program}: {one_line(message)}", file=sys.stderr)
    return status
