"""The model in memory: named variables, their statistics, the network's parameters and its provenance."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple, TypeAlias, get_args

import numpy as np

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.ecland.soil_heat import SOIL_HEAT, property_positions
from ailand_gt4py.ecland.soil_water import SOIL_WATER, WATER_HELD, temperature_positions
from ailand_gt4py.weights import architectures
from ailand_gt4py.weights.processing import Bounding, Nodes, PointWise, Step, Variability

NormalisationMethod = Literal["mean-std", "max", "std", "min-max", "log", "none"]

#: What a value stored with a time label stands for. ``window`` is the emulator's step [t, t + step).
TimeMeaning = Literal["static", "window mean", "window start", "window end"]

#: `Variable.derived` begins with this where the rest of it is the name of a variable whose value of the previous window
#: is meant; the spelling is that of model files.
PREVIOUS = "before:"


class _Method(NamedTuple):
    """A normalisation method: the statistics that it needs, the one that is subtracted, and what is divided by."""

    needs: tuple[str, ...]
    shift: str
    scale: Callable[[Normalisation], float]


METHODS: dict[str, _Method] = {
    "mean-std": _Method(("mean", "std"), "mean", lambda one: one.std + one.epsilon),
    "max": _Method(("maximum",), "", lambda one: one.maximum),
    "std": _Method(("std",), "", lambda one: one.std),
    "min-max": _Method(("minimum", "maximum"), "minimum", lambda one: one.maximum - one.minimum),
    "log": _Method(("mean", "std", "minimum"), "mean", lambda one: one.std),
    "none": _Method((), "", lambda one: 1.0),
}


#: Static inputs of such names are numbers of each column to which a network is tied (`processing.Nodes`).
NODE_TRAINABLE = "node_trainable_"

#: Seconds; of this length, times are still counted in nanoseconds.
LONGEST_STEP = 1e9

#: The least positive and the largest number of which single precision holds the inverse, too, with all digits.
LARGEST = 2.0**126
SMALLEST = 1.0 / LARGEST


class _Comparable:
    """Equal where all is, an unknown number (NaN) to another: Python's versions differ in that of dataclasses."""

    def _known(self) -> dict[str, object]:
        return {key: value for key, value in vars(self).items() if not (isinstance(value, float) and math.isnan(value))}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Comparable) and type(self) is type(other) and self._known() == other._known()

    def __hash__(self) -> int:
        return hash(next(iter(vars(self).values())))


@dataclasses.dataclass(frozen=True, eq=False)
class Normalisation(_Comparable):
    """How a variable enters the network: ``(value - shift) / scale``, of the value or of its logarithm.

    Attributes:
        method: ``mean-std`` (value - mean) / (std + epsilon), ``max`` value / maximum, ``std`` value / std,
            ``min-max`` (value - minimum) / (maximum - minimum), ``none``: the methods of the aiLand prototype
            (Wesselkamp et al. 2025, doi:10.5194/gmd-18-921-2025, and its public code). Beyond these, for forcing,
            ``log`` (log(max(value, minimum)) - mean) / std, mean and std being those of the logarithm.
        mean, std, minimum, maximum: statistics in the variable's units; those that the method needs must be finite.
        epsilon: added to std by ``mean-std``: 1e-5 in the prototype, 0 later.
    """

    method: NormalisationMethod = "none"
    mean: float = math.nan
    std: float = math.nan
    minimum: float = math.nan
    maximum: float = math.nan
    epsilon: float = 0.0

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise InputError(f"normalisation method '{self.method}' is unknown; expected one of {', '.join(METHODS)}")
        for statistic in METHODS[self.method].needs:
            value = getattr(self, statistic)
            if not math.isfinite(value):
                raise InputError(f"normalisation '{self.method}' needs the statistic '{statistic}', found {value}")
        if self.is_logarithmic and not SMALLEST <= self.minimum <= LARGEST:
            raise InputError(
                f"normalisation 'log' has the minimum {self.minimum}, expected more than 0 that single precision holds"
            )
        if not SMALLEST <= self.scale <= LARGEST:
            raise InputError(
                f"normalisation '{self.method}' gives the scale {self.scale}, expected a positive number that single "
                f"precision holds, {SMALLEST:.3g} to {LARGEST:.3g}"
            )
        if abs(self.shift) > LARGEST:
            raise InputError(
                f"normalisation '{self.method}' subtracts {self.shift}, expected at most {LARGEST:.3g}, which single "
                "precision holds"
            )

    @property
    def shift(self) -> float:
        """What is subtracted, in the variable's units."""
        statistic = METHODS[self.method].shift
        return float(getattr(self, statistic)) if statistic else 0.0

    @property
    def scale(self) -> float:
        """What is divided by, in the variable's units; positive."""
        return METHODS[self.method].scale(self)

    @property
    def is_logarithmic(self) -> bool:
        """Whether the logarithm of the value is taken first."""
        return self.method == "log"

    def apply(self, values: np.ndarray) -> np.ndarray:
        """Values in the network's space."""
        if self.is_logarithmic:
            values = np.log(np.maximum(values, self.minimum))
        return (values - self.shift) / self.scale


@dataclasses.dataclass(frozen=True, eq=False)
class Described(_Comparable):
    """Properties of a variable that do not depend on statistics.

    Attributes:
        name: the name in ec-land-db and in files (``met_tair``, ``clim_cvh``, ``swvl1``).
        units: of the values that the model takes and gives, UDUNITS spelling (``K``, ``m3 m-3``, ``1``).
        long_name, standard_name: for display, and of CF; ``standard_name`` may be empty.
        time_meaning: meaning of the value in a step over the window [t, t + step).
        lower_bound, upper_bound: the step's result is clipped to them (state and diagnostics), model units;
            infinite where there is none.
        bounded_by: empty, or the name of another variable whose value in the same column is an additional upper bound:
            a static input or forcing, or a result of the same group (see `Model`).
        increment_of: empty, or the quantity that the network predicts for this state variable:
            `ailand_gt4py.ecland.soil_heat.SOIL_HEAT`, the change of the layer's heat over its capacity, K, or
            `ailand_gt4py.ecland.soil_water.SOIL_WATER`, the change of the layer's water in the absence of frost.
        derived: empty, or the source of this input, which then need not be in a file: a quantity computed from time and
            location (see `ailand_gt4py.stencils.physics.solar`), or another variable's value in the previous window
            (`ailand_gt4py.emulator.forcing`), which may itself be of an earlier window. For a state variable: another
            one, whose value before the step this one takes after it.
    """

    name: str
    units: str
    long_name: str = ""
    standard_name: str = ""
    time_meaning: TimeMeaning = "window mean"
    lower_bound: float = -math.inf
    upper_bound: float = math.inf
    derived: str = ""
    bounded_by: str = ""
    increment_of: str = ""

    @property
    def is_previous(self) -> bool:
        """Whether it is another variable's value of the previous window."""
        return self.derived.startswith(PREVIOUS)

    @property
    def previous_of(self) -> str:
        """The name of the variable whose value of the previous window it has, which may be of the previous window."""
        return self.derived.removeprefix(PREVIOUS) if self.is_previous else ""


@dataclasses.dataclass(frozen=True, eq=False)
class Variable(Described):
    """One input or output of the model.

    Attributes:
        normalisation: see `Normalisation`.
        processing: the transformations from the physical value to the network's. Empty: ``normalisation`` alone;
            otherwise complete, and ``normalisation`` holds statistics only.
        training_minimum, training_maximum: range in the training data, model units; NaN if unknown.
    """

    normalisation: Normalisation = dataclasses.field(default_factory=Normalisation)
    training_minimum: float = math.nan
    training_maximum: float = math.nan
    processing: tuple[Step, ...] = ()

    def __post_init__(self) -> None:
        if not self.name:
            raise InputError("a model variable has no name")
        if self.time_meaning not in get_args(TimeMeaning):
            raise InputError(
                f"variable '{self.name}': time meaning '{self.time_meaning}' is unknown; expected one of "
                f"{', '.join(get_args(TimeMeaning))}"
            )
        if not self.lower_bound < self.upper_bound:
            raise InputError(
                f"variable '{self.name}': lower bound {self.lower_bound} is not below upper bound {self.upper_bound}"
            )
        for bound in (self.lower_bound, self.upper_bound):
            if math.isfinite(bound) and abs(bound) > LARGEST:
                raise InputError(
                    f"variable '{self.name}': bound {bound}, expected infinity or at most {LARGEST:.3g}, which single "
                    "precision holds"
                )
        if self.lower_bound == math.inf or self.upper_bound == -math.inf:
            raise InputError(
                f"variable '{self.name}': bounds {self.lower_bound} to {self.upper_bound} hold no number, expected some"
            )

    @property
    def is_imputed(self) -> bool:
        """Whether it may be missing: a number then stands for it."""
        return any(step.kind == "impute" for step in self.processing)

    @property
    def changes_by_heat(self) -> bool:
        """Whether its increment is one of soil heat (`ailand_gt4py.ecland.soil_heat`)."""
        return self.increment_of == SOIL_HEAT

    @property
    def held_by_frost(self) -> bool:
        """Whether frost holds its increments (`ailand_gt4py.ecland.soil_water`)."""
        return self.increment_of == SOIL_WATER


def previous_name(name: str) -> str:
    """What `Variable.derived` says of the variable that has ``name``'s value of the previous window."""
    return f"{PREVIOUS}{name}"


def previous_positions(forcing: Sequence[Variable]) -> tuple[list[int], list[int]]:
    """Positions of the forcing inputs that are of the previous window, and of the inputs that each of them repeats.

    An input may repeat one that is itself of the previous window: then it is of the window before that.
    """
    names = {variable.name: position for position, variable in enumerate(forcing)}
    positions = [position for position, variable in enumerate(forcing) if variable.is_previous]
    sources = []
    for position in positions:
        chain = [position]
        while forcing[chain[-1]].is_previous:
            name = forcing[chain[-1]].previous_of
            if name not in names or names[name] in chain:
                own = [variable.name for variable in forcing if not variable.is_previous]
                raise InputError(
                    f"forcing '{forcing[position].name}' is '{name}' of the previous window, which is not among the "
                    f"forcing of the window itself; expected one of {', '.join(own)}"
                )
            chain.append(names[name])
        sources.append(chain[1])
    return positions, sources


@dataclasses.dataclass(frozen=True)
class Template:
    """The variables of a model that does not exist yet; attributes as of `Model`."""

    static: tuple[Variable, ...]
    forcing: tuple[Variable, ...]
    state: tuple[Variable, ...]
    diagnostics: tuple[Variable, ...]
    step_seconds: float
    normalised_space: bool = False


@dataclasses.dataclass(frozen=True, eq=False)
class Model:
    """An aiLand network with everything that gives its inputs and outputs a meaning.

    Attributes:
        architecture: ``simple``, ``two_branch``, ``layer_norm`` or ``point_wise`` (see `architectures`).
        static, forcing, state, diagnostics: the variables in the network's order.
        parameters: the network's arrays by name, with the shapes of ``architectures.parameter_shapes``. Weights are
            (n_out, n_in). Float32 or float64. Emulators may use them in place: do not change them.
        step_seconds: length of the emulator's step, s; 0 if unknown (published checkpoints).
        normalised_space: True if no statistics are known: inputs and outputs are then normalised values.
        provenance: free text by key: data, command, code version, licence, citation, ...
        point_wise: properties of that architecture beyond its parameters; None for the others.
        boundings: ``point_wise`` only: bounds of the results in the network's space, in order.
        nodes: ``point_wise`` only: the columns that the network is tied to; None if it runs anywhere.
        variability: variability of the state in the training columns; None if unknown.
    """

    architecture: str
    static: tuple[Variable, ...]
    forcing: tuple[Variable, ...]
    state: tuple[Variable, ...]
    diagnostics: tuple[Variable, ...]
    parameters: Mapping[str, np.ndarray]
    step_seconds: float = 0.0
    normalised_space: bool = False
    provenance: Mapping[str, str] = dataclasses.field(default_factory=dict)
    point_wise: PointWise | None = None
    boundings: tuple[Bounding, ...] = ()
    nodes: Nodes | None = None
    variability: Variability | None = None

    def __post_init__(self) -> None:
        names = [variable.name for variable in self.variables]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise InputError(f"model variables are named more than once: {', '.join(repeated)}")
        for variable in (*self.static, *self.state, *self.diagnostics):
            if variable.normalisation.is_logarithmic:
                raise InputError(
                    f"variable '{variable.name}': found the normalisation 'log', expected it for forcing only"
                )
        if not 0.0 <= self.step_seconds <= LONGEST_STEP:
            raise InputError(f"the model's step is {self.step_seconds} s, expected a number from 0 to {LONGEST_STEP:g}")
        self._check_bounds()
        self._check_increments()
        self._check_point_wise()
        if self.variability is not None and len(self.variability.anomalies) != self.n_prognostic:
            raise InputError(
                f"variability of {len(self.variability.anomalies)} variables, expected the {self.n_prognostic} states"
            )
        n_previous = len(self.state) - self.n_prognostic
        architectures.check_parameters(self.architecture, self.parameters, self.sizes, n_previous)

    def _check_bounds(self) -> None:
        """Whether all of `Variable.bounded_by` can be had: one pass over results, in the units of what it bounds."""
        for variable in self.static + self.forcing:
            if variable.bounded_by:
                raise InputError(
                    f"input '{variable.name}' is bounded by '{variable.bounded_by}', expected only results"
                )
        for group in (self.state, self.diagnostics):
            known = {one.name: one for one in (*self.static, *self.forcing, *group)}
            for variable in group:
                if not variable.bounded_by:
                    continue
                what = f"variable '{variable.name}' is bounded by '{variable.bounded_by}'"
                bound = known.get(variable.bounded_by)
                if bound is None or bound is variable:
                    raise InputError(f"{what}, expected a static input, forcing, or another result of its group")
                if bound.bounded_by:
                    raise InputError(
                        f"{what}, which is itself bounded by '{bound.bounded_by}', expected one that is not"
                    )
                if bound.units != variable.units:
                    raise InputError(f"{what} in '{bound.units}', expected its own unit '{variable.units}'")
                if not architectures.find(self.architecture).admits_physics:
                    raise InputError(f"{what}, expected no such bounds in the architecture '{self.architecture}'")

    def _check_increments(self) -> None:
        """Whether what changes by heat or water is such a variable of the state, and all that decides that is there."""
        for variable in self.variables:
            if not variable.increment_of:
                continue
            what = f"variable '{variable.name}' has increments of '{variable.increment_of}'"
            if variable.increment_of not in (SOIL_HEAT, SOIL_WATER):
                raise InputError(f"{what}, expected none, '{SOIL_HEAT}' or '{SOIL_WATER}'")
            if variable.changes_by_heat and (variable not in self.state or variable.units != "K"):
                raise InputError(f"{what} and the unit '{variable.units}', expected them for a state in K")
            if variable.held_by_frost:
                if variable not in self.state or variable.name not in WATER_HELD or variable.units != "m3 m-3":
                    known = ", ".join(WATER_HELD)
                    raise InputError(
                        f"{what} and the unit '{variable.units}', expected them for a state in m3 m-3 of {known}"
                    )
                temperature_positions(variable.name, [one.name for one in self.state if one.changes_by_heat])
            if not architectures.find(self.architecture).admits_physics:
                raise InputError(f"{what}, expected none in the architecture '{self.architecture}'")
            if variable.changes_by_heat:
                property_positions([variable.name for variable in self.static])

    def _check_point_wise(self) -> None:
        """Whether what only `architectures.POINT_WISE` has is there for it, not for others, and fits the variables."""
        what = f"architecture '{self.architecture}'"
        if (self.architecture == architectures.POINT_WISE) != (self.point_wise is not None):
            raise InputError(f"{what}: found point_wise {self.point_wise}, expected it for 'point_wise' and no other")
        if self.point_wise is None:
            for variable in self.variables:
                if variable.processing or (variable in self.state and variable.is_previous):
                    found = "a processing" if variable.processing else f"the derivation '{variable.derived}'"
                    raise InputError(f"variable '{variable.name}' has {found}, expected none in the {what}")
            if self.boundings or self.nodes is not None:
                raise InputError(f"{what}: found boundings or nodes, expected none")
            return
        for group in ("static", "forcing", "state"):
            if not getattr(self, group):
                raise InputError(f"{what}: found no {group} variable, expected some")
        names = [variable.name for variable in self.state]
        for position in range(self.n_prognostic, len(names)):
            expected = previous_name(names[position - self.n_prognostic])
            if self.state[position].derived != expected:
                raise InputError(
                    f"state '{names[position]}' has the derivation '{self.state[position].derived}', expected "
                    f"'{expected}': states of earlier times in the order of the newest, the oldest last"
                )
        if len(names) % max(self.n_prognostic, 1):
            raise InputError(f"{what}: found {len(names)} state variables, expected {self.n_prognostic} of each time")
        results = {*names[: self.n_prognostic], *(variable.name for variable in self.diagnostics)}
        for bounding in self.boundings:
            for name in (*bounding.variables, *([bounding.total] if bounding.total else [])):
                if name not in results:
                    raise InputError(f"bounding '{bounding.kind}' is of '{name}', expected a result of the network")
        n_trainable = sum(variable.name.startswith(NODE_TRAINABLE) for variable in self.static)
        if n_trainable != (0 if self.nodes is None else self.nodes.trainable.shape[1]):
            raise InputError(
                f"{what}: found {n_trainable} static inputs '{NODE_TRAINABLE}...' and "
                f"{'no nodes' if self.nodes is None else f'nodes with {self.nodes.trainable.shape[1]} numbers'}, "
                "expected one for each"
            )

    @property
    def n_prognostic(self) -> int:
        """Number of state variables that the network predicts; the others are of earlier times."""
        return sum(not variable.is_previous for variable in self.state)

    @property
    def missing_after(self) -> dict[int, int]:
        """Position of a state variable that may be missing after a step -> of the one that then was before it.

        Of an imputed variable the newest value is missing where the oldest was, as in anemoi; earlier ones are copied.
        """
        n_earlier = len(self.state) - self.n_prognostic
        sources = (*range(n_earlier, len(self.state)), *range(n_earlier))
        return {k: source for k, source in enumerate(sources) if self.state[k].is_imputed}

    @property
    def variables(self) -> tuple[Variable, ...]:
        """All variables: static, forcing, state, diagnostics."""
        return self.static + self.forcing + self.state + self.diagnostics

    @property
    def sizes(self) -> architectures.Sizes:
        """Numbers of static, forcing, state and diagnostic variables."""
        return architectures.Sizes(len(self.static), len(self.forcing), len(self.state), len(self.diagnostics))

    def require_physical(self, what: str) -> None:
        """Check that the model runs in physical units and knows its step; ``what`` names it in the `InputError`."""
        if self.normalised_space or not self.step_seconds > 0.0:
            raise InputError(
                f"{what}: the model has no {'statistics' if self.normalised_space else 'step'}, "
                "expected one that runs in physical units with a known step"
            )

    @property
    def parameter_count(self) -> int:
        """Number of trained parameters."""
        return sum(int(array.size) for array in self.parameters.values())


#: What has the variables that a model reads and gives, its step, and whether no statistics are known.
ModelVariables: TypeAlias = Model | Template


def require_model(value: object) -> Model:
    """A model as given; `InputError` for something else, such as the name of a file, which is to be read first."""
    if not isinstance(value, Model):
        raise InputError(
            f"model: found {type(value).__name__}, expected a Model, as read_model and import_checkpoint give it"
        )
    return value
