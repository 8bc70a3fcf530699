"""C++ of layers: their products with weights, of columns and of what has several directions for each column.

A value and its change in one direction are multiplied by the same weights. Behind a ReLU that is off both are zero:
where that is plain from what they are, their products are made together, over the features that are on, which are
listed for each column. The directions of a column share its forward values: where theirs are said to be zero unless a
condition of the column holds, products on them run over the features where it does, listed once for all directions.
What is left out are products with zero, so that all sums stay what they were.
"""

from __future__ import annotations

from collections.abc import Sequence

from ailand_gt4py.lowering.columns.column_program import (
    ROW,
    ColumnProgram,
    Definition,
    Expression,
    Load,
    Number,
    Operation,
    RefusedError,
    cpp,
    loads,
    weights_of_layers,
)
from ailand_gt4py.lowering.cpu.element_code import ElementCode


class LayerCode:
    """Of one program, which is fused; arguments as of `block_code.block_code`."""

    def __init__(
        self, elements: ElementCode, program: ColumnProgram, with_blas: bool, packed: Sequence[str] = ()
    ) -> None:
        self._elements, self._with_blas = elements, with_blas
        self._packed = weights_of_layers(program, packed)
        if self._packed and any(definition.directions is not None for definition in program.definitions):
            raise RefusedError("it has several directions for each column, whose products are not made in bfloat16")
        self._definitions = {definition.result: definition for definition in program.definitions}
        directed = [definition for definition in program.definitions if definition.directions is not None]
        multiplied = {name for definition in directed if definition.is_layer for name in definition.factors()}
        #: Condition of a column -> name of the list of features where it holds, and their number.
        self._lists: dict[Expression, tuple[str, str]] = {}
        #: Array of directions -> condition without which it is zero.
        self._conditions: dict[str, Expression] = {}
        for definition in directed:
            condition = _zero_unless(definition)
            of_column = condition is not None and all("direction" not in load.index for load in loads(condition))
            if condition is not None and of_column and definition.result in multiplied:
                self._conditions[definition.result] = condition
                self._lists.setdefault(condition, (f"positions{len(self._lists)}", cpp(definition.extent)))
        self._listed: set[Expression] = set()

    def of_columns(self, layers: list[Definition], are_followed: bool) -> list[str]:
        """Definitions with matrix products by the same weights, in a loop over parts of the rows that is still open.

        Args:
            are_followed: whether something is made of them row by row in that loop.
        """
        products = layers[0].products
        inputs = " + ".join(cpp(product.inputs) for product in products)
        are_packed = [product.weight in self._packed for product in products]
        few = ", 2 * ailand::rounded_rows" if all(are_packed) else ""
        part = f"ailand::rows_at_once<T>({inputs}, outputs, rows{few})" if are_followed else "rows"
        lines = [
            f"{{ const long outputs = {cpp(layers[0].extent)}, part = {part};",
            "for (long row = 0; row < rows; row += part) { const long end = std::min(rows, row + part);",
        ]
        if any(are_packed):
            if not all(are_packed):
                raise RefusedError(f"'{layers[0].result}' has weights some of which alone are packed in bfloat16")
            return [*lines, *self._rounded(layers)]
        listed = [p for k, p in enumerate(products) if not self._with_blas and self._are_zero_together(layers, k)]
        lists = {product: (f"positions{k}", cpp(product.inputs)) for k, product in enumerate(listed)}
        lines += _room_for_lists(4, "part", [extent for _, extent in lists.values()])
        for product, (name, extent) in lists.items():
            # What is no number is on, too.
            is_on = f"{self._elements.expression(product.x, product.inputs)} != V{{}}"
            lines += ["for (long r = row; r < end; ++r)", *_list_positions(name, extent, is_on)]
        for k, layer in enumerate(layers):
            terms = self._terms(layer, [lists.get(product) for product in products])
            lines.append(f"const ailand::Term<T> terms{k}[] = {{{terms}}};")
        count = len(products)
        finished = [self._finish(layer, "r, long j") for layer in layers]
        if lists:
            call = f"ailand::multiply_both<T>(terms0, terms1, {count}, row, end, output, vectors,"
            both = ",\n".join(f"ailand::finish_of<T>({finish})" for finish in finished)
            return [*lines, *_panels([call, f"{both});"], "ailand::most_of_one")]
        if self._with_blas:
            gemm = "[](auto... arguments) { ailand::gemm(arguments...); }"
            sums = "ailand::workspace<T, 2>(plan.rows * ailand::row_stride<T>(outputs))"
            calls = [
                f"ailand::dense_by<T>({gemm}, terms{k}, {count}, row, end, outputs, {sums},\n{finish});"
                for k, finish in enumerate(finished)
            ]
            return [*lines, *calls]
        calls = [
            f"ailand::multiply_panel<T>(terms{k}, {count}, row, end, output, vectors,\nailand::finish_of<T>({finish}));"
            for k, finish in enumerate(finished)
        ]
        return [*lines, *_panels(calls)]

    def _rounded(self, layers: list[Definition]) -> list[str]:
        """Layers whose weights are packed, made one after another."""
        lines = []
        for k, layer in enumerate(layers):
            terms = ", ".join(f"{{{self._elements.rounded_term(layer, p)}}}" for p in range(len(layer.products)))
            lines += [
                f"const ailand::RoundedTerm terms{k}[] = {{{terms}}};",
                f"ailand::dense_rounded(plan.within, terms{k}, {len(layer.products)}, row, end, outputs,",
                f"ailand::finish_of<T>({self._finish(layer, 'r, long j')}));",
            ]
        return lines

    def of_directions(self, definition: Definition) -> list[str]:
        """A definition with matrix products that has directions."""
        positions = self.positions_of_row(definition)
        directions = self._elements.directions_of[definition.result]
        factors = [load.array for product in definition.products for load in loads(product.x)]
        conditions = [self._conditions.get(name) for name in factors]
        lists = [None if condition is None else self._lists[condition] for condition in conditions]
        sizes = f"{len(lists)}, row, end, {directions}, {cpp(definition.extent)}"
        return [
            *(["for (long r = row; r < end; ++r) {", *positions, "}"] if positions else []),
            f"{{ const ailand::Term<T> terms[] = {{{self._terms(definition, lists)}}};",
            f"ailand::dense_directed<T>(plan.within, terms, {sizes},",
            f"ailand::finish_of<T, true>({self._finish(definition, 'r, long d, long j')})); }}",
        ]

    def setup(self) -> list[str]:
        """Room for the lists of a part of a block whose columns have directions."""
        return _room_for_lists(3, "few", [extent for _, extent in self._lists.values()])

    def positions_of_row(self, definition: Definition) -> list[str]:
        """What lists, for row r, the positions of a definition, where products are to run over these alone."""
        condition = self._conditions.get(definition.result)
        if condition is None or condition in self._listed:
            return []
        self._listed.add(condition)
        return _list_positions(*self._lists[condition], self._elements.expression(condition, definition.extent))

    def _terms(self, layer: Definition, lists: Sequence[tuple[str, str] | None]) -> str:
        """The factors of a layer's sums, each with the list of its positions if there is one."""
        terms = []
        for position, listed in enumerate(lists):
            positions = "" if listed is None else f", {listed[0]}, {_list_size(listed[1])}"
            terms.append(f"{{{self._elements.term(layer, position)}{positions}}}")
        return ", ".join(terms)

    def _finish(self, layer: Definition, indices: str) -> str:
        return f"[=](auto sums, long {indices}) {{ using V = decltype(sums); {self._elements.store(layer)} }}"

    def _are_zero_together(self, layers: list[Definition], position: int) -> bool:
        """Whether layers are those of a ReLU's result and of its change, which is zero where the result is."""
        if len(layers) != 2:
            return False
        on, change = (layer.products[position].x for layer in layers)
        match [self._definitions.get(x.array) for x in (on, change) if isinstance(x, Load) and x.index == ROW]:
            case [Definition(value=Operation("max", (Number(0), _))), Definition() as of_change]:
                return _zero_unless(of_change) == Operation(">", (on, Number(0)))
        return False


def _zero_unless(definition: Definition) -> Expression | None:
    """The condition without which a definition is zero; None where there is no such."""
    match definition.value:
        case Operation("select", (condition, _, Number(0))):
            return condition
    return None


def _list_size(extent: str) -> str:
    """Numbers of a list of positions among so many features."""
    return f"ailand::list_size<T>({extent})"


def _room_for_lists(workspace: int, rows: str, extents: Sequence[str]) -> list[str]:
    """Room for a list of positions among so many features for each row: a number, the positions, and some to spare."""
    sizes = [f"{rows} * {_list_size(extent)}" for extent in extents]
    lines = [f"int* const all_positions = ailand::workspace<int, {workspace}>({' + '.join(sizes)});"] if sizes else []
    begins = (" + ".join(["all_positions", *sizes[:k]]) for k in range(len(sizes)))
    return [*lines, *(f"int* const positions{k} = {begin};" for k, begin in enumerate(begins))]


def _list_positions(lists: str, extent: str, holds: str) -> list[str]:
    """What lists, for row r, those of so many features j where something holds; the first list is that of ``row``."""
    return [
        f"ailand::list_positions<T>({lists} + (r - row) * {_list_size(extent)}, {extent}, [&](long j) {{",
        f"using V = ailand::vector_of<T>; return {holds}; }});",
    ]


def _panels(lines: list[str], most: str = "ailand::tile_vectors") -> list[str]:
    return [f"ailand::dense<T>(plan.within, {most}, outputs, [&](long output, int vectors) {{", *lines, "});"]
