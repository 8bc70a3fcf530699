"""``ailand evaluate FILE``: a model against ecLand by lead time."""

from __future__ import annotations

import argparse
import uuid
from pathlib import Path

import numpy as np

from ailand_gt4py.errors import InputError, RunError
from ailand_gt4py.evaluation import report

DESCRIPTION = """\
Score a model against the truth in a file: runs from many starts, by lead time, against persistence and day-of-year
climatology, and one free run through the whole period. The file has forcing, states and diagnostics in the layout that
ailand-column-run reads."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options to a parser."""
    parser.description = DESCRIPTION
    parser.add_argument("file", type=Path, metavar="FILE", help="netCDF file or zarr store with forcing and truth")
    parser.add_argument("--model", type=Path, metavar="MODEL.nc", help="model file (default: the model in the package)")
    parser.add_argument(
        "--leads", default="1,7,30,60,90", metavar="DAYS,...", help="lead times in days (default: %(default)s)"
    )
    parser.add_argument("--starts", type=int, default=24, metavar="N", help="starts per column (default: %(default)s)")
    parser.add_argument(
        "--climatology-window",
        type=int,
        default=31,
        metavar="DAYS",
        help="running mean of the climatology (default: %(default)s)",
    )
    parser.add_argument("--backend", default="dace_cpu", help="embedded, dace_cpu or dace_gpu (default: %(default)s)")
    parser.add_argument("--precision", default="float32", help="float32 or float64 (default: %(default)s)")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="TABLE",
        help="write the tables too: .md or .json (both), or .csv (by lead time)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Evaluate and print the tables; returns the exit status.

    Raises:
        InputError: options, model or file are not usable.
        RunError: the network cannot be compiled, or writing fails.
    """
    # Only now: `--help` must not wait for GT4Py.
    from ailand_gt4py.evaluation.columns import read_columns
    from ailand_gt4py.evaluation.lead_time import free_run_scores, lead_time_scores
    from ailand_gt4py.weights.model_file import read_model

    leads = parse_leads(arguments.leads)
    if arguments.starts < 1:
        raise InputError(f"option --starts is {arguments.starts}, expected at least 1")
    if arguments.precision not in ("float32", "float64", "tf32", "bf16"):
        raise InputError(
            f"option --precision is '{arguments.precision}', expected float32 or float64, on dace_gpu also tf32 or bf16"
        )
    if arguments.output is not None:
        report.check_path(arguments.output)
    model = read_model(arguments.model)
    dtype = np.dtype("float64" if arguments.precision == "float64" else "float32")
    columns = read_columns(arguments.file, model, dtype)
    how = {"backend": arguments.backend, "precision": arguments.precision}
    window = arguments.climatology_window
    by_lead = lead_time_scores(model, columns, leads, arguments.starts, window, **how)
    whole = free_run_scores(model, columns, window, **how)
    print(report.text_report(by_lead, whole))
    if arguments.output is not None:
        _write(arguments.output, report.file_report(arguments.output.suffix, by_lead, whole))
    return 0


def parse_leads(text: str) -> list[float]:
    """Lead times in days from a comma-separated list.

    Raises:
        InputError: an entry that is not a positive number.
    """
    leads = []
    for part in text.split(","):
        try:
            lead = float(part)
        except ValueError:
            lead = 0.0
        if not 0.0 < lead < np.inf:
            raise InputError(f"option --leads: '{part.strip()}', expected positive numbers of days such as 1,7,30")
        leads.append(lead)
    return leads


def _write(path: Path, content: str) -> None:
    """Completely or not at all."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        temporary.write_text(content, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise RunError(f"output {path}: cannot be written: {error.strerror or error}") from error
