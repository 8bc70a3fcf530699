"""Small files in the layouts of ERA5, of towers and of ecLand, for the journeys of the documentation.

    python make_files.py era5 ecland_columns.nc DIR      # weather.zip, ground.zip, as from the Climate Data Store
    python make_files.py tower ecland_columns.nc DIR     # XX-Toy_Met.nc, XX-Toy_Flux.nc, as of PLUMBER2
    python make_files.py ecland ecland_columns.nc DIR    # met.nc, surfclim.nc, surfinit.nc, o_gg.nc, as of ecLand

`ailand example` writes ecland_columns.nc, whose column in western Germany gives weather, ground and state. **They are
no observations and no reanalysis**: hours are made of windows of six hours, radiation by the height of the sun; the
grid's cells are that column, a little warmer from one to the next; the tower's fluxes are ecLand's, changed and with
noise. They stand in where a reader has no files of his own.
"""

from __future__ import annotations

import argparse
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

import ailand_gt4py
from ailand_gt4py.ecland import humidity

#: The column's label in the example.
COLUMN = 475
HOUR = np.timedelta64(1, "h")
#: Thickness of ecLand's soil layers, m.
THICKNESS = np.array([0.07, 0.21, 0.72, 1.89])
AT_LABELS = ("tair", "qair", "psurf", "wind_e", "wind_n")
OVER_HOURS = ("lwdown", "rainf", "snowf", "ctpf")


def column(path: Path) -> xr.Dataset:
    """The example's column."""
    with xr.open_dataset(path) as file:
        return file.sel(x=COLUMN).load()


def insolation(data: xr.Dataset, times: np.ndarray, seconds: float) -> np.ndarray:
    """(n_times,) mean over windows from these times on, at the top of the atmosphere, W m-2."""
    sun = np.empty((len(times), 1, 1))
    latitude, longitude = (np.atleast_1d(data[name].values) for name in ("lat", "lon"))
    ailand_gt4py.derived_forcing(latitude, longitude, times, seconds, ["toa_incoming_shortwave_flux"], sun)
    return sun[:, 0, 0]


def hourly(data: xr.Dataset, start: np.datetime64, hours: int) -> dict[str, np.ndarray]:
    """Weather at hourly labels from the start on, (hours + 1,): values at the label, means over the hour before it."""
    labels = start + np.arange(hours + 1) * HOUR
    windows = data["time"].values
    own = np.searchsorted(windows, labels - HOUR, side="right") - 1
    own[0] = own[1]
    middle = (windows - windows[0]) / HOUR + 3.0
    found = {n: np.interp((labels - windows[0]) / HOUR, middle, data[f"met_{n}"].values) for n in AT_LABELS}
    found |= {name: data[f"met_{name}"].values[own].astype(np.float64) for name in OVER_HOURS}
    sun, mean = insolation(data, labels - HOUR, 3600.0), insolation(data, windows[own], 21_600.0)
    share = np.divide(sun, mean, out=np.zeros_like(sun), where=mean > 1.0)
    found["swdown"] = data["met_swdown"].values[own] * share
    return found | {
        name: np.interp((labels - windows[0]) / HOUR, middle - 3.0, data[name].values) for name in ("lai_hv", "lai_lv")
    }


def at(data: xr.Dataset, start: np.datetime64, *names: str) -> list[float]:
    """Values of variables at a time."""
    there = data.sel(time=start)
    return [float(there[name]) for name in names]


# ----------------------------------------------------------------------------------------------------
# ERA5.

ERA5_UNITS = {
    **dict.fromkeys(("t2m", "d2m", "stl1", "stl2", "stl3", "stl4", "tsn"), "K"),
    **dict.fromkeys(("u10", "v10"), "m s**-1"),
    **dict.fromkeys(("swvl1", "swvl2", "swvl3", "swvl4"), "m**3 m**-3"),
    **dict.fromkeys(("lsm", "cvh", "cvl", "cl", "asn"), "(0 - 1)"),
    **dict.fromkeys(("tvh", "tvl", "slt"), "~"),
    **dict.fromkeys(("ssrd", "strd"), "J m**-2"),
    **dict.fromkeys(("tp", "cp"), "m"),
    **dict.fromkeys(("sf", "sd", "src"), "m of water equivalent"),
    **dict.fromkeys(("lai_hv", "lai_lv"), "m**2 m**-2"),
    **{"sp": "Pa", "z": "m**2 s**-2", "sdor": "m", "rsn": "kg m**-3"},
}
GROUND = {
    "cvh": "clim_cvh", "cvl": "clim_cvl", "tvh": "clim_tvh", "tvl": "clim_tvl", "slt": "clim_sotype",
    "cl": "clim_clake", "z": "clim_geopot", "sdor": "clim_sdor",
}  # fmt: skip
STATE = (*(f"{name}{k}" for name in ("swvl", "stl") for k in (1, 2, 3, 4)), "sd", "rsn", "asn", "tsn")


def era5(
    data: xr.Dataset, folder: Path, start: np.datetime64, days: int, area: tuple[float, float, float, float]
) -> None:
    """weather.zip and ground.zip; area: north, west, south, east, degrees."""
    north, west, south, east = area
    latitude, longitude = np.arange(north, south - 0.01, -0.25), np.arange(west, east + 0.01, 0.25)
    shape = (len(latitude), len(longitude))
    warmer = np.linspace(-1.0, 1.0, shape[0])[:, None] + np.linspace(-0.5, 0.5, shape[1])
    one = hourly(data, start, 24 * days)
    vapour = humidity.vapour_pressure(one["qair"], one["psurf"])
    total = one["rainf"] + one["snowf"]
    instant = {
        "t2m": one["tair"], "d2m": np.minimum(humidity.dew_point(vapour), one["tair"] - 0.1), "sp": one["psurf"],
        "u10": one["wind_e"], "v10": one["wind_n"], "lai_hv": one["lai_hv"], "lai_lv": one["lai_lv"],
    }  # fmt: skip
    # Sums over the hour before the label: J m-2, and m of water.
    summed = {
        "ssrd": 3600.0 * one["swdown"], "strd": 3600.0 * one["lwdown"], "tp": 3.6 * total, "sf": 3.6 * one["snowf"],
        "cp": 3.6 * one["ctpf"] * total,
    }  # fmt: skip
    ground = {name: float(data[own]) for name, own in GROUND.items()}
    ground |= dict(zip(STATE, at(data, start, *STATE), strict=True)) | {"src": at(data, start, "src")[0] / 1000.0}

    def grid(fields: Mapping[str, Any], kind: str) -> xr.Dataset:
        """As the Climate Data Store has it: valid_time, north to south, GRIB's names in the attributes."""
        dims, variables = ("valid_time", "latitude", "longitude"), {}
        for name, values in fields.items():
            field = np.multiply.outer(np.atleast_1d(values), np.ones(shape)) + (
                warmer if name in ("t2m", "d2m") else 0.0
            )
            attributes = {"units": ERA5_UNITS[name], "GRIB_shortName": name, "GRIB_stepType": kind}
            variables[name] = (dims, field.astype(np.float32), attributes)
        n_times = len(np.atleast_1d(next(iter(fields.values()))))
        times = start.astype("datetime64[ns]") + np.arange(n_times) * HOUR
        coordinates = {
            "valid_time": times,
            "latitude": ("latitude", latitude, {"units": "degrees_north"}),
            "longitude": ("longitude", longitude, {"units": "degrees_east"}),
            "number": 0,
            "expver": ("valid_time", np.array(["0001"] * n_times)),
        }
        return xr.Dataset(variables, coordinates)

    sea = np.zeros(shape)
    sea[0, 0] = 1.0
    fixed = grid({**ground, "lsm": 1.0}, "instant")
    fixed["lsm"] = fixed["lsm"] - sea.astype(np.float32)
    fixed["lsm"].attrs = {"units": "(0 - 1)", "GRIB_shortName": "lsm", "GRIB_stepType": "instant"}
    archive(folder / "weather.zip", instant=grid(instant, "instant"), accum=grid(summed, "accum"))
    archive(folder / "ground.zip", instant=fixed)


def archive(path: Path, **parts: xr.Dataset) -> None:
    """An archive of files as the Climate Data Store names them."""
    with zipfile.ZipFile(path, "w") as packed:
        for kind, part in parts.items():
            name = f"data_stream-oper_stepType-{kind}.nc"
            written = path.with_name(f"{path.stem}_{name}")
            part.to_netcdf(written)
            packed.write(written, name)
            written.unlink()


# ----------------------------------------------------------------------------------------------------
# A tower.


def tower(data: xr.Dataset, folder: Path, start: np.datetime64, days: int, seed: int = 0) -> None:
    """XX-Toy_Met.nc and XX-Toy_Flux.nc: hours from the label on, by a clock one hour ahead of UTC."""
    one, dims = hourly(data, start, 24 * days), ("time", "y", "x")
    now = {name: 0.5 * (one[name][1:] + one[name][:-1]) for name in AT_LABELS}
    met = {
        "Tair": (now["tair"], "K"), "Qair": (now["qair"], "kg/kg"), "Psurf": (now["psurf"], "Pa"),
        "Wind": (np.hypot(now["wind_e"], now["wind_n"]), "m/s"), "SWdown": (one["swdown"][1:], "W/m2"),
        "LWdown": (one["lwdown"][1:], "W/m2"), "Precip": ((one["rainf"] + one["snowf"])[1:], "kg/m2/s"),
        "LAI": (one["lai_lv"][1:], "1"),
    }  # fmt: skip
    # Fluxes of windows of six hours by the hour, upward; what differs from ecLand is there to be learnt.
    random = np.random.default_rng(seed)
    hours = start + np.arange(24 * days) * HOUR
    window = np.searchsorted(data["time"].values, hours, side="right") - 1
    sensible, latent = -data["sshf"].values[window], -data["slhf"].values[window]
    flux = {
        "Qh": (0.8 * sensible + random.normal(0.0, 10.0, len(hours)), "W/m2"),
        "Qle": (latent + 0.2 * sensible + random.normal(0.0, 10.0, len(hours)), "W/m2"),
    }
    gaps = random.random(len(hours)) < 0.05
    for name, fields in (("Met", met), ("Flux", flux)):
        variables = {}
        for key, (values, unit) in fields.items():
            filled = np.where(gaps, np.nan, values) if name == "Flux" else values
            variables[key] = (dims, filled.reshape(-1, 1, 1), {"units": unit})
        local = start + np.timedelta64(1, "h")
        since = {"units": f"seconds since {str(local.astype('datetime64[s]')).replace('T', ' ')}"}
        site = xr.Dataset(
            variables,
            {"time": ("time", 3600.0 * np.arange(len(hours)), since), "x": [1.0], "y": [1.0]},
            {"site_code": "XX-Toy", "Fluxnet_dataset_version": "1-3"},
        )
        height = float(data["clim_geopot"]) / 9.80665
        for key, value, unit in (
            ("latitude", float(data["lat"]), "degrees_north"),
            ("longitude", float(data["lon"]), "degrees_east"),
            ("elevation", height, "m"),
            ("reference_height", 10.0, "m"),
        ):
            site[key] = (("y", "x"), np.array([[value]]), {"units": unit})
        site["IGBP_veg_short"] = ((), np.bytes_("CVM"))
        site.to_netcdf(folder / f"XX-Toy_{name}.nc")


# ----------------------------------------------------------------------------------------------------
# ecLand.

ALMA = {
    "tair": ("Tair", "K"), "qair": ("Qair", "kg/kg"), "psurf": ("PSurf", "Pa"), "wind_e": ("Wind_E", "m/s"),
    "wind_n": ("Wind_N", "m/s"), "swdown": ("SWdown", "W/m2"), "lwdown": ("LWdown", "W/m2"),
    "rainf": ("Rainf", "kg/m2s"), "snowf": ("Snowf", "kg/m2s"), "ctpf": ("Ctpf", "-"),
}  # fmt: skip
SURFCLIM = {
    "geopot": "clim_geopot", "cvl": "clim_cvl", "cvh": "clim_cvh", "cu": "clim_cu", "tvl": "clim_tvl",
    "tvh": "clim_tvh", "sotype": "clim_sotype", "Ctype": "clim_ctype", "sdor": "clim_sdor", "CLAKE": "clim_clake",
}  # fmt: skip
SURFINIT = {"SWE": "sd", "snowdens": "rsn", "SnowT": "tsn", "SAlbedo": "asn", "CanopInt": "src"}
SNOW_UNITS = {"SWE": "kg/m2", "snowdens": "kg/m3", "SnowT": "K", "SAlbedo": "-", "CanopInt": "kg/m2"}


def ecland(data: xr.Dataset, folder: Path, start: np.datetime64, days: int) -> None:
    """met.nc, surfclim.nc, surfinit.nc and o_gg.nc of one cell."""
    plane = {
        "lat": ("lat", [float(data["lat"])], {"units": "degrees_north"}),
        "lon": ("lon", [float(data["lon"])], {"units": "degrees_east"}),
    }

    def cell(values: Any, units: str, *dims: str) -> tuple[tuple[str, ...], np.ndarray, dict[str, str]]:
        values = np.asarray(values, dtype=np.float64)
        return (*dims, "lat", "lon"), values.reshape(*values.shape, 1, 1), {"units": units}

    since = {"units": f"seconds since {str(start.astype('datetime64[s]')).replace('T', ' ')}"}
    one = hourly(data, start, 24 * days)
    met = {name: cell(one[own], units, "time") for own, (name, units) in ALMA.items()}
    labels = {"time": ("time", 3600.0 * np.arange(24 * days + 1), since)}
    about = {"modelID": "ECLand", "SurfSgn_convention": "Mathematical"}
    xr.Dataset(met, plane | labels, {"dataset_name": "ECMWF OSM"}).to_netcdf(folder / "met.nc")
    climate = {name: cell(float(data[own]), data[own].attrs["units"]) for name, own in SURFCLIM.items()}
    months = [data["time"].dt.month == month for month in range(1, 13)]
    for name, own in (("Mlail", "lai_lv"), ("Mlaih", "lai_hv")):
        climate[name] = cell([float(data[own].where(month).mean()) for month in months], "m2/m2", "month")
    xr.Dataset(climate, plane, about).to_netcdf(folder / "surfclim.nc")
    part = data.sel(time=slice(start, start + np.timedelta64(days, "D")))
    mass = 1000.0 * THICKNESS
    water, warmth = (np.stack([part[f"{name}{k}"].values for k in "1234"], axis=1) for name in ("swvl", "stl"))
    states = {
        "SoilMoist": cell(water * mass, "kg/m2", "time", "nlevs"),
        "SoilTemp": cell(warmth, "K", "time", "nlevs"),
        **{
            name: cell(part[own].values * (1000.0 if name == "SWE" else 1.0), SNOW_UNITS[name], "time")
            for name, own in SURFINIT.items()
        },
    }
    seconds = (part["time"].values - start) / np.timedelta64(1, "s")
    output = xr.Dataset(states, plane | {"time": ("time", seconds, since)}, about)
    output.to_netcdf(folder / "o_gg.nc")
    output.isel(time=0, drop=True).to_netcdf(folder / "surfinit.nc")


def main() -> None:
    """Read the command line, write the files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=("era5", "tower", "ecland"), help="whose layout")
    parser.add_argument("example", type=Path, help="ecland_columns.nc, as `ailand example` writes it")
    parser.add_argument("folder", type=Path, help="where the files go")
    parser.add_argument("--start", default="2021-06-01", help="first day (default: 2021-06-01)")
    parser.add_argument("--days", type=int, help="how many (default: 5; of a tower 365, of ecLand 90)")
    parser.add_argument("--area", default="50.5,7,50,8", help="of the grid: N,W,S,E, degrees (default: 50.5,7,50,8)")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    data, start = column(options.example), np.datetime64(options.start, "ns")
    days = options.days or {"era5": 5, "tower": 365, "ecland": 90}[options.kind]
    if options.kind == "era5":
        north, west, south, east = map(float, options.area.split(","))
        era5(data, options.folder, start, days, (north, west, south, east))
    elif options.kind == "tower":
        tower(data, options.folder, start, days)
    else:
        ecland(data, options.folder, start, days)
    print(f"{options.folder}: files in the layout of {options.kind}, {days} days from {options.start}")


if __name__ == "__main__":
    main()
