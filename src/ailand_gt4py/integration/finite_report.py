"""Which of the host's values in a window were not finite, reported without making the host wait for the device."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np

from ailand_gt4py.core import arrays
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.times import time_text
from ailand_gt4py.integration.accumulation import Accumulation
from ailand_gt4py.integration.clock import LandClock
from ailand_gt4py.integration.host_points import HostPoints

logger = logging.getLogger(__name__)


class FiniteReport:
    """Looks through a window's sums; on a GPU the answer comes while the host continues.

    Args:
        accumulation, clock, points: of the component. device: of the sums.
        raises: an error where a number is not finite; False: a warning.
    """

    def __init__(
        self, accumulation: Accumulation, clock: LandClock, points: HostPoints, device: arrays.Device, raises: bool
    ) -> None:
        self._accumulation, self._clock, self._points, self._raises = accumulation, clock, points, raises
        self._xp = arrays.array_module(device)
        self._on_device = device == "cuda"
        self._finite = _host_memory(accumulation.finite.shape, bool, device)
        self._positions = _host_memory((2, len(accumulation.names)), np.int64, device)
        self._n_samples, self._start = 0, clock.next_time
        self._arrived: Any = None

    def take(self) -> None:
        """Begin to look through the samples of the window so far; they may change once this returns."""
        sums, finite, n_samples = self._accumulation.sums, self._accumulation.finite, self._clock.n_samples
        if not self._on_device and finite[:n_samples].all():
            return
        bad = ~self._xp.isfinite(sums)
        positions = self._xp.stack([bad.argmax(axis=1), bad.sum(axis=1)])
        self._n_samples = n_samples
        self._start = self._clock.next_time - n_samples * self._clock.host_step
        if not self._on_device:
            self._finite[...], self._positions[...] = finite, positions
            return
        stream = self._xp.cuda.get_current_stream()
        finite.get(stream=stream, out=self._finite, blocking=False)
        positions.astype(np.int64).get(stream=stream, out=self._positions, blocking=False)
        self._arrived = stream.record()

    def tell(self) -> None:
        """Tell what the last `take` found, once; waits only if that has not arrived yet.

        Raises:
            InputError: a number that is not finite; names the first such variable, point and time.
        """
        if self._arrived is not None:
            self._arrived.synchronize()
            self._arrived = None
        finite = self._finite[: self._n_samples]
        self._n_samples = 0
        if finite.all():
            return
        sample = int(np.argmin(finite.all(axis=1)))
        variable = int(np.argmin(finite[sample]))
        column, count = (int(row[variable]) for row in self._positions)
        others = f" and {count - 1} more land points" if count > 1 else ""
        message = (
            f"{self._accumulation.names[variable]}: found a number that is not finite at "
            f"{self._points.location_text(column)}{others}, {time_text(self._start + sample * self._clock.host_step)}"
        )
        if self._raises:
            raise InputError(f"{message}, expected finite numbers")
        logger.warning("%s; such columns keep their state in this window", message)


def _host_memory(shape: tuple[int, ...], dtype: Any, device: arrays.Device) -> np.ndarray[Any, Any]:
    """Memory of the host, for a GPU such that it can be copied to while both continue."""
    if device == "cpu":
        return np.empty(shape, dtype=dtype)
    import cupyx

    pinned: np.ndarray[Any, Any] = cupyx.empty_pinned(shape, dtype=dtype)
    return pinned
