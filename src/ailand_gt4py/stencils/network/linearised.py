"""The forward part of a program of derivatives: the step's statements, with the values that derivatives need kept.

`tangent_linear` and `adjoint` add the derivatives of each statement, before or after the next ones.
"""

from typing import NamedTuple, TypeVar

from ailand_gt4py.core.dimensions import ForcingFeature, Moment, StateFeature, StaticFeature
from ailand_gt4py.stencils.network.instances import FieldOperator
from ailand_gt4py.stencils.network.pointwise import denormalise_and_bound
from ailand_gt4py.stencils.network.shapes import finishing_type
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
from ailand_gt4py.stencils.network.tangent_layers import inverse_deviation, normalised_relu, unnormalised_layer
from ailand_gt4py.stencils.physics import soil_heat

#: The inputs of a step in the network's order.
GROUPS = {"static": StaticFeature, "forcing": ForcingFeature, "state": StateFeature}


class NormalisedLayer(NamedTuple):
    """Names of the values of a normalised layer: before its normalisation, the inverse deviation, and its units."""

    before: str
    inverse: str
    units: str


class LinearisedDescription(ProgramDescription):
    """A program in which layer normalisations and bounds by other variables keep what is between their parts."""

    def normalised_layer(self, block: str, k: int, inputs: tuple[str, ...]) -> NormalisedLayer:
        """Append the forward statements of a normalised layer."""
        target, _ = self.shape.layers[block][k]
        sources = tuple(self.buffers[name] for name in inputs)
        operands = self.layer_operands(block, k, sources)
        units = f"units_{block}_{k}"
        names = NormalisedLayer(f"{units}_linear", f"{units}_inverse_deviation", units)
        dimensions = (sources, target, self.dtype)
        self._append(unnormalised_layer(*dimensions), (*inputs, operands), names.before, target)
        self._append(inverse_deviation(*dimensions), (names.before, operands), names.inverse, Moment)
        self._append(normalised_relu(*dimensions), (names.before, names.inverse, operands), units, target)
        return names

    def heat_slopes(self) -> tuple[str, str]:
        """Append the slopes of the heat before and after the step; gives their names."""
        names = []
        for state in ("normalised_state", "normalised_new_state"):
            arguments = (state, LATENT, NODES)
            names.append(self._append(soil_heat.heat_slope(self.dtype), arguments, f"{state}_heat_slope", StateFeature))
        return names[0], names[1]

    def latent_heat_slopes(self) -> dict[str, str]:
        """Append the derivatives of the latent heat; gives soil property -> name."""
        low, low_density, high, high_density, field_capacity, porosity = HEAT_PROPERTIES
        others = {low: low_density, low_density: low, high: high_density, high_density: high}
        by_vegetation = soil_heat.latent_heat(self.dtype)
        statements = {
            name: (by_vegetation, (other, field_capacity, HEAT_CAPACITY, LATENT_SCALE))
            for name, other in others.items()
        }
        arguments = (VEGETATED, LATENT, HEAT_CAPACITY, LATENT_SCALE)
        statements[field_capacity] = (soil_heat.latent_heat_by_field_capacity(self.dtype), arguments)
        statements[porosity] = (soil_heat.latent_heat_by_porosity(self.dtype), (LATENT, HEAT_CAPACITY))
        return {
            name: self._append(operator, arguments, f"{name}_of_latent_heat", StateFeature)
            for name, (operator, arguments) in statements.items()
        }

    def heat_factors(self) -> tuple[str, str, dict[str, str]]:
        """Append the derivatives of a new state that changes by its heat: of each variable's by its own numbers.

        Returns:
            names of the derivatives by the state before, by the network's output, and by each soil property.
        """
        slope, slope_after = self.heat_slopes()

        def add(operator: FieldOperator, arguments: tuple[str, ...], out: str) -> str:
            return self._append(operator, arguments, out, StateFeature)

        product = soil_heat.product(self.dtype)
        by_change = add(soil_heat.inverse(self.dtype), (slope_after,), "work_new_state_by_change")
        by_state = add(product, (by_change, slope), "work_new_state_by_state")
        arguments = (by_change, MELTED, MELTED_AFTER)
        by_latent = add(soil_heat.by_latent_heat(self.dtype), arguments, "work_new_state_by_latent")
        by_property = {
            name: add(product, (by_latent, by_one), f"{name}_of_new_state")
            for name, by_one in self.latent_heat_slopes().items()
        }
        return by_state, by_change, by_property

    def own_results(self, group: str, normalised: str) -> str:
        """Append the results of a group before other variables bound them; gives their name."""
        feature = self.buffers[normalised]
        self.operands[f"finishing_{group}"] = finishing_type(feature, self.dtype)
        arguments = (normalised, f"finishing_{group}")
        return self._append(denormalise_and_bound(feature, self.dtype), arguments, f"work_{group}", feature)


Description = TypeVar("Description", bound=ProgramDescription)


def add_step(step: Description) -> Description:
    """Append the whole step to a program, the static branch of ``two_branch`` included; gives the program."""
    inputs = tuple(step.normalise(group, feature) for group, feature in GROUPS.items())
    if step.shape.architecture == "two_branch":
        (of_static,) = step.chain("static", inputs[:1])
        step.static_part(of_static, "units_static_part")
        hidden = step.meet("units_static_part", *step.chain("dynamic", inputs[1:]))
    else:
        hidden = step.chain("trunk", inputs)
    step.results(inputs, hidden)
    return step
