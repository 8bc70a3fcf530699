"""Counting what is outside the training range."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from ailand_gt4py.io.quality import RangeCounter, outside_training_range
from ailand_gt4py.weights.model import Variable
from ailand_gt4py.weights.processing import Step

VARIABLES = (
    Variable("a", "K", training_minimum=200.0, training_maximum=300.0),
    Variable("b", "1", training_minimum=0.0, training_maximum=1.0),
    Variable("c", "m"),
)


def test_counts_by_variable_and_flags_by_column() -> None:
    values = np.array([[199.0, 0.5, 1e9], [300.0, 1.0, -1e9], [301.0, -0.1, 0.0], [250.0, np.nan, np.inf]], np.float32)
    outside = outside_training_range(values, VARIABLES)
    np.testing.assert_array_equal(outside.sum(axis=1), [[1, 1, 0], [1, 0, 0], [0, 1, 1]])
    np.testing.assert_array_equal(outside.any(axis=(0, 2)), [True, False, True, True])
    np.testing.assert_array_equal(RangeCounter(VARIABLES).add(values), [True, False, True, True])


def test_a_missing_value_of_an_imputed_variable_is_inside() -> None:
    """Training had such; what is infinite is not missing."""
    imputed = (Variable("a", "1", training_minimum=0.0, training_maximum=1.0, processing=(Step("impute", (0.5,)),)),)
    values = np.array([[np.nan], [np.inf], [2.0], [0.5]])
    np.testing.assert_array_equal(RangeCounter(imputed).add(values), [False, True, True, False])


def test_rounding_at_the_edge_is_inside() -> None:
    edges = (Variable("a", "1", training_minimum=0.1, training_maximum=0.7),)
    values = np.array([[np.float32(0.1)], [np.float32(0.7)]], np.float32)
    assert not outside_training_range(values, edges).any()


@settings(max_examples=50, deadline=None)
@given(st_numpy.arrays(np.float64, (4, 3), elements=st.floats(allow_nan=True, allow_infinity=True, width=32)))
def test_every_value_is_counted_at_most_once_and_flags_agree(values: np.ndarray) -> None:
    counter = RangeCounter(VARIABLES)
    flag = counter.add(values)
    total = counter.counts.sum(axis=0)
    assert (total <= 4).all()
    assert (total.sum() > 0) == flag.any()
    assert flag.sum() <= total.sum()


def test_counter_adds_up_and_tells() -> None:
    counter = RangeCounter(VARIABLES)
    assert counter.sentences() == []
    counter.add(np.array([[250.0, 0.5, 0.0], [250.0, 2.0, 0.0]]))
    flag = counter.add(np.array([[250.0, 0.5, 0.0], [100.0, 2.0, np.nan]]))
    np.testing.assert_array_equal(flag, [False, True])
    assert counter.sentences() == [
        "a: 1 below 200 K of 4 values (25 %) outside the training range.",
        "b: 2 above 1 of 4 values (50 %) outside the training range.",
        "c: 1 not finite of 4 values (25 %) outside the training range.",
    ]
