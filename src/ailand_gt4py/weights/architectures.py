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
        output: group of variables that its last layer gives; empty: hidden units.
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
        return "new_state" in self.blocks["diagnostic"].of_variables


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
    architecture: str, parameters: Mapping[str, np.ndarray], sizes: Sizes
) -> dict[str, tuple[int, ...]]:
    """The shapes that all parameters must have by name, given the widths that the weights' rows show."""
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


def _width(parameters: Mapping[str, np.ndarray], name: str) -> int:
    weight = parameters.get(name)
    if weight is None or weight.ndim != 2:
        found = "nothing" if weight is None else f"shape {weight.shape}"
        raise InputError(f"parameter '{name}': found {found}, expected a matrix (n_out, n_in)")
    return int(weight.shape[0])


def check_parameters(architecture: str, parameters: Mapping[str, np.ndarray], sizes: Sizes) -> None:
    """Check that parameters are complete, of the right shapes, floating-point and finite."""
    shapes = parameter_shapes(architecture, parameters, sizes)
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
