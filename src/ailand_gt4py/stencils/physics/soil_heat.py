"""Field operators of soil temperatures that change by their heat, in the network's space; see
`ailand_gt4py.ecland.soil_heat`.

With M the part of the soil's ice that has melted, 0 to 1, and the latent heat L of a column over its heat capacity, the
state x becomes x' = x + change - L (M(x') - M(x)), where M(x') follows from the heat. Variables that do not change by
heat have L = 0, so that x' = x + change exactly.

M is linear between nodes at a distance d, 1/2 at the middle one, and steepest there: at u distances from it, M differs
from 1/2 by the least of 1/2 and the lines c_k + m_k u, m_k being what melts in the k-th part from the coldest and c_k
where the line meets the middle. By the heat, which differs from that of the middle by v = u d + L (M - 1/2), the
lines are (c_k d + m_k v) / (d + m_k L), and the least of them again is the one that holds.

At a node the derivative of M is that of the part that is farther from the middle, for of lines that are equal `minimum`
has the derivative of the first.
"""

import gt4py.next as gtx
import numpy as np
from gt4py.next import abs, minimum, where

from ailand_gt4py.core.dimensions import Column, Moment, StateFeature, StaticFeature, broadcast_offset
from ailand_gt4py.ecland.soil_heat import DRY_SOIL_CAPACITY, N_PARTS, WATER_CAPACITY, melting_shares
from ailand_gt4py.stencils.fields import contract, matrix, vector
from ailand_gt4py.stencils.instances import Function, Type, field_operators


def nodes_type(dtype: type) -> Type:
    """Type of (temperature of the middle node, distance of nodes) of each state variable."""
    return tuple[vector(StateFeature, dtype), vector(StateFeature, dtype)]


def _state(dtype: type) -> Type:
    return gtx.Field[[Column, StateFeature], dtype]


def _lines(dtype: type) -> list[np.floating]:
    """c_0, c_1, c_2, m_0, ..., m_3 of the module's description; c_3 is 0."""
    shares = melting_shares()[: N_PARTS // 2]
    from_middle = np.cumsum(shares[::-1])[:-1]
    offsets = from_middle - shares[2::-1] * np.arange(1, 4)
    return [dtype(number) for number in (*offsets[::-1], *shares)]


# --- the latent heat of a column ---


@field_operators
def property_of_states(dtype: type) -> Function:
    """One static input of a column, for every state variable that changes by heat; 0 for the others.

    As a sum over the row it is no matrix product of its own, which a GPU would have to launch.

    Arguments: static inputs; twice (`dimensions.Moment`) 1 where that input is, else 0; 1 for what changes by heat.
    """
    chosen = contract(StaticFeature, Moment, dtype)
    to_states = broadcast_offset(StateFeature)

    def apply(
        static_input: gtx.Field[[Column, StaticFeature], dtype],
        choice: matrix(StaticFeature, Moment, dtype),
        is_heated: vector(StateFeature, dtype),
    ) -> _state(dtype):
        value = chosen(static_input, choice)
        return value(to_states[0]) * is_heated

    return apply


@field_operators
def vegetated_part(dtype: type) -> Function:
    """Of the ground: cover times density of low vegetation, and of high vegetation."""
    state = _state(dtype)

    def apply(low: state, low_density: state, high: state, high_density: state) -> state:
        return low * low_density + high * high_density

    return apply


@field_operators
def heat_capacity(dtype: type) -> Function:
    """(1 - porosity) C_dry + field capacity C_water, J m-3 K-1."""
    one, dry, water = dtype(1.0), dtype(DRY_SOIL_CAPACITY), dtype(WATER_CAPACITY)
    state = _state(dtype)

    def apply(field_capacity: state, porosity: state) -> state:
        return (one - porosity) * dry + field_capacity * water

    return apply


@field_operators
def latent_heat(dtype: type) -> Function:
    """Heat of freezing over the heat capacity; ``scale`` is rho_w Lf over the normalisation's scale (J m-3 K-1)."""
    state = _state(dtype)

    def apply(vegetated: state, field_capacity: state, capacity: state, scale: vector(StateFeature, dtype)) -> state:
        return scale * vegetated * field_capacity / capacity

    return apply


# --- the step ---


@field_operators
def _from_middle(dtype: type) -> Function:
    """M by the distance from the middle, of either sign, and the four lines at its magnitude."""
    zero, half, state = dtype(0.0), dtype(0.5), _state(dtype)

    def apply(distance: state, line0: state, line1: state, line2: state, line3: state) -> state:
        difference = minimum(half, minimum(minimum(line0, line1), minimum(line2, line3)))
        return where(distance >= zero, half + difference, half - difference)

    return apply


@field_operators
def melted(dtype: type) -> Function:
    """M: the part of the ice that has melted, by the temperature."""
    from_middle, state = _from_middle(dtype), _state(dtype)
    c0, c1, c2, m0, m1, m2, m3 = _lines(dtype)

    def apply(temperature: state, nodes: nodes_type(dtype)) -> state:
        position = (temperature - nodes[0]) / nodes[1]
        u = abs(position)
        return from_middle(position, c0 + m0 * u, c1 + m1 * u, c2 + m2 * u, m3 * u)

    return apply


@field_operators
def melted_by_heat(dtype: type) -> Function:
    """M after a change of heat. Arguments: temperature; change; latent heat; M before; nodes."""
    from_middle, half, state = _from_middle(dtype), dtype(0.5), _state(dtype)
    c0, c1, c2, m0, m1, m2, m3 = _lines(dtype)

    def apply(temperature: state, change: state, latent: state, melted: state, nodes: nodes_type(dtype)) -> state:
        heat = temperature - nodes[0] + change + latent * (melted - half)
        v = abs(heat)
        return from_middle(
            heat,
            (c0 * nodes[1] + m0 * v) / (nodes[1] + m0 * latent),
            (c1 * nodes[1] + m1 * v) / (nodes[1] + m1 * latent),
            (c2 * nodes[1] + m2 * v) / (nodes[1] + m2 * latent),
            m3 * v / (nodes[1] + m3 * latent),
        )

    return apply


@field_operators
def heated(dtype: type) -> Function:
    """x + change - L (M after - M before). Arguments: x; change; L; M before; M after."""
    state = _state(dtype)

    def apply(temperature: state, change: state, latent: state, melted: state, melted_after: state) -> state:
        return temperature + change - latent * (melted_after - melted)

    return apply
