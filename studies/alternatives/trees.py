"""Gradient-boosted trees (XGBoost, Chen and Guestrin 2016): one forest for each output, from what the MLP reads.

Trees have no gradient, so they learn single steps from true states: no rollout can train them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import xgboost

from ailand_gt4py.training.scaling import Scaling, bounds, scale, shift

from .protocol import TrainingData, normalised

ROUNDS = 300
OPTIONS = {"tree_method": "hist", "max_depth": 8, "eta": 0.1, "subsample": 0.8, "min_child_weight": 10.0, "nthread": 1}


def kept(
    directory: Path, data: TrainingData, samples: int, seed: int, report: Callable[[str], None]
) -> tuple[list[xgboost.Booster], float]:
    """As `train`, or what an earlier call has left in ``directory``."""
    minutes_file = directory / "minutes.json"
    if not minutes_file.exists():
        boosters, minutes = train(data, samples, seed, report)
        directory.mkdir(parents=True, exist_ok=True)
        for position, booster in enumerate(boosters):
            booster.save_model(directory / f"{position:02d}.ubj")
        minutes_file.write_text(json.dumps(minutes))
    else:
        report(f"trees: taken from {directory}, where an earlier call has left them")
    boosters = [xgboost.Booster(OPTIONS, model_file=str(path)) for path in sorted(directory.glob("*.ubj"))]
    return boosters, json.loads(minutes_file.read_text())


def train(
    data: TrainingData, samples: int, seed: int, report: Callable[[str], None]
) -> tuple[list[xgboost.Booster], float]:
    """One booster for each state's increment over its standard deviation, then for each diagnostic."""
    begin = time.perf_counter()
    generator = np.random.default_rng(seed)
    tensors, n_state = data.tensors, len(data.scaling.state)
    chosen = data.columns[generator.integers(0, len(data.columns), samples)]
    columns = torch.from_numpy(chosen)
    windows = torch.from_numpy(generator.integers(0, tensors.n_windows.numpy()[chosen]))
    state = tensors.state_at(columns, windows)
    inputs = torch.cat([tensors.static[columns], tensors.forcing_at(columns, windows), state], dim=1).numpy()
    increments = (tensors.state_at(columns, windows + 1) - state).numpy() / data.scaling.increment_scale
    targets = np.concatenate([increments, tensors.diagnostics_at(columns, windows).numpy()], axis=1)
    matrix = xgboost.QuantileDMatrix(inputs)
    boosters = []
    for position, variable in enumerate((*data.scaling.state, *data.scaling.diagnostics)):
        matrix.set_label(targets[:, position])
        boosters.append(xgboost.train(OPTIONS | {"seed": seed}, matrix, ROUNDS))
        report(f"trees: {variable.name}, {position + 1} of {targets.shape[1]}; increments first, {n_state}")
    return boosters, (time.perf_counter() - begin) / 60.0


def node_count(boosters: list[xgboost.Booster]) -> int:
    """Splits and leaves of all trees: what is to be kept."""
    return sum(text.count("\n") for booster in boosters for text in booster.get_dump())


class TreeStepper:
    """`protocol.Stepper` of trained boosters, states held within their bounds."""

    def __init__(self, boosters: list[xgboost.Booster], scaling: Scaling) -> None:
        self._boosters, self._scaling = boosters, scaling
        self._lower, self._upper = bounds(scaling.state)

    def begin(self, static: np.ndarray, state: np.ndarray) -> None:
        self._static, self._state = normalised(static, self._scaling.static), normalised(state, self._scaling.state)

    def step(self, forcing: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        inputs = np.concatenate([self._static, normalised(forcing, self._scaling.forcing), self._state], axis=1)
        outputs = np.stack([booster.inplace_predict(inputs.astype(np.float32)) for booster in self._boosters], axis=1)
        scaling, n_state = self._scaling, len(self._scaling.state)
        increment = outputs[:, :n_state] * scaling.increment_scale
        self._state = np.clip(self._state + increment, self._lower, self._upper)
        diagnosed = outputs[:, n_state:]
        return (
            self._state * scale(scaling.state) + shift(scaling.state),
            diagnosed * scale(scaling.diagnostics) + shift(scaling.diagnostics),
        )
