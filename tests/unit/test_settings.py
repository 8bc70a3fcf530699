"""Options of commands: one declaration for command line, YAML and Python, their types, and errors that name them."""

from __future__ import annotations

import importlib
import shlex
import time
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import pytest

import ailand_gt4py
from ailand_gt4py.cli import evaluate, jacobian, main, uncertainty
from ailand_gt4py.cli.options import parse
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.option_types import Amount, File
from ailand_gt4py.core.settings import CommandOptions, Settings, option, read_settings
from ailand_gt4py.core.times import parse_time
from helpers import Bench


class Section(Settings):
    """Options in a section."""

    size: int = option(3, "size", gt=0)
    sizes: Mapping[str, tuple[float, float]] = option({}, "sizes")
    kind: Literal["flat", "round"] = option("flat", "kind", "--kind")


class Made(CommandOptions):
    """Do something."""

    program: ClassVar[str] = "made"

    file: Path = option(..., "file", positional=True, metavar="FILE")
    section: Section = option(Section(), "section")
    often: tuple[str, ...] = option((), "several", "-o", repeated=True)
    is_on: bool = option(True, "whether")


class Hostile(CommandOptions):
    """Do something with a file."""

    program: ClassVar[str] = "hostile"

    file: File = option(..., "file", positional=True, metavar="FILE")


def test_command_line_yaml_and_python_give_the_same(tmp_path: Path) -> None:
    (tmp_path / "made.yaml").write_text("file: a.nc\nsection: {size: 5, kind: round}\nis-on: false\noften: [x, y]\n")
    of_file = parse(Made, ["--config", str(tmp_path / "made.yaml")])
    words = ["a.nc", "--set", "section.size=5", "--kind", "round", "--no-is-on", "-o", "x", "--often", "y"]
    assert parse(Made, words) == of_file
    expected = Made(file=Path("a.nc"), section=Section(size=5, kind="round"), is_on=False, often=("x", "y"))
    assert of_file == expected
    changed = parse(Made, ["b.nc", "--config", str(tmp_path / "made.yaml"), "--set", "section.size=6", "--is-on"])
    assert changed == expected.replace(file=Path("b.nc"), section=Section(size=6, kind="round"), is_on=True)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("a: [" + "[" * 5000, "is not YAML"),
        ("a: 2021-13-45", "is not YAML: month must be in 1..12"),
        ("a: " + "9" * 5000, "is not YAML: Exceeds the limit"),
        ("a: &a [*a]", "or one that contains itself"),
        ("a: &a [1,1,1,1,1,1,1,1,1]\n" + "".join(
            f"{b}: &{b} [{','.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
        ), "more than 10000 values"),
        ("a: !!python/object/apply:os.system ['true']", "is not YAML in line 1"),
        ("file: a\nis-on: true\nfile: b", "in line 3: 'file' is there again, expected it once, as in line 1"),
        ("section: {size: 1,\n size: 2}", "is not YAML in line 2: 'size' is there again, expected it once"),
        ("a: x\n" * 30_000, "found 150000 bytes, expected a file of options"),
        ('file: "\\ud800"', r"found the text '\\ud800', expected text in UTF-8"),
        ("file: " + "a" * 300, "expected a file name that a file system takes"),
        ("file: [a]", "option 'file': found"),
    ],
)  # fmt: skip
def test_hostile_yaml_is_refused_in_one_line(tmp_path: Path, content: str, expected: str) -> None:
    (tmp_path / "made.yaml").write_text(content)
    begin = time.process_time()
    with pytest.raises(InputError, match=expected):
        parse(Hostile, ["--config", str(tmp_path / "made.yaml")])
    assert time.process_time() - begin < 2.0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("section: {sise: 3}", "option 'section.sise' is unknown; did you mean 'size'?"),
        ("secton: {size: 3}", "option 'secton' is unknown; did you mean 'section'?"),
        ("section: {size: '3'}", "option 'section.size': found '3', expected an integer"),
        ("section: {size: 3.5}", "option 'section.size': found 3.5, expected an integer"),
        ("section: {size: true}", "option 'section.size': found True, expected an integer"),
        ("section: {size: 0}", "option 'section.size': found 0, expected more than 0"),
        ("section: 3", "option 'section': found 3, expected options with values"),
        ("section:", "option 'section': found nothing, expected options with values"),
        ("section: {kind: square}", "option --kind: found 'square', expected 'flat' or 'round'"),
        ("section: {sizes: {a: [1]}}", "option 'section.sizes.a': found [1], expected at least 2 of them"),
        ("section: {sizes: {a: [1, 2, 3]}}", "option 'section.sizes.a': found [1, 2, 3], expected at most 2 of them"),
        ("section: {sizes: [1]}", "option 'section.sizes': found [1], expected names with values"),
        ("section: {sizes: {a: [1, 1e-3]}}", "found '1e-3', expected a number (in YAML 1.0e-3, not 1e-3)"),
        ("is-on: perhaps", "option 'is_on': found 'perhaps', expected true or false"),
        ("is-on: true\nis_on: true", "option 'is_on' is given twice"),
        ("often: x", "option 'often': found 'x', expected a list"),
    ],
)
def test_wrong_yaml_is_named_by_file_option_and_value(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "made.yaml"
    path.write_text(f"file: a.nc\n{content}\n")
    with pytest.raises(InputError) as error:
        parse(Made, ["--config", str(path)])
    assert str(error.value).startswith(f"{path}: ")
    assert message.replace("option --kind", "option 'section.kind'") in str(error.value)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "FILE is missing"),
        (["a.nc", "--kind", "square"], "option --kind: found 'square', expected 'flat' or 'round'"),
        (["a.nc", "--set", "section.sise=3"], "option --set: option 'section.sise' is unknown; did you mean 'size'?"),
        (["a.nc", "--set", "section.size"], "option --set: found 'section.size', expected NAME=VALUE"),
        (["a.nc", "--kid", "flat"], "option '--kid' is unknown; did you mean '--kind'?"),
        (["a.nc", "--kin", "flat"], "option '--kin' is unknown; did you mean '--kind'?"),
        (["a.nc", "b.nc"], "found 'b.nc', expected no further argument; see made --help"),
    ],
)
def test_wrong_words_are_named_by_option_and_value(words: list[str], message: str) -> None:
    with pytest.raises(InputError) as error:
        parse(Made, words)
    assert str(error.value).startswith(message)


def test_settings_made_in_python_are_checked_too() -> None:
    with pytest.raises(InputError, match=r"option 'section\.size': found 0, expected more than 0"):
        Made(file=Path("a.nc"), section={"size": 0})
    with pytest.raises(InputError, match="option 'size': found -1"):
        Section().replace(size=-1)
    with pytest.raises(InputError, match="option 'sise' is unknown; did you mean 'size'"):
        Section(sise=3)
    with pytest.raises(InputError, match="option 'size': found 'x', expected an integer"):
        read_settings(Section, {"size": "x"})


def test_a_value_may_begin_with_a_dash() -> None:
    for words in (["--at", "-33.5,151"], ["--at=-33.5,151"]):
        assert parse(jacobian.Options, ["f.nc", "--plot", "f.png", *words]).at == (-33.5, 151.0)
    assert parse(evaluate.Options, ["f.nc", "-o", "a.html", "--at", "-33.5,151"]).at == (-33.5, 151.0)


def test_times_are_utc_whatever_they_are_written_in(tmp_path: Path) -> None:
    expected = np.datetime64("2021-01-01T06:00", "ns")
    for text in ("2021-01-01T06", "2021-01-01T06:00", "2021-01-01 06:00:00Z", "2021-01-01T07:00+01:00"):
        assert parse_time(text) == expected, text
        path = tmp_path / "time.yaml"
        path.write_text(f"files: f.nc\nstart: {text}\n")
        assert parse(jacobian.Options, ["--config", str(path)]).start == expected, text
    for text in ("soon", "2021", "2021-01", "2021-02-30", "", "NaT"):
        with pytest.raises(InputError, match=f"found {text!r}, expected a time"):
            parse_time(text)


def test_sizes_by_variable_are_absolute_or_relative(tmp_path: Path) -> None:
    expected = {"swvl1": Amount(0.02), "met_rainf": Amount(0.2, True)}
    words = ["f.nc", "--state-errors", "swvl1=0.02, met_rainf=20%"]
    assert parse(uncertainty.Options, words).state_errors == expected
    (tmp_path / "sizes.yaml").write_text("files: f.nc\nstate-errors: {swvl1: 0.02, met_rainf: 20%}\n")
    assert parse(uncertainty.Options, ["--config", str(tmp_path / "sizes.yaml")]).state_errors == expected
    for wrong, message in (
        ("swvl1=wet", "expected a number such as swvl1=0.02 or 10%"),
        ("swvl1=1,swvl1=2", "expected NAME=VALUE, each name once"),
        ("swvl1", "expected NAME=VALUE"),
    ):
        with pytest.raises(InputError, match=f"option --state-errors: found .*{message}"):
            parse(uncertainty.Options, ["f.nc", "--state-errors", wrong])


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("jacobian", ["a b.nc", "--every=6h", "--at=-12.5,30", "--plot=f.png", "--start=2021-01-01T06:00"]),
        ("uncertainty", ["f.nc", "--state-errors=swvl1=0.02,stl1=10%", "--members=0"]),
        ("estimate", ["f.nc", "--parameters=a,b", "--first-guess-factor=0.9", "--observe-errors=swvl1=0.1"]),
        ("compile", ["m.nc", "--precision=float32", "--precision=float64"]),
        ("model import", ["m.ckpt", "--output=m.nc"]),
    ],
)
def test_the_command_in_a_history_gives_the_same_options(command: str, words: list[str]) -> None:
    options = importlib.import_module(f"ailand_gt4py.cli.{command.replace(' ', '_')}").Options
    first = parse(options, words)
    again = shlex.split(first.command_line())
    assert again[0] == "ailand"
    assert set(again[len(command.split()) + 1 :]) == set(words)
    assert parse(options, again[len(command.split()) + 1 :]) == first


def test_commands_that_write_check_their_targets_first(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    taken = tmp_path / "taken.nc"
    taken.mkdir()
    for command in ("jacobian", "uncertainty", "assimilate"):
        assert main.main([command, "f.nc", "-o", str(taken)]) == 2
        assert "taken.nc: exists and is a directory, expected a file name" in capsys.readouterr().err
        assert main.main([command, str(tmp_path / "f.nc"), "-o", str(tmp_path / "f.nc")]) == 2
        assert "f.nc: is both an input and to be written, expected another name" in capsys.readouterr().err


def test_a_run_from_python_is_that_of_the_command(tmp_path: Path) -> None:
    bench = Bench(tmp_path, n_times=4)
    assert bench.run() == 0
    written = ailand_gt4py.run(
        bench.forcing, model=bench.model, backend="embedded", output=tmp_path / "again.nc", quiet=True
    )
    assert written == tmp_path / "again.nc"
    first, again = bench.open(), bench.open("again.nc")
    for name in first.variables:
        assert first[name].values.tobytes() == again[name].values.tobytes(), name
    with pytest.raises(InputError, match=r"option 'start': found 3, expected a time \(UTC\)"):
        ailand_gt4py.run(bench.forcing, start=3)
    with pytest.raises(InputError, match="option 'bakend' is unknown; did you mean 'backend'"):
        ailand_gt4py.run(bench.forcing, bakend="embedded")
