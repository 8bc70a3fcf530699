"""The step of anemoi's point-wise networks as statements (see `ailand_gt4py.weights.architectures`).

Inputs go through their stages, the network, and back through the stages of the results, after boundings in the
network's space. State variables of earlier times are copied from the state that goes in; of a variable whose missing
values are imputed, the result is missing where the oldest value is. What is copied is chosen by matrix products, since
GT4Py cannot index one feature by another: of finite numbers, with missing ones marked by 1. A product with 1 and zeros
is exact, also where a GPU rounds the factors of products to 8 bits: numbers of 24 bits are chosen in three parts.
"""

import gt4py.next as gtx
import numpy as np
from gt4py.next import astype, where

from ailand_gt4py.core.dimensions import Moment, StateFeature, broadcast_offset
from ailand_gt4py.stencils.fields import Dimensions, columns, contract, matrix, vector
from ailand_gt4py.stencils.instances import Function, Type, field_operators, written
from ailand_gt4py.stencils.network.activations import layer_norm
from ailand_gt4py.stencils.network.description import Statements
from ailand_gt4py.stencils.network.layers import increment, linear
from ailand_gt4py.stencils.network.shapes import (
    INPUTS,
    KNOWN_STATE,
    RESULTS,
    PointWiseShape,
    linear_type,
    normalised_type,
)
from ailand_gt4py.stencils.network.smooth_activations import SMOOTH
from ailand_gt4py.stencils.network.stages import STAGES, keep_in_range, stage_type


@field_operators
def hidden_layer(
    source: gtx.Dimension,
    target: gtx.Dimension,
    epsilon: float,
    activation: str,
    parameters: tuple[float, ...],
    dtype: type,
) -> Function:
    """Linear, layer normalisation, activation."""
    called = [linear((source,), target, dtype), centred_layer_norm(target, epsilon, dtype)]
    normalisation = "(operands[1], operands[2], operands[3])"
    expression = f"{called[1].__name__}({called[0].__name__}(x, operands[0]), {normalisation})"
    factory = SMOOTH[activation]
    if factory is not None:
        called.append(factory(target, *parameters, dtype))
        expression = f"{called[2].__name__}({expression})"
    arguments = {"x": columns(source, dtype), "operands": normalised_type((source,), target, dtype)}
    return written(arguments, columns(target, dtype), expression, called)


def normalisation_type(units: gtx.Dimension, dtype: type) -> Type:
    """Type of (gain, offset, averaging)."""
    return tuple[(vector(units, dtype), vector(units, dtype), matrix(units, Moment, dtype))]  # type: ignore[misc]


@field_operators
def centred_layer_norm(units: gtx.Dimension, epsilon: float, dtype: type) -> Function:
    """Layer normalisation of what may have any mean."""
    mean, normalised = contract(units, Moment, dtype), layer_norm(units, epsilon, dtype)
    to_units = broadcast_offset(units)

    def apply(x: columns(units, dtype), operands: normalisation_type(units, dtype)) -> columns(units, dtype):
        average = mean(x, operands[2])
        centred = x - average(to_units[0])
        return normalised(centred, operands[0], operands[1], operands[2])

    return apply


@field_operators
def sum_of_both(units: gtx.Dimension, dtype: type) -> Function:
    """One and another."""

    def apply(x: columns(units, dtype), y: columns(units, dtype)) -> columns(units, dtype):
        return x + y

    return apply


@field_operators
def choose(source: gtx.Dimension, target: gtx.Dimension, dtype: type) -> Function:
    """Some of the features, to the last bit; operands: a matrix of 1 and zeros."""
    product = contract(source, target, dtype)
    # The sum with this multiple, which is exact, has lost all but 8 bits.
    multiple = dtype(65536.0)

    def apply(x: columns(source, dtype), choice: matrix(source, target, dtype)) -> columns(target, dtype):
        return product(x, choice)

    def apply_in_parts(x: columns(source, dtype), choice: matrix(source, target, dtype)) -> columns(target, dtype):
        high = (multiple * x + x) - multiple * x
        rest = x - high
        middle = (multiple * rest + rest) - multiple * rest
        return product(high, choice) + product(middle, choice) + product(rest - middle, choice)

    return apply_in_parts if dtype is np.float32 else apply


@field_operators
def bound_leakily(feature: gtx.Dimension, dtype: type) -> Function:
    """A value between its bounds; outside, bound + slope * (value - bound); operands (lower, upper, slope)."""
    bound = keep_in_range(feature, dtype)

    def apply(v: columns(feature, dtype), bounds: bounds_type(feature, dtype)) -> columns(feature, dtype):
        bounded = bound(v, (bounds[0], bounds[1]))
        return bounded + bounds[2] * (v - bounded)

    return apply


@field_operators
def fraction_of_total(feature: gtx.Dimension, source: gtx.Dimension, dtype: type) -> Function:
    """A value times a total, which is one of the source's, for those that have one; operands (choice, whether)."""
    half = dtype(0.5)
    of_source = choose(source, feature, dtype)

    def apply(
        v: columns(feature, dtype), results: columns(source, dtype), choice: fraction_type(feature, source, dtype)
    ) -> columns(feature, dtype):
        return where(choice[1] > half, v * of_source(results, choice[0]), v)

    return apply


def bounds_type(feature: gtx.Dimension, dtype: type) -> Type:
    """Type of (lower, upper, slope)."""
    return tuple[(vector(feature, dtype),) * 3]  # type: ignore[misc]


def fraction_type(feature: gtx.Dimension, source: gtx.Dimension, dtype: type) -> Type:
    """Type of (choice of the total, whether there is one)."""
    return tuple[(matrix(source, feature, dtype), vector(feature, dtype))]  # type: ignore[misc]


@field_operators
def known_values(feature: gtx.Dimension, dtype: type) -> Function:
    """Values, 0 for those that are missing."""
    zero = dtype(0.0)

    def apply(x: columns(feature, dtype)) -> columns(feature, dtype):
        return where(x == x, x, zero)

    return apply


@field_operators
def missing_values(feature: gtx.Dimension, dtype: type) -> Function:
    """1 for values that are missing, 0 for others."""

    def apply(x: columns(feature, dtype)) -> columns(feature, dtype):
        return astype(x != x, dtype)

    return apply


@field_operators
def kept_or_made(feature: gtx.Dimension, dtype: type) -> Function:
    """What was copied where that is kept, else what the network made; 0 where it is missing."""
    zero, half = dtype(0.0), dtype(0.5)

    def apply(
        made: columns(feature, dtype),
        copied: columns(feature, dtype),
        is_missing: columns(feature, dtype),
        is_kept: vector(feature, dtype),
    ) -> columns(feature, dtype):
        return where(is_missing > half, zero, where(is_kept > half, copied, made))

    return apply


@field_operators
def mark_missing(feature: gtx.Dimension, dtype: type) -> Function:
    """NaN, which is given, where a value is missing."""
    half = dtype(0.5)

    def apply(
        known: columns(feature, dtype), is_missing: columns(feature, dtype), missing: vector(feature, dtype)
    ) -> columns(feature, dtype):
        return where(is_missing > half, missing, known)

    return apply


def add_point_wise_step(step: Statements) -> None:
    """Append the whole step to a program."""
    assert step.shape.point_wise is not None
    _Step(step, step.shape.point_wise).add()


class _Step:
    """Appends the statements of one step."""

    def __init__(self, statements: Statements, shape: PointWiseShape) -> None:
        self._step, self._shape, self._dtype = statements, shape, statements.dtype
        self._stages = dict(shape.stages)

    def add(self) -> None:
        inputs = tuple(self._to_network(group) for group in INPUTS)
        units = self._encoded(inputs)
        normalised = self._decoded(self._processed(units), units)
        bounded = self._bounded(normalised)
        made = "work_made_state" if self._shape.keeps_state else "new_state"
        self._physical("state", "new_state", bounded["new_state"], made)
        if self._shape.keeps_state:
            self._keep_state(made)
        if "diagnostics" in bounded:
            self._physical("diagnostics", "diagnostics", bounded["diagnostics"], "diagnostics")

    # --- between physical values and the network's ---

    def _stage_operand(self, group: str, position: int, kind: str, feature: gtx.Dimension) -> str:
        return self._step.operand(f"stage_{group}_{position}", stage_type(kind, feature, self._dtype))

    def _to_network(self, group: str) -> str:
        """An input in the network's space."""
        name, feature = f"{group}_input", INPUTS[group]
        stages = [(k, kind) for k, kind in enumerate(self._stages[group]) if STAGES[kind].apply is not None]
        for k, kind in stages:
            factory, operand = STAGES[kind].apply, self._stage_operand(group, k, kind, feature)
            assert factory is not None
            out = f"normalised_{group}" if (k, kind) == stages[-1] else f"work_{group}_{k}"
            name = self._step.append(factory(feature, self._dtype), (name, operand), out, feature)
        return name

    def _physical(self, group: str, results: str, normalised: str, out: str) -> None:
        """Results in physical units, between the variables' own bounds."""
        name, feature = normalised, RESULTS[results]
        for k, kind in reversed(list(enumerate(self._stages[group]))):
            factory = STAGES[kind].undo
            if factory is not None:
                operand = self._stage_operand(group, k, kind, feature)
                arguments = (name, operand)
                name = self._step.append(factory(feature, self._dtype), arguments, f"work_{results}_{k}", feature)
        bounds = self._step.operand(f"bounds_{results}", stage_type("range", feature, self._dtype))
        self._step.append(keep_in_range(feature, self._dtype), (name, bounds), out, feature)

    # --- the network ---

    def _linear(self, name: str, inputs: tuple[str, ...], target: gtx.Dimension, out: str) -> str:
        sources: Dimensions = self._step.features(inputs)
        operands = self._step.operand(f"operands_{name}", linear_type(sources, target, self._dtype))
        return self._step.append(linear(sources, target, self._dtype), (*inputs, operands), out, target)

    def _encoded(self, inputs: tuple[str, ...]) -> str:
        return self._linear("encoder_0", inputs, self._shape.channels, "units_encoder_0")

    def _processed(self, units: str) -> str:
        """What the last block gives."""
        network, channels = self._shape.network, self._shape.channels
        for k in range(len(self._shape.hidden)):
            hidden = self._shape.units(k)
            operands = self._step.operand(f"operands_processor_{k}", normalised_type((channels,), hidden, self._dtype))
            operator = hidden_layer(
                channels, hidden, network.epsilon, network.activation, network.activation_parameters, self._dtype
            )
            units = self._step.append(operator, (units, operands), f"units_processor_{k}", hidden)
            if hidden != channels:
                units = self._linear(f"processor_{k}_out", (units,), channels, f"units_processor_{k}_out")
        return units

    def _decoded(self, units: str, encoded: str) -> dict[str, str]:
        """The new state and the diagnostics in the network's space."""
        channels, dtype = self._shape.channels, self._dtype
        if self._shape.network.latent_skip:
            units = self._step.append(sum_of_both(channels, dtype), (units, encoded), "units_skip", channels)
        norm = self._step.operand("normalisation_decoder", normalisation_type(channels, dtype))
        operator = centred_layer_norm(channels, self._shape.network.epsilon, dtype)
        units = self._step.append(operator, (units, norm), "units_decoder", channels)
        of_state = self._step.operand("operands_decoder_state", linear_type((channels,), StateFeature, dtype))
        arguments = ("normalised_state", units, of_state)
        state = self._step.append(increment(channels, dtype), arguments, "normalised_new_state", StateFeature)
        found = {"new_state": state}
        if "diagnostics" in self._stages:
            feature = RESULTS["diagnostics"]
            diagnostics = self._linear("decoder_diagnostics", (units,), feature, "normalised_diagnostics")
            found["diagnostics"] = diagnostics
        return found

    def _bounded(self, results: dict[str, str]) -> dict[str, str]:
        """After boundings, in the network's space."""
        dtype = self._dtype
        for k, (kind, group, of_total) in enumerate(self._shape.boundings):
            feature = RESULTS[group]
            name = f"bounding_{k}"
            arguments: tuple[str, ...] = (results[group],)
            match kind:
                case "clip":
                    operator = keep_in_range(feature, dtype)
                    operands = stage_type("range", feature, dtype)
                case "leaky":
                    operator = bound_leakily(feature, dtype)
                    operands = bounds_type(feature, dtype)
                case _:
                    source = RESULTS[of_total]
                    operator = fraction_of_total(feature, source, dtype)
                    operands = fraction_type(feature, source, dtype)
                    arguments = (*arguments, results[of_total])
            given = (*arguments, self._step.operand(name, operands))
            results = results | {group: self._step.append(operator, given, f"work_{name}", feature)}
        return results

    # --- what is kept of the state ---

    def _keep_state(self, made: str) -> None:
        """The new state from what the network made and what is kept of the state that goes in."""
        step, dtype, feature = self._step, self._dtype, StateFeature
        known = step.append(known_values(feature, dtype), ("state_input",), "work_known", feature)
        missing = step.append(missing_values(feature, dtype), ("state_input",), "work_missing", feature)
        copied = step.operand("choice_copied", matrix(feature, feature, dtype))
        copied = step.append(choose(feature, feature, dtype), (known, copied), "work_copied", feature)
        is_missing = step.operand("choice_missing", matrix(feature, feature, dtype))
        is_missing = step.append(contract(feature, feature, dtype), (missing, is_missing), "work_is_missing", feature)
        kept = step.operand("is_kept", vector(feature, dtype))
        known = step.append(kept_or_made(feature, dtype), (made, copied, is_missing, kept), KNOWN_STATE, feature)
        nan = step.operand("missing", vector(feature, dtype))
        step.append(mark_missing(feature, dtype), (known, is_missing, nan), "new_state", feature)
