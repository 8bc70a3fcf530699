"""Networks of every published shape and the default model, with inputs, changes and gradients of their own units."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence

import numpy as np
from random_models import random_model

from ailand_gt4py.weights.checkpoints import import_checkpoint
from ailand_gt4py.weights.model import Model, Variable
from ailand_gt4py.weights.model_file import read_model

#: Checkpoints with reference Jacobians.
PUBLISHED = ("ailand_v1_simple_172", "ailand_v1_two_branch_128", "ailand_v2_layernorm_256x4_random")
#: aiLand v1 with random weights: six layers of 512 to 517 units; and the model that ships.
OTHERS = ("aiLand v1", "default")


def model_named(name: str, shared: pathlib.Path | None = None) -> Model:
    """A model of `PUBLISHED` or `OTHERS`."""
    if name == "default":
        return read_model()
    if name == "aiLand v1":
        return random_model("layer_norm", (18, 18, 7, 5), seed=3, width=512, depth=6)
    assert shared is not None
    return import_checkpoint(shared / "checkpoints" / f"{name}.ckpt")


def inputs_of(model: Model, n_columns: int, precision: str = "float64", seed: int = 0) -> list[np.ndarray]:
    """Normal about the means and within the training range, in model units.

    Not at the end of that range: where the sun is down, to the last bit, a bound by insolation meets a lower bound, and
    the derivative is that of one side only.
    """
    random = np.random.default_rng(seed)

    def values(variable: Variable) -> np.ndarray:
        scaling = variable.normalisation
        found = random.normal(size=n_columns) * scaling.scale + scaling.shift
        found = np.exp(found) if scaling.is_logarithmic else found
        lower, upper = variable.training_minimum, variable.training_maximum
        if not np.isfinite(upper - lower):
            return found
        margin = random.uniform(0.001, 0.01, n_columns) * (upper - lower)
        return np.clip(found, lower + margin, upper - margin)

    groups = (model.static, model.forcing, model.state)
    return [np.stack([values(v) for v in group], axis=1).astype(precision) for group in groups]


def changes_of(inputs: Sequence[np.ndarray], seed: int = 100) -> list[np.ndarray]:
    """Random, of the size of the inputs' own spread."""
    random = np.random.default_rng(seed)
    return [(random.normal(size=array.shape) * _spread(array)).astype(array.dtype) for array in inputs]


def gradients_of(results: Sequence[np.ndarray], seed: int = 200) -> list[np.ndarray]:
    """Random, of the size of one over the results' own spread."""
    random = np.random.default_rng(seed)
    return [(random.normal(size=array.shape) / _spread(array)).astype(array.dtype) for array in results]


def products(ones: Sequence[np.ndarray], others: Sequence[np.ndarray]) -> np.ndarray:
    """Of all features of each column, (n_columns, n_features), float64: their sums are dot products."""
    pairs = zip(ones, others, strict=True)
    return np.concatenate([one.astype(np.float64) * other for one, other in pairs], axis=1)


def dot_product_error(
    changes: Sequence[np.ndarray],
    of_changes: Sequence[np.ndarray],
    gradients: Sequence[np.ndarray],
    of_gradients: Sequence[np.ndarray],
) -> np.ndarray:
    """Of each column |<g, M d> - <M^T g, d>| over the sum of the magnitudes of the terms of the larger of the two."""
    forward, backward = products(gradients, of_changes), products(of_gradients, changes)
    size = np.maximum(np.abs(forward).sum(axis=1), np.abs(backward).sum(axis=1))
    return np.abs(forward.sum(axis=1) - backward.sum(axis=1)) / size


def _spread(values: np.ndarray) -> np.ndarray:
    spread = values.astype(np.float64).std(axis=0)
    return np.where(spread > 0.0, spread, 1.0)
