"""The tangent-linear of a step: what the results change by, to first order, for given changes of the inputs.

The program runs each statement of the step and, after it, its derivative on the change of what it reads. Both are in
one program because the derivatives of an activation, of a layer normalisation and of a bound need forward values.

A network of rectifiers has kinks. There the derivative is

* 0 of ReLU at 0 and 0.01 of LeakyReLU at 0, as in PyTorch: that of the side where the unit is off;
* 0 of a logarithm at and below its floor;
* 0 of a bound that is active, and 0 of one that is just touched. The bounded value alone so tells the derivative: on
  a bound there is none, as at the 0 of a ReLU. (PyTorch's ``clamp`` has 1 where a bound is touched.)
* that of the other variable where this one is the bound, also where it is just touched.

A column whose forward values are NaN has changes that are NaN.
"""

import dataclasses
import functools

import gt4py.next as gtx

from ailand_gt4py.dimensions import DiagnosticFeature, ForcingFeature, Moment, StateFeature, StaticFeature
from ailand_gt4py.stencils.pointwise import denormalise_and_bound
from ailand_gt4py.stencils.shapes import Activation, NetworkShape, finishing_type
from ailand_gt4py.stencils.step import ProgramDescription, Statement, program_name
from ailand_gt4py.stencils.tangent_layers import (
    activation_tangent,
    added_linear_tangent,
    bound_tangent,
    finish_tangent,
    increment_tangent,
    inverse_deviation,
    linear_tangent,
    normalise_logarithms_tangent,
    normalise_tangent,
    normalised_relu,
    normalised_relu_tangent,
    unnormalised_layer,
)


def tangent_of(name: str) -> str:
    """The name of the change of a field."""
    return f"{name}_tangent"


@dataclasses.dataclass
class TangentDescription(ProgramDescription):
    """A program in which every statement is followed by its derivative; of results, only the changes are made.

    The change of a field ``x`` goes by the name ``tangent_of(x)``.
    """

    def normalise(self, group: str, feature: gtx.Dimension) -> str:
        normalised = super().normalise(group, feature)
        arguments: tuple[str, ...] = (tangent_of(group), f"scaling_{group}")
        operator = normalise_tangent(feature, self.dtype)
        if self.is_logarithmic(feature):
            arguments = (f"{group}_input", *arguments)
            operator = normalise_logarithms_tangent(feature, self.dtype)
        self._append(operator, arguments, tangent_of(normalised), feature)
        return normalised

    def finish(self, group: str, feature: gtx.Dimension, normalised: str) -> None:
        self.operands[f"finishing_{group}"] = finishing_type(feature, self.dtype)
        operator = finish_tangent(feature, self.dtype)
        arguments = (normalised, tangent_of(normalised), f"finishing_{group}")
        if group in self.shape.bounded_by_others:
            results = f"work_{group}"
            own = denormalise_and_bound(feature, self.dtype)
            self._append(own, (normalised, f"finishing_{group}"), results, feature)
            self._append(operator, arguments, tangent_of(results), feature)
            changes = tuple(map(tangent_of, (results, "static", "forcing")))
            operator = bound_tangent(feature, self.dtype)
            *values, choices = self.bounding(group, feature, results)
            arguments = (*values, *changes, choices)
        self.statements.append(Statement(operator, arguments, tangent_of(group)))

    def add_layer(self, block: str, k: int, inputs: tuple[str, ...]) -> str:
        target, kind = self.shape.layers[block][k]
        sources = tuple(self.buffers[name] for name in inputs)
        units = f"units_{block}_{k}"
        operands = self.layer_operands(block, k, sources)
        changes = (*map(tangent_of, inputs), operands)
        product = linear_tangent(sources, target, kind, self.dtype)
        if kind == "linear":
            super().add_layer(block, k, inputs)
            self._append(product, changes, tangent_of(units), target)
        elif kind == "layer_norm_relu":
            before, inverse = f"{units}_linear", f"{units}_inverse_deviation"
            dimensions = (sources, target, self.dtype)
            self._append(unnormalised_layer(*dimensions), (*inputs, operands), before, target)
            self._append(inverse_deviation(*dimensions), (before, operands), inverse, Moment)
            self._append(normalised_relu(*dimensions), (before, inverse, operands), units, target)
            self._append(product, changes, tangent_of(before), target)
            arguments = (before, tangent_of(before), inverse, units, operands)
            self._append(normalised_relu_tangent(*dimensions), arguments, tangent_of(units), target)
        else:
            super().add_layer(block, k, inputs)
            self._activated(units, kind, self._append(product, changes, tangent_of(f"{units}_linear"), target))
        return units

    def static_part(self, units: str, part: str) -> None:
        super().static_part(units, part)
        ((target, _),) = self.shape.layers["combine"]
        self.buffers[part] = target
        product = linear_tangent((self.buffers[units],), target, "linear", self.dtype)
        self._append(product, (tangent_of(units), "operands_static_part"), tangent_of(part), target)

    def meet(self, part: str, units: str) -> tuple[str, ...]:
        (hidden,) = super().meet(part, units)
        ((target, kind),) = self.shape.layers["combine"]
        product = added_linear_tangent(self.buffers[units], target, self.dtype)
        arguments = (tangent_of(part), tangent_of(units), "operands_combine_0")
        self._activated(hidden, kind, self._append(product, arguments, tangent_of(f"{hidden}_linear"), target))
        return (hidden,)

    def add_increment(self, inputs: tuple[str, ...]) -> str:
        new_state = super().add_increment(inputs)
        (units,) = inputs
        operands = f"operands_prognostic_{len(self.shape.layers['prognostic']) - 1}"
        arguments = (tangent_of("normalised_state"), tangent_of(units), operands)
        operator = increment_tangent(self.buffers[units], self.dtype)
        self._append(operator, arguments, tangent_of(new_state), StateFeature)
        return new_state

    def _activated(self, units: str, kind: Activation, change: str) -> None:
        """Append the change of the activation that gave ``units``, for a change of what it was applied to."""
        target = self.buffers[units]
        self._append(activation_tangent(kind, target, self.dtype), (units, change), tangent_of(units), target)


@functools.cache
def describe_tangent_linear(shape: NetworkShape, dtype: type) -> TangentDescription:
    """The statements of a step's tangent-linear for a network's shape, the static branch of ``two_branch`` included.

    Its caller's fields are ``static_input``, ``forcing_input``, ``state_input``, their changes ``static_tangent``,
    ``forcing_tangent``, ``state_tangent``, and those of the results, ``new_state_tangent`` and ``diagnostics_tangent``.
    """
    groups = {"static": StaticFeature, "forcing": ForcingFeature, "state": StateFeature}
    results = {"new_state": StateFeature, "diagnostics": DiagnosticFeature}
    fields = {f"{group}_input": feature for group, feature in groups.items()}
    fields |= {tangent_of(group): feature for group, feature in (groups | results).items()}
    step = TangentDescription(program_name("tangent_linear", shape, dtype), shape, dtype, fields)
    inputs = tuple(step.normalise(group, feature) for group, feature in groups.items())
    if shape.architecture == "two_branch":
        (of_static,) = step.chain("static", inputs[:1])
        step.static_part(of_static, "units_static_part")
        hidden = step.meet("units_static_part", *step.chain("dynamic", inputs[1:]))
    else:
        hidden = step.chain("trunk", inputs)
    step.results(inputs, hidden)
    return step
