"""Reads the tensors of a PyTorch or Lightning checkpoint without PyTorch and without running anything in the file.

PyTorch (since 1.6) writes a zip archive, uncompressed: ``<root>/data.pkl`` is a pickle of the saved object, in which
each tensor names its storage ``<root>/data/<key>``, raw values whose byte order ``<root>/byteorder`` names. The pickle
is read by `inert_pickle`: a Lightning file with callbacks or optimiser states of whatever classes is readable, and a
hostile one has no effect.
"""

from __future__ import annotations

import collections
import contextlib
import functools
import os
import struct
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ailand_gt4py.core.errors import InputError, reason
from ailand_gt4py.core.trial import require_regular
from ailand_gt4py.weights.checkpoints.inert_pickle import Tensor, describe, unpickle

#: Storage classes of PyTorch -> type of the values in the file; bfloat16 is read as its bits.
STORAGE_TYPES = {
    "DoubleStorage": "f8",
    "FloatStorage": "f4",
    "HalfStorage": "f2",
    "BFloat16Storage": "u2",
    "LongStorage": "i8",
    "IntStorage": "i4",
    "ShortStorage": "i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}

#: First bytes of the files that PyTorch wrote before version 1.6 (a pickled magic number).
_LEGACY_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."

#: A pickle of more bytes is no checkpoint of a network (the published ones have 2 to 150 kB): some, and a fraction of
#: the archive. One byte of it can make an object of 200.
_LARGEST_PICKLE, _LARGEST_FRACTION, _LARGEST_OF_ALL = 2**19, 1 / 20, 2**22

#: More tensors, or longer names, are no network's of these kinds.
_MOST_TENSORS, _LONGEST_NAME = 2000, 500

#: Bytes of a member that are read at once.
_CHUNK = 2**20


@contextlib.contextmanager
def _reading(file: BinaryIO) -> Iterator[None]:
    """Say of a damaged archive what it is."""
    try:
        yield
    except (zipfile.BadZipFile, EOFError, NotImplementedError, ValueError, struct.error, OverflowError) as error:
        raise InputError(
            f"found {os.fstat(file.fileno()).st_size} bytes that are no complete zip archive ({error}), expected a "
            "file written by torch.save or Lightning"
        ) from error


class TorchArchive:
    """An archive in a file that is open as long as this is used; ``names``: of its members."""

    def __init__(self, file: BinaryIO) -> None:
        if file.read(len(_LEGACY_MAGIC)) == _LEGACY_MAGIC:
            raise InputError(
                "found the file format that PyTorch wrote before version 1.6, expected the zip archive of later "
                "versions; load and save it again with a recent PyTorch"
            )
        self._file = file
        with _reading(file):
            self._archive = zipfile.ZipFile(file)
        self.names = self._archive.namelist()
        self._bytes = sum(info.compress_size for info in self._archive.infolist())
        if self._bytes > os.fstat(file.fileno()).st_size:
            raise InputError("the archive's members overlap: they are larger than itself together, expected each alone")
        roots = [
            name.removesuffix("data.pkl") for name in self.names if name == "data.pkl" or name.endswith("/data.pkl")
        ]
        if len(roots) != 1:
            raise InputError(
                f"the archive holds {len(roots)} members 'data.pkl', expected 1 as in a file of torch.save"
            )
        self._root = roots[0]

    def member(self, name: str) -> bytes:
        """One member's bytes, verified by the archive's CRC; its name is relative to the root of PyTorch's members."""
        return self.whole_member(f"{self._root}{name}")

    def whole_member(self, name: str) -> bytes:
        """The same by the member's whole name, as `names` has it."""
        with _reading(self._file):
            return self._archive.read(self._plain(name))

    def _plain(self, name: str) -> zipfile.ZipInfo:
        """What the archive says of a member that is as many bytes in it as it is said to be."""
        try:
            info = self._archive.getinfo(name)
        except KeyError as error:
            raise InputError(f"the archive has no member '{_printable(name)}', expected one") from error
        is_whole = info.file_size == info.compress_size
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1 or not is_whole:
            raise InputError(
                f"the archive's member '{_printable(name)}' is compressed or encrypted, expected it plain as PyTorch "
                "does"
            )
        return info

    def _values(self, dtype: np.dtype, key: str) -> np.ndarray:
        """The numbers of a storage, read once, chunk by chunk: a network's may be most of the memory there is."""
        info = self._plain(f"{self._root}data/{key}")
        numbers = np.empty(info.file_size // dtype.itemsize, dtype)
        content = numbers.view(np.uint8).data
        with _reading(self._file), self._archive.open(info) as member:
            for begin in range(0, len(content), _CHUNK):
                chunk = content[begin : begin + _CHUNK]
                chunk[:] = member.read(len(chunk))
            member.read()  # what is left is no number, and the CRC is of all
        return numbers

    @functools.cached_property
    def content(self) -> object:
        """The saved object, as `inert_pickle.unpickle` gives it."""
        size = os.fstat(self._file.fileno()).st_size
        largest = min(_LARGEST_PICKLE + int(_LARGEST_FRACTION * size), _LARGEST_OF_ALL)
        if self._archive.getinfo(f"{self._root}data.pkl").file_size > largest:
            raise InputError(f"the archive's 'data.pkl' is larger than {largest} bytes, expected a small one")
        return unpickle(self.member("data.pkl"))

    def state_dict(self) -> dict[str, np.ndarray]:
        """The tensors of a state dict, or of a dictionary with one as ``state_dict``, in the file's order."""
        content = self.content
        if not isinstance(content, dict):
            raise InputError(f"found {describe(content)}, expected a dictionary of tensors or one with 'state_dict'")
        tensors = content.get("state_dict", content)
        if not isinstance(tensors, dict) or not tensors:
            raise InputError(f"'state_dict': found {describe(tensors)}, expected a dictionary of tensors")
        if len(tensors) > _MOST_TENSORS:
            raise InputError(f"found {len(tensors)} tensors, expected at most {_MOST_TENSORS}")
        for name, tensor in tensors.items():
            if not (isinstance(name, str) and len(name) <= _LONGEST_NAME and isinstance(tensor, Tensor)):
                # Text of an integer of any length takes its time.
                shown = repr(name[:60]) if isinstance(name, str) else f"of the type {type(name).__name__}"
                raise InputError(f"entry {shown}: found {describe(tensor)}, expected a tensor")
        return self.arrays(tensors)

    def arrays(self, tensors: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
        """The values of tensors, each an array of its own."""
        is_ordered = f"{self._root}byteorder" in self.names
        order = self.member("byteorder").decode("ascii", "replace") if is_ordered else "little"
        if order not in ("little", "big"):
            raise InputError(f"the archive's byte order is {order[:20]!r}, expected 'little' or 'big'")
        uses = collections.Counter(tensor.storage for tensor in tensors.values())
        shared = functools.cache(self._values)
        left, arrays = self._bytes, {}
        for name, tensor in tensors.items():
            is_only = uses[tensor.storage] == 1
            arrays[name] = _array(order, name, tensor, self._values if is_only else shared, is_only)
            left -= arrays[name].size
            if left < 0:
                raise InputError(
                    f"the tensors have more numbers together than the archive has bytes, {self._bytes}: they share "
                    "their storages, expected each to have its own"
                )
        return arrays

    def facts(self) -> dict[str, str]:
        """``epoch``, ``global_step`` and ``pytorch-lightning_version``, where a Lightning file holds them."""
        names = ("epoch", "global_step", "pytorch-lightning_version")
        content = self.content if isinstance(self.content, dict) else {}
        found = {name: content.get(name) for name in names}
        return {name: str(value) for name, value in found.items() if _is_short(value)}


def _array(
    order: str, name: str, tensor: Tensor, values: Callable[[np.dtype, str], np.ndarray], is_only: bool
) -> np.ndarray:
    """A tensor's values as an array of its own; ``is_only``: of the tensors of its storage, whose memory it takes."""
    kind = tensor.storage.kind.removeprefix("torch.")
    if kind not in STORAGE_TYPES:
        raise InputError(f"tensor '{name}' is stored as {kind[:60]}, expected one of {', '.join(STORAGE_TYPES)}")
    numbers = values(np.dtype(STORAGE_TYPES[kind]).newbyteorder("<" if order == "little" else ">"), tensor.storage.key)
    size = int(np.prod(tensor.shape, dtype=object))
    last = tensor.offset + sum((n - 1) * stride for n, stride in zip(tensor.shape, tensor.strides, strict=True))
    # A view larger than its storage would repeat numbers: no weight is saved so, and it could be made huge.
    if size == 0 or last >= numbers.size or size > numbers.size:
        raise InputError(
            f"tensor '{name}' of the shape {tensor.shape} and strides {tensor.strides} does not fit its storage: "
            f"found {numbers.size} numbers, expected at least {max(last + 1, size, 1)}"
        )
    strides = tuple(stride * numbers.itemsize for stride in tensor.strides)
    view = np.lib.stride_tricks.as_strided(numbers[tensor.offset :], tensor.shape, strides)
    native = view.dtype.newbyteorder("=")
    is_whole = is_only and size == numbers.size and view.flags.c_contiguous and view.dtype == native
    array = numbers.reshape(tensor.shape) if is_whole else view.astype(native, order="C")
    if kind == "BFloat16Storage":
        return (array.astype(np.uint32) << np.uint32(16)).view(np.float32)
    return array.astype(np.float32) if kind == "HalfStorage" else array


def _printable(name: str) -> str:
    return name[:100].encode("unicode_escape").decode("ascii")


def _is_short(value: object) -> bool:
    """Whether this is a number or text as Lightning has of its own."""
    if isinstance(value, str):
        return len(value) <= _LONGEST_NAME
    return isinstance(value, int) and abs(value) < 2**64


@contextlib.contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[TorchArchive]:
    """An open checkpoint; what is wrong with it, also with what is done with it, is an `InputError` with its name."""
    label = os.fspath(path)
    try:
        require_regular(path)
        with Path(path).open("rb") as file:
            yield TorchArchive(file)
    except FileNotFoundError as error:
        raise InputError(f"checkpoint '{label}' does not exist") from error
    except OSError as error:
        raise InputError(f"checkpoint '{label}' cannot be read: {reason(error)}") from error
    except InputError as error:
        raise InputError(f"checkpoint '{label}': {error}") from error
