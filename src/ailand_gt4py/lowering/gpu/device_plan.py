"""What a GPU runs for a fused `ColumnProgram`: matrix products and kernels in turn, and the memory between them.

A kernel makes all definitions from one matrix product to the next. A group of lanes (threads of a warp) has one column;
lane i has the features i, i + lanes, ... of every row, so what a lane wrote it may read again, and what a kernel's
later loops need is still in the lane's registers. A loop over a row (`Pass`) ends where a sum over the row is needed.
"""

from __future__ import annotations

import dataclasses
import itertools

from ailand_gt4py.lowering.columns.column_program import ROW, ColumnProgram, Definition, Extent, Load, cpp, loads
from ailand_gt4py.lowering.rows import RowPool

#: Threads of a warp, which can exchange values without memory.
_WARP = 32
#: Values of a row that one lane may keep in registers.
_MOST_HELD = 32
#: Lanes for rows whose length is known only at run time; these are outputs, which are few.
_LANES_FOR_UNKNOWN = 8


@dataclasses.dataclass
class Pass:
    """One loop over a row, and what follows it.

    Attributes:
        length: of the rows that the loop is over (`DevicePlan.length`); None where there is no loop.
        elements: definitions that are made for each feature, in order.
        sums: definitions by row whose terms are added up in this loop.
        after: those and other definitions of one value for each column, in order, made after the loop.
    """

    length: int | str | None
    elements: list[Definition] = dataclasses.field(default_factory=list)
    sums: list[Definition] = dataclasses.field(default_factory=list)
    after: list[Definition] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Kernel:
    """Matrix products that can run one after another, and the kernel that makes definitions of them.

    Attributes:
        passes: the kernel's loops.
    """

    passes: list[Pass] = dataclasses.field(default_factory=list)

    @property
    def definitions(self) -> list[Definition]:
        """All that the kernel makes, in order."""
        return [definition for part in self.passes for definition in (*part.elements, *part.after)]

    @property
    def products(self) -> list[Definition]:
        """Definitions whose matrix products run before the kernel."""
        return [definition for definition in self.definitions if definition.is_layer]

    @property
    def lanes(self) -> int:
        """How many threads share a column, a power of two."""
        lengths = [part.length for part in self.passes if part.length is not None]
        sizes = [_LANES_FOR_UNKNOWN if isinstance(length, str) else length for length in lengths]
        return 1 << (min(max(sizes, default=1), _WARP) - 1).bit_length()


def is_scalar(definition: Definition) -> bool:
    """Whether a definition is one value for each column."""
    return definition.extent == 1 and not definition.is_layer


def with_copies(program: ColumnProgram) -> ColumnProgram:
    """The program with a row of its own for each of the caller's arrays that a matrix product reads directly."""
    definitions: dict[str, Definition] = {}
    for definition in program.definitions:
        products = list(definition.products)
        for position, product in enumerate(products if definition.is_layer else ()):
            assert isinstance(product.x, Load)
            if product.x.array not in program.computed:
                copy = Definition(f"{product.x.array}__rows", product.inputs, product.x)
                definitions.setdefault(copy.result, copy)
                products[position] = dataclasses.replace(product, x=Load(copy.result, ROW))
        definitions[definition.result] = dataclasses.replace(definition, products=tuple(products))
    inner = program.inner | (definitions.keys() - program.computed)
    return dataclasses.replace(program, definitions=list(definitions.values()), inner=inner)


class DevicePlan:
    """The plan of one program.

    Args:
        program: fused.
        rounded: weights whose products' operands have a type of their own, so rows are kept as such beside or instead.

    Attributes:
        program: with copies of inputs that products read.
        kernels: in order.
        rows: of the work space, of the types ``T`` (arrays) and ``O`` (the products' operands).
        row_of: (``sums``, ``values`` or ``operands``, result) -> its position in ``rows``.
        offsets: (``values`` or ``operands``, factor of a product) -> where it begins in its row, which it may share.
    """

    def __init__(self, program: ColumnProgram, rounded: frozenset[str]) -> None:
        self.program = with_copies(program)
        self.rows = RowPool()
        self.row_of: dict[tuple[str, str], int] = {}
        self.offsets: dict[tuple[str, str], int] = {}
        self._rounded = rounded
        self._by_name = {definition.result: definition for definition in self.program.definitions}
        both_ways = [pair for one in program.equal_extents for pair in (one, one[::-1])]
        self._numbers = {cpp(extent): number for extent, number in both_ways if isinstance(number, int)}
        self.kernels: list[Kernel] = []
        for definition in self.program.definitions:
            self._add(definition)
        self._joint = self._joint_rows()
        self._give_rows()

    def factors(self, definition: Definition) -> str:
        """What the products of a layer read: ``operands``, or ``values`` where these have the arrays' type."""
        return "operands" if self._rounded.issuperset(one.weight for one in definition.products) else "values"

    def length(self, extent: Extent) -> int | str:
        """A number of features; as C++ where it is known at run time only."""
        text = cpp(extent)
        return int(text) if text.isdecimal() else self._numbers.get(text, text)

    def _length_of(self, name: str) -> int | str:
        return self.length(self._by_name[name].extent)

    def _add(self, definition: Definition) -> None:
        if not (self.kernels and self._joins(self.kernels[-1], definition)):
            self.kernels.append(Kernel())
        kernel = self.kernels[-1]
        if is_scalar(definition) and not definition.by_row:
            if not kernel.passes:
                kernel.passes.append(Pass(None))
            kernel.passes[-1].after.append(definition)
            return
        last = kernel.passes[-1] if kernel.passes else None
        if last is None or self._needs_new_pass(last, definition):
            last = Pass(self._loop_length(definition))
            kernel.passes.append(last)
        if definition.by_row:
            last.sums.append(definition)
            last.after.append(definition)
        else:
            last.elements.append(definition)

    def _loop_length(self, definition: Definition) -> int | str:
        """The length of the rows that a definition, or its one sum, runs over."""
        return self.length(definition.products[0].inputs if definition.by_row else definition.extent)

    def _loads(self, definition: Definition) -> list[tuple[Load, bool]]:
        """What a definition reads beside the factors of matrix products, and whether it does so inside of its loop."""
        if definition.by_row:
            inside, outside = definition.products[0].x, definition.value
            return [*((load, True) for load in loads(inside)), *((load, False) for load in loads(outside))]
        return [(load, not is_scalar(definition)) for load in loads(definition.value)]

    def _needs_new_pass(self, last: Pass, definition: Definition) -> bool:
        """Whether a definition for each feature, or a sum over them, cannot be made in a loop that is there already."""
        if last.length != self._loop_length(definition):
            return True
        scalars = {other.result for other in last.after}
        return any(load.array in scalars for load, inside in self._loads(definition) if inside)

    def _joins(self, kernel: Kernel, definition: Definition) -> bool:
        """Whether a definition can be made in a kernel that has some already."""
        here = {other.result: other for other in kernel.definitions}
        if definition.is_layer and not here.keys().isdisjoint(definition.factors()):
            return False
        last = kernel.passes[-1]
        for load, inside in self._loads(definition):
            if load.array not in here or is_scalar(here[load.array]):
                continue
            # Another lane may have the row's other features.
            if load.index != ROW or not inside:
                return False
            size = self._length_of(load.array)
            if isinstance(size, str) or size > _MOST_HELD * _WARP:
                # It cannot be kept in registers from one loop to the next, so both must be in one.
                in_last = any(other.result == load.array for other in last.elements)
                if not in_last or self._needs_new_pass(last, definition):
                    return False
        return True

    def _joint_rows(self) -> dict[tuple[str, str], tuple[str, ...]]:
        """(``values`` or ``operands``, factor) -> the factors that lie side by side in one row with it, so that one
        product takes them all."""
        made_in = {one.result: position for position, kernel in enumerate(self.kernels) for one in kernel.definitions}
        joint: dict[tuple[str, str], tuple[str, ...]] = {}
        for definition in (one for one in self.program.definitions if one.is_layer):
            kind = self.factors(definition)
            names = tuple(load.array for product in definition.products for load in loads(product.x))
            sizes = [size for name in names if isinstance(size := self._length_of(name), int)]
            alike = len({made_in[name] for name in names}) == 1 and len(set(names)) == len(names) == len(sizes)
            keys = [(kind, name) for name in names]
            if len(names) > 1 and alike and joint.keys().isdisjoint(keys):
                joint |= dict.fromkeys(keys, names)
                self.offsets |= zip(keys, itertools.accumulate(sizes[:-1], initial=0), strict=True)
        return joint

    def terms(self, definition: Definition) -> list[list[int]]:
        """Positions of a definition's products, those together that are computed as one."""
        result: list[list[int]] = []
        before: tuple[str, ...] = ()
        for position, product in enumerate(definition.products):
            (name,) = (load.array for load in loads(product.x))
            if before and before[0] == name:
                result[-1].append(position)
            else:
                result.append([position])
            joint = self._joint.get((self.factors(definition), name), (name,))
            before = joint[joint.index(name) + 1 :]
        return result

    def _give_rows(self) -> None:
        """Positions in the work space: rows are used again for another array when nobody reads them any more."""
        last_use = self._last_uses()
        for (kind, _), names in self._joint.items():
            last = max(last_use[kind, name] for name in names)
            last_use |= {(kind, name): last for name in names}
        for position, kernel in enumerate(self.kernels):
            for definition in kernel.products:
                self.row_of["sums", definition.result] = self._take("T", definition)
            self._release(last_use, 2 * position)
            own: dict[str, int] = {}
            for definition in kernel.definitions:
                name = definition.result
                if definition.is_layer:
                    own[name] = self.row_of["sums", name]
                for kind, kind_of_rows in (("values", "T"), ("operands", "O")):
                    if (kind, name) in self._joint and (kind, name) not in self.row_of:
                        names = self._joint[kind, name]
                        size = sum(int(self._length_of(each)) for each in names)
                        rows = self.rows.take(kind_of_rows, size, [str(size)])
                        self.row_of |= {(kind, each): rows for each in names}
                    if (kind, name) in last_use and (kind, name) not in self.row_of:
                        taken = self._own(definition, own, last_use) if kind == "values" else None
                        self.row_of[kind, name] = self._take(kind_of_rows, definition) if taken is None else taken
            self.rows.free += own.values()
            self._release(last_use, 2 * position + 1)

    def _release(self, last_use: dict[tuple[str, str], int], moment: int) -> None:
        # Arrays that lie side by side have one row, which is released once.
        self.rows.free += dict.fromkeys(self.row_of[key] for key, last in last_use.items() if last == moment)

    def _own(self, definition: Definition, own: dict[str, int], last_use: dict[tuple[str, str], int]) -> int | None:
        """Rows of sums that the same kernel has read by then, each lane those that it writes; None: there are none."""
        for name in own:
            is_kept = name != definition.result and ("values", name) in last_use
            if not is_kept and self._length_of(name) == self._length_of(definition.result):
                self.rows.all[own[name]].extents.append(cpp(definition.extent))
                return own.pop(name)
        return None

    def _take(self, kind: str, definition: Definition) -> int:
        length = self.length(definition.extent)
        return self.rows.take(kind, length if isinstance(length, int) else 1, [cpp(definition.extent)])

    def _last_uses(self) -> dict[tuple[str, str], int]:
        """(``values`` or ``operands``, result) -> when it is read from memory for the last time; others need no rows.

        The products of kernel k run at time 2 k, the kernel itself at 2 k + 1.
        """
        uses: dict[tuple[str, str], int] = {}
        for position, kernel in enumerate(self.kernels):
            here = {definition.result for definition in kernel.definitions}
            for definition in kernel.definitions:
                read = definition.loads()
                if definition.is_layer:
                    read = list(loads(definition.value))
                    for name in definition.factors():
                        key = self.factors(definition), name
                        uses[key] = max(2 * position, uses.get(key, 0))
                for load in read:
                    if load.array in self._by_name and load.array not in here:
                        uses["values", load.array] = 2 * position + 1
        return uses
