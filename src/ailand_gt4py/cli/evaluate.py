"""``ailand evaluate FILE``: a model against ecLand by lead time and in a free run, as tables and as a report."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.files import whole_file
from ailand_gt4py.evaluation.report import attachments, report

DESCRIPTION = """\
Score a model against the truth in a file: runs from many starts, by lead time, against persistence and day-of-year
climatology, and one free run through the whole period. The file has forcing, states and diagnostics in the layout that
ailand-column-run reads. -o REPORT.html makes a report of one file with figures, scores by region, climate, soil and
snow, budgets, ranges and cost; docs/evaluation.md says how everything is defined."""


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
        action="append",
        metavar="FILE",
        help="write a report (.html), or the tables: .md or .json (both), or .csv (by lead time); may be repeated",
    )
    parser.add_argument(
        "--point", metavar="LAT,LON", help="location of the report's time series (default: the most ordinary column)"
    )
    parser.add_argument(
        "--transfer", type=Path, metavar="FILE.json", help="transfer matrix to show in the report (docs/evaluation.md)"
    )
    parser.add_argument(
        "--alternatives", type=Path, metavar="FILE.json", help="other methods' scores to show in the report"
    )


def run(arguments: argparse.Namespace) -> int:
    """Evaluate and print the tables; returns the exit status.

    Raises:
        InputError: options, model or file are not usable.
        RunError: the network cannot be compiled, or writing fails.
    """
    # Only now: `--help` must not wait for GT4Py.
    from ailand_gt4py.evaluation import runs, study
    from ailand_gt4py.evaluation.columns import read_columns
    from ailand_gt4py.evaluation.report import data as report_data
    from ailand_gt4py.weights.model_file import read_model

    leads_days = parse_leads(arguments.leads)
    outputs = _checked_options(arguments)
    at = parse_point(arguments.point)
    transfer = attachments.read_transfer(arguments.transfer) if arguments.transfer else None
    alternatives = attachments.read_alternatives(arguments.alternatives) if arguments.alternatives else None
    is_reported = any(path.suffix == report.HTML for path in outputs)
    model = read_model(arguments.model)
    dtype = np.dtype("float64" if arguments.precision == "float64" else "float32")
    columns = read_columns(arguments.file, model, dtype)
    window, leads = arguments.climatology_window, runs.lead_steps(model, leads_days)
    how = {"backend": arguments.backend, "precision": arguments.precision}
    kept = study.curve_leads(model, leads) if is_reported else leads
    from_starts = runs.run_from_starts(model, columns, kept, arguments.starts, **how)
    done = runs.Runs(model, columns, leads, from_starts, runs.run_free(model, columns, **how))
    variables = study.variable_studies(done, window)
    made = study.make_study(done, variables, arguments.file, window) if is_reported else None
    by_lead = [score for variable in variables for score in variable.asked]
    whole = [variable.free_run for variable in variables]
    print(report.text_report(by_lead, whole))
    print(f"{report_data.cost_text(from_starts.cost, model.step_seconds)}.")
    for path in outputs:
        if path.suffix == report.HTML and made is not None:
            from ailand_gt4py.evaluation.report.page import html_report  # matplotlib takes its time

            _write_text(path, html_report(made, at, transfer, alternatives))
        else:
            extra = None if made is None else report_data.of_study(made)
            _write_text(path, report.file_report(path.suffix, by_lead, whole, extra))
    return 0


def _checked_options(arguments: argparse.Namespace) -> list[Path]:
    """Check options that need no file to be read; returns the files to write.

    Raises:
        InputError: one of them is not usable.
    """
    if arguments.starts < 1:
        raise InputError(f"option --starts is {arguments.starts}, expected at least 1")
    if arguments.precision not in ("float32", "float64", "tf32", "bf16"):
        raise InputError(
            f"option --precision is '{arguments.precision}', expected float32 or float64, on dace_gpu also tf32 or bf16"
        )
    outputs: list[Path] = arguments.output or []
    for path in outputs:
        report.check_path(path)
    for option in ("transfer", "alternatives", "point"):
        if getattr(arguments, option) is not None and not any(path.suffix == report.HTML for path in outputs):
            raise InputError(f"option --{option} is for a report: found no output .html, expected -o REPORT.html")
    return outputs


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


def parse_point(text: str | None) -> tuple[float, float] | None:
    """Latitude and longitude in degrees from "LAT,LON"; None for none.

    Raises:
        InputError: not two numbers of a location on Earth.
    """
    if text is None:
        return None
    try:
        numbers: Sequence[float] = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != 2 or not (-90.0 <= numbers[0] <= 90.0 and -180.0 <= numbers[1] <= 360.0):
        raise InputError(f"option --point: '{text}', expected latitude and longitude in degrees such as 51.6,4.9")
    return numbers[0], numbers[1]


def _write_text(path: Path, content: str) -> None:
    with whole_file(path, "writing the report") as temporary:
        temporary.write_text(content, encoding="utf-8")
