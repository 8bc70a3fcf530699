"""The ways to a block of a Jacobian, as calls: by changes of its inputs, or by gradients of its results."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Literal

from ailand_gt4py.core import arrays
from ailand_gt4py.emulator.derivatives.jacobian import Block, input_variables
from ailand_gt4py.emulator.derivatives.jacobian_operands import changes_operands, gradients_operands
from ailand_gt4py.emulator.derivatives.linearisation import CHANGES, INPUTS, RESULT_GRADIENTS, LinearCall, Setting
from ailand_gt4py.emulator.operands import StepOperands, network_shape, results_of
from ailand_gt4py.lowering.calls.program_call import ProgramCall
from ailand_gt4py.stencils.network.jacobian_forward import describe_forward
from ailand_gt4py.stencils.network.jacobian_reverse import describe_reverse, is_chained
from ailand_gt4py.weights.model import Model

Way = Literal["changes", "gradients"]

#: Columns of one call of a program: so few that what is to be kept beside the Jacobian stays in the cache.
_COLUMNS_AT_ONCE = 1024
#: The same for embedded execution, whose products of a layer's weights with all its inputs are fields of their own.
_EMBEDDED_COLUMNS_AT_ONCE = 16


def groups_of(model: Model, block: Block) -> dict[str, tuple[int, ...]]:
    """Group of results -> positions in it of those that a block has rows of; groups without any are left out."""
    n_state = len(model.state)
    groups = {
        "new_state": tuple(position for position in block.outputs if position < n_state),
        "diagnostics": tuple(position - n_state for position in block.outputs if position >= n_state),
    }
    return {group: positions for group, positions in groups.items() if positions}


def cheaper_way(model: Model, block: Block) -> Way:
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
    by_gradients = sum(len(positions) * (shared + sizes[heads[group]]) for group, positions in groups.items())
    if is_chained(network_shape(model), tuple(groups)):
        by_gradients = len(model.state) * shared + len(groups["diagnostics"]) * sizes["diagnostic"]
    if model.architecture == "layer_norm":
        by_gradients += 2.0 * (shared + branches)
    return "changes" if by_changes <= by_gradients else "gradients"


def columns_at_once(setting: Setting) -> int:
    """Number of columns of one call of a program with directions."""
    return min(setting.n_columns, _EMBEDDED_COLUMNS_AT_ONCE if setting.is_embedded else _COLUMNS_AT_ONCE)


def parts_of_columns(n_columns: int, size: int) -> Iterator[slice]:
    """The columns of one call after another, of so many each: the last ones are those of the call before in part."""
    for first in range(0, n_columns, size):
        yield slice(min(first, n_columns - size), min(first + size, n_columns))


class _Jacobian:
    """A block of an emulator's Jacobian, some columns after others."""

    _call: ProgramCall

    def __init__(self, setting: Setting) -> None:
        self._size = columns_at_once(setting)

    @property
    def is_compiled(self) -> bool:
        """Whether calls run compiled code already."""
        return self._call.is_compiled

    def __call__(self, inputs: Sequence[arrays.Array], jacobian: arrays.Array) -> None:
        """Write the block at checked inputs (static, forcing, state).

        Args:
            jacobian: (n_columns, n_outputs, n_inputs).

        Raises:
            RunError: the program cannot be compiled.
        """
        for part in parts_of_columns(len(jacobian), self._size):
            self._write([values[part] for values in inputs], jacobian[part])

    def _write(self, inputs: Sequence[arrays.Array], jacobian: arrays.Array) -> None:
        """The same for the columns of one call of the program."""
        raise NotImplementedError


class JacobianByChanges(_Jacobian):
    """A block of an emulator's Jacobian by changes of its inputs."""

    def __init__(self, setting: Setting, block: Block) -> None:
        super().__init__(setting)
        model, dtype = setting.model, setting.dtype
        description = describe_forward(network_shape(model), tuple(groups_of(model, block)), setting.scalar)
        operands = changes_operands(model, setting.operands, dtype, setting.device, block.outputs, block.inputs)
        what = "the Jacobian by changes of inputs"
        self._call = setting.make_call(description, what, operands, self._size)

    def _write(self, inputs: Sequence[arrays.Array], jacobian: arrays.Array) -> None:
        self._call([*inputs, jacobian.transpose(0, 2, 1)])


class JacobianByGradients(_Jacobian):
    """A block of an emulator's Jacobian by gradients of its results.

    Args:
        adjoint: operands of the adjoint.
    """

    def __init__(self, setting: Setting, block: Block, adjoint: StepOperands) -> None:
        super().__init__(setting)
        model, dtype, device = setting.model, setting.dtype, setting.device
        self._block, self._xp, self._dtype = block, arrays.array_module(device), dtype
        self._variables = {group: variables for group, (_, variables) in results_of(model).items()}
        self._inputs = {input_variables(model)[position].name: k for k, position in enumerate(block.inputs)}
        shape = network_shape(model)
        self._groups = groups_of(model, block)
        # Those whose gradients are taken: also those of results that bound others.
        self._rows = {group: self._with_bounds(group, positions) for group, positions in self._groups.items()}
        self._is_chained = is_chained(shape, tuple(self._groups))
        if self._is_chained:
            self._rows["new_state"] = tuple(range(len(model.state)))
        self._bounded = [group for group in self._groups if group in shape.bounded_by_others]
        self._targets = {group: self._positions_in_block(group) for group in self._groups}
        self._kept = self._buffers()
        description = describe_reverse(shape, tuple(self._groups), setting.scalar)
        operands = gradients_operands(model, adjoint, dtype, device, self._rows, block.inputs)
        what = "the Jacobian by gradients of results"
        self._call = setting.make_call(description, what, operands, self._size)

    def _positions_in_block(self, group: str) -> list[int]:
        """The rows of the block that are of a group."""
        n_state = len(self._variables["new_state"])
        return [k for k, position in enumerate(self._block.outputs) if (position < n_state) == (group == "new_state")]

    def _is_part_of_block(self, group: str) -> bool:
        """Whether the gradients of a group are rows of the block that follow one another, and no others."""
        targets = self._targets[group]
        return self._rows[group] == self._groups[group] and targets == list(range(targets[0], targets[-1] + 1))

    def _buffers(self) -> dict[str, arrays.Array]:
        """What the program gives beside parts of the block, for the columns of one call."""
        n_inputs, n_state = len(self._inputs), len(self._variables["new_state"])
        shapes: dict[str, tuple[int, ...]] = {}
        for group in self._groups:
            if not self._is_part_of_block(group):
                shapes[f"jacobian_{group}"] = (len(self._rows[group]), n_inputs)
        if self._is_chained:
            shapes["new_state_by_inputs"] = (n_state, n_inputs)
            shapes["diagnostics_by_state"] = (len(self._rows["diagnostics"]), n_state)
        shapes |= {f"is_below_{group}": (len(self._variables[group]),) for group in self._bounded}
        return {name: self._xp.empty((self._size, *shape), dtype=self._dtype) for name, shape in shapes.items()}

    def _write(self, inputs: Sequence[arrays.Array], jacobian: arrays.Array) -> None:
        names = [f"jacobian_{group}" for group in self._groups]
        found = {
            name: self._kept.get(name, jacobian[:, targets[0] : targets[-1] + 1])
            for name, targets in zip(names, self._targets.values(), strict=True)
        } | self._kept
        self._call([*inputs, *found.values()])
        if self._is_chained:
            by_inputs = found["jacobian_diagnostics"]
            by_inputs += found["diagnostics_by_state"] @ found["new_state_by_inputs"]
        for group in self._bounded:
            self._bound(group, found[f"jacobian_{group}"], found[f"is_below_{group}"])
        for group, positions in self._groups.items():
            if f"jacobian_{group}" in self._kept:
                rows = [self._rows[group].index(position) for position in positions]
                jacobian[:, self._targets[group]] = found[f"jacobian_{group}"][:, rows]

    def _with_bounds(self, group: str, positions: tuple[int, ...]) -> tuple[int, ...]:
        """Positions of results, and of those others that bound one of them."""
        variables = self._variables[group]
        known = {variable.name: position for position, variable in enumerate(variables)}
        bounds = (known.get(variables[position].bounded_by) for position in positions)
        others = dict.fromkeys(bound for bound in bounds if bound is not None and bound not in positions)
        return (*positions, *others)

    def _bound(self, group: str, gradients: arrays.Array, is_below: arrays.Array) -> None:
        """Where another variable is the bound of a result, give it the gradient of that one."""
        rows, variables = self._rows[group], self._variables[group]
        known = {variables[position].name: row for row, position in enumerate(rows)}
        for position in self._groups[group]:
            bound = variables[position].bounded_by
            if not bound:
                continue
            own = gradients[:, rows.index(position)]
            below = is_below[:, position, self._xp.newaxis]
            if bound in known:
                others = gradients[:, known[bound]]
            else:
                others = self._xp.zeros(len(self._inputs), dtype=self._dtype)
                if bound in self._inputs:
                    others[self._inputs[bound]] = 1.0
            own *= below
            own += others * (1.0 - below)


class JacobianOneByOne:
    """A block of an emulator's Jacobian by one call for each of its inputs or of its results.

    For backends whose code has no directions: a GPU, and those of a caller.

    Args:
        linear: the tangent-linear for its inputs, or the adjoint for its results.
        by: which of them it is.
    """

    def __init__(self, setting: Setting, block: Block, linear: LinearCall, by: Way) -> None:
        self._linear, self._block, self._by = linear, block, by
        self._xp, self._dtype = arrays.array_module(setting.device), setting.dtype
        sizes = setting.model.sizes
        inputs = dict(zip(CHANGES, sizes[:3], strict=True))
        results = dict(zip(RESULT_GRADIENTS, sizes[2:], strict=True))
        self._directions, results_of_call = (inputs, results) if by == "changes" else (results, inputs)
        self._extents = tuple(results_of_call.values())

    @property
    def is_compiled(self) -> bool:
        """Whether calls run compiled code already."""
        return self._linear.is_compiled

    def __call__(self, inputs: Sequence[arrays.Array], jacobian: arrays.Array) -> None:
        """As of the other ways."""
        n_columns = len(jacobian)
        given = dict(zip(INPUTS, inputs, strict=True))
        results = [self._xp.empty((n_columns, extent), dtype=self._dtype) for extent in self._extents]
        wanted, found = self._block.outputs, self._block.inputs
        if self._by == "changes":
            jacobian, wanted, found = jacobian.transpose(0, 2, 1), found, wanted
        for row, position in enumerate(wanted):
            self._linear(given | self._direction(position, n_columns), results)
            jacobian[:, row] = self._xp.concatenate(results, axis=1)[:, list(found)]

    def _direction(self, position: int, n_columns: int) -> dict[str, arrays.Array]:
        """The one array of directions that is not zero: 1 for one input or result of all, 0 for the others of it."""
        for name, extent in self._directions.items():
            if position < extent:
                direction = self._xp.zeros((n_columns, extent), dtype=self._dtype)
                direction[:, position] = 1.0
                return {name: direction}
            position -= extent
        raise AssertionError(position)
