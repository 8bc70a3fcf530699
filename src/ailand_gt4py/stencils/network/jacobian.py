"""Jacobians of a step, many of their columns or rows at once: the forward values, and what all directions share.

By changes (`jacobian_changes`): every direction is an input that changes by one, and goes through the network as in
`tangent_linear`. The first layer is no product then: its changes are columns of its weights. By gradients
(`jacobian_gradients`): every direction is a result whose gradient is taken, and goes back through the network as in
`adjoint`, beginning with a row of the last layer's weights.

Both work in the network's space; the derivatives of normalisations, logarithms and bounds are factors at the end. What
holds at kinks is said in `tangent_linear`. A column whose forward values are NaN has derivatives that are NaN.
"""

import dataclasses

import gt4py.next as gtx

from ailand_gt4py.core.dimensions import (
    DiagnosticFeature,
    DiagnosticRow,
    ForcingFeature,
    Moment,
    StateFeature,
    StateRow,
)
from ailand_gt4py.stencils.network import directed_layers as operators
from ailand_gt4py.stencils.network.dense import contract
from ailand_gt4py.stencils.network.instances import FieldOperator
from ailand_gt4py.stencils.network.linearised import GROUPS, LinearisedDescription
from ailand_gt4py.stencils.network.shapes import Activation, NetworkShape, Type, finishing_type, matrix, vector
from ailand_gt4py.stencils.network.step import Statement, program_name

FEATURES = {"new_state": StateFeature, "diagnostics": DiagnosticFeature}
#: The direction of gradients of each group of results.
ROWS = {"new_state": StateRow, "diagnostics": DiagnosticRow}
NORMALISED_INPUTS = tuple(f"normalised_{group}" for group in GROUPS)
NEW_STATE = "normalised_new_state"


def weights(block: str, k: int, position: int) -> str:
    """The name of the weights of one input of layer ``k`` of a block, an operand of its own here."""
    return f"weights_{block}_{k}_{position}"


@dataclasses.dataclass
class JacobianDescription(LinearisedDescription):
    """A program of derivatives in many directions, which follow the statements of the step.

    Attributes:
        groups: the groups of results whose derivatives are wanted.
        layers: units -> (block, layer, inputs).
        normalised: group of results -> its name in the network's space.
    """

    groups: tuple[str, ...] = ()
    layers: dict[str, tuple[str, int, tuple[str, ...]]] = dataclasses.field(default_factory=dict)
    normalised: dict[str, str] = dataclasses.field(default_factory=dict)

    # --- the step, and what is to be known of it ---

    def results(self, inputs: tuple[str, ...], hidden: tuple[str, ...]) -> None:
        is_layer_norm = self.shape.architecture == "layer_norm"
        if is_layer_norm or "new_state" in self.groups:
            self.new_state(hidden)
        if "diagnostics" in self.groups:
            self.diagnostics((*inputs[:2], NEW_STATE) if is_layer_norm else hidden)

    def add_layer(self, block: str, k: int, inputs: tuple[str, ...]) -> str:
        _, kind = self.shape.layers[block][k]
        is_normalised = kind == "layer_norm_relu"
        units = self.normalised_layer(block, k, inputs).units if is_normalised else super().add_layer(block, k, inputs)
        self.layers[units] = (block, k, inputs)
        return units

    def static_part(self, units: str, part: str) -> None:
        super().static_part(units, part)
        ((self.buffers[part], _),) = self.shape.layers["combine"]
        self.layers[part] = ("combine", 0, (units,))

    def meet(self, part: str, units: str) -> tuple[str, ...]:
        (hidden,) = super().meet(part, units)
        self.layers[hidden] = ("combine", 0, (*self.layers.pop(part)[2], units))
        return (hidden,)

    def add_increment(self, inputs: tuple[str, ...]) -> str:
        new_state = super().add_increment(inputs)
        self.layers[new_state] = ("prognostic", len(self.shape.layers["prognostic"]) - 1, inputs)
        return new_state

    def finish(self, group: str, feature: gtx.Dimension, normalised: str) -> None:
        self.normalised[group] = normalised

    def kind(self, units: str) -> Activation:
        """The activation that gives a layer's units."""
        block, k, _ = self.layers[units]
        return self.shape.layers[block][k][1]

    # --- statements over directions ---

    def operand(self, name: str, kind: Type) -> str:
        """A model's numbers, which the program then takes; gives their name."""
        self.operands[name] = kind
        return name

    def directed(
        self,
        operator: FieldOperator,
        arguments: tuple[str, ...],
        out: str,
        direction: gtx.Dimension,
        feature: gtx.Dimension,
    ) -> str:
        """Append a statement that makes a field of all directions; gives its name."""
        self.statements.append(Statement(operator, arguments, out))
        if out not in self.caller_fields:
            self.buffers[out] = (direction, feature)
        return out

    def product(self, direction: gtx.Dimension, x: str, weight: str, target: gtx.Dimension, out: str) -> str:
        """Append the product of a field of directions with weights; gives its name."""
        _, source = self.buffers[x]
        self.operand(weight, matrix(source, target, self.dtype))
        operator = operators.contract_directed(direction, source, target, self.dtype)
        return self.directed(operator, (x, weight), out, direction, target)

    def sum(self, direction: gtx.Dimension, parts: list[str], out: str) -> str:
        """Append the sum of fields of directions, one of which may be the same in every column; gives its name."""
        total, *others = sorted(parts, key=lambda name: not self.is_of_columns(name))
        for k, other in enumerate(others):
            _, feature = self.buffers[total]
            add = operators.add_directed if self.is_of_columns(other) else operators.add_rows
            name = out if other is others[-1] else f"{out}_{k}"
            total = self.directed(add(direction, feature, self.dtype), (total, other), name, direction, feature)
        return total

    def is_of_columns(self, name: str) -> bool:
        """Whether values of directions differ from column to column; else they are an operand."""
        return name in self.buffers

    def activated(self, units: str, x: str, direction: gtx.Dimension, out: str) -> str:
        """Append a value times the derivative of the activation (and gain) that gave ``units``; gives its name."""
        target, kind, of_columns = self.buffers[units], self.kind(units), self.is_of_columns(x)
        if kind == "layer_norm_relu":
            operator = operators.switched_gain(self.sources(units), direction, target, of_columns, self.dtype)
            return self.directed(operator, (units, x, self.operands_of(units)), out, direction, target)
        operator = operators.switched(kind, direction, target, of_columns, self.dtype)
        return self.directed(operator, (units, x), out, direction, target)

    def projection(self, units: str, x: str, direction: gtx.Dimension) -> str:
        """Append what the normalisation of a layer takes out of a value; gives its name."""
        target = self.buffers[units]
        operator = operators.projection(self.sources(units), direction, target, self.is_of_columns(x), self.dtype)
        arguments = (f"{units}_linear", x, f"{units}_inverse_deviation", self.operands_of(units))
        return self.directed(operator, arguments, f"{units}_projection_{direction.value}", direction, Moment)

    def projected(self, units: str, along: str, x: str, projection: str, direction: gtx.Dimension, out: str) -> str:
        """Append a value less its projection on ``along``, times the inverse deviation of a layer; gives its name."""
        feature = self.buffers[along]
        operator = operators.projected(direction, feature, self.is_of_columns(x), self.dtype)
        return self.directed(operator, (along, x, projection, f"{units}_inverse_deviation"), out, direction, feature)

    def sources(self, units: str) -> tuple[gtx.Dimension, ...]:
        """The dimensions of a layer's inputs."""
        return tuple(self.buffers[name] for name in self.layers[units][2])

    def operands_of(self, units: str) -> str:
        """The name of a layer's operands."""
        block, k, _ = self.layers[units]
        return f"operands_{block}_{k}"

    # --- factors at the end ---

    def slopes_of_results(self, group: str) -> str:
        """Append the derivatives of results by themselves in the network's space; gives their name."""
        feature = FEATURES[group]
        self.operand(f"finishing_{group}", finishing_type(feature, self.dtype))
        arguments = (self.normalised[group], f"finishing_{group}")
        return self._append(operators.finish_slope(feature, self.dtype), arguments, f"work_{group}_slopes", feature)

    def slopes_of_inputs(self, target: gtx.Dimension) -> str:
        """Append the derivatives of inputs in the network's space by themselves; gives their name.

        Where no logarithm is taken they are the same in every column: then it is an operand's name.
        """
        constants = self.operand(f"slopes_{target.value}", vector(target, self.dtype))
        if not self.shape.logarithmic_forcing:
            return constants
        slopes = self._append(
            operators.logarithm_slope(ForcingFeature, self.dtype),
            ("forcing_input", "scaling_forcing"),
            "work_logarithm_slopes",
            ForcingFeature,
        )
        chosen = self.chosen(slopes, ForcingFeature, target)
        operator = operators.add_constants(target, self.dtype)
        return self._append(operator, (chosen, constants), f"work_slopes_{target.value}", target)

    def chosen(self, x: str, feature: gtx.Dimension, target: gtx.Dimension) -> str:
        """Append some of the features of a field, by a product with 1 and zeros; gives its name."""
        choice = self.operand(f"choice_{feature.value}_{target.value}", matrix(feature, target, self.dtype))
        return self._append(contract(feature, target, self.dtype), (x, choice), f"{x}_{target.value}", target)

    def is_below_bound(self, group: str, out: str) -> None:
        """Append where results are below the bounds that other variables are."""
        feature = FEATURES[group]
        results = self.own_results(group, self.normalised[group])
        operator = operators.is_below_bound(feature, self.dtype)
        self.statements.append(Statement(operator, self.bounding(group, feature, results), out))


def jacobian_name(what: str, shape: NetworkShape, groups: tuple[str, ...], dtype: type) -> str:
    """The name of a Jacobian's program."""
    return program_name("_".join((what, *groups)), shape, dtype)
