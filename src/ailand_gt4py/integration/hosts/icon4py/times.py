"""Dates and durations as ICON4Py has them."""

from __future__ import annotations

import datetime

import numpy as np


def as_datetime64(moment: datetime.datetime) -> np.datetime64:
    """ICON4Py's date, UTC, with or without a time zone."""
    if moment.tzinfo is not None:
        moment = moment.astimezone(datetime.UTC).replace(tzinfo=None)
    return np.datetime64(moment, "ns")


def as_datetime(moment: np.datetime64) -> datetime.datetime:
    """A date as ICON4Py has it, without a time zone."""
    result: datetime.datetime = moment.astype("datetime64[us]").item()
    return result


def as_timedelta(duration: np.timedelta64) -> datetime.timedelta:
    """A duration as ICON4Py has it."""
    result: datetime.timedelta = duration.astype("timedelta64[us]").item()
    return result
