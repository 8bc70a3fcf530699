"""What is wanted of an input: by a model, over a period, of a part of its grid."""

from __future__ import annotations

import dataclasses
import datetime
from typing import Literal

import numpy as np

from ailand_gt4py.core.types import Values
from ailand_gt4py.io.blocks import BLOCK_BYTES
from ailand_gt4py.io.grids import ALL, Selection
from ailand_gt4py.io.site import Site
from ailand_gt4py.weights.model import ModelVariables

Time = str | datetime.date | np.datetime64
#: Where the state at the start is from: the files, a first guess of all of it, or elsewhere.
InitialState = Literal["file", "guess", "none"]


@dataclasses.dataclass(frozen=True, eq=False)
class Columns:
    """Some of the columns of an input: neighbours among those of a run, so that others can run the rest.

    Attributes:
        positions: int64 (n_columns,), increasing, among all columns of the files, those that the run leaves out, too.
        first: number of the first of them among the run's. n_all: number of the run's columns.
    """

    positions: Values
    first: int
    n_all: int


@dataclasses.dataclass(frozen=True)
class Reading:
    """How files are read.

    Attributes:
        convention: that they follow, by name; None: each as its content shows.
        selection: the part of their grid that is wanted. site: what is told of a site.
        guesses_ground: whether soil type and lakes are guessed where no file tells them, beside a guess of the state.
        block_bytes: memory for the forcing's buffer. columns: those that are wanted; None: all that can be used.
    """

    convention: str | None = None
    selection: Selection = ALL
    site: Site = Site()  # noqa: RUF009  # frozen
    block_bytes: int = BLOCK_BYTES
    guesses_ground: bool = False
    columns: Columns | None = None


#: As their content shows, all of them.
AS_THEY_ARE = Reading()


@dataclasses.dataclass(frozen=True)
class Request:
    """What is wanted of a source; see `io.sources.open_source`.

    ``leaves_out``: whether states and diagnostics that cannot be used are left out and said, or an error.
    """

    model: ModelVariables
    start: Time | None = None
    end: Time | np.timedelta64 | None = None
    initial_state: InitialState = "file"
    own_step: bool = False
    may_lack: tuple[str, ...] = ()
    reading: Reading = AS_THEY_ARE
    problems: list[str] | None = None
    leaves_out: bool = True

    @property
    def with_state(self) -> bool:
        """Whether a state at the start is wanted."""
        return self.initial_state != "none"
