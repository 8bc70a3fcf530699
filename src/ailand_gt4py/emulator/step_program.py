"""The whole step of a model as a program over columns, with its operands: for what runs it elsewhere."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

from ailand_gt4py.core.types import Values
from ailand_gt4py.emulator.differentiated import leaves
from ailand_gt4py.emulator.programs import Programs
from ailand_gt4py.lowering.calls import front_end
from ailand_gt4py.lowering.columns.column_program import ColumnProgram
from ailand_gt4py.lowering.columns.fuse import fuse
from ailand_gt4py.lowering.columns.read_gtir import read_program
from ailand_gt4py.stencils.network.step import (
    INPUT_FIELDS,
    RESULTS,
    ProgramDescription,
    add_step,
    make_program,
    program_name,
)
from ailand_gt4py.weights.model import Model


def step_program(
    model: Model, precision: Literal["float32", "float64"], kept: Collection[str] = ()
) -> tuple[ColumnProgram, dict[str, Values]]:
    """The program of a step for any number of columns, and its operands by name.

    Args:
        kept: as of `read_program`.

    Returns:
        A fused program, which reads ``static_input``, ``forcing_input`` and ``state_input`` and writes ``new_state``
        and, where there are some, ``diagnostics``, in model units; vectors (n_features,) and matrices (n_out, n_in).
    """
    programs = Programs(model, 1, "embedded", precision)
    shape, operands = programs.shape, programs.operands
    fields = INPUT_FIELDS | RESULTS
    step = add_step(
        ProgramDescription(program_name("whole_step", shape, programs.scalar), shape, programs.scalar, fields)
    )
    values = leaves({name: operands.by_name[name] for name in step.operands})
    shapes = programs.shapes(step, operands) | {name: array.shape for name, array in values.items()}
    with front_end.plain():
        gtir = make_program(step).gtir
    return fuse(read_program(gtir, shapes, operands.tables, kept)), values
