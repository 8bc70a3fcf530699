"""The Jacobian of a step by gradients of its results (see `jacobian`)."""

import dataclasses
import functools

import gt4py.next as gtx

from ailand_gt4py.core.dimensions import DiagnosticRow, InputFeature, StateFeature, StateRow
from ailand_gt4py.stencils.network import directed_layers as operators
from ailand_gt4py.stencils.network.adjoint import transposed
from ailand_gt4py.stencils.network.dense import contract
from ailand_gt4py.stencils.network.jacobian import (
    FEATURES,
    NEW_STATE,
    NORMALISED_INPUTS,
    ROWS,
    JacobianDescription,
    jacobian_name,
)
from ailand_gt4py.stencils.network.linearised import GROUPS, add_step
from ailand_gt4py.stencils.network.shapes import NetworkShape, rows


@dataclasses.dataclass
class GradientsDescription(JacobianDescription):
    """The Jacobian by gradients of results, ``jacobian_<group>`` (Column, rows of the group, InputFeature).

    In ``layer_norm`` diagnostics depend on the new state. Their gradients do not go back through it, which would be as
    much work again: ``diagnostics_by_state`` (Column, DiagnosticRow, StateFeature) times ``new_state_by_inputs``
    (Column, StateRow, InputFeature), the latter in the network's space and of all of the state, is to be added.
    Bounds by other variables are not applied: ``is_below_<group>`` says where results are below them.
    """

    def finish_jacobian(self) -> None:
        """Append all gradients, and what is made of those with respect to the inputs."""
        slopes = self.slopes_of_inputs(InputFeature)
        for group in self.groups:
            self._gradients(group, slopes)
            if group in self.shape.bounded_by_others:
                self.is_below_bound(group, f"is_below_{group}")
        if is_chained(self.shape, self.groups) and "new_state" not in self.groups:
            self._state_by_inputs(slopes)

    def _gradients(self, group: str, slopes_of_inputs: str) -> None:
        direction = ROWS[group]
        slopes = self.chosen(self.slopes_of_results(group), FEATURES[group], direction)

        def by_row(x: str, feature: gtx.Dimension, out: str) -> None:
            operator = operators.by_direction(direction, feature, True, self.dtype)
            self.directed(operator, (x, slopes), out, direction, feature)

        if group == "new_state":
            gradient = self._state_by_inputs(slopes_of_inputs)
        else:
            shares = self._shares(group)
            if is_chained(self.shape, self.groups):
                (of_state,) = shares[StateFeature]
                by_row(of_state, StateFeature, "diagnostics_by_state")
            gradient = self._by_inputs(direction, shares[InputFeature], slopes_of_inputs, f"work_{group}_by_inputs")
        by_row(gradient, InputFeature, f"jacobian_{group}")

    def _state_by_inputs(self, slopes_of_inputs: str) -> str:
        """Append the derivatives of the new state, in the network's space, by the inputs; gives their name."""
        shares = self._shares("new_state")[InputFeature]
        identity = self.operand("identity", rows(StateRow, InputFeature, self.dtype))
        shares = [*shares, identity] if not self.shape.soil_heat else self._heated_gradients(shares, identity)
        out = "new_state_by_inputs" if is_chained(self.shape, self.groups) else "work_new_state_by_inputs"
        return self._by_inputs(StateRow, shares, slopes_of_inputs, out)

    def _heated_gradients(self, shares: list[str], identity: str) -> list[str]:
        """Append the parts of the new state's gradients where some of it changes by its heat; gives their names.

        Args:
            shares: of the network's output. identity: of the state itself.
        """
        dimensions = (StateRow, InputFeature)
        by_state, by_change, by_property = self.heat_factors()
        factors = dict.fromkeys(shares, by_change) | {identity: by_state}
        for name, by_one in by_property.items():
            factors[self.operand(f"gradients_{name}", rows(*dimensions, self.dtype))] = by_one
        chosen = {factor: self.chosen(factor, StateFeature, StateRow) for factor in dict.fromkeys(factors.values())}

        def by_row(name: str, factor: str) -> str:
            operator = operators.by_direction(*dimensions, True, self.dtype, self.is_of_columns(name))
            return self.directed(operator, (name, chosen[factor]), f"work_{name}_{factor}", *dimensions)

        return [by_row(name, factor) for name, factor in factors.items()]

    def _by_inputs(self, direction: gtx.Dimension, shares: list[str], slopes_of_inputs: str, out: str) -> str:
        total = self.sum(direction, shares, f"work_total_{direction.value}")
        operator = operators.by_feature(direction, InputFeature, self.is_of_columns(slopes_of_inputs), self.dtype)
        return self.directed(operator, (total, slopes_of_inputs), out, direction, InputFeature)

    def _shares(self, group: str) -> dict[gtx.Dimension, list[str]]:
        """Append the gradients of a group of results; gives their shares, of the inputs and of the new state."""
        _, _, (hidden,) = self.layers[self.normalised[group]]
        first = self.operand(f"rows_{group}", rows(ROWS[group], self.buffers[hidden], self.dtype))
        shares: dict[gtx.Dimension, list[str]] = {InputFeature: [], StateFeature: []}
        self._backward(hidden, first, ROWS[group], shares)
        return shares

    def _backward(
        self, units: str, gradient: str, direction: gtx.Dimension, shares: dict[gtx.Dimension, list[str]]
    ) -> None:
        """Append the gradients with respect to all that a layer reads, for that with respect to its units."""
        block, k, inputs = self.layers[units]
        prefix = f"{units}_{direction.value}"
        before = self.activated(units, gradient, direction, f"{prefix}_activated")
        is_normalised = self.kind(units) == "layer_norm_relu"
        projection = self.projection(units, before, direction) if is_normalised else ""

        def to(feature: gtx.Dimension, weight: str, part: str) -> str:
            share = self.product(direction, before, weight, feature, f"{prefix}_{part}")
            if not is_normalised:
                return share
            along = f"{units}_along_{part}"
            if along not in self.buffers:
                operator = contract(self.buffers[units], feature, self.dtype)
                self._append(operator, (f"{units}_linear", weight), along, feature)
            return self.projected(units, along, share, projection, direction, f"{prefix}_{part}_projected")

        if set(inputs) & set(NORMALISED_INPUTS):
            shares[InputFeature].append(to(InputFeature, f"to_inputs_{block}_{k}", "inputs"))
        for position, name in enumerate(inputs):
            if name not in NORMALISED_INPUTS:
                share = to(self.buffers[name], transposed(block, k, position), str(position))
                if name == NEW_STATE:
                    shares[StateFeature].append(share)
                else:
                    self._backward(name, share, direction, shares)


def is_chained(shape: NetworkShape, groups: tuple[str, ...]) -> bool:
    """Whether gradients of diagnostics end at the new state."""
    return shape.architecture == "layer_norm" and "diagnostics" in groups


@functools.cache
def describe_gradients(shape: NetworkShape, groups: tuple[str, ...], dtype: type) -> GradientsDescription:
    """The statements of a Jacobian by gradients of these groups of results.

    Its caller's fields are ``static_input``, ``forcing_input``, ``state_input`` and those that `GradientsDescription`
    names, as far as they are made.
    """
    fields = {f"{group}_input": feature for group, feature in GROUPS.items()}
    fields |= {f"jacobian_{group}": (ROWS[group], InputFeature) for group in groups}
    if is_chained(shape, groups):
        fields["new_state_by_inputs"] = (StateRow, InputFeature)
        fields["diagnostics_by_state"] = (DiagnosticRow, StateFeature)
    fields |= {f"is_below_{group}": FEATURES[group] for group in groups if group in shape.bounded_by_others}
    name = jacobian_name("jacobian_by_gradients", shape, groups, dtype)
    step = add_step(GradientsDescription(name, shape, dtype, fields, groups=groups))
    step.finish_jacobian()
    return step
