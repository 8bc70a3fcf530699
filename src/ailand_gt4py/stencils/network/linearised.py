"""The forward part of a program of derivatives: the step's statements, with the values that derivatives need kept.

`tangent_linear` and `adjoint` add the derivatives of each statement, before or after the next ones.
"""

from collections.abc import Callable
from typing import NamedTuple

from ailand_gt4py.core.dimensions import Column, Moment, StateFeature, field_dimensions
from ailand_gt4py.stencils.fields import Dimensions, axes_of, times, together
from ailand_gt4py.stencils.instances import FieldOperator
from ailand_gt4py.stencils.network.activations import inverse_deviation, normalised_relu
from ailand_gt4py.stencils.network.layers import unnormalised_layer
from ailand_gt4py.stencils.network.step import (
    HEAT_CAPACITY,
    HEAT_PROPERTIES,
    LATENT,
    LATENT_SCALE,
    MELTED,
    MELTED_AFTER,
    NODES,
    VEGETATED,
    ProgramDescription,
)
from ailand_gt4py.stencils.physics import soil_heat


class NormalisedLayer(NamedTuple):
    """Names of the values of a normalised layer: before its normalisation, the inverse deviation, and its units."""

    before: str
    inverse: str
    units: str


class HeatFactors(NamedTuple):
    """Names of the derivatives of a new state that changes by its heat, each variable's by values of its own.

    Attributes:
        by_state: by the state before.
        by_increment: by the network's output.
        by_property: by each soil property.
    """

    by_state: str
    by_increment: str
    by_property: dict[str, str]


class LinearisedDescription(ProgramDescription):
    """A program in which layer normalisations and bounds by other variables keep what is between their parts."""

    def normalised_layer(self, block: str, k: int, inputs: tuple[str, ...]) -> NormalisedLayer:
        """The forward statements of a normalised layer."""
        target, _ = self.shape.layers[block][k]
        sources = self.features(inputs)
        operands = self.layer_operands(block, k, sources)
        units = f"units_{block}_{k}"
        names = NormalisedLayer(f"{units}_linear", f"{units}_inverse_deviation", units)
        dimensions = (sources, target, self.dtype)
        self.append(unnormalised_layer(*dimensions), (*inputs, operands), names.before, target)
        self.append(inverse_deviation(*dimensions), (names.before, operands), names.inverse, Moment)
        self.append(normalised_relu(*dimensions), (names.before, names.inverse, operands), units, target)
        return names

    def pairwise(self, operators: Callable[..., FieldOperator], x: str, y: str, out: str) -> str:
        """The sum or the product (`fields.plus`, `fields.times`) of two fields."""
        x_axes, y_axes = self.axes_of(x), self.axes_of(y)
        _, *axes = together((Column,), x_axes, y_axes)
        operator = operators(x_axes, y_axes, self.dtype)
        return self.append(operator, (x, y), out, (axes[0], axes[1]) if len(axes) > 1 else axes[0])

    def axes_of(self, name: str) -> Dimensions:
        """The dimensions of a field."""
        fields = self.buffers | self.caller_fields
        return field_dimensions(fields[name]) if name in fields else axes_of(self.operands[name])

    def heat_factors(self) -> HeatFactors:
        """The derivatives of a new state that changes by its heat."""

        def add(operator: FieldOperator, arguments: tuple[str, ...], out: str) -> str:
            return self.append(operator(self.dtype), arguments, out, StateFeature)

        slope, slope_after = (
            add(soil_heat.heat_slope, (state, LATENT, NODES), f"{state}_heat_slope")
            for state in ("normalised_state", "normalised_new_state")
        )
        by_increment = add(soil_heat.inverse, (slope_after,), "work_new_state_by_increment")
        by_state = self.pairwise(times, by_increment, slope, "work_new_state_by_state")
        by_latent = add(soil_heat.by_latent_heat, (by_increment, MELTED, MELTED_AFTER), "work_new_state_by_latent")
        low, low_density, high, high_density, field_capacity, porosity = HEAT_PROPERTIES
        others = {low: low_density, low_density: low, high: high_density, high_density: high}
        of_latent: dict[str, tuple[FieldOperator, tuple[str, ...]]] = {
            name: (soil_heat.latent_heat, (other, field_capacity, HEAT_CAPACITY, LATENT_SCALE))
            for name, other in others.items()
        }
        arguments = (VEGETATED, LATENT, HEAT_CAPACITY, LATENT_SCALE)
        of_latent[field_capacity] = (soil_heat.latent_heat_by_field_capacity, arguments)
        of_latent[porosity] = (soil_heat.latent_heat_by_porosity, (LATENT, HEAT_CAPACITY))
        names = {name: add(*statement, f"{name}_of_latent_heat") for name, statement in of_latent.items()}
        by_property = {
            name: self.pairwise(times, by_latent, by_one, f"{name}_of_new_state") for name, by_one in names.items()
        }
        return HeatFactors(by_state, by_increment, by_property)
