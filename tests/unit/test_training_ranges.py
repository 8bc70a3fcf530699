"""Values out of the training ranges, and their count."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from ailand_gt4py.io.training_ranges import RangeCounter, outside_training_range
from ailand_gt4py.weights.model import Normalisation, Variable
from ailand_gt4py.weights.model_file import read_model
from ailand_gt4py.weights.processing import Step

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
    """And snow deeper than in any training column is."""
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
        flagged[name] = outside.any(axis=(0, 2)).mean()
    assert flagged["holdout"] < 1e-3
    assert flagged["train_c"] < 1e-3
    position = [one.name for one in state].index("sd")
    deeper = values[:1].copy()
    deeper[0, position] = 3.0 * state[position].training_maximum
    assert outside_training_range(deeper, state)[:, 0, position].any()


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
    values[1, names.index("stl1")] = state[names.index("stl1")].training_maximum + 60.0
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
