"""A GT4Py program or operator of this package, compiled at its first call with a word to the user."""

from __future__ import annotations

import contextlib
import warnings
from typing import Any

from ailand_gt4py.lowering import backends, compilation, device_stream


class OperatorCall:
    """Calls a program or a field operator on a backend.

    Args:
        definition: the GT4Py program or field operator.
        backend: a GT4Py backend; None for embedded execution.
        description: for messages: "the samples of 10 variables".
    """

    def __init__(self, definition: Any, backend: Any, description: str) -> None:
        self._call = definition if backend is None else definition.with_backend(backend)
        self._description = description
        self._is_embedded = backend is None
        self._on_gpu = backend is not None and backends.device_of(backend) == "cuda"
        self._is_compiled = False

    def __call__(self, *arguments: Any, **keywords: Any) -> None:
        """As GT4Py's call; on a GPU in the caller's stream's order.

        Raises:
            RunError: it cannot be compiled.
        """
        with device_stream.in_turn() if self._on_gpu else contextlib.nullcontext():
            self._run(*arguments, **keywords)

    def _run(self, *arguments: Any, **keywords: Any) -> None:
        if self._is_compiled:
            self._call(*arguments, **keywords)
        elif self._is_embedded:
            with warnings.catch_warnings():
                # GT4Py remarks on every call that embedded execution is slow; here it was asked for.
                warnings.simplefilter("ignore", category=UserWarning)
                self._call(*arguments, **keywords)
        else:
            with compilation.announced(self._description):
                self._call(*arguments, **keywords)
            self._is_compiled = True
