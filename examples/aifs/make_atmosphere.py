"""Make a small atmosphere for anemoi-inference, offline: data set, training by anemoi-training, and the land's file.

    python make_atmosphere.py DIRECTORY [--networks atmosphere,forced,land]

The data are the columns of the example of ``ailand-column-run`` (three years of synthetic weather and ecLand's answer
to it), named and accumulated as AIFS's fields are, and as many points that are called sea. The atmosphere learns the
weather of ten points: it is none to forecast with. DIRECTORY then has

- ``atmosphere.ckpt``, with soil and skin as prognostic fields, as AIFS has them, and ``forced.ckpt``, which takes the
  soil's upper layer as forcing, as ``anemoi-inference couple`` needs it;
- ``weather.zarr``, their data set, of which a forecast starts;
- ``land.ckpt``, a point-wise land that anemoi-training trains on the same columns, as aiLand is today (``land.zarr``);
- ``ground.nc``, static fields, leaf area and first state of the land points.
"""

from __future__ import annotations

import argparse
import datetime
import os
import shutil
import sys
import types
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import zarr

HERE = Path(__file__).parent
COLUMNS = HERE.parent / "column_run" / "ecland_columns.nc"
START, STEP = np.datetime64("2022-06-01", "ns"), 21_600.0

#: AIFS's name -> ecLand's, of what is instantaneous.
INSTANTANEOUS = {
    "2t": "t2m", "2d": "d2m", "skt": "skt", "sp": "met_psurf", "10u": "met_wind_e", "10v": "met_wind_n",
    "swvl1": "swvl1", "swvl2": "swvl2", "stl1": "stl1", "stl2": "stl2",
}  # fmt: skip
COMPUTED = (
    "cos_latitude", "sin_latitude", "cos_local_time", "sin_local_time", "cos_julian_day", "sin_julian_day",
    "insolation",
)  # fmt: skip
#: Of the point-wise land, by ecLand's names.
LAND_FORCING = (
    "met_tair", "met_qair", "met_psurf", "met_wind_e", "met_wind_n", "met_swdown", "met_lwdown", "met_rainf",
    "met_snowf", "lai_hv", "lai_lv",
)  # fmt: skip
LAND_STATIC = ("clim_cvh", "clim_cvl", "clim_theta_cap", "clim_theta_pwp", "clim_geopot", "clim_veg_z0ml")
LAND_STATE = ("swvl1", "swvl2", "swvl3", "stl1", "stl2", "stl3", "sd")
LAND_DIAGNOSTICS = ("skt", "t2m")
#: What can be trained.
NETWORKS = ("atmosphere", "forced", "land")
UNITS = {
    **dict.fromkeys(("2t", "2d", "skt", "stl1", "stl2"), "K"), "sp": "Pa", "10u": "m s**-1", "10v": "m s**-1",
    **dict.fromkeys(("swvl1", "swvl2"), "m**3 m**-3"), **dict.fromkeys(("tp", "cp", "sf"), "m"),
    **dict.fromkeys(("ssrd", "strd"), "J m**-2"), "z": "m**2 s**-2", "lsm": "(0 - 1)",
}  # fmt: skip


def weather(columns: xr.Dataset) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray, np.ndarray]:
    """Fields (time, point) at land, then at sea, from the second label on; times, latitudes and longitudes."""
    fields = {name: columns[own].values[1:] for name, own in INSTANTANEOUS.items()}
    rain, snow, shortwave, longwave, convective = (
        columns[f"met_{name}"].values[:-1] for name in ("rainf", "snowf", "swdown", "lwdown", "ctpf")
    )
    # A mean over [t, t + 6 h) is accumulated at t + 6 h; of water in m.
    fields |= {"tp": (rain + snow) * STEP / 1000.0, "sf": snow * STEP / 1000.0}
    fields |= {"cp": convective * fields["tp"], "ssrd": shortwave * STEP, "strd": longwave * STEP}
    at_sea = dict(fields, skt=fields["2t"], stl1=fields["2t"], stl2=fields["2t"])
    at_sea |= {name: np.zeros_like(fields[name]) for name in ("swvl1", "swvl2")}
    joined = {name: np.concatenate([fields[name], at_sea[name]], axis=1) for name in fields}
    shape = fields["2t"].shape
    for name, land, sea in (("z", columns.clim_geopot.values, 0.0), ("lsm", 1.0, 0.0)):
        joined[name] = np.concatenate([np.broadcast_to(land, shape), np.full(shape, sea)], axis=1)
    latitude = np.concatenate([columns.lat.values, columns.lat.values]).astype(np.float64)
    longitude = np.concatenate([columns.lon.values, columns.lon.values + 180.0]).astype(np.float64)
    return joined, columns.time.values[1:], latitude, longitude


def computed(times: np.ndarray, latitude: np.ndarray, longitude: np.ndarray) -> dict[str, np.ndarray]:
    """Fields that anemoi-inference computes from time and location, by the same library."""
    import earthkit.data as ekd
    from anemoi.inference.grib import encoding  # noqa: F401  (the package loads earthkit-data's plugins)
    from anemoi.transform.grids.unstructured import UnstructuredGridFieldList

    source = UnstructuredGridFieldList.from_values(latitudes=latitude, longitudes=longitude)
    dates = [one.astype("datetime64[s]").item() for one in times]
    found = ekd.from_source("forcings", source, date=dates, param=list(COMPUTED))
    result = {name: np.empty((len(times), len(latitude)), dtype=np.float32) for name in COMPUTED}
    rows = {date: row for row, date in enumerate(dates)}
    for field in found:
        date = datetime.datetime.fromisoformat(field.metadata("valid_datetime"))
        result[field.metadata("param")][rows[date]] = field.to_numpy(flatten=True)
    return result


def write_store(
    path: Path,
    fields: dict[str, np.ndarray],
    units: dict[str, str],
    times: np.ndarray,
    latitude: np.ndarray,
    longitude: np.ndarray,
) -> None:
    """Write a store as anemoi-datasets makes them (zarr 2): one array (dates, variables, members, points)."""
    fields = fields | computed(times, latitude, longitude)
    names = sorted(fields)
    data = np.stack([fields[name] for name in names], axis=1)[:, :, None].astype(np.float32)
    group = zarr.open_group(str(path), mode="w")
    arrays = {
        "data": data, "dates": times.astype("datetime64[s]"), "latitudes": latitude, "longitudes": longitude,
    }  # fmt: skip
    sample = data.astype(np.float64)
    for name, function in (("mean", np.mean), ("stdev", np.std), ("minimum", np.min), ("maximum", np.max)):
        arrays[name] = function(sample, axis=(0, 2, 3))
    for name, values in arrays.items():
        group.create_dataset(name, data=values, shape=values.shape, dtype=values.dtype,
                             chunks=(64, *values.shape[1:]) if name == "data" else values.shape)  # fmt: skip
    said: dict[str, dict[str, Any]] = {}
    for name in names:
        if name in COMPUTED:
            said[name] = {"computed_forcing": True, "constant_in_time": name.endswith("latitude")}
            continue
        said[name] = {"mars": {"param": name, "levtype": "sfc"}, "units": units[name]}
        if name in ("z", "lsm", *LAND_STATIC):
            said[name]["constant_in_time"] = True
        if name in ("tp", "cp", "sf", "ssrd", "strd"):
            said[name] |= {"process": "accumulation", "period": [0, 6]}
    group.attrs.update(
        variables=names, frequency="6h", resolution="points", ensemble_dimension=2, missing_dates=[],
        start_date=str(arrays["dates"][0]), end_date=str(arrays["dates"][-1]), version="0.30",
        field_shape=[len(latitude)], flatten_grid=True, data_request={}, variables_metadata=said,
    )  # fmt: skip


def write_land_store(path: Path, columns: xr.Dataset) -> None:
    """The data set of the point-wise land, labels at the start of a window."""
    shape = columns["stl1"].shape
    names = (*LAND_FORCING, *LAND_STATIC, *LAND_STATE, *LAND_DIAGNOSTICS)
    fields = {name: np.broadcast_to(columns[name].values, shape) for name in names}
    units = {name: columns[name].attrs["units"] for name in names}
    where = (columns[name].values.astype(np.float64) for name in ("lat", "lon"))
    write_store(path, fields, units, columns.time.values, *where)


def write_ground(path: Path) -> None:
    """The land's columns at the start of the forecast, without weather."""
    with xr.open_dataset(COLUMNS, decode_times=False) as data, xr.open_dataset(COLUMNS) as decoded:
        row = int(np.flatnonzero(decoded.time.values == START)[0])
        weather_names = [name for name in data if str(name).startswith("met_")]
        data.isel(time=[row]).drop_vars(weather_names).to_netcdf(path)


def train(directory: Path, name: str, store: str, overrides: list[str]) -> None:
    """Train a network on a data set, as ``anemoi-training train --config-name=atmosphere`` does."""
    if "timm" not in sys.modules:
        # timm is needed for its schedules of the learning rate; its models would need torchvision.
        spec = find_spec("timm")
        assert spec is not None
        sys.modules["timm"] = timm = types.ModuleType("timm")
        timm.__path__ = list(spec.submodule_search_locations or [])
    from anemoi.training.train.train import AnemoiTrainer
    from hydra import compose, initialize_config_dir

    root = directory / f"training_{name}"
    given = [f"system.input.dataset={directory / store}", f"system.output.root={root}", *overrides]
    with initialize_config_dir(config_dir=str(HERE), version_base=None):
        config = compose("atmosphere", overrides=given)
    AnemoiTrainer(config).train()
    (checkpoint,) = root.glob("checkpoint/*/inference-last.ckpt")
    shutil.copyfile(checkpoint, directory / f"{name}.ckpt")
    shutil.rmtree(root)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path, help="where all is written; made if it is not there")
    parser.add_argument("--steps", type=int, default=800, help="of training (default: 800)")
    parser.add_argument("--networks", default=",".join(NETWORKS), help="those to train (default: %(default)s)")
    options = parser.parse_args()
    directory, steps = options.directory.resolve(), f"training.max_steps={options.steps}"
    networks = options.networks.split(",")
    if unknown := set(networks) - set(NETWORKS):
        parser.error(f"--networks: found {', '.join(sorted(unknown))}, expected some of {', '.join(NETWORKS)}")
    directory.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("ANEMOI_BASE_SEED", "1")
    with xr.open_dataset(COLUMNS) as columns:
        fields, *when_and_where = weather(columns)
        write_store(directory / "weather.zarr", fields, UNITS, *when_and_where)
        write_land_store(directory / "land.zarr", columns)
    write_ground(directory / "ground.nc")
    if "atmosphere" in networks:
        train(directory, "atmosphere", "weather.zarr", [steps])
    if "forced" in networks:
        forcing = [*COMPUTED, "z", "lsm", "swvl1", "stl1"]
        train(directory, "forced", "weather.zarr", [steps, f"data.datasets.data.forcing=[{','.join(forcing)}]"])
    if "land" in networks:
        train(directory, "land", "land.zarr", [steps, *changes_of_land()])


def changes_of_land() -> list[str]:
    """Overrides of the configuration for the point-wise land."""
    forcing = [*COMPUTED, *LAND_FORCING, *LAND_STATIC]
    normaliser = "data.datasets.data.processors.normalizer.config"
    return [
        f"data.datasets.data.forcing=[{','.join(forcing)}]",
        f"data.datasets.data.diagnostic=[{','.join(LAND_DIAGNOSTICS)}]",
        # A bound of zero is one of the normalised value: these must not be shifted.
        f"{normaliser}.std=[met_rainf,met_snowf,swvl1,swvl2,swvl3,sd]",
        f"{normaliser}.max=[]",
        "model.bounding.datasets.data=[{_target_:anemoi.models.layers.bounding.ReluBounding,"
        "variables:[swvl1,swvl2,swvl3,sd]}]",
    ]


if __name__ == "__main__":
    main()
