"""Where programs are compiled and kept."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import sys
import warnings
from collections.abc import Iterator

from gt4py.next import config
from gt4py.next.otf import runners


def keep_programs(directory: pathlib.Path | None = None) -> pathlib.Path:
    """Keep compiled programs between processes; for the command line, before the first compilation.

    A process that has a host (a dycore, a notebook) decides this for itself through GT4Py's own settings
    ``GT4PY_BUILD_CACHE_LIFETIME`` and ``GT4PY_BUILD_CACHE_DIR``, which are left as they are where they are set.

    Args:
        directory: where to keep them; None for ``ailand_gt4py`` in the user's cache directory
            (``XDG_CACHE_HOME``, else ``~/.cache``).

    Returns:
        The directory that is used.
    """
    if "GT4PY_BUILD_CACHE_LIFETIME" not in os.environ:
        config.BUILD_CACHE_LIFETIME = config.BuildCacheLifetime.PERSISTENT
    if "GT4PY_BUILD_CACHE_DIR" not in os.environ:
        base = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
        config.BUILD_CACHE_DIR = directory or base / "ailand_gt4py"
    return pathlib.Path(config.BUILD_CACHE_DIR)


@contextlib.contextmanager
def build_tools() -> Iterator[None]:
    """Let a build find the CMake that GT4Py depends on, beside this Python, before an older one of the system or none.

    DaCe calls ``cmake`` from the path (CUDA in C++20 needs 3.26 or newer), and the directory of a virtual environment
    is not on the path where its programs are called by name.
    """
    directory = str(pathlib.Path(sys.executable).parent)
    path = os.environ.get("PATH", os.defpath)
    if shutil.which("cmake", path=directory) is None:
        yield
        return
    os.environ["PATH"] = os.pathsep.join((directory, path))
    try:
        yield
    finally:
        os.environ["PATH"] = path


@contextlib.contextmanager
def in_this_process() -> Iterator[None]:
    """Compile without worker processes, and without showing GT4Py's and DaCe's remarks on the program.

    GT4Py's default pool of spawned processes runs the caller's script again in each worker, which is wrong for scripts
    without a main guard, and gains nothing for one program.
    """
    mode = config.BUILD_JOBS_MODE
    runners.reset_default_runner()
    config.BUILD_JOBS_MODE = config.BuildJobsMode.SERIAL
    try:
        with build_tools(), warnings.catch_warnings():
            warnings.simplefilter("ignore", category=UserWarning)
            yield
    finally:
        config.BUILD_JOBS_MODE = mode
        runners.reset_default_runner()
