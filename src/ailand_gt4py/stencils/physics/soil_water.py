"""Field operators of soil water that frost holds, in the network's space; see `ailand_gt4py.ecland.soil_water`."""

import gt4py.next as gtx
from gt4py.next import maximum, minimum

from ailand_gt4py.core.dimensions import Column, StateFeature
from ailand_gt4py.ecland.soil_water import PASSING
from ailand_gt4py.stencils.fields import contract, matrix, vector
from ailand_gt4py.stencils.instances import Function, Type, field_operators


def thawing_type(dtype: type) -> Type:
    """Type of the operands that give how far a layer, and the one above it, have thawed; see `share`."""
    choice, offset = matrix(StateFeature, StateFeature, dtype), vector(StateFeature, dtype)
    return tuple[choice, offset, choice, offset]


def _state(dtype: type) -> Type:
    return gtx.Field[[Column, StateFeature], dtype]


def thawed_type(dtype: type) -> Type:
    """Type of (factor, offset) by which a normalised temperature tells how far it has thawed; 0 for other variables."""
    return tuple[vector(StateFeature, dtype), vector(StateFeature, dtype)]


@field_operators
def seen(dtype: type) -> Function:
    """What the network sees of the state that goes in: temperatures that have thawed lie 1 higher."""
    zero, one, state = dtype(0.0), dtype(1.0), _state(dtype)

    def apply(before: state, thawed: thawed_type(dtype)) -> state:
        return before + minimum(one, maximum(zero, before * thawed[0] + thawed[1]))

    return apply


@field_operators
def warmest(dtype: type) -> Function:
    """The higher one of the values before and after a step."""
    state = _state(dtype)

    def apply(before: state, after: state) -> state:
        return maximum(before, after)

    return apply


@field_operators
def share(dtype: type) -> Function:
    """The share of changes that the frost lets through.

    Operands: twice, for a layer's own temperature and that of the layer above, a matrix and an offset by which the
    state becomes (T - FROZEN_BELOW) / THAWING_RANGE of each variable of soil water, and 1 of all others.
    """
    chosen = contract(StateFeature, StateFeature, dtype)
    zero, one, passing, held = (dtype(number) for number in (0.0, 1.0, PASSING, 1.0 - PASSING))
    state = _state(dtype)

    def apply(state_values: state, thawing: thawing_type(dtype)) -> state:
        own = chosen(state_values, thawing[0]) + thawing[1]
        above = chosen(state_values, thawing[2]) + thawing[3]
        return passing + held * minimum(one, maximum(zero, maximum(own, above)))

    return apply


@field_operators
def held(dtype: type) -> Function:
    """The new state less what the frost holds back. Arguments: new state; change; share that passes."""
    state, one = _state(dtype), dtype(1.0)

    def apply(new_state: state, change: state, passing: state) -> state:
        return new_state - (one - passing) * change

    return apply
