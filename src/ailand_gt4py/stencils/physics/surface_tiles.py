"""Tiles of the land surface: albedo, emissivity, long-wave radiation, evaporation and roughness of the grid box.

The formulas are ecLand's, which the network learned from, applied to the mean over the grid box:

* tiles: IFS documentation (CY48R1), part IV, chapter 8; Boussetta et al. 2021 (doi:10.3390/atmos12060723). Their
  shares follow from the covers of vegetation, lakes and towns and from the snow cover. There is no wet-skin tile: a
  model need not have the interception reservoir among its variables.
* albedo and emissivity by tile: ecLand's ``surfrad_ctl_mod``.
* roughness by tile and its mean at a blending height of 10 m: ecLand's ``vupdz0_mod`` and ``surfexcdriver_ctl_mod``;
  roughness for heat of snow after Andreas 2002 (doi:10.1175/1525-7541(2002)003<0417:PSTOSA>2.0.CO;2).

All is float64.
"""

import math
from typing import NamedTuple

import gt4py.next as gtx
import numpy as np
from gt4py.eve.utils import FrozenNamespace
from gt4py.next import exp, log, maximum, minimum, sqrt

from ailand_gt4py.core.constants import FUSION_HEAT, GRAVITY, MELTING_POINT, STEFAN_BOLTZMANN, VAPORISATION_HEAT
from ailand_gt4py.core.dimensions import Column
from ailand_gt4py.ecland import surface_tables as tables

Values = gtx.Field[[Column], gtx.float64]

#: Where the profiles above all tiles of a grid box have become one, m.
BLENDING_HEIGHT = 10.0


def neutral_exchange(roughness: float) -> np.float64:
    """Neutral exchange coefficient at the blending height over the square of von Karman's constant."""
    return np.float64(math.log(BLENDING_HEIGHT / roughness) ** -2)


TILES = FrozenNamespace(
    gravity=np.float64(GRAVITY),
    vaporisation=np.float64(VAPORISATION_HEAT),
    fusion=np.float64(FUSION_HEAT),
    stefan_boltzmann=np.float64(STEFAN_BOLTZMANN),
    melting=np.float64(MELTING_POINT),
    blending_height=np.float64(BLENDING_HEIGHT),
    least_wind=np.float64(0.1),
    tiny=np.float64(1e-12),
    emissivity_land=np.float64(tables.EMISSIVITY["land"]),
    emissivity_desert=np.float64(tables.EMISSIVITY["desert"]),
    emissivity_snow=np.float64(tables.EMISSIVITY["snow"]),
    emissivity_water=np.float64(tables.EMISSIVITY["water"]),
    emissivity_town=np.float64(tables.URBAN_EMISSIVITY),
    albedo_town=np.float64(tables.URBAN_ALBEDO),
    albedo_water=np.float64(tables.WATER_ALBEDO),
    solar_spectrum=np.float64(tables.SOLAR_WEIGHTS[0] + 2.0 * tables.SOLAR_WEIGHTS[1]),
    roughness_soil=np.float64(tables.BARE_SOIL_ROUGHNESS),
    heat_roughness_soil=np.float64(tables.BARE_SOIL_ROUGHNESS / 100.0),
    roughness_snow=np.float64(tables.SNOW_ROUGHNESS),
    roughness_town=np.float64(tables.URBAN_ROUGHNESS),
    heat_roughness_town=np.float64(tables.URBAN_HEAT_ROUGHNESS),
    exchange_soil=neutral_exchange(tables.BARE_SOIL_ROUGHNESS),
    heat_exchange_soil=neutral_exchange(tables.BARE_SOIL_ROUGHNESS / 100.0),
    exchange_town=neutral_exchange(tables.URBAN_ROUGHNESS),
    heat_exchange_town=neutral_exchange(tables.URBAN_HEAT_ROUGHNESS),
    exchange_ice=neutral_exchange(tables.ICE_ROUGHNESS),
)


class Surface(NamedTuple):
    """Inputs of the closures, in order.

    Attributes:
        lake, town, high_cover, low_cover: covers. high_density, low_density: of the canopies within their covers.
        high_roughness, low_roughness: for momentum, by type of vegetation, m; their _ratio: momentum over heat.
        high_albedo, low_albedo, forest_snow_albedo: by type of vegetation. wet_soil_albedo: saturated, visible.
        background_albedo: climatology without snow, or -1: unknown. snow_albedo: of snow in the open.
        field_capacity, wilting_point, soil_water: volumetric, m3 m-3. soil_temperature: K; both of the uppermost layer.
        snow_cover: share of the grid box. snow_water: m of water, its mean. snow_density: kg m-3.
        air_temperature, humidity, eastward_wind, northward_wind: at the reference height (m), K, kg kg-1, m s-1.
        pressure: at the surface, Pa. longwave_down: W m-2. skin_temperature: K.
        sensible_heat, latent_heat: positive downward, W m-2.
    """

    lake: Values
    town: Values
    high_cover: Values
    low_cover: Values
    high_density: Values
    low_density: Values
    high_roughness: Values
    low_roughness: Values
    field_capacity: Values
    wilting_point: Values
    high_roughness_ratio: Values
    low_roughness_ratio: Values
    high_albedo: Values
    low_albedo: Values
    wet_soil_albedo: Values
    forest_snow_albedo: Values
    background_albedo: Values
    snow_albedo: Values
    air_temperature: Values
    humidity: Values
    pressure: Values
    eastward_wind: Values
    northward_wind: Values
    longwave_down: Values
    soil_water: Values
    soil_temperature: Values
    snow_cover: Values
    snow_water: Values
    snow_density: Values
    skin_temperature: Values
    sensible_heat: Values
    latent_heat: Values
    reference_height: Values


class Tiles(NamedTuple):
    """Shares of the grid box, which add up to 1; then low and high vegetation of what is neither lake nor town.

    ``shaded_snow`` lies in forests and towns; lakes bear none.
    """

    low: Values
    high: Values
    soil: Values
    open_snow: Values
    shaded_snow: Values
    streets: Values
    open_lake: Values
    frozen_lake: Values
    low_vegetation: Values
    high_vegetation: Values


class Mixture(NamedTuple):
    """What roughness lengths are mixed with.

    Attributes:
        deep: weight of deep snow against the low vegetation and soil that rise out of a shallow one.
        low: of low vegetation against soil. town: of towns against forests.
        water_friction: friction velocity over water, m s-1.
    """

    deep: Values
    low: Values
    town: Values
    water_friction: Values


@gtx.field_operator
def unit_interval(value: Values) -> Values:
    """Clipped to [0, 1]; the order of the arguments lets NaN pass in compiled code."""
    return minimum(1.0, maximum(0.0, value))


@gtx.field_operator
def blended(share: Values, roughness: Values) -> Values:
    """A tile's part of the neutral exchange coefficient at the blending height (ecLand's mean of roughness lengths)."""
    logarithm = log(TILES.blending_height / roughness)
    return share / (logarithm * logarithm)


@gtx.field_operator
def allowed(roughness: Values) -> Values:
    """A roughness length by type within the bounds of ``vupdz0_mod``, m."""
    return minimum(5.0, maximum(1.0e-5, roughness))


@gtx.field_operator
def roughness_of(exchange: Values) -> Values:
    """The roughness length with a neutral exchange coefficient at the blending height, m."""
    return TILES.blending_height * exp(0.0 - 1.0 / sqrt(maximum(TILES.tiny, exchange)))


@gtx.field_operator
def wind_speed(eastward_wind: Values, northward_wind: Values) -> Values:
    """At least 0.1 m s-1, as in ecLand."""
    squared = eastward_wind * eastward_wind + northward_wind * northward_wind
    return sqrt(maximum(TILES.least_wind * TILES.least_wind, squared))


@gtx.field_operator
def tiles_of(x: Surface) -> Tiles:
    """The tiles. A lake is taken to freeze as the uppermost soil layer falls to 1 K below freezing."""
    high_vegetation = unit_interval(x.high_cover * x.high_density)
    low_vegetation = minimum(1.0 - high_vegetation, unit_interval(x.low_cover * x.low_density))
    lake = unit_interval(x.lake)
    town = minimum(1.0 - lake, unit_interval(x.town))
    rest = 1.0 - lake - town
    low = low_vegetation * rest
    high = high_vegetation * rest
    soil = rest - low - high
    snow = unit_interval(x.snow_cover / maximum(TILES.tiny, 1.0 - lake))
    free = 1.0 - snow
    frozen = lake * unit_interval(TILES.melting - x.soil_temperature)
    return Tiles(
        free * low,
        free * high,
        free * soil,
        snow * (low + soil),
        snow * (high + town),
        free * town,
        lake - frozen,
        frozen,
        low_vegetation,
        high_vegetation,
    )


@gtx.field_operator
def snow_free_albedo(x: Surface, tiles: Tiles) -> Values:
    """Of vegetation and soil: the host's climatology, or, where that is unknown, by type (BATS1e).

    A drying soil brightens: below 0.7 micrometres its albedo is the saturated one plus 0.11 - 0.40 times its volumetric
    water content, at most twice the saturated one, and above 0.7 micrometres twice that.
    """
    drying = maximum(0.0, minimum(x.wet_soil_albedo, 0.11 - 0.40 * x.soil_water))
    soil_albedo = TILES.solar_spectrum * (x.wet_soil_albedo + drying)
    bare = 1.0 - tiles.low_vegetation - tiles.high_vegetation
    by_type = tiles.low_vegetation * x.low_albedo + tiles.high_vegetation * x.high_albedo + bare * soil_albedo
    known = unit_interval(1.0 + x.background_albedo)
    return by_type + known * (x.background_albedo - by_type)


@gtx.field_operator
def mean_albedo(x: Surface, tiles: Tiles, background: Values) -> Values:
    """Albedo of the grid box for diffuse radiation; background: of `snow_free_albedo`.

    Lake ice is that of Mironov and Ritter 2004; the uppermost soil layer's temperature is taken for its own.
    """
    # Half of a town's snow is as that of forests, half is swept.
    forest = tiles.high_vegetation * (1.0 - x.town)
    swept = 0.5 * (TILES.albedo_town - x.forest_snow_albedo) * x.town / maximum(TILES.tiny, forest + x.town)
    coldness = (minimum(TILES.melting, x.soil_temperature) - TILES.melting) / TILES.melting
    return (
        (tiles.low + tiles.high + tiles.soil) * background
        + tiles.open_snow * x.snow_albedo
        + tiles.shaded_snow * (x.forest_snow_albedo + swept)
        + tiles.streets * TILES.albedo_town
        + tiles.open_lake * TILES.albedo_water
        + tiles.frozen_lake * (0.7 - 0.3 * exp(95.6 * coldness))
    )


@gtx.field_operator
def emission_and_evaporation(x: Surface, tiles: Tiles, background: Values) -> tuple[Values, Values, Values]:
    """Emissivity, upwelling long-wave radiation (W m-2) and evaporation (kg m-2 s-1, positive upward)."""
    available = (x.soil_water - x.wilting_point) / maximum(TILES.tiny, x.field_capacity - x.wilting_point)
    moisture = unit_interval(available)
    land = TILES.emissivity_desert + moisture * (TILES.emissivity_land - TILES.emissivity_desert)
    # Bare soil that is brighter than 0.3 is desert; written without a branch.
    desert = unit_interval(1.0e6 * (background - 0.3))
    bare = land + desert * (TILES.emissivity_desert - land)
    emissivity = (
        (tiles.low + tiles.high + tiles.shaded_snow) * land
        + tiles.soil * bare
        + (tiles.open_snow + tiles.frozen_lake) * TILES.emissivity_snow
        + tiles.streets * TILES.emissivity_town
        + tiles.open_lake * TILES.emissivity_water
    )
    squared = x.skin_temperature * x.skin_temperature
    longwave_up = emissivity * TILES.stefan_boltzmann * squared * squared + (1.0 - emissivity) * x.longwave_down
    # Snow and ice sublimate, the rest evaporates, taken in proportion to their shares: ecLand does so by tile.
    latent = TILES.vaporisation + (tiles.open_snow + tiles.shaded_snow + tiles.frozen_lake) * TILES.fusion
    return emissivity, longwave_up, (0.0 - x.latent_heat) / latent


@gtx.field_operator
def mixture(x: Surface, tiles: Tiles) -> Mixture:
    """What roughness lengths are mixed with."""
    # Snow is deep from 0.25 m on: density of water over that depth, kg m-4. Over water the drag coefficient is 0.0012.
    return Mixture(
        unit_interval(4000.0 * x.snow_water / x.snow_density),
        unit_interval(tiles.low_vegetation / maximum(TILES.tiny, 1.0 - tiles.high_vegetation)),
        x.town / maximum(TILES.tiny, tiles.high_vegetation + x.town),
        0.0346 * wind_speed(x.eastward_wind, x.northward_wind),
    )


@gtx.field_operator
def momentum_roughness(x: Surface, tiles: Tiles, mixed: Mixture) -> Values:
    """Roughness length of the grid box for momentum, m."""
    high = allowed(x.high_roughness)
    short = mixed.low * allowed(x.low_roughness) + (1.0 - mixed.low) * TILES.roughness_soil
    # Charnock's coefficient over rough water; over smooth water, 0.11 times the kinematic viscosity of air, 1.5e-5 m2
    # s-1, over the friction velocity (IFS documentation, part IV, chapter 3).
    rough_water = 0.018 * mixed.water_friction * mixed.water_friction / TILES.gravity
    return roughness_of(
        blended(tiles.low, allowed(x.low_roughness))
        + blended(tiles.high, high)
        + tiles.soil * TILES.exchange_soil
        + blended(tiles.open_snow, short + mixed.deep * (TILES.roughness_snow - short))
        + blended(tiles.shaded_snow, high + mixed.town * (TILES.roughness_town - high))
        + tiles.streets * TILES.exchange_town
        + blended(tiles.open_lake, 1.65e-6 / mixed.water_friction + rough_water)
        + tiles.frozen_lake * TILES.exchange_ice
    )


@gtx.field_operator
def snow_heat_roughness(friction: Values) -> Values:
    """Roughness length for heat of deep snow, m (Andreas 2002, for Reynolds numbers from 0.01 to 1000)."""
    reynolds = TILES.roughness_snow * friction / 1.35e-5  # kinematic viscosity of air, m2 s-1
    x = log(minimum(1000.0, maximum(0.01, reynolds)))
    return TILES.roughness_snow * exp(0.25344 - x * (0.66267 + x * (0.12756 + x * 0.0061586)))


@gtx.field_operator
def heat_roughness(x: Surface, tiles: Tiles, mixed: Mixture, friction: Values) -> Values:
    """Roughness length of the grid box for heat, m, at the friction velocity of neutral flow, m s-1."""
    high = allowed(x.high_roughness) / x.high_roughness_ratio
    low = allowed(x.low_roughness) / x.low_roughness_ratio
    short = mixed.low * low + (1.0 - mixed.low) * TILES.heat_roughness_soil
    return roughness_of(
        blended(tiles.low, low)
        + blended(tiles.high, high)
        + tiles.soil * TILES.heat_exchange_soil
        + blended(tiles.open_snow, short + mixed.deep * (snow_heat_roughness(friction) - short))
        + blended(tiles.shaded_snow, high + mixed.town * (TILES.heat_roughness_town - high))
        + tiles.streets * TILES.heat_exchange_town
        + blended(tiles.open_lake, 6.0e-6 / mixed.water_friction)  # 0.40 times the viscosity
        + tiles.frozen_lake * TILES.exchange_ice
    )
