"""Labels along a dimension, of columns or of the members of an ensemble, compared as texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ailand_gt4py.core.types import Values


def label_text(label: Any) -> str:
    """A label for comparing: 1 is 1.0, characters are text, and blanks that fill a text up are no part of it."""
    if isinstance(label, bytes):
        label = label.decode(errors="backslashreplace")
    is_whole = isinstance(label, float | np.floating) and float(label).is_integer()
    return str(int(label)) if is_whole else str(label).rstrip()


def texts(labels: Values) -> list[str]:
    return [label_text(label) for label in labels]


def positions_of(wanted: Sequence[str], labels: Sequence[str]) -> Values | None:
    """Where each of some labels is among others; None where they are not all there, each once."""
    index = {label: position for position, label in enumerate(labels)}
    if len(index) < len(labels) or not index.keys() >= set(wanted):
        return None
    return np.array([index[label] for label in wanted], dtype=np.int64)
