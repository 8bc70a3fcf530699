"""The derivative of an emulator's step, as programs of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ailand_gt4py import arrays
from ailand_gt4py.lowering.program_call import ProgramCall

#: The inputs of a step in the order in which the programs take them, and the changes of these.
INPUTS = ("static", "forcing", "state")
CHANGES = ("d_static", "d_forcing", "d_state")


class TangentLinear:
    """The tangent-linear of one emulator's step; `Emulator.tangent_linear` describes what it gives.

    Args:
        call: the program of `stencils.tangent_linear.describe_tangent_linear` with its operands and buffers.
        shapes: (n_columns, n_features) of each of `CHANGES`.
        dtype: type of all arrays.
        device: where they are.
    """

    def __init__(
        self, call: ProgramCall, shapes: Mapping[str, tuple[int, int]], dtype: np.dtype, device: arrays.Device
    ) -> None:
        self._call = call
        xp = arrays.array_module(device)
        # One zero each, which is read for every column and feature.
        self._no_change = {name: xp.broadcast_to(xp.zeros(1, dtype=dtype), shapes[name]) for name in CHANGES}

    @property
    def is_compiled(self) -> bool:
        """Whether calls run compiled code already."""
        return self._call.is_compiled

    def __call__(self, inputs: Mapping[str, arrays.Array], results: Sequence[arrays.Array]) -> None:
        """Write the changes of the new state and of the diagnostics to ``results``.

        Args:
            inputs: checked arrays of `INPUTS`, and of those of `CHANGES` that are not zero.

        Raises:
            RunError: the program cannot be compiled.
        """
        changes = self._no_change | dict(inputs)
        self._call([*(inputs[name] for name in INPUTS), *(changes[name] for name in CHANGES), *results])
