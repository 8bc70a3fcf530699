"""``ailand evaluate FILE``: a model against ecLand by lead time and in a free run, as tables and as a report."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, ClassVar, Self

from pydantic import model_validator

from ailand_gt4py.cli.period import FilesOptions
from ailand_gt4py.core.constants import LEAST_MEASURED
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.files import names_of, whole_file
from ailand_gt4py.core.option_types import File, Files, FileTime, Interval, Location, Numbers, suffixed
from ailand_gt4py.core.settings import option
from ailand_gt4py.driver.progress import counted

if TYPE_CHECKING:  # `--help` must not wait for GT4Py
    from ailand_gt4py.core.types import Values
    from ailand_gt4py.evaluation.runs import Runs
    from ailand_gt4py.evaluation.scores.groups import ColumnLocations
    from ailand_gt4py.evaluation.towers.verification import TowerStudy
    from ailand_gt4py.weights.model import Model


class Options(FilesOptions):
    """
    Score a model against the truth in files: runs from many starts, by lead time, against persistence and day-of-year
    climatology, and one free run through the whole period. The files have forcing, states and diagnostics, as
    ailand-column-run reads them; what of these is not there or has gaps is not scored. -o REPORT.html makes a report of
    one file with figures, scores by region, climate, soil and snow, budgets, ranges and cost; docs/evaluation.md says
    how everything is defined.
    """

    program: ClassVar[str] = "ailand evaluate"

    end: FileTime | None = option(None, "end of the last window (default: as far as the files go)", metavar="TIME")
    leads: Numbers = option((1.0, 7.0, 30.0, 60.0, 90.0), "lead times in days", metavar="DAYS,...")
    starts: int = option(24, "starts per column", ge=1)
    climatology_window: int = option(31, "running mean of the climatology", metavar="DAYS")
    output: tuple[Annotated[File, suffixed(".html", ".csv", ".json", ".md")], ...] = option(
        (), "report (.html) or tables: .md, .json, .csv (by lead time); repeatable", "-o", metavar="FILE", repeated=True
    )
    at: Location | None = option(
        None, "location of the report's time series (default: a typical one)", metavar="LAT,LON"
    )
    transfer: File | None = option(None, "transfer matrix for the report (docs/evaluation.md)", metavar="FILE.json")
    alternatives: File | None = option(None, "other methods' scores to show in the report", metavar="FILE.json")

    observations: tuple[str, ...] = option(
        (), "files with what was observed, or 'same': beside the model's values", metavar="FILE", repeated=True
    )
    benchmark_sites: Files = option(
        (), "files of other sites, each with obs_sshf, obs_slhf: benchmarks learn there", metavar="FILE", repeated=True
    )
    least_measured: float = option(LEAST_MEASURED, "share of a window that has to be measured", gt=0.0, le=1.0)
    closed: bool = option(False, "correct observed heat fluxes for what the energy balance lacks")
    footprint_distance: float | None = option(
        None,
        "how far a satellite's footprint may be from its column (default: the column is in its cell)",
        metavar="KM",
        gt=0.0,
    )
    footprint_tolerance: Interval | None = option(
        None, "how far its time may be from a label: half a step at most (default: 3h)", metavar="INTERVAL"
    )

    @model_validator(mode="after")
    def _check_observations(self) -> Self:
        for name in ("benchmark_sites", "closed", "footprint_distance", "footprint_tolerance"):
            if getattr(self, name) and not self.observations:
                raise InputError(
                    f"option --{name.replace('_', '-')} is for observations, expected --observations beside it"
                )
        return self

    @model_validator(mode="after")
    def _check_report(self) -> Self:
        for name in ("transfer", "alternatives", "at"):
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

    from ailand_gt4py.evaluation import fields, runs, study
    from ailand_gt4py.evaluation.columns import columns_of
    from ailand_gt4py.evaluation.report import report
    from ailand_gt4py.evaluation.report.attachments import Alternatives, Transfer, read
    from ailand_gt4py.evaluation.scores.groups import locations_of
    from ailand_gt4py.evaluation.scores.lead_time import variable_studies

    options.check_device()
    transfer = read(options.transfer, Transfer) if options.transfer else None
    alternatives = read(options.alternatives, Alternatives) if options.alternatives else None
    model, dtype = options.read_model(), np.dtype("float64" if options.precision == "float64" else "float32")
    with options.opened(model, options.end) as source:
        columns, locations = columns_of(source, model, dtype), locations_of(source)
        soil_type = source.field("clim_sotype", "1") if options.observations else None
        truth = fields.read_truth(source) if options.is_reported else None
        options.describe(source, source.times)
    window, leads = options.climatology_window, runs.lead_steps(model, list(options.leads))
    kept = runs.curve_leads(model, leads) if options.is_reported else leads
    starts, how = (
        runs.start_labels(columns.n_times, int(kept[-1]), options.starts),
        (options.backend, options.precision),
    )
    with counted(int(kept[-1]), "steps", sys.stderr, quiet=options.quiet) as count:
        from_starts = runs.run_from_starts(
            model, columns, kept, options.starts, *how, lambda done: count(done, f"{len(starts)} starts".format)
        )
    with options.progress(columns.times[1:], columns.n_columns, columns.calendar) as after_step:
        free = runs.run_free(model, columns, *how, after_step)
    done = runs.Runs(model, columns, leads, from_starts, free)
    variables = variable_studies(done, window)
    made = None
    if truth is not None:
        made = study.make_study(
            done, variables, names_of([path.name for path in options.files]), locations, truth, window
        )
    by_lead = [score for variable in variables for score in variable.asked]
    whole = [variable.free_run for variable in variables]
    towers = _observed(options, model, done, locations, soil_type)
    print(report.text_report(by_lead, whole))
    if towers is not None:
        print(f"\n{towers.text()}")
    if lacking := study.not_scored(columns):
        print(lacking)
    print(f"{report.cost_text(from_starts.cost, model.step_seconds)}.")
    for path in sorted(options.output, key=lambda path: path.suffix.lower() == ".html"):
        # The tables first: nothing that is wrong with figures keeps them back.
        suffix = path.suffix.lower()
        if suffix == ".html" and made is not None:
            from ailand_gt4py.evaluation.report.page import html_report  # matplotlib takes its time

            content = html_report(made, options.at, transfer, alternatives, towers)
        else:
            extra = None if made is None else report.of_study(made)
            content = report.file_report(suffix, by_lead, whole, extra, towers)
        with whole_file(path, "writing the report") as temporary:
            temporary.write_text(content, encoding="utf-8")


def _observed(
    options: Options, model: Model, runs: Runs, locations: ColumnLocations, soil_type: Values | None
) -> TowerStudy | None:
    """The free run against observations, if they are asked for; of brightness temperatures by the type of soil."""
    import numpy as np

    from ailand_gt4py.evaluation.columns import read_columns
    from ailand_gt4py.evaluation.towers import verification
    from ailand_gt4py.evaluation.towers.brightness import NAMES
    from ailand_gt4py.io.period import may_lack
    from ailand_gt4py.observations.brightness import clay_fraction
    from ailand_gt4py.observations.collocation import DEFAULT, Choice
    from ailand_gt4py.observations.observed import read_observed

    if not options.observations:
        return None
    is_same = options.observations == ("same",)
    paths = [str(path) for path in (options.files if is_same else options.observations)]
    observed = read_observed(
        paths,
        verification.observable(model),
        x=locations.x,
        latitude=locations.latitude,
        longitude=locations.longitude,
        reading=options.reading,
        choice=Choice(distance=options.footprint_distance, tolerance=options.footprint_tolerance or DEFAULT.tolerance),
    )
    sites = []
    for path in options.benchmark_sites:
        # One after the other: sites have other periods.
        columns = read_columns([path], model, np.dtype("float64"), may_lack(model), options.reading)
        fluxes = [one for one in verification.observable(model) if one.name in verification.FLUXES]
        sites.append(verification.site_of(model, columns, read_observed([path], fluxes), options.least_measured))
    benchmarks = verification.benchmarks_of(sites) if sites else None
    clay = None
    if soil_type is not None and any(name in observed for name in NAMES):
        clay = clay_fraction(soil_type, names_of(options.files))
    return verification.make_study(
        model, runs.columns, runs.free, observed, benchmarks, options.least_measured, options.closed, clay
    )
