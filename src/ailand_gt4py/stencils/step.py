"""The program of one step: from inputs in model units to the new state and the diagnostics in model units.

A network of any depth is a sequence of statements, each one field operator of `layers` or `pointwise` that writes a
buffer. GT4Py programs are Python functions without loops over operators, so the function is written out here for an
architecture and its depths. One program, and thus one call of compiled code, makes the whole step.
"""

import dataclasses
import functools
from typing import Any

import gt4py.next as gtx

from ailand_gt4py.dimensions import DiagnosticFeature, ForcingFeature, StateFeature, StaticFeature
from ailand_gt4py.stencils.instances import FieldOperator, define
from ailand_gt4py.stencils.layers import increment, input_layer, layer, pair_layer
from ailand_gt4py.stencils.pointwise import denormalise_and_bound, normalise
from ailand_gt4py.stencils.shapes import (
    INPUTS,
    NetworkShape,
    Type,
    columns,
    finishing_type,
    layer_type,
    scaling_type,
)

#: The fields that a caller of the program brings, in the order of its arguments: three inputs and two results.
CALLER_FIELDS = {
    "static_input": StaticFeature,
    "forcing_input": ForcingFeature,
    "state_input": StateFeature,
    "new_state": StateFeature,
    "diagnostics": DiagnosticFeature,
}


@dataclasses.dataclass(frozen=True)
class Statement:
    """``operator(*arguments, out=out)``, by the names of the program's arguments."""

    operator: FieldOperator
    arguments: tuple[str, ...]
    out: str


@dataclasses.dataclass
class StepDescription:
    """The statements of a step and what they need.

    Attributes:
        statements: in order.
        operands: name -> type of the model's numbers: ``scaling_*``, ``finishing_*``, ``operands_<block>_<layer>``.
        buffers: name -> feature dimension of the intermediate fields, each over all columns.
    """

    shape: NetworkShape
    dtype: type
    statements: list[Statement] = dataclasses.field(default_factory=list)
    operands: dict[str, Type] = dataclasses.field(default_factory=dict)
    buffers: dict[str, gtx.Dimension] = dataclasses.field(default_factory=dict)

    def normalise(self, group: str, feature: gtx.Dimension) -> str:
        """Append the normalisation of an input; gives the buffer's name."""
        self.operands[f"scaling_{group}"] = scaling_type(feature, self.dtype)
        return self._append(
            normalise(feature, self.dtype), (f"{group}_input", f"scaling_{group}"), f"normalised_{group}", feature
        )

    def finish(self, group: str, feature: gtx.Dimension, normalised: str) -> None:
        """Append the last statement of a result, which writes the caller's field."""
        self.operands[f"finishing_{group}"] = finishing_type(feature, self.dtype)
        arguments = (normalised, f"finishing_{group}")
        self.statements.append(Statement(denormalise_and_bound(feature, self.dtype), arguments, group))

    def chain(self, block: str, inputs: tuple[str, ...], first: int = 0, last: int | None = None) -> tuple[str, ...]:
        """Append layers of a block, the first of them on ``inputs``; gives the names of what they come to."""
        for k, (target, kind) in list(enumerate(self.shape.layers[block]))[first:last]:
            sources = tuple((self.buffers)[name] for name in inputs)
            if len(sources) == len(INPUTS):
                operator = input_layer(target, kind, self.dtype)
            elif len(sources) == 2:
                operator = pair_layer(*sources, target, kind, self.dtype)
            else:
                operator = layer(sources[0], target, kind, self.dtype)
            operands = f"operands_{block}_{k}"
            self.operands[operands] = layer_type(sources, target, kind, self.dtype)
            inputs = (self._append(operator, (*inputs, operands), f"units_{block}_{k}", target),)
        return inputs

    def add_increment(self, inputs: tuple[str, ...]) -> str:
        """Append the last prognostic layer, whose output is added to the state."""
        (units,) = inputs
        source = self.buffers[units]
        operands = f"operands_prognostic_{len(self.shape.layers['prognostic']) - 1}"
        self.operands[operands] = layer_type((source,), StateFeature, "linear", self.dtype)
        arguments = ("normalised_state", units, operands)
        return self._append(increment(source, self.dtype), arguments, "normalised_new_state", StateFeature)

    def _append(self, operator: FieldOperator, arguments: tuple[str, ...], out: str, feature: gtx.Dimension) -> str:
        self.statements.append(Statement(operator, arguments, out))
        self.buffers[out] = feature
        return out


@functools.cache
def describe_step(shape: NetworkShape, dtype: type) -> StepDescription:
    """The statements of a step for a network's shape (see `ailand_gt4py.weights.architectures`)."""
    step = StepDescription(shape, dtype)
    static = step.normalise("static", StaticFeature)
    forcing = step.normalise("forcing", ForcingFeature)
    state = step.normalise("state", StateFeature)
    everything = (static, forcing, state)
    if shape.architecture == "two_branch":
        branches = (*step.chain("static", (static,)), *step.chain("dynamic", (forcing, state)))
        hidden = step.chain("combine", branches)
    else:
        hidden = step.chain("trunk", everything)
    new_state = step.add_increment(step.chain("prognostic", hidden, last=-1))
    step.finish("new_state", StateFeature, new_state)
    # In `layer_norm` the diagnostic block sees the new state, before its bounds.
    of_diagnostics = (static, forcing, new_state) if shape.architecture == "layer_norm" else hidden
    (diagnostics,) = step.chain("diagnostic", of_diagnostics)
    step.finish("diagnostics", DiagnosticFeature, diagnostics)
    return step


@functools.cache
def step_program(shape: NetworkShape, dtype: type) -> Any:
    """The GT4Py program of a step.

    Its arguments are those of `CALLER_FIELDS`, then `StepDescription.operands`, then `StepDescription.buffers`.
    """
    step = describe_step(shape, dtype)
    depths = "_".join(f"{block}{depth}" for block, depth in shape.depths)
    name = f"{shape.architecture}_{depths}_step_{dtype.__name__}"
    types = {field: columns(feature, dtype) for field, feature in CALLER_FIELDS.items()}
    types |= step.operands | {buffer: columns(feature, dtype) for buffer, feature in step.buffers.items()}
    lines = [
        f"    {statement.operator.__name__}({', '.join(statement.arguments)}, out={statement.out})\n"
        for statement in step.statements
    ]
    source = f"def {name}({', '.join(types)}):\n" + "".join(lines)
    namespace = {statement.operator.__name__: statement.operator for statement in step.statements}
    written = define(name, source, namespace, __file__)
    written.__annotations__ = types
    return gtx.program(written)
