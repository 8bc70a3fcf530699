"""Programs of random networks, as the front end gives them to this package's backends; nothing is compiled."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import dace
import gt4py.next as gtx
import numpy as np
from gt4py.next import common as gtx_common
from gt4py.next.iterator import ir
from random_models import random_model

from ailand_gt4py.core.dimensions import Change
from ailand_gt4py.emulator.derivatives.described import (
    describe_adjoint,
    describe_forward,
    describe_reverse,
    describe_state_tangents,
    describe_tangent_linear,
    forward_operands,
    reverse_operands,
)
from ailand_gt4py.emulator.derivatives.jacobian import block_of
from ailand_gt4py.emulator.differentiated import StepDerivative, leaves, with_constants
from ailand_gt4py.emulator.operands import Operands
from ailand_gt4py.emulator.programs import Precision, Programs
from ailand_gt4py.lowering.columns.column_program import ColumnProgram
from ailand_gt4py.lowering.columns.differentiate import Derivative, differentiate
from ailand_gt4py.lowering.columns.fields import Tables
from ailand_gt4py.lowering.columns.read_gtir import read_program
from ailand_gt4py.stencils.network.step import ProgramDescription, describe_static_part, describe_step, make_program
from ailand_gt4py.weights.model import Model

N_COLUMNS = 5
N_DIRECTIONS = 4
_BOTH = ("new_state", "diagnostics")
DESCRIPTIONS: dict[str, Callable[..., Any]] = {
    "step": describe_step,
    "static part": describe_static_part,
    "tangent-linear": describe_tangent_linear,
    "tangent-linear of states": describe_state_tangents,
    "adjoint": describe_adjoint,
    "jacobian in forward mode": lambda shape, dtype: describe_forward(shape, _BOTH, dtype),
    "jacobian in reverse mode": lambda shape, dtype: describe_reverse(shape, _BOTH, dtype),
}


def generated_sdfg(program: ir.Program, provider: dict[str, gtx.Connectivity], backend: Any) -> dace.SDFG:
    """DaCe's graph of a program, by the backend's own steps up to DaCe's code generator."""
    return backend.executor.translation.step.generate_sdfg(program, provider, None)


@dataclasses.dataclass(frozen=True)
class CapturedStep:
    """A program of a random network.

    Attributes:
        derivative: of it, where that is what runs.
        gtir: the program.
        shapes: of its fields.
        values: array of every operand.
    """

    model: Model
    description: ProgramDescription
    derivative: Derivative | None
    operands: Operands
    gtir: ir.Program
    shapes: dict[str, tuple[int, ...]]
    values: dict[str, np.ndarray]

    def read(self) -> ColumnProgram:
        """The program that runs, not fused."""
        complete, broadcast = (
            frozenset(names) for names in (self.operands.complete_tables, self.operands.broadcast_tables)
        )
        tables = Tables(complete, broadcast, gtx_common.offset_provider_to_type(dict(self.operands.offset_provider)))
        program = read_program(self.gtir, self.shapes, tables)
        return differentiate(program, self.derivative) if self.derivative else program


def operands_of(programs: Programs, what: str) -> Operands:
    """Of a program of `DESCRIPTIONS`; of a Jacobian, of the whole of it."""
    step, model = programs.operands, programs.model
    block = block_of(model)
    if what == "jacobian in forward mode":
        return forward_operands(step, block)
    if what == "jacobian in reverse mode":
        rows = {"new_state": tuple(range(len(model.state))), "diagnostics": tuple(range(len(model.diagnostics)))}
        return reverse_operands(step, rows, block.inputs)
    operands = step.extended()
    operands.extents = {Change: N_DIRECTIONS}
    return operands


@functools.cache
def captured_step(
    architecture: str, depth: int, width: int = 6, precision: Precision = "float64", what: str = "step"
) -> CapturedStep:
    """A program of `DESCRIPTIONS` of a random network."""
    model = random_model(architecture, (5, 4, 3, 2), seed=depth, width=width, depth=depth, dtype=np.float64)
    return capture(model, precision, what)


def capture(model: Model, precision: Precision, what: str) -> CapturedStep:
    """A program of `DESCRIPTIONS` of any model."""
    programs = Programs(model, N_COLUMNS, "embedded", precision)
    operands, described = operands_of(programs, what), DESCRIPTIONS[what](programs.shape, programs.scalar)
    is_derivative = isinstance(described, StepDerivative)
    description, derivative = (described.step, described.derivative) if is_derivative else (described, None)
    shapes = programs.shapes(description, operands)
    if is_derivative:
        description, operands = with_constants(described, operands, shapes)
    values = leaves({name: operands.by_name[name] for name in description.operands})
    shapes |= {name: array.shape for name, array in values.items()}
    return CapturedStep(model, description, derivative, operands, make_program(description).gtir, shapes, values)
