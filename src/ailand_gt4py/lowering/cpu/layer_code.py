"""C++ of the layers of columns: their products with weights.

A value and its change in one direction are multiplied by the same weights. Behind a ReLU that is off both are zero:
where that is plain from what they are, their products are made together, over the features that are on, which are
listed for each column. What is left out are products with zero, so that all sums stay what they were.
"""

from __future__ import annotations

from ailand_gt4py.lowering.columns.column_program import ROW, ColumnProgram, Definition, Load, Number, Operation, cpp
from ailand_gt4py.lowering.cpu.directed_code import list_positions, list_size, zero_unless
from ailand_gt4py.lowering.cpu.element_code import ElementCode

#: Vectors of sums of one row of each of two layers: enough of them that none waits for the last, and a panel of weights
#: that stays in the first-level cache.
_VECTORS_OF_BOTH = 4


class LayerCode:
    """Of one program, which is fused."""

    def __init__(self, elements: ElementCode, program: ColumnProgram, with_blas: bool) -> None:
        self._elements, self._with_blas = elements, with_blas
        self._definitions = {definition.result: definition for definition in program.definitions}

    def text(self, layers: list[Definition], are_followed: bool) -> list[str]:
        """Definitions with matrix products by the same weights, in a loop over parts of the rows that is still open.

        Args:
            are_followed: whether something is made of them row by row in that loop.
        """
        first = layers[0]
        inputs = " + ".join(cpp(product.inputs) for product in first.products)
        part = f"ailand::rows_at_once<T>({inputs}, outputs, rows)" if are_followed else "rows"
        lines = [
            f"{{ const long outputs = {cpp(first.extent)}, part = {part};",
            "for (long row = 0; row < rows; row += part) { const long end = std::min(rows, row + part);",
        ]
        for k, layer in enumerate(layers):
            terms = ", ".join(f"{{{self._elements.term(layer, position)}}}" for position in range(len(first.products)))
            lines.append(f"const ailand::Term<T> terms{k}[] = {{{terms}}};")
        if self._with_blas:
            return lines + [line for k, layer in enumerate(layers) for line in self._by_blas(k, layer)]
        zero_together = [self._are_zero_together(layers, position) for position in range(len(first.products))]
        if any(zero_together):
            return lines + self._where_on(layers, zero_together)
        return [*lines, *_panels([line for k, layer in enumerate(layers) for line in self._panel(k, layer)])]

    def _panel(self, k: int, layer: Definition) -> list[str]:
        count = len(layer.products)
        return [
            f"ailand::multiply_panel<T, vectors>(terms{k}, {count}, row, end, output,",
            f"{self._finish(layer)});",
        ]

    def _by_blas(self, k: int, layer: Definition) -> list[str]:
        gemm = "[](auto... arguments) { ailand::gemm(arguments...); }"
        sums = "ailand::workspace<T, 2>(plan.rows * ailand::row_stride<T>(outputs))"
        count = len(layer.products)
        return [
            f"ailand::dense_by<T>({gemm}, terms{k}, {count}, row, end, outputs, {sums},",
            f"{self._finish(layer)});",
        ]

    def _where_on(self, layers: list[Definition], zero_together: list[bool]) -> list[str]:
        """A value and its change, over what is on in their common inputs."""
        value, change = layers
        lines, lists = [], []
        sizes = ["0"]
        for product, is_listed in zip(value.products, zero_together, strict=True):
            if not is_listed:
                lists.append("{nullptr, 0}")
                continue
            size = list_size(cpp(product.inputs))
            x = self._elements.expression(product.x, product.inputs)
            here = f"all_positions + {' + '.join(sizes)}"
            sizes.append(f"part * {size}")
            lists.append(f"{{{here}, {size}}}")
            # What is no number is on, too.
            lines += ["for (long r = row; r < end; ++r)", *list_positions(here, cpp(product.inputs), f"{x} != V{{}}")]
        call = [
            f"ailand::multiply_both<T, vectors>(terms0, terms1, positions, {len(lists)}, row, end, output,",
            f"{self._finish(value)},",
            f"{self._finish(change)});",
        ]
        return [
            f"int* const all_positions = ailand::workspace<int, 4>({' + '.join(sizes)});",
            *lines,
            f"const ailand::Positions positions[] = {{{', '.join(lists)}}};",
            *_panels(call, str(_VECTORS_OF_BOTH)),
        ]

    def _are_zero_together(self, layers: list[Definition], position: int) -> bool:
        """Whether layers are those of a ReLU's result and of its change, which is zero where the result is."""
        if len(layers) != 2:
            return False
        on, change = (layer.products[position].x for layer in layers)
        if not (isinstance(on, Load) and isinstance(change, Load) and on.index == change.index == ROW):
            return False
        of_on, of_change = (self._definitions.get(load.array) for load in (on, change))
        if of_on is None or of_change is None:
            return False
        match of_on.value:
            case Operation("max", (Number(0), _)):
                return zero_unless(of_change) == Operation(">", (on, Number(0)))
        return False

    def _finish(self, layer: Definition) -> str:
        return f"[=](auto sums, long r, long j) {{ using V = decltype(sums); {self._elements.store(layer)} }}"


def _panels(lines: list[str], most: str = "ailand::tile_vectors") -> list[str]:
    return [f"ailand::dense<T, {most}>(outputs, [&]<int vectors>(long output) {{", *lines, "});"]
