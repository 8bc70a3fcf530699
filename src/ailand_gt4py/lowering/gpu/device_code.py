"""From a fused `ColumnProgram` to CUDA: the kernels, and the function that runs them and the matrix products.

What the code is made of is in ``device_kernels.cuh``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from ailand_gt4py.lowering.columns.column_node import Interface
from ailand_gt4py.lowering.columns.column_program import (
    ColumnProgram,
    Definition,
    RefusedError,
    cpp,
    loads,
    weights_of_layers,
)
from ailand_gt4py.lowering.entry import PARAMETERS, numbers_of, packed, unpacked
from ailand_gt4py.lowering.gpu.device_kernel import KernelCode
from ailand_gt4py.lowering.gpu.device_plan import DevicePlan
from ailand_gt4py.lowering.rows import largest

#: How matrix products are computed: in the arrays' own type, or for float32 with operands rounded to TF32 or bfloat16.
Products = Literal["full", "tf32", "bf16"]

_COMPUTE = {
    ("float", "full"): "CUBLAS_COMPUTE_32F_PEDANTIC",
    ("double", "full"): "CUBLAS_COMPUTE_64F",
    ("float", "tf32"): "CUBLAS_COMPUTE_32F_FAST_TF32",
    ("float", "bf16"): "CUBLAS_COMPUTE_32F",
}


class DeviceCode:
    """The CUDA of one program, which is fused.

    Attributes:
        plan: what it runs.
        numbers: names of the numbers that it is given beside the pointers to the caller's arrays (`entry`).
        declaration: of the functions, for device and host.
        release: the function that releases what a program keeps.
        call: C++ of the host's call; it reads the arrays' connectors and the program's symbols.
        text: the device code, which follows ``device_kernels.cuh``.

    Args:
        products: how those with the weights of the network's layers are computed; all else in the arrays' type.
        layers: how the names of these weights begin (`weights_of_layers`).

    Raises:
        RefusedError: the program has something that cannot be run so.
    """

    def __init__(
        self, program: ColumnProgram, interface: Interface, products: Products, layers: Sequence[str] = ()
    ) -> None:
        real = str(interface.arrays[program.results[0]].dtype.ctype)
        if (real, products) not in _COMPUTE:
            raise RefusedError(f"products in {products} need arrays of type float, not {real}")
        operand = "__nv_bfloat16" if products == "bf16" else real
        rounded = frozenset() if products == "full" else weights_of_layers(program, layers)
        self._rounded = rounded
        self.plan = DevicePlan(program, rounded if operand != real else frozenset())
        self._interface = interface
        self.numbers = numbers_of(program, interface)
        self.name = f"{program.name}_on_device"
        self.release = f"{self.name}_release"
        function = f"int {self.name}(void** kept, {PARAMETERS}, cudaStream_t stream)"
        self.declaration = f'extern "C" {function};\nextern "C" void {self.release}(void* kept);\n'
        self.call = f"""{packed(interface, self.numbers)}
if ({self.name}(&__state->ailand_device, arrays, numbers, __state->gpu_context->streams[0]) != 0)
    __state->gpu_context->record_error((gpuError_t)999);"""
        kernels = [KernelCode(self.plan, interface, kernel, k) for k, kernel in enumerate(self.plan.kernels)]
        structs = "\n".join(kernel.struct for kernel in kernels)
        run = "\n    ".join(self._run(kernels))
        self.text = f"""{self.declaration}
namespace {self.name}_code {{
using T = {real};
using O = {operand};
constexpr cublasComputeType_t full = {_COMPUTE[real, "full"]}, rounded = {_COMPUTE[real, products]};
{structs}
void run(void** kept, {PARAMETERS}, cudaStream_t stream) {{
    {run}
}}
}}  // namespace {self.name}_code

{function} {{
    try {{
        {self.name}_code::run(kept, arrays, numbers, stream);
        return 0;
    }} catch (const std::exception& error) {{
        std::fprintf(stderr, "{program.name} on the GPU: %s\\n", error.what());
        return 1;
    }}
}}
void {self.release}(void* kept) {{ delete static_cast<ailand::Device*>(kept); }}
"""

    def _run(self, kernels: list[KernelCode]) -> list[str]:
        """What is done in one step, chunk after chunk of columns."""
        #: Weights of products, parts behind each other, and number of outputs -> position among them.
        weights: dict[tuple[str, str, str], int] = {}
        steps: list[str] = []
        for kernel, code in zip(self.plan.kernels, kernels, strict=True):
            for definition in kernel.products:
                steps += self._products(definition, weights)
            steps.append(code.launch)
        rows = list(enumerate(self.plan.rows.all))
        bytes_of_a_column = " + ".join(f"t{k} * (long)sizeof({each.kind})" for k, each in rows) or "1"
        room = " + ".join(f"ailand::Room::bytes<{each.kind}>(chunk, t{k})" for k, each in rows) or "1"
        return [
            *unpacked(self._interface, self.numbers),
            f'ailand::require(!({self.plan.program.unequal}), "its arrays differ in columns or features");',
            f"const long columns = {cpp(self.plan.program.columns)};",
            "if (columns == 0) return;",
            f"ailand::Device& device = ailand::device_of(kept, {len(weights)});",
            "device.use(stream);",
            *(f"const long t{k} = ailand::row_stride<{each.kind}>({largest(each.extents)});" for k, each in rows),
            *(
                f"const ailand::Weight w{k} = device.weight<T, {operand}>({k}, {{{parts}}}, {outputs}, stream);"
                for (parts, outputs, operand), k in weights.items()
            ),
            f"const long chunk = device.chunk(columns, {bytes_of_a_column});",
            f"ailand::Room room{{device.reserve({room})}};",
            *(f"{each.kind}* const s{k} = room.take<{each.kind}>(chunk, t{k});" for k, each in rows),
            "for (long first = 0; first < columns; first += chunk) {",
            "const long rows = std::min(chunk, columns - first);",
            *steps,
            "}",
        ]

    def _products(self, definition: Definition, weights: dict[tuple[str, str, str], int]) -> list[str]:
        """Calls of the matrix products of a layer; their weights are added to those of the program."""
        plan, arrays, pointers = self.plan, self._interface.arrays, self._interface.connectors
        sums, outputs = plan.row_of["sums", definition.result], cpp(definition.extent)
        kind = plan.factors(definition)
        operand = {"values": "T", "operands": "O"}[kind]
        compute = "rounded" if self._rounded.issuperset(one.weight for one in definition.products) else "full"
        lines = []
        for positions in plan.terms(definition):
            products = [definition.products[position] for position in positions]
            parts = [
                f"{{{pointers[one.weight]}, {', '.join(map(cpp, arrays[one.weight].strides))}, {cpp(one.inputs)}}}"
                for one in products
            ]
            weight = weights.setdefault((", ".join(parts), outputs, operand), len(weights))
            (name,) = (load.array for load in loads(products[0].x))
            factor = plan.row_of[kind, name]
            inputs = " + ".join(cpp(one.inputs) for one in products)
            lines.append(
                f"device.product<T, {operand}>({compute}, w{weight}, "
                f"s{factor} + {plan.offsets.get((kind, name), 0)}, t{factor}, "
                f"s{sums}, t{sums}, rows, {outputs}, {inputs}, {'true' if positions[0] else 'false'});"
            )
        return lines
