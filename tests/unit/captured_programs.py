"""DaCe's graphs of programs, taken from GT4Py's DaCe backend before or after the optimiser; nothing is compiled."""

from __future__ import annotations

import copy
import dataclasses
import functools
from typing import Any

import dace
import gt4py.next as gtx
import numpy as np
from gt4py.next.otf import arguments
from gt4py.next.program_processors.runners.dace.transformations import GT4PyAutoOptHook
from random_models import random_model

from ailand_gt4py import arrays
from ailand_gt4py.dimensions import Column
from ailand_gt4py.lowering import backends
from ailand_gt4py.lowering.column_program import ColumnProgram
from ailand_gt4py.lowering.contraction_node import DenseContraction
from ailand_gt4py.lowering.lift import LiftContractions
from ailand_gt4py.lowering.read_program import read_program
from ailand_gt4py.parameters import StepOperands, network_shape, step_operands
from ailand_gt4py.stencils.step import describe_static_part, describe_step, make_program
from ailand_gt4py.weights.model import Model


class _Captured(Exception):  # noqa: N818  # no error: it carries the SDFG out of the optimiser
    """Holds an SDFG."""


def generated_sdfg(
    entry: Any, operands: Any, provider: Any, tables: tuple[str, ...], hooks: dict[GT4PyAutoOptHook, Any] | None = None
) -> dace.SDFG:
    """The optimised SDFG of a program or an operator, by the backend's own steps up to the C++ compiler.

    Args:
        hooks: instead of the backend's own.
    """
    backend = backends.dace_backend(False, tables)
    translation = backend.executor.translation.step
    if hooks is not None:
        changed = {**translation.auto_optimize_args, "optimization_hooks": hooks}
        translation = dataclasses.replace(translation, auto_optimize_args=changed)

    def translate(program: Any) -> None:
        raise _Captured(translation.generate_sdfg(program.data, program.args.offset_provider, None))

    described = arguments.CompileTimeArgs.from_concrete(*operands, offset_provider=provider)
    try:
        dataclasses.replace(backend, executor=translate).compile(entry.definition_stage, described)
    except _Captured as captured:
        return captured.args[0]
    raise AssertionError("the program was not translated")


def unlifted_sdfg(entry: Any, operands: Any, provider: Any) -> dace.SDFG:
    """The SDFG as this package's hooks get it."""

    def capture(sdfg: dace.SDFG) -> None:
        raise _Captured(copy.deepcopy(sdfg))

    return generated_sdfg(entry, operands, provider, ("any",), {GT4PyAutoOptHook.TopLevelDataFlowPre: capture})


def contractions_and_reductions(sdfg: dace.SDFG) -> tuple[list[str], int]:
    """Names of the lifted layers, and the number of reductions that are none."""
    found = [node for node, _ in sdfg.all_nodes_recursive()]
    layers = sorted(node.label for node in found if isinstance(node, DenseContraction))
    return layers, sum(isinstance(node, dace.libraries.standard.Reduce) for node in found)


@dataclasses.dataclass(frozen=True)
class CapturedStep:
    """A program of a random network, as far as the fused code.

    Attributes:
        sdfg: unlifted; copy it before it is changed.
        values: name in the SDFG -> array of every operand.
    """

    model: Model
    operands: StepOperands
    sdfg: dace.SDFG
    values: dict[str, np.ndarray]

    def read(self) -> ColumnProgram:
        """The program, not fused."""
        sdfg = copy.deepcopy(self.sdfg)
        LiftContractions(self.operands.complete_tables)(sdfg)
        return read_program(sdfg, Column.value, backends.SCRATCH_PREFIXES, self.operands.broadcast_tables)


@functools.cache
def captured_step(
    architecture: str, depth: int, width: int = 6, precision: str = "float64", static_part: bool = False
) -> CapturedStep:
    """The step, or the static part, of a random network in this many columns: 5."""
    model = random_model(architecture, (5, 4, 3, 2), seed=depth, width=width, depth=depth, dtype=np.float64)
    operands = step_operands(model, np.dtype(precision), "cpu")
    describe = describe_static_part if static_part else describe_step
    description = describe(network_shape(model), np.dtype(precision).type)

    def field(name: str, feature: gtx.Dimension) -> gtx.Field:
        return arrays.wrap(np.zeros((5, 7), dtype=precision), (Column, feature), name)

    fields = [field(name, feature) for name, feature in description.caller_fields.items()]
    buffers = [field(name, feature) for name, feature in description.buffers.items()]
    given = {name: operands.by_name[name] for name in description.operands}
    sdfg = unlifted_sdfg(make_program(description), (*fields, *given.values(), *buffers), operands.offset_provider)
    return CapturedStep(model, operands, sdfg, dict(_leaves(given)))


def _leaves(operands: dict[str, Any]) -> Any:
    """(name in the SDFG, array) of nested tuples of fields."""
    for name, value in operands.items():
        if isinstance(value, tuple):
            yield from _leaves({f"{name}_{k}": item for k, item in enumerate(value)})
        else:
            yield name, value.asnumpy()
