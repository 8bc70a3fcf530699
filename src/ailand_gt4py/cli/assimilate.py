"""``ailand assimilate FILE``: a twin experiment, ecLand in the file being the truth."""

from __future__ import annotations

import argparse
import datetime
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ailand_gt4py.cli import period as period_command
from ailand_gt4py.core.errors import InputError

if TYPE_CHECKING:  # `--help` must not wait for GT4Py
    from ailand_gt4py.assimilation.twin import TwinResult, TwinSettings

DESCRIPTION = """\
Twin experiment of soil-moisture assimilation on a file of ecLand's forcing, states and diagnostics, in the layout that
ailand-column-run reads. ecLand is the truth; an emulator starts from wrong soil moisture, sees simulated observations
of the truth with noise, and is to find the truth. Beside it runs the open loop, which sees none. Prints errors against
the truth, spread and consistency; docs/assimilation.md says how everything is defined and where the defaults come
from."""

JACOBIANS = ("tangent-linear", "adjoint", "finite-differences")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options to a parser."""
    parser.description = DESCRIPTION
    parser.add_argument("file", type=Path, metavar="FILE", help="netCDF file or zarr store with forcing and truth")
    parser.add_argument("--model", type=Path, metavar="MODEL.nc", help="model file (default: the model in the package)")
    parser.add_argument(
        "--method",
        choices=("sekf", "etkf"),
        default="sekf",
        help="simplified extended or ensemble transform Kalman filter (default: %(default)s)",
    )
    parser.add_argument(
        "--jacobian", choices=JACOBIANS, default=JACOBIANS[0], help="way to the SEKF's Jacobians (default: %(default)s)"
    )
    parser.add_argument(
        "--background-error",
        choices=("cycled", "constant"),
        default="cycled",
        help="of the SEKF: carried from window to window, or ECMWF's constant (default: %(default)s)",
    )
    parser.add_argument(
        "--observations",
        default="t2m,rh2m,ssm",
        metavar="KIND,...",
        help="of t2m, rh2m, ssm (surface soil moisture) and tb (L-band brightness temperature) (default: %(default)s)",
    )
    parser.add_argument(
        "--control", default="swvl1,swvl2,swvl3", metavar="NAME,...", help="of swvl1-3 and stl1 (default: %(default)s)"
    )
    parser.add_argument("--days", type=float, default=60.0, help="length of the experiment (default: %(default)g)")
    parser.add_argument(
        "--window-hours", type=float, default=24.0, metavar="HOURS", help="12 or 24, say (default: %(default)g)"
    )
    parser.add_argument("--start", metavar="TIME", help="label where it starts, UTC (default: the file's first)")
    parser.add_argument(
        "--initial-error",
        type=float,
        metavar="M3M-3",
        help="standard deviation of the error in soil moisture at the start (default: 0.08)",
    )
    parser.add_argument(
        "--weather-error",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="errors of precipitation and radiation, as a share of usual ones (default: %(default)g)",
    )
    parser.add_argument("--members", type=int, default=24, metavar="N", help="of the ensemble (default: %(default)s)")
    parser.add_argument(
        "--relaxation",
        type=float,
        default=0.5,
        metavar="SHARE",
        help="inflation: relaxation of the analysed spread to the background's (default: %(default)g)",
    )
    parser.add_argument(
        "--clay",
        type=float,
        metavar="FRACTION",
        help="of all columns' soils (default: from clim_sotype, where tb needs it)",
    )
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE.yaml",
        help="errors, screening and limits; all of them, with the defaults, are in configs/assimilation.yaml",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="another value of one of these, such as errors.observation.ssm=0.03; may be repeated; wins over --config",
    )
    parser.add_argument("--seed", type=int, default=1, help="of all random numbers (default: %(default)s)")
    parser.add_argument("--backend", default="dace_cpu", help="embedded or dace_cpu (default: %(default)s)")
    parser.add_argument("--precision", default="float32", help="float32 or float64 (default: %(default)s)")
    parser.add_argument("-o", "--output", type=Path, metavar="OUT.nc", help="write runs, observations and spread")
    parser.add_argument("--plot", type=Path, metavar="FIG.png", help="draw a figure (.png, .pdf, .svg)")
    parser.add_argument("--at", metavar="LAT,LON", help="location of the figure's column (default: an ordinary one)")
    parser.add_argument("--quiet", action="store_true", help="no progress on standard error")


def run(arguments: argparse.Namespace) -> int:
    """Run the experiment and print its tables; returns the exit status.

    Raises:
        InputError: options, model or file are not usable.
        RunError: the network cannot be compiled, or writing fails.
    """
    _check_options(arguments)
    # Only now: `--help` must not wait for GT4Py.
    from ailand_gt4py.assimilation import twin_figure, twin_output, twin_scores
    from ailand_gt4py.assimilation.twin import Twin
    from ailand_gt4py.cli.evaluate import parse_point
    from ailand_gt4py.driver.progress import Progress
    from ailand_gt4py.evaluation.columns import read_columns
    from ailand_gt4py.evaluation.scores.groups import read_locations
    from ailand_gt4py.io.whole_files import write_figure
    from ailand_gt4py.weights.model_file import read_model

    settings = make_settings(arguments)
    at = parse_point(arguments.at)
    model = read_model(arguments.model)
    columns = read_columns(arguments.file, model, np.dtype(arguments.precision))
    locations = read_locations(arguments.file)
    twin = Twin(
        model,
        columns,
        settings,
        first_label(columns.times, arguments.start),
        _clay(arguments, settings, columns.n_columns),
        arguments.backend,
        arguments.precision,
    )
    with Progress(twin.n_steps, columns.n_columns, sys.stderr, quiet=arguments.quiet) as progress:
        result = twin.run(lambda windows, time: progress.advance(windows * twin.steps_per_window, time))
    scores = twin_scores.score(result)
    print(headline(result))
    print(twin_scores.text(scores))
    if arguments.output is not None:
        now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        history = f"{now} ailand assimilate {shlex.quote(str(arguments.file))}, with the attribute 'settings'"
        where = (locations.x, locations.latitude, locations.longitude)
        data = twin_output.dataset(result, scores, twin.observables(), where, history)
        twin_output.write(arguments.output, data)
    if arguments.plot is not None:
        column = twin_figure.choose_column(result, locations.latitude, locations.longitude, at)
        figure = twin_figure.draw(result, scores, locations.latitude, locations.longitude, column)
        write_figure(arguments.plot, figure)
    return 0


def make_settings(arguments: argparse.Namespace) -> TwinSettings:
    """The settings that options ask for.

    Raises:
        InputError: one of them is not usable.
    """
    from ailand_gt4py.assimilation.overrides import with_file, with_overrides
    from ailand_gt4py.assimilation.settings import Errors
    from ailand_gt4py.assimilation.twin import TwinSettings

    given: dict[str, Any] = {}
    if arguments.initial_error is not None:
        given["initial_error"] = arguments.initial_error
    settings = TwinSettings(
        method=arguments.method,
        jacobian=arguments.jacobian,
        observations=_names(arguments.observations),
        days=arguments.days,
        window_hours=arguments.window_hours,
        seed=arguments.seed,
        control=_names(arguments.control),
        n_members=arguments.members,
        relaxation=arguments.relaxation,
        weather_error=arguments.weather_error,
        errors=Errors(covariance=arguments.background_error),
        **given,
    )
    if arguments.config is not None:
        settings = with_file(settings, arguments.config)
    changed: TwinSettings = with_overrides(settings, arguments.set)
    return changed


def first_label(times: np.ndarray, start: str | None) -> int:
    """Where a start is among the labels of a file.

    Raises:
        InputError: it is no time, or none of the labels.
    """
    from ailand_gt4py.core.times import parse_time, time_text

    if start is None:
        return 0
    wanted = parse_time(start, "--start")
    found = np.flatnonzero(times == wanted)
    if not found.size:
        raise InputError(
            f"--start is {time_text(wanted)}; the file has the times {time_text(times[0])} to {time_text(times[-1])}, "
            "expected one of them"
        )
    return int(found[0])


def headline(result: TwinResult) -> str:
    """What was run, in two lines."""
    from ailand_gt4py.core.times import time_text

    settings = result.settings
    way = settings.jacobian if settings.method == "sekf" else f"{settings.n_members} members"
    covariance = f", {settings.errors.covariance} background error" if settings.method == "sekf" else ""
    return (
        f"Twin experiment: {settings.method.upper()} ({way}{covariance}), {settings.days:g} days from "
        f"{time_text(result.times[0])} in windows of {settings.window_hours:g} h, {result.truth.shape[1]} columns\n"
        f"  observations: {', '.join(settings.observations)}; seed {settings.seed}; initial error "
        f"{settings.initial_error:g} m3 m-3; weather errors {settings.weather_error:g}"
    )


def _check_options(arguments: argparse.Namespace) -> None:
    """Check options that need no file to be read.

    Raises:
        InputError: one of them is not usable.
    """
    period_command.check_device_and_targets(arguments)
    if arguments.clay is not None and not 0.0 <= arguments.clay <= 1.0:
        raise InputError(f"option --clay is {arguments.clay:g}, expected 0 to 1")


def _clay(arguments: argparse.Namespace, settings: TwinSettings, n_columns: int) -> np.ndarray | None:
    """Clay fraction of the columns, where brightness temperature is observed.

    Raises:
        InputError: neither the option nor ``clim_sotype`` is there.
    """
    from ailand_gt4py.io.column_file import ColumnFile
    from ailand_gt4py.observations.microwave import clay_fraction

    if "tb" not in settings.observations:
        return None
    if arguments.clay is not None:
        return np.full(n_columns, arguments.clay)
    with ColumnFile(arguments.file) as file:
        own_name = file.find("clim_sotype")
        if own_name is None:
            raise InputError(
                f"{arguments.file}: variable 'clim_sotype' is missing, from which the clay fraction follows; "
                "expected it, or the option --clay"
            )
        values = file.read(own_name, slice(0, 1))
        return clay_fraction(values.reshape(-1).astype(np.float64))


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
