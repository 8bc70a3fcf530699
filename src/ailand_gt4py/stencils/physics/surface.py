"""Coupling closures: what an atmosphere needs of the land and the network does not predict.

One operator for all columns. Its parts and their sources are in `surface_tiles` (albedo, emissivity, long-wave
radiation, evaporation, roughness) and `surface_stress` (stress). All is float64.
`ailand_gt4py.integration.coupling.closures` calls it on arrays.
"""

import functools

import gt4py.next as gtx

from ailand_gt4py.stencils.instances import Function, Statement, field_operators, write_program, written
from ailand_gt4py.stencils.physics.surface_fields import Surface, Values
from ailand_gt4py.stencils.physics.surface_stress import neutral_flow, next_friction, stress
from ailand_gt4py.stencils.physics.surface_tiles import (
    emission_and_evaporation,
    heat_roughness,
    mean_albedo,
    mixture,
    momentum_roughness,
    snow_free_albedo,
    tiles_of,
)

#: Results, in order; the catalogue has their units.
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
Closures = tuple[(Values,) * len(CLOSURE_NAMES)]


@gtx.field_operator
def closures(x: Surface) -> Closures:
    """All of them, in the order of `CLOSURE_NAMES`."""
    tiles = tiles_of(x)
    background = snow_free_albedo(x, tiles)
    emissivity, longwave_up, evaporation = emission_and_evaporation(x, tiles, background)
    mixed = mixture(x, tiles)
    roughness = momentum_roughness(x, tiles, mixed)
    flow = neutral_flow(x, roughness, evaporation)
    # A fixed-point iteration: against ecLand 3, 5 and 25 steps do equally well.
    friction = next_friction(flow, next_friction(flow, next_friction(flow, flow.friction)))
    eastward, northward = stress(x, flow, friction)
    return (
        mean_albedo(x, tiles, background),
        emissivity,
        longwave_up,
        evaporation,
        roughness,
        heat_roughness(x, tiles, mixed, flow.friction),
        eastward,
        northward,
    )


@functools.cache
def closure_program() -> gtx.program:
    """All closures. Arguments, all float64 over `Column`: the fields of `Surface`, then `CLOSURE_NAMES`."""

    @field_operators
    def surface_closures() -> Function:
        inputs = dict.fromkeys(Surface._fields, Values)
        return written(inputs, Closures, f"closures(Surface({', '.join(inputs)}))", (closures, Surface))

    types = dict.fromkeys((*Surface._fields, *CLOSURE_NAMES), Values)
    statement = Statement(surface_closures(), Surface._fields, CLOSURE_NAMES)
    return write_program("surface_closures_program", types, [statement], __file__)
