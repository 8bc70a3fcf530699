"""From a fused `ColumnProgram` to CUDA: the kernels, and the function that runs them and the matrix products.

What the code is made of is in ``device_kernels.cuh``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from ailand_gt4py.lowering.columns.column_node import CallerArray
from ailand_gt4py.lowering.columns.column_program import ColumnProgram, RefusedError
from ailand_gt4py.lowering.gpu.device_arguments import DeviceArguments
from ailand_gt4py.lowering.gpu.device_kernel import KernelCode
from ailand_gt4py.lowering.gpu.device_plan import DevicePlan

#: How matrix products are computed: in the arrays' own type, or for float32 with operands rounded to TF32 or bfloat16.
Products = Literal["full", "tf32", "bf16"]

_COMPUTE = {
    ("float", "full"): "CUBLAS_COMPUTE_32F_PEDANTIC",
    ("double", "full"): "CUBLAS_COMPUTE_64F",
    ("float", "tf32"): "CUBLAS_COMPUTE_32F_FAST_TF32",
    ("float", "bf16"): "CUBLAS_COMPUTE_32F",
}


class DeviceCode:
    """The CUDA of one program.

    Args:
        program: fused.
        arrays: the caller's.
        pointers: name of each caller's array in the host code.
        products: how matrix products are computed.

    Attributes:
        arguments: what the code is given.
        declaration: of the arguments' struct and of the functions, for device and host.
        call: C++ of the host's call; it reads the arrays' connectors and the program's symbols.

    Raises:
        RefusedError: the program has something that cannot be run so.
    """

    def __init__(
        self,
        program: ColumnProgram,
        arrays: Mapping[str, CallerArray],
        pointers: Mapping[str, str],
        products: Products,
    ) -> None:
        self.real = str(arrays[program.results[0]].dtype.ctype)
        if (self.real, products) not in _COMPUTE:
            raise RefusedError(f"products in {products} need arrays of type float, not {self.real}")
        self.compute = _COMPUTE[self.real, products]
        self.operand = "__nv_bfloat16" if products == "bf16" else self.real
        self.plan = DevicePlan(program, self.operand != self.real)
        self.name = f"{program.name}_on_device"
        self.arguments = arguments = DeviceArguments(arrays, pointers)
        kernels = [KernelCode(self.plan, arguments, kernel, k) for k, kernel in enumerate(self.plan.kernels)]
        self._kernels = "\n".join(kernel.struct() for kernel in kernels)
        self._row_extents = [list(dict.fromkeys(map(arguments.extent, rows.extents))) for rows in self.plan.rows]
        self._steps = [line for kernel in kernels for line in (*kernel.products(), *kernel.launch())]
        self.declaration = f"""
struct {self.name}_arguments {{{arguments.members()}}};
extern "C" int {self.name}(void** kept, const {self.name}_arguments& a, cudaStream_t stream);
extern "C" void {self.name}_release(void* kept);
"""
        self.call = "\n".join(
            [
                f"{self.name}_arguments a;",
                *arguments.filled(self.plan.program),
                f"if ({self.name}(&__state->ailand_device, a, __state->gpu_context->streams[0]) != 0)",
                "    __state->gpu_context->record_error((gpuError_t)999);",
            ]
        )

    def text(self) -> str:
        """The device code, which follows ``device_kernels.cuh``."""
        types = {False: "T", True: "O"}
        strides, bytes_, rooms = [], [], []
        for position, (rows, extents) in enumerate(zip(self.plan.rows, self._row_extents, strict=True)):
            kind = types[rows.operand]
            longest = f"std::max<long>({{{', '.join(extents)}}})"
            strides.append(f"const long t{position} = ailand::row_stride<{kind}>({longest});")
            bytes_.append(f"t{position} * (long)sizeof({kind})")
            rooms.append((kind, position))
        wanted = " + ".join(f"ailand::Room::bytes<{kind}>(chunk, t{position})" for kind, position in rooms) or "1"
        steps = "\n        ".join(self._steps)
        setup = "\n        ".join([*strides, *self._weight_lines()])
        takes = "\n        ".join(
            f"{kind}* const s{position} = room.take<{kind}>(chunk, t{position});" for kind, position in rooms
        )
        return f"""{self.declaration}
namespace {self.name}_code {{
using T = {self.real};
using O = {self.operand};
constexpr cublasComputeType_t compute = {self.compute};
{self._kernels}
void run(void** kept, const {self.name}_arguments& a, cudaStream_t stream) {{
    ailand::require(!a.unequal, "its arrays differ in columns or features");
    if (a.columns == 0) return;
    ailand::Device& device = ailand::device_of(kept, {len(self.arguments.weights)});
    device.use(stream);
        {setup}
    const long chunk = device.chunk(a.columns, {" + ".join(bytes_) or "1"});
    ailand::Room room{{device.reserve({wanted})}};
        {takes}
    for (long first = 0; first < a.columns; first += chunk) {{
        const long rows = std::min(chunk, a.columns - first);
        {steps}
    }}
}}
}}  // namespace {self.name}_code

int {self.name}(void** kept, const {self.name}_arguments& a, cudaStream_t stream) {{
    try {{
        {self.name}_code::run(kept, a, stream);
        return 0;
    }} catch (const std::exception& error) {{
        std::fprintf(stderr, "{self.plan.program.name} on the GPU: %s\\n", error.what());
        return 1;
    }}
}}
void {self.name}_release(void* kept) {{ delete static_cast<ailand::Device*>(kept); }}
"""

    def _weight_lines(self) -> list[str]:
        return [
            f"const ailand::Weight w{position} = device.weight<T, O>({position}, {{{parts}}}, {outputs}, stream);"
            for position, (parts, outputs) in enumerate(self.arguments.weights)
        ]
