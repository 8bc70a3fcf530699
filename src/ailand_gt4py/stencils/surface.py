"""Coupling closures: what an atmosphere needs of the land and the network does not predict.

One program for all columns. Its parts and their sources are in `surface_tiles` (albedo, emissivity, long-wave
radiation, evaporation, roughness) and `surface_stress` (stress). They are computed in float64 whatever the type of the
fields. A part is a statement of the program, with fields of the caller between them: GT4Py cannot lower all of it as
one operator. `ailand_gt4py.integration.surface_closures` calls it on arrays.
"""

import functools
import itertools
from typing import NamedTuple

import gt4py.next as gtx
from gt4py.next import astype

from ailand_gt4py.dimensions import Column
from ailand_gt4py.stencils import surface_stress, surface_tiles
from ailand_gt4py.stencils.instances import FieldOperator, define

#: Steps of the fixed-point iteration for the friction velocity. Against ecLand 3, 5 and 25 steps do equally well, and
#: every step more takes the compiler longer.
N_ITERATIONS = 3

#: Input fields, in order: arguments of the operators in `surface_tiles` and `surface_stress`, which say what they are.
INPUT_NAMES = (
    *("lake", "town", "high_cover", "low_cover", "high_density", "low_density"),
    *("high_roughness", "low_roughness", "field_capacity", "wilting_point"),
    *("high_roughness_ratio", "low_roughness_ratio", "high_albedo", "low_albedo", "wet_soil_albedo"),
    *("forest_snow_albedo", "background_albedo", "snow_albedo"),
    *("air_temperature", "humidity", "pressure", "eastward_wind", "northward_wind", "longwave_down"),
    *("soil_water", "soil_temperature", "snow_cover", "snow_water", "snow_density"),
    *("skin_temperature", "sensible_heat", "latent_heat"),
)

#: Results, in order; units in `ailand_gt4py.integration.surface_closures`.
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
#: Fields (float64) for what is not a result, in order.
WORK_NAMES = (*_SHARES, *_VEGETATION, "background", *_WEIGHTS, *_FLOW, "friction_anew")
_HEIGHT = "reference_height"


class _Statement(NamedTuple):
    """An operator, its arguments and its results, by name."""

    operator: FieldOperator
    arguments: tuple[str, ...]
    results: tuple[str, ...]


def _statements() -> list[_Statement]:
    tiles, flow = surface_tiles, surface_stress
    covers = ("lake", "town", "high_cover", "low_cover", "high_density", "low_density")
    by_type = ("low_albedo", "high_albedo", "wet_soil_albedo")
    steps = [("friction", "friction_anew")[k % 2] for k in range(N_ITERATIONS + 1)]
    return [
        _Statement(tiles.tile_shares, (*covers, "soil_temperature", "snow_cover"), (*_SHARES, *_VEGETATION)),
        _Statement(
            tiles.snow_free_albedo, (*_VEGETATION, *by_type, "background_albedo", "soil_water"), ("background",)
        ),
        _Statement(
            tiles.mean_albedo,
            (
                *(*_SHARES, "high_vegetation", "background", "town", "forest_snow_albedo", "snow_albedo"),
                "soil_temperature",
            ),
            (_ALBEDO,),
        ),
        _Statement(
            tiles.emission_and_evaporation,
            (
                *(*_SHARES, "background", "field_capacity", "wilting_point", "longwave_down"),
                *("soil_water", "skin_temperature", "latent_heat"),
            ),
            (_EMISSIVITY, _LONGWAVE_UP, _EVAPORATION),
        ),
        _Statement(tiles.tile_weights, (*_VEGETATION, "town", "snow_water", "snow_density", *_WIND), _WEIGHTS),
        _Statement(tiles.momentum_roughness, (*_SHARES, *_WEIGHTS, "high_roughness", "low_roughness"), (_MOMENTUM,)),
        _Statement(
            flow.neutral_flow,
            (
                *(_MOMENTUM, _EVAPORATION, "air_temperature", "humidity", "pressure", *_WIND),
                *("skin_temperature", "sensible_heat", _HEIGHT),
            ),
            _FLOW,
        ),
        _Statement(
            tiles.heat_roughness,
            (
                *(*_SHARES, *_WEIGHTS, "friction", "high_roughness", "low_roughness"),
                *("high_roughness_ratio", "low_roughness_ratio"),
            ),
            (_HEAT,),
        ),
        *(
            _Statement(flow.next_friction, (earlier, *_FLOW[1:4]), (later,))
            for earlier, later in itertools.pairwise(steps)
        ),
        _Statement(flow.stress, (steps[-1], "speed", "density", *_WIND), (_EAST, _NORTH)),
    ]


def _typed(statement: _Statement, dtype: type) -> FieldOperator:
    """The statement's float64 operator for inputs and results of a type; intermediate fields are float64."""
    own_name, name = statement.operator.__name__, f"{statement.operator.__name__}_{dtype.__name__}"
    names = [f"field_{k}" for k in range(len(statement.arguments))]
    values = [
        value if argument == _HEIGHT else f"astype({value}, float64)"
        for value, argument in zip(names, statement.arguments, strict=True)
    ]
    call = f"{own_name}({', '.join(values)})"
    result = "float64" if statement.results[0] in WORK_NAMES else dtype.__name__
    if len(statement.results) == 1:
        body = f"    return astype({call}, {result})\n"
    else:
        results = ", ".join(f"astype(exact[{k}], {result})" for k in range(len(statement.results)))
        body = f"    exact = {call}\n    return {results}\n"
    namespace = {"astype": astype, "float64": gtx.float64, dtype.__name__: dtype, own_name: statement.operator}
    function = define(name, f"def {name}({', '.join(names)}):\n{body}", namespace, __file__)
    types = [_type(argument, dtype) for argument in statement.arguments]
    function.__annotations__ = dict(zip(names, types, strict=True))
    return gtx.field_operator(function)


def _type(name: str, dtype: type) -> type:
    if name == _HEIGHT:
        return gtx.float64
    return gtx.Field[[Column], gtx.float64 if name in WORK_NAMES else dtype]


@functools.cache
def closure_program(dtype: type) -> gtx.program:
    """All closures for fields of a type (float32 or float64).

    Arguments: the fields of `INPUT_NAMES`, the reference height (float64, m), the results of `CLOSURE_NAMES`, and the
    fields of `WORK_NAMES`, whose memory is the caller's.
    """
    arguments = (*INPUT_NAMES, _HEIGHT, *CLOSURE_NAMES, *WORK_NAMES)
    name = f"surface_closures_{dtype.__name__}"
    source = f"def {name}({', '.join(arguments)}):\n"
    namespace: dict[str, FieldOperator] = {}
    for statement in _statements():
        operator = _typed(statement, dtype)
        namespace[operator.__name__] = operator
        out = statement.results[0] if len(statement.results) == 1 else f"({', '.join(statement.results)})"
        source += f"    {operator.__name__}({', '.join(statement.arguments)}, out={out})\n"
    program = define(name, source, namespace, __file__)
    program.__annotations__ = {argument: _type(argument, dtype) for argument in arguments}
    return gtx.program(program)
