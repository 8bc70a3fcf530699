"""The training configuration: every option with its type, read from YAML, unknown ones refused.

What each option means is written beside its default in ``configs/default_model.yaml``.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import yaml

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.io.first_guess import guessable
from ailand_gt4py.weights.variables import VariableSet, choose

Section = TypeVar("Section")


@dataclasses.dataclass(frozen=True)
class Data:
    """Files and columns to learn from."""

    train: tuple[str, ...]
    directory: str = "."
    exclude_boxes: tuple[tuple[float, float, float, float], ...] = ()
    exclude_locations_of: tuple[str, ...] = ()
    may_lack: tuple[str, ...] = ()
    frequency: Mapping[str, int] = dataclasses.field(default_factory=dict)
    frequency_above: Mapping[str, tuple[float, int]] = dataclasses.field(default_factory=dict)
    in_files: bool = False
    validation_fraction: float = 0.1
    clip: Mapping[str, tuple[float, float]] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Variables:
    """Names of the variables of each group; an empty list: the default ones of `training.variables`."""

    static: tuple[str, ...] = ()
    forcing: tuple[str, ...] = ()
    state: tuple[str, ...] = ()
    diagnostics: tuple[str, ...] = ()
    soil_heat: bool = False


@dataclasses.dataclass(frozen=True)
class Network:
    """Size of the network."""

    width: int = 192
    depth: int = 4
    diagnostic_width: int = 128
    diagnostic_depth: int = 2


@dataclasses.dataclass(frozen=True)
class Loss:
    """Scales and weights of the loss's terms."""

    weights: Mapping[str, float] = dataclasses.field(default_factory=dict)
    diagnostic_scale: float = 0.1
    anomaly_factor: float = 2.0
    mean_error_weight: float = 0.0
    freezing_weight: float = 0.0


@dataclasses.dataclass(frozen=True)
class Stage:
    """One part of the curriculum."""

    iterations: int
    steps: int
    batch: int
    restart_probability: float = 1.0


@dataclasses.dataclass(frozen=True)
class Optimiser:
    """AdamW, its learning rate over the iterations, and the averaging of weights."""

    learning_rate: float = 2e-3
    final_fraction: float = 0.01
    warmup_iterations: int = 500
    weight_decay: float = 0.01
    gradient_clip: float = 5.0
    average_decay: float = 0.999


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """Noise that keeps the network from learning columns by heart."""

    static_noise: float = 0.05
    static_noise_of: Mapping[str, float] = dataclasses.field(default_factory=dict)
    forcing_offset_of: Mapping[str, float] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Validation:
    """Free runs of the validation columns during training."""

    interval: int = 2000
    starts: int = 12
    leads_days: tuple[float, ...] = (1.0, 7.0, 30.0, 60.0, 90.0)
    patience: int = 0


@dataclasses.dataclass(frozen=True)
class Run:
    """Seed, device and files of the run."""

    seed: int = 1
    device: Literal["cpu", "cuda"] = "cpu"
    threads: int = 1
    checkpoint_interval: int = 2000
    directory: str = "training"
    start_from: str = ""
    tensorboard: bool = False


@dataclasses.dataclass(frozen=True)
class Configuration:
    """All options of a training run."""

    data: Data
    stages: tuple[Stage, ...]
    variables: Variables = dataclasses.field(default_factory=Variables)
    network: Network = dataclasses.field(default_factory=Network)
    loss: Loss = dataclasses.field(default_factory=Loss)
    optimiser: Optimiser = dataclasses.field(default_factory=Optimiser)
    augmentation: Augmentation = dataclasses.field(default_factory=Augmentation)
    validation: Validation = dataclasses.field(default_factory=Validation)
    run: Run = dataclasses.field(default_factory=Run)
    provenance: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def variable_set(self) -> VariableSet:
        """The variables to train with."""
        return choose(**dataclasses.asdict(self.variables))

    @property
    def iterations(self) -> int:
        """Number of optimiser steps of all stages."""
        return sum(stage.iterations for stage in self.stages)


def read_configuration(path: str | Path) -> Configuration:
    """Read a YAML file.

    Raises:
        InputError: the file cannot be read, is no YAML, or an option is unknown, missing or of the wrong type or range.
    """
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"configuration {path}: cannot be read: {error.strerror or error}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"configuration {path}: is not valid YAML: {' '.join(str(error).split())}") from error
    return parse_configuration(content, str(path))


def parse_configuration(content: object, where: str) -> Configuration:
    """Build the configuration from nested mappings; ``where`` is named in errors.

    Raises:
        InputError: as `read_configuration`.
    """
    configuration = _build(Configuration, content, f"configuration {where}", "")
    _check(configuration, f"configuration {where}")
    return configuration


def _build(section: type[Section], content: object, where: str, prefix: str) -> Section:
    """A section's dataclass from its mapping."""
    if not isinstance(content, Mapping):
        raise InputError(
            f"{where}: {prefix.rstrip('.') or 'the file'} is {_kind(content)}, expected options with values"
        )
    hints = get_type_hints(section)
    fields = {field.name: field for field in dataclasses.fields(section)}  # type: ignore[arg-type]
    unknown = [str(key) for key in content if key not in fields]
    if unknown:
        raise InputError(f"{where}: option '{prefix}{unknown[0]}' is unknown; expected one of {', '.join(fields)}")
    values = {}
    for name, field in fields.items():
        if name in content:
            values[name] = _convert(hints[name], content[name], where, f"{prefix}{name}")
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise InputError(f"{where}: option '{prefix}{name}' is missing")
    return section(**values)


def _convert(hint: Any, value: object, where: str, name: str) -> Any:
    """A value of the type that the option has."""
    if dataclasses.is_dataclass(hint):
        return _build(hint, value, where, f"{name}.")  # type: ignore[arg-type]
    arguments = get_args(hint)
    if get_origin(hint) is tuple:
        variable_length = len(arguments) == 2 and arguments[1] is Ellipsis
        if not isinstance(value, list) or not (variable_length or len(value) == len(arguments)):
            expected = "a list" if variable_length else f"a list of {len(arguments)} values"
            raise InputError(f"{where}: option '{name}' is {_kind(value)}, expected {expected}")
        kinds = [arguments[0]] * len(value) if variable_length else list(arguments)
        return tuple(
            _convert(kind, item, where, f"{name}[{i}]") for i, (kind, item) in enumerate(zip(kinds, value, strict=True))
        )
    if get_origin(hint) is Mapping:
        if not isinstance(value, Mapping):
            raise InputError(f"{where}: option '{name}' is {_kind(value)}, expected names with values")
        return {str(key): _convert(arguments[1], item, where, f"{name}.{key}") for key, item in value.items()}
    if get_origin(hint) is Literal:
        if value not in arguments:
            raise InputError(f"{where}: option '{name}' is {_kind(value)}, expected one of {', '.join(arguments)}")
        return value
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        raise InputError(f"{where}: option '{name}' is {_kind(value)}, expected {_KINDS[hint]}")
    return value


_KINDS = {bool: "true or false", int: "an integer", float: "a number (write 1.0e-3, not 1e-3)", str: "text"}


def _kind(value: object) -> str:
    return "empty" if value is None else f"{value!r}"


def _check(configuration: Configuration, where: str) -> None:
    """Ranges of the options."""
    positive = (
        ("network.width", configuration.network.width),
        ("network.depth", configuration.network.depth),
        ("network.diagnostic_width", configuration.network.diagnostic_width),
        ("network.diagnostic_depth", configuration.network.diagnostic_depth),
        ("loss.diagnostic_scale", configuration.loss.diagnostic_scale),
        ("loss.anomaly_factor", configuration.loss.anomaly_factor),
        ("optimiser.learning_rate", configuration.optimiser.learning_rate),
        ("optimiser.gradient_clip", configuration.optimiser.gradient_clip),
        ("validation.interval", configuration.validation.interval),
        ("validation.starts", configuration.validation.starts),
        ("validation.patience + 1", configuration.validation.patience + 1),
        ("run.threads", configuration.run.threads),
        ("run.checkpoint_interval", configuration.run.checkpoint_interval),
        *((f"validation.leads_days[{i}]", lead) for i, lead in enumerate(configuration.validation.leads_days)),
        *((f"stages[{i}].iterations", stage.iterations) for i, stage in enumerate(configuration.stages)),
        *((f"stages[{i}].steps", stage.steps) for i, stage in enumerate(configuration.stages)),
        *((f"stages[{i}].batch", stage.batch) for i, stage in enumerate(configuration.stages)),
    )
    for name, value in positive:
        if not (value > 0 and math.isfinite(value)):
            raise InputError(f"{where}: option '{name}' is {value}, expected more than 0")
    fractions = (
        ("data.validation_fraction", configuration.data.validation_fraction, 0.0, 0.5),
        ("optimiser.final_fraction", configuration.optimiser.final_fraction, 0.0, 1.0),
        ("optimiser.average_decay", configuration.optimiser.average_decay, 0.0, 1.0),
        ("optimiser.weight_decay", configuration.optimiser.weight_decay, 0.0, math.inf),
        ("optimiser.warmup_iterations", configuration.optimiser.warmup_iterations, 0, math.inf),
        ("loss.mean_error_weight", configuration.loss.mean_error_weight, 0.0, math.inf),
        ("loss.freezing_weight", configuration.loss.freezing_weight, 0.0, 1.0),
        ("augmentation.static_noise", configuration.augmentation.static_noise, 0.0, math.inf),
        ("run.seed", configuration.run.seed, 0, 2**31 - 1),
        *(
            (f"stages[{i}].restart_probability", stage.restart_probability, 0.0, 1.0)
            for i, stage in enumerate(configuration.stages)
        ),
        *((f"loss.weights.{name}", weight, 0.0, math.inf) for name, weight in configuration.loss.weights.items()),
        *(
            (f"augmentation.static_noise_of.{name}", deviation, 0.0, math.inf)
            for name, deviation in configuration.augmentation.static_noise_of.items()
        ),
        *(
            (f"augmentation.forcing_offset_of.{name}", deviation, 0.0, math.inf)
            for name, deviation in configuration.augmentation.forcing_offset_of.items()
        ),
    )
    for name, value, low, high in fractions:
        if not low <= value <= high:
            raise InputError(f"{where}: option '{name}' is {value}, expected {low} to {high}")
    if not configuration.stages:
        raise InputError(f"{where}: option 'stages' is empty, expected at least one stage")
    if not configuration.validation.leads_days:
        raise InputError(f"{where}: option 'validation.leads_days' is empty, expected at least one lead")
    for name, factor in configuration.data.frequency.items():
        if name not in configuration.data.train:
            raise InputError(
                f"{where}: option 'data.frequency.{name}': no such source; expected one of "
                f"{', '.join(configuration.data.train)}"
            )
        if factor < 1:
            raise InputError(f"{where}: option 'data.frequency.{name}' is {factor}, expected at least 1")
    if not configuration.data.train:
        raise InputError(f"{where}: option 'data.train' is empty, expected at least one file")
    for position, (south, north, west, east) in enumerate(configuration.data.exclude_boxes):
        if not (south < north and west < east):
            raise InputError(
                f"{where}: option 'data.exclude_boxes[{position}]' is [{south}, {north}, {west}, {east}], expected "
                "south, north, west, east, each pair increasing"
            )
    try:
        chosen = configuration.variable_set
    except InputError as error:
        raise InputError(f"{where}: option '{error}") from error
    can_be_guessed = guessable(variable.name for variable in chosen.state)
    for name in configuration.data.may_lack:
        if name not in can_be_guessed:
            raise InputError(
                f"{where}: option 'data.may_lack': '{name}' is no state that can be guessed; expected some of "
                f"{', '.join(can_be_guessed) or 'none'}"
            )
    augmentation = configuration.augmentation
    for option, of_inputs, kind in (
        ("data.frequency_above", configuration.data.frequency_above, "static"),
        ("augmentation.static_noise_of", augmentation.static_noise_of, "static"),
        ("augmentation.forcing_offset_of", augmentation.forcing_offset_of, "forcing"),
    ):
        inputs = [variable.name for variable in chosen.groups[kind]]
        for name in of_inputs:
            if name not in inputs:
                raise InputError(
                    f"{where}: option '{option}.{name}': no such {kind} input; expected one of {', '.join(inputs)}"
                )
    for name, (_, factor) in configuration.data.frequency_above.items():
        if factor < 1:
            raise InputError(
                f"{where}: option 'data.frequency_above.{name}' has the frequency {factor}, expected at least 1"
            )
    outputs = [variable.name for variable in chosen.state + chosen.diagnostics]
    for option, names in (("loss.weights", configuration.loss.weights), ("data.clip", configuration.data.clip)):
        for name in names:
            if name not in outputs:
                raise InputError(
                    f"{where}: option '{option}.{name}': no such output; expected one of {', '.join(outputs)}"
                )
    for name, (low, high) in configuration.data.clip.items():
        if not low < high:
            raise InputError(f"{where}: option 'data.clip.{name}' is [{low}, {high}], expected an increasing pair")
