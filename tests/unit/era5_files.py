"""Made-up weather as ERA5's users get it, in every layout, and the same in this package's own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import xarray as xr
from column_files import STATIC_UNITS

from ailand_gt4py.ecland import humidity
from ailand_gt4py.io.conventions.era5 import PARAMETERS

#: North to south, as ERA5 has them.
LATITUDE, LONGITUDE = np.array([50.5, 50.25]), np.array([7.0, 7.25, 7.5])
N_CELLS = len(LATITUDE) * len(LONGITUDE)
#: The cell that is sea.
SEA = 0

UNITS = {
    **dict.fromkeys(("t2m", "d2m", "stl1", "stl2", "stl3", "stl4", "tsn", "skt"), "K"),
    **dict.fromkeys(("u10", "v10"), "m s**-1"),
    **dict.fromkeys(("swvl1", "swvl2", "swvl3", "swvl4"), "m**3 m**-3"),
    **dict.fromkeys(("lsm", "cvh", "cvl", "cl", "asn"), "(0 - 1)"),
    **dict.fromkeys(("tvh", "tvl", "slt"), "~"),
    **dict.fromkeys(("ssrd", "strd", "sshf", "slhf", "ssr", "str"), "J m**-2"),
    **dict.fromkeys(("tp", "cp", "sro", "ssro"), "m"),
    **dict.fromkeys(("sf", "sd", "src", "e"), "m of water equivalent"),
    **dict.fromkeys(("lai_hv", "lai_lv"), "m**2 m**-2"),
    **dict.fromkeys(("avg_sdswrf", "avg_sdlwrf", "msdwswrf"), "W m**-2"),
    **{"sp": "Pa", "z": "m**2 s**-2", "sdor": "m", "rsn": "kg m**-3", "avg_tprate": "kg m**-2 s**-1"},
}
#: Short name of netCDF files -> the Climate Data Store's long one. Snow depth: ARCO-ERA5's.
LONG = {one.short[0]: one.long[0] for one in PARAMETERS} | {"sd": "snow_depth"}
ACCUMULATED = ("ssrd", "strd", "tp", "cp", "sf")
STATIC = ("lsm", "cvh", "cvl", "tvh", "tvl", "slt", "cl", "z", "sdor")


def times(hours: int) -> np.ndarray:
    """Hours from 2020-06-01 00 UTC on, both ends included."""
    return np.datetime64("2020-06-01", "ns") + np.arange(hours + 1) * np.timedelta64(1, "h")


def weather(hours: int) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """By this package's names, (hours + 1, cells): what is instantaneous, and means over the hour before."""
    hour, cell = np.arange(hours + 1)[:, None], np.arange(N_CELLS)
    longitude = np.tile(LONGITUDE, len(LATITUDE))
    sun = np.maximum(np.cos(np.pi / 12.0 * (hour - 0.5 + longitude / 15.0 - 12.0)), 0.0)
    rain = np.where((hour % 30 > 19) & (hour % 30 <= 22), 2e-4, 1e-6)
    now = {
        "met_tair": 288.0 + 0.5 * (cell % 20) + 3.0 * np.sin(np.pi / 12.0 * (hour - 9.0)),
        "met_qair": 0.0075 + 0.0003 * np.sin(np.pi / 18.0 * hour) + 0.0 * cell,
        "met_psurf": 99_000.0 + 150.0 * np.sin(hour / 10.0) - 20.0 * (cell % 50),
        "met_wind_e": 3.0 + np.sin(hour / 3.0) + 0.0 * cell,
        "met_wind_n": 1.0 + 0.5 * np.sin(hour / 5.0) - 0.1 * (cell % 20),
        "lai_hv": np.full((hours + 1, N_CELLS), 2.5),
        "lai_lv": np.full((hours + 1, N_CELLS), 1.5),
    }
    before = {
        "met_swdown": 850.0 * sun + 0.0 * cell,
        "met_lwdown": 320.0 + 15.0 * np.sin(np.pi / 12.0 * (hour - 14.0)) + 0.0 * cell,
        "met_rainf": rain * (1.0 + 0.1 * (cell % 20)),
        "met_snowf": 0.1 * rain + 0.0 * cell,
        "met_ctpf": np.full((hours + 1, N_CELLS), 0.3),
    }
    return now, before


STATE = {
    **{f"swvl{k}": 0.2 + 0.02 * k for k in range(1, 5)},
    **{f"stl{k}": 290.0 - k for k in range(1, 5)},
    **{"sd": 0.02, "rsn": 150.0, "tsn": 271.0, "asn": 0.7, "src": 2e-4},
}
GROUND = {"cvh": 0.3, "cvl": 0.6, "tvh": 5.0, "tvl": 7.0, "slt": 2.0, "cl": 0.0, "z": 3000.0, "sdor": 20.0}


def era5(hours: int) -> dict[str, np.ndarray]:
    """ECMWF's short names -> (hours + 1, cells) or (cells,), in ECMWF's units; accumulated over the hour before."""
    now, before = weather(hours)
    vapour = humidity.vapour_pressure(now["met_qair"], now["met_psurf"])
    depth = {name: 3.6 * before[name] for name in ("met_rainf", "met_snowf")}  # m in an hour
    total = depth["met_rainf"] + depth["met_snowf"]
    result = {
        "t2m": now["met_tair"],
        "d2m": humidity.dew_point(vapour),
        "sp": now["met_psurf"],
        "u10": now["met_wind_e"],
        "v10": now["met_wind_n"],
        "lai_hv": now["lai_hv"],
        "lai_lv": now["lai_lv"],
        "ssrd": 3600.0 * before["met_swdown"],
        "strd": 3600.0 * before["met_lwdown"],
        "tp": total,
        "sf": depth["met_snowf"],
        "cp": before["met_ctpf"] * total,
        **{name: np.full((hours + 1, N_CELLS), value) for name, value in STATE.items()},
        **{name: np.full(N_CELLS, value) for name, value in GROUND.items()},
    }
    result["lsm"] = np.where(np.arange(N_CELLS) == SEA, 0.0, 1.0)
    return result


def since_midnight(fields: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The same with accumulations from 00 UTC on, the value at 00 UTC that of the whole day before, as in ERA5-Land."""
    result = dict(fields)
    for name in ACCUMULATED:
        values = fields[name].copy()
        for hour in range(1, len(values)):
            if hour % 24 != 1:
                values[hour] += values[hour - 1]
        # The file begins at the end of a day.
        values[0] *= 24.0
        result[name] = values
    return result


def gridded(fields: Mapping[str, np.ndarray], time: str, *, names: Mapping[str, str] | None = None) -> xr.Dataset:
    """On the grid, float32, with units; ``names``: what they are called, by short name."""
    data = xr.Dataset()
    n_times = (
        next(len(one) for one in fields.values() if one.ndim == 2)
        if any(one.ndim == 2 for one in fields.values())
        else 0
    )
    for name, values in fields.items():
        dims = ("latitude", "longitude") if values.ndim == 1 else (time, "latitude", "longitude")
        shaped = values.astype(np.float32).reshape(*values.shape[:-1], len(LATITUDE), len(LONGITUDE))
        data[(names or {}).get(name, name)] = (dims, shaped, {"units": UNITS[name]})
    coordinates = {
        "latitude": ("latitude", LATITUDE, {"units": "degrees_north"}),
        "longitude": ("longitude", LONGITUDE, {"units": "degrees_east"}),
    }
    data = data.assign_coords(coordinates)
    if n_times:
        data = data.assign_coords({time: times(n_times - 1)})
        data[time].encoding = {"units": "hours since 1900-01-01", "dtype": "int64"}
    return data


def cds(fields: Mapping[str, np.ndarray], step_type: str) -> xr.Dataset:
    """The present layout of the Climate Data Store: valid_time, one file for each type of step."""
    data = gridded(fields, "valid_time")
    for name in data.data_vars:
        data[name].attrs |= {
            "GRIB_shortName": name,
            "GRIB_stepType": step_type,
            "GRIB_missingValue": 3.4028234663852886e38,
        }
    if "valid_time" in data.dims:
        versions = np.array(["0001"] * data.sizes["valid_time"])
        data = data.assign_coords(number=0, expver=("valid_time", versions))
    return data


def write(data: xr.Dataset, path: Path) -> Path:
    data.to_netcdf(path)
    return path


def cds_files(folder: Path, hours: int, fields: Mapping[str, np.ndarray] | None = None) -> list[Path]:
    """Two files, and the constant fields at one time in a third."""
    fields = fields or era5(hours)
    parts = {
        "instant": {name: one for name, one in fields.items() if name not in (*ACCUMULATED, *STATIC)},
        "accum": {name: fields[name] for name in ACCUMULATED},
    }
    paths = [write(cds(part, kind), folder / f"data_stream-oper_stepType-{kind}.nc") for kind, part in parts.items()]
    constant = cds({name: fields[name][None] for name in STATIC}, "instant")
    return [*paths, write(constant, folder / "static.nc")]


def own_layout(hours: int) -> xr.Dataset:
    """The same weather in this package's layout: (time, x), means over [t, t + 6 h), states at t; no column is sea."""
    now, before = weather(hours)
    n, land = hours // 6, np.arange(N_CELLS) != SEA
    latitude, longitude = (one.ravel()[land] for one in np.meshgrid(LATITUDE, LONGITUDE, indexing="ij"))
    data = xr.Dataset(coords={"time": times(hours)[: 6 * n : 6], "x": np.arange(land.sum())})
    means = {name: (0.5 * (one[1:] + one[:-1])) for name, one in now.items() if name.startswith("met_")}
    means |= {name: one[1:] for name, one in before.items()}
    for name, one in means.items():
        values = one[: 6 * n].reshape(n, 6, N_CELLS).mean(axis=1)[:, land]
        data[name] = (("time", "x"), values.astype(np.float32), {"cell_methods": "time: mean"})
    for name in ("lai_hv", "lai_lv"):
        data[name] = (("time", "x"), now[name][: 6 * n : 6, land].astype(np.float32), {"cell_methods": "time: point"})
    units = {"met_ctpf": "1", "met_psurf": "Pa", "met_qair": "kg kg-1", "met_tair": "K"}
    for name in data.data_vars:
        wind = "m s-1" if "wind" in name else "W m-2" if "down" in name else "kg m-2 s-1"
        data[name].attrs["units"] = "m2 m-2" if name.startswith("lai") else units.get(str(name), wind)
    for name, value in STATE.items():
        given = {"src": 1000.0 * value}.get(name, value)
        data[name] = (("time", "x"), np.full((n, land.sum()), given, np.float32), {"cell_methods": "time: point"})
        data[name].attrs["units"] = {"src": "kg m-2", "sd": "m", "rsn": "kg m-3", "asn": "1"}.get(
            name, "K" if name.startswith(("stl", "tsn")) else "m3 m-3"
        )
    ground = {
        **{f"clim_{name}": GROUND[name] for name in ("cvh", "cvl", "tvh", "tvl", "sdor")},
        **{"clim_sotype": GROUND["slt"], "clim_clake": GROUND["cl"], "clim_geopot": GROUND["z"]},
        **{"clim_cu": 0.0, "clim_ctype": 3.0},
    }
    for name, value in ground.items():
        data[name] = (("x",), np.full(land.sum(), value, np.float32), {"units": STATIC_UNITS.get(name, "1")})
    data["lat"] = ("x", latitude, {"units": "degrees_north"})
    data["lon"] = ("x", longitude, {"units": "degrees_east"})
    return data
