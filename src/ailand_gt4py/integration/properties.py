"""What a land component takes and gives: names, units and dimensions, as dycores declare them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.weights.model import Described, Model, Variable
from ailand_gt4py.weights.variables import CATALOGUE, Specification, cf_attributes

Origin = Literal["model", "closure", "derivative", "forcing"]


@dataclasses.dataclass(frozen=True)
class Output(Described):
    """A field that the component gives; ``name`` is its key in the component's outputs.

    Attributes:
        origin: ``model`` predicted by the network, ``closure`` from formulas (`stencils.physics.surface`),
            ``derivative`` of the network, ``forcing`` the host's own over the window.
    """

    origin: Origin = "model"


class Predicted(NamedTuple):
    """An output that is a variable of the model but for its sign.

    Attributes:
        variable: its name. factor: by which it is multiplied: -1 where the model counts downward and a dycore upward.
    """

    output: Output
    variable: str
    factor: float


class FluxDerivative(NamedTuple):
    """The derivative of an upward flux with respect to a forcing variable, and that variable's value where it holds.

    With them a host has the flux as a line: flux + derivative * (its air now - reference).

    Attributes:
        output: the derivative. reference: the forcing of the window that gave flux and derivative.
        flux: the model's downward flux. forcing: the variable.
    """

    output: Output
    reference: Output
    flux: str
    forcing: str


def catalogued(name: str, origin: Origin) -> Output:
    """The output that the catalogue has under a name."""
    entry = CATALOGUE[name]
    return Output(name, entry.units, entry.long_name, entry.standard_name, origin=origin)


def _predicted(entry: Specification) -> Predicted:
    standard_name, long_name = entry.standard_name, entry.long_name
    if entry.component_factor < 0.0:
        standard_name, long_name = (text.replace("downward", "upward") for text in (standard_name, long_name))
    output = Output(entry.component_name, entry.units, long_name, standard_name)
    return Predicted(output, entry.name, entry.component_factor)


#: Of all variables to which the catalogue gives a name among the component's outputs.
PREDICTED = tuple(_predicted(entry) for entry in CATALOGUE.values() if entry.component_name)
DERIVATIVES = tuple(
    FluxDerivative(catalogued(derivative, "derivative"), catalogued(reference, "forcing"), flux, forcing)
    for derivative, reference, flux, forcing in (
        (
            "sensible_heat_flux_derivative_by_air_temperature",
            "sensible_heat_flux_air_temperature",
            "sshf",
            "met_tair",
        ),
        (
            "latent_heat_flux_derivative_by_specific_humidity",
            "latent_heat_flux_specific_humidity",
            "slhf",
            "met_qair",
        ),
    )
)


def predicted_outputs(model: Model) -> tuple[tuple[Predicted, ...], dict[str, str]]:
    """Those that the model has in their units, and of the others name -> why it does not give it."""
    units = {variable.name: variable.units for variable in (*model.state, *model.diagnostics)}
    reasons = {}
    for output, variable, _ in PREDICTED:
        if variable not in units:
            reasons[output.name] = f"the model does not predict '{variable}'"
        elif units[variable] != output.units:
            reasons[output.name] = f"the model gives '{variable}' in '{units[variable]}', expected '{output.units}'"
    return tuple(predicted for predicted in PREDICTED if predicted.output.name not in reasons), reasons


def input_properties(variables: Sequence[Variable], dims: tuple[Any, ...]) -> dict[str, dict[str, Any]]:
    """Of the fields that the host gives at every step."""
    return {
        variable.name: {"standard_name": variable.name, "long_name": "", **cf_attributes(variable), "dims": dims}
        for variable in variables
    }


def output_properties(outputs: Sequence[Output], dims: tuple[Any, ...]) -> dict[str, dict[str, Any]]:
    """Of the component's outputs."""
    return {
        output.name: {"standard_name": output.name, **cf_attributes(output), "dims": dims, "origin": output.origin}
        for output in outputs
    }


def check_units(declared: Mapping[str, str], variables: Sequence[Variable]) -> None:
    """Check the units that a host declares for the fields it gives.

    Raises:
        InputError: a field that the model does not take, or another unit than the model's.
    """
    known = {variable.name: variable.units for variable in variables}
    for name, units in declared.items():
        if name not in known:
            raise InputError(f"{name}: the model takes no such field, expected one of {', '.join(known)}")
        if units != known[name]:
            raise InputError(f"{name}: found the unit '{units}', expected '{known[name]}'")
