"""The calls of an emulator's derivatives: tangent-linear, adjoint, and blocks of Jacobians, each made when asked for.

A block of a Jacobian is made in forward mode by tangents of its inputs, or in reverse mode by adjoints of its results.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from ailand_gt4py.core import arrays
from ailand_gt4py.core.dimensions import Change
from ailand_gt4py.emulator.derivatives.described import (
    describe_adjoint,
    describe_forward,
    describe_reverse,
    describe_state_tangents,
    describe_tangent_linear,
    forward_operands,
    is_chained,
    reverse_operands,
)
from ailand_gt4py.emulator.derivatives.jacobian import Block, input_variables
from ailand_gt4py.emulator.differentiated import StepDerivative
from ailand_gt4py.emulator.operands import Operands, network_shape, results_of
from ailand_gt4py.emulator.programs import Programs
from ailand_gt4py.weights.model import Model

Mode = Literal["forward", "reverse"]
#: The inputs of a step in the order in which the programs take them, their tangents and those of the results.
INPUTS = ("static", "forcing", "state")
TANGENTS = ("d_static", "d_forcing", "d_state")
RESULT_TANGENTS = ("d_new_state", "d_diagnostics")
#: Adjoints of the results, and of the inputs.
RESULT_ADJOINTS = ("g_new_state", "g_diagnostics")
ADJOINTS = ("g_static", "g_forcing", "g_state")

#: Columns of one call of a program with directions: so few that what is to be kept beside its results stays in the
#: cache.
_COLUMNS_AT_ONCE = 1024
#: The same for embedded execution, whose products of a layer's weights with all its inputs are fields of their own.
_EMBEDDED_COLUMNS_AT_ONCE = 16


class LinearCall:
    """The tangent-linear or the adjoint of a step; ``directions``: `TANGENTS` or `RESULT_ADJOINTS`."""

    def __init__(self, programs: Programs, described: StepDerivative, what: str, directions: tuple[str, ...]) -> None:
        self._call = programs.derivative(described, what)
        # One zero, which is read for every column and feature.
        xp = arrays.array_module(programs.device)
        zero = xp.zeros(1, dtype=programs.dtype)
        shapes = list(programs.shapes(described.step, programs.operands).values())[len(INPUTS) :]
        self._zeros = {name: xp.broadcast_to(zero, shape) for name, shape in zip(directions, shapes, strict=False)}

    def __call__(self, given: Mapping[str, arrays.Array], results: Sequence[arrays.Array]) -> None:
        """Write the results for checked arrays of `INPUTS`, and of those of the directions that are not zero."""
        directions = (given.get(name, zero) for name, zero in self._zeros.items())
        self._call([*(given[name] for name in INPUTS), *directions, *results])


class CallInParts:
    """A program with directions, some columns after others."""

    def __init__(self, programs: Programs, described: StepDerivative, what: str, operands: Operands) -> None:
        self.size = min(programs.n_columns, _EMBEDDED_COLUMNS_AT_ONCE if programs.is_embedded else _COLUMNS_AT_ONCE)
        self._call = programs.derivative(described, what, operands, self.size)

    def __call__(self, inputs: Sequence[arrays.Array], *fields: arrays.Array) -> None:
        """Write the results for checked `INPUTS`; the other fields are tangents that are given, then results."""
        n_columns = len(inputs[0])
        for first in range(0, n_columns, self.size):
            # The columns of the last call are those of the call before in part.
            part = slice(min(first, n_columns - self.size), min(first + self.size, n_columns))
            self._run([values[part] for values in inputs], *(values[part] for values in fields))

    def _run(self, inputs: Sequence[arrays.Array], *fields: arrays.Array) -> None:
        """The same for the columns of one call of the program."""
        self._call([*inputs, *fields])


class StateTangentsOneByOne:
    """The tangent-linear in many directions of the state by one call for each.

    For backends whose code has no directions: a GPU, and those of a caller.
    """

    def __init__(self, tangent_linear: LinearCall) -> None:
        self._call = tangent_linear

    def __call__(self, inputs: Sequence[arrays.Array], d_states: arrays.Array, *results: arrays.Array) -> None:
        """As of the program of `describe_state_tangents`."""
        given = dict(zip(INPUTS, inputs, strict=True))
        for k in range(d_states.shape[1]):
            self._call(given | {"d_state": d_states[:, k]}, [result[:, k] for result in results])


def groups_of(model: Model, block: Block) -> dict[str, dict[int, int]]:
    """Group of results -> {row of a block: position in the group}; groups that it has no rows of are left out."""
    groups: dict[str, dict[int, int]] = {"new_state": {}, "diagnostics": {}}
    n_state = len(model.state)
    for row, position in enumerate(block.outputs):
        if position < n_state:
            groups["new_state"][row] = position
        else:
            groups["diagnostics"][row] = position - n_state
    return {group: rows for group, rows in groups.items() if rows}


def cheaper_mode(model: Model, block: Block) -> Mode:
    """In which of them a block takes less arithmetic.

    Behind a ReLU that is off nothing is to be done: about half of the products. Going back through layer normalisations
    takes one product of each layer besides (`lowering.columns.adjoints`), and adjoints of diagnostics that go through
    the new state are those of the new state.
    """
    groups = groups_of(model, block)
    sizes: dict[str, float] = defaultdict(float)
    for name, array in model.parameters.items():
        layer, _, kind = name.rpartition(".")
        if kind.startswith("weight"):
            sizes[layer.split(".")[0]] += array.size * (0.5 if model.architecture == "layer_norm" else 1.0)
    heads = {"new_state": "prognostic", "diagnostics": "diagnostic"}
    shared = sum(size for layer, size in sizes.items() if layer not in heads.values())
    branches = sum(sizes[heads[group]] for group in groups)
    forward = len(block.inputs) * (shared + branches)
    reverse = sum(len(rows) * (shared + sizes[heads[group]]) for group, rows in groups.items())
    if is_chained(network_shape(model), tuple(groups)):
        reverse = len(model.state) * shared + len(groups["diagnostics"]) * sizes["diagnostic"]
    if model.architecture == "layer_norm":
        reverse += 2.0 * (shared + branches)
    return "forward" if forward <= reverse else "reverse"


class ForwardJacobian(CallInParts):
    """A block of an emulator's Jacobian by tangents of the inputs; called with (n_columns, n_outputs, n_inputs)."""

    def __init__(self, programs: Programs, block: Block) -> None:
        described = describe_forward(programs.shape, tuple(groups_of(programs.model, block)), programs.scalar)
        operands = forward_operands(programs.operands, block)
        super().__init__(programs, described, "the Jacobian in forward mode of ", operands)

    def _run(self, inputs: Sequence[arrays.Array], *fields: arrays.Array) -> None:
        (jacobian,) = fields
        self._call([*inputs, jacobian.transpose(0, 2, 1)])


class ReverseJacobian(CallInParts):
    """A block of an emulator's Jacobian by adjoints of the results; called with (n_columns, n_outputs, n_inputs)."""

    def __init__(self, programs: Programs, block: Block) -> None:
        model, shape = programs.model, programs.shape
        self._variables = results_of(model)
        self._inputs = [input_variables(model)[position].name for position in block.inputs]
        self._groups = groups_of(model, block)
        self._is_chained = is_chained(shape, tuple(self._groups))
        # Positions in a group of those whose adjoints are taken: also of results that bound others.
        self._rows = {group: self._with_bounds(group) for group in self._groups}
        if self._is_chained:
            self._rows["new_state"] = tuple(range(len(model.state)))
        self._bounded = [group for group in self._groups if group in shape.bounded_by_others]
        described = describe_reverse(shape, tuple(self._groups), programs.scalar)
        operands = reverse_operands(programs.operands, self._rows, block.inputs)
        super().__init__(programs, described, "the Jacobian in reverse mode of ", operands)
        self._make_buffers(programs.dtype)

    def _make_buffers(self, dtype: np.dtype) -> None:
        """For what the program gives beside parts of the block, and for what comes of it, of the columns of a call."""
        n_inputs, n_state = len(self._inputs), len(self._variables["new_state"])
        shapes: dict[str, tuple[int, ...]] = {}
        for group, rows in self._groups.items():
            # Else its adjoints are rows of the block that follow one another, and no others: written there.
            if self._rows[group] != tuple(rows.values()) or max(rows) - min(rows) >= len(rows):
                shapes[f"jacobian_{group}"] = (len(self._rows[group]), n_inputs)
        if self._is_chained:
            shapes["new_state_by_inputs"] = (n_state, n_inputs)
            shapes["diagnostics_by_state"] = (len(self._rows["diagnostics"]), n_state)
            self._through_state = np.empty((self.size, len(self._rows["diagnostics"]), n_inputs), dtype)
        shapes |= {f"is_below_{group}": (len(self._variables[group]),) for group in self._bounded}
        self._kept = {name: np.empty((self.size, *shape), dtype) for name, shape in shapes.items()}
        self._of_bound = np.empty((self.size, n_inputs), dtype)

    def _run(self, inputs: Sequence[arrays.Array], *fields: arrays.Array) -> None:
        (jacobian,) = fields
        in_place = {f"jacobian_{group}": jacobian[:, min(rows) : max(rows) + 1] for group, rows in self._groups.items()}
        found = in_place | self._kept
        self._call([*inputs, *found.values()])
        if self._is_chained:
            by_inputs, by_state = found["jacobian_diagnostics"], found["diagnostics_by_state"]
            by_inputs += np.matmul(by_state, found["new_state_by_inputs"], out=self._through_state)
        for group in self._bounded:
            self._bound(group, found[f"jacobian_{group}"], found[f"is_below_{group}"])
        for group, rows in self._groups.items():
            if f"jacobian_{group}" in self._kept:
                for row, position in rows.items():
                    jacobian[:, row] = found[f"jacobian_{group}"][:, self._rows[group].index(position)]

    def _with_bounds(self, group: str) -> tuple[int, ...]:
        """Positions of results in rows of the block, and of those others that bound one of them."""
        variables, positions = self._variables[group], self._groups[group].values()
        bounds = [variables[position].bounded_by for position in positions]
        known = {variable.name: position for position, variable in enumerate(variables)}
        return tuple(dict.fromkeys((*positions, *(known[bound] for bound in bounds if bound in known))))

    def _bound(self, group: str, adjoints: arrays.Array, is_below: arrays.Array) -> None:
        """Where another variable is the bound of a result, give it the adjoint of that one."""
        rows, variables = self._rows[group], self._variables[group]
        known = {variables[position].name: row for row, position in enumerate(rows)}
        for position in self._groups[group].values():
            bound = variables[position].bounded_by
            if not bound:
                continue
            own, below = adjoints[:, rows.index(position)], is_below[:, position, np.newaxis]
            if bound in known:
                others = adjoints[:, known[bound]]
            else:
                others = np.array([name == bound for name in self._inputs], dtype=adjoints.dtype)
            own *= below
            own += np.multiply(others, np.subtract(1.0, below, out=below), out=self._of_bound)


class JacobianOneByOne:
    """A block of a Jacobian by one call of the tangent-linear for each input, or of the adjoint for each result.

    For backends whose code has no directions: a GPU, and those of a caller.
    """

    def __init__(self, programs: Programs, block: Block, linear: LinearCall, mode: Mode) -> None:
        self._call, self._is_forward = linear, mode == "forward"
        sizes, xp = programs.model.sizes, arrays.array_module(programs.device)
        inputs = dict(zip(TANGENTS, sizes[:3], strict=True))
        results = dict(zip(RESULT_ADJOINTS, sizes[2:], strict=True))
        given, made = (inputs, results) if self._is_forward else (results, inputs)

        def columns(extent: int) -> arrays.Array:
            return xp.zeros((programs.n_columns, extent), dtype=programs.dtype)

        # All zero but in the direction of a call.
        zeros = {name: columns(extent) for name, extent in given.items()}
        positions = [(name, zeros[name], k) for name, extent in given.items() for k in range(extent)]
        wanted, found = (block.inputs, block.outputs) if self._is_forward else (block.outputs, block.inputs)
        self._directions = [positions[position] for position in wanted]
        ends = np.cumsum(list(made.values()))
        self._made = columns(ends[-1])
        self._results = xp.split(self._made, ends[:-1].tolist(), axis=1)
        # (columns of the block, of the results): those that follow one another together.
        runs = np.split(np.arange(len(found)), np.flatnonzero(np.diff(found) != 1) + 1)
        self._copies = [(slice(one[0], one[-1] + 1), slice(found[one[0]], found[one[-1]] + 1)) for one in runs]

    def __call__(self, inputs: Sequence[arrays.Array], jacobian: arrays.Array) -> None:
        """As of the others."""
        given = dict(zip(INPUTS, inputs, strict=True))
        if self._is_forward:
            jacobian = jacobian.transpose(0, 2, 1)
        for row, (name, direction, k) in enumerate(self._directions):
            direction[:, k] = 1.0
            self._call(given | {name: direction}, self._results)
            direction[:, k] = 0.0
            for target, source in self._copies:
                jacobian[:, row, target] = self._made[:, source]


Jacobian = ForwardJacobian | ReverseJacobian | JacobianOneByOne


class Derivatives:
    """Makes the calls and keeps them."""

    def __init__(self, programs: Programs) -> None:
        self._of_step = programs
        self._jacobians: dict[tuple[Block, Mode], Jacobian] = {}
        self._of_states: dict[int, CallInParts] = {}

    @property
    def _programs(self) -> Programs:
        return self._of_step.of_derivatives

    @functools.cached_property
    def tangent_linear(self) -> LinearCall:
        """Of the step."""
        described = describe_tangent_linear(self._programs.shape, self._programs.scalar)
        return LinearCall(self._programs, described, "the tangent-linear of ", TANGENTS)

    @functools.cached_property
    def adjoint(self) -> LinearCall:
        """Of the step."""
        described = describe_adjoint(self._programs.shape, self._programs.scalar)
        return LinearCall(self._programs, described, "the adjoint of ", RESULT_ADJOINTS)

    def of_states(self, n_directions: int) -> CallInParts | StateTangentsOneByOne:
        """The tangent-linear in so many directions of the state; one compiled program serves any number."""
        programs = self._programs
        if not programs.has_directions:
            return StateTangentsOneByOne(self.tangent_linear)
        if n_directions not in self._of_states:
            described = describe_state_tangents(programs.shape, programs.scalar)
            what = "the tangent-linear in directions of the state of "
            operands = programs.operands.extended({Change: n_directions})
            self._of_states[n_directions] = CallInParts(programs, described, what, operands)
        return self._of_states[n_directions]

    def jacobian(self, block: Block, mode: Mode | None = None) -> Jacobian:
        """Of a block, in the mode that takes less arithmetic, or in the one that is given."""
        programs, mode = self._programs, mode or cheaper_mode(self._programs.model, block)
        if (block, mode) not in self._jacobians:
            if programs.has_directions:
                call: Jacobian = (ForwardJacobian if mode == "forward" else ReverseJacobian)(programs, block)
            else:
                linear = self.tangent_linear if mode == "forward" else self.adjoint
                call = JacobianOneByOne(programs, block, linear, mode)
            self._jacobians[block, mode] = call
        return self._jacobians[block, mode]
