"""Times and steps as text and back: the one format of messages, options and attributes."""

from __future__ import annotations

import datetime

import numpy as np

from ailand_gt4py.core.errors import InputError


def time_text(time: np.datetime64) -> str:
    """A time in ISO form, without needless zeros."""
    seconds, _, fraction = np.datetime_as_string(time.astype("datetime64[ns]"), unit="ns").partition(".")
    if fraction := fraction.rstrip("0"):
        return f"{seconds}.{fraction}"
    return seconds[:16] if seconds.endswith(":00") else seconds


def step_text(step: np.timedelta64) -> str:
    """A step in hours or seconds."""
    seconds = float(step / np.timedelta64(1, "s"))
    return f"{seconds / 3600:g} h" if seconds % 60 == 0 else f"{seconds:g} s"


def step_of(seconds: float) -> np.timedelta64:
    """Seconds as a timedelta64 in nanoseconds."""
    return np.timedelta64(round(seconds * 1e9), "ns")


def parse_time(value: object) -> np.datetime64:
    """A time that the user gave, UTC unless it says otherwise: ISO text, or what YAML makes of it."""
    if isinstance(value, np.datetime64) and not np.isnat(value):
        return value.astype("datetime64[ns]")
    try:
        time = datetime.datetime.fromisoformat(str(value).strip())
        if time.tzinfo is not None:
            time = time.astimezone(datetime.UTC).replace(tzinfo=None)
        return np.datetime64(time, "ns")
    except ValueError:
        raise InputError(f"found {value!r}, expected a time (UTC) such as 2021-01-01 or 2021-01-01T06:00") from None


def parse_interval(value: object) -> np.timedelta64:
    """A length of time such as ``6h`` or ``0.5d``."""
    if isinstance(value, np.timedelta64):
        return value
    text = str(value)
    try:
        seconds = float(text[:-1]) * {"h": 3600.0, "d": 86_400.0}[text[-1:]]
        if 0.0 < seconds < 1e9:
            return step_of(seconds)
    except (ValueError, KeyError):
        pass
    raise InputError(f"found '{text}', expected a length of time such as 6h, 30h or 1d")


def whole_steps(interval: np.timedelta64, step: np.timedelta64, option: str) -> int:
    """An interval, which must be a positive multiple of the model's step, in steps."""
    steps = interval / step if step else 0.0
    if not steps >= 1.0 or abs(steps - round(steps)) > 1e-6:
        raise InputError(
            f"option {option}: found {step_text(interval)}, expected a multiple of the model's step of "
            f"{step_text(step)}"
        )
    return round(steps)


def index_of(wanted: np.datetime64, times: np.ndarray, option: str) -> int:
    """Where a time is among labels; `InputError` where it is none of them."""
    found = np.flatnonzero(times == wanted)
    if not found.size:
        raise InputError(
            f"option {option}: found {time_text(wanted)}, expected one of the times of the file, "
            f"{time_text(times[0])} to {time_text(times[-1])}"
        )
    return int(found[0])
