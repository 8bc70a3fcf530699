"""The inputs that a model derives from time and location, written into the forcing array."""

from __future__ import annotations

from collections.abc import Sequence

import gt4py.next as gtx
import numpy as np

from ailand_gt4py.core import arrays
from ailand_gt4py.core.dimensions import Column
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.lowering.calls.operator_call import OperatorCall
from ailand_gt4py.stencils.physics import solar

_DAY = np.timedelta64(86_400_000_000_000, "ns")


def time_angles(time: np.ndarray, step_seconds: float) -> tuple[np.ndarray, np.ndarray, float]:
    """Day angle, Greenwich hour angle and the window's angle, in radians (see `stencils.solar.solar_inputs`).

    Args:
        time: datetime64, starts of the windows, UTC.
        step_seconds: length of the window, in (0, 86400].

    Raises:
        InputError: a step that is not in that range.
    """
    if not 0.0 < step_seconds <= 86_400.0:
        raise InputError(f"the step is {step_seconds} s, expected more than 0 and at most 86400 s")
    time = np.asarray(time, dtype="datetime64[ns]")
    middle = time + np.timedelta64(round(step_seconds * 0.5e9), "ns")
    year = middle.astype("datetime64[Y]")
    year_start = year.astype("datetime64[ns]")
    year_length = (year + np.timedelta64(1, "Y")).astype("datetime64[ns]") - year_start
    day_angle = 2.0 * np.pi * ((middle - year_start) / year_length)
    time_of_day = (time - time.astype("datetime64[D]").astype("datetime64[ns]")) / _DAY
    return day_angle, 2.0 * np.pi * (time_of_day - 0.5), 2.0 * np.pi * step_seconds / 86_400.0


#: (type, identity of the backend) -> the operator on it. Backends cannot be compared; the call keeps its backend, so
#: that no other gets its identity.
_OPERATORS: dict[tuple[type, int], OperatorCall] = {}


def _operator(dtype: type, backend: gtx.backend.Backend | None) -> OperatorCall:
    key = (dtype, id(backend))
    if key not in _OPERATORS:
        _OPERATORS[key] = OperatorCall(
            solar.solar_operator(dtype), backend, "the inputs derived from time and location"
        )
    return _OPERATORS[key]


def derived_forcing(
    latitude: np.ndarray,
    longitude: np.ndarray,
    time: np.datetime64 | np.ndarray,
    step_seconds: float,
    names: Sequence[str],
    out: arrays.Array,
    backend: gtx.backend.Backend | None = None,
    device: arrays.Device = "cpu",
) -> None:
    """Write the derived inputs ``names`` into the last axis of ``out``, in that order.

    Args:
        latitude, longitude: (n,) degrees north and east.
        time: start of the window, UTC: one time for all n columns, or (n_times,) for n_times rows of columns.
        step_seconds: length of the window.
        names: from `stencils.solar.DERIVED_NAMES`; may be empty.
        out: (n, n_names) or, for n_times times, (n_times, n, n_names), float32 or float64, on ``device``; written in
            position. It may be a slice of a larger forcing array as long as times and columns have one common stride.
        backend: a GT4Py backend; None for embedded execution.

    Raises:
        InputError: an unknown name, or an array of the wrong shape or type.
    """
    unknown = [name for name in names if name not in solar.DERIVED_NAMES]
    if unknown:
        raise InputError(f"derived input '{unknown[0]}' is unknown; expected one of {', '.join(solar.DERIVED_NAMES)}")
    times = np.atleast_1d(np.asarray(time, dtype="datetime64[ns]"))
    n_columns = len(latitude)
    shape = (n_columns, len(names)) if np.ndim(time) == 0 else (len(times), n_columns, len(names))
    if out.shape != shape:
        raise InputError(f"array for the derived inputs: found the shape {out.shape}, expected {shape}")
    if not names or n_columns == 0:
        return
    xp = arrays.array_module(device)
    day_angle, greenwich_hour_angle, window_angle = time_angles(times, step_seconds)

    def for_each_time(values: np.ndarray) -> arrays.Array:
        return xp.tile(xp.asarray(values, dtype=xp.float64), len(times))

    def for_each_column(values: np.ndarray) -> arrays.Array:
        if len(values) == 1:
            # On a GPU the number goes with the kernel's arguments: no copy that would wait for the device.
            return xp.full(n_columns, float(values[0]))
        return xp.repeat(xp.asarray(values, dtype=xp.float64), n_columns)

    flat = out.reshape(len(times) * n_columns, len(names))
    if not xp.shares_memory(flat, out) if device == "cpu" else flat.data.ptr != out.data.ptr:
        raise InputError(
            f"array for the derived inputs: strides {out.strides} do not let times and columns be one axis"
        )
    results = [
        flat[:, names.index(name)] if name in names else xp.empty(len(flat), dtype=out.dtype)
        for name in solar.DERIVED_NAMES
    ]
    inputs = (
        for_each_time(latitude),
        for_each_time(longitude),
        for_each_column(day_angle),
        for_each_column(greenwich_hour_angle),
    )
    _operator(np.dtype(out.dtype).type, backend)(
        *(arrays.wrap(array, (Column,), "derived input") for array in inputs),
        window_angle,
        out=tuple(
            arrays.wrap(array, (Column,), name) for array, name in zip(results, solar.DERIVED_NAMES, strict=True)
        ),
        offset_provider={},
    )
