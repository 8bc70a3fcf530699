"""The command ``ailand`` and the package's own names."""

import asyncio
import contextlib
import dataclasses
import importlib
import importlib.util
import pathlib
import signal
import subprocess
import sys

import netCDF4
import numpy as np
import pytest
from random_models import random_model

import ailand_gt4py
from ailand_gt4py.cli import column_run
from ailand_gt4py.cli import main as cli
from ailand_gt4py.cli.options import fields_of, flags_of
from ailand_gt4py.lowering.calls import compilation
from ailand_gt4py.weights import write_model
from helpers import Bench


def test_model_show_prints_what_a_file_holds(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture) -> None:
    path = tmp_path / "model.nc"
    ailand_gt4py.write_model(random_model("two_branch"), path)
    assert cli.main(["model", "show", str(path)]) == 0
    text = capsys.readouterr().out
    assert "two_branch" in text
    assert "forcing_0" in text


def test_default_model_is_the_one_that_the_documentation_describes(capsys: pytest.CaptureFixture) -> None:
    assert cli.main(["model", "show"]) == 0
    assert "layer_norm" in capsys.readouterr().out
    model = ailand_gt4py.read_model()
    assert model.step_seconds == 21_600.0
    assert not model.normalised_space
    expected = ("swvl1", "swvl2", "swvl3", "stl1", "stl2", "stl3", "snowc")
    assert tuple(variable.name for variable in model.state)[:7] == expected
    diagnostics = {"t2m", "d2m", "skt", "sshf", "slhf", "ssr", "str", "e", "sro", "ssro"}
    assert {variable.name for variable in model.diagnostics} == diagnostics
    assert model.state[6].units == "1"
    assert {"data", "command", "licence", "citation"} <= set(model.provenance)


def test_import_takes_names_from_another_model(
    shared: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture
) -> None:
    checkpoint = shared / "checkpoints" / "ailand_v1_simple_172.ckpt"
    like = tmp_path / "like.nc"
    ailand_gt4py.write_model(random_model("simple", (20, 12, 7, 3)), like)
    target = tmp_path / "imported.nc"
    arguments = ["model", "import", str(checkpoint), "-o", str(target), "--variables", str(like)]
    arguments += ["--licence", "Apache-2.0"]
    assert cli.main(arguments) == 0
    model = ailand_gt4py.read_model(target)
    assert model.state[0].name == "state_0"
    assert model.provenance["licence"] == "Apache-2.0"
    np.testing.assert_array_equal(
        model.parameters["trunk.0.weight"], ailand_gt4py.import_checkpoint(checkpoint).parameters["trunk.0.weight"]
    )
    assert cli.main(arguments) == 2  # the file is there now
    assert "exists" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["model", "show", "nowhere.nc"], 2, "does not exist"),
        (["nonsense"], 2, "found 'nonsense'; expected one of model show, model import, model export, check, compile"),
        (["asimilate", "f.nc"], 2, "did you mean 'assimilate'?"),
        ([], 2, "COMMAND is missing"),
        (["evaluate"], 2, "FILE is missing"),
        (["estimate", "f.nc"], 2, "option --parameters is missing"),
        (["jacobian", "f.nc", "--evry", "6h"], 2, "option '--evry' is unknown; did you mean '--every'?"),
        (["evaluate", "f.nc", "--starts", "few"], 2, "option --starts: found 'few', expected an integer"),
        (["compile", "nowhere.nc"], 2, "nowhere.nc"),
        (["compile", "~no_such_user/a.nc"], 2, "~no_such_user/a.nc"),
        (["compile", "a.nc", "line\nbreak"], 2, "found 'line break', expected no further argument"),
        (["compile", "--backend", "embedded"], 2, "found 'embedded', expected 'dace_cpu' or 'dace_gpu'"),
        (["evaluate", "nowhere.nc"], 2, "nowhere.nc"),
        (["train", "nowhere.yaml"], 2, "nowhere.yaml"),
    ],
)
def test_errors_are_one_line_and_a_status(
    arguments: list[str], status: int, message: str, capsys: pytest.CaptureFixture
) -> None:
    assert cli.main(arguments) == status
    error = capsys.readouterr().err
    assert message in error
    assert error.startswith("ailand: error: ")
    assert error.count("\n") == 1


@pytest.mark.parametrize("command", ["--help", *cli.COMMANDS])
def test_help_is_quick_because_gt4py_is_not_imported(command: str) -> None:
    words = [command] if command == "--help" else [*command.split(), "--help"]
    code = (
        f"import sys, ailand_gt4py.cli.main as c; assert c.main({words}) == 0; "
        "sys.exit(bool({'gt4py', 'torch', 'xarray', 'dask', 'pandas', 'matplotlib'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, stdout=subprocess.DEVNULL).returncode == 0


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["model", "--help"]])
def test_help_lists_every_command(words: list[str], capsys: pytest.CaptureFixture) -> None:
    assert cli.main(words) == 0
    shown = capsys.readouterr().out
    assert all(command in shown and summary in shown for command, summary in cli.COMMANDS.items())


def test_help_of_every_command_says_every_option(capsys: pytest.CaptureFixture) -> None:
    for command in cli.COMMANDS:
        options = importlib.import_module(f"ailand_gt4py.cli.{command.replace(' ', '_')}").Options
        assert cli.main([*command.split(), "--help"]) == 0
        shown = capsys.readouterr().out
        for path, field in fields_of(options):
            assert field.description, path
            for flag in flags_of(path, field):
                assert flag in shown


def test_an_unforeseen_error_is_one_line_too(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    def fail(path: object) -> None:
        raise ZeroDivisionError("by\nnothing")

    monkeypatch.setattr("ailand_gt4py.weights.model_file.read_model", fail)
    assert cli.main(["model", "show"]) == 1
    assert capsys.readouterr().err == "ailand: error: ZeroDivisionError: by nothing (--debug shows where)\n"
    assert cli.main(["--debug", "model", "show"]) == 1
    assert "Traceback" in capsys.readouterr().err
    assert cli.main(["model", "show", "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (SystemExit("a library gave up"), "error: a library gave up"),
        (asyncio.CancelledError("by nobody"), "error: CancelledError: by nobody (--debug shows where)"),
        (MemoryError(), "error: MemoryError: (--debug shows where)"),
        (OSError("\x1b[2J wiped \ud800"), "error: OSError: \\x1b[2J wiped \\ud800 (--debug shows where)"),
    ],
)
def test_every_error_is_one_line(
    error: BaseException, message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    def fail(path: object) -> None:
        raise error

    monkeypatch.setattr("ailand_gt4py.weights.model_file.read_model", fail)
    assert cli.main(["model", "show"]) == 1
    assert capsys.readouterr().err == f"ailand: {message}\n"


def test_a_command_that_cannot_be_imported_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "ailand_gt4py.cli.model_show", None)
    assert cli.main(["model", "show"]) == 1
    assert capsys.readouterr().err.startswith("ailand: error: ModuleNotFoundError: import of ailand_gt4py.cli.model_")


@pytest.mark.parametrize(
    ("redirected", "status", "message"),
    [
        ("> /dev/full", 1, "ailand: error: OSError: [Errno 28] No space left on device (--debug shows where)\n"),
        ("| true", 128 + signal.SIGPIPE, "ailand: interrupted: nobody reads its output any more\n"),
        (">&-", 0, ""),
    ],
)
def test_output_that_cannot_be_written(redirected: str, status: int, message: str) -> None:
    code = "import sys; from ailand_gt4py.cli.main import main; sys.exit(main(['model', 'show']))"
    command = f'set -o pipefail; "{sys.executable}" -c "{code}" {redirected}'
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (status, message)


def test_an_interrupted_command_ends_with_130(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    def interrupt(path: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ailand_gt4py.weights.model_file.read_model", interrupt)
    assert cli.main(["model", "show"]) == 130
    assert capsys.readouterr().err == "ailand: interrupted\n"


@pytest.mark.parametrize(
    "command", ["jacobian", "uncertainty --days 1", "estimate --parameters clim_theta_cap --days 1"]
)
def test_commands_say_that_they_compile_unless_they_are_to_be_quiet(
    command: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """Embedded execution is not announced: that is done here in its stead."""

    def told() -> contextlib.AbstractContextManager[None]:
        compilation.logger.info("preparing the network")
        return contextlib.nullcontext()

    monkeypatch.setattr(compilation, "quiet", told)
    bench = Bench(tmp_path, n_times=8)
    name, *more = command.split()
    words = [name, str(bench.forcing), "--model", str(bench.model), "--backend", "embedded", *more]
    assert cli.main(words) == 0
    assert "preparing the network\n" in capsys.readouterr().err
    assert cli.main([*words, "--quiet"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("command", [["evaluate"], ["column-run"]])
@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (
            ["--precision", "tf32"],
            2,
            "option --precision: found 'tf32' on 'dace_cpu', expected float32 or float64; tf32 is a mode of dace_gpu",
        ),
        (["--backend", "dace_gpu"], 1, "CuPy, which is not installed"),
    ],
)
def test_a_device_that_is_not_there_is_said_before_input_is_read(
    command: list[str], words: list[str], status: int, message: str, capsys: pytest.CaptureFixture
) -> None:
    main = column_run.main if command == ["column-run"] else lambda own: cli.main([*command, *own])
    if status == 1 and importlib.util.find_spec("cupy"):
        pytest.skip("CuPy is there")
    assert main(["nowhere.nc", *words]) == status
    assert message in capsys.readouterr().err


def test_the_package_shows_its_own_names_only() -> None:
    assert dir(ailand_gt4py) == sorted([*ailand_gt4py.__all__, "__version__"])


def test_package_names_resolve_and_unknown_ones_do_not() -> None:
    for name in ailand_gt4py.__all__:
        assert getattr(ailand_gt4py, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        _ = ailand_gt4py.nonsense


def test_nothing_of_a_file_reaches_the_terminal_but_its_letters(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture
) -> None:
    escape = "\x1b]0;owned\x07\x1b[2J\u202e\x9b31m"
    model = random_model("simple")
    first = dataclasses.replace(model.state[0], name=f"a{escape}", units=escape)
    named = dataclasses.replace(model, state=(first, *model.state[1:]), provenance={"data": escape})
    path = tmp_path / "model.nc"
    write_model(named, path)
    assert cli.main(["model", "show", str(path)]) == 0
    assert cli.main(["model", "show", f"{tmp_path}/{escape}\udcff.nc"]) == 2
    with netCDF4.Dataset(path, "a") as data:
        data.setncattr_string("architecture", escape)
    assert cli.main(["model", "show", str(path)]) == 2
    shown = capsys.readouterr()
    assert r"data:                  \x1b]0;owned\x07" in shown.out
    assert all(one.isprintable() or one == "\n" for one in shown.out + shown.err)
    assert shown.err.count("\n") == 2


def test_a_message_has_an_end(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture) -> None:
    model = random_model("simple")
    path = tmp_path / "model.nc"
    first = dataclasses.replace(model.state[0], name="a" * 10**6)
    write_model(dataclasses.replace(model, state=(first, *model.state[1:])), path)
    with netCDF4.Dataset(path, "a") as data:
        data["state_std"][0] = np.nan
    assert cli.main(["model", "show", str(path)]) == 2
    assert len(capsys.readouterr().err) < 2200
