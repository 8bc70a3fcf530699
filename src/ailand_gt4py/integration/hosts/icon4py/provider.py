"""What ICON4Py does not have and a land surface needs: radiation, land-sea mask, soil and vegetation, first state.

`IdealisedPlanet` has round continents, belts of vegetation, the sun's geometry, grey long-wave radiation. Its values
are typical, not a climatology. A host with a radiation scheme or external parameters gives its own by a class that
replaces these methods.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ailand_gt4py.core import arrays
from ailand_gt4py.core.constants import GRAVITY, STEFAN_BOLTZMANN
from ailand_gt4py.ecland import humidity as moist_air
from ailand_gt4py.ecland import snow, soil_tables, surface_tables
from ailand_gt4py.emulator.forcing import derived_forcing

Values = Any  # NumPy or CuPy array


#: Round continents: all locations within a great-circle distance of the middle; latitude, longitude, distance, degrees.
CONTINENTS = (
    (48.0, 85.0, 36.0),
    (8.0, 22.0, 28.0),
    (48.0, -102.0, 25.0),
    (-14.0, -58.0, 22.0),
    (-25.0, 134.0, 17.0),
)

#: Soil and vegetation in belts, from the equator to the poles of either hemisphere: rain forest, savanna, desert,
#: crops, mixed forest, boreal forest, tundra. Types are ecLand's (`ecland.soil_tables`), leaves: leaf area in summer.
BELTS = {
    "from_latitude": (0.0, 10.0, 18.0, 31.0, 45.0, 56.0, 67.0),
    "high_type": (6, 18, 16, 5, 19, 3, 4),
    "high_cover": (0.85, 0.40, 0.05, 0.15, 0.50, 0.65, 0.05),
    "high_leaves": (5.0, 3.0, 1.0, 3.5, 4.0, 3.5, 1.5),
    "low_type": (7, 7, 11, 1, 2, 9, 9),
    "low_cover": (0.15, 0.55, 0.30, 0.75, 0.45, 0.30, 0.80),
    "low_leaves": (3.0, 2.5, 0.6, 3.0, 2.5, 1.5, 1.2),
    "soil": (5, 2, 1, 3, 2, 2, 6),
}

#: Part of the insolation that reaches the ground.
TRANSMISSIVITY = 0.6
#: Emissivity of the clear sky, Brutsaert 1975 (doi:10.1029/WR011i005p00742): 1.24 (e / T)^(1/7), e in hPa, and what
#: clouds add to it; that of dry air, Konzelmann et al. 1994 (doi:10.1016/0921-8181(94)90013-2), which Brutsaert's
#: formula has not.
BRUTSAERT, CLOUD_EMISSIVITY, DRY_EMISSIVITY = 1.24, 0.06, 0.23
RELATIVE_HUMIDITY = 0.7
#: Between them the ground goes from no snow to being covered, K; snow water where it is, m, and less under less cover.
SNOW_FREE, SNOW_COVERED, SNOW_WATER = 273.0, 263.0, 0.05
#: Soil water between wilting point (0) and field capacity (1), by layer.
SOIL_WETNESS = (0.55, 0.6, 0.65, 0.7)


class IdealisedPlanet:
    """Fields at given locations; all arrays (n,), latitude and longitude in degrees north and east.

    Args:
        device: of all arrays. backend: a GT4Py backend for the sun's geometry; None: embedded execution.
    """

    def __init__(self, device: arrays.Device = "cpu", backend: Any = None) -> None:
        self._device, self._backend, self._xp = device, backend, arrays.array_module(device)

    def land_mask(self, latitude: Values, longitude: Values) -> Values:
        """Where land is: bool."""
        xp = self._xp
        phi, theta = xp.deg2rad(latitude), xp.deg2rad(longitude)
        land = xp.zeros(len(latitude), dtype=bool)
        for continent in CONTINENTS:
            phi_0, theta_0, distance = np.deg2rad(continent)
            cosine = xp.sin(phi) * np.sin(phi_0) + xp.cos(phi) * np.cos(phi_0) * xp.cos(theta - theta_0)
            land |= cosine >= np.cos(distance)
        return land

    def static(self, latitude: Values, longitude: Values, height: Values) -> dict[str, Values]:
        """Static inputs of the model by name, in its units; there may be more than the model has.

        Args:
            height: of the host's ground above sea level, m.
        """
        zeros = self._xp.zeros(len(latitude), dtype=np.float64)
        result = {
            "clim_clake": zeros,
            "clim_ctype": zeros,
            "clim_cu": zeros,
            "clim_geopot": GRAVITY * height,
            "clim_sdor": zeros + 20.0,
        }
        by_belt: dict[str, Any] = {}
        for kind, word in (("h", "high"), ("l", "low")):
            types = np.array(BELTS[f"{word}_type"])
            by_belt |= {f"clim_cv{kind}": BELTS[f"{word}_cover"], f"clim_tv{kind}": types}
            for name, quantity in (("cov", "coverage"), ("z0m", "roughness"), ("rsmin", "stomatal_resistance")):
                by_belt[f"clim_veg_{name}{kind}"] = soil_tables.vegetation_values(quantity, types)
        for name, quantity in (("cap", "field_capacity"), ("pwp", "wilting_point"), ("sat", "saturation")):
            by_belt[f"clim_theta_{name}"] = soil_tables.soil_values(quantity, np.array(BELTS["soil"]))
        return result | {name: self._at(latitude, values) for name, values in by_belt.items()}

    def initial_state(
        self, latitude: Values, longitude: Values, temperature: Values, static: dict[str, Values]
    ) -> dict[str, Values]:
        """The land's first state, by name: the host's temperature, moist soil, dry leaves, snow where it is cold.

        Args:
            temperature: of the host's lowest layer, K. static: of the same locations.
        """
        xp = self._xp
        cap, pwp = static["clim_theta_cap"], static["clim_theta_pwp"]
        cover = xp.clip((SNOW_FREE - temperature) / (SNOW_FREE - SNOW_COVERED), 0.0, 1.0)
        water = snow.water_under(cover, SNOW_WATER, xp)
        result = {
            "snowc": cover,
            "sd": water,
            "rsn": snow.density(water, xp),
            "tsn": snow.temperature(water, temperature, temperature, xp),
            "asn": snow.albedo(water, xp),
            "src": xp.zeros_like(temperature),
        }
        for layer, wetness in enumerate(SOIL_WETNESS, start=1):
            result[f"swvl{layer}"] = pwp + wetness * (cap - pwp)
            result[f"stl{layer}"] = temperature
        return result

    def prescribed(self, latitude: Values, longitude: Values, time: np.datetime64) -> dict[str, Values | float]:
        """Forcing that no host gives: leaves, background albedo, convective fraction of the precipitation."""
        xp = self._xp
        year = time.astype("datetime64[Y]")
        fraction = float((time - year) / ((year + np.timedelta64(1, "Y")).astype("datetime64[D]") - year))
        # Leaves are fullest in July north and in January south of the equator, and do not change in the tropics.
        season = xp.cos(2.0 * np.pi * (fraction - 0.54)) * xp.sign(latitude) * xp.minimum(xp.abs(latitude) / 60.0, 1.0)
        high, low = (self._at(latitude, BELTS[name]) for name in ("high_leaves", "low_leaves"))
        growth = 0.75 + 0.25 * season
        by_belt = (np.array(BELTS[name]) for name in ("high_cover", "low_cover", "high_type", "low_type"))
        albedo = self._at(latitude, surface_tables.background_albedo(*by_belt))
        return {"lai_hv": high * growth, "lai_lv": low * growth, "albedo_background": albedo, "met_ctpf": 0.5}

    def humidity(self, temperature: Values, pressure: Values) -> Values:
        """Specific humidity, kg kg-1, where the host carries no vapour."""
        vapour = RELATIVE_HUMIDITY * moist_air.saturation_pressure(temperature)
        return moist_air.specific_humidity(vapour, pressure)

    def precipitation(self, latitude: Values, longitude: Values, time: np.datetime64) -> tuple[Values, Values]:
        """Rain and snow, kg m-2 s-1, where the host has no microphysics: none."""
        zeros = self._xp.zeros(len(latitude), dtype=np.float64)
        return zeros, zeros

    def radiation(
        self,
        latitude: Values,
        longitude: Values,
        time: np.datetime64,
        step: np.timedelta64,
        temperature: Values,
        humidity: Values,
        pressure: Values,
    ) -> tuple[Values, Values]:
        """Downward short-wave and long-wave radiation at the ground, W m-2, means over [time, time + step).

        Args:
            temperature, humidity, pressure: of the host's lowest layer, K, kg kg-1, Pa.
        """
        insolation = self._xp.empty((len(latitude), 1), dtype=np.float64)
        seconds = float(step / np.timedelta64(1, "s"))
        names = ("toa_incoming_shortwave_flux",)
        derived_forcing(latitude, longitude, time, seconds, names, insolation, self._backend, self._device)
        vapour = moist_air.vapour_pressure(humidity, pressure)
        clear = BRUTSAERT * (0.01 * self._xp.maximum(vapour, 0.0) / temperature) ** (1.0 / 7.0)
        emissivity = self._xp.clip(clear, DRY_EMISSIVITY, 1.0 - CLOUD_EMISSIVITY) + CLOUD_EMISSIVITY
        return TRANSMISSIVITY * insolation[:, 0], emissivity * STEFAN_BOLTZMANN * temperature**4

    def _at(self, latitude: Values, of_belts: Values | Sequence[float]) -> Values:
        """What the belts have, at locations."""
        starts = self._xp.asarray(BELTS["from_latitude"])
        belt = self._xp.searchsorted(starts, self._xp.abs(latitude), side="right") - 1
        return self._xp.asarray(of_belts, dtype=np.float64)[belt]
