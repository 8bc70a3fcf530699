"""What an anemoi checkpoint does to values before and after its network, as steps of `weights.processing`.

Pre-processors act on all variables in turn; since each is element-wise, what happens to one variable is a chain of its
own. Post-processors are the same objects in reverse order.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.weights.checkpoints.anemoi.pickled import Thing, is_none, mapping, number, shown, text
from ailand_gt4py.weights.checkpoints.inert_pickle import Unknown
from ailand_gt4py.weights.checkpoints.torch_archive import TorchArchive
from ailand_gt4py.weights.processing import Bounding, Step

_PROCESSORS = "anemoi.models.preprocessing"
_MAPPINGS = f"{_PROCESSORS}.mappings"
_BOUNDINGS = "anemoi.models.layers.bounding"
_DICTIONARY, _LIST = "torch.nn.modules.container.ModuleDict", "torch.nn.modules.container.ModuleList"

#: Slope of anemoi's leaky boundings outside of the bounds.
LEAK = 0.01
#: Of this size, a bound is none.
UNBOUNDED = float(np.finfo(np.float32).max)


class Names(NamedTuple):
    """Names of the data set's variables, the network's inputs at one time and its outputs, each in order."""

    dataset: tuple[str, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


class _Steps(NamedTuple):
    """What a processor does: position of an input, of an output -> step."""

    inputs: Mapping[int, Sequence[Step]]
    outputs: Mapping[int, Sequence[Step]]


def read_processing(archive: TorchArchive, interface: Thing, dataset: str, names: Names) -> dict[str, tuple[Step, ...]]:
    """Variable -> its steps from the physical value to the network's."""
    processors = _pre_processors(interface, dataset)
    inputs: dict[str, list[Step]] = {name: [] for name in names.inputs}
    outputs: dict[str, list[Step]] = {name: [] for name in names.outputs}
    for name in processors.modules():
        processor = processors.module(name)
        if processor.kind not in _READERS:
            known = ", ".join(kind.rpartition(".")[2] for kind in _READERS)
            raise InputError(
                f"'{processor.path}': found the processor '{processor.kind[:100]}', expected one of {known}"
            )
        steps = _READERS[processor.kind](archive, processor, names)
        for chains, group, found in ((inputs, names.inputs, steps.inputs), (outputs, names.outputs, steps.outputs)):
            for position, own in found.items():
                if position >= len(group):
                    raise InputError(f"'{processor.path}': found the index {position}, expected less than {len(group)}")
                chains[group[position]] += own
    for name in inputs.keys() & outputs.keys():
        # What imputers do to a result is to give back NaN where it was in the input.
        if [step for step in inputs[name] if step.kind != "impute"] != outputs[name]:
            raise InputError(f"variable '{name[:60]}' is processed in one way as input and in another as output")
    return {name: tuple(chain) for name, chain in {**outputs, **inputs}.items()}


def read_boundings(archive: TorchArchive, model: Thing, dataset: str, names: Names) -> tuple[Bounding, ...]:
    """The bounding layers in their order, those of the same kind that do not meet as one; those that have no variable
    among the outputs are left out."""
    layers = model.module("boundings", _DICTIONARY).only(_LIST, name=dataset)
    found: list[Bounding] = []
    for name in layers.numbered():
        layer = layers.module(name)
        if layer.kind not in _BOUNDING_KINDS:
            known = ", ".join(kind.rpartition(".")[2] for kind in _BOUNDING_KINDS)
            raise InputError(f"'{layer.path}': found the bounding '{layer.kind[:100]}', expected one of {known}")
        variables = _outputs(archive, layer, "data_index", names)
        if variables:
            one = _bounding(archive, layer, variables, names)
            found[-1:] = _joined(found[-1], one) if found else [one]
    return tuple(found)


def _joined(first: Bounding, second: Bounding) -> list[Bounding]:
    """Two boundings, as one if they clip different variables."""
    is_same = first.kind == second.kind == "clip" and first.slope == second.slope
    if not is_same or not set(first.variables).isdisjoint(second.variables):
        return [first, second]
    both = {name: getattr(first, name) + getattr(second, name) for name in ("variables", "lower", "upper")}
    return [dataclasses.replace(first, **both)]


def _bounding(archive: TorchArchive, layer: Thing, variables: tuple[str, ...], names: Names) -> Bounding:
    """A bounding layer of these variables."""
    kind, leaky = layer.name.replace("Leaky", ""), "Leaky" in layer.name
    total, upper = "", (np.inf,) * len(variables)
    if kind == "ReluBounding":
        lower = (0.0,) * len(variables)
    elif kind == "NormalizedReluBounding":
        array = archive.arrays({"norm_min_val": layer.tensor("norm_min_val")})["norm_min_val"]
        lower = tuple(map(float, array.ravel()))
    else:
        limits = (layer.number(side) for side in ("min_val", "max_val"))
        lower, upper = ((one if abs(one) < UNBOUNDED else np.copysign(np.inf, one),) * len(variables) for one in limits)
    if kind == "FractionBounding":
        totals = _outputs(archive, layer, "total_variable", names)
        if len(totals) != 1:
            raise InputError(f"'{layer.path}.total_variable': found {len(totals)} variables, expected 1")
        total = totals[0]
    try:
        return Bounding("fraction" if total else "clip", variables, lower, upper, LEAK if leaky else 0.0, total)
    except InputError as error:
        raise InputError(f"'{layer.path}': {error}") from error


def _outputs(archive: TorchArchive, layer: Thing, attribute: str, names: Names) -> tuple[str, ...]:
    """Names of the outputs that a tensor of indices holds."""
    tensor = layer.tensor(attribute)
    if tensor.shape == (0,):
        return ()
    indices = archive.arrays({attribute: tensor})[attribute]
    if indices.ndim != 1 or indices.dtype.kind != "i" or not 0 <= indices.min() <= indices.max() < len(names.outputs):
        raise InputError(f"'{layer.path}.{attribute}': expected indices of the {len(names.outputs)} outputs")
    return tuple(names.outputs[index] for index in indices)


def normalisation_methods(interface: Thing, dataset: str) -> tuple[dict[str, str], str, set[str]]:
    """anemoi's method by variable, that of all others, and the variables that use the statistics of others."""
    processors = _pre_processors(interface, dataset)
    for name in processors.modules():
        processor = processors.module(name)
        if processor.kind == _NORMALISER:
            methods = {key: text(value) or "" for key, value in processor.mapping("methods").items()}
            return methods, processor.text("default"), set(processor.mapping("remap"))
    return {}, "none", set()


def _pre_processors(interface: Thing, dataset: str) -> Thing:
    """The pre-processors by name, in order; the post-processors are seen to be the same ones in reverse order."""
    found = {}
    for group, is_inverse in (("pre_processors", False), ("post_processors", True)):
        chain = interface.module(group, _DICTIONARY).only(f"{_PROCESSORS}.Processors", name=dataset)
        if chain.flag("inverse") is not is_inverse:
            raise chain.refuse("inverse", str(is_inverse))
        found[group] = chain.module("processors", _DICTIONARY)
    before, after = (list(one.modules().items()) for one in found.values())
    if [name for name, _ in before] != [name for name, _ in reversed(after)] or any(
        one is not other for (_, one), (_, other) in zip(before, reversed(after), strict=True)
    ):
        raise InputError("the post-processors are not the pre-processors in reverse order, expected the same objects")
    for group in ("pre_processors_tendencies", "post_processors_tendencies"):
        if group in interface.modules() and interface.module(group, _DICTIONARY).modules():
            raise InputError(f"'{interface.path}.{group}': found processors of tendencies, expected none")
    return found["pre_processors"]


def _normaliser(archive: TorchArchive, processor: Thing, names: Names) -> _Steps:
    tensors = ("_norm_mul", "_norm_add", "_input_idx", "_model_output_idx")
    multiply, add, *indices = archive.arrays({name: processor.tensor(name) for name in tensors}).values()
    positions = {name: position for position, name in enumerate(names.dataset)}
    for tensor, found, group in zip(tensors[2:], indices, (names.inputs, names.outputs), strict=True):
        if found.tolist() != [positions[name] for name in group]:
            raise InputError(f"'{processor.path}.{tensor}': found indices of other variables than those of the network")
    if not multiply.shape == add.shape == (len(names.dataset),):
        raise InputError(
            f"'{processor.path}': found {multiply.shape} multipliers and {add.shape} offsets, expected "
            f"({len(names.dataset)},) of each"
        )

    def steps(group: Sequence[str]) -> dict[int, tuple[Step]]:
        return {
            position: (_step(f"variable '{name[:60]}'", "affine", multiply[positions[name]], add[positions[name]]),)
            for position, name in enumerate(group)
        }

    return _Steps(steps(names.inputs), steps(names.outputs))


def _imputer(archive: TorchArchive, processor: Thing, names: Names) -> _Steps:
    positions, values = processor.positions("index_inference_input"), processor.numbers("replacement")
    if len(values) < len(positions):
        raise InputError(f"'{processor.path}': found {len(values)} replacements, expected {len(positions)}")
    back = {name: position for position, name in enumerate(names.outputs)}
    expected = [back.get(names.inputs[at]) if at is not None and at < len(names.inputs) else None for at in positions]
    results = processor.positions("index_inference_output")
    if [None if at is None else result for at, result in zip(positions, results, strict=False)] != expected:
        raise processor.refuse("index_inference_output", "where the imputed inputs are among the outputs")
    pairs = zip(positions, values, strict=False)
    return _Steps({at: (Step("impute", (value,)),) for at, value in pairs if at is not None}, {})


def _remapper(archive: TorchArchive, processor: Thing, names: Names) -> _Steps:
    lists = {
        name: processor.sequence(name)
        for name in (
            "remappers", "backmappers", "remapper_kwargs", "index_inference_input", "index_inference_output"
        )
    }  # fmt: skip
    if len({len(one) for one in lists.values()}) != 1:
        lengths = ", ".join(f"{len(one)} {name}" for name, one in lists.items())
        raise InputError(f"'{processor.path}': found {lengths}, expected as many of each")
    steps = []
    for i, (function, inverse, arguments, *_) in enumerate(zip(*lists.values(), strict=True)):
        path = f"{processor.path}.remappers[{i}]"
        functions = (_function(function, path), _function(inverse, path))
        if functions not in _REMAPPERS:
            raise InputError(
                f"'{path}': found the functions '{functions[0][:60]}' and '{functions[1][:60]}', expected one of "
                f"{', '.join(one for one, _ in _REMAPPERS)} and its inverse"
            )
        found = _Arguments(arguments, path)
        steps.append(_REMAPPERS[functions](found))
        found.expect_none()
    inputs, outputs = (processor.positions(f"index_inference_{kind}") for kind in ("input", "output"))
    return _Steps(
        {at: own for at, own in zip(inputs, steps, strict=True) if at is not None},
        {at: own for at, own in zip(outputs, steps, strict=True) if at is not None},
    )


def _step(path: str, kind: str, *parameters: float) -> Step:
    try:
        return Step(kind, tuple(map(float, parameters)))
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _function(value: object, path: str) -> str:
    """Name of a function of anemoi's mappings."""
    name = value.name if isinstance(value, type) and issubclass(value, Unknown) else ""
    if not name.startswith(f"{_MAPPINGS}."):
        raise InputError(f"'{path}': found {shown(value)}, expected a function of {_MAPPINGS}")
    return name.rpartition(".")[2]


class _Arguments:
    """Keyword arguments of a remapping, asked for by name, and the step that they make."""

    def __init__(self, value: object, path: str) -> None:
        found = mapping(value)
        if found is None:
            raise InputError(f"'{path}': found {shown(value)} as its arguments, expected a dictionary")
        self._left, self._path = dict(found), path

    def get(self, name: str, default: float) -> float:
        """A number; what is None counts as absent."""
        value = self._left.pop(name, None)
        if is_none(value):
            return default
        found = number(value)
        if found is None:
            raise self.refuse(f"found {shown(value)} as '{name}', expected a number")
        return found

    def step(self, kind: str, *parameters: float) -> Step:
        return _step(f"'{self._path}'", kind, *parameters)

    def expect_none(self) -> None:
        """Refuse arguments that were not asked for."""
        if self._left:
            raise self.refuse(f"found the argument {shown(next(iter(self._left)))}, expected only known ones")

    def refuse(self, message: str) -> InputError:
        return InputError(f"'{self._path}': {message}")


def _boxcox(given: _Arguments) -> tuple[Step, ...]:
    exponent, clips = given.get("lambd", 0.5), given.get("clip_negative", 0.0)
    if exponent and clips:
        # (max(x, 0)^l - 1) / l
        return given.step("power", exponent, 1.0, 0.0), given.step("scale", 1.0 / exponent, -1.0 / exponent)
    return (given.step("boxcox", exponent),)


def _boundary_atoms(given: _Arguments) -> tuple[Step, ...]:
    parameters = []
    for side, infinite in (("lower", -np.inf), ("upper", np.inf)):
        atom, target = (given.get(f"{side}_{what}", infinite) for what in ("atom", "target"))
        if np.isfinite(atom) and not np.isfinite(target):
            raise given.refuse(f"found an atom without '{side}_target', expected one")
        parameters += [atom, target if np.isfinite(atom) else infinite]
    return (given.step("boundary_atoms", *parameters, given.get("eps", 0.0)),)


#: anemoi's function and its inverse -> the steps that they are.
_REMAPPERS: Mapping[tuple[str, str], Callable[[_Arguments], tuple[Step, ...]]] = {
    ("noop", "noop"): lambda given: (),
    ("log1p_converter", "expm1_converter"): lambda given: (given.step("log1p"),),
    ("sqrt_converter", "inverse_sqrt_converter"): lambda given: (given.step("sqrt"),),
    ("boxcox_converter", "inverse_boxcox_converter"): _boxcox,
    ("atanh_converter", "inverse_atanh_converter"): lambda given: (given.step("atanh", given.get("rho", 2.0)),),
    ("asinh_converter", "inverse_asinh_converter"): lambda given: (given.step("asinh", given.get("c", 1.0)),),
    ("power_transform", "inverse_power_transform"): lambda given: (
        given.step("power", *map(given.get, ("lambd", "clip_negative", "tangent_linear_above_one"), (0.33, 0.0, 0.0))),
    ),
    ("displace_boundary_atoms", "inverse_displace_boundary_atoms"): _boundary_atoms,
    ("affine_transform", "inverse_affine_transform"): lambda given: (
        given.step("scale", given.get("scale", 1.0), given.get("shift", 0.0)),
    ),
}

_NORMALISER = f"{_PROCESSORS}.normalizer.InputNormalizer"

#: Class of a processor -> what reads it.
_READERS: Mapping[str, Callable[[TorchArchive, Thing, Names], _Steps]] = {
    _NORMALISER: _normaliser,
    f"{_PROCESSORS}.imputer.InputImputer": _imputer,
    f"{_PROCESSORS}.imputer.ConstantImputer": _imputer,
    f"{_PROCESSORS}.remapper.Remapper": _remapper,
}

#: Classes of bounding layers.
_BOUNDING_KINDS = tuple(
    f"{_BOUNDINGS}.{name}Bounding"
    for name in (
        "Relu", "LeakyRelu", "NormalizedRelu", "NormalizedLeakyRelu", "Hardtanh", "LeakyHardtanh", "Fraction",
        "LeakyFraction",
    )
)  # fmt: skip
