"""``ailand assimilate FILE``: a twin experiment, ecLand in the file being the truth, or measured observations."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import BeforeValidator, model_validator

from ailand_gt4py.assimilation.settings import (
    LARGEST_MEASURED_DEPARTURE,
    AssimilationSettings,
    Rescaling,
    Withholding,
)
from ailand_gt4py.cli.period import PeriodOptions
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.option_types import File, Location, named_values, suffixed
from ailand_gt4py.core.settings import option

#: Instead of files: what was observed stands beside the values of the files themselves.
SAME = "same"


class Options(PeriodOptions, AssimilationSettings):
    """
    Assimilate observations into the emulator with a simplified extended or an ensemble transform Kalman filter. FILE is
    in any layout that ailand-column-run reads. With --observations, measurements are assimilated into a run from the
    file's first state and verified with those withheld and all others. Without, in a twin experiment, ecLand in the
    file is the truth: the emulator starts from wrong soil moisture and has to recover it from simulated observations.
    The open loop, which gets no observations, runs alongside. docs/assimilation.md gives definitions and sources of the
    defaults, configs/assimilation.yaml all errors, screening and limits.
    """

    program: ClassVar[str] = "ailand assimilate"
    written: ClassVar[tuple[str, ...]] = ("output", "plot", "restart_out")

    observations: tuple[str, ...] = option(
        (),
        "files of measurements, or 'same': in the FILEs themselves; or kinds to simulate (default: simulated, as in "
        "--observe)",
        metavar="FILE",
        repeated=True,
    )
    observed_as: Annotated[dict[str, str], BeforeValidator(named_values)] = option(
        {}, "names of variables in those files, such as stl1=obs_stl", metavar="NAME=VARIABLE,..."
    )
    withhold: Withholding = option("none", "measurements withheld for verification")
    rescale: Rescaling = option("none", "rescale measurements to these moments of the open loop")
    tune_errors: int = option(0, "tune the errors and repeat the cycle N times", metavar="N", ge=0)
    restart: File | None = option(None, "restart file of a cycle with --observations to continue", metavar="FILE.nc")
    restart_out: Annotated[File, suffixed(".nc")] | None = option(None, "restart file to write", metavar="FILE.nc")
    at: Location | None = option(
        None, "location of the column in the figure (default: a typical one)", metavar="LAT,LON"
    )
    clay: float | None = option(
        None, "clay fraction of all soils, for tb (default: from clim_sotype)", metavar="FRACTION", ge=0.0, le=1.0
    )

    @model_validator(mode="after")
    def _check_measured(self) -> Self:
        if self.is_twin:
            for name in ("observed_as", "withhold", "rescale", "tune_errors", "restart", "restart_out"):
                if getattr(self, name) != type(self).model_fields[name].default:
                    what = f"option --{name.replace('_', '-')} is for measured observations"
                    raise InputError(f"{what}, expected --observations beside it")
        elif "initial_error" in self.model_fields_set and self.restart is not None:
            raise InputError("option --initial-error: is of the first window, found it beside --restart")
        return self

    @property
    def is_twin(self) -> bool:
        return not self.observations or bool(self.simulated)

    @property
    def simulated(self) -> tuple[str, ...]:
        """Kinds of observation that stand where files may."""
        given = self.observations
        if not given or given == (SAME,) or any(Path(one).exists() for one in given):
            return ()
        from ailand_gt4py.observations.operators import kinds  # only now: `--help` must not wait for GT4Py

        listed = tuple(part.strip() for one in given for part in one.split(","))
        if unknown := [one for one in listed if one not in kinds()]:
            raise InputError(
                f"option --observations: found '{unknown[0]}', expected files that there are, '{SAME}', or kinds to "
                f"simulate: {', '.join(kinds())}"
            )
        return listed


def run(options: Options) -> None:
    """Run the experiment and print its tables."""
    (_run_twin if options.is_twin else _run_measured)(options)


def _run_twin(options: Options) -> None:
    # Only now: `--help` must not wait for GT4Py.
    import numpy as np

    from ailand_gt4py.assimilation import output, twin_figure, twin_scores
    from ailand_gt4py.assimilation.twin import Twin
    from ailand_gt4py.evaluation.columns import columns_of
    from ailand_gt4py.evaluation.scores.groups import locations_of
    from ailand_gt4py.io.whole_files import write_figure
    from ailand_gt4py.observations.brightness import clay_of

    settings = options.part(AssimilationSettings)
    settings = settings.replace(observe=options.simulated or settings.observe)
    model = options.read_model()
    with options.opened(model) as source:
        columns, locations = columns_of(source, model, np.dtype(options.precision)), locations_of(source)
        clay = None
        if "tb" in settings.observe:
            clay = clay_of(source) if options.clay is None else np.full(columns.n_columns, options.clay)
        history = tuple(source.history)
        options.describe(source, source.times)
    twin = Twin(model, columns, settings, options.emulator, clay=clay)
    with options.progress(columns.times[1:][: twin.n_steps], columns.n_columns, columns.calendar) as after_step:
        result = twin.run(after_step)
    scores = twin_scores.score(result)
    print(twin_scores.headline(result))
    print(twin_scores.text(scores))
    if options.output is not None:
        header = options.attributes(model, output.TWIN_TITLE, history)
        output.write(options.output, result, scores, locations, header)
    if options.plot is not None:
        write_figure(options.plot, lambda: twin_figure.draw(result, scores, locations, options.at))


def _run_measured(options: Options) -> None:
    import numpy as np

    from ailand_gt4py.assimilation import measured_figure, measured_scores, output, restart, tuning
    from ailand_gt4py.assimilation.measured_cycle import MeasuredCycle
    from ailand_gt4py.evaluation.scores.groups import ColumnLocations
    from ailand_gt4py.io.whole_files import write_figure
    from ailand_gt4py.observations.brightness import clay_of

    settings, model = options.part(AssimilationSettings), options.read_model()
    if "largest_departure" not in options.screening.model_fields_set:
        screening = options.screening.replace(largest_departure=LARGEST_MEASURED_DEPARTURE)
        settings = settings.replace(screening=screening)
    days = options.days if "days" in options.model_fields_set else None
    period = options.read(model, days=days)
    options.describe(period, period.ends)
    where = ColumnLocations(period.x, period.latitude, period.longitude, ())

    def clay() -> Any:
        if options.clay is not None:
            return np.full(period.n_columns, options.clay)
        with options.opened(model, period.times[-1]) as source:
            return clay_of(source)

    kinds = settings.observe if "observe" in options.model_fields_set else None
    paths = [str(path) for path in (options.files if options.observations == (SAME,) else options.observations)]
    cycle = MeasuredCycle(model, period, paths, settings, kinds, options.observed_as, options.withhold, clay)
    standing = None
    if options.restart is not None:
        standing = restart.read(options.restart, cycle.identity(options.precision, options.rescale), where)
        restart.check_start(options.restart, standing, period.times[0])
    with options.progress(period.ends[: cycle.n_steps], period.n_columns, period.calendar) as after_step:
        result, scores = cycle.run(options.emulator, options.rescale, standing, options.tune_errors, after_step)
    print(measured_scores.headline(result, ", ".join(paths)))
    print(measured_scores.text(scores))
    if options.tune_errors:
        sizes = tuning.as_settings(result.settings.errors, list(result.observables), result.control.names)
        print(f"\nErrors after tuning, as a file for --config:\n{sizes}")
    if options.output is not None:
        header = options.attributes(model, output.TITLE, period.history)
        output.write(options.output, result, scores, where, header)
    if options.restart_out is not None:
        restart.write(options.restart_out, cycle.standing(options.precision, options.rescale, where))
    if options.plot is not None:
        write_figure(options.plot, lambda: measured_figure.draw(result, scores, where, options.at))
