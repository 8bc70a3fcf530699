"""Files that ship with the package beside its modules: configurations, and the example with its data."""

from __future__ import annotations

from pathlib import Path

from ailand_gt4py.core.errors import InputError

#: In a source tree these are links to ``configs`` and to files of ``examples/column_run``, so that each is there once.
CONFIGURATIONS, EXAMPLE = (Path(__file__).parents[1] / name for name in ("configs", "example"))


def configuration_names() -> list[str]:
    """What the configurations that ship are called, such as ``default_model``."""
    return sorted(path.stem for path in CONFIGURATIONS.glob("*.yaml"))


def configuration_files() -> dict[str, Path]:
    """The configurations that ship, and the files beside them that they name, by their names in a directory."""
    return {path.name: path for pattern in ("*.yaml", "*.csv") for path in sorted(CONFIGURATIONS.glob(pattern))}


def example_files() -> dict[str, Path]:
    """The example's files, by their names in a directory."""
    return {path.name: path for pattern in ("*.nc", "*.yaml", "*.md") for path in sorted(EXAMPLE.glob(pattern))}


def configuration_path(given: str | Path) -> Path:
    """
    The file at a path, or where there is none, the one that ships under this name: ``default_model``, or
    ``configs/default_model.yaml`` as in the source tree; the path itself where neither is there.

    Raises:
        InputError: a bare word that is neither.
    """
    path = Path(given)
    if path.is_file() or path.parent not in (Path(), Path("configs")):
        return path
    files = configuration_files()
    for name in (path.name, f"{path.name}.yaml"):
        if name in files:
            return files[name]
    if path == Path(path.stem) and not path.exists():
        raise InputError(
            f"{given}: no such file, and none of that name ships; expected a file or one of "
            f"{', '.join(configuration_names())}"
        )
    return path
