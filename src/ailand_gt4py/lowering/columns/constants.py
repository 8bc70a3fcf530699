"""What a derivative needs of a program's operands, the same in every column: made once, before any call.

Tangents of inputs that are perturbed one by one are constant up to the first operation that is not linear; the
adjoint of a product takes the transposed weights. All that becomes further operands of the program.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Literal

import numpy as np

from ailand_gt4py.core.types import Values
from ailand_gt4py.lowering.columns.column_program import Expression, Extent, Load, Number, Operation
from ailand_gt4py.lowering.columns.interpret import value_of_row


@dataclasses.dataclass(frozen=True)
class Constant:
    """An operand that is made of others.

    Attributes:
        kind: ``transposed`` of weights; ``row``: the first row of weights; ``ones``; ``others``: 1 for each
            direction that a selection has nothing for, else 0; ``rows`` (directions, features): an expression;
            ``product``: an expression (directions, inputs) times weights (outputs, inputs), transposed;
            ``row_product``: the same of one (inputs,) for all directions.
        weight: the operand or constant that it is made of.
        expression: of an element.
        extents: directions or outputs, and features.
    """

    kind: Literal["transposed", "row", "ones", "others", "rows", "product", "row_product"]
    weight: str = ""
    expression: Expression | None = None
    extents: tuple[Extent, ...] = ()


def evaluate(
    constants: Mapping[str, Constant], operands: Mapping[str, Values], shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, Values]:
    """The arrays of constants, in float64.

    Args:
        operands: arrays of the program's operands.
        shapes: of all its arguments, in which extents that are (array, axis) are looked up.
    """
    values = {name: array.astype(np.float64) for name, array in operands.items()}
    return {name: values.setdefault(name, _value(constant, values, shapes)) for name, constant in constants.items()}


def _value(constant: Constant, values: Mapping[str, Values], shapes: Mapping[str, tuple[int, ...]]) -> Values:
    extents = tuple(one if isinstance(one, int) else shapes[one[0]][one[1]] for one in constant.extents)
    match constant.kind:
        case "transposed":
            return values[constant.weight].T
        case "row":
            return values[constant.weight][0]
        case "others":
            return 1.0 - values[constant.weight].sum(axis=1)
        case "ones":
            return np.ones(extents)
    assert constant.expression is not None
    rows = value_of_row(constant.expression, values)
    if constant.kind in ("product", "row_product"):
        n_inputs = values[constant.weight].shape[1]
        products = np.broadcast_to(rows, (len(rows), n_inputs)) @ values[constant.weight].T
        return products if constant.kind == "product" else products[0]
    return np.broadcast_to(rows, extents)


def is_constant(expression: Expression) -> bool:
    """Whether it is the same in every column."""
    match expression:
        case Load(index=index):
            return "column" not in index
        case Operation(arguments=arguments):
            return all(map(is_constant, arguments))
    return isinstance(expression, Number)
