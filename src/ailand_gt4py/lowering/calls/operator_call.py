"""A GT4Py program or operator of this package, compiled at its first call with a word to the user."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

import gt4py.next as gtx

from ailand_gt4py.core import arrays
from ailand_gt4py.lowering.calls import backends, compilation
from ailand_gt4py.lowering.calls.bound_call import BoundCall
from ailand_gt4py.lowering.gpu import device_stream


class OperatorCall:
    """Calls a program or a field operator on a backend.

    Args:
        definition: the GT4Py program or field operator.
        backend: a GT4Py backend; None for embedded execution.
        description: for messages: "the samples of 10 variables".

    Attributes:
        program: what is called, on its backend.
        is_dace: compiled by GT4Py's DaCe backend.
        is_compiled: calls compile nothing.
    """

    def __init__(self, definition: Any, backend: Any, description: str) -> None:
        self.is_dace = backend is not None and "dace" in backend.name
        self.program = definition if backend is None else definition.with_backend(backend)
        self.is_compiled = backend is None
        self._description = description
        self._is_embedded = backend is None
        self._on_gpu = backend is not None and backends.device_of(backend) == "cuda"

    def __call__(self, *arguments: Any, **keywords: Any) -> None:
        """As GT4Py's call; on a GPU in the caller's stream's order.

        Raises:
            RunError: it cannot be compiled.
        """
        with self.in_turn():
            self.run(*arguments, **keywords)

    def in_turn(self) -> contextlib.AbstractContextManager[None]:
        """Around work of the program: on a GPU in the caller's stream's order."""
        return device_stream.in_turn() if self._on_gpu else contextlib.nullcontext()

    def run(self, *arguments: Any, **keywords: Any) -> None:
        """As GT4Py's call.

        Raises:
            RunError: it cannot be compiled.
        """
        if self.is_compiled and not self._is_embedded:
            self.program(*arguments, **keywords)
            return
        with compilation.quiet() if self.is_compiled else compilation.announced(self._description):
            self.program(*arguments, **keywords)
        self.is_compiled = True


class RepeatedCall:
    """A program that is called again and again with the same arguments but for a few.

    After the first call on a DaCe backend GT4Py is passed by, which looks at every argument of every call and so costs
    a small program many times its own work.

    Args:
        call: of the program. Other calls of it may go on meanwhile.
        constant: name -> field or scalar of the arguments that stay.
        fields: name -> dimensions of the fields that change. scalars: the numbers that do.
        tables: offset provider.
    """

    def __init__(
        self,
        call: OperatorCall,
        constant: Mapping[str, Any],
        fields: Mapping[str, tuple[gtx.Dimension, ...]],
        scalars: Sequence[str],
        tables: Mapping[str, Any],
    ) -> None:
        self._call, self._constant, self._tables = call, dict(constant), dict(tables)
        self._fields, self._scalars = dict(fields), tuple(scalars)
        self._bound: BoundCall | None = None

    def __call__(self, buffers: Sequence[arrays.Array], numbers: Sequence[Any] = ()) -> None:
        """Run it.

        Args:
            buffers: the arrays of the fields that change, of the same extents in every call. numbers: the scalars.

        Raises:
            RunError: it cannot be compiled, or failed on the device.
        """
        if self._bound is not None:
            with self._call.in_turn():
                self._bound(
                    [arrays.address(buffer) for buffer in buffers],
                    [arrays.element_strides(buffer) for buffer in buffers],
                    [number.item() for number in numbers],
                )
            return
        changed: dict[str, Any] = dict(zip(self._scalars, numbers, strict=True))
        for (name, dims), buffer in zip(self._fields.items(), buffers, strict=True):
            changed[name] = arrays.wrap(buffer, dims, name)
        self._call(**self._constant, **changed, offset_provider=self._tables)
        if self._call.is_dace:
            self._bound = BoundCall(self._call.program, list(self._fields), self._scalars)
