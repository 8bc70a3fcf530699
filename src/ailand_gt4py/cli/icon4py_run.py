"""The command ``ailand-icon4py-run``."""

from __future__ import annotations

import argparse
import datetime
import math
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ailand_gt4py import __version__
from ailand_gt4py.core.errors import AilandError, InputError, RunError

if TYPE_CHECKING:
    from ailand_gt4py.integration.hosts.icon4py.coupled_run import RunOptions

PROGRAM = "ailand-icon4py-run"

PLOT_SUFFIXES = (".png", ".pdf", ".svg")

_DESCRIPTION = """\
Run ICON4Py from a Jablonowski-Williamson start with aiLand as its land surface on idealised continents, and write what
land and atmosphere exchange.
"""

_EPILOG = f"""\
examples:
  {PROGRAM} --grid R2B3 --hours 24 -o coupled.nc --plot coupled.png
  {PROGRAM} --grid R2B2 --hours 12 --no-dynamics -o coupled.nc      # no dynamical core: little to compile

With the dynamical core the first run on a grid compiles for a long while (tens of minutes on two cores). GT4Py keeps
what it compiled if GT4PY_BUILD_CACHE_LIFETIME=persistent is set, in GT4PY_BUILD_CACHE_DIR.

exit status: 0 done; 1 failed while running; 2 input or usage is wrong.
"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROGRAM, description=_DESCRIPTION, epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--grid", default="R2B3", help="name of a global grid, which is generated, or an ICON grid file (%(default)s)")
    add("--hours", type=float, default=24.0, help="simulated time (%(default)s)")
    add("--dtime", type=int, default=300, metavar="SECONDS", help="the host's time step (%(default)s)")
    add("--substeps", type=int, default=1, help="steps of the dynamics in each (%(default)s)")
    add("--levels", type=int, default=20, help="levels of the atmosphere (%(default)s)")
    add("--dynamics", action=argparse.BooleanOptionalAction, default=True, help="run the dynamical core (yes)")
    add("--moisture", action=argparse.BooleanOptionalAction, default=True, help="water vapour, not advected (yes)")
    add("--backend", default=None, help="ICON4Py's backend (gtfn_cpu; embedded without dynamics)")
    add("--land-backend", default=None, help="the land's backend (dace_cpu)")
    add("--land-interval", type=float, default=None, metavar="HOURS", help="between calls of the land (its own step)")
    add("--implicit", action=argparse.BooleanOptionalAction, default=True, help="fluxes follow the air (yes)")
    add("--mixing-height", type=float, default=1000.0, metavar="M", help="of heat and vapour in the air (%(default)g)")
    add("--record", type=int, default=3600, metavar="SECONDS", help="simulated time between records (%(default)s)")
    add("--start", default="2008-09-01T00:00:00", help="date and time, UTC (%(default)s)")
    add("--model", type=Path, default=None, help="model file (the default model)")
    add("--grids", type=Path, default=None, metavar="DIRECTORY", help="where generated grids are kept (nowhere)")
    add("-o", "--output", type=Path, default=None, help="netCDF file")
    add("--plot", type=Path, default=None, help="figure, .png, .pdf or .svg")
    add("--debug", action="store_true", help="show where an error came from")
    add("--version", action="version", version=f"{PROGRAM} {__version__}")
    return parser


def parse_options(arguments: Sequence[str]) -> RunOptions:
    """Options from the command line.

    Raises:
        InputError: a value that cannot be used.
        SystemExit: as argparse does.
    """
    given = _parser().parse_args(arguments)
    seconds = round(given.hours * 3600)
    for name in ("dtime", "substeps", "record", "levels"):
        value = getattr(given, name)
        if value <= 0:
            raise InputError(f"--{name}: found {value}, expected more than 0")
    if not 0.0 <= given.mixing_height < math.inf:
        raise InputError(f"--mixing-height: found {given.mixing_height:g} m, expected 0 m or more")
    if given.land_interval is not None and not 0.0 < given.land_interval < math.inf:
        raise InputError(f"--land-interval: found {given.land_interval:g} h, expected more than 0")
    try:
        datetime.datetime.fromisoformat(given.start)
    except ValueError:
        raise InputError(
            f"--start: found '{given.start}', expected a date and time such as 2008-09-01T00:00:00"
        ) from None
    if seconds <= 0 or seconds % given.dtime:
        raise InputError(f"--hours: found {given.hours:g}, expected a whole number of steps of {given.dtime} s")
    if given.plot is not None and given.plot.suffix.lower() not in PLOT_SUFFIXES:
        raise InputError(f"--plot: found '{given.plot}', expected a name that ends in {', '.join(PLOT_SUFFIXES)}")
    for name, path in (("--output", given.output), ("--plot", given.plot)):
        if path is not None and not path.absolute().parent.is_dir():
            raise InputError(f"{name}: found no directory '{path.parent}', expected one that is there")
    _need_icon4py()
    from ailand_gt4py.integration.hosts.icon4py.coupled_run import RunOptions
    from ailand_gt4py.integration.hosts.icon4py.experiment import Experiment

    experiment = Experiment(
        grid=given.grid,
        n_steps=seconds // given.dtime,
        step_seconds=given.dtime,
        substeps=given.substeps,
        levels=given.levels,
        dynamics=given.dynamics,
        moisture=given.moisture,
        backend=given.backend or ("gtfn_cpu" if given.dynamics else "embedded"),
        start=given.start,
    )
    return RunOptions(
        experiment=experiment,
        model=given.model,
        interval_hours=given.land_interval,
        record_seconds=given.record,
        land_backend=given.land_backend,
        implicit=given.implicit,
        mixing_height=given.mixing_height,
        output=given.output,
        plot=given.plot,
        grids=given.grids,
    )


def _need_icon4py() -> None:
    try:
        import grid_generator  # noqa: F401
        import icon4py.model.driver  # noqa: F401
    except ImportError as error:
        raise RunError(
            f"ICON4Py: '{error.name}' is not installed, expected the extra 'icon4py' on Python 3.12 or newer "
            "(pip install 'ailand_gt4py[icon4py]')"
        ) from error


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        argv: arguments without the program's name; None: those of the process.

    Returns:
        Exit status: 0 done, 1 failed while running, 2 input or usage is wrong.
    """
    arguments = sys.argv[1:] if argv is None else list(argv)
    try:
        options = parse_options(arguments)
        from ailand_gt4py.integration.hosts.icon4py.coupled_run import run

        run(options, sys.stdout)
    except SystemExit as request:  # --help, --version, usage
        return int(request.code or 0)
    except AilandError as error:
        return _failed(str(error), error.exit_status, "--debug" in arguments)
    except Exception as error:  # the last line of defence
        return _failed(f"{type(error).__name__}: {error} (--debug shows where)", 1, "--debug" in arguments)
    return 0


def _failed(message: str, status: int, show_traceback: bool) -> int:
    if show_traceback:
        traceback.print_exc()
    print(f"{PROGRAM}: error: {' '.join(message.split())}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
