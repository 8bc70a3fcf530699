"""The command ``ailand-column-run``."""

from __future__ import annotations

import functools
import signal

from ailand_gt4py.cli.status import execute
from ailand_gt4py.driver.interruption import Interrupted
from ailand_gt4py.driver.options import RunOptions


def run(options: RunOptions) -> None:
    """Make the run."""
    try:
        from ailand_gt4py.driver.run import run_with  # only now: `--help` must not wait for GT4Py

        run_with(options)
    except KeyboardInterrupt:
        raise Interrupted(signal.SIGINT, "at the last checkpoint, if there is one") from None


main = functools.partial(execute, RunOptions, run)
