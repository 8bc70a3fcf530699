"""Operands of derivatives in many directions at once (`ailand_gt4py.stencils.network.jacobian`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import gt4py.next as gtx
import numpy as np

from ailand_gt4py.core.dimensions import (
    Change,
    ForcingFeature,
    InputFeature,
    ResultFeature,
    StateFeature,
    StateRow,
)
from ailand_gt4py.core.types import Values
from ailand_gt4py.emulator.derivatives.jacobian import Block, input_variables
from ailand_gt4py.emulator.operands import Operand, Operands, results_of
from ailand_gt4py.stencils.network.jacobian import ROWS, weights
from ailand_gt4py.stencils.network.shapes import INPUTS, RESULTS
from ailand_gt4py.stencils.network.state_tangents import SLOPES
from ailand_gt4py.weights.model import Variable


class DirectedOperands:
    """Adds operands to others of the same model.

    Args:
        others: those of the step or of the adjoint, which stay as they are.
        inputs: positions of the wanted inputs among (static, forcing, state).
    """

    def __init__(self, others: Operands, inputs: Sequence[int] = ()) -> None:
        self.operands, self.inputs = others.extended(), list(inputs)
        self.model, self.shape, self.by_name = others.model, others.shape, self.operands.by_name
        self.variables: list[Variable] = [input_variables(others.model)[position] for position in inputs]

    def rows(self, name: str, direction: gtx.Dimension, feature: gtx.Dimension, values: Values) -> None:
        """What is of every direction, the same in every column."""
        self.by_name[name] = self.operands.field(values, direction, feature)

    def weights(self) -> None:
        """The weights of each input of each layer as operands of their own, the step's fields."""
        for block, k, _ in self.shape.contractions:
            for position, field in enumerate(self._weight_fields(block, k)):
                self.by_name[weights(block, k, position)] = field

    def _weight_fields(self, block: str, k: int) -> tuple[Operand, ...]:
        if block == "combine" and "operands_static_part" in self.by_name:
            return (self.by_name["operands_static_part"][0], self.by_name["operands_combine_0"])
        operands = self.by_name[f"operands_{block}_{k}"]
        linear = operands if len(operands) == 2 else operands[0]  # of a normalised layer
        return linear[0] if isinstance(linear[0], tuple) else (linear[0],)

    def input_weights(self) -> dict[tuple[str, int], Values]:
        """(block, layer) -> its weights (units, wanted inputs), 0 of inputs that it does not read itself."""
        found = {}
        sizes = dict(zip(INPUTS.values(), self.model.sizes, strict=False))
        firsts = dict(zip(sizes, np.cumsum([0, *sizes.values()]), strict=False))
        for block, k, dense in self.shape.contractions:
            sources = [one.source for one in dense]
            if k > 0 or not set(sources) & set(sizes):
                continue
            weight = self.operands.parameters(block, k)["weight"]
            of_inputs = np.zeros((len(weight), sum(sizes.values())))
            for source, part in zip(sources, self.operands.parts(dense, weight), strict=True):
                # The diagnostics of `layer_norm` read the new state, which is no input.
                if source in sizes and not (block == "diagnostic" and source == StateFeature):
                    of_inputs[:, firsts[source] : firsts[source] + sizes[source]] = part
            found[block, k] = of_inputs[:, self.inputs]
        return found

    def identity(self) -> Values:
        """(state, wanted inputs): 1 where an input is that state."""
        return np.array([[float(one.name == state.name) for one in self.variables] for state in self.model.state])

    def soil_properties(self) -> dict[str, Values]:
        """Soil property -> (state, wanted inputs): derivative with respect to an input in its network's space."""
        if not self.shape.soil_heat:
            return {}
        sizes = self.model.sizes
        scales = np.array([variable.normalisation.scale for variable in self.model.static])
        beside = np.zeros((sizes.state, sizes.forcing + sizes.state))
        choices = self.operands.property_choices()
        return {
            name: np.concatenate([choice * scales, beside], axis=1)[:, self.inputs] for name, choice in choices.items()
        }

    def choice(self, feature: gtx.Dimension, target: gtx.Dimension, positions: Sequence[int | None], size: int) -> None:
        """The matrix (target, feature) that chooses some of ``size`` features; None: nothing."""
        values = np.zeros((len(positions), size))
        for row, position in enumerate(positions):
            if position is not None:
                values[row, position] = 1.0
        self.by_name[f"choice_{feature.value}_{target.value}"] = self.operands.matrix(feature, target, values)

    def slopes(self, target: gtx.Dimension) -> None:
        """Of normalisations, and which of the wanted inputs are forcing whose logarithm is taken."""
        forcing = {variable.name: position for position, variable in enumerate(self.model.forcing)}
        scalings = [variable.normalisation for variable in self.variables]
        values = [0.0 if scaling.is_logarithmic else 1.0 / scaling.scale for scaling in scalings]
        self.by_name[f"slopes_{target.value}"] = self.operands.field(values, target)
        if self.shape.logarithmic_forcing:
            positions = [
                forcing[variable.name] if variable.normalisation.is_logarithmic else None for variable in self.variables
            ]
            self.choice(ForcingFeature, target, positions, len(forcing))


def forward_operands(step: Operands, block: Block) -> Operands:
    """The operands of a block of the Jacobian in forward mode, for those of the step."""
    added = DirectedOperands(step, block.inputs)
    layers = added.shape.layers
    added.weights()
    for (name, k), values in added.input_weights().items():
        added.rows(f"tangents_{name}_{k}", Change, layers[name][k][0], values.T)
    added.rows(f"tangents_prognostic_{len(layers['prognostic']) - 1}", Change, StateFeature, added.identity().T)
    for name, values in added.soil_properties().items():
        added.rows(f"tangents_{name}", Change, StateFeature, values.T)
    added.slopes(Change)
    first = 0
    for group, variables in results_of(step.model).items():
        feature = RESULTS[group]
        own = [position - first if 0 <= position - first < len(variables) else None for position in block.outputs]
        added.choice(feature, ResultFeature, own, len(variables))
        first += len(variables)
        if group in added.shape.bounded_by_others:
            bounds = np.array([[float(v.bounded_by == one.name) for v in variables] for one in added.variables])
            names = {v.name for v in variables}  # a bound that is a result is no input here, whatever its name
            bounds *= np.array([[float(one.name not in names)] for one in added.variables])
            added.rows(f"bounds_{group}", Change, feature, bounds)
    added.operands.extents = {Change: len(block.inputs), ResultFeature: len(block.outputs)}
    return added.operands


def reverse_operands(adjoint: Operands, rows: Mapping[str, tuple[int, ...]], inputs: Sequence[int]) -> Operands:
    """The operands of a Jacobian in reverse mode, for those of the adjoint.

    Args:
        rows: group of results -> positions in it of those whose adjoints are taken.
        inputs: positions of the wanted inputs among (static, forcing, state).
    """
    added = DirectedOperands(adjoint, inputs)
    operands, shape = added.operands, added.shape
    for (block, k), values in added.input_weights().items():
        added.by_name[f"to_inputs_{block}_{k}"] = operands.matrix(shape.layers[block][k][0], InputFeature, values.T)
    if shape.architecture == "layer_norm":
        operands.broadcast(InputFeature, len(inputs))
        operands.broadcast(StateFeature, len(adjoint.model.state))
    added.slopes(InputFeature)
    heads = {"new_state": "prognostic", "diagnostics": "diagnostic"}
    operands.extents = {InputFeature: len(inputs)}
    last_sources = {block: dense[0].source for block, _, dense in shape.contractions}
    for group, positions in rows.items():
        block, chosen = heads[group], list(positions)
        values = operands.parameters(block, len(shape.layers[block]) - 1)["weight"][chosen]
        added.rows(f"rows_{group}", ROWS[group], last_sources[block], values)
        added.choice(RESULTS[group], ROWS[group], positions, len(results_of(adjoint.model)[group]))
        operands.extents[ROWS[group]] = len(positions)
        if group == "new_state":
            added.rows("identity", StateRow, InputFeature, added.identity()[chosen])
            for name, values in added.soil_properties().items():
                added.rows(f"adjoints_{name}", StateRow, InputFeature, values[chosen])
    return operands


def state_tangent_operands(step: Operands, n_directions: int) -> Operands:
    """The operands of a tangent-linear in so many directions of the state, for those of the step
    (`ailand_gt4py.stencils.network.state_tangents`)."""
    added = DirectedOperands(step)
    added.weights()
    scales = np.array([variable.normalisation.scale for variable in step.model.state])
    added.by_name[SLOPES] = added.operands.field(1.0 / scales, StateFeature)
    added.operands.extents = {Change: n_directions}
    return added.operands
