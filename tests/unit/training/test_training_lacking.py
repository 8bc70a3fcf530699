"""Sources that lack a state: guessed where runs begin there, not learnt from, and no part of statistics or scores."""

from __future__ import annotations

import copy

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs PyTorch")
torch.set_num_threads(1)

from training_files import columns, needs_anemoi, write_anemoi_store, write_columns  # noqa: E402

from ailand_gt4py.core.errors import InputError  # noqa: E402
from ailand_gt4py.io.first_guess import guessable  # noqa: E402
from ailand_gt4py.training import scaling  # noqa: E402
from ailand_gt4py.training.configuration import Loss, Network, Validation  # noqa: E402
from ailand_gt4py.training.dataset import read_windows  # noqa: E402
from ailand_gt4py.training.losses import LossScales  # noqa: E402
from ailand_gt4py.training.network import LayerNormNetwork  # noqa: E402
from ailand_gt4py.training.rollout import RunPool, batch_loss  # noqa: E402
from ailand_gt4py.training.tensors import TrainingData, normalised_tensors  # noqa: E402
from ailand_gt4py.training.validation import Validator  # noqa: E402
from ailand_gt4py.weights.variables import DEFAULT  # noqa: E402

STATE = [variable.name for variable in DEFAULT.state]
ASN = STATE.index("asn")
N_WHOLE, N_LACKING = 8, 5


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    """A whole file, and one without the albedo of the snow, in which there is snow in some columns only."""
    directory = tmp_path_factory.mktemp("data")
    lacking = columns(n_columns=N_LACKING, seed=3).drop_vars("asn")
    lacking["sd"][:, :2] = 0.0
    lacking.to_netcdf(directory / "lacking.nc")
    return write_columns(directory / "whole.nc", n_columns=N_WHOLE), directory / "lacking.nc"


@pytest.fixture(scope="module")
def data(paths):
    """Model units; tests must not change them."""
    return read_windows(paths, DEFAULT, may_lack=("asn",))


def test_what_is_lacking_is_guessed_and_said(paths, data):
    expected = np.ones((N_WHOLE + N_LACKING, len(STATE)), dtype=bool)
    expected[N_WHOLE:, ASN] = False
    assert np.array_equal(data.state_known, expected)
    guessed = data.state.reshape(N_WHOLE + N_LACKING, -1, len(STATE))[N_WHOLE:, :, ASN]
    assert np.all(guessed[:2] == np.float32(0.85))
    assert set(np.unique(guessed[2:])) == {np.float32(0.675), np.float32(0.85)}  # there, but for days without
    (told,) = (line for line in data.history if "asn" in line)
    assert told.startswith("lacking.nc: asn is missing: not learnt; guessed at the start of rollouts by taking 0.675")
    with pytest.raises(InputError, match=r"lacking\.nc.*missing: asn"):
        read_windows(paths, DEFAULT)


@needs_anemoi
def test_from_an_anemoi_store_too(tmp_path):
    fields = columns(n_columns=3, n_times=8)
    whole = read_windows([write_anemoi_store(tmp_path / "a.zarr", fields)], DEFAULT, may_lack=("asn",))
    found = read_windows([write_anemoi_store(tmp_path / "b.zarr", fields.drop_vars("asn"))], DEFAULT, may_lack=("asn",))
    assert whole.state_known.all()
    others = np.arange(len(STATE)) != ASN
    assert found.state_known[:, others].all()
    assert not found.state_known[:, ASN].any()
    np.testing.assert_array_equal(found.state[:, others], whole.state[:, others])
    assert not np.array_equal(found.state[:, ASN], whole.state[:, ASN])


def test_all_that_can_be_guessed(tmp_path):
    names = guessable(STATE)
    assert set(names) == {"rsn", "asn", "swvl4", "src"}
    columns(n_columns=3, n_times=8).drop_vars(names).to_netcdf(tmp_path / "a.nc")
    found = read_windows([tmp_path / "a.nc"], DEFAULT, may_lack=names)
    assert np.isfinite(found.state).all()
    assert not found.state_known[:, [STATE.index(name) for name in names]].any()
    by_name = {name: found.state[:, STATE.index(name)] for name in ("swvl3", "swvl4", "src")}
    np.testing.assert_array_equal(by_name["swvl4"], by_name["swvl3"])
    assert (by_name["src"] == 0.0).all()


def test_a_state_that_is_known_in_short_columns_only(tmp_path):
    """Leads longer than these have a scale, too."""
    columns(n_columns=3, n_times=90, seed=1).drop_vars("asn").to_netcdf(tmp_path / "long.nc")
    short = write_columns(tmp_path / "short.nc", n_columns=3, n_times=20)
    data = read_windows([tmp_path / "long.nc", short], DEFAULT, may_lack=("asn",))
    measured = scaling.measure(data, DEFAULT)
    scales = scaling.error_scales(scaling.measured_variability(data, measured), measured.state, 2.0)
    assert len(scales) == 32
    assert np.isfinite(scales).all()
    assert (scales > 0.0).all()


def test_statistics_are_of_what_is_known(data):
    measured, alone = (scaling.measure(data, DEFAULT, columns) for columns in (None, np.arange(N_WHOLE)))
    assert measured.state[ASN].normalisation.std == pytest.approx(alone.state[ASN].normalisation.std, rel=1e-12)
    assert measured.increment_std[ASN] == pytest.approx(alone.increment_std[ASN], rel=1e-12)
    assert measured.increment_std[0] != alone.increment_std[0]
    scales, of_alone = (
        scaling.error_scales(scaling.measured_variability(data, measured, columns), measured.state, 2.0)
        * scaling.scale(measured.state)
        for columns in (None, np.arange(N_WHOLE))
    )
    np.testing.assert_allclose(scales[:, ASN], of_alone[:, ASN], rtol=1e-12)
    assert not np.array_equal(scales[:, 0], of_alone[:, 0])


@pytest.fixture(scope="module")
def prepared(data):
    measured = scaling.measure(data, DEFAULT)
    sizes = Network(width=8, depth=1, diagnostic_width=4, diagnostic_depth=1)
    network = LayerNormNetwork(sizes, measured, seed=1)
    return measured, normalised_tensors(copy.deepcopy(data), measured), network


def gradient_of_bias(prepared, columns):
    """Of the loss of one step from the truth, with respect to each state's bias."""
    _, tensors, network = prepared
    pool = RunPool(TrainingData(tensors, columns, None, None), 6, np.random.default_rng(0))
    taken = pool.take(6, 1, 1.0)
    ones = (torch.ones(len(STATE)), torch.ones(len(DEFAULT.diagnostics)))
    scales = LossScales(Loss(mean_error_weight=0.5), *ones, torch.ones(1, len(STATE)))
    # So that the network's albedo is not the guess, which hardly changes, either.
    network.prognostic[0].bias.data.fill_(0.3)
    network.zero_grad()
    loss, _, _ = batch_loss(network, pool, taken, 1, scales, torch.zeros(6, len(DEFAULT.static)))
    loss.backward()
    return network.prognostic[0].bias.grad.numpy().copy()


def test_nothing_is_learnt_from_a_guess(prepared):
    whole, lacking = (
        gradient_of_bias(prepared, columns) for columns in (np.arange(N_WHOLE), np.arange(N_WHOLE, N_WHOLE + N_LACKING))
    )
    assert (whole != 0.0).all()
    assert lacking[ASN] == 0.0
    assert (np.delete(lacking, ASN) != 0.0).all()


def test_scores_are_of_what_is_known(data, prepared):
    measured, tensors, network = prepared
    options = Validation(leads_days=(1, 4), starts=3)
    both, whole, lacking = (
        Validator(options, data, TrainingData(tensors, columns, measured, None), columns).scores(network)
        for columns in (np.array([0, 1, 9, 10]), np.array([0, 1]), np.array([9, 10]))
    )
    for name in ("model", "persistence", "climatology", "whole_run"):
        values, of_whole, of_lacking = (getattr(scores, name) for scores in (both, whole, lacking))
        np.testing.assert_allclose(values[..., ASN], of_whole[..., ASN], rtol=1e-12)
        assert np.isnan(of_lacking[..., ASN]).all()
        assert np.isfinite(np.delete(of_lacking, ASN, axis=-1)).all()
        assert not np.array_equal(values[..., 0], of_whole[..., 0])
    assert np.isfinite(lacking.skill)
