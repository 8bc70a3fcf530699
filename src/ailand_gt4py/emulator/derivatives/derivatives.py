"""The programs of one emulator's derivatives, each made when it is first asked for."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import get_args

from ailand_gt4py.core import arrays
from ailand_gt4py.emulator.derivatives.described import describe_adjoint, describe_tangent_linear
from ailand_gt4py.emulator.derivatives.jacobian import Block, output_variables
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
    LinearCall,
    StateTangents,
    StateTangentsOneByOne,
)
from ailand_gt4py.emulator.programs import Programs

Jacobian = ForwardJacobian | ReverseJacobian | JacobianOneByOne


class Derivatives:
    """Makes the calls and keeps them.

    Args:
        shapes: (n_columns, n_features) of all tangents and adjoints.
    """

    def __init__(self, programs: Programs, shapes: Mapping[str, tuple[int, ...]]) -> None:
        self._programs, self._shapes = programs, shapes
        self._jacobians: dict[tuple[Block, Mode], Jacobian] = {}
        self._of_states: dict[int, StateTangents] = {}

    @functools.cached_property
    def tangent_linear(self) -> LinearCall:
        """Of the step."""
        programs, shapes = self._programs, {name: self._shapes[name] for name in TANGENTS}
        described = describe_tangent_linear(programs.shape, programs.scalar)
        return LinearCall(programs, described, "the tangent-linear of ", shapes)

    @functools.cached_property
    def adjoint(self) -> LinearCall:
        """Of the step."""
        programs, shapes = self._programs, {name: self._shapes[name] for name in RESULT_ADJOINTS}
        return LinearCall(programs, describe_adjoint(programs.shape, programs.scalar), "the adjoint of ", shapes)

    def of_states(self, n_directions: int) -> StateTangents | StateTangentsOneByOne:
        """The tangent-linear in so many directions of the state."""
        if not self._programs.has_directions:
            return StateTangentsOneByOne(self.tangent_linear)
        if n_directions not in self._of_states:
            self._of_states[n_directions] = StateTangents(self._programs, n_directions)
        return self._of_states[n_directions]

    def jacobian(self, block: Block, mode: Mode | None = None) -> Jacobian:
        """Of a block, in the mode that takes less arithmetic, or in the one that is given."""
        mode = mode or cheaper_mode(self._programs.model, block)
        if (block, mode) not in self._jacobians:
            self._jacobians[block, mode] = self._make_jacobian(block, mode)
        return self._jacobians[block, mode]

    def compile_jacobian(self, zeros: Sequence[arrays.Array]) -> None:
        """Compile the programs of blocks that have rows of both groups of results, where they are not, at zero inputs.

        A program does not depend on which rows and columns of a group there are.
        """
        programs = self._programs
        n_outputs, n_state = len(output_variables(programs.model)), len(programs.model.state)
        block = Block((n_state - 1, n_outputs - 1), (0,))
        for mode in get_args(Mode):
            call = self.jacobian(block, mode)
            if not call.is_compiled:
                shape = (programs.n_columns, len(block.outputs), len(block.inputs))
                call(zeros, arrays.array_module(programs.device).empty(shape, dtype=programs.dtype))

    def _make_jacobian(self, block: Block, mode: Mode) -> Jacobian:
        if not self._programs.has_directions:
            linear = self.tangent_linear if mode == "forward" else self.adjoint
            return JacobianOneByOne(self._programs, block, linear, mode)
        if mode == "forward":
            return ForwardJacobian(self._programs, block)
        return ReverseJacobian(self._programs, block)
