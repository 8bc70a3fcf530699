"""aiLand, an emulator of ecLand: model files, compilation, training, evaluation, derivatives, assimilation."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

import ailand_gt4py
from ailand_gt4py.cli.status import ended, execute, failed
from ailand_gt4py.core.settings import nearest

#: Each is a module of its name here, with ``Options`` and ``run``, imported when it is called.
COMMANDS = {
    "model show": "print what a model file holds",
    "model import": "make a model file from a published checkpoint",
    "model export": "export a model for another program",
    "check": "check forcing files as a run would, without running",
    "compile": "compile a model ahead of time",
    "example": "write a small example to run, score and train with",
    "train": "train a model",
    "evaluate": "score a model against persistence, climatology and observations",
    "intercompare": "write a site run in the layout of a land-model intercomparison",
    "jacobian": "derivatives of a step with respect to its inputs, along a trajectory",
    "uncertainty": "propagate errors of state, weather and parameters through a run",
    "estimate": "estimate soil and vegetation parameters from observations",
    "assimilate": "assimilate observations, measured or simulated (twin experiment)",
}

HELP = f"""\
usage: ailand [-h] [--version] [--debug] COMMAND ...

{__doc__}

commands:
{"".join(f"  {name:<14}{summary}" + chr(10) for name, summary in COMMANDS.items())}
options:
  -h, --help    show this help; after a command, its options
  --version     show the version
  --debug       show the traceback of an error

See also: ailand-column-run (stand-alone runs), ailand-icon4py-run (runs coupled with ICON4Py)."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command of these words, or of the process; returns the exit status, as `execute`."""
    words = list(sys.argv[1:] if argv is None else argv)
    debug = words[:1] == ["--debug"]
    words = words[debug:]
    if words[:1] == ["--version"]:
        print(f"ailand {ailand_gt4py.__version__}")
        return 0
    name = " ".join(words[: 2 if words[:1] == ["model"] else 1])
    if name not in COMMANDS and {"-h", "--help"} & {*words[:2]}:
        print(HELP)
        return 0
    if name not in COMMANDS:
        found = f"found '{name}'; {nearest(name, COMMANDS)}" if name else "is missing"
        return failed("ailand", f"error: COMMAND {found}; see ailand --help", 2)
    status = 0

    def command() -> None:
        nonlocal status
        module = importlib.import_module(f"ailand_gt4py.cli.{name.replace(' ', '_')}")
        status = execute(module.Options, module.run, words[len(name.split()) :], debug)

    return ended("ailand", command, lambda: debug or "--debug" in words) or status
