"""The published networks at their exact sizes with random weights, and what a step of them costs."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import scale

from ailand_gt4py.weights.architectures import POINT_WISE, Sizes, find
from ailand_gt4py.weights.model import Model, Variable

#: Land columns of ECMWF's N320 grid.
N320_COLUMNS = 171_039


@dataclasses.dataclass(frozen=True)
class Network:
    """What the networks' sizes are.

    Attributes:
        architecture: see `ailand_gt4py.weights.architectures`.
        sizes: numbers of inputs and outputs.
        units: of the hidden layers of each block, first to last; the output layers are added.
    """

    architecture: str
    sizes: Sizes
    units: Mapping[str, tuple[int, ...]]

    def layers(self) -> dict[str, list[tuple[int, int]]]:
        """Block name -> (n_in, n_out) of its layers."""
        n_static, n_forcing, n_state, n_diagnostics = self.sizes
        n_input = n_static + n_forcing + n_state
        last = {block: units[-1] for block, units in self.units.items() if units}
        n_in = {
            "simple": {"trunk": n_input, "prognostic": last.get("trunk"), "diagnostic": last.get("trunk")},
            "two_branch": {
                "static": n_static,
                "dynamic": n_forcing + n_state,
                "combine": last.get("static", 0) + last.get("dynamic", 0),
                "prognostic": last.get("combine"),
                "diagnostic": last.get("combine"),
            },
            "layer_norm": {"trunk": n_input, "prognostic": last.get("trunk"), "diagnostic": n_input},
        }[self.architecture]
        heads = {"prognostic": (n_state,), "diagnostic": (n_diagnostics,)}
        return {
            block: list(itertools.pairwise((n_in[block], *self.units.get(block, ()), *heads.get(block, ()))))
            for block in find(self.architecture).blocks
        }

    def flops(self) -> int:
        """Floating-point operations of the matrix products of one step of one column."""
        return 2 * sum(n_in * n_out for layers in self.layers().values() for n_in, n_out in layers)

    def gemms(self) -> list[tuple[int, int]]:
        """(n_in, n_out) of the matrix products of a step, products of one and the same input taken together.

        Together they are one wider product, which is faster; their operations are those of `flops`.
        """
        layers = self.layers()
        products = [layer for block in layers if block not in ("prognostic", "diagnostic") for layer in layers[block]]
        prognostic, diagnostic = layers["prognostic"], layers["diagnostic"]
        if self.architecture == "layer_norm":
            return products + prognostic + diagnostic
        shared = (prognostic[0][0], prognostic[0][1] + diagnostic[0][1])
        return [*products, shared, *prognostic[1:], *diagnostic[1:]]

    def model(self, seed: int = 0) -> Model:
        """With random weights, statistics, and bounds on the first state and the last diagnostic."""
        # Here, for the report needs the sizes only and runs without the tests' path.
        from random_models import random_model

        random = np.random.default_rng(seed)
        parameters: dict[str, np.ndarray] = {}
        for block, layers in self.layers().items():
            for k, (n_in, n_out) in enumerate(layers):
                is_head = block in ("prognostic", "diagnostic") and k == len(layers) - 1
                parameters[f"{block}.{k}.weight"] = random.normal(size=(n_out, n_in)) / np.sqrt(n_in)
                parameters[f"{block}.{k}.bias"] = random.normal(size=n_out) * 0.1
                if find(self.architecture).blocks[block].is_normalised and not is_head:
                    parameters[f"{block}.{k}.gain"] = 1.0 + random.normal(size=n_out) * 0.1
                    parameters[f"{block}.{k}.offset"] = random.normal(size=n_out) * 0.1
        parameters = {name: array.astype(np.float32) for name, array in parameters.items()}
        return dataclasses.replace(random_model(self.architecture, self.sizes, seed=seed), parameters=parameters)


@dataclasses.dataclass(frozen=True)
class PointWiseNetwork(Network):
    """A network of anemoi's point-wise kind: encoder, blocks of two layers each, decoder.

    Attributes:
        units: ``processor``: width between the blocks, number of blocks, width within over that between.
    """

    def layers(self) -> dict[str, list[tuple[int, int]]]:
        n_static, n_forcing, n_state, n_diagnostics = self.sizes
        channels, depth, ratio = self.units["processor"]
        return {
            "encoder": [(n_static + n_forcing + n_state, channels)],
            "processor": [(channels, ratio * channels), (ratio * channels, channels)] * depth,
            "decoder": [(channels, n_state + n_diagnostics)],
        }

    def gemms(self) -> list[tuple[int, int]]:
        return [layer for layers in self.layers().values() for layer in layers]

    def model(self, seed: int = 0) -> Model:
        from point_wise_models import point_wise_model

        channels, depth, ratio = self.units["processor"]
        return point_wise_model(tuple(self.sizes), seed=seed, channels=channels, depth=depth, ratio=float(ratio))


#: The four published shapes (Wesselkamp et al. 2025 and its public code; aiLand v1: Raoult et al. 2026).
NETWORKS: dict[str, Network] = {
    "simple_172": Network("simple", Sizes(20, 12, 7, 3), {"trunk": (172,) * 3}),
    "two_branch_128": Network(
        "two_branch",
        Sizes(19, 12, 7, 3),
        {"static": (128,), "dynamic": (128,), "combine": (128,), "prognostic": (128, 128), "diagnostic": (128,)},
    ),
    "layer_norm_4x256": Network("layer_norm", Sizes(19, 12, 8, 4), {"trunk": (256,) * 4, "diagnostic": (256,)}),
    "layer_norm_6x512": Network("layer_norm", Sizes(18, 18, 7, 5), {"trunk": (512,) * 6, "diagnostic": (512,)}),
}


#: As anemoi ships it, 134 million parameters: 100 times the largest of the others.
LARGE = PointWiseNetwork(POINT_WISE, Sizes(24, 42, 8, 5), {"processor": scale.of((1024, 16, 4), (16, 2, 4))})
#: aiLand v1's shape, twice as wide.
WIDE = Network(
    "layer_norm",
    Sizes(18, 18, 7, 5),
    scale.of({"trunk": (1024,) * 6, "diagnostic": (1024,)}, {"trunk": (24,) * 2, "diagnostic": (24,)}),
)
LARGE_NETWORKS: dict[str, Network] = {"point_wise_1024x16x4": LARGE, "layer_norm_6x1024": WIDE}

#: Columns of their steps: few enough for every peer to be tried, and many.
LARGE_COLUMNS, MANY_LARGE_COLUMNS = scale.of((1000, 10_000), (8, 12))


def shifts(variables: Sequence[Variable]) -> np.ndarray:
    """What normalisation subtracts from each variable, float64."""
    return np.array([variable.normalisation.shift for variable in variables])


def scales(variables: Sequence[Variable]) -> np.ndarray:
    """What normalisation divides each variable by, float64."""
    return np.array([variable.normalisation.scale for variable in variables])


def random_inputs(model: Model, n_columns: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Static, forcing and state (n_columns, n_features) in model units, float32: normal about the means."""
    random = np.random.default_rng(seed)
    groups = (model.static, model.forcing, model.state)
    static, forcing, state = (
        random.standard_normal((n_columns, len(group)), dtype=np.float32) * scales(group).astype(np.float32)
        + shifts(group).astype(np.float32)
        for group in groups
    )
    return static, forcing, state


def sample_columns(n_columns: int, at_most: int = 2000) -> np.ndarray:
    """Columns to check: all, or the first, the last and others evenly between."""
    return np.unique(np.linspace(0, n_columns - 1, min(n_columns, at_most)).astype(np.intp))


def reference(model: Model, inputs: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """New state and diagnostics in normalised space by NumPy in float64; inputs in model units."""
    if model.point_wise is not None:
        from point_wise_models import reference_step

        results = reference_step(model, *inputs)
        return tuple(
            (values - shifts(group)) / scales(group)
            for values, group in zip(results, (model.state, model.diagnostics), strict=True)
        )  # type: ignore[return-value]
    from network_reference import forward

    groups = (model.static, model.forcing, model.state)
    normalised = [
        (np.asarray(values, dtype=np.float64) - shifts(group)) / scales(group)
        for values, group in zip(inputs, groups, strict=True)
    ]
    step = forward(model, *normalised)
    return step.state, step.diagnostics


def relative_errors(model: Model, found: Sequence[np.ndarray], expected: Sequence[np.ndarray]) -> tuple[float, float]:
    """Norm of the difference over the norm of the reference, of new state and diagnostics.

    Both in normalised space: in model units the means (285 K) would make any error look small.

    Args:
        found: in model units. expected: of `reference`, the same columns.
    """
    errors = []
    for values, right, group in zip(found, expected, (model.state, model.diagnostics), strict=True):
        difference = (np.asarray(values, dtype=np.float64) - shifts(group)) / scales(group) - right
        errors.append(float(np.linalg.norm(difference) / np.linalg.norm(right)))
    return errors[0], errors[1]
