"""Empirical benchmarks, the closure of a tower's energy balance, and scores as PLUMBER2 has them."""

import numpy as np
import pytest

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.evaluation.towers.closure import FACTORS, Balance, closure, corrected
from ailand_gt4py.evaluation.towers.empirical import Benchmark, Weather, learnt_at
from ailand_gt4py.evaluation.towers.scores import TowerScore

N = 6000


def weather(seed=0, n=N):
    generator = np.random.default_rng(seed)
    return Weather(generator.uniform(0, 900, (n, 1)), generator.uniform(260, 305, (n, 1)), generator.random((n, 1)))


def test_a_line_finds_a_line_and_nothing_else():
    """Slope and constant, of what is known; what is not known is NaN."""
    here = weather()
    flux = -20.0 - 0.3 * here.radiation
    with_gaps = np.where(np.arange(N)[:, None] % 5 == 0, np.nan, flux)
    line = Benchmark.of("1lin", here, with_gaps)
    np.testing.assert_allclose(line(here), flux, atol=1e-9)
    unknown = here._replace(radiation=np.where(np.arange(N)[:, None] < 3, np.nan, here.radiation))
    assert np.isnan(line(unknown)[:3]).all()
    assert np.isfinite(line(unknown)[3:]).all()
    curved = flux * here.humidity
    assert TowerScore.of(line(here), curved).nme > 0.2


def test_clusters_follow_what_bends():
    """A flux with a kink in temperature: a line errs, 27 planes hardly."""
    here = weather(1)
    flux = -0.2 * here.radiation * here.humidity - 5.0 * np.maximum(here.temperature - 283.0, 0.0)
    planes, line = (Benchmark.of(name, here, flux) for name in ("3km27", "1lin"))
    assert len(planes.centres) == 27
    other = weather(2)
    truth = -0.2 * other.radiation * other.humidity - 5.0 * np.maximum(other.temperature - 283.0, 0.0)
    errors = {name: TowerScore.of(found(other), truth).rmse for name, found in (("27", planes), ("1", line))}
    assert errors["27"] < 0.3 * errors["1"]
    # The same each time.
    np.testing.assert_array_equal(Benchmark.of("3km27", here, flux)(other), planes(other))


def test_out_of_sample_does_not_know_its_own_site():
    """Of three sites with other slopes each gets the mean slope of the other two."""
    sites = [weather(seed) for seed in range(3)]
    fluxes = [slope * one.radiation for slope, one in zip((1.0, 2.0, 4.0), sites, strict=True)]
    for here, slope in enumerate((3.0, 2.5, 1.5)):
        others = [k for k in range(3) if k != here]
        found = learnt_at("1lin", [sites[k] for k in others], [fluxes[k] for k in others])(sites[here])
        expected = slope * sites[here].radiation
        assert np.abs(found - expected).max() < 0.05 * expected.max()


def test_too_little_to_learn_from():
    with pytest.raises(InputError, match="benchmark '3km27': found 500 values to learn from, expected 1080 or more"):
        Benchmark.of("3km27", weather(0, 500), np.ones((500, 1)))
    with pytest.raises(InputError, match="found no site, expected others than the one it is asked for"):
        learnt_at("1lin", [], [])


def balance(factor, seed=3, n=800):
    """Fluxes that add up to the available energy, of which the tower sees a part."""
    generator = np.random.default_rng(seed)
    available, ground = generator.uniform(0.0, 500.0, (n, 1)), generator.uniform(-20.0, 40.0, (n, 1))
    share = generator.uniform(0.2, 0.8, (n, 1))
    truth = -share * available, -(1.0 - share) * available
    return truth, tuple(factor * one for one in truth), available + ground, ground


def test_closure_and_correction():
    truth, seen, net_radiation, ground = balance(0.8)
    found = closure(Balance(*seen, net_radiation, ground))
    assert found.n == 800
    assert found.ratio == pytest.approx(0.8)
    assert found.sentence().startswith("Energy balance: H + LE are 80 % of net radiation less ground heat")
    for one, expected, before in zip(
        corrected(Balance(*seen, net_radiation, ground), 21_600.0), truth, seen, strict=True
    ):
        np.testing.assert_allclose(one, expected, rtol=1e-12)
        assert not np.allclose(before, expected)


def test_correction_is_of_the_days_around_and_keeps_the_bowen_ratio():
    truth, first, net_radiation, ground = balance(0.8)
    second = tuple(0.95 * one for one in truth)
    seen = tuple(np.where(np.arange(800)[:, None] < 400, a, b) for a, b in zip(first, second, strict=True))
    sensible, latent = corrected(Balance(*seen, net_radiation, ground), 21_600.0)
    for end in (slice(0, 300), slice(500, 800)):
        np.testing.assert_allclose(sensible[end], truth[0][end], rtol=1e-9)
    np.testing.assert_allclose(sensible / latent, seen[0] / seen[1], rtol=1e-12)


def test_no_factor_beyond_what_an_instrument_does():
    _, seen, net_radiation, ground = balance(0.3)
    assert FACTORS[1] < 1.0 / 0.3
    assert np.isnan(corrected(Balance(*seen, net_radiation, ground), 21_600.0)[0]).all()
    unknown = np.full_like(net_radiation, np.nan)
    assert np.isnan(corrected(Balance(*seen, unknown, ground), 21_600.0)[1]).all()
    assert np.isnan(closure(Balance(*seen, unknown, ground)).ratio)


def test_scores_by_hand():
    model, observed = np.array([1.0, 2.0, np.nan, 6.0, 5.0]), np.array([2.0, 2.0, 3.0, 3.0, np.nan])
    found = TowerScore.of(model, observed)
    assert found.n == 3
    assert found.rmse == pytest.approx(np.sqrt((1.0 + 0.0 + 9.0) / 3))
    assert found.bias == pytest.approx(2.0 / 3.0)
    assert found.nme == pytest.approx(4.0 / (1.0 / 3 + 1.0 / 3 + 2.0 / 3))
    assert found.correlation == pytest.approx(np.corrcoef([1.0, 2.0, 6.0], [2.0, 2.0, 3.0])[0, 1])
    mean = TowerScore.of(np.full(4, 3.0), np.array([1.0, 5.0, 2.0, 4.0]))
    assert mean.nme == 1.0
    assert np.isnan(mean.correlation)
    assert np.isnan(TowerScore.of(model * np.nan, observed).rmse)
