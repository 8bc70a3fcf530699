"""Where programs are compiled and kept."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.metadata
import logging
import os
import pathlib
import platform
import shutil
import sys
import time
import warnings
from collections.abc import Iterator, MutableMapping
from typing import Any

from gt4py.next import config
from gt4py.next.otf import runners
from gt4py.next.program_processors.runners.dace.workflow.compilation import DaCeCompilationArtifact, DaCeCompiler

from ailand_gt4py.core.errors import AilandError, RunError

logger = logging.getLogger(__name__)


def cache_directory() -> pathlib.Path:
    """Where compiled programs are kept between processes.

    ``GT4PY_BUILD_CACHE_DIR`` where it is set; else, below ``ailand_gt4py`` in the user's cache directory
    (``XDG_CACHE_HOME``, else ``~/.cache``), one directory for each kind of processor and each version of DaCe: programs
    are compiled for the processor at hand. What else matters (the program, this package's and GT4Py's code, the
    compiler's flags) is part of GT4Py's own key.
    """
    if "GT4PY_BUILD_CACHE_DIR" in os.environ:
        return pathlib.Path(config.BUILD_CACHE_DIR)
    base = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
    return base / "ailand_gt4py" / _machine()


@functools.cache
def _machine() -> str:
    """A name for the processor's abilities and the versions that a compiled program depends on."""
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = [platform.processor()]
    abilities = next((line for line in lines if line.startswith(("flags", "Features"))), lines[0] if lines else "")
    digest = hashlib.sha256(abilities.encode()).hexdigest()[:8]
    return f"{platform.machine()}-{digest}-dace-{importlib.metadata.version('dace')}"


@contextlib.contextmanager
def _temporarily(settings: MutableMapping[str, Any], **values: Any) -> Iterator[None]:
    """Settings of GT4Py (``vars(config)``), or variables of the environment, which builds inherit."""
    before = {name: settings[name] for name in values if name in settings}
    settings.update(values)
    try:
        yield
    finally:
        settings.update(before)
        for name in values.keys() - before.keys():
            del settings[name]


def kept_programs() -> contextlib.AbstractContextManager[None]:
    """Programs that are made and compiled inside are kept between processes.

    GT4Py's own settings come first where they are set: ``GT4PY_BUILD_CACHE_LIFETIME`` and ``GT4PY_BUILD_CACHE_DIR``.
    Other programs of the process keep theirs.
    """
    values: dict[str, Any] = {"BUILD_CACHE_DIR": cache_directory()}
    if "GT4PY_BUILD_CACHE_LIFETIME" not in os.environ:
        values["BUILD_CACHE_LIFETIME"] = config.BuildCacheLifetime.PERSISTENT
    return _temporarily(vars(config), **values)


def build_tools() -> contextlib.AbstractContextManager[None]:
    """Let a build find the CMake that GT4Py depends on, beside this Python, before an older one of the system or none.

    DaCe calls ``cmake`` from the path (CUDA in C++20 needs 3.26 or newer), and the directory of a virtual environment
    is not on the path where its programs are called by name.
    """
    directory = str(pathlib.Path(sys.executable).parent)
    if shutil.which("cmake", path=directory) is None:
        return contextlib.nullcontext()
    return _temporarily(os.environ, PATH=os.pathsep.join((directory, os.environ.get("PATH", os.defpath))))


#: GT4Py's flags for C++, without the compiler's own vectorisation: what generated code computes is in vectors already.
#: That takes half of the time of a build, makes no step faster, and changes no bit.
_FLAGS = "-fPIC -O3 -march=native -fno-tree-vectorize -Wall -Wextra -Wno-unused-parameter -Wno-unused-label"


class ColumnCompiler(DaCeCompiler):
    """GT4Py's compilation of a program for the CPU, with flags for code in vectors; ``CXXFLAGS`` comes first if set."""

    def __post_init__(self) -> None:
        with self._flags():  # part of the key of compiled programs
            super().__post_init__()

    def __call__(self, program: Any) -> DaCeCompilationArtifact:
        with self._flags():
            return super().__call__(program)

    def _flags(self) -> contextlib.AbstractContextManager[None]:
        has_own = "CXXFLAGS" in os.environ or self.cmake_build_type is not config.CMakeBuildType.RELEASE
        return contextlib.nullcontext() if has_own else _temporarily(os.environ, CXXFLAGS=_FLAGS)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Do not show GT4Py's remarks on a program: that embedded execution is slow, above all, where it was asked for."""
    with warnings.catch_warnings():
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
    start = time.perf_counter()
    try:
        with in_this_process():
            yield
    except AilandError:
        raise
    except Exception as error:
        lines = str(error).strip().splitlines() or [""]
        # A build's output is headed by "Compiler failure:"; what went wrong is said further down.
        causes = [line.strip() for line in lines if "error" in line.lower()] if lines[0].endswith(":") else []
        reason = " ".join([lines[0], *causes[:1]])
        raise RunError(f"{description} cannot be compiled: {type(error).__name__}: {reason}") from error
    logger.info("ready after %.1f s", time.perf_counter() - start)


@contextlib.contextmanager
def in_this_process() -> Iterator[None]:
    """Compile without worker processes, keep the result, and do not show GT4Py's and DaCe's remarks on the program.

    GT4Py's default pool of spawned processes runs the caller's script again in each worker, which is wrong for scripts
    without a main guard, and gains nothing for one program.
    """
    runners.reset_default_runner()
    try:
        serially = _temporarily(vars(config), BUILD_JOBS_MODE=config.BuildJobsMode.SERIAL)
        with serially, kept_programs(), build_tools(), quiet():
            yield
    finally:
        runners.reset_default_runner()
