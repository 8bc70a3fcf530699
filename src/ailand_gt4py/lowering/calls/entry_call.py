"""A compiled program for the CPU, called by its own entry (`column_entry`)."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

from ailand_gt4py.lowering.calls.bound_call import compiled_dace_program


class EntryCall:
    """Calls a compiled program by its own entry, on other arrays of the same shapes.

    Args:
        program: a GT4Py program for the CPU that was called once, with all operands that are to stay.
        names: the arguments that change from call to call, all fields.

    Raises:
        RunError: the program's compiled form cannot be found.
    """

    def __init__(self, program: Any, names: Sequence[str]) -> None:
        compiled = compiled_dace_program(program)
        sdfg = compiled.sdfg_program.sdfg
        known = {name: argument.value for name, argument in zip(sdfg.arglist(), compiled.csdfg_argv, strict=True)}
        exported = compiled.sdfg_program.get_exported_function
        described = exported(f"{sdfg.name}_arguments", restype=ctypes.c_char_p)().decode()
        arrays, numbers = (part.split(",") for part in described.split(";"))
        self._compiled = compiled  # the library stays as long as this
        self._arrays = (ctypes.c_void_p * len(arrays))(*(known[name] for name in arrays))
        self._numbers = (ctypes.c_longlong * len(numbers))(*(int(known[name]) for name in numbers))
        self._function = exported(f"{sdfg.name}_columns")
        self._arguments = (ctypes.byref(self._arrays), ctypes.byref(self._numbers))
        # Positions of the pointer and of the strides; None where the program does not use it.
        self._positions: list[tuple[int | None, list[int | None]]] = []
        for name in names:
            position = arrays.index(name) if name in arrays else None
            strides = [str(stride) for stride in sdfg.arrays[name].strides]
            self._positions.append((position, [numbers.index(each) if each in numbers else None for each in strides]))

    def __call__(self, pointers: Sequence[int], strides: Sequence[tuple[int, ...]]) -> None:
        """Run on the arrays at these addresses.

        Args:
            pointers: address of each named argument, in order.
            strides: of each, in elements.
        """
        for (position, of_strides), pointer, own_strides in zip(self._positions, pointers, strides, strict=True):
            if position is not None:
                self._arrays[position] = pointer
            for found, stride in zip(of_strides, own_strides, strict=True):
                if found is not None:
                    self._numbers[found] = stride
        self._function(*self._arguments)

    def again(self) -> None:
        """Run on the arrays of the last call."""
        self._function(*self._arguments)
