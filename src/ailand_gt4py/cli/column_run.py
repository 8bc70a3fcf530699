"""The command ``ailand-column-run``."""

from __future__ import annotations

import functools
import signal
from collections.abc import Sequence

from ailand_gt4py.cli.status import SIGNAL_STATUS, execute, failed
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.driver.interruption import Interrupted
from ailand_gt4py.driver.options import RunOptions
from ailand_gt4py.driver.ranks import Ranks, launched


def run(options: RunOptions, ranks: Ranks | None = None) -> None:
    """Make the run, on all ranks of MPI if there are several."""
    try:
        from ailand_gt4py.driver.run import run_with  # only now: `--help` must not wait for GT4Py

        run_with(options, ranks)
    except KeyboardInterrupt:
        raise Interrupted(signal.SIGINT, "at the last checkpoint, if there is one") from None


def main(words: Sequence[str] | None = None, debug: bool = False) -> int:
    """Run the command with these words, or those of the process; the exit status, as the help says."""
    rank, size = launched()
    if size < 2:
        return execute(RunOptions, run, words, debug)
    try:
        ranks = Ranks(size)
        if ranks.rank:
            ranks.serve()
            return 0
    except InputError as error:  # on all ranks, of which one says it
        return error.exit_status if rank else failed(RunOptions.program, f"error: {error}", error.exit_status)
    except KeyboardInterrupt:
        return SIGNAL_STATUS + signal.SIGINT
    try:
        return execute(RunOptions, functools.partial(run, ranks=ranks), words, debug)
    finally:
        ranks.release()
