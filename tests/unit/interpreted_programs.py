"""What a `ColumnProgram` means, in NumPy: the semantics that reading and fusing must keep."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

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
    "atan": np.arctan,
    "pow": np.power,
    "abs": np.abs,
}


class Interpreter:
    """Runs programs.

    Args:
        n_columns: number of columns.
        values: the caller's arrays: rows (columns, features), vectors, matrices (outputs, inputs) and (directions,
            features), which are all that a program with directions may read of the caller's of these.
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
        sums = sum(self._product(product, definition) for product in definition.products)
        if definition.directions is None:
            value = self._value(definition.value, definition.extent, sums)
            return np.broadcast_to(value, (self.n_columns, definition.extent))
        value = self._directed(definition.value, definition, definition.extent, sums)
        return np.broadcast_to(value, (self.n_columns, definition.directions, definition.extent))

    def _product(self, product: Product, definition: Definition) -> np.ndarray:
        weight = self.values[product.weight][: definition.extent, : product.inputs]
        if definition.directions is None:
            x = self._value(product.x, product.inputs, None)
            return np.broadcast_to(x, (self.n_columns, product.inputs)) @ weight.T
        x = self._directed(product.x, definition, product.inputs, None)
        return np.broadcast_to(x, (self.n_columns, definition.directions, product.inputs)) @ weight.T

    def _directed(self, expression: Expression, definition: Definition, extent: int, sums: Any) -> Any:
        """A value of all directions: (columns, directions, features), or what broadcasts to it."""
        match expression:
            case Load(array=array, index=("column", "direction", "feature")):
                return self.values[array][:, :, :extent]
            case Load(array=array, index=("column", "direction", position)):
                return self.values[array][:, :, position, np.newaxis]
            case Load(array=array, index=("column", "direction")):
                return self.values[array][:, : definition.directions, np.newaxis]
            case Load(array=array, index=("direction", "feature")):
                return self.values[array][np.newaxis, : definition.directions, :extent]
            case Load(array=array, index=("direction",)):
                return self.values[array][np.newaxis, : definition.directions, np.newaxis]
            case Load(index=("column", _)):
                return self._value(expression, extent, None)[:, np.newaxis, :]
            case Operation(name=name, arguments=arguments):
                parts = (self._directed(argument, definition, extent, sums) for argument in arguments)
                return self.operations[name](*parts)
        return self._value(expression, extent, sums)

    def _value(self, expression: Expression, extent: int, sums: Any) -> Any:
        match expression:
            case Number(value=value):
                return value
            case Sum():
                assert sums is not None, "a sum outside of the definition's value"
                return sums
            case Load(array=array, index=("column", "feature")):
                return self.values[array][:, :extent]
            case Load(array=array, index=("column", position)):
                return self.values[array][:, position, np.newaxis]
            case Load(array=array, index=("feature",)):
                return self.values[array][np.newaxis, :extent]
            case Load(array=array, index=(int(position),)):
                return self.values[array].reshape(-1)[position]
            case Operation(name=name, arguments=arguments):
                return self.operations[name](*(self._value(argument, extent, sums) for argument in arguments))
        raise AssertionError(expression)
