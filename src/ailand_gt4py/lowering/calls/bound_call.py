"""A compiled program with most of its arguments bound, called with little more than new pointers.

GT4Py looks at every argument of a program in every call: types, dimensions, extents. A step has dozens of operands that
never change, and that costs many times more than a small step itself. After a first call through GT4Py, which compiles
and checks everything, DaCe's vector of C arguments is at hand; `BoundCall` keeps it and exchanges the pointers and
strides of the fields that do change. It uses parts of GT4Py that are not public; this module is the only place.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

from ailand_gt4py.core.errors import RunError
from ailand_gt4py.lowering.gpu import device_stream


def compiled_dace_program(program: Any) -> Any:
    """GT4Py's ``CompiledDaceProgram`` behind a program that was called once."""
    variants = list(program._compiled_programs.compiled_programs.values())
    if len(variants) == 1:
        (variant,) = variants
        # GT4Py 1.2 has a class for it, 1.1 a function that captures it.
        candidates = [getattr(variant, "_fun", None)]
        candidates += [cell.cell_contents for cell in getattr(variant, "__closure__", None) or ()]
        for candidate in candidates:
            if type(candidate).__name__ == "CompiledDaceProgram":
                return candidate
    raise RunError(
        f"the compiled form of program '{program.__name__}' cannot be found: "
        f"found {len(variants)} variants, expected one of GT4Py 1.1.12 or 1.2"
    )


class BoundCall:
    """Calls a compiled program on other arrays of the same shapes.

    Args:
        program: a GT4Py program on a DaCe backend that was called once, with all operands that are to stay.
        names: the fields that change from call to call. scalars: the numbers that do.

    Raises:
        RunError: the program's compiled form cannot be found, or its first call failed on the device.
    """

    def __init__(self, program: Any, names: Sequence[str], scalars: Sequence[str] = ()) -> None:
        compiled = compiled_dace_program(program)
        sdfg = compiled.sdfg_program.sdfg
        positions = {name: position for position, name in enumerate(sdfg.arglist())}
        self._program = compiled.sdfg_program
        self._initial = compiled.csdfg_init_argv
        self._arguments = list(compiled.csdfg_argv)
        # Pointer and strides among the arguments; None where the program does not use it.
        self._positions: list[tuple[int | None, tuple[tuple[int, Any] | None, ...]]] = []
        for name in names:
            strides = sdfg.arrays[name].strides if name in positions else ()
            of_strides = tuple(
                (positions[str(stride)], type(self._arguments[positions[str(stride)]]))
                if str(stride) in positions
                else None
                for stride in strides
            )
            self._positions.append((positions.get(name), of_strides))
        self._scalars = [(positions[name], type(self._arguments[positions[name]])) for name in scalars]
        # Programs for the CPU have neither.
        self._set_streams = self._program.get_exported_function("__dace_gpu_set_all_streams")
        self._last_error = self._program.get_exported_function("__dace_gpu_last_error", restype=ctypes.c_int)
        self._stream = 0
        self._check()

    def __call__(
        self, pointers: Sequence[int], strides: Sequence[tuple[int, ...]], numbers: Sequence[float] = ()
    ) -> None:
        """Run on the arrays at these addresses.

        Args:
            pointers: address of each named field, in order.
            strides: of each, in elements.
            numbers: of each named scalar.

        Raises:
            RunError: work could not be given to the device.
        """
        arguments = self._arguments
        for (position, of_strides), pointer, own_strides in zip(self._positions, pointers, strides, strict=True):
            if position is not None:
                arguments[position] = ctypes.c_void_p(pointer)
                for found, stride in zip(of_strides, own_strides, strict=True):
                    if found is not None:
                        arguments[found[0]] = found[1](stride)
        for (position, kind), number in zip(self._scalars, numbers, strict=True):
            arguments[position] = kind(number)
        self.again()

    def again(self) -> None:
        """Run on the arrays of the last call.

        Raises:
            RunError: work could not be given to the device.
        """
        if self._set_streams is not None:
            stream = device_stream.current_stream()
            if stream != self._stream:
                self._set_streams(self._program._libhandle, ctypes.c_void_p(stream))
                self._stream = stream
        self._program.fast_call(self._arguments, self._initial, do_gpu_check=False)
        self._check()

    def _check(self) -> None:
        if self._last_error is not None and self._last_error(self._program._libhandle) != 0:
            raise RunError(
                f"program '{self._program.sdfg.name}' failed on the CUDA device: see its line on standard error"
            )
