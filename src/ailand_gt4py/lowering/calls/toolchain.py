"""The C++ compiler that programs are compiled with, and what is the matter where it fails."""

from __future__ import annotations

import errno
import functools
import logging
import os
import pathlib
import shlex
import shutil
import subprocess
import tempfile
from typing import NamedTuple

from dace.codegen.exceptions import CompilationError, CompilerConfigurationError
from gt4py.next.config import CMakeBuildType

from ailand_gt4py.core.errors import InputError

logger = logging.getLogger(__name__)

#: GT4Py's flags for C++, but for the compiler's own vectorisation: what is generated for columns is in vectors, and
#: what else there is waits for memory. Without it a build takes half of the time, no step is slower, and no bit is
#: another.
_FLAGS = "-fPIC {extra} -O3 -march=native -Wall -Wextra -Wno-unused-parameter -Wno-unused-label"

_EMBEDDED = "or the backend 'embedded' (--backend embedded), which needs none"
_EXPECTED = f"expected g++ 11, clang++ 14 or newer, on the path or named by CXX, {_EMBEDDED}"
_NO_SPACE = ("No space left on device", "Disk quota exceeded")

#: What a compiler must be able to do, with which flags, and what to do if it is not.
_TRIALS = (
    ("works", (), "int main() { return 0; }", _EXPECTED),
    ("knows C++20", ("-std=c++20",), "#include <atomic>\nint main() { std::atomic<int> a = 0; a.wait(1); }", _EXPECTED),
    (
        "has OpenMP",
        ("-fopenmp",),
        "#include <omp.h>\nint main() { return omp_get_max_threads() < 1; }",
        f"expected OpenMP: install it (libomp-dev or libomp for clang++), name another compiler by CXX, {_EMBEDDED}",
    ),
)


class Compiler(NamedTuple):
    """A C++ compiler, what it is started by (ccache), and its own flags; empty where there are none."""

    launcher: str
    executable: str
    flags: str


def compiler() -> Compiler:
    """That of ``CXX``, which may hold flags as for CMake; else the first of those usual that is on the path.

    Raises:
        InputError: ``CXX`` has a quotation that does not end.
    """
    given = os.environ.get("CXX", "").strip()
    if not given:
        usual = ("c++", "g++", "clang++")
        return Compiler("", next(filter(shutil.which, usual), usual[0]), "")
    if pathlib.Path(given).is_file():
        return Compiler("", given, "")
    try:
        words = shlex.split(given)
    except ValueError as error:
        raise InputError(f"CXX: found {given} ({error}), expected a compiler and its flags") from error
    launcher = words.pop(0) if len(words) > 1 and not words[1].startswith("-") else ""
    return Compiler(launcher, words[0], " ".join(words[1:]))


def variables(build_type: CMakeBuildType) -> dict[str, str]:
    """The environment's of a build with `compiler` and its flags; ``CXXFLAGS``, where set, replaces all others."""
    used = compiler()
    has_debug_info = build_type in (CMakeBuildType.DEBUG, CMakeBuildType.REL_WITH_DEB_INFO)
    flags = os.environ.get("CXXFLAGS") or _FLAGS.format(extra="-g" if has_debug_info else "-fno-tree-vectorize")
    values = {"CXX": used.executable, "CXXFLAGS": f"{flags} {used.flags}".strip()}
    return values | ({"CMAKE_CXX_COMPILER_LAUNCHER": used.launcher} if used.launcher else {})


@functools.cache
def defines(macro: str) -> bool:
    """Whether the compiler, with the flags that programs are compiled with, defines a macro."""
    used = compiler()
    flags = shlex.split(variables(CMakeBuildType.RELEASE)["CXXFLAGS"])
    source = f"#ifndef {macro}\n#error\n#endif\nint main() {{}}"
    return _failure([used.executable, *flags], source) is None


def warn_of_flags() -> None:
    """Say where ``CXXFLAGS``, which conda sets, too, keeps programs from the processor's best instructions."""
    flags = os.environ.get("CXXFLAGS", "")
    if flags and "=native" not in flags:
        _warn(f"CXXFLAGS='{flags}' replaces this package's flags, -march=native among them: programs may be slower")


@functools.cache  # once
def _warn(message: str) -> None:
    logger.warning(message)


def cause(error: Exception, directory: pathlib.Path) -> str | None:
    """What is the matter with disk or compiler where a build failed; None where it is something else.

    Args:
        directory: where it was built.
    """
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    if full or any(message in str(error) for message in _NO_SPACE):
        free = shutil.disk_usage(directory).free / 2**20
        return f"no space is left in {directory} ({free:.0f} MiB free) or for temporary files, expected a few MiB"
    if not isinstance(error, (CompilationError, CompilerConfigurationError)):
        return None
    used = compiler()
    name = f"'{used.executable}' " + ("(CXX)" if os.environ.get("CXX") else "(CXX is not set)")
    if shutil.which(used.executable) is None:
        return f"found no C++ compiler {name}, {_EXPECTED}"
    for what, flags, source, expected in _TRIALS:
        if reason := _failure([used.executable, *used.flags.split(), *flags], source):
            return f"found no sign that the C++ compiler {name} {what} ({reason}), {expected}"
    return None


def _failure(command: list[str], source: str) -> str | None:
    """The first error of a compiler that makes a program of a source; None where it makes one."""
    with tempfile.TemporaryDirectory(prefix="ailand_gt4py-") as directory:
        command = [*command, "-x", "c++", "-", "-o", str(pathlib.Path(directory) / "trial")]
        try:
            trial = subprocess.run(command, input=source, capture_output=True, text=True, errors="replace", timeout=60)
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)
    if trial.returncode == 0:
        return None
    return next((line for line in trial.stderr.splitlines() if "error" in line), f"exit status {trial.returncode}")
