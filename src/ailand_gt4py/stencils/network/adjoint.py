"""The adjoint of a step: the gradient of a number with respect to the inputs, for its gradient with respect to results.

The program runs the statements of the step, as far as their derivatives need their values, and then the adjoint of each
in reverse order. At the kinks of activations and at bounds it has the derivatives of `tangent_linear`, of which it is
the transpose there, too. A column whose forward values are NaN has gradients that are NaN.
"""

import dataclasses
import functools
from collections.abc import Callable

import gt4py.next as gtx

from ailand_gt4py.core.dimensions import DiagnosticFeature, ForcingFeature, StateFeature, StaticFeature
from ailand_gt4py.stencils.network.adjoint_layers import (
    add_gradients,
    bound_gradient,
    normalised_relu_adjoint,
    own_gradient,
    relu_adjoint,
)
from ailand_gt4py.stencils.network.dense import contract
from ailand_gt4py.stencils.network.instances import FieldOperator
from ailand_gt4py.stencils.network.linearised import GROUPS, LinearisedDescription, add_step
from ailand_gt4py.stencils.network.shapes import Activation, NetworkShape, finishing_type, matrix
from ailand_gt4py.stencils.network.step import CHANGE, Statement, program_name, property_choice
from ailand_gt4py.stencils.network.tangent_layers import (
    activation_tangent,
    finish_tangent,
    normalise_logarithms_tangent,
    normalise_tangent,
)
from ailand_gt4py.stencils.physics import soil_heat

_RESULTS = {"new_state": StateFeature, "diagnostics": DiagnosticFeature}
#: Inputs that may be bounds of results.
_BOUNDING = {StaticFeature: "static_input", ForcingFeature: "forcing_input"}


def gradient_of(name: str) -> str:
    """The name of the gradient with respect to a field."""
    return f"{name}_gradient"


def transposed(block: str, k: int, position: int) -> str:
    """The name of the transposed weights of one input of layer ``k`` of a block, (inputs, units)."""
    return f"transposed_{block}_{k}_{position}"


@dataclasses.dataclass
class AdjointDescription(LinearisedDescription):
    """A program that, once the step's statements are there, is given their adjoints by `reverse`.

    Attributes:
        backwards: what appends the adjoint of each part of the step.
        shares: field -> names of the parts of the gradient with respect to it.
    """

    backwards: list[Callable[[], None]] = dataclasses.field(default_factory=list)
    shares: dict[str, list[str]] = dataclasses.field(default_factory=dict)

    def reverse(self) -> None:
        """Append the adjoints, last statement first, and what makes the gradients with respect to the inputs."""
        for append in reversed(self.backwards):
            append()
        for group, feature in GROUPS.items():
            self._sum_of_shares(f"{group}_input", feature, out=gradient_of(group))

    def normalise(self, group: str, feature: gtx.Dimension) -> str:
        normalised = super().normalise(group, feature)
        arguments: tuple[str, ...] = (f"scaling_{group}",)
        operator = normalise_tangent(feature, self.dtype)
        if self.is_logarithmic(feature):
            operator = normalise_logarithms_tangent(feature, self.dtype)

        def backward() -> None:
            given = (self._gradient(normalised), *arguments)
            if self.is_logarithmic(feature):
                given = (f"{group}_input", *given)
            self._share(f"{group}_input", operator, given, feature)

        self.backwards.append(backward)
        return normalised

    def finish(self, group: str, feature: gtx.Dimension, normalised: str) -> None:
        self.operands[f"finishing_{group}"] = finishing_type(feature, self.dtype)
        is_bounded = group in self.shape.bounded_by_others
        results = self.own_results(group, normalised) if is_bounded else group

        def backward() -> None:
            gradient = self._bounded(group, feature, results) if is_bounded else gradient_of(group)
            arguments = (normalised, gradient, f"finishing_{group}")
            self._share(normalised, finish_tangent(feature, self.dtype), arguments, feature)

        self.backwards.append(backward)

    def add_layer(self, block: str, k: int, inputs: tuple[str, ...]) -> str:
        target, kind = self.shape.layers[block][k]
        sources = tuple(self.buffers[name] for name in inputs)
        if kind != "layer_norm_relu":
            units = super().add_layer(block, k, inputs)
            self.backwards.append(lambda: self._layer_backward(block, k, inputs, units))
            return units
        layer = self.normalised_layer(block, k, inputs)

        def backward() -> None:
            gradient = self._gradient(layer.units)
            operands = f"operands_{block}_{k}"
            arguments = (layer.before, gradient, layer.inverse, layer.units, operands)
            operator = normalised_relu_adjoint(sources, target, self.dtype)
            before = self._append(operator, arguments, gradient_of(layer.before), target)
            self._to_inputs(block, k, inputs, before)

        self.backwards.append(backward)
        return layer.units

    def static_part(self, units: str, part: str) -> None:
        super().static_part(units, part)
        ((target, _),) = self.shape.layers["combine"]
        self.buffers[part] = target
        self.backwards.append(lambda: self._product(units, "combine", 0, 0, self._gradient(part)))

    def meet(self, part: str, units: str) -> tuple[str, ...]:
        (hidden,) = super().meet(part, units)

        def backward() -> None:
            gradient = self._before_activation(hidden, self.shape.layers["combine"][0][1])
            self.shares[part] = [gradient]
            self._product(units, "combine", 0, 1, gradient)

        self.backwards.append(backward)
        return (hidden,)

    def add_increment(self, inputs: tuple[str, ...]) -> str:
        new_state = super().add_increment(inputs)
        last = len(self.shape.layers["prognostic"]) - 1

        def backward() -> None:
            gradient = self._gradient(new_state)
            if self.shape.soil_heat:
                gradient = self._heated_backward(gradient)
            else:
                self.shares.setdefault("normalised_state", []).append(gradient)
            self._to_inputs("prognostic", last, inputs, gradient)

        self.backwards.append(backward)
        return new_state

    def _heated_backward(self, gradient: str) -> str:
        """Append the gradients with respect to the state and to the soil's properties; gives that of the change."""
        by_state, by_change, by_property = self.heat_factors()
        product = soil_heat.product(self.dtype)
        self._share("normalised_state", product, (gradient, by_state), StateFeature)
        for name, by_one in by_property.items():
            own = self._append(product, (gradient, by_one), gradient_of(name), StateFeature)
            weights = f"transposed_{property_choice(name)}"
            self.operands[weights] = matrix(StateFeature, StaticFeature, self.dtype)
            operator = contract(StateFeature, StaticFeature, self.dtype)
            self._share("static_input", operator, (own, weights), StaticFeature)
        return self._append(product, (gradient, by_change), gradient_of(CHANGE), StateFeature)

    def _layer_backward(self, block: str, k: int, inputs: tuple[str, ...], units: str) -> None:
        _, kind = self.shape.layers[block][k]
        gradient = self._gradient(units) if kind == "linear" else self._before_activation(units, kind)
        self._to_inputs(block, k, inputs, gradient)

    def _before_activation(self, units: str, kind: Activation) -> str:
        """Append the gradient with respect to what an activation is applied to; gives its name."""
        feature = self.buffers[units]
        is_relu = kind == "relu"
        operator = relu_adjoint(feature, self.dtype) if is_relu else activation_tangent(kind, feature, self.dtype)
        arguments = (units, self._gradient(units))
        return self._append(operator, arguments, gradient_of(f"{units}_linear"), feature)

    def _bounded(self, group: str, feature: gtx.Dimension, results: str) -> str:
        """Append the gradients with respect to bounds and to what they bound; gives the name of the latter."""
        *values, choices = self.bounding(group, feature, results)
        names = {source: f"transposed_bounding_{group}_{source.value}" for source in (*_BOUNDING, feature)}
        self.operands |= {name: matrix(feature, source, self.dtype) for source, name in names.items()}
        given = (*values, gradient_of(group), choices)
        of_bounds = self._append(bound_gradient(feature, self.dtype), given, f"work_{group}_bounds", feature)
        for source, field in _BOUNDING.items():
            self._share(field, contract(feature, source, self.dtype), (of_bounds, names[source]), source)
        arguments = (gradient_of(group), of_bounds, names[feature])
        return self._append(own_gradient(feature, self.dtype), arguments, gradient_of(results), feature)

    def _to_inputs(self, block: str, k: int, inputs: tuple[str, ...], gradient: str) -> None:
        """Append the gradients with respect to the inputs of a linear layer, for that with respect to its result."""
        for position, name in enumerate(inputs):
            self._product(name, block, k, position, gradient)

    def _product(self, name: str, block: str, k: int, position: int, gradient: str) -> None:
        """Append a gradient times transposed weights, a share of the gradient with respect to ``name``."""
        source, target = self.buffers[name], self.buffers[gradient]
        weights = transposed(block, k, position)
        self.operands[weights] = matrix(target, source, self.dtype)
        self._share(name, contract(target, source, self.dtype), (gradient, weights), source)

    def _share(self, name: str, operator: FieldOperator, arguments: tuple[str, ...], feature: gtx.Dimension) -> None:
        """Append what makes a share of the gradient with respect to a field."""
        shares = self.shares.setdefault(name, [])
        shares.append(self._append(operator, arguments, f"work_{name}_gradient_{len(shares)}", feature))

    def _gradient(self, name: str) -> str:
        """The name of the whole gradient with respect to an inner field."""
        shares = self.shares[name]
        if len(shares) == 1:
            return shares[0]
        self._sum_of_shares(name, self.buffers[name], out=gradient_of(name))
        self.buffers[gradient_of(name)] = self.buffers[name]
        return gradient_of(name)

    def _sum_of_shares(self, name: str, feature: gtx.Dimension, out: str) -> None:
        """Append the sum of all shares of a gradient, written to ``out``; a single one is written there itself."""
        total, *others = self.shares[name]
        if not others:
            (position,) = (position for position, statement in enumerate(self.statements) if statement.out == total)
            self.statements[position] = dataclasses.replace(self.statements[position], out=out)
            del self.buffers[total]
            return
        for k, share in enumerate(others):
            last = out if share is others[-1] else f"work_{name}_gradient_sum_{k}"
            self.statements.append(Statement(add_gradients(feature, self.dtype), (total, share), last))
            if last != out:
                self.buffers[last] = feature
            total = last


@functools.cache
def describe_adjoint(shape: NetworkShape, dtype: type) -> AdjointDescription:
    """The statements of a step's adjoint for a network's shape, the static branch of ``two_branch`` included.

    Its caller's fields are ``static_input``, ``forcing_input``, ``state_input``, the gradients with respect to the
    results, ``new_state_gradient`` and ``diagnostics_gradient``, and those with respect to the inputs,
    ``static_gradient``, ``forcing_gradient`` and ``state_gradient``.
    """
    fields = {f"{group}_input": feature for group, feature in GROUPS.items()}
    fields |= {gradient_of(group): feature for group, feature in (_RESULTS | GROUPS).items()}
    step = add_step(AdjointDescription(program_name("adjoint", shape, dtype), shape, dtype, fields))
    step.reverse()
    return step
