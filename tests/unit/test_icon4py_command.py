"""``ailand-icon4py-run``: what it says of options it cannot use, and where ICON4Py is not installed."""

import importlib.util
from pathlib import Path

import pytest

from ailand_gt4py.cli.icon4py_run import main


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--dtime", "0"], "--dtime: found 0, expected more than 0"),
        (["--substeps", "-1"], "--substeps: found -1, expected more than 0"),
        (["--record", "0"], "--record: found 0, expected more than 0"),
        (["--record", "400"], "--record: found 400, expected a multiple of the step of 300 s"),
        (["--hours", "0.01"], "--hours: found 0.01, expected a whole number of steps of 300 s"),
        (["--hours", "0"], "--hours: found 0, expected more than 0"),
        (
            ["--plot", "figure.txt"],
            "--plot: found 'figure.txt', expected a file name that ends in .png or .pdf or .svg",
        ),
        (
            ["-o", "nowhere/run.nc"],
            "nowhere/run.nc: cannot be written: 'nowhere' is no directory, expected an existing one",
        ),
        (["--mixing-height", "-1"], "--mixing-height: found -1, expected at least 0"),
        (["--mixing-height", "nan"], "--mixing-height: found nan, expected a finite number"),
        (["--start", "yesterday"], "--start: found 'yesterday', expected a time (UTC) such as 2021-01-01"),
        (["--land-interval", "0"], "--land-interval: found 0, expected more than 0"),
        (["--levels", "0"], "--levels: found 0, expected more than 0"),
    ],
)
def test_options_that_cannot_be_used(
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("ailand-icon4py-run: error: ")
    assert message in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert "--mixing-height" in capsys.readouterr().out
    assert main(["--grib"]) == 2
    assert main(["--version"]) == 0


@pytest.mark.skipif(
    importlib.util.find_spec("grid_generator") is not None,
    reason="ICON4Py is installed; this is what is said without it",
)
def test_without_icon4py(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 1
    expected = "'grid_generator' is not installed, expected the extra 'icon4py' on Python 3.12 or newer"
    assert expected in capsys.readouterr().err
