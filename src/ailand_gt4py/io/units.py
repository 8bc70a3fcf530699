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
import unicodedata
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.types import Values

#: Density of liquid water in ecLand, kg m-3: 1 mm of water is 1 kg m-2.
WATER_DENSITY = 1000

#: In pint's language: name = value = symbol = further names. Case counts; a plural with "s" is taken, too. What begins
#: with "deg" is brought to these names before (`_DEGREES`).
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
kelvin = [temperature]; offset: 0 = K
degree = [angle]
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
knot = 1852 / 3600 * meter / second = kt = kts
celsius = kelvin; offset: 273.15 = C
fahrenheit = 5 / 9 * kelvin; offset: 233.15 + 200 / 9 = F
"""

#: Whole spellings that are in use but follow no rule: spelling -> what is meant. ``-``, ``u m/s`` and ``kg/m2s`` are
#: ec-land-db's, ``~`` and ``(0 - 1)`` those of ECMWF's parameter database.
SPELLINGS: dict[str, str] = {
    **dict.fromkeys(("-", "~", "0 - 1", "0-1", "fraction", "fractional", "ratio", "dimensionless", "numeric"), "1"),
    **dict.fromkeys(("unitless", "none", "no units", "no unit"), "1"),
    **dict.fromkeys(("u m/s", "v m/s"), "m s-1"),
    **dict.fromkeys(("kg/m2s", "kg/(m2s)"), "kg m-2 s-1"),
}

#: No unit is spelt with more letters than this; many factors would make numbers that no float holds.
LONGEST = 100

#: Units of one quantity that land-surface data come in are not further apart.
LEAST_FACTOR = Fraction(1, 10**15)

#: Signs that compatibility normalisation leaves or spoils.
_SIGNS = str.maketrans({"\u2212": "-", "\u2013": "-", "\u00b7": "*", "\u22c5": "*", "\u00d7": "*", "[": "(", "]": ")"})
#: Degrees: ``degrees_north``, ``degN``, ``deg C``, ``degree_celsius``, ``°``.
_DEGREES = re.compile(
    r"(?:\bdeg(?:ree)?s?|°)[ _.]?(?:(north|east|n|e)|(c(?:elsius)?)|(f(?:ahrenheit)?)|(k(?:elvins?)?))?(?![a-z])", re.I
)
#: Depths of water: ``m of water equivalent``, ``mm w.e.``.
_WATER = re.compile(r"\b([cm]?m) (?:of )?(?:liquid )?(?:water(?: equivalent)?|w\.?e\.?)(?![a-z])", re.I)
_POWER_IN_BRACES = re.compile(r"(\^|\*\*)?[{]([+-]?\d)[}]")
#: A symbol, a number (perhaps with a symbol: ``6h``), or the beginning of a group.
_BASE = re.compile(
    r"(?P<group>\( ?)|(?=[\dA-Za-z_%])(?P<number>\d{1,9}(?:\.\d{1,9})?(?:[eE][+-]?\d{1,2})?)?(?P<symbol>[A-Za-z_%]+)?"
)
#: Of one digit, since no unit has more and a file must not make us compute 1000**999999999.
_POWER = re.compile(r"(?:\*\*|\^)?([+-]?\d)(?!\.?\d)")
_EXPLICIT_POWER = re.compile(r"(?:\*\*|\^)([+-]?\d)(?!\.?\d)")
#: Between factors; ``/`` divides by the one factor after it. None is no separator: "m2s" is written for m2 s and for
#: m-2 s-1 alike.
_SEPARATOR = re.compile(r" ?[/.*] ?| per | ")
_END_OF_GROUP = re.compile(r" ?\)")


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
        """Values in the expected unit; the same array where nothing changes, else a new one, float32 at least."""
        if self.is_identity:
            return values
        # In float64: 273.15 added in float32 would cost a digit. Half precision has neither digits nor room for it.
        dtype = np.promote_types(values.dtype, np.float32)
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


#: What ecCodes gives as the unit of the number of a class: "(Code table 4.234)".
_CODE = re.compile(r"code table [\d.]+", re.IGNORECASE)


def _plain(text: str) -> str:
    """A spelling in ASCII letters, without what stands around it."""
    text = unicodedata.normalize("NFKC", text.replace("\u00ba", "°")).translate(_SIGNS)
    text = " ".join(text.strip().strip("\"'").split())
    while text.startswith("(") and text.endswith(")") and "(" not in text[1:]:
        text = text[1:-1].strip()
    text = "1" if _CODE.fullmatch(text) else SPELLINGS.get(text.lower(), text)
    text = _WATER.sub(r"\1", _POWER_IN_BRACES.sub(r"^\2", text))
    names = ("degree", "celsius", "fahrenheit", "kelvin")
    return _DEGREES.sub(lambda found: names[max((k for k in range(1, 4) if found[k + 1]), default=0)], text)


class _Unit(NamedTuple):
    """A number of a unit of pint, and the products of its factors with positive and with negative powers."""

    scale: Fraction
    unit: Any
    numerator: Any
    denominator: Any

    def times(self, other: _Unit) -> _Unit:
        return _Unit(*(one * another for one, another in zip(self, other, strict=True)))

    def power(self, exponent: int) -> _Unit:
        above, below = (self.numerator, self.denominator) if exponent >= 0 else (self.denominator, self.numerator)
        size = abs(exponent)
        return _Unit(self.scale**exponent, self.unit**exponent, above**size, below**size)


class _Reader:
    """Reads units as UDUNITS spells them: products of powers of symbols, numbers and groups in parentheses."""

    def __init__(self, text: str) -> None:
        self._text, self._at, self.has_symbol = text, 0, False

    def whole(self) -> _Unit:
        found = self._product()
        if self._at < len(self._text):
            raise ValueError("more than a unit")
        return found

    def _take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        found = pattern.match(self._text, self._at)
        self._at = found.end() if found else self._at
        return found

    def _product(self) -> _Unit:
        product = self._factor(1)
        while separator := self._take(_SEPARATOR):
            product = product.times(self._factor(1 if separator[0].strip() in ("", ".", "*") else -1))
        return product

    def _factor(self, sign: int) -> _Unit:
        found = self._take(_BASE)
        if found is None:
            raise ValueError("no factor")
        number, symbol = found["number"], found["symbol"]
        if found["group"]:
            factor = self._product()
            if not self._take(_END_OF_GROUP):
                raise ValueError("a group without its end")
        else:
            unit = self._symbol(symbol or "")
            factor = _Unit(Fraction(number or 1), unit, unit, _registry().Unit(""))
        power = self._take(_EXPLICIT_POWER if number else _POWER)
        return factor.power(sign * int(power[1] if power else 1))

    def _symbol(self, symbol: str) -> Any:
        self.has_symbol |= bool(symbol)
        try:
            return _registry().parse_units(symbol)
        except AttributeError:  # "Kelvin" and "Watts" have no other meaning in small letters, "MM" has
            if len(symbol) < 4:
                raise
            return _registry().parse_units(symbol.lower())


#: Number and unit of pint and, of a ratio (``kg kg-1``), what it is a ratio of.
_Parsed = tuple[Fraction, Any, Any]


@functools.cache
def _parse(text: str) -> _Parsed | None:
    """A unit; None: unknown."""
    registry, text = _registry(), _plain(text)
    reader = _Reader(text)
    try:
        if len(text) > LONGEST:
            return None
        scale, unit, numerator, _ = reader.whole()
        registry.convert(Fraction(1), unit, registry.get_root_units(unit)[1])
    # Pint's: no such unit; a temperature with a zero of its own in a product; "nan", which it takes for a number.
    except (AttributeError, TypeError, ValueError, ArithmeticError):
        return None
    if not scale or not (reader.has_symbol or scale == 1):
        return None
    return scale, unit, numerator.dimensionality if unit.dimensionless else None


def conversion(found: object, expected: str, what: str) -> Conversion:
    """The conversion from a file's unit to the one that is needed; ``what`` names file and variable in errors.

    Raises:
        InputError: the attribute ``units`` is missing (None), cannot be read, is of another quantity, or is an
            accumulation over an unknown time where a rate is needed.
    """
    spelling, unit, wanted = _found_and_wanted(found, expected, what)
    return _straight_line(spelling, unit, expected, wanted, f"{what}: unit '{spelling}' is")


def rate_conversion(found: object, expected: str, what: str) -> Conversion:
    """The conversion from an amount over some seconds (``J m-2``, ``mm``), divided by them, to a rate (``W m-2``).

    Raises:
        InputError: as `conversion`, or a unit that is a rate's, and no amount's.
    """
    spelling, (scale, unit, _), wanted = _found_and_wanted(found, expected, what)
    try:
        per_second = scale, unit / _registry().second, None
        result = _straight_line(spelling, per_second, expected, wanted, "")
    except InputError:
        raise InputError(
            f"{what}: unit '{spelling}' is not one of amounts; expected one that gives '{expected}' when divided by a "
            "time"
        ) from None
    remark = "; ".join(["divided by the seconds of the interval", *([result.remark] if result.remark else [])])
    return dataclasses.replace(result, remark=remark)


def _found_and_wanted(found: object, expected: str, what: str) -> tuple[str, _Parsed, _Parsed]:
    """A file's unit as it is spelt, the same parsed, and the parsed one that is needed."""
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
    return spelling, unit, wanted


def _straight_line(spelling: str, found: _Parsed, expected: str, wanted: _Parsed, what: str) -> Conversion:
    """The conversion between two parsed units; ``what`` begins the message where there is none."""
    registry = _registry()
    (number, unit, ratio), (target_number, target, target_ratio) = found, wanted
    factor, remark = number / target_number, ""
    is_flux = target.is_compatible_with("kg / m**2 / s")
    if not unit.is_compatible_with(target):
        is_amount = unit.is_compatible_with(target * registry.second) or (is_flux and unit.is_compatible_with("m"))
        if is_amount:
            raise InputError(
                f"{what} an amount accumulated over a time that the unit does not tell; "
                f"expected the mean rate in '{expected}'"
            )
        density = registry.Unit("kg / m**3")
        if target.is_compatible_with(unit * density) and (is_flux or target.is_compatible_with("kg / m**2")):
            unit, factor = unit * density, factor * WATER_DENSITY
        elif target.is_compatible_with(unit / density) and unit.is_compatible_with("kg / m**2"):
            unit, factor = unit / density, factor / WATER_DENSITY
        else:
            raise InputError(f"{what} of another quantity; expected '{expected}' or a unit that converts to it")
        remark = f"depth of liquid water at {WATER_DENSITY} kg m-3"
    elif ratio and target_ratio and ratio != target_ratio:
        raise InputError(f"{what} a ratio of other quantities; expected '{expected}'")
    offset = registry.convert(Fraction(0), unit, target)
    scale = factor * (registry.convert(Fraction(1), unit, target) - offset)
    offset /= target_number
    if not LEAST_FACTOR < scale < 1 / LEAST_FACTOR:
        raise InputError(f"{what} another power of ten altogether; expected '{expected}' or a unit near it")
    return Conversion(spelling, expected, float(scale), float(offset), remark)
