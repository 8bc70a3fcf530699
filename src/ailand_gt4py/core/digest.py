"""A digest over named values, by which a file shows that it holds what was written."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np

from ailand_gt4py.core.types import Values


def digest(values: Mapping[str, Values], texts: Mapping[str, str]) -> str:
    """SHA-256, in hexadecimal, of arrays (names, types, shapes and every bit, or texts) and of texts by name."""
    result = hashlib.sha256()

    def add(part: bytes) -> None:
        result.update(len(part).to_bytes(8, "little") + part)

    for name, text in sorted(texts.items()):
        add(name.encode())
        add(text.encode("utf-8", "surrogatepass"))
    for name in sorted(values):
        array = np.asarray(values[name])
        add(name.encode())
        add(str(array.shape).encode())
        if array.dtype.kind in "OU":
            add(b"text")
            for text in array.flat:
                add(str(text).encode("utf-8", "surrogatepass"))
        else:
            array = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
            add(array.dtype.str.encode())
            add(array.tobytes())
    return result.hexdigest()
