"""How programs are compiled: in this process, by which tools, and kept."""

from __future__ import annotations

import contextlib
import getpass
import itertools
import logging
import os
import pathlib
import shutil
import sys
import threading
import time
import warnings
from collections.abc import Iterator, MutableMapping
from typing import Any

from gt4py.next import config
from gt4py.next.otf import runners
from gt4py.next.otf.compilation import cache

from ailand_gt4py.core import dace_configuration
from ailand_gt4py.core.errors import AilandError, RunError
from ailand_gt4py.lowering.calls import directories, toolchain
from ailand_gt4py.lowering.cpu import blas

logger = logging.getLogger(__name__)

#: Settings of GT4Py, the environment and filters of warnings are the process's: a thread that changes them for a while
#: has them to itself.
_settings = threading.RLock()


def _after_fork() -> None:
    """The thread that has the settings may not be there in a forked process."""
    global _settings
    _settings = threading.RLock()


os.register_at_fork(after_in_child=_after_fork)


@contextlib.contextmanager
def temporarily(settings: MutableMapping[str, Any], **values: Any) -> Iterator[None]:
    """Settings of GT4Py (``vars(config)``), or variables of the environment, which builds inherit."""
    with _settings:
        before = {name: settings[name] for name in values if name in settings}
        settings.update(values)
        try:
            yield
        finally:
            settings.update(before)
            for name in values.keys() - before.keys():
                del settings[name]


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """No other thread compiles a program, or calls one for the first time."""
    with _settings:
        yield


def made_with() -> tuple[str, ...]:
    """Where programs are kept that are compiled now, by which tools and with which BLAS."""
    with kept_programs():
        place = cache.get_cache_base_path(config.BUILD_CACHE_LIFETIME)
        tools = toolchain.variables(config.CMAKE_BUILD_TYPE)
        return str(place), blas.chosen(), *itertools.chain.from_iterable(sorted(tools.items()))


@contextlib.contextmanager
def kept_programs() -> Iterator[None]:
    """Programs that are made and compiled inside are kept between processes.

    GT4Py's own settings come first where they are set: ``GT4PY_BUILD_CACHE_LIFETIME`` and ``GT4PY_BUILD_CACHE_DIR``.
    Other programs of the process keep theirs.
    """
    values: dict[str, Any] = {"BUILD_CACHE_DIR": directories.cache_directory()}
    if "GT4PY_BUILD_CACHE_LIFETIME" not in os.environ:
        values["BUILD_CACHE_LIFETIME"] = config.BuildCacheLifetime.PERSISTENT
    with temporarily(vars(config), **values), dace_configuration.defaults():
        yield


@contextlib.contextmanager
def build_tools(place: pathlib.Path) -> Iterator[pathlib.Path]:
    """Let a build find its tools, and have DaCe record the build's commands, to run them again, where others cannot.

    DaCe calls ``cmake`` from the path (CUDA in C++20 needs 3.26 or newer), and the directory of a virtual environment,
    where the CMake is that GT4Py depends on, is not on the path where its programs are called by name.

    Args:
        place: where programs are kept.

    Yields:
        The directory of the commands.
    """
    cache = place / "builds"
    values = {"DACE_BUILD_CACHE_DIR": str(cache)}
    directory = str(pathlib.Path(sys.executable).parent)
    if shutil.which("cmake", path=directory) is not None:
        values["PATH"] = os.pathsep.join((directory, os.environ.get("PATH", os.defpath)))
    try:
        getpass.getuser()
    except (KeyError, OSError):  # a user without a name; DaCe asks for it
        values["LOGNAME"] = str(os.geteuid())
    with temporarily(os.environ, **values):
        yield cache


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Do not show GT4Py's remarks on a program: that embedded execution is slow, above all, where it was asked for."""
    with _settings, warnings.catch_warnings():
        warnings.simplefilter("ignore", category=UserWarning)
        yield


@contextlib.contextmanager
def announced(description: str) -> Iterator[None]:
    """Around a first call, which compiles: `in_this_process`, with a word to the user and failure in one line.

    Args:
        description: of what is compiled: "the layer_norm network for dace_cpu in float32".

    Raises:
        RunError: it cannot be compiled.
    """
    logger.info("preparing %s: compiled at its first use, then kept", description)
    toolchain.warn_of_flags()
    start = time.perf_counter()
    try:
        with in_this_process():
            yield
    except AilandError:
        raise
    except Exception as error:
        reason = toolchain.cause(error, directories.cache_directory()) or f"{type(error).__name__}: {_reason(error)}"
        raise RunError(f"{description} cannot be compiled: {reason}") from error
    logger.info("ready after %.1f s", time.perf_counter() - start)


def _reason(error: Exception) -> str:
    """The first lines of a message; of a build's output, which "Compiler failure:" heads, those of its first error."""
    lines = [line.strip() for line in str(error).strip().splitlines()] or [""]
    if lines[0].endswith(":"):
        errors = [k for k, line in enumerate(lines) if "error" in line.lower()]
        # CMake says in further lines what it is about.
        size = 6 if errors and lines[errors[0]].startswith("CMake Error") else 1
        lines[1:] = [line for k in errors[:1] for line in lines[k : k + size] if line]
        return " ".join(lines)
    return lines[0]


@contextlib.contextmanager
def in_this_process() -> Iterator[None]:
    """Compile without worker processes, keep the result, and do not show GT4Py's and DaCe's remarks on the program.

    GT4Py's default pool of spawned processes runs the caller's script again in each worker, which is wrong for scripts
    without a main guard, and gains nothing for one program. Other threads that want to compile wait.
    """
    with _settings:
        runners.reset_default_runner()
        try:
            serially = temporarily(vars(config), BUILD_JOBS_MODE=config.BuildJobsMode.SERIAL)
            with serially, kept_programs(), build_tools(directories.cache_directory()), quiet():
                yield
        finally:
            runners.reset_default_runner()
