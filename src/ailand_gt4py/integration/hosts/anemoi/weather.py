"""From the fields of an atmosphere's step to the forcing of the land's window, at its columns.

The atmosphere gives at the end of its step what is instantaneous then, and what it accumulated over the step; the land
takes means over it. So instantaneous fields are averaged over both ends of the window. On ecLand's runs of 6 h (2 m
temperature against the forcing's) that has a root mean square error of 0.9 K, either end alone one of 2.2 to 2.8 K.

The models are forced with air at 10 m, of which an atmosphere gives the temperature and dew point at 2 m. In ecLand's
hourly runs the air at 10 m is warmer than at 2 m by a part of the difference of 2 m and skin temperature: by 0.40 of it
where the skin is colder, by 0.09 where it is warmer. That takes the error from 0.96 K to 0.25 K, and that of windows of
6 h of other columns from 0.93 K to 0.76 K. Humidity is taken as it is at 2 m (error 0.3 g kg-1, over 6 h 0.5 to 0.6),
wind is at 10 m. `python -m studies.forcing_height` finds these numbers (docs/studies/forcing_height.md).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from ailand_gt4py.core.types import Values
from ailand_gt4py.ecland import humidity
from ailand_gt4py.io.units import conversion
from ailand_gt4py.weights.model import Variable
from ailand_gt4py.weights.variables import CATALOGUE


@dataclasses.dataclass(frozen=True)
class Field:
    """A field of the atmosphere.

    Attributes:
        units: that it is needed in. own_units: in ECMWF's parameter database. is_accumulated: whether over the step.
    """

    units: str
    own_units: str
    is_accumulated: bool = False


#: ECMWF's short name -> what it is.
FIELDS: dict[str, Field] = {
    **{name: Field("K", "K") for name in ("2t", "2d", "skt")},
    **{name: Field("m s-1", "m s-1") for name in ("10u", "10v")},
    "sp": Field("Pa", "Pa"),
    **{name: Field("kg m-2", "m", True) for name in ("tp", "cp", "sf")},
    **{name: Field("J m-2", "J m-2", True) for name in ("ssrd", "strd")},
}

#: Temperature at 10 m less that at 2 m, over that at 2 m less that of the skin: where the skin is colder, and warmer.
STABLE, UNSTABLE = 0.40, 0.09

#: Fields by name, (n_columns,) each, in the units of `FIELDS`.
Fields = Mapping[str, Values]


def specific_humidity(dew_point: Values, pressure: Values) -> Values:
    """Specific humidity, kg kg-1, of a dew point over water (the IFS has no other) in K and a pressure in Pa."""
    return humidity.specific_humidity(humidity.saturation_pressure(dew_point), pressure)


def at_forcing_height(temperature: Values, skin_temperature: Values) -> Values:
    """Temperature at 10 m, K, from that at 2 m and of the skin; see the module."""
    difference = temperature - skin_temperature
    return temperature + np.where(difference > 0.0, STABLE, UNSTABLE) * difference


def _convective_fraction(fields: Fields) -> Values:
    total = fields["tp"]
    fraction = np.divide(fields["cp"], total, out=0.0 * total, where=total > 0.0)  # NaN where that is missing
    return np.clip(fraction, 0.0, 1.0)


@dataclasses.dataclass(frozen=True)
class Input:
    """How an input of the land follows from fields; ``is_rate``: the result is still a sum over the window."""

    needs: tuple[str, ...]
    function: Callable[[Fields], Values]
    is_rate: bool = False


#: The land's forcing -> how it follows from the atmosphere's fields.
INPUTS: dict[str, Input] = {
    "met_tair": Input(("2t",), lambda fields: fields["2t"]),
    "met_qair": Input(("2d", "sp"), lambda fields: specific_humidity(fields["2d"], fields["sp"])),
    "met_psurf": Input(("sp",), lambda fields: fields["sp"]),
    "met_wind_e": Input(("10u",), lambda fields: fields["10u"]),
    "met_wind_n": Input(("10v",), lambda fields: fields["10v"]),
    # A network's sums may be slightly negative.
    "met_rainf": Input(
        ("tp", "sf"), lambda fields: np.maximum(fields["tp"] - np.maximum(fields["sf"], 0.0), 0.0), True
    ),
    "met_snowf": Input(("sf",), lambda fields: np.maximum(fields["sf"], 0.0), True),
    "met_swdown": Input(("ssrd",), lambda fields: np.maximum(fields["ssrd"], 0.0), True),
    "met_lwdown": Input(("strd",), lambda fields: np.maximum(fields["strd"], 0.0), True),
    "met_ctpf": Input(("tp", "cp"), _convective_fraction),
}
_AT_FORCING_HEIGHT = Input(("2t", "skt"), lambda fields: at_forcing_height(fields["2t"], fields["skt"]))


class WindowWeather:
    """The forcing of a window that a land model takes and an atmosphere gives.

    Args:
        forcing: of the land model. has: names of the fields that the atmosphere has.
        to_forcing_height: bring the temperature from 2 m to 10 m.

    Attributes:
        given: the model's inputs that are not derived from time, location or the previous window, in its order.
        prescribed: those of them that the atmosphere does not give.
        needs: names of the fields that are needed.
        lacking: names of needed fields that the atmosphere does not have.
        instantaneous: names of needed fields of which both ends of the window count.
        may_be_missing: names of fields of which nothing is made but inputs that the model imputes.
    """

    def __init__(self, forcing: Sequence[Variable], has: Iterable[str], to_forcing_height: bool) -> None:
        has = set(has)
        ways = INPUTS | ({"met_tair": _AT_FORCING_HEIGHT} if to_forcing_height else {})
        self.given = tuple(variable for variable in forcing if not variable.derived)
        self._ways = {one.name: ways[one.name] for one in self.given if one.name in ways}
        self._conversions = {
            one.name: conversion(CATALOGUE[one.name].units, one.units, one.name)
            for one in self.given
            if one.name in ways
        }
        # Without convective precipitation its fraction comes from a file, as the leaf area does.
        if "cp" not in has:
            self._ways.pop("met_ctpf", None)
        self.prescribed = tuple(one for one in self.given if one.name not in self._ways)
        self.needs = tuple(dict.fromkeys(name for way in self._ways.values() for name in way.needs))
        self.lacking = tuple(name for name in self.needs if name not in has)
        strict = [one for one in self.given if one.name in self._ways and not one.is_imputed]
        self.may_be_missing = set(self.needs).difference(*(self._ways[one.name].needs for one in strict))
        self.instantaneous = tuple(name for name in self.needs if not FIELDS[name].is_accumulated)

    def forcing(self, start: Fields, end: Fields, seconds: float, prescribed: Fields) -> Values:
        """The inputs of `given` over a window, float32 (n_columns, n_given), in the model's units.

        Args:
            start: instantaneous fields at the start of the window; where one is missing, its value at the end stands
                for the window. end: all fields at its end. prescribed: inputs of that name.
        """
        columns = []
        for variable in self.given:
            way = self._ways.get(variable.name)
            if way is None:
                columns.append(prescribed[variable.name])
                continue
            values = way.function(end)
            if way.is_rate:
                values = values / seconds
            elif not any(FIELDS[name].is_accumulated for name in way.needs):
                values = 0.5 * (way.function({name: start.get(name, end[name]) for name in way.needs}) + values)
            columns.append(self._conversions[variable.name].apply(values))
        return np.stack(columns, axis=1).astype(np.float32)


#: Of the land's results what an atmosphere may have: its short name -> the land's, where that differs.
RESULT_NAMES = {"2t": "t2m", "2d": "d2m"}
#: The atmosphere's unit, that of ECMWF's parameter database, of fields that the land may give.
RESULT_UNITS: dict[str, str] = {
    **{f"swvl{k}": "m3 m-3" for k in range(1, 5)},
    **{f"stl{k}": "K" for k in range(1, 5)},
    **dict.fromkeys(("skt", "tsn", "2t", "2d"), "K"),
    "sd": "m",
    "rsn": "kg m-3",
    "asn": "1",
    "snowc": "percent",
    "src": "m",
}
