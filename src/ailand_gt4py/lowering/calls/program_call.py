"""A GT4Py program with its operands: compiled at its first call, then called with little overhead."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import gt4py.next as gtx
import numpy as np

from ailand_gt4py.core import arrays
from ailand_gt4py.core.dimensions import Axes, field_dimensions
from ailand_gt4py.lowering.calls import compilation
from ailand_gt4py.lowering.calls.bound_call import BoundCall
from ailand_gt4py.lowering.cpu.column_entry import EntryCall
from ailand_gt4py.lowering.gpu import device_stream


class ProgramCall:
    """Calls a program whose first arguments change from call to call, and whose other arguments stay.

    Args:
        program: the GT4Py program, on its backend.
        varying: the arguments that change, in order: name and what a field has beside the columns.
        operands: the arguments that stay.
        offset_provider: connectivity tables.
        description: of the program, for messages: "the layer_norm network for dace_cpu in float32".
        compiled_here: the backend is one of this package's DaCe backends; else it is embedded execution (False and no
            backend) or a backend of the caller.

    Attributes:
        is_compiled: whether calls run compiled code already.
    """

    def __init__(
        self,
        program: Any,
        varying: Mapping[str, Axes],
        operands: Sequence[Any],
        offset_provider: Mapping[str, gtx.Connectivity],
        description: str,
        compiled_here: bool,
    ) -> None:
        self._program = program
        self._varying = dict(varying)
        self._operands = list(operands)
        self._offset_provider = offset_provider
        self._description = description
        self._compiled_here = compiled_here
        self._bound: BoundCall | EntryCall | None = None
        self.is_compiled = program.backend is None

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
        with self._compilation():
            self._program(*fields, *self._operands, offset_provider=self._offset_provider)
        if self._compiled_here:
            device_stream.wait_for_device(values[0])
            on_cpu = isinstance(values[0], np.ndarray)
            self._bound = (EntryCall if on_cpu else BoundCall)(self._program, list(self._varying))

    def again(self) -> bool:
        """Run on the arrays of the last call; False, and nothing done, where the program is not bound to them."""
        if self._bound is None:
            return False
        self._bound.again()
        return True

    @contextlib.contextmanager
    def _compilation(self) -> Iterator[None]:
        """Around the call that may compile: says so, and reports failure in one line."""
        if self.is_compiled:
            with warnings.catch_warnings():
                # GT4Py remarks on every call that embedded execution is slow; here it was asked for.
                warnings.simplefilter("ignore", category=UserWarning)
                yield
            return
        with compilation.announced(self._description):
            yield
        self.is_compiled = True
