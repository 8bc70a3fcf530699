"""What ships beside the modules: `ailand example`, and configurations by their names."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from ailand_gt4py.cli import main as cli
from ailand_gt4py.cli import train
from ailand_gt4py.cli.options import parse
from ailand_gt4py.core.settings import read_settings, read_yaml
from ailand_gt4py.core.shipped import configuration_files, configuration_names, configuration_path, example_files
from ailand_gt4py.training.configuration import Configuration

ROOT = Path(__file__).parents[2]


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory in which nothing is."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_what_ships_is_what_the_repository_has() -> None:
    assert {name: path.read_bytes() for name, path in configuration_files().items()} == {
        path.name: path.read_bytes() for path in (ROOT / "configs").iterdir() if path.is_file()
    }
    script = {"cut_example.py"}
    assert {*example_files()} == {
        path.name for path in (ROOT / "examples" / "column_run").iterdir() if path.is_file()
    } - script


def test_the_example_is_written_whole(elsewhere: Path, capsys: pytest.CaptureFixture) -> None:
    assert cli.main(["example"]) == 0
    shown = capsys.readouterr().out
    folder = elsewhere / "ailand_example"
    written = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert written == {*example_files(), *(f"configs/{name}" for name in configuration_files())}
    assert f"wrote {len(written)} files" in shown
    assert "cd ailand_example" in shown
    for name, source in example_files().items():
        assert (folder / name).read_bytes() == source.read_bytes()


def test_nothing_is_replaced_unasked(elsewhere: Path, capsys: pytest.CaptureFixture) -> None:
    own = elsewhere / "here" / "configs" / "point_wise.yaml"
    own.parent.mkdir(parents=True)
    own.write_text("mine")
    assert cli.main(["example", "here"]) == 2
    expected = "output here/configs/point_wise.yaml exists, expected a directory without it, or --overwrite"
    assert capsys.readouterr().err == f"ailand: error: {expected}\n"
    assert own.read_text() == "mine"
    assert [path.name for path in (elsewhere / "here").iterdir()] == ["configs"]
    assert cli.main(["example", "here", "--overwrite"]) == 0
    assert own.read_bytes() == configuration_files()["point_wise.yaml"].read_bytes()


def test_the_files_that_ship_are_not_overwritten_by_themselves(capsys: pytest.CaptureFixture) -> None:
    folder = next(iter(example_files().values())).resolve().parent
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    try:
        assert cli.main(["example", str(folder), "--overwrite"]) == 2
    finally:
        if (folder / "configs").is_dir():
            (folder / "configs").rmdir()
    assert "is both an input and to be written" in capsys.readouterr().err
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["file"], "directory file: cannot be made: File exists"),
        (["file/below"], "directory file/below: cannot be made: Not a directory"),
        (["dangling"], "directory dangling: cannot be made: File exists"),
        (["/proc/self/new"], "directory /proc/self/new: cannot be made: No such file or directory"),
        (["a", "b"], "found 'b', expected no further argument; see ailand example --help"),
        (["--overwite"], "option '--overwite' is unknown; did you mean '--overwrite'?; see ailand example --help"),
        (["link"], "link/ecland_columns.nc: exists and is a symbolic link to nothing, expected a file name"),
    ],
)
def test_what_cannot_be_written_is_one_line(
    elsewhere: Path, words: list[str], message: str, capsys: pytest.CaptureFixture
) -> None:
    (elsewhere / "file").write_text("")
    (elsewhere / "dangling").symlink_to("nowhere")
    (elsewhere / "link").mkdir()
    (elsewhere / "link" / "ecland_columns.nc").symlink_to("nowhere")
    assert cli.main(["example", *words]) == 2
    assert capsys.readouterr().err == f"ailand: error: {message}\n"


@pytest.mark.parametrize("given", ["default_model", "default_model.yaml", "configs/default_model.yaml"])
def test_a_configuration_that_ships_goes_by_its_name(elsewhere: Path, given: str) -> None:
    expected = read_settings(Configuration, read_yaml(ROOT / "configs" / "default_model.yaml"))
    for name in expected.data.train:
        (elsewhere / name).touch()
    options = parse(train.Options, [given])
    assert options.part(Configuration) == expected
    points = configuration_path(options.data.exclude_points)
    assert points.is_file()
    assert {points, configuration_files()["default_model.yaml"]} < {*options.paths_read}


def test_a_file_of_the_working_directory_comes_first(elsewhere: Path) -> None:
    points = Path("configs", "development_points.csv")
    assert configuration_path(points) == configuration_files()[points.name]
    (elsewhere / "configs").mkdir()
    (elsewhere / points).write_text("1,2\n")
    assert configuration_path(points) == points
    (elsewhere / "default_model").write_text(
        "{data: {train: [mine.nc]}, stages: [{iterations: 1, steps: 1, batch: 1}]}"
    )
    assert parse(train.Options, ["default_model"]).data.train == ("mine.nc",)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("defalt_model", "defalt_model: no such file, and none of that name ships; expected a file or one of "),
        ("nowhere.yaml", "nowhere.yaml: cannot be read: No such file or directory"),
        ("configs/nowhere.yaml", "configs/nowhere.yaml: cannot be read: No such file or directory"),
        ("other/default_model.yaml", "other/default_model.yaml: cannot be read: No such file or directory"),
        ("folder", "folder: cannot be read: Is a directory"),
    ],
)
def test_what_is_neither_a_file_nor_ships_is_one_line(
    elsewhere: Path, given: str, message: str, capsys: pytest.CaptureFixture
) -> None:
    (elsewhere / "folder").mkdir()
    assert cli.main(["train", given]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"ailand: error: {message}")
    assert error.count("\n") == 1


def test_help_names_the_configurations_that_ship(capsys: pytest.CaptureFixture) -> None:
    assert cli.main(["train", "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    trainings = [name for name in configuration_names() if name != "assimilation"]
    assert f"or one that ships: {', '.join(trainings)}" in shown


def test_configurations_of_other_commands_ship_too(elsewhere: Path) -> None:
    from ailand_gt4py.cli import assimilate

    assert parse(assimilate.Options, ["f.nc", "--config", "assimilation"]) == parse(assimilate.Options, ["f.nc"])


def test_configurations_of_the_example_can_be_read_and_say_what_is_there() -> None:
    for name, path in example_files().items():
        if path.suffix == ".yaml":
            configuration = read_settings(Configuration, yaml.safe_load(path.read_text()))
            assert all(file in example_files() for file in configuration.data.train), name


@pytest.mark.slow
@pytest.mark.usefixtures("elsewhere")
def test_the_toy_learns(capsys: pytest.CaptureFixture) -> None:
    """A tenth of its iterations: that it runs from the written directory, without anything else of the repository."""
    pytest.importorskip("torch")
    assert cli.main(["example", "."]) == 0
    assert "  cd " not in capsys.readouterr().out
    assert cli.main(["train", "toy_model.yaml", "-o", "toy.nc", "--set", "run.length=0.1"]) == 0
    assert "5 columns for training, 0 for validation" in capsys.readouterr().err
    assert cli.main(["model", "show", "toy.nc"]) == 0
