"""Coupling closures: what an atmosphere needs of the land and the network does not predict.

One program for all columns. Its parts and their sources are in `surface_tiles` (albedo, emissivity, long-wave
radiation, evaporation, roughness) and `surface_stress` (stress). A part is a statement of the program, with scratch
fields of the caller between them. All is float64. `ailand_gt4py.integration.coupling.closures` calls it on arrays.
"""

import functools
import itertools

import gt4py.next as gtx

from ailand_gt4py.core.dimensions import Column
from ailand_gt4py.stencils.instances import Statement, write_program
from ailand_gt4py.stencils.physics import surface_stress, surface_tiles

#: Steps of the fixed-point iteration for the friction velocity. Against ecLand 3, 5 and 25 steps do equally well.
N_ITERATIONS = 3

#: Input fields, in order: arguments of the operators in `surface_tiles` and `surface_stress`, which say what they are.
INPUT_NAMES = (
    *("lake", "town", "high_cover", "low_cover", "high_density", "low_density"),
    *("high_roughness", "low_roughness", "field_capacity", "wilting_point"),
    *("high_roughness_ratio", "low_roughness_ratio", "high_albedo", "low_albedo", "wet_soil_albedo"),
    *("forest_snow_albedo", "background_albedo", "snow_albedo"),
    *("air_temperature", "humidity", "pressure", "eastward_wind", "northward_wind", "longwave_down"),
    *("soil_water", "soil_temperature", "snow_cover", "snow_water", "snow_density"),
    *("skin_temperature", "sensible_heat", "latent_heat", "reference_height"),
)

#: Results, in order; units in `ailand_gt4py.integration.coupling.closures`.
CLOSURE_NAMES = (
    "surface_albedo",
    "surface_longwave_emissivity",
    "surface_upwelling_longwave_flux_in_air",
    "water_evapotranspiration_flux",
    "surface_roughness_length_for_momentum",
    "surface_roughness_length_for_heat",
    "surface_downward_eastward_stress",
    "surface_downward_northward_stress",
)
_ALBEDO, _EMISSIVITY, _LONGWAVE_UP, _EVAPORATION, _MOMENTUM, _HEAT, _EAST, _NORTH = CLOSURE_NAMES

_SHARES = ("low", "high", "soil", "open_snow", "shaded_snow", "streets", "open_lake", "frozen_lake")
_VEGETATION = ("low_vegetation", "high_vegetation")
_WEIGHTS = ("deep", "low_weight", "town_weight", "water_friction")
_WIND = ("eastward_wind", "northward_wind")
_FLOW = ("friction", "speed", "buoyant_work", "roughness_share", "density")
_SCRATCH = (*_SHARES, *_VEGETATION, "background", *_WEIGHTS, *_FLOW, "friction_anew")
#: Scratch fields, in order; compiled code does not write them.
WORK_NAMES = tuple(f"work_{name}" for name in _SCRATCH)


def _statements() -> list[Statement]:
    tiles, flow = surface_tiles, surface_stress
    covers = ("lake", "town", "high_cover", "low_cover", "high_density", "low_density")
    by_type = ("low_albedo", "high_albedo", "wet_soil_albedo")
    steps = [("friction", "friction_anew")[k % 2] for k in range(N_ITERATIONS + 1)]
    return [
        Statement(tiles.tile_shares, (*covers, "soil_temperature", "snow_cover"), (*_SHARES, *_VEGETATION)),
        Statement(tiles.snow_free_albedo, (*_VEGETATION, *by_type, "background_albedo", "soil_water"), ("background",)),
        Statement(
            tiles.mean_albedo,
            (
                *(*_SHARES, "high_vegetation", "background", "town", "forest_snow_albedo", "snow_albedo"),
                "soil_temperature",
            ),
            (_ALBEDO,),
        ),
        Statement(
            tiles.emission_and_evaporation,
            (
                *(*_SHARES, "background", "field_capacity", "wilting_point", "longwave_down"),
                *("soil_water", "skin_temperature", "latent_heat"),
            ),
            (_EMISSIVITY, _LONGWAVE_UP, _EVAPORATION),
        ),
        Statement(tiles.tile_weights, (*_VEGETATION, "town", "snow_water", "snow_density", *_WIND), _WEIGHTS),
        Statement(tiles.momentum_roughness, (*_SHARES, *_WEIGHTS, "high_roughness", "low_roughness"), (_MOMENTUM,)),
        Statement(
            flow.neutral_flow,
            (
                *(_MOMENTUM, _EVAPORATION, "air_temperature", "humidity", "pressure", *_WIND),
                *("skin_temperature", "sensible_heat", "reference_height"),
            ),
            _FLOW,
        ),
        Statement(
            tiles.heat_roughness,
            (
                *(*_SHARES, *_WEIGHTS, "friction", "high_roughness", "low_roughness"),
                *("high_roughness_ratio", "low_roughness_ratio"),
            ),
            (_HEAT,),
        ),
        *(
            Statement(flow.next_friction, (earlier, *_FLOW[1:4]), (later,))
            for earlier, later in itertools.pairwise(steps)
        ),
        Statement(flow.stress, (steps[-1], "speed", "density", *_WIND), (_EAST, _NORTH)),
    ]


@functools.cache
def closure_program() -> gtx.program:
    """All closures.

    Arguments, all float64 over `Column`: the fields of `INPUT_NAMES`, the results of `CLOSURE_NAMES`, and the fields of
    `WORK_NAMES`.
    """
    arguments = (*INPUT_NAMES, *CLOSURE_NAMES, *WORK_NAMES)

    def argument(field: str) -> str:
        return f"work_{field}" if field in _SCRATCH else field

    def as_arguments(statement: Statement) -> Statement:
        results = tuple(map(argument, statement.out))
        out = results if len(results) > 1 else results[0]
        return Statement(statement.operator, tuple(map(argument, statement.arguments)), out)

    types = dict.fromkeys(arguments, gtx.Field[[Column], gtx.float64])
    return write_program("surface_closures", types, map(as_arguments, _statements()), __file__)
