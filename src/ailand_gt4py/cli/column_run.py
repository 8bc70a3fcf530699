"""The command ``ailand-column-run``."""

from __future__ import annotations

import contextlib
import functools
import logging
import signal
import sys
from collections.abc import Iterator

from ailand_gt4py.cli.status import execute
from ailand_gt4py.driver.interruption import Interrupted
from ailand_gt4py.driver.options import RunOptions


def _run(options: RunOptions) -> None:
    with _messages(logging.ERROR if options.quiet else logging.INFO):
        try:
            # GT4Py takes seconds to import, which --help and a wrong option need not wait for.
            from ailand_gt4py.driver.run import run_with

            run_with(options, sys.stdout, sys.stderr)
        except KeyboardInterrupt:
            raise Interrupted(signal.SIGINT, "at the last checkpoint, if there is one") from None


@contextlib.contextmanager
def _messages(level: int) -> Iterator[None]:
    """The package's messages go to standard error as they are."""
    logger = logging.getLogger("ailand_gt4py")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
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


main = functools.partial(execute, RunOptions, _run)
