"""Units as files spell them, and exact conversions between them, by pint in rational arithmetic.

Land-surface files spell units in many ways (``W m-2``, ``W/m2``, ``m**3 m**-3``, ``kg/m2s``, ``W m⁻²``, ``-``).
`conversion` gives the straight line from one unit to another, and refuses what is not a plain conversion (another
quantity, an accumulation instead of a rate).

pint's own list of units is not used: it takes angles as dimensionless and knows constants of physics as units, so that
many a wrong unit would pass. `DEFINITIONS` are those that land-surface data come in; the factors are those of the SI
brochure (9th edition, tables 2, 4, 8) and, for Fahrenheit, knot and bar, of NIST Special Publication 811, appendix B.
Water is taken as 1000 kg m-3, as in ecLand.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from fractions import Fraction
from typing import Any

import numpy as np

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.types import Values

#: Density of liquid water in ecLand, kg m-3: 1 mm of water is 1 kg m-2.
WATER_DENSITY = 1000

#: In pint's language: name = value = symbol = further names. Case counts. ``degrees_N`` and the like are UDUNITS'.
DEFINITIONS = """
milli- = 1 / 1000 = m-
centi- = 1 / 100 = c-
deci- = 1 / 10 = d-
hecto- = 100 = h-
kilo- = 1000 = k-
mega- = 1000000 = M-
gram = [mass] = g = gramme
meter = [length] = m = metre
second = [time] = s = sec
kelvin = [temperature]; offset: 0 = K = Kelvin = degK = deg_K = degree_K = degrees_K
degree = [angle] = _ = degree_north = degree_N = degree_east = degree_E = degrees_north = degrees_N = degrees_east \
= degrees_E
radian = 57.29577951308232 * degree = rad
percent = 1 / 100 = %
minute = 60 * second = min
hour = 3600 * second = h = hr
day = 86400 * second = d
newton = kilogram * meter / second ** 2 = N
joule = newton * meter = J
watt = joule / second = W
pascal = newton / meter ** 2 = Pa
bar = 100000 * pascal
millibar = 100 * pascal = mbar = mb
knot = 1852 / 3600 * meter / second = kt
degree_Celsius = kelvin; offset: 273.15 = degC = C = deg_C = degree_C = degrees_C = degrees_Celsius = Celsius \
= celsius
degree_Fahrenheit = 5 / 9 * kelvin; offset: 233.15 + 200 / 9 = degF = deg_F = degree_F = degrees_F \
= degrees_Fahrenheit = Fahrenheit
"""

#: Whole spellings that are in use but follow no rule: spelling -> what is meant. ``-``, ``u m/s`` and ``kg/m2s`` are
#: ec-land-db's, ``~``, ``(0 - 1)`` and ``m of water equivalent`` those of ECMWF's parameter database.
SPELLINGS: dict[str, str] = {
    **dict.fromkeys(("-", "~", "(0 - 1)", "0-1", "fraction", "dimensionless", "Numeric", "numeric"), "1"),
    **dict.fromkeys(("u m/s", "v m/s"), "m s-1"),
    **dict.fromkeys(("kg/m2s", "kg/(m2s)", "kg/(m2 s)", "kg/(m^2 s)"), "kg m-2 s-1"),
    **dict.fromkeys(("m of water equivalent", "m of water"), "m"),
    "mm of water equivalent": "mm",
    "°C": "degC",
    "°F": "degF",
}

#: No unit is spelt with more letters than this; many factors would make numbers that no float holds.
LONGEST = 100

#: Units of one quantity that land-surface data come in are not further apart.
LEAST_FACTOR = Fraction(1, 10**15)

_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻", "0123456789+-")
#: A symbol and its power; one digit, since no unit has more and a file must not make us compute 1000**999999999.
_FACTOR = r"([A-Za-z_°%]+|1(?!\d))(?:(?:\*\*|\^)?([+-]?\d(?!\d)))?"
#: A blank, ``.``, ``·`` or ``*`` between factors; ``/`` divides by the one factor after it. None is no separator:
#: "m2s" is written for m2 s and for m-2 s-1 alike.
_SEPARATOR = r" ?[/.·*] ?| "
_PRODUCT = re.compile(f"{_FACTOR}(?:(?:{_SEPARATOR}){_FACTOR})*")
_SEPARATED_FACTOR = re.compile(f"({_SEPARATOR})?{_FACTOR}")


@dataclasses.dataclass(frozen=True)
class Conversion:
    """``expected value = scale * found value + offset``; ``remark``: what more it takes for granted."""

    found: str
    expected: str
    scale: float
    offset: float
    remark: str = ""

    @property
    def is_identity(self) -> bool:
        return self.scale == 1.0 and self.offset == 0.0

    def apply(self, values: Values) -> Values:
        """Values in the expected unit; the same array where nothing changes, else a new one of the same type."""
        if self.is_identity:
            return values
        # In float64: 273.15 added in float32 would cost a digit.
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


@functools.cache
def _registry() -> Any:
    import pint  # takes its time, and no command needs it for its help

    registry: Any = pint.UnitRegistry(None, non_int_type=Fraction)
    registry.load_definitions(DEFINITIONS.replace("\\\n", "").splitlines())
    return registry


@functools.cache
def _parse(text: str) -> tuple[Any, Any] | None:
    """A unit of pint and, where it is a number, the dimension of what it is a ratio of (``kg kg-1``); None: unknown."""
    registry = _registry()
    text = " ".join(text.strip().strip("\"'").split())
    text = SPELLINGS.get(text, text).translate(_SUPERSCRIPTS)
    if text.startswith("(") and text.endswith(")"):
        text = text[1:-1]
    if len(text) > LONGEST or not _PRODUCT.fullmatch(text):
        return None
    unit = numerator = registry.Unit("")
    try:
        for separator, symbol, power in _SEPARATED_FACTOR.findall(text):
            exponent = (-1 if "/" in separator else 1) * int(power or 1)
            factor = registry.parse_units("" if symbol == "1" else symbol) ** exponent
            unit = unit * factor
            if exponent > 0:
                numerator = numerator * factor
        registry.convert(Fraction(1), unit, registry.get_root_units(unit)[1])
    # Pint's: no such unit; a temperature with a zero of its own in a product; "nan", which it takes for a number.
    except (AttributeError, TypeError, ValueError, OverflowError):
        return None
    return unit, numerator.dimensionality if unit.dimensionless else None


def conversion(found: object, expected: str, what: str) -> Conversion:
    """The conversion from a file's unit to the one that is needed; ``what`` names file and variable in errors.

    Raises:
        InputError: the attribute ``units`` is missing (None), cannot be read, is of another quantity, or is an
            accumulation over an unknown time where a rate is needed.
    """
    wanted = _parse(expected)
    if wanted is None:
        raise InputError(f"{what}: the model's unit '{expected}' cannot be read; expected a unit such as 'kg m-2 s-1'")
    others = f"expected '{expected}' or a unit that converts to it"
    if found is None or not str(found).strip():
        raise InputError(f"{what}: the attribute 'units' is missing; {others}")
    spelling = " ".join(str(found).split())  # an attribute may hold line breaks, a message must not
    unit = _parse(spelling)
    if unit is None:
        shown = spelling if len(spelling) <= LONGEST else f"{spelling[:LONGEST]}..."
        raise InputError(f"{what}: unit '{shown}' is unknown; {others}")
    return _straight_line(spelling, unit, expected, wanted, f"{what}: unit '{spelling}' is")


def _straight_line(
    spelling: str, found: tuple[Any, Any], expected: str, wanted: tuple[Any, Any], what: str
) -> Conversion:
    """The conversion between two parsed units; ``what`` begins the message where there is none."""
    registry = _registry()
    (unit, ratio), (target, target_ratio) = found, wanted
    factor, remark = 1, ""
    is_flux = target.is_compatible_with("kg / m**2 / s")
    if not unit.is_compatible_with(target):
        is_amount = unit.is_compatible_with(target * registry.second) or (is_flux and unit.is_compatible_with("m"))
        if is_amount:
            raise InputError(
                f"{what} an amount accumulated over a time that the unit does not tell; "
                f"expected the mean rate in '{expected}'"
            )
        is_water = (is_flux and unit.is_compatible_with("m / s")) or (
            target.is_compatible_with("kg / m**2") and unit.is_compatible_with("m")
        )
        if not is_water:
            raise InputError(f"{what} of another quantity; expected '{expected}' or a unit that converts to it")
        unit, factor = unit * registry.Unit("kg / m**3"), WATER_DENSITY
        remark = f"depth of liquid water at {WATER_DENSITY} kg m-3"
    elif ratio and target_ratio and ratio != target_ratio:
        raise InputError(f"{what} a ratio of other quantities; expected '{expected}'")
    offset = registry.convert(Fraction(0), unit, target)
    scale = factor * (registry.convert(Fraction(1), unit, target) - offset)
    if not LEAST_FACTOR < scale < 1 / LEAST_FACTOR:
        raise InputError(f"{what} another power of ten altogether; expected '{expected}' or a unit near it")
    return Conversion(spelling, expected, float(scale), float(offset), remark)
