"""A point-wise model as anemoi has it: the reverse of `weights.checkpoints.anemoi.converted`.

anemoi's normaliser is ``x * multiply + add`` with numbers in single precision, the same for a variable at all times.
What remains between that and the model's own, v = a * v_anemoi + c, goes into the encoder and the decoder: exactly, but
for the rounding of their numbers.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.types import Values
from ailand_gt4py.weights.architectures import POINT_WISE, layer_count
from ailand_gt4py.weights.checkpoints.anemoi.checkpoint import AnemoiCheckpoint, AnemoiVariable
from ailand_gt4py.weights.checkpoints.anemoi.processing import LEAK
from ailand_gt4py.weights.model import NODE_TRAINABLE, Model, Variable
from ailand_gt4py.weights.nodes import COMPUTED, COORDINATES
from ailand_gt4py.weights.processing import Bounding, Step
from ailand_gt4py.weights.variables import NODE_COORDINATES

#: Normalisation methods of anemoi.
METHODS = ("mean-std", "std", "min-max", "max", "none")


def as_anemoi(model: Model, latitudes: Values | None, longitudes: Values | None) -> AnemoiCheckpoint:
    """The network of a model in anemoi's order and space.

    Args:
        latitudes, longitudes: (n,) degrees, of the columns; None for a model that is tied to its own.

    Raises:
        InputError: what anemoi has no place for, by its name.
    """
    if model.architecture != POINT_WISE or model.point_wise is None:
        raise InputError(f"the model has the architecture '{model.architecture}', expected '{POINT_WISE}'")
    model.require_physical("export as a checkpoint of anemoi")
    latitudes, longitudes = _columns(model, latitudes, longitudes)
    constant = [one for one in model.static if one.name not in NODE_COORDINATES and not _is_trainable(one)]
    dynamic = [one for one in model.forcing if not one.is_previous]
    prognostic = list(model.state[: model.n_prognostic])
    inputs, outputs = [*dynamic, *constant, *prognostic], [*prognostic, *model.diagnostics]
    chains = {one.name: _Chain.of(one) for one in dict.fromkeys((*inputs, *outputs))}
    times = _times(model)
    radians = np.radians(np.stack([latitudes, longitudes], axis=-1)).astype(np.float32)
    return AnemoiCheckpoint(
        inputs=tuple(_variable(one, chains[one.name], model) for one in inputs),
        outputs=tuple(_variable(one, chains[one.name], model) for one in outputs),
        boundings=(*(_in_space(one, chains) for one in model.boundings), *_bounds(outputs, chains)),
        network=model.point_wise,
        parameters=_parameters(model, chains, [one.name for one in inputs], times),
        n_times=1 + max(steps for _, steps in times.values()),
        step_seconds=model.step_seconds,
        coordinates=np.concatenate([np.sin(radians), np.cos(radians)], axis=-1),
        trainable=np.zeros((len(latitudes), 0)) if model.nodes is None else model.nodes.trainable,
        latitudes=latitudes,
        longitudes=longitudes,
        provenance=dict(model.provenance),
    )


def hidden_width(parameters: Mapping[str, Values]) -> int:
    """Units within the blocks, of which anemoi has one number for all."""
    widths = {len(parameters[f"processor.{k}.bias"]) for k in range(layer_count(parameters, "processor"))}
    if len(widths) > 1:
        raise InputError(f"the blocks have {', '.join(map(str, sorted(widths)))} hidden units, expected one number")
    return widths.pop()


def _is_trainable(variable: Variable) -> bool:
    return variable.name.startswith(NODE_TRAINABLE)


def _columns(model: Model, latitudes: Values | None, longitudes: Values | None) -> tuple[Values, Values]:
    """Where the checkpoint's columns are."""
    if model.nodes is not None:
        if latitudes is not None or longitudes is not None:
            raise InputError("the model is tied to its own columns, expected no others for its checkpoint")
        return model.nodes.latitudes, model.nodes.longitudes
    if latitudes is None or longitudes is None:
        raise InputError("a checkpoint of anemoi has fixed columns, expected their latitudes and longitudes")
    latitudes, longitudes = (np.asarray(one, np.float64) for one in (latitudes, longitudes))
    if latitudes.ndim != 1 or latitudes.shape != longitudes.shape or not latitudes.size:
        raise InputError(
            f"the columns have latitudes {latitudes.shape} and longitudes {longitudes.shape}, expected (n,) of both"
        )
    if not ((np.abs(latitudes) <= 90.0) & (np.abs(longitudes) <= 360.0)).all():
        raise InputError("the columns' latitudes and longitudes: expected degrees, -90 to 90 and -360 to 360")
    return latitudes, longitudes


@dataclasses.dataclass(frozen=True)
class _Chain:
    """A variable's steps in anemoi, and what of the model's value v in the network's space is: a * v_anemoi + c.

    ``core``: the steps before the last affine one. ``exact``: the model's own of that, multiply and add.
    """

    core: tuple[Step, ...]
    exact: tuple[float, float]
    multiply: float
    add: float

    @classmethod
    def of(cls, variable: Variable, newest: _Chain | None = None) -> _Chain:
        """The chain of a variable; of one of an earlier time, whose normaliser is that of the newest."""
        method = variable.normalisation
        core, exact = variable.processing, (1.0, 0.0)
        if core and core[-1].kind == "affine":
            core, exact = core[:-1], (core[-1].parameters[0], core[-1].parameters[1])
        elif not core:
            exact = (1.0 / method.scale, -method.shift / method.scale)
            core = logarithm(method.minimum) if method.is_logarithmic else ()
        if newest is not None and core != newest.core:
            raise InputError(
                f"variable '{variable.name}' is processed in another way than '{variable.previous_of}', expected the "
                "same at all times"
            )
        multiply, add = (newest.multiply, newest.add) if newest is not None else _rounded(variable, exact)
        return cls(core, exact, multiply, add)

    @property
    def factor(self) -> float:
        return self.exact[0] / self.multiply

    @property
    def constant(self) -> float:
        return self.exact[1] - self.factor * self.add

    @property
    def steps(self) -> tuple[Step, ...]:
        affine = (self.multiply, self.add)
        return self.core if self.core and affine == (1.0, 0.0) else (*self.core, Step("affine", affine))


#: Of what anemoi's network takes without a normaliser.
_AS_GIVEN = _Chain((), (1.0, 0.0), 1.0, 0.0)


def _rounded(variable: Variable, exact: tuple[float, float]) -> tuple[float, float]:
    multiply, add = (float(np.float32(one)) for one in exact)
    if multiply == 0.0 or not (math.isfinite(multiply) and math.isfinite(add)):
        raise InputError(
            f"variable '{variable.name}' is multiplied with {exact[0]:g} and {exact[1]:g} added, expected numbers "
            "that single precision holds"
        )
    return multiply, add


def logarithm(floor: float) -> tuple[Step, ...]:
    """log(max(x, floor)); anemoi's atom is more than its target: by less than single precision tells."""
    atoms = (math.nextafter(floor, math.inf), floor, math.inf, math.inf, 0.0)
    return Step("boundary_atoms", atoms), Step("boxcox", (0.0,))


def _times(model: Model) -> dict[str, tuple[str, int]]:
    """Of each input the one that it is at the newest time, and how many steps before that it is of."""
    known = {one.name: one for one in (*model.static, *model.forcing, *model.state)}
    found = {}
    for name, one in known.items():
        steps = 0
        while one.is_previous:
            steps, one = steps + 1, known[one.previous_of]
        if one.derived and COMPUTED.get(one.name) != one.derived:
            raise InputError(
                f"forcing '{one.name}' is derived from time and location in a way that anemoi has not, expected some "
                f"of {', '.join(COMPUTED)}"
            )
        found[name] = one.name, steps
    return found


def _variable(one: Variable, chain: _Chain, model: Model) -> AnemoiVariable:
    is_output, method = one in model.state or one in model.diagnostics, one.normalisation.method
    statistics = {name: getattr(one.normalisation, name) for name in ("mean", "std", "minimum", "maximum")}
    for name, known in (("minimum", one.training_minimum), ("maximum", one.training_maximum)):
        statistics[name] = known if math.isnan(statistics[name]) else statistics[name]
    return AnemoiVariable(
        name=one.name,
        units=one.units,
        is_input=one not in model.diagnostics,
        is_output=is_output,
        is_constant=one in model.static,
        is_computed=bool(one.derived) or (one in model.static and one.name in COORDINATES),
        is_mean=one in model.diagnostics and one.time_meaning == "window mean",
        processing=chain.steps,
        method=method if method in METHODS else "mean-std",
        statistics=statistics,
    )


def _parameters(
    model: Model, chains: Mapping[str, _Chain], inputs: Sequence[str], times: Mapping[str, tuple[str, int]]
) -> dict[str, Values]:
    """The parameters with anemoi's columns and rows, the oldest time first; an input that is none has the weight 0."""
    hidden_width(model.parameters)
    n_times, n_inputs = 1 + max(steps for _, steps in times.values()), len(inputs)
    nodes = [*NODE_COORDINATES, *(one.name for one in model.static if _is_trainable(one))]
    own, bias = (model.parameters[f"encoder.0.{kind}"].astype(np.float64) for kind in ("weight", "bias"))
    weight = np.zeros((len(own), n_times * n_inputs + len(nodes)))
    for column, variable in zip(own.T, (*model.static, *model.forcing, *model.state), strict=True):
        newest, steps = times[variable.name]
        is_node = variable.name in nodes
        chain = _Chain.of(variable, _AS_GIVEN if is_node else chains[newest] if steps else None)
        bias += column * chain.constant
        scaled = column * chain.factor
        position = n_times * n_inputs + nodes.index(variable.name) if is_node else inputs.index(newest)
        if not is_node:
            position += (n_times - 1 - steps) * n_inputs
        weight[:, position] = scaled
        if variable in model.static and not is_node and n_times > 1:
            # Of two times: so a sum of numbers in single precision stays what it is.
            weight[:, position] = scaled.astype(np.float32)
            weight[:, position - n_inputs] = scaled - weight[:, position]
    factors = np.array([chains[one.name].factor for one in (*model.state[: model.n_prognostic], *model.diagnostics)])
    rows, offsets = (model.parameters[f"decoder.0.{kind}"].astype(np.float64) for kind in ("weight", "bias"))
    offsets[model.n_prognostic :] -= [chains[one.name].constant for one in model.diagnostics]
    encoder = {"encoder.0.weight": weight, "encoder.0.bias": bias}
    return {
        **model.parameters,
        **encoder,
        "decoder.0.weight": rows / factors[:, None],
        "decoder.0.bias": offsets / factors,
    }


def _in_space(bounding: Bounding, chains: Mapping[str, _Chain]) -> Bounding:
    """A bounding of the model in anemoi's space."""
    if bounding.slope not in (0.0, LEAK):
        raise InputError(
            f"the bounding of '{bounding.variables[0]}' has the slope {bounding.slope:g}, expected 0 or {LEAK:g}"
        )
    for name in (*bounding.variables, *([bounding.total] if bounding.total else [])):
        if (chains[name].factor, chains[name].constant) != (1.0, 0.0):
            raise InputError(
                f"a bounding is of '{name}', whose normaliser single precision does not hold, expected one of anemoi's"
            )
    return bounding


def _bounds(outputs: Sequence[Variable], chains: Mapping[str, _Chain]) -> tuple[Bounding, ...]:
    """The bounds of results in physical units, as a bounding in the network's space."""
    bounded = [one for one in outputs if math.isfinite(one.lower_bound) or math.isfinite(one.upper_bound)]
    for one in bounded:
        if chains[one.name].core or chains[one.name].multiply < 0.0:
            raise InputError(f"variable '{one.name}' has bounds and is remapped or imputed, expected no more than one")

    def of(side: str) -> tuple[float, ...]:
        return tuple(
            float(np.float32(getattr(one, side) * chains[one.name].multiply + chains[one.name].add)) for one in bounded
        )

    names = tuple(one.name for one in bounded)
    return (Bounding("clip", names, of("lower_bound"), of("upper_bound")),) if bounded else ()
