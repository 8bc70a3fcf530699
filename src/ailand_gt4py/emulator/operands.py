"""A model's numbers as the operands of its step: fields on the emulator's device.

Prepared once, when a model is loaded: weights are split by input, the mean is taken out of layers that are normalised
afterwards, and all is rounded once from float64 to the emulator's precision.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import gt4py.next as gtx
import numpy as np

from ailand_gt4py.core import arrays
from ailand_gt4py.core.dimensions import (
    N_MOMENTS,
    Contraction,
    DiagnosticFeature,
    ForcingFeature,
    Moment,
    StateFeature,
    StaticFeature,
    broadcast_connectivity,
    broadcast_offset,
    contraction,
)
from ailand_gt4py.ecland import soil_heat
from ailand_gt4py.stencils.network.adjoint import transposed
from ailand_gt4py.stencils.network.shapes import NetworkShape
from ailand_gt4py.stencils.network.step import HEAT_PROPERTIES, IS_HEATED, LATENT_SCALE, NODES, property_choice
from ailand_gt4py.weights import architectures
from ailand_gt4py.weights.model import Model, Variable

#: Numbers in the longest vector of any processor here, in single precision.
_WEIGHT_PADDING = 16


def network_shape(model: Model) -> NetworkShape:
    """Architecture and depths of a model."""
    depths = tuple(
        (block, architectures.layer_count(model.parameters, block))
        for block in architectures.blocks(model.architecture)
    )
    logarithmic = any(variable.normalisation.is_logarithmic for variable in model.forcing)
    groups = {"new_state": model.state, "diagnostics": model.diagnostics}
    bounded = tuple(name for name, group in groups.items() if any(variable.bounded_by for variable in group))
    return NetworkShape(
        model.architecture, depths, logarithmic, bounded, any(variable.changes_by_heat for variable in model.state)
    )


@dataclasses.dataclass(frozen=True)
class StepOperands:
    """The numbers and tables that the step's programs take beside inputs, results and buffers.

    Attributes:
        by_name: the arguments that `stencils.step.ProgramDescription.operands` lists.
        offset_provider: connectivity tables by offset name.
        complete_tables: names of the tables that are complete, so that reductions over them are matrix products.
        broadcast_tables: names of the tables that point to statistics of a row, which are all alike.
        extents: numbers of features of those dimensions that are not the model's own (`feature_extent`).
    """

    by_name: Mapping[str, Any]
    offset_provider: Mapping[str, gtx.Connectivity]
    complete_tables: tuple[str, ...]
    broadcast_tables: tuple[str, ...]
    extents: Mapping[gtx.Dimension, int] = dataclasses.field(default_factory=dict)


def feature_extent(model: Model, feature: gtx.Dimension) -> int:
    """Number of features along a dimension: of an input, an output, or a layer's units."""
    sizes = model.sizes
    known = {
        StaticFeature: sizes.static,
        ForcingFeature: sizes.forcing,
        StateFeature: sizes.state,
        DiagnosticFeature: sizes.diagnostics,
    }
    if feature in known:
        return known[feature]
    block = feature.value.removeprefix("Units_").rstrip("0123456789")
    layer = feature.value.removeprefix(f"Units_{block}")
    return len(model.parameters[f"{block}.{layer}.bias"])


class OperandBuilder:
    """Makes fields of one type on one device and remembers the tables that they need.

    Args:
        others: operands of the same model, type and device that are there already, with their tables.
    """

    def __init__(
        self, model: Model, dtype: np.dtype, device: arrays.Device, others: StepOperands | None = None
    ) -> None:
        self.model = model
        self.dtype = dtype
        self.xp = arrays.array_module(device)
        self.by_name: dict[str, Any] = dict(others.by_name) if others else {}
        self.offset_provider: dict[str, gtx.Connectivity] = dict(others.offset_provider) if others else {}
        self.complete_tables: list[str] = list(others.complete_tables) if others else []
        self.broadcast_tables: list[str] = list(others.broadcast_tables) if others else []

    def operands(self, extents: Mapping[gtx.Dimension, int] | None = None) -> StepOperands:
        """All of them."""
        tables = (tuple(self.complete_tables), tuple(self.broadcast_tables))
        return StepOperands(self.by_name, self.offset_provider, *tables, extents or {})

    def vector(self, feature: gtx.Dimension, values: np.ndarray) -> gtx.Field:
        return arrays.wrap(self.xp.asarray(np.asarray(values, dtype=self.dtype)), (feature,), feature.value)

    def matrix(self, dense: Contraction, values: np.ndarray) -> gtx.Field:
        n_target, n_source = values.shape
        if dense.name not in self.offset_provider:
            table = dense.connectivity(n_source, n_target, self.xp)
            self.offset_provider[dense.name] = table
            self.complete_tables.append(dense.name)
        return arrays.wrap(self._side_by_side(values), (dense.target, dense.local), dense.name)

    def broadcast(self, units: gtx.Dimension, n_units: int) -> None:
        """Make the table that gives every unit the statistics of its row."""
        table = broadcast_offset(units).value
        if table in self.offset_provider:
            return
        self.offset_provider[table] = broadcast_connectivity(units, n_units, self.xp)
        self.broadcast_tables.append(table)

    def _side_by_side(self, values: np.ndarray) -> arrays.Array:
        """Weights (target, source) in memory as (source, target): matrix kernels read those of many targets at once.

        Rows are padded to whole vectors, and by some more: a stride that is a power of two crowds in few cache sets.
        """
        n_target, n_source = values.shape
        padded = -(-n_target // _WEIGHT_PADDING) * _WEIGHT_PADDING + _WEIGHT_PADDING
        array = arrays.aligned_zeros(self.xp, (n_source, padded), self.dtype)
        array[:, :n_target] = self.xp.asarray(np.asarray(values.T, dtype=self.dtype))
        return array[:, :n_target].T

    def parts(self, dense: tuple[Contraction, ...], weight: np.ndarray) -> list[np.ndarray]:
        """The weights of each input."""
        sizes = [feature_extent(self.model, contraction.source) for contraction in dense[:-1]]
        return np.split(weight, np.cumsum(sizes, dtype=int), axis=1)

    def linear(self, dense: tuple[Contraction, ...], weight: np.ndarray, bias: np.ndarray) -> tuple[Any, ...]:
        """(weight, bias), or ((weight of each input, ...), bias)."""
        parts = self.parts(dense, weight)
        fields = tuple(self.matrix(contraction, part) for contraction, part in zip(dense, parts, strict=True))
        return (fields if len(fields) > 1 else fields[0], self.vector(dense[0].target, bias))

    def values(self, block: str, k: int) -> dict[str, np.ndarray]:
        """Float64 parameters of layer ``k`` of a block by kind, the mean taken out where the model has a gain."""
        values = {
            kind: self.model.parameters[f"{block}.{k}.{kind}"].astype(np.float64)
            for kind in ("weight", "bias", "gain", "offset")
            if f"{block}.{k}.{kind}" in self.model.parameters
        }
        if "gain" in values:
            # mean over the units of (weight x + bias) = (mean weight) x + mean bias, for every x
            values["weight"] -= values["weight"].mean(axis=0)
            values["bias"] -= values["bias"].mean()
        return values

    def layer(self, block: str, k: int, dense: tuple[Contraction, ...]) -> tuple[Any, ...]:
        """Operands of layer ``k`` of a block, layer-normalised if the model has a gain for it."""
        values = self.values(block, k)
        linear = self.linear(dense, values["weight"], values["bias"])
        if "gain" not in values:
            return linear
        units = dense[0].target
        n_units = len(values["bias"])
        self.broadcast(units, n_units)
        averaging = self.matrix(contraction(units, Moment), np.full((N_MOMENTS, n_units), 1.0 / n_units))
        return (linear, self.vector(units, values["gain"]), self.vector(units, values["offset"]), averaging)

    def scaling(self, feature: gtx.Dimension, variables: tuple[Variable, ...]) -> tuple[Any, ...]:
        """(shift, scale) of the normalisation; where logarithms are taken, also their shares and floors."""
        methods = [variable.normalisation for variable in variables]
        columns = [[method.shift for method in methods], [method.scale for method in methods]]
        if any(method.is_logarithmic for method in methods):
            shares = [float(method.is_logarithmic) for method in methods]
            floors = [method.minimum if method.is_logarithmic else 1.0 for method in methods]
            columns += [[1.0 - share for share in shares], shares, floors]
        return tuple(self.vector(feature, np.array(column)) for column in columns)

    def finishing(self, feature: gtx.Dimension, variables: tuple[Variable, ...]) -> tuple[Any, ...]:
        """(shift, scale, lower bound, upper bound)."""
        lower = np.array([variable.lower_bound for variable in variables])
        upper = np.array([variable.upper_bound for variable in variables])
        return (*self.scaling(feature, variables), self.vector(feature, lower), self.vector(feature, upper))

    def choices(self, feature: gtx.Dimension, variables: tuple[Variable, ...]) -> dict[gtx.Dimension, np.ndarray]:
        """Source -> matrix (results, sources) of 1 where a source bounds a result, else 0."""
        sources = {StaticFeature: self.model.static, ForcingFeature: self.model.forcing, feature: variables}
        return {
            source: np.array([[float(variable.bounded_by == one.name) for one in group] for variable in variables])
            for source, group in sources.items()
        }

    def bounding(self, feature: gtx.Dimension, variables: tuple[Variable, ...]) -> tuple[Any, ...]:
        """What `shapes.bounding_type` says."""
        choices = self.choices(feature, variables)
        none = np.where(sum(choice.sum(axis=1) for choice in choices.values()) > 0.0, 0.0, np.inf)
        fields = [self.matrix(contraction(source, feature), choice) for source, choice in choices.items()]
        return (*fields, self.vector(feature, none))

    def is_heated(self) -> np.ndarray:
        """(n_state,) 1 where a state variable changes by its heat, else 0."""
        return np.array([float(variable.changes_by_heat) for variable in self.model.state])

    def soil_heat(self) -> dict[str, Any]:
        """What decides the heat of those state variables that change by it (`stencils.soil_heat`), by name."""
        model = self.model
        is_heated = self.is_heated()
        shift, scale = (
            np.array([getattr(variable.normalisation, name) for variable in model.state]) for name in ("shift", "scale")
        )
        half_melted = 0.5 * (soil_heat.FROZEN_BELOW + soil_heat.LIQUID_ABOVE)
        middle = np.where(is_heated > 0.0, (half_melted - shift) / scale, 0.0)
        spacing = np.where(is_heated > 0.0, soil_heat.PART_WIDTH / scale, 1.0)
        latent_scale = is_heated * soil_heat.WATER_DENSITY * soil_heat.FUSION_HEAT / scale
        self.broadcast(StateFeature, len(model.state))
        rows = np.eye(len(model.static))[soil_heat.property_positions([variable.name for variable in model.static])]
        return {
            LATENT_SCALE: self.vector(StateFeature, latent_scale),
            NODES: (self.vector(StateFeature, middle), self.vector(StateFeature, spacing)),
            IS_HEATED: self.vector(StateFeature, is_heated),
        } | {
            property_choice(name): self.matrix(contraction(StaticFeature, Moment), np.tile(row, (N_MOMENTS, 1)))
            for name, row in zip(HEAT_PROPERTIES, rows, strict=True)
        }

    def property_choices(self) -> dict[str, np.ndarray]:
        """Soil property -> matrix (state, static) of 1 where it decides the heat of a state variable, else 0."""
        positions = soil_heat.property_positions([variable.name for variable in self.model.static])
        return {
            name: np.outer(self.is_heated(), np.arange(len(self.model.static)) == position)
            for name, position in zip(HEAT_PROPERTIES, positions, strict=True)
        }


def step_operands(model: Model, dtype: np.dtype, device: arrays.Device) -> StepOperands:
    """The operands of a model's step in one precision on one device.

    Raises:
        RunError: the device cannot be used.
    """
    builder = OperandBuilder(model, dtype, device)
    by_name = builder.by_name
    by_name |= {
        "scaling_static": builder.scaling(StaticFeature, model.static),
        "scaling_forcing": builder.scaling(ForcingFeature, model.forcing),
        "scaling_state": builder.scaling(StateFeature, model.state),
        "finishing_new_state": builder.finishing(StateFeature, model.state),
        "finishing_diagnostics": builder.finishing(DiagnosticFeature, model.diagnostics),
    }
    shape = network_shape(model)
    for group, (feature, variables) in results_of(model).items():
        if group in shape.bounded_by_others:
            by_name[f"bounding_{group}"] = builder.bounding(feature, variables)
    if shape.soil_heat:
        by_name |= builder.soil_heat()
    for block, k, dense in shape.contractions:
        by_name[f"operands_{block}_{k}"] = builder.layer(block, k, dense)
    if model.architecture == "two_branch":
        # The layer where the branches meet is split: its static share is computed apart (`stencils.step`).
        (of_static, of_dynamic), bias = by_name["operands_combine_0"]
        by_name |= {"operands_static_part": (of_static, bias), "operands_combine_0": of_dynamic}
    return builder.operands()


def adjoint_operands(model: Model, step: StepOperands, dtype: np.dtype, device: arrays.Device) -> StepOperands:
    """The operands of a model's adjoint: those of the step, and all weights and choices transposed.

    Raises:
        RunError: the device cannot be used.
    """
    builder = OperandBuilder(model, dtype, device, step)
    shape = network_shape(model)
    for group, (feature, variables) in results_of(model).items():
        if group in shape.bounded_by_others:
            for source, choice in builder.choices(feature, variables).items():
                field = builder.matrix(contraction(feature, source), choice.T)
                builder.by_name[f"transposed_bounding_{group}_{source.value}"] = field
    if shape.soil_heat:
        for name, choice in builder.property_choices().items():
            field = builder.matrix(contraction(StateFeature, StaticFeature), choice.T)
            builder.by_name[f"transposed_{property_choice(name)}"] = field
    for block, k, dense in shape.contractions:
        parts = builder.parts(dense, builder.values(block, k)["weight"])
        for position, (one, part) in enumerate(zip(dense, parts, strict=True)):
            builder.by_name[transposed(block, k, position)] = builder.matrix(
                contraction(one.target, one.source), part.T
            )
    return builder.operands()


def results_of(model: Model) -> dict[str, tuple[gtx.Dimension, tuple[Variable, ...]]]:
    """Feature dimension and variables of each group of results."""
    return {"new_state": (StateFeature, model.state), "diagnostics": (DiagnosticFeature, model.diagnostics)}
