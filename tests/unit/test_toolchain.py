"""The compiler that is chosen, what is said where it fails, and that nobody else's configuration is read."""

import builtins
import errno
import importlib.util
import logging
import os
import sys
import textwrap
import threading
import types
from pathlib import Path
from typing import Any

import dace
import pytest
from dace.codegen.exceptions import CompilationError, CompilerConfigurationError
from gt4py.next.config import CMakeBuildType

from ailand_gt4py.core import dace_configuration
from ailand_gt4py.core.errors import InputError, RunError
from ailand_gt4py.lowering.calls import backends, compilation, toolchain


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CXX", "CXXFLAGS"):
        monkeypatch.delenv(name, raising=False)
    toolchain._warn.cache_clear()


def flags_of(backend: Any) -> str:
    """Those that are part of the key of its compiled programs."""
    return backend.executor.compilation.dace_config_nondefaults["compiler"]["cpu"]["args"]


def a_compiler(path: Path, script: str) -> Path:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("g++-13", ("", "g++-13", "")),
        ("g++ -O2  -march=haswell", ("", "g++", "-O2 -march=haswell")),
        ("ccache clang++ --target=x86_64", ("ccache", "clang++", "--target=x86_64")),
        ("'/opt/my compilers/c++' -m64", ("", "/opt/my compilers/c++", "-m64")),
        ("/nonexistent/g++", ("", "/nonexistent/g++", "")),
    ],
)
def test_cxx_may_hold_flags_and_what_starts_it(
    given: str, expected: tuple[str, str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", given)
    assert toolchain.compiler() == expected


def test_cxx_may_be_a_path_with_spaces(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = a_compiler(tmp_path / "my c++ -13", "")
    monkeypatch.setenv("CXX", str(path))
    assert toolchain.compiler() == ("", str(path), "")
    monkeypatch.setenv("CXX", "'g++")
    with pytest.raises(InputError, match="CXX: found 'g\\+\\+ .*, expected a compiler and its flags"):
        toolchain.compiler()


def test_without_cxx_it_is_one_that_is_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert toolchain.compiler().executable == "c++"
    a_compiler(tmp_path / "clang++", "")
    assert toolchain.compiler().executable == "clang++"
    a_compiler(tmp_path / "g++", "")
    assert toolchain.compiler().executable == "g++"


def test_code_in_vectors_is_compiled_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    """By its own flags, which are part of the key of compiled programs; the user's come first."""
    assert "-fno-tree-vectorize" in flags_of(backends.column_backend(False))
    assert "CXXFLAGS" not in os.environ
    assert flags_of(backends.dace_backend(False, ())) == flags_of(backends.column_backend(False))
    monkeypatch.setenv("CXX", "ccache g++ -mtune=intel")
    for backend in (backends.column_backend(False), backends.dace_backend(False, ())):
        assert flags_of(backend).endswith(" -mtune=intel")
        assert "-march=native" in flags_of(backend)
    monkeypatch.setenv("CXXFLAGS", "-O1 -fPIC")
    assert flags_of(backends.column_backend(False)) == "-O1 -fPIC -mtune=intel"
    assert os.environ["CXXFLAGS"] == "-O1 -fPIC"
    variables = toolchain.variables(CMakeBuildType.RELEASE)
    assert variables["CXX"] == "g++"
    assert variables["CMAKE_CXX_COMPILER_LAUNCHER"] == "ccache"
    assert os.environ["CXX"] == "ccache g++ -mtune=intel"


def test_debug_information_where_gt4py_asks_for_it() -> None:
    for build_type in (CMakeBuildType.DEBUG, CMakeBuildType.REL_WITH_DEB_INFO):
        assert " -g " in toolchain.variables(build_type)["CXXFLAGS"]
    assert " -g " not in toolchain.variables(CMakeBuildType.RELEASE)["CXXFLAGS"]


def test_flags_that_replace_march_native_are_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Once."""
    for flags in ("", "-O2 -march=native", "-mcpu=native"):
        monkeypatch.setenv("CXXFLAGS", flags)
        toolchain.warn_of_flags()
    assert not caplog.records
    monkeypatch.setenv("CXXFLAGS", "-O2 -march=nocona")
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            toolchain.warn_of_flags()
    (record,) = caplog.records
    assert record.message.startswith("CXXFLAGS='-O2 -march=nocona' replaces this package's flags, -march=native among")


FAILURE = CompilerConfigurationError(
    "Configuration failure:\nCMake Error at CMakeLists.txt:3 (project):\n  A,\n\n    b\n"
)


def announced(error: Exception) -> str:
    """What a build that ends by this error ends by."""
    with pytest.raises(RunError) as caught, compilation.announced("the network"):
        raise error
    message = str(caught.value)
    assert message.startswith("the network cannot be compiled: ")
    assert "\n" not in message
    return message


@pytest.mark.parametrize("given", [None, "/nonexistent/g++ -O2"])
def test_no_compiler_is_said_in_one_line(given: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    if given:
        monkeypatch.setenv("CXX", given)
    message = announced(FAILURE)
    assert f"found no C++ compiler '{'/nonexistent/g++' if given else 'c++'}' (CXX" in message
    assert "expected g++ 11, clang++ 14 or newer, on the path or named by CXX" in message
    assert "'embedded' (--backend embedded)" in message


@pytest.mark.parametrize(
    ("script", "what"),
    [
        ("exit 3", "works (exit status 3)"),
        ("echo cc1plus: fatal error: not installed >&2; exit 1", "works (cc1plus: fatal error: not installed)"),
        ("case $* in *c++20*) echo 'error: unknown -std' >&2; exit 1;; esac", "knows C++20 (error: unknown -std)"),
        (
            "case $* in *-fopenmp*) echo 'x.cpp:1: error: omp.h' >&2; exit 1;; esac",
            "has OpenMP (x.cpp:1: error: omp.h)",
        ),
    ],
)
def test_what_the_compiler_cannot_do_is_said(
    script: str, what: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    compiler = a_compiler(tmp_path / "c++", script)
    monkeypatch.setenv("CXX", f"{compiler} -O2")
    message = announced(CompilationError("Compiler failure:\nmake: error: something\n"))
    assert f"found no sign that the C++ compiler '{compiler}' (CXX) {what}, expected " in message
    assert "--backend embedded" in message
    assert ("libomp-dev" in message) == ("OpenMP" in what)


def test_what_else_is_wrong_is_the_builds_first_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CXX", str(a_compiler(tmp_path / "c++", "")))
    assert announced(FAILURE).endswith(
        "CompilerConfigurationError: Configuration failure: CMake Error at CMakeLists.txt:3 (project): A, b"
    )
    error = CompilationError("Compiler failure:\n[1/2] Building\nstep.cpp:3: error: no 'f'\nnote: here\n")
    assert announced(error).endswith("CompilationError: Compiler failure: step.cpp:3: error: no 'f'")
    assert announced(ValueError("a\nb")).endswith("cannot be compiled: ValueError: a")


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "somewhere"),
        OSError(errno.EDQUOT, os.strerror(errno.EDQUOT), "somewhere"),
        CompilationError("Compiler failure:\nfatal error: error writing to /tmp/cc.s: No space left on device\n"),
    ],
)
def test_a_full_disk_is_said(error: Exception) -> None:
    assert "cannot be compiled: no space is left in " in announced(error)


# Configuration

OTHERS = textwrap.dedent("""
    compiler:
      linker:
        args: '" ; touch executed ; true "'
    execution: {}
    external_transformations_path: .
    """)


@pytest.mark.parametrize("home", [True, False])
def test_the_working_directory_configures_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, home: bool) -> None:
    """In no thread, nor is what is there copied to the user's own configuration, which DaCe does with old ones."""
    own, data = tmp_path / "home", tmp_path / "data"
    for directory in (own, data / "~"):
        directory.mkdir(parents=True)
    for directory in (data, data / "~"):
        (directory / ".dace.conf").write_text(OTHERS)
    monkeypatch.chdir(data)
    monkeypatch.delenv("DACE_CONFIG", raising=False)
    monkeypatch.setenv("HOME", str(own))
    if not home:
        monkeypatch.delenv("HOME")
        monkeypatch.setattr("os.path.expanduser", str)  # nor has the user one by name
    (finder,) = (finder for finder in sys.meta_path if isinstance(finder, dace_configuration._Finder))
    spec = finder.find_spec("dace.config", dace.__path__)
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found = [module.Config.get("compiler", "linker", "args")]
    thread = threading.Thread(target=lambda: found.append(module.Config.get("compiler", "linker", "args")))
    thread.start()
    thread.join()
    assert found == ["", ""]
    # Else a directory of the name '$HOME' would be on Python's path.
    assert (module.Config.get("external_transformations_path") is None) == (not home)
    assert not list(own.iterdir())


def test_dace_shows_nothing_when_it_is_imported_in_a_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would write the scripts of its viewer, some megabytes, into the cell that imports it."""
    shown: list[str] = []
    display: Any = types.ModuleType("IPython.display")
    display.HTML, display.display = str, shown.append
    monkeypatch.setitem(sys.modules, "IPython", types.ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    monkeypatch.setattr(builtins, "get_ipython", type("ZMQInteractiveShell", (), {}), raising=False)
    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: pytest.fail("DaCe asked a server"))
    (finder,) = (finder for finder in sys.meta_path if isinstance(finder, dace_configuration._Finder))
    spec = finder.find_spec("dace.jupyter", dace.__path__)
    assert spec is not None
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert not shown
    monkeypatch.setattr(module, "preamble", lambda: "asked for")
    module.enable()
    assert shown == ["asked for"]
    assert module.isnotebook()


def test_a_user_without_a_home_gets_an_empty_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """GT4Py cannot be imported otherwise."""

    def unknown(number: int) -> None:
        raise KeyError("uid not found")

    monkeypatch.setattr(sys, "meta_path", [])
    monkeypatch.setenv("HOME", "/mine")
    dace_configuration.ignore_working_directory()
    assert os.environ["HOME"] == "/mine"
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", unknown)
    dace_configuration.ignore_working_directory()
    assert Path.home() == Path(os.devnull)


def test_programs_are_compiled_by_daces_defaults_whoever_configured_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before this package was imported, too; it stays for others. The environment is the user's own."""
    with dace.config.set_temporary("compiler", "linker", "args", value="--evil"):
        for backend in (backends.column_backend(False), backends.dace_backend(False, ())):
            assert "linker" not in backend.executor.compilation.dace_config_nondefaults["compiler"]
        with dace_configuration.defaults():
            assert dace.Config.get("compiler", "linker", "args") == ""
        assert dace.Config.get("compiler", "linker", "args") == "--evil"
        monkeypatch.setenv("DACE_compiler_linker_args", "-L/mine")
        with dace_configuration.defaults():
            assert dace.Config.get("compiler", "linker", "args") == "-L/mine"
