"""From a `Kernel` to CUDA: a struct of the kernel's work on one column."""

from __future__ import annotations

from ailand_gt4py.lowering.columns.column_program import (
    ROW,
    Definition,
    Expression,
    Index,
    Load,
    Number,
    Operation,
    Sum,
    loads,
    operation_in_cpp,
)
from ailand_gt4py.lowering.gpu.device_arguments import DeviceArguments
from ailand_gt4py.lowering.gpu.device_plan import DevicePlan, Kernel, Pass, is_scalar

_NAMED = {"max": "ailand::maximum<T>", "min": "ailand::minimum<T>", "abs": "fabs"}
#: Values that a lane reads ahead at most.
_MOST_AHEAD = 128


class KernelCode:
    """One kernel: its struct, the matrix products before it, and its launch."""

    def __init__(self, plan: DevicePlan, arguments: DeviceArguments, kernel: Kernel, position: int) -> None:
        self.plan = plan
        self.arguments = arguments
        self.kernel = kernel
        self.name = f"Kernel{position}"
        #: Declared members of the struct and what they are set to, by name.
        self.members: dict[str, tuple[str, str]] = {}
        self.here = {definition.result: k for k, definition in enumerate(kernel.definitions)}
        self.by_name = {definition.result: definition for definition in kernel.definitions}
        self.pass_of = {
            definition.result: number
            for number, part in enumerate(kernel.passes)
            for definition in (*part.elements, *part.after)
        }
        self.held = self._held()
        self._body = [line for number, part in enumerate(kernel.passes) for line in self._pass(number, part)]

    def products(self) -> list[str]:
        """Calls of the matrix products."""
        lines = []
        for definition in self.kernel.products:
            sums = self.plan.sum_rows[definition.result]
            rows = self.plan.operand_rows if self.plan.separate_operands else self.plan.value_rows
            for positions in self.plan.terms(definition):
                (name,) = (load.array for load in loads(definition.products[positions[0]].x))
                inputs = " + ".join(
                    self.arguments.extent(definition.products[position].inputs) for position in positions
                )
                lines.append(
                    f"device.product<T, O>(compute, {self.arguments.weight(definition, positions)}, "
                    f"s{rows[name]} + {self.plan.offsets.get(name, 0)}, t{rows[name]}, s{sums}, t{sums}, rows, "
                    f"{self.arguments.extent(definition.extent)}, {inputs}, {'true' if positions[0] else 'false'});"
                )
        return lines

    def launch(self) -> list[str]:
        """The launch."""
        values = ", ".join(["rows", *(value for _, value in self.members.values())])
        return [f"ailand::launch({self.name}{{{values}}}, stream);"]

    def struct(self) -> str:
        """The kernel's data and its work on one column by one of its lanes."""
        members = "\n    ".join(f"{kind} {name};" for name, (kind, _) in self.members.items())
        body = "\n        ".join(self._body)
        made = ", ".join(definition.result for definition in self.kernel.definitions)
        return f"""
// Makes {made}.
struct {self.name} {{
    static constexpr int lanes = {self.kernel.lanes};
    static const char* name() {{ return "{self.name}"; }}
    long rows;
    {members}
    __device__ void operator()(long r, int lane) const {{
        {body}
    }}
}};"""

    def _member(self, name: str, kind: str, value: str) -> str:
        self.members.setdefault(name, (kind, value))
        return name

    def _rows(self, position: int) -> tuple[str, str]:
        """Pointer to a row of the work space, and its name for the row's stride."""
        kind = "O" if self.plan.rows[position].operand else "T"
        stride = self._member(f"t{position}", "long", f"t{position}")
        return self._member(f"s{position}", f"{kind}*", f"s{position}"), stride

    def _own(self, name: str, written: bool = False) -> tuple[str, ...]:
        """Pointer to a caller's array, from the first column of the chunk on, and its strides."""
        position = self.arguments.positions[name]
        strides = self.arguments.strides(name)
        offset = f" + first * {strides[0]}" if len(strides) == 2 else ""
        kind = "T*" if written else "const T*"
        pointer = self._member(f"p{position}", kind, f"({'' if written else 'const '}T*)a.arrays[{position}]{offset}")
        return pointer, *(self._member(f"p{position}_{axis}", "long", stride) for axis, stride in enumerate(strides))

    def _held(self) -> set[str]:
        """What a later loop of the kernel reads, so that it stays in registers."""
        held = set()
        for number, part in enumerate(self.kernel.passes):
            for definition in (*part.elements, *part.sums):
                for load in self._looped(definition):
                    is_row = load.array in self.here and not is_scalar(self.by_name[load.array])
                    if is_row and self.pass_of[load.array] != number:
                        held.add(load.array)
        return held

    @staticmethod
    def _looped(definition: Definition) -> list[Load]:
        return list(loads(definition.products[0].x if definition.by_row else definition.value))

    def _pass(self, number: int, part: Pass) -> list[str]:
        lines = [f"T v{self.here[definition.result]} = 0;" for definition in part.sums]
        lines += self._loop(number, part) if part.rows is not None else []
        for definition in part.after:
            value = f"v{self.here[definition.result]}"
            if definition.by_row:
                total = f"sum{self.here[definition.result]}"
                lines.append(f"const T {total} = ailand::sum_of_lanes<lanes>({value});")
                lines.append(f"{value} = {self._expression(definition.value, number, definition)};")
            else:
                lines.append(f"const T {value} = {self._expression(definition.value, number, definition)};")
            stores = self._stores(definition, value, "0")
            lines += [f"if (lane == 0) {{ {' '.join(stores)} }}"] if stores else []
        return lines

    def _loop(self, number: int, part: Pass) -> list[str]:
        """The loop over a row; where its size is known, rows are read before any is written."""
        size = self.plan.size(part.rows)
        count = 0 if size is None else -(-size // self.kernel.lanes)
        reads = self._row_reads(number, part)
        ahead = size is not None and count * len(reads) <= _MOST_AHEAD
        lines = [f"T {self._held_name(d.result)}[{count}];" for d in part.elements if d.result in self.held]
        if size is None:
            extent = part.elements[0].extent if part.elements else part.sums[0].products[0].inputs
            end = self._member(f"end{number}", "long", self.arguments.extent(extent))
            head = [f"for (long j = lane; j < {end}; j += lanes) {{"]
        else:
            head = [
                "#pragma unroll",
                f"for (int i = 0; i < {count}; ++i) {{ const int j = lane + i * lanes;",
            ]
            if size % self.kernel.lanes:
                head.append(f"if (j >= {size}) break;")
        lines.append("{")
        if ahead and reads:
            lines += [f"T {name}[{count}];" for name in reads]
            lines += [*head, *(f"{name}[i] = {source};" for name, source in reads.items()), "}"]
        lines += head
        lines += [f"const T {name}_j = {name + '[i]' if ahead else source};" for name, source in reads.items()]
        for definition in part.elements:
            value = f"v{self.here[definition.result]}"
            lines.append(f"const T {value} = {self._expression(definition.value, number, definition)};")
            if definition.result in self.held:
                lines.append(f"{self._held_name(definition.result)}[i] = {value};")
        for definition in part.sums:
            (product,) = definition.products
            term = self._expression(product.x, number, definition)
            position = self.arguments.positions[product.weight]
            weight = self._member(f"p{position}", "const T*", f"(const T*)a.arrays[{position}]")
            stride = self._member(f"p{position}_1", "long", self.arguments.strides(product.weight)[1])
            lines.append(f"v{self.here[definition.result]} += {term} * ailand::read({weight} + j * {stride});")
        for definition in part.elements:
            lines += self._stores(definition, f"v{self.here[definition.result]}", "j")
        return [*lines, "}", "}"]

    def _held_name(self, result: str) -> str:
        return f"held{self.here[result]}"

    def _row_reads(self, number: int, part: Pass) -> dict[str, str]:
        """What the loop reads from rows in memory: name -> element j."""
        reads: dict[str, str] = {}
        for definition in part.elements:
            if definition.is_layer:
                row, stride = self._rows(self.plan.sum_rows[definition.result])
                reads[f"sums{self.here[definition.result]}"] = f"{row}[r * {stride} + j]"
        for definition in (*part.elements, *part.sums):
            for load in self._looped(definition):
                if load.index == ROW and load.array not in self.here:
                    reads[self._read_name(load.array)] = self._element(load.array, "j")
        return reads

    def _read_name(self, array: str) -> str:
        own = self.arguments.positions.get(array)
        if array not in self.plan.value_rows:
            return f"x{own}"
        return f"row{self.plan.value_rows[array]}_{self.plan.offsets.get(array, 0)}"

    def _element(self, array: str, feature: str) -> str:
        """An element of an array of rows in memory."""
        if array in self.plan.value_rows:
            return self._element_of_rows(array, self.plan.value_rows[array], feature)
        pointer, column_stride, feature_stride = self._own(array)
        return f"ailand::read({pointer} + r * {column_stride} + {feature} * {feature_stride})"

    def _element_of_rows(self, array: str, position: int, feature: str) -> str:
        row, stride = self._rows(position)
        is_factor = self.plan.rows[position].operand == self.plan.separate_operands
        offset = self.plan.offsets.get(array, 0) if is_factor else 0
        return f"{row}[r * {stride} + {f'{offset} + ' if offset else ''}{feature}]"

    def _stores(self, definition: Definition, value: str, feature: str) -> list[str]:
        lines = []
        name = definition.result
        if name in self.plan.value_rows:
            lines.append(f"{self._element_of_rows(name, self.plan.value_rows[name], feature)} = {value};")
        if name in self.plan.operand_rows:
            element = self._element_of_rows(name, self.plan.operand_rows[name], feature)
            lines.append(f"{element} = static_cast<O>({value});")
        if name not in self.plan.program.inner:
            pointer, column_stride, feature_stride = self._own(name, written=True)
            lines.append(f"{pointer}[r * {column_stride} + {feature} * {feature_stride}] = {value};")
        return lines

    def _expression(self, expression: Expression, number: int, of: Definition) -> str:
        """In the loop or after it; ``number`` is the pass."""
        looped = expression is of.products[0].x if of.by_row else not is_scalar(of)
        return self._value(expression, number, of, looped)

    def _value(self, expression: Expression, number: int, of: Definition, looped: bool) -> str:
        match expression:
            case Number(value=value):
                return f"T({value!r})"
            case Sum():
                return f"sum{self.here[of.result]}" if of.by_row else f"sums{self.here[of.result]}_j"
            case Load(array=array, index=index) if index[:1] == ("column",):
                return self._row_value(array, index, number, looped)
            case Load(array=array, index=("feature",)) if looped:
                pointer, stride = self._own(array)
                return f"ailand::read({pointer} + j * {stride})"
            case Load(array=array, index=(int(position),)):
                pointer, stride = self._own(array)
                return f"ailand::read({pointer} + {position} * {stride})"
            case Operation(name=name, arguments=arguments):
                parts = [self._value(argument, number, of, looped) for argument in arguments]
                return operation_in_cpp(name, parts) or f"{_NAMED.get(name, name)}({', '.join(parts)})"
        raise AssertionError(expression)

    def _row_value(self, array: str, index: tuple[Index, ...], number: int, looped: bool) -> str:
        """An element of a row: of this column, and of the feature at hand or a fixed one."""
        position = index[1] if index != ROW else "j" if looped else 0
        if array in self.here:
            if is_scalar(self.by_name[array]):
                return f"v{self.here[array]}"
            return f"{self._held_name(array)}[i]" if self.pass_of[array] != number else f"v{self.here[array]}"
        if position == "j":
            return f"{self._read_name(array)}_j"
        return self._element(array, str(position))
