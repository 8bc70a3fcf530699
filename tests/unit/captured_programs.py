"""Programs of random networks, as the front end gives them to this package's backends; nothing is compiled."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import dace
import gt4py.next as gtx
import numpy as np
from gt4py.next import common as gtx_common
from gt4py.next.iterator import ir
from random_models import random_model
from small_programs import leaves

from ailand_gt4py import arrays
from ailand_gt4py.dimensions import N_MOMENTS, Column, Moment
from ailand_gt4py.lowering.backends import SCRATCH_PREFIXES
from ailand_gt4py.lowering.column_program import ColumnProgram
from ailand_gt4py.lowering.read_gtir import Tables, read_program
from ailand_gt4py.parameters import StepOperands, feature_extent, network_shape, step_operands
from ailand_gt4py.stencils.step import ProgramDescription, describe_static_part, describe_step, make_program
from ailand_gt4py.stencils.tangent_linear import describe_tangent_linear
from ailand_gt4py.weights.model import Model

N_COLUMNS = 5
DESCRIPTIONS = {"step": describe_step, "static part": describe_static_part, "tangent-linear": describe_tangent_linear}


def generated_sdfg(program: ir.Program, provider: dict[str, gtx.Connectivity], backend: Any) -> dace.SDFG:
    """DaCe's graph of a program, by the backend's own steps up to DaCe's code generator."""
    return backend.executor.translation.step.generate_sdfg(program, provider, None)


@dataclasses.dataclass(frozen=True)
class CapturedStep:
    """A program of a random network.

    Attributes:
        gtir: the program.
        shapes: of its fields.
        values: array of every operand.
    """

    model: Model
    description: ProgramDescription
    operands: StepOperands
    gtir: ir.Program
    shapes: dict[str, tuple[int, ...]]
    values: dict[str, np.ndarray]

    def read(self) -> ColumnProgram:
        """The program, not fused."""
        complete, broadcast = (
            frozenset(names) for names in (self.operands.complete_tables, self.operands.broadcast_tables)
        )
        tables = Tables(complete, broadcast, gtx_common.offset_provider_to_type(dict(self.operands.offset_provider)))
        return read_program(self.gtir, self.shapes, Column.value, tables, SCRATCH_PREFIXES)


@functools.cache
def captured_step(
    architecture: str, depth: int, width: int = 6, precision: str = "float64", what: str = "step"
) -> CapturedStep:
    """A program of `DESCRIPTIONS` of a random network."""
    model = random_model(architecture, (5, 4, 3, 2), seed=depth, width=width, depth=depth, dtype=np.float64)
    operands = step_operands(model, np.dtype(precision), "cpu")
    description = DESCRIPTIONS[what](network_shape(model), np.dtype(precision).type)

    def field(feature: gtx.Dimension) -> gtx.Field:
        n_features = N_MOMENTS if feature == Moment else feature_extent(model, feature)
        return arrays.wrap(np.zeros((N_COLUMNS, n_features), dtype=precision), (Column, feature))

    fields = {name: field(feature) for name, feature in (description.caller_fields | description.buffers).items()}
    values = leaves({name: operands.by_name[name] for name in description.operands})
    shapes = {name: array.shape for name, array in (leaves(fields) | values).items()}
    return CapturedStep(model, description, operands, make_program(description).gtir, shapes, values)
