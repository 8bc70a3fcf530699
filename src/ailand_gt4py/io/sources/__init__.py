"""Where columns come from: one protocol for files, stores and data sets, and the registry of their kinds.

A new kind of input is one module of this package that adds a `ColumnSource` to `KINDS`; what none of them recognises is
taken for a column file.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, Self

import numpy as np
import xarray as xr

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.files import expanded
from ailand_gt4py.core.registry import Registry
from ailand_gt4py.core.times import STANDARD
from ailand_gt4py.core.types import Values
from ailand_gt4py.io.grids import Grid
from ailand_gt4py.io.request import AS_THEY_ARE, InitialState, Reading, Request, Time
from ailand_gt4py.weights.model import ModelVariables


class ColumnSource(Protocol):
    """Columns through time, in a model's order and units; forcing and reference are read as they are asked for.

    Attributes:
        x: (n_columns,) labels of the columns. latitude, longitude: float64 (n_columns,), degrees.
        climate: (n_columns,) class of each column, "" where the source has none.
        labels: datetime64[ns], all time labels of the source.
        times: datetime64[ns] (n_steps,), those asked for, starts of the windows. step: their length.
        static: float64 (n_columns, n_static).
        initial_state: float64 (n_columns, n_state) at the first of ``times``, None where it was not asked for.
        lacking: states that it does not have, out of those that it may lack.
        grid: on which the columns lie, and what is left out of it.
        first_column: number of the first of them among those of the run that they are a part of.
        calendar: of the times (`core.times`).
        history: sentences, one for each thing done to the values or taken for granted.
        waits_for_steps: forcing of a window is there only when the windows before it are done.
    """

    path: Path
    model: ModelVariables
    x: Values
    latitude: Values
    longitude: Values
    climate: Values
    labels: Values
    times: Values
    step: np.timedelta64
    static: Values
    initial_state: Values | None
    lacking: tuple[str, ...]
    grid: Grid
    calendar: str = STANDARD
    first_column: int = 0
    history: list[str]
    waits_for_steps: bool = False

    def __init__(self, path: Path, request: Request) -> None: ...

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """Whether a file or directory is of this kind."""
        ...

    @property
    def n_columns(self) -> int:
        return len(self.latitude)

    @property
    def kept(self) -> Values | None:
        """Positions (n_columns,) of the columns among all that the files have; None: they are all of them."""
        return None

    @property
    def remarks(self) -> list[str]:
        """Sentences on values that are unlikely and used all the same, as far as was read."""
        return []

    def forcing(self, first: int, last: int) -> Values:
        """Forcing of the windows ``first`` to ``last`` - 1 that is not derived, (last - first, n_columns, n), finite.

        Float32, or float64 where the source has it. Read-only, and maybe a view of a buffer that the next call
        replaces: copy what has to stay.
        """
        ...

    def earlier_forcing(self) -> Values:
        """As `forcing`, of the windows up to the first of ``times``: as many as the source holds and the model takes.

        It has none where no initial state was asked for: a run that goes on has them in its restart file.
        """
        return np.empty((0, self.n_columns, sum(not one.derived for one in self.model.forcing)))

    def reference(self, names: Sequence[str], first: int, last: int) -> Values:
        """States and diagnostics to compare a model's with, at the labels ``first`` to ``last`` - 1.

        Of the model, in its units, or of the catalogue. (last - first, n_columns, len(names)); missing values are NaN.
        `InputError` where the source lacks one.
        """
        ...

    def lacks(self, name: str) -> bool:
        """Whether it does not have a variable through time, as `reference`."""
        return True

    def field(self, name: str, units: str) -> Values | None:
        """(n_columns,) float64 of any variable of the catalogue at the first of ``times``; None where it has none."""
        return None

    def texts(self, name: str) -> Values | None:
        """A text for each column, such as its region; None where it has none."""
        return None

    def close(self) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


KINDS: Registry[type[ColumnSource]] = Registry(__name__)

#: Seconds.
SHORTEST_STEP = 1.0

#: What files of columns, read or written, call something else.
RESERVED = {"time", "time_bnds", "nv", "x", "lat", "lon", "climate", "quality_flag"}

#: Bytes of a name that every file system and netCDF take.
LONGEST_NAME = 200


def check_names(model: ModelVariables) -> None:
    """Check that a model's variables can stand in files beside the coordinates and each other."""
    seen: dict[str, str] = {}
    for variable in (*model.static, *model.forcing, *model.state, *model.diagnostics):
        name = variable.name
        what = f"the model's variable {name[:LONGEST_NAME]!r}"
        if name.lower() in RESERVED:
            raise InputError(
                f"{what} is named as something else in files, expected none of {', '.join(sorted(RESERVED))}"
            )
        if not (re.fullmatch(r"\w[\w.+@-]*", name) and len(name.encode()) <= LONGEST_NAME):
            raise InputError(
                f"{what} cannot be a variable of a file, expected letters, digits and '_', {LONGEST_NAME} at most"
            )
        # NetCDF composes accents, and files spell names in any case.
        key = unicodedata.normalize("NFC", name).lower()
        if key in seen:
            raise InputError(f"{what} and '{seen[key]}' are one name in a file, expected different ones")
        seen[key] = name


#: A file, a data set, or several of them that belong together.
Inputs = str | Path | xr.Dataset | Sequence[str | Path | xr.Dataset]


def named_inputs(inputs: Inputs) -> tuple[list[Path], dict[Path, xr.Dataset]]:
    """Files, in order, with what messages call data sets among them; name -> data set."""
    many = [inputs] if isinstance(inputs, str | Path | xr.Dataset) else list(inputs)
    if not many:
        raise InputError("forcing: found nothing, expected a file or a data set")
    names = [f"data set {k}" if len(many) > 1 else "data set" for k in range(1, len(many) + 1)]
    given = {Path(name): one for name, one in zip(names, many, strict=True) if isinstance(one, xr.Dataset)}
    words = [name if isinstance(one, xr.Dataset) else one for name, one in zip(names, many, strict=True)]
    return expanded(words), given


def open_source(
    paths: Inputs,
    model: ModelVariables,
    *,
    start: Time | None = None,
    end: Time | np.timedelta64 | None = None,
    initial_state: InitialState = "file",
    own_step: bool = False,
    may_lack: Sequence[str] = (),
    reading: Reading = AS_THEY_ARE,
    problems: list[str] | None = None,
) -> ColumnSource:
    """Open and check columns of any kind.

    Args:
        paths: a file or data set, or several that belong together (`io.preparation`), of any convention, format and
            grid; or a store of anemoi-datasets.
        model: tells which variables are needed, in which units and with which step.
        start: label of the first window, UTC; None: the source's first.
        end: end of the last window, or, a timedelta64, how long after ``start`` it is; None: one step after the
            source's last label, so that N labels make N windows.
        initial_state: "file": taken from the source at the start; "guess": a first guess of all of it, whatever the
            source has (`io.first_guess`); "none": not looked for (a restart has it).
        own_step: take the source's step instead of the model's.
        may_lack: states that need not be there as `ColumnSource.reference`.
        reading: how files are read, and which part of their grid.
        problems: gathers sentences on values that cannot be or are missing, which are errors otherwise.

    Returns:
        The source; close it or use it as a context manager.

    Raises:
        InputError: anything about the source that does not fit, on one line.
    """
    from ailand_gt4py.io.preparation import open_columns  # which takes its time
    from ailand_gt4py.io.sources.column_file import ColumnFileSource  # which imports this module

    if model.normalised_space:
        raise InputError(
            "the model lives in normalised space (its statistics are unknown); expected one with units to run on a file"
        )
    if not (own_step or model.step_seconds >= SHORTEST_STEP):
        raise InputError(
            f"the model's step is {model.step_seconds:g} s{'' if model.step_seconds else ' (unknown)'}; expected a "
            f"positive step to run on a file, at least {SHORTEST_STEP:g} s"
        )
    check_names(model)
    files, given = named_inputs(paths)
    request = Request(model, start, end, initial_state, own_step, tuple(may_lack), reading, problems)
    kind = next((kind for kind in KINDS.items() if len(files) == 1 and not given and kind.recognises(files[0])), None)
    if kind is not None:
        return kind(files[0], request)
    return ColumnFileSource(files[0], request, open_columns(files, request, given))
