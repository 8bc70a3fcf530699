"""Which of the host's numbers in a window were not finite, told without making the host wait for the device."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from ailand_gt4py.core import arrays


@dataclasses.dataclass(frozen=True)
class NotFinite:
    """The first sample of a window that brought numbers that are not finite.

    Attributes:
        sample: its number in the window. variable: number of the first such variable.
        column: first such land column of it. count: how many columns of it are.
    """

    sample: int
    variable: int
    column: int
    count: int


class FiniteReport:
    """Looks through a window's sums; on a GPU the answer comes while the host goes on.

    Args:
        n_samples: the most samples of a window. n_variables: that are added up. device: of the sums.
    """

    def __init__(self, n_samples: int, n_variables: int, device: arrays.Device) -> None:
        self._xp = arrays.array_module(device)
        self._on_device = device == "cuda"
        self._finite = _host_memory((n_samples, n_variables), bool, device)
        self._positions = _host_memory((2, n_variables), np.int64, device)
        self._n_samples = 0
        self._arrived: Any = None

    def take(self, sums: arrays.Array, finite: arrays.Array, n_samples: int) -> None:
        """Begin to look; the arrays may change once this returns.

        Args:
            sums: (n_variables, n_land). finite: (n_samples, n_variables), whether sums were finite after each sample.
            n_samples: of the window so far.
        """
        if not self._on_device and finite[:n_samples].all():
            return
        bad = ~self._xp.isfinite(sums)
        positions = self._xp.stack([bad.argmax(axis=1), bad.sum(axis=1)])
        self._n_samples = n_samples
        if not self._on_device:
            self._finite[...], self._positions[...] = finite, positions
            return
        stream = self._xp.cuda.get_current_stream()
        finite.get(stream=stream, out=self._finite, blocking=False)
        positions.astype(np.int64).get(stream=stream, out=self._positions, blocking=False)
        self._arrived = stream.record()

    def read(self) -> NotFinite | None:
        """The answer to the last `take`, once; None where all was finite. Waits only if it has not arrived yet."""
        if self._arrived is not None:
            self._arrived.synchronize()
            self._arrived = None
        finite = self._finite[: self._n_samples]
        self._n_samples = 0
        if finite.all():
            return None
        sample = int(np.argmin(finite.all(axis=1)))
        variable = int(np.argmin(finite[sample]))
        column, count = (int(row[variable]) for row in self._positions)
        return NotFinite(sample, variable, column, count)


def _host_memory(shape: tuple[int, ...], dtype: Any, device: arrays.Device) -> np.ndarray[Any, Any]:
    """Memory of the host, for a GPU such that it can be copied to while both go on."""
    if device == "cpu":
        return np.empty(shape, dtype=dtype)
    import cupyx

    pinned: np.ndarray[Any, Any] = cupyx.empty_pinned(shape, dtype=dtype)
    return pinned
