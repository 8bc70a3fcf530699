"""What stands in options as text: lists of variables, numbers for variables, lengths of time."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.names import listed_names
from ailand_gt4py.core.times import step_text
from ailand_gt4py.uncertainty.amount import Amount

_SECONDS = {"h": 3600.0, "d": 86_400.0}


def amounts(text: str, known: Iterable[str], option: str) -> dict[str, Amount]:
    """Sizes for variables from a list such as ``swvl1=0.02,met_rainf=20%``; empty for an empty text.

    Raises:
        InputError: an unknown variable, or what is no number of at least zero.
    """
    pairs = [part.partition("=") for part in text.split(",") if part.strip()]
    if not pairs:
        return {}
    order = listed_names(",".join(name for name, _, _ in pairs), known, option)
    result = {}
    for name, (_, _, size) in zip(order, pairs, strict=True):
        size = size.strip()
        is_relative = size.endswith("%")
        try:
            value = float(size.removesuffix("%")) * (0.01 if is_relative else 1.0)
        except ValueError:
            value = math.nan
        if not 0.0 <= value < math.inf:
            raise InputError(f"option {option}: found '{name}={size}', expected a number such as {name}=0.02 or 10%")
        result[name] = Amount(value, is_relative)
    return result


def interval(text: str, step: np.timedelta64, option: str) -> int:
    """A length of time such as ``6h`` or ``1d`` in steps.

    Args:
        step: of the model.

    Raises:
        InputError: it is no positive multiple of the step.
    """
    unit, number = text[-1:], text[:-1]
    try:
        seconds = float(number) * _SECONDS[unit]
    except (ValueError, KeyError):
        seconds = math.nan
    steps = seconds / float(step / np.timedelta64(1, "s"))
    if not (math.isfinite(steps) and steps >= 1.0 and abs(steps - round(steps)) < 1e-6):
        raise InputError(
            f"option {option} is '{text}', expected a multiple of the model's step of {step_text(step)} such as 6h, "
            "30h or 1d"
        )
    return round(steps)


def location(text: str | None, option: str) -> tuple[float, float] | None:
    """Latitude and longitude in degrees from "LAT,LON"; None for none.

    Raises:
        InputError: not two numbers of a location on Earth.
    """
    if text is None:
        return None
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != 2 or not (-90.0 <= numbers[0] <= 90.0 and -180.0 <= numbers[1] <= 360.0):
        raise InputError(f"option {option} is '{text}', expected latitude and longitude in degrees such as 51.6,4.9")
    return numbers[0], numbers[1]
