"""Adjoints back through a program, definition by definition, for each column or for several results of it at once.

What varies from column to column but not along a row is kept apart from constant rows (`_Parts.scale`), and what is the
product of a number of each direction and a row of the column is multiplied by weights once for all directions.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable

from ailand_gt4py.lowering.columns.column_program import (
    ROW,
    Definition,
    Expression,
    Extent,
    Load,
    Number,
    Operation,
    Product,
    RefusedError,
    Sum,
    at_feature,
    loads,
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
    add,
    arguments_as_read,
    multiply,
    partial_derivatives,
)
from ailand_gt4py.lowering.columns.tangents import Tangents

#: Arrays of numbers (columns, directions) by which adjoints are to be multiplied.
Scale = tuple[str, ...]


@dataclasses.dataclass
class _Share:
    """What adds up to the adjoint of an array: terms, and one that is given by a selection."""

    terms: list[Expression] = dataclasses.field(default_factory=list)
    selected: Selected | None = None

    def __hash__(self) -> int:
        return hash((tuple(self.terms), self.selected))

    def add(self, value: Expression | Selected) -> None:
        if not isinstance(value, Selected):
            same = value in self.terms
            if same:
                self.terms.remove(value)
            self.terms.append(multiply(Number(2.0), value) if same else value)
        elif self.selected is None:
            self.selected = value
        else:
            assert self.selected.selection == value.selection
            self.selected = Selected(add(self.selected.factor, value.factor), value.selection)


class Adjoints:
    """Of the arrays of one program.

    Args:
        wanted: arrays whose adjoints are asked for.
        directions: how many of each column; None: one.
        perturbed: tangents of inputs that are perturbed one by one: derivatives by these are asked for instead.
        through: an array that is taken as given.
    """

    def __init__(
        self,
        code: DerivativeCode,
        wanted: Iterable[str],
        directions: Extent | None = None,
        perturbed: Tangents | None = None,
        through: str = "",
    ) -> None:
        self._code, self._directions, self._perturbed, self._through = code, directions, perturbed, through
        self._shares: dict[str, dict[Scale, _Share]] = defaultdict(lambda: defaultdict(_Share))
        self._active = {*wanted, through}
        for definition in code.program.definitions:
            if not self._active.isdisjoint(load.array for load in definition.loads()):
                self._active.add(definition.result)
        #: Linear in numbers of the column: back to these, a derivative is a number of each direction times one row.
        self._of_numbers: set[str] = set()
        for definition in code.program.definitions if perturbed is not None else ():
            read = {load for load in loads(definition.value) if load.array in self._active}
            if not definition.products and all(
                load.array in self._of_numbers or code.extents[load.array] == 1 for load in read
            ):
                self._of_numbers.add(definition.result)
        #: (numbers of directions, numbers of inputs) -> terms of the derivatives by inputs.
        self._block: dict[tuple[Scale, str], list[Expression]] = defaultdict(list)

    def begin(self, name: str, adjoint: Expression | Selected) -> None:
        """Give the adjoint of a result."""
        self._shares[name][()].add(adjoint)

    def go_back(self) -> None:
        """From results to inputs."""
        for definition in reversed(self._code.program.definitions):
            name = definition.result
            if name == self._through or name not in self._shares:
                continue
            if self._perturbed is not None and self._perturbed.is_linear(name) and name not in self._of_numbers:
                continue
            for scale, share in self._shares.pop(name).items():
                if definition.products:
                    self._through_product(definition, scale, share)
                else:
                    self._through_value(definition, scale, share)

    def total(self, name: str) -> Expression:
        """One element of the adjoint of an array."""
        shares = self._shares[name].items()
        return sum_of(self._scaled(scale, sum_of(self._plain(share))) for scale, share in shares)

    def block(self) -> Expression:
        """One element of the derivatives by all inputs that are perturbed."""
        assert self._perturbed is not None
        alike: dict[tuple[Scale, _Share], list[str]] = defaultdict(list)
        for name, shares in self._shares.items():
            if name != self._through and self._perturbed.is_linear(name):
                for scale, share in shares.items():
                    alike[scale, share].append(name)
        # Terms of one sum have the same adjoint.
        sums = [(key, names) for key, terms in alike.items() for names in self._perturbed.summable(terms)]
        for (scale, share), names in sums:
            of_inputs, rows = self._perturbed.linear(*names)
            sizes = (self._perturbed.directions, self._code.extents[names[0]])
            for more, term in self._times(names[0], share, rows.array, sizes):
                self._block[scale + more, of_inputs].append(term)
        parts = []
        for (scale, of_inputs), terms in self._block.items():
            total = sum_of(terms)
            total = multiply(total, Load(of_inputs, ROW)) if of_inputs else total
            parts.append(self._scaled(scale, total))
        return sum_of(parts)

    def of_rows_through(self, selection: str, rows: Expression) -> Expression:
        """Multiples of the rows of the array that is taken as given, where these are what a selection says."""
        found = []
        for scale, share in self._shares[self._through].items():
            if share.selected is not None and share.selected.selection == selection:
                own = (*scale, self._code.scale(share.selected, f"{self._through}_adjoint"))
                found.append(self._scaled(own, rows))
                share.selected = None
        return sum_of(found)

    # --- back through definitions ---

    def _through_product(self, definition: Definition, scale: Scale, share: _Share) -> None:
        product, x = check_product(definition)
        if x.array not in self._active:
            return
        code, shares = self._code, self._shares[x.array]
        if definition.by_row:
            row = Load(code.constant("row", product.weight), ("feature",))
            total = self._settled(definition.result, self._plain(share))
            shares[scale].add(multiply(at_feature(total, 0), row))
            return
        weight = code.constant("transposed", product.weight)
        for more, term in self._times(definition.result, share, weight, (product.inputs, definition.extent)):
            shares[scale + more].add(term)

    def _through_value(self, definition: Definition, scale: Scale, share: _Share) -> None:
        code, name = self._code, definition.result
        partials = gradient(definition.value, code.result(definition))
        partials = {load: partial for load, partial in partials.items() if load.array in self._active}
        if not partials:
            return
        if share.terms and all(map(is_constant, partials.values())):
            for term in self._terms_apart(name, share.terms):
                for load, partial in partials.items():
                    self._give(load, scale, self._weighed(partial, term), definition.extent)
        elif share.terms:
            self._back_through(definition, definition.value, self._settled(name, share.terms), scale)
        if share.selected is not None:
            factor = share.selected.factor
            if len(partials) > 1 and operations(factor) > 1:
                factor = code.define(f"{name}_adjoint_factor", definition.extent, factor)
            for load, partial in partials.items():
                shares = self._shares[load.array]
                selected = Selected(multiply(partial, factor), share.selected.selection)
                if load.index == ROW:
                    shares[scale].add(selected)
                else:
                    shares[(*scale, code.scale(selected, f"{name}_adjoint"))].add(ONE)

    def _back_through(
        self,
        definition: Definition,
        value: Expression,
        adjoint: Expression,
        scale: Scale,
        read: Expression | None = None,
    ) -> None:
        """Back through the operations of a value; what several of them use is kept.

        Args:
            adjoint: of the value. read: the value as it can be read; None: as the definition's result.
        """
        if isinstance(value, Load):
            self._give(value, scale, adjoint, definition.extent)
            return
        assert isinstance(value, Operation)
        result = read or self._code.result(definition)
        arguments = zip(
            value.arguments, partial_derivatives(value, result), arguments_as_read(value, result), strict=True
        )
        active = [
            (argument, partial, as_read)
            for argument, partial, as_read in arguments
            if partial is not None and any(load.array in self._active for load in loads(argument))
        ]
        if len(active) > 1:
            adjoint = self._kept(f"{definition.result}_inner_adjoint", definition.extent, adjoint)
        for argument, partial, as_read in active:
            if self._directions is not None:
                partial = self._code.of_column(f"{definition.result}_slope", definition.extent, partial)
            self._back_through(definition, argument, self._weighed(partial, adjoint), scale, as_read)

    def _give(self, load: Load, scale: Scale, value: Expression, extent: Extent) -> None:
        """A share of the adjoint of what is loaded."""
        value = value if load.index == ROW else self._sum_of_row(load, value, extent)
        self._shares[load.array][scale].add(value)

    def _weighed(self, partial: Expression, total: Expression) -> Expression:
        if self._directions is None:
            # A product: an adjoint that is NaN passes where a unit is off, too.
            return total if partial == ONE else Operation("*", (total, partial))
        return multiply(partial, total)

    def _sum_of_row(self, load: Load, value: Expression, extent: Extent) -> Expression:
        """The adjoint of a number that all features of a row read."""
        if self._code.extents[load.array] != 1:
            raise RefusedError(f"it reads one of the features of '{load.array}', whose adjoint is asked for")
        if extent == 1:
            return value
        product = Product(value, self._code.constant("ones", extents=(1, extent)), extent)
        return at_feature(self._code.define(f"{load.array}_adjoint", 1, Sum(), self._directions, (product,)), 0)

    # --- products ---

    def _times(
        self, name: str, share: _Share, weight: str, sizes: tuple[Extent, Extent]
    ) -> list[tuple[Scale, Expression]]:
        """What adds up to the product of an adjoint with weights of so many outputs and inputs, with further scales."""
        code = self._code
        found: list[tuple[Scale, Expression]] = []
        if share.selected is not None:
            if is_constant(share.selected.factor):
                found.append(((), code.constant_product(share.selected.expression(), weight)))
            else:
                rows = code.constant_product(Load(share.selected.selection, CONSTANT_ROW), weight)
                found.append(((code.scale(share.selected, f"{name}_adjoint"),), rows))
        by_number: dict[Expression, list[Expression]] = defaultdict(list)
        product: Expression

        def row_of_weight() -> Expression:
            return Load(code.constant("row", code.constant("transposed", weight)), ("feature",))

        for term in share.terms:
            parts = None if self._directions is None else _of_direction_and_column(term)
            if parts is not None:
                of_direction, of_column = parts
                if isinstance(of_column, Number) and sizes[1] == 1:
                    # Of weights that stand in several rows alike, for numbers that are averages, one.
                    product = multiply(of_column, row_of_weight())
                elif is_constant(of_column):
                    product = code.constant_product(of_column, weight)
                else:
                    row = code.settled(f"{name}_row", sizes[1], of_column, None)
                    assert isinstance(row, Load)
                    product = code.product(f"{name}_row_product", row, weight, sizes, None)
                found.append(((), multiply(of_direction, product)))
            elif isinstance(term, Number) and sizes[1] == 1:
                found.append(((), multiply(term, row_of_weight())))
            elif self._directions is not None and is_constant(term):
                found.append(((), code.constant_product(term, weight)))
            else:
                number, rest = (ONE, term) if self._directions is None else _number_of_column(term)
                by_number[number].append(rest)
        for number, dense in by_number.items():
            # What is one number of the column is multiplied once, behind the product.
            total = self._settled(name, dense)
            if self._directions is not None and is_constant(total):
                product = code.constant_product(total, weight)
            else:
                assert isinstance(total, Load)
                product = code.product(f"{name}_adjoint_product", total, weight, sizes, self._directions)
            found.append(((), multiply(number, product)))
        return found

    def _terms_apart(self, name: str, terms: list[Expression]) -> list[Expression]:
        """Terms, of which those are added up that are no numbers of each direction times a column's row."""
        if self._directions is None:
            return [self._settled(name, terms)]
        apart = [
            term for term in terms if _of_direction_and_column(term) or isinstance(_number_of_column(term)[1], Load)
        ]
        dense = [term for term in terms if term not in apart]
        return [*([self._settled(name, dense)] if dense else []), *apart]

    def _plain(self, share: _Share) -> list[Expression]:
        return [*share.terms, *([share.selected.expression()] if share.selected else [])]

    def _settled(self, name: str, terms: list[Expression]) -> Expression:
        """The sum of terms, as an array's element unless it is little more."""
        return self._kept(f"{name}_adjoint", self._code.extents[name], sum_of(terms))

    def _kept(self, name: str, extent: Extent, value: Expression) -> Expression:
        if self._directions is not None and (is_constant(value) or _of_direction_and_column(value)):
            return value
        settled = self._code.settled(name, extent, value, self._directions)
        return at_feature(settled, 0) if extent == 1 else settled

    def _scaled(self, scale: Scale, value: Expression) -> Expression:
        for name in scale:
            value = multiply(value, Load(name, OF_DIRECTION))
        return value


def _of_direction_and_column(term: Expression) -> tuple[Expression, Expression] | None:
    """A number of each direction and a column's row, where these are the factors of a term."""
    of_direction: Expression = ONE
    of_column: Expression = ONE
    for factor in _factors(term):
        indices = [load.index for load in loads(factor)]
        if not any("direction" in index for index in indices):
            of_column = multiply(of_column, factor)
        elif any("feature" in index for index in indices):
            return None
        else:
            of_direction = multiply(of_direction, factor)
    return None if of_direction == ONE else (of_direction, of_column)


def _number_of_column(term: Expression) -> tuple[Expression, Expression]:
    """Factors of a term that are one number of each column, and the others."""
    number: Expression = ONE
    rest: Expression = ONE
    for factor in _factors(term):
        if isinstance(factor, Load) and factor.index == ("column", 0):
            number = multiply(number, factor)
        else:
            rest = multiply(rest, factor)
    return number, rest


def _factors(term: Expression) -> list[Expression]:
    match term:
        case Operation("*", arguments):
            return [factor for argument in arguments for factor in _factors(argument)]
        case Operation("neg", (value,)):
            return [Number(-1.0), *_factors(value)]
    return [term]
