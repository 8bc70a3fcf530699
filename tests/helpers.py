"""A small random model with the default model's variables, files that suit it, and a caller of the command."""

from __future__ import annotations

import copy
import shutil
from pathlib import Path

import numpy as np
import xarray as xr

from ailand_gt4py.cli.column_run import main
from ailand_gt4py.weights import variables
from ailand_gt4py.weights.architectures import Sizes
from ailand_gt4py.weights.model import Model, Normalisation, Variable
from ailand_gt4py.weights.model_file import write_model

#: Mean and standard deviation of variables whose values are not of order one.
STATISTICS = {
    "met_lwdown": (300.0, 60.0),
    "met_psurf": (98_000.0, 4_000.0),
    "met_qair": (0.008, 0.004),
    "met_rainf": (0.0, 1e-4),
    "met_snowf": (0.0, 1e-4),
    "met_swdown": (150.0, 200.0),
    "met_tair": (285.0, 10.0),
    "clim_geopot": (2_000.0, 3_000.0),
    "clim_sdor": (50.0, 50.0),
    "clim_tvh": (8.0, 6.0),
    "clim_tvl": (8.0, 6.0),
    "clim_veg_rsminh": (200.0, 100.0),
    "clim_veg_rsminl": (100.0, 50.0),
    "toa_incoming_shortwave_flux": (300.0, 300.0),
    "swvl1": (0.28, 0.08),
    "swvl2": (0.28, 0.08),
    "swvl3": (0.28, 0.08),
    "swvl4": (0.28, 0.08),
    "snowc": (0.1, 0.2),
    "sd": (0.02, 0.02),
    "rsn": (200.0, 60.0),
    "tsn": (262.0, 6.0),
    "asn": (0.7, 0.1),
    "src": (0.3, 0.2),
    "sshf": (-20.0, 60.0),
    "slhf": (-40.0, 60.0),
    "ssr": (150.0, 80.0),
    "str": (-50.0, 30.0),
    "e": (-2e-5, 3e-5),
    "sro": (1e-5, 2e-5),
    "ssro": (1e-5, 2e-5),
    **dict.fromkeys(("stl1", "stl2", "stl3", "stl4", "t2m", "d2m", "skt"), (285.0, 8.0)),
}

#: Variables that may be below zero.
SIGNED = ("sshf", "slhf", "str", "e", "met_wind_e", "met_wind_n")


def _variable(item: variables.Specification) -> Variable:
    mean, std = STATISTICS.get(item.name.removesuffix("_before"), (0.5, 0.5))
    normalisation = Normalisation("mean-std", mean=mean, std=std)
    if item.method == "log":
        normalisation = Normalisation("log", mean=np.log(mean), std=0.5, minimum=item.floor)
    return item.variable(normalisation, mean - 4 * std, mean + 4 * std)


def small_model(seed: int = 0, width: int = 4, increment: float = 0.05) -> Model:
    """A random `layer_norm` network with the default model's variables; its increments are small, its runs stable."""
    groups = [
        tuple(map(_variable, group))
        for group in (variables.DEFAULT.static, variables.DEFAULT.forcing, variables.DEFAULT.state)
    ]
    diagnostics = tuple(map(_variable, variables.DEFAULT.diagnostics))
    sizes = Sizes(*(len(group) for group in groups), len(diagnostics))
    n_input = sizes.static + sizes.forcing + sizes.state
    random = np.random.default_rng(seed)
    parameters: dict[str, np.ndarray] = {}
    for layer, shape, scale in (
        ("trunk.0", (width, n_input), 1.0),
        ("prognostic.0", (sizes.state, width), increment),
        ("diagnostic.0", (width, n_input), 1.0),
        ("diagnostic.1", (sizes.diagnostics, width), 1.0),
    ):
        parameters[f"{layer}.weight"] = (scale * random.normal(size=shape) / np.sqrt(shape[1])).astype(np.float32)
        parameters[f"{layer}.bias"] = np.zeros(shape[0], np.float32)
        if layer in ("trunk.0", "diagnostic.0"):
            parameters[f"{layer}.gain"] = np.ones(shape[0], np.float32)
            parameters[f"{layer}.offset"] = np.zeros(shape[0], np.float32)
    return Model(
        "layer_norm",
        *groups,
        diagnostics,
        parameters,
        step_seconds=21_600.0,
        provenance={"title": "random test network"},
    )


def small_dataset(n_times: int = 40, n_columns: int = 3, start: str = "2021-01-01", seed: int = 1) -> xr.Dataset:
    """Forcing, static fields and reference of `n_times` steps of six hours, random around `STATISTICS`.

    Everything is within the training range of `small_model`.
    """
    random = np.random.default_rng(seed)
    time = np.datetime64(start, "ns") + np.arange(n_times) * np.timedelta64(6, "h")
    data = xr.Dataset(coords={"time": time, "x": 100 + np.arange(n_columns)})
    for group in variables.DEFAULT.groups.values():
        for item in group:
            if item.derived:
                continue
            mean, std = STATISTICS.get(item.name, (0.5, 0.5))
            is_static = item.time_meaning == "static"
            shape = (n_columns,) if is_static else (n_times, n_columns)
            lowest = -np.inf if item.name in SIGNED else 0.0
            values = np.clip(mean + std * random.uniform(-1.0, 1.0, shape), lowest, None).astype(np.float32)
            attributes = {"units": item.units}
            if not is_static:
                attributes["cell_methods"] = "time: mean" if item.time_meaning == "window mean" else "time: point"
            data[item.name] = (("x",) if is_static else ("time", "x"), values, attributes)
    data["met_swdown"] *= 0.05  # that of the night: possible at any time
    data["clim_ctype"][:] = 2
    data["clim_tvh"][:] = 3
    data["clim_tvl"][:] = 7
    data["lat"] = ("x", np.linspace(-50.0, 65.0, n_columns), {"units": "degrees_north"})
    data["lon"] = ("x", np.linspace(-100.0, 120.0, n_columns), {"units": "degrees_east"})
    return data


class Bench:
    """A directory with a model and a forcing file, and the command called on them.

    Attributes:
        path: the directory. model, forcing: the files.
    """

    def __init__(self, path: Path, n_times: int = 40, n_columns: int = 3) -> None:
        self.path, self.model, self.forcing = path, path / "model.nc", path / "forcing.nc"
        write_model(small_model(), self.model)
        small_dataset(n_times, n_columns).to_netcdf(self.forcing)

    def beside(self, path: Path, has_own_files: bool = True) -> Bench:
        """The same in another directory, without output; with copies of the files, or with these."""
        bench = copy.copy(self)
        bench.path = path
        if has_own_files:
            bench.model, bench.forcing = (Path(shutil.copy2(file, path)) for file in (self.model, self.forcing))
        return bench

    def run(self, *arguments: object, output: str = "out.nc", backend: str = "embedded") -> int:
        """Exit status of ``ailand-column-run``."""
        return main(self.arguments(*arguments, output=output, backend=backend))

    def arguments(self, *arguments: object, output: str = "out.nc", backend: str = "embedded") -> list[str]:
        """The command's arguments."""
        own = [self.forcing, "--model", self.model, "--backend", backend, "-o", self.path / output]
        return [str(word) for word in (*own, *arguments)]

    def open(self, name: str = "out.nc") -> xr.Dataset:
        """An output file, decoded, in memory."""
        path = self.path / name
        with xr.open_dataset(path, engine="zarr" if path.is_dir() else "netcdf4") as data:
            return data.load()
