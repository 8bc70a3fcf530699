"""One protocol for all methods: the same training columns, the same runs of the hold-out columns, the same scores.

A method is a `Stepper`: it is given a static description and a state, and then weather, window by window.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from ailand_gt4py.evaluation.columns import VerificationColumns, read_columns
from ailand_gt4py.evaluation.runs import label_offset, start_labels
from ailand_gt4py.evaluation.scores.groups import HELD_OUT_BOX
from ailand_gt4py.training.dataset import read_windows
from ailand_gt4py.training.scaling import clip_targets, error_scales, measure, measured_variability
from ailand_gt4py.training.tensors import TrainingData, normalised_tensors
from ailand_gt4py.training.windows import split_columns
from ailand_gt4py.weights.model import Model, Variable
from ailand_gt4py.weights.variables import VariableSet

#: As for the default model (configs/default_model.yaml).
CLIP = {"sshf": (-700.0, 500.0), "slhf": (-1000.0, 120.0)}
STARTS = 12
STEPS_PER_DAY = 4
LEADS_DAYS = (1, 90)


class Stepper(Protocol):
    """A method on its way through some columns; arrays in the model's order and units."""

    def begin(self, static: np.ndarray, state: np.ndarray) -> None:
        """Start from (n, n_static) and (n, n_state)."""

    def step(self, forcing: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """New state (n, n_state) and diagnostics (n, n_diagnostics) of a window with this weather (n, n_forcing)."""


def training_data(files: list[Path], variables: VariableSet, validation_fraction: float, seed: int) -> TrainingData:
    """Read and normalise the training files as ``ailand train`` does."""
    data = read_windows(files, variables, exclude_boxes=[HELD_OUT_BOX])
    columns, _ = split_columns(data.locations, validation_fraction, seed)
    clip_targets(data, variables, CLIP, columns)
    scaling = measure(data, variables, columns)
    scales = error_scales(measured_variability(data, scaling, columns), scaling.state, 3.0)
    return TrainingData(normalised_tensors(data, scaling), columns, scaling, scales)


def normalised(values: np.ndarray, variables: Sequence[Variable]) -> np.ndarray:
    """(n, n_variables) values in the networks' space, float64."""
    columns = [
        one.normalisation.apply(values[:, position].astype(np.float64)) for position, one in enumerate(variables)
    ]
    return np.stack(columns, axis=1)


def score(stepper: Stepper, model: Model, columns: VerificationColumns) -> dict[str, object]:
    """RMSE by variable of runs from many starts (1 and 90 days) and of a free run, and the cost of a step.

    Returns:
        "1 day", "90 days" and "free run": name -> RMSE; "microseconds": CPU time for a column and a step; "finite":
        whether all values were numbers.
    """
    variables = (*model.state, *model.diagnostics)
    found: dict[str, object] = {}
    longest = max(LEADS_DAYS) * STEPS_PER_DAY
    starts = start_labels(columns.n_times, longest, STARTS)
    static = np.tile(columns.static, (starts.size, 1))
    stepper.begin(static, columns.state[starts].reshape(len(static), -1))
    is_finite, spent = True, 0.0
    for step in range(longest):
        before = time.process_time()
        results = stepper.step(columns.forcing[starts + step].reshape(len(static), -1))
        spent += time.process_time() - before
        for days in LEADS_DAYS:
            if step + 1 == days * STEPS_PER_DAY:
                values = np.concatenate(results, axis=1).reshape(starts.size, columns.n_columns, -1)
                is_finite &= bool(np.isfinite(values).all())
                error = {
                    variable.name: values[..., position] - _truth(model, columns, position, starts + step + 1)
                    for position, variable in enumerate(variables)
                }
                found[f"{days} day{'s' * (days > 1)}"] = {
                    name: float(np.sqrt(np.mean(one.astype(np.float64) ** 2))) for name, one in error.items()
                }
    found["microseconds"] = 1e6 * spent / (longest * len(static))
    stepper.begin(columns.static, columns.state[0])
    squares = np.zeros(len(variables))
    for step in range(columns.n_times - 1):
        values = np.concatenate(stepper.step(columns.forcing[step]), axis=1)
        is_finite &= bool(np.isfinite(values).all())
        for position in range(len(variables)):
            truth = _truth(model, columns, position, np.array([step + 1]))[0]
            squares[position] += np.mean((values[:, position].astype(np.float64) - truth) ** 2)
    found["free run"] = {
        variable.name: float(np.sqrt(total / (columns.n_times - 1)))
        for variable, total in zip(variables, squares, strict=True)
    }
    found["finite"] = is_finite
    return found


def _truth(model: Model, columns: VerificationColumns, position: int, labels: np.ndarray) -> np.ndarray:
    """(n_labels, n_columns) of an output that a step ending at these labels should give."""
    if position < len(model.state):
        return columns.state[labels, :, position]
    position -= len(model.state)
    return columns.diagnostics[labels + label_offset(model.diagnostics[position]), :, position]


def hold_out(path: Path, model: Model) -> VerificationColumns:
    """The hold-out columns in single precision."""
    return read_columns(path, model, np.dtype(np.float32))
