"""The tangent-linear and the adjoint of an emulator's step, as calls of programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from ailand_gt4py.core import arrays
from ailand_gt4py.emulator.operands import StepOperands
from ailand_gt4py.lowering.calls.program_call import ProgramCall
from ailand_gt4py.stencils.network.step import ProgramDescription
from ailand_gt4py.weights.model import Model

#: The inputs of a step in the order in which the programs take them, the changes of these and of the results.
INPUTS = ("static", "forcing", "state")
CHANGES = ("d_static", "d_forcing", "d_state")
RESULT_CHANGES = ("d_new_state", "d_diagnostics")
#: Gradients with respect to the results, and to the inputs.
RESULT_GRADIENTS = ("g_new_state", "g_diagnostics")
GRADIENTS = ("g_static", "g_forcing", "g_state")


class MakeCall(Protocol):
    """Makes the call of a program with these operands, for so many columns; ``what`` names it in messages."""

    def __call__(
        self, description: ProgramDescription, what: str, operands: StepOperands, n_columns: int
    ) -> ProgramCall: ...


class Setting(NamedTuple):
    """What the programs of one emulator's derivatives have in common.

    Attributes:
        operands: of the step.
        is_embedded: by GT4Py's NumPy execution.
    """

    model: Model
    n_columns: int
    dtype: np.dtype
    device: arrays.Device
    operands: StepOperands
    make_call: MakeCall
    is_embedded: bool

    @property
    def scalar(self) -> type:
        """NumPy type of the numbers."""
        return self.dtype.type


class LinearCall:
    """A program that is linear in some of its arguments: the tangent-linear or the adjoint of one emulator's step.

    Args:
        call: the program with its operands and buffers.
        directions: names of what it is linear in: `CHANGES` or `RESULT_GRADIENTS`.
        shapes: (n_columns, n_features) of each of these.
        dtype: type of all arrays.
        device: where they are.
    """

    def __init__(
        self,
        call: ProgramCall,
        directions: Sequence[str],
        shapes: Mapping[str, tuple[int, int]],
        dtype: np.dtype,
        device: arrays.Device,
    ) -> None:
        self._call = call
        xp = arrays.array_module(device)
        # One zero each, which is read for every column and feature.
        self._zeros = {name: xp.broadcast_to(xp.zeros(1, dtype=dtype), shapes[name]) for name in directions}

    @property
    def is_compiled(self) -> bool:
        """Whether calls run compiled code already."""
        return self._call.is_compiled

    def __call__(self, given: Mapping[str, arrays.Array], results: Sequence[arrays.Array]) -> None:
        """Write the results.

        Args:
            given: checked arrays of `INPUTS`, and of those of the directions that are not zero.

        Raises:
            RunError: the program cannot be compiled.
        """
        directions = (given.get(name, zero) for name, zero in self._zeros.items())
        self._call([*(given[name] for name in INPUTS), *directions, *results])
