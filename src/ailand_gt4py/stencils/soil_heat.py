"""Field operators of soil temperatures that change by their heat, in the network's space; see `ailand_gt4py.soil_heat`.

With M the part of the soil's ice that has melted, 0 to 1, and the latent heat L of a column over its heat capacity, the
state x becomes x' = x + change - L (M(x') - M(x)), where M(x') follows from the heat, since M and the heat are linear
between the same nodes. Variables that do not change by heat have L = 0, so that x' = x + change exactly.

The derivatives, s(x) = 1 + L dM/dx being the heat's slope:

    dx' = (s(x) dx + d change - (M(x') - M(x)) dL) / s(x')

At a node M has the slope of the part above it.
"""

import functools

import gt4py.next as gtx
import numpy as np
from gt4py.next import astype, maximum, minimum

from ailand_gt4py.dimensions import Column, StateFeature
from ailand_gt4py.soil_heat import DRY_SOIL_CAPACITY, WATER_CAPACITY, melting_shares
from ailand_gt4py.stencils.instances import FieldOperator, named_field_operator
from ailand_gt4py.stencils.shapes import Type, vector


def nodes_type(dtype: type) -> Type:
    """Type of (temperature of the first node, distance of nodes) of each state variable."""
    return tuple[vector(StateFeature, dtype), vector(StateFeature, dtype)]


def _state(dtype: type) -> Type:
    return gtx.Field[[Column, StateFeature], dtype]


def _shares(dtype: type) -> list[np.floating]:
    """`soil_heat.melting_shares`, the second half of which is the first one in reverse."""
    return [dtype(share) for share in melting_shares()[:4]]


# --- the latent heat of a column ---


@functools.cache
def vegetated_part(dtype: type) -> FieldOperator:
    """Of the ground: cover times density of low vegetation, and of high vegetation."""
    state = _state(dtype)

    @named_field_operator("vegetated_part", dtype)
    def apply(low: state, low_density: state, high: state, high_density: state) -> state:
        return low * low_density + high * high_density

    return apply


@functools.cache
def heat_capacity(dtype: type) -> FieldOperator:
    """(1 - porosity) C_dry + field capacity C_water, J m-3 K-1."""
    one, dry, water = dtype(1.0), dtype(DRY_SOIL_CAPACITY), dtype(WATER_CAPACITY)
    state = _state(dtype)

    @named_field_operator("heat_capacity", dtype)
    def apply(field_capacity: state, porosity: state) -> state:
        return (one - porosity) * dry + field_capacity * water

    return apply


@functools.cache
def latent_heat(dtype: type) -> FieldOperator:
    """Heat of freezing over the heat capacity; ``scale`` is rho_w Lf over the normalisation's scale (J m-3 K-1).

    Also its derivative with respect to a cover or density, if it is given the other of both in the place of the
    vegetated part.
    """
    state = _state(dtype)

    @named_field_operator("latent_heat", dtype)
    def apply(vegetated: state, field_capacity: state, capacity: state, scale: vector(StateFeature, dtype)) -> state:
        return scale * vegetated * field_capacity / capacity

    return apply


@functools.cache
def latent_heat_by_field_capacity(dtype: type) -> FieldOperator:
    """The derivative of `latent_heat`."""
    water, state = dtype(WATER_CAPACITY), _state(dtype)

    @named_field_operator("latent_heat_by_field_capacity", dtype)
    def apply(vegetated: state, latent: state, capacity: state, scale: vector(StateFeature, dtype)) -> state:
        return (scale * vegetated - latent * water) / capacity

    return apply


@functools.cache
def latent_heat_by_porosity(dtype: type) -> FieldOperator:
    """The derivative of `latent_heat`."""
    dry, state = dtype(DRY_SOIL_CAPACITY), _state(dtype)

    @named_field_operator("latent_heat_by_porosity", dtype)
    def apply(latent: state, capacity: state) -> state:
        return latent * dry / capacity

    return apply


# --- the step ---


@functools.cache
def _within(dtype: type) -> FieldOperator:
    """min(1, max(0, x)), in the order of arguments that lets NaN pass in compiled code."""
    zero, one, state = dtype(0.0), dtype(1.0), _state(dtype)

    @named_field_operator("within_unit", dtype)
    def apply(x: state) -> state:
        return minimum(one, maximum(zero, x))

    return apply


@functools.cache
def melted(dtype: type) -> FieldOperator:
    """M: the part of the ice that has melted, by the temperature."""
    within, state = _within(dtype), _state(dtype)
    n1, n2, n3, n4, n5, n6, n7 = (dtype(k) for k in range(1, 8))
    m0, m1, m2, m3 = _shares(dtype)

    @named_field_operator("melted", dtype)
    def apply(temperature: state, nodes: nodes_type(dtype)) -> state:
        place = (temperature - nodes[0]) / nodes[1]
        return (
            m0 * (within(place) + within(place - n7))
            + m1 * (within(place - n1) + within(place - n6))
            + m2 * (within(place - n2) + within(place - n5))
            + m3 * (within(place - n3) + within(place - n4))
        )

    return apply


@functools.cache
def melted_by_heat(dtype: type) -> FieldOperator:
    """M after a change of heat. Arguments: temperature; change; latent heat; M before; nodes.

    Between nodes M rises by its share m over the heat d + m L, d being the distance of nodes.
    """
    within, state = _within(dtype), _state(dtype)
    n1, n2, n3, n4, n5, n6, n7 = (dtype(k) for k in range(1, 8))
    m0, m1, m2, m3 = _shares(dtype)
    before = np.cumsum([0.0, *melting_shares()])
    b1, b2, b3, b4, b5, b6, b7 = (dtype(sum_before) for sum_before in before[1:8])

    @named_field_operator("melted_by_heat", dtype)
    def apply(temperature: state, change: state, latent: state, melted: state, nodes: nodes_type(dtype)) -> state:
        heat = temperature - nodes[0] + change + latent * melted
        return (
            m0 * within(heat / (nodes[1] + m0 * latent))
            + m1 * within((heat - (n1 * nodes[1] + b1 * latent)) / (nodes[1] + m1 * latent))
            + m2 * within((heat - (n2 * nodes[1] + b2 * latent)) / (nodes[1] + m2 * latent))
            + m3 * within((heat - (n3 * nodes[1] + b3 * latent)) / (nodes[1] + m3 * latent))
            + m3 * within((heat - (n4 * nodes[1] + b4 * latent)) / (nodes[1] + m3 * latent))
            + m2 * within((heat - (n5 * nodes[1] + b5 * latent)) / (nodes[1] + m2 * latent))
            + m1 * within((heat - (n6 * nodes[1] + b6 * latent)) / (nodes[1] + m1 * latent))
            + m0 * within((heat - (n7 * nodes[1] + b7 * latent)) / (nodes[1] + m0 * latent))
        )

    return apply


@functools.cache
def heated(dtype: type) -> FieldOperator:
    """x + change - L (M after - M before). Arguments: x; change; L; M before; M after."""
    state = _state(dtype)

    @named_field_operator("heated", dtype)
    def apply(temperature: state, change: state, latent: state, melted: state, melted_after: state) -> state:
        return temperature + change - latent * (melted_after - melted)

    return apply


# --- its derivatives ---


@functools.cache
def heat_slope(dtype: type) -> FieldOperator:
    """s = 1 + L dM/dx. Arguments: x; L; nodes."""
    zero, one, state = dtype(0.0), dtype(1.0), _state(dtype)
    n1, n2, n3, n5, n6, n7, n8 = (dtype(k) for k in (1, 2, 3, 5, 6, 7, 8))
    m0, m1, m2, m3 = _shares(dtype)

    @named_field_operator("heat_slope", dtype)
    def apply(temperature: state, latent: state, nodes: nodes_type(dtype)) -> state:
        place = (temperature - nodes[0]) / nodes[1]
        # What a part adds to the share of the one below it.
        share = (
            m0 * astype(place >= zero, dtype)
            + (m1 - m0) * astype(place >= n1, dtype)
            + (m2 - m1) * astype(place >= n2, dtype)
            + (m3 - m2) * astype(place >= n3, dtype)
            + (m2 - m3) * astype(place >= n5, dtype)
            + (m1 - m2) * astype(place >= n6, dtype)
            + (m0 - m1) * astype(place >= n7, dtype)
            - m0 * astype(place >= n8, dtype)
        )
        return one + latent * share / nodes[1]

    return apply


@functools.cache
def inverse(dtype: type) -> FieldOperator:
    """1 / x."""
    one, state = dtype(1.0), _state(dtype)

    @named_field_operator("inverse_of_state", dtype)
    def apply(x: state) -> state:
        return one / x

    return apply


@functools.cache
def product(dtype: type) -> FieldOperator:
    """x y."""
    state = _state(dtype)

    @named_field_operator("product_of_states", dtype)
    def apply(x: state, y: state) -> state:
        return x * y

    return apply


@functools.cache
def sum_of_products(dtype: type) -> FieldOperator:
    """The change of `heated`: of the state, of the network's output and of the six properties, times derivatives."""
    state = _state(dtype)

    @named_field_operator("sum_of_products", dtype)
    def apply(
        x0: state,
        y0: state,
        x1: state,
        y1: state,
        x2: state,
        y2: state,
        x3: state,
        y3: state,
        x4: state,
        y4: state,
        x5: state,
        y5: state,
        x6: state,
        y6: state,
        x7: state,
        y7: state,
    ) -> state:
        return x0 * y0 + x1 * y1 + x2 * y2 + x3 * y3 + x4 * y4 + x5 * y5 + x6 * y6 + x7 * y7

    return apply


@functools.cache
def by_latent_heat(dtype: type) -> FieldOperator:
    """The derivative of `heated` with respect to L. Arguments: 1 / s after the step; M before; M after."""
    state = _state(dtype)

    @named_field_operator("by_latent_heat", dtype)
    def apply(by_change: state, melted: state, melted_after: state) -> state:
        return by_change * (melted - melted_after)

    return apply
