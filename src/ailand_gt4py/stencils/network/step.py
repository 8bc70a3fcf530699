"""The programs of a step: from inputs in model units to the new state and the diagnostics in model units.

A network of any depth is a sequence of statements, each one field operator of `layers` or `pointwise` that writes a
buffer. GT4Py programs are Python functions without loops over operators, so the function is written out here for an
architecture and its depths. One program, and thus one call of compiled code, makes the whole step.

In ``two_branch`` the static inputs have a branch of their own, a fifth of the network's work. It and its share of the
layer where the branches meet are a program of their own, `describe_static_part`, which need not run as long as the
static inputs stay. The other networks mix static and other inputs in a first layer. There 18 or 20 multiplications for
each of its units could be saved by keeping a value of four bytes for each unit and column. That pays only where a byte
of memory takes longer than some ten flops, which is about where processors are.
"""

import functools
import hashlib
from collections.abc import Mapping
from typing import Any, TypeVar

import gt4py.next as gtx

from ailand_gt4py.core.dimensions import Axes, DiagnosticFeature, ForcingFeature, Moment, StateFeature, StaticFeature
from ailand_gt4py.ecland.soil_heat import PROPERTIES
from ailand_gt4py.stencils.fields import matrix, over_columns, vector
from ailand_gt4py.stencils.instances import Type, write_program
from ailand_gt4py.stencils.network.description import Statements
from ailand_gt4py.stencils.network.layers import completed_layer, increment, layer, linear
from ailand_gt4py.stencils.network.point_wise import add_point_wise_step
from ailand_gt4py.stencils.network.pointwise import (
    bound_by_others,
    denormalise_and_bound,
    is_below_bound,
    normalise,
    normalise_logarithms,
)
from ailand_gt4py.stencils.network.shapes import (
    INPUTS,
    RESULTS,
    NetworkShape,
    bounding_type,
    finishing_type,
    layer_type,
    linear_type,
    logarithmic_scaling_type,
    scaling_type,
)
from ailand_gt4py.stencils.physics import soil_heat, soil_water

#: Fields and operands of soil temperatures that change by their heat (`stencils.physics.soil_heat`).
HEAT_PROPERTIES = tuple(f"work_{name}" for name in PROPERTIES)
INCREMENT, VEGETATED, HEAT_CAPACITY = "work_increment", "work_vegetated_part", "work_heat_capacity"
LATENT, MELTED, MELTED_AFTER = "work_latent_heat", "work_melted", "work_melted_after"
LATENT_SCALE, NODES, IS_HEATED = "latent_scale", "heat_nodes", "is_heated"
#: Likewise of soil water that frost holds (`stencils.physics.soil_water`).
FREE_STATE, WARMEST, SHARE = "work_free_state", "work_warmest", "work_share"
THAWED, LAYERS = "thawed", "temperatures_of_layers"

#: The fields that hold a step's inputs.
INPUT_FIELDS: dict[str, Axes] = {f"{group}_input": feature for group, feature in INPUTS.items()}


def property_choice(name: str) -> str:
    """The name of the matrix that chooses one of `HEAT_PROPERTIES` among the static inputs."""
    return f"choice_{name.removeprefix('work_')}"


class ProgramDescription(Statements):
    """The statements of a step, or of a part of it."""

    def normalise(self, group: str, feature: gtx.Dimension) -> str:
        """The normalisation of an input."""
        is_logarithmic = self.is_logarithmic(feature)
        kind = (logarithmic_scaling_type if is_logarithmic else scaling_type)(feature, self.dtype)
        operator = (normalise_logarithms if is_logarithmic else normalise)(feature, self.dtype)
        arguments = (f"{group}_input", self.operand(f"scaling_{group}", kind))
        return self.append(operator, arguments, f"normalised_{group}", feature)

    def is_logarithmic(self, feature: gtx.Dimension) -> bool:
        """Whether the logarithm of some of these inputs is taken."""
        return feature == ForcingFeature and self.shape.logarithmic_forcing

    def finish(self, group: str, feature: gtx.Dimension, normalised: str) -> None:
        """The last statements of a result, which write the caller's field."""
        is_bounded = group in self.shape.bounded_by_others
        results = self.own_results(group, normalised, f"work_{group}" if is_bounded else group)
        if is_bounded:
            operator = bound_by_others(feature, self.dtype)
            self.append(operator, self.bounding(group, feature, results), group, feature)

    def own_results(self, group: str, normalised: str, out: str) -> str:
        """The results of a group in model units before other variables bound them."""
        feature = self.feature(normalised)
        arguments = (normalised, self.operand(f"finishing_{group}", finishing_type(feature, self.dtype)))
        return self.append(denormalise_and_bound(feature, self.dtype), arguments, out, feature)

    def bounding(self, group: str, feature: gtx.Dimension, results: str) -> tuple[str, ...]:
        """The arguments of `pointwise.bound_by_others`, whose choices the program then takes."""
        choices = self.operand(f"bounding_{group}", bounding_type(feature, self.dtype))
        return (results, "static_input", "forcing_input", choices)

    def mark_below_bound(self, group: str, out: str) -> None:
        """Where results are below the bounds that other variables are."""
        feature = RESULTS[group]
        arguments = self.bounding(group, feature, f"work_{group}")
        self.append(is_below_bound(feature, self.dtype), arguments, out, feature)

    def chain(self, block: str, inputs: tuple[str, ...], first: int = 0, last: int | None = None) -> tuple[str, ...]:
        """Layers of a block, the first of them on ``inputs``."""
        for k in range(len(self.shape.layers[block]))[first:last]:
            inputs = (self.add_layer(block, k, inputs),)
        return inputs

    def add_layer(self, block: str, k: int, inputs: tuple[str, ...]) -> str:
        """Layer ``k`` of a block."""
        target, kind = self.shape.layers[block][k]
        sources = self.features(inputs)
        arguments = (*inputs, self.layer_operands(block, k, sources))
        return self.append(layer(sources, target, kind, self.dtype), arguments, f"units_{block}_{k}", target)

    def layer_operands(self, block: str, k: int, sources: tuple[gtx.Dimension, ...]) -> str:
        """The name of the operands of layer ``k`` of a block, which the program then takes."""
        target, kind = self.shape.layers[block][k]
        return self.operand(f"operands_{block}_{k}", layer_type(sources, target, kind, self.dtype))

    def static_part(self, units: str, part: str) -> str:
        """The static branch's share of the layer where the branches meet, bias included, written to ``part``."""
        ((target, _),) = self.shape.layers["combine"]
        sources = self.features((units,))
        arguments = (units, self.operand("operands_static_part", linear_type(sources, target, self.dtype)))
        return self.append(linear(sources, target, self.dtype), arguments, part, target)

    def meet(self, part: str, units: str) -> str:
        """The layer where the branches meet."""
        ((target, kind),) = self.shape.layers["combine"]
        source = self.feature(units)
        arguments = (part, units, self.operand("operands_combine_0", matrix(source, target, self.dtype)))
        return self.append(completed_layer(source, target, kind, self.dtype), arguments, "units_combine_0", target)

    def add_increment(self, inputs: tuple[str, ...]) -> str:
        """The last prognostic layer, whose output is added to the state."""
        (units,) = inputs
        sources = self.features(inputs)
        operands = self.layer_operands("prognostic", self.last_prognostic, sources)
        new_state = "normalised_new_state"
        if not self.shape.soil_heat:
            own = ("normalised_state", units, operands)
            return self.append(increment(*sources, self.dtype), own, new_state, StateFeature)
        self.append(linear(sources, StateFeature, self.dtype), (units, operands), INCREMENT, StateFeature)
        if not self.shape.soil_water:
            return self._heated(new_state)
        self._heated(FREE_STATE)
        arguments: tuple[str, ...]
        self.operand(THAWED, soil_water.thawed_type(self.dtype))
        layers = self.operand(LAYERS, soil_water.layers_type(self.dtype))
        for factory, arguments, out in (
            (soil_water.warmest_thawed, ("normalised_state", FREE_STATE, THAWED), WARMEST),
            (soil_water.share, (WARMEST, layers), SHARE),
            (soil_water.held, (FREE_STATE, INCREMENT, SHARE), new_state),
        ):
            self.append(factory(self.dtype), arguments, out, StateFeature)
        return new_state

    @property
    def last_prognostic(self) -> int:
        """The number of the last prognostic layer."""
        return len(self.shape.layers["prognostic"]) - 1

    def _heated(self, new_state: str) -> str:
        """The new state of `INCREMENT` where some of it changes by its heat."""
        self.operand(IS_HEATED, vector(StateFeature, self.dtype))
        for name in HEAT_PROPERTIES:
            choice = self.operand(property_choice(name), matrix(StaticFeature, Moment, self.dtype))
            operator = soil_heat.property_of_states(self.dtype)
            self.append(operator, ("static_input", choice, IS_HEATED), name, StateFeature)
        *vegetation, capacity, porosity = HEAT_PROPERTIES
        self.operand(LATENT_SCALE, vector(StateFeature, self.dtype))
        self.operand(NODES, soil_heat.nodes_type(self.dtype))
        for factory, arguments, out in (
            (soil_heat.vegetated_part, tuple(vegetation), VEGETATED),
            (soil_heat.heat_capacity, (capacity, porosity), HEAT_CAPACITY),
            (soil_heat.latent_heat, (VEGETATED, capacity, HEAT_CAPACITY, LATENT_SCALE), LATENT),
            (soil_heat.melted, ("normalised_state", NODES), MELTED),
            (soil_heat.melted_by_heat, ("normalised_state", INCREMENT, LATENT, MELTED, NODES), MELTED_AFTER),
            (soil_heat.heated, ("normalised_state", INCREMENT, LATENT, MELTED, MELTED_AFTER), new_state),
        ):
            self.append(factory(self.dtype), arguments, out, StateFeature)
        return new_state

    def results(self, inputs: tuple[str, ...], hidden: tuple[str, ...]) -> None:
        """All that makes the new state and the diagnostics.

        Args:
            inputs: the normalised inputs, of which diagnostics of the new state need the static ones and the forcing.
            hidden: what the layers before come to.
        """
        new_state = self.new_state(hidden)
        self.diagnostics((*inputs[:2], new_state) if self.shape.diagnoses_new_state else hidden)

    def new_state(self, hidden: tuple[str, ...]) -> str:
        """The new state; gives its name before its bounds."""
        new_state = self.add_increment(self.chain("prognostic", hidden, last=-1))
        self.finish("new_state", StateFeature, new_state)
        return new_state

    def diagnostics(self, inputs: tuple[str, ...]) -> None:
        """The diagnostics from the inputs of their block."""
        (diagnostics,) = self.chain("diagnostic", inputs)
        self.finish("diagnostics", DiagnosticFeature, diagnostics)


def program_name(what: str, shape: NetworkShape, dtype: type) -> str:
    """A program's name: what it does, for which network and type."""
    depths = "_".join(f"{block}{depth}" for block, depth in shape.depths)
    logarithms = "_logarithms" if shape.logarithmic_forcing else ""
    bounded = "".join(f"_bounded_{group}" for group in shape.bounded_by_others)
    physics = ("_soil_heat" if shape.soil_heat else "") + ("_soil_water" if shape.soil_water else "")
    if shape.point_wise is not None:
        physics = f"_{hashlib.sha256(repr(shape.point_wise).encode()).hexdigest()[:8]}"
    return f"{shape.architecture}_{depths}{logarithms}{bounded}{physics}_{what}_{dtype.__name__}"


Description = TypeVar("Description", bound=ProgramDescription)


def add_step(step: Description) -> Description:
    """Append the whole step to a program, the static branch of ``two_branch`` included unless the caller brings it."""
    if step.shape.point_wise is not None:
        add_point_wise_step(step)
        return step
    inputs = {
        group: step.normalise(group, feature)
        for group, feature in INPUTS.items()
        if f"{group}_input" in step.caller_fields
    }
    if step.shape.architecture == "two_branch":
        part = "static_part"
        if "static" in inputs:
            (of_static,) = step.chain("static", (inputs["static"],))
            part = step.static_part(of_static, "units_static_part")
        hidden: tuple[str, ...] = (step.meet(part, *step.chain("dynamic", (inputs["forcing"], inputs["state"]))),)
    else:
        hidden = step.chain("trunk", tuple(inputs.values()))
    step.results(tuple(inputs.values()), hidden)
    return step


@functools.cache
def describe_static_part(shape: NetworkShape, dtype: type) -> ProgramDescription | None:
    """What static inputs alone decide, ``static_input`` -> ``static_part``; None where that is not worth keeping."""
    if shape.architecture != "two_branch":
        return None
    ((meeting, _),) = shape.layers["combine"]
    fields = {"static_input": StaticFeature, "static_part": meeting}
    part = ProgramDescription(program_name("static_part", shape, dtype), shape, dtype, fields)
    (units,) = part.chain("static", (part.normalise("static", StaticFeature),))
    part.static_part(units, "static_part")
    return part


@functools.cache
def describe_step(shape: NetworkShape, dtype: type) -> ProgramDescription:
    """The statements of a step for a network's shape (see `ailand_gt4py.weights.architectures`).

    Its caller's fields are ``static_input`` (or ``static_part``, where there is one), ``forcing_input``,
    ``state_input``, ``new_state`` and ``diagnostics``.
    """
    part = describe_static_part(shape, dtype)
    fields = dict(INPUT_FIELDS)
    if part is not None:
        del fields["static_input"]
        fields = {"static_part": part.caller_fields["static_part"]} | fields
    return add_step(ProgramDescription(program_name("step", shape, dtype), shape, dtype, fields | RESULTS))


def make_program(description: ProgramDescription) -> Any:
    """The GT4Py program of a description.

    Its arguments are the description's ``caller_fields``, then its ``operands``, then its ``buffers``.
    """

    def types(fields: Mapping[str, Axes]) -> dict[str, Type]:
        return {name: over_columns(axes, description.dtype) for name, axes in fields.items()}

    arguments = types(description.caller_fields) | description.operands | types(description.buffers)
    return write_program(description.name, arguments, description.statements, __file__)
