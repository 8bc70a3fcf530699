"""Files of others: what may be opened at all, and netCDF files first opened in a process of their own.

The netCDF and HDF5 libraries trust a file: damaged ones make them loop for ever, reserve any memory, or crash, some of
them only as the process ends. A digest in the file would guard against damage, not against who writes both, and older
files have none. So a helper, one for each process and started when it is first needed, forks a child for each
file; the child opens it under limits of time and memory, reads it and ends, and only a file that it survived is opened
here. That costs a few milliseconds a file and changes no format.

The helper is this module run as a script: it imports nothing of the package.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import errno
import json
import logging
import math
import os
import resource
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

#: What reading a file may take, bytes: this many for each of its own, and some beside.
BYTES_PER_BYTE, SPARE_BYTES = 10, 100 * 2**20

#: Seconds of processor time, and of a clock, that a child has beside those that a large file takes.
CPU_SECONDS, CLOCK_SECONDS = 3, 60
_BYTES_PER_SECOND = 100 * 2**20

#: A chunk of more bytes is not read by a trial that reads no whole file.
_LARGEST_CHUNK = 16 * 2**20

#: What HDF5 1.14 holds for each chunk of what is read at once, beside the chunk.
BYTES_PER_CHUNK = 7000

_KINDS = {
    stat.S_IFIFO: "named pipe",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "device",
    stat.S_IFBLK: "device",
}

logger = logging.getLogger(__name__)


class UnusableFileError(OSError):
    """What is wrong with a file, in words."""


def require_regular(path: str | os.PathLike[str]) -> int:
    """Bytes of a regular file, holes not counted; a pipe, which may never end, and a device are refused unread."""
    status = Path(path).stat()
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(status.st_mode):
        kind = _KINDS.get(stat.S_IFMT(status.st_mode), "special file")
        raise UnusableFileError(f"found a {kind}, expected a regular file")
    # What has nearly all its blocks need not be gone through.
    return status.st_size if status.st_blocks * 1024 >= status.st_size else _without_holes(path)


def _without_holes(path: str | os.PathLike[str]) -> int:
    count = end = 0
    with Path(path).open("rb") as file, contextlib.suppress(OSError):  # which is raised after the last data
        while True:
            start = os.lseek(file.fileno(), end, os.SEEK_DATA)
            end = os.lseek(file.fileno(), start, os.SEEK_HOLE)
            count += end - start
    return count


def most_bytes(size: int) -> int:
    """What reading a file of this size may take."""
    return BYTES_PER_BYTE * size + SPARE_BYTES


def require_data(path: str | os.PathLike[str]) -> int:
    """The length of a regular file that is no hole."""
    size, length = require_regular(path), Path(path).stat().st_size
    if length > most_bytes(size):
        raise UnusableFileError(f"found {length} bytes, nearly all of them a hole, expected a file of data")
    return length


def read_whole(path: str | os.PathLike[str]) -> bytes:
    """The bytes of a regular file that is no hole."""
    length = require_data(path)
    with Path(path).open("rb") as file:
        return file.read(length)


def try_netcdf(path: str | os.PathLike[str], *, whole: bool) -> None:
    """Open a netCDF file in another process and read it, all of it or of each variable the first and last value.

    Raises:
        OSError: it is no regular file, or the library fails on it, does not come to an end, takes too much memory or
            crashes; the message says which.
    """
    size = require_regular(path)
    request = {"path": str(Path(path).absolute()), "whole": whole, "memory": most_bytes(size)}
    request["seconds"] = CPU_SECONDS + size // _BYTES_PER_SECOND
    answer = _HELPER.ask(request)
    if answer is None:
        return
    status, reason = answer
    if status in (-signal.SIGXCPU, -signal.SIGALRM, -signal.SIGKILL):
        reason = f"the netCDF library does not come to an end with it in {request['seconds']} s"
    elif status:
        reason = f"the netCDF library crashes on it ({signal.Signals(-status).name if status < 0 else status})"
    if reason:
        raise UnusableFileError(reason)


class _Helper:
    """The process that forks a child for each file."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._owner = 0

    def ask(self, request: dict[str, Any]) -> tuple[int, str] | None:
        """How a child ended and what it said; None where there can be no helper."""
        with self._lock:
            if self._owner != os.getpid():  # a process that was forked has a helper of its own
                self._process, self._owner = _start(), os.getpid()
            if self._process is None:
                return None
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            try:
                self._process.stdin.write(json.dumps(request) + "\n")
                self._process.stdin.flush()
                status, reason = json.loads(self._process.stdout.readline())
                return int(status), str(reason)
            except BaseException as error:
                self._owner = 0  # an answer may come yet, which is none to the next question
                if isinstance(error, OSError | ValueError):
                    raise UnusableFileError("the process that was to open it first has died") from error
                raise


def _start() -> subprocess.Popen[str] | None:
    # The interpreter within a host model may be the host itself.
    if not Path(sys.executable or "").name.startswith(("python", "pypy")):
        logger.warning("netCDF files are opened without a trial: this is no process of Python's own")
        return None
    found = [str(Path(part).absolute()) for part in sys.path if part]
    process = subprocess.Popen(
        # Isolated: neither the working directory nor the environment adds modules.
        [sys.executable, "-I", __file__, json.dumps(found)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True,
    )  # fmt: skip
    atexit.register(_stop, process)
    return process


def _stop(process: subprocess.Popen[str]) -> None:
    for stream in (process.stdin, process.stdout):
        assert stream is not None
        with contextlib.suppress(OSError):  # it may have died
            stream.close()
    process.wait()


_HELPER = _Helper()


def _serve() -> None:
    """Answer requests, a line of JSON each, with how the child ended and what it said."""
    sys.path[:] = json.loads(sys.argv[1])
    import netCDF4

    for line in sys.stdin:
        request = json.loads(line)
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            os.close(reading)
            reason = _limited(netCDF4, request)
            os.write(writing, reason.encode("utf-8", "backslashreplace")[:500])
            # To the end of a process, where some files make the library crash; Python's own end takes its time.
            ctypes.CDLL(None).exit(0)
        os.close(writing)
        with os.fdopen(reading, encoding="utf-8", errors="replace") as answer:
            reason = answer.read()
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print(json.dumps([status, reason]), flush=True)


def _limited(netCDF4: Any, request: dict[str, Any]) -> str:  # noqa: N803
    """Read a file under the limits of a request; why it cannot be read, empty where it can."""
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + request["memory"],) * 2)
    resource.setrlimit(resource.RLIMIT_CPU, (request["seconds"], request["seconds"] + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.alarm(CLOCK_SECONDS + request["seconds"])
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    try:
        with netCDF4.Dataset(request["path"]) as dataset:
            _read(dataset, request["whole"], request["memory"])
    except MemoryError:
        return f"reading it takes more than {request['memory'] / 2**20:.0f} MiB, which is too much for its size"
    except Exception as error:
        return " ".join(str((isinstance(error, OSError) and error.strerror) or error).split()) or type(error).__name__
    return ""


def _read(group: Any, whole: bool, memory: int) -> None:
    """Read a group, the groups in it and all attributes; values wholly or, as far as that works, one at each end.

    What has one dimension, as labels of columns and times, is read wholly in any case, and needed more than once.
    """
    group.set_auto_maskandscale(False)
    for key in group.ncattrs():
        group.getncattr(key)
    for variable in group.variables.values():
        for key in variable.ncattrs():
            variable.getncattr(key)
        if not variable.size:
            continue
        if whole:
            variable[...]
            continue
        itemsize = getattr(variable.dtype, "itemsize", 16)
        chunks = variable.chunking()
        per_chunk = math.prod(map(int, chunks)) if isinstance(chunks, list) else 0
        n_chunks = math.ceil(variable.size / per_chunk) if per_chunk else 0
        if variable.ndim <= 1 and max(4 * variable.size * itemsize, n_chunks * BYTES_PER_CHUNK) > memory:
            raise MemoryError
        at_once = per_chunk * itemsize
        try:
            if variable.ndim <= 1:
                variable[...]
            elif at_once <= _LARGEST_CHUNK:
                variable[(0,) * variable.ndim]
                variable[(-1,) * variable.ndim]
        except MemoryError:
            raise
        except Exception:  # said with the variable's name where it is asked for
            pass
    for inner in group.groups.values():
        _read(inner, whole, memory)


if __name__ == "__main__":
    _serve()
