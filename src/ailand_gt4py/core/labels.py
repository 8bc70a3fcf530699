"""Labels along a dimension: of columns, of the members of an ensemble, of an axis of a grid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.types import Values

#: How far labels that are numbers, such as latitudes in another precision, may be apart.
_TOLERANCE = 1e-3


def label_text(label: Any) -> str:
    """A label for comparing: 1 is 1.0, characters are text, and blanks that fill a text up are no part of it."""
    if isinstance(label, bytes):
        label = label.decode(errors="backslashreplace")
    is_whole = isinstance(label, float | np.floating) and float(label).is_integer()
    return str(int(label)) if is_whole else str(label).rstrip()


def texts(labels: Values) -> list[str]:
    """`label_text` of each of some labels (n,)."""
    return [label_text(label) for label in labels]


def positions_of(wanted: Sequence[str], labels: Sequence[str]) -> Values | None:
    """(n_wanted,) where each of some labels is among others; None where they are not all there, each once."""
    index = {label: position for position, label in enumerate(labels)}
    if len(index) < len(labels) or not index.keys() >= set(wanted):
        return None
    return np.array([index[label] for label in wanted], dtype=np.int64)


def are_same(labels: np.ndarray, others: np.ndarray) -> bool:
    """Whether labels (n,) along a dimension are the same in the same order; perhaps longitudes, by whole turns, too."""
    return labels.shape == others.shape and not _differ(labels, others).any()


def require_same(what: str, dimension: Any, labels: np.ndarray, expected: np.ndarray, of: str) -> None:
    """Check that labels along a dimension `are_same` as others.

    Raises:
        InputError: beginning with ``what`` and naming the first label that is not the expected one ``of`` something.
    """
    if labels.shape != expected.shape:
        raise InputError(f"{what} {labels.size} labels along '{dimension}', expected {expected.size} {of}")
    differ = _differ(labels, expected)
    if differ.any():
        k = int(differ.argmax())
        raise InputError(
            f"{what} {labels[k]} at index {k} along '{dimension}', expected {expected[k]} {of}: the same labels in the "
            "same order"
        )


def _differ(labels: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Which of as many labels are others; all, where texts stand against fractions."""
    kinds = {labels.dtype.kind, others.dtype.kind}
    if "f" not in kinds:
        return np.asarray(labels != others)
    if not kinds <= set("iuf"):
        return np.ones(labels.shape, dtype=bool)
    first, second = labels.astype(np.float64), others.astype(np.float64)
    apart = first - second
    if max(np.abs(first).max(initial=0.0), np.abs(second).max(initial=0.0)) <= 360.0:  # not metres of a projection
        apart = (apart + 180.0) % 360.0 - 180.0
    return ~(np.abs(apart) <= _TOLERANCE)
