"""The nodes of a graph of ONNX from a program over columns (`lowering.columns.column_program`).

Values are (n_columns, n_features) or (n_columns, 1). One sum of matrix products is one ``Gemm`` on the inputs side by
side; an element-wise expression is a node for each operation, those that occur again once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper

from ailand_gt4py.core.types import Values
from ailand_gt4py.lowering.columns.column_program import (
    ColumnProgram,
    Definition,
    Expression,
    Load,
    Number,
    Operation,
    Sum,
    loads,
)

#: Operators of ONNX by the names of operations.
_OPERATORS = {
    "+": "Add",
    "-": "Sub",
    "*": "Mul",
    "/": "Div",
    ">": "Greater",
    ">=": "GreaterOrEqual",
    "<": "Less",
    "<=": "LessOrEqual",
    "==": "Equal",
    "neg": "Neg",
    "select": "Where",
    "max": "Max",
    "min": "Min",
    "sqrt": "Sqrt",
    "exp": "Exp",
    "log": "Log",
    "tanh": "Tanh",
    "sinh": "Sinh",
    "cosh": "Cosh",
    "asinh": "Asinh",
    "atanh": "Atanh",
    "sin": "Sin",
    "cos": "Cos",
    "acos": "Acos",
    "atan": "Atan",
    "floor": "Floor",
    "pow": "Pow",
    "abs": "Abs",
}


def _operation(name: str, *arguments: Expression) -> Operation:
    return Operation(name, arguments)


def _inverse_tanh(x: Expression) -> Expression:
    ratio = _operation("/", _operation("+", Number(1.0), x), _operation("-", Number(1.0), x))
    return _operation("*", Number(0.5), _operation("log", ratio))


def _inverse_sinh(x: Expression) -> Expression:
    size = _operation("abs", x)
    root = _operation("sqrt", _operation("+", _operation("*", x, x), Number(1.0)))
    value = _operation("log", _operation("+", size, root))
    return _operation("select", _operation(">=", x, Number(0.0)), value, _operation("neg", value))


def _sinh(x: Expression) -> Expression:
    return _operation("*", Number(0.5), _operation("-", _operation("exp", x), _operation("exp", _operation("neg", x))))


#: What ONNX Runtime lacks in double precision, by what it has: to its last digits but for small arguments.
_IN_DOUBLE = {"atanh": _inverse_tanh, "asinh": _inverse_sinh, "sinh": _sinh}


class Own(NamedTuple):
    """What ONNX has an operator of its own for: a field operator that the program keeps as one operation."""

    operator: str
    attributes: Mapping[str, Any]


class Graph:
    """Nodes and constants of a program's graph.

    Args:
        program: fused. operands: by name, all of one type.
        names: what the caller's arrays are called in the graph.
        own: operations of the program that are operators of ONNX.

    Attributes:
        nodes: in order. constants: tensors of the operands that the nodes read.
    """

    def __init__(
        self,
        program: ColumnProgram,
        operands: Mapping[str, Values],
        names: Mapping[str, str],
        own: Mapping[str, Own],
    ) -> None:
        self._operands, self._own = operands, own
        self._type = next(iter(operands.values())).dtype
        self._names = dict(names)
        self._constants: dict[str, Values] = {}
        #: What expressions of one definition, and those without products of all, have come to.
        self._known: dict[tuple[Expression, str], str] = {}
        self._widths = {name: shape[1] for name, (index, shape) in program.arguments.items() if len(index) == 2}
        self.nodes: list[NodeProto] = []
        for definition in program.definitions:
            self._define(definition, names.get(definition.result))

    @property
    def constants(self) -> list[TensorProto]:
        return [numpy_helper.from_array(values, name) for name, values in self._constants.items()]

    def _define(self, definition: Definition, name: str | None) -> None:
        """Nodes that compute a definition, the last of them called ``name`` if there is one."""
        spans = any(index == "feature" for load in loads(definition.value) for index in load.index)
        assert spans or definition.products or definition.extent == 1, f"{definition.result} has one value for all"
        found = self._value(definition.value, definition, name or definition.result)
        if name is not None and found != name:
            self._node("Identity", (found,), name)
        self._names[definition.result] = name or found
        self._widths[definition.result] = definition.extent

    # --- expressions ---

    def _value(self, expression: Expression, definition: Definition, out: str = "") -> str:
        """The name of an expression's value; ``out`` if that is given and it is not known by another."""
        match expression:
            case Number(value=number):
                return self._constant(f"{number!r}", np.array(number, self._type))
            case Load(array=array, index=index):
                return self._load(array, index)
            case Sum():
                return self._products(definition, None, out)
        key = (expression, definition.result if _has_sum(expression) else "")
        if key not in self._known:
            self._known[key] = self._operation(expression, definition, out)
        return self._known[key]

    def _operation(self, expression: Operation, definition: Definition, out: str) -> str:
        match expression:
            case Operation("+", (Sum(), Load(index=("feature",)) as bias)):
                return self._products(definition, bias, out)
            case Operation("max", (Number(0.0), x)):
                return self._node("Relu", (self._value(x, definition),), out)
            case Operation("!=", (one, other)) if one == other:
                return self._node("IsNaN", (self._value(one, definition),), out)
            case Operation("==", (one, other)) if one == other:
                return self._node("Not", (self._value(Operation("!=", (one, one)), definition),), out)
            case Operation("!=", both):
                return self._node("Not", (self._value(Operation("==", both), definition),), out)
        if self._type == np.float64 and expression.name in _IN_DOUBLE:
            return self._value(_IN_DOUBLE[expression.name](*expression.arguments), definition, out)
        inputs = [self._value(one, definition) for one in expression.arguments]
        operator, attributes = self._own.get(expression.name) or Own(_OPERATORS[expression.name], {})
        return self._node(operator, inputs, out, **attributes)

    def _load(self, array: str, index: tuple[Any, ...]) -> str:
        """An element of an array: of a row of features, of one of them, or of an operand."""
        match index:
            case ("feature",):
                return self._constant(array, self._operands[array])
            case (int(position),):
                return self._constant(f"{array}.{position}", self._operands[array].reshape(-1)[position])
            case ("column", int(position)) if self._widths[array] > 1:
                key = (Load(array, index), "")
                if key not in self._known:
                    chosen = self._constant(f"position_{position}", np.array([position], np.int64))
                    self._known[key] = self._node("Gather", (self._names[array], chosen), axis=1)
                return self._known[key]
            case ("column", _):
                return self._names[array]
        raise AssertionError(index)

    def _products(self, definition: Definition, bias: Load | None, out: str) -> str:
        """The sum of a definition's products, and a number for each feature."""
        parts = [self._value(product.x, definition) for product in definition.products]
        weights = [self._operands[one.weight][: definition.extent, : one.inputs] for one in definition.products]
        together = "+".join(one.weight for one in definition.products)
        weight = self._constant(together, np.concatenate(weights, axis=1))
        x = parts[0] if len(parts) == 1 else self._beside(tuple(parts))
        more = () if bias is None else (self._load(bias.array, bias.index),)
        return self._node("Gemm", (x, weight, *more), out, transB=1)

    def _beside(self, parts: tuple[str, ...]) -> str:
        """Rows of features side by side."""
        key = (Operation("beside", tuple(Load(part, ()) for part in parts)), "")
        if key not in self._known:
            self._known[key] = self._node("Concat", parts, axis=1)
        return self._known[key]

    # --- nodes and constants ---

    def _node(self, operator: str, inputs: Sequence[str], out: str = "", **attributes: Any) -> str:
        name = out or f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [name], name, **attributes))
        return name

    def _constant(self, name: str, values: Values) -> str:
        self._constants.setdefault(name, np.ascontiguousarray(values))
        return name


def _has_sum(expression: Expression) -> bool:
    if isinstance(expression, Operation):
        return any(map(_has_sum, expression.arguments))
    return isinstance(expression, Sum)
