"""Random networks of every published shape, for tests that need some model but no trained one."""

from __future__ import annotations

import itertools
import pathlib
from collections.abc import Sequence

import netCDF4
import numpy as np

from ailand_gt4py.ecland.soil_heat import PROPERTIES, SOIL_HEAT
from ailand_gt4py.ecland.soil_water import SOIL_WATER
from ailand_gt4py.weights.architectures import Sizes
from ailand_gt4py.weights.model import Model, Normalisation, Variable

ARCHITECTURES = ("simple", "two_branch", "layer_norm")


def random_parameters(
    architecture: str,
    sizes: Sizes,
    rng: np.random.Generator,
    *,
    width: int = 5,
    depth: int = 2,
    dtype: type = np.float32,
) -> dict[str, np.ndarray]:
    """Parameters with ``depth`` hidden layers of slightly different widths in each chain."""
    n_in = sizes.static + sizes.forcing + sizes.state
    hidden = [width + layer for layer in range(depth)]
    chains: dict[str, Sequence[int]]
    if architecture == "simple":
        chains = {
            "trunk": [n_in, *hidden],
            "prognostic": [hidden[-1], sizes.state],
            "diagnostic": [hidden[-1], sizes.diagnostics],
        }
    elif architecture == "two_branch":
        # The widths of the chains differ from the numbers of outputs, so that the split between them is unique.
        inner = [width + max(sizes) + layer for layer in range(depth)]
        chains = {
            "static": [sizes.static, width],
            "dynamic": [sizes.forcing + sizes.state, width + 1],
            "combine": [2 * width + 1, inner[0]],
            "prognostic": [inner[0], *inner, sizes.state],
            "diagnostic": [inner[0], *inner[1:], sizes.diagnostics],
        }
    else:
        chains = {
            "trunk": [n_in, *hidden],
            "prognostic": [hidden[-1], sizes.state],
            "diagnostic": [n_in, *hidden[: max(depth - 1, 1)], sizes.diagnostics],
        }
    parameters: dict[str, np.ndarray] = {}
    for block, widths in chains.items():
        for layer, (n_from, n_to) in enumerate(itertools.pairwise(widths)):
            parameters[f"{block}.{layer}.weight"] = rng.normal(size=(n_to, n_from)) / np.sqrt(max(n_from, 1))
            parameters[f"{block}.{layer}.bias"] = rng.normal(size=n_to) * 0.1
            is_head = block == "prognostic" or layer == len(widths) - 2
            if architecture == "layer_norm" and not (is_head and block != "trunk"):
                parameters[f"{block}.{layer}.gain"] = 1.0 + rng.normal(size=n_to) * 0.1
                parameters[f"{block}.{layer}.offset"] = rng.normal(size=n_to) * 0.1
    return {name: array.astype(dtype) for name, array in parameters.items()}


def random_model(
    architecture: str,
    sizes: Sizes | tuple[int, int, int, int] = (4, 3, 2, 2),
    *,
    seed: int = 0,
    width: int = 5,
    depth: int = 2,
    dtype: type = np.float32,
    bounded_by_others: bool = False,
    soil_heat: bool = False,
    soil_water: bool = False,
) -> Model:
    """A random model in physical units with statistics, and bounds on the first state and the last diagnostic.

    With ``bounded_by_others`` the second and the last state and the first diagnostic are bounded by
    inputs and by the second diagnostic. With ``soil_heat`` the last static inputs are what decides the soil's heat, and
    the third state is a temperature about freezing that changes by it. With ``soil_water``, too,
    the second one likewise, and the first one is soil water that their frost holds.
    """
    sizes = Sizes(*sizes)
    rng = np.random.default_rng(seed)

    def variables(prefix: str, count: int, meaning: str) -> list[dict]:
        return [
            {
                "name": f"{prefix}_{i}",
                "units": "K",
                "long_name": f"{prefix} number {i}",
                "time_meaning": meaning,
                "normalisation": Normalisation("mean-std", mean=float(rng.normal()), std=float(rng.uniform(0.5, 2.0))),
                "training_minimum": -3.0,
                "training_maximum": 3.0,
            }
            for i in range(count)
        ]

    state = variables("state", sizes.state, "window start")
    diagnostics = variables("diagnostic", sizes.diagnostics, "window end")
    state[0]["lower_bound"] = -0.5
    diagnostics[-1] |= {"lower_bound": -0.5, "upper_bound": 0.5}
    if bounded_by_others:
        state[1]["bounded_by"] = "static_1"
        state[-1]["bounded_by"] = "forcing_0"
        diagnostics[0]["bounded_by"] = diagnostics[1]["name"]
    static = variables("static", sizes.static, "static")
    if soil_heat:
        state[2] |= {"normalisation": Normalisation("mean-std", mean=273.5, std=1.5), "increment_of": SOIL_HEAT}
        state[2] |= {"training_minimum": 268.0, "training_maximum": 279.0}
        for position, (name, mean) in enumerate(zip(PROPERTIES, (0.5, 0.7, 0.3, 0.9, 0.4, 0.6), strict=True)):
            scaling = {"normalisation": Normalisation("mean-std", mean=mean, std=0.05)}
            ranges = {"training_minimum": mean - 0.2, "training_maximum": mean + 0.2}
            static[position - len(PROPERTIES)] |= {"name": name, "units": "1"} | scaling | ranges
    if soil_water:
        state[0] |= {"name": "swvl2", "units": "m3 m-3", "increment_of": SOIL_WATER, "lower_bound": 0.25}
        state[0] |= {"normalisation": Normalisation("mean-std", mean=0.3, std=0.05)}
        state[0] |= {"training_minimum": 0.1, "training_maximum": 0.5}
        state[1] |= state[2] | {"name": "stl1", "normalisation": Normalisation("mean-std", mean=272.3, std=0.5)}
        state[2] |= {"name": "stl2", "normalisation": Normalisation("mean-std", mean=272.2, std=0.5)}
    return Model(
        architecture=architecture,
        static=tuple(Variable(**v) for v in static),
        forcing=tuple(Variable(**v) for v in variables("forcing", sizes.forcing, "window mean")),
        state=tuple(Variable(**v) for v in state),
        diagnostics=tuple(Variable(**v) for v in diagnostics),
        parameters=random_parameters(architecture, sizes, rng, width=width, depth=depth, dtype=dtype),
        step_seconds=21600.0,
        provenance={"data": "random numbers", "licence": "Apache-2.0"},
    )


def forget_column(path: pathlib.Path, column: str) -> None:
    """Make a model file one that was written before variables had this column."""
    with netCDF4.Dataset(path, "a") as file:
        for group in ("static", "forcing", "state", "diagnostics"):
            file.renameVariable(f"{group}_{column}", f"{group}_unknown")
