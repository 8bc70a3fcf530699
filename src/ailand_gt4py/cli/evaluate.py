"""``ailand evaluate FILE``: a model against ecLand by lead time and in a free run, as tables and as a report."""

from __future__ import annotations

import dataclasses
import functools
import sys
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from pydantic import model_validator

from ailand_gt4py.cli.period import FilesOptions
from ailand_gt4py.core.constants import LEAST_MEASURED
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.files import names_of, whole_file
from ailand_gt4py.core.option_types import File, Files, FileTime, Interval, Location, Numbers, suffixed
from ailand_gt4py.core.settings import option
from ailand_gt4py.driver.progress import counted

if TYPE_CHECKING:  # `--help` must not wait for GT4Py
    from collections.abc import Callable

    import numpy as np

    from ailand_gt4py.core.types import Values
    from ailand_gt4py.evaluation.columns import VerificationColumns
    from ailand_gt4py.evaluation.runs import FreeRun
    from ailand_gt4py.evaluation.scores.groups import ColumnLocations
    from ailand_gt4py.evaluation.towers.verification import TowerStudy
    from ailand_gt4py.io.request import Reading
    from ailand_gt4py.io.sources import ColumnSource
    from ailand_gt4py.weights.model import Model


#: Endings of the figure of what was observed.
FIGURES = (".pdf", ".svg", ".png")


class Options(FilesOptions):
    """
    Score a model against the truth in the files: runs from many starts, by lead time, against persistence and
    day-of-year climatology, and one free run through the whole period. The files contain forcing, states and
    diagnostics, as ailand-column-run reads them; variables that are missing or have gaps are not scored. For files
    without states, such as a tower's weather, --observations compares the free run from a first guess. -o REPORT.html
    writes a self-contained report with figures, scores by region, climate, soil and snow, budgets, ranges and cost.
    Definitions: docs/evaluation.md.
    """

    program: ClassVar[str] = "ailand evaluate"

    end: FileTime | None = option(None, "end of the last window (default: end of the files)", metavar="TIME")
    leads: Numbers = option((1.0, 7.0, 30.0, 60.0, 90.0), "lead times in days", metavar="DAYS,...")
    starts: int = option(24, "number of runs per column, from starts spread over the period", ge=1)
    climatology_window: int = option(31, "days of the climatology's running mean", metavar="DAYS")
    output: tuple[Annotated[File, suffixed(".html", ".csv", ".json", ".md", *FIGURES)], ...] = option(
        (),
        "report (.html), tables (.md, .json, .csv by lead time) or figure of the observations (.pdf, .svg, .png); "
        "repeatable",
        "-o",
        metavar="FILE",
        repeated=True,
    )
    at: Location | None = option(
        None, "location of the report's time series (default: a typical column)", metavar="LAT,LON"
    )
    transfer: File | None = option(None, "transfer matrix for the report (docs/evaluation.md)", metavar="FILE.json")
    alternatives: File | None = option(
        None, "scores of other methods for the report (docs/evaluation.md)", metavar="FILE.json"
    )

    observations: tuple[str, ...] = option(
        (),
        "files of observations, or 'same': variables obs_NAME of the FILEs; repeatable",
        metavar="FILE",
        repeated=True,
    )
    benchmark_sites: Files = option(
        (),
        "weather and fluxes of another site, one file or a pattern, to train the empirical benchmarks on; repeatable",
        metavar="FILE",
        repeated=True,
    )
    least_measured: float = option(LEAST_MEASURED, "least measured share of a window that counts", gt=0.0, le=1.0)
    closed: bool = option(False, "correct observed heat fluxes so that they close the energy balance")
    spin_up: int = option(0, "files without states: repeat the period N times before the free run", metavar="N", ge=0)
    footprint_distance: float | None = option(
        None,
        "largest distance between a satellite footprint and its column (default: the column is in its cell)",
        metavar="KM",
        gt=0.0,
    )
    footprint_tolerance: Interval | None = option(
        None, "largest time between a footprint and a label, at most half a step (default: 3h)", metavar="INTERVAL"
    )

    @model_validator(mode="after")
    def _check_observations(self) -> Self:
        for name in ("benchmark_sites", "closed", "spin_up", "footprint_distance", "footprint_tolerance"):
            if getattr(self, name) and not self.observations:
                raise InputError(
                    f"option --{name.replace('_', '-')} is for observations, expected --observations beside it"
                )
        return self

    @model_validator(mode="after")
    def _check_figure(self) -> Self:
        figure = next((path for path in self.output if path.suffix.lower() in FIGURES), None)
        if figure is not None and not self.observations:
            raise InputError(f"output {figure} is a figure of what was observed, expected --observations beside it")
        return self

    @model_validator(mode="after")
    def _check_report(self) -> Self:
        for name in ("transfer", "alternatives", "at"):
            if getattr(self, name) is not None and not self.is_reported:
                raise InputError(f"option --{name} is for a report: found no output .html, expected -o REPORT.html")
        return self

    @property
    def elsewhere(self) -> Reading:
        """How files of other sites are read: what is told of where this one is does not hold there."""
        from ailand_gt4py.io.request import Reading

        site = dataclasses.replace(self.of_site, latitude=None, longitude=None, elevation=None, utc_offset=None)
        return Reading(self.convention, site=site)

    @property
    def is_reported(self) -> bool:
        """Whether a report with figures is made."""
        return any(path.suffix.lower() == ".html" for path in self.output)


def run(options: Options) -> None:
    """Evaluate, print the tables, and write what is asked for."""
    # Only now: `--help` must not wait for GT4Py.
    import numpy as np

    from ailand_gt4py.evaluation import fields, runs, study, training_range
    from ailand_gt4py.evaluation.columns import columns_of, lacks_states
    from ailand_gt4py.evaluation.report import report
    from ailand_gt4py.evaluation.report.attachments import Alternatives, Transfer, read
    from ailand_gt4py.evaluation.scores.groups import locations_of
    from ailand_gt4py.evaluation.scores.lead_time import variable_studies

    options.check_device()
    transfer = read(options.transfer, Transfer) if options.transfer else None
    alternatives = read(options.alternatives, Alternatives) if options.alternatives else None
    model, dtype = options.read_model(), np.dtype("float64" if options.precision == "float64" else "float32")
    with options.opened(model, options.end) as source:
        if options.observations and lacks_states(source):
            _compare_with_observations(options, model, source, dtype)
            return
        if options.spin_up:
            raise InputError(
                f"option --spin-up: {names_of(options.files)} has states, with which runs begin; expected none"
            )
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
    training = training_range.look(model, columns)
    towers = _observed(options, model, columns, free, locations, soil_type) if options.observations else None
    print(report.text_report(by_lead, whole))
    if towers is not None:
        print(f"\n{towers.text()}")
    if lacking := study.not_scored(columns):
        print(lacking)
    print(training.line())
    print(f"{report.cost_text(from_starts.cost, model.step_seconds)}.")

    def content(suffix: str) -> str:
        if suffix == ".html" and made is not None:
            from ailand_gt4py.evaluation.report.page import html_report  # matplotlib takes its time

            return html_report(made, options.at, transfer, alternatives, towers, training)
        extra = None if made is None else report.of_study(made)
        return report.file_report(suffix, by_lead, whole, extra, towers, training)

    _write(options, towers, content)


def _write(options: Options, towers: TowerStudy | None, content: Callable[[str], str]) -> None:
    """Write what is asked for; ``content``: of a report or table, by the suffix."""
    # The tables first: nothing that is wrong with figures keeps them back.
    for path in sorted(options.output, key=lambda path: path.suffix.lower() in (".html", *FIGURES)):
        if path.suffix.lower() in FIGURES and towers is not None:
            from ailand_gt4py.evaluation.figures.towers import tower_figure  # matplotlib takes its time
            from ailand_gt4py.io.whole_files import write_figure

            write_figure(path, functools.partial(tower_figure, towers))
            continue
        text = content(path.suffix.lower())
        with whole_file(path, "writing the report") as temporary:
            temporary.write_text(text, encoding="utf-8")


def _compare_with_observations(options: Options, model: Model, source: ColumnSource, dtype: np.dtype[Any]) -> None:
    """The free run of files without states, from their first guess, against what was observed, and nothing else."""
    from ailand_gt4py.driver import spin_up
    from ailand_gt4py.evaluation import runs, training_range
    from ailand_gt4py.evaluation.columns import weather_of
    from ailand_gt4py.evaluation.report import report

    of_states = [name for name in ("transfer", "alternatives", "at") if getattr(options, name) is not None]
    if of_states or any(path.suffix.lower() == ".csv" for path in options.output):
        what = f"option --{of_states[0]}" if of_states else "output .csv, of scores by lead time"
        raise InputError(
            f"{what}: {names_of(options.files)} has no states to begin runs with; expected .md, .json, .html"
        )
    columns = weather_of(source, model, dtype)
    soil_type = source.field("clim_sotype", "1")
    options.describe(source, source.times)
    how = options.backend, options.precision
    for loop in range(options.spin_up + 1):
        with options.progress(columns.times[1:], columns.n_columns, columns.calendar) as after_step:
            free = runs.run_free(model, columns, *how, after_step)
        if loop < options.spin_up:
            beginning, columns.state[0] = columns.state[0].copy(), free.results[-1][:, : len(model.state)]
    if options.spin_up:
        spin_up.told(options.spin_up, source, beginning, columns.state[0])
    training = training_range.look(model, columns)
    towers = _observed(options, model, columns, free, source, soil_type)
    print(towers.text())
    print("No states in the files: only the free run is scored, from a first guess of the state, and no ecLand.")
    print(training.line())
    print(f"{report.cost_text(free.cost, model.step_seconds)}.")

    def content(suffix: str) -> str:
        if suffix != ".html":
            return report.file_report(suffix, (), (), None, towers, training)
        from ailand_gt4py.evaluation.report.page import Subject, tower_report  # matplotlib takes its time

        files = names_of([path.name for path in options.files])
        return tower_report(Subject(model, files, columns), towers, training)

    _write(options, towers, content)


def _observed(
    options: Options,
    model: Model,
    columns: VerificationColumns,
    free: FreeRun,
    locations: ColumnLocations | ColumnSource,
    soil_type: Values | None,
) -> TowerStudy:
    """The free run against observations; of brightness temperatures by the type of soil."""
    import numpy as np

    from ailand_gt4py.evaluation.columns import weather_of
    from ailand_gt4py.evaluation.towers import verification
    from ailand_gt4py.evaluation.towers.brightness import NAMES
    from ailand_gt4py.io.sources import open_source
    from ailand_gt4py.observations.brightness import clay_fraction
    from ailand_gt4py.observations.collocation import DEFAULT, Choice
    from ailand_gt4py.observations.observed import read_observed

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
    fluxes = [one for one in verification.observable(model) if one.name in verification.FLUXES]
    for path in options.benchmark_sites:
        # One after the other: sites have other periods.
        with open_source([path], model, initial_state="none", reading=options.elsewhere) as source:
            other = weather_of(source, model, np.dtype("float64"))
        there = read_observed([path], fluxes, reading=options.elsewhere)
        sites.append(verification.site_of(model, other, there, options.least_measured))
    benchmarks = verification.benchmarks_of(sites) if sites else None
    clay = None
    if soil_type is not None and any(name in observed for name in NAMES):
        clay = clay_fraction(soil_type, names_of(options.files))
    return verification.make_study(
        model, columns, free, observed, benchmarks, options.least_measured, options.closed, clay
    )
