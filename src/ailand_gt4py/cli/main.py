"""The command ``ailand``: model files, compiling, training, evaluation, derivatives, assimilation.

``ailand-column-run`` is its own command.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence

import ailand_gt4py
from ailand_gt4py.cli import assimilate as assimilation_command
from ailand_gt4py.cli import compile as compile_command
from ailand_gt4py.cli import estimate as parameter_command
from ailand_gt4py.cli import evaluate as evaluation_command
from ailand_gt4py.cli import jacobian as sensitivity_command
from ailand_gt4py.cli import model as model_command
from ailand_gt4py.cli import train as training_command
from ailand_gt4py.cli import uncertainty as uncertainty_command
from ailand_gt4py.core.errors import AilandError
from ailand_gt4py.driver.options import join_location

PROGRAM = "ailand"


def make_parser() -> argparse.ArgumentParser:
    """The command's parser; every subcommand sets ``function``, which takes the parsed arguments."""
    parser = argparse.ArgumentParser(prog=PROGRAM, description=__doc__)
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {ailand_gt4py.__version__}")
    parser.add_argument("--debug", action="store_true", help="show where an error was raised")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, module, summary in (
        ("model", model_command, "show a model file, or make one from a published checkpoint"),
        ("compile", compile_command, "compile a model ahead of time"),
        ("train", training_command, "train a model"),
        ("evaluate", evaluation_command, "score a model by lead time against persistence and climatology"),
        ("jacobian", sensitivity_command, "derivatives of a step's results by its inputs along a trajectory"),
        ("uncertainty", uncertainty_command, "carry errors of state, weather and parameters through a run"),
        ("estimate", parameter_command, "estimate soil and vegetation parameters from observations"),
        ("assimilate", assimilation_command, "find soil moisture from observations, in a twin experiment"),
    ):
        command = commands.add_parser(name, help=summary)
        command.set_defaults(function=module.run)
        module.add_arguments(command)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        argv: arguments without the program's name; None: those of the process.

    Returns:
        Exit status: 0 done, 1 failed while running, 2 input or usage is wrong, 130 interrupted.
    """
    words = join_location(sys.argv[1:] if argv is None else argv)
    try:
        arguments = make_parser().parse_args(words)
    except SystemExit as request:  # --help, --version, wrong usage
        return int(request.code or 0)
    arguments.command_line = shlex.join([PROGRAM, *words])  # for the history of what is written
    try:
        return int(arguments.function(arguments))
    except KeyboardInterrupt:
        print(f"{PROGRAM}: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of the output (head, less) has gone.
        sys.stderr.close()
        return 0
    except AilandError as error:
        if arguments.debug:
            raise
        print(f"{PROGRAM}: error: {' '.join(str(error).split())}", file=sys.stderr)
        return error.exit_status


if __name__ == "__main__":
    sys.exit(main())
