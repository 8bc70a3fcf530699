"""From a `ColumnProgram` to the program of its derivative: tangent-linear, adjoint, or Jacobian in either mode.

The derivative follows the program's definitions, forwards with tangents (`tangents`) or backwards with adjoints
(`adjoints`), by the rules of `derivative_rules`. Nothing is known of layers or activations: any program that can be
read can be differentiated, and one with an operation that has no rule is refused.

Tangents or adjoints of several directions of a column are rows of their own; all directions share the column's forward
values. Where a direction is one input or one result, given by a selection of 1 and 0, what is linear is not
carried from column to column but made once (`constants`).

A column whose results are NaN has derivatives that are NaN.
"""

from __future__ import annotations

import dataclasses
from typing import Literal, NamedTuple

from ailand_gt4py.lowering.columns.adjoints import Adjoints
from ailand_gt4py.lowering.columns.column_program import DIRECTED_ROW, ROW, ColumnProgram, Load
from ailand_gt4py.lowering.columns.derivative_code import DerivativeCode, Selected, sum_of
from ailand_gt4py.lowering.columns.derivative_rules import ONE, add
from ailand_gt4py.lowering.columns.fuse import narrow
from ailand_gt4py.lowering.columns.tangents import Tangents


class Sweep(NamedTuple):
    """Adjoints of one result of a program.

    Attributes:
        of: the result. given: its adjoint; a selection of it (directions, features) in a Jacobian.
        by_inputs: the array for derivatives by all inputs together, of a Jacobian.
        through: an inner array that is taken as if it were given. by_through: the array for derivatives by it, as far
            as they are no multiples of rows of another sweep, of that array by the same selection: these are put
            together here.
    """

    of: str
    given: str
    by_inputs: str = ""
    through: str = ""
    by_through: str = ""


@dataclasses.dataclass(frozen=True)
class Derivative:
    """Which derivative of a program; a value object, part of the key of compiled programs.

    Attributes:
        mode: ``forward`` by tangents, ``reverse`` by adjoints.
        inputs: array -> in forward mode its tangent, in reverse mode the array for its adjoint; of a Jacobian
            the selection of it (directions, features) that is perturbed.
        results: array -> the array for its tangent, in forward mode; one array for several takes their sum.
        sweeps: in reverse mode.
        kept: results of the program itself that are written, too.
    """

    mode: Literal["forward", "reverse"]
    inputs: tuple[tuple[str, str], ...]
    results: tuple[tuple[str, str], ...] = ()
    sweeps: tuple[Sweep, ...] = ()
    kept: tuple[str, ...] = ()

    @property
    def differentiated(self) -> set[str]:
        """The program's arrays whose derivative is taken."""
        return {name for name, _ in self.results} | {name for one in self.sweeps for name in (one.of, one.through)}

    @property
    def written(self) -> set[str]:
        """The arrays that derivatives may be written to."""
        of_sweeps = {name for one in self.sweeps for name in (one.by_inputs, one.by_through)}
        return {name for _, name in (*self.inputs, *self.results)} | of_sweeps


def differentiate(program: ColumnProgram, derivative: Derivative) -> ColumnProgram:
    """The program of a derivative: the definitions of the program that it needs, and its own.

    Args:
        program: as it is read, not fused.

    Raises:
        RefusedError: an operation has no derivative.
    """
    inner = program.computed - set(derivative.kept)
    program = narrow(dataclasses.replace(program, inner=inner), derivative.differentiated)
    code = DerivativeCode(program, derivative.written)
    if derivative.mode == "forward":
        _forward(code, derivative)
    else:
        _reverse(code, derivative)
    inner = {one.result for one in code.definitions} - code.outputs - set(derivative.kept)
    return dataclasses.replace(program, definitions=code.definitions, inner=inner, constants=code.constants)


def _forward(code: DerivativeCode, derivative: Derivative) -> None:
    given = {name: code.given(tangent) for name, tangent in derivative.inputs}
    tangents = Tangents(code, given, code.directions_of(derivative.inputs[0][1]))
    for definition in code.program.definitions:
        code.definitions.append(definition)
        tangents.follow(definition)
    for out in dict.fromkeys(out for _, out in derivative.results):
        names = [name for name, given_out in derivative.results if given_out == out]
        parts = (part for name in names for part in (tangents.of(name), code.not_a_number(name)))
        code.output(out, code.extents[names[0]], sum_of(parts), tangents.directions)


def _reverse(code: DerivativeCode, derivative: Derivative) -> None:
    code.definitions += code.program.definitions
    selected = {name: code.given(partner) for name, partner in derivative.inputs if code.is_selection(partner)}
    if not selected:
        adjoints = Adjoints(code, [name for name, _ in derivative.inputs])
        for sweep in derivative.sweeps:
            adjoints.begin(sweep.of, add(Load(sweep.given, ROW), code.not_a_number(sweep.of)))
        adjoints.go_back()
        for name, out in derivative.inputs:
            code.output(out, code.extents[name], adjoints.total(name), None)
        return
    n_inputs = code.directions_of(derivative.inputs[0][1])
    perturbed = Tangents(code, selected, n_inputs, only_linear=True)
    for definition in code.program.definitions:
        perturbed.follow(definition)
    for sweep in derivative.sweeps:
        n_results = code.directions_of(sweep.given)
        adjoints = Adjoints(code, list(selected), n_results, perturbed, sweep.through)
        is_inner = any(sweep.of == other.through for other in derivative.sweeps)
        factor = ONE if is_inner else add(ONE, code.not_a_number(sweep.of))
        adjoints.begin(sweep.of, Selected(factor, sweep.given))
        adjoints.go_back()
        block = adjoints.block()
        for other in derivative.sweeps:
            if other.of == sweep.through:
                rows = Load(other.by_inputs, DIRECTED_ROW)
                block = add(block, adjoints.of_rows_through(other.given, rows))
        code.output(sweep.by_inputs, n_inputs, block, n_results)
        if sweep.by_through:
            code.output(sweep.by_through, code.extents[sweep.through], adjoints.total(sweep.through), n_results)
