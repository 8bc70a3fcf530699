"""Files that are written completely or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from ailand_gt4py.core.errors import InputError, RunError

#: What is raised where the path is to blame, not the disk.
_UNWRITABLE = (PermissionError, FileNotFoundError, NotADirectoryError, IsADirectoryError)


@contextlib.contextmanager
def writing(path: Path, what: str) -> Iterator[None]:
    """Turn what goes wrong with a file into one clear line of a `RunError`."""
    try:
        yield
    except RunError:
        raise
    except (OSError, RuntimeError) as error:  # netCDF4 raises RuntimeError for what HDF5 reports
        reason = getattr(error, "strerror", None) or " ".join(str(error).split()) or type(error).__name__
        if getattr(error, "errno", None) in (None, errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            with contextlib.suppress(OSError):
                reason += f" ({shutil.disk_usage(path.parent).free / 2**20:.0f} MiB are free there)"
        raise RunError(f"{path}: {what} failed: {reason}") from error


def sync_path(path: Path) -> None:
    """Wait until a file or directory is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def whole_file(path: Path, doing: str) -> Iterator[Path]:
    """A temporary name for a file that gets its own name once the block has written it.

    Raises:
        InputError: the path cannot be written to.
        RunError: writing failed; there is no file then, or the older one.
    """
    temporary = path.with_name(f".{path.stem[:100]}.{os.getpid()}.partial{path.suffix}")
    try:
        with writing(path, doing):
            yield temporary
            sync_path(temporary)
            temporary.replace(path)
            sync_path(path.parent)
    except RunError as error:
        if isinstance(error.__cause__, _UNWRITABLE):
            reason = error.__cause__.strerror or type(error.__cause__).__name__
            raise InputError(f"{path}: cannot be written: {reason}; expected a writable path") from error
        raise
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def check_target(path: Path, inputs: Sequence[Path | None] = ()) -> None:
    """Check, before anything is computed, that a file can be written and replaces none of the inputs."""
    if any(given is not None and os.path.realpath(path) == os.path.realpath(given) for given in inputs):
        raise InputError(f"{path}: is both an input and to be written, expected another name for what is written")
    if path.is_dir() and path.suffix.lower() != ".zarr":
        raise InputError(f"{path}: exists and is a directory, expected a file name")
    if not path.parent.is_dir():
        raise InputError(f"{path}: cannot be written: '{path.parent}' is no directory, expected an existing one")
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise InputError(
            f"{path}: cannot be written: {error.strerror}, expected a directory that can be written to"
        ) from error
