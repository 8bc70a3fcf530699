"""Units: spellings that are in use, exact conversions, refusals that name what was found and expected."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.io import units

RAIN = "kg m-2 s-1"


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ("W/m2", "W m-2"),
        ("W m**-2", "W m-2"),
        ("kg/m2s", RAIN),
        ("kg.m-2.s-1", RAIN),
        ("kg m^-2 s^-1", RAIN),
        ("kg/m2/s", RAIN),
        ("mm s-1", RAIN),
        ('"m**2 s**-2"', "m2 s-2"),
        ("J kg-1", "m2 s-2"),
        ("u m/s", "m s-1"),
        ("v m/s", "m s-1"),
        ("-", "1"),
        ("~", "1"),
        ("(Code table 4.234)", "1"),
        ("(0 - 1)", "1"),
        ("m**3 m**-3", "m3 m-3"),
        ("1", "m3 m-3"),
        ("kg/kg", "kg kg-1"),
        ("m of water equivalent", "m"),
        ("degree_north", "degrees_north"),
        ("  K ", "K"),
        ("s/m", "s m-1"),
        ("W m⁻²", "W m-2"),
        ("(W m-2)", "W m-2"),
        ("watt m-2", "W m-2"),
        ("kg kg⁻¹", "kg kg-1"),
        ("m³ m⁻³", "m3 m-3"),
        ("meter/second", "m s-1"),
        ("pascal", "Pa"),
        ("degree_N", "degrees_north"),
        ("mm", "kg m-2"),
        ("kelvins", "K"),
        ("deg K", "K"),
        ("degN", "degrees_north"),
        ("degE", "degrees_east"),
        ("degrees north", "degrees_north"),
        ("°N", "degrees_north"),
        ("Watts/m^2", "W m-2"),
        ("W m^{-2}", "W m-2"),
        ("W·m⁻²", "W m-2"),
        ("W m\N{MINUS SIGN}2", "W m-2"),
        ("[W m-2]", "W m-2"),
        ("W (m2)-1", "W m-2"),
        ("W/(m2)", "W m-2"),
        ("watt per meter^2", "W m-2"),
        ("joules/(m2 s)", "W m-2"),
        ("metre second-1", "m s-1"),
        ("kg/(m^2 s)", RAIN),
        ("(kg m-2) s-1", RAIN),
        ("1e-3 g m-2 (0.000001 s)-1", RAIN),
        ("kg (m2 s)-1", RAIN),
        ("[-]", "1"),
        ("(0-1)", "1"),
        ("unitless", "1"),
        ("(kg kg-1)", "kg kg-1"),
        ("m w.e.", "m"),
    ],
)
def test_same_unit_in_another_spelling_changes_nothing(found: str, expected: str) -> None:
    straight = units.conversion(found, expected, "f: v")
    assert straight.is_identity
    values = np.array([1.5, -2.0], np.float32)
    assert straight.apply(values) is values


@pytest.mark.parametrize(
    ("found", "expected", "value", "result"),
    [
        ("%", "1", 25.0, 0.25),
        ("1", "%", 0.25, 25.0),
        ("degC", "K", 0.0, 273.15),
        ("degF", "K", 32.0, 273.15),
        ("degF", "K", 212.0, 373.15),
        ("K", "degC", 273.15, 0.0),
        ("hPa", "Pa", 1013.25, 101325.0),
        ("mbar", "Pa", 1.0, 100.0),
        ("bar", "Pa", 1.0, 1e5),
        ("g kg-1", "kg kg-1", 8.0, 0.008),
        ("mm h-1", RAIN, 3.6, 1e-3),
        ("mm/day", RAIN, 86.4, 1e-3),
        ("m s-1", RAIN, 1e-6, 1e-3),
        ("kg m-2 h-1", RAIN, 3.6, 1e-3),
        ("km h-1", "m s-1", 36.0, 10.0),
        ("knots", "m s-1", 1.0, 1852 / 3600),
        ("cm", "m", 7.0, 0.07),
        ("kW m-2", "W m-2", 0.5, 500.0),
        ("J m-2 s-1", "W m-2", 2.0, 2.0),
        ("radians", "degrees_north", np.pi / 2, 90.0),
        ("kg m-2", "m", 120.0, 0.12),
        ("mm", "m", 120.0, 0.12),
        ("mm of water equivalent", "m", 120.0, 0.12),
        ("mm (6h)-1", RAIN, 21.6, 1e-3),
        ("mm/6h", RAIN, 21.6, 1e-3),
        ("100 Pa", "Pa", 980.0, 98_000.0),
        ("0.01 m3 m-3", "m3 m-3", 25.0, 0.25),
        ("Degrees Celsius", "K", 0.0, 273.15),
        ("deg C", "K", 0.0, 273.15),
        ("℃", "K", 0.0, 273.15),
        ("ºC", "K", 0.0, 273.15),
        ("°F", "K", 32.0, 273.15),
    ],
)
def test_known_conversions(found: str, expected: str, value: float, result: float) -> None:
    straight = units.conversion(found, expected, "f: v")
    assert straight.apply(np.array([value]))[0] == pytest.approx(result, rel=1e-12, abs=1e-10)


def test_sentence_tells_both_units_the_factor_and_what_was_assumed() -> None:
    sentence = units.conversion("mm h-1", RAIN, "f: v").sentence("met_rainf")
    assert sentence == (
        "met_rainf: converted from 'mm h-1' to 'kg m-2 s-1' (multiplied by 0.0002777777778); "
        "depth of liquid water at 1000 kg m-3."
    )
    assert "(added 273.15)" in units.conversion("degC", "K", "f: v").sentence("met_tair")


def test_the_numbers_are_exact() -> None:
    """The nearest float64 of the exact ratio, without the error of intermediate steps."""
    for found, expected, scale, offset in (
        ("degF", "K", 5 / 9, 45967 / 180),
        ("mm/day", RAIN, 1 / 86400, 0.0),
        ("m", "kg m-2", 1000.0, 0.0),
        ("mg cm-2 min-1", RAIN, 1 / 6000, 0.0),
    ):
        straight = units.conversion(found, expected, "f: v")
        assert (straight.scale, straight.offset) == (scale, offset)


def test_float32_stays_float32_and_is_rounded_once() -> None:
    values = np.array([21.37, -40.01], np.float32)
    result = units.conversion("degC", "K", "f: v").apply(values)
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result, (values.astype(np.float64) + 273.15).astype(np.float32))


def test_half_precision_is_converted_in_single() -> None:
    values = np.array([21.375, -40.0], np.float16)
    result = units.conversion("degC", "K", "f: v").apply(values)
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result, (values.astype(np.float64) + 273.15).astype(np.float32))
    np.testing.assert_array_equal(units.conversion("hPa", "Pa", "f: v").apply(np.array([985], np.float16)), [98_500.0])


@pytest.mark.parametrize(
    ("found", "expected", "says"),
    [
        (None, "K", "'units' is missing"),
        ("", "1", "'units' is missing"),
        ("fathom", "m", "is unknown"),
        ("100", "1", "is unknown"),
        ("m2s", "m2 s", "is unknown"),
        ("m/", "m", "is unknown"),
        ("m999999999", "m", "is unknown"),
        ("nan", "1", "is unknown"),
        ("inf m", "m", "is unknown"),
        ("degC m-1", "K m-1", "is unknown"),
        ("m s-1", "K", "of another quantity"),
        ("m", "m2 s-2", "of another quantity"),
        ("J m-2", "W m-2", "accumulated"),
        ("mm", RAIN, "accumulated"),
        ("kg m-2", RAIN, "accumulated"),
        ("m2", "kg m-2", "another quantity"),
        ("kg kg-1", "m3 m-3", "ratio of other quantities"),
        ("1", "degrees_north", "of another quantity"),
        ("W", "W m-2", "of another quantity"),
        ("kg m-2", "m2 s-2", "of another quantity"),
        ("kg m-2", "W m-2", "of another quantity"),
        ("(W m-2", "W m-2", "is unknown"),
        ("W m-2)", "W m-2", "is unknown"),
        ("0.01", "1", "is unknown"),
        ("0 m", "m", "is unknown"),
        ("10-3 m", "m", "is unknown"),
        ("MM", "m", "is unknown"),
    ],
)
def test_refusals_name_variable_found_and_expected_on_one_line(found: str | None, expected: str, says: str) -> None:
    with pytest.raises(InputError) as caught:
        units.conversion(found, expected, "in.nc: variable 'met_x'")
    message = str(caught.value)
    assert says in message
    assert message.startswith("in.nc: variable 'met_x': ")
    assert f"'{expected}'" in message
    assert not found or f"'{found}'" in message
    assert "\n" not in message


#: Groups whose members convert into each other.
FAMILIES = (
    ("K", "degC", "degF", "Celsius"),
    ("Pa", "hPa", "kPa", "mbar", "bar", "N m-2"),
    ("W m-2", "kW/m2", "J s-1 m-2", "MJ m-2 day-1"),
    (RAIN, "kg m-2 h-1", "g m-2 s-1", "mg cm-2 min-1"),
    ("m s-1", "km/h", "knots", "cm s-1", "mm d-1"),
    ("1", "%", "g kg-1"),
    ("m", "cm", "mm", "km"),
    ("m2 s-2", "J kg-1", "km2 h-2"),
)
PAIRS = st.sampled_from(FAMILIES).flatmap(lambda family: st.tuples(st.sampled_from(family), st.sampled_from(family)))


@settings(max_examples=200, deadline=None)
@given(PAIRS, st.floats(-1e5, 1e5))
def test_there_and_back_is_the_same(pair: tuple[str, str], value: float) -> None:
    first, second = pair
    there = units.conversion(first, second, "f: v")
    back = units.conversion(second, first, "f: v")
    result = back.apply(there.apply(np.array([value])))[0]
    # The offset of a temperature scale is as large as the values lost in it.
    scale = max(abs(value), abs(back.offset), abs(there.offset / there.scale))
    assert abs(result - value) <= 8 * np.finfo(float).eps * max(scale, 1e-300)


@settings(max_examples=200, deadline=None)
@given(PAIRS, st.sampled_from(FAMILIES))
def test_conversion_by_a_third_unit_is_the_same(pair: tuple[str, str], family: tuple[str, ...]) -> None:
    first, third = pair
    family = next(members for members in FAMILIES if first in members and third in members)
    direct = units.conversion(first, third, "f: v")
    for middle in family:
        one, two = units.conversion(first, middle, "f: v"), units.conversion(middle, third, "f: v")
        assert one.scale * two.scale == pytest.approx(direct.scale, rel=1e-12)
        assert one.offset * two.scale + two.offset == pytest.approx(direct.offset, rel=1e-12, abs=1e-9)


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="mskgKPaWJ123-+*/. ^%°()\"'\n\\u", max_size=24))
def test_any_text_is_read_or_refused_in_one_line(text: str) -> None:
    message, scale = "", 1.0
    try:
        scale = units.conversion(text, "W m-2", "f: v").scale
    except InputError as error:
        message = str(error)
    assert "\n" not in message
    assert np.isfinite(scale)
    assert scale > 0.0


@pytest.mark.parametrize("unit", ["Mm9 " * 12 + "m-9 " * 12, "mm9 Mm-9 " * 9, "m " * 10_000, "Mm9 Mm9 Mm-9 m-8"])
def test_units_that_no_number_holds_are_refused(unit: str) -> None:
    with pytest.raises(InputError, match="a.nc: unit '.*' is (unknown|of another|another power of ten)") as caught:
        units.conversion(unit, "m", "a.nc")
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("found", "expected", "scale"),
    [
        ("J m**-2", "W m-2", 1.0),
        ("MJ m-2", "W m-2", 1e6),
        ("W h m-2", "W m-2", 3600.0),
        ("m", "kg m-2 s-1", 1000.0),
        ("mm", "kg m-2 s-1", 1.0),
        ("kg m-2", "kg m-2 s-1", 1.0),
    ],
)
def test_amounts_over_known_seconds(found, expected, scale):
    assert units.rate_conversion(found, expected, "v").scale == scale


@pytest.mark.parametrize("found", ["W m-2", "kg m-2 s-1", "mm/h", "K"])
def test_rates_are_no_amounts(found):
    expected = "W m-2" if "W" in found else "kg m-2 s-1"
    with pytest.raises(InputError, match=r"v: unit .* is not one of amounts; expected one that gives"):
        units.rate_conversion(found, expected, "v")
