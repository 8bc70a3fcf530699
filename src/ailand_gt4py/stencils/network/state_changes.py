"""The tangent-linear of a step in many directions of a column's state at once.

As the Jacobian by changes (`jacobian`), all directions share the forward values of their column; but they are given,
(Column, Change, StateFeature) in model units, so that the first layer is a product of them with the state's part of
its weights. What holds at kinks is said in `tangent_linear`.
"""

import dataclasses
import functools

import gt4py.next as gtx

from ailand_gt4py.core.dimensions import Change, DiagnosticFeature, StateFeature
from ailand_gt4py.stencils.network import directed_layers as operators
from ailand_gt4py.stencils.network.jacobian import FEATURES
from ailand_gt4py.stencils.network.jacobian_changes import ChangesDescription
from ailand_gt4py.stencils.network.linearised import GROUPS, add_step
from ailand_gt4py.stencils.network.shapes import NetworkShape, bounding_type, vector
from ailand_gt4py.stencils.network.step import program_name
from ailand_gt4py.stencils.network.tangent_linear import tangent_of

_STATE, _NEW_STATE = "normalised_state", "normalised_new_state"
#: The operand with 1 / scale of each state variable.
SLOPES = "slopes_of_states"


@dataclasses.dataclass
class StateChangesDescription(ChangesDescription):
    """Changes of both groups of results for given changes of the state, static inputs and forcing being as they are."""

    def finish_changes(self) -> None:
        """Append all changes, from the given ones to those of results."""
        self.operand(SLOPES, vector(StateFeature, self.dtype))
        normalise = operators.by_feature(Change, StateFeature, False, self.dtype)
        out = tangent_of(_STATE)
        self.changes[_STATE] = self.directed(normalise, (tangent_of("state"), SLOPES), out, Change, StateFeature)
        for group in self.groups:
            self._results(group)

    def _properties(self, by_property: dict[str, str]) -> dict[str, str]:
        """None: static inputs are as they are."""
        return {}

    def _depends_on_state(self, name: str) -> bool:
        """Whether an input or a layer's units change with the state."""
        if name not in self.layers:
            return name == _STATE
        return name == _NEW_STATE or any(map(self._depends_on_state, self.layers[name][2]))

    def _shares_of_change(self, units: str) -> list[str]:
        positions = enumerate(self.layers[units][2])
        parts = [self._share(units, at, self._change(x)) for at, x in positions if self._depends_on_state(x)]
        return [*parts, self.changes[_STATE]] if units == _NEW_STATE else parts

    def _results(self, group: str) -> None:
        """Append the changes of a group of results in model units, the caller's field."""
        feature, result = FEATURES[group], tangent_of(group)
        is_bounded = group in self.shape.bounded_by_others
        out = f"work_{group}_by_feature" if is_bounded else result
        arguments: tuple[str, ...] = (self._change(self.normalised[group]), self.slopes_of_results(group))
        self.directed(operators.by_feature(Change, feature, True, self.dtype), arguments, out, Change, feature)
        if is_bounded:
            is_below = f"work_{group}_is_below"
            self.buffers[is_below] = feature
            self.is_below_bound(group, is_below)
            choices = self.operand(f"bounding_{group}", bounding_type(feature, self.dtype))
            operator = operators.bounded_by_results(Change, feature, self.dtype)
            self.directed(operator, (out, is_below, choices), result, Change, feature)


@functools.cache
def describe_state_changes(shape: NetworkShape, dtype: type) -> StateChangesDescription:
    """The statements of a step's tangent-linear in many directions of the state.

    Its caller's fields are ``static_input``, ``forcing_input``, ``state_input``, the changes ``state_tangent`` (Column,
    Change, StateFeature), and those of the results, ``new_state_tangent`` (Column, Change, StateFeature) and
    ``diagnostics_tangent`` (Column, Change, DiagnosticFeature).
    """
    fields: dict[str, gtx.Dimension | tuple[gtx.Dimension, gtx.Dimension]] = {
        f"{group}_input": feature for group, feature in GROUPS.items()
    }
    of_changes = {"state": StateFeature, "new_state": StateFeature, "diagnostics": DiagnosticFeature}
    fields |= {tangent_of(name): (Change, feature) for name, feature in of_changes.items()}
    name = program_name("tangent_linear_of_states", shape, dtype)
    step = add_step(StateChangesDescription(name, shape, dtype, fields, groups=tuple(FEATURES)))
    step.finish_changes()
    return step
