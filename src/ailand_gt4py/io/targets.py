"""What a run writes beside its output, and that nothing is replaced there but what may be."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.files import is_store


def partial_path(output: Path) -> Path:
    """An output while it is written."""
    return output.with_name(f"{output.name}.partial")


def restart_path(output: Path) -> Path:
    """The restart file of a run that names none. A store keeps its suffix: out.nc and out.zarr are two outputs."""
    return output.with_name(f"{output.name.removesuffix('.nc')}.restart.nc")


def check_output(output: Path) -> None:
    """Check that an output is no other directory than a zarr store, and that what lies where it is written is our own.

    Raises:
        InputError: naming the path.
    """
    from ailand_gt4py.io import marks  # only now: `--help` must not wait for xarray

    if output.suffix.lower() == ".zarr" and output.exists() and not is_store(output):
        raise InputError(f"{output}: exists and is no zarr store, expected a new name")
    marks.require_own(partial_path(output))


def check_replaced(
    results: Sequence[Path], output: Path | None, unnamed: Path | None, overwrite: bool, to_overwrite: str
) -> None:
    """Check that the results of a run may be put where they are to be.

    Args:
        results: all that are there already only to be replaced. output: which of them may be a store.
        unnamed: the restart file, if nobody gave its name. to_overwrite: what would allow it, for the message.

    Raises:
        InputError: something exists and is not to be replaced, or a store or unnamed file is not of this program.
    """
    from ailand_gt4py.io import marks, restart

    for path in results:
        if path.exists() and not overwrite:
            raise InputError(f"{path}: exists; expected a new name, or {to_overwrite}")
    if output is not None and output.is_dir():
        marks.require_own(output)
    if unnamed is not None:
        marks.require_own(unnamed, "title", restart.TITLE)
