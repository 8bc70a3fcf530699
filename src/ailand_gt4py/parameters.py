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

from ailand_gt4py import arrays
from ailand_gt4py.dimensions import (
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
from ailand_gt4py.stencils.shapes import NetworkShape
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
    return NetworkShape(model.architecture, depths, logarithmic, bounded)


@dataclasses.dataclass(frozen=True)
class StepOperands:
    """The numbers and tables that the step's programs take beside inputs, results and buffers.

    Attributes:
        by_name: the arguments that `stencils.step.ProgramDescription.operands` lists.
        offset_provider: connectivity tables by offset name.
        complete_tables: names of the tables that are complete, so that reductions over them are matrix products.
        broadcast_tables: names of the tables that point to statistics of a row, which are all alike.
    """

    by_name: Mapping[str, Any]
    offset_provider: Mapping[str, gtx.Connectivity]
    complete_tables: tuple[str, ...]
    broadcast_tables: tuple[str, ...]


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


class _Builder:
    """Makes fields of one type on one device and remembers the tables that they need."""

    def __init__(self, model: Model, dtype: np.dtype, device: arrays.Device) -> None:
        self.model = model
        self.dtype = dtype
        self.xp = arrays.array_module(device)
        self.offset_provider: dict[str, gtx.Connectivity] = {}
        self.complete_tables: list[str] = []
        self.broadcast_tables: list[str] = []

    def vector(self, feature: gtx.Dimension, values: np.ndarray) -> gtx.Field:
        return arrays.wrap(self.xp.asarray(np.asarray(values, dtype=self.dtype)), (feature,), feature.value)

    def matrix(self, dense: Contraction, values: np.ndarray) -> gtx.Field:
        n_target, n_source = values.shape
        if dense.name not in self.offset_provider:
            table = dense.connectivity(n_source, n_target, self.xp)
            self.offset_provider[dense.name] = table
            self.complete_tables.append(dense.name)
        return arrays.wrap(self._side_by_side(values), (dense.target, dense.local), dense.name)

    def _side_by_side(self, values: np.ndarray) -> arrays.Array:
        """Weights (target, source) in memory as (source, target): matrix kernels read those of many targets at once.

        Rows are padded to whole vectors, and by some more: a stride that is a power of two crowds in few cache sets.
        """
        n_target, n_source = values.shape
        padded = -(-n_target // _WEIGHT_PADDING) * _WEIGHT_PADDING + _WEIGHT_PADDING
        array = arrays.aligned_zeros(self.xp, (n_source, padded), self.dtype)
        array[:, :n_target] = self.xp.asarray(np.asarray(values.T, dtype=self.dtype))
        return array[:, :n_target].T

    def linear(self, dense: tuple[Contraction, ...], weight: np.ndarray, bias: np.ndarray) -> tuple[Any, ...]:
        """(weight, bias), or ((weight of each input, ...), bias)."""
        sizes = (
            [feature_extent(self.model, contraction.source) for contraction in dense]
            if len(dense) > 1
            else [weight.shape[1]]
        )
        parts = np.split(weight, np.cumsum(sizes)[:-1], axis=1)
        fields = tuple(self.matrix(contraction, part) for contraction, part in zip(dense, parts, strict=True))
        return (fields if len(fields) > 1 else fields[0], self.vector(dense[0].target, bias))

    def layer(self, block: str, k: int, dense: tuple[Contraction, ...]) -> tuple[Any, ...]:
        """Operands of layer ``k`` of a block, layer-normalised if the model has a gain for it."""
        values = {
            kind: self.model.parameters[f"{block}.{k}.{kind}"].astype(np.float64)
            for kind in ("weight", "bias", "gain", "offset")
            if f"{block}.{k}.{kind}" in self.model.parameters
        }
        if "gain" not in values:
            return self.linear(dense, values["weight"], values["bias"])
        units = dense[0].target
        n_units = len(values["bias"])
        # mean over the units of (weight x + bias) = (mean weight) x + mean bias, for every x
        linear = self.linear(
            dense, values["weight"] - values["weight"].mean(axis=0), values["bias"] - values["bias"].mean()
        )
        table = broadcast_offset(units).value
        self.offset_provider[table] = broadcast_connectivity(units, n_units, self.xp)
        self.broadcast_tables.append(table)
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

    def bounding(self, feature: gtx.Dimension, variables: tuple[Variable, ...]) -> tuple[Any, ...]:
        """What `shapes.bounding_type` says."""
        sources = {StaticFeature: self.model.static, ForcingFeature: self.model.forcing, feature: variables}
        choices = [
            np.array([[float(variable.bounded_by == one.name) for one in group] for variable in variables])
            for group in sources.values()
        ]
        none = np.where(sum(choice.sum(axis=1) for choice in choices) > 0.0, 0.0, np.inf)
        fields = [
            self.matrix(contraction(source, feature), choice) for source, choice in zip(sources, choices, strict=True)
        ]
        return (*fields, self.vector(feature, none))


def step_operands(model: Model, dtype: np.dtype, device: arrays.Device) -> StepOperands:
    """The operands of a model's step in one precision on one device.

    Raises:
        RunError: the device cannot be used.
    """
    builder = _Builder(model, dtype, device)
    by_name: dict[str, Any] = {
        "scaling_static": builder.scaling(StaticFeature, model.static),
        "scaling_forcing": builder.scaling(ForcingFeature, model.forcing),
        "scaling_state": builder.scaling(StateFeature, model.state),
        "finishing_new_state": builder.finishing(StateFeature, model.state),
        "finishing_diagnostics": builder.finishing(DiagnosticFeature, model.diagnostics),
    }
    shape = network_shape(model)
    results = {"new_state": (StateFeature, model.state), "diagnostics": (DiagnosticFeature, model.diagnostics)}
    for group in shape.bounded_by_others:
        by_name[f"bounding_{group}"] = builder.bounding(*results[group])
    for block, k, dense in shape.contractions:
        by_name[f"operands_{block}_{k}"] = builder.layer(block, k, dense)
    if model.architecture == "two_branch":
        # The layer where the branches meet is split: its static share is computed apart (`stencils.step`).
        (of_static, of_dynamic), bias = by_name["operands_combine_0"]
        by_name |= {"operands_static_part": (of_static, bias), "operands_combine_0": of_dynamic}
    return StepOperands(
        by_name, builder.offset_provider, tuple(builder.complete_tables), tuple(builder.broadcast_tables)
    )
