"""The programs of one emulator's derivatives, each made when it is first asked for."""

from __future__ import annotations

import functools

from ailand_gt4py.core.dimensions import Change
from ailand_gt4py.emulator.derivatives.described import (
    describe_adjoint,
    describe_state_tangents,
    describe_tangent_linear,
)
from ailand_gt4py.emulator.derivatives.jacobian import Block
from ailand_gt4py.emulator.derivatives.jacobian_calls import (
    ForwardJacobian,
    JacobianOneByOne,
    Mode,
    ReverseJacobian,
    cheaper_mode,
)
from ailand_gt4py.emulator.derivatives.linear import (
    RESULT_ADJOINTS,
    TANGENTS,
    CallInParts,
    LinearCall,
    StateTangentsOneByOne,
)
from ailand_gt4py.emulator.programs import Programs

Jacobian = ForwardJacobian | ReverseJacobian | JacobianOneByOne


class Derivatives:
    """Makes the calls and keeps them."""

    def __init__(self, programs: Programs) -> None:
        self._programs = programs
        self._jacobians: dict[tuple[Block, Mode], Jacobian] = {}
        self._of_states: dict[int, CallInParts] = {}

    @functools.cached_property
    def tangent_linear(self) -> LinearCall:
        """Of the step."""
        described = describe_tangent_linear(self._programs.shape, self._programs.scalar)
        return LinearCall(self._programs, described, "the tangent-linear of ", TANGENTS)

    @functools.cached_property
    def adjoint(self) -> LinearCall:
        """Of the step."""
        described = describe_adjoint(self._programs.shape, self._programs.scalar)
        return LinearCall(self._programs, described, "the adjoint of ", RESULT_ADJOINTS)

    def of_states(self, n_directions: int) -> CallInParts | StateTangentsOneByOne:
        """The tangent-linear in so many directions of the state; the compiled program does not depend on their number.

        Called with tangents of the state (n_columns, n_directions, n_state), and arrays for those of the new state and
        of the diagnostics, (n_columns, n_directions, n_features).
        """
        programs = self._programs
        if not programs.has_directions:
            return StateTangentsOneByOne(self.tangent_linear)
        if n_directions not in self._of_states:
            described = describe_state_tangents(programs.shape, programs.scalar)
            what = "the tangent-linear in directions of the state of "
            operands = programs.operands.extended({Change: n_directions})
            self._of_states[n_directions] = CallInParts(programs, described, what, operands)
        return self._of_states[n_directions]

    def jacobian(self, block: Block, mode: Mode | None = None) -> Jacobian:
        """Of a block, in the mode that takes less arithmetic, or in the one that is given."""
        mode = mode or cheaper_mode(self._programs.model, block)
        if (block, mode) not in self._jacobians:
            self._jacobians[block, mode] = self._make_jacobian(block, mode)
        return self._jacobians[block, mode]

    def _make_jacobian(self, block: Block, mode: Mode) -> Jacobian:
        if not self._programs.has_directions:
            linear = self.tangent_linear if mode == "forward" else self.adjoint
            return JacobianOneByOne(self._programs, block, linear, mode)
        return (ForwardJacobian if mode == "forward" else ReverseJacobian)(self._programs, block)
