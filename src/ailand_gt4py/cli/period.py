"""Options that the commands on a period of a column file have in common, and what is checked of them."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ailand_gt4py.core.errors import InputError

PRECISIONS = ("float32", "float64")
FIGURES = (".png", ".pdf", ".svg")


def add_arguments(parser: argparse.ArgumentParser, description: str) -> None:
    """Add the options that all of these commands have."""
    parser.description = description
    parser.add_argument(
        "file", type=Path, metavar="FILE", help="netCDF file or zarr store that ailand-column-run reads"
    )
    parser.add_argument("--model", type=Path, metavar="MODEL.nc", help="model file (default: the model in the package)")
    parser.add_argument("--start", metavar="TIME", help="start of the first window, UTC (default: the file's first)")
    parser.add_argument("-o", "--output", type=Path, metavar="OUT.nc", help="write all numbers to this file")
    parser.add_argument("--plot", type=Path, metavar="FIGURE", help="write a figure (.png, .pdf or .svg)")
    parser.add_argument("--at", metavar="LAT,LON", help="location whose column the figure shows (default: the first)")
    parser.add_argument("--backend", default="dace_cpu", help="embedded or dace_cpu (default: %(default)s)")
    parser.add_argument("--precision", default="float32", help="float32 or float64 (default: %(default)s)")
    parser.add_argument("--quiet", action="store_true", help="no progress on standard error")


def check(arguments: argparse.Namespace) -> tuple[float, float] | None:
    """Check these options before anything is read or computed; returns the location of ``--at``.

    Raises:
        InputError: one of them is not usable.
    """
    # Only now: `--help` must not wait for what reads files.
    from ailand_gt4py.cli.option_texts import location

    check_device_and_targets(arguments)
    at = location(arguments.at, "--at")
    if at is not None and arguments.plot is None:
        raise InputError("option --at is given without --plot, which it belongs to")
    return at


def check_device_and_targets(arguments: argparse.Namespace) -> None:
    """Check precision, backend, and the files to write, before anything is read or computed.

    Raises:
        InputError: one of them is not usable.
    """
    from ailand_gt4py.io.whole_files import check_target

    if arguments.precision not in PRECISIONS:
        raise InputError(f"option --precision is '{arguments.precision}', expected {' or '.join(PRECISIONS)}")
    if arguments.backend not in ("embedded", "dace_cpu"):
        raise InputError(f"option --backend is '{arguments.backend}', expected embedded or dace_cpu")
    inputs = (arguments.file, arguments.model)
    if arguments.output is not None:
        check_target(arguments.output, (".nc",), "-o", inputs)
    if arguments.plot is not None:
        check_target(arguments.plot, FIGURES, "--plot", inputs)


def say(arguments: argparse.Namespace, text: str) -> None:
    """A line on standard error, unless ``--quiet``."""
    if not arguments.quiet:
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()
