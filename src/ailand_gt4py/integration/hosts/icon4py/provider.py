"""What ICON4Py does not have and a land surface needs: radiation, land-sea mask, soil and vegetation, first state.

`Provider` is what the adapter asks for; a host with a radiation scheme or external parameters writes its own.
`IdealisedPlanet` is the default: round continents, belts of vegetation, the sun's geometry, grey long-wave radiation.
Its values are typical, not a climatology.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np

from ailand_gt4py.core import arrays
from ailand_gt4py.core.constants import GRAVITY
from ailand_gt4py.ecland import snow, soil_tables
from ailand_gt4py.emulator.forcing import derived_forcing

Values = Any  # NumPy or CuPy array


class Provider(Protocol):
    """Fields at given locations; all arrays (n,), latitude and longitude in degrees north and east."""

    def land_mask(self, latitude: Values, longitude: Values) -> Values:
        """Where land is: bool."""
        ...

    def static(self, latitude: Values, longitude: Values, height: Values) -> dict[str, Values]:
        """Static inputs of the model by name, in its units; it may give more than the model has.

        Args:
            height: of the host's ground above sea level, m.
        """
        ...

    def initial_state(
        self, latitude: Values, longitude: Values, temperature: Values, static: dict[str, Values]
    ) -> dict[str, Values]:
        """The land's state at the start, by name.

        Args:
            temperature: of the host's lowest layer, K. static: of the same locations.
        """
        ...

    def prescribed(self, latitude: Values, longitude: Values, time: np.datetime64) -> dict[str, Values | float]:
        """Forcing of the model that no host gives: leaf area indices, convective fraction of the precipitation."""
        ...

    def humidity(self, temperature: Values, pressure: Values) -> Values:
        """Specific humidity, kg kg-1, where the host carries no vapour."""
        ...

    def precipitation(self, latitude: Values, longitude: Values, time: np.datetime64) -> tuple[Values, Values]:
        """Rain and snow, kg m-2 s-1, where the host has no microphysics."""
        ...

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
        ...


class Continent(NamedTuple):
    """A round continent: all locations within a great-circle distance; degrees."""

    latitude: float
    longitude: float
    radius: float


CONTINENTS = (
    Continent(48.0, 85.0, 36.0),
    Continent(8.0, 22.0, 28.0),
    Continent(48.0, -102.0, 25.0),
    Continent(-14.0, -58.0, 22.0),
    Continent(-25.0, 134.0, 17.0),
)


class Belt(NamedTuple):
    """Soil and vegetation poleward of a latitude; types are ecLand's (`ecland.soil_tables`).

    Attributes:
        from_latitude: degrees, of either hemisphere.
        high_type, low_type: of vegetation. high_cover, low_cover: 1. high_leaves, low_leaves: leaf area in summer.
        soil: type.
    """

    from_latitude: float
    high_type: int
    high_cover: float
    high_leaves: float
    low_type: int
    low_cover: float
    low_leaves: float
    soil: int


#: From the equator to the poles: rain forest, savanna, desert, crops, mixed forest, boreal forest, tundra.
BELTS = (
    Belt(0.0, 6, 0.85, 5.0, 7, 0.15, 3.0, 5),
    Belt(10.0, 18, 0.40, 3.0, 7, 0.55, 2.5, 2),
    Belt(18.0, 16, 0.05, 1.0, 11, 0.30, 0.6, 1),
    Belt(31.0, 5, 0.15, 3.5, 1, 0.75, 3.0, 3),
    Belt(45.0, 19, 0.50, 4.0, 2, 0.45, 2.5, 2),
    Belt(56.0, 3, 0.65, 3.5, 9, 0.30, 1.5, 2),
    Belt(67.0, 4, 0.05, 1.5, 9, 0.80, 1.2, 6),
)

#: Part of the insolation that reaches the ground.
TRANSMISSIVITY = 0.6
#: Emissivity of the clear sky, Brutsaert 1975 (doi:10.1029/WR011i005p00742): 1.24 (e / T)^(1/7), e in hPa, and what
#: clouds add to it.
BRUTSAERT, CLOUD_EMISSIVITY = 1.24, 0.06
STEFAN_BOLTZMANN = 5.670374e-8
#: Water vapour over dry air, ratio of the gas constants.
EPSILON = 0.622
RELATIVE_HUMIDITY = 0.7
#: Between them the ground goes from no snow to being covered, K; snow water where it is, m, and less under less cover.
SNOW_FREE, SNOW_COVERED, SNOW_WATER = 273.0, 263.0, 0.05
#: Soil water between wilting point (0) and field capacity (1), by layer.
SOIL_WETNESS = (0.55, 0.6, 0.65, 0.7)


class IdealisedPlanet:
    """The default provider.

    Args:
        continents: where land is. device: of all arrays.
        transmissivity: part of the insolation that reaches the ground.
        backend: a GT4Py backend for the sun's geometry; None: embedded execution.
    """

    def __init__(
        self,
        continents: tuple[Continent, ...] = CONTINENTS,
        transmissivity: float = TRANSMISSIVITY,
        device: arrays.Device = "cpu",
        backend: Any = None,
    ) -> None:
        self._continents, self._transmissivity, self._device = continents, transmissivity, device
        self._backend = backend
        self._xp = arrays.array_module(device)

    def land_mask(self, latitude: Values, longitude: Values) -> Values:
        xp = self._xp
        phi, theta = xp.deg2rad(latitude), xp.deg2rad(longitude)
        land = xp.zeros(len(latitude), dtype=bool)
        for continent in self._continents:
            phi_0, theta_0 = np.deg2rad(continent.latitude), np.deg2rad(continent.longitude)
            cosine = xp.sin(phi) * np.sin(phi_0) + xp.cos(phi) * np.cos(phi_0) * xp.cos(theta - theta_0)
            land |= cosine >= np.cos(np.deg2rad(continent.radius))
        return land

    def static(self, latitude: Values, longitude: Values, height: Values) -> dict[str, Values]:
        xp = self._xp
        zeros = xp.zeros(len(latitude), dtype=np.float64)
        belt = self._belt(latitude)

        result = {
            "clim_clake": zeros,
            "clim_ctype": zeros,
            "clim_cu": zeros,
            "clim_geopot": GRAVITY * height,
            "clim_sdor": zeros + 20.0,
        }
        by_belt: dict[str, Any] = {}
        for kind, word in (("h", "high"), ("l", "low")):
            types = _of_belts(f"{word}_type").astype(int)
            by_belt |= {f"clim_cv{kind}": _of_belts(f"{word}_cover"), f"clim_tv{kind}": types}
            for name, quantity in (("cov", "coverage"), ("z0m", "roughness"), ("rsmin", "stomatal_resistance")):
                by_belt[f"clim_veg_{name}{kind}"] = soil_tables.vegetation_values(quantity, types)
        for name, quantity in (("cap", "field_capacity"), ("pwp", "wilting_point"), ("sat", "saturation")):
            by_belt[f"clim_theta_{name}"] = soil_tables.soil_values(quantity, _of_belts("soil").astype(int))
        return result | {name: xp.asarray(values, dtype=np.float64)[belt] for name, values in by_belt.items()}

    def initial_state(
        self, latitude: Values, longitude: Values, temperature: Values, static: dict[str, Values]
    ) -> dict[str, Values]:
        """The host's temperature in all layers, moist soil, dry leaves, and snow where it is cold."""
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
        xp = self._xp
        belt = self._belt(latitude)
        year = time.astype("datetime64[Y]")
        fraction = float((time - year) / ((year + np.timedelta64(1, "Y")).astype("datetime64[D]") - year))
        # Leaves are fullest in July north and in January south of the equator, and do not change in the tropics.
        season = xp.cos(2.0 * np.pi * (fraction - 0.54)) * xp.sign(latitude) * xp.minimum(xp.abs(latitude) / 60.0, 1.0)
        high, low = (xp.asarray(_of_belts(name))[belt] for name in ("high_leaves", "low_leaves"))
        growth = 0.75 + 0.25 * season
        return {"lai_hv": high * growth, "lai_lv": low * growth, "met_ctpf": 0.5}

    def humidity(self, temperature: Values, pressure: Values) -> Values:
        # Saturation over water, Bolton 1980 (doi:10.1175/1520-0493(1980)108<1046:TCOEPT>2.0.CO;2).
        celsius = temperature - 273.15
        vapour = RELATIVE_HUMIDITY * 611.2 * self._xp.exp(17.67 * celsius / (celsius + 243.5))
        return EPSILON * vapour / (pressure - (1.0 - EPSILON) * vapour)

    def precipitation(self, latitude: Values, longitude: Values, time: np.datetime64) -> tuple[Values, Values]:
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
        insolation = self._xp.empty((len(latitude), 1), dtype=np.float64)
        seconds = float(step / np.timedelta64(1, "s"))
        names = ("toa_incoming_shortwave_flux",)
        derived_forcing(latitude, longitude, time, seconds, names, insolation, self._backend, self._device)
        vapour = humidity * pressure / (EPSILON + (1.0 - EPSILON) * humidity)
        clear = BRUTSAERT * (0.01 * self._xp.maximum(vapour, 0.0) / temperature) ** (1.0 / 7.0)
        emissivity = self._xp.minimum(clear + CLOUD_EMISSIVITY, 1.0)
        return self._transmissivity * insolation[:, 0], emissivity * STEFAN_BOLTZMANN * temperature**4

    def _belt(self, latitude: Values) -> Values:
        """Number of the belt."""
        starts = self._xp.asarray(_of_belts("from_latitude"))
        return self._xp.searchsorted(starts, self._xp.abs(latitude), side="right") - 1


def _of_belts(name: str) -> np.ndarray:
    """An attribute of all belts."""
    return np.array([getattr(belt, name) for belt in BELTS], dtype=np.float64)
