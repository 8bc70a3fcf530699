"""A compiled program with most of its arguments bound, called with little more than new pointers.

GT4Py looks at every argument of a program in every call: types, dimensions, extents. A step has dozens of operands that
never change, and that costs many times more than a small step itself. After a first call through GT4Py, which compiles
and checks everything, DaCe's vector of C arguments is at hand; what is here keeps it and exchanges the pointers and
strides of the fields that do change. It uses parts of GT4Py that are not public; this module is the only place.
"""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Callable, Sequence
from typing import Any

import dace
import numpy as np

from ailand_gt4py.core import arrays
from ailand_gt4py.core.errors import RunError
from ailand_gt4py.lowering.gpu import device_stream

#: For each field that changes, where its pointer is among the arguments, and where its strides are; None where the
#: program does not use it.
_Positions = list[tuple[int | None, list[int | None]]]
_Seen = tuple[int, tuple[int, ...], tuple[int, ...]]


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


def _arguments(compiled: Any) -> list[str]:
    """Names of the arguments of a compiled program, as DaCe kept them: to ask its graph takes a tenth of a second."""
    program = compiled.sdfg_program
    return list(getattr(program, "_typedict", None) or program.sdfg.arglist())


def _positions(sdfg: dace.SDFG, names: Sequence[str], pointers: Sequence[str], numbers: Sequence[str]) -> _Positions:
    result: _Positions = []
    for name in names:
        if name in pointers:
            strides = [str(stride) for stride in sdfg.arrays[name].strides]
            of_strides = [numbers.index(stride) if stride in numbers else None for stride in strides]
            result.append((pointers.index(name), of_strides))
        else:
            result.append((None, []))
    return result


class BoundCall:
    """Calls a compiled program on other arrays of the same shapes.

    Args:
        program: a GT4Py program on a DaCe backend that was called once, with all operands that are to stay.
        names: the fields that change from call to call. scalars: the numbers that do.
        on_default_stream: it has work that DaCe gives to CUDA's default stream, whatever stream is set.

    Raises:
        RunError: the program's compiled form cannot be found, or its first call failed on the device.
    """

    def __init__(
        self, program: Any, names: Sequence[str], scalars: Sequence[str] = (), on_default_stream: bool = False
    ) -> None:
        compiled = compiled_dace_program(program)
        sdfg = compiled.sdfg_program.sdfg
        known = _arguments(compiled)
        self._program = compiled.sdfg_program
        self._initial = compiled.csdfg_init_argv
        self._arguments = list(compiled.csdfg_argv)
        self._types = [type(argument) for argument in self._arguments]
        self._positions = _positions(sdfg, names, known, known)
        self._scalars = [known.index(name) for name in scalars]
        self._in_turn = device_stream.in_turn if on_default_stream else contextlib.nullcontext
        # Programs for the CPU have neither.
        self._set_streams = self._program.get_exported_function("__dace_gpu_set_all_streams")
        self._last_error = self._program.get_exported_function("__dace_gpu_last_error", restype=ctypes.c_int)
        self._stream = 0
        self._check()

    def __call__(
        self, pointers: Sequence[int], strides: Sequence[tuple[int, ...]], numbers: Sequence[Any] = ()
    ) -> None:
        """Run on the arrays at these addresses.

        Args:
            pointers: address of each named field, in order.
            strides: of each, in elements.
            numbers: NumPy's, of each named scalar.

        Raises:
            RunError: work could not be given to the device.
        """
        arguments = self._arguments
        for (position, of_strides), pointer, own_strides in zip(self._positions, pointers, strides, strict=True):
            if position is not None:
                arguments[position] = ctypes.c_void_p(pointer)
                for found, stride in zip(of_strides, own_strides, strict=True):
                    if found is not None:
                        arguments[found] = self._types[found](stride)
        for position, number in zip(self._scalars, numbers, strict=True):
            arguments[position] = self._types[position](number.item())
        self._run(arguments)

    def repeated(self, buffers: Sequence[arrays.Array]) -> Callable[[], bool] | None:
        """The last call, of these arrays, which the caller keeps, as a function; None where it cannot be had.

        It gives False, and does nothing, if an array has changed: was resized in place, above all. `RunError` where
        work could not be given to the device.
        """
        arguments, seen = list(self._arguments), [(array, _seen(array)) for array in buffers]

        def again() -> bool:
            if any(_seen(array) != before for array, before in seen):
                return False
            self._run(arguments)
            return True

        return again

    def _run(self, arguments: list[Any]) -> None:
        if self._set_streams is not None:
            stream = device_stream.current_stream()
            if stream != self._stream:
                self._set_streams(self._program._libhandle, ctypes.c_void_p(stream))
                self._stream = stream
        with self._in_turn():
            self._program.fast_call(arguments, self._initial, do_gpu_check=False)
        self._check()

    def _check(self) -> None:
        if self._last_error is not None and self._last_error(self._program._libhandle) != 0:
            raise RunError(
                f"program '{self._program.sdfg.name}' failed on the CUDA device: see its line on standard error"
            )


def _seen(array: arrays.Array) -> _Seen:
    """What a bound program takes for granted about an array: where its memory is, and its layout."""
    return arrays.address(array), tuple(array.shape), tuple(array.strides)


class _Watched(ctypes.Structure):
    """Memory of some bytes ``at`` an address that is to be as the copy of it is (``lowering/cpu/watched.hpp``)."""

    _fields_ = (("at", ctypes.c_void_p), ("copy", ctypes.c_char_p), ("size", ctypes.c_size_t))


class _ArrayObject(ctypes.Structure):
    """What NumPy's ABI says of its arrays' objects behind what all objects of Python have."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("nd", ctypes.c_int),
        ("dimensions", ctypes.c_void_p),
        ("strides", ctypes.c_void_p),
        ("base", ctypes.c_void_p),
        ("descr", ctypes.c_void_p),
        ("flags", ctypes.c_int),
    )


def _parts(array: np.ndarray) -> list[tuple[int, int]]:
    """Addresses and sizes of all that says where an array's elements are; empty where NumPy has it elsewhere."""
    start = id(array) + object.__basicsize__
    found = _ArrayObject.from_address(start)
    if (found.data, found.nd) != (arrays.address(array), array.ndim):
        return []
    numbers = ctypes.c_ssize_t * array.ndim
    both = [(at, numbers.from_address(at)) for at in (found.dimensions, found.strides)]
    if [tuple(values) for _, values in both] != [array.shape, array.strides]:
        return []
    size = _ArrayObject.flags.offset + _ArrayObject.flags.size
    return [(start, size), *((at, ctypes.sizeof(numbers)) for at, _ in both)]


class EntryCall:
    """The same for a program over columns on the CPU, by its own entry (`lowering.entry`)."""

    def __init__(self, program: Any, names: Sequence[str]) -> None:
        compiled = compiled_dace_program(program)
        sdfg = compiled.sdfg_program.sdfg
        known = {name: argument.value for name, argument in zip(_arguments(compiled), compiled.csdfg_argv, strict=True)}
        exported = compiled.sdfg_program.get_exported_function
        described = exported(f"{sdfg.name}_arguments", restype=ctypes.c_char_p)().decode()
        connectors, numbers = (part.split(",") for part in described.split(";"))
        self._compiled = compiled  # the library stays as long as this
        self._arrays = (ctypes.c_void_p * len(connectors))(*(known[name] for name in connectors))
        self._numbers = (ctypes.c_longlong * len(numbers))(*(int(known[name]) for name in numbers))
        self._function = exported(f"{sdfg.name}_columns")
        self._function_again = exported(f"{sdfg.name}_again", restype=ctypes.c_int)
        self._arguments = (ctypes.byref(self._arrays), ctypes.byref(self._numbers))
        self._positions = _positions(sdfg, names, connectors, numbers)

    def __call__(self, pointers: Sequence[int], strides: Sequence[tuple[int, ...]], _: Sequence[Any] = ()) -> None:
        """Run on the arrays at these addresses, as `BoundCall`; there are no scalars."""
        for (position, of_strides), pointer, own_strides in zip(self._positions, pointers, strides, strict=True):
            if position is not None:
                self._arrays[position] = pointer
                for found, stride in zip(of_strides, own_strides, strict=True):
                    if found is not None:
                        self._numbers[found] = stride
        self._function(*self._arguments)

    def repeated(self, buffers: Sequence[np.ndarray]) -> Callable[[], bool] | None:
        """As of `BoundCall`; the compiled program looks at the arrays, which costs Python nothing."""
        by_array = [_parts(array) for array in buffers]
        if not all(by_array):
            return None
        parts = [part for parts in by_array for part in parts]
        watched = (_Watched * len(parts))(*(_Watched(at, ctypes.string_at(at, size), size) for at, size in parts))
        own = (type(some).from_buffer_copy(some) for some in (self._arrays, self._numbers))
        arguments = (*map(ctypes.byref, (*own, watched)), ctypes.c_size_t(len(parts)))
        function = self._function_again
        return lambda: bool(function(*arguments))
