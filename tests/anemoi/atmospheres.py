"""A small atmosphere for anemoi-inference: checkpoint, state at the start, and the land beside it.

It is persistence, but that its temperature relaxes to its skin's and oscillates: what the land gives back shows.
"""

from __future__ import annotations

import datetime
from pathlib import Path

import numpy as np
import torch
import xarray as xr
from anemoi.utils.checkpoints import save_metadata

EXAMPLE = Path(__file__).parents[2] / "examples" / "column_run" / "ecland_columns.nc"
START = datetime.datetime(2021, 6, 1)

PROGNOSTIC = ("2t", "2d", "sp", "10u", "10v", "skt", "swvl1", "swvl2", "stl1", "stl2")
DIAGNOSTIC = ("tp", "cp", "sf", "ssrd", "strd")
#: Sea points, latitude and longitude, before and after each of the land's.
SEA = ((-10.0, 340.0), (0.0, 200.0))
ACCUMULATED = {"process": "accumulation", "period": [0, 6]}


class Atmosphere(torch.nn.Module):
    """Of fields (batch, time, point, variable): prognostic ones, then forcings, then z.

    Args:
        sums: over a step, of `DIAGNOSTIC`; of short wave so little that it can be at night, too.
        without, forcings: prognostic fields that it lacks, and that it takes as forcing; with the temperature of the
            soil among these, its own takes a tenth of that.
    """

    def __init__(
        self,
        sums: tuple[float, ...] = (2e-3, 1e-3, 0.0, 4e5, 7e6),
        without: tuple[str, ...] = (),
        forcings: tuple[str, ...] = (),
    ) -> None:
        super().__init__()
        self.prognostic, self.forcings, self.sums = [name for name in PROGNOSTIC if name not in without], forcings, sums

    def predict_step(self, x, fcstep, **_):
        now = dict(zip((*self.prognostic, *self.forcings, "z"), x[0, -1].unbind(-1), strict=True))
        new = dict(now)
        wave = 3.0 * float(np.sin(0.5 * np.pi * (fcstep + 1)))
        new["2t"] = now["2t"] + 0.2 * (now["skt"] - now["2t"]) + wave if "skt" in now else now["2t"] + wave
        if "stl1" in self.forcings:
            new["2t"] = new["2t"] + 0.1 * (now["stl1"] - now["2t"])
        rows = [new[name] for name in self.prognostic] + [torch.full_like(now["2t"], one) for one in self.sums]
        return torch.stack(rows, dim=-1)[None, None]


def grid() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Latitude, longitude and where the example's columns are: every second point is land, the others sea."""
    with xr.open_dataset(EXAMPLE) as data:
        land = np.stack([data.lat.values, data.lon.values], axis=1).astype(np.float64)
    points = [SEA[0]]
    for k, location in enumerate(land):
        points += [tuple(location), (-50.0 - k, 10.0 * k)]
    latitude, longitude = np.array(points).T
    return latitude, longitude, np.arange(1, len(points), 2)


def metadata(
    timestep: str = "6h",
    without: tuple[str, ...] = (),
    forcings: tuple[str, ...] = (),
    changes: dict[str, dict] | None = None,
) -> dict:
    """Of a checkpoint; ``without``, ``forcings`` as of `Atmosphere`; ``changes``: to what it says of fields."""
    prognostic = [name for name in PROGNOSTIC if name not in (*without, *forcings)]
    diagnostic = [name for name in DIAGNOSTIC if name not in without]
    taken = [*forcings, "z"]
    names = [*prognostic, *diagnostic, *taken]
    n_prognostic, n_out = len(prognostic), len(prognostic) + len(diagnostic)
    inside, outside, of_taken = list(range(n_prognostic)), list(range(n_out)), list(range(n_out, len(names)))
    said = {name: {"mars": {"param": name, "levtype": "sfc"}} for name in names}
    for name in diagnostic:
        said[name] |= ACCUMULATED
    said["z"]["constant_in_time"] = True
    for name, change in (changes or {}).items():
        said[name] |= change
    return {
        "config": {
            "training": {"multistep_input": 1, "precision": "32"},
            "data": {"timestep": timestep, "forcing": taken, "diagnostic": diagnostic},
        },
        "data_indices": {
            "data": {
                "input": {
                    "full": [*inside, *of_taken], "forcing": of_taken, "diagnostic": outside[n_prognostic:],
                    "prognostic": inside,
                },
                "output": {"full": outside},
            },
            "model": {
                "input": {
                    "full": list(range(n_prognostic + len(taken))), "prognostic": inside,
                    "forcing": list(range(n_prognostic, n_prognostic + len(taken))),
                },
                "output": {"full": outside, "prognostic": inside},
            },
        },
        "dataset": {"variables": names, "shape": [100, len(names), 1, len(grid()[0])], "variables_metadata": said},
    }  # fmt: skip


def write_checkpoint(path: Path, model: torch.nn.Module | None = None, **keywords) -> Path:
    """A checkpoint with a model of this module; keywords as of `metadata`."""
    torch.save(model or Atmosphere(), path)
    latitude, longitude, _ = grid()
    save_metadata(path, metadata(**keywords), supporting_arrays={"latitudes": latitude, "longitudes": longitude})
    return path


def start_state() -> dict:
    """The atmosphere's fields at the start, from the example's columns; the sea is that of one of them."""
    latitude, longitude, land = grid()
    with xr.open_dataset(EXAMPLE) as data:
        row = data.sel(time=np.datetime64(START))
        own = {
            "2t": "t2m",
            "2d": "d2m",
            "sp": "met_psurf",
            "10u": "met_wind_e",
            "10v": "met_wind_n",
            "z": "clim_geopot",
        }
        fields = {}
        for name in (*PROGNOSTIC, "z"):
            values = np.full(len(latitude), float(row[own.get(name, name)].values[0]), dtype=np.float32)
            values[land] = row[own.get(name, name)].values
            fields[name] = values
    return {"date": START, "latitudes": latitude, "longitudes": longitude, "fields": fields}


def write_ground(path: Path, **changes) -> Path:
    """The example's columns at the start alone; ``changes``: variables that are other."""
    with xr.open_dataset(EXAMPLE, decode_times=False) as data:
        with xr.open_dataset(EXAMPLE) as decoded:
            row = int(np.flatnonzero(decoded.time.values == np.datetime64(START))[0])
        ground = data.isel(time=[row]).drop_vars([name for name in data if str(name).startswith("met_")]).load()
    for name, values in changes.items():
        ground[name] = (ground[name].dims, np.asarray(values, dtype=ground[name].dtype), ground[name].attrs)
    ground.to_netcdf(path)
    return path
