"""Jacobians of a step, many of their columns or rows at once: the forward values, and what all directions share.

In forward mode (`jacobian_forward`) every direction is an input perturbed by one, and its tangent goes through the
network as in `tangent_linear`. The first layer is no product then: its tangents are columns of its weights. In reverse
mode (`jacobian_reverse`) every direction is a result, and its adjoint goes back through the network as in `adjoint`,
beginning with a row of the last layer's weights.

Both work in the network's space; the derivatives of normalisations, logarithms and bounds are factors at the end. What
holds at kinks is said in `tangent_linear`. A column whose forward values are NaN has derivatives that are NaN.
"""

import dataclasses

import gt4py.next as gtx

from ailand_gt4py.core.dimensions import DiagnosticRow, ForcingFeature, Moment, StateRow
from ailand_gt4py.stencils.fields import contract, field, matrix, plus, vector
from ailand_gt4py.stencils.network import directed_layers as operators
from ailand_gt4py.stencils.network.activations import Activation, activation
from ailand_gt4py.stencils.network.linearised import LinearisedDescription
from ailand_gt4py.stencils.network.shapes import INPUTS, RESULTS, NetworkShape, finishing_type
from ailand_gt4py.stencils.network.step import program_name

#: The direction of adjoints of each group of results.
ROWS = {"new_state": StateRow, "diagnostics": DiagnosticRow}
NORMALISED_INPUTS = tuple(f"normalised_{group}" for group in INPUTS)
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
        of_new_state = self.shape.diagnoses_new_state
        if of_new_state or "new_state" in self.groups:
            self.new_state(hidden)
        if "diagnostics" in self.groups:
            self.diagnostics((*inputs[:2], NEW_STATE) if of_new_state else hidden)

    def add_layer(self, block: str, k: int, inputs: tuple[str, ...]) -> str:
        is_normalised = activation(self.shape.layers[block][k][1]).is_normalised
        units = self.normalised_layer(block, k, inputs).units if is_normalised else super().add_layer(block, k, inputs)
        self.layers[units] = (block, k, inputs)
        return units

    def static_part(self, units: str, part: str) -> str:
        self.layers[part] = ("combine", 0, (units,))
        return super().static_part(units, part)

    def meet(self, part: str, units: str) -> str:
        hidden = super().meet(part, units)
        self.layers[hidden] = ("combine", 0, (*self.layers.pop(part)[2], units))
        return hidden

    def add_increment(self, inputs: tuple[str, ...]) -> str:
        new_state = super().add_increment(inputs)
        self.layers[new_state] = ("prognostic", self.last_prognostic, inputs)
        return new_state

    def finish(self, group: str, feature: gtx.Dimension, normalised: str) -> None:
        self.normalised[group] = normalised

    def activation_of(self, units: str) -> Activation:
        """That which gives a layer's units."""
        block, k, _ = self.layers[units]
        return activation(self.shape.layers[block][k][1])

    # --- statements over directions ---

    def rows(self, name: str, direction: gtx.Dimension, feature: gtx.Dimension) -> str:
        """An operand that is of every direction, the same in every column."""
        return self.operand(name, field((direction, feature), self.dtype))

    def product(self, direction: gtx.Dimension, x: str, weight: str, target: gtx.Dimension, out: str) -> str:
        """The product of a field of directions with weights."""
        source = self.feature(x)
        self.operand(weight, matrix(source, target, self.dtype))
        operator = operators.contract_directed(direction, source, target, self.dtype)
        return self.append(operator, (x, weight), out, (direction, target))

    def sum(self, parts: list[str], out: str) -> str:
        """The sum of fields of directions, of which those that are the same in every column come last."""
        total, *others = sorted(parts, key=lambda name: name not in self.buffers)
        for k, other in enumerate(others):
            total = self.pairwise(plus, total, other, out if other is others[-1] else f"{out}_{k}")
        return total

    def activated(self, units: str, x: str, direction: gtx.Dimension, out: str) -> str:
        """A value times the derivative of the activation (and gain) that gave ``units``."""
        target, entry, axes = self.feature(units), self.activation_of(units), self.axes_of(x)
        if entry.is_normalised:
            operator = entry.directed(self.sources(units), target, axes, self.dtype)
            return self.append(operator, (units, x, self.operands_of(units)), out, (direction, target))
        return self.append(entry.directed(target, axes, self.dtype), (units, x), out, (direction, target))

    def projection(self, units: str, x: str, direction: gtx.Dimension) -> str:
        """What the normalisation of a layer takes out of a value."""
        operator = operators.projection(self.sources(units), self.feature(units), self.axes_of(x), self.dtype)
        arguments = (f"{units}_linear", x, f"{units}_inverse_deviation", self.operands_of(units))
        return self.append(operator, arguments, f"{units}_projection_{direction.value}", (direction, Moment))

    def projected(self, units: str, along: str, x: str, projection: str, direction: gtx.Dimension, out: str) -> str:
        """A value less its projection on ``along``, times the inverse deviation of a layer."""
        arguments = (along, x, projection, f"{units}_inverse_deviation")
        operator = operators.projected(self.axes_of(x), self.dtype)
        return self.append(operator, arguments, out, (direction, self.feature(along)))

    def sources(self, units: str) -> tuple[gtx.Dimension, ...]:
        """The dimensions of a layer's inputs."""
        return self.features(self.layers[units][2])

    def operands_of(self, units: str) -> str:
        """The name of a layer's operands."""
        block, k, _ = self.layers[units]
        return f"operands_{block}_{k}"

    # --- factors at the end ---

    def slopes_of_results(self, group: str) -> str:
        """The derivatives of results with respect to themselves in the network's space."""
        feature = RESULTS[group]
        finishing = self.operand(f"finishing_{group}", finishing_type(feature, self.dtype))
        operator = operators.finish_slope(feature, self.dtype)
        return self.append(operator, (self.normalised[group], finishing), f"work_{group}_slopes", feature)

    def slopes_of_inputs(self, target: gtx.Dimension) -> str:
        """The derivatives of inputs in the network's space with respect to themselves.

        Where no logarithm is taken they are the same in every column: then it is an operand's name.
        """
        constants = self.operand(f"slopes_{target.value}", vector(target, self.dtype))
        if not self.shape.logarithmic_forcing:
            return constants
        operator = operators.logarithm_slope(ForcingFeature, self.dtype)
        arguments = ("forcing_input", "scaling_forcing")
        slopes = self.append(operator, arguments, "work_logarithm_slopes", ForcingFeature)
        return self.pairwise(plus, self.chosen(slopes, target), constants, f"work_slopes_{target.value}")

    def chosen(self, x: str, target: gtx.Dimension) -> str:
        """Some of the features of a field, by a product with 1 and zeros."""
        source = self.feature(x)
        choice = self.operand(f"choice_{source.value}_{target.value}", matrix(source, target, self.dtype))
        return self.append(contract(source, target, self.dtype), (x, choice), f"{x}_{target.value}", target)

    def is_below_bound(self, group: str, out: str) -> str:
        """Where results are below the bounds that other variables are."""
        feature = RESULTS[group]
        results = self.own_results(group, self.normalised[group], f"work_{group}")
        operator = operators.is_below_bound(feature, self.dtype)
        return self.append(operator, self.bounding(group, feature, results), out, feature)


def jacobian_name(what: str, shape: NetworkShape, groups: tuple[str, ...], dtype: type) -> str:
    """The name of a Jacobian's program."""
    return program_name("_".join((what, *groups)), shape, dtype)
