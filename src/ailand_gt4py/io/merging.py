"""Files that belong together as one: variables of several files, and files that follow one another in time.

What several files have is taken from the one that is given first, and said.
"""

from __future__ import annotations

from collections.abc import Sequence

from ailand_gt4py.io.fields import Fields


def of_equal_times(files: Sequence[Fields]) -> list[Fields]:
    """Columns of files with the same times as one; what follows one another in time is put end to end."""
    raise NotImplementedError


def of_windows(parts: Sequence[Fields]) -> Fields:
    """Columns that are labelled at the starts of windows as one, at the times that all of the forcing has."""
    raise NotImplementedError
