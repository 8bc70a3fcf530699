"""Element-wise steps between a variable's physical value and the network's, and bounds in the network's space.

They are those of anemoi's pre- and post-processors (Apache-2.0, https://github.com/ecmwf/anemoi-core): imputers,
remappers and the normaliser, each with the inverse that anemoi applies to a result. An inverse also admits values that
no input is mapped to: a square root below zero stands for zero.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, get_args

import numpy as np

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.types import Values


class _Kind(NamedTuple):
    """What a kind of step does.

    Attributes:
        parameters: their names, in order.
        value, inverse: of values, then parameters.
        expects: what holds for the parameters. meaning: the same in words.
        may_be_infinite: whether a parameter may be infinite.
    """

    parameters: tuple[str, ...]
    value: Callable[..., Values]
    inverse: Callable[..., Values]
    expects: Callable[..., bool] = lambda *parameters: True
    meaning: str = ""
    may_be_infinite: bool = False


def _power(x: Values, exponent: float, clip_negative: float, is_linear_above_one: float) -> Values:
    x = np.maximum(x, 0.0) if clip_negative else x
    root = np.power(x, exponent)
    return np.where(x > 1.0, 1.0 - exponent + exponent * x, root) if is_linear_above_one else root


def _power_inverse(v: Values, exponent: float, clip_negative: float, is_linear_above_one: float) -> Values:
    x = np.power(np.maximum(v, 0.0), 1.0 / exponent)
    return np.where(v > 1.0, (v - 1.0 + exponent) / exponent, x) if is_linear_above_one else x


def _boxcox(x: Values, exponent: float) -> Values:
    return (np.power(x, exponent) - 1.0) / exponent if exponent else np.log(x)


def _boxcox_inverse(v: Values, exponent: float) -> Values:
    return np.power(np.maximum(exponent * v + 1.0, 0.0), 1.0 / exponent) if exponent else np.exp(v)


def _atoms(x: Values, lower: float, lower_target: float, upper: float, upper_target: float, eps: float) -> Values:
    displaced = np.where(x <= lower + eps, lower_target, x)
    return np.where(x >= upper - eps, upper_target, displaced)


def _imputed(x: Values, replacement: float) -> Values:
    return np.where(np.isnan(x), replacement, x)


_KINDS: dict[str, _Kind] = {
    "impute": _Kind(("replacement",), _imputed, lambda v, replacement: v),
    "affine": _Kind(
        ("multiply", "add"),
        lambda x, multiply, add: x * multiply + add,
        lambda v, multiply, add: (v - add) / multiply,
        lambda multiply, add: multiply != 0.0,
        "multiply other than 0",
    ),
    "log1p": _Kind((), np.log1p, np.expm1),
    "sqrt": _Kind((), np.sqrt, lambda v: np.maximum(v, 0.0) ** 2),
    "power": _Kind(
        ("exponent", "clip_negative", "tangent_linear_above_one"),
        _power,
        _power_inverse,
        lambda exponent, *flags: exponent > 0.0 and all(flag in (0.0, 1.0) for flag in flags),
        "exponent above 0, clip_negative and tangent_linear_above_one 0 or 1",
    ),
    "boxcox": _Kind(("exponent",), _boxcox, _boxcox_inverse, lambda exponent: exponent >= 0.0, "exponent 0 or above"),
    "asinh": _Kind(
        ("factor",),
        lambda x, factor: np.arcsinh(factor * x),
        lambda v, factor: np.sinh(v) / factor,
        lambda factor: factor != 0.0,
        "factor other than 0",
    ),
    "atanh": _Kind(
        ("rho",),
        lambda x, rho: np.arctanh(np.tanh(rho) * (2.0 * x - 1.0)) / rho,
        lambda v, rho: np.clip(0.5 * (np.tanh(rho * v) / np.tanh(rho) + 1.0), 0.0, 1.0),
        lambda rho: rho > 0.0,
        "rho above 0",
    ),
    "scale": _Kind(
        ("scale", "shift"),
        lambda x, scale, shift: scale * x + shift,
        lambda v, scale, shift: (v - shift) / scale,
        lambda scale, shift: scale != 0.0,
        "scale other than 0",
    ),
    "boundary_atoms": _Kind(
        ("lower_atom", "lower_target", "upper_atom", "upper_target", "eps"),
        _atoms,
        lambda v, lower, lower_target, upper, upper_target, eps: np.clip(v, lower, upper),
        lambda lower, lower_target, upper, upper_target, eps: (
            lower_target <= lower < upper <= upper_target and 0.0 <= eps < math.inf
        ),
        "lower_target <= lower_atom < upper_atom <= upper_target (infinite where there is none), eps 0 or above",
        may_be_infinite=True,
    ),
}


@dataclasses.dataclass(frozen=True)
class Step:
    """One element-wise step from a physical value towards the network's.

    Attributes:
        kind: with its parameters, in order: ``impute`` (replacement): of NaN. ``affine`` (multiply, add): the
            normaliser, x * multiply + add. ``log1p`` (). ``sqrt`` (). ``power`` (exponent, clip_negative,
            tangent_linear_above_one), the last two 0 or 1. ``boxcox`` (exponent), the logarithm for 0.
            ``asinh`` (factor). ``atanh`` (rho): of a fraction. ``scale`` (scale, shift): anemoi's affine remapper,
            scale * x + shift. ``boundary_atoms`` (lower_atom, lower_target, upper_atom, upper_target, eps): values
            within eps of an atom, or beyond, become its target; atom and target are infinite where there is none.
        parameters: of the kind.
    """

    kind: str
    parameters: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in _KINDS:
            raise InputError(f"processing step '{self.kind}' is unknown; expected one of {', '.join(_KINDS)}")
        kind = _KINDS[self.kind]
        if len(self.parameters) != len(kind.parameters):
            raise InputError(
                f"processing step '{self.kind}' has the parameters {self.parameters}, expected "
                f"({', '.join(kind.parameters)})"
            )
        is_number = all(not math.isnan(one) and (kind.may_be_infinite or math.isfinite(one)) for one in self.parameters)
        if not (is_number and kind.expects(*self.parameters)):
            raise InputError(
                f"processing step '{self.kind}' has the parameters {self.parameters}, expected "
                f"{kind.meaning or 'finite numbers'}"
            )

    def apply(self, values: Values) -> Values:
        """Values one step nearer to the network's space."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return _KINDS[self.kind].value(values, *self.parameters)

    def invert(self, values: Values) -> Values:
        """Values one step nearer to physical units."""
        with np.errstate(over="ignore"):
            return _KINDS[self.kind].inverse(values, *self.parameters)


def to_network(steps: Sequence[Step], values: Values) -> Values:
    """Physical values in the network's space."""
    for step in steps:
        values = step.apply(values)
    return values


def to_physical(steps: Sequence[Step], values: Values) -> Values:
    """Values of the network's space in physical units."""
    for step in reversed(steps):
        values = step.invert(values)
    return values


BoundingKind = Literal["clip", "fraction"]


@dataclasses.dataclass(frozen=True)
class Bounding:
    """A bounding layer: results in the network's space, in place, one layer after another.

    Attributes:
        kind: ``clip`` to [lower, upper]; ``fraction``: that, times the result ``total`` as it is at that moment.
        variables: names of results: state variables of the newest time and diagnostics.
        lower, upper: of each of them, infinite where there is none.
        slope: outside of a bound the result is bound + slope * (value - bound).
        total: name of a result that is not among the variables; empty unless ``fraction``.
    """

    kind: BoundingKind
    variables: tuple[str, ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    slope: float = 0.0
    total: str = ""

    def __post_init__(self) -> None:
        if self.kind not in get_args(BoundingKind):
            raise InputError(f"bounding '{self.kind}' is unknown; expected one of {', '.join(get_args(BoundingKind))}")
        what = f"bounding '{self.kind}' of {', '.join(self.variables) or 'nothing'}"
        if not self.variables or len(set(self.variables)) < len(self.variables):
            raise InputError(f"{what}: expected the names of results, each once")
        if not len(self.lower) == len(self.upper) == len(self.variables):
            raise InputError(
                f"{what}: found {len(self.lower)} lower and {len(self.upper)} upper bounds, expected one of each for "
                "every variable"
            )
        for name, lower, upper in zip(self.variables, self.lower, self.upper, strict=True):
            if not (lower <= upper and lower < math.inf and upper > -math.inf):
                raise InputError(f"{what}: '{name}' has the bounds {lower} to {upper}, expected numbers in order")
        if not 0.0 <= self.slope < 1.0:
            raise InputError(f"{what}: found the slope {self.slope}, expected 0 or above, and less than 1")
        if bool(self.total) != (self.kind == "fraction") or self.total in self.variables:
            raise InputError(
                f"{what}: found the total '{self.total}', expected "
                f"{'another result' if self.kind == 'fraction' else 'none'}"
            )


#: Activations between a block's layer normalisation and what follows, and the names of their parameters.
ACTIVATIONS: dict[str, tuple[str, ...]] = {
    "gelu": (),
    "gelu_tanh": (),
    "silu": (),
    "relu": (),
    "leaky_relu": ("slope",),
    "elu": ("alpha",),
    "tanh": (),
    "softplus": ("beta", "threshold"),
    "identity": (),
    "sine": ("w", "phi"),
    "custom_relu": ("threshold",),
}


@dataclasses.dataclass(frozen=True)
class PointWise:
    """What the tensors of a point-wise network do not say.

    Attributes:
        activation: of `ACTIVATIONS`. activation_parameters: its own, in order.
        latent_skip: whether what the encoder gives is added to what the last block gives.
        epsilon: added to the variance in every layer normalisation.
    """

    activation: str = "gelu"
    activation_parameters: tuple[float, ...] = ()
    latent_skip: bool = True
    epsilon: float = 1e-5

    def __post_init__(self) -> None:
        if self.activation not in ACTIVATIONS:
            raise InputError(f"activation '{self.activation}' is unknown; expected one of {', '.join(ACTIVATIONS)}")
        expected, found = ACTIVATIONS[self.activation], self.activation_parameters
        if len(found) != len(expected) or not all(map(math.isfinite, found)):
            raise InputError(
                f"activation '{self.activation}' has the parameters {found}, expected finite numbers "
                f"({', '.join(expected)})"
            )
        if not 0.0 < self.epsilon < 1.0:
            raise InputError(f"layer normalisation has the epsilon {self.epsilon}, expected more than 0, less than 1")


@dataclasses.dataclass(frozen=True, eq=False)
class Nodes:
    """The columns that a network with numbers of each column is tied to.

    Attributes:
        latitudes, longitudes: (n,) degrees north and east.
        trainable: (n, k) those numbers.
    """

    latitudes: Values
    longitudes: Values
    trainable: Values

    def __post_init__(self) -> None:
        n = len(self.latitudes)
        if self.latitudes.shape != (n,) or self.longitudes.shape != (n,) or self.trainable.shape[:-1] != (n,):
            raise InputError(
                f"nodes: found latitudes {self.latitudes.shape}, longitudes {self.longitudes.shape} and numbers "
                f"{self.trainable.shape}, expected (n,), (n,) and (n, k)"
            )


@dataclasses.dataclass(frozen=True)
class Variability:
    """How much the state of the training columns varies: by that, training measures errors.

    Attributes:
        changes: (n_lags, n_state) root mean square of the changes over 1, 2, 4, ... steps, in the variables' units;
            infinite where it is not known, of the first lag never.
        anomalies: (n_state,) standard deviation about each column's day-of-year climatology.
    """

    changes: Values
    anomalies: Values

    def __post_init__(self) -> None:
        if self.changes.ndim != 2 or not self.changes.size or self.changes.shape[1:] != self.anomalies.shape:
            raise InputError(
                f"variability: found changes {self.changes.shape} and anomalies {self.anomalies.shape}, expected "
                "(n_lags, n_state) and (n_state,)"
            )
        if not (np.all(self.changes > 0.0) and np.all(np.isfinite(self.changes[0])) and np.all(self.anomalies >= 0.0)):
            raise InputError(
                "variability: found others, expected finite first changes above 0 and anomalies of 0 or more"
            )
