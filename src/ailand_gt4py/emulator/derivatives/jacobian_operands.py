"""Operands of derivatives in many directions at once (`ailand_gt4py.stencils.network.jacobian`)."""

from __future__ import annotations

from typing import Any

import gt4py.next as gtx
import numpy as np

from ailand_gt4py.core import arrays
from ailand_gt4py.core.dimensions import (
    Change,
    ForcingFeature,
    InputFeature,
    ResultFeature,
    StateFeature,
    StateRow,
    contraction,
)
from ailand_gt4py.emulator.derivatives.jacobian import input_variables
from ailand_gt4py.emulator.operands import OperandBuilder, StepOperands, network_shape, results_of
from ailand_gt4py.stencils.network.jacobian import ROWS, weights
from ailand_gt4py.stencils.network.shapes import INPUTS
from ailand_gt4py.stencils.network.state_tangents import SLOPES
from ailand_gt4py.stencils.network.step import RESULTS
from ailand_gt4py.weights.model import Model


class _Builder(OperandBuilder):
    """Makes the operands of a Jacobian.

    Args:
        inputs: positions of the inputs that are wanted, among (static, forcing, state).
    """

    def __init__(
        self, model: Model, dtype: np.dtype, device: arrays.Device, others: StepOperands, inputs: tuple[int, ...]
    ) -> None:
        super().__init__(model, dtype, device, others)
        self.inputs = inputs
        self.variables = [input_variables(model)[position] for position in inputs]

    def rows(self, direction: gtx.Dimension, feature: gtx.Dimension, values: np.ndarray) -> gtx.Field:
        array = self.xp.asarray(np.ascontiguousarray(values, dtype=self.dtype))
        return arrays.wrap(array, (direction, feature), f"{direction.value} of {feature.value}")

    def input_weights(self) -> dict[tuple[str, int], np.ndarray]:
        """(block, layer) -> its weights (units, wanted inputs), 0 of inputs that it does not read itself."""
        found = {}
        sizes = dict(zip(INPUTS, self.model.sizes, strict=False))
        firsts = dict(zip(INPUTS, np.cumsum([0, *sizes.values()]), strict=False))
        for block, k, dense in network_shape(self.model).contractions:
            sources = [one.source for one in dense]
            if k > 0 or not set(sources) & set(INPUTS):
                continue
            values = self.values(block, k)["weight"]
            of_inputs = np.zeros((len(values), sum(sizes.values())))
            for source, part in zip(sources, self.parts(dense, values), strict=True):
                # The diagnostics of `layer_norm` read the new state, which is no input.
                if source in sizes and not (block == "diagnostic" and source == StateFeature):
                    of_inputs[:, firsts[source] : firsts[source] + sizes[source]] = part
            found[block, k] = of_inputs[:, list(self.inputs)]
        return found

    def identity(self) -> np.ndarray:
        """(state, wanted inputs): 1 where an input is that state."""
        return np.array([[float(one.name == state.name) for one in self.variables] for state in self.model.state])

    def soil_properties(self) -> dict[str, np.ndarray]:
        """Soil property -> (state, wanted inputs): what it changes by with an input, in the network's space of that."""
        sizes = self.model.sizes
        scales = np.array([variable.normalisation.scale for variable in self.model.static])
        beside = np.zeros((sizes.state, sizes.forcing + sizes.state))
        return {
            name: np.concatenate([choice * scales, beside], axis=1)[:, list(self.inputs)]
            for name, choice in self.property_choices().items()
        }

    def choice(self, feature: gtx.Dimension, target: gtx.Dimension, positions: list[int | None], size: int) -> None:
        """The matrix (target, feature) that chooses some of ``size`` features; None: nothing."""
        values = np.zeros((len(positions), size))
        for row, position in enumerate(positions):
            if position is not None:
                values[row, position] = 1.0
        self.by_name[f"choice_{feature.value}_{target.value}"] = self.matrix(contraction(feature, target), values)

    def slopes(self, target: gtx.Dimension) -> None:
        """Of normalisations, and which of the wanted inputs are forcing whose logarithm is taken."""
        forcing = {variable.name: position for position, variable in enumerate(self.model.forcing)}
        scalings = [variable.normalisation for variable in self.variables]
        values = [0.0 if scaling.is_logarithmic else 1.0 / scaling.scale for scaling in scalings]
        self.by_name[f"slopes_{target.value}"] = self.vector(target, np.array(values))
        if network_shape(self.model).logarithmic_forcing:
            positions = [
                forcing[variable.name] if variable.normalisation.is_logarithmic else None for variable in self.variables
            ]
            self.choice(ForcingFeature, target, positions, len(forcing))


def changes_operands(
    model: Model,
    step: StepOperands,
    dtype: np.dtype,
    device: arrays.Device,
    outputs: tuple[int, ...],
    inputs: tuple[int, ...],
) -> StepOperands:
    """The operands of a Jacobian by changes of inputs.

    Args:
        step: the operands of the step.
        outputs: positions of the wanted results among (state, diagnostics). inputs: among (static, forcing, state).

    Raises:
        RunError: the device cannot be used.
    """
    builder = _Builder(model, dtype, device, step, inputs)
    shape = network_shape(model)
    _add_weights(builder, step)
    for (block, k), values in builder.input_weights().items():
        target = shape.layers[block][k][0]
        builder.by_name[f"tangents_{block}_{k}"] = builder.rows(Change, target, values.T)
    last = len(shape.layers["prognostic"]) - 1
    builder.by_name[f"tangents_prognostic_{last}"] = builder.rows(Change, StateFeature, builder.identity().T)
    if shape.soil_heat:
        for name, values in builder.soil_properties().items():
            builder.by_name[f"tangents_{name}"] = builder.rows(Change, StateFeature, values.T)
    builder.slopes(Change)
    first = 0
    for group, (feature, variables) in results_of(model).items():
        own: list[int | None] = [
            position - first if first <= position < first + len(variables) else None for position in outputs
        ]
        builder.choice(feature, ResultFeature, own, len(variables))
        first += len(variables)
        if group in shape.bounded_by_others:
            bounds = np.array([[float(v.bounded_by == one.name) for v in variables] for one in builder.variables])
            names = {v.name for v in variables}  # a bound that is a result is no input here, whatever its name
            bounds *= np.array([[float(one.name not in names)] for one in builder.variables])
            builder.by_name[f"bounds_{group}"] = builder.rows(Change, feature, bounds)
    return builder.operands({Change: len(inputs), ResultFeature: len(outputs)})


def state_changes_operands(
    model: Model, step: StepOperands, dtype: np.dtype, device: arrays.Device, n_directions: int
) -> StepOperands:
    """The operands of a tangent-linear in so many directions of the state
    (`ailand_gt4py.stencils.network.state_changes`).

    Args:
        step: the operands of the step.

    Raises:
        RunError: the device cannot be used.
    """
    builder = OperandBuilder(model, dtype, device, step)
    _add_weights(builder, step)
    scales = np.array([variable.normalisation.scale for variable in model.state])
    builder.by_name[SLOPES] = builder.vector(StateFeature, 1.0 / scales)
    return builder.operands({Change: n_directions})


def gradients_operands(
    model: Model,
    adjoint: StepOperands,
    dtype: np.dtype,
    device: arrays.Device,
    rows: dict[str, tuple[int, ...]],
    inputs: tuple[int, ...],
) -> StepOperands:
    """The operands of a Jacobian by gradients of results.

    Args:
        adjoint: the operands of the adjoint.
        rows: group of results -> positions in it of those whose gradients are taken.
        inputs: positions of the wanted inputs among (static, forcing, state).

    Raises:
        RunError: the device cannot be used.
    """
    builder = _Builder(model, dtype, device, adjoint, inputs)
    shape = network_shape(model)
    for (block, k), values in builder.input_weights().items():
        source = shape.layers[block][k][0]
        builder.by_name[f"to_inputs_{block}_{k}"] = builder.matrix(contraction(source, InputFeature), values.T)
    if model.architecture == "layer_norm":
        builder.broadcast(InputFeature, len(inputs))
        builder.broadcast(StateFeature, len(model.state))
    builder.slopes(InputFeature)
    heads = {"new_state": "prognostic", "diagnostics": "diagnostic"}
    extents: dict[gtx.Dimension, int] = {InputFeature: len(inputs)}
    for group, positions in rows.items():
        block = heads[group]
        last = len(shape.layers[block]) - 1
        (dense,) = next(dense for name, k, dense in shape.contractions if (name, k) == (block, last))
        values = builder.values(block, last)["weight"][list(positions)]
        builder.by_name[f"rows_{group}"] = builder.rows(ROWS[group], dense.source, values)
        chosen: list[int | None] = list(positions)
        builder.choice(RESULTS[group], ROWS[group], chosen, len(results_of(model)[group][1]))
        extents[ROWS[group]] = len(positions)
        if group == "new_state":
            identity = builder.identity()[list(positions)]
            builder.by_name["identity"] = builder.rows(StateRow, InputFeature, identity)
            if shape.soil_heat:
                for name, values in builder.soil_properties().items():
                    builder.by_name[f"adjoints_{name}"] = builder.rows(StateRow, InputFeature, values[list(positions)])
    return builder.operands(extents)


def _add_weights(builder: OperandBuilder, step: StepOperands) -> None:
    """Add the weights of each input of each layer as operands of their own."""
    for block, k, _ in network_shape(builder.model).contractions:
        for position, field in enumerate(_weight_fields(step, block, k)):
            builder.by_name[weights(block, k, position)] = field


def _weight_fields(step: StepOperands, block: str, k: int) -> tuple[Any, ...]:
    """The weights of each input of a layer, the step's own fields."""
    if block == "combine" and "operands_static_part" in step.by_name:
        return (step.by_name["operands_static_part"][0], step.by_name["operands_combine_0"])
    operands = step.by_name[f"operands_{block}_{k}"]
    linear = operands if len(operands) == 2 else operands[0]  # of a normalised layer
    weight = linear[0]
    return weight if isinstance(weight, tuple) else (weight,)
