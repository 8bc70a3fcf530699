"""The published aiLand network shapes: which parameters each has and how their sizes hang together.

``simple`` and ``two_branch`` are the shapes of the aiLand prototype (Wesselkamp et al. 2025,
doi:10.5194/gmd-18-921-2025), ``layer_norm`` that of its later version and of aiLand v1 (Raoult et al. 2026).
Widths and depth are free; they are read off the parameters.

Every parameter's name is ``<block>.<k>.<kind>``, kind ``weight`` (n_out, n_in), ``bias`` (n_out,), and for
``layer_norm`` also ``gain`` and ``offset`` (n_out,), the scale and shift after the normalisation.

simple
    ``trunk.0 .. trunk.{n-1}`` on concat(static, forcing, state); ``prognostic.0`` and ``diagnostic.0`` are linear
    heads. ReLU after the first layer, LeakyReLU(0.01) after the others. The prognostic output is an increment.
two_branch
    ``static.0`` on static and ``dynamic.0`` on concat(forcing, state), both ReLU; ``combine.0`` on concat of the two,
    LeakyReLU; ``prognostic.0 ..`` and ``diagnostic.0 ..``: LeakyReLU between the layers, the last one linear.
    The prognostic output is an increment.
layer_norm
    ``trunk.k``: linear, layer normalisation, ReLU; ``prognostic.0`` linear, added to the state, then bounds.
    ``diagnostic.0 .. diagnostic.{m-1}`` as the trunk on concat(static, forcing, NEW unbounded state),
    ``diagnostic.m`` linear, then bounds.
point_wise
    anemoi's point-wise network, in which aiLand is made today (``PointWiseForwardMapper``, ``PointWiseMLPProcessor``,
    ``PointWiseBackwardMapper`` of anemoi-models, Apache-2.0). ``encoder.0`` linear on concat(static, forcing, state);
    ``processor.k``: linear, layer normalisation, activation and, where the hidden width is not the encoder's, a second
    linear layer ``weight_out``, ``bias_out`` back to that; what the encoder gives is added after the last one if there
    is a latent skip; ``decoder.0``: layer normalisation, then linear, to the state of the newest time and the
    diagnostics. The state is added to its part, and boundings follow, in the network's space
    (`ailand_gt4py.weights.processing`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from ailand_gt4py.core.errors import InputError


class Sizes(NamedTuple):
    """Numbers of input and output variables."""

    static: int
    forcing: int
    state: int
    diagnostics: int


class Block(NamedTuple):
    """A chain of linear layers; if ``is_single`` of one, if ``is_normalised`` with hidden ones layer-normalised.

    Attributes:
        of_variables: groups of variables that its first layer takes, in order; ``new_state`` is the step's result.
        of_blocks: blocks whose last layers' outputs its first layer takes.
        output: group of variables that its last layer gives, ``results`` for the state of the newest time and then the
            diagnostics; empty: hidden units.
    """

    of_variables: tuple[str, ...] = ()
    of_blocks: tuple[str, ...] = ()
    is_normalised: bool = False
    is_single: bool = False
    output: str = ""


@dataclasses.dataclass(frozen=True)
class Architecture:
    """A published network shape: its blocks by name, in the order of their parameters.

    ``admits_physics``: whether results may be bounded by other variables and change by soil heat.
    """

    blocks: Mapping[str, Block]
    admits_physics: bool = True

    @property
    def diagnoses_new_state(self) -> bool:
        """Whether diagnostics are those of the state that comes out, not of the one that goes in."""
        return any("new_state" in block.of_variables for block in self.blocks.values())


#: The one whose variables may have a processing of their own, and whose state may hold earlier states.
POINT_WISE = "point_wise"

_EVERYTHING = ("static", "forcing", "state")

#: All that there are, by name.
ARCHITECTURES: dict[str, Architecture] = {
    "simple": Architecture(
        {
            "trunk": Block(_EVERYTHING),
            "prognostic": Block(of_blocks=("trunk",), is_single=True, output="state"),
            "diagnostic": Block(of_blocks=("trunk",), is_single=True, output="diagnostics"),
        }
    ),
    "two_branch": Architecture(
        {
            "static": Block(("static",), is_single=True),
            "dynamic": Block(("forcing", "state"), is_single=True),
            "combine": Block(of_blocks=("static", "dynamic"), is_single=True),
            "prognostic": Block(of_blocks=("combine",), output="state"),
            "diagnostic": Block(of_blocks=("combine",), output="diagnostics"),
        },
        admits_physics=False,
    ),
    "layer_norm": Architecture(
        {
            "trunk": Block(_EVERYTHING, is_normalised=True),
            "prognostic": Block(of_blocks=("trunk",), is_single=True, output="state"),
            "diagnostic": Block(("static", "forcing", "new_state"), is_normalised=True, output="diagnostics"),
        }
    ),
    POINT_WISE: Architecture(
        {
            "encoder": Block(_EVERYTHING, is_single=True),
            "processor": Block(of_blocks=("encoder",), is_normalised=True),
            "decoder": Block(of_blocks=("processor",), is_normalised=True, is_single=True, output="results"),
        },
        admits_physics=False,
    ),
}


def layer_count(parameters: Mapping[str, np.ndarray], block: str) -> int:
    """Number of linear layers of a block, 0 where the block is absent."""
    layers = {int(name.split(".")[1]) for name in parameters if name.split(".")[0] == block}
    if layers != set(range(len(layers))):
        raise InputError(f"parameters of block '{block}' have the layers {sorted(layers)}, expected 0, 1, 2, ...")
    return len(layers)


def find(architecture: str) -> Architecture:
    if architecture not in ARCHITECTURES:
        raise InputError(f"architecture '{architecture}' is unknown; expected one of {', '.join(ARCHITECTURES)}")
    return ARCHITECTURES[architecture]


def parameter_shapes(
    architecture: str, parameters: Mapping[str, np.ndarray], sizes: Sizes, n_previous: int = 0
) -> dict[str, tuple[int, ...]]:
    """The shapes that all parameters must have by name, given the widths that the weights' rows show.

    Args:
        n_previous: how many of the state variables are of earlier times, which no layer gives.
    """
    if architecture == POINT_WISE:
        return _point_wise_shapes(parameters, sizes, n_previous)
    widths = {**sizes._asdict(), "new_state": sizes.state}
    shapes: dict[str, tuple[int, ...]] = {}
    last: dict[str, int] = {}
    for name, block in find(architecture).blocks.items():
        count = layer_count(parameters, name)
        if count == 0:
            raise InputError(f"architecture '{architecture}' needs the block '{name}', found no parameter of it")
        if block.is_single and count != 1:
            raise InputError(f"architecture '{architecture}': block '{name}' has {count} layers, expected 1")
        n_in = sum(widths[group] for group in block.of_variables) + sum(last[source] for source in block.of_blocks)
        for layer in range(count):
            is_head = bool(block.output) and layer == count - 1
            n_out = widths[block.output] if is_head else _width(parameters, f"{name}.{layer}.weight")
            shapes[f"{name}.{layer}.weight"] = (n_out, n_in)
            shapes[f"{name}.{layer}.bias"] = (n_out,)
            if block.is_normalised and not is_head:
                shapes[f"{name}.{layer}.gain"] = (n_out,)
                shapes[f"{name}.{layer}.offset"] = (n_out,)
            n_in = n_out
        last[name] = n_in
    return shapes


def _point_wise_shapes(
    parameters: Mapping[str, np.ndarray], sizes: Sizes, n_previous: int
) -> dict[str, tuple[int, ...]]:
    count = {name: layer_count(parameters, name) for name in find(POINT_WISE).blocks}
    if count["encoder"] != 1 or count["decoder"] != 1 or count["processor"] < 1:
        raise InputError(
            f"architecture '{POINT_WISE}' has encoder, processor and decoder of {', '.join(map(str, count.values()))} "
            "layers, expected 1, at least 1, and 1"
        )
    n_results = sizes.state - n_previous + sizes.diagnostics
    channels = _width(parameters, "encoder.0.weight")
    shapes: dict[str, tuple[int, ...]] = {
        "encoder.0.weight": (channels, sizes.static + sizes.forcing + sizes.state),
        "encoder.0.bias": (channels,),
    }
    for layer in range(count["processor"]):
        name = f"processor.{layer}"
        hidden = _width(parameters, f"{name}.weight")
        shapes[f"{name}.weight"] = (hidden, channels)
        shapes |= {f"{name}.{kind}": (hidden,) for kind in ("bias", "gain", "offset")}
        if hidden != channels:
            shapes |= {f"{name}.weight_out": (channels, hidden), f"{name}.bias_out": (channels,)}
    shapes |= {"decoder.0.gain": (channels,), "decoder.0.offset": (channels,)}
    return shapes | {"decoder.0.weight": (n_results, channels), "decoder.0.bias": (n_results,)}


def _width(parameters: Mapping[str, np.ndarray], name: str) -> int:
    weight = parameters.get(name)
    if weight is None or weight.ndim != 2:
        found = "nothing" if weight is None else f"shape {weight.shape}"
        raise InputError(f"parameter '{name}': found {found}, expected a matrix (n_out, n_in)")
    return int(weight.shape[0])


def check_parameters(
    architecture: str, parameters: Mapping[str, np.ndarray], sizes: Sizes, n_previous: int = 0
) -> None:
    """Check that parameters are complete, of the right shapes, floating-point and finite; arguments as above."""
    shapes = parameter_shapes(architecture, parameters, sizes, n_previous)
    missing = sorted(shapes.keys() - parameters.keys())
    surplus = sorted(parameters.keys() - shapes.keys())
    if missing or surplus:
        raise InputError(
            f"architecture '{architecture}': parameters missing: {', '.join(missing) or 'none'}; "
            f"not expected: {', '.join(surplus) or 'none'}"
        )
    for name, shape in shapes.items():
        array = parameters[name]
        if array.shape != shape:
            raise InputError(f"parameter '{name}' has the shape {array.shape}, expected {shape}")
        if array.dtype not in (np.float32, np.float64):
            raise InputError(f"parameter '{name}' is of type {array.dtype}, expected float32 or float64")
        if not np.isfinite(array).all():
            raise InputError(f"parameter '{name}' holds {int((~np.isfinite(array)).sum())} values that are not finite")
