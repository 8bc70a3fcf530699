"""What a run would say of its input, through the whole of it, without running the emulator."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.times import GivenTime, step_text, time_text, to_be_read
from ailand_gt4py.driver.progress import progress
from ailand_gt4py.evaluation.scores.verify import check_reference, compared
from ailand_gt4py.io.fields import contradictions
from ailand_gt4py.io.request import InitialState, Reading
from ailand_gt4py.io.sources import ColumnSource, open_source
from ailand_gt4py.io.training_ranges import RangeCounter
from ailand_gt4py.weights.model import Model

#: Memory for the forcing that is looked at together.
BLOCK_BYTES = 32 << 20


def check(
    paths: Sequence[Path],
    model: Model,
    start: GivenTime | None,
    end: GivenTime | None,
    reading: Reading,
    reference: Sequence[Path] = (),
    initial_state: InitialState = "file",
    quiet: bool = False,
) -> Iterator[str]:
    """Lines on an input, from which variables are read to what is out of the training range, as they are found.

    Args:
        reference: files of a reference, that are read as the input if they are the same; none where there is none.

    Raises:
        InputError: a run would be refused. What is wrong with values was told in lines before.
    """
    problems: list[str] = []
    names = ", ".join(map(str, paths))
    with open_source(
        paths,
        model,
        start=to_be_read(start),
        end=to_be_read(end),
        initial_state=initial_state,
        reading=reading,
        problems=problems,
    ) as source:
        yield (
            f"{names}: {source.n_columns} columns, {len(source.times)} steps of {step_text(source.step)} from "
            f"{time_text(source.times[0], source.calendar)} to "
            f"{time_text(source.times[-1] + source.step, source.calendar)}"
        )
        yield from _indented(source.history)
        if reference:
            yield f"reference: {', '.join(map(str, reference))}"
            of_reference = Reading(reading.convention if reference == paths else None)
            yield from _indented(check_reference(reference, compared(model), source, of_reference))
        counters = _count(source, model, quiet)
        yield from _listed("short wave above that of the sun, used as it is", source.remarks[:1])
        outside = [sentence for counter in counters for sentence in counter.sentences()]
        yield from _listed("forcing, static fields and first state outside the training range", outside)
        yield from _listed("contradictions that were decided", contradictions(source.history))
        yield from _listed("impossible or missing", problems)
    if problems:
        others = f"; {len(problems) - 1} more are listed above" if problems[1:] else ""
        raise InputError(f"{problems[0]}{others}")
    yield "A run would take this."


def _count(source: ColumnSource, model: Model, quiet: bool) -> list[RangeCounter]:
    """What is out of the training ranges; all of the forcing is read."""
    given = [variable for variable in model.forcing if not variable.derived]
    static, forcing, state = (RangeCounter(group) for group in (model.static, given, model.state))
    static.add(source.static)
    if source.initial_state is not None:
        state.add(source.initial_state)
    n_steps = len(source.times)
    together = max(1, BLOCK_BYTES // max(4 * source.n_columns * len(given), 1))
    with progress(n_steps, source.n_columns, sys.stderr, quiet=quiet) as advance:
        for first in range(0, n_steps, together):
            last = min(first + together, n_steps)
            values = source.forcing(first, last)
            forcing.add(values.reshape(-1, values.shape[-1]))
            advance(last, source.times[last - 1])
    return [static, forcing, state]


def _indented(sentences: Sequence[str]) -> list[str]:
    return [f"  {sentence}" for sentence in sentences]


def _listed(title: str, sentences: Sequence[str]) -> list[str]:
    return [f"{title}: none"] if not sentences else [f"{title}:", *_indented(sentences)]
