"""A GT4Py program or operator of this package, compiled at its first call with a word to the user."""

from __future__ import annotations

import contextlib
import logging
import time
import warnings
from collections.abc import Iterator
from typing import Any

from ailand_gt4py.errors import AilandError, RunError
from ailand_gt4py.lowering import compilation

logger = logging.getLogger(__name__)


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
        self._is_compiled = backend is None
        self._is_embedded = backend is None

    def __call__(self, *arguments: Any, **keywords: Any) -> None:
        """As GT4Py's call.

        Raises:
            RunError: it cannot be compiled.
        """
        if self._is_compiled and not self._is_embedded:
            self._call(*arguments, **keywords)
            return
        with self._first_call():
            self._call(*arguments, **keywords)

    @contextlib.contextmanager
    def _first_call(self) -> Iterator[None]:
        with warnings.catch_warnings():
            # GT4Py remarks on every call that embedded execution is slow; here it was asked for.
            warnings.simplefilter("ignore", category=UserWarning)
            if self._is_embedded:
                yield
                return
            logger.info("preparing %s: compiled at the first use, then kept", self._description)
            start = time.perf_counter()
            try:
                with compilation.in_this_process():
                    yield
            except AilandError:
                raise
            except Exception as error:
                reason = (str(error).strip().splitlines() or [""])[0]
                raise RunError(f"{self._description} cannot be compiled: {type(error).__name__}: {reason}") from error
            self._is_compiled = True
            logger.info("ready after %.1f s", time.perf_counter() - start)
