"""The Jacobian of a step in reverse mode (see `jacobian`)."""

import functools

import gt4py.next as gtx

from ailand_gt4py.core.dimensions import Axes, DiagnosticRow, InputFeature, StateFeature, StateRow
from ailand_gt4py.stencils.fields import contract, times
from ailand_gt4py.stencils.network.adjoint import transposed
from ailand_gt4py.stencils.network.jacobian import (
    NEW_STATE,
    NORMALISED_INPUTS,
    ROWS,
    JacobianDescription,
    jacobian_name,
)
from ailand_gt4py.stencils.network.shapes import RESULTS, NetworkShape
from ailand_gt4py.stencils.network.step import INPUT_FIELDS, add_step


class ReverseDescription(JacobianDescription):
    """The Jacobian by adjoints of results, ``jacobian_<group>`` (Column, rows of the group, InputFeature).

    Where diagnostics are those of the new state, their adjoints do not go back through it, which would be
    as much work again: ``diagnostics_by_state`` (Column, DiagnosticRow, StateFeature) times ``new_state_by_inputs``
    (Column, StateRow, InputFeature), the latter in the network's space and of all of the state, is to be added.
    Bounds by other variables are not applied: ``is_below_<group>`` says where results are below them.
    """

    def finish_jacobian(self) -> None:
        """All adjoints, and what is made of those of the inputs."""
        slopes_of_inputs = self.slopes_of_inputs(InputFeature)
        chained = is_chained(self.shape, self.groups)
        for group in self.groups:
            slopes = self.chosen(self.slopes_of_results(group), ROWS[group])
            if group == "new_state":
                adjoint = self._state_by_inputs(slopes_of_inputs)
            else:
                shares = self._shares(group)
                if chained:
                    (of_state,) = shares[StateFeature]
                    self.pairwise(times, of_state, slopes, "diagnostics_by_state")
                adjoint = self._by_inputs(group, shares[InputFeature], slopes_of_inputs, f"work_{group}_by_inputs")
            self.pairwise(times, adjoint, slopes, f"jacobian_{group}")
            if group in self.shape.bounded_by_others:
                self.is_below_bound(group, f"is_below_{group}")
        if chained and "new_state" not in self.groups:
            self._state_by_inputs(slopes_of_inputs)

    def _state_by_inputs(self, slopes_of_inputs: str) -> str:
        """The derivatives of the new state, in the network's space, by the inputs."""
        shares = self._shares("new_state")[InputFeature]
        identity = self.rows("identity", StateRow, InputFeature)
        shares = [*shares, identity] if not self.shape.soil_heat else self._heated_adjoints(shares, identity)
        out = "new_state_by_inputs" if is_chained(self.shape, self.groups) else "work_new_state_by_inputs"
        return self._by_inputs("new_state", shares, slopes_of_inputs, out)

    def _heated_adjoints(self, shares: list[str], identity: str) -> list[str]:
        """The parts of the new state's adjoints where some of it changes by its heat.

        Args:
            shares: of the network's output. identity: of the state itself.
        """
        by_state, by_increment, by_property = self.heat_factors()
        factors = dict.fromkeys(shares, by_increment) | {identity: by_state}
        for name, by_one in by_property.items():
            factors[self.rows(f"adjoints_{name}", StateRow, InputFeature)] = by_one
        chosen = {factor: self.chosen(factor, StateRow) for factor in dict.fromkeys(factors.values())}
        return [self.pairwise(times, name, chosen[by], f"work_{name}_{by}") for name, by in factors.items()]

    def _by_inputs(self, group: str, shares: list[str], slopes_of_inputs: str, out: str) -> str:
        return self.pairwise(times, self.sum(shares, f"work_total_{ROWS[group].value}"), slopes_of_inputs, out)

    def _shares(self, group: str) -> dict[gtx.Dimension, list[str]]:
        """The adjoints of a group of results; gives their shares, of the inputs and of the new state."""
        _, _, (hidden,) = self.layers[self.normalised[group]]
        shares: dict[gtx.Dimension, list[str]] = {InputFeature: [], StateFeature: []}
        self._backward(hidden, self.rows(f"rows_{group}", ROWS[group], self.feature(hidden)), ROWS[group], shares)
        return shares

    def _backward(
        self, units: str, adjoint: str, direction: gtx.Dimension, shares: dict[gtx.Dimension, list[str]]
    ) -> None:
        """The adjoints of all that a layer reads, for that of its units."""
        block, k, inputs = self.layers[units]
        prefix, is_normalised = f"{units}_{direction.value}", self.activation_of(units).is_normalised
        before = self.activated(units, adjoint, direction, f"{prefix}_activated")
        projection = self.projection(units, before, direction) if is_normalised else ""

        def to(feature: gtx.Dimension, weight: str, part: str) -> str:
            share = self.product(direction, before, weight, feature, f"{prefix}_{part}")
            if not is_normalised:
                return share
            along = f"{units}_along_{part}"
            if along not in self.buffers:
                operator = contract(self.feature(units), feature, self.dtype)
                self.append(operator, (f"{units}_linear", weight), along, feature)
            return self.projected(units, along, share, projection, direction, f"{prefix}_{part}_projected")

        if set(inputs) & set(NORMALISED_INPUTS):
            shares[InputFeature].append(to(InputFeature, f"to_inputs_{block}_{k}", "inputs"))
        for position, name in enumerate(inputs):
            if name not in NORMALISED_INPUTS:
                share = to(self.feature(name), transposed(block, k, position), str(position))
                if name == NEW_STATE:
                    shares[StateFeature].append(share)
                else:
                    self._backward(name, share, direction, shares)


def is_chained(shape: NetworkShape, groups: tuple[str, ...]) -> bool:
    """Whether adjoints of diagnostics end at the new state."""
    return shape.diagnoses_new_state and "diagnostics" in groups


@functools.cache
def describe_reverse(shape: NetworkShape, groups: tuple[str, ...], dtype: type) -> ReverseDescription:
    """The statements of a Jacobian in reverse mode, of these groups of results.

    Its caller's fields are ``static_input``, ``forcing_input``, ``state_input`` and those that `ReverseDescription`
    names, as far as they are made.
    """
    fields: dict[str, Axes] = INPUT_FIELDS | {f"jacobian_{group}": (ROWS[group], InputFeature) for group in groups}
    if is_chained(shape, groups):
        fields["new_state_by_inputs"] = (StateRow, InputFeature)
        fields["diagnostics_by_state"] = (DiagnosticRow, StateFeature)
    fields |= {f"is_below_{group}": RESULTS[group] for group in groups if group in shape.bounded_by_others}
    name = jacobian_name("jacobian_reverse", shape, groups, dtype)
    step = add_step(ReverseDescription(name, shape, dtype, fields, groups=groups))
    step.finish_jacobian()
    return step
