"""Units as files spell them, and exact conversions between them.

Land-surface files spell units in many ways (``W m-2``, ``W/m2``, ``m**3 m**-3``, ``kg/m2s``, ``"m**2 s**-2"``, ``-``).
`parse` reads products of powers of the units in `SYMBOLS`; a few spellings that do not follow those rules are in
`SPELLINGS`. `conversion` gives the straight line from one unit to another, and refuses what is not a plain conversion
(another quantity, an accumulation instead of a rate).

The factors are those of the SI brochure (9th edition, tables 2, 4, 8) and, for Fahrenheit, knot and bar, of NIST
Special Publication 811, appendix B. Water is taken as 1000 kg m-3, as in ecLand.
"""

from __future__ import annotations

import dataclasses
import math
import re
from fractions import Fraction
from typing import Any

import numpy as np

from ailand_gt4py.core.errors import InputError

#: Density of liquid water in ecLand, kg m-3: 1 mm of water is 1 kg m-2.
WATER_DENSITY = 1000

#: Powers of kilogram, metre, second, kelvin, degree of angle.
Dimension = tuple[int, int, int, int, int]

_NUMBER: Dimension = (0, 0, 0, 0, 0)
_MASS: Dimension = (1, 0, 0, 0, 0)
_LENGTH: Dimension = (0, 1, 0, 0, 0)
_TIME: Dimension = (0, 0, 1, 0, 0)
_TEMPERATURE: Dimension = (0, 0, 0, 1, 0)
_ANGLE: Dimension = (0, 0, 0, 0, 1)
_PRESSURE: Dimension = (1, -1, -2, 0, 0)
_POWER: Dimension = (1, 2, -3, 0, 0)
_ENERGY: Dimension = (1, 2, -2, 0, 0)
_FORCE: Dimension = (1, 1, -2, 0, 0)
_SPEED: Dimension = (0, 1, -1, 0, 0)

#: symbol -> (dimension, size in SI base units and degrees of angle). Case counts.
SYMBOLS: dict[str, tuple[Dimension, Fraction]] = {
    "1": (_NUMBER, Fraction(1)),
    "%": (_NUMBER, Fraction(1, 100)),
    "percent": (_NUMBER, Fraction(1, 100)),
    "kg": (_MASS, Fraction(1)),
    "g": (_MASS, Fraction(1, 1000)),
    "mg": (_MASS, Fraction(1, 10**6)),
    "m": (_LENGTH, Fraction(1)),
    "km": (_LENGTH, Fraction(1000)),
    "dm": (_LENGTH, Fraction(1, 10)),
    "cm": (_LENGTH, Fraction(1, 100)),
    "mm": (_LENGTH, Fraction(1, 1000)),
    "s": (_TIME, Fraction(1)),
    "sec": (_TIME, Fraction(1)),
    "second": (_TIME, Fraction(1)),
    "min": (_TIME, Fraction(60)),
    "h": (_TIME, Fraction(3600)),
    "hr": (_TIME, Fraction(3600)),
    "hour": (_TIME, Fraction(3600)),
    "d": (_TIME, Fraction(86400)),
    "day": (_TIME, Fraction(86400)),
    "K": (_TEMPERATURE, Fraction(1)),
    "kelvin": (_TEMPERATURE, Fraction(1)),
    "degree": (_ANGLE, Fraction(1)),
    "degrees": (_ANGLE, Fraction(1)),
    "degrees_north": (_ANGLE, Fraction(1)),
    "degree_north": (_ANGLE, Fraction(1)),
    "degrees_N": (_ANGLE, Fraction(1)),
    "degrees_east": (_ANGLE, Fraction(1)),
    "degree_east": (_ANGLE, Fraction(1)),
    "degrees_E": (_ANGLE, Fraction(1)),
    "radian": (_ANGLE, Fraction(180.0 / math.pi)),
    "radians": (_ANGLE, Fraction(180.0 / math.pi)),
    "rad": (_ANGLE, Fraction(180.0 / math.pi)),
    "Pa": (_PRESSURE, Fraction(1)),
    "hPa": (_PRESSURE, Fraction(100)),
    "kPa": (_PRESSURE, Fraction(1000)),
    "mbar": (_PRESSURE, Fraction(100)),
    "mb": (_PRESSURE, Fraction(100)),
    "millibar": (_PRESSURE, Fraction(100)),
    "bar": (_PRESSURE, Fraction(10**5)),
    "W": (_POWER, Fraction(1)),
    "kW": (_POWER, Fraction(1000)),
    "J": (_ENERGY, Fraction(1)),
    "kJ": (_ENERGY, Fraction(1000)),
    "MJ": (_ENERGY, Fraction(10**6)),
    "N": (_FORCE, Fraction(1)),
    "knot": (_SPEED, Fraction(1852, 3600)),
    "knots": (_SPEED, Fraction(1852, 3600)),
    "kt": (_SPEED, Fraction(1852, 3600)),
}

#: Temperatures with another zero, only alone: spelling -> (size of the degree in K, value of its zero in K).
TEMPERATURE_SCALES: dict[str, tuple[Fraction, Fraction]] = {
    **dict.fromkeys(
        (
            "degC",
            "deg_C",
            "degree_C",
            "degrees_C",
            "degree_Celsius",
            "degrees_Celsius",
            "Celsius",
            "celsius",
            "C",
            "°C",
        ),
        (Fraction(1), Fraction(27315, 100)),
    ),
    **dict.fromkeys(
        ("degF", "deg_F", "degree_F", "degrees_F", "degree_Fahrenheit", "degrees_Fahrenheit", "Fahrenheit", "°F"),
        (Fraction(5, 9), Fraction(45967, 100) * Fraction(5, 9)),
    ),
    **dict.fromkeys(("degK", "deg_K", "degree_K", "degrees_K", "Kelvin"), (Fraction(1), Fraction(0))),
}

#: Whole spellings that are in use but follow no rule: spelling -> what is meant. ``-``, ``u m/s`` and ``kg/m2s`` are
#: ec-land-db's, ``~``, ``(0 - 1)`` and ``m of water equivalent`` those of ECMWF's parameter database.
SPELLINGS: dict[str, str] = {
    "-": "1",
    "~": "1",
    "(0 - 1)": "1",
    "0-1": "1",
    "fraction": "1",
    "dimensionless": "1",
    "Numeric": "1",
    "numeric": "1",
    "u m/s": "m s-1",
    "v m/s": "m s-1",
    "kg/m2s": "kg m-2 s-1",
    "kg/(m2s)": "kg m-2 s-1",
    "kg/(m2 s)": "kg m-2 s-1",
    "kg/(m^2 s)": "kg m-2 s-1",
    "m of water equivalent": "m",
    "mm of water equivalent": "mm",
    "m of water": "m",
}

#: A symbol and its power; one digit, since no unit has more and a file must not make us compute 1000**999999999.
_TOKEN = re.compile(r"([A-Za-z_°%]+|1(?!\d))(?:(?:\*\*|\^)?([+-]?\d(?!\d)))?")


@dataclasses.dataclass(frozen=True)
class Unit:
    """A parsed unit: ``SI value = scale * value + offset``.

    Attributes:
        dimension: powers of kg, m, s, K, degree.
        scale, offset: exact.
        ratio: for a number that is a ratio, of what: (numerator's symbol dimension), such as (1, 0, ...) for ``kg
            kg-1``; all zero where the spelling does not say. Keeps ``kg kg-1`` from passing as ``m3 m-3``.
    """

    dimension: Dimension
    scale: Fraction
    offset: Fraction = Fraction(0)
    ratio: Dimension = _NUMBER


@dataclasses.dataclass(frozen=True)
class Conversion:
    """``expected value = scale * found value + offset``.

    Attributes:
        found, expected: the units' spellings.
        scale, offset: the straight line.
        remark: what more the conversion takes for granted, empty if nothing.
    """

    found: str
    expected: str
    scale: float
    offset: float
    remark: str = ""

    @property
    def is_identity(self) -> bool:
        """True where only the spelling differs."""
        return self.scale == 1.0 and self.offset == 0.0

    def apply(self, values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Values in the expected unit; the same array where nothing changes, else a new one of the same type.

        Computed in float64: 273.15 added in float32 would cost a digit.
        """
        if self.is_identity:
            return values
        dtype = values.dtype if np.issubdtype(values.dtype, np.floating) else np.dtype(np.float64)
        return (values.astype(np.float64) * self.scale + self.offset).astype(dtype)

    def sentence(self, name: str) -> str:
        """What was done to a variable, for a history attribute."""
        steps = []
        if self.scale != 1.0:
            steps.append(f"multiplied by {self.scale:.10g}")
        if self.offset != 0.0:
            steps.append(f"{'added' if self.offset > 0 else 'subtracted'} {abs(self.offset):.10g}")
        text = f"{name}: converted from '{self.found}' to '{self.expected}' ({', then '.join(steps)})"
        return f"{text}; {self.remark}." if self.remark else f"{text}."


def _power(dimension: Dimension, exponent: int) -> Dimension:
    kg, m, s, kelvin, degree = dimension
    return (kg * exponent, m * exponent, s * exponent, kelvin * exponent, degree * exponent)


def _sum(first: Dimension, second: Dimension) -> Dimension:
    return (
        first[0] + second[0],
        first[1] + second[1],
        first[2] + second[2],
        first[3] + second[3],
        first[4] + second[4],
    )


def parse(text: str) -> Unit | None:
    """Read a unit.

    Args:
        text: as in a ``units`` attribute. Surrounding quotation marks and blanks do not count; powers may be written
            ``m2``, ``m-2``, ``m^2``, ``m**2``; factors are separated by a blank, ``.`` or ``*``; ``/`` divides by the
            one factor after it.

    Returns:
        The unit, or None where it cannot be read.
    """
    text = " ".join(text.strip().strip("\"'").split())
    text = SPELLINGS.get(text, text)
    if text in TEMPERATURE_SCALES:
        scale, offset = TEMPERATURE_SCALES[text]
        return Unit(_TEMPERATURE, scale, offset)
    dimension, numerator, scale = _NUMBER, _NUMBER, Fraction(1)
    position, sign, need_factor, is_separated = 0, 1, True, True
    while position < len(text):
        symbol = text[position]
        if symbol == "/":
            if need_factor:
                return None
            sign, need_factor, is_separated = -1, True, True
            position += 1
        elif symbol in " .·" or (symbol == "*" and not text.startswith("**", position)):
            if need_factor and symbol != " ":
                return None
            need_factor = need_factor or symbol != " "
            is_separated = True
            position += 1
        else:
            token = _TOKEN.match(text, position)
            # "m2s" is two factors without a separator: the field writes it for m2 s and for m-2 s-1 alike.
            if token is None or token[1] not in SYMBOLS or not is_separated:
                return None
            exponent = sign * int(token[2] or 1)
            base, size = SYMBOLS[token[1]]
            dimension = _sum(dimension, _power(base, exponent))
            scale *= size**exponent
            if exponent > 0:
                numerator = _sum(numerator, _power(base, exponent))
            sign, need_factor, is_separated = 1, False, False
            position = token.end()
    if need_factor:
        return None
    return Unit(dimension, scale, ratio=numerator if dimension == _NUMBER else _NUMBER)


def conversion(found: object, expected: str, what: str) -> Conversion:
    """The conversion from a file's unit to the one that is needed.

    Args:
        found: the file's ``units`` attribute, None where it has none.
        expected: the unit needed.
        what: names file and variable in messages.

    Returns:
        The straight line between the two.

    Raises:
        InputError: the attribute is missing, cannot be read, is of another quantity, or is an accumulation over an
            unknown time where a rate is needed.
    """
    wanted = parse(expected)
    if wanted is None:
        raise InputError(f"{what}: the model's unit '{expected}' cannot be read; expected a unit such as 'kg m-2 s-1'")
    if found is None or not str(found).strip():
        raise InputError(
            f"{what}: the attribute 'units' is missing; expected '{expected}' or a unit that converts to it"
        )
    # An attribute may hold line breaks, a message must not.
    spelling = " ".join(str(found).split())
    unit = parse(spelling)
    if unit is None:
        raise InputError(f"{what}: unit '{spelling}' is unknown; expected '{expected}' or a unit that converts to it")
    factor, remark = Fraction(1), ""
    if unit.dimension != wanted.dimension:
        is_water = (wanted.dimension, unit.dimension) in (((1, -2, -1, 0, 0), _SPEED), ((1, -2, 0, 0, 0), _LENGTH))
        if is_water:
            factor, remark = Fraction(WATER_DENSITY), f"depth of liquid water at {WATER_DENSITY} kg m-3"
        elif _sum(wanted.dimension, _TIME) == unit.dimension or (
            wanted.dimension == (1, -2, -1, 0, 0) and unit.dimension == _LENGTH
        ):
            raise InputError(
                f"{what}: unit '{spelling}' is an amount accumulated over a time that the unit does not tell; "
                f"expected the mean rate in '{expected}'"
            )
        else:
            raise InputError(
                f"{what}: unit '{spelling}' is of another quantity; expected '{expected}' or a unit that converts to it"
            )
    elif _NUMBER not in (unit.ratio, wanted.ratio) and unit.ratio != wanted.ratio:
        raise InputError(f"{what}: unit '{spelling}' is a ratio of other quantities; expected '{expected}'")
    scale = unit.scale * factor / wanted.scale
    offset = (unit.offset - wanted.offset) / wanted.scale
    return Conversion(spelling, expected, float(scale), float(offset), remark)
