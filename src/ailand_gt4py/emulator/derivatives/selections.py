"""Operands of a Jacobian: which inputs are perturbed, and which results are wanted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ailand_gt4py.core.dimensions import Change, InputFeature, ResultFeature
from ailand_gt4py.core.types import Values
from ailand_gt4py.emulator.derivatives.described import ROWS, choice_of, selection_of
from ailand_gt4py.emulator.derivatives.jacobian import Block
from ailand_gt4py.emulator.operands import Operands, results_of
from ailand_gt4py.stencils.network.shapes import INPUTS, RESULTS


def forward_operands(step: Operands, block: Block) -> Operands:
    """The operands of a block of the Jacobian in forward mode, for those of the step."""
    operands = _with_inputs(step, block.inputs)
    sizes = [len(variables) for variables in results_of(step.model).values()]
    for (group, feature), part in zip(RESULTS.items(), _parts(block.outputs, sizes), strict=True):
        operands.by_name[choice_of(group)] = operands.matrix(feature, ResultFeature, part)
    operands.extents = {Change: len(block.inputs), ResultFeature: len(block.outputs)}
    return operands


def reverse_operands(step: Operands, rows: Mapping[str, tuple[int, ...]], inputs: Sequence[int]) -> Operands:
    """The operands of a Jacobian in reverse mode, for those of the step.

    Args:
        rows: group of results -> positions in it of those whose adjoints are taken.
        inputs: positions of the wanted inputs among (static, forcing, state).
    """
    operands = _with_inputs(step, inputs)
    operands.extents = {Change: len(inputs), InputFeature: len(inputs)}
    for group, positions in rows.items():
        selection = np.eye(len(results_of(step.model)[group]))[list(positions)]
        operands.by_name[selection_of(group)] = operands.field(selection, ROWS[group], RESULTS[group])
        operands.extents[ROWS[group]] = len(positions)
    return operands


def _with_inputs(step: Operands, inputs: Sequence[int]) -> Operands:
    operands = step.extended()
    for (group, feature), part in zip(INPUTS.items(), _parts(inputs, step.model.sizes[:3]), strict=True):
        operands.by_name[selection_of(group)] = operands.field(part, Change, feature)
    return operands


def _parts(positions: Sequence[int], sizes: Sequence[int]) -> list[Values]:
    """The selection of positions among all, (positions, features) of each group."""
    return np.split(np.eye(sum(sizes))[list(positions)], np.cumsum(sizes)[:-1], axis=1)
