"""Coupling closures: what an atmosphere needs of the land and the network does not predict.

One operator for all columns; `ailand_gt4py.integration.coupling.closures` calls it on arrays. Albedo, emissivity,
long-wave radiation, evaporation and roughness are those of the tiles (`surface_tiles`), the stress is here:
Monin-Obukhov similarity between the ground and the reference height as in the IFS documentation (CY48R1), part IV,
chapter 3, and ecLand's ``vexcs_mod``, with the buoyancy flux of the predicted heat fluxes; profile functions of Paulson
1970 and Dyer 1974 (unstable) and of Holtslag and De Bruin 1988 (stable, see Beljaars and Holtslag 1991,
doi:10.1175/1520-0450(1991)030<0327:FPOLSF>2.0.CO;2); free-convection velocity of Beljaars 1995
(doi:10.1002/qj.49712152203) over a boundary layer of 1000 m. All is float64.
"""

import functools
import math
from typing import NamedTuple

import gt4py.next as gtx
import numpy as np
from gt4py.eve.utils import FrozenNamespace
from gt4py.next import arctan, exp, log, maximum, minimum, sqrt

from ailand_gt4py.core.constants import DRY_AIR_GAS, DRY_AIR_HEAT, VAPOUR_GAS
from ailand_gt4py.stencils.instances import Function, Statement, field_operators, write_program, written
from ailand_gt4py.stencils.physics.surface_tiles import (
    TILES,
    Surface,
    Values,
    emission_and_evaporation,
    heat_roughness,
    mean_albedo,
    mixture,
    momentum_roughness,
    snow_free_albedo,
    tiles_of,
    wind_speed,
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

FLOW = FrozenNamespace(
    karman=np.float64(0.4),
    gas=np.float64(DRY_AIR_GAS),
    virtual=np.float64(VAPOUR_GAS / DRY_AIR_GAS - 1.0),
    heat_capacity=np.float64(DRY_AIR_HEAT),
    convection_depth=np.float64(1000.0),
    half_pi=np.float64(math.pi / 2.0),
    # Above 5 Obukhov lengths ecLand takes profiles to be uniform.
    most_stable=np.float64(5.0),
)


@gtx.field_operator
def profile_momentum(zeta: Values) -> Values:
    """Psi_m, the integrated profile function for momentum, at height over Obukhov length."""
    # Paulson 1970 and Dyer 1974: x = (1 - 16 zeta)^(1/4).
    root = sqrt(sqrt(1.0 - 16.0 * minimum(0.0, zeta)))
    unstable_psi = 2.0 * log(0.5 * (1.0 + root)) + log(0.5 * (1.0 + root * root)) - 2.0 * arctan(root) + FLOW.half_pi
    # Holtslag and De Bruin 1988: a = 1, b = 2/3, c = 5, d = 0.35.
    stable = maximum(0.0, zeta)
    decaying = (2.0 / 3.0) * (stable - 5.0 / 0.35) * exp(0.0 - 0.35 * stable)
    stable_psi = 0.0 - decaying - stable - (2.0 / 3.0) * (5.0 / 0.35)
    # Each is 0 on the other's side.
    return stable_psi + unstable_psi


class Flow(NamedTuple):
    """What the iteration for the friction velocity starts from and needs.

    Attributes:
        friction: velocity of neutral flow. speed: of the wind with its gusts; m s-1.
        buoyant_work: upward buoyancy flux times height, m3 s-3.
        roughness_share: roughness length over (height + roughness length). density: of the air, kg m-3.
    """

    friction: Values
    speed: Values
    buoyant_work: Values
    roughness_share: Values
    density: Values


@gtx.field_operator
def neutral_flow(x: Surface, roughness: Values, evaporation: Values) -> Flow:
    """Neutral flow over a roughness length for momentum, m; evaporation: positive upward, kg m-2 s-1."""
    density = x.pressure / (FLOW.gas * x.air_temperature * (1.0 + FLOW.virtual * x.humidity))
    buoyancy = (TILES.gravity / density) * (
        FLOW.virtual * evaporation - x.sensible_heat / (FLOW.heat_capacity * x.skin_temperature)
    )
    rising = maximum(TILES.tiny, buoyancy * FLOW.convection_depth)
    gusts = exp(log(rising) * (2.0 / 3.0))
    wind = wind_speed(x.eastward_wind, x.northward_wind)
    speed = sqrt(wind * wind + gusts)
    share = roughness / (x.reference_height + roughness)
    friction = FLOW.karman * speed / (0.0 - log(share))
    return Flow(friction, speed, buoyancy * x.reference_height, share, density)


@gtx.field_operator
def next_friction(flow: Flow, friction: Values) -> Values:
    """One step of the iteration for the friction velocity, m s-1, from its last value.

    Under downward buoyancy flux the sequence that starts with the neutral value falls, the faster the larger the flux:
    results are monotone in stability after any number of steps. Where the given fluxes are more than turbulence at this
    wind can carry there is no solution, and ``most_stable`` bounds the result.
    """
    cube = maximum(TILES.tiny, friction * friction * friction)
    zeta = minimum(FLOW.most_stable, (0.0 - FLOW.karman) * flow.buoyant_work / cube)
    share = flow.roughness_share
    return FLOW.karman * flow.speed / (profile_momentum(zeta * share) - profile_momentum(zeta) - log(share))


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
    # The stress is along the wind, which has the flow's speed only with its gusts.
    drag = flow.density * friction * friction / flow.speed
    return (
        mean_albedo(x, tiles, background),
        emissivity,
        longwave_up,
        evaporation,
        roughness,
        heat_roughness(x, tiles, mixed, flow.friction),
        drag * x.eastward_wind,
        drag * x.northward_wind,
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
