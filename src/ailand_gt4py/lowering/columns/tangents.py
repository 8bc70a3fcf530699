"""Tangents through a program, definition by definition, in one direction of each column or in several.

A tangent that is the same in every column is a constant of its direction. It stays one through products and through
what is linear; there the program has nothing to compute.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

from ailand_gt4py.lowering.columns.column_program import (
    ROW,
    Definition,
    Expression,
    Extent,
    Load,
    Number,
    Operation,
    at_feature,
    operations,
)
from ailand_gt4py.lowering.columns.constants import is_constant
from ailand_gt4py.lowering.columns.derivative_code import (
    CONSTANT_ROW,
    OF_DIRECTION,
    DerivativeCode,
    Selected,
    check_product,
    gradient,
    sum_of,
)
from ailand_gt4py.lowering.columns.derivative_rules import (
    ONE,
    ZERO,
    add,
    arguments_as_read,
    multiply,
    partial_derivatives,
)


@dataclasses.dataclass(eq=False)
class Linear:
    """Tangents for inputs that are perturbed one by one: constant rows, times a number of the column where that varies.

    Attributes:
        parts: selection -> name of the array of these numbers (columns, directions), empty where they are 1; and the
            rows (directions, features).
    """

    parts: Mapping[str, tuple[str, Expression]]


#: Operations of a value whose tangents in several directions are made operation by operation.
_FEW = 8
Tangent = Expression | Selected | Linear


class Tangents:
    """Of the arrays of one program.

    Args:
        given: array -> its tangent. directions: how many of each column; None: one.
        only_linear: leave out those that are no `Linear`: nothing then is computed for each column and direction.
    """

    def __init__(
        self,
        code: DerivativeCode,
        given: Mapping[str, Expression | Selected],
        directions: Extent | None,
        only_linear: bool = False,
    ) -> None:
        self._code, self._only_linear = code, only_linear
        self._known: dict[str, Tangent] = dict(given)
        #: All that changes with these: some of it has no tangent here if only linear ones are wanted.
        self._active = set(given)
        self._scales: dict[Selected, str] = {}
        self._totals: dict[tuple[str, ...], tuple[str, Load]] = {}
        self.directions = directions

    def of(self, name: str) -> Expression:
        """One element of an array's tangent; 0 where none is known."""
        value = self._known.get(name, ZERO)
        if isinstance(value, Selected):
            return value.expression()
        if isinstance(value, Linear):
            scale, rows = self.linear(name)
            return multiply(Load(scale, OF_DIRECTION), rows) if scale else rows
        return value

    def is_linear(self, name: str) -> bool:
        """Whether an array's tangents are constant rows times numbers of the column."""
        return isinstance(self._known.get(name), (Selected, Linear))

    def summable(self, names: Iterable[str]) -> list[list[str]]:
        """Such arrays in groups, in each of which the numbers of one input are the same."""
        groups: list[tuple[dict[str, str], list[str]]] = []
        for name in names:
            own = {selection: scale for selection, (scale, _) in self._linear_of(name).parts.items()}
            for scales, members in groups:
                if all(scales.get(selection, scale) == scale for selection, scale in own.items()):
                    scales |= own
                    members.append(name)
                    break
            else:
                groups.append((own, [name]))
        return [members for _, members in groups]

    def linear(self, *names: str) -> tuple[str, Load]:
        """Of the sum of summable arrays: the array of the numbers (columns, directions), or none, and the rows."""
        if names not in self._totals:
            value = self._linear_sum({Load(name, ROW): ONE for name in names})
            rows = sum_of(rows for _, rows in value.parts.values())
            settled = self._code.settled("", self._code.extents[names[0]], rows, self.directions)
            assert isinstance(settled, Load)
            self._totals[names] = (self._total_scale(value), settled)
        return self._totals[names]

    def follow(self, definition: Definition) -> None:
        """Find the tangent of what a definition makes."""
        if definition.products:
            partials: dict[Load, Expression] = {check_product(definition)[1]: ONE}
        else:
            partials = gradient(definition.value, self._code.result(definition))
        partials = {load: partial for load, partial in partials.items() if load.array in self._active}
        if not partials:
            return
        self._active.add(definition.result)
        if self._known.keys() >= {load.array for load in partials}:
            value = self._of_product(definition) if definition.products else self._of_value(definition, partials)
            if value is not None:
                self._known[definition.result] = value

    def _of_product(self, definition: Definition) -> Tangent | None:
        product, x = check_product(definition)
        value, code = self._known[x.array], self._code
        if isinstance(value, (Selected, Linear)):
            parts = self._linear_of(x.array).parts.items()
            return Linear({name: (scale, code.constant_product(rows, product.weight)) for name, (scale, rows) in parts})
        if self._only_linear:
            return None
        assert isinstance(value, Load)
        if value.index == CONSTANT_ROW:
            return code.constant_product(value, product.weight)
        sizes = (definition.extent, product.inputs)
        return code.product(f"{definition.result}_tangent", value, product.weight, sizes, self.directions)

    def _of_value(self, definition: Definition, partials: Mapping[Load, Expression]) -> Tangent | None:
        code, extent = self._code, definition.extent
        known = [self._known[load.array] for load in partials]
        selected = [one for one in known if isinstance(one, Selected)]
        if len(selected) == len(known) and len({one.selection for one in selected}) == 1:
            factors = (multiply(partial, one.factor) for partial, one in zip(partials.values(), selected, strict=True))
            return Selected(sum_of(factors), selected[0].selection)
        is_linear = all(isinstance(one, (Selected, Linear)) for one in known)
        is_linear = is_linear and all(map(is_constant, partials.values()))
        if is_linear and len(self.summable([load.array for load in partials])) == 1:
            return self._linear_sum(partials)
        if self._only_linear:
            return None
        if self.directions is None or operations(definition.value) <= _FEW:
            total = self._by_parts(definition.value, code.result(definition))
        else:
            # What a column has once is put together before it is multiplied by the tangents of all directions.
            name = f"{definition.result}_slope"
            total = sum_of(
                multiply(code.of_column(name, extent, partial), self._element(load))
                for load, partial in partials.items()
            )
        return code.settled(f"{definition.result}_tangent", extent, total, self.directions)

    def _by_parts(self, expression: Expression, result: Expression) -> Expression:
        """The tangent of an expression from those of its arguments."""
        if isinstance(expression, Load):
            return self._element(expression)
        if not isinstance(expression, Operation):
            return ZERO
        pairs = zip(expression.arguments, arguments_as_read(expression, result), strict=True)
        parts = [self._by_parts(argument, read) for argument, read in pairs]
        if all(part == ZERO for part in parts):
            return ZERO  # whether or not the operation has a derivative
        partials = partial_derivatives(expression, result)
        terms = zip(partials, parts, strict=True)
        return sum_of(multiply(partial, part) for partial, part in terms if partial is not None)

    def _element(self, load: Load) -> Expression:
        value = self.of(load.array)
        return value if load.index[-1] == "feature" else at_feature(value, load.index[-1])

    def _linear_sum(self, partials: Mapping[Load, Expression]) -> Linear:
        """Of a value that is linear with constant derivatives."""
        parts: dict[str, tuple[str, Expression]] = {}
        for load, partial in partials.items():
            for selection, (scale, rows) in self._linear_of(load.array).parts.items():
                rows = rows if load.index[-1] == "feature" else at_feature(rows, load.index[-1])
                _, before = parts.get(selection, (scale, ZERO))
                parts[selection] = (scale, add(before, multiply(partial, rows)))
        return Linear(parts)

    def _linear_of(self, name: str) -> Linear:
        value = self._known[name]
        if isinstance(value, Selected):
            return Linear({value.selection: self._scale_and_rows(value, name)})
        assert isinstance(value, Linear)
        return value

    def _scale_and_rows(self, value: Selected, name: str) -> tuple[str, Expression]:
        """The numbers of a column's directions, if they vary, and constant rows."""
        if is_constant(value.factor):
            return "", value.expression()
        if value not in self._scales:
            self._scales[value] = self._code.scale(value, name)
        return self._scales[value], Load(value.selection, CONSTANT_ROW)

    def _total_scale(self, value: Linear) -> str:
        """Each direction is one input: it is scaled by the numbers of its own selection, all others by 1."""
        scales = {selection: scale for selection, (scale, _) in value.parts.items() if scale}
        if not scales or len(value.parts) == 1:
            return "".join(scales.values())
        total: Expression = Number(1.0 - len(scales))
        for selection, scale in scales.items():
            of_others = Load(self._code.constant("others", selection), ("feature",))
            total = Operation("+", (Operation("+", (total, of_others)), Load(scale, ROW)))
        return self._code.define("input_scale", self.directions, total).array
