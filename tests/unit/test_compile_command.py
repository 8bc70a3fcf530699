"""``ailand compile``."""

import pathlib

import pytest
from random_models import random_model

from ailand_gt4py.cli import main as cli
from ailand_gt4py.lowering.calls.directories import cache_directory
from ailand_gt4py.weights.model_file import write_model


@pytest.fixture
def model_file(tmp_path: pathlib.Path) -> pathlib.Path:
    """A model whose programs the tests of the networks compile, too."""
    path = tmp_path / "model.nc"
    write_model(random_model("simple", (5, 4, 3, 2), seed=7, width=24), path)
    return path


def test_one_line_for_each_precision(model_file: pathlib.Path, capsys: pytest.CaptureFixture) -> None:
    arguments = ["compile", str(model_file), "--precision", "float32", "--precision", "float64"]
    assert cli.main(arguments) == 0
    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert len(lines) == 2
    assert " 50.0 %  1/2 programs, float32 is ready, " in said.err
    assert "100.0 %  2/2 programs, float64 is ready, " in said.err
    assert cli.main([*arguments, "--quiet"]) == 0
    assert capsys.readouterr().err == ""
    for line, precision in zip(lines, ("float32", "float64"), strict=True):
        assert line.startswith(f"simple network of {model_file}, dace_cpu, {precision}: ready after ")
        assert line.endswith(f" s, kept in {cache_directory()}")


def test_the_program_is_found_in_the_directory_that_is_named(
    model_file: pathlib.Path, capsys: pytest.CaptureFixture
) -> None:
    assert cli.main(["compile", str(model_file)]) == 0
    directory = pathlib.Path(capsys.readouterr().out.strip().rsplit(" kept in ", 1)[1])
    programs = [path.name for path in directory.rglob("simple_trunk2_prognostic1_diagnostic1_step_float32*")]
    assert programs, f"nothing of the program is in {directory}"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--backend", "embedded"], "option --backend: found 'embedded', expected 'dace_cpu' or 'dace_gpu'"),
        (["--backend", "gtfn"], "option --backend: found 'gtfn', expected 'dace_cpu' or 'dace_gpu'"),
        (
            ["--precision", "float16"],
            "option --precision: found 'float16', expected 'float32', 'float64', 'tf32' or 'bf16'",
        ),
        (["--precision", "tf32"], "precision: found 'tf32' on 'dace_cpu', expected one of float32, float64, bf16"),
    ],
)
def test_unusable_options_are_one_line(
    model_file: pathlib.Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture
) -> None:
    assert cli.main(["compile", str(model_file), *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err
    assert captured.err.count("\n") == 1


def test_a_missing_model_is_one_line(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture) -> None:
    assert cli.main(["compile", str(tmp_path / "nowhere.nc")]) == 2
    error = capsys.readouterr().err
    assert "nowhere.nc" in error
    assert error.count("\n") == 1


def test_a_blas_that_cannot_be_loaded_is_one_line(
    model_file: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("AILAND_BLAS", "nowhere/libnothing.so")
    assert cli.main(["compile", str(model_file)]) == 1
    error = capsys.readouterr().err
    assert "BLAS 'nowhere/libnothing.so' cannot be loaded" in error
    assert error.count("\n") == 1
