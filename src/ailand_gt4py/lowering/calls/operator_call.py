"""A GT4Py program or operator of this package, compiled at its first call with a word to the user."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import gt4py.next as gtx

from ailand_gt4py.core import arrays
from ailand_gt4py.lowering.calls import backends, compilation
from ailand_gt4py.lowering.calls.bound_call import BoundCall, EntryCall
from ailand_gt4py.lowering.gpu import device_stream

#: Calls that are the same for all who ask for them in this process, by what tells them apart.
_SHARED: dict[Hashable, tuple[OperatorCall, Mapping[str, Any]]] = {}


class OperatorCall:
    """Calls a program or a field operator on a backend.

    Args:
        definition: the GT4Py program or field operator.
        backend: a GT4Py backend; None for embedded execution.
        description: for messages: "the samples of 10 variables".

    Attributes:
        program: what is called, on its backend.
        backend: as given.
        on_gpu: GT4Py gives its work to CUDA's default stream.
        is_compiled: calls compile nothing.
    """

    def __init__(self, definition: Any, backend: Any, description: str) -> None:
        self.backend = backend
        self.program = definition if backend is None else definition.with_backend(backend)
        self.is_compiled = backend is None
        self.on_gpu = backend is not None and backends.device_of(backend) == "cuda"
        self._description = description

    def __call__(self, *arguments: Any, **keywords: Any) -> None:
        """As GT4Py's call; on a GPU in the caller's stream's order.

        Raises:
            RunError: it cannot be compiled.
        """
        around: contextlib.AbstractContextManager[None] = contextlib.nullcontext()
        if self.backend is None:
            around = compilation.quiet()
        elif not self.is_compiled:
            around = compilation.announced(self._description)
        with device_stream.in_turn() if self.on_gpu else contextlib.nullcontext(), around:
            self.program(*arguments, **keywords)
        self.is_compiled = True


def shared(
    key: Hashable, tables: Mapping[str, Any], make: Callable[[], OperatorCall]
) -> tuple[OperatorCall, Mapping[str, Any]]:
    """The call of a program for the CPU, made once in a process: GT4Py takes seconds for one, compiled or not.

    Args:
        key: of all that the program and its backend are made of; `compilation.made_with` where it is compiled.
        tables: offset provider. make: makes the call.

    Returns:
        The call, and its offset provider: GT4Py knows a program again by the tables that it was called with.
    """
    with compilation.alone():
        if key not in _SHARED:
            _SHARED[key] = make(), tables
        return _SHARED[key]


class RepeatedCall:
    """A program that is called again and again with the same arguments but for a few.

    After the first call on a DaCe backend GT4Py is passed by, which looks at every argument of every call and so costs
    a small program many times its own work.

    Args:
        call: of the program. Other calls of it may go on meanwhile.
        constant: name -> field or scalar of the arguments that stay.
        fields: name -> dimensions of the fields that change. scalars: the numbers that do.
        tables: offset provider.
        may_bind: the compiled program takes arrays of any layout, or always has the same.
    """

    def __init__(
        self,
        call: OperatorCall,
        constant: Mapping[str, Any],
        fields: Mapping[str, tuple[gtx.Dimension, ...]],
        scalars: Sequence[str],
        tables: Mapping[str, Any],
        may_bind: bool = True,
    ) -> None:
        self._call, self._constant, self._tables = call, dict(constant), dict(tables)
        self._fields, self._scalars = dict(fields), tuple(scalars)
        self._binds = may_bind and call.backend is not None and "dace" in call.backend.name
        self._bound: BoundCall | EntryCall | None = None

    @property
    def is_compiled(self) -> bool:
        """Whether calls compile nothing."""
        return self._call.is_compiled

    def __call__(self, buffers: Sequence[arrays.Array], numbers: Sequence[Any] = ()) -> None:
        """Run it.

        Args:
            buffers: the arrays of the fields that change, of the same extents in every call. numbers: the scalars.

        Raises:
            RunError: it cannot be compiled, or failed on the device.
        """
        if self._bound is not None:
            strides = [arrays.element_strides(buffer) for buffer in buffers]
            self._bound([arrays.address(buffer) for buffer in buffers], strides, numbers)
            return
        changed: dict[str, Any] = dict(zip(self._scalars, numbers, strict=True))
        for (name, dims), buffer in zip(self._fields.items(), buffers, strict=True):
            changed[name] = arrays.wrap(buffer, dims, name)
        if not self._binds:
            self._call(**self._constant, **changed, offset_provider=self._tables)
            return
        with compilation.alone():  # DaCe's vector of arguments is the program's, which others may call
            self._call(**self._constant, **changed, offset_provider=self._tables)
            self._bind()

    def _bind(self) -> None:
        """Keep the arguments of the last call."""
        over_columns = backends.is_for_columns(self._call.backend)
        if over_columns and not self._call.on_gpu:
            self._bound = EntryCall(self._call.program, list(self._fields))
        else:
            on_default_stream = self._call.on_gpu and not over_columns
            self._bound = BoundCall(self._call.program, list(self._fields), self._scalars, on_default_stream)

    def repeated(self, buffers: Sequence[arrays.Array]) -> Callable[[], bool] | None:
        """The last call, of these arrays, as a function (`BoundCall.repeated`); None where it cannot be had."""
        return None if self._bound is None else self._bound.repeated(buffers)
