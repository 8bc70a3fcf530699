"""Score the MLP, an LSTM and boosted trees on the hold-out columns and write the table that a report takes in.

    python -m studies.alternatives DATA_DIRECTORY -o docs/studies/alternatives.json [--model MODEL.nc]

Needs PyTorch and XGBoost (extra ``studies``). The MLP is a trained model; the others are trained here on its variables
but the albedo of the snow, from the same columns, unless an earlier call has left them in the directory ``--work``. A
graph network is not among them: columns of a land-surface model do not exchange anything, so its graph would have no
edges and be the MLP.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ailand_gt4py.emulator.emulator import Emulator
from ailand_gt4py.evaluation.report.attachments import ALTERNATIVES_SCHEMA
from ailand_gt4py.weights.model import Model
from ailand_gt4py.weights.model_file import read_model
from ailand_gt4py.weights.variables import choose

from . import protocol, recurrent, trees

#: States of the LSTM and the trees.
STATE = ("swvl1", "swvl2", "swvl3", "stl1", "stl2", "stl3", "snowc", "sd", "rsn", "tsn", "swvl4", "stl4", "src")
FILES = ("ecland_synth_6h_train.nc", "ecland_synth_6h_train_b.nc")
HOLD_OUT = "ecland_synth_6h_holdout.nc"
SEED = 1


class EmulatorStepper:
    """`protocol.Stepper` of a model, compiled."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._emulators: dict[int, Emulator] = {}

    def begin(self, static: np.ndarray, state: np.ndarray) -> None:
        n = len(static)
        if n not in self._emulators:
            self._emulators[n] = Emulator(self._model, n)
        self._emulator = self._emulators[n]
        self._static, self._state = self._emulator.prepare_static(static), state

    def step(self, forcing: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self._state, diagnostics = self._emulator.step(self._static, forcing, self._state)
        return self._state, diagnostics


class FewerStates:
    """`protocol.Stepper` of a method that has not all of the model's states: the others stay as they are.

    Args:
        stepper: of the method. positions: of its states among the model's.
    """

    def __init__(self, stepper: protocol.Stepper, positions: list[int]) -> None:
        self._stepper, self._positions = stepper, positions

    def begin(self, static: np.ndarray, state: np.ndarray) -> None:
        self._state = state.copy()
        self._stepper.begin(static, state[:, self._positions])

    def step(self, forcing: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self._state[:, self._positions], diagnostics = self._stepper.step(forcing)
        return self._state, diagnostics


def main() -> int:
    parser = argparse.ArgumentParser(description="Score methods on the hold-out columns.")
    parser.add_argument("data", type=Path, metavar="DATA_DIRECTORY")
    parser.add_argument("--model", type=Path, help="the MLP (default: the model in the package)")
    parser.add_argument(
        "--also",
        action="append",
        default=[],
        metavar="NAME=MODEL.nc",
        help="another MLP of the same variables, perhaps fewer states",
    )
    parser.add_argument("-o", "--output", type=Path, default=Path("alternatives.json"))
    parser.add_argument("--work", type=Path, default=Path("out/alternatives"), help="for what is trained")
    parser.add_argument("--width", type=int, default=192, help="of the LSTM (default: %(default)s)")
    parser.add_argument("--samples", type=int, default=400_000, help="windows for the trees (default: %(default)s)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    model = read_model(options.model)
    names = {
        group: [variable.name for variable in getattr(model, group)] for group in ("static", "forcing", "diagnostics")
    }
    columns = protocol.hold_out(options.data / HOLD_OUT, model)
    data = protocol.training_data([options.data / name for name in FILES], choose(**names, state=STATE), 0.1, SEED)
    methods: list[dict[str, Any]] = []

    def add(name: str, stepper: protocol.Stepper, states: Sequence[str], **known: Any) -> None:
        of_model = [variable.name for variable in model.state]
        others = set(of_model).difference(states)
        if others:
            stepper = FewerStates(stepper, [of_model.index(state) for state in states])
        found = protocol.score(stepper, model, columns)
        for scores in found.values():
            if isinstance(scores, dict):
                for state in others:
                    del scores[state]
        methods.append({"name": name, "found": found, **known})
        print(f"{name}: {json.dumps(found)}", file=sys.stderr, flush=True)

    def report(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    def add_mlp(name: str, mlp: Model) -> None:
        add(name, EmulatorStepper(mlp), [variable.name for variable in mlp.state], parameters=mlp.parameter_count)

    add_mlp("MLP (the model)", model)
    options.work.mkdir(parents=True, exist_ok=True)
    for text in options.also:
        name, _, path = text.partition("=")
        add_mlp(name, read_model(path))
    network, minutes = recurrent.kept(options.work / f"lstm_{options.width}.pt", data, options.width, SEED, report)
    count = sum(parameter.numel() for parameter in network.parameters())
    add(
        f"LSTM, {options.width} units",
        recurrent.RecurrentStepper(network, data.scaling),
        STATE,
        parameters=count,
        training_minutes=minutes,
    )
    boosters, minutes = trees.kept(options.work / f"trees_{options.samples}", data, options.samples, SEED, report)
    add(
        f"XGBoost, {trees.ROUNDS} trees for each output",
        trees.TreeStepper(boosters, data.scaling),
        STATE,
        parameters=trees.node_count(boosters),
        training_minutes=minutes,
    )
    options.output.write_text(json.dumps(table(model, methods), indent=1) + "\n")
    return 0


def table(model: Model, methods: list[dict[str, Any]]) -> dict[str, Any]:
    """The file's content: scores at 90 days under the variables' names, those at 1 day and of the free run beside."""
    variables = [
        {"name": f"{variable.name}, {what}", "units": variable.units}
        for what in ("1 day", "90 days", "free run")
        for variable in (*model.state, *model.diagnostics)
    ]
    return {
        "schema": ALTERNATIVES_SCHEMA,
        "title": "The MLP, an LSTM and boosted trees on the hold-out columns",
        "metric": "RMSE after 1 day, after 90 days and over the free run of three years",
        "variables": variables,
        "methods": [
            {
                "name": method["name"],
                "scores": {
                    f"{name}, {what}": value
                    for what in ("1 day", "90 days", "free run")
                    for name, value in method["found"][what].items()
                    if np.isfinite(value)
                },
                "microseconds": method["found"]["microseconds"],
                **{key: method[key] for key in ("parameters", "training_minutes") if key in method},
            }
            for method in methods
        ],
        "note": (
            "The model that ships has learnt longer than LSTM and trees, and from the runs with other parameters and "
            "the validation columns, too; an MLP trained for as many iterations as the LSTM, also on these runs, "
            "stands beside it. LSTM and MLP learn from the same loss over rollouts, the LSTM without weights of "
            "variables; the trees from single steps, since they have no gradient. None but the MLP was tried in more "
            "than one size. A graph network would have no edges: columns exchange nothing. "
            f"CPU time on {os.cpu_count()} cores of {platform.machine()}, PyTorch and XGBoost on one thread."
        ),
    }


if __name__ == "__main__":
    raise SystemExit(main())
