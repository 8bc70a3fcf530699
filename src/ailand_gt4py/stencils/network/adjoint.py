"""The adjoint of a step: adjoints of the inputs for given adjoints of the results.

The program runs the statements of the step, as far as their derivatives need their values, and then the adjoint of each
in reverse order. At the kinks of activations and at bounds it has the derivatives of `tangent_linear`, of which it is
the transpose there, too. A column whose forward values are NaN has adjoints that are NaN.
"""

import dataclasses
import functools
from collections.abc import Callable

import gt4py.next as gtx

from ailand_gt4py.core.dimensions import Column, ForcingFeature, StateFeature, StaticFeature
from ailand_gt4py.stencils.fields import contract, matrix, plus, times
from ailand_gt4py.stencils.instances import FieldOperator
from ailand_gt4py.stencils.network.activations import activation
from ailand_gt4py.stencils.network.adjoint_layers import bounds_adjoint, unbounded_adjoint
from ailand_gt4py.stencils.network.linearised import LinearisedDescription
from ailand_gt4py.stencils.network.shapes import INPUTS, RESULTS, ActivationName, NetworkShape, finishing_type
from ailand_gt4py.stencils.network.step import INCREMENT, INPUT_FIELDS, add_step, program_name, property_choice
from ailand_gt4py.stencils.network.tangent_layers import (
    finish_tangent,
    normalise_logarithms_tangent,
    normalise_tangent,
)

#: Inputs that may be bounds of results.
_BOUNDING = {StaticFeature: "static_input", ForcingFeature: "forcing_input"}


def adjoint_of(name: str) -> str:
    """The name of the adjoint of a field."""
    return f"{name}_adjoint"


def transposed(block: str, k: int, position: int) -> str:
    """The name of the transposed weights of one input of layer ``k`` of a block, (inputs, units)."""
    return f"transposed_{block}_{k}_{position}"


@dataclasses.dataclass
class AdjointDescription(LinearisedDescription):
    """A program that, once the step's statements are there, is given their adjoints by `reverse`.

    Attributes:
        backwards: what appends the adjoint of each part of the step.
        shares: field -> names of the parts of its adjoint.
    """

    backwards: list[Callable[[], None]] = dataclasses.field(default_factory=list)
    shares: dict[str, list[str]] = dataclasses.field(default_factory=dict)

    def reverse(self) -> None:
        """The adjoints, last statement first, and what makes those of the inputs."""
        for append in reversed(self.backwards):
            append()
        for group, feature in INPUTS.items():
            self._sum_of_shares(f"{group}_input", feature, out=adjoint_of(group))

    def normalise(self, group: str, feature: gtx.Dimension) -> str:
        normalised = super().normalise(group, feature)

        def backward() -> None:
            arguments: tuple[str, ...] = (self._adjoint(normalised), f"scaling_{group}")
            operator = normalise_tangent(feature, self.dtype)
            if self.is_logarithmic(feature):
                arguments = (f"{group}_input", *arguments)
                operator = normalise_logarithms_tangent(feature, self.dtype)
            self._share(f"{group}_input", operator, arguments, feature)

        self.backwards.append(backward)
        return normalised

    def finish(self, group: str, feature: gtx.Dimension, normalised: str) -> None:
        finishing = self.operand(f"finishing_{group}", finishing_type(feature, self.dtype))
        is_bounded = group in self.shape.bounded_by_others
        results = self.own_results(group, normalised, f"work_{group}") if is_bounded else group

        def backward() -> None:
            adjoint = self._bounded(group, feature, results) if is_bounded else adjoint_of(group)
            self._share(normalised, finish_tangent(feature, self.dtype), (normalised, adjoint, finishing), feature)

        self.backwards.append(backward)

    def add_layer(self, block: str, k: int, inputs: tuple[str, ...]) -> str:
        target, kind = self.shape.layers[block][k]
        entry = activation(kind)
        if not entry.is_normalised:
            units = super().add_layer(block, k, inputs)

            def backward() -> None:
                adjoint = self._adjoint(units) if entry.is_linear else self._before_activation(units, kind)
                self._to_inputs(block, k, inputs, adjoint)

            self.backwards.append(backward)
            return units
        layer, operator = self.normalised_layer(block, k, inputs), entry.adjoint

        def normalised_backward() -> None:
            arguments = (layer.before, self._adjoint(layer.units), layer.inverse, layer.units, f"operands_{block}_{k}")
            instance = operator(self.features(inputs), target, self.dtype)
            self._to_inputs(block, k, inputs, self.append(instance, arguments, adjoint_of(layer.before), target))

        self.backwards.append(normalised_backward)
        return layer.units

    def static_part(self, units: str, part: str) -> str:
        self.backwards.append(lambda: self._product(units, "combine", 0, 0, self._adjoint(part)))
        return super().static_part(units, part)

    def meet(self, part: str, units: str) -> str:
        hidden = super().meet(part, units)

        def backward() -> None:
            adjoint = self._before_activation(hidden, self.shape.layers["combine"][0][1])
            self.shares[part] = [adjoint]
            self._product(units, "combine", 0, 1, adjoint)

        self.backwards.append(backward)
        return hidden

    def add_increment(self, inputs: tuple[str, ...]) -> str:
        new_state = super().add_increment(inputs)

        def backward() -> None:
            adjoint = self._adjoint(new_state)
            if self.shape.soil_heat:
                adjoint = self._heated_backward(adjoint)
            else:
                self.shares.setdefault("normalised_state", []).append(adjoint)
            self._to_inputs("prognostic", self.last_prognostic, inputs, adjoint)

        self.backwards.append(backward)
        return new_state

    def _heated_backward(self, adjoint: str) -> str:
        """The adjoints of the state and of the soil's properties; gives that of the network's output."""
        factors = self.heat_factors()
        product = times((Column, StateFeature), (Column, StateFeature), self.dtype)
        self._share("normalised_state", product, (adjoint, factors.by_state), StateFeature)
        for name, by_one in factors.by_property.items():
            own = self.pairwise(times, adjoint, by_one, adjoint_of(name))
            weights = f"transposed_{property_choice(name)}"
            self._share_of_product("static_input", own, weights, StaticFeature)
        return self.pairwise(times, adjoint, factors.by_increment, adjoint_of(INCREMENT))

    def _before_activation(self, units: str, kind: ActivationName) -> str:
        """The adjoint of what an activation is applied to."""
        feature, entry = self.feature(units), activation(kind)
        operator, arguments = entry.adjoint(feature, (Column, feature), self.dtype), (units, self._adjoint(units))
        return self.append(operator, arguments, adjoint_of(f"{units}_linear"), feature)

    def _bounded(self, group: str, feature: gtx.Dimension, results: str) -> str:
        """The adjoints of bounds and of what they bound; gives the name of the latter."""
        *values, choices = self.bounding(group, feature, results)
        arguments = (*values, adjoint_of(group), choices)
        of_bounds = self.append(bounds_adjoint(feature, self.dtype), arguments, f"work_{group}_bounds", feature)
        for source, field in _BOUNDING.items():
            self._share_of_product(field, of_bounds, f"transposed_bounding_{group}_{source.value}", source)
        choice = self.operand(f"transposed_bounding_{group}_{feature.value}", matrix(feature, feature, self.dtype))
        arguments = (adjoint_of(group), of_bounds, choice)
        return self.append(unbounded_adjoint(feature, self.dtype), arguments, adjoint_of(results), feature)

    def _to_inputs(self, block: str, k: int, inputs: tuple[str, ...], adjoint: str) -> None:
        """The adjoints of the inputs of a linear layer, for that of its result."""
        for position, name in enumerate(inputs):
            self._product(name, block, k, position, adjoint)

    def _product(self, name: str, block: str, k: int, position: int, adjoint: str) -> None:
        """An adjoint times transposed weights, a share of the adjoint of ``name``."""
        self._share_of_product(name, adjoint, transposed(block, k, position), self.feature(name))

    def _share_of_product(self, name: str, x: str, weights: str, feature: gtx.Dimension) -> None:
        source = self.feature(x)
        arguments = (x, self.operand(weights, matrix(source, feature, self.dtype)))
        self._share(name, contract(source, feature, self.dtype), arguments, feature)

    def _share(self, name: str, operator: FieldOperator, arguments: tuple[str, ...], feature: gtx.Dimension) -> None:
        """What makes a share of the adjoint of a field."""
        shares = self.shares.setdefault(name, [])
        shares.append(self.append(operator, arguments, f"work_{name}_adjoint_{len(shares)}", feature))

    def _adjoint(self, name: str) -> str:
        """The name of the whole adjoint of an inner field."""
        shares = self.shares[name]
        if len(shares) == 1:
            return shares[0]
        self._sum_of_shares(name, self.feature(name), out=adjoint_of(name))
        return adjoint_of(name)

    def _sum_of_shares(self, name: str, feature: gtx.Dimension, out: str) -> None:
        """The sum of all shares of an adjoint, written to ``out``; a single one is written there itself."""
        total, *others = self.shares[name]
        if not others:
            self.write_to(total, out)
        for k, share in enumerate(others):
            last = out if share is others[-1] else f"work_{name}_adjoint_sum_{k}"
            operator = plus((Column, feature), (Column, feature), self.dtype)
            total = self.append(operator, (total, share), last, feature)


@functools.cache
def describe_adjoint(shape: NetworkShape, dtype: type) -> AdjointDescription:
    """The statements of a step's adjoint for a network's shape, the static branch of ``two_branch`` included.

    Its caller's fields are ``static_input``, ``forcing_input``, ``state_input``, the adjoints of the results,
    ``new_state_adjoint`` and ``diagnostics_adjoint``, and those of the inputs, ``static_adjoint``, ``forcing_adjoint``
    and ``state_adjoint``.
    """
    fields = INPUT_FIELDS | {adjoint_of(group): feature for group, feature in (RESULTS | INPUTS).items()}
    step = add_step(AdjointDescription(program_name("adjoint", shape, dtype), shape, dtype, fields))
    step.reverse()
    return step
