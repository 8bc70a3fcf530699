"""Where programs are compiled and kept, and that nothing of the process is changed by it."""

import os
import pathlib
import signal
import sys
import threading
import warnings
from typing import Any

import pytest
from dace.codegen import compiler as dace_compiler
from gt4py.next import config
from gt4py.next.otf import runners

from ailand_gt4py.lowering.calls import backends, compilation, directories


@pytest.fixture
def gt4py_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> pytest.MonkeyPatch:
    """GT4Py's settings as in a new process without any in its environment; restored afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(config, "BUILD_CACHE_LIFETIME", config.BuildCacheLifetime.SESSION)
    monkeypatch.setattr(config, "BUILD_CACHE_DIR", pathlib.Path("working_directory"))
    for name in ("GT4PY_BUILD_CACHE_LIFETIME", "GT4PY_BUILD_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.mark.parametrize("variable", ["XDG_CACHE_HOME", "HOME"])
def test_programs_are_kept_in_the_users_cache(
    gt4py_settings: pytest.MonkeyPatch, tmp_path: pathlib.Path, variable: str
) -> None:
    """In one directory for each kind of processor and version of DaCe."""
    gt4py_settings.setenv(variable, str(tmp_path))
    directory = directories.cache_directory()
    assert directory.parent == tmp_path / ("ailand_gt4py" if variable == "XDG_CACHE_HOME" else ".cache/ailand_gt4py")
    assert directory.name == directories._machine()
    with compilation.kept_programs():
        assert directory == config.BUILD_CACHE_DIR
        assert config.BUILD_CACHE_LIFETIME is config.BuildCacheLifetime.PERSISTENT


def test_an_empty_variable_is_none(gt4py_settings: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    gt4py_settings.setenv("XDG_CACHE_HOME", "")
    gt4py_settings.setenv("HOME", str(tmp_path))
    assert directories.cache_directory().parent == tmp_path / ".cache/ailand_gt4py"


def test_the_directory_is_named_after_processor_and_dace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs are compiled with ``-march=native``: another kind of processor may not understand them."""

    def name(cpuinfo: str | None, dace: str = "2.0", machine: str = "x86_64") -> str:
        def read_text(path: pathlib.Path) -> str:
            if cpuinfo is None:
                raise FileNotFoundError(path)
            return cpuinfo

        monkeypatch.setattr(pathlib.Path, "read_text", read_text)
        monkeypatch.setattr(directories.importlib.metadata, "version", lambda package: f"{package}{dace}")
        monkeypatch.setattr(directories.platform, "machine", lambda: machine)
        monkeypatch.setattr(directories.platform, "processor", lambda: "a processor")
        return directories._machine.__wrapped__()

    old = name("processor: 0\nflags\t: fpu sse2\n")
    assert old.startswith("x86_64-")
    assert old.endswith("-dace-dace2.0")
    assert name("processor: 7\nflags\t: fpu sse2\n") == old, "the number of the core is no kind of processor"
    others = {
        name("processor: 0\nflags\t: fpu sse2 avx2\n"),
        name("processor: 0\nFeatures\t: fp asimd\n", machine="aarch64"),
        name("processor: 0\nflags\t: fpu sse2\n", dace="2.1"),
        name(None),
        name("nothing that is known\n"),
        name(""),
    }
    assert old not in others
    assert len(others) == 6


def test_gt4pys_own_directory_comes_first(gt4py_settings: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    gt4py_settings.setenv("XDG_CACHE_HOME", str(tmp_path / "not_this"))
    gt4py_settings.setenv("GT4PY_BUILD_CACHE_DIR", "read by GT4Py at its import")
    assert directories.cache_directory() == tmp_path / "working_directory"
    with compilation.kept_programs():
        assert tmp_path / "working_directory" == config.BUILD_CACHE_DIR
        assert config.BUILD_CACHE_LIFETIME is config.BuildCacheLifetime.PERSISTENT


def test_gt4pys_own_lifetime_comes_first(gt4py_settings: pytest.MonkeyPatch) -> None:
    gt4py_settings.setenv("GT4PY_BUILD_CACHE_LIFETIME", "session")
    with compilation.kept_programs():
        assert config.BUILD_CACHE_LIFETIME is config.BuildCacheLifetime.SESSION
        assert directories.cache_directory() == config.BUILD_CACHE_DIR


@pytest.mark.parametrize("fails", [False, True])
def test_other_programs_of_the_process_keep_their_settings(gt4py_settings: pytest.MonkeyPatch, fails: bool) -> None:
    def body() -> None:
        with compilation.kept_programs():
            assert config.BUILD_CACHE_LIFETIME is config.BuildCacheLifetime.PERSISTENT
            if fails:
                raise ZeroDivisionError

    if fails:
        with pytest.raises(ZeroDivisionError):
            body()
    else:
        body()
    assert config.BUILD_CACHE_LIFETIME is config.BuildCacheLifetime.SESSION
    assert pathlib.Path("working_directory") == config.BUILD_CACHE_DIR


@pytest.mark.parametrize("around", [compilation.kept_programs, compilation.in_this_process, compilation.quiet])
def test_threads_that_change_settings_wait_for_each_other(gt4py_settings: pytest.MonkeyPatch, around: Any) -> None:
    """One that enters while another is inside would take the other's settings for those to be restored."""
    inside, leave, filters = threading.Event(), threading.Event(), list(warnings.filters)
    before, path = dict(vars(config)), os.environ["PATH"]

    def other() -> None:
        with around():
            inside.set()
            leave.wait()

    thread = threading.Thread(target=other)
    with around():
        thread.start()
        assert not inside.wait(0.05)
    inside.wait()
    leave.set()
    thread.join()
    assert (dict(vars(config)), os.environ["PATH"], list(warnings.filters)) == (before, path, filters)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:This process")  # of Python 3.12, which sees the other thread
def test_a_process_forked_while_another_thread_compiles_can_compile() -> None:
    inside, leave = threading.Event(), threading.Event()

    def other() -> None:
        with compilation.in_this_process():
            inside.set()
            leave.wait()

    thread = threading.Thread(target=other)
    thread.start()
    inside.wait()
    child = os.fork()
    if child == 0:
        signal.alarm(10)
        with compilation.in_this_process():
            os._exit(0)
    leave.set()
    thread.join()
    assert os.waitpid(child, 0)[1] == 0


def test_a_build_finds_the_cmake_beside_this_python(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.setenv("PATH", "/somewhere")
    with compilation.build_tools(tmp_path):
        assert os.environ["PATH"] == "/somewhere", "there is none beside it"
    cmake = python.parent / "cmake"
    cmake.touch(mode=0o755)
    with compilation.build_tools(tmp_path):
        assert os.environ["PATH"].split(os.pathsep) == [str(python.parent), "/somewhere"]
    assert os.environ["PATH"] == "/somewhere"


@pytest.mark.parametrize("missing", [KeyError, OSError])
def test_a_build_knows_a_user_without_a_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path, missing: type[Exception]
) -> None:
    """As in a container that is run under some number."""

    def unknown(number: int) -> None:
        raise missing("uid not found")

    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", unknown)
    with compilation.build_tools(tmp_path):
        assert dace_compiler.build_cache_root() == str(tmp_path / "builds" / f"dace_build_cache_{os.geteuid()}")
    assert "LOGNAME" not in os.environ


@pytest.mark.parametrize("fails", [False, True])
def test_compilation_in_this_process_leaves_no_trace(monkeypatch: pytest.MonkeyPatch, fails: bool) -> None:
    monkeypatch.setattr(config, "BUILD_JOBS_MODE", config.BuildJobsMode.PROCESS)

    def body() -> None:
        with compilation.in_this_process():
            assert config.BUILD_JOBS_MODE is config.BuildJobsMode.SERIAL
            assert isinstance(runners.get_default_runner(), runners.SerialRunner)
            warnings.warn("a remark of GT4Py", UserWarning, stacklevel=1)
            warnings.warn("something else", RuntimeWarning, stacklevel=1)
            if fails:
                raise ZeroDivisionError

    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        if fails:
            with pytest.raises(ZeroDivisionError):
                body()
        else:
            body()
        warnings.warn("afterwards", UserWarning, stacklevel=1)
    assert [str(warning.message) for warning in seen] == ["something else", "afterwards"]
    assert config.BUILD_JOBS_MODE is config.BuildJobsMode.PROCESS
    assert runners._default_runner is None, "the serial runner would have served later compilations of the host"


def test_backends_of_programs_over_columns_are_made_once_for_each_place(
    gt4py_settings: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    """A program that is kept for its backend is then made once, however many runs ask."""
    gt4py_settings.setenv("XDG_CACHE_HOME", str(tmp_path / "a"))
    first = backends.for_columns("dace_cpu")
    assert backends.for_columns("dace_cpu") is first
    assert backends.for_columns("embedded") is None
    gt4py_settings.setenv("XDG_CACHE_HOME", str(tmp_path / "b"))
    assert backends.for_columns("dace_cpu") is not first
