"""The metadata of an inference checkpoint: what anemoi-inference knows of it before it loads the network."""

from __future__ import annotations

import datetime
import importlib.metadata
import platform
import uuid
from pathlib import Path
from typing import Any

import ailand_gt4py
from ailand_gt4py.training.exports.anemoi.configuration import DATASET
from ailand_gt4py.training.exports.anemoi.interface import Made
from ailand_gt4py.weights.checkpoints.anemoi.checkpoint import AnemoiCheckpoint, AnemoiVariable

_PACKAGES = ("anemoi-models", "anemoi-utils", "torch", "torch-geometric")


def add(path: Path, found: AnemoiCheckpoint, made: Made) -> None:
    """Add the metadata, and the arrays of the columns' latitudes and longitudes, to a checkpoint."""
    from anemoi.utils.checkpoints import save_metadata

    arrays = {"latitudes": found.latitudes, "longitudes": found.longitudes}
    save_metadata(str(path), _metadata(found, made), supporting_arrays={DATASET: arrays})


def _metadata(found: AnemoiCheckpoint, made: Made) -> dict[str, Any]:
    from anemoi.utils.dates import frequency_to_string

    step = frequency_to_string(datetime.timedelta(seconds=found.step_seconds))
    variables = found.variables
    now = datetime.datetime.now(datetime.UTC).isoformat()
    times = list(range(found.n_times))
    inference = {
        "data_indices": {side: dict(getattr(made.indices.model, side).name_to_index) for side in ("input", "output")},
        "variable_types": {
            "forcing": [name for name, one in variables.items() if not one.is_output],
            "target": [],
            "prognostic": [name for name, one in variables.items() if one.is_input and one.is_output],
            "diagnostic": [name for name, one in variables.items() if not one.is_input],
        },
        "timesteps": {
            "relative_date_indices_training": [*times, found.n_times],
            "input_relative_date_indices": times,
            "output_relative_date_indices": [found.n_times],
            "timestep": step,
        },
        "shapes": {
            "variables": found.parameters["encoder.0.weight"].shape[1],
            "input_timesteps": found.n_times,
            "ensemble": 1,
            "grid": None,
        },
    }
    dataset = {
        "variables": list(variables),
        "variables_metadata": {name: _described(one, found.step_seconds) for name, one in variables.items()},
        "shape": [1, len(variables), 1, len(found.latitudes)],
        "frequency": step,
    }
    data = made.configuration["data"] | {"frequency": step, "timestep": step}
    task = {"multistep_input": found.n_times, "multistep_output": 1, "timestep": step}
    return {
        "version": "2.0",
        "config": made.configuration | {"data": data, "task": task, "training": {"precision": "32"} | task},
        "task": "forecaster",
        "run_id": str(uuid.uuid4()),
        "uuid": made.interface.id,
        "timestamp": now,
        "dataset": {DATASET: dataset},
        "data_indices": {DATASET: _lists(made.indices.todict())},
        "provenance_training": _provenance(now),
        "metadata_inference": {"dataset_names": [DATASET], "task": "forecaster", DATASET: inference},
        "ailand_gt4py": dict(found.provenance),
    }


def _described(one: AnemoiVariable, step_seconds: float) -> dict[str, Any]:
    found: dict[str, Any] = {"units": one.units, "mars": {"param": one.name, "levtype": "sfc"}}
    if one.is_constant:
        found["constant_in_time"] = True
    if one.is_mean:
        hours = step_seconds / 3600.0
        found |= {"process": "average", "period": [0, int(hours) if hours.is_integer() else hours]}
    if one.is_computed:
        found |= {"computed_forcing": True, "constant_in_time": one.is_constant}
        del found["mars"]
    return found


def _provenance(now: str) -> dict[str, Any]:
    versions = {name: importlib.metadata.version(name) for name in _PACKAGES}
    return {
        "time": now,
        "python": platform.python_version(),
        "module_versions": {
            "ailand_gt4py": {"version": ailand_gt4py.__version__},
            **{
                name.replace("anemoi-", "anemoi.").replace("-", "_"): {"version": one} for name, one in versions.items()
            },
        },
    }


def _lists(value: Any) -> Any:
    """Indices as JSON has them."""
    if isinstance(value, dict):
        return {key: _lists(one) for key, one in value.items()}
    return value.tolist() if hasattr(value, "tolist") else value
