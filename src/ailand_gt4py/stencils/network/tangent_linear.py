"""The tangent-linear of a step: tangents of the results for given tangents of the inputs.

The program runs each statement of the step and, after it, its derivative on the tangent of what it reads. Both are in
one program because the derivatives of an activation, of a layer normalisation and of a bound need forward values.

A network of rectifiers has kinks. There the derivative is

* 0 of ReLU at 0 and 0.01 of LeakyReLU at 0, as in PyTorch: that of the side where the unit is off;
* 0 of a logarithm at and below its floor;
* 0 of a bound that is active, and 0 of one that is just touched. The bounded value alone so tells the derivative: on
  a bound there is none, as at the 0 of a ReLU. (PyTorch's ``clamp`` has 1 where a bound is touched.)
* that of the other variable where this one is the bound, also where it is just touched.

A column whose forward values are NaN has tangents that are NaN.
"""

import functools

import gt4py.next as gtx

from ailand_gt4py.core.dimensions import Column, StateFeature
from ailand_gt4py.stencils.network.activations import activation
from ailand_gt4py.stencils.network.linearised import LinearisedDescription
from ailand_gt4py.stencils.network.shapes import INPUTS, RESULTS, ActivationName, NetworkShape, finishing_type
from ailand_gt4py.stencils.network.step import INCREMENT, INPUT_FIELDS, add_step, program_name
from ailand_gt4py.stencils.network.tangent_layers import (
    added_linear_tangent,
    bound_tangent,
    finish_tangent,
    increment_tangent,
    linear_tangent,
    normalise_logarithms_tangent,
    normalise_tangent,
)
from ailand_gt4py.stencils.physics import soil_heat


def tangent_of(name: str) -> str:
    """The name of the tangent of a field."""
    return f"{name}_tangent"


class TangentDescription(LinearisedDescription):
    """A program in which every statement is followed by its derivative; of results, only the tangents are made.

    The tangent of a field ``x`` goes by the name ``tangent_of(x)``.
    """

    def normalise(self, group: str, feature: gtx.Dimension) -> str:
        normalised = super().normalise(group, feature)
        arguments: tuple[str, ...] = (tangent_of(group), f"scaling_{group}")
        operator = normalise_tangent(feature, self.dtype)
        if self.is_logarithmic(feature):
            arguments = (f"{group}_input", *arguments)
            operator = normalise_logarithms_tangent(feature, self.dtype)
        self.append(operator, arguments, tangent_of(normalised), feature)
        return normalised

    def finish(self, group: str, feature: gtx.Dimension, normalised: str) -> None:
        finishing = self.operand(f"finishing_{group}", finishing_type(feature, self.dtype))
        operator, arguments = finish_tangent(feature, self.dtype), (normalised, tangent_of(normalised), finishing)
        if group not in self.shape.bounded_by_others:
            self.append(operator, arguments, tangent_of(group), feature)
            return
        results = self.own_results(group, normalised, f"work_{group}")
        self.append(operator, arguments, tangent_of(results), feature)
        *values, choices = self.bounding(group, feature, results)
        tangents = map(tangent_of, (results, "static", "forcing"))
        self.append(bound_tangent(feature, self.dtype), (*values, *tangents, choices), tangent_of(group), feature)

    def add_layer(self, block: str, k: int, inputs: tuple[str, ...]) -> str:
        target, kind = self.shape.layers[block][k]
        sources = self.features(inputs)
        units, entry = f"units_{block}_{k}", activation(kind)
        arguments = (*map(tangent_of, inputs), self.layer_operands(block, k, sources))
        product = linear_tangent(sources, target, kind, self.dtype)
        if entry.is_normalised:
            before, inverse, _ = self.normalised_layer(block, k, inputs)
            self.append(product, arguments, tangent_of(before), target)
            arguments = (before, tangent_of(before), inverse, units, f"operands_{block}_{k}")
            self.append(entry.tangent(sources, target, self.dtype), arguments, tangent_of(units), target)
            return units
        super().add_layer(block, k, inputs)
        if entry.is_linear:
            self.append(product, arguments, tangent_of(units), target)
        else:
            self._activated(units, kind, self.append(product, arguments, tangent_of(f"{units}_linear"), target))
        return units

    def static_part(self, units: str, part: str) -> str:
        super().static_part(units, part)
        target = self.feature(part)
        product = linear_tangent(self.features((units,)), target, "linear", self.dtype)
        self.append(product, (tangent_of(units), "operands_static_part"), tangent_of(part), target)
        return part

    def meet(self, part: str, units: str) -> str:
        hidden = super().meet(part, units)
        ((target, kind),) = self.shape.layers["combine"]
        product = added_linear_tangent(self.feature(units), target, self.dtype)
        arguments = (tangent_of(part), tangent_of(units), "operands_combine_0")
        self._activated(hidden, kind, self.append(product, arguments, tangent_of(f"{hidden}_linear"), target))
        return hidden

    def add_increment(self, inputs: tuple[str, ...]) -> str:
        new_state = super().add_increment(inputs)
        (units,) = inputs
        source, operands = self.feature(units), f"operands_prognostic_{self.last_prognostic}"
        if not self.shape.soil_heat:
            arguments = (tangent_of("normalised_state"), tangent_of(units), operands)
            self.append(increment_tangent(source, self.dtype), arguments, tangent_of(new_state), StateFeature)
            return new_state
        operator = linear_tangent((source,), StateFeature, "linear", self.dtype)
        increment = self.append(operator, (tangent_of(units), operands), tangent_of(INCREMENT), StateFeature)
        factors = self.heat_factors()
        pairs = [tangent_of("normalised_state"), factors.by_state, increment, factors.by_increment]
        self.properties_of_states(tangent_of("static"), {name: tangent_of(name) for name in factors.by_property})
        for name, by_one in factors.by_property.items():
            pairs += [tangent_of(name), by_one]
        self.append(soil_heat.sum_of_products(self.dtype), tuple(pairs), tangent_of(new_state), StateFeature)
        return new_state

    def _activated(self, units: str, kind: ActivationName, tangent: str) -> None:
        """The tangent of the activation that gave ``units``, for that of what it was applied to."""
        target, entry = self.feature(units), activation(kind)
        operator = entry.tangent(target, (Column, target), self.dtype)
        self.append(operator, (units, tangent), tangent_of(units), target)


@functools.cache
def describe_tangent_linear(shape: NetworkShape, dtype: type) -> TangentDescription:
    """The statements of a step's tangent-linear for a network's shape, the static branch of ``two_branch`` included.

    Its caller's fields are ``static_input``, ``forcing_input``, ``state_input``, their tangents ``static_tangent``,
    ``forcing_tangent``, ``state_tangent``, and those of the results, ``new_state_tangent`` and ``diagnostics_tangent``.
    """
    fields = INPUT_FIELDS | {tangent_of(group): feature for group, feature in (INPUTS | RESULTS).items()}
    return add_step(TangentDescription(program_name("tangent_linear", shape, dtype), shape, dtype, fields))
