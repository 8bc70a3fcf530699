"""The tangent-linear and the adjoint of an emulator's step, in one direction of each column and in many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ailand_gt4py.core import arrays
from ailand_gt4py.emulator.differentiated import Described, InterpretedCall
from ailand_gt4py.emulator.operands import Operands
from ailand_gt4py.emulator.programs import Programs
from ailand_gt4py.lowering.calls.operator_call import RepeatedCall

#: The inputs of a step in the order in which the programs take them, their tangents and those of the results.
INPUTS = ("static", "forcing", "state")
TANGENTS = ("d_static", "d_forcing", "d_state")
RESULT_TANGENTS = ("d_new_state", "d_diagnostics")
#: Adjoints of the results, and of the inputs.
RESULT_ADJOINTS = ("g_new_state", "g_diagnostics")
ADJOINTS = ("g_static", "g_forcing", "g_state")

#: Columns of one call of a program with directions: so few that what is to be kept beside its results stays in the
#: cache.
_COLUMNS_AT_ONCE = 1024
#: The same for embedded execution, whose products of a layer's weights with all its inputs are fields of their own.
_EMBEDDED_COLUMNS_AT_ONCE = 16


class Call:
    """Calls of a program, or of another call."""

    _call: RepeatedCall | InterpretedCall | Call

    @property
    def is_compiled(self) -> bool:
        """Whether calls run compiled code already."""
        return self._call.is_compiled


class LinearCall(Call):
    """A program that is linear in some of its arguments: the tangent-linear or the adjoint of one emulator's step.

    Args:
        described: the step and its derivative. what: it is of the network, as for `Programs.call`.
        directions: names of what it is linear in: `TANGENTS` or `RESULT_ADJOINTS`.
    """

    _call: RepeatedCall | InterpretedCall

    def __init__(self, programs: Programs, described: Described, what: str, directions: tuple[str, ...]) -> None:
        self._call = programs.derivative(described, what)
        # One zero, which is read for every column and feature.
        xp = arrays.array_module(programs.device)
        zero = xp.zeros(1, dtype=programs.dtype)
        shapes = list(programs.shapes(described.step, programs.operands).values())[len(INPUTS) :]
        self._zeros = {name: xp.broadcast_to(zero, shape) for name, shape in zip(directions, shapes, strict=False)}

    def __call__(self, given: Mapping[str, arrays.Array], results: Sequence[arrays.Array]) -> None:
        """Write the results.

        Args:
            given: checked arrays of `INPUTS`, and of those of the directions that are not zero.

        Raises:
            RunError: the program cannot be compiled.
        """
        directions = (given.get(name, zero) for name, zero in self._zeros.items())
        self._call([*(given[name] for name in INPUTS), *directions, *results])


class CallInParts(Call):
    """A program with directions, some columns after others.

    Args: as of `Programs.derivative`.
    """

    _call: RepeatedCall | InterpretedCall

    def __init__(self, programs: Programs, described: Described, what: str, operands: Operands) -> None:
        self.size = min(programs.n_columns, _EMBEDDED_COLUMNS_AT_ONCE if programs.is_embedded else _COLUMNS_AT_ONCE)
        self._call = programs.derivative(described, what, operands, self.size)

    def __call__(self, inputs: Sequence[arrays.Array], *fields: arrays.Array) -> None:
        """Write the results.

        Args:
            inputs: checked: static, forcing, state.
            fields: of all columns: tangents that are given, then results.

        Raises:
            RunError: the program cannot be compiled.
        """
        n_columns = len(inputs[0])
        for first in range(0, n_columns, self.size):
            # The columns of the last call are those of the call before in part.
            part = slice(min(first, n_columns - self.size), min(first + self.size, n_columns))
            self._run([values[part] for values in inputs], *(values[part] for values in fields))

    def _run(self, inputs: Sequence[arrays.Array], *fields: arrays.Array) -> None:
        """The same for the columns of one call of the program."""
        self._call([*inputs, *fields])


class StateTangentsOneByOne(Call):
    """The tangent-linear in many directions of the state by one call for each.

    For backends whose code has no directions: a GPU, and those of a caller.
    """

    _call: LinearCall

    def __init__(self, tangent_linear: LinearCall) -> None:
        self._call = tangent_linear

    def __call__(self, inputs: Sequence[arrays.Array], d_states: arrays.Array, *results: arrays.Array) -> None:
        """As of the program of `describe_state_tangents`."""
        given = dict(zip(INPUTS, inputs, strict=True))
        for k in range(d_states.shape[1]):
            self._call(given | {"d_state": d_states[:, k]}, [result[:, k] for result in results])
