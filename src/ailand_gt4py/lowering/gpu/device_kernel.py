"""From a `Kernel` to CUDA: a struct of the kernel's work on one column."""

from __future__ import annotations

from ailand_gt4py.lowering.columns.column_node import Interface
from ailand_gt4py.lowering.columns.column_program import (
    ROW,
    Definition,
    Expression,
    Index,
    Load,
    Number,
    Operation,
    Sum,
    cpp,
    loads,
    operation_in_cpp,
)
from ailand_gt4py.lowering.gpu.device_plan import DevicePlan, Kernel, Pass, is_scalar

_NAMED = {"max": "ailand::maximum<T>", "min": "ailand::minimum<T>", "abs": "fabs"}
#: Values that a lane reads ahead at most.
_MOST_AHEAD = 128


class KernelCode:
    """One kernel.

    Attributes:
        launch: C++ of the launch.
        struct: of the kernel's data and its work on one column by one of its lanes.
    """

    def __init__(self, plan: DevicePlan, interface: Interface, kernel: Kernel, position: int) -> None:
        self._plan, self._kernel = plan, kernel
        self._arrays, self._pointers, self._results = interface.arrays, interface.connectors, interface.outputs
        #: Declared members of the struct and what they are set to, by name.
        self._members: dict[str, tuple[str, str]] = {}
        self._here = {definition.result: k for k, definition in enumerate(kernel.definitions)}
        self._by_name = {definition.result: definition for definition in kernel.definitions}
        self._pass_of = {
            definition.result: number
            for number, part in enumerate(kernel.passes)
            for definition in (*part.elements, *part.after)
        }
        self._held = {
            load.array for one in kernel.definitions for load in _looped(one) if self._is_held(load.array, one)
        }
        body = "\n        ".join(line for number, part in enumerate(kernel.passes) for line in self._pass(number, part))
        members = "\n    ".join(f"{kind} {name};" for name, (kind, _) in self._members.items())
        values = [value for _, value in self._members.values()]
        self.launch = f"ailand::launch(Kernel{position}{{{', '.join(['rows', *values])}}}, stream);"
        self.struct = f"""
// Makes {", ".join(self._here)}.
struct Kernel{position} {{
    static constexpr int lanes = {kernel.lanes};
    static const char* name() {{ return "Kernel{position}"; }}
    long rows;
    {members}
    __device__ void operator()(long r, int lane) const {{
        {body}
    }}
}};"""

    def _is_held(self, array: str, reader: Definition) -> bool:
        """Whether a definition reads a row of an earlier loop of the kernel, so that it stays in registers."""
        is_row_here = array in self._here and not is_scalar(self._by_name[array])
        return is_row_here and self._pass_of[array] != self._pass_of[reader.result]

    def _member(self, name: str, kind: str, value: str) -> str:
        self._members.setdefault(name, (kind, value))
        return name

    def _own(self, name: str) -> tuple[str, ...]:
        """Pointer to a caller's array, from the first column of the chunk on, and its strides."""
        pointer, strides = self._pointers[name], [f"({cpp(stride)})" for stride in self._arrays[name].strides]
        offset = f" + first * {strides[0]}" if len(strides) == 2 else ""
        self._member(pointer, "T*" if name in self._results else "const T*", f"{pointer}{offset}")
        return pointer, *(self._member(f"{pointer}_{axis}", "long", stride) for axis, stride in enumerate(strides))

    def _element(self, kind: str, name: str, feature: str) -> str:
        """An element of rows of the work space."""
        position = self._plan.row_of[kind, name]
        stride = self._member(f"t{position}", "long", f"t{position}")
        row = self._member(f"s{position}", f"{self._plan.rows.all[position].kind}*", f"s{position}")
        offset = self._plan.offsets.get((kind, name), 0)
        return f"{row}[r * {stride} + {f'{offset} + ' if offset else ''}{feature}]"

    def _read(self, array: str, feature: str) -> str:
        """An element of an array of rows in memory."""
        if ("values", array) in self._plan.row_of:
            return self._element("values", array, feature)
        pointer, column_stride, feature_stride = self._own(array)
        return f"ailand::read({pointer} + r * {column_stride} + {feature} * {feature_stride})"

    def _stores(self, definition: Definition, value: str, feature: str) -> list[str]:
        lines, name = [], definition.result
        if ("values", name) in self._plan.row_of:
            lines.append(f"{self._element('values', name, feature)} = {value};")
        if ("operands", name) in self._plan.row_of:
            lines.append(f"{self._element('operands', name, feature)} = static_cast<O>({value});")
        if name not in self._plan.program.inner:
            pointer, column_stride, feature_stride = self._own(name)
            lines.append(f"{pointer}[r * {column_stride} + {feature} * {feature_stride}] = {value};")
        return lines

    def _pass(self, number: int, part: Pass) -> list[str]:
        lines = [f"T v{self._here[definition.result]} = 0;" for definition in part.sums]
        lines += [] if part.length is None else self._loop(number, part, part.length)
        for definition in part.after:
            k = self._here[definition.result]
            value = self._value(definition.value, definition, looped=False)
            if definition.by_row:
                lines += [f"const T sum{k} = ailand::sum_of_lanes<lanes>(v{k});", f"v{k} = {value};"]
            else:
                lines.append(f"const T v{k} = {value};")
            stores = self._stores(definition, f"v{k}", "0")
            lines += [f"if (lane == 0) {{ {' '.join(stores)} }}"] if stores else []
        return lines

    def _loop(self, number: int, part: Pass, length: int | str) -> list[str]:
        """The loop over a row; where its length is known, rows are read before any is written."""
        if isinstance(length, str):
            count = 0
            head = [f"for (long j = lane; j < {self._member(f'end{number}', 'long', length)}; j += lanes) {{"]
        else:
            count = -(-length // self._kernel.lanes)
            head = ["#pragma unroll", f"for (int i = 0; i < {count}; ++i) {{ const int j = lane + i * lanes;"]
            head += [f"if (j >= {length}) break;"] if length % self._kernel.lanes else []
        reads = self._row_reads(part)
        ahead = 0 < count * len(reads) <= _MOST_AHEAD
        held = {d.result: f"held{self._here[d.result]}" for d in part.elements if d.result in self._held}
        lines = [*(f"T {name}[{count}];" for name in held.values()), "{"]
        if ahead:
            lines += [f"T {name}[{count}];" for name in reads]
            lines += [*head, *(f"{name}[i] = {source};" for name, source in reads.items()), "}"]
        lines += head
        lines += [f"const T {name}_j = {name + '[i]' if ahead else source};" for name, source in reads.items()]
        for definition in part.elements:
            k = self._here[definition.result]
            lines.append(f"const T v{k} = {self._value(definition.value, definition, looped=True)};")
            lines += [f"held{k}[i] = v{k};"] if definition.result in held else []
        for definition in part.sums:
            (product,) = definition.products
            term = self._value(product.x, definition, looped=True)
            weight = self._member(name := self._pointers[product.weight], "const T*", name)
            stride = self._member(f"{name}_1", "long", cpp(self._arrays[product.weight].strides[1]))
            lines.append(f"v{self._here[definition.result]} += {term} * ailand::read({weight} + j * {stride});")
        for definition in part.elements:
            lines += self._stores(definition, f"v{self._here[definition.result]}", "j")
        return [*lines, "}", "}"]

    def _row_reads(self, part: Pass) -> dict[str, str]:
        """What the loop reads from rows in memory: name -> element j."""
        reads: dict[str, str] = {}
        for definition in part.elements:
            if definition.is_layer:
                reads[f"sums{self._here[definition.result]}"] = self._element("sums", definition.result, "j")
        for definition in (*part.elements, *part.sums):
            for load in _looped(definition):
                if load.index == ROW and load.array not in self._here:
                    reads[self._read_name(load.array)] = self._read(load.array, "j")
        return reads

    def _read_name(self, array: str) -> str:
        if ("values", array) not in self._plan.row_of:
            return f"x{self._pointers[array]}"
        return f"row{self._plan.row_of['values', array]}_{self._plan.offsets.get(('values', array), 0)}"

    def _value(self, expression: Expression, of: Definition, looped: bool) -> str:
        """An expression of a definition, in its loop or after it."""
        match expression:
            case Number(value=value):
                return f"T({value!r})"
            case Sum():
                return f"sum{self._here[of.result]}" if of.by_row else f"sums{self._here[of.result]}_j"
            case Load(array=array, index=index) if index[:1] == ("column",):
                return self._row_value(array, index, of, looped)
            case Load(array=array, index=("feature",)) if looped:
                pointer, stride = self._own(array)
                return f"ailand::read({pointer} + j * {stride})"
            case Load(array=array, index=(int(position),)):
                pointer, stride = self._own(array)
                return f"ailand::read({pointer} + {position} * {stride})"
            case Operation(name=name, arguments=arguments):
                parts = [self._value(argument, of, looped) for argument in arguments]
                return operation_in_cpp(name, parts) or f"{_NAMED.get(name, name)}({', '.join(parts)})"
        raise AssertionError(expression)

    def _row_value(self, array: str, index: tuple[Index, ...], of: Definition, looped: bool) -> str:
        """An element of a row: of this column, and of the feature at hand or a fixed one."""
        if array in self._here:
            return f"held{self._here[array]}[i]" if self._is_held(array, of) else f"v{self._here[array]}"
        if index == ROW and looped:
            return f"{self._read_name(array)}_j"
        return self._read(array, str(0 if index == ROW else index[1]))


def _looped(definition: Definition) -> list[Load]:
    """What a definition reads in a loop."""
    return list(loads(definition.products[0].x if definition.by_row else definition.value))
