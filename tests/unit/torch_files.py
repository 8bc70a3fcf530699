"""Writes checkpoint archives as PyTorch does, without PyTorch: pickle operations spelled out byte by byte.

So that tests can say exactly what is in a file, hostile things included.
"""

from __future__ import annotations

import dataclasses
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

STORAGES = {
    "float64": "DoubleStorage",
    "float32": "FloatStorage",
    "float16": "HalfStorage",
    "int64": "LongStorage",
    "int32": "IntStorage",
    "uint8": "ByteStorage",
    "bool": "BoolStorage",
}


@dataclasses.dataclass
class View:
    """A tensor: a storage (given as array) seen with an offset, a shape and strides."""

    storage: np.ndarray
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    kind: str = ""
    rebuild: str = "torch._utils\n_rebuild_tensor_v2"

    @classmethod
    def of(cls, array: np.ndarray, kind: str = "") -> View:
        strides = tuple(stride // array.itemsize for stride in array.strides)
        return cls(array.ravel(), 0, array.shape, strides, kind)


@dataclasses.dataclass
class Raw:
    """Pickle operations as they are."""

    operations: bytes


#: What an attack looks like: a call of a function of one's choice while the file is read.
def attack(command: str) -> Raw:
    return Raw(b"cos\nsystem\n(" + pickled(command, {}) + b"tR")


def pickled(value: Any, storages: dict[str, bytes], order: str = "<") -> bytes:
    """The operations (protocol 2) that push a value; storages met are added to ``storages`` by key."""
    if isinstance(value, Raw):
        return value.operations
    if isinstance(value, bool):
        return b"\x88" if value else b"\x89"
    if isinstance(value, int):
        return b"J" + struct.pack("<i", value)
    if isinstance(value, str):
        text = value.encode()
        return b"X" + struct.pack("<I", len(text)) + text
    if isinstance(value, tuple):
        return b"(" + b"".join(pickled(item, storages, order) for item in value) + b"t"
    if isinstance(value, list):
        return b"](" + b"".join(pickled(item, storages, order) for item in value) + b"e"
    if isinstance(value, np.ndarray):
        value = View.of(value)
    if isinstance(value, View):
        key = str(len(storages))
        storages[key] = value.storage.astype(value.storage.dtype.newbyteorder(order)).tobytes()
        kind = value.kind or STORAGES[value.storage.dtype.name]
        identifier = b"(" + pickled("storage", {}) + b"ctorch\n" + kind.encode() + b"\n"
        identifier += pickled(key, {}) + pickled("cuda:0", {}) + pickled(value.storage.size, {}) + b"tQ"
        hooks = b"ccollections\nOrderedDict\n)R"
        arguments = [pickled(item, storages) for item in (value.offset, value.shape, value.strides, False)]
        return b"c" + value.rebuild.encode() + b"\n(" + identifier + b"".join(arguments) + hooks + b"tR"
    if isinstance(value, Mapping):
        items = b"".join(pickled(item, storages, order) for pair in value.items() for item in pair)
        return b"ccollections\nOrderedDict\n)R(" + items + b"u"
    raise TypeError(type(value))


def write_archive(
    path: Path, value: Any, *, order: str = "little", root: str = "archive/", compression: int = zipfile.ZIP_STORED
) -> Path:
    """A file as ``torch.save(value, path)`` writes it."""
    storages: dict[str, bytes] = {}
    program = b"\x80\x02" + pickled(value, storages, "<" if order == "little" else ">") + b"."
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr(f"{root}data.pkl", program)
        archive.writestr(f"{root}byteorder", order)
        for key, content in storages.items():
            archive.writestr(f"{root}data/{key}", content)
        archive.writestr(f"{root}version", "3\n")
    return path
