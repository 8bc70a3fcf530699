"""The derivatives of a step: its statements, what of them is differentiated, and the arrays of tangents and adjoints;
for Jacobians, the operands that say which inputs are perturbed and which results are wanted.

The derivatives themselves come from `ailand_gt4py.lowering.columns.differentiate`.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

import numpy as np

from ailand_gt4py.core.dimensions import (
    Axes,
    Change,
    DiagnosticRow,
    InputFeature,
    ResultFeature,
    StateFeature,
    StateRow,
)
from ailand_gt4py.core.types import Values
from ailand_gt4py.emulator.derivatives.jacobian import Block
from ailand_gt4py.emulator.differentiated import StepDerivative
from ailand_gt4py.emulator.operands import Operands, results_of
from ailand_gt4py.lowering.columns.differentiate import Derivative, Sweep
from ailand_gt4py.stencils.fields import contract, field, matrix
from ailand_gt4py.stencils.network.shapes import INPUTS, RESULTS, NetworkShape
from ailand_gt4py.stencils.network.step import INPUT_FIELDS, ProgramDescription, add_step, program_name

#: The direction of adjoints of each group of results.
ROWS = {"new_state": StateRow, "diagnostics": DiagnosticRow}
_NEW_STATE = "normalised_new_state"


def selection_of(group: str) -> str:
    """The name of the selection of those inputs that are perturbed, or results whose adjoints are taken."""
    return f"selected_{group}"


def choice_of(group: str) -> str:
    """The name of the choice (results wanted, results of a group)."""
    return f"choice_{group}"


def is_chained(shape: NetworkShape, groups: tuple[str, ...]) -> bool:
    """Whether diagnostics are those of the new state: then adjoints of diagnostics end there."""
    return shape.diagnoses_new_state and "diagnostics" in groups


@functools.cache
def describe_tangent_linear(shape: NetworkShape, dtype: type) -> StepDerivative:
    """Fields: ``static_input``, ``forcing_input``, ``state_input``, their tangents ``static_tangent``, ...; and
    ``new_state_tangent``, ``diagnostics_tangent``."""
    fields: dict[str, Axes] = {f"{group}_tangent": feature for group, feature in (INPUTS | RESULTS).items()}
    derivative = Derivative(
        "forward",
        tuple((f"{group}_input", f"{group}_tangent") for group in INPUTS),
        tuple((shape.differentiated(group), f"{group}_tangent") for group in shape.results),
    )
    return StepDerivative(_step("tangent_linear", shape, dtype, fields), derivative)


@functools.cache
def describe_adjoint(shape: NetworkShape, dtype: type) -> StepDerivative:
    """Fields: the inputs, ``new_state_adjoint`` and ``diagnostics_adjoint``; and those of the inputs."""
    fields: dict[str, Axes] = {f"{group}_adjoint": feature for group, feature in (RESULTS | INPUTS).items()}
    derivative = Derivative(
        "reverse",
        tuple((f"{group}_input", f"{group}_adjoint") for group in INPUTS),
        sweeps=tuple(Sweep(shape.differentiated(group), f"{group}_adjoint") for group in shape.results),
    )
    return StepDerivative(_step("adjoint", shape, dtype, fields), derivative)


@functools.cache
def describe_state_tangents(shape: NetworkShape, dtype: type) -> StepDerivative:
    """The tangent-linear in many directions of the state. Fields: the inputs, ``state_tangent`` (Column, Change,
    StateFeature); and ``new_state_tangent``, ``diagnostics_tangent`` (Column, Change, features)."""
    fields: dict[str, Axes] = {
        f"{group}_tangent": (Change, feature) for group, feature in ({"state": StateFeature} | RESULTS).items()
    }
    results = tuple((shape.differentiated(group), f"{group}_tangent") for group in shape.results)
    derivative = Derivative("forward", (("state_input", "state_tangent"),), results)
    return StepDerivative(_step("tangent_linear_of_states", shape, dtype, fields), derivative)


@functools.cache
def describe_forward(shape: NetworkShape, groups: tuple[str, ...], dtype: type) -> StepDerivative:
    """A Jacobian in forward mode, of these groups of results. Fields: the inputs; and ``jacobian`` (Column, Change,
    ResultFeature). Further operands: `selection_of` each input, `choice_of` each group."""
    step = _step("_".join(("jacobian_forward", *groups)), shape, dtype, {"jacobian": (Change, ResultFeature)})
    results = []
    for group in groups:
        feature = RESULTS[group]
        choice = step.operand(choice_of(group), matrix(feature, ResultFeature, dtype))
        operator = contract(feature, ResultFeature, dtype)
        arguments = (shape.differentiated(group), choice)
        chosen = step.append(operator, arguments, f"work_chosen_{group}", ResultFeature)
        results.append((chosen, "jacobian"))
    derivative = Derivative("forward", _perturbed_inputs(step), tuple(results))
    return StepDerivative(step, derivative)


@functools.cache
def describe_reverse(shape: NetworkShape, groups: tuple[str, ...], dtype: type) -> StepDerivative:
    """A Jacobian in reverse mode, of these groups of results. Further operands: `selection_of` inputs and groups.

    Fields: the inputs; ``jacobian_<group>`` (Column, rows of the group, InputFeature). Where diagnostics are those of
    the new state, their adjoints do not go back through it, which would be as much work again:
    ``diagnostics_by_state`` (Column, DiagnosticRow, StateFeature) times ``new_state_by_inputs`` (Column, StateRow,
    InputFeature), the latter in the network's space and of all of the state, is to be added. Bounds by other variables
    are not applied: ``is_below_<group>`` says where results are below them.
    """
    fields: dict[str, Axes] = {f"jacobian_{group}": (ROWS[group], InputFeature) for group in groups}
    bounded = [group for group in groups if group in shape.bounded_by_others]
    chained = is_chained(shape, groups)
    if chained:
        fields |= {
            "new_state_by_inputs": (StateRow, InputFeature),
            "diagnostics_by_state": (DiagnosticRow, StateFeature),
        }
    fields |= {f"is_below_{group}": RESULTS[group] for group in bounded}
    step = _step("_".join(("jacobian_reverse", *groups)), shape, dtype, fields)
    for group in RESULTS if chained else groups:
        step.operand(selection_of(group), field((ROWS[group], RESULTS[group]), dtype))
    for group in bounded:
        step.mark_below_bound(group, f"is_below_{group}")
    sweeps = [Sweep(_NEW_STATE, selection_of("new_state"), "new_state_by_inputs")] if chained else []
    for group in groups:
        through = _NEW_STATE if chained else ""
        by_through = "diagnostics_by_state" if chained and group == "diagnostics" else ""
        own = f"work_{group}" if group in shape.bounded_by_others else shape.differentiated(group)
        sweeps.append(Sweep(own, selection_of(group), f"jacobian_{group}", through, by_through))
    kept = tuple(f"is_below_{group}" for group in bounded)
    return StepDerivative(step, Derivative("reverse", _perturbed_inputs(step), sweeps=tuple(sweeps), kept=kept))


def _step(what: str, shape: NetworkShape, dtype: type, fields: dict[str, Axes]) -> ProgramDescription:
    """The whole step, which writes its results nowhere, and further fields of the caller."""
    step = add_step(ProgramDescription(program_name(what, shape, dtype), shape, dtype, INPUT_FIELDS | RESULTS))
    step.caller_fields = INPUT_FIELDS | fields
    step.buffers |= RESULTS
    return step


def _perturbed_inputs(step: ProgramDescription) -> tuple[tuple[str, str], ...]:
    """Input -> the selection of it that is perturbed, an operand."""
    for group, feature in INPUTS.items():
        step.operand(selection_of(group), field((Change, feature), step.dtype))
    return tuple((f"{group}_input", selection_of(group)) for group in INPUTS)


def forward_operands(step: Operands, block: Block) -> Operands:
    """The operands of a block of the Jacobian in forward mode, for those of the step."""
    operands = step.extended({Change: len(block.inputs), ResultFeature: len(block.outputs)})
    _select_inputs(operands, block.inputs)
    sizes = [len(variables) for variables in results_of(step.model).values()]
    for (group, feature), part in zip(RESULTS.items(), _parts(block.outputs, sizes), strict=True):
        operands.by_name[choice_of(group)] = operands.matrix(feature, ResultFeature, part)
    return operands


def reverse_operands(step: Operands, rows: Mapping[str, tuple[int, ...]], inputs: Sequence[int]) -> Operands:
    """The operands of a Jacobian in reverse mode, for those of the step, with adjoints of these rows of each group."""
    operands = step.extended({Change: len(inputs), InputFeature: len(inputs)})
    _select_inputs(operands, inputs)
    for group, positions in rows.items():
        selection = np.eye(len(results_of(step.model)[group]))[list(positions)]
        operands.by_name[selection_of(group)] = operands.field(selection, ROWS[group], RESULTS[group])
        operands.extents[ROWS[group]] = len(positions)
    return operands


def _select_inputs(operands: Operands, inputs: Sequence[int]) -> None:
    for (group, feature), part in zip(INPUTS.items(), _parts(inputs, operands.model.sizes[:3]), strict=True):
        operands.by_name[selection_of(group)] = operands.field(part, Change, feature)


def _parts(positions: Sequence[int], sizes: Sequence[int]) -> list[Values]:
    """The selection of positions among all, (positions, features) of each group."""
    return np.split(np.eye(sum(sizes))[list(positions)], np.cumsum(sizes)[:-1], axis=1)
