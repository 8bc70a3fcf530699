"""The two ways to a block of a Jacobian, as calls: by changes of inputs, and by gradients of results."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Literal, NamedTuple, Protocol

import numpy as np

from ailand_gt4py import arrays
from ailand_gt4py.jacobian import Block, input_variables
from ailand_gt4py.jacobian_operands import changes_operands, gradients_operands
from ailand_gt4py.parameters import StepOperands, network_shape, results_of
from ailand_gt4py.stencils.jacobian import describe_changes, describe_gradients, is_chained
from ailand_gt4py.stencils.step import ProgramDescription
from ailand_gt4py.weights.model import Model

#: Columns for which gradients of diagnostics are continued at once: what they take stays in the cache.
_COLUMNS_AT_ONCE = 256


class Call(Protocol):
    """A program with its operands."""

    def __call__(self, values: Sequence[arrays.Array]) -> None: ...


class MakeCall(Protocol):
    """Makes the call of a program with these operands; ``what`` names it in messages."""

    def __call__(self, description: ProgramDescription, what: str, operands: StepOperands) -> Call: ...


class Setting(NamedTuple):
    """What the calls of one emulator have in common."""

    model: Model
    dtype: np.dtype
    device: arrays.Device
    make_call: MakeCall


def groups_of(model: Model, block: Block) -> dict[str, tuple[int, ...]]:
    """Group of results -> places in it of those that a block has rows of; groups without any are left out."""
    n_state = len(model.state)
    groups = {
        "new_state": tuple(place for place in block.outputs if place < n_state),
        "diagnostics": tuple(place - n_state for place in block.outputs if place >= n_state),
    }
    return {group: places for group, places in groups.items() if places}


def cheaper_way(model: Model, block: Block) -> Literal["changes", "gradients"]:
    """By which of them a block takes less arithmetic.

    Behind a ReLU that is off nothing is to be done: about half of the products. Going back through layer normalisations
    takes one product of each layer besides (`stencils.jacobian`), and the way from diagnostics through the new state is
    that of the new state.
    """
    groups = groups_of(model, block)
    sizes: dict[str, float] = defaultdict(float)
    for name, array in model.parameters.items():
        layer, _, kind = name.rpartition(".")
        if kind == "weight":
            sizes[layer.split(".")[0]] += array.size * (0.5 if model.architecture == "layer_norm" else 1.0)
    heads = {"new_state": "prognostic", "diagnostics": "diagnostic"}
    shared = sum(size for layer, size in sizes.items() if layer not in heads.values())
    branches = sum(sizes[heads[group]] for group in groups)
    by_changes = len(block.inputs) * (shared + branches)
    by_gradients = sum(len(places) * (shared + sizes[heads[group]]) for group, places in groups.items())
    if is_chained(network_shape(model), tuple(groups)):
        by_gradients = len(model.state) * shared + len(groups["diagnostics"]) * sizes["diagnostic"]
    if model.architecture == "layer_norm":
        by_gradients += 2.0 * (shared + branches)
    return "changes" if by_changes <= by_gradients else "gradients"


class JacobianByChanges:
    """A block of an emulator's Jacobian by changes of its inputs.

    Args:
        step: operands of the step.
    """

    def __init__(self, setting: Setting, block: Block, step: StepOperands) -> None:
        model, dtype, device, make_call = setting
        description = describe_changes(network_shape(model), tuple(groups_of(model, block)), dtype.type)
        operands = changes_operands(model, step, dtype, device, block.outputs, block.inputs)
        self._call = make_call(description, "the Jacobian by changes of inputs of", operands)

    def __call__(self, inputs: Sequence[arrays.Array], jacobian: arrays.Array) -> None:
        """Write the block at checked inputs (static, forcing, state).

        Args:
            jacobian: (n_columns, n_outputs, n_inputs).

        Raises:
            RunError: the program cannot be compiled.
        """
        self._call([*inputs, jacobian.transpose(0, 2, 1)])


class JacobianByGradients:
    """A block of an emulator's Jacobian by gradients of its results.

    Args:
        adjoint: operands of the adjoint.
    """

    def __init__(self, setting: Setting, block: Block, adjoint: StepOperands) -> None:
        model, dtype, device, make_call = setting
        self._block, self._xp, self._dtype = block, arrays.array_module(device), dtype
        self._variables = {group: variables for group, (_, variables) in results_of(model).items()}
        self._inputs = {input_variables(model)[place].name: k for k, place in enumerate(block.inputs)}
        shape = network_shape(model)
        self._groups = groups_of(model, block)
        # Those whose gradients are taken: also those of results that bound others.
        self._rows = {group: self._with_bounds(group, places) for group, places in self._groups.items()}
        self._is_chained = is_chained(shape, tuple(self._groups))
        if self._is_chained:
            self._rows["new_state"] = tuple(range(len(model.state)))
        self._bounded = [group for group in self._groups if group in shape.bounded_by_others]
        description = describe_gradients(shape, tuple(self._groups), dtype.type)
        operands = gradients_operands(model, adjoint, dtype, device, self._rows, block.inputs)
        self._call = make_call(description, "the Jacobian by gradients of results of", operands)

    def __call__(self, inputs: Sequence[arrays.Array], jacobian: arrays.Array) -> None:
        """As of `JacobianByChanges`."""
        found = {f"jacobian_{group}": self._place_for(group, jacobian) for group in self._groups}
        if self._is_chained:
            n_state = len(self._variables["new_state"])
            found["new_state_by_inputs"] = self._empty(jacobian, n_state, len(self._inputs))
            found["diagnostics_by_state"] = self._empty(jacobian, len(self._rows["diagnostics"]), n_state)
        found |= {f"is_below_{group}": self._empty(jacobian, len(self._variables[group])) for group in self._bounded}
        self._call([*inputs, *found.values()])
        if self._is_chained:
            by_inputs = found["jacobian_diagnostics"]
            for first in range(0, len(jacobian), _COLUMNS_AT_ONCE):
                part = slice(first, first + _COLUMNS_AT_ONCE)
                by_inputs[part] += found["diagnostics_by_state"][part] @ found["new_state_by_inputs"][part]
        for group in self._bounded:
            self._bound(group, found[f"jacobian_{group}"], found[f"is_below_{group}"])
        for group, places in self._groups.items():
            of_group = found[f"jacobian_{group}"]
            if not self._xp.may_share_memory(of_group, jacobian):
                targets = [k for k, place in enumerate(self._block.outputs) if self._group_of(place) == group]
                jacobian[:, targets] = of_group[:, [self._rows[group].index(place) for place in places]]

    def _empty(self, jacobian: arrays.Array, *extents: int) -> arrays.Array:
        return self._xp.empty((len(jacobian), *extents), dtype=self._dtype)

    def _group_of(self, place: int) -> str:
        return "new_state" if place < len(self._variables["new_state"]) else "diagnostics"

    def _place_for(self, group: str, jacobian: arrays.Array) -> arrays.Array:
        """An array for the gradients of a group: the part of the block that they are, where they are one."""
        targets = [k for k, place in enumerate(self._block.outputs) if self._group_of(place) == group]
        is_whole = self._rows[group] == self._groups[group] and targets == list(range(targets[0], targets[-1] + 1))
        if is_whole:
            return jacobian[:, targets[0] : targets[-1] + 1]
        return self._empty(jacobian, len(self._rows[group]), len(self._inputs))

    def _with_bounds(self, group: str, places: tuple[int, ...]) -> tuple[int, ...]:
        """Places of results, and of those others that bound one of them."""
        variables = self._variables[group]
        known = {variable.name: place for place, variable in enumerate(variables)}
        bounds = (known.get(variables[place].bounded_by) for place in places)
        others = dict.fromkeys(bound for bound in bounds if bound is not None and bound not in places)
        return (*places, *others)

    def _bound(self, group: str, gradients: arrays.Array, is_below: arrays.Array) -> None:
        """Where another variable is the bound of a result, give it the gradient of that one."""
        rows, variables = self._rows[group], self._variables[group]
        known = {variables[place].name: row for row, place in enumerate(rows)}
        for place in self._groups[group]:
            bound = variables[place].bounded_by
            if not bound:
                continue
            own = gradients[:, rows.index(place)]
            below = is_below[:, place, self._xp.newaxis]
            if bound in known:
                others = gradients[:, known[bound]]
            else:
                others = self._xp.zeros(len(self._inputs), dtype=self._dtype)
                if bound in self._inputs:
                    others[self._inputs[bound]] = 1.0
            own *= below
            own += others * (1.0 - below)


class ColumnParts:
    """A call on some columns after another, for programs whose fields of all columns would be too large.

    Args:
        call: of a program with buffers for ``size`` columns. size: how many columns, at most all.
    """

    def __init__(self, call: Call, size: int) -> None:
        self._call, self._size = call, size

    def __call__(self, values: Sequence[arrays.Array]) -> None:
        n_columns = len(values[0])
        for first in range(0, n_columns, self._size):
            first = min(first, n_columns - self._size)  # the last part begins within the one before
            self._call([value[first : first + self._size] for value in values])
