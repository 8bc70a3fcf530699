"""The command ``ailand-column-run``."""

from __future__ import annotations

import logging
import signal
import sys
import traceback
from collections.abc import Sequence

from ailand_gt4py import __version__
from ailand_gt4py.core.errors import AilandError
from ailand_gt4py.driver.interruption import Interrupted
from ailand_gt4py.driver.options import PROGRAM, RunOptions, parse_options

#: Exit status of a process that a signal ended is this and the signal's number.
SIGNAL_STATUS = 128


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        argv: arguments without the program's name; None: those of the process.

    Returns:
        Exit status: 0 done, 1 failed while running, 2 input or usage is wrong, 130 or 143 interrupted.
    """
    arguments = sys.argv[1:] if argv is None else list(argv)
    show_traceback = "--debug" in arguments
    package_logger = logging.getLogger("ailand_gt4py")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    level, propagate = package_logger.level, package_logger.propagate
    package_logger.addHandler(handler)
    package_logger.propagate = False
    try:
        options = parse_options(arguments, __version__)
        show_traceback = options.debug
        package_logger.setLevel(logging.ERROR if options.quiet else logging.INFO)
        _run(options)
    except SystemExit as request:  # --help and --version
        return int(request.code or 0)
    except Interrupted as interruption:
        _say("interrupted; the same command with --resume continues there")
        return SIGNAL_STATUS + interruption.signal_number
    except KeyboardInterrupt:
        _say("interrupted; the same command with --resume continues at the last checkpoint, if there is one")
        return SIGNAL_STATUS + signal.SIGINT
    except AilandError as error:
        return _failed(str(error), error.exit_status, show_traceback)
    except Exception as error:  # the last line of defence: one line for people, all of it with --debug
        return _failed(f"{type(error).__name__}: {error} (--debug shows where)", 1, show_traceback)
    finally:
        package_logger.removeHandler(handler)
        package_logger.setLevel(level)
        package_logger.propagate = propagate
    return 0


def _run(options: RunOptions) -> None:
    # GT4Py takes seconds to import, which --help and a wrong option need not wait for.
    from ailand_gt4py.driver.run import run

    run(options, sys.stdout, sys.stderr)


def _failed(message: str, status: int, show_traceback: bool) -> int:
    if show_traceback:
        traceback.print_exc()
    _say(f"error: {' '.join(message.split())}")
    return status


def _say(message: str) -> None:
    print(f"{PROGRAM}: {message}", file=sys.stderr)
