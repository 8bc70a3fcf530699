"""The programs of one emulator's derivatives, each made when it is first asked for."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import get_args

from ailand_gt4py.core import arrays
from ailand_gt4py.emulator.derivatives.jacobian import Block, output_variables
from ailand_gt4py.emulator.derivatives.jacobian_calls import (
    JacobianByChanges,
    JacobianByGradients,
    JacobianOneByOne,
    Way,
    cheaper_way,
)
from ailand_gt4py.emulator.derivatives.linearisation import CHANGES, RESULT_GRADIENTS, LinearCall, Setting
from ailand_gt4py.emulator.derivatives.state_changes_calls import StateChanges, StateChangesOneByOne
from ailand_gt4py.emulator.operands import StepOperands, adjoint_operands, network_shape
from ailand_gt4py.stencils.network.adjoint import describe_adjoint
from ailand_gt4py.stencils.network.step import ProgramDescription
from ailand_gt4py.stencils.network.tangent_linear import describe_tangent_linear

Jacobian = JacobianByChanges | JacobianByGradients | JacobianOneByOne


class Derivatives:
    """Makes the calls and keeps them.

    Args:
        setting: of the emulator.
        shapes: (n_columns, n_features) of all changes and gradients.
        has_directions: whether its backend's code can have several directions for each column.
    """

    def __init__(self, setting: Setting, shapes: Mapping[str, tuple[int, int]], has_directions: bool) -> None:
        self._setting, self._shapes, self._has_directions = setting, shapes, has_directions
        self._jacobians: dict[tuple[Block, Way], Jacobian] = {}
        self._state_changes: dict[int, StateChanges] = {}

    @functools.cached_property
    def tangent_linear(self) -> LinearCall:
        """Of the step."""
        description = describe_tangent_linear(network_shape(self._setting.model), self._setting.scalar)
        return self._linear(description, "the tangent-linear", self._setting.operands, CHANGES)

    def of_states(self, n_directions: int) -> StateChanges | StateChangesOneByOne:
        """The tangent-linear in so many directions of the state."""
        if not self._has_directions:
            return StateChangesOneByOne(self.tangent_linear)
        if n_directions not in self._state_changes:
            self._state_changes[n_directions] = StateChanges(self._setting, n_directions)
        return self._state_changes[n_directions]

    @functools.cached_property
    def adjoint(self) -> LinearCall:
        """Of the step."""
        description = describe_adjoint(network_shape(self._setting.model), self._setting.scalar)
        return self._linear(description, "the adjoint", self._adjoint_operands, RESULT_GRADIENTS)

    def jacobian(self, block: Block, way: Way | None = None) -> Jacobian:
        """Of a block, by the way that takes less arithmetic, or by the one that is given."""
        way = way or cheaper_way(self._setting.model, block)
        if (block, way) not in self._jacobians:
            self._jacobians[block, way] = self._make_jacobian(block, way)
        return self._jacobians[block, way]

    def compile_jacobian(self, zeros: Sequence[arrays.Array]) -> None:
        """Compile the programs of blocks that have rows of both groups of results, where they are not, at zero inputs.

        A program does not depend on which rows and columns of a group there are.
        """
        n_outputs, n_state = len(output_variables(self._setting.model)), len(self._setting.model.state)
        block = Block((n_state - 1, n_outputs - 1), (0,))
        for way in get_args(Way):
            call = self.jacobian(block, way)
            if not call.is_compiled:
                shape = (self._setting.n_columns, len(block.outputs), len(block.inputs))
                call(zeros, arrays.array_module(self._setting.device).empty(shape, dtype=self._setting.dtype))

    def _make_jacobian(self, block: Block, way: Way) -> Jacobian:
        if not self._has_directions:
            linear = self.tangent_linear if way == "changes" else self.adjoint
            return JacobianOneByOne(self._setting, block, linear, way)
        if way == "changes":
            return JacobianByChanges(self._setting, block)
        return JacobianByGradients(self._setting, block, self._adjoint_operands)

    @functools.cached_property
    def _adjoint_operands(self) -> StepOperands:
        setting = self._setting
        return adjoint_operands(setting.model, setting.operands, setting.dtype, setting.device)

    def _linear(
        self, description: ProgramDescription, what: str, operands: StepOperands, directions: Sequence[str]
    ) -> LinearCall:
        setting = self._setting
        call = setting.make_call(description, what, operands, setting.n_columns)
        return LinearCall(call, directions, self._shapes, setting.dtype, setting.device)
