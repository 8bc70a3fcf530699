"""What the coupling knows of an atmosphere, from the metadata of its checkpoint."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.times import step_text
from ailand_gt4py.core.types import Values
from ailand_gt4py.integration.hosts.anemoi.weather import FIELDS, RESULT_UNITS
from ailand_gt4py.io.units import Conversion, conversion

#: How far a column may be from the grid point that it is, degrees: files and checkpoints round locations.
LOCATION_TOLERANCE = 0.01


@dataclasses.dataclass(frozen=True)
class Atmosphere:
    """An atmosphere that anemoi-inference runs.

    Attributes:
        step: from one output to the next. outputs: names of the fields that come out of a step.
        prognostic: those of them that are input of the next step. forcings: inputs of every step that change in time.
        units: of the fields, where that is said. periods: of accumulations, where that is said.
        latitude, longitude: degrees (n_points,); None where the checkpoint does not say.
    """

    step: np.timedelta64
    outputs: tuple[str, ...]
    prognostic: frozenset[str]
    forcings: frozenset[str]
    units: Mapping[str, str]
    periods: Mapping[str, np.timedelta64]
    latitude: Values | None = None
    longitude: Values | None = None

    @classmethod
    def of(cls, metadata: Any, units: Mapping[str, str]) -> Atmosphere:
        """That of a checkpoint's metadata (`anemoi.inference.metadata.Metadata`); ``units`` precede what these say."""
        typed = metadata.typed_variables
        categories = metadata.variable_categories()
        known = {name: str(one.units) for name, one in typed.items() if one.units}
        forcings = [name for name, found in categories.items() if "forcing" in found]
        return cls(
            step=np.timedelta64(metadata.timestep).astype("timedelta64[ns]"),
            outputs=tuple(metadata.variable_to_output_tensor_index),
            prognostic=frozenset(name for name, found in categories.items() if "prognostic" in found),
            forcings=frozenset(name for name in forcings if not {"constant", "computed"} & set(categories[name])),
            units=known | dict(units),
            periods={
                name: np.timedelta64(one.period).astype("timedelta64[ns]")
                for name, one in typed.items()
                if one.is_accumulation and one.period
            },
            latitude=None if metadata.latitudes is None else np.asarray(metadata.latitudes, dtype=np.float64),
            longitude=None if metadata.longitudes is None else np.asarray(metadata.longitudes, dtype=np.float64),
        )

    def require_step(self, step: np.timedelta64) -> None:
        """Check that the atmosphere's step is the land model's, and its accumulations are over it."""
        if self.step != step:
            raise InputError(
                f"ailand: the atmosphere has a step of {step_text(self.step)}, expected the land model's of "
                f"{step_text(step)}"
            )
        for name, period in self.periods.items():
            if name in FIELDS and period != step:
                raise InputError(
                    f"ailand: the atmosphere's '{name}' is accumulated over {step_text(period)}, expected its step of "
                    f"{step_text(step)}"
                )

    def input_conversion(self, name: str, own_name: str) -> Conversion:
        """From the atmosphere's unit of one of `FIELDS`, by its name there, to the unit that is needed."""
        field = FIELDS[name]
        return conversion(self.units.get(own_name, field.own_units), field.units, f"ailand: '{own_name}'")

    def result_conversion(self, name: str, units: str) -> Conversion:
        """From the land model's unit to the atmosphere's of a field."""
        found = self.units.get(name, RESULT_UNITS.get(name))
        if found is None:
            raise InputError(f"ailand: '{name}': its unit is not known, expected it in the option 'units'")
        return conversion(units, found, f"ailand: '{name}'")


def require_names(names: Iterable[str], has: Collection[str], what: str) -> None:
    """Check that all names are among those that there are; ``what`` says of what."""
    for name in names:
        if name not in has:
            raise InputError(f"ailand: '{name}' is no {what}, expected some of {', '.join(sorted(has)) or 'none'}")


def nearest(
    latitude: Values, longitude: Values, grid_latitude: Values, grid_longitude: Values
) -> tuple[Values, Values]:
    """(n,) which points of a grid are nearest, on the sphere, and how far, in degrees; all in degrees."""
    distance, points = cKDTree(_unit_vectors(grid_latitude, grid_longitude)).query(_unit_vectors(latitude, longitude))
    degrees: Values = np.rad2deg(2.0 * np.arcsin(np.clip(0.5 * distance, 0.0, 1.0)))
    return points, degrees


def grid_points(
    path: Path, x: Values, latitude: Values, longitude: Values, grid_latitude: Values, grid_longitude: Values
) -> Values:
    """(n_columns,) which points of the atmosphere's grid a file's columns are; degrees.

    Raises:
        InputError: a column that is no grid point, or two that are the same.
    """
    points, degrees = nearest(latitude, longitude, grid_latitude, grid_longitude)
    column = int(np.argmax(degrees))
    if not degrees[column] <= LOCATION_TOLERANCE:
        raise InputError(
            f"{path}: column {column} (x = {x[column]}) at {latitude[column]:.4f} N, {longitude[column]:.4f} E is "
            f"{degrees[column]:.3g} degrees from the nearest of the atmosphere's {len(grid_latitude)} points, expected "
            "columns on its own grid"
        )
    _, first, counts = np.unique(points, return_index=True, return_counts=True)
    if (counts > 1).any():
        column = int(first[np.argmax(counts > 1)])
        raise InputError(
            f"{path}: column {column} (x = {x[column]}) is the same point of the atmosphere's grid as another column, "
            "expected each once"
        )
    return points


def _unit_vectors(latitude: Values, longitude: Values) -> Values:
    theta, phi = np.deg2rad(latitude), np.deg2rad(longitude)
    return np.stack([np.cos(theta) * np.cos(phi), np.cos(theta) * np.sin(phi), np.sin(theta)], axis=1)
