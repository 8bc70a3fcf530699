"""The PyTorch network against the NumPy reference, its rollout, its bounds, the loss and the export."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs PyTorch")
# The networks are tiny: more threads only wait for each other.
torch.set_num_threads(1)

import network_reference as reference  # noqa: E402

from ailand_gt4py.core.errors import InputError  # noqa: E402
from ailand_gt4py.emulator.emulator import Emulator  # noqa: E402
from ailand_gt4py.emulator.forcing import ForcingAssembler  # noqa: E402
from ailand_gt4py.training import loop, scaling  # noqa: E402
from ailand_gt4py.training.configuration import Loss, Network  # noqa: E402
from ailand_gt4py.training.losses import LossScales  # noqa: E402
from ailand_gt4py.training.models import to_model  # noqa: E402
from ailand_gt4py.training.network import LayerNormNetwork  # noqa: E402
from ailand_gt4py.training.rollout import RunPool, batch_loss, free_run  # noqa: E402
from ailand_gt4py.training.tensors import Tensors, TrainingData  # noqa: E402
from ailand_gt4py.weights.model_file import read_model, write_model  # noqa: E402
from ailand_gt4py.weights.variables import DEFAULT  # noqa: E402

N_COLUMNS, N_WINDOWS = 12, 79
STATE = [variable.name for variable in DEFAULT.state]
N_STATE, N_STATIC, N_DIAGNOSTICS = len(STATE), len(DEFAULT.static), len(DEFAULT.diagnostics)
SNOW_COVER = STATE.index("snowc")


@pytest.fixture
def network(measured):
    """Random weights in every layer (the real start has none in the prognostic layer), large enough to hit bounds."""
    sizes = {"width": 9, "depth": 3, "diagnostic_width": 6, "diagnostic_depth": 2}
    net = LayerNormNetwork(Network(**sizes), measured, seed=1)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
        net.prognostic[0].bias.mul_(30.0)
    return net


def _start(tensors):
    """State of all columns at the first window's start."""
    return tensors.state_at(torch.arange(N_COLUMNS), torch.zeros(N_COLUMNS, dtype=torch.int64))


def _forcing(tensors, steps):
    """(steps, N_COLUMNS, n_forcing) of the first windows."""
    return tensors.forcing_at(torch.arange(N_COLUMNS), torch.arange(steps)[:, None])


def _pool(tensors, columns, size, seed, frequencies=None):
    """Statistics and scales of the data do not matter to it."""
    return RunPool(TrainingData(tensors, columns, None, None, frequencies), size, np.random.default_rng(seed))


def _rollout(network, tensors, state, steps):
    """From a state over the first windows of all columns."""
    return network.rollout(tensors.static, _forcing(tensors, steps), state, network.physics(tensors.static))


def _inputs(model, static, forcing):
    """By name, in model units."""
    return reference.in_model_units(static, model.static) | reference.in_model_units(forcing, model.forcing)


def test_network_is_the_reference_in_float64(network, measured, tensors):
    network = network.double()
    static, forcing, state = (part.double() for part in (tensors.static, _forcing(tensors, 1)[0], _start(tensors)))
    with torch.no_grad():
        bounded, diagnostics = network(static, forcing, state)
    model = to_model(network, measured, 21600.0, {})
    expected = reference.forward(model, static.numpy(), forcing.numpy(), state.numpy())
    lower, upper = (bound.double().numpy() for bound in (network.lower, network.physics(static).upper))
    hit = (expected.state <= lower + 1e-6) | (expected.state >= upper - 1e-6)
    assert hit.any()
    assert not hit.all()
    assert np.allclose(bounded.numpy(), expected.state, rtol=1e-6, atol=1e-6)
    assert np.allclose(bounded.numpy()[~hit], expected.state[~hit], rtol=1e-12, atol=1e-12)
    # In training diagnostics are as they come; the model's are within their bounds.
    clipped = reference.clip(diagnostics.numpy(), model.diagnostics, _inputs(model, static.numpy(), forcing.numpy()))
    assert not np.array_equal(clipped, diagnostics.numpy())
    assert np.allclose(clipped, expected.diagnostics, rtol=1e-11, atol=1e-11)


def test_rollout_is_repeated_steps(network, tensors):
    forcing = _forcing(tensors, 5)
    with torch.no_grad():
        bounded, unbounded = _rollout(network, tensors, _start(tensors), 5)
        state = _start(tensors)
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
    bounded, unbounded = _rollout(network, tensors, _start(tensors), 1)
    assert torch.equal(bounded[0, :, SNOW_COVER], network.upper[SNOW_COVER].expand(12))
    assert (unbounded[0, :, SNOW_COVER] > network.upper[SNOW_COVER]).all()
    bounded[0, :, SNOW_COVER].sum().backward()
    assert network.prognostic[0].bias.grad[SNOW_COVER] != 0.0


def test_gradient_from_step_to_step_stops_at_a_bound(network, tensors):
    """A state at its bound has no influence on later ones; a gradient passed on all the same would explode."""
    network.prognostic[0].bias.data[:] = 1e6
    start = _start(tensors).clone().requires_grad_()
    bounded, _ = _rollout(network, tensors, start, 2)
    (gradient,) = torch.autograd.grad(bounded[1].sum(), start, retain_graph=True)
    assert torch.equal(gradient, torch.zeros_like(gradient))
    (gradient,) = torch.autograd.grad(bounded[0].sum(), start)
    assert gradient.abs().sum() > 0.0


def test_untrained_network_is_persistence(measured, tensors):
    net = LayerNormNetwork(Network(), measured, seed=1)
    states, _ = free_run(net, tensors, torch.arange(12), torch.zeros(12, dtype=torch.int64), 3)
    assert torch.allclose(states, _start(tensors).expand(3, -1, -1), atol=1e-6)


def test_free_run_reads_the_forcing_of_its_own_windows(network, tensors):
    """Runs begun at different windows are the runs begun there one by one."""
    columns, windows = torch.tensor([2, 7]), torch.tensor([5, 11])
    together, diagnosed = free_run(network, tensors, columns, windows, 4)
    for index in range(2):
        column, window = columns[index : index + 1], windows[index : index + 1]
        state = tensors.state_at(column, window)
        for step in range(4):
            with torch.no_grad():
                state, diagnostics = network(tensors.static[column], tensors.forcing_at(column, window + step), state)
            assert torch.allclose(together[step, index], state[0], atol=1e-5)
            assert torch.allclose(diagnosed[step, index], diagnostics[0], atol=1e-4)


def test_rows_are_found_in_columns_of_different_lengths():
    """Columns of 2 and 3 windows; a row's value is 10 times its column's number and its window's."""
    forcing = torch.tensor([0.0, 1.0, 10.0, 11.0, 12.0])[:, None]
    state = torch.tensor([0.0, 1.0, 2.0, 10.0, 11.0, 12.0, 13.0])[:, None]
    tensors = Tensors(
        torch.zeros(2, 1), forcing, state, forcing + 0.5, torch.tensor([2, 3]), torch.ones(2, 1, dtype=torch.bool)
    )
    columns, windows = torch.tensor([1, 0]), torch.tensor([[0, 1], [1, 0]])
    assert tensors.forcing_at(columns, windows)[..., 0].tolist() == [[10.0, 1.0], [11.0, 0.0]]
    assert tensors.diagnostics_at(columns, windows)[..., 0].tolist() == [[10.5, 1.5], [11.5, 0.5]]
    assert tensors.state_at(columns, torch.tensor([3, 2]))[:, 0].tolist() == [13.0, 2.0]


def _loss(network, tensors, age, mean_error_weight=0.0, forcing_offset=None):
    """Loss of three steps of a pool whose runs are at the truth, and the pool."""
    pool = _pool(tensors, np.arange(N_COLUMNS), 4, 0)
    taken = pool.take(4, 3, 1.0)
    pool.ages[taken] = age
    pool.windows[taken] = np.array([3, 9, 20, 30])
    pool.states[taken] = tensors.state_at(torch.from_numpy(pool.columns[taken]), torch.from_numpy(pool.windows[taken]))
    by_lead = torch.tensor([0.1, 0.2, 0.4, 0.8])[:, None].expand(-1, N_STATE)
    weights = torch.linspace(0.5, 1.5, N_STATE), torch.linspace(1.0, 2.0, N_DIAGNOSTICS)
    scales = LossScales(Loss(mean_error_weight=mean_error_weight), *weights, by_lead)
    return batch_loss(network, pool, taken, 3, scales, torch.zeros(4, N_STATIC), forcing_offset), pool, taken


def test_loss_by_hand(measured, tensors):
    """Of the untrained network, which keeps the state: errors are the changes, by the scales of leads 3, 4 and over."""

    def smooth(error, weights):
        error = error.abs()
        return (weights * torch.where(error < 1.0, 0.5 * error**2, error - 0.5)).mean() / 3.0

    net = LayerNormNetwork(Network(), measured, seed=1)
    (state_loss, diagnostic_loss, reached), pool, taken = _loss(net, tensors, age=2)
    columns, windows = torch.from_numpy(pool.columns[taken]), torch.from_numpy(pool.windows[taken])
    start = tensors.state_at(columns, windows)
    total, of_diagnostics = 0.0, 0.0
    for step, by in enumerate((0.4, 0.8, 0.8)):
        error = (start - tensors.state_at(columns, windows + step + 1)) / by
        total += smooth(error, torch.linspace(0.5, 1.5, N_STATE))
        with torch.no_grad():
            found = net.diagnose(tensors.static[columns], tensors.forcing_at(columns, windows + step), start)
        error = (found - tensors.diagnostics_at(columns, windows + step)) / 0.1
        of_diagnostics += smooth(error, torch.linspace(1.0, 2.0, N_DIAGNOSTICS))
    assert float(state_loss.detach()) == pytest.approx(float(total), rel=1e-4)
    assert float(diagnostic_loss.detach()) == pytest.approx(float(of_diagnostics), rel=1e-4)
    assert torch.allclose(reached, start, atol=1e-6)


def test_loss_of_the_mean_error(measured, tensors):
    """Of the mean over the three steps of the errors over their scales."""
    net = LayerNormNetwork(Network(), measured, seed=1)
    (with_mean, _, _), pool, taken = _loss(net, tensors, age=2, mean_error_weight=0.7)
    (without, _, _), _, _ = _loss(net, tensors, age=2)
    columns, windows = torch.from_numpy(pool.columns[taken]), torch.from_numpy(pool.windows[taken])
    start = tensors.state_at(columns, windows)
    errors = [(start - tensors.state_at(columns, windows + k + 1)) / by for k, by in enumerate((0.4, 0.8, 0.8))]
    mean = torch.stack(errors).mean(dim=0).abs()
    smooth = torch.where(mean < 1.0, 0.5 * mean**2, mean - 0.5)
    expected = 0.7 * float((torch.linspace(0.5, 1.5, N_STATE) * smooth).mean())
    assert float((with_mean - without).detach()) == pytest.approx(expected, rel=1e-4)


def test_only_the_diagnostic_block_learns_from_amounts_and_the_water_budget(measured, tensors):
    names = [variable.name for variable in measured.diagnostics]
    net = LayerNormNetwork(Network(), measured, seed=1)
    with torch.no_grad():  # a state that changes, and amounts that are not zero
        net.prognostic[0].bias.add_(0.5)
        net.diagnostic[-1].bias[[names.index(name) for name in ("sro", "ssro")]] = 0.3
    by_lead = torch.ones(1, N_STATE)
    gradients = {}
    for what, terms in {"plain": {}, "amounts": {"amounts": 1.0}, "water": {"water": 1.0}}.items():
        pool = _pool(tensors, np.arange(N_COLUMNS), 4, 0)
        taken = pool.take(4, 3, 1.0)
        scales = LossScales.of(Loss(terms=terms), measured, by_lead, torch.device("cpu"), 21_600.0)
        net.zero_grad()
        sum(batch_loss(net, pool, taken, 3, scales, torch.zeros(4, N_STATIC))[:2]).backward()
        gradients[what] = {name: one.grad.clone() for name, one in net.named_parameters()}
    for what in ("amounts", "water"):
        changed = {name for name, one in gradients["plain"].items() if not torch.equal(one, gradients[what][name])}
        assert changed
        assert {name.partition(".")[0] for name in changed} == {"diagnostic"}


def test_an_offset_to_the_forcing_is_other_forcing_in_all_steps(network, tensors):
    offset = torch.linspace(-1.0, 1.0, len(DEFAULT.forcing))
    moved = dataclasses.replace(tensors, forcing=tensors.forcing + offset)
    (state_loss, diagnostic_loss, reached), _, _ = _loss(network, tensors, 2, forcing_offset=offset.expand(4, -1))
    (expected, expected_diagnostic, expected_reached), _, _ = _loss(network, moved, age=2)
    (without, _, _), _, _ = _loss(network, tensors, age=2)
    assert float(state_loss.detach()) == pytest.approx(float(expected.detach()), rel=1e-5)
    assert float(diagnostic_loss.detach()) == pytest.approx(float(expected_diagnostic.detach()), rel=1e-5)
    assert torch.allclose(reached, expected_reached, atol=1e-5)
    assert float(state_loss.detach()) != pytest.approx(float(without.detach()), rel=5e-5)


def test_soil_water_stays_within_the_column_s_own_porosity(network, measured, tensors):
    """Whatever noise the network sees on its static inputs: the bound is of the inputs as they are."""
    network.prognostic[0].bias.data[:] = 1e6
    pool = _pool(tensors, np.arange(N_COLUMNS), 4, 0)
    taken = pool.take(4, 3, 1.0)
    scales = LossScales(Loss(), torch.ones(N_STATE), torch.ones(N_DIAGNOSTICS), torch.ones(1, N_STATE))
    _, _, states = batch_loss(network, pool, taken, 3, scales, torch.full((4, N_STATIC), 2.0))
    water, porosity = DEFAULT.state[0], [v.name for v in DEFAULT.static].index("clim_theta_sat")
    assert water.bounded_by == "clim_theta_sat"
    normalisation = measured.static[porosity].normalisation
    bound = tensors.static[torch.from_numpy(pool.columns[taken]), porosity] * normalisation.scale + normalisation.shift
    normalisation = measured.state[0].normalisation
    assert torch.allclose(states[:, 0] * normalisation.scale + normalisation.shift, bound, atol=1e-6)
    assert bound.max() < water.upper_bound


def test_pool_goes_on_where_runs_are(tensors):
    pool = _pool(tensors, np.array([2, 5, 6, 9]), 6, 1)
    first = pool.take(6, 4, 0.0)
    assert (pool.ages == 0).all(), "a run that never began begins from the truth"
    assert set(pool.columns) <= {2, 5, 6, 9}
    truth = tensors.state_at(torch.from_numpy(pool.columns), torch.from_numpy(pool.windows))
    assert torch.equal(pool.states, truth)
    pool.windows[:] = [0, 5, 10, 20, 30, 40]
    windows, columns = pool.windows.copy(), pool.columns.copy()
    pool.put(first, torch.full((6, N_STATE), 0.5), 4)
    pool.windows[0] = N_WINDOWS - 3
    second = pool.take(6, 4, 0.0)
    assert pool.ages[0] == 0
    assert pool.windows[0] + 4 <= N_WINDOWS
    others = second[second != 0]
    assert (pool.windows[others] == windows[others] + 4).all()
    assert (pool.ages[others] == 4).all()
    assert (pool.columns[others] == columns[others]).all()
    assert (pool.states[others] == 0.5).all()
    other = _pool(tensors, np.array([2, 5, 6, 9]), 6, 2)
    other.load_state_dict(pool.state_dict())
    assert np.array_equal(other.windows, pool.windows)
    assert torch.equal(other.states, pool.states)


@pytest.mark.parametrize(
    ("frequencies", "expected"), [(None, 0.9), (np.array([6, 2, 50]), 0.75)], ids=["alike", "one column more"]
)
def test_pool_draws_windows_as_often_as_it_should(frequencies, expected):
    """A column of 90 windows is drawn nine times as often as one of 10, that counting three times: 90 to 30."""
    lengths = torch.tensor([10, 90, 50])
    empty = torch.zeros(153, 1)
    tensors = Tensors(torch.zeros(3, 1), empty[:150], empty, empty[:150], lengths, torch.ones(3, 1, dtype=torch.bool))
    pool = _pool(tensors, np.array([0, 1]), 4000, 0, frequencies)
    pool.take(4000, 10, 1.0)
    assert set(pool.columns) == {0, 1}
    assert (pool.columns == 1).mean() == pytest.approx(expected, abs=0.02)
    assert (pool.windows[pool.columns == 0] == 0).all()
    assert (pool.windows[pool.columns == 1].min(), pool.windows[pool.columns == 1].max()) == (0, 80)


@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-4), ("float64", 1e-12)])
def test_exported_model_in_gt4py_is_the_torch_network(data, measured, precision, tolerance):
    """Five steps in physical units, previous forcing and logarithms included, against the rollout in PyTorch.

    The tolerance is in standard deviations of each variable; on top comes that each of the steps rounds the state. It
    is not smaller since soil thaws within 0.2 K, of which single precision of a temperature is 0.02 %.
    """
    sizes = {"width": 9, "depth": 2, "diagnostic_width": 6, "diagnostic_depth": 1}
    net = LayerNormNetwork(Network(**sizes), measured, seed=1)
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        net.prognostic[0].weight.copy_(0.8 * torch.randn(net.prognostic[0].weight.shape, generator=generator))
    net = net.double()
    net.lower, net.upper = (torch.as_tensor(bound) for bound in scaling.bounds(measured.state))
    net.bound_weight, net.bound_constant = (torch.as_tensor(part) for part in measured.bounds_by_static())
    model = to_model(net, measured, 21600.0, {})
    dtype = np.dtype(precision)
    block = next(data.blocks())
    forcing = block.forcing[:, :5].transpose(1, 0, 2).astype(dtype)
    assembler = ForcingAssembler(model.forcing)
    assert len(assembler.previous) == 7
    forcing[..., assembler.previous] = np.nan
    assembler.fill_previous(forcing)
    emulator = Emulator(model, N_COLUMNS, "embedded", precision)
    state, static = block.state[:, 0].astype(dtype), block.static.astype(dtype)
    states, diagnostics = [], []
    for step in range(5):
        state, diagnosed = emulator.step(static, forcing[step], state)
        states.append(state.copy())
        diagnostics.append(diagnosed.copy())

    def normalised(values, variables):
        parts = [v.normalisation.apply(values[..., k].astype(float)) for k, v in enumerate(variables)]
        return torch.from_numpy(np.stack(parts, axis=-1))

    tensors = Tensors(
        normalised(block.static, model.static),
        normalised(block.forcing.reshape(-1, block.forcing.shape[-1]), model.forcing),
        normalised(block.state.reshape(-1, N_STATE), model.state),
        normalised(block.diagnostics.reshape(-1, N_DIAGNOSTICS), model.diagnostics),
        torch.full((N_COLUMNS,), N_WINDOWS),
        torch.from_numpy(data.state_known),
    )
    expected, expected_diagnostics = free_run(
        net, tensors, torch.arange(N_COLUMNS), torch.zeros(N_COLUMNS, dtype=torch.int64), 5
    )
    found = normalised(np.stack(states), model.state)
    at_bound = (found <= net.lower + 1e-9) | (found >= net.physics(tensors.static).upper - 1e-9)
    assert at_bound.any()
    assert not at_bound.all()
    rounding = 5 * np.finfo(dtype).eps * np.abs(np.stack(states)) / scaling.scale(model.state)
    assert (np.abs(found.numpy() - expected.numpy()) <= tolerance + rounding).all()
    found = normalised(np.stack(diagnostics), model.diagnostics)
    expected_diagnostics = expected_diagnostics.numpy()
    for step in range(5):
        inputs = _inputs(model, tensors.static.numpy(), normalised(forcing[step], model.forcing).numpy())
        expected_diagnostics[step] = reference.clip(expected_diagnostics[step], model.diagnostics, inputs)
    error = np.abs(found.numpy() - expected_diagnostics)
    assert error.max() <= tolerance


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
    snow = back.state[SNOW_COVER]
    assert (snow.lower_bound, snow.upper_bound, snow.units, snow.time_meaning) == (0.0, 1.0, "1", "window start")


def test_network_on_another_device_is_asked_for_in_vain(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match="'run.device' is 'cuda', but PyTorch finds no CUDA device"):
        loop.torch_device("cuda")
    assert loop.torch_device("cpu").type == "cpu"
