"""``ailand evaluate FILE``: a model against ecLand by lead time and in a free run, as tables and as a report."""

from __future__ import annotations

from typing import Annotated, ClassVar, Self

from pydantic import model_validator

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.files import whole_file
from ailand_gt4py.core.option_types import File, Location, Numbers, suffixed
from ailand_gt4py.core.settings import option
from ailand_gt4py.driver.options import EmulatorOptions


class Options(EmulatorOptions):
    """
    Score a model against the truth in a file: runs from many starts, by lead time, against persistence and day-of-year
    climatology, and one free run through the whole period. The file has forcing, states and diagnostics in the layout
    that ailand-column-run reads. -o REPORT.html makes a report of one file with figures, scores by region, climate,
    soil and snow, budgets, ranges and cost; docs/evaluation.md says how everything is defined.
    """

    program: ClassVar[str] = "ailand evaluate"

    file: File = option(..., "netCDF file or zarr store with forcing and truth", positional=True, metavar="FILE")
    leads: Numbers = option((1.0, 7.0, 30.0, 60.0, 90.0), "lead times in days", metavar="DAYS,...")
    starts: int = option(24, "starts per column", ge=1)
    climatology_window: int = option(31, "running mean of the climatology", metavar="DAYS")
    output: tuple[Annotated[File, suffixed(".html", ".csv", ".json", ".md")], ...] = option(
        (), "report (.html) or tables: .md, .json, .csv (by lead time); repeatable", "-o", metavar="FILE", repeated=True
    )
    point: Location | None = option(None, "of the report's time series (default: a typical one)", metavar="LAT,LON")
    transfer: File | None = option(None, "transfer matrix for the report (docs/evaluation.md)", metavar="FILE.json")
    alternatives: File | None = option(None, "other methods' scores to show in the report", metavar="FILE.json")

    @model_validator(mode="after")
    def _check_report(self) -> Self:
        for name in ("transfer", "alternatives", "point"):
            if getattr(self, name) is not None and not self.is_reported:
                raise InputError(f"option --{name} is for a report: found no output .html, expected -o REPORT.html")
        return self

    @property
    def is_reported(self) -> bool:
        """Whether a report with figures is made."""
        return any(path.suffix.lower() == ".html" for path in self.output)


def run(options: Options) -> None:
    """Evaluate, print the tables, and write what is asked for."""
    # Only now: `--help` must not wait for GT4Py.
    import numpy as np

    from ailand_gt4py.evaluation import runs, study
    from ailand_gt4py.evaluation.columns import read_columns
    from ailand_gt4py.evaluation.report import report
    from ailand_gt4py.evaluation.report.attachments import Alternatives, Transfer, read
    from ailand_gt4py.evaluation.scores.lead_time import variable_studies
    from ailand_gt4py.weights.model_file import read_model

    options.check_device()
    transfer = read(options.transfer, Transfer) if options.transfer else None
    alternatives = read(options.alternatives, Alternatives) if options.alternatives else None
    model = read_model(options.model)
    columns = read_columns(options.file, model, np.dtype("float64" if options.precision == "float64" else "float32"))
    window, leads = options.climatology_window, runs.lead_steps(model, list(options.leads))
    kept = runs.curve_leads(model, leads) if options.is_reported else leads
    from_starts = runs.run_from_starts(model, columns, kept, options.starts, options.backend, options.precision)
    free = runs.run_free(model, columns, options.backend, options.precision)
    done = runs.Runs(model, columns, leads, from_starts, free)
    variables = variable_studies(done, window)
    made = study.make_study(done, variables, options.file, window) if options.is_reported else None
    by_lead = [score for variable in variables for score in variable.asked]
    whole = [variable.free_run for variable in variables]
    print(report.text_report(by_lead, whole))
    print(f"{report.cost_text(from_starts.cost, model.step_seconds)}.")
    for path in sorted(options.output, key=lambda path: path.suffix.lower() == ".html"):
        # The tables first: nothing that is wrong with figures keeps them back.
        suffix = path.suffix.lower()
        if suffix == ".html" and made is not None:
            from ailand_gt4py.evaluation.report.page import html_report  # matplotlib takes its time

            content = html_report(made, options.point, transfer, alternatives)
        else:
            extra = None if made is None else report.of_study(made)
            content = report.file_report(suffix, by_lead, whole, extra)
        with whole_file(path, "writing the report") as temporary:
            temporary.write_text(content, encoding="utf-8")
