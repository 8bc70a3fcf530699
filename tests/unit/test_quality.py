"""Values that cannot be, and counting what is outside the training range."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.io.quality import Inspector, RangeCounter, outside_training_range, possible_range
from ailand_gt4py.io.units import conversion
from ailand_gt4py.weights.model import Normalisation, Variable
from ailand_gt4py.weights.model_file import read_model
from ailand_gt4py.weights.processing import Step
from ailand_gt4py.weights.variables import CATALOGUE

VARIABLES = (
    Variable("a", "K", training_minimum=200.0, training_maximum=300.0),
    Variable("b", "1", training_minimum=0.0, training_maximum=1.0),
    Variable("c", "m"),
)
SNOW = (
    Variable("sd", "m", training_minimum=0.0, training_maximum=0.5),
    Variable("tsn", "K", training_minimum=227.0, training_maximum=273.15625),
    Variable("stl1", "K", training_minimum=230.0, training_maximum=330.0),
)


def test_counts_by_variable_and_flags_by_column() -> None:
    values = np.array([[189.0, 0.5, 1e9], [300.0, 1.0, -1e9], [311.0, -0.11, 0.0], [250.0, np.nan, np.inf]], np.float32)
    outside = outside_training_range(values, VARIABLES)
    np.testing.assert_array_equal(outside.sum(axis=1), [[1, 1, 0], [1, 0, 0], [0, 1, 1]])
    np.testing.assert_array_equal(outside.any(axis=(0, 2)), [True, False, True, True])
    np.testing.assert_array_equal(RangeCounter(VARIABLES).add(values), [True, False, True, True])


def test_a_missing_value_of_an_imputed_variable_is_inside() -> None:
    """Training had such; what is infinite is not missing."""
    imputed = (Variable("a", "1", training_minimum=0.0, training_maximum=1.0, processing=(Step("impute", (0.5,)),)),)
    values = np.array([[np.nan], [np.inf], [2.0], [0.5]])
    np.testing.assert_array_equal(RangeCounter(imputed).add(values), [False, True, True, False])


def test_what_is_a_little_beyond_the_samples_is_inside() -> None:
    edges = (Variable("a", "1", training_minimum=0.1, training_maximum=0.7),)
    values = np.array([[np.float32(0.1)], [np.float32(0.7)], [0.75], [0.77], [0.05], [0.03]], np.float32)
    np.testing.assert_array_equal(outside_training_range(values, edges).any(axis=0)[:, 0], [0, 0, 0, 1, 0, 1])


def test_snow_s_largest_sample_is_no_limit_but_much_more_is_outside() -> None:
    """As log-normal as its mean and standard deviation say, the largest sample's own scatter is within."""
    trained = Normalisation("mean-std", mean=0.008, std=0.03)
    snow = Variable("sd", "m", normalisation=trained, training_minimum=0.0, training_maximum=0.45)
    deviation = np.sqrt(np.log1p((0.03 / 0.008) ** 2))
    z = (np.log(0.45 / 0.008) + 0.5 * deviation**2) / deviation
    limit = 0.45 * np.exp(deviation / z)
    assert 0.7 < limit < 0.8
    values = np.array([[0.449], [0.55], [limit - 1e-6], [limit + 1e-6], [3.0], [50.0], [-0.05]])
    flags = outside_training_range(values, (snow,)).any(axis=(0, 2))
    assert flags.tolist() == [False, False, False, True, True, True, True]
    # Neither other variables, nor snow of which no statistics are known, have such room.
    for other in (dataclasses.replace(snow, name="swvl1"), dataclasses.replace(snow, normalisation=Normalisation())):
        assert outside_training_range(values, (other,)).any(axis=(0, 2)).tolist()[:2] == [False, True]


def test_states_of_ecland_that_were_held_out_are_not_flagged(shared: Path) -> None:
    """And deep snow and pores that no training column had are."""
    state = read_model().state
    flagged = {}
    for name in ("holdout", "train_c"):
        path = shared / "data" / f"ecland_synth_6h_{name}.nc"
        if not path.exists():
            pytest.skip(f"no {path}")
        with xr.open_dataset(path) as file:
            rows = file.isel(time=slice(None, None, 8))
            columns = [rows[one.name].transpose("time", "x").values.reshape(-1) for one in state]
        values = np.stack(columns, axis=1).astype(np.float64)
        values[:, [one.name for one in state].index("snowc")] *= 0.01
        outside = outside_training_range(values, state)
        flagged[name] = outside.any(axis=(0, 2)).mean(), outside[1, :, [one.name for one in state].index("sd")]
        deep = values[:, [one.name for one in state].index("sd")] > 1.0
        assert flagged[name][1][deep].all()
    assert flagged["holdout"][0] < 1e-3
    assert flagged["train_c"][1].any()


def test_properties_of_the_snow_count_where_there_is_snow() -> None:
    values = np.array([[0.0, 290.0, 280.0], [1e-7, 100.0, 280.0], [0.1, 290.0, 280.0], [0.0, 273.16, 400.0]])
    np.testing.assert_array_equal(RangeCounter(SNOW).add(values), [False, False, True, True])
    outside = outside_training_range(values, SNOW)
    np.testing.assert_array_equal(outside.sum(axis=1), [[0, 0, 0], [0, 1, 1], [0, 0, 0]])
    without_snow = RangeCounter(SNOW[1:])
    np.testing.assert_array_equal(without_snow.add(values[:, 1:]), [True, True, True, True])


def test_default_model_knows_ground_without_snow() -> None:
    state = read_model().state
    names = [variable.name for variable in state]
    bare = {"sd": 0.0, "snowc": 0.0, "rsn": 100.0, "tsn": 273.16, "asn": 0.85}
    values = np.array([[bare.get(v.name, 0.5 * (v.training_minimum + v.training_maximum)) for v in state]] * 2)
    values[1, names.index("stl1")] = 348.0
    np.testing.assert_array_equal(RangeCounter(state).add(values.astype(np.float32)), [False, True])


@settings(max_examples=50, deadline=None)
@given(
    st_numpy.arrays(
        np.float64,
        st.tuples(st.sampled_from((1, 4, 64, 100, 150)), st.just(3)),
        elements=st.floats(allow_nan=True, allow_infinity=True, width=32),
        fill=st.just(0.5),
    ),
    st.booleans(),
)
def test_every_value_is_counted_at_most_once_and_flags_agree(values: np.ndarray, is_transposed: bool) -> None:
    counter = RangeCounter(VARIABLES)
    flag = counter.add(np.asfortranarray(values) if is_transposed else values)
    outside = outside_training_range(values, VARIABLES)
    np.testing.assert_array_equal(flag, outside.any(axis=(0, 2)))
    np.testing.assert_array_equal(counter.counts, outside.sum(axis=1))
    assert (counter.counts.sum(axis=0) <= len(values)).all()


def test_counter_adds_up_and_tells_the_worst_first() -> None:
    counter = RangeCounter(VARIABLES)
    assert counter.sentences() == []
    counter.add(np.array([[185.0, 0.5, 0.0], [250.0, 2.5, 0.0]]))
    flag = counter.add(np.array([[250.0, 0.5, 0.0], [183.0, 2.0, np.nan]]))
    np.testing.assert_array_equal(flag, [False, True])
    sentences = [
        "c: 1 not finite of 4 values (25 %) far outside the training range.",
        "b: 2 above 1 of 4 values (50 %) far outside the training range, up to 2.5.",
        "a: 2 below 200 K of 4 values (50 %) outside the training range, down to 183 K.",
    ]
    assert counter.sentences() == sentences
    other = RangeCounter(VARIABLES)
    other.restore(json.loads(json.dumps(counter.as_json())))
    assert other.sentences() == sentences
    other.add(np.array([[310.1, 0.5, 0.0]]))
    assert other.sentences()[2] == (
        "a: 2 below 200 K, 1 above 300 K of 5 values (60 %) outside the training range, down to 183 K, up to 310.1 K."
    )


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
    inspector.require_possible("f: v", VARIABLES[1], np.array([0.5, np.nan]))
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
