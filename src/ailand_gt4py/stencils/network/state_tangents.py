"""The tangent-linear of a step in many directions of a column's state at once.

As in the Jacobian in forward mode (`jacobian`), all directions share the forward values of their column; but they are
given, (Column, Change, StateFeature) in model units, so that the first layer is a product of them with the state's part
of its weights. What holds at kinks is said in `tangent_linear`.
"""

import functools

from ailand_gt4py.core.dimensions import Axes, Change, StateFeature
from ailand_gt4py.stencils.fields import times, vector
from ailand_gt4py.stencils.network import directed_layers as operators
from ailand_gt4py.stencils.network.jacobian import NEW_STATE
from ailand_gt4py.stencils.network.jacobian_forward import ForwardDescription
from ailand_gt4py.stencils.network.shapes import RESULTS, NetworkShape
from ailand_gt4py.stencils.network.step import INPUT_FIELDS, add_step, program_name
from ailand_gt4py.stencils.network.tangent_linear import tangent_of

_STATE = "normalised_state"
#: The operand with 1 / scale of each state variable.
SLOPES = "slopes_of_states"


class StateTangentsDescription(ForwardDescription):
    """Tangents of both groups of results for those of the state; static inputs and forcing are as they are."""

    def finish_tangents(self) -> None:
        """All tangents, from the given ones to those of results in model units."""
        slopes = self.operand(SLOPES, vector(StateFeature, self.dtype))
        self.tangents[_STATE] = self.pairwise(times, tangent_of("state"), slopes, tangent_of(_STATE))
        for group in self.groups:
            is_bounded = group in self.shape.bounded_by_others
            out = f"work_{group}_by_feature" if is_bounded else tangent_of(group)
            tangents, slopes = self.tangents_of(self.normalised[group]), self.slopes_of_results(group)
            own = self.pairwise(times, tangents, slopes, out)
            if is_bounded:
                self.bounded(group, own, tangent_of(group))

    def properties(self, by_property: dict[str, str]) -> dict[str, str]:
        """None: static inputs are as they are."""
        return {}

    def shares_of(self, units: str) -> list[str]:
        inputs = ((at, x) for at, x in enumerate(self.layers[units][2]) if self._depends_on_state(x))
        parts = [self.share(units, at, self.tangents_of(x)) for at, x in inputs]
        return [*parts, self.tangents[_STATE]] if units == NEW_STATE else parts

    def bounded(self, group: str, own: str, out: str) -> str:
        feature = RESULTS[group]
        is_below = self.is_below_bound(group, f"work_{group}_is_below")
        arguments = (own, is_below, f"bounding_{group}")
        return self.append(operators.bounded_by_results(Change, feature, self.dtype), arguments, out, (Change, feature))

    def _depends_on_state(self, name: str) -> bool:
        """Whether an input or a layer's units change with the state."""
        if name not in self.layers:
            return name == _STATE
        return name == NEW_STATE or any(map(self._depends_on_state, self.layers[name][2]))


@functools.cache
def describe_state_tangents(shape: NetworkShape, dtype: type) -> StateTangentsDescription:
    """The statements of a step's tangent-linear in many directions of the state.

    Its caller's fields are ``static_input``, ``forcing_input``, ``state_input``, the tangents ``state_tangent``
    (Column, Change, StateFeature), and those of the results, ``new_state_tangent`` (Column, Change, StateFeature) and
    ``diagnostics_tangent`` (Column, Change, DiagnosticFeature).
    """
    directed = {"state": StateFeature} | RESULTS
    fields: dict[str, Axes] = INPUT_FIELDS | {tangent_of(name): (Change, axis) for name, axis in directed.items()}
    name = program_name("tangent_linear_of_states", shape, dtype)
    step = add_step(StateTangentsDescription(name, shape, dtype, fields, groups=tuple(RESULTS)))
    step.finish_tangents()
    return step
