"""Fields of the columns that the coupling closures take."""

from typing import NamedTuple

import gt4py.next as gtx

from ailand_gt4py.core.dimensions import Column

Values = gtx.Field[[Column], gtx.float64]


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
