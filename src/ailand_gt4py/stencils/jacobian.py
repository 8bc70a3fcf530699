"""Jacobians of a step, many of their columns or rows at once: the forward values, and what all directions share.

By changes (`ChangesDescription`): every direction is an input that changes by one, and goes through the network as in
`tangent_linear`. The first layer is no product then: its changes are columns of its weights. By gradients
(`GradientsDescription`): every direction is a result whose gradient is taken, and goes back through the network as in
`adjoint`, beginning with a row of the last layer's weights.

Both work in the network's space; the derivatives of normalisations, logarithms and bounds are factors at the end. What
holds at kinks is said in `tangent_linear`. A column whose forward values are NaN has derivatives that are NaN.
"""

import dataclasses
import functools

import gt4py.next as gtx

from ailand_gt4py.dimensions import (
    Change,
    DiagnosticFeature,
    DiagnosticRow,
    ForcingFeature,
    InputFeature,
    Moment,
    ResultFeature,
    StateFeature,
    StateRow,
)
from ailand_gt4py.stencils import directed_layers as operators
from ailand_gt4py.stencils.adjoint import transposed
from ailand_gt4py.stencils.dense import contract
from ailand_gt4py.stencils.instances import FieldOperator
from ailand_gt4py.stencils.linearised import GROUPS, LinearisedDescription, add_step
from ailand_gt4py.stencils.shapes import Activation, NetworkShape, Type, finishing_type, matrix, rows, vector
from ailand_gt4py.stencils.step import Statement, program_name

FEATURES = {"new_state": StateFeature, "diagnostics": DiagnosticFeature}
#: The direction of gradients of each group of results.
ROWS = {"new_state": StateRow, "diagnostics": DiagnosticRow}
_INPUTS = tuple(f"normalised_{group}" for group in GROUPS)
_NEW_STATE = "normalised_new_state"


def weights(block: str, k: int, place: int) -> str:
    """The name of the weights of one input of layer ``k`` of a block, an operand of its own here."""
    return f"weights_{block}_{k}_{place}"


@dataclasses.dataclass
class _JacobianDescription(LinearisedDescription):
    """A program of derivatives in many directions, which follow the statements of the step.

    Attributes:
        groups: the groups of results whose derivatives are wanted.
        layers: units -> (block, layer, inputs).
        normalised: group of results -> its name in the network's space.
    """

    groups: tuple[str, ...] = ()
    layers: dict[str, tuple[str, int, tuple[str, ...]]] = dataclasses.field(default_factory=dict)
    normalised: dict[str, str] = dataclasses.field(default_factory=dict)

    # --- the step, and what is to be known of it ---

    def results(self, inputs: tuple[str, ...], hidden: tuple[str, ...]) -> None:
        is_layer_norm = self.shape.architecture == "layer_norm"
        if is_layer_norm or "new_state" in self.groups:
            self.new_state(hidden)
        if "diagnostics" in self.groups:
            self.diagnostics((*inputs[:2], _NEW_STATE) if is_layer_norm else hidden)

    def add_layer(self, block: str, k: int, inputs: tuple[str, ...]) -> str:
        _, kind = self.shape.layers[block][k]
        is_normalised = kind == "layer_norm_relu"
        units = self.normalised_layer(block, k, inputs).units if is_normalised else super().add_layer(block, k, inputs)
        self.layers[units] = (block, k, inputs)
        return units

    def static_part(self, units: str, part: str) -> None:
        super().static_part(units, part)
        ((self.buffers[part], _),) = self.shape.layers["combine"]
        self.layers[part] = ("combine", 0, (units,))

    def meet(self, part: str, units: str) -> tuple[str, ...]:
        (hidden,) = super().meet(part, units)
        self.layers[hidden] = ("combine", 0, (*self.layers.pop(part)[2], units))
        return (hidden,)

    def add_increment(self, inputs: tuple[str, ...]) -> str:
        new_state = super().add_increment(inputs)
        self.layers[new_state] = ("prognostic", len(self.shape.layers["prognostic"]) - 1, inputs)
        return new_state

    def finish(self, group: str, feature: gtx.Dimension, normalised: str) -> None:
        self.normalised[group] = normalised

    def kind(self, units: str) -> Activation:
        """The activation that gives a layer's units."""
        block, k, _ = self.layers[units]
        return self.shape.layers[block][k][1]

    # --- statements over directions ---

    def operand(self, name: str, kind: Type) -> str:
        """A model's numbers, which the program then takes; gives their name."""
        self.operands[name] = kind
        return name

    def directed(
        self,
        operator: FieldOperator,
        arguments: tuple[str, ...],
        out: str,
        direction: gtx.Dimension,
        feature: gtx.Dimension,
    ) -> str:
        """Append a statement that makes a field of all directions; gives its name."""
        self.statements.append(Statement(operator, arguments, out))
        if out not in self.caller_fields:
            self.buffers[out] = (direction, feature)
        return out

    def product(self, direction: gtx.Dimension, x: str, weight: str, target: gtx.Dimension, out: str) -> str:
        """Append the product of a field of directions with weights; gives its name."""
        _, source = self.buffers[x]
        self.operand(weight, matrix(source, target, self.dtype))
        operator = operators.contract_directed(direction, source, target, self.dtype)
        return self.directed(operator, (x, weight), out, direction, target)

    def sum(self, direction: gtx.Dimension, parts: list[str], out: str) -> str:
        """Append the sum of fields of directions, one of which may be the same in every column; gives its name."""
        total, *others = sorted(parts, key=lambda name: not self.is_of_columns(name))
        for k, other in enumerate(others):
            _, feature = self.buffers[total]
            add = operators.add_directed if self.is_of_columns(other) else operators.add_rows
            name = out if other is others[-1] else f"{out}_{k}"
            total = self.directed(add(direction, feature, self.dtype), (total, other), name, direction, feature)
        return total

    def is_of_columns(self, name: str) -> bool:
        """Whether values of directions differ from column to column; else they are an operand."""
        return name in self.buffers

    def activated(self, units: str, x: str, direction: gtx.Dimension, out: str) -> str:
        """Append a value times the derivative of the activation (and gain) that gave ``units``; gives its name."""
        target, kind, of_columns = self.buffers[units], self.kind(units), self.is_of_columns(x)
        if kind == "layer_norm_relu":
            operator = operators.switched_gain(self.sources(units), direction, target, of_columns, self.dtype)
            return self.directed(operator, (units, x, self.operands_of(units)), out, direction, target)
        operator = operators.switched(kind, direction, target, of_columns, self.dtype)
        return self.directed(operator, (units, x), out, direction, target)

    def projection(self, units: str, x: str, direction: gtx.Dimension) -> str:
        """Append what the normalisation of a layer takes out of a value; gives its name."""
        target = self.buffers[units]
        operator = operators.projection(self.sources(units), direction, target, self.is_of_columns(x), self.dtype)
        arguments = (f"{units}_linear", x, f"{units}_inverse_deviation", self.operands_of(units))
        return self.directed(operator, arguments, f"{units}_projection_{direction.value}", direction, Moment)

    def projected(self, units: str, along: str, x: str, projection: str, direction: gtx.Dimension, out: str) -> str:
        """Append a value less its projection on ``along``, times the inverse deviation of a layer; gives its name."""
        feature = self.buffers[along]
        operator = operators.projected(direction, feature, self.is_of_columns(x), self.dtype)
        return self.directed(operator, (along, x, projection, f"{units}_inverse_deviation"), out, direction, feature)

    def sources(self, units: str) -> tuple[gtx.Dimension, ...]:
        """The dimensions of a layer's inputs."""
        return tuple(self.buffers[name] for name in self.layers[units][2])

    def operands_of(self, units: str) -> str:
        """The name of a layer's operands."""
        block, k, _ = self.layers[units]
        return f"operands_{block}_{k}"

    # --- factors at the end ---

    def slopes_of_results(self, group: str) -> str:
        """Append the derivatives of results by themselves in the network's space; gives their name."""
        feature = FEATURES[group]
        self.operand(f"finishing_{group}", finishing_type(feature, self.dtype))
        arguments = (self.normalised[group], f"finishing_{group}")
        return self._append(operators.finish_slope(feature, self.dtype), arguments, f"work_{group}_slopes", feature)

    def slopes_of_inputs(self, target: gtx.Dimension) -> str:
        """Append the derivatives of inputs in the network's space by themselves; gives their name.

        Where no logarithm is taken they are the same in every column: then it is an operand's name.
        """
        constants = self.operand(f"slopes_{target.value}", vector(target, self.dtype))
        if not self.shape.logarithmic_forcing:
            return constants
        slopes = self._append(
            operators.logarithm_slope(ForcingFeature, self.dtype),
            ("forcing_input", "scaling_forcing"),
            "work_logarithm_slopes",
            ForcingFeature,
        )
        chosen = self.chosen(slopes, ForcingFeature, target)
        operator = operators.add_constants(target, self.dtype)
        return self._append(operator, (chosen, constants), f"work_slopes_{target.value}", target)

    def chosen(self, x: str, feature: gtx.Dimension, target: gtx.Dimension) -> str:
        """Append some of the features of a field, by a product with 1 and zeros; gives its name."""
        choice = self.operand(f"choice_{feature.value}_{target.value}", matrix(feature, target, self.dtype))
        return self._append(contract(feature, target, self.dtype), (x, choice), f"{x}_{target.value}", target)

    def is_below_bound(self, group: str, out: str) -> None:
        """Append where results are below the bounds that other variables are."""
        feature = FEATURES[group]
        results = self.own_results(group, self.normalised[group])
        operator = operators.is_below_bound(feature, self.dtype)
        self.statements.append(Statement(operator, self.bounding(group, feature, results), out))


@dataclasses.dataclass
class ChangesDescription(_JacobianDescription):
    """The Jacobian by changes of inputs: ``jacobian`` (Column, Change, ResultFeature)."""

    changes: dict[str, str] = dataclasses.field(default_factory=dict)

    def finish_jacobian(self) -> None:
        """Append all changes, and what is made of those of results."""
        slopes = self.slopes_of_inputs(Change)
        parts = [self._result_changes(group, slopes) for group in self.groups]
        if len(parts) == 1:
            self.statements[-1] = dataclasses.replace(self.statements[-1], out="jacobian")
            del self.buffers[parts[0]]
        else:
            self.sum(Change, parts, "jacobian")

    def _change(self, units: str) -> str:
        """Append the changes of a layer's units or of the new state, if they are not there; gives their name."""
        if units not in self.changes:
            self.changes[units] = self._layer_changes(units)
        return self.changes[units]

    def _share(self, units: str, place: int, change: str) -> str:
        """Append what the change of one input of a layer adds to that of its units; gives its name."""
        block, k, _ = self.layers[units]
        weight, target = weights(block, k, place), self.buffers[units]
        return self.product(Change, change, weight, target, f"{units}_share_{place}")

    def _shares_of_change(self, units: str) -> list[str]:
        """Append all that adds up to the change of a layer before its activation, of the new state; gives the names."""
        block, k, inputs = self.layers[units]
        parts = [self._share(units, at, self._change(x)) for at, x in enumerate(inputs) if x not in _INPUTS]
        if units == _NEW_STATE or set(inputs) & set(_INPUTS):
            parts.append(self.operand(f"changes_{block}_{k}", rows(Change, self.buffers[units], self.dtype)))
        return parts

    def _heated_changes(self, shares: list[str]) -> list[str]:
        """Append the parts of the new state's change, some of which changes by its heat; gives their names.

        Args:
            shares: what adds up to the network's output, then the state's own change.
        """
        by_state, by_change, by_property = self.heat_factors()
        *of_output, own = shares
        parts = [self._by_feature(name, by_change) for name in of_output]
        parts.append(self._by_feature(own, by_state))
        for name, by_one in self._properties(by_property).items():
            parts.append(self._by_feature(name, by_one))
        return parts

    def _properties(self, by_property: dict[str, str]) -> dict[str, str]:
        """The changes of the soil's properties, and the factors of these."""
        kind = rows(Change, StateFeature, self.dtype)
        return {self.operand(f"changes_{name}", kind): factor for name, factor in by_property.items()}

    def _by_feature(self, x: str, factor: str) -> str:
        """Append a change of the state times a factor of each variable; gives its name."""
        dimensions = (Change, StateFeature)
        operator = (
            operators.by_feature(*dimensions, True, self.dtype)
            if self.is_of_columns(x)
            else operators.rows_by_feature(*dimensions, self.dtype)
        )
        return self.directed(operator, (x, factor), f"work_{x}_{factor}", *dimensions)

    def _layer_changes(self, units: str) -> str:
        parts = self._shares_of_change(units)
        if units == _NEW_STATE and self.shape.soil_heat:
            parts = self._heated_changes(parts)
        change = self.sum(Change, parts, f"{units}_linear_change")
        if self.kind(units) == "linear":
            return change
        if self.kind(units) == "layer_norm_relu":
            projection = self.projection(units, change, Change)
            out = f"{units}_projected"
            change = self.projected(units, f"{units}_linear", change, projection, Change, out)
        return self.activated(units, change, Change, f"{units}_change")

    def _result_changes(self, group: str, slopes_of_inputs: str) -> str:
        """Append the changes of those results of a group that are wanted, in model units; gives their name."""
        feature = FEATURES[group]
        normalised = self._change(self.normalised[group])
        operator = operators.by_feature(Change, feature, True, self.dtype)
        arguments = (normalised, self.slopes_of_results(group))
        change = self.directed(operator, arguments, f"work_{group}_by_feature", Change, feature)
        operator = operators.by_direction(Change, feature, self.is_of_columns(slopes_of_inputs), self.dtype)
        change = self.directed(operator, (change, slopes_of_inputs), f"work_{group}_own", Change, feature)
        if group in self.shape.bounded_by_others:
            is_below = f"work_{group}_is_below"
            self.buffers[is_below] = feature
            self.is_below_bound(group, is_below)
            of_inputs = self.operand(f"bounds_{group}", rows(Change, feature, self.dtype))
            operator = operators.bounded_directed(Change, feature, self.dtype)
            arguments = (change, is_below, of_inputs, f"bounding_{group}")
            change = self.directed(operator, arguments, f"work_{group}_bounded", Change, feature)
        choice = f"choice_{feature.value}_{ResultFeature.value}"
        return self.product(Change, change, choice, ResultFeature, f"work_{group}_chosen")


@dataclasses.dataclass
class GradientsDescription(_JacobianDescription):
    """The Jacobian by gradients of results, ``jacobian_<group>`` (Column, rows of the group, InputFeature).

    In ``layer_norm`` diagnostics depend on the new state. Their gradients do not go back through it, which would be as
    much work again: ``diagnostics_by_state`` (Column, DiagnosticRow, StateFeature) times ``new_state_by_inputs``
    (Column, StateRow, InputFeature), the latter in the network's space and of all of the state, is to be added.
    Bounds by other variables are not applied: ``is_below_<group>`` says where results are below them.
    """

    def finish_jacobian(self) -> None:
        """Append all gradients, and what is made of those with respect to the inputs."""
        slopes = self.slopes_of_inputs(InputFeature)
        for group in self.groups:
            self._gradients(group, slopes)
            if group in self.shape.bounded_by_others:
                self.is_below_bound(group, f"is_below_{group}")
        if is_chained(self.shape, self.groups) and "new_state" not in self.groups:
            self._state_by_inputs(slopes)

    def _gradients(self, group: str, slopes_of_inputs: str) -> None:
        direction = ROWS[group]
        slopes = self.chosen(self.slopes_of_results(group), FEATURES[group], direction)

        def by_row(x: str, feature: gtx.Dimension, out: str) -> None:
            operator = operators.by_direction(direction, feature, True, self.dtype)
            self.directed(operator, (x, slopes), out, direction, feature)

        if group == "new_state":
            gradient = self._state_by_inputs(slopes_of_inputs)
        else:
            shares = self._shares(group)
            if is_chained(self.shape, self.groups):
                (of_state,) = shares[StateFeature]
                by_row(of_state, StateFeature, "diagnostics_by_state")
            gradient = self._by_inputs(direction, shares[InputFeature], slopes_of_inputs, f"work_{group}_by_inputs")
        by_row(gradient, InputFeature, f"jacobian_{group}")

    def _state_by_inputs(self, slopes_of_inputs: str) -> str:
        """Append the derivatives of the new state, in the network's space, by the inputs; gives their name."""
        shares = self._shares("new_state")[InputFeature]
        identity = self.operand("identity", rows(StateRow, InputFeature, self.dtype))
        shares = [*shares, identity] if not self.shape.soil_heat else self._heated_gradients(shares, identity)
        out = "new_state_by_inputs" if is_chained(self.shape, self.groups) else "work_new_state_by_inputs"
        return self._by_inputs(StateRow, shares, slopes_of_inputs, out)

    def _heated_gradients(self, shares: list[str], identity: str) -> list[str]:
        """Append the parts of the new state's gradients where some of it changes by its heat; gives their names.

        Args:
            shares: of the network's output. identity: of the state itself.
        """
        dimensions = (StateRow, InputFeature)
        same = operators.rows_by_direction(*dimensions, self.dtype)
        of_output = operators.by_direction(*dimensions, True, self.dtype)
        by_state, by_change, by_property = self.heat_factors()
        factors = dict.fromkeys(shares, (of_output, by_change)) | {identity: (same, by_state)}
        for name, by_one in by_property.items():
            rows_of = self.operand(f"gradients_{name}", rows(*dimensions, self.dtype))
            factors[rows_of] = (same, by_one)
        chosen = {
            factor: self.chosen(factor, StateFeature, StateRow)
            for factor in dict.fromkeys(factor for _, factor in factors.values())
        }
        return [
            self.directed(operator, (name, chosen[factor]), f"work_{name}_{factor}", *dimensions)
            for name, (operator, factor) in factors.items()
        ]

    def _by_inputs(self, direction: gtx.Dimension, shares: list[str], slopes_of_inputs: str, out: str) -> str:
        total = self.sum(direction, shares, f"work_total_{direction.value}")
        operator = operators.by_feature(direction, InputFeature, self.is_of_columns(slopes_of_inputs), self.dtype)
        return self.directed(operator, (total, slopes_of_inputs), out, direction, InputFeature)

    def _shares(self, group: str) -> dict[gtx.Dimension, list[str]]:
        """Append the gradients of a group of results; gives their shares, of the inputs and of the new state."""
        _, _, (hidden,) = self.layers[self.normalised[group]]
        first = self.operand(f"rows_{group}", rows(ROWS[group], self.buffers[hidden], self.dtype))
        shares: dict[gtx.Dimension, list[str]] = {InputFeature: [], StateFeature: []}
        self._backward(hidden, first, ROWS[group], shares)
        return shares

    def _backward(
        self, units: str, gradient: str, direction: gtx.Dimension, shares: dict[gtx.Dimension, list[str]]
    ) -> None:
        """Append the gradients with respect to all that a layer reads, for that with respect to its units."""
        block, k, inputs = self.layers[units]
        prefix = f"{units}_{direction.value}"
        before = self.activated(units, gradient, direction, f"{prefix}_activated")
        is_normalised = self.kind(units) == "layer_norm_relu"
        projection = self.projection(units, before, direction) if is_normalised else ""

        def to(feature: gtx.Dimension, weight: str, part: str) -> str:
            share = self.product(direction, before, weight, feature, f"{prefix}_{part}")
            if not is_normalised:
                return share
            along = f"{units}_along_{part}"
            if along not in self.buffers:
                operator = contract(self.buffers[units], feature, self.dtype)
                self._append(operator, (f"{units}_linear", weight), along, feature)
            return self.projected(units, along, share, projection, direction, f"{prefix}_{part}_projected")

        if set(inputs) & set(_INPUTS):
            shares[InputFeature].append(to(InputFeature, f"to_inputs_{block}_{k}", "inputs"))
        for place, name in enumerate(inputs):
            if name not in _INPUTS:
                share = to(self.buffers[name], transposed(block, k, place), str(place))
                if name == _NEW_STATE:
                    shares[StateFeature].append(share)
                else:
                    self._backward(name, share, direction, shares)


def is_chained(shape: NetworkShape, groups: tuple[str, ...]) -> bool:
    """Whether gradients of diagnostics end at the new state."""
    return shape.architecture == "layer_norm" and "diagnostics" in groups


def _name(what: str, shape: NetworkShape, groups: tuple[str, ...], dtype: type) -> str:
    return program_name("_".join((what, *groups)), shape, dtype)


@functools.cache
def describe_changes(shape: NetworkShape, groups: tuple[str, ...], dtype: type) -> ChangesDescription:
    """The statements of a Jacobian by changes of inputs, of these groups of results.

    Its caller's fields are ``static_input``, ``forcing_input``, ``state_input`` and ``jacobian``.
    """
    fields = {f"{group}_input": feature for group, feature in GROUPS.items()} | {"jacobian": (Change, ResultFeature)}
    name = _name("jacobian_by_changes", shape, groups, dtype)
    step = add_step(ChangesDescription(name, shape, dtype, fields, groups=groups))
    step.finish_jacobian()
    return step


@functools.cache
def describe_gradients(shape: NetworkShape, groups: tuple[str, ...], dtype: type) -> GradientsDescription:
    """The statements of a Jacobian by gradients of these groups of results.

    Its caller's fields are ``static_input``, ``forcing_input``, ``state_input`` and those that `GradientsDescription`
    names, as far as they are made.
    """
    fields = {f"{group}_input": feature for group, feature in GROUPS.items()}
    fields |= {f"jacobian_{group}": (ROWS[group], InputFeature) for group in groups}
    if is_chained(shape, groups):
        fields["new_state_by_inputs"] = (StateRow, InputFeature)
        fields["diagnostics_by_state"] = (DiagnosticRow, StateFeature)
    fields |= {f"is_below_{group}": FEATURES[group] for group in groups if group in shape.bounded_by_others}
    name = _name("jacobian_by_gradients", shape, groups, dtype)
    step = add_step(GradientsDescription(name, shape, dtype, fields, groups=groups))
    step.finish_jacobian()
    return step
