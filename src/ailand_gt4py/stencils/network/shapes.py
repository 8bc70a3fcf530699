"""What the networks' operators depend on: the shape of a network and the types of its operands.

The operands of a layer come as nested tuples of fields, made by `ailand_gt4py.emulator.operands`:

* a linear layer: (weight, bias);
* a layer on two or three inputs: ((weight of each input, ...), bias);
* a normalised layer: (linear layer, gain, offset, averaging).
"""

import dataclasses
from collections.abc import Mapping
from typing import Literal

import gt4py.next as gtx

from ailand_gt4py.core.dimensions import (
    Contraction,
    DiagnosticFeature,
    ForcingFeature,
    Moment,
    StateFeature,
    StaticFeature,
    contraction,
    unit_dimension,
)
from ailand_gt4py.stencils.fields import Dimensions, matrix, vector
from ailand_gt4py.stencils.instances import Type
from ailand_gt4py.weights import architectures
from ailand_gt4py.weights.processing import PointWise

ActivationName = Literal["linear", "relu", "leaky_relu", "layer_norm_relu"]
#: The layers of a block in order: the dimension of a layer's units and its activation.
Layers = tuple[tuple[gtx.Dimension, ActivationName], ...]

#: The inputs of a step in the network's order, and its results.
INPUTS: dict[str, gtx.Dimension] = {"static": StaticFeature, "forcing": ForcingFeature, "state": StateFeature}
RESULTS: dict[str, gtx.Dimension] = {"new_state": StateFeature, "diagnostics": DiagnosticFeature}
_FEATURES = INPUTS | RESULTS
#: The new state with 0 for what is missing, where some of it is kept of the state that goes in.
KNOWN_STATE = "work_known_new_state"


@dataclasses.dataclass(frozen=True)
class PointWiseShape:
    """What else the operators of a point-wise network depend on.

    Attributes:
        network: activation, latent skip and what is added to variances.
        hidden: of each block the number of the first one of its width, -1 where that is the encoder's.
        stages: (group of inputs or ``diagnostics``, kinds of `network.stages` in order); of what there is.
        boundings: (kind of `network.boundings`, group of results, group that has the total, if any), in order.
        keeps_state: whether the new state takes values, or missing ones, of the state that goes in as they are.
    """

    network: PointWise
    hidden: tuple[int, ...]
    stages: tuple[tuple[str, tuple[str, ...]], ...]
    boundings: tuple[tuple[str, str, str], ...] = ()
    keeps_state: bool = False

    @property
    def channels(self) -> gtx.Dimension:
        """What the encoder gives and all blocks take and give."""
        return unit_dimension("encoder0")

    def units(self, k: int) -> gtx.Dimension:
        """The hidden units of a block."""
        return self.channels if self.hidden[k] < 0 else unit_dimension(f"processor{self.hidden[k]}")


@dataclasses.dataclass(frozen=True)
class NetworkShape:
    """What a network's operators depend on: its architecture and the depth of each block (not the widths).

    Attributes:
        architecture: ``simple``, ``two_branch``, ``layer_norm`` or ``point_wise``.
        depths: (block, number of linear layers), as in `ailand_gt4py.weights.architectures`.
        logarithmic_forcing: whether the logarithm of some forcing is taken.
        bounded_by_others: groups of results, of ``new_state`` and ``diagnostics``, some of which other variables bound.
        soil_heat: whether some of the state changes by its heat (`ailand_gt4py.ecland.soil_heat`).
        soil_water: whether frost holds some of it (`ailand_gt4py.ecland.soil_water`).
        point_wise: of that architecture, whose layers `layers` and `contractions` do not describe.
    """

    architecture: str
    depths: tuple[tuple[str, int], ...]
    logarithmic_forcing: bool = False
    bounded_by_others: tuple[str, ...] = ()
    soil_heat: bool = False
    soil_water: bool = False
    point_wise: PointWiseShape | None = None

    @property
    def hidden_units(self) -> dict[str, gtx.Dimension]:
        """The units of hidden layers by ``<block>.<k>``."""
        if self.point_wise is not None:
            of_blocks = {f"processor.{k}": self.point_wise.units(k) for k in range(len(self.point_wise.hidden))}
            return {"encoder.0": self.point_wise.channels, **of_blocks}
        return {
            f"{block}.{k}": units
            for block, layers in self.layers.items()
            for k, (units, kind) in enumerate(layers)
            if kind != "linear"
        }

    @property
    def layers(self) -> dict[str, Layers]:
        """The layers of each block; the last ones of ``prognostic`` and ``diagnostic`` are the outputs."""
        result: dict[str, Layers] = {}
        for block, depth in self.depths:
            layers: list[tuple[gtx.Dimension, ActivationName]] = [
                (unit_dimension(f"{block}{k}"), self._activation(block, k)) for k in range(depth)
            ]
            if output := self._blocks[block].output:
                layers[-1] = (_FEATURES[output], "linear")
            result[block] = tuple(layers)
        return result

    @property
    def contractions(self) -> tuple[tuple[str, int, tuple[Contraction, ...]], ...]:
        """(block, layer, one contraction for each input) of every linear layer."""
        layers, found = self.layers, []
        for block, _ in self.depths:
            described = self._blocks[block]
            sources = [_FEATURES[name] for name in described.of_variables]
            sources += [layers[name][-1][0] for name in described.of_blocks]
            for k, (target, _) in enumerate(layers[block]):
                found.append((block, k, tuple(contraction(source, target) for source in sources)))
                sources = [target]
        return tuple(found)

    @property
    def results(self) -> dict[str, gtx.Dimension]:
        """Those groups of results that there are."""
        has_all = self.point_wise is None or "diagnostics" in dict(self.point_wise.stages)
        return RESULTS if has_all else {"new_state": StateFeature}

    def differentiated(self, group: str) -> str:
        """Of a group of results, the field whose derivatives are those of the results."""
        is_kept = self.point_wise is not None and self.point_wise.keeps_state
        return KNOWN_STATE if is_kept and group == "new_state" else group

    @property
    def diagnoses_new_state(self) -> bool:
        """Whether diagnostics are those of the new state, before its bounds."""
        return architectures.find(self.architecture).diagnoses_new_state

    @property
    def _blocks(self) -> Mapping[str, architectures.Block]:
        return architectures.find(self.architecture).blocks

    def _activation(self, block: str, k: int) -> ActivationName:
        """Of a hidden layer, as `ailand_gt4py.weights.architectures` describes the published networks."""
        described = self._blocks[block]
        if described.is_normalised:
            return "layer_norm_relu"
        return "relu" if described.of_variables and k == 0 else "leaky_relu"


def linear_type(sources: Dimensions, target: gtx.Dimension, dtype: type) -> Type:
    """Type of the operands of a linear layer on one or more inputs."""
    weights = [matrix(source, target, dtype) for source in sources]
    return _tuple(_tuple(*weights) if len(weights) > 1 else weights[0], vector(target, dtype))


def normalised_type(sources: Dimensions, target: gtx.Dimension, dtype: type) -> Type:
    """Type of the operands of a layer-normalised layer."""
    averaging = matrix(target, Moment, dtype)
    return _tuple(linear_type(sources, target, dtype), vector(target, dtype), vector(target, dtype), averaging)


def layer_type(sources: Dimensions, target: gtx.Dimension, kind: ActivationName, dtype: type) -> Type:
    """Type of a layer's operands."""
    return (normalised_type if kind == "layer_norm_relu" else linear_type)(sources, target, dtype)


def scaling_type(feature: gtx.Dimension, dtype: type) -> Type:
    """Type of (shift, scale)."""
    return _tuple(*[vector(feature, dtype)] * 2)


def logarithmic_scaling_type(feature: gtx.Dimension, dtype: type) -> Type:
    """Type of (shift, scale, share of the value, share of its logarithm, floor)."""
    return _tuple(*[vector(feature, dtype)] * 5)


def finishing_type(feature: gtx.Dimension, dtype: type) -> Type:
    """Type of (shift, scale, lower bound, upper bound)."""
    return _tuple(*[vector(feature, dtype)] * 4)


def bounding_type(feature: gtx.Dimension, dtype: type) -> Type:
    """Type of (choice of static inputs, of forcing, of the results themselves, bound where nothing is chosen).

    A choice is a matrix with a 1 where an input or a result bounds a result, else 0: its product with the values is the
    bound.
    """
    choices = (matrix(source, feature, dtype) for source in (StaticFeature, ForcingFeature, feature))
    return _tuple(*choices, vector(feature, dtype))


def _tuple(*types: Type) -> Type:
    return tuple[types]  # type: ignore[valid-type]
