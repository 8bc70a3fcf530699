"""What a training takes from the model that it begins with: network and variables, which its weights are of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.training.configuration import Configuration, Network, Variables
from ailand_gt4py.weights.architectures import POINT_WISE, layer_count
from ailand_gt4py.weights.model import Model, Variable
from ailand_gt4py.weights.variables import NODE_COORDINATES


def adopted(configuration: Configuration, model: Model, report: Callable[[str], None]) -> Configuration:
    """The configuration with the model's network and variables; what it names otherwise is reported.

    Raises:
        InputError: the model has another architecture than those that are trained, or the configuration names variables
            that it does not have.
    """
    network, variables = _network(model, configuration.network.dropout), _variables(model)
    sections = (("network", network, configuration.network), ("variables", variables, configuration.variables))
    for section, own, given in sections:
        for name in sorted(given.model_fields_set):
            found, expected = getattr(given, name), getattr(own, name)
            # No names: the default ones, here those of the model.
            if found in ((), expected):
                continue
            are_names = section == "variables" and isinstance(expected, tuple)
            unknown = [one for one in found if one not in expected] if are_names else []
            if unknown:
                raise InputError(
                    f"option 'variables.{name}': the model that training begins with has no {', '.join(unknown)}, "
                    f"expected some of {', '.join(expected)}"
                )
            report(f"option '{section}.{name}' is {_text(found)}, but taken is that of the model: {_text(expected)}")
    changed = configuration.model_copy(update={"network": network, "variables": variables})
    changed.check_names()
    return changed


def _text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _network(model: Model, dropout: float) -> Network:
    """The options of a network of the model's size."""

    def widths(block: str) -> list[int]:
        return [len(model.parameters[f"{block}.{k}.bias"]) for k in range(layer_count(model.parameters, block))]

    def one(what: str, found: Sequence[int]) -> int:
        if len(set(found)) != 1:
            raise InputError(f"option 'run.start_from': the model's {what} have the widths {list(found)}, expected one")
        return found[0]

    options: dict[str, Any]
    if model.architecture == "layer_norm":
        trunk, diagnostic = widths("trunk"), widths("diagnostic")[:-1]
        options = {"architecture": "layer_norm", "width": one("hidden layers", trunk), "depth": len(trunk)}
        if diagnostic:
            options |= {
                "diagnostic_width": one("diagnostic block's layers", diagnostic),
                "diagnostic_depth": len(diagnostic),
            }
    elif model.architecture == POINT_WISE and model.point_wise is not None:
        (channels,), hidden = widths("encoder"), widths("processor")
        shape = model.point_wise
        options = {
            "architecture": POINT_WISE,
            "channels": channels,
            "layers": len(hidden),
            "ratio": one("blocks", hidden) / channels,
            "activation": shape.activation,
            "activation_parameters": shape.activation_parameters,
            "latent_skip": shape.latent_skip,
            "epsilon": shape.epsilon,
            "coordinates": any(variable.name in NODE_COORDINATES for variable in model.static),
            "input_steps": len(model.state) // model.n_prognostic,
            "dropout": dropout,
        }
    else:
        raise InputError(
            f"option 'run.start_from': the model has the architecture '{model.architecture}', expected 'layer_norm' or "
            f"'{POINT_WISE}'"
        )
    return Network(**options)


def _variables(model: Model) -> Variables:
    is_point_wise = model.architecture == POINT_WISE
    newest = model.state[: model.n_prognostic]

    def names(group: Sequence[Variable], kept: Callable[[Variable], bool] = lambda variable: True) -> tuple[str, ...]:
        return tuple(variable.name for variable in group if kept(variable))

    n_times = len(model.state) // max(model.n_prognostic, 1)
    return Variables(
        static=names(model.static, lambda one: not is_point_wise or one.name not in NODE_COORDINATES),
        forcing=names(model.forcing, lambda one: n_times == 1 or not one.is_previous),
        state=names(newest),
        diagnostics=names(model.diagnostics),
        soil_heat=any(one.changes_by_heat for one in newest),
        soil_water=any(one.held_by_frost for one in newest),
    )
