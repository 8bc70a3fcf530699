"""Archives (.zip) of files that belong together, as the Climate Data Store delivers fields of two types of step.

The files are unpacked to a temporary directory, which goes when the data set is closed or the program ends.
"""

from __future__ import annotations

import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import xarray as xr

from ailand_gt4py.core.errors import InputError, reason
from ailand_gt4py.core.trial import most_bytes
from ailand_gt4py.io import opening
from ailand_gt4py.io.opening import OPENERS, Opener

#: How the names of files that can be read end.
ENDS = (".nc", ".nc4", ".grib", ".grib2", ".grb")

#: Directories that are in use: what is made of a data set does not hold them.
_in_use: set[tempfile.TemporaryDirectory[str]] = set()


def recognises(path: Path) -> bool:
    """Whether a file is an archive of files, and not a zarr store in one."""
    try:
        if not zipfile.is_zipfile(path):
            return False
        with zipfile.ZipFile(path) as archive:
            return bool(_members(archive))
    except (OSError, zipfile.BadZipFile):
        return False


def _members(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    return [one for one in archive.infolist() if one.filename.lower().endswith(ENDS) and not one.is_dir()]


def open_archive(path: Path) -> xr.Dataset:
    """The variables of all files in an archive as one data set.

    Raises:
        InputError: it cannot be unpacked; a file cannot be opened; files of other times or grids than the first.
    """
    directory = tempfile.TemporaryDirectory(prefix="ailand_archive_")
    _in_use.add(directory)
    opened: list[xr.Dataset] = []

    def close() -> None:
        for one in opened:
            one.close()
        directory.cleanup()
        _in_use.discard(directory)

    try:
        for file in _unpacked(path, Path(directory.name)):
            opened.append(opening.open_file(file)[0])
        return _together(path, opened, close)
    except BaseException:
        close()
        raise


def _unpacked(path: Path, directory: Path) -> list[Path]:
    with zipfile.ZipFile(path) as archive:
        members = _members(archive)
        total, most = sum(one.file_size for one in members), most_bytes(path.stat().st_size)
        if total > most:
            raise InputError(
                f"{path}: would unpack to {total / 2**20:.0f} MiB, expected at most {most / 2**20:.0f} MiB of an "
                "archive of that size (or unpack it yourself and give the files)"
            )
        free = shutil.disk_usage(directory).free
        if total > free:
            raise InputError(
                f"{path}: unpacks to {total / 2**20:.0f} MiB, but {directory.parent} has {free / 2**20:.0f} MiB free; "
                "expected room (TMPDIR names another directory), or the files themselves"
            )
        files = []
        for number, one in enumerate(members):
            files.append(directory / f"{number}_{Path(one.filename).name}")
            try:
                with archive.open(one) as source, files[-1].open("wb") as target:
                    shutil.copyfileobj(source, target)
            except (OSError, zipfile.BadZipFile, RuntimeError, EOFError, zlib.error) as error:
                raise InputError(
                    f"{path}: '{one.filename}' cannot be unpacked ({reason(error)}); expected an undamaged archive"
                ) from error
        return files


def _together(path: Path, opened: list[xr.Dataset], close: Callable[[], None]) -> xr.Dataset:
    try:
        result = xr.merge(opened, join="exact", compat="override", combine_attrs="override")
    except ValueError as error:
        raise InputError(
            f"{path}: its files are of different times or grids ({reason(error)}); expected the same, or unpack it and "
            "give the files that are wanted"
        ) from error
    result.set_close(close)
    return result


OPENERS.add(Opener("zip", recognises, open_archive))
