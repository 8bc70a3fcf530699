"""What a `ColumnProgram` means, in NumPy: the semantics that reading and fusing must keep."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ailand_gt4py.lowering.column_program import (
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
    "atan": np.arctan,
    "pow": np.power,
    "abs": np.abs,
}


class Interpreter:
    """Runs programs.

    Args:
        n_columns: number of columns.
        values: the caller's arrays: rows (columns, features), vectors, matrices (outputs, inputs).
        operations: what the names of operations mean.
    """

    def __init__(self, n_columns: int, values: Mapping[str, np.ndarray], operations: Operations = OPERATIONS) -> None:
        self.n_columns = n_columns
        self.values = dict(values)
        self.operations = operations

    def run(self, program: ColumnProgram) -> dict[str, np.ndarray]:
        """The caller's arrays that the program writes."""
        for definition in program.definitions:
            assert definition.result not in self.values, f"{definition.result} is written twice"
            self.values[definition.result] = self._definition(definition)
        return {name: self.values[name] for name in program.results}

    def _definition(self, definition: Definition) -> np.ndarray:
        sums = sum(self._product(product, definition.extent) for product in definition.products)
        value = self._value(definition.value, definition.extent, sums)
        return np.broadcast_to(value, (self.n_columns, definition.extent))

    def _product(self, product: Product, extent: int) -> np.ndarray:
        x = self._value(product.x, product.inputs, None)
        weight = self.values[product.weight][:extent, : product.inputs]
        return np.broadcast_to(x, (self.n_columns, product.inputs)) @ weight.T

    def _value(self, expression: Expression, extent: int, sums: Any) -> Any:
        match expression:
            case Number(value=value):
                return value
            case Sum():
                assert sums is not None, "a sum outside of the definition's value"
                return sums
            case Load(array=array, index=("column", "feature")):
                return self.values[array][:, :extent]
            case Load(array=array, index=("column", place)):
                return self.values[array][:, place, np.newaxis]
            case Load(array=array, index=("feature",)):
                return self.values[array][np.newaxis, :extent]
            case Load(array=array, index=(int(place),)):
                return self.values[array].reshape(-1)[place]
            case Operation(name=name, arguments=arguments):
                return self.operations[name](*(self._value(argument, extent, sums) for argument in arguments))
        raise AssertionError(expression)
