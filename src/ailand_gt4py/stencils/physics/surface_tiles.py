"""Tiles of the land surface: albedo, emissivity, long-wave radiation, evaporation and roughness of the grid box.

The formulas are ecLand's, which the network learned from, applied to the mean over the grid box:

* tiles: IFS documentation (CY48R1), part IV, chapter 8; Boussetta et al. 2021 (doi:10.3390/atmos12060723). Their
  shares follow from the covers of vegetation, lakes and towns and from the snow cover. The network does not know the
  interception reservoir, so there is no wet-skin tile.
* albedo and emissivity by tile: ecLand's ``surfrad_ctl_mod``.
* roughness by tile and its mean at a blending height of 10 m: ecLand's ``vupdz0_mod`` and ``surfexcdriver_ctl_mod``;
  roughness for heat of snow after Andreas 2002 (doi:10.1175/1525-7541(2002)003<0417:PSTOSA>2.0.CO;2).

All is float64; `ailand_gt4py.stencils.physics.surface` puts the parts together.
"""

import math

import gt4py.next as gtx
import numpy as np
from gt4py.eve.utils import FrozenNamespace
from gt4py.next import exp, log, maximum, minimum, sqrt

from ailand_gt4py.core.constants import GRAVITY
from ailand_gt4py.core.dimensions import Column
from ailand_gt4py.ecland import surface_tables as tables
from ailand_gt4py.stencils.physics.surface_stress import wind_speed

#: Where the profiles above all tiles of a grid box have become one, m.
BLENDING_HEIGHT = 10.0


def neutral_exchange(roughness: float) -> np.float64:
    """Neutral exchange coefficient at the blending height over the square of von Karman's constant."""
    return np.float64(math.log(BLENDING_HEIGHT / roughness) ** -2)


TILES = FrozenNamespace(
    gravity=np.float64(GRAVITY),
    vaporisation=np.float64(2.5008e6),
    fusion=np.float64(2.8345e6 - 2.5008e6),
    stefan_boltzmann=np.float64(5.670374419e-8),
    melting=np.float64(273.16),
    blending_height=np.float64(BLENDING_HEIGHT),
    tiny=np.float64(1e-12),
    emissivity_land=np.float64(tables.emissivity("land")),
    emissivity_desert=np.float64(tables.emissivity("desert")),
    emissivity_snow=np.float64(tables.emissivity("snow")),
    emissivity_water=np.float64(tables.emissivity("water")),
    emissivity_town=np.float64(tables.URBAN_EMISSIVITY),
    albedo_town=np.float64(tables.URBAN_ALBEDO),
    albedo_water=np.float64(tables.WATER_ALBEDO),
    solar_spectrum=np.float64(tables.SOLAR_WEIGHTS[0] + 2.0 * tables.SOLAR_WEIGHTS[1]),
    roughness_soil=np.float64(tables.BARE_SOIL_ROUGHNESS),
    heat_roughness_soil=np.float64(tables.BARE_SOIL_ROUGHNESS / 100.0),
    roughness_snow=np.float64(tables.SNOW_ROUGHNESS),
    roughness_ice=np.float64(tables.ICE_ROUGHNESS),
    roughness_town=np.float64(tables.URBAN_ROUGHNESS),
    heat_roughness_town=np.float64(tables.URBAN_HEAT_ROUGHNESS),
    exchange_soil=neutral_exchange(tables.BARE_SOIL_ROUGHNESS),
    heat_exchange_soil=neutral_exchange(tables.BARE_SOIL_ROUGHNESS / 100.0),
    exchange_town=neutral_exchange(tables.URBAN_ROUGHNESS),
    heat_exchange_town=neutral_exchange(tables.URBAN_HEAT_ROUGHNESS),
    exchange_ice=neutral_exchange(tables.ICE_ROUGHNESS),
    # Roughness lengths that ``vupdz0_mod`` allows, m.
    least_roughness=np.float64(1.0e-5),
    most_roughness=np.float64(5.0),
)

#: Albedo of soil and ice (``surfrad_ctl_mod`` and the tables it reads).
ALBEDO = FrozenNamespace(
    # Visible albedo of dry soil over that of saturated soil, and its decrease with volumetric soil water: BATS1e.
    dry_excess=np.float64(0.11),
    by_water=np.float64(0.40),
    # Bare soil that is brighter is desert; over how small a difference one becomes the other.
    desert=np.float64(0.3),
    desert_sharpness=np.float64(1.0e6),
    # Lake ice: cold, how much less when melting, and its fall with (T - T0) / T0 (Mironov and Ritter 2004).
    ice_cold=np.float64(0.7),
    ice_melting=np.float64(0.3),
    ice_by_coldness=np.float64(95.6),
)

#: Roughness of water and snow (``vupdz0_mod``).
ROUGHNESS = FrozenNamespace(
    # Snow is deep from 0.25 m on: density of water over that depth, kg m-4.
    per_deep_snow=np.float64(4000.0),
    # Root of the drag coefficient over water, 0.0012.
    root_of_drag=np.float64(0.0346),
    # Smooth water: 0.11 (momentum) and 0.40 (heat) times the kinematic viscosity of air, 1.5e-5 m2 s-1, over the
    # friction velocity; rough water: Charnock's coefficient (IFS documentation, part IV, chapter 3).
    viscous=np.float64(1.65e-6),
    viscous_heat=np.float64(6.0e-6),
    charnock=np.float64(0.018),
    # Andreas 2002: viscosity, m2 s-1, the Reynolds numbers that it holds for, and ln(z_heat / z) by their logarithm.
    andreas_viscosity=np.float64(1.35e-5),
    andreas_least=np.float64(0.01),
    andreas_most=np.float64(1000.0),
    andreas_0=np.float64(0.25344),
    andreas_1=np.float64(-0.66267),
    andreas_2=np.float64(-0.12756),
    andreas_3=np.float64(-0.0061586),
)

Values = gtx.Field[[Column], gtx.float64]


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
    """A roughness length by type within ecLand's bounds, m."""
    return minimum(TILES.most_roughness, maximum(TILES.least_roughness, roughness))


@gtx.field_operator
def roughness_of(exchange: Values) -> Values:
    """The roughness length with a neutral exchange coefficient at the blending height, m."""
    return TILES.blending_height * exp(0.0 - 1.0 / sqrt(maximum(TILES.tiny, exchange)))


@gtx.field_operator
def tile_shares(
    lake: Values,
    town: Values,
    high_cover: Values,
    low_cover: Values,
    high_density: Values,
    low_density: Values,
    soil_temperature: Values,
    snow_cover: Values,
) -> tuple[Values, Values, Values, Values, Values, Values, Values, Values, Values, Values]:
    """Shares of the tiles in the grid box, which add up to 1, and of the canopies.

    Args:
        lake, town, high_cover, low_cover: covers. high_density, low_density: of the canopies within their covers.
        soil_temperature: of the uppermost layer, K: a lake is taken to freeze as it falls to 1 K below freezing.
        snow_cover: share of the grid box; lakes bear no snow.

    Returns:
        Low vegetation, high vegetation, bare soil, snow in the open, snow in forests and towns, towns, open lake,
        frozen lake; then low and high vegetation within the part that is neither lake nor town.
    """
    high_vegetation = unit_interval(high_cover * high_density)
    low_vegetation = minimum(1.0 - high_vegetation, unit_interval(low_cover * low_density))
    lake_share = unit_interval(lake)
    town_share = minimum(1.0 - lake_share, unit_interval(town))
    rest = 1.0 - lake_share - town_share
    low = low_vegetation * rest
    high = high_vegetation * rest
    soil = rest - low - high
    snow = unit_interval(snow_cover / maximum(TILES.tiny, 1.0 - lake_share))
    free = 1.0 - snow
    frozen = lake_share * unit_interval(TILES.melting - soil_temperature)
    return (
        free * low,
        free * high,
        free * soil,
        snow * (low + soil),
        snow * (high + town_share),
        free * town_share,
        lake_share - frozen,
        frozen,
        low_vegetation,
        high_vegetation,
    )


@gtx.field_operator
def snow_free_albedo(
    low_vegetation: Values,
    high_vegetation: Values,
    low_albedo: Values,
    high_albedo: Values,
    wet_soil_albedo: Values,
    background_albedo: Values,
    soil_water: Values,
) -> Values:
    """Of vegetation and soil: the host's climatology, or, where that is -1 (unknown), by type (BATS1e).

    A drying soil brightens: below 0.7 micrometres its albedo is the saturated one plus 0.11 - 0.40 times its volumetric
    water content, at most twice the saturated one, and above 0.7 micrometres twice that.
    """
    drying = maximum(0.0, minimum(wet_soil_albedo, ALBEDO.dry_excess - ALBEDO.by_water * soil_water))
    soil_albedo = TILES.solar_spectrum * (wet_soil_albedo + drying)
    bare = 1.0 - low_vegetation - high_vegetation
    by_type = low_vegetation * low_albedo + high_vegetation * high_albedo + bare * soil_albedo
    known = unit_interval(1.0 + background_albedo)
    return by_type + known * (background_albedo - by_type)


@gtx.field_operator
def mean_albedo(
    low: Values,
    high: Values,
    soil: Values,
    open_snow: Values,
    shaded_snow: Values,
    streets: Values,
    open_lake: Values,
    frozen_lake: Values,
    high_vegetation: Values,
    background: Values,
    town: Values,
    forest_snow_albedo: Values,
    snow_albedo: Values,
    soil_temperature: Values,
) -> Values:
    """Albedo of the grid box for diffuse radiation.

    Args:
        low ... frozen_lake, high_vegetation: of `tile_shares`. background: of `snow_free_albedo`.
        forest_snow_albedo: by vegetation type (`ecland_surface_tables`).
        snow_albedo: of snow in the open. soil_temperature: of the uppermost layer, K, taken for that of lake ice.
    """
    # Half of a town's snow is as that of forests, half is swept.
    forest = high_vegetation * (1.0 - town)
    swept = 0.5 * (TILES.albedo_town - forest_snow_albedo) * town / maximum(TILES.tiny, forest + town)
    coldness = (minimum(TILES.melting, soil_temperature) - TILES.melting) / TILES.melting
    return (
        (low + high + soil) * background
        + open_snow * snow_albedo
        + shaded_snow * (forest_snow_albedo + swept)
        + streets * TILES.albedo_town
        + open_lake * TILES.albedo_water
        + frozen_lake * (ALBEDO.ice_cold - ALBEDO.ice_melting * exp(ALBEDO.ice_by_coldness * coldness))
    )


@gtx.field_operator
def emission_and_evaporation(
    low: Values,
    high: Values,
    soil: Values,
    open_snow: Values,
    shaded_snow: Values,
    streets: Values,
    open_lake: Values,
    frozen_lake: Values,
    background: Values,
    field_capacity: Values,
    wilting_point: Values,
    longwave_down: Values,
    soil_water: Values,
    skin_temperature: Values,
    latent_heat: Values,
) -> tuple[Values, Values, Values]:
    """Emissivity, upwelling long-wave radiation (W m-2) and evaporation (kg m-2 s-1, positive upward).

    Args:
        low ... frozen_lake: of `tile_shares`. background: of `snow_free_albedo`.
        field_capacity, wilting_point, soil_water: volumetric, m3 m-3, soil_water of the uppermost layer.
        longwave_down: W m-2. skin_temperature: K. latent_heat: positive downward, W m-2.
    """
    moisture = unit_interval((soil_water - wilting_point) / maximum(TILES.tiny, field_capacity - wilting_point))
    land = TILES.emissivity_desert + moisture * (TILES.emissivity_land - TILES.emissivity_desert)
    # Bare soil with an albedo above 0.3 is desert; written without a branch.
    desert = unit_interval(ALBEDO.desert_sharpness * (background - ALBEDO.desert))
    bare = land + desert * (TILES.emissivity_desert - land)
    emissivity = (
        (low + high + shaded_snow) * land
        + soil * bare
        + (open_snow + frozen_lake) * TILES.emissivity_snow
        + streets * TILES.emissivity_town
        + open_lake * TILES.emissivity_water
    )
    squared = skin_temperature * skin_temperature
    longwave_up = emissivity * TILES.stefan_boltzmann * squared * squared + (1.0 - emissivity) * longwave_down
    # Snow and ice sublimate, the rest evaporates, taken in proportion to their shares: ecLand does so by tile.
    latent = TILES.vaporisation + (open_snow + shaded_snow + frozen_lake) * TILES.fusion
    return emissivity, longwave_up, (0.0 - latent_heat) / latent


@gtx.field_operator
def tile_weights(
    low_vegetation: Values,
    high_vegetation: Values,
    town: Values,
    snow_water: Values,
    snow_density: Values,
    eastward_wind: Values,
    northward_wind: Values,
) -> tuple[Values, Values, Values, Values]:
    """What roughness lengths are mixed with.

    Args:
        snow_water: m of water, mean over the grid box. snow_density: kg m-3.

    Returns:
        Weight of deep snow against the low vegetation and soil that rise out of a shallow one (1 from 0.25 m on); of
        low vegetation against soil; of towns against forests; friction velocity over water (drag coefficient 0.0012).
    """
    return (
        unit_interval(ROUGHNESS.per_deep_snow * snow_water / snow_density),
        unit_interval(low_vegetation / maximum(TILES.tiny, 1.0 - high_vegetation)),
        town / maximum(TILES.tiny, high_vegetation + town),
        ROUGHNESS.root_of_drag * wind_speed(eastward_wind, northward_wind),
    )


@gtx.field_operator
def momentum_roughness(
    low: Values,
    high: Values,
    soil: Values,
    open_snow: Values,
    shaded_snow: Values,
    streets: Values,
    open_lake: Values,
    frozen_lake: Values,
    deep: Values,
    low_weight: Values,
    town_weight: Values,
    water_friction: Values,
    high_roughness: Values,
    low_roughness: Values,
) -> Values:
    """Roughness length of the grid box for momentum, m: arguments of `tile_shares`, `tile_weights`, and by type (m)."""
    high_z0 = allowed(high_roughness)
    low_z0 = allowed(low_roughness)
    short_z0 = low_weight * low_z0 + (1.0 - low_weight) * TILES.roughness_soil
    smooth = ROUGHNESS.viscous / water_friction
    water_z0 = smooth + ROUGHNESS.charnock * water_friction * water_friction / TILES.gravity
    return roughness_of(
        blended(low, low_z0)
        + blended(high, high_z0)
        + soil * TILES.exchange_soil
        + blended(open_snow, short_z0 + deep * (TILES.roughness_snow - short_z0))
        + blended(shaded_snow, high_z0 + town_weight * (TILES.roughness_town - high_z0))
        + streets * TILES.exchange_town
        + blended(open_lake, water_z0)
        + frozen_lake * TILES.exchange_ice
    )


@gtx.field_operator
def snow_heat_roughness(friction: Values) -> Values:
    """Roughness length for heat of deep snow, m (Andreas 2002), at a friction velocity."""
    reynolds = TILES.roughness_snow * friction / ROUGHNESS.andreas_viscosity
    x = log(minimum(ROUGHNESS.andreas_most, maximum(ROUGHNESS.andreas_least, reynolds)))
    by_x = ROUGHNESS.andreas_1 + x * (ROUGHNESS.andreas_2 + x * ROUGHNESS.andreas_3)
    return TILES.roughness_snow * exp(ROUGHNESS.andreas_0 + x * by_x)


@gtx.field_operator
def heat_roughness(
    low: Values,
    high: Values,
    soil: Values,
    open_snow: Values,
    shaded_snow: Values,
    streets: Values,
    open_lake: Values,
    frozen_lake: Values,
    deep: Values,
    low_weight: Values,
    town_weight: Values,
    water_friction: Values,
    friction: Values,
    high_roughness: Values,
    low_roughness: Values,
    high_roughness_ratio: Values,
    low_roughness_ratio: Values,
) -> Values:
    """Roughness length of the grid box for heat, m.

    Arguments as for `momentum_roughness`; friction: velocity of neutral flow, m s-1; ratios: momentum over heat.
    """
    high_z0h = allowed(high_roughness) / high_roughness_ratio
    low_z0h = allowed(low_roughness) / low_roughness_ratio
    short_z0h = low_weight * low_z0h + (1.0 - low_weight) * TILES.heat_roughness_soil
    return roughness_of(
        blended(low, low_z0h)
        + blended(high, high_z0h)
        + soil * TILES.heat_exchange_soil
        + blended(open_snow, short_z0h + deep * (snow_heat_roughness(friction) - short_z0h))
        + blended(shaded_snow, high_z0h + town_weight * (TILES.heat_roughness_town - high_z0h))
        + streets * TILES.heat_exchange_town
        + blended(open_lake, ROUGHNESS.viscous_heat / water_friction)
        + frozen_lake * TILES.exchange_ice
    )
