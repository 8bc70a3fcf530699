"""Times and steps as text and back: the one format of messages, options and attributes."""

from __future__ import annotations

import datetime

import numpy as np

from ailand_gt4py.core.errors import InputError


def time_text(time: np.datetime64) -> str:
    """A time as people write it, without needless zeros."""
    seconds = np.datetime_as_string(time, unit="s")
    return seconds[:16] if seconds.endswith(":00") else seconds


def step_text(step: np.timedelta64) -> str:
    """A step in hours or seconds."""
    seconds = float(step / np.timedelta64(1, "s"))
    return f"{seconds / 3600:g} h" if seconds % 60 == 0 else f"{seconds:g} s"


def step_of(seconds: float) -> np.timedelta64:
    """Seconds as a timedelta64 in nanoseconds."""
    return np.timedelta64(round(seconds * 1e9), "ns")


def parse_time(value: str | datetime.date | np.datetime64, option: str) -> np.datetime64:
    """A time that the user gave, UTC: ISO text, with or without a Z, or what YAML makes of it.

    Raises:
        InputError: it is not a time.
    """
    time: np.datetime64
    try:
        if isinstance(value, str):
            time = np.datetime64(value.removesuffix("Z") or "NaT", "ns")
        else:
            time = np.datetime64(value).astype("datetime64[ns]")
    except (ValueError, TypeError):
        time = np.datetime64("NaT", "ns")
    if np.isnat(time):
        raise InputError(f"{option} is '{value}', expected a time such as 2021-01-01T06:00")
    return time
