"""What a land component takes and gives: names, units and dimensions, as dycores declare them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.weights.model import Model, Variable

Origin = Literal["model", "closure", "derivative", "forcing"]


@dataclasses.dataclass(frozen=True)
class Output:
    """A field that the component gives.

    Attributes:
        name: key in the component's outputs. standard_name: of CF, empty where there is none. units: UDUNITS.
        origin: ``model`` predicted by the network, ``closure`` from formulas (`stencils.surface`), ``derivative`` of
            the network, ``forcing`` the host's own over the window.
        long_name: for people.
    """

    name: str
    standard_name: str
    units: str
    origin: Origin
    long_name: str


@dataclasses.dataclass(frozen=True)
class Predicted:
    """An output that is a variable of the model but for its sign.

    Attributes:
        variable: its name. factor: by which it is multiplied: -1 where the model counts downward and a dycore upward.
    """

    output: Output
    variable: str
    factor: float = 1.0


PREDICTED = (
    Predicted(Output("surface_temperature", "surface_temperature", "K", "model", "skin temperature"), "skt"),
    Predicted(
        Output(
            "surface_upward_sensible_heat_flux",
            "surface_upward_sensible_heat_flux",
            "W m-2",
            "model",
            "sensible heat flux, positive upward",
        ),
        "sshf",
        -1.0,
    ),
    Predicted(
        Output(
            "surface_upward_latent_heat_flux",
            "surface_upward_latent_heat_flux",
            "W m-2",
            "model",
            "latent heat flux, positive upward",
        ),
        "slhf",
        -1.0,
    ),
    Predicted(Output("air_temperature_at_2m", "air_temperature", "K", "model", "2 m temperature"), "t2m"),
    Predicted(
        Output("dew_point_temperature_at_2m", "dew_point_temperature", "K", "model", "2 m dew point temperature"),
        "d2m",
    ),
    Predicted(Output("surface_snow_area_fraction", "surface_snow_area_fraction", "1", "model", "snow cover"), "snowc"),
)


@dataclasses.dataclass(frozen=True)
class FluxDerivative:
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


DERIVATIVES = (
    FluxDerivative(
        Output(
            "sensible_heat_flux_derivative_by_air_temperature",
            "",
            "W m-2 K-1",
            "derivative",
            "derivative of the upward sensible heat flux with respect to air temperature",
        ),
        Output(
            "sensible_heat_flux_air_temperature",
            "air_temperature",
            "K",
            "forcing",
            "air temperature for which the sensible heat flux and its derivative hold",
        ),
        "sshf",
        "met_tair",
    ),
    FluxDerivative(
        Output(
            "latent_heat_flux_derivative_by_specific_humidity",
            "",
            "W m-2",
            "derivative",
            "derivative of the upward latent heat flux with respect to specific humidity (kg kg-1)",
        ),
        Output(
            "latent_heat_flux_specific_humidity",
            "specific_humidity",
            "kg kg-1",
            "forcing",
            "specific humidity for which the latent heat flux and its derivative hold",
        ),
        "slhf",
        "met_qair",
    ),
)


def predicted_outputs(model: Model) -> tuple[Predicted, ...]:
    """Those that the model has, in its units."""
    known = {variable.name: variable for variable in (*model.state, *model.diagnostics)}
    return tuple(
        predicted
        for predicted in PREDICTED
        if predicted.variable in known and known[predicted.variable].units == predicted.output.units
    )


def missing_outputs(model: Model, available: Sequence[str]) -> dict[str, str]:
    """Outputs that the model cannot give -> why."""
    known = {variable.name: variable for variable in (*model.state, *model.diagnostics)}
    reasons = {}
    for predicted in PREDICTED:
        name, variable = predicted.output.name, known.get(predicted.variable)
        if name in available:
            continue
        if variable is None:
            reasons[name] = f"the model does not predict '{predicted.variable}'"
        else:
            reasons[name] = (
                f"the model gives '{predicted.variable}' in '{variable.units}', expected '{predicted.output.units}'"
            )
    return reasons


def input_properties(variables: Sequence[Variable], dims: tuple[Any, ...]) -> dict[str, dict[str, Any]]:
    """Of the fields that the host gives at every step."""
    return {
        variable.name: {
            "standard_name": variable.standard_name or variable.name,
            "long_name": variable.long_name,
            "units": variable.units,
            "dims": dims,
        }
        for variable in variables
    }


def output_properties(outputs: Sequence[Output], dims: tuple[Any, ...]) -> dict[str, dict[str, Any]]:
    """Of the component's outputs."""
    return {
        output.name: {
            "standard_name": output.standard_name or output.name,
            "long_name": output.long_name,
            "units": output.units,
            "dims": dims,
            "origin": output.origin,
        }
        for output in outputs
    }


def check_units(declared: Mapping[str, str], variables: Sequence[Variable]) -> None:
    """Check the units that a host declares for the fields it gives.

    Raises:
        InputError: a field that the model does not take, or another unit than the model's.
    """
    known = {variable.name: variable for variable in variables}
    for name, units in declared.items():
        if name not in known:
            raise InputError(f"{name}: the model takes no such field, expected one of {', '.join(known)}")
        if units != known[name].units:
            raise InputError(f"{name}: found the unit '{units}', expected '{known[name].units}'")
