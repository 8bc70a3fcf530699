"""Fewer and larger definitions: what can be computed while a value is in a register is not stored.

The rules keep every value what it was, but for the order in which the products of one layer are added up.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Collection

from ailand_gt4py.lowering.columns.column_program import (
    DIRECTED_ROW,
    ROW,
    ColumnProgram,
    Definition,
    Expression,
    Load,
    Operation,
    Sum,
    at_feature,
    loads,
    operations,
    replace,
)

#: Operations that may be written more than once, all their copies counted.
_MOST_OPERATIONS = 64
_ROWS = (ROW, DIRECTED_ROW)


def fuse(program: ColumnProgram) -> ColumnProgram:
    """The same program with element-wise definitions taken into those that use them."""
    definitions = narrow(program).definitions
    count = len(definitions) + 1
    while len(definitions) < count:
        count = len(definitions)
        definitions = _inline(definitions, program.inner)
    definitions = _late(_join_products(definitions, program.inner), program.inner)
    return dataclasses.replace(program, definitions=definitions)


#: All loads of an array, each with the definition that it stands in.
_Uses = dict[str, list[tuple[Load, Definition]]]


def _uses(definitions: list[Definition]) -> _Uses:
    """Array -> all loads of it."""
    uses: _Uses = collections.defaultdict(list)
    for definition in definitions:
        for load in definition.loads():
            uses[load.array].append((load, definition))
    return uses


def _users(definition: Definition, uses: _Uses) -> list[str]:
    """The results of those definitions that read one."""
    return [user.result for _, user in uses[definition.result]]


def narrow(program: ColumnProgram, wanted: Collection[str] = ()) -> ColumnProgram:
    """Drop what nobody reads, and keep only the first feature where only that is read (a row's statistics).

    Args:
        wanted: inner arrays that are kept although the program does not read them.
    """
    result: list[Definition] = []
    uses: dict[str, list[Load]] = collections.defaultdict(list)
    for definition in reversed(program.definitions):
        if definition.result in program.inner and definition.result not in wanted:
            loads_of_it = uses[definition.result]
            if not loads_of_it:
                continue
            if all(load.index[0] == "column" and load.index[-1] == 0 for load in loads_of_it):
                # Loads of the row then are of its feature 0, too.
                definition = dataclasses.replace(definition, extent=1, value=at_feature(definition.value, 0))
        for load in definition.loads():
            uses[load.array].append(load)
        result.insert(0, definition)
    return dataclasses.replace(program, definitions=result)


def _inline(definitions: list[Definition], inner: set[str]) -> list[Definition]:
    """Put an element-wise value where it is used, if that is one position."""
    users = _uses(definitions)
    multiplied = {name for definition in definitions if not definition.by_row for name in definition.factors()}
    sums = {one.result for one in definitions if one.value == Sum() and len(set(_users(one, users))) == 1}

    def can_move(definition: Definition) -> bool:
        if definition.result not in inner or definition.products or definition.result in multiplied:
            return False
        uses = users[definition.result]
        if len(set(_users(definition, users))) != 1:
            return False
        # A definition adds up products of its own once (`_accumulate`): others would be made apart and stored.
        own = sums.intersection(load.array for load in loads(definition.value))
        if own and not all(own >= sums.intersection(load.array for load in user.loads()) for _, user in uses):
            return False
        # What a column has once is computed once for the column, not once for each of its directions.
        if any(user.directions != definition.directions for _, user in uses):
            return False
        # Several times in one definition is once for the compiler, but such texts grow with the power of their depth.
        if len(uses) > 1 and len(uses) * operations(definition.value) > _MOST_OPERATIONS:
            return False
        # A row's statistic is computed once for the row, not once for each of its features.
        return all(load.index in _ROWS or user.extent == 1 for load, user in uses)

    values: dict[str, Expression] = {}
    result: list[Definition] = []

    def moved(load: Load) -> Expression:
        if load.array not in values:
            return load
        value = values[load.array]
        return value if load.index in _ROWS else at_feature(value, load.index[-1])

    for definition in definitions:
        definition = dataclasses.replace(
            definition,
            value=replace(definition.value, moved),
            products=tuple(
                dataclasses.replace(product, x=replace(product.x, moved)) for product in definition.products
            ),
        )
        if can_move(definition):
            values[definition.result] = definition.value
        else:
            result.append(definition)
    return result


def _terms(expression: Expression) -> list[Expression]:
    """The terms of a sum, in order."""
    if isinstance(expression, Operation) and expression.name == "+":
        return [term for argument in expression.arguments for term in _terms(argument)]
    return [expression]


def _join_products(definitions: list[Definition], inner: set[str]) -> list[Definition]:
    """Take matrix products into the one element-wise definition that uses them, and add them up there."""
    uses = _uses(definitions)
    products = {
        definition.result: definition
        for definition in definitions
        if definition.value == Sum() and definition.result in inner and len(set(_users(definition, uses))) == 1
    }
    joined: set[str] = set()
    made: set[tuple[str, ...]] = set()
    result: list[Definition] = []
    for definition in definitions:
        if not definition.products:
            value, taken = _accumulate(definition, products)
            alone = [name for name in taken if _weights([name], products) in made]
            if alone and definition.directions is None and _weights(taken, products) not in made:
                # By weights that other layers have alone: those are made together with these (`side_by_side`).
                value, taken = _accumulate(definition, {alone[-1]: products[alone[-1]]})
            joined |= set(taken)
            made.add(_weights(taken, products))
            parts = tuple(product for name in taken for product in products[name].products)
            definition = dataclasses.replace(definition, value=value, products=parts)
        result.append(definition)
    return [definition for definition in result if definition.result not in joined]


def _weights(names: list[str], products: dict[str, Definition]) -> tuple[str, ...]:
    return tuple(product.weight for name in names for product in products[name].products)


def _late(definitions: list[Definition], inner: set[str]) -> list[Definition]:
    """Products that nothing could be taken into, just before they are read: a value's before those of its tangent."""
    waiting = {one.result: one for one in definitions if one.value == Sum() and one.result in inner}
    result: list[Definition] = []

    def add(definition: Definition) -> None:
        for name in definition.arrays():
            if name in waiting:
                add(waiting.pop(name))
        result.append(definition)

    for definition in [one for one in definitions if one.result not in waiting]:
        add(definition)
    return result


def side_by_side(definitions: list[Definition]) -> list[Definition]:
    """Layers by the same weights next to each other, as those of a value and its change, if what they read allows."""
    result: list[Definition] = []
    for definition in definitions:
        positions = [position for position, other in enumerate(result) if may_be_beside(definition, [other])]
        read = set(definition.arrays())
        if positions and not any(other.result in read for other in result[positions[-1] + 1 :]):
            result.insert(positions[-1] + 1, definition)
        else:
            result.append(definition)
    return result


def may_be_beside(definition: Definition, layers: list[Definition]) -> bool:
    """Whether a layer of columns may be made together with others, output by output: it reads no more of theirs."""
    if any(one.directions is not None or not one.is_layer for one in (definition, *layers)):
        return False
    results = {layer.result for layer in layers}
    read = [load.index for load in loads(definition.value) if load.array in results]
    weights = {tuple(product.weight for product in one.products) for one in (definition, *layers)}
    return len(weights) == 1 and results.isdisjoint(definition.factors()) and all(index == ROW for index in read)


def _accumulate(definition: Definition, products: dict[str, Definition]) -> tuple[Expression, list[str]]:
    """The value with its first sum of products as `Sum`, and the names of these products.

    All that this one definition uses of these products must lie in that sum.
    """

    def is_product(term: Expression) -> bool:
        if not (isinstance(term, Load) and term.array in products):
            return False
        if products[term.array].directions != definition.directions:
            return False
        # A reduction by row has one feature, which is read as such.
        by_row = products[term.array].by_row
        return definition.extent == 1 if by_row else term.index in _ROWS

    def first_sum(expression: Expression) -> Expression | None:
        if any(is_product(term) for term in _terms(expression)):
            return expression
        arguments = expression.arguments if isinstance(expression, Operation) else ()
        return next((found for found in map(first_sum, arguments) if found is not None), None)

    total = first_sum(definition.value)
    if total is None:
        return definition.value, []
    taken = [term.array for term in _terms(total) if isinstance(term, Load) and is_product(term)]
    joined: Expression = Sum()
    for term in _terms(total):
        if not is_product(term):
            joined = Operation("+", (joined, term))

    def with_sum(expression: Expression) -> Expression:
        if expression == total:
            return joined
        if isinstance(expression, Operation):
            return Operation(expression.name, tuple(map(with_sum, expression.arguments)))
        return expression

    value = with_sum(definition.value)
    elsewhere = any(load.array in taken for load in loads(value))
    # A reduction by row has a form of its own, for one sum.
    several = len(taken) > 1 and any(products[name].by_row for name in taken)
    if elsewhere or several or len(set(taken)) < len(taken):
        return definition.value, []
    return value, taken
