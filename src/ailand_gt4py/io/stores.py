"""Zarr stores of others, looked at before zarr opens them: what is in them, how large it says it is, and its codecs.

A store is a directory of files or a zip archive of them, and its metadata are JSON that may ask for anything: arrays
larger than any memory, and a codec that unpickles, which is to run what the store's maker likes.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ailand_gt4py.core.errors import reason
from ailand_gt4py.core.trial import UnusableFileError, most_bytes, read_whole, require_regular

#: Files of a store that hold metadata, of which none is larger than this.
METADATA = (".zarray", ".zattrs", ".zgroup", ".zmetadata", "zarr.json")
_LARGEST_METADATA = 64 * 2**20

#: Files whose sizes are asked for; a store of more is large enough.
_MOST_COUNTED = 100_000


def check_store(path: Path) -> int:
    """Bytes in a store, all of it fit to be opened.

    Raises:
        UnusableFileError: something in it is no regular file, larger than the store can hold, or asks for a codec
            that runs code.
    """
    size, texts = _of_archive(path) if path.is_file() else _of_directory(path)
    for name, text in texts:
        try:
            content = json.loads(text)
        except RecursionError as error:
            raise UnusableFileError(f"'{name}' is nested too deeply, expected a store's metadata") from error
        except ValueError as error:
            raise UnusableFileError(f"'{name}' is no JSON ({error}), expected a store's metadata") from error
        for part in _objects(content):
            _check_part(name, part, size)
    return size


@dataclasses.dataclass(frozen=True)
class LostChunks:
    """Chunks that a store lacks of an array that has no fill value, so that nothing says what they hold.

    Attributes:
        chunks: lengths of a chunk along the array's dimensions. positions: of those that are not there.
    """

    chunks: tuple[int, ...]
    positions: frozenset[tuple[int, ...]]


def lost_chunks(path: Path) -> dict[str, LostChunks]:
    """The chunks that are lost of the arrays of a checked store's root, by the arrays' names.

    Only arrays of format 2 can be without a fill value; where there is one, what is equal to it need not be stored.
    """
    result = {}
    for name, keys, text in _arrays(path):
        content = json.loads(text)
        shape, chunks = _extents(content.get("shape")), _extents(content.get("chunks"))
        if content.get("fill_value") is not None or not shape or len(shape) != len(chunks) or not all(chunks):
            continue
        numbers = [-(-length // chunk) for length, chunk in zip(shape, chunks, strict=True)]
        separator = content.get("dimension_separator", ".")
        positions = itertools.product(*map(range, numbers))
        lost = frozenset(one for one in positions if separator.join(map(str, one)) not in keys)
        if lost:
            result[name] = LostChunks(tuple(chunks), lost)
    return result


def _arrays(path: Path) -> Iterator[tuple[str, set[str], bytes]]:
    """Name, names of the files and metadata (format 2) of each array of a store's root."""
    if path.is_file():
        with zipfile.ZipFile(path) as archive:
            files: dict[str, set[str]] = {}
            for member in archive.namelist():
                array, _, name = member.partition("/")
                files.setdefault(array, set()).add(name)
            for array, names in files.items():
                if ".zarray" in names:
                    yield array, names, archive.read(f"{array}/.zarray")
        return
    for folder in path.iterdir():
        metadata = folder / ".zarray"
        if metadata.is_file():
            yield folder.name, set(_names(folder)), metadata.read_bytes()


def _names(folder: Path) -> Iterator[str]:
    """Of the files in a directory and its directories, as from it, with slashes."""
    for directory, _, names in os.walk(folder):
        prefix = Path(directory).relative_to(folder).as_posix()
        yield from names if prefix == "." else (f"{prefix}/{name}" for name in names)


def attributes(path: Path) -> Any:
    """Attributes of a store's root (format 2, or 3), as JSON has them; None where it has none, or is no store."""
    if not (path.is_dir() or (path.is_file() and zipfile.is_zipfile(path))):
        return None
    for name in (".zattrs", "zarr.json"):
        text = _at_root(path, name)
        if text is not None:
            content = json.loads(text)
            return content if name == ".zattrs" else content.get("attributes")
    return None


def _at_root(path: Path, name: str) -> bytes | None:
    """The metadata of this name of a store's root; None where there are none."""
    if path.is_file():
        return next((text for found, text in _of_archive(path)[1] if found == name), None)
    file = path / name
    if not os.path.lexists(file):
        return None
    _require_small(name, file.stat().st_size)
    return read_whole(file)


def _of_directory(path: Path) -> tuple[int, Iterator[tuple[str, bytes]]]:
    size = count = 0
    metadata: list[Path] = []
    for directory, _, names in os.walk(path):
        for name in names:
            file, count = f"{directory}/{name}", count + 1  # a store may have many: no Path of each
            if count <= _MOST_COUNTED or name in METADATA:
                try:
                    size += require_regular(file)
                except FileNotFoundError:
                    raise UnusableFileError(
                        f"'{os.path.relpath(file, path)}' points to nothing, expected a file"
                    ) from None
                except OSError as error:
                    raise UnusableFileError(f"'{os.path.relpath(file, path)}': {reason(error)}") from error
            if name in METADATA:
                metadata.append(Path(file))
                _require_small(name, metadata[-1].stat().st_size)
    return size, ((str(file.relative_to(path)), file.read_bytes()) for file in metadata)


def _of_archive(path: Path) -> tuple[int, Iterator[tuple[str, bytes]]]:
    size = require_regular(path)
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
    if sum(member.compress_size for member in members) > size:
        raise UnusableFileError("the archive's members overlap, expected each alone")
    for member in members:
        is_metadata = Path(member.filename).name in METADATA
        if is_metadata:
            _require_small(member.filename, member.file_size)
        if member.file_size > most_bytes(size):
            raise UnusableFileError(
                f"'{member.filename}' has {member.file_size} bytes in an archive of {size}, expected fewer"
            )

    def texts() -> Iterator[tuple[str, bytes]]:
        with zipfile.ZipFile(path) as archive:
            for member in members:
                if Path(member.filename).name in METADATA:
                    yield member.filename, archive.read(member)

    return size, texts()


def _require_small(name: str, size: int) -> None:
    if size > _LARGEST_METADATA:
        raise UnusableFileError(f"'{name}' has {size} bytes, expected a store's metadata, at most {_LARGEST_METADATA}")


def _objects(content: Any) -> Iterator[dict[str, Any]]:
    """All objects within JSON, itself too."""
    waiting = [content]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            yield part
            waiting += part.values()
        elif isinstance(part, list):
            waiting += part


def _check_part(name: str, part: dict[str, Any], size: int) -> None:
    for key in ("id", "name"):
        if "pickle" in str(part.get(key, "")).lower():
            raise UnusableFileError(f"'{name}' asks for the codec '{part[key]}', which runs code, expected a plain one")
    shape = _extents(part.get("shape"))
    grid = part.get("chunk_grid")
    configuration = grid.get("configuration") if isinstance(grid, dict) else None
    chunks = _extents(part.get("chunks", configuration.get("chunk_shape") if isinstance(configuration, dict) else None))
    itemsize = _itemsize(part.get("dtype", part.get("data_type")))
    # What has one dimension is read whole, as labels are, and more than once; of others a chunk at least.
    at_once = [math.prod(chunks) * itemsize if chunks else 0, 4 * shape[0] * itemsize if len(shape) == 1 else 0]
    if max(at_once) > most_bytes(size):
        raise UnusableFileError(
            f"'{name}' tells of an array {tuple(shape)} in chunks of {tuple(chunks)} in a store of {size} bytes, "
            "expected a smaller one"
        )


def _extents(found: Any) -> list[int]:
    is_shape = isinstance(found, list) and all(isinstance(extent, int) for extent in found)
    return [max(extent, 0) for extent in found] if is_shape else []


def _itemsize(found: Any) -> int:
    """Bytes of a value of this type, as far as can be told; of a type of format 3, what its configuration says."""
    if isinstance(found, dict):
        return max([8, *(value for part in _objects(found) for value in part.values() if isinstance(value, int))])
    try:
        return max(np.dtype(found).itemsize, 1)
    except (TypeError, ValueError):
        return 8
