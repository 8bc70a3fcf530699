"""Scores against values worked out by hand and against direct formulas."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.evaluation.scores.climatology import other_years_climatology
from ailand_gt4py.evaluation.scores.definitions import SCORES
from ailand_gt4py.evaluation.scores.moments import Sample
from ailand_gt4py.evaluation.scores.verify import table, why_no_climatology

STEP = np.timedelta64(6, "h")


def sampled(*blocks):
    """Blocks of run, truth, truth at the first label, and perhaps climatology."""
    usual = [block[3] if len(block) > 3 else np.full(block[1].shape, np.nan) for block in blocks]
    samples = [
        Sample.of(*block[:2], climatology, persistence=block[2], climatology=climatology)
        for block, climatology in zip(blocks, usual, strict=True)
    ]
    return Sample.joined(samples)


def scored(*blocks):
    sample = sampled(*blocks)
    baselines = {f"{name}_rmse": sample.baseline(name) for name in ("persistence", "climatology")}
    values = {name: score.of(sample) for name, score in SCORES.items()}
    return SimpleNamespace(n=sample.pairs.n.sum(), acc=values["acc_centred"], **values, **baselines)


def years(n_years: int) -> np.ndarray:
    return np.arange(np.datetime64("2021-01-01"), np.datetime64(f"{2021 + n_years}-01-01"), STEP).astype(
        "datetime64[ns]"
    )


def test_values_worked_out_by_hand():
    run = np.array([[1.0], [2.0], [4.0]])
    reference = np.array([[0.0], [2.0], [2.0]])
    usual = np.array([[1.0], [1.0], [2.0]])
    result = scored((run, reference, np.array([1.0]), usual))
    assert result.n == 3
    assert result.rmse == pytest.approx(math.sqrt((1 + 0 + 4) / 3))
    assert result.bias == pytest.approx(1.0)
    # Deviations (-4/3, -1/3, 5/3) and (-4/3, 2/3, 2/3).
    assert result.correlation == pytest.approx((16 - 2 + 10) / 9 / math.sqrt(42 / 9 * 24 / 9))
    # Anomalies (0, 1, 2) and (-1, 1, 0), deviations (-1, 0, 1) and (-1, 1, 0).
    assert result.acc == pytest.approx(1 / 2)
    assert result.persistence_rmse == pytest.approx(1.0)
    assert result.climatology_rmse == pytest.approx(math.sqrt((1 + 1 + 0) / 3))


def test_missing_values_are_left_out_as_pairs():
    run = np.array([[1.0, np.nan], [2.0, 5.0]])
    reference = np.array([[np.nan, 9.0], [1.0, 3.0]])
    result = scored((run, reference, np.array([1.0, 1.0])))
    assert result.n == 2
    assert result.rmse == pytest.approx(math.sqrt((1 + 4) / 2))
    assert result.persistence_rmse == pytest.approx(math.sqrt((0 + 4) / 2))


def test_without_climatology_there_is_no_acc():
    result = scored((np.eye(3), np.eye(3), np.zeros(3)))
    assert result.rmse == 0.0
    assert result.correlation == pytest.approx(1.0)
    assert math.isnan(result.acc)
    assert math.isnan(result.climatology_rmse)


def test_a_constant_has_no_correlation():
    constant = np.full((50, 1), 287.1, np.float32)
    varying = np.arange(50.0)[:, None]
    assert math.isnan(scored((constant, varying, varying[0])).correlation)
    assert math.isnan(scored((varying, constant, constant[0])).correlation)


def test_nothing_to_compare():
    result = scored((np.full((2, 1), np.nan), np.ones((2, 1)), np.ones(1)))
    assert result.n == 0
    assert math.isnan(result.rmse)
    assert math.isnan(result.bias)


def test_other_shapes_are_an_error():
    with pytest.raises(InputError, match=r"\(3, 1\), expected the reference's \(2, 1\)"):
        scored((np.ones((3, 1)), np.ones((2, 1)), np.ones(1)))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), cut=st.integers(0, 20), offset=st.sampled_from([0.0, 285.0, 1e5]))
def test_blocks_give_what_the_whole_gives(seed, cut, offset):
    random = np.random.default_rng(seed)
    run, reference, usual = offset + random.normal(size=(3, 20, 4))
    run[3, 2] = np.nan
    held = reference[0]
    whole = scored((run, reference, held, usual))
    parts = scored((run[:cut], reference[:cut], held, usual[:cut]), (run[cut:], reference[cut:], held, usual[cut:]))
    # The direct formulas, written without the accumulator.
    valid = np.isfinite(run)
    f, o, c = run[valid], reference[valid], usual[valid]
    expected = {
        "rmse": np.sqrt(np.mean((f - o) ** 2)),
        "bias": np.mean(f - o),
        "correlation": np.corrcoef(f, o)[0, 1],
        "acc": np.corrcoef(f - c, o - c)[0, 1],
        "climatology_rmse": np.sqrt(np.mean((c - o) ** 2)),
    }
    for name, value in expected.items():
        assert getattr(whole, name) == pytest.approx(value, rel=1e-9, abs=1e-9), name
        assert getattr(parts, name) == pytest.approx(value, rel=1e-9, abs=1e-9), name
    assert whole.n == parts.n == valid.sum()


def test_the_climatology_never_knows_its_own_year():
    times = years(3)
    year = (times.astype("datetime64[Y]").astype(int) + 1970 - 2021).astype(float)
    usual = other_years_climatology(year[:, None], times)
    for own, others in ((0, 1.5), (1, 1.0), (2, 0.5)):
        inner = year == own
        assert np.allclose(usual[inner], others)


def test_the_climatology_keeps_the_daily_cycle_and_the_season():
    times = years(2)
    hour = (times - times.astype("datetime64[D]")) / np.timedelta64(1, "h")
    day = (times - times.astype("datetime64[Y]")) / np.timedelta64(1, "D")
    season = np.sin(2 * np.pi * day / 365.0)
    usual = other_years_climatology((10.0 * hour + season)[:, None], times)[:, 0]
    # 31-day means damp a yearly wave by half of (2 pi 15.5 / 365)^2 / 3, below 2 %.
    assert np.abs(usual - 10.0 * hour - season).max() < 0.03


def test_columns_with_gaps_have_no_climatology_but_spoil_no_other():
    times = years(2)
    values = np.random.default_rng(0).normal(size=(len(times), 3))
    whole = other_years_climatology(values, times)
    values[100, 1] = np.nan
    usual = other_years_climatology(values, times)
    assert np.isnan(usual[:, 1]).all()
    assert np.array_equal(usual[:, [0, 2]], whole[:, [0, 2]])


def test_a_climatology_needs_two_years():
    assert not why_no_climatology(years(2), years(2), STEP)
    for few in (years(1), years(2)[:-10]):
        assert "a climatology needs 730" in why_no_climatology(few, few, STEP)


def test_table_shows_the_values_and_names_the_definitions():
    result = sampled((np.array([[1.0], [3.0]]), np.array([[0.5], [2.5]]), np.array([1.5])))
    text = table({"stl1": result}, {"stl1": "K"}, "the reference has 10 days and a climatology needs 730")
    row = next(line for line in text.splitlines() if line.startswith("stl1")).split()
    assert row == ["stl1", "K", "0.5", "0.5", "1.000", "-", "1", "-", "2"]
    assert "the reference has 10 days" in text
    assert "centred anomaly correlation against the day-of-year climatology" in table({"stl1": result}, {"stl1": "K"})
