"""Text files, plain or packed with gzip."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import IO, cast


def open_text(path: Path) -> IO[str]:
    """The file's text, UTF-8; what cannot be decoded is replaced."""
    with path.open("rb") as file:
        is_packed = file.read(2) == b"\x1f\x8b"
    return cast("IO[str]", (gzip.open if is_packed else open)(path, "rt", encoding="utf-8", errors="replace"))
