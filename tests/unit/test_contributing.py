"""What CONTRIBUTING.md shows is enough: its examples are run as they stand there."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import xarray as xr

from ailand_gt4py.cli.options import make_parser, parse
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.option_types import File
from ailand_gt4py.core.settings import CommandOptions, option
from ailand_gt4py.evaluation.scores import definitions
from ailand_gt4py.evaluation.scores.moments import Sample
from ailand_gt4py.io import conventions
from ailand_gt4py.weights.variables import Specification

PAGE = Path(__file__).parents[2] / "CONTRIBUTING.md"


def example(kind: str, containing: str) -> str:
    blocks = re.findall(rf"```{kind}\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    (block,) = [block for block in blocks if containing in block]
    return block


@pytest.fixture
def registries() -> Iterator[None]:
    """As they are, again after the test."""
    scores, known = dict(definitions.SCORES), list(conventions.CONVENTIONS.items())
    yield
    definitions.SCORES.clear()
    definitions.SCORES.update(scores)
    conventions.CONVENTIONS._items[:] = known


def test_a_variable_is_an_entry_of_the_catalogue() -> None:
    (kind, entries), *others = tomllib.loads(example("toml", "diagnostic")).items()
    ((name, entry),) = entries.items()
    made = Specification(name=name, kind=kind, time_meaning="window end", **entry)
    assert (made.name, made.units, others) == ("ustar", "m s-1", [])


@pytest.mark.usefixtures("registries")
def test_a_convention_is_one_registration() -> None:
    mine = xr.Dataset(attrs={"project": "mine"})
    before = conventions.convention_of(mine).name
    exec(example("python", "CONVENTIONS.add"), {})
    found = conventions.convention_of(mine)
    assert found.name == "tower files of my project" != before
    assert "ta" in found.names("met_tair")
    assert conventions.convention_of(xr.Dataset()).name == before


@pytest.mark.usefixtures("registries")
def test_a_score_is_one_function() -> None:
    exec(example("python", "nash_sutcliffe"), vars(definitions) | {})
    random = np.random.default_rng(0)
    truth = random.normal(size=(50, 3))
    run = truth + random.normal(size=truth.shape)
    sample = Sample.of(run, truth)
    expected = 1.0 - ((run - truth) ** 2).sum() / ((truth - truth.mean()) ** 2).sum()
    assert definitions.SCORES["nash_sutcliffe"].of(sample) == pytest.approx(expected, rel=1e-12)


def test_a_command_is_a_class_of_options() -> None:
    names = {"CommandOptions": CommandOptions, "ClassVar": ClassVar, "File": File, "option": option}
    made: dict[str, Any] = {}
    exec(compile(example("python", "ailand snow"), str(PAGE), "exec", dont_inherit=True), names, made)
    shown = make_parser(made["Options"]).format_help()
    assert "usage: ailand snow" in shown
    assert "depth from which snow counts, m (default: 0.01)" in shown
    with pytest.raises(InputError, match="option --least: found -1, expected more than 0"):
        parse(made["Options"], ["run.nc", "--least", "-1"])


def test_targets_that_are_named_are_there() -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (PAGE.parent / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = set(re.findall(r"(?:`|^    |&& )make ([a-z0-9-]+)", PAGE.read_text(encoding="utf-8"), re.MULTILINE))
    assert len(named) > 10
    assert named - targets == set()
