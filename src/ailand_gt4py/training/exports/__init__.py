"""Models as files that other programs run; a kind of file is one module of this package that registers its format."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple, Self, get_args

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.files import whole_file
from ailand_gt4py.core.registry import Registry
from ailand_gt4py.core.types import Values
from ailand_gt4py.io.sources import open_source
from ailand_gt4py.weights.model import Model, Template

Precision = Literal["float32", "float64"]


class Columns(NamedTuple):
    """Where columns are: (n,) degrees north and east; none where nobody says it."""

    latitudes: Values | None = None
    longitudes: Values | None = None

    @classmethod
    def of_file(cls, path: Path) -> Self:
        """Of a file or store of columns (`io.sources`), whatever else is in it."""
        nothing = Template((), (), (), (), 0.0)
        with open_source(path, nothing, initial_state="none", own_step=True) as source:
            return cls(source.latitude, source.longitude)


class ExportFormat(NamedTuple):
    """A kind of file.

    Attributes:
        name: as the command has it. meaning: what runs such a file.
        prepare: refuses what such a file has no place for, and gives what writes it to a path where nothing is yet;
            of the model, the columns that it is to run on, and the type of its numbers.
        of_columns: whether a file is of certain columns.
    """

    name: str
    meaning: str
    prepare: Callable[[Model, Columns, Precision], Callable[[Path], None]]
    of_columns: bool = False


FORMATS: Registry[ExportFormat] = Registry(__name__)


def find_format(name: str) -> ExportFormat:
    known = {one.name: one for one in FORMATS.items()}
    if name not in known:
        raise InputError(f"format '{name}' is unknown, expected one of {', '.join(known)}")
    return known[name]


def export_checkpoint(
    model: Model,
    path: str | Path,
    *,
    latitudes: Values | None = None,
    longitudes: Values | None = None,
    format: str = "anemoi",
    precision: Precision = "float32",
    overwrite: bool = False,
) -> None:
    """Export a model as a file for another program, completely or not at all.

    ``anemoi``: an inference checkpoint of a point-wise network for anemoi-inference (0.13 or later; made with
    anemoi-models 0.19), in single precision; a step equals the model's to rounding. Forcing that the model derives from
    time and location must be among what anemoi derives, too. Inputs and results have the model's names and units; means
    over a window are labelled at its start as inputs and at its end as results.

    ``onnx``: the whole step as an ONNX graph for any number of columns, which ONNX Runtime, OpenVINO and others run. It
    takes ``static``, ``forcing`` and ``state`` and gives ``new_state`` and ``diagnostics``, (n_columns, n_features)
    each, in the model's order and units, which are listed in the file's metadata.

    Args:
        latitudes, longitudes: (n,) degrees north and east, of the columns that an ``anemoi`` checkpoint will run on;
            not for a model tied to its own (`Model.nodes`).
        format: ``anemoi`` or ``onnx``.
        precision: of numbers and arithmetic; ``float64`` only for ``onnx``.
        overwrite: replace an existing file.

    Raises:
        InputError: parts of the model that such a file cannot express, by name; a path that exists or cannot be
            written; packages that are not installed.
        RunError: writing failed.
    """
    path, chosen = Path(path), find_format(format)
    if precision not in get_args(Precision):
        raise InputError(f"precision: found '{precision}', expected one of {', '.join(get_args(Precision))}")
    write = chosen.prepare(model, Columns(latitudes, longitudes), precision)
    if path.exists() and not overwrite:
        raise InputError(f"{path}: exists; expected a new name, or overwrite=True")
    with whole_file(path, "writing it") as temporary:
        write(temporary)
