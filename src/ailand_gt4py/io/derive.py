"""Inputs that a file lacks and that follow from others, by physics or by ecLand's published tables.

`DERIVATIONS` and `ALTERNATIVES` list all of them. What is in neither cannot be derived: radiation, the convective
fraction of precipitation, moisture and temperature of the upper soil have to be in the file. Some state variables can
be guessed for the start (`ailand_gt4py.io.first_guess`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping

import numpy as np

from ailand_gt4py.core.constants import GRAVITY
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.types import Values
from ailand_gt4py.ecland import soil_tables

#: How far from a whole number a type may be.
WHOLE = 1e-4

#: Type of vegetation -> its cover.
VEGETATION_COVERS: dict[str, str] = {"clim_tvh": "clim_cvh", "clim_tvl": "clim_cvl"}

_SOIL_SOURCE = (
    "ecLand's van Genuchten parameters by soil type "
    "(Balsamo et al. 2009, doi:10.1175/2008JHM1068.1; IFS documentation, part IV)"
)
_VEGETATION_SOURCE = "ecLand's table by vegetation type (susveg_mod; github.com/ecmwf-ifs/ecland)"


#: Inputs by name, text that names the file -> float64 (n,), or (1,) where all columns have the same.
Function = Callable[[Mapping[str, Values], str], Values]


@dataclasses.dataclass(frozen=True)
class Derivation:
    """How a variable that a file lacks is derived, from inputs and to a result in the catalogue's units.

    Attributes:
        how: what is done and its source, completing "derived from ... by". detail: of variables derived likewise.
        waves: variables whose annual wave and mean (`io.blocks`) the function takes, too, by `wave_key` and `mean_key`.
        means: those whose mean over ``mean_days`` (or all of a shorter file) it takes, by `mean_key`.
        otherwise: how to derive the variable from a file that has no year of ``waves``.
    """

    name: str
    inputs: tuple[str, ...]
    function: Function
    how: str
    detail: str = ""
    waves: tuple[str, ...] = ()
    means: tuple[str, ...] = ()
    mean_days: int = 365
    otherwise: Derivation | None = None
    is_first_guess: bool = False

    @property
    def needs(self) -> tuple[str, ...]:
        """Names of all variables that a file must have."""
        others = () if self.otherwise is None else self.otherwise.needs
        return tuple(dict.fromkeys((*self.inputs, *self.waves, *self.means, *others)))


def wave_key(name: str) -> str:
    """Name of a variable's annual wave among the inputs of a derivation."""
    return f"the annual wave of {name}"


def mean_key(name: str) -> str:
    """Name of a variable's mean among the inputs of a derivation."""
    return f"the mean of {name}"


def sentences(derivations: Iterable[Derivation], why: str = "Not in the file") -> list[str]:
    """What was derived, and why, for a history attribute: one sentence for each set of inputs and source."""
    groups: dict[str, list[str]] = {}
    for derivation in derivations:
        label = f"{derivation.name} ({derivation.detail})" if derivation.detail else derivation.name
        start = f"{why}, {'first guess' if derivation.is_first_guess else 'derived'}"
        inputs = " and ".join((*derivation.inputs, *map(wave_key, derivation.waves), *map(mean_key, derivation.means)))
        groups.setdefault(f"{start}{inputs and f' from {inputs}'} by {derivation.how}", []).append(label)
    return [f"{text}: {', '.join(names)}." for text, names in groups.items()]


def whole_types(values: Values, name: str, highest: int, lowest: int, what: str) -> Values:
    """Types of soil or vegetation, which ECMWF stores as floating-point numbers, as integers; nothing else passes."""
    rounded = np.rint(np.nan_to_num(values, nan=-1.0, posinf=-1.0, neginf=-1.0))
    wrong = np.flatnonzero(~(np.abs(values - rounded) <= WHOLE) | (rounded < lowest) | (rounded > highest))
    if wrong.size:
        raise InputError(
            f"{what}: variable '{name}' is {values[wrong[0]]:g} in column {wrong[0]} ({wrong.size} of {values.size} "
            f"columns are not usable), expected a whole number from {lowest} to {highest}"
        )
    types: Values = rounded.astype(np.int64)
    return types


def fill_types(types: Values, cover: Values, name: str) -> tuple[Values, str]:
    """Types, the missing ones (NaN) as 0 where there is no cover, and only there; a sentence where any was missing."""
    empty = np.isnan(types) & (cover == 0.0)
    if not empty.any():
        return types, ""
    sentence = f"{name}: missing in {int(empty.sum())} columns without such vegetation, set to 0 (none) there."
    return np.where(empty, 0.0, types), sentence


def _soil(quantity: str) -> Function:
    def function(inputs: Mapping[str, Values], what: str) -> Values:
        types = whole_types(inputs["clim_sotype"], "clim_sotype", max(soil_tables.SOILS), 1, what)
        return soil_tables.soil_values(quantity, types)

    return function


def _nearest_soil(quantity: str) -> Function:
    def function(inputs: Mapping[str, Values], what: str) -> Values:
        water = (inputs[f"clim_theta_{name}"] for name in ("sat", "cap", "pwp"))
        return soil_tables.soil_values(quantity, soil_tables.nearest_soil(*water))

    return function


def _vegetation(quantity: str, type_name: str) -> Function:
    cover_name = VEGETATION_COVERS[type_name]

    def function(inputs: Mapping[str, Values], what: str) -> Values:
        cover = inputs[cover_name]
        filled, _ = fill_types(inputs[type_name], cover, type_name)
        types = whole_types(filled, type_name, max(soil_tables.VEGETATIONS), 0, what)
        bare = np.flatnonzero((types == 0) & (cover > 0.0))
        if bare.size:
            raise InputError(
                f"{what}: variable '{type_name}' is 0 (no vegetation) in column {bare[0]} where {cover_name} is "
                f"{cover[bare[0]]:g}, expected a type from 1 to {max(soil_tables.VEGETATIONS)}"
            )
        return soil_tables.vegetation_values(quantity, types)

    return function


def snow_cover(water: Values, density: Values, lake_cover: Values) -> Values:
    """ecLand's snow cover, a fraction of the column, from the mass of snow (``surfbc_ctl_mod``).

    tanh(4000 d / rho), d the depth of the snow in m and rho its density in kg m-3 held within 100 to 400; 1 from 0.99
    on; times the part of the column that is not lake.

    Args:
        water: snow mass as depth of water, m; below zero (GRIB packing) counts as none. density: kg m-3.
    """
    depth = np.maximum(water, 0.0) * 1000.0 / density
    fraction = np.tanh(4000.0 * depth / np.clip(density, 100.0, 400.0))
    return np.where(fraction >= 0.99, 1.0, fraction) * (1.0 - lake_cover)


def _snow_cover(inputs: Mapping[str, Values], what: str) -> Values:
    density = inputs["rsn"]
    wrong = np.flatnonzero(~(density > 0.0))
    if wrong.size:
        raise InputError(
            f"{what}: variable 'rsn' is {density[wrong[0]]:g} kg m-3 in column {wrong[0]}, expected a positive density"
        )
    return snow_cover(inputs["sd"], density, inputs["clim_clake"])


#: What a soil conducts, by type, and in which quantity of the tables.
_CONDUCTIVITY = (
    ("clim_log_ksat", "log_conductivity", "conductivity at saturation"),
    ("clim_connectivity", "connectivity", "its exponent"),
)

#: Name of the variable -> how it is derived.
DERIVATIONS: dict[str, Derivation] = {
    one.name: one
    for one in (
        *(
            Derivation(name, ("clim_sotype",), _soil(quantity), _SOIL_SOURCE, detail)
            for name, quantity, detail in (
                ("clim_theta_sat", "saturation", "porosity"),
                ("clim_theta_cap", "field_capacity", f"at -{soil_tables.FIELD_CAPACITY_BAR:g} bar"),
                ("clim_theta_pwp", "wilting_point", f"at -{soil_tables.WILTING_POINT_BAR:g} bar"),
                *_CONDUCTIVITY,
            )
        ),
        *(
            Derivation(f"clim_veg_{name}{kind[-1]}", (kind, cover), _vegetation(quantity, kind), _VEGETATION_SOURCE)
            for name, quantity in (("cov", "coverage"), ("z0m", "roughness"), ("rsmin", "stomatal_resistance"))
            for kind, cover in VEGETATION_COVERS.items()
        ),
        Derivation(
            "clim_geopot",
            ("clim_orog",),
            lambda inputs, what: GRAVITY * inputs["clim_orog"],
            f"multiplication with {GRAVITY} m s-2",
        ),
        Derivation("snowc", ("sd", "rsn", "clim_clake"), _snow_cover, "ecLand's formula (surfbc_ctl_mod)"),
    )
}

#: Name of the variable -> how it is derived where not all is there that `DERIVATIONS` needs.
ALTERNATIVES: dict[str, Derivation] = {
    name: Derivation(
        name, ("clim_theta_sat", "clim_theta_cap", "clim_theta_pwp"), _nearest_soil(quantity),
        f"taking the soil type with the nearest water contents, then by {_SOIL_SOURCE}", detail, is_first_guess=True,
    )
    for name, quantity, detail in _CONDUCTIVITY
}  # fmt: skip
