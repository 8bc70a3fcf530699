"""Files of a made-up tower as networks have them: PLUMBER2's Met and Flux, FLUXNET's table, in local standard time."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import xarray as xr

from ailand_gt4py.core.types import Values
from ailand_gt4py.emulator.forcing import derived_forcing

LATITUDE, LONGITUDE, ELEVATION = 50.2, 7.8, 120.0
HALF_HOUR = np.timedelta64(1800, "s")
UTC = np.datetime64("2020-06-01", "ns")


def utc(days: int = 3) -> Values:
    return UTC + np.arange(48 * days) * HALF_HOUR


def weather(times: Values) -> dict[str, Values]:
    """Weather of the half-hours that begin at these times, UTC, in SI units, and upward fluxes."""
    sun = np.empty((len(times), 1, 1))
    where = (np.array([one]) for one in (LATITUDE, LONGITUDE))
    derived_forcing(*where, times, 1800.0, ["toa_incoming_shortwave_flux"], sun)
    index = np.arange(len(times), dtype=np.float64)
    shortwave = sun[:, 0, 0] * np.repeat(np.random.default_rng(0).uniform(0.4, 0.8, len(times) // 6), 6)
    return {
        "tair": 285.0 + 5.0 * np.sin(2.0 * np.pi * (index - 18.0) / 48.0),
        "vpd": 600.0 + index,  # Pa
        "psurf": 99_000.0 + index,
        "wind": 3.0 + 0.01 * index,
        "swdown": shortwave,
        "lwdown": 300.0 + 0.1 * index,
        "precip": np.where(index % 10 == 3, 2e-4, 0.0),
        "lai": np.full(len(times), 2.5),
        "h": 0.3 * shortwave - 10.0,
        "le": 0.2 * shortwave + 5.0,
    }


def labels(times: Values, offset: float = 1.0) -> Values:
    """By a clock so many hours before UTC."""
    return times + np.timedelta64(round(3600 * offset), "s")


UNITS = {"Tair": "K", "VPD": "hPa", "Psurf": "Pa", "Precip": "kg/m2/s", "Wind": "m/s", "LAI": "1"}


def plumber2(
    path: Path, names: dict[str, str], days: int = 3, offset: float = 1.0, flags: dict[str, Values] | None = None
) -> Path:
    """A file of (time, y, x); names: ALMA's -> those of `weather`."""
    values, start = weather(utc(days)), labels(utc(days), offset)
    values["vpd"] = 0.01 * values["vpd"]
    dims, since = ("time", "y", "x"), {"units": f"seconds since {start[0].astype('datetime64[s]')}"}
    fields = {
        name: (
            dims,
            values[own].reshape(-1, 1, 1),
            {"units": UNITS.get(name, "W/m2")},
        )
        for name, own in names.items()
    }
    seconds = (start - start[0]) / np.timedelta64(1, "s")
    attributes = {"site_code": "DE-Syn", "Fluxnet_dataset_version": "1-3"}
    data = xr.Dataset(fields, {"time": ("time", seconds, since), "x": [1.0], "y": [1.0]}, attributes)
    for name, flag in (flags or {}).items():
        data[f"{name}_qc"] = (dims, flag.reshape(-1, 1, 1))
    for name, value, unit in (
        ("latitude", LATITUDE, "degrees_north"),
        ("longitude", LONGITUDE, "degrees_east"),
        ("elevation", ELEVATION, "m"),
        ("reference_height", 10.0, "m"),
    ):
        data[name] = (("y", "x"), np.array([[value]]), {"units": unit})
    data["IGBP_veg_short"] = ((), np.bytes_("GRA"))
    data.to_netcdf(path)
    return path


def callmip(
    path: Path, days: Values, h: Values, le: Values, error: Values, location: tuple[float, float], offset: float
) -> Path:
    """Daily upward fluxes and standard deviations of their errors as CalLMIP has them, (n,); days begin so, UTC."""
    start = labels(days, offset)
    data = xr.Dataset(
        {
            name: ("time", np.asarray(values, dtype=np.float32), {"units": "W/m2"})
            for name, values in (
                ("Qh_daily", h),
                ("Qh_uc_daily", error),
                ("Qle_daily", le),
                ("Qle_uc_daily", 2.0 * error),
            )
        },
        {
            "time": (
                "time",
                (start - start[0]) / np.timedelta64(1, "s"),
                {"units": f"seconds since {str(start[0].astype('datetime64[s]')).replace('T', ' ')}"},
            ),
            "latitude": ("y", [location[0]], {"units": "degrees_north"}),
            "longitude": ("x", [location[1]], {"units": "degrees_east"}),
        },
        {"site_code": "XX-Syn", "Fluxnet_dataset_version": "1-3"},
    )
    data.to_netcdf(path)
    return path


MET = {
    "Tair": "tair",
    "VPD": "vpd",
    "Psurf": "psurf",
    "Wind": "wind",
    "SWdown": "swdown",
    "LWdown": "lwdown",
    "Precip": "precip",
    "LAI": "lai",
}
FLUX = {"Qh": "h", "Qle": "le", "Rnet": "swdown"}


def table(path: Path, days: int = 3, offset: float = 1.0, without: tuple[str, ...] = (), **more: Values) -> Path:
    """FLUXNET's half-hours; more: columns as they are."""
    times = utc(days)
    values = weather(times)
    missing = np.full(len(times), -9999.0)
    columns = {
        "TA_F": values["tair"] - 273.15, "TA_F_MDS": missing, "SW_IN_F": values["swdown"], "LW_IN_F": values["lwdown"],
        "VPD_F": values["vpd"] / 100.0, "PA_F": values["psurf"] / 1000.0, "P_F": values["precip"] * 1800.0,
        "WS_F": values["wind"], "CO2_F_MDS": missing, "LE_F_MDS": values["le"], "H_F_MDS": values["h"],
        "NEE_VUT_REF": missing,
    } | more  # fmt: skip
    columns = {name: column for name, column in columns.items() if name not in without}

    def stamp(time: np.datetime64) -> str:
        return str(time.astype("datetime64[m]")).translate({ord(letter): None for letter in "-T:"})

    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["TIMESTAMP_START", "TIMESTAMP_END", *columns])
        for k, time in enumerate(labels(times, offset)):
            writer.writerow(
                [stamp(time), stamp(time + HALF_HOUR), *(f"{column[k]:.6g}" for column in columns.values())]
            )
    return path
