"""The two clocks of a coupled land model: the host's step of minutes and the emulator's window of hours.

A sample is what the host gives in one of its steps. Sample ``time`` stands for [time, time + host_step). The emulator's
windows follow one another from the time at which the initial state is valid. A window is full when the samples up to
its end are there; the emulator then makes its step, before the next sample but one.

A run may start within a window (``start`` after ``state_time``). The samples from the start on then stand for the whole
window: the emulator's step has one length, and what the weather was before the host began nobody knows.
"""

from __future__ import annotations

import numpy as np

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.times import time_text

_NOTHING = np.timedelta64(0, "ns")


class LandClock:
    """Which sample comes next, and when a window is full.

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
        self.window, self.host_step = (step.astype("timedelta64[ns]") for step in (window, host_step))
        step_text, window_text = (f"{step / np.timedelta64(1, 's'):g} s" for step in (self.host_step, self.window))
        if not self.host_step > _NOTHING:
            raise InputError(f"host step: found {step_text}, expected more than 0 s")
        if self.window % self.host_step != _NOTHING:
            raise InputError(
                f"host step: found {step_text}, expected one that divides the emulator's step of {window_text}"
            )
        self.samples_per_window = int(self.window // self.host_step)
        self.next_time = start.astype("datetime64[ns]")
        self.window_start = self.next_time if state_time is None else state_time.astype("datetime64[ns]")
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

    def next_closes_window(self) -> bool:
        """Whether the window must be closed before the next sample is added: that belongs to another one."""
        return self.next_time == self.window_start + self.window

    def check_sample(self, time: np.datetime64) -> None:
        """Check that a sample is the next one: no call was repeated or missed, and a full window was advanced."""
        time = np.datetime64(time).astype("datetime64[ns]")
        shown, steps = time_text(time), (time - self.next_time) / self.host_step
        if self.is_full:
            raise InputError(
                f"time: found the sample of {shown}, expected a call of 'advance' first: the window that "
                f"ended at {time_text(self.window_start)} is full"
            )
        if steps == 0.0:
            return
        if np.isnat(time):
            problem = "found no time"
        elif steps == -1.0:
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

    def check_advance(self, time: np.datetime64) -> None:
        """Check that ``advance`` is called for the last sample's time."""
        time = np.datetime64(time).astype("datetime64[ns]")
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
        """The clock's state, for a restart: nanoseconds since 1970 and counts."""
        times = {name: int(getattr(self, name).astype(np.int64)) for name in ("window_start", "next_time")}
        return times | {"n_samples": self.n_samples, "is_full": int(self.is_full), "n_windows": self.n_windows}

    def restore(self, position: dict[str, int]) -> None:
        """Take over the state of `as_dict`."""
        self.window_start, self.next_time = (
            np.datetime64(position[name], "ns") for name in ("window_start", "next_time")
        )
        self.n_samples, self.n_windows = position["n_samples"], position["n_windows"]
        self.is_full = bool(position["is_full"])
