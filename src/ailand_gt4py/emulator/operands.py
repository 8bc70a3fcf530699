"""The operands of a model's programs: its parameters and scalings as fields on the emulator's device.

Prepared once, when a model is loaded: weights are split by input, the mean is taken out of layers that are normalised
afterwards, and all is rounded once from float64 to the emulator's precision. Weights of point-wise networks,
which may be large, stay as the model has them, so that they are in memory once; there the step takes the mean out.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, NamedTuple

import gt4py.next as gtx
import numpy as np
from gt4py.next import common as gtx_common

from ailand_gt4py.core import arrays
from ailand_gt4py.core.constants import FUSION_HEAT
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
from ailand_gt4py.core.matrices import for_products, packed
from ailand_gt4py.core.types import Values
from ailand_gt4py.ecland import soil_heat, soil_water
from ailand_gt4py.emulator.stages import merged_kinds, stage_numbers
from ailand_gt4py.lowering.columns.fields import Tables
from ailand_gt4py.stencils.network.shapes import INPUTS, RESULTS, NetworkShape, PointWiseShape
from ailand_gt4py.stencils.network.step import (
    HEAT_PROPERTIES,
    IS_HEATED,
    LATENT_SCALE,
    LAYERS,
    NODES,
    THAWED,
    property_choice,
)
from ailand_gt4py.weights import architectures
from ailand_gt4py.weights.model import Model, Variable

#: A field, or a nested tuple of fields (`ailand_gt4py.stencils.network.shapes`).
Operand = Any


def network_shape(model: Model) -> NetworkShape:
    """Architecture and depths of a model."""
    depths = tuple(
        (block, architectures.layer_count(model.parameters, block))
        for block in architectures.find(model.architecture).blocks
    )
    return NetworkShape(
        model.architecture,
        depths,
        logarithmic_forcing=any(variable.normalisation.is_logarithmic for variable in model.forcing),
        bounded_by_others=tuple(name for name, group in results_of(model).items() if any(v.bounded_by for v in group)),
        soil_heat=any(variable.changes_by_heat for variable in model.state),
        soil_water=any(variable.held_by_frost for variable in model.state),
        point_wise=_point_wise_shape(model),
    )


def _point_wise_shape(model: Model) -> PointWiseShape | None:
    """What is special of a point-wise network; None of another."""
    if model.point_wise is None:
        return None
    channels = len(model.parameters["encoder.0.bias"])
    depth = architectures.layer_count(model.parameters, "processor")
    widths = [len(model.parameters[f"processor.{k}.bias"]) for k in range(depth)]
    return PointWiseShape(
        model.point_wise,
        tuple(-1 if width == channels else widths.index(width) for width in widths),
        tuple((group, merged_kinds(variables)) for group, variables in groups_of_variables(model).items() if variables),
        tuple((kind, group, total_group) for kind, group, total_group, _ in bounding_stages(model)),
        model.n_prognostic < len(model.state) or any(one.is_imputed for one in model.state),
    )


def results_of(model: Model) -> dict[str, tuple[Variable, ...]]:
    """The variables of each group of results."""
    return {"new_state": model.state, "diagnostics": model.diagnostics}


def groups_of_variables(model: Model) -> dict[str, tuple[Variable, ...]]:
    """The variables of each group of inputs, and the diagnostics."""
    return dict(
        zip((*INPUTS, "diagnostics"), (model.static, model.forcing, model.state, model.diagnostics), strict=True)
    )


class BoundingStage(NamedTuple):
    """What one statement of boundings does: by kind, ``clip`` or ``leaky`` with (lower, upper, slope) of each variable,
    ``fraction`` with (choice of the total, whether there is one)."""

    kind: str
    group: str
    total_group: str
    values: tuple[Values, ...]


def bounding_stages(model: Model) -> list[BoundingStage]:
    """The boundings of a model, those of each group of results apart."""
    names = {group: [one.name for one in variables] for group, variables in results_of(model).items()}
    stages: list[BoundingStage] = []
    for bounding in model.boundings:
        kind = "leaky" if bounding.slope else "clip"
        groups = [group for group, known in names.items() if not set(known).isdisjoint(bounding.variables)]
        for group in groups:
            lower, upper, slope = np.array([(-np.inf, np.inf, 0.0)] * len(names[group])).T.copy()
            for name, low, high in zip(bounding.variables, bounding.lower, bounding.upper, strict=True):
                if name in names[group]:
                    position = names[group].index(name)
                    lower[position], upper[position], slope[position] = low, high, bounding.slope
            values = (lower, upper, slope) if bounding.slope else (lower, upper)
            stages.append(BoundingStage(kind, group, "", values))
        total_group = next((group for group, known in names.items() if bounding.total in known), "")
        for group in groups if bounding.total else []:
            is_fraction = np.array([float(name in bounding.variables) for name in names[group]])
            is_total = np.array([float(name == bounding.total) for name in names[total_group]])
            stages.append(BoundingStage("fraction", group, total_group, (np.outer(is_fraction, is_total), is_fraction)))
    return stages


def feature_extent(model: Model, feature: gtx.Dimension) -> int:
    """Number of features along a dimension: of an input, an output, or a layer's units."""
    known = dict(zip((*INPUTS.values(), DiagnosticFeature), model.sizes, strict=True))
    if feature in known:
        return known[feature]
    block = feature.value.removeprefix("Units_").rstrip("0123456789")
    layer = feature.value.removeprefix(f"Units_{block}")
    return len(model.parameters[f"{block}.{layer}.bias"])


class Operands:
    """What programs of one model take beside inputs, results and buffers.

    Attributes:
        shape: of the model's network.
        by_name: the arguments that `stencils.network.step.ProgramDescription.operands` lists.
        offset_provider: connectivity tables by offset name.
        extents: numbers of features of those dimensions that are not the model's own (`feature_extent`).
        are_packed: the weights of layers are in bfloat16 (`core.matrices.packed`), on the CPU.
    """

    def __init__(self, model: Model, dtype: np.dtype, device: arrays.Device, are_packed: bool = False) -> None:
        self.model, self.dtype, self.shape = model, dtype, network_shape(model)
        self.by_name: dict[str, Operand] = {}
        self.offset_provider: dict[str, gtx.Connectivity] = {}
        self.extents: dict[gtx.Dimension, int] = {}
        self._xp, self._are_packed = arrays.array_module(device), are_packed

    @property
    def complete_tables(self) -> tuple[str, ...]:
        """Names of the tables that are complete, so that reductions over them are matrix products."""
        return tuple(name for name, table in self.offset_provider.items() if table.codomain != Moment)

    @property
    def broadcast_tables(self) -> tuple[str, ...]:
        """Names of the tables that point to statistics of a row, which are all alike."""
        return tuple(name for name, table in self.offset_provider.items() if table.codomain == Moment)

    @property
    def tables(self) -> Tables:
        """All tables, as a program is read with them."""
        types = gtx_common.offset_provider_to_type(dict(self.offset_provider))
        return Tables(frozenset(self.complete_tables), frozenset(self.broadcast_tables), types)

    @property
    def table_types(self) -> tuple[tuple[str, Any], ...]:
        """Of all tables, which are part of the type of a program."""
        return tuple(self.tables.types.items())

    def extended(self, extents: Mapping[gtx.Dimension, int] | None = None) -> Operands:
        """The same, to which others are added for another program, and extents of its dimensions."""
        other = copy.copy(self)
        other.by_name, other.offset_provider = dict(self.by_name), dict(self.offset_provider)
        other.extents = {**self.extents, **(extents or {})}
        return other

    # --- fields and tables ---

    def field(self, values: Values | list[float], *axes: gtx.Dimension) -> gtx.Field:
        """The same in every column: a scalar for each feature, or for each direction and feature."""
        array = self._xp.asarray(np.array(values, dtype=self.dtype, order="C"))
        return arrays.wrap(array, axes, " of ".join(axis.value for axis in axes))

    def matrix(
        self, source: gtx.Dimension, target: gtx.Dimension, values: Values, is_packed: bool = False
    ) -> gtx.Field:
        """Weights (target, source), those of the model itself where they lie in memory as is needed."""
        dense, (n_target, n_source) = contraction(source, target), values.shape
        if dense.name not in self.offset_provider:
            self.offset_provider[dense.name] = dense.connectivity(n_source, n_target, self._xp)
        weights = packed(values) if is_packed else self._weights(values)
        return arrays.wrap(weights, (target, dense.local), dense.name)

    def constant(self, values: Values, axes: tuple[gtx.Dimension, ...]) -> gtx.Field:
        """What a derivative needs of other operands: in memory as the weights that `matrix` makes."""
        if values.ndim == 1:
            return self.field(values, *axes)
        return arrays.wrap(self._weights(values), axes, axes[0].value)

    def _weights(self, values: Values) -> arrays.Array:
        return for_products(values, self.dtype, self._xp)

    def broadcast(self, units: gtx.Dimension, n_units: int) -> None:
        """Make the table that gives every unit the statistics of its row."""
        name = broadcast_offset(units).value
        if name not in self.offset_provider:
            self.offset_provider[name] = broadcast_connectivity(units, n_units, self._xp)

    # --- operands of the step ---

    def layer(self, block: str, k: int, dense: tuple[Contraction, ...]) -> Operand:
        """Operands of layer ``k`` of a block, layer-normalised if the model has a gain for it."""
        parameters = self.model.parameters
        names = {kind: f"{block}.{k}.{kind}" for kind in ("weight", "bias", "gain", "offset")}
        values = {kind: parameters[name] for kind, name in names.items() if name in parameters}
        if "gain" in values and self.shape.point_wise is None:
            # mean over the units of (weight x + bias) = (mean weight) x + mean bias, for every x
            values = {kind: array.astype(np.float64) for kind, array in values.items()}
            values["weight"] -= values["weight"].mean(axis=0)
            values["bias"] -= values["bias"].mean()
        units = dense[0].target
        ends = np.cumsum([feature_extent(self.model, one.source) for one in dense[:-1]], dtype=int)
        parts = zip(dense, np.split(values["weight"], ends, axis=1), strict=True)
        weights = tuple(self.matrix(one.source, units, part, self._are_packed) for one, part in parts)
        linear = (weights if len(weights) > 1 else weights[0], self.field(values["bias"], units))
        if "gain" not in values:
            return linear
        n_units = len(values["bias"])
        self.broadcast(units, n_units)
        averaging = self._averaging(units, n_units)
        return (linear, self.field(values["gain"], units), self.field(values["offset"], units), averaging)

    def scaling(self, feature: gtx.Dimension, variables: tuple[Variable, ...]) -> tuple[gtx.Field, ...]:
        """(shift, scale) of the normalisation; where logarithms are taken, also their shares and floors."""
        methods = [variable.normalisation for variable in variables]
        vectors = [[method.shift for method in methods], [method.scale for method in methods]]
        if any(method.is_logarithmic for method in methods):
            shares = [float(method.is_logarithmic) for method in methods]
            floors = [method.minimum if method.is_logarithmic else 1.0 for method in methods]
            vectors += [[1.0 - share for share in shares], shares, floors]
        return tuple(self.field(values, feature) for values in vectors)

    def finishing(self, feature: gtx.Dimension, variables: tuple[Variable, ...]) -> tuple[gtx.Field, ...]:
        """(shift, scale, lower bound, upper bound)."""
        bounds = ([variable.lower_bound for variable in variables], [variable.upper_bound for variable in variables])
        return (*self.scaling(feature, variables), *(self.field(bound, feature) for bound in bounds))

    def bounding(self, feature: gtx.Dimension, variables: tuple[Variable, ...]) -> tuple[gtx.Field, ...]:
        """What `shapes.bounding_type` says."""
        sources = {StaticFeature: self.model.static, ForcingFeature: self.model.forcing, feature: variables}
        choices = {
            source: np.array([[float(variable.bounded_by == one.name) for one in group] for variable in variables])
            for source, group in sources.items()
        }
        none = np.where(sum(choice.sum(axis=1) for choice in choices.values()) > 0.0, 0.0, np.inf)
        return (*(self.matrix(source, feature, one) for source, one in choices.items()), self.field(none, feature))

    def soil_heat(self) -> dict[str, Operand]:
        """What decides the heat of those state variables that change by it (`stencils.physics.soil_heat`), by name."""
        is_heated = np.array([float(variable.changes_by_heat) for variable in self.model.state])
        shift, scale = np.array([(one.normalisation.shift, one.normalisation.scale) for one in self.model.state]).T
        half_melted = 0.5 * (soil_heat.FROZEN_BELOW + soil_heat.LIQUID_ABOVE)
        middle = np.where(is_heated > 0.0, (half_melted - shift) / scale, 0.0)
        spacing = np.where(is_heated > 0.0, soil_heat.PART_WIDTH / scale, 1.0)
        latent_scale = is_heated * soil_heat.WATER_DENSITY * FUSION_HEAT / scale
        self.broadcast(StateFeature, len(self.model.state))
        positions = soil_heat.property_positions([variable.name for variable in self.model.static])
        rows = np.eye(len(self.model.static))[positions]
        return {
            LATENT_SCALE: self.field(latent_scale, StateFeature),
            NODES: (self.field(middle, StateFeature), self.field(spacing, StateFeature)),
            IS_HEATED: self.field(is_heated, StateFeature),
        } | {
            property_choice(name): self.matrix(StaticFeature, Moment, np.tile(row, (N_MOMENTS, 1)))
            for name, row in zip(HEAT_PROPERTIES, rows, strict=True)
        }

    def soil_water(self) -> dict[str, Operand]:
        """What tells of frost (`stencils.physics.soil_water`), by name."""
        state = self.model.state
        shift, scale = np.array([(one.normalisation.shift, one.normalisation.scale) for one in state]).T
        is_held = [one.held_by_frost for one in state]
        choices = soil_water.temperature_choices([one.name for one in state], is_held)
        thawed = soil_water.thawed([one.changes_by_heat for one in state], shift, scale)
        is_free = 1.0 - np.array(is_held, dtype=float)
        return {
            THAWED: tuple(self.field(one, StateFeature) for one in thawed),
            LAYERS: (
                *(self.matrix(StateFeature, StateFeature, choice) for choice in choices),
                self.field(is_free, StateFeature),
            ),
        }

    # --- of point-wise networks ---

    def point_wise(self) -> dict[str, Operand]:
        """All that the step takes (`stencils.network.point_wise`), by name."""
        model, shape = self.model, self.shape.point_wise
        assert shape is not None
        channels, sizes = shape.channels, model.sizes
        by_name: dict[str, Operand] = {
            f"stage_{group}_{k}": tuple(self.field(one, feature) for one in numbers)
            for (group, variables), feature in zip(
                groups_of_variables(model).items(), (*INPUTS.values(), DiagnosticFeature), strict=True
            )
            for k, numbers in enumerate(stage_numbers(dict(shape.stages).get(group, ()), variables))
        }
        for group, variables in results_of(model).items():
            bounds = ([one.lower_bound for one in variables], [one.upper_bound for one in variables])
            by_name[f"bounds_{group}"] = tuple(self.field(one, RESULTS[group]) for one in bounds)
        for k, stage in enumerate(bounding_stages(model)):
            by_name[f"bounding_{k}"] = self._bounding_stage(stage)
        by_name["operands_encoder_0"] = self.layer(
            "encoder", 0, tuple(contraction(feature, channels) for feature in INPUTS.values())
        )
        for k in range(len(shape.hidden)):
            by_name[f"operands_processor_{k}"] = self.layer("processor", k, (contraction(channels, shape.units(k)),))
            if shape.units(k) != channels:
                weight, bias = (model.parameters[f"processor.{k}.{kind}_out"] for kind in ("weight", "bias"))
                by_name[f"operands_processor_{k}_out"] = (
                    self.matrix(shape.units(k), channels, weight, self._are_packed), self.field(bias, channels)
                )  # fmt: skip
        weight, bias = (model.parameters[f"decoder.0.{kind}"] for kind in ("weight", "bias"))
        n_new, n_channels = model.n_prognostic, weight.shape[1]
        # Rows of nothing for the state of earlier times, which is copied.
        of_state = np.zeros((sizes.state, n_channels), weight.dtype), np.zeros(sizes.state, bias.dtype)
        of_state[0][:n_new], of_state[1][:n_new] = weight[:n_new], bias[:n_new]
        for name, feature, (rows, numbers) in (
            ("state", StateFeature, of_state),
            ("diagnostics", DiagnosticFeature, (weight[n_new:], bias[n_new:])),
        ):
            by_name[f"operands_decoder_{name}"] = (
                self.matrix(channels, feature, rows, self._are_packed), self.field(numbers, feature)
            )  # fmt: skip
        self.broadcast(channels, n_channels)
        gain, offset = (self.field(model.parameters[f"decoder.0.{kind}"], channels) for kind in ("gain", "offset"))
        by_name["normalisation_decoder"] = (gain, offset, self._averaging(channels, n_channels))
        return by_name | (self._kept_state() if shape.keeps_state else {})

    def _bounding_stage(self, stage: BoundingStage) -> Operand:
        feature = RESULTS[stage.group]
        if stage.kind != "fraction":
            return tuple(self.field(one, feature) for one in stage.values)
        choice, is_fraction = stage.values
        return self.matrix(RESULTS[stage.total_group], feature, choice), self.field(is_fraction, feature)

    def _averaging(self, units: gtx.Dimension, n_units: int) -> gtx.Field:
        return self.matrix(units, Moment, np.full((N_MOMENTS, n_units), 1.0 / n_units))

    def _kept_state(self) -> dict[str, Operand]:
        """What the new state takes of the state that goes in: a value by its newer one, whether that is missing, and
        of an imputed one whether its oldest is missing."""
        state, n_new = self.model.state, self.model.n_prognostic
        copied = np.eye(len(state), k=-n_new)
        missing = copied.copy()
        for position, variable in enumerate(state[:n_new]):
            missing[position, len(state) - n_new + position] = float(variable.is_imputed)
        return {
            "choice_copied": self.matrix(StateFeature, StateFeature, copied),
            "choice_missing": self.matrix(StateFeature, StateFeature, missing),
            "is_kept": self.field(copied.sum(axis=1), StateFeature),
            "missing": self.field(np.full(len(state), np.nan), StateFeature),
        }


def step_operands(model: Model, dtype: np.dtype, device: arrays.Device, are_packed: bool = False) -> Operands:
    """The operands of a model's step in one precision on one device; ``are_packed``: see `Operands`."""
    operands = Operands(model, dtype, device, are_packed)
    by_name, shape = operands.by_name, operands.shape
    if shape.point_wise is not None:
        by_name |= operands.point_wise()
        return operands
    for (group, feature), variables in zip(INPUTS.items(), (model.static, model.forcing, model.state), strict=True):
        by_name[f"scaling_{group}"] = operands.scaling(feature, variables)
    for group, variables in results_of(model).items():
        by_name[f"finishing_{group}"] = operands.finishing(RESULTS[group], variables)
        if group in shape.bounded_by_others:
            by_name[f"bounding_{group}"] = operands.bounding(RESULTS[group], variables)
    if shape.soil_heat:
        by_name |= operands.soil_heat()
    if shape.soil_water:
        by_name |= operands.soil_water()
    for block, k, dense in shape.contractions:
        by_name[f"operands_{block}_{k}"] = operands.layer(block, k, dense)
    if model.architecture == "two_branch":
        # The layer where the branches meet is split: its static share is computed apart (`stencils.network.step`).
        (of_static, of_dynamic), bias = by_name["operands_combine_0"]
        by_name |= {"operands_static_part": (of_static, bias), "operands_combine_0": of_dynamic}
    return operands
