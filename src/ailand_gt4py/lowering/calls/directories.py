"""Directories from which compiled programs come: which they are, and that nobody else can write there."""

from __future__ import annotations

import functools
import grp
import hashlib
import importlib.metadata
import itertools
import logging
import os
import pathlib
import platform
import pwd
import stat
import tempfile
from collections.abc import Iterator

from gt4py.next import config

from ailand_gt4py.core.errors import InputError, RunError

logger = logging.getLogger(__name__)

#: Names directories, separated as in ``PATH``, that are used although others can write there.
TRUSTED = "AILAND_TRUSTED_CACHE"

#: A thousand times the size of any file of a compiled program [byte].
_LARGEST = 2**30


def cache_directory() -> pathlib.Path:
    """Where compiled programs are kept between processes; made, for the user alone, where it does not exist.

    ``GT4PY_BUILD_CACHE_DIR`` where it is set; else, below ``ailand_gt4py`` in the user's cache directory
    (``XDG_CACHE_HOME``, else ``~/.cache``), one directory for each kind of processor and each version of DaCe: programs
    are compiled for the processor at hand. What else matters (the program, this package's and GT4Py's code, the
    compiler's flags) is part of GT4Py's own key. Where it cannot be made, the user's directory among temporary files.

    Raises:
        InputError: others can write there.
        RunError: no directory can be made.
    """
    try:
        return made(_chosen())
    except OSError as error:
        return _among_temporary_files(f"{error.filename or 'a cache directory'} cannot be used ({error.strerror})")
    except RuntimeError as error:
        return _among_temporary_files(f"no cache directory is known ({error})")


def places(directory: pathlib.Path) -> Iterator[pathlib.Path]:
    """Where a program may be, or at last is made: a directory, and another one where it cannot be written to."""
    yield directory
    if not is_writable(directory):
        yield _among_temporary_files(f"{directory} does not hold all that is needed and cannot be written to")


def is_writable(directory: pathlib.Path) -> bool:
    """Whether files can be made there."""
    return os.access(directory, os.W_OK | os.X_OK)


def content(path: pathlib.Path) -> bytes | None:
    """Of a regular file that nobody else can change; None where there is none or it cannot be read.

    Raises:
        InputError: others can change it.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or status.st_size > _LARGEST:
                return None
            check_owner(path)
            return file.read()
    except OSError:
        return None


def check_owner(path: pathlib.Path) -> pathlib.Path:
    """Check that code may come from a file or directory: only the user and root can write to it and what is above it.

    Returns:
        It without symbolic links, which others might change later.

    Raises:
        InputError: others can.
    """
    resolved = path.resolve()
    trusted = [pathlib.Path(name).resolve() for name in os.environ.get(TRUSTED, "").split(os.pathsep) if name]
    if any(resolved.is_relative_to(directory) for directory in trusted):
        return resolved
    owners = {os.geteuid(), 0, pathlib.Path("/").stat().st_uid}  # root has another number in a user namespace
    is_private = False
    for part in (*reversed(resolved.parents), resolved):
        status = part.stat()
        found = None
        if status.st_uid not in owners:
            found = f"belongs to {_user(status.st_uid)}"
        elif not is_private and (who := _others_who_write(status, part == resolved)):
            found = f"can be written to by {who}"
        if found:
            raise InputError(
                f"{part}: {found}, and compiled programs are run from {path}: expected directories that only you and "
                f"root can write to, or {TRUSTED}={part if part == resolved else path} if you trust all who can"
            )
        is_private = is_private or not status.st_mode & (stat.S_IXGRP | stat.S_IXOTH)
    return resolved


def _others_who_write(status: os.stat_result, is_last: bool) -> str | None:
    """Who else can write; in a directory above with the sticky bit, others cannot replace what is the user's."""
    if status.st_mode & stat.S_ISVTX and stat.S_ISDIR(status.st_mode) and not is_last:
        return None
    if status.st_mode & stat.S_IWOTH:
        return "everybody"
    return "its group" if status.st_mode & stat.S_IWGRP and not _is_own_group(status) else None


def _is_own_group(status: os.stat_result) -> bool:
    """Whether the group is the owner's alone, as many systems give one to each user."""
    try:
        owner, group = pwd.getpwuid(status.st_uid).pw_name, grp.getgrgid(status.st_gid)
    except KeyError:
        return False
    return group.gr_name == owner and set(group.gr_mem) <= {owner}


def _user(number: int) -> str:
    try:
        return f"'{pwd.getpwuid(number).pw_name}'"
    except KeyError:
        return f"user {number}"


def _chosen() -> pathlib.Path:
    if "GT4PY_BUILD_CACHE_DIR" in os.environ:
        return pathlib.Path(config.BUILD_CACHE_DIR)
    base = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
    return base / "ailand_gt4py" / _machine()


def made(directory: pathlib.Path) -> pathlib.Path:
    """A directory, made for the user alone where it does not exist; errors as of `check_owner`, and OSError."""
    missing = itertools.takewhile(lambda path: not path.is_dir(), (directory, *directory.parents))
    for path in reversed(list(missing)):
        path.mkdir(mode=0o700, exist_ok=True)
    return check_owner(directory)


def _among_temporary_files(reason: str) -> pathlib.Path:
    """The user's directory there, with a warning."""
    try:
        directory = made(pathlib.Path(tempfile.gettempdir()) / f"ailand_gt4py-{os.geteuid()}" / _machine())
    except OSError as error:
        raise RunError(
            f"{reason}, nor can {error.filename or 'a temporary directory'} ({error.strerror}); "
            "expected XDG_CACHE_HOME or TMPDIR to name a directory that can be written to"
        ) from error
    _warn(f"{reason}: compiled programs are kept in {directory}; set XDG_CACHE_HOME to a directory of your own")
    return directory


@functools.cache  # once
def _warn(message: str) -> None:
    logger.warning(message)


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
