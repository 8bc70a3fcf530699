"""``ailand assimilate FILE``: a twin experiment, ecLand in the file being the truth."""

from __future__ import annotations

from typing import ClassVar

from ailand_gt4py.assimilation.settings import TwinSettings
from ailand_gt4py.cli.period import PeriodOptions
from ailand_gt4py.core.option_types import Location
from ailand_gt4py.core.settings import option


class Options(PeriodOptions, TwinSettings):
    """
    Twin experiment of soil-moisture assimilation on a file of ecLand's forcing, states and diagnostics, in the layout
    that ailand-column-run reads. ecLand is the truth; an emulator starts from wrong soil moisture, is given simulated
    observations of the truth with noise, and is to find the truth. Beside it runs the open loop, which is given none.
    Prints errors against the truth, spread and consistency; docs/assimilation.md says how everything is defined and
    where the defaults come from. All errors, screening and limits with their defaults are in configs/assimilation.yaml.
    """

    program: ClassVar[str] = "ailand assimilate"

    at: Location | None = option(None, "location of the figure's column (default: a typical one)", metavar="LAT,LON")
    clay: float | None = option(
        None, "clay fraction of all soils (default: from clim_sotype, for tb)", metavar="FRACTION", ge=0.0, le=1.0
    )


def run(options: Options) -> None:
    """Run the experiment and print its tables."""
    # Only now: `--help` must not wait for GT4Py.
    import numpy as np

    from ailand_gt4py.assimilation import twin_figure, twin_output, twin_scores
    from ailand_gt4py.assimilation.twin import Twin
    from ailand_gt4py.evaluation.columns import columns_of
    from ailand_gt4py.evaluation.scores.groups import locations_of
    from ailand_gt4py.io.whole_files import write_figure
    from ailand_gt4py.observations.brightness import clay_of

    settings = options.part(TwinSettings)
    model = options.read_model()
    with options.opened(model) as source:
        columns, locations = columns_of(source, model, np.dtype(options.precision)), locations_of(source)
        clay = None
        if "tb" in settings.observations:
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
        header = options.attributes(model, twin_output.TITLE, history)
        twin_output.write(options.output, result, scores, locations, header)
    if options.plot is not None:
        write_figure(options.plot, lambda: twin_figure.draw(result, scores, locations, options.at))
