"""The HTML report of a study: one self-contained file.

Each file in ``templates/sections`` is a section, in the order of their names; it sets its anchor and title.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Sequence
from typing import NamedTuple

import jinja2

import ailand_gt4py
from ailand_gt4py.core.times import time_text
from ailand_gt4py.evaluation import literature
from ailand_gt4py.evaluation.columns import VerificationColumns
from ailand_gt4py.evaluation.figures import space, time
from ailand_gt4py.evaluation.figures.style import data_uri
from ailand_gt4py.evaluation.figures.towers import tower_figure
from ailand_gt4py.evaluation.report import report
from ailand_gt4py.evaluation.report.attachments import Alternatives, Transfer
from ailand_gt4py.evaluation.scores.definitions import SCORES, Score
from ailand_gt4py.evaluation.scores.moments import Sample
from ailand_gt4py.evaluation.scores.uncertainty import rmse_interval
from ailand_gt4py.evaluation.study import Study
from ailand_gt4py.evaluation.towers.verification import TowerStudy
from ailand_gt4py.evaluation.training_range import TrainingRange
from ailand_gt4py.weights.model import Model

SECTIONS = "sections/"
#: Those of a run that nothing but observations is known of.
OF_TOWERS = tuple(f"{SECTIONS}{name}.html" for name in ("105_training", "125_observations", "160_model"))
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


class Subject(NamedTuple):
    """What a page is of: a model on the columns of files, by name."""

    model: Model
    files: str
    columns: VerificationColumns


def html_report(
    study: Study,
    at: tuple[float, float] | None = None,
    transfer: Transfer | None = None,
    alternatives: Alternatives | None = None,
    towers: TowerStudy | None = None,
    training: TrainingRange | None = None,
) -> str:
    """The report as HTML; its time series are of the column nearest to ``at``, or, without, of the most typical one."""
    lead = f"against ecLand. {study.not_scored}".rstrip(". ")
    return _page(
        Subject(study.model, study.files, study.runs.columns),
        lead,
        headline(study),
        report.of_study(study),
        {"study": study, "at": at, "transfer": transfer, "alternatives": alternatives},
        towers,
        training,
    )


def tower_report(subject: Subject, towers: TowerStudy, training: TrainingRange) -> str:
    """The report of a run that nothing but observations is known of."""
    return _page(subject, "against what was observed", [], {}, {}, towers, training, OF_TOWERS)


def _page(
    subject: Subject,
    lead: str,
    cards: list[tuple[str, str]],
    data: dict[str, object],
    more: dict[str, object],
    towers: TowerStudy | None,
    training: TrainingRange | None,
    only: Sequence[str] | None = None,
) -> str:
    """A page of all sections, or of some, with what they use."""
    model, columns = subject.model, subject.columns
    templates = environment()
    templates.globals |= {"model": model, "towers": towers, "tower_figure": tower_figure, "training": training, **more}
    names = sorted(name for name in templates.list_templates(["html"]) if name.startswith(SECTIONS))
    first, last = (time_text(columns.times[end], columns.calendar).partition("T")[0] for end in (0, -1))
    data |= {} if training is None else {"training_range": training.data()}
    data |= {} if towers is None else {"observations": towers.data()}
    return templates.get_template("page.html").render(
        title=f"Evaluation of {model.provenance.get('title', f'a {model.architecture} model')}",
        lead=f"{subject.files}: {columns.n_columns} columns, {first} to {last}, steps of "
        f"{model.step_seconds / 3600.0:g} h, {lead}",
        flag=training.line() if training is not None and training.variables else "",
        cards=cards,
        sections=[templates.get_template(name).make_module() for name in names if only is None or name in only],
        data=data,
        footer=f"Made by ailand evaluate (ailand_gt4py {ailand_gt4py.__version__}).",
    )


def environment() -> jinja2.Environment:
    """The templates, with what they use; text that is put into them is escaped."""
    found = jinja2.Environment(
        loader=jinja2.PackageLoader("ailand_gt4py.evaluation.report"),
        extensions=["jinja2.ext.do"],
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    own = (data_uri, report.cost_text, report.published_ratios, number, span, thousands, shade_colour)
    found.filters |= {function.__name__: function for function in own}
    found.filters |= {"score": score_text, "lead_title": "{:g} d".format}
    found.filters["interval"] = lambda sample: rmse_interval(sample.pairs.mean_square)
    found.tests["published_ratios"] = lambda variable: report.published_ratios(variable) is not None
    found.globals |= {"SCORES": SCORES, "literature": literature, "space": space, "time": time, "nan": math.nan}
    found.globals["next_number"] = itertools.count(1).__next__
    return found


def number(value: float, digits: int = 3) -> str:
    """A number with some significant digits, a dash for none."""
    if not math.isfinite(value):
        return "–"
    if value == 0.0:
        return "0"
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    power = int(exponent)
    # 0.00042 reads better than 4.2e-04, 31700 better than 3.17e+04; further out powers of ten do.
    if -5 < power < 6:
        return f"{float(f'{mantissa}e{exponent}'):.{max(0, digits - 1 - power)}f}"
    return f"{mantissa}×10{str(power).translate(_SUPERSCRIPTS)}"


def score_text(sample: Sample, score: Score) -> str:
    """A score of a sample; coefficients with three decimals, a dash for none."""
    value = score.of(sample)
    return number(value) if score.has_units or not math.isfinite(value) else f"{value:.3f}"


def span(interval: tuple[float, float]) -> str:
    """An interval, a dash for none."""
    low, high = interval
    return f"{number(low)} to {number(high)}" if math.isfinite(low) else "–"


def thousands(count: float) -> str:
    """A whole number in groups of three digits, a dash for none."""
    return f"{count:,.0f}".replace(",", " ") if math.isfinite(count) else "–"


def shade_colour(ratio: float) -> str:
    """A background for a ratio: white at 1, red at 3 and above, blue at a third and below; empty for no number."""
    if not math.isfinite(ratio) or ratio < 0.0:
        return ""
    strength = 1.0 if ratio == 0.0 else min(1.0, abs(math.log(ratio)) / math.log(3.0))
    red, green, blue = (214, 69, 65) if ratio > 1.0 else (58, 118, 176)
    mixed = [round(255 + (part - 255) * 0.62 * strength) for part in (red, green, blue)]
    return "#" + "".join(f"{part:02x}" for part in mixed)


def headline(study: Study) -> list[tuple[str, str]]:
    """Key figures, and what they are."""
    beats = [all(score.verdict != "no" for score in variable.asked) for variable in study.variables]
    wrong, checked = (sum(getattr(count, name) for count in study.run_ranges) for name in ("violations", "n"))
    low, high = literature.ecland_microseconds(study.model.step_seconds)
    own = number(study.runs.from_starts.cost.cpu_microseconds)
    better = "variables below persistence and climatology of the other years at all leads"
    entries = [
        (f"{sum(beats)} of {len(beats)}", better),
        (f"{wrong}", f"of {thousands(checked)} checked values outside the physical range"),
        (f"{own} µs", f"CPU per column and step; ecLand {low:.0f} to {high:.0f} µs"),
    ]
    ratios = [found[2] for variable in study.variables if (found := report.published_ratios(variable))]
    if ratios:
        ratio = statistics.geometric_mean(ratios) if min(ratios) > 0.0 else math.nan
        text = "aiLand v1's published RMSE in the free run (geometric mean, other data)"
        entries.append((f"{number(ratio, 2)} ×", text))
    return entries
