"""What a GPU runs for a fused `ColumnProgram`: matrix products and kernels in turn, and the memory between them.

A kernel makes all definitions from one matrix product to the next. A group of lanes (threads of a warp) has one column;
lane i has the features i, i + lanes, ... of every row, so what a lane wrote it may read again, and what a kernel's
later loops need is still in the lane's registers. A loop over a row (`Pass`) ends where a sum over the row is needed.
"""

from __future__ import annotations

import dataclasses

from ailand_gt4py.lowering.columns.column_program import ROW, ColumnProgram, Definition, Extent, Load, is_about, loads

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
        rows: the class of equally long rows that the loop is over; None where there is no loop.
        elements: definitions that are made for each feature, in order.
        sums: definitions by row whose terms are added up in this loop.
        after: those and other definitions of one value for each column, in order, made after the loop.
    """

    rows: str | None
    elements: list[Definition] = dataclasses.field(default_factory=list)
    sums: list[Definition] = dataclasses.field(default_factory=list)
    after: list[Definition] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Kernel:
    """Matrix products that can run one after another, and the kernel that makes definitions of them.

    Attributes:
        passes: the kernel's loops.
        lanes: how many threads share a column, a power of two.
    """

    passes: list[Pass] = dataclasses.field(default_factory=list)
    lanes: int = 1

    @property
    def definitions(self) -> list[Definition]:
        """All that the kernel makes, in order."""
        return [definition for part in self.passes for definition in (*part.elements, *part.after)]

    @property
    def products(self) -> list[Definition]:
        """Definitions whose matrix products run before the kernel."""
        return [definition for definition in self.definitions if definition.is_layer]


@dataclasses.dataclass
class Rows:
    """Rows of the work space that hold one array after another.

    Attributes:
        operand: whether they are in the type of the products' operands, not in that of the arrays.
        extents: lengths of the arrays.
        size: the largest length as far as it is known.
    """

    operand: bool
    extents: list[Extent]
    size: int


def is_scalar(definition: Definition) -> bool:
    """Whether a definition is one value for each column."""
    return definition.extent == 1 and not definition.is_layer


def with_copies(program: ColumnProgram) -> ColumnProgram:
    """The program with a row of its own for each of the caller's arrays that a matrix product reads directly."""
    computed = program.computed
    copies: dict[str, Definition] = {}
    definitions: list[Definition] = []
    for definition in program.definitions:
        if definition.is_layer:
            products = []
            for product in definition.products:
                assert isinstance(product.x, Load)
                name = product.x.array
                if name not in computed:
                    if name not in copies:
                        copies[name] = Definition(f"{name}__rows", product.inputs, product.x)
                        definitions.append(copies[name])
                    product = dataclasses.replace(product, x=Load(copies[name].result, ROW))
                products.append(product)
            definition = dataclasses.replace(definition, products=tuple(products))
        definitions.append(definition)
    inner = program.inner | {copy.result for copy in copies.values()}
    return dataclasses.replace(program, definitions=definitions, inner=inner)


class DevicePlan:
    """The plan of one program.

    Args:
        program: fused.
        separate_operands: the products' operands have a type of their own, so rows are kept as such beside or instead.

    Attributes:
        program: with copies of inputs that products read.
        kernels: in order.
        rows: of the work space.
        value_rows, operand_rows, sum_rows: array or result -> its position in ``rows``.
        offsets: factor of a product -> where it begins in its row, which it may share with others.
    """

    def __init__(self, program: ColumnProgram, separate_operands: bool) -> None:
        self.program = with_copies(program)
        self.by_name = {definition.result: definition for definition in self.program.definitions}
        self.separate_operands = separate_operands
        self.rows: list[Rows] = []
        self.value_rows: dict[str, int] = {}
        self.operand_rows: dict[str, int] = {}
        self.sum_rows: dict[str, int] = {}
        self.offsets: dict[str, int] = {}
        self._class_of = self._classes()
        self._sizes = self._known_sizes()
        self.kernels: list[Kernel] = []
        for definition in self.program.definitions:
            self._add(definition)
        for kernel in self.kernels:
            kernel.lanes = self._lanes(kernel)
        self._joint = self._joint_rows()
        self._give_rows()

    def rows_class(self, definition: Definition) -> str:
        """The class of equally long rows that a definition, or its one sum, runs over."""
        name = definition.result
        if definition.by_row:
            name = next((load.array for load in loads(definition.products[0].x) if load.index == ROW), f"{name}__terms")
        return self._class_of.get(name, name)

    def size(self, rows_class: str | None) -> int | None:
        """The length of the rows of a class; None where it is known at run time only."""
        return self._sizes.get(rows_class or "")

    def _classes(self) -> dict[str, str]:
        """Array -> a name that it shares with all arrays of the same length."""
        parent: dict[str, str] = {}

        def root(name: str) -> str:
            while parent.setdefault(name, name) != name:
                name = parent[name]
            return name

        for definition in self.program.definitions:
            for product in definition.products:
                linked = [load.array for load in loads(product.x) if load.index == ROW]
                for name in linked[1:]:
                    parent[root(name)] = root(linked[0])
            root(definition.result)
            if not is_scalar(definition):
                for load in loads(definition.value):
                    if load.index == ROW:
                        parent[root(load.array)] = root(definition.result)
        return {name: root(name) for name in parent}

    def _known_sizes(self) -> dict[str, int]:
        """Class -> length, where the number of a product's inputs says it."""
        sizes: dict[str, int] = {}
        for definition in self.program.definitions:
            for product in definition.products:
                first = next((load.array for load in loads(product.x) if load.index == ROW), None)
                if first is not None and str(product.inputs).isdecimal():
                    sizes[self._class_of[first]] = int(str(product.inputs))
            if str(definition.extent).isdecimal():
                sizes.setdefault(self._class_of[definition.result], int(str(definition.extent)))
        return sizes

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
            last = Pass(self.rows_class(definition))
            kernel.passes.append(last)
        if definition.by_row:
            last.sums.append(definition)
            last.after.append(definition)
        else:
            last.elements.append(definition)

    def _loads(self, definition: Definition) -> list[tuple[Load, bool]]:
        """What a definition reads beside the factors of matrix products, and whether it does so inside of its loop."""
        if definition.by_row:
            inside, outside = definition.products[0].x, definition.value
            return [*((load, True) for load in loads(inside)), *((load, False) for load in loads(outside))]
        return [(load, not is_scalar(definition)) for load in loads(definition.value)]

    def _needs_new_pass(self, last: Pass | None, definition: Definition) -> bool:
        """Whether a definition for each feature, or a sum over them, cannot be made in a loop that is there already."""
        if last is None or last.rows != self.rows_class(definition):
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
            size = self.size(self._class_of[load.array])
            if size is None or size > _MOST_HELD * _WARP:
                # It cannot be kept in registers from one loop to the next, so both must be in one.
                in_last = any(other.result == load.array for other in last.elements)
                if not in_last or self._needs_new_pass(last, definition):
                    return False
        return True

    def _lanes(self, kernel: Kernel) -> int:
        sizes = [self.size(part.rows) or _LANES_FOR_UNKNOWN for part in kernel.passes if part.rows is not None]
        lanes = 1
        while lanes < min(max(sizes, default=1), _WARP):
            lanes *= 2
        return lanes

    def _joint_rows(self) -> dict[str, tuple[str, ...]]:
        """Factor -> the factors that lie side by side in one row with it, so that one product takes them all."""
        made_in = {
            definition.result: position
            for position, kernel in enumerate(self.kernels)
            for definition in kernel.definitions
        }
        joint: dict[str, tuple[str, ...]] = {}
        for definition in (one for one in self.program.definitions if one.is_layer):
            names = tuple(load.array for product in definition.products for load in loads(product.x))
            sizes = [self.size(self._class_of[name]) for name in names]
            alike = len({made_in[name] for name in names}) == 1 and len(set(names)) == len(names)
            if len(names) > 1 and alike and None not in sizes and not joint.keys() & names:
                offset = 0
                for name, size in zip(names, sizes, strict=True):
                    joint[name] = names
                    self.offsets[name] = offset
                    offset += size or 0
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
            joint = self._joint.get(name, (name,))
            before = joint[joint.index(name) + 1 :]
        return result

    def _give_rows(self) -> None:
        """Positions in the work space: rows are used again for another array when nobody reads them any more."""
        last_use = self._last_uses()
        factors = "operands" if self.separate_operands else "values"
        for names in set(self._joint.values()):
            last = max(last_use[factors, name] for name in names)
            last_use |= {(factors, name): last for name in names}
        free: list[int] = []

        def release(moment: int) -> None:
            for (kind, name), last in last_use.items():
                first_of_joint = kind != factors or self._joint.get(name, (name,))[0] == name
                if last == moment and first_of_joint:
                    free.append((self.value_rows if kind == "values" else self.operand_rows)[name])

        for position, kernel in enumerate(self.kernels):
            own: dict[str, int] = {}
            for definition in kernel.products:
                self.sum_rows[definition.result] = self._take(definition, False, free)
            release(2 * position)
            for definition in kernel.definitions:
                name = definition.result
                if name in self.sum_rows:
                    own[name] = self.sum_rows[name]
                if name in self._joint:
                    rows = self.operand_rows if self.separate_operands else self.value_rows
                    if name not in rows:
                        names = self._joint[name]
                        size = sum(self.size(self._class_of[each]) or 0 for each in names)
                        rows |= dict.fromkeys(names, self._take_rows(size, size, self.separate_operands, free))
                if ("values", name) in last_use and name not in self.value_rows:
                    self.value_rows[name] = self._own_or_new(definition, own, last_use, free)
                if ("operands", name) in last_use and name not in self.operand_rows:
                    self.operand_rows[name] = self._take(definition, True, free)
            free += own.values()
            release(2 * position + 1)

    def _own_or_new(
        self, definition: Definition, own: dict[str, int], last_use: dict[tuple[str, str], int], free: list[int]
    ) -> int:
        """Rows of sums that the same kernel has read by then, each lane those that it writes; else other rows."""
        for name in own:
            is_kept = name != definition.result and ("values", name) in last_use
            if not is_kept and self._class_of[name] == self._class_of[definition.result]:
                rows = own.pop(name)
                self.rows[rows].extents.append(definition.extent)
                return rows
        return self._take(definition, False, free)

    def _take(self, definition: Definition, operand: bool, free: list[int]) -> int:
        size = self.size(self._class_of[definition.result]) or 1
        return self._take_rows(size, definition.extent, operand, free)

    def _take_rows(self, size: int, extent: Extent, operand: bool, free: list[int]) -> int:
        for position in free:
            rows = self.rows[position]
            if rows.operand == operand and is_about(size, rows.size):
                free.remove(position)
                rows.extents.append(extent)
                rows.size = max(rows.size, size)
                return position
        self.rows.append(Rows(operand, [extent], size))
        return len(self.rows) - 1

    def _last_uses(self) -> dict[tuple[str, str], int]:
        """(``values`` or ``operands``, array) -> when it is read from memory for the last time; others need no rows.

        The products of kernel k run at time 2 k, the kernel itself at 2 k + 1. Operands are ``values`` where they have
        the arrays' type.
        """
        uses: dict[tuple[str, str], int] = {}
        factors = "operands" if self.separate_operands else "values"

        def use(kind: str, name: str, moment: int) -> None:
            uses[kind, name] = max(moment, uses.get((kind, name), 0))

        for position, kernel in enumerate(self.kernels):
            here = {definition.result for definition in kernel.definitions}
            for definition in kernel.definitions:
                for name in definition.factors() if definition.is_layer else ():
                    use(factors, name, 2 * position)
                for load in loads(definition.value) if definition.is_layer else definition.loads():
                    if load.array in self.by_name and load.array not in here:
                        use("values", load.array, 2 * position + 1)
        return uses
