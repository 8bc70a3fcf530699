"""Values that cannot be."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.io.quality import Inspector, possible_range
from ailand_gt4py.io.units import conversion
from ailand_gt4py.weights.model import Variable
from ailand_gt4py.weights.processing import Step
from ailand_gt4py.weights.variables import CATALOGUE


def refusal(variable: Variable, value: float, found: str | None = None, **options: object) -> str:
    """What is said of a value in the second column at the second time."""
    straight = conversion(found or variable.units, variable.units, "f: v")
    low, high = (CATALOGUE[variable.name].valid_range) if variable.name in CATALOGUE else (0.0, 1.0)
    values = np.full((3, 2), min(max(low, 1.0), high), np.float32)
    values[1, 1] = straight.apply(np.array([value]))[0]
    times = np.datetime64("2020-01-01T00") + np.arange(3) * np.timedelta64(6, "h")
    inspector = Inspector(np.array([7, 132]), 21_600.0)
    with pytest.raises(InputError) as caught:
        inspector.require_possible(f"in.nc: variable '{variable.name}'", variable, values, times, straight)
    message = str(caught.value)
    assert message.startswith(f"in.nc: variable '{variable.name}' is ")
    assert " at 2020-01-01T06:00 in column 1 (x = 132), expected " in message
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("name", "value", "found", "says"),
    [
        ("snowc", 55.0, None, "is 55 at .* expected -0.01 to 1.01 .the unit may be %"),
        ("clim_cvh", 99.0, None, "the unit may be %"),
        ("swvl1", 25.0, None, "is 25 m3 m-3 at .*expected -0.01 to 1.01 m3 m-3 .the unit may be %"),
        ("met_tair", -9999.0, None, "is -9999 K at .* expected 156.5 to 378.5 K .it may stand for a missing value"),
        ("met_tair", -9999.0, "degC", r"is -9725.85 K \(-9999 in 'degC'\) at .*missing value"),
        ("met_tair", 15.0, None, "the unit may be degC"),
        ("met_psurf", 1013.0, None, "the unit may be hPa"),
        ("met_psurf", 101.3, None, "the unit may be kPa"),
        ("met_qair", 8.0, None, "the unit may be g kg-1"),
        ("met_rainf", -1e-4, None, r"is -0.0001 kg m-2 s-1 at .* expected -1e-05 to 0.11"),
        ("met_rainf", 0.36, None, "the unit may be mm h-1"),
        ("met_rainf", 9.96921e36, None, "missing value"),
        ("met_lwdown", 0.0, None, "is 0 W m-2 at .* expected 19 to 871 W m-2"),
        ("met_swdown", 3e6, None, "the unit may be J m-2 over 3600 s or J m-2 over 21600 s"),
        ("met_swdown", -30.0, None, "expected -18 to 1980 W m-2"),
        ("lai_hv", float("nan"), None, "is missing at .* expected a finite number"),
        ("lai_hv", float("inf"), None, "is inf m2 m-2 at .* expected a finite number"),
        ("clim_tvh", 5.37, None, "is 5.37 at .* expected a type, a whole number from 0 to 20"),
        ("clim_tvh", 21.0, None, "a whole number from 0 to 20"),
        ("clim_ctype", 3.5, None, "a whole number from 0 to 4"),
        ("sd", -0.1, None, "is -0.1 m at .* expected -0.001 to 16.5 m"),
        ("sd", 80.0, None, "the unit may be cm or mm"),
    ],
)
def test_what_cannot_be_is_named_with_its_likely_unit(name: str, value: float, found: str | None, says: str) -> None:
    assert re.search(says, refusal(CATALOGUE[name].variable(), value, found))


def test_packing_leaves_what_can_be() -> None:
    """Half a step of 16 bits beyond the range, and remains of rain, snow and short wave of either sign."""
    inspector = Inspector(np.arange(1), 21_600.0)
    for name, value in (
        ("met_rainf", -2e-7),
        ("met_rainf", -8e-6),
        ("met_swdown", -5.0),
        ("snowc", 1.00001),
        ("snowc", -0.001),
        ("sd", -1e-4),
        ("met_qair", -1e-5),
        ("clim_tvh", 16.00001),
    ):
        inspector.require_possible("v", CATALOGUE[name].variable(), np.full((1, 1), value, np.float32))


def test_problems_are_gathered_where_that_is_asked_for() -> None:
    inspector = Inspector(np.arange(2), 21_600.0, problems=[])
    inspector.require_possible("f: v", Variable("b", "1"), np.array([0.5, np.nan]))
    inspector.require_possible("f: w", CATALOGUE["snowc"].variable(), np.array([[55.0, 60.0], [0.0, 1.0]]))
    first, second = inspector.problems or []
    assert first == "f: v is missing in column 1 (x = 1), expected a finite number"
    assert second.startswith("f: w is 55 in column 0 (x = 0) and 1 more of 4 values, expected -0.01 to 1.01")


def test_what_is_imputed_may_be_missing_but_not_impossible() -> None:
    variable = dataclasses.replace(CATALOGUE["snowc"].variable(), processing=(Step("impute", (0.0,)),))
    inspector = Inspector(np.arange(2), 21_600.0)
    inspector.require_possible("f: v", variable, np.array([np.nan, 0.5]))
    with pytest.raises(InputError, match="f: v is 55 in column 1 .x = 1., expected"):
        inspector.require_possible("f: v", variable, np.array([np.nan, 55.0]))


def test_range_of_what_is_not_in_the_catalogue_is_that_of_numbers() -> None:
    low, high = possible_range(Variable("mine", "K"))
    assert (low, high) == (-1e15, 1e15)
    assert "missing value" in refusal(Variable("mine", "K"), 1e20)
