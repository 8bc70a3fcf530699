"""Field operators of soil water that frost holds, in the network's space; see `ailand_gt4py.ecland.soil_water`."""

import gt4py.next as gtx
from gt4py.next import maximum, minimum

from ailand_gt4py.core.dimensions import Column, StateFeature
from ailand_gt4py.ecland.soil_water import PASSING
from ailand_gt4py.stencils.fields import contract, matrix, vector
from ailand_gt4py.stencils.instances import Function, Type, field_operators


def thawed_type(dtype: type) -> Type:
    """Type of (factor, offset) by which a normalised temperature tells how far it has thawed; 0 for other variables."""
    return tuple[vector(StateFeature, dtype), vector(StateFeature, dtype)]


def layers_type(dtype: type) -> Type:
    """Type of (choice of a layer's own temperature, of that of the layer above, 1 for what frost does not hold)."""
    choice = matrix(StateFeature, StateFeature, dtype)
    return tuple[choice, choice, vector(StateFeature, dtype)]


def _state(dtype: type) -> Type:
    return gtx.Field[[Column, StateFeature], dtype]


@field_operators
def thawed(dtype: type) -> Function:
    """min(1, max(0, (T - FROZEN_BELOW) / THAWING_RANGE)) of temperatures, 0 of other variables."""
    zero, one, state = dtype(0.0), dtype(1.0), _state(dtype)

    def apply(values: state, scaling: thawed_type(dtype)) -> state:
        return minimum(one, maximum(zero, values * scaling[0] + scaling[1]))

    return apply


@field_operators
def warmest_thawed(dtype: type) -> Function:
    """`thawed` of the higher one of the values before and after a step."""
    how_far, state = thawed(dtype), _state(dtype)

    def apply(before: state, after: state, scaling: thawed_type(dtype)) -> state:
        return how_far(maximum(before, after), scaling)

    return apply


@field_operators
def share(dtype: type) -> Function:
    """The share of changes that the frost lets through, 1 of what it does not hold."""
    chosen = contract(StateFeature, StateFeature, dtype)
    passing, held = dtype(PASSING), dtype(1.0 - PASSING)
    state = _state(dtype)

    def apply(thawed: state, layers: layers_type(dtype)) -> state:
        return passing + held * (maximum(chosen(thawed, layers[0]), chosen(thawed, layers[1])) + layers[2])

    return apply


@field_operators
def held(dtype: type) -> Function:
    """The new state less what the frost holds back. Arguments: new state; change; share that passes."""
    state, one = _state(dtype), dtype(1.0)

    def apply(new_state: state, change: state, passing: state) -> state:
        return new_state - (one - passing) * change

    return apply
