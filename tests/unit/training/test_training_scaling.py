"""Statistics in one pass against NumPy's over all data, normalised tensors, the loss's yardstick, clipping."""

from __future__ import annotations

import copy

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs PyTorch")
# The tensors are tiny: more threads only wait for each other.
torch.set_num_threads(1)

from training_files import write_columns  # noqa: E402

from ailand_gt4py.training import scaling  # noqa: E402
from ailand_gt4py.training.dataset import read_windows  # noqa: E402
from ailand_gt4py.weights.variables import DEFAULT  # noqa: E402

N_COLUMNS, N_WINDOWS = 12, 79
STATE = [variable.name for variable in DEFAULT.state]


@pytest.mark.parametrize("columns", [None, np.array([0, 1, 2, 5, 11])])
def test_statistics_in_one_pass_are_numpys_over_all_data(data, columns):
    """Mean-std, std of the wet values and the logarithm's; of a choice of columns, those of nothing else."""
    measured = scaling.measure(data, DEFAULT, columns)
    chosen = range(N_COLUMNS) if columns is None else columns
    seen = set()
    for group, members in DEFAULT.groups.items():
        values = getattr(data, group).astype(float)
        if group == "static":
            values = values[list(chosen)]
        else:
            values = values.reshape(N_COLUMNS, -1, len(members))[list(chosen)].reshape(-1, len(members))
        for position, (member, variable) in enumerate(zip(members, getattr(measured, group), strict=True)):
            own, normalisation = values[:, position], variable.normalisation
            seen.add((member.method, member.wet_only))
            assert variable.training_minimum == pytest.approx(
                max(own.min(), member.floor) if member.floor > 0 else own.min(), rel=1e-12
            )
            assert variable.training_maximum == pytest.approx(own.max(), rel=1e-12)
            if member.wet_only:
                own = own[own > 0.0]
            if member.method == "log":
                own = np.log(np.maximum(own, member.floor))
                assert normalisation.minimum == member.floor
            assert normalisation.method == member.method
            assert normalisation.mean == pytest.approx(own.mean(), rel=1e-10)
            assert normalisation.std == pytest.approx(own.std(), rel=1e-8)
    assert seen >= {("mean-std", False), ("std", True), ("log", False)}
    state = data.state.astype(float).reshape(N_COLUMNS, N_WINDOWS + 1, -1)[list(chosen)]
    assert np.allclose(measured.increment_std, np.diff(state, axis=1).std(axis=(0, 1)), rtol=1e-8)


def test_normalised_tensors_are_the_values_normalised(data, measured, tensors):
    for group in DEFAULT.groups:
        expected = np.stack(
            [
                v.normalisation.apply(getattr(data, group)[:, k].astype(float))
                for k, v in enumerate(getattr(measured, group))
            ],
            axis=1,
        )
        np.testing.assert_allclose(getattr(tensors, group).numpy(), expected, rtol=1e-6, atol=1e-6)
    qair = [variable.name for variable in DEFAULT.forcing].index("met_qair")
    assert tensors.forcing[:, qair].mean().abs() < 1e-4
    assert tensors.forcing[:, qair].std() == pytest.approx(1.0, abs=1e-3)


def test_error_scales_by_lead(data, measured):
    """Persistence's error at first (leads of 1, 2, 4 ... steps exactly), limited by the anomalies'."""
    scales = scaling.error_scales(scaling.measured_variability(data, measured), measured.state, anomaly_factor=1e6)
    state = data.state.astype(float).reshape(N_COLUMNS, N_WINDOWS + 1, -1)
    assert len(scales) == 32
    for lead in (1, 2, 8, 32):
        change = np.sqrt(((state[:, lead:] - state[:, :-lead]) ** 2).mean(axis=(0, 1)))
        assert np.allclose(scales[lead - 1] * scaling.scale(measured.state), change, rtol=1e-6)
    assert (
        scaling.error_scales(scaling.measured_variability(data, measured), measured.state, anomaly_factor=0.01) < scales
    ).all()


def test_error_scales_are_of_the_columns_given(tmp_path):
    """A longer column that is not among them changes nothing."""
    short, long = (write_columns(tmp_path / f"{n}.nc", n_columns=4, n_times=n) for n in (30, 90))
    data = read_windows([short, long], DEFAULT)
    measured = scaling.measure(data, DEFAULT, np.arange(4))
    found = scaling.error_scales(scaling.measured_variability(data, measured, np.arange(4)), measured.state, 2.0)
    alone = scaling.error_scales(
        scaling.measured_variability(read_windows([short], DEFAULT), measured), measured.state, 2.0
    )
    assert np.isfinite(found).all()
    assert np.array_equal(found, alone)


def test_what_is_constant_has_the_scale_one(data):
    constant = copy.deepcopy(data)
    constant.static[:, 0] = 0.5
    assert scaling.constants(data, DEFAULT) == []
    assert scaling.constants(constant, DEFAULT) == ["clim_clake"]
    found = scaling.measure(constant, DEFAULT)
    assert found.static[0].normalisation.shift == pytest.approx(0.5)
    assert found.static[0].normalisation.scale == 1.0
    assert found.static[1:] == scaling.measure(data, DEFAULT).static[1:]


def test_a_state_that_never_changes_counts_by_its_scale(data):
    """In each column another value."""
    constant = copy.deepcopy(data)
    k = STATE.index("stl4")
    constant.state[:, k] = 280.0 + np.arange(N_COLUMNS).repeat(N_WINDOWS + 1)
    found = scaling.measure(constant, DEFAULT)
    expected = np.arange(N_COLUMNS).std()
    assert found.increment_std[k] == pytest.approx(expected)
    variability = scaling.measured_variability(constant, found)
    np.testing.assert_allclose(variability.changes[:, k], expected)
    assert variability.anomalies[k] == 0.0
    np.testing.assert_allclose(scaling.error_scales(variability, found.state, 2.0)[:, k], 1.0)


def test_clipping_counts_and_leaves_other_columns(data):
    changed = copy.deepcopy(data)
    position = [variable.name for variable in DEFAULT.diagnostics].index("sshf")
    columns = np.array([0, 1, 7])
    before = data.diagnostics.reshape(N_COLUMNS, N_WINDOWS, -1)
    limits = {"sshf": (-1e9, 100.0)}
    assert scaling.clip_targets(changed, DEFAULT, limits, columns) == {
        "sshf": int((before[columns, :, position] > 100.0).sum())
    }
    after = changed.diagnostics.reshape(N_COLUMNS, N_WINDOWS, -1)
    others = np.setdiff1d(np.arange(N_COLUMNS), columns)
    assert after[columns, :, position].max() == 100.0
    assert np.array_equal(after[others], before[others])
