"""The Jacobian of a step in forward mode (see `jacobian`)."""

import dataclasses
import functools

from ailand_gt4py.core.dimensions import Change, ResultFeature, StateFeature
from ailand_gt4py.stencils.fields import times
from ailand_gt4py.stencils.network import directed_layers as operators
from ailand_gt4py.stencils.network.jacobian import (
    NEW_STATE,
    NORMALISED_INPUTS,
    JacobianDescription,
    jacobian_name,
    weights,
)
from ailand_gt4py.stencils.network.shapes import RESULTS, NetworkShape
from ailand_gt4py.stencils.network.step import INPUT_FIELDS, add_step


@dataclasses.dataclass
class ForwardDescription(JacobianDescription):
    """The Jacobian by tangents of inputs: ``jacobian`` (Column, Change, ResultFeature).

    Attributes:
        tangents: field -> name of its tangents, as far as they are there.
    """

    tangents: dict[str, str] = dataclasses.field(default_factory=dict)

    def finish_jacobian(self) -> None:
        """All tangents, and what is made of those of results."""
        slopes = self.slopes_of_inputs(Change)
        parts = [self._result_tangents(group, slopes) for group in self.groups]
        if len(parts) == 1:
            self.write_to(parts[0], "jacobian")
        else:
            self.sum(parts, "jacobian")

    def tangents_of(self, units: str) -> str:
        """The tangents of a layer's units or of the new state; appended if they are not there."""
        if units not in self.tangents:
            self.tangents[units] = self._layer_tangents(units)
        return self.tangents[units]

    def share(self, units: str, position: int, tangents: str) -> str:
        """What the tangents of one input of a layer add to those of its units."""
        block, k, _ = self.layers[units]
        weight, target = weights(block, k, position), self.feature(units)
        return self.product(Change, tangents, weight, target, f"{units}_share_{position}")

    def shares_of(self, units: str) -> list[str]:
        """All that adds up to the tangents of a layer before its activation, of the new state."""
        block, k, inputs = self.layers[units]
        inner = ((at, x) for at, x in enumerate(inputs) if x not in NORMALISED_INPUTS)
        parts = [self.share(units, at, self.tangents_of(x)) for at, x in inner]
        if units == NEW_STATE or set(inputs) & set(NORMALISED_INPUTS):
            parts.append(self.rows(f"tangents_{block}_{k}", Change, self.feature(units)))
        return parts

    def properties(self, by_property: dict[str, str]) -> dict[str, str]:
        """The tangents of the soil's properties, and the factors of these."""
        return {self.rows(f"tangents_{name}", Change, StateFeature): factor for name, factor in by_property.items()}

    def bounded(self, group: str, own: str, out: str) -> str:
        """The tangents of results that other variables bound."""
        feature = RESULTS[group]
        is_below = self.is_below_bound(group, f"work_{group}_is_below")
        arguments = (own, is_below, self.rows(f"bounds_{group}", Change, feature), f"bounding_{group}")
        return self.append(operators.bounded_directed(Change, feature, self.dtype), arguments, out, (Change, feature))

    def _layer_tangents(self, units: str) -> str:
        parts, entry = self.shares_of(units), self.activation_of(units)
        if units == NEW_STATE and self.shape.soil_heat:
            # The shares are what adds up to the network's output, then the state's own tangents.
            factors = self.heat_factors()
            pairs = [(name, factors.by_increment) for name in parts[:-1]] + [(parts[-1], factors.by_state)]
            pairs += self.properties(factors.by_property).items()
            parts = [self.pairwise(times, name, factor, f"work_{name}_{factor}") for name, factor in pairs]
        tangents = self.sum(parts, f"{units}_linear_tangent")
        if entry.is_linear:
            return tangents
        if entry.is_normalised:
            projection = self.projection(units, tangents, Change)
            tangents = self.projected(units, f"{units}_linear", tangents, projection, Change, f"{units}_projected")
        return self.activated(units, tangents, Change, f"{units}_tangent")

    def _result_tangents(self, group: str, slopes_of_inputs: str) -> str:
        """The tangents of those results of a group that are wanted, in model units."""
        tangents, slopes = self.tangents_of(self.normalised[group]), self.slopes_of_results(group)
        by_feature = self.pairwise(times, tangents, slopes, f"work_{group}_by_feature")
        own = self.pairwise(times, by_feature, slopes_of_inputs, f"work_{group}_own")
        if group in self.shape.bounded_by_others:
            own = self.bounded(group, own, f"work_{group}_bounded")
        choice = f"choice_{RESULTS[group].value}_{ResultFeature.value}"
        return self.product(Change, own, choice, ResultFeature, f"work_{group}_chosen")


@functools.cache
def describe_forward(shape: NetworkShape, groups: tuple[str, ...], dtype: type) -> ForwardDescription:
    """The statements of a Jacobian in forward mode, of these groups of results.

    Its caller's fields are ``static_input``, ``forcing_input``, ``state_input`` and ``jacobian``.
    """
    name = jacobian_name("jacobian_forward", shape, groups, dtype)
    fields = INPUT_FIELDS | {"jacobian": (Change, ResultFeature)}
    step = add_step(ForwardDescription(name, shape, dtype, fields, groups=groups))
    step.finish_jacobian()
    return step
