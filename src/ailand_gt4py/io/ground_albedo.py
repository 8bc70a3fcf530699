"""The albedo of the ground without snow, by calendar month, of the albedo that a file has with and without it.

ecLand reads a climatology of the former and gives the latter, as ERA5 does: where there is no snow they are the same,
but for the part of a column that is lake. So a file of ecLand's output, or of ERA5, tells what its background albedo
was, though it lacks it.
"""

from __future__ import annotations

import dataclasses

import dask
import numpy as np
import xarray as xr

from ailand_gt4py.core.times import STANDARD, on_axis
from ailand_gt4py.core.types import Values
from ailand_gt4py.io.fields import COLUMN, TIME, Fields
from ailand_gt4py.io.monthly import MONTH, at_times
from ailand_gt4py.io.units import conversion
from ailand_gt4py.weights.model import ModelVariables
from ailand_gt4py.weights.variables import CATALOGUE

NAME, TOTAL = "albedo_background", "fal"
#: What tells that there is snow, the best first, and up to which value there is none.
SNOW = {"snowc": 0.0, "sd": 1e-6}


def completed(fields: Fields, model: ModelVariables) -> Fields:
    """Fields of windows with the background albedo, where a model takes it and only the albedo with snow is there."""
    data = fields.dataset
    snow = next((name for name in SNOW if name in data and TIME in data[name].dims), None)
    wanted = any(one.name == NAME for one in model.forcing) and NAME not in data
    if not wanted or snow is None or TOTAL not in data or TIME not in data[TOTAL].dims:
        return fields
    times = on_axis(data[TIME].values, str(data[TIME].attrs.get("calendar", STANDARD)))
    months = _months(fields, snow, times.astype("datetime64[M]").astype(np.int64) % 12)
    known = np.isfinite(months).any(axis=0)
    if not known.any():
        return fields
    months[:, known] = _filled(months[:, known])
    months[:, ~known] = months[:, known].mean(axis=1, keepdims=True)
    attributes = {"units": CATALOGUE[NAME].units, "cell_methods": "time: point"}
    climatology = xr.DataArray(months, dims=(MONTH, COLUMN), attrs=attributes)
    values = at_times(climatology, times).astype(np.float32)
    note = (
        f"Not in the input, derived from {TOTAL} where {snow} shows no snow, by calendar month, linear between the "
        f"middles of the months: {NAME}."
    )
    if not known.all():
        note = f"{note[:-1]} (the mean of the others in {int((~known).sum())} columns always under snow)."
    return dataclasses.replace(fields, dataset=data.assign({NAME: values}), notes=[*fields.notes, note])


def _months(fields: Fields, snow: str, month: Values) -> Values:
    """Mean albedo without snow of each calendar month, (12, n_columns); NaN where there was none.

    Args:
        snow: what tells of it. month: (n_times,) 0 to 11.
    """
    data = fields.dataset
    entry = CATALOGUE[snow]
    found = conversion(data[snow].attrs.get("units"), entry.units, fields.what(snow))
    total = conversion(data[TOTAL].attrs.get("units"), CATALOGUE[TOTAL].units, fields.what(TOTAL))
    is_bare = (data[snow] * found.scale + found.offset) <= SNOW[snow]
    # A window without snow at both of its ends: what falls in between has melted before.
    is_bare = is_bare & is_bare.shift({TIME: -1}, fill_value=True)
    albedo = data[TOTAL] * total.scale + total.offset
    is_bare = is_bare & np.isfinite(albedo)
    of_month = xr.DataArray(np.eye(12)[month], dims=(TIME, MONTH))
    sums = xr.dot(of_month, albedo.where(is_bare, 0.0).astype(np.float64), dim=TIME)
    counts = xr.dot(of_month, is_bare.astype(np.float64), dim=TIME)
    sums, counts = dask.compute(sums, counts)
    with np.errstate(invalid="ignore"):
        result: Values = (sums / counts).transpose(MONTH, COLUMN).values
    return result


def _filled(months: Values) -> Values:
    """Months (12, n_columns) without a value have one between those before and after, round the year."""
    result = months.copy()
    for column in np.flatnonzero(np.isnan(months).any(axis=0)):
        there = np.flatnonzero(np.isfinite(months[:, column]))
        result[:, column] = np.interp(np.arange(12), there, months[there, column], period=12)
    return result
