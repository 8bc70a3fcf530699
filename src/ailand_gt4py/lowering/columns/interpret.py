"""What a `ColumnProgram` means, in NumPy: the reference, and how derivatives run by embedded execution."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ailand_gt4py.core.types import Values
from ailand_gt4py.lowering.columns.column_program import (
    ColumnProgram,
    Definition,
    Expression,
    Load,
    Number,
    Operation,
    Product,
    Sum,
)

Operations = Mapping[str, Callable[..., Any]]

OPERATIONS: Operations = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    "neg": operator.neg,
    "select": np.where,
    "max": np.maximum,
    "min": np.minimum,
    "sqrt": np.sqrt,
    "exp": np.exp,
    "log": np.log,
    "tanh": np.tanh,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "asinh": np.arcsinh,
    "atanh": np.arctanh,
    "sin": np.sin,
    "cos": np.cos,
    "acos": np.arccos,
    "atan": np.arctan,
    "floor": np.floor,
    "pow": np.power,
    "abs": np.abs,
}


class Interpreter:
    """Runs programs.

    Args:
        n_columns: number of columns.
        values: the caller's arrays: rows (columns, features) or (columns, directions, features), vectors, matrices
            (outputs, inputs) and (directions, features).
        operations: what the names of operations mean.
    """

    def __init__(self, n_columns: int, values: Mapping[str, Values], operations: Operations = OPERATIONS) -> None:
        self.n_columns = n_columns
        self.values = dict(values)
        self.operations = operations
        self._number = next(iter(self.values.values())).dtype.type

    def run(self, program: ColumnProgram) -> dict[str, Values]:
        """The caller's arrays that the program writes."""
        for definition in program.definitions:
            assert definition.result not in self.values, f"{definition.result} is written twice"
            self.values[definition.result] = self._definition(definition)
        return {name: self.values[name] for name in program.results}

    def _definition(self, definition: Definition) -> Values:
        is_directed = definition.directions is not None
        shape = (self.n_columns, *((definition.directions,) if is_directed else ()), definition.extent)
        sums = sum(self._product(product, definition) for product in definition.products)
        value = self._value(definition.value, is_directed, definition.extent, sums)
        return np.broadcast_to(value, shape)

    def _product(self, product: Product, definition: Definition) -> Values:
        weight = self.values[product.weight][: definition.extent, : product.inputs]
        x = self._value(product.x, definition.directions is not None, product.inputs, None)
        return np.broadcast_to(x, (*x.shape[:-1], product.inputs)) @ weight.T

    def _value(self, expression: Expression, is_directed: bool, extent: int, sums: Any) -> Any:
        """Of all columns (and directions) and so many features, or what broadcasts to it."""
        match expression:
            case Number(value=value):
                return self._number(value)
            case Sum():
                assert sums is not None, "a sum outside of the definition's value"
                return sums
            case Load(array=array, index=index):
                return _element(self.values[array], index, is_directed, extent)
            case Operation(name=name, arguments=arguments):
                parts = (self._value(argument, is_directed, extent, sums) for argument in arguments)
                return self.operations[name](*parts)
        raise AssertionError(expression)


def value_of_row(expression: Expression, values: Mapping[str, Values]) -> Values:
    """An expression that is the same in every column: (directions, features), or what broadcasts to it."""
    match expression:
        case Number(value=value):
            return np.full((1, 1), float(value))
        case Load(array=array, index=index):
            return _element(values[array][np.newaxis], ("column", *index), True, None)[0]
        case Operation(name=name, arguments=arguments):
            return np.asarray(OPERATIONS[name](*(value_of_row(argument, values) for argument in arguments)))
    raise AssertionError(expression)


def _element(array: Values, index: tuple[Any, ...], is_directed: bool, extent: int | None) -> Values:
    """Of an array, over (columns, features) or (columns, directions, features)."""
    if len(index) == 1 and isinstance(index[0], int):
        return array.reshape(-1)[index[0]]
    axes = [axis for axis in ("column", "direction", "feature") if is_directed or axis != "direction"]
    positions = tuple(one if isinstance(one, int) else slice(None) for one in index)
    found = array[positions]
    kept = [axis for axis in index if not isinstance(axis, int)]
    found = found[..., :extent] if kept and kept[-1] == "feature" else found
    return found[tuple(slice(None) if axis in kept else np.newaxis for axis in axes)]
