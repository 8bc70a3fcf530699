"""The ways to the tangent-linear in many directions of the state, as calls: all directions at once, or one by one."""

from __future__ import annotations

from collections.abc import Sequence

from ailand_gt4py.core import arrays
from ailand_gt4py.emulator.derivatives.jacobian_calls import columns_at_once, parts_of_columns
from ailand_gt4py.emulator.derivatives.jacobian_operands import state_changes_operands
from ailand_gt4py.emulator.derivatives.linearisation import INPUTS, LinearCall, Setting
from ailand_gt4py.emulator.operands import network_shape
from ailand_gt4py.stencils.network.state_tangents import describe_state_tangents


class StateChanges:
    """The tangent-linear of an emulator's step in so many directions of the state, all at once.

    The compiled program does not depend on their number.
    """

    def __init__(self, setting: Setting, n_directions: int) -> None:
        self._size = columns_at_once(setting)
        description = describe_state_tangents(network_shape(setting.model), setting.scalar)
        operands = state_changes_operands(setting.model, setting.operands, setting.dtype, setting.device, n_directions)
        what = "the tangent-linear in directions of the state"
        self._call = setting.make_call(description, what, operands, self._size)

    @property
    def is_compiled(self) -> bool:
        """Whether calls run compiled code already."""
        return self._call.is_compiled

    def __call__(self, inputs: Sequence[arrays.Array], d_states: arrays.Array, results: Sequence[arrays.Array]) -> None:
        """Write the results.

        Args:
            inputs: checked: static, forcing, state. d_states: (n_columns, n_directions, n_state).
            results: changes of the new state and of the diagnostics, (n_columns, n_directions, n_features).

        Raises:
            RunError: the program cannot be compiled.
        """
        for part in parts_of_columns(len(d_states), self._size):
            self._call([values[part] for values in (*inputs, d_states, *results)])


class StateChangesOneByOne:
    """The same by one call of the tangent-linear for each direction.

    For backends whose code has no directions: a GPU, and those of a caller.

    Args:
        linear: the tangent-linear.
    """

    def __init__(self, linear: LinearCall) -> None:
        self._linear = linear

    @property
    def is_compiled(self) -> bool:
        """Whether calls run compiled code already."""
        return self._linear.is_compiled

    def __call__(self, inputs: Sequence[arrays.Array], d_states: arrays.Array, results: Sequence[arrays.Array]) -> None:
        """As of the other way."""
        given = dict(zip(INPUTS, inputs, strict=True))
        for k in range(d_states.shape[1]):
            self._linear(given | {"d_state": d_states[:, k]}, [result[:, k] for result in results])
