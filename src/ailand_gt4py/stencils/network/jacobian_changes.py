"""The Jacobian of a step by changes of its inputs (see `jacobian`)."""

import dataclasses
import functools

from ailand_gt4py.core.dimensions import Change, ResultFeature, StateFeature
from ailand_gt4py.stencils.network import directed_layers as operators
from ailand_gt4py.stencils.network.jacobian import (
    FEATURES,
    NEW_STATE,
    NORMALISED_INPUTS,
    JacobianDescription,
    jacobian_name,
    weights,
)
from ailand_gt4py.stencils.network.linearised import GROUPS, add_step
from ailand_gt4py.stencils.network.shapes import NetworkShape, rows


@dataclasses.dataclass
class ChangesDescription(JacobianDescription):
    """The Jacobian by changes of inputs: ``jacobian`` (Column, Change, ResultFeature)."""

    changes: dict[str, str] = dataclasses.field(default_factory=dict)

    def finish_jacobian(self) -> None:
        """Append all changes, and what is made of those of results."""
        slopes = self.slopes_of_inputs(Change)
        parts = [self._result_changes(group, slopes) for group in self.groups]
        if len(parts) == 1:
            self.statements[-1] = dataclasses.replace(self.statements[-1], out="jacobian")
            del self.buffers[parts[0]]
        else:
            self.sum(Change, parts, "jacobian")

    def _change(self, units: str) -> str:
        """Append the changes of a layer's units or of the new state, if they are not there; gives their name."""
        if units not in self.changes:
            self.changes[units] = self._layer_changes(units)
        return self.changes[units]

    def _share(self, units: str, position: int, change: str) -> str:
        """Append what the change of one input of a layer adds to that of its units; gives its name."""
        block, k, _ = self.layers[units]
        weight, target = weights(block, k, position), self.buffers[units]
        return self.product(Change, change, weight, target, f"{units}_share_{position}")

    def _shares_of_change(self, units: str) -> list[str]:
        """Append all that adds up to the change of a layer before its activation, of the new state; gives the names."""
        block, k, inputs = self.layers[units]
        parts = [self._share(units, at, self._change(x)) for at, x in enumerate(inputs) if x not in NORMALISED_INPUTS]
        if units == NEW_STATE or set(inputs) & set(NORMALISED_INPUTS):
            parts.append(self.operand(f"changes_{block}_{k}", rows(Change, self.buffers[units], self.dtype)))
        return parts

    def _heated_changes(self, shares: list[str]) -> list[str]:
        """Append the parts of the new state's change, some of which changes by its heat; gives their names.

        Args:
            shares: what adds up to the network's output, then the state's own change.
        """
        by_state, by_change, by_property = self.heat_factors()
        *of_output, own = shares
        parts = [self._by_feature(name, by_change) for name in of_output]
        parts.append(self._by_feature(own, by_state))
        for name, by_one in self._properties(by_property).items():
            parts.append(self._by_feature(name, by_one))
        return parts

    def _properties(self, by_property: dict[str, str]) -> dict[str, str]:
        """The changes of the soil's properties, and the factors of these."""
        kind = rows(Change, StateFeature, self.dtype)
        return {self.operand(f"changes_{name}", kind): factor for name, factor in by_property.items()}

    def _by_feature(self, x: str, factor: str) -> str:
        """Append a change of the state times a factor of each variable; gives its name."""
        dimensions = (Change, StateFeature)
        operator = operators.by_feature(*dimensions, True, self.dtype, self.is_of_columns(x))
        return self.directed(operator, (x, factor), f"work_{x}_{factor}", *dimensions)

    def _layer_changes(self, units: str) -> str:
        parts = self._shares_of_change(units)
        if units == NEW_STATE and self.shape.soil_heat:
            parts = self._heated_changes(parts)
        change = self.sum(Change, parts, f"{units}_linear_change")
        if self.kind(units) == "linear":
            return change
        if self.kind(units) == "layer_norm_relu":
            projection = self.projection(units, change, Change)
            out = f"{units}_projected"
            change = self.projected(units, f"{units}_linear", change, projection, Change, out)
        return self.activated(units, change, Change, f"{units}_change")

    def _result_changes(self, group: str, slopes_of_inputs: str) -> str:
        """Append the changes of those results of a group that are wanted, in model units; gives their name."""
        feature = FEATURES[group]
        normalised = self._change(self.normalised[group])
        operator = operators.by_feature(Change, feature, True, self.dtype)
        arguments = (normalised, self.slopes_of_results(group))
        change = self.directed(operator, arguments, f"work_{group}_by_feature", Change, feature)
        operator = operators.by_direction(Change, feature, self.is_of_columns(slopes_of_inputs), self.dtype)
        change = self.directed(operator, (change, slopes_of_inputs), f"work_{group}_own", Change, feature)
        if group in self.shape.bounded_by_others:
            is_below = f"work_{group}_is_below"
            self.buffers[is_below] = feature
            self.is_below_bound(group, is_below)
            of_inputs = self.operand(f"bounds_{group}", rows(Change, feature, self.dtype))
            operator = operators.bounded_directed(Change, feature, self.dtype)
            arguments = (change, is_below, of_inputs, f"bounding_{group}")
            change = self.directed(operator, arguments, f"work_{group}_bounded", Change, feature)
        choice = f"choice_{feature.value}_{ResultFeature.value}"
        return self.product(Change, change, choice, ResultFeature, f"work_{group}_chosen")


@functools.cache
def describe_changes(shape: NetworkShape, groups: tuple[str, ...], dtype: type) -> ChangesDescription:
    """The statements of a Jacobian by changes of inputs, of these groups of results.

    Its caller's fields are ``static_input``, ``forcing_input``, ``state_input`` and ``jacobian``.
    """
    fields = {f"{group}_input": feature for group, feature in GROUPS.items()} | {"jacobian": (Change, ResultFeature)}
    name = jacobian_name("jacobian_by_changes", shape, groups, dtype)
    step = add_step(ChangesDescription(name, shape, dtype, fields, groups=groups))
    step.finish_jacobian()
    return step
