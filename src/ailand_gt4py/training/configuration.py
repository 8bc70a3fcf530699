"""The training configuration: every option; ``configs/default_model.yaml`` explains them at more length."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from ailand_gt4py.core.constants import LEAST_MEASURED
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.settings import Settings, option
from ailand_gt4py.ecland.soil_heat import LIQUID_ABOVE
from ailand_gt4py.io.first_guess import guessable
from ailand_gt4py.weights.processing import PointWise
from ailand_gt4py.weights.variables import VariableSet, choose


def _interval(ends: tuple[float, float]) -> tuple[float, float]:
    if not ends[0] < ends[1]:
        raise ValueError("an increasing pair")
    return ends


def _box(box: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    south, north, west, east = box
    if not (south < north and west < east):
        raise ValueError("south, north, west, east, each pair increasing")
    return box


Positive = Annotated[float, Field(gt=0.0)]
Deviation = Annotated[float, Field(ge=0.0)]
Frequency = Annotated[int, Field(ge=1)]
Box = Annotated[tuple[float, float, float, float], AfterValidator(_box)]
Names = tuple[str, ...]


class Data(Settings):
    """Training files and columns."""

    train: Names = option(..., "training files and stores, in the directory", min_length=1)
    directory: str = option(".", "directory of the data files (default: as configured)", "--data", metavar="DIR")
    exclude_boxes: tuple[Box, ...] = option((), "boxes left out: [south, north, west, east], degrees north and east")
    exclude_locations_of: Names = option((), "files whose locations are left out of the training")
    exclude_points: str = option("", "file of points LAT,LON that are left out of the training")
    may_lack: Names = option((), "states that a source may lack; guessed at the start of a rollout")
    only_observed: Names = option((), "sources of which only observations are learnt; their states start rollouts")
    observed: Names = option(
        (), "diagnostics learnt from observations (obs_NAME, gaps allowed) where a source has them"
    )
    observations: Mapping[str, Annotated[Names, Field(min_length=1)]] = option(
        {}, "files of observations at a source's columns, at their own times, instead of its obs_NAME"
    )
    observation_errors: Mapping[str, Positive] = option(
        {}, "standard deviation of observations in model units, if files have no obs_NAME_error"
    )
    least_measured: float = option(LEAST_MEASURED, "least observed share of a window that counts", gt=0.0, le=1.0)
    frequency: Mapping[str, Frequency] = option({}, "factor on how often the windows of a source are drawn")
    frequency_above: Mapping[str, tuple[float, Frequency]] = option(
        {}, "factor on how often columns are drawn whose static input exceeds a value: [value, factor]"
    )
    in_files: bool = option(False, "keep the data in memory-mapped files instead of memory")
    validation_fraction: float = option(
        0.1, "share of the locations of each climate, soil and snow regime used for validation", ge=0.0, le=0.5
    )
    clip: Mapping[str, Annotated[tuple[float, float], AfterValidator(_interval)]] = option(
        {}, "range to which an output is clipped in the training data: [lowest, highest]"
    )

    def observation_files(self, directory: Path) -> dict[str, list[Path]]:
        """Files of observations in a directory, by source."""
        return {source: [directory / name for name in names] for source, names in self.observations.items()}


class Variables(Settings):
    """Names of the variables of each group; an empty list: the default ones of `weights.variables`."""

    static: Names = option((), "static inputs: soil, vegetation, orography")
    forcing: Names = option((), "forcing; names ending in _before: of the previous window")
    state: Names = option((), "state variables, carried from step to step")
    diagnostics: Names = option((), "diagnostics, predicted besides the state")
    soil_heat: bool = option(False, "predict soil temperature through the heat of the layers, freezing included")
    soil_water: bool = option(False, "limit changes of soil water in frozen soil")


Ratio = Annotated[float, Field(ge=1.0, le=8.0)]

#: Options of a network that only one architecture has.
_OF_LAYER_NORM = ("width", "depth", "diagnostic_width", "diagnostic_depth")
_OF_POINT_WISE = (
    "channels", "layers", "ratio", "activation", "activation_parameters", "latent_skip", "epsilon", "coordinates",
    "input_steps", "dropout",
)  # fmt: skip


class Network(Settings):
    """Architecture and size of the network."""

    architecture: Literal["layer_norm", "point_wise"] = option("layer_norm", "architecture of the network")
    width: int = option(192, "layer_norm: units of a hidden layer of the trunk", gt=0)
    depth: int = option(4, "layer_norm: hidden layers of the trunk", gt=0)
    diagnostic_width: int = option(128, "layer_norm: units of a hidden layer of the diagnostic block", gt=0)
    diagnostic_depth: int = option(2, "layer_norm: hidden layers of the diagnostic block", gt=0)
    channels: int = option(128, "point_wise: units between blocks", gt=0)
    layers: int = option(4, "point_wise: blocks", gt=0)
    ratio: Ratio = option(4.0, "point_wise: hidden units of a block, as a multiple of the channels")
    activation: str = option("gelu", "point_wise: activation of the blocks")
    activation_parameters: tuple[float, ...] = option((), "point_wise: parameters of the activation, in order")
    latent_skip: bool = option(True, "point_wise: add the encoder's output to that of the last block")
    epsilon: float = option(1e-5, "point_wise: constant added to the variance in layer normalisations", gt=0.0, lt=1.0)
    coordinates: bool = option(True, "point_wise: take sines and cosines of latitude and longitude as inputs")
    input_steps: int = option(1, "point_wise: number of input times, a step apart", ge=1, le=8)
    dropout: float = option(0.0, "point_wise: probability of dropping the output of a block", ge=0.0, lt=1.0)

    @property
    def point_wise(self) -> PointWise:
        """What the tensors of a network of that architecture do not say."""
        return PointWise(self.activation, self.activation_parameters, self.latent_skip, self.epsilon)

    @model_validator(mode="after")
    def _check_architecture(self) -> Self:
        for name in _OF_POINT_WISE if self.architecture == "layer_norm" else _OF_LAYER_NORM:
            if getattr(self, name) != type(self).model_fields[name].default:
                raise InputError(
                    f"option 'network.{name}': found {getattr(self, name)}, expected nothing: the architecture "
                    f"'{self.architecture}' has no such option"
                )
        try:
            self.point_wise  # noqa: B018
        except InputError as error:
            raise InputError(f"option 'network.activation': {error}") from error
        return self


class Loss(Settings):
    """Scales and weights of the loss's terms."""

    weights: Mapping[str, Deviation] = option({}, "weights of the outputs (1 if not named)")
    diagnostic_scale: float = option(0.1, "scale of a diagnostic's errors, in its standard deviations", gt=0.0)
    anomaly_factor: float = option(
        2.0, "largest scale of a state's errors, in standard deviations of its anomalies", gt=0.0
    )
    mean_error_weight: float = option(0.0, "weight of the loss term for the mean error of each rollout", ge=0.0)
    terms: Mapping[str, Deviation] = option({}, "weights of further loss terms, by name (`training.losses`)")
    freezing_weight: float = option(0.0, "share of the heat error in the error of soil temperatures", ge=0.0, le=1.0)


#: Terms of the loss that compare the rollout with brightness temperatures.
BRIGHTNESS_TERMS = ("brightness", "brightness_square")
#: What these need of the model, by group.
BRIGHTNESS_INPUTS = {
    "static": ("clim_cvh", "clim_veg_covh", "clim_tvh", "clim_cvl", "clim_veg_covl", "clim_tvl"),
    "forcing": ("lai_hv", "lai_lv"),
    "state": ("swvl1", "stl1", "stl2", "snowc"),
}


class Brightness(Settings):
    """Brightness temperatures at L-band that the rollouts are compared with by `BRIGHTNESS_TERMS` of ``loss.terms``."""

    polarisations: tuple[Literal["h", "v"], ...] = option(
        ("h", "v"), "polarisations used: obs_tbh, obs_tbv", min_length=1
    )
    error: float = option(4.0, "standard deviation of observations without obs_tbh_error, obs_tbv_error, K", gt=0.0)
    incidence: float = option(40.0, "incidence angle of the observations, degrees from nadir", ge=0.0, lt=90.0)
    roughness: float = option(1.0, "factor on the roughness of the soil (`observations.brightness`)", gt=0.0)
    optical_depth: float = option(1.0, "factor on the optical depths of the vegetation", gt=0.0)
    learns: tuple[Literal["roughness", "optical_depth", "albedo", "bias"], ...] = option(
        (), "parameters of the operator learnt with the network, starting from those given"
    )
    learning_rate: float = option(0.01, "largest learning rate of these parameters", gt=0.0)
    largest_snow_cover: float = option(0.01, "snow cover of the rollout above which nothing is compared", ge=0.0)
    coldest_soil: float = option(LIQUID_ABOVE, "stl1 of the rollout below which nothing is compared, K", gt=0.0)


class Stage(Settings):
    """One part of the curriculum."""

    iterations: int = option(..., "iterations of the optimiser", gt=0)
    steps: int = option(..., "steps of a rollout, all differentiated", gt=0)
    batch: int = option(..., "rollouts per iteration", gt=0)
    restart_probability: float = option(1.0, "probability that a rollout starts from the truth", ge=0.0, le=1.0)


class Optimiser(Settings):
    """AdamW and Muon, their learning rates over the iterations, and the averaging of weights."""

    learning_rate: float = option(2e-3, "largest learning rate of AdamW", gt=0.0)
    muon_learning_rate: float = option(
        0.0, "largest learning rate of Muon, for the hidden matrices; 0: AdamW for all", ge=0.0
    )
    final_fraction: float = option(0.01, "final learning rate over the largest", ge=0.0, le=1.0)
    warmup_iterations: int = option(500, "iterations until the largest learning rate", ge=0)
    weight_decay: float = option(0.01, "weight decay of matrices", ge=0.0)
    gradient_clip: float = option(5.0, "largest norm of the gradients", gt=0.0)
    average_decay: float = option(0.999, "decay per iteration of the averaged weights", ge=0.0, le=1.0)


#: What of a network is learnt: all; the diagnostic block; the layers that give the results; gain and bias of each
#: diagnostic; low-rank additions to the matrices.
Learns = Literal["all", "diagnostic_block", "last_layers", "bias_correction", "low_rank"]


class Adaptation(Settings):
    """Trained part of the network, and what keeps it near the initial model (fine-tuning)."""

    learns: Learns = option("all", "part of the network that is trained")
    rank: int = option(4, "rank of the low-rank additions", ge=1, le=64)
    decay_to_start: float = option(0.0, "decay of parameters towards their initial values, like weight_decay", ge=0.0)
    distils: bool = option(False, "learn what was not observed from the initial model instead of the sources")


class Augmentation(Settings):
    """Noise that keeps the network from memorising columns."""

    static_noise: float = option(0.05, "standard deviation of noise on normalised static inputs", ge=0.0)
    static_noise_of: Mapping[str, Deviation] = option({}, "standard deviations for single static inputs")
    forcing_offset_of: Mapping[str, Deviation] = option({}, "standard deviations of constant offsets, by forcing input")


class Validation(Settings):
    """Free runs of the validation columns during training."""

    interval: int = option(2000, "iterations between validations", gt=0)
    starts: int = option(12, "runs per column", gt=0)
    leads_days: tuple[Positive, ...] = option((1.0, 7.0, 30.0, 60.0, 90.0), "lead times in days", min_length=1)
    patience: int = option(0, "validations without improvement before training stops; 0: never", ge=0)


class Run(Settings):
    """Seed, device and files of the run."""

    seed: int = option(1, "seed of weights, column split, batches and noise", ge=0, lt=2**31)
    device: Literal["cpu", "cuda"] = option("cpu", "processor or GPU; the last digits depend on it")
    threads: int = option(1, "processor threads (default: as configured)", "--threads", gt=0)
    length: Positive = option(1.0, "factor on the iterations of each stage")
    checkpoint_interval: int = option(2000, "iterations between checkpoints", gt=0)
    directory: str = option(
        "training", "directory of the checkpoint and log (default: as configured)", "--directory", metavar="DIR"
    )
    start_from: str = option(
        "", "model to start training from (default: as configured)", "--start-from", metavar="MODEL.nc"
    )
    tensorboard: bool = option(False, "also write curves for TensorBoard")


class Configuration(Settings):
    """All options of a training run."""

    data: Data = option(..., "training files and columns")
    stages: tuple[Stage, ...] = option(..., "the curriculum", only_yaml=True, min_length=1)
    variables: Variables = option(Variables(), "variables of the model")
    network: Network = option(Network(), "architecture and size of the network")
    loss: Loss = option(Loss(), "scales and weights of the loss's terms")
    brightness: Brightness = option(Brightness(), "observed brightness temperatures")
    optimiser: Optimiser = option(Optimiser(), "optimiser of the weights")
    adaptation: Adaptation = option(Adaptation(), "trained part of the network, and what is preserved")
    augmentation: Augmentation = option(Augmentation(), "noise on inputs")
    validation: Validation = option(Validation(), "free runs during training")
    run: Run = option(Run(), "seed, device and files of the run")
    provenance: Mapping[str, str] = option({}, "texts for the model file", only_yaml=True)

    @property
    def variable_set(self) -> VariableSet:
        chosen, network = choose(**dict(self.variables)), self.network
        if network.architecture == "layer_norm":
            return chosen
        return chosen.of_point_wise(network.input_steps, network.coordinates)

    @property
    def curriculum(self) -> tuple[Stage, ...]:
        """The stages as they are run: `run.length` times as many iterations, at least one."""
        return tuple(
            stage.model_copy(update={"iterations": max(1, round(stage.iterations * self.run.length))})
            for stage in self.stages
        )

    @property
    def brightness_names(self) -> tuple[str, ...]:
        """Brightness temperatures that are compared, none where no term asks for them."""
        asked = any(self.loss.terms.get(name) for name in BRIGHTNESS_TERMS)
        return tuple(f"tb{one}" for one in dict.fromkeys(self.brightness.polarisations)) if asked else ()

    @property
    def iterations(self) -> int:
        return sum(stage.iterations for stage in self.curriculum)

    @model_validator(mode="after")
    def _check_names(self) -> Self:
        adaptation = self.adaptation
        is_adapted = adaptation.learns != "all" or adaptation.decay_to_start or adaptation.distils
        if not self.run.start_from and is_adapted:
            raise InputError(
                f"option 'adaptation': found learns '{adaptation.learns}', decay_to_start "
                f"{adaptation.decay_to_start:g} and distils {str(adaptation.distils).lower()} without a model to begin "
                "with, expected run.start_from beside them"
            )
        if set(self.data.train) <= set(self.data.only_observed):
            what = "option 'data.only_observed': found all of data.train, so that"
            if not self.run.start_from:
                raise InputError(
                    f"{what} no state is known, expected run.start_from, or a source whose states are learnt"
                )
            if not self.data.observed and not self.brightness_names:
                raise InputError(
                    f"{what} nothing is learnt, expected names in 'data.observed' or a term of brightness temperature"
                )
        # What training begins with has variables of its own (`beginning`).
        if not self.run.start_from:
            self.check_names()
        return self

    def check_names(self) -> None:
        """Whether all variables that options name are there.

        Raises:
            InputError: one is not.
        """
        chosen = self.variable_set
        can_be_guessed = guessable(variable.name for variable in chosen.state)
        for name in self.data.may_lack:
            if name not in can_be_guessed:
                raise InputError(
                    f"option 'data.may_lack': '{name}' is no state that can be guessed; expected some of "
                    f"{', '.join(can_be_guessed) or 'none'}"
                )
        data, noise, weights = self.data, self.augmentation, self.loss.weights
        static, forcing, state, diagnostics = ([one.name for one in group] for group in chosen.groups.values())
        for path, given, known, what in (
            ("data.observed", data.observed, diagnostics, "diagnostic"),
            ("data.observations", data.observations, data.train, "source"),
            ("data.observation_errors", data.observation_errors, data.observed, "observed diagnostic"),
            ("data.only_observed", data.only_observed, data.train, "source"),
            ("data.frequency", data.frequency, data.train, "source"),
            ("data.frequency_above", data.frequency_above, static, "static input"),
            ("augmentation.static_noise_of", noise.static_noise_of, static, "static input"),
            ("augmentation.forcing_offset_of", noise.forcing_offset_of, forcing, "forcing input"),
            ("loss.weights", weights, state + diagnostics, "output"),
            ("data.clip", data.clip, state + diagnostics, "output"),
        ):
            for name in given:
                if name not in known:
                    raise InputError(f"option '{path}.{name}': no such {what}; expected one of {', '.join(known)}")
        if data.observations and not data.observed:
            raise InputError(
                f"option 'data.observations': found files of {', '.join(data.observations)}, but no names in "
                "'data.observed', expected those of diagnostics to learn from them"
            )
        if self.brightness_names:
            for group, needed in BRIGHTNESS_INPUTS.items():
                lacking = set(needed) - {one.name for one in chosen.groups[group]}
                if lacking:
                    raise InputError(
                        f"option 'loss.terms': brightness temperature needs {', '.join(sorted(lacking))} in "
                        f"'variables.{group}', expected all of {', '.join(needed)}"
                    )
