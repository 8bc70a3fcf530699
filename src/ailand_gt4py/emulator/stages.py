"""The stages of a point-wise network's variables (`stencils.network.stages`): which there are, and their numbers.

Each variable has its own steps of processing (`weights.processing`). Steps are first written as stages, of which some
are two or three: a Box-Cox transformation is a power, then affine. Those of all variables of a group are then merged
into one sequence, in which every variable goes through its own in its own order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ailand_gt4py.core.types import Values
from ailand_gt4py.weights.model import Variable
from ailand_gt4py.weights.processing import Step

#: A kind of stage with its numbers, as of `stencils.network.stages.STAGES`.
Stage = tuple[str, tuple[float, ...]]

#: What does nothing, of each kind.
_NOTHING: dict[str, tuple[float, ...]] = {
    "impute": (math.nan,),
    "affine": (0.0, 1.0),
    "log1p": (0.0,),
    "sqrt": (0.0, math.nan),
    "power": (0.0, math.nan, 1.0, 0.0, 0.0),
    "asinh": (0.0,),
    "atanh": (0.0,),
    "log": (0.0, 1.0),
    "atoms": (-math.inf, 0.0, math.inf, 0.0),
    "range": (-math.inf, math.inf),
}


def _affine(multiply: float, add: float) -> Stage:
    """``x * multiply + add`` as (x - shift) / scale, which loses fewer digits of a large value."""
    return "affine", (-add / multiply, 1.0 / multiply)


def _stages_of_step(step: Step) -> list[Stage]:
    match step.kind, step.parameters:
        case (("affine" | "scale"), (multiply, add)):
            return [_affine(multiply, add)]
        case "sqrt", ():
            return [("sqrt", (1.0, math.nan))]
        case "power", (exponent, clip_negative, tangent):
            return [("power", (1.0, math.nan, exponent, clip_negative, tangent))]
        case "boxcox", (0.0,):
            return [("log", (1.0, 0.0))]
        case "boxcox", (exponent,):
            return [("power", (1.0, math.nan, exponent, 0.0, 0.0)), _affine(1.0 / exponent, -1.0 / exponent)]
        case "asinh", (factor,):
            return [_affine(factor, 0.0), ("asinh", (1.0,))]
        case "atanh", (rho,):
            most = math.tanh(rho)
            return [
                ("range", (0.0, 1.0)), _affine(2.0 * most, -most), ("atanh", (1.0,)), _affine(1.0 / rho, 0.0)
            ]  # fmt: skip
        case "boundary_atoms", (lower, lower_target, upper, upper_target, eps):
            return [("range", (lower, upper)), ("atoms", (lower + eps, lower_target, upper - eps, upper_target))]
        case ("impute" | "log1p") as kind, parameters:
            return [(kind, parameters or (1.0,))]
    raise AssertionError(step)


def stages_of(variable: Variable) -> list[Stage]:
    """The stages of one variable, from its physical value to the network's."""
    if variable.processing:
        return [stage for step in variable.processing for stage in _stages_of_step(step)]
    method = variable.normalisation
    affine: Stage = ("affine", (method.shift, method.scale))
    return [("log", (1.0, method.minimum)), affine] if method.is_logarithmic else [affine]


def merged_kinds(variables: Sequence[Variable]) -> tuple[str, ...]:
    """A sequence of kinds of stages that has those of every variable in its order."""
    merged: list[str] = ["affine"]
    for variable in variables:
        position = 0
        for kind, _ in stages_of(variable):
            if kind in merged[position:]:
                position = merged.index(kind, position) + 1
            else:
                merged.insert(position, kind)
                position += 1
    return tuple(merged)


def stage_numbers(kinds: Sequence[str], variables: Sequence[Variable]) -> list[Values]:
    """(numbers, variables) of each stage."""
    tables = [np.repeat(np.array([_NOTHING[kind]]).T, len(variables), axis=1) for kind in kinds]
    for column, variable in enumerate(variables):
        position = 0
        for kind, numbers in stages_of(variable):
            position = list(kinds).index(kind, position)
            tables[position][:, column] = numbers
            position += 1
    return tables
