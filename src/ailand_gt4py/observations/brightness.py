"""Observations of an L-band radiometer (SMOS, SMAP); the physics is in `stencils.physics.brightness`.

SMAP observes a mid-latitude location every two to three days. Error: 4 K, of instrument and forward model together, as
in NASA's level-4 soil moisture of SMAP (Reichle et al. 2017, doi:10.1175/JHM-D-17-0063.1).

Soil: the coefficients of Mironov et al. 2009 (doi:10.1109/TGRS.2008.2011631), equations 13 and 16 to 25, follow from
the clay fraction. Files of ec-land-db's layout have the soil's texture class (``clim_sotype``); `CLAY_FRACTIONS` makes
a clay fraction of it.

Surface and canopy: the choice of ECMWF's forward model CMEM for SMOS that did best against observations (de Rosnay et
al. 2020, doi:10.1016/j.rse.2019.111424): Mironov (or Wang and Schmugge) for the soil, the simple roughness of Wigneron
et al. 2001 (doi:10.1109/36.942548), the opacity of Wigneron et al. 2007 (doi:10.1016/j.rse.2006.10.014), with CMEM's
values by vegetation type (version 4, Apache-2.0, ``vegtable``; there after Wigneron et al. 2007 and Grant et al. 2008).
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any, NamedTuple

import numpy as np

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.types import Values
from ailand_gt4py.io.derive import whole_types
from ailand_gt4py.io.sources import ColumnSource
from ailand_gt4py.observations.operators import (
    Columns,
    ObservationOperator,
    Situation,
    column_of,
    on_columns,
    position_of,
    register,
)
from ailand_gt4py.stencils.physics import brightness
from ailand_gt4py.stencils.physics.brightness import Canopy, Soil, View
from ailand_gt4py.weights.model import Model
from ailand_gt4py.weights.variables import CATALOGUE, units_of

_WHAT = "observation tb"

#: Permittivity of the vacuum, F m-1, and of water at infinite frequency, 1 (Mironov et al. 2009).
_VACUUM, _WATER_HIGH_FREQUENCY = 8.854e-12, 4.9

#: Clay, mass fraction, by ``clim_sotype``. H-TESSEL's classes are those of FAO's soil map (Balsamo et al. 2009,
#: doi:10.1175/2008JHM1068.1), with the finer division of Woesten et al. 1999 (doi:10.1016/S0016-7061(98)00132-3):
#: coarse has less than 18 % clay and more than 65 % sand; medium less than 35 % clay, at least 15 % sand, and is not
#: coarse; medium-fine less than 35 % clay and 15 % sand; fine 35 to 60 % clay; very fine more. Each class has here the
#: mean over its area in the texture triangle: this project knows no measured mean. Organic soils (6, 7) have none: the
#: dielectric model is one of mineral soils.
CLAY_FRACTIONS = {1: 0.080, 2: 0.180, 3: 0.175, 4: 0.465, 5: 0.733, 6: math.nan, 7: math.nan}


class Vegetation(NamedTuple):
    """Optical properties of vegetation at 1.4 GHz.

    Attributes:
        by_leaf_area, constant: b' and b'' of Wigneron et al. 2007: the optical depth at nadir is b' LAI + b''.
        albedo: single-scattering albedo omega.
        horizontal, vertical: tt_H, tt_V: the depth at an angle theta is that at nadir times cos^2 + tt sin^2.
    """

    by_leaf_area: float
    constant: float
    albedo: float
    horizontal: float = 1.0
    vertical: float = 1.0


#: By types of ``clim_tvh`` and ``clim_tvl``, 0..20; crops are C3, as in CMEM. The other types are bare or water.
VEGETATION: dict[tuple[int, ...], Vegetation] = {
    (1, 10): Vegetation(0.05, 0.0, 0.0, 1.0, 2.0),  # crops
    (2, 7, 9, 11, 13, 16, 17): Vegetation(0.0375, 0.05, 0.05),  # grass
    # Branches, not leaves, make most of a forest's optical depth, which hardly follows LAI (Grant et al. 2008).
    (3, 4): Vegetation(0.0, 0.69, 0.08, 0.80, 0.80),  # coniferous trees
    (5, 18, 19): Vegetation(0.0, 0.70, 0.07, 0.49, 0.46),  # deciduous trees
    (6,): Vegetation(0.0, 0.70, 0.095),  # rain forest
}
_BY_TYPE = np.tile(Vegetation(0.0, 0.0, 0.0), (21, 1))
for _types, _vegetation in VEGETATION.items():
    _BY_TYPE[list(_types)] = _vegetation


def vegetation_table() -> Values:
    """(21, 5) the attributes of `Vegetation` by type."""
    return _BY_TYPE.copy()


@dataclasses.dataclass(frozen=True)
class Radiometer:
    """Instrument and surface.

    Attributes:
        frequency: Hz; 1.41 GHz is the protected band that SMOS and SMAP observe.
        incidence: angle from nadir, degrees: SMAP's.
        roughness: h = 1.3972 (s / l)^0.5879 (Wigneron et al. 2001) with CMEM's s = 2.2 cm and l = 6 cm.
        mixing: Q, zero at L-band (Wigneron et al. 2001). exponent_h, exponent_v: N, zero in the simple roughness.
        surface_weight: C of the effective temperature, 0.246 at 1.4 GHz (Choudhury et al. 1982).
    """

    frequency: float = 1.41e9
    incidence: float = 40.0
    roughness: float = 1.3972 * (2.2 / 6.0) ** 0.5879
    mixing: float = 0.0
    exponent_h: float = 0.0
    exponent_v: float = 0.0
    surface_weight: float = 0.246

    def __post_init__(self) -> None:
        if not 0.0 <= self.incidence < 90.0:
            raise InputError(f"incidence angle: found {self.incidence:g} degrees, expected 0 to less than 90")
        if not 0.3e9 <= self.frequency <= 26.5e9:
            raise InputError(
                f"frequency: found {self.frequency:g} Hz, expected 0.3e9 to 26.5e9 (the dielectric model's)"
            )

    def view(self) -> View:
        angle = math.radians(self.incidence)
        cosine = math.cos(angle)
        damping = (math.exp(-self.roughness * cosine**n) for n in (self.exponent_h, self.exponent_v))
        return View(*map(np.float64, (cosine, math.sin(angle) ** 2, self.mixing, *damping, self.surface_weight)))


def clay_fraction(soil_type: Values, what: str = "soil types") -> Values:
    """Clay fraction of texture classes (n,), 1..7; NaN for organic soils. ``what``: names them in an error."""
    table = np.array([math.nan, *CLAY_FRACTIONS.values()])
    return table[whole_types(soil_type, "clim_sotype", max(CLAY_FRACTIONS), 1, what)]


def clay_of(source: ColumnSource) -> Values:
    """(n_columns,) clay fraction by the texture classes ``clim_sotype`` of a source."""
    soil_type = source.field("clim_sotype", "1")
    if soil_type is None:
        raise InputError(
            f"{source.path}: variable 'clim_sotype' is missing, from which the clay fraction follows; expected it, or "
            "a clay fraction of all columns"
        )
    return clay_fraction(soil_type, str(source.path))


def soil_coefficients(clay: Values, frequency: float) -> Soil:
    """Coefficients of the soil's refractive index and attenuation, linear in bound and free water; frequency in Hz."""
    clay = np.asarray(clay, dtype=np.float64)
    if ((clay < 0.0) | (clay > 1.0)).any():
        raise InputError(f"clay fraction: found {np.nanmin(clay):g} to {np.nanmax(clay):g}, expected 0 to 1")
    percent = 100.0 * clay
    dry_index = 1.634 - 0.539e-2 * percent + 0.2748e-4 * percent**2
    dry_attenuation = 0.03952 - 0.04038e-2 * percent
    transition = 0.02863 + 0.30673e-2 * percent
    bound = _refraction(
        79.8 - 85.4e-2 * percent + 32.7e-4 * percent**2,
        1.062e-11 + 3.450e-14 * percent,
        0.3112 + 0.467e-2 * percent,
        frequency,
    )
    free = _refraction(np.full_like(percent, 100.0), 8.5e-12, 0.3631 + 1.217e-2 * percent, frequency)
    # Water replaces air, whose index is 1 and whose attenuation is 0.
    return Soil(transition, dry_index, bound[0] - 1.0, free[0] - 1.0, dry_attenuation, bound[1], free[1])


def _refraction(
    static: Values, relaxation: Values | float, conductivity: Values, frequency: float
) -> tuple[Values, Values]:
    """Index and attenuation of water: Debye relaxation (s), ohmic conductivity (S m-1), at a frequency (Hz)."""
    angular = 2.0 * math.pi * frequency
    share = (static - _WATER_HIGH_FREQUENCY) / (1.0 + (angular * relaxation) ** 2)
    real = _WATER_HIGH_FREQUENCY + share
    imaginary = share * angular * relaxation + conductivity / (angular * _VACUUM)
    size = np.hypot(real, imaginary)
    return np.sqrt(0.5 * (size + real)), np.sqrt(0.5 * (size - real))


def canopy_coefficients(
    radiometer: Radiometer,
    covers: tuple[Values, Values],
    types: tuple[Values, Values],
    leaf_areas: tuple[Values, Values],
) -> tuple[Canopy, Canopy]:
    """Terms of the tau-omega model, summed over bare soil and vegetation with their shares; H, then V polarised.

    Covers, types (0..20), leaf areas (m2 m-2) of high and low vegetation, (n,); where they overlap high goes first.
    """
    angle = math.radians(radiometer.incidence)
    high = np.clip(covers[0], 0.0, 1.0)
    shares = (high, np.minimum(np.clip(covers[1], 0.0, 1.0), 1.0 - high))
    # (2, n_columns), H and V polarised.
    through, own, returned = np.zeros((3, 2, len(high)))
    through += 1.0 - shares[0] - shares[1]
    for share, kind, leaf_area in zip(shares, types, leaf_areas, strict=True):
        number = np.clip(np.rint(np.nan_to_num(kind)), 0, len(_BY_TYPE) - 1).astype(np.int64)
        by_leaf_area, constant, albedo, *tilts = _BY_TYPE[number].T
        depth = by_leaf_area * leaf_area + constant
        slant = depth * (math.cos(angle) ** 2 + np.stack(tilts) * math.sin(angle) ** 2) / math.cos(angle)
        passed = np.exp(-slant)
        emitted = (1.0 - albedo) * (1.0 - passed)
        through += share * passed
        own += share * emitted
        returned += share * emitted * passed
    return Canopy(through[0], own[0], returned[0]), Canopy(through[1], own[1], returned[1])


class BrightnessTemperature(ObservationOperator):
    """Brightness temperature above the canopy at L-band, H and V polarised.

    Neither the sky's reflection nor the atmosphere, a few K together, are in it. Snow, frozen soil, water and towns are
    not described: screen such columns. Columns without a clay fraction (organic soil) give NaN.

    Args:
        model: with ``swvl1``, ``stl1``, ``stl2``, leaf areas, covers and types of vegetation.
        static: (n_columns, n_static) in the model's order and units.
        clay: (n_columns,) mass fraction of clay in the soil, 0..1; see `clay_fraction`.
    """

    observables = (CATALOGUE["tbh"], CATALOGUE["tbv"])

    def __init__(self, model: Model, static: Values, clay: Values, radiometer: Radiometer | None = None) -> None:
        def positions(group: str, *names: str) -> list[int]:
            return [position_of(getattr(model, group), *known, _WHAT) for known in units_of(*names).items()]

        super().__init__([("state", position) for position in positions("state", "swvl1", "stl1", "stl2")])
        if clay.shape != (len(static),):
            raise InputError(f"{_WHAT}: found a clay fraction of the shape {clay.shape}, expected ({len(static)},)")
        self._radiometer = radiometer or Radiometer()
        self._leaf_positions = positions("forcing", "lai_hv", "lai_lv")
        names = ("clim_cvh", "clim_veg_covh", "clim_tvh", "clim_cvl", "clim_veg_covl", "clim_tvl")
        high, dense_high, type_high, low, dense_low, type_low = (
            column_of(static, position) for position in positions("static", *names)
        )
        self._covers, self._types = (high * dense_high, low * dense_low), (type_high, type_low)
        self._soil = soil_coefficients(clay, self._radiometer.frequency)

    def values(self, situation: Situation) -> Values:
        return on_columns(brightness.brightness_temperature, self._arguments(situation), (2,)).T

    def slopes(self, situation: Situation) -> Values:
        found = on_columns(brightness.brightness_temperature_slopes, self._arguments(situation), (2, 3))
        return np.moveaxis(found, -1, 0)

    def _arguments(self, situation: Situation) -> tuple[Any, ...]:
        high, low = (column_of(situation.forcing, position) for position in self._leaf_positions)
        canopies = canopy_coefficients(self._radiometer, self._covers, self._types, (high, low))
        return brightness.Land(*self._columns(situation)), self._soil, *canopies, self._radiometer.view()


@register("tb", hours=48.0, errors={"tbh": 4.0, "tbv": 4.0})
def _make(columns: Columns) -> BrightnessTemperature:
    if columns.clay is None:
        raise InputError(f"{_WHAT}: found no clay fraction of the columns, expected clim_sotype, or one of all columns")
    return BrightnessTemperature(columns.model, columns.static, columns.clay)
