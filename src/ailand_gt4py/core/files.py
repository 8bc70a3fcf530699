"""Files that are written completely or not at all, by one process at a time.

While a file NAME.nc is written, ``.NAME.nc.ailand-lock`` (held by flock) and ``.NAME.nc.ailand-1a2b3c4d.nc`` lie beside
it. What a process that was killed left under such a name is removed by the next that writes NAME.nc.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import glob
import logging
import os
import re
import secrets
import shutil
import socket
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from ailand_gt4py.core.errors import InputError, RunError, reason

logger = logging.getLogger(__name__)

#: What is raised where the path is to blame, not the disk.
_UNWRITABLE = (PermissionError, FileNotFoundError, NotADirectoryError, IsADirectoryError)
#: How flock says that a file system has no locks.
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
#: Longest name of a file to write, bytes: with what is put around it, it must stay below 255.
LONGEST_NAME = 200
#: Ends the name under which an older output waits until the new one is in its place.
ASIDE = "-old"

_KINDS = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "directory",
    stat.S_IFCHR: "device",
    stat.S_IFBLK: "device",
    stat.S_IFIFO: "FIFO",
    stat.S_IFSOCK: "socket",
}

#: Files that this process has claimed.
_claimed: set[Path] = set()


#: A file, or several that belong together; a name with ``*``, ``?`` or ``[...]`` stands for all that match it.
Paths = str | Path | Sequence[str | Path]


def names_of(paths: Paths) -> str:
    """Files as messages call them."""
    return ", ".join(map(str, [paths] if isinstance(paths, str | Path) else paths))


def expanded(paths: Paths) -> list[Path]:
    """Files by their names, in the order given, those that match a pattern in the order of their names.

    Raises:
        InputError: nothing matches a pattern, or a file is there twice.
    """
    found: list[Path] = []
    for one in [paths] if isinstance(paths, str | Path) else paths:
        matching = [Path(one)]
        if not Path(one).exists() and glob.has_magic(str(one)):
            matching = sorted(map(Path, glob.glob(str(one))))  # noqa: PTH207  # as a shell matches
            if not matching:
                raise InputError(f"{one}: no file matches, expected at least one")
        for path in matching:
            if path in found:
                raise InputError(f"{path}: is given twice, expected each file once")
            found.append(path)
    return found


@contextlib.contextmanager
def writing(path: Path, what: str) -> Iterator[None]:
    """Turn what goes wrong with a file into one clear line of a `RunError`."""
    try:
        yield
    except RunError:
        raise
    except (OSError, RuntimeError) as error:  # netCDF4 raises RuntimeError for what HDF5 reports
        found = reason(error)
        if getattr(error, "errno", None) in (None, errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            with contextlib.suppress(OSError):
                found += f" ({shutil.disk_usage(path.parent).free / 2**20:.0f} MiB are free there)"
        raise RunError(f"{path}: {what} failed: {found}") from error


def sync_path(path: Path) -> None:
    """Wait until a file or directory is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove(path: Path) -> None:
    """Remove a file or a directory, if there is one."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def is_store(path: Path) -> bool:
    """Whether a path is a directory with zarr metadata."""
    return path.is_dir() and any((path / name).exists() for name in (".zgroup", ".zmetadata", "zarr.json"))


def temporary_beside(path: Path, more: str = "") -> Path:
    """A name that nothing has, for what is to become a file, or was it; with its suffix, by which formats go."""
    return path.with_name(f".{path.name}.ailand-{secrets.token_hex(4)}{more}{path.suffix}")


@contextlib.contextmanager
def whole_file(path: Path, doing: str) -> Iterator[Path]:
    """A temporary name for a file that gets its own name once the block has written it.

    Raises:
        InputError: the path cannot be written to, is no regular file, or another process is writing it.
        RunError: writing failed; there is no file then, or the older one.
    """
    _check_name(path)
    temporary = temporary_beside(path)
    try:
        with writing(path, doing), contextlib.nullcontext() if _own_name(path) in _claimed else _locked(path):
            try:
                yield temporary
                sync_path(temporary)
                temporary.replace(path)
                sync_path(path.parent)
            finally:
                with contextlib.suppress(OSError):
                    temporary.unlink()
    except RunError as error:
        if isinstance(error.__cause__, _UNWRITABLE):
            found = reason(error.__cause__)
            raise InputError(f"{path}: cannot be written: {found}; expected a writable path") from error
        raise


@contextlib.contextmanager
def claimed(paths: Sequence[Path], inputs: Iterable[Path | None] = ()) -> Iterator[None]:
    """Hold files for this process, which is going to write them; nothing is computed or touched before.

    Raises:
        InputError: a path cannot be written to, is no regular file (nor a store, NAME.zarr), is one of the inputs or
            there twice, or another process holds it.
    """
    files = [given for given in inputs if given is not None]
    for index, path in enumerate(paths):
        if os.path.realpath(path) in map(os.path.realpath, paths[:index]):
            raise InputError(f"{path}: is to be written twice, expected different names for all that is written")
        check_no_input(path, files)
        _check_name(path)
        if not path.parent.is_dir():
            raise InputError(f"{path}: cannot be written: '{path.parent}' is no directory, expected an existing one")
    own_names = {_own_name(path) for path in paths}
    with contextlib.ExitStack() as stack:
        for path in paths:
            try:
                stack.enter_context(_locked(path))
            except OSError as error:
                raise InputError(
                    f"{path}: cannot be written: {error.strerror}, expected a directory that can be written to"
                ) from error
        _claimed.update(own_names)
        stack.callback(_claimed.difference_update, own_names)
        yield


def check_no_input(path: Path, inputs: Iterable[Path]) -> None:
    """Check that what is written at a path replaces none of the inputs, and is not put into a store among them."""
    target = Path(os.path.realpath(path))
    for given in inputs:
        source = Path(os.path.realpath(given))
        is_same = target.exists() and source.exists() and target.samefile(source)
        if is_same or source.is_relative_to(target) or (target.is_relative_to(source) and is_store(source)):
            raise InputError(f"{path}: is both an input and to be written, expected another name for what is written")


def _own_name(path: Path) -> Path:
    """Of the path itself, also where that is a symbolic link."""
    return Path(os.path.realpath(path.parent), path.name)


def _check_name(path: Path) -> None:
    """Check that a file can be made or replaced at a path: nothing, a regular file, or a directory NAME.zarr."""
    length = len(os.fsencode(path.name))
    if not 0 < length <= LONGEST_NAME:
        raise InputError(f"{path}: has a name of {length} bytes, expected 1 to {LONGEST_NAME}")
    if not os.path.lexists(path):
        return
    try:
        found = _KINDS.get(stat.S_IFMT(path.stat().st_mode), "special file")
    except OSError:
        found = "symbolic link to nothing"
    if found != "file" and not (found == "directory" and path.suffix.lower() == ".zarr"):
        raise InputError(f"{path}: exists and is a {found}, expected a file name")


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock of a file, having removed what killed processes have left of it."""
    lock = path.with_name(f".{path.name}.ailand-lock")
    descriptor = _acquired(path, lock)
    try:
        yield
    finally:
        # While it is held: whoever opened this file and waits finds that it is not the one of that name any more.
        with contextlib.suppress(OSError):
            lock.unlink()
        os.close(descriptor)


def _acquired(path: Path, lock: Path) -> int:
    """The descriptor of a lock that is held by this process."""
    while True:
        try:
            descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
        except OSError as error:
            if not os.path.lexists(lock):
                raise
            raise InputError(f"{lock}: cannot be held as a lock: {error.strerror}; expected no such file") from error
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise InputError(f"{lock}: exists and is no file of this program, expected none")
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(descriptor), lock.stat()):
                    _remove_leftovers(path)
                    with contextlib.suppress(OSError):  # no space left: it is held all the same
                        os.ftruncate(descriptor, 0)
                        os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode())
                    return descriptor
        except BlockingIOError:
            holder = os.pread(descriptor, LONGEST_NAME, 0).decode(errors="replace").strip() or "another process"
            os.close(descriptor)
            raise InputError(
                f"{path}: is being written by {holder}; expected another name, or that run ended"
            ) from None
        except OSError as error:
            if error.errno in _NO_LOCKS:
                logger.warning("%s: no locks in this file system: another run on it is not noticed", path)
                return descriptor
            os.close(descriptor)
            raise
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _remove_leftovers(path: Path) -> None:
    """Remove what a process that was killed has left, or put the older output back that it had set aside."""
    name, suffix = re.escape(path.name), re.escape(path.suffix)
    own = re.compile(rf"\.{name}\.ailand-[0-9a-f]{{8}}({ASIDE})?{suffix}")
    with contextlib.suppress(OSError):  # of another user: they harm nobody
        for item in list(path.parent.iterdir()):
            found = own.fullmatch(item.name)
            if found and found[1] and not path.exists():
                item.replace(path)
            elif found:
                remove(item)
