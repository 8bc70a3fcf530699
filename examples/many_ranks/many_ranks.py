"""One land component on every rank of a decomposed host, without any communication between them.

    mpiexec -n 2 python many_ranks.py OUT.nc

A land column knows nothing of its neighbours, so a rank needs a component on the cells that it owns and nothing else:
no halo is exchanged. MPI is used here for two things that a host does anyway, sharing out the cells at the start and
collecting results for the file at the end. The file has the same bits for any number of ranks.

The host is a sphere of cells under weather made of sines, with land where a sum of sines is positive; some ranks may
own ocean only. Needs mpi4py and an MPI library (extra ``mpi``).
"""

import argparse
from typing import Any

import numpy as np
import xarray as xr
from mpi4py import MPI

import ailand_gt4py
from ailand_gt4py.ecland.snow import NO_SNOW

START, HOST_STEP = np.datetime64("2020-06-01T00:00", "ns"), np.timedelta64(1, "h")
N_CELLS, N_STEPS = 600, 20
#: Mean, amplitude, and period in hours of what the host's atmosphere gives.
WEATHER = {
    "met_tair": (288.0, 8.0, 24.0),
    "met_qair": (8e-3, 2e-3, 60.0),
    "met_psurf": (98_000.0, 800.0, 90.0),
    "met_wind_e": (3.0, 2.0, 40.0),
    "met_wind_n": (1.0, 2.0, 50.0),
    "met_swdown": (300.0, 280.0, 24.0),
    "met_lwdown": (330.0, 30.0, 70.0),
    "met_rainf": (3e-5, 3e-5, 30.0),
    "met_snowf": (0.0, 0.0, 24.0),
}


class Cells:
    """The cells that a rank owns: a share of a spiral over the sphere.

    Args:
        rank: number of the rank. n_ranks: of all.
    """

    def __init__(self, rank: int, n_ranks: int) -> None:
        owned = np.array_split(np.arange(N_CELLS), n_ranks)[rank]
        self.latitude = np.rad2deg(np.arcsin(1.0 - 2.0 * (owned + 0.5) / N_CELLS))
        self.longitude = (137.50776405 * owned) % 360.0 - 180.0
        self.phase = np.deg2rad(self.longitude + 2.0 * self.latitude)
        self.land_mask = np.sin(self.phase) + np.cos(np.deg2rad(3.0 * self.longitude)) > 0.0

    def weather(self, time: np.datetime64) -> dict[str, np.ndarray]:
        """The host's fields of a step: name -> (n_cells,)."""
        hours = float((time - START) / np.timedelta64(1, "h"))
        return {
            name: mean + amplitude * np.sin(2.0 * np.pi * hours / period + self.phase)
            for name, (mean, amplitude, period) in WEATHER.items()
        }

    def component(self, backend: str) -> ailand_gt4py.LandComponent:
        """The land of these cells: all in the middle of the training data, but no snow, dry leaves and C3 plants."""
        model = ailand_gt4py.read_model()
        known = NO_SNOW | {"src": 0.0, "clim_ctype": 3.0}

        def middle(variables: Any) -> dict[str, float]:
            return {
                one.name: known.get(one.name, 0.5 * (one.training_minimum + one.training_maximum)) for one in variables
            }

        return ailand_gt4py.LandComponent(
            model,
            land_mask=self.land_mask,
            latitude=self.latitude,
            longitude=self.longitude,
            static=middle(model.static),
            initial_state=middle(model.state),
            prescribed={"lai_hv": 2.0, "lai_lv": 1.0, "met_ctpf": 0.3},
            start=START,
            host_step=HOST_STEP,
            backend=backend,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description="One land component on every rank.")
    parser.add_argument("output", help="netCDF file, written by rank 0")
    parser.add_argument("--backend", default="dace_cpu", help="of the land (%(default)s)")
    options = parser.parse_args()
    ranks = MPI.COMM_WORLD
    cells = Cells(ranks.rank, ranks.size)
    # Rank 0 compiles, the others then find the program in the cache.
    if ranks.rank == 0:
        land = cells.component(options.backend)
        ranks.Barrier()
    else:
        ranks.Barrier()
        land = cells.component(options.backend)
    for step in range(N_STEPS):
        time = START + step * HOST_STEP
        land(cells.weather(time), time)
    print(f"rank {ranks.rank} of {ranks.size}: {land.n_land} of {len(cells.land_mask)} cells are land", flush=True)

    own = {"lat": cells.latitude, "lon": cells.longitude} | land.outputs
    parts = ranks.gather({name: np.asarray(values) for name, values in own.items()}, root=0)
    if parts is not None:
        fields = {name: ("cell", np.concatenate([part[name] for part in parts])) for name in own}
        xr.Dataset(fields).to_netcdf(options.output)
        print(f"{options.output}: {len(land.outputs)} outputs over {N_CELLS} cells after {N_STEPS} steps", flush=True)


if __name__ == "__main__":
    main()
