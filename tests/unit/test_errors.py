"""The reason that an exception gives, as messages quote it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ailand_gt4py.core.errors import reason
from ailand_gt4py.core.trial import UnusableFileError


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ValueError("one\n  and\ttwo "), "one and two"),
        (UnusableFileError("found a pipe"), "found a pipe"),
        (KeyError(), "KeyError"),
        (OSError(), "OSError"),
        (ValueError("a" * 200), "a" * 200),
        (ValueError("a" * 201), f"{'a' * 197}..."),
    ],
)
def test_reason_is_one_short_line(error: Exception, expected: str) -> None:
    assert reason(error) == expected


def test_reason_of_a_system_error_is_without_the_path(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        (tmp_path / "a.nc").read_bytes()
    assert reason(caught.value) == "No such file or directory"
