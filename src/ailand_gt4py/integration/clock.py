"""The two clocks of a coupled land model: the host's step of minutes and the emulator's window of hours.

A sample is what the host gives in one of its steps. Sample ``time`` stands for [time, time + host_step). The emulator's
windows follow one another from the time at which the initial state is valid. A window is full when the samples up to
its end are there; the emulator then makes its step, before the next sample but one.

A run may start within a window (``start`` after ``state_time``). The samples from the start on then stand for the whole
window: the emulator's step has one length, and what the weather was before the host began nobody knows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.times import HOST_UNIT, in_unit, parse_time, time_text

_NOTHING = np.timedelta64(0, HOST_UNIT)


def _time(value: Any) -> np.datetime64:
    """A time that the host gave."""
    try:
        return parse_time(value, HOST_UNIT)
    except InputError as error:
        raise InputError(f"time: {error}") from error


class LandClock:
    """Which sample comes next, and when a window is full; times are in `core.times.HOST_UNIT`.

    Attributes:
        window_start, n_samples: of the window whose samples are being added up. next_time: of the sample to come.
        is_full: a window has ended and the emulator has not made its step yet; its samples are closed.
    """

    def __init__(
        self,
        window: np.timedelta64,
        host_step: np.timedelta64,
        start: np.datetime64,
        state_time: np.datetime64 | None = None,
    ) -> None:
        self.window, self.host_step = (in_unit(step, HOST_UNIT) for step in (window, host_step))
        step_text, window_text = (f"{step / np.timedelta64(1, 's'):g} s" for step in (self.host_step, self.window))
        if not self.host_step > _NOTHING:
            raise InputError(f"host step: found {step_text}, expected more than 0 s")
        if self.window % self.host_step != _NOTHING:
            raise InputError(
                f"host step: found {step_text}, expected one that divides the emulator's step of {window_text}"
            )
        self.samples_per_window = int(self.window // self.host_step)
        self.next_time = in_unit(start, HOST_UNIT)
        self.window_start = self.next_time if state_time is None else in_unit(state_time, HOST_UNIT)
        elapsed = self.next_time - self.window_start
        found, state_text = f"start: found {time_text(self.next_time)}", time_text(self.window_start)
        if not _NOTHING <= elapsed < self.window:
            raise InputError(
                f"{found}, expected a time in the window of {window_text} that begins with the state at {state_text}"
            )
        if elapsed % self.host_step != _NOTHING:
            raise InputError(
                f"{found}, expected a whole number of host steps of {step_text} after the state at {state_text}"
            )
        self.n_samples = self.n_windows = 0
        self.is_full = False

    @property
    def seconds(self) -> tuple[float, ...]:
        """Lengths over which a host may have accumulated: its step, an hour, the window; each once."""
        step, window = (float(length / np.timedelta64(1, "s")) for length in (self.host_step, self.window))
        return tuple(dict.fromkeys((step, 3600.0, window)))

    def next_closes_window(self) -> bool:
        """Whether the window must be closed before the next sample is added: that belongs to another one."""
        return self.next_time == self.window_start + self.window

    def check_sample(self, time: Any) -> None:
        """Check that a sample is the next one: no call was repeated or missed, and a full window was advanced."""
        time = _time(time)
        shown, steps = time_text(time), (time - self.next_time) / self.host_step
        if self.is_full:
            raise InputError(
                f"time: found the sample of {shown}, expected a call of 'advance' first: the window that "
                f"ended at {time_text(self.window_start)} is full"
            )
        if steps == 0.0:
            return
        if steps == -1.0:
            problem = f"found the sample of {shown} a second time"
        elif steps > 0.0 and steps.is_integer():
            problem = f"found {shown}, {steps:.0f} calls were missed"
        else:
            problem = f"the clock jumped to {shown}"
        raise InputError(f"time: {problem}, expected the sample of {time_text(self.next_time)}")

    def close_window(self) -> None:
        """The samples so far are the window's; the next one begins."""
        self.window_start = self.window_start + self.window
        self.n_samples = 0
        self.is_full = True

    def count_sample(self) -> None:
        self.n_samples += 1
        self.next_time = self.next_time + self.host_step

    def check_advance(self, time: Any) -> None:
        """Check that ``advance`` is called for the last sample's time."""
        time = _time(time)
        last = self.next_time - self.host_step
        found = f"time: 'advance' to {time_text(time)}"
        if self.n_samples == 0:
            raise InputError(f"{found}, expected a sample of {time_text(self.next_time)} first")
        if time != last:
            raise InputError(f"{found}, expected {time_text(last)}, the last sample's")

    def fired(self) -> None:
        """The emulator has made its step through the full window."""
        self.is_full = False
        self.n_windows += 1

    def fraction(self) -> float:
        """How far the last sample's time is in the window, in [0, 1)."""
        return float((self.next_time - self.host_step - self.window_start) / self.window)

    def as_dict(self) -> dict[str, int]:
        """The clock's state, for a restart: `core.times.HOST_UNIT` since 1970 and counts."""
        times = {name: int(getattr(self, name).astype(np.int64)) for name in ("window_start", "next_time")}
        return times | {"n_samples": self.n_samples, "is_full": int(self.is_full), "n_windows": self.n_windows}

    def check(self, position: Mapping[str, int]) -> None:
        """Check that a state of `as_dict` is one in which this clock can be; nothing changes."""
        expected = self.as_dict()
        if position.keys() != expected.keys():
            raise InputError(f"found {', '.join(position) or 'nothing'}, expected {', '.join(expected)}")
        length, step = (int(one.astype(np.int64)) for one in (self.window, self.host_step))
        elapsed, n_samples = position["next_time"] - position["window_start"], position["n_samples"]
        is_within = 0 <= elapsed <= length and elapsed % step == 0 and 0 <= n_samples * step <= elapsed
        if not is_within or position["is_full"] not in (0, 1) or position["n_windows"] < 0:
            raise InputError(f"found {dict(position)}, expected a time in a window of {length // step} samples")

    def restore(self, position: Mapping[str, int]) -> None:
        """Take over the state of `as_dict`, which must be one that `check` lets pass."""
        self.window_start, self.next_time = (
            np.datetime64(position[name], HOST_UNIT) for name in ("window_start", "next_time")
        )
        self.n_samples, self.n_windows = position["n_samples"], position["n_windows"]
        self.is_full = bool(position["is_full"])
