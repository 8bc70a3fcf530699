"""The forward part of a program of derivatives: the step's statements, with the values that derivatives need kept.

`tangent_linear` and `adjoint` add the derivatives of each statement, before or after the next ones.
"""

from typing import NamedTuple, TypeVar

from ailand_gt4py.dimensions import ForcingFeature, Moment, StateFeature, StaticFeature
from ailand_gt4py.stencils.pointwise import denormalise_and_bound
from ailand_gt4py.stencils.shapes import finishing_type
from ailand_gt4py.stencils.step import ProgramDescription
from ailand_gt4py.stencils.tangent_layers import inverse_deviation, normalised_relu, unnormalised_layer

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
