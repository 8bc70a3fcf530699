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

from collections.abc import Mapping
from typing import Literal, NamedTuple, get_args

import numpy as np

from ailand_gt4py.core.errors import InputError

ArchitectureName = Literal["simple", "two_branch", "layer_norm"]


class Sizes(NamedTuple):
    """Numbers of input and output variables."""

    static: int
    forcing: int
    state: int
    diagnostics: int


def layer_count(parameters: Mapping[str, np.ndarray], block: str) -> int:
    """Number of linear layers of a block, 0 where the block is absent."""
    layers = {int(name.split(".")[1]) for name in parameters if name.split(".")[0] == block}
    if layers != set(range(len(layers))):
        raise InputError(f"parameters of block '{block}' have the layers {sorted(layers)}, expected 0, 1, 2, ...")
    return len(layers)


def blocks(architecture: str) -> dict[str, bool]:
    """Block names of an architecture; True where the block's hidden layers are layer-normalised.

    Raises:
        InputError: unknown architecture.
    """
    table = {
        "simple": {"trunk": False, "prognostic": False, "diagnostic": False},
        "two_branch": {"static": False, "dynamic": False, "combine": False, "prognostic": False, "diagnostic": False},
        "layer_norm": {"trunk": True, "prognostic": False, "diagnostic": True},
    }
    if architecture not in table:
        raise InputError(
            f"architecture '{architecture}' is unknown; expected one of {', '.join(get_args(ArchitectureName))}"
        )
    return table[architecture]


def parameter_shapes(
    architecture: str, parameters: Mapping[str, np.ndarray], sizes: Sizes
) -> dict[str, tuple[int, ...]]:
    """The shapes that all parameters must have, given the widths that the weights' rows show.

    Returns:
        name -> shape, for every parameter that the architecture needs at the depth found.

    Raises:
        InputError: unknown architecture, or a block without layers.
    """
    counts = {block: layer_count(parameters, block) for block in blocks(architecture)}
    for block, count in counts.items():
        if count == 0:
            raise InputError(f"architecture '{architecture}' needs the block '{block}', found no parameter of it")

    def width(block: str, layer: int) -> int:
        weight = parameters.get(f"{block}.{layer}.weight")
        if weight is None or weight.ndim != 2:
            found = "nothing" if weight is None else f"shape {weight.shape}"
            raise InputError(f"parameter '{block}.{layer}.weight': found {found}, expected a matrix (n_out, n_in)")
        return int(weight.shape[0])

    n_input = sizes.static + sizes.forcing + sizes.state
    last = {block: width(block, count - 1) for block, count in counts.items()}
    inputs = {
        "simple": {"trunk": n_input, "prognostic": last.get("trunk", 0), "diagnostic": last.get("trunk", 0)},
        "two_branch": {
            "static": sizes.static,
            "dynamic": sizes.forcing + sizes.state,
            "combine": last.get("static", 0) + last.get("dynamic", 0),
            "prognostic": last.get("combine", 0),
            "diagnostic": last.get("combine", 0),
        },
        "layer_norm": {"trunk": n_input, "prognostic": last.get("trunk", 0), "diagnostic": n_input},
    }[architecture]
    outputs = {"prognostic": sizes.state, "diagnostic": sizes.diagnostics}
    single = {
        "simple": ("prognostic", "diagnostic"),
        "two_branch": ("static", "dynamic", "combine"),
        "layer_norm": ("prognostic",),
    }
    for block in single[architecture]:
        if counts[block] != 1:
            raise InputError(f"architecture '{architecture}': block '{block}' has {counts[block]} layers, expected 1")

    shapes: dict[str, tuple[int, ...]] = {}
    for block, normalised in blocks(architecture).items():
        n_in = inputs[block]
        for layer in range(counts[block]):
            is_head = block in outputs and layer == counts[block] - 1
            n_out = outputs[block] if is_head else width(block, layer)
            shapes[f"{block}.{layer}.weight"] = (n_out, n_in)
            shapes[f"{block}.{layer}.bias"] = (n_out,)
            if normalised and not is_head:
                shapes[f"{block}.{layer}.gain"] = (n_out,)
                shapes[f"{block}.{layer}.offset"] = (n_out,)
            n_in = n_out
    return shapes


def check_parameters(architecture: str, parameters: Mapping[str, np.ndarray], sizes: Sizes) -> None:
    """Check that parameters are complete, of the right shapes, floating-point and finite.

    Raises:
        InputError: naming the parameter, what was found and what was expected.
    """
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
