"""The programs of a step: from inputs in model units to the new state and the diagnostics in model units.

A network of any depth is a sequence of statements, each one field operator of `layers` or `pointwise` that writes a
buffer. GT4Py programs are Python functions without loops over operators, so the function is written out here for an
architecture and its depths. One program, and thus one call of compiled code, makes the whole step.

In ``two_branch`` the static inputs have a branch of their own, a fifth of the network's work. It and its share of the
layer where the branches meet are a program of their own, `describe_static_part`, which need not run as long as the
static inputs stay. The other networks mix static and other inputs in a first layer. There 18 or 20 multiplications for
each of its units could be saved by keeping a number of four bytes for each unit and column. That pays only where a byte
of memory takes longer than some ten flops, which is about where processors are.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import gt4py.next as gtx

from ailand_gt4py.core.dimensions import Axes, DiagnosticFeature, ForcingFeature, Moment, StateFeature, StaticFeature
from ailand_gt4py.ecland.soil_heat import PROPERTIES
from ailand_gt4py.stencils.network.instances import FieldOperator, define
from ailand_gt4py.stencils.network.layers import completed_layer, increment, input_layer, layer, linear, pair_layer
from ailand_gt4py.stencils.network.pointwise import (
    bound_by_others,
    denormalise_and_bound,
    normalise,
    normalise_logarithms,
)
from ailand_gt4py.stencils.network.shapes import (
    INPUTS,
    NetworkShape,
    Type,
    bounding_type,
    finishing_type,
    layer_type,
    linear_type,
    logarithmic_scaling_type,
    matrix,
    over_columns,
    scaling_type,
    vector,
)
from ailand_gt4py.stencils.physics import soil_heat

#: Fields and operands of soil temperatures that change by their heat (`stencils.soil_heat`).
HEAT_PROPERTIES = tuple(f"work_{name}" for name in PROPERTIES)
CHANGE, VEGETATED, HEAT_CAPACITY = "work_change", "work_vegetated_part", "work_heat_capacity"
LATENT, MELTED, MELTED_AFTER = "work_latent_heat", "work_melted", "work_melted_after"
LATENT_SCALE, NODES, IS_HEATED = "latent_scale", "heat_nodes", "is_heated"


def property_choice(name: str) -> str:
    """The name of the matrix that chooses one of `HEAT_PROPERTIES` among the static inputs."""
    return f"choice_{name.removeprefix('work_')}"


@dataclasses.dataclass(frozen=True)
class Statement:
    """``operator(*arguments, out=out)``, by the names of the program's arguments."""

    operator: FieldOperator
    arguments: tuple[str, ...]
    out: str


@dataclasses.dataclass
class ProgramDescription:
    """The statements of a program and what they need.

    Attributes:
        name: of the program, unique for the network's shape.
        caller_fields: name -> feature dimension of the fields that a caller brings: inputs, then results.
        statements: in order.
        operands: name -> type of the model's numbers: ``scaling_*``, ``finishing_*``, ``operands_<block>_<layer>``.
        buffers: name -> feature dimension of the intermediate fields, each over all columns; direction and feature of
            those that have several directions for each column. Of caller's fields likewise.
    """

    name: str
    shape: NetworkShape
    dtype: type
    caller_fields: dict[str, Axes]
    statements: list[Statement] = dataclasses.field(default_factory=list)
    operands: dict[str, Type] = dataclasses.field(default_factory=dict)
    buffers: dict[str, Axes] = dataclasses.field(default_factory=dict)

    def normalise(self, group: str, feature: gtx.Dimension) -> str:
        """Append the normalisation of an input; gives the buffer's name."""
        logarithmic = self.is_logarithmic(feature)
        self.operands[f"scaling_{group}"] = (logarithmic_scaling_type if logarithmic else scaling_type)(
            feature, self.dtype
        )
        operator = (normalise_logarithms if logarithmic else normalise)(feature, self.dtype)
        return self._append(operator, (f"{group}_input", f"scaling_{group}"), f"normalised_{group}", feature)

    def is_logarithmic(self, feature: gtx.Dimension) -> bool:
        """Whether the logarithm of some of these inputs is taken."""
        return feature == ForcingFeature and self.shape.logarithmic_forcing

    def finish(self, group: str, feature: gtx.Dimension, normalised: str) -> None:
        """Append the last statements of a result, which write the caller's field."""
        self.operands[f"finishing_{group}"] = finishing_type(feature, self.dtype)
        operator, arguments = denormalise_and_bound(feature, self.dtype), (normalised, f"finishing_{group}")
        if group in self.shape.bounded_by_others:
            results = self._append(operator, arguments, f"work_{group}", feature)
            operator, arguments = bound_by_others(feature, self.dtype), self.bounding(group, feature, results)
        self.statements.append(Statement(operator, arguments, group))

    def bounding(self, group: str, feature: gtx.Dimension, results: str) -> tuple[str, ...]:
        """The arguments of `pointwise.bound_by_others`, whose choices the program then takes."""
        self.operands[f"bounding_{group}"] = bounding_type(feature, self.dtype)
        return (results, "static_input", "forcing_input", f"bounding_{group}")

    def chain(self, block: str, inputs: tuple[str, ...], first: int = 0, last: int | None = None) -> tuple[str, ...]:
        """Append layers of a block, the first of them on ``inputs``; gives the names of what they come to."""
        for k in range(len(self.shape.layers[block]))[first:last]:
            inputs = (self.add_layer(block, k, inputs),)
        return inputs

    def add_layer(self, block: str, k: int, inputs: tuple[str, ...]) -> str:
        """Append layer ``k`` of a block; gives the name of its units."""
        target, kind = self.shape.layers[block][k]
        sources = tuple(self.buffers[name] for name in inputs)
        if len(sources) == len(INPUTS):
            operator = input_layer(target, kind, self.dtype)
        elif len(sources) == 2:
            operator = pair_layer(*sources, target, kind, self.dtype)
        else:
            operator = layer(sources[0], target, kind, self.dtype)
        operands = self.layer_operands(block, k, sources)
        return self._append(operator, (*inputs, operands), f"units_{block}_{k}", target)

    def layer_operands(self, block: str, k: int, sources: tuple[gtx.Dimension, ...]) -> str:
        """The name of the operands of layer ``k`` of a block, which the program then takes."""
        target, kind = self.shape.layers[block][k]
        name = f"operands_{block}_{k}"
        self.operands[name] = layer_type(sources, target, kind, self.dtype)
        return name

    def static_part(self, units: str, part: str) -> None:
        """Append the static branch's share of the layer where the branches meet, bias included, written to ``part``."""
        ((target, _),) = self.shape.layers["combine"]
        source = self.buffers[units]
        self.operands["operands_static_part"] = linear_type((source,), target, self.dtype)
        arguments = (units, "operands_static_part")
        self.statements.append(Statement(linear(source, target, self.dtype), arguments, part))

    def meet(self, part: str, units: str) -> tuple[str, ...]:
        """Append the layer where the branches meet; gives the name of what it comes to."""
        ((target, kind),) = self.shape.layers["combine"]
        source = self.buffers[units]
        self.operands["operands_combine_0"] = matrix(source, target, self.dtype)
        arguments = (part, units, "operands_combine_0")
        return (self._append(completed_layer(source, target, kind, self.dtype), arguments, "units_combine_0", target),)

    def add_increment(self, inputs: tuple[str, ...]) -> str:
        """Append the last prognostic layer, whose output is added to the state."""
        (units,) = inputs
        source = self.buffers[units]
        operands = self.layer_operands("prognostic", len(self.shape.layers["prognostic"]) - 1, (source,))
        if self.shape.soil_heat:
            change = linear(source, StateFeature, self.dtype)
            self._append(change, (units, operands), CHANGE, StateFeature)
            return self._heated()
        arguments = ("normalised_state", units, operands)
        return self._append(increment(source, self.dtype), arguments, "normalised_new_state", StateFeature)

    def properties_of_states(self, static: str, names: Mapping[str, str]) -> None:
        """Append the soil's properties, or their changes, for all state variables; property -> name of its field."""
        self.operands[IS_HEATED] = vector(StateFeature, self.dtype)
        for name, field in names.items():
            choice = property_choice(name)
            self.operands[choice] = matrix(StaticFeature, Moment, self.dtype)
            arguments = (static, choice, IS_HEATED)
            self._append(soil_heat.property_of_states(self.dtype), arguments, field, StateFeature)

    def _heated(self) -> str:
        """Append what makes the new state of `CHANGE` where some of it changes by its heat; gives its name."""
        self.properties_of_states("static_input", {name: name for name in HEAT_PROPERTIES})
        *vegetation, capacity, porosity = HEAT_PROPERTIES
        self.operands |= {LATENT_SCALE: vector(StateFeature, self.dtype), NODES: soil_heat.nodes_type(self.dtype)}
        for operator, arguments, out in (
            (soil_heat.vegetated_part, tuple(vegetation), VEGETATED),
            (soil_heat.heat_capacity, (capacity, porosity), HEAT_CAPACITY),
            (soil_heat.latent_heat, (VEGETATED, capacity, HEAT_CAPACITY, LATENT_SCALE), LATENT),
            (soil_heat.melted, ("normalised_state", NODES), MELTED),
            (soil_heat.melted_by_heat, ("normalised_state", CHANGE, LATENT, MELTED, NODES), MELTED_AFTER),
            (soil_heat.heated, ("normalised_state", CHANGE, LATENT, MELTED, MELTED_AFTER), "normalised_new_state"),
        ):
            self._append(operator(self.dtype), arguments, out, StateFeature)
        return "normalised_new_state"

    def results(self, inputs: tuple[str, ...], hidden: tuple[str, ...]) -> None:
        """Append all that makes the new state and the diagnostics.

        Args:
            inputs: the normalised inputs, of which ``layer_norm`` needs the static ones and the forcing.
            hidden: what the layers before come to.
        """
        new_state = self.new_state(hidden)
        # In `layer_norm` the diagnostic block sees the new state, before its bounds.
        self.diagnostics((*inputs[:2], new_state) if self.shape.architecture == "layer_norm" else hidden)

    def new_state(self, hidden: tuple[str, ...]) -> str:
        """Append all that makes the new state; gives its name before its bounds."""
        new_state = self.add_increment(self.chain("prognostic", hidden, last=-1))
        self.finish("new_state", StateFeature, new_state)
        return new_state

    def diagnostics(self, inputs: tuple[str, ...]) -> None:
        """Append all that makes the diagnostics from the inputs of their block."""
        (diagnostics,) = self.chain("diagnostic", inputs)
        self.finish("diagnostics", DiagnosticFeature, diagnostics)

    def _append(self, operator: FieldOperator, arguments: tuple[str, ...], out: str, feature: gtx.Dimension) -> str:
        self.statements.append(Statement(operator, arguments, out))
        self.buffers[out] = feature
        return out


def program_name(what: str, shape: NetworkShape, dtype: type) -> str:
    """A program's name: what it does, for which network and type."""
    depths = "_".join(f"{block}{depth}" for block, depth in shape.depths)
    logarithms = "_logarithms" if shape.logarithmic_forcing else ""
    bounded = "".join(f"_bounded_{group}" for group in shape.bounded_by_others)
    heat = "_soil_heat" if shape.soil_heat else ""
    return f"{shape.architecture}_{depths}{logarithms}{bounded}{heat}_{what}_{dtype.__name__}"


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
    of_static = {"static_input": StaticFeature}
    if part is not None:
        of_static = {"static_part": part.caller_fields["static_part"]}
    others = {
        "forcing_input": ForcingFeature,
        "state_input": StateFeature,
        "new_state": StateFeature,
        "diagnostics": DiagnosticFeature,
    }
    step = ProgramDescription(program_name("step", shape, dtype), shape, dtype, of_static | others)
    static = () if part is not None else (step.normalise("static", StaticFeature),)
    inputs = (*static, step.normalise("forcing", ForcingFeature), step.normalise("state", StateFeature))
    if part is not None:
        hidden = step.meet("static_part", *step.chain("dynamic", inputs))
    else:
        hidden = step.chain("trunk", inputs)
    step.results(inputs, hidden)
    return step


def make_program(description: ProgramDescription) -> Any:
    """The GT4Py program of a description.

    Its arguments are the description's ``caller_fields``, then its ``operands``, then its ``buffers``.
    """
    types = {field: over_columns(axes, description.dtype) for field, axes in description.caller_fields.items()}
    types |= description.operands
    types |= {buffer: over_columns(axes, description.dtype) for buffer, axes in description.buffers.items()}
    lines = [
        f"    {statement.operator.__name__}({', '.join(statement.arguments)}, out={statement.out})\n"
        for statement in description.statements
    ]
    source = f"def {description.name}({', '.join(types)}):\n" + "".join(lines)
    namespace = {statement.operator.__name__: statement.operator for statement in description.statements}
    written = define(description.name, source, namespace, __file__)
    written.__annotations__ = types
    return gtx.program(written)
