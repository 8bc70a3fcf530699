"""Stages of the way between physical values and the network's, for all variables of a group at once.

A stage does one thing to those variables that are chosen for it and leaves the others as they are; which variables go
through which stages, and with what numbers, is decided where operands are made (`ailand_gt4py.emulator.stages`). What
is done to chosen values is done to a harmless number for the others, so that nothing they hold can make a value or a
slope that is not finite. A root's slope at 0, which is infinite, is taken as 0.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import gt4py.next as gtx
from gt4py.next import arcsinh, arctanh, exp, log, maximum, minimum, sinh, sqrt, tanh, where

from ailand_gt4py.stencils.fields import columns, vector
from ailand_gt4py.stencils.instances import FieldOperator, Function, Type, field_operators
from ailand_gt4py.stencils.network.pointwise import denormalise, normalise


@field_operators
def impute(feature: gtx.Dimension, dtype: type) -> Function:
    """The replacement where a value is missing; NaN where there is no replacement."""

    def apply(x: columns(feature, dtype), numbers: stage_type("impute", feature, dtype)) -> columns(feature, dtype):
        return where(x == x, x, numbers[0])

    return apply


@field_operators
def take_log1p(feature: gtx.Dimension, dtype: type) -> Function:
    """log(1 + x), exact for small x by 2 artanh(x / (2 + x))."""
    half, one, two = dtype(0.5), dtype(1.0), dtype(2.0)

    def apply(x: columns(feature, dtype), numbers: stage_type("log1p", feature, dtype)) -> columns(feature, dtype):
        given = where(numbers[0] > half, x, half)
        small = minimum(one, given)
        value = where(given < one, two * arctanh(small / (small + two)), log(one + given))
        return where(numbers[0] > half, value, x)

    return apply


@field_operators
def undo_log1p(feature: gtx.Dimension, dtype: type) -> Function:
    """exp(v) - 1, exact for small v."""
    half, one = dtype(0.5), dtype(1.0)

    def apply(v: columns(feature, dtype), numbers: stage_type("log1p", feature, dtype)) -> columns(feature, dtype):
        given = where(numbers[0] > half, v, half)
        return where(numbers[0] > half, tanh(half * given) * (exp(given) + one), v)

    return apply


@field_operators
def take_root(feature: gtx.Dimension, dtype: type) -> Function:
    """The square root; NaN of negative values."""
    zero, half, one = dtype(0.0), dtype(0.5), dtype(1.0)

    def apply(x: columns(feature, dtype), numbers: stage_type("sqrt", feature, dtype)) -> columns(feature, dtype):
        given = where(numbers[0] > half, x, half)
        root = sqrt(where(given > zero, given, one))
        value = where(given > zero, root, where(given == zero, zero, numbers[1]))
        return where(numbers[0] > half, value, x)

    return apply


@field_operators
def undo_root(feature: gtx.Dimension, dtype: type) -> Function:
    """max(v, 0) squared."""
    zero, half = dtype(0.0), dtype(0.5)

    def apply(v: columns(feature, dtype), numbers: stage_type("sqrt", feature, dtype)) -> columns(feature, dtype):
        root = maximum(zero, v)
        return where(numbers[0] > half, root * root, v)

    return apply


@field_operators
def take_power(feature: gtx.Dimension, dtype: type) -> Function:
    """x to an exponent, for some of max(x, 0), for some with the tangent at 1 above 1; NaN of negative values."""
    zero, half, one = dtype(0.0), dtype(0.5), dtype(1.0)

    def apply(x: columns(feature, dtype), numbers: stage_type("power", feature, dtype)) -> columns(feature, dtype):
        given = where(numbers[0] > half, x, half)
        clipped = where(numbers[3] > half, maximum(zero, given), given)
        power = exp(numbers[2] * log(where(clipped > zero, clipped, one)))
        curved = where(clipped > zero, power, where(clipped == zero, zero, numbers[1]))
        is_tangent = where(numbers[4] > half, clipped, zero)
        value = where(is_tangent > one, one - numbers[2] + numbers[2] * clipped, curved)
        return where(numbers[0] > half, value, x)

    return apply


@field_operators
def undo_power(feature: gtx.Dimension, dtype: type) -> Function:
    """max(v, 0) to the inverse exponent, for some with the tangent at 1 above 1."""
    zero, half, one = dtype(0.0), dtype(0.5), dtype(1.0)

    def apply(v: columns(feature, dtype), numbers: stage_type("power", feature, dtype)) -> columns(feature, dtype):
        given = maximum(zero, where(numbers[0] > half, v, half))
        curved = where(given > zero, exp(log(where(given > zero, given, one)) / numbers[2]), given)
        is_tangent = where(numbers[4] > half, given, zero)
        value = where(is_tangent > one, (given - one + numbers[2]) / numbers[2], curved)
        return where(numbers[0] > half, value, v)

    return apply


@field_operators
def of_chosen(function: Any, kind: str, feature: gtx.Dimension, dtype: type) -> Function:
    """A function of GT4Py's of the chosen values."""
    half = dtype(0.5)

    def apply(x: columns(feature, dtype), numbers: stage_type(kind, feature, dtype)) -> columns(feature, dtype):
        return where(numbers[0] > half, function(where(numbers[0] > half, x, half)), x)

    return apply


@field_operators
def take_log(feature: gtx.Dimension, dtype: type) -> Function:
    """log(max(floor, x))."""
    half = dtype(0.5)

    def apply(x: columns(feature, dtype), numbers: stage_type("log", feature, dtype)) -> columns(feature, dtype):
        given = where(numbers[0] > half, x, half)
        return where(numbers[0] > half, log(maximum(numbers[1], given)), x)

    return apply


@field_operators
def displace_atoms(feature: gtx.Dimension, dtype: type) -> Function:
    """A target for what is at or below a threshold, and one for what is at or above another."""

    def apply(x: columns(feature, dtype), numbers: stage_type("atoms", feature, dtype)) -> columns(feature, dtype):
        displaced = where(x <= numbers[0], numbers[1], x)
        return where(displaced >= numbers[2], numbers[3], displaced)

    return apply


@field_operators
def keep_in_range(feature: gtx.Dimension, dtype: type) -> Function:
    """min(upper, max(lower, v)), in the order of arguments that lets NaN pass in compiled code."""

    def apply(v: columns(feature, dtype), numbers: stage_type("range", feature, dtype)) -> columns(feature, dtype):
        return minimum(numbers[1], maximum(numbers[0], v))

    return apply


class Stage(NamedTuple):
    """A kind of stage.

    Attributes:
        numbers: how many of each feature its operators take.
        apply, undo: the factories of its operators, of (feature, type); None where nothing is done.
    """

    numbers: int
    apply: Callable[..., FieldOperator] | None
    undo: Callable[..., FieldOperator] | None


#: By kind. Numbers: of ``impute`` the replacement; of ``affine`` shift and scale; of ``atoms`` threshold and target
#: below, threshold and target above; of ``range`` its ends; of all others whether a feature is chosen, then of ``sqrt``
#: NaN, of ``power`` NaN, the exponent, whether x is clipped and whether there is a tangent, of ``log`` the floor.
STAGES: dict[str, Stage] = {
    "impute": Stage(1, impute, None),
    "affine": Stage(2, normalise, denormalise),
    "log1p": Stage(1, take_log1p, undo_log1p),
    "sqrt": Stage(2, take_root, undo_root),
    "power": Stage(5, take_power, undo_power),
    "asinh": Stage(1, partial(of_chosen, arcsinh, "asinh"), partial(of_chosen, sinh, "asinh")),
    "atanh": Stage(1, partial(of_chosen, arctanh, "atanh"), partial(of_chosen, tanh, "atanh")),
    "log": Stage(2, take_log, partial(of_chosen, exp, "log")),
    "atoms": Stage(4, displace_atoms, None),
    "range": Stage(2, None, keep_in_range),
}


def stage_type(kind: str, feature: gtx.Dimension, dtype: type) -> Type:
    """Type of a stage's numbers."""
    return tuple[(vector(feature, dtype),) * STAGES[kind].numbers]  # type: ignore[misc]
