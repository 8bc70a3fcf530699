"""Imports published checkpoints: the network's shape is recognised from the names and shapes of its tensors.

The published files hold tensors alone: no variable names, no statistics, no step. So what is imported lives in
normalised space unless the caller says what the variables are.

Names in the files (aiLand prototype, Wesselkamp et al. 2025, doi:10.5194/gmd-18-921-2025, and its public code):

simple
    ``fc1 .. fcN``: the hidden layers, then the prognostic and the diagnostic head (N = 5 in the published file).
two_branch
    ``layer_clim`` on static, ``layer_met_state`` on (forcing, state), ``combine_layer``, then ``fc1 .. fcN``: the
    prognostic chain (fc1-fc3 in the published file) and after it the diagnostic one (fc4, fc5), both from the
    combined layer.
layer_norm
    ``model.<i>`` linear layers and layer normalisations in turn (the indices in between are activations without
    parameters), ``output_proj`` the prognostic head, ``model_diag.<i>`` and ``output_proj_diag`` the diagnostic block.

A prefix that all names share (``model.``, ``module.``, ``_orig_mod.``, as Lightning and torch.compile add) is dropped.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.weights.architectures import ARCHITECTURES, Sizes
from ailand_gt4py.weights.checkpoints import KINDS, CheckpointKind, Wanted
from ailand_gt4py.weights.checkpoints.torch_archive import TorchArchive
from ailand_gt4py.weights.model import Model, TimeMeaning, Variable
from ailand_gt4py.weights.schema import GROUPS

#: Forcing variables of the aiLand prototype (ctpf, lwdown, psurf, qair, rainf, swdown, snowf, tair, wind_e, wind_n,
#: lai_hv, lai_lv): assumed where the tensors show only the sum of static and forcing inputs.
PROTOTYPE_FORCING = 12

#: Bounds in normalised space of the prototype's ``layer_norm`` networks, which have 8 states (swvl1-3, stl1-3, snow
#: depth, snow temperature) and 4 diagnostics (d2m, t2m, skt, snow cover): (group, index) -> (lower, upper). Its code
#: has them as lists of indices (lower, upper, both), which the files do not hold.
PROTOTYPE_LAYER_NORM_BOUNDS = {
    ("state", 6): (0.0, np.inf),
    ("state", 7): (-np.inf, 1.0),
    ("diagnostics", 3): (0.0, 1.0),
}
PROTOTYPE_LAYER_NORM_OUTPUTS = (8, 4)

#: Tensors that a message lists.
MOST_LISTED = 12

Arrays = Mapping[str, np.ndarray]


def model(archive: TorchArchive, wanted: Wanted) -> Model:
    """The model in a checkpoint of a published network shape."""
    architecture, parameters = recognise(without_prefix(archive.state_dict()))
    given = {group: getattr(wanted, group) for group in GROUPS}
    lengths = {group: None if variables is None else len(variables) for group, variables in given.items()}
    sizes = infer_sizes(architecture, parameters, lengths, wanted.n_forcing)
    groups, normalised_space = _variables(architecture, given, sizes)
    variables: dict[str, Any] = dict(groups)
    return Model(
        architecture=architecture,
        parameters=parameters,
        step_seconds=wanted.step_seconds,
        normalised_space=normalised_space,
        provenance={f"source_{key.replace('-', '_')}": value for key, value in archive.facts().items()},
        **variables,
    )


PROTOTYPE = KINDS.add(CheckpointKind(recognises=None, model=model))


def without_prefix(tensors: Arrays) -> dict[str, np.ndarray]:
    """The tensors without the dotted prefix that all names share (a network of these shapes shares none itself)."""
    names = dict(tensors)
    while True:
        first = {name.split(".", 1)[0] for name in names}
        if len(first) != 1 or any("." not in name for name in names):
            return names
        names = {name.split(".", 1)[1]: array for name, array in names.items()}


def recognise(tensors: Arrays) -> tuple[str, dict[str, np.ndarray]]:
    """The architecture that the tensors are of, and the parameters under this package's names."""
    layers = _layers(tensors)
    try:
        for architecture, marks, table in (
            ("two_branch", {"layer_clim", "layer_met_state", "combine_layer"}, _two_branch),
            ("layer_norm", {"output_proj", "output_proj_diag"}, _layer_norm),
            ("simple", {"fc1", "fc2", "fc3"}, _simple),
        ):
            if marks <= layers.keys():
                return architecture, _renamed(layers, table(layers))
        raise _NoShapeError("no layer names of a published shape (fc1.., layer_clim.., model.0.. with output_proj)")
    except _NoShapeError as reason:
        listed = [f"{name[:60]} {tuple(array.shape)}" for name, array in list(tensors.items())[:MOST_LISTED]]
        rest = f" and {len(tensors) - MOST_LISTED} more" if len(tensors) > MOST_LISTED else ""
        raise InputError(
            f"the tensors fit no published network shape: {reason}; found {', '.join(listed)}{rest}"
        ) from None


def infer_sizes(
    architecture: str, parameters: Arrays, given: Mapping[str, int | None], n_forcing: int | None = None
) -> Sizes:
    """Numbers of variables, from the tensors and, where these leave it open, from those given or the prototype."""

    def rows(block: str) -> int:
        last = max(int(name.split(".")[1]) for name in parameters if name.startswith(f"{block}."))
        return int(parameters[f"{block}.{last}.weight"].shape[0])

    n_state, n_diagnostics = rows("prognostic"), rows("diagnostic")
    if architecture == "two_branch":
        n_static = int(parameters["static.0.weight"].shape[1])
        n_inputs = n_static + int(parameters["dynamic.0.weight"].shape[1])
        found = n_inputs - n_static - n_state
    else:
        n_inputs = int(parameters["trunk.0.weight"].shape[1])
        found = PROTOTYPE_FORCING if n_forcing is None else n_forcing
        if given["static"] is not None:
            found = n_inputs - n_state - given["static"]
        if given["forcing"] is not None:
            found = given["forcing"]
        n_static = n_inputs - found - n_state
    if n_forcing is not None and n_forcing != found:
        raise InputError(f"n_forcing is {n_forcing}, expected {found} from the tensors and the variables given")
    sizes = Sizes(n_static, found, n_state, n_diagnostics)
    if min(sizes) < 0:
        raise InputError(
            f"the network has {n_inputs} inputs and {n_state} states; found {found} forcing variables, which leaves "
            f"{n_static} static ones; give 'static', 'forcing' or 'n_forcing' so that the numbers add up"
        )
    for group, size in sizes._asdict().items():
        if given[group] is not None and given[group] != size:
            raise InputError(f"{given[group]} {group} variables were given, expected {size} from the tensors")
    return sizes


def _variables(
    architecture: str, given: Mapping[str, Sequence[Variable | str] | None], sizes: Sizes
) -> tuple[dict[str, tuple[Variable, ...]], bool]:
    """The four groups of variables, and whether they are in normalised space."""
    scaled = [
        variable.name
        for variables in given.values()
        for variable in variables or ()
        if isinstance(variable, Variable) and variable.normalisation.method != "none"
    ]
    for group, variables in given.items():
        if scaled and (variables is None or any(isinstance(variable, str) for variable in variables)):
            raise InputError(
                f"variable '{scaled[0]}' has a normalisation but the {group} variables are not described; expected a "
                "Variable for every input and output, or no normalisation at all"
            )
    # The prototype's networks give diagnostics of the state that goes in, the later shape of the one that comes out.
    diagnosed: TimeMeaning = "window end" if ARCHITECTURES[architecture].diagnoses_new_state else "window start"
    meanings: tuple[TimeMeaning, ...] = ("static", "window mean", "window start", diagnosed)
    is_known = architecture == "layer_norm" and (sizes.state, sizes.diagnostics) == PROTOTYPE_LAYER_NORM_OUTPUTS
    bounds = PROTOTYPE_LAYER_NORM_BOUNDS if is_known else {}
    groups = {}
    for (group, size), meaning in zip(sizes._asdict().items(), meanings, strict=True):
        names = given[group]
        if names is None:
            prefix = "diagnostic" if group == "diagnostics" else group
            limits = [bounds.get((group, i), (-np.inf, np.inf)) for i in range(size)]
            names = [
                Variable(f"{prefix}_{i}", "1", time_meaning=meaning, lower_bound=lower, upper_bound=upper)
                for i, (lower, upper) in enumerate(limits)
            ]
        groups[group] = tuple(
            Variable(one, "1", time_meaning=meaning) if isinstance(one, str) else one for one in names
        )
    return groups, not scaled


class _NoShapeError(Exception):
    """Why tensors are of no published shape."""


def _layers(tensors: Arrays) -> dict[str, dict[str, np.ndarray]]:
    """Tensors by layer, ``weight`` and ``bias`` of matching sizes; empty where a name or shape is no layer's."""
    layers: dict[str, dict[str, np.ndarray]] = {}
    for name, array in tensors.items():
        layer, _, kind = name.rpartition(".")
        if not layer or kind not in ("weight", "bias") or array.dtype not in (np.float32, np.float64):
            return {}
        layers.setdefault(layer, {})[kind] = array
    for arrays in layers.values():
        shape = arrays["weight"].shape if len(arrays) == 2 else ()
        if len(shape) not in (1, 2) or arrays["bias"].shape != shape[:1]:
            return {}
    return layers


def _renamed(layers: Mapping[str, Arrays], table: Mapping[str, str]) -> dict[str, np.ndarray]:
    """Parameters under this package's names: layer -> ``<block>.<k>``, ``<block>.<k>.gain`` of a normalisation."""
    surplus = sorted(layers.keys() - table.keys())
    if surplus:
        raise _NoShapeError(f"layer '{surplus[0]}' does not belong to it")
    parameters = {}
    for layer, name in table.items():
        own_name = name.removesuffix(".gain")
        weight, bias = ("weight", "bias") if own_name == name else ("gain", "offset")
        if layers[layer]["weight"].ndim != (2 if own_name == name else 1):
            raise _NoShapeError(f"layer '{layer}' has {layers[layer]['weight'].ndim}-dimensional weights")
        parameters[f"{own_name}.{weight}"] = layers[layer]["weight"]
        parameters[f"{own_name}.{bias}"] = layers[layer]["bias"]
    return parameters


def _numbered(layers: Mapping[str, Arrays]) -> list[str]:
    """``fc1``, ``fc2``, ... as far as they go without a gap."""
    names: list[str] = []
    while f"fc{len(names) + 1}" in layers:
        names.append(f"fc{len(names) + 1}")
    return names


def _simple(layers: Mapping[str, Arrays]) -> dict[str, str]:
    """The last two layers are the heads, both on the last hidden layer."""
    names = _numbered(layers)
    table = {name: f"trunk.{i}" for i, name in enumerate(names[:-2])}
    return table | {names[-2]: "prognostic.0", names[-1]: "diagnostic.0"}


def _two_branch(layers: Mapping[str, Arrays]) -> dict[str, str]:
    """The numbered layers are two chains, both from the combined layer; their sizes show where the second starts."""
    names = _numbered(layers)
    matrices = [layers[name]["weight"] for name in names]
    n_combined = layers["combine_layer"]["weight"].shape[0]

    def is_chain(chain: Sequence[np.ndarray]) -> bool:
        sizes = [n_combined] + [matrix.shape[0] for matrix in chain]
        return all(matrix.ndim == 2 and matrix.shape[1] == n for matrix, n in zip(chain, sizes, strict=False))

    starts = [k for k in range(1, len(names)) if is_chain(matrices[:k]) and is_chain(matrices[k:])]
    if len(starts) != 1:
        raise _NoShapeError(
            f"fc1 .. fc{len(names)} split into a prognostic and a diagnostic chain in {len(starts)} ways"
        )
    table = {"layer_clim": "static.0", "layer_met_state": "dynamic.0", "combine_layer": "combine.0"}
    table |= {name: f"prognostic.{i}" for i, name in enumerate(names[: starts[0]])}
    return table | {name: f"diagnostic.{i}" for i, name in enumerate(names[starts[0] :])}


def _layer_norm(layers: Mapping[str, Arrays]) -> dict[str, str]:
    """In each sequence, a linear layer (matrix) and its layer normalisation (vectors) follow each other."""
    table = {}
    for sequence, block in (("model", "trunk"), ("model_diag", "diagnostic")):
        numbers = sorted(int(m[1]) for name in layers if (m := re.fullmatch(rf"{sequence}\.([0-9]{{1,4}})", name)))
        for i, number in enumerate(numbers):
            table[f"{sequence}.{number}"] = f"{block}.{i // 2}" + (".gain" if i % 2 else "")
        if len(numbers) % 2:
            raise _NoShapeError(f"'{sequence}' has {len(numbers)} layers, expected pairs")
        if block == "diagnostic":
            table["output_proj_diag"] = f"diagnostic.{len(numbers) // 2}"
    return table | {"output_proj": "prognostic.0"}
