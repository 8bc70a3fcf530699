"""NetCDF files open in this process, each once, whoever reads it.

A run's forcing is also its reference, and the parts of a run open its files one after another. The netCDF library,
with HDF5 1.14 and 2.2 alike, crashes when a file that is open is opened again, read, closed and opened once more.
"""

from __future__ import annotations

import dataclasses
import os
import threading
from collections.abc import Callable
from pathlib import Path

import xarray as xr

#: A file as it is now, in this process: device, inode, time of its last change in nanoseconds, bytes, process.
_Key = tuple[int, int, int, int, int]


@dataclasses.dataclass
class _Handle:
    dataset: xr.Dataset
    users: int = 0


_LOCK = threading.Lock()
_HANDLES: dict[_Key, _Handle] = {}


def shared(path: Path, open_it: Callable[[], xr.Dataset]) -> xr.Dataset:
    """What is in a file, unread; the file is closed when all that were given it are.

    Args:
        open_it: opens the file, if nobody has.
    """
    status = path.stat()
    key = status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size, os.getpid()
    with _LOCK:
        handle = _HANDLES.get(key)
        if handle is None:
            handle = _HANDLES[key] = _Handle(open_it())
        handle.users += 1
    result = handle.dataset.copy(deep=False)
    result.set_close(_Release(key))
    return result


class _Release:
    """Gives a file back, once: data sets made of one another may be closed each."""

    def __init__(self, key: _Key) -> None:
        self._key: _Key | None = key

    def __call__(self) -> None:
        with _LOCK:
            key, self._key = self._key, None
            handle = _HANDLES.get(key) if key is not None else None
            if key is None or handle is None:
                return
            handle.users -= 1
            if handle.users == 0:
                del _HANDLES[key]
                handle.dataset.close()
