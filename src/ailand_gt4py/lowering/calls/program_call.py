"""A GT4Py program with its operands: compiled at its first call, then called with little overhead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gt4py.next as gtx
import numpy as np

from ailand_gt4py.core import arrays
from ailand_gt4py.core.dimensions import Axes, field_dimensions
from ailand_gt4py.lowering.calls.bound_call import BoundCall
from ailand_gt4py.lowering.calls.entry_call import EntryCall
from ailand_gt4py.lowering.calls.operator_call import OperatorCall
from ailand_gt4py.lowering.gpu import device_stream


class ProgramCall:
    """Calls a program whose first arguments change from call to call, and whose other arguments stay.

    Args:
        call: of the program, on its backend.
        varying: the arguments that change, in order: name and what a field has beside the columns.
        operands: the arguments that stay.
        offset_provider: connectivity tables.
        compiled_here: the backend is one of this package's DaCe backends; else it is embedded execution (False and no
            backend) or a backend of the caller.
    """

    def __init__(
        self,
        call: OperatorCall,
        varying: Mapping[str, Axes],
        operands: Sequence[Any],
        offset_provider: Mapping[str, gtx.Connectivity],
        compiled_here: bool,
    ) -> None:
        self._call = call
        self._varying = dict(varying)
        self._operands = list(operands)
        self._offset_provider = offset_provider
        self._compiled_here = compiled_here
        self._bound: BoundCall | EntryCall | None = None

    @property
    def is_compiled(self) -> bool:
        """Whether calls compile nothing."""
        return self._call.is_compiled

    def __call__(self, values: Sequence[arrays.Array]) -> None:
        """Run on these arrays, which have been checked (`arrays.check`).

        Raises:
            RunError: the program cannot be compiled.
        """
        if self._bound is not None:
            self._bound(
                [arrays.address(value) for value in values], [arrays.element_strides(value) for value in values]
            )
            return
        fields = [
            arrays.wrap(value, field_dimensions(axes), name)
            for value, (name, axes) in zip(values, self._varying.items(), strict=True)
        ]
        if self._compiled_here:
            device_stream.wait_for_device(values[0])
        self._call.run(*fields, *self._operands, offset_provider=self._offset_provider)
        if self._compiled_here:
            device_stream.wait_for_device(values[0])
            on_cpu = isinstance(values[0], np.ndarray)
            self._bound = (EntryCall if on_cpu else BoundCall)(self._call.program, list(self._varying))

    def again(self) -> bool:
        """Run on the arrays of the last call; False, and nothing done, where the program is not bound to them."""
        if self._bound is None:
            return False
        self._bound.again()
        return True
