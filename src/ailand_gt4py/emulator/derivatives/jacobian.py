"""The Jacobian of an emulator's step: which block of it is wanted, how it is made, and how it is shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.types import Values
from ailand_gt4py.weights.model import ModelVariables, Variable

if TYPE_CHECKING:
    import xarray as xr


class Block(NamedTuple):
    """Rows and columns of a Jacobian.

    Attributes:
        outputs: positions among (state, diagnostics). inputs: positions among (static, forcing, state).
    """

    outputs: tuple[int, ...]
    inputs: tuple[int, ...]


def output_variables(model: ModelVariables) -> tuple[Variable, ...]:
    """What a step gives: the rows of its Jacobian."""
    return model.state + model.diagnostics


def input_variables(model: ModelVariables) -> tuple[Variable, ...]:
    """What a step takes: the columns of its Jacobian."""
    return model.static + model.forcing + model.state


def block_of(model: ModelVariables, outputs: Sequence[str] | None = None, inputs: Sequence[str] | None = None) -> Block:
    """The block of a model's Jacobian with rows and columns of these names, in the order of the names; None: all.

    Raises:
        InputError: no name, one that is no output or input of the model, or one that is given twice.
    """
    return Block(
        _positions("output", output_variables(model), outputs), _positions("input", input_variables(model), inputs)
    )


def _positions(kind: str, variables: Sequence[Variable], names: Sequence[str] | None) -> tuple[int, ...]:
    known = {variable.name: position for position, variable in enumerate(variables)}
    if names is None:
        return tuple(known.values())
    if isinstance(names, str):
        raise InputError(f"{kind}s of the Jacobian: found the text '{names}', expected a list of names")
    if len(names) == 0:
        raise InputError(f"{kind}s of the Jacobian: found no name, expected at least one, or None for all")
    for name in names:
        if name not in known:
            raise InputError(f"{kind} '{name}' of the Jacobian is unknown, expected one of {', '.join(known)}")
        if list(names).count(name) > 1:
            raise InputError(f"{kind} '{name}' of the Jacobian is named more than once")
    return tuple(known[name] for name in names)


def labelled(
    model: ModelVariables,
    values: Values,
    outputs: Sequence[str] | None = None,
    inputs: Sequence[str] | None = None,
) -> xr.DataArray:
    """Label a Jacobian with the names of its rows and columns and with units; the values are not copied.

    Args:
        values: (n_columns, n_outputs, n_inputs) from `Emulator.jacobian`, in host memory.
        outputs, inputs: as passed to `Emulator.jacobian`.

    Returns:
        Dimensions ``column``, ``output`` and ``input``, the last two with names as coordinates; the coordinate
        ``units`` (output, input) holds ``<unit of the output> / <unit of the input>``.

    Raises:
        InputError: names unknown to the model, or values of another shape.
    """
    import xarray as xr

    block = block_of(model, outputs, inputs)
    rows = [output_variables(model)[position] for position in block.outputs]
    columns = [input_variables(model)[position] for position in block.inputs]
    if values.ndim != 3 or values.shape[1:] != (len(rows), len(columns)):
        raise InputError(
            f"Jacobian: found the shape {tuple(values.shape)}, expected (n_columns, {len(rows)}, {len(columns)})"
        )
    units = [[f"({row.units}) / ({column.units})" for column in columns] for row in rows]
    return xr.DataArray(
        values,
        dims=("column", "output", "input"),
        coords={
            "output": [row.name for row in rows],
            "input": [column.name for column in columns],
            "units": (("output", "input"), units),
        },
        name="jacobian",
        attrs={"long_name": "change of a step's results with its inputs"},
    )
