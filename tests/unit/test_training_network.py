"""The PyTorch network against the NumPy reference, its rollout, its bounds, the loss and the export."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs PyTorch")
# The networks are tiny: more threads only wait for each other.
torch.set_num_threads(1)

import network_reference as reference  # noqa: E402
from training_files import write_columns  # noqa: E402

from ailand_gt4py.errors import InputError  # noqa: E402
from ailand_gt4py.training import configuration, loop, scaling  # noqa: E402
from ailand_gt4py.training.dataset import read_windows  # noqa: E402
from ailand_gt4py.training.export import to_model  # noqa: E402
from ailand_gt4py.training.rollout import LossScales, RunPool, batch_loss, free_run  # noqa: E402
from ailand_gt4py.weights.model_file import read_model, write_model  # noqa: E402

OPTIONS = {"data": {"train": ["a.nc"]}, "stages": [{"iterations": 1, "steps": 1, "batch": 1}]}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return read_windows([write_columns(tmp_path_factory.mktemp("data") / "a.nc")])


@pytest.fixture(scope="module")
def measured(data):
    return scaling.measure(data)


@pytest.fixture
def tensors(data, measured):
    return scaling.normalised_tensors(data.select(np.arange(data.n_columns)), measured)


@pytest.fixture
def network(measured):
    """Random weights in every layer (the real start has none in the prognostic layer), large enough to hit bounds."""
    sizes = {"width": 9, "depth": 3, "diagnostic_width": 6, "diagnostic_depth": 2}
    net = loop.build_network(configuration.parse_configuration(OPTIONS | {"network": sizes}, "test"), measured)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
        net.prognostic[0].bias.mul_(30.0)
    return net


def _arrays(tensors, count):
    rows = (tensors.static, tensors.forcing[:, 0], tensors.state[:, 0])
    return [tensor[:count].double() for tensor in rows]


def test_network_is_the_reference_in_float64(network, measured, tensors):
    network = network.double()
    static, forcing, state = _arrays(tensors, 12)
    with torch.no_grad():
        bounded, diagnostics = network(static, forcing, state)
    model = to_model(network, measured, 21600.0, {}, dtype=np.float64)
    expected = reference.forward(model, static.numpy(), forcing.numpy(), state.numpy())
    lower, upper = (bound.double().numpy() for bound in (network.lower, network.upper))
    hit = (expected.state <= lower + 1e-6) | (expected.state >= upper - 1e-6)
    assert hit.any()
    assert not hit.all()
    assert np.allclose(bounded.numpy(), expected.state, rtol=1e-6, atol=1e-6)
    assert np.allclose(bounded.numpy()[~hit], expected.state[~hit], rtol=1e-12, atol=1e-12)
    assert np.allclose(diagnostics.numpy(), expected.diagnostics, rtol=1e-11, atol=1e-11)


def test_rollout_is_repeated_steps(network, tensors):
    forcing = tensors.forcing[:, :5].transpose(0, 1)
    with torch.no_grad():
        bounded, unbounded = network.rollout(tensors.static, forcing, tensors.state[:, 0])
        state = tensors.state[:, 0]
        for step in range(5):
            state, diagnostics = network(tensors.static, forcing[step], state)
            assert torch.allclose(bounded[step], state, atol=1e-5)
            assert torch.allclose(
                network.diagnose(tensors.static, forcing[step], unbounded[step]), diagnostics, atol=1e-4
            )
    assert not torch.equal(bounded, unbounded)


def test_a_clipped_state_still_learns(network, tensors):
    """The gradient passes through the bounds."""
    network.prognostic[0].bias.data[:] = 1e6
    bounded, unbounded = network.rollout(tensors.static, tensors.forcing[:, :1].transpose(0, 1), tensors.state[:, 0])
    assert torch.equal(bounded[0, :, 6], network.upper[6].expand(12))
    assert (unbounded[0, :, 6] > network.upper[6]).all()
    bounded[0, :, 6].sum().backward()
    assert network.prognostic[0].bias.grad[6] != 0.0


def test_gradient_from_step_to_step_stops_at_a_bound(network, tensors):
    """A state at its bound has no influence on later ones; a gradient passed on all the same would explode."""
    network.prognostic[0].bias.data[:] = 1e6
    start = tensors.state[:, 0].clone().requires_grad_()
    bounded, _ = network.rollout(tensors.static, tensors.forcing[:, :2].transpose(0, 1), start)
    (gradient,) = torch.autograd.grad(bounded[1].sum(), start, retain_graph=True)
    assert torch.equal(gradient, torch.zeros_like(gradient))
    (gradient,) = torch.autograd.grad(bounded[0].sum(), start)
    assert gradient.abs().sum() > 0.0


def test_untrained_network_is_persistence(measured, tensors):
    net = loop.build_network(configuration.parse_configuration(OPTIONS, "test"), measured)
    states, _ = free_run(net, tensors, torch.arange(12), torch.zeros(12, dtype=torch.int64), 3)
    assert torch.allclose(states, tensors.state[:, 0].expand(3, -1, -1), atol=1e-6)


def test_free_run_reads_the_forcing_of_its_own_windows(network, tensors):
    """Runs begun at different windows are the runs begun there one by one."""
    columns, windows = torch.tensor([2, 7]), torch.tensor([5, 11])
    together, diagnosed = free_run(network, tensors, columns, windows, 4)
    for index in range(2):
        column, window = int(columns[index]), int(windows[index])
        state = tensors.state[column : column + 1, window]
        for step in range(4):
            with torch.no_grad():
                forcing = tensors.forcing[column : column + 1, window + step]
                state, diagnostics = network(tensors.static[column : column + 1], forcing, state)
            assert torch.allclose(together[step, index], state[0], atol=1e-5)
            assert torch.allclose(diagnosed[step, index], diagnostics[0], atol=1e-4)


def _loss(network, tensors, age, shift=0):
    """Loss of a pool whose runs are at the truth; ``shift`` moves the truth they are compared with."""
    pool = RunPool(tensors, 4, np.random.default_rng(0))
    taken = pool.take(4, 3, 1.0)
    pool.ages[taken] = age
    pool.windows[taken] = np.array([3, 9, 20, 30]) + shift
    pool.states[taken] = tensors.state[pool.columns[taken], pool.windows[taken] - shift]
    by_lead = torch.tensor([0.1, 0.2, 0.4, 0.8])[:, None].expand(-1, 8)
    scales = LossScales(torch.ones(8), torch.ones(5), 0.1, by_lead)
    return batch_loss(network, tensors, pool, taken, 3, scales, torch.zeros(4, 18)), pool, taken


def test_loss_by_hand(measured, tensors):
    """Of the untrained network, which keeps the state: errors are the changes, by the scales of leads 3, 4 and over."""
    net = loop.build_network(configuration.parse_configuration(OPTIONS, "test"), measured)
    (state_loss, _, reached), pool, taken = _loss(net, tensors, age=2)
    start = tensors.state[pool.columns[taken], pool.windows[taken]]
    total = 0.0
    for step, by in enumerate((0.4, 0.8, 0.8)):
        error = ((start - tensors.state[pool.columns[taken], pool.windows[taken] + step + 1]) / by).abs()
        total += torch.where(error < 1.0, 0.5 * error**2, error - 0.5).mean() / 3.0
    assert float(state_loss.detach()) == pytest.approx(float(total), rel=1e-4)
    assert torch.allclose(reached, start, atol=1e-6)


def test_pool_goes_on_where_runs_are(network, tensors):
    pool = RunPool(tensors, 6, np.random.default_rng(1))
    first = pool.take(6, 4, 0.0)
    assert (pool.ages == 0).all(), "a run that never began begins from the truth"
    assert torch.equal(pool.states, tensors.state[pool.columns, pool.windows])
    pool.windows[:] = [0, 5, 10, 20, 30, 40]
    windows, columns = pool.windows.copy(), pool.columns.copy()
    pool.put(first, torch.full((6, 8), 0.5), 4)
    pool.windows[0] = tensors.n_windows - 3
    second = pool.take(6, 4, 0.0)
    assert pool.ages[0] == 0
    assert pool.windows[0] + 4 <= tensors.n_windows
    others = second[second != 0]
    assert (pool.windows[others] == windows[others] + 4).all()
    assert (pool.ages[others] == 4).all()
    assert (pool.columns[others] == columns[others]).all()
    assert (pool.states[others] == 0.5).all()


def test_export_round_trip(network, measured, tmp_path):
    model = to_model(network, measured, 21600.0, {"licence": "Apache-2.0"})
    write_model(model, tmp_path / "model.nc")
    back = read_model(tmp_path / "model.nc")
    assert back.static == model.static
    assert back.forcing == model.forcing
    assert back.diagnostics == model.diagnostics
    assert back.state == model.state
    assert back.provenance == model.provenance
    assert back.step_seconds == 21600.0
    assert all(np.array_equal(back.parameters[name], array) for name, array in model.parameters.items())
    assert all(array.dtype == np.float32 for array in back.parameters.values())
    snow = back.state[6]
    assert (snow.lower_bound, snow.upper_bound, snow.units, snow.time_meaning) == (0.0, 1.0, "1", "window start")


def test_statistics_of_rain_are_of_wet_values(data, measured):
    names = [variable.name for variable in measured.forcing]
    rain = data.forcing[..., names.index("met_rainf")].astype(float)
    assert measured.forcing[names.index("met_rainf")].normalisation.std == pytest.approx(
        rain[rain > 0.0].std(), rel=1e-6
    )
    increments = np.diff(data.state.astype(float), axis=1).std(axis=(0, 1))
    assert np.allclose(measured.increment_std, increments, rtol=1e-6)


def test_error_scale_is_the_increments_std_at_first(data, measured):
    scales = scaling.error_scales(data, measured, anomaly_factor=1e6)
    change = np.sqrt((np.diff(data.state.astype(float), axis=1) ** 2).mean(axis=(0, 1)))
    assert np.allclose(scales[0] * scaling.scale(measured.state), change, rtol=1e-6)
    limited = scaling.error_scales(data, measured, anomaly_factor=0.01)
    assert (limited < scales).all()


def test_a_constant_input_is_refused(data):
    constant = data.select(np.arange(data.n_columns))
    constant.static[:, 0] = 0.5
    with pytest.raises(InputError, match=r"'clim_clake' has the standard deviation 0\.0"):
        scaling.measure(constant)


def test_clipping_counts(data):
    copy = data.select(np.arange(data.n_columns))
    assert scaling.clip_targets(copy, {"sshf": (-1e9, 100.0)}) == {
        "sshf": int((data.diagnostics[..., 3] > 100.0).sum())
    }
    assert copy.diagnostics[..., 3].max() == 100.0
