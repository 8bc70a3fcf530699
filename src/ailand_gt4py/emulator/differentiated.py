"""A differentiated program of an emulator: interpreted with NumPy, or with what it needs to be compiled."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import gt4py.next as gtx
import numpy as np
from gt4py.next.iterator import ir

from ailand_gt4py.core import arrays
from ailand_gt4py.core.types import Values
from ailand_gt4py.emulator.operands import Operands
from ailand_gt4py.lowering.calls import front_end
from ailand_gt4py.lowering.columns.column_program import ColumnProgram, Extent
from ailand_gt4py.lowering.columns.constants import evaluate
from ailand_gt4py.lowering.columns.differentiate import Derivative, differentiate
from ailand_gt4py.lowering.columns.interpret import Interpreter
from ailand_gt4py.lowering.columns.read_gtir import read_program
from ailand_gt4py.stencils.fields import field
from ailand_gt4py.stencils.network.step import ProgramDescription, make_program


@dataclasses.dataclass(frozen=True)
class StepDerivative:
    """A step, and what of it is differentiated."""

    step: ProgramDescription
    derivative: Derivative

    @functools.cached_property
    def gtir(self) -> ir.Program:
        """The step's program as the front end gives it: the same for all emulators and numbers of directions."""
        with front_end.plain():
            return make_program(self.step).gtir


def leaves(operands: Mapping[str, Any]) -> dict[str, arrays.Array]:
    """The arrays of fields and of nested tuples of fields, by GT4Py's names for them."""
    found: dict[str, arrays.Array] = {}
    for name, value in operands.items():
        if isinstance(value, tuple):
            found |= leaves({f"{name}_{k}": item for k, item in enumerate(value)})
        else:
            found[name] = value.ndarray
    return found


def _arrays_and_shapes(
    described: StepDerivative, operands: Operands, shapes: Mapping[str, tuple[int, ...]]
) -> tuple[dict[str, arrays.Array], dict[str, tuple[int, ...]]]:
    """The arrays of a step's operands, and the shapes of these and of all fields."""
    given = leaves({name: operands.by_name[name] for name in described.step.operands})
    return given, dict(shapes) | {name: array.shape for name, array in given.items()}


def _differentiated(
    described: StepDerivative, operands: Operands, shapes: Mapping[str, tuple[Extent, ...]]
) -> ColumnProgram:
    """The program of a step's derivative, from the shapes of its fields and operands."""
    return differentiate(read_program(described.gtir, shapes, operands.tables), described.derivative)


def with_constants(
    described: StepDerivative, operands: Operands, shapes: Mapping[str, tuple[int, ...]]
) -> tuple[ProgramDescription, Operands]:
    """A step to be compiled as its derivative: the constants of the derivative are further operands."""
    given, known = _arrays_and_shapes(described, operands, shapes)
    # Read with extents that are no numbers but (array, axis), as they are symbols in the program that is compiled.
    symbols = {name: tuple((name, axis) for axis in range(len(shape))) for name, shape in known.items()}
    constants = _differentiated(described, operands, symbols).constants
    step = dataclasses.replace(described.step, operands=dict(described.step.operands))
    extended = operands.extended()
    host = {name: arrays.to_host(array) for name, array in given.items()}
    for name, values in evaluate(constants, host, known).items():
        axes = tuple(gtx.Dimension(f"{name}_{axis}") for axis in range(values.ndim))
        step.operands[name] = field(axes, step.dtype)
        extended.by_name[name] = extended.constant(values, axes)
    return step, extended


class InterpretedCall:
    """Runs a derivative by embedded execution: its column program, in NumPy."""

    def __init__(self, described: StepDerivative, operands: Operands, shapes: Mapping[str, tuple[int, ...]]) -> None:
        self._names = list(described.step.caller_fields)
        given, known = _arrays_and_shapes(described, operands, shapes)
        self._program = _differentiated(described, operands, known)
        constants = evaluate(self._program.constants, given, known)
        dtype = described.step.dtype
        self._operands: dict[str, Values] = given | {name: one.astype(dtype) for name, one in constants.items()}

    def __call__(self, values: Sequence[Values]) -> None:
        """Run on these arrays, which have been checked (`arrays.check`)."""
        fields = dict(zip(self._names, values, strict=True))
        results = set(self._program.results)
        given = {name: array for name, array in fields.items() if name not in results}
        with np.errstate(all="ignore"):
            found = Interpreter(len(values[0]), self._operands | given).run(self._program)
        for name in results:
            fields[name][...] = found[name]
