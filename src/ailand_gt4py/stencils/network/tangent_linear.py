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

from ailand_gt4py.core.dimensions import DiagnosticFeature, StateFeature
from ailand_gt4py.stencils.network.linearised import GROUPS, LinearisedDescription, add_step
from ailand_gt4py.stencils.network.shapes import Activation, NetworkShape, finishing_type
from ailand_gt4py.stencils.network.step import CHANGE, Statement, program_name
from ailand_gt4py.stencils.network.tangent_layers import (
    activation_tangent,
    added_linear_tangent,
    bound_tangent,
    finish_tangent,
    increment_tangent,
    linear_tangent,
    normalise_logarithms_tangent,
    normalise_tangent,
    normalised_relu_tangent,
)
from ailand_gt4py.stencils.physics import soil_heat


def tangent_of(name: str) -> str:
    """The name of the change of a field."""
    return f"{name}_tangent"


@dataclasses.dataclass
class TangentDescription(LinearisedDescription):
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
            results = self.own_results(group, normalised)
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
            before, inverse, _ = self.normalised_layer(block, k, inputs)
            self._append(product, changes, tangent_of(before), target)
            arguments = (before, tangent_of(before), inverse, units, operands)
            self._append(normalised_relu_tangent(sources, target, self.dtype), arguments, tangent_of(units), target)
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
        if self.shape.soil_heat:
            return self._heated_change(units, new_state)
        operands = f"operands_prognostic_{len(self.shape.layers['prognostic']) - 1}"
        arguments = (tangent_of("normalised_state"), tangent_of(units), operands)
        operator = increment_tangent(self.buffers[units], self.dtype)
        self._append(operator, arguments, tangent_of(new_state), StateFeature)
        return new_state

    def _heated_change(self, units: str, new_state: str) -> str:
        """Append the change of a new state some of which changes by its heat; gives the state's name."""
        last = len(self.shape.layers["prognostic"]) - 1
        operator = linear_tangent((self.buffers[units],), StateFeature, "linear", self.dtype)
        arguments = (tangent_of(units), f"operands_prognostic_{last}")
        change = self._append(operator, arguments, tangent_of(CHANGE), StateFeature)
        by_state, by_change, by_property = self.heat_factors()
        pairs = [tangent_of("normalised_state"), by_state, change, by_change]
        self.properties_of_states(tangent_of("static"), {name: tangent_of(name) for name in by_property})
        for name, by_one in by_property.items():
            pairs += [tangent_of(name), by_one]
        self._append(soil_heat.sum_of_products(self.dtype), tuple(pairs), tangent_of(new_state), StateFeature)
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
    results = {"new_state": StateFeature, "diagnostics": DiagnosticFeature}
    fields = {f"{group}_input": feature for group, feature in GROUPS.items()}
    fields |= {tangent_of(group): feature for group, feature in (GROUPS | results).items()}
    return add_step(TangentDescription(program_name("tangent_linear", shape, dtype), shape, dtype, fields))
