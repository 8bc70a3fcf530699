"""The metadata of an anemoi checkpoint: JSON that anemoi-training adds to the archive, as anemoi-inference reads it."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping, Sequence, Set
from typing import Any

import numpy as np

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.weights.checkpoints.anemoi.pickled import is_name, shown
from ailand_gt4py.weights.checkpoints.torch_archive import TorchArchive
from ailand_gt4py.weights.variables import CATALOGUE

#: Names of the member; the second is the older one.
MEMBERS = ("anemoi.json", "ai-models.json")

#: Versions of anemoi-models in which a point-wise network can be made and its checkpoint is known, (major, minor).
FIRST_VERSION, LAST_VERSION = (0, 14), (0, 19)

_LARGEST = 2**24
#: Before this version, what the blocks give reached the decoder through a latent skip alone.
FIRST_WITHOUT_SKIP = (0, 16)

_ARRAY_TYPES = {"float64": "<f8", "float32": "<f4"}
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclasses.dataclass(frozen=True)
class Metadata:
    """What the metadata say of the one data set.

    Attributes:
        dataset: its name.
        inputs, outputs: the network's variables in order.
        units: by variable. constant, computed: variables that do not change in time, that follow from time and place.
        means: variables that are means over the step that ends with their date.
        n_times: of inputs. step_seconds: from the last of them to the output.
        version: of anemoi-models, (major, minor); None where it is not said.
        arrays: what is said of arrays in the archive, by name; see `read_degrees`.
        provenance: short texts.
    """

    dataset: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    units: Mapping[str, str]
    constant: frozenset[str]
    computed: frozenset[str]
    means: frozenset[str]
    n_times: int
    step_seconds: float
    version: tuple[int, int] | None
    arrays: Mapping[str, Any]
    provenance: Mapping[str, str]


def member(archive: TorchArchive) -> str | None:
    """The whole name of the metadata's member, None where there is none."""
    found = [name for name in archive.names if name.rpartition("/")[2] in MEMBERS]
    if len(found) > 1:
        raise InputError(f"the archive holds {len(found)} members '{MEMBERS[0]}' or '{MEMBERS[1]}', expected 1")
    return found[0] if found else None


def read_metadata(archive: TorchArchive) -> Metadata:
    name = member(archive)
    if name is None:
        raise InputError(
            f"the archive has no member '{MEMBERS[0]}' with anemoi's metadata, expected an inference checkpoint as "
            "anemoi-training writes it"
        )
    content, label = archive.whole_member(name), name.rpartition("/")[2]
    if len(content) > _LARGEST:
        raise InputError(f"the archive's '{label}' has {len(content)} bytes, expected at most {_LARGEST}")
    try:
        tree = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InputError(f"the archive's '{label}' is no JSON ({str(error)[:100]})") from error
    root = _Node(tree, label)
    version, written = _check_version(root)
    inference = root.node("metadata_inference")
    names = inference.texts("dataset_names")
    if len(names) != 1:
        raise InputError(f"'{inference.path}.dataset_names': found {len(names)} data sets, expected 1")
    task = root.optional_text("task")
    if task not in (None, "forecaster"):
        raise InputError(f"'{root.path}.task': found {shown(task)}, expected 'forecaster'")
    own = inference.node(names[0])
    kinds = own.node("variable_types")
    if kinds.optional("target"):
        raise InputError(f"'{kinds.path}.target': found target variables, expected none")
    indices = own.node("data_indices")
    inputs, outputs = (_order(indices.node(group)) for group in ("input", "output"))
    n_times, seconds = _times(own.node("timesteps"))
    variables = root.node("dataset").node(names[0]).node("variables_metadata")
    described = {one: variables.node(one) for one in dict.fromkeys((*inputs, *outputs))}
    computed = frozenset(one for one, node in described.items() if node.flag("computed_forcing"))
    taken = {one: unit for one, node in described.items() if (unit := _unit_that_is_not_said(one, node, computed))}
    provenance = {"units_not_said": ", ".join(f"{one} ({unit})" for one, unit in taken.items())} if taken else {}
    return Metadata(
        dataset=names[0],
        inputs=inputs,
        outputs=outputs,
        units={one: taken[one] if one in taken else node.text("units") for one, node in described.items()},
        constant=frozenset(one for one, node in described.items() if node.flag("constant_in_time")),
        computed=computed,
        means=frozenset(one for one, node in described.items() if _is_mean(node, seconds)),
        n_times=n_times,
        step_seconds=seconds,
        version=version,
        arrays=_arrays(root, names[0]),
        provenance=_provenance(root, written) | provenance,
    )


def read_degrees(archive: TorchArchive, metadata: Metadata) -> dict[str, np.ndarray]:
    """``latitudes`` and ``longitudes`` in degrees; empty where the archive has none."""
    found = {}
    for name in ("latitudes", "longitudes") if {"latitudes", "longitudes"} <= metadata.arrays.keys() else ():
        node = _Node(metadata.arrays[name], f"supporting_arrays_paths.{metadata.dataset}.{name}")
        kind = node.text("dtype")
        if kind not in _ARRAY_TYPES:
            raise InputError(f"metadata '{node.path}.dtype': found {shown(kind)}, expected {' or '.join(_ARRAY_TYPES)}")
        content, values = archive.whole_member(node.text("path")), np.dtype(_ARRAY_TYPES[kind])
        found[name] = np.frombuffer(content, values, len(content) // values.itemsize).astype(np.float64)
    return found


class _Node:
    """A dictionary of the metadata, whose entries are asked for by name and type."""

    def __init__(self, value: object, path: str) -> None:
        if not isinstance(value, dict):
            raise InputError(f"metadata '{path}': found {_shown(value)}, expected a dictionary")
        self.path, self.entries = path, value

    def optional(self, name: str) -> Any:
        return self.entries.get(name)

    def node(self, name: str) -> _Node:
        return _Node(self.optional(name), f"{self.path}.{name[:60]}")

    def text(self, name: str) -> str:
        found = self.optional(name)
        if found != "" and not is_name(found):
            raise self._refuse(name, "a short text")
        return found

    def optional_text(self, name: str) -> str | None:
        return None if self.optional(name) is None else self.text(name)

    def texts(self, name: str) -> list[str]:
        found = self.optional(name)
        if not isinstance(found, list) or not all(is_name(one) for one in found):
            raise self._refuse(name, "a list of short texts")
        return found

    def flag(self, name: str) -> bool:
        """False where it is absent."""
        found = self.entries.get(name, False)
        if not isinstance(found, bool):
            raise self._refuse(name, "true or false")
        return found

    def _refuse(self, name: str, expected: str) -> InputError:
        return InputError(f"metadata '{self.path}.{name}': found {_shown(self.optional(name))}, expected {expected}")


def _shown(value: object) -> str:
    return "nothing" if value is None else shown(value)


def _check_version(root: _Node) -> tuple[tuple[int, int] | None, str]:
    """The version of anemoi-models and as it is written, refused where its checkpoints are not known."""
    versions = root.optional("provenance_training")
    versions = versions.get("module_versions") if isinstance(versions, dict) else None
    found = versions.get("anemoi.models") if isinstance(versions, dict) else None
    written = found.get("version") if isinstance(found, dict) else found
    if written is None:
        return None, ""
    matched = re.match(r"([0-9]{1,4})\.([0-9]{1,4})(?![0-9])", written) if isinstance(written, str) else None
    version = (int(matched[1]), int(matched[2])) if matched else (0, 0)
    if not FIRST_VERSION <= version <= LAST_VERSION:
        first, last = (".".join(map(str, one)) for one in (FIRST_VERSION, LAST_VERSION))
        raise InputError(f"found a checkpoint of anemoi-models {shown(written)}, expected versions {first} to {last}")
    return version, written


def _order(indices: _Node) -> tuple[str, ...]:
    """The names of a dictionary of indices, in order."""
    values = list(indices.entries.values())
    is_order = all(type(one) is int for one in values) and sorted(values) == list(range(len(values)))
    if not is_order or not all(is_name(name) for name in indices.entries):
        raise InputError(f"metadata '{indices.path}': expected names and their indices 0, 1, 2, ...")
    return tuple(sorted(indices.entries, key=indices.entries.__getitem__))


def _times(node: _Node) -> tuple[int, float]:
    """Number of input times, one step apart, and the step to the one output time, s."""
    inputs, outputs = (node.optional(f"{kind}_relative_date_indices") for kind in ("input", "output"))
    if not isinstance(inputs, list) or not inputs or inputs != list(range(len(inputs))) or outputs != [len(inputs)]:
        raise InputError(
            f"metadata '{node.path}': found inputs at the steps {_steps(inputs)} and outputs at {_steps(outputs)}, "
            "expected inputs at 0, 1, ... and one output a step after the last"
        )
    written = node.text("timestep")
    matched = re.fullmatch(r"([0-9]{1,9})([smhdSMHD])", written)
    if matched is None or int(matched[1]) == 0:
        raise InputError(f"metadata '{node.path}.timestep': found {shown(written)}, expected a time such as '6h'")
    return len(inputs), float(int(matched[1]) * _SECONDS[matched[2].lower()])


def _steps(values: object) -> str:
    return ", ".join(map(shown, values[:8])) or "none" if isinstance(values, Sequence) else shown(values)


def _arrays(root: _Node, dataset: str) -> dict[str, Any]:
    paths = root.optional("supporting_arrays_paths")
    arrays = paths.get(dataset) if isinstance(paths, dict) else None
    return arrays if isinstance(arrays, dict) else {}


def _unit_that_is_not_said(name: str, described: _Node, computed: Set[str]) -> str:
    """The catalogue's unit of a variable for which the data set has none; empty where it has one or none is known."""
    if described.optional("units") is not None:
        return ""
    # What anemoi computes from time and place are sines and cosines.
    return CATALOGUE[name].units if name in CATALOGUE else "1" if name in computed else ""


def _is_mean(described: _Node, step_seconds: float) -> bool:
    return described.optional("process") == "average" and described.optional("period") == [0, step_seconds / 3600.0]


def _provenance(root: _Node, written: str) -> dict[str, str]:
    """Where the checkpoint comes from: version, run, time, precision of the training."""
    found: dict[str, Any] = {"source_anemoi_models": written}
    for key in ("run_id", "uuid", "timestamp"):
        found[f"source_{key}"] = root.optional(key)
    training: Any = root.entries
    for key in ("config", "training"):
        training = training.get(key) if isinstance(training, dict) else None
    if isinstance(training, dict):
        found["source_precision"] = training.get("precision")
    return {key: text for key, text in found.items() if is_name(text)}
