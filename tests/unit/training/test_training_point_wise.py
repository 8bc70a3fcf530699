"""Training of point-wise networks: the same numbers in PyTorch, NumPy and GT4Py, and the whole way to a model file."""

from __future__ import annotations

import copy
import dataclasses
import functools

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs PyTorch")
# The networks are tiny: more threads only wait for each other.
torch.set_num_threads(1)

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from point_wise_models import ACTIVATIONS, reference_step  # noqa: E402
from training_files import write_columns  # noqa: E402

from ailand_gt4py.core.errors import InputError  # noqa: E402
from ailand_gt4py.core.settings import read_settings  # noqa: E402
from ailand_gt4py.emulator.emulator import Emulator  # noqa: E402
from ailand_gt4py.training import loop, scaling, session  # noqa: E402
from ailand_gt4py.training.configuration import Configuration, Network  # noqa: E402
from ailand_gt4py.training.dataset import read_windows  # noqa: E402
from ailand_gt4py.training.models import load_weights, to_model  # noqa: E402
from ailand_gt4py.training.point_wise import PointWiseNetwork  # noqa: E402
from ailand_gt4py.training.rollout import free_run  # noqa: E402
from ailand_gt4py.training.tensors import TrainingData, normalised_tensors  # noqa: E402
from ailand_gt4py.weights.checkpoints.anemoi import converted  # noqa: E402
from ailand_gt4py.weights.checkpoints.anemoi.as_anemoi import as_anemoi  # noqa: E402
from ailand_gt4py.weights.model_file import read_model, write_model  # noqa: E402
from ailand_gt4py.weights.processing import Bounding, Step  # noqa: E402

N_COLUMNS = 12
VARIABLES = {
    "static": ["clim_cvh", "clim_theta_sat"],
    "forcing": ["met_tair", "met_qair", "met_rainf", "cos_julian_day", "insolation"],
    "state": ["swvl1", "stl1", "snowc"],
    "diagnostics": ["t2m", "sshf"],
}
NETWORK = {"architecture": "point_wise", "channels": 6, "layers": 2, "ratio": 2.0}
OPTIONS = {
    "data": {"train": ["a.nc"], "validation_fraction": 0.2},
    "variables": VARIABLES,
    "network": NETWORK | {"input_steps": 2, "dropout": 0.1},
    "stages": [
        {"iterations": 4, "steps": 1, "batch": 16},
        {"iterations": 8, "steps": 3, "batch": 8, "restart_probability": 0.3},
    ],
    "optimiser": {"learning_rate": 0.01, "warmup_iterations": 3},
    "validation": {"interval": 6, "starts": 3, "leads_days": [1, 4]},
    "run": {"seed": 5, "checkpoint_interval": 5},
}


@functools.cache
def configured(input_steps: int, **options) -> Configuration:
    return read_settings(Configuration, OPTIONS | {"network": NETWORK | {"input_steps": input_steps} | options})


@pytest.fixture(scope="module")
def prepared(path):
    """By number of input times: statistics, data in model units, and normalised tensors."""
    found = {}
    for input_steps in (1, 2, 3):
        variables = configured(input_steps).variable_set
        data = read_windows([path], variables)
        measured = scaling.measure(data, variables).same_at_all_times()
        found[input_steps] = measured, data, normalised_tensors(copy.deepcopy(data), measured, input_steps)
    return found


def randomised(options: Network, measured: scaling.Scaling, seed: int = 3) -> PointWiseNetwork:
    """In double precision, with random weights in every layer (the real start is persistence)."""
    network = PointWiseNetwork(options, measured, seed).double()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            spread = parameter.shape[-1] ** -0.5 if parameter.ndim == 2 else 0.3
            parameter.add_(spread * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
        network.decoder[0].bias[: network.n_state] += torch.tensor([2.0, -2.0, 20.0])
    network.lower, network.upper = (torch.as_tensor(bound) for bound in scaling.bounds(measured.state))
    return network.eval()


def first_inputs(data, measured, model):
    """Of the first windows of all columns: static, forcing (2, n, n_forcing) and state in model units."""
    block = next(data.blocks())
    state = np.concatenate([block.state[:, 0]] * (len(model.state) // len(measured.state)), axis=1)
    return block.static.astype(float), block.forcing[:, :2].transpose(1, 0, 2).astype(float), state.astype(float)


def in_network_space(values: np.ndarray, variables) -> np.ndarray:
    return np.stack([one.normalisation.apply(values[..., k]) for k, one in enumerate(variables)], axis=-1)


@settings(max_examples=25, deadline=None)
@given(
    activation=st.sampled_from(sorted(ACTIVATIONS)),
    input_steps=st.integers(1, 3),
    latent_skip=st.booleans(),
    ratio=st.sampled_from([1.0, 1.5, 8.0]),
    layers=st.integers(1, 3),
    seed=st.integers(0, 99),
)
def test_any_network_is_the_reference(prepared, activation, input_steps, latent_skip, ratio, layers, seed):
    measured, data, _ = prepared[input_steps]
    options = configured(
        input_steps, activation=activation, activation_parameters=ACTIVATIONS[activation][0], ratio=ratio,
        latent_skip=latent_skip, layers=layers, epsilon=1e-3,
    ).network  # fmt: skip
    network = randomised(options, measured, seed)
    model = to_model(network, measured, 21600.0, {})
    static, forcing, state = first_inputs(data, measured, model)
    expected, expected_diagnostics = reference_step(model, static, forcing[0], state)
    limits = (np.array([getattr(one, side) for one in model.state]) for side in ("lower_bound", "upper_bound"))
    expected = in_network_space(np.clip(expected, *limits), model.state)
    inputs = zip((static, forcing[0], state), (model.static, model.forcing, model.state), strict=True)
    with torch.no_grad():
        found, diagnostics = network(*(torch.from_numpy(in_network_space(*pair)) for pair in inputs))
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-10, atol=1e-10)
    expected_diagnostics = in_network_space(expected_diagnostics, model.diagnostics)
    np.testing.assert_allclose(diagnostics.numpy(), expected_diagnostics, rtol=1e-10, atol=1e-10)
    moved = np.abs(found.numpy()[:, : network.n_state] - in_network_space(state, model.state)[:, : network.n_state])
    assert moved.max() > 1e-3


def test_an_untrained_network_is_persistence(prepared):
    measured, _, tensors = prepared[2]
    network = PointWiseNetwork(configured(2).network, measured, 1)
    columns, windows = torch.arange(N_COLUMNS), torch.full((N_COLUMNS,), 4)
    states, _ = free_run(network, tensors, columns, windows, 3)
    assert torch.allclose(states, tensors.state_at(columns, windows).expand(3, -1, -1), atol=1e-6)


def test_a_rollout_is_repeated_steps_and_passes_bounds_backwards(prepared):
    measured, _, tensors = prepared[3]
    network = randomised(configured(3).network, measured)
    columns, windows = torch.arange(N_COLUMNS), torch.full((N_COLUMNS,), 5)
    static, state = tensors.static.double(), tensors.start_at(columns, windows).double()
    forcing = tensors.forcing_at(columns, windows + torch.arange(4)[:, None]).double()
    bounded, diagnostics, reached = network.run(static, forcing, state, network.physics(static))
    after = state
    for step in range(4):
        after, diagnosed = network(static, forcing[step], after)
        assert torch.allclose(bounded[step], after[:, : network.n_state], atol=1e-12)
        assert torch.allclose(diagnostics[step], diagnosed, atol=1e-12)
    assert torch.equal(reached, after.detach())
    assert torch.equal(reached[:, network.n_state : 2 * network.n_state], bounded[2].detach())
    is_bound = (bounded <= network.lower) | (bounded >= network.upper)
    assert is_bound.any()
    assert not is_bound.all()
    first, _, _ = network.run(static, forcing[:1], state, network.physics(static))
    gradient = torch.autograd.grad(first.sum(), network.decoder[0].bias)[0][: network.n_state]
    assert torch.allclose(gradient, N_COLUMNS * network.increment_scale)
    assert not reached.requires_grad


def test_where_runs_begin_earlier_states_are_those_of_the_data(prepared):
    _, _, tensors = prepared[3]
    columns, windows = torch.tensor([2, 7, 7]), torch.tensor([0, 1, 9])
    found = tensors.start_at(columns, windows).split(3, dim=-1)
    for k, expected in enumerate(([0, 1, 9], [0, 0, 8], [0, 0, 7])):
        assert torch.equal(found[k], tensors.state_at(columns, torch.tensor(expected)))


def test_variables_of_all_times_share_a_normalisation(prepared):
    measured, data, _ = prepared[3]
    known = {one.name: one for one in measured.forcing}
    assert [one for one in known if one.startswith("met_tair")] == ["met_tair", "met_tair_before", "met_tair_before2"]
    assert known["met_qair_before2"].normalisation == known["met_qair"].normalisation
    assert known["met_qair_before2"].previous_of == "met_qair_before"
    position = list(known).index("met_tair_before2")
    forcing = next(data.blocks()).forcing
    assert np.array_equal(forcing[:, 2:, position], forcing[:, :-2, list(known).index("met_tair")])


@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 2e-5), ("float64", 1e-11)])
def test_the_model_in_gt4py_is_the_network(prepared, precision, tolerance):
    """Three steps of the free run in physical units; errors in standard deviations of each variable."""
    measured, data, _ = prepared[2]
    network = randomised(configured(2).network, measured)
    model = to_model(network, measured, 21600.0, {})
    dtype = np.dtype(precision)
    block = next(data.blocks())
    static, forcing, state = (values.astype(dtype) for values in first_inputs(data, measured, model))
    emulator = Emulator(model, N_COLUMNS, "embedded", precision)
    exact = torch.from_numpy(in_network_space(state.astype(float), model.state))
    of_static = torch.from_numpy(in_network_space(block.static.astype(float), model.static))
    for step in range(2):
        state, diagnostics = emulator.step(static, forcing[step], state)
        of_forcing = torch.from_numpy(in_network_space(forcing[step].astype(float), model.forcing))
        with torch.no_grad():
            exact, of_diagnostics = network(of_static, of_forcing, exact)
        pairs = ((state, exact, model.state), (diagnostics, of_diagnostics, model.diagnostics))
        for found, expected, variables in pairs:
            error = np.abs(in_network_space(found.astype(float), variables) - expected.numpy())
            assert error.max() <= tolerance


def test_derivatives_in_gt4py_are_those_of_pytorch(prepared):
    measured, data, _ = prepared[2]
    network = randomised(configured(2).network, measured)
    model = to_model(network, measured, 21600.0, {})
    static, forcing, state = first_inputs(data, measured, model)
    groups = (model.static, model.forcing, model.state)
    found = Emulator(model, N_COLUMNS, "embedded", "float64").jacobian(static, forcing[0], state)
    point = [
        torch.from_numpy(in_network_space(*pair)) for pair in zip((static, forcing[0], state), groups, strict=True)
    ]

    def step(*parts):
        return torch.cat([one.sum(dim=0) for one in network(*parts)])

    rows = torch.autograd.functional.jacobian(step, tuple(point))
    by_network = torch.cat([one.transpose(0, 1) for one in rows], dim=-1).numpy()
    scales = [scaling.scale(group) for group in (*groups, model.diagnostics)]
    is_logarithmic = [one.normalisation.is_logarithmic for one in (*model.static, *model.forcing, *model.state)]
    assert any(is_logarithmic)
    slope = np.ones((N_COLUMNS, len(is_logarithmic)))
    slope[:, is_logarithmic] = 1.0 / np.concatenate([static, forcing[0], state], axis=1)[:, is_logarithmic]
    slope /= np.concatenate(scales[:3])
    expected = np.concatenate(scales[2:])[:, None] * by_network * slope[:, None, :]
    unit = np.concatenate(scales[2:])[:, None] / np.concatenate(scales[:3])
    np.testing.assert_allclose(found / unit, expected / unit, rtol=1e-9, atol=1e-10)


def trained(directory, path, begin="", resume=False, **options):
    content = OPTIONS | options
    content["run"] = OPTIONS["run"] | {"start_from": str(begin), "directory": str(directory / "run")}
    said = []
    configuration = read_settings(Configuration, content)
    return session.train(configuration, [path], directory / "model.nc", resume, "ailand train", said.append)


@pytest.fixture(scope="module")
def first(path, tmp_path_factory):
    directory = tmp_path_factory.mktemp("first")
    return trained(directory, path), directory / "model.nc"


def test_what_training_writes_is_an_ordinary_model(first, path):
    model, file = first
    back = read_model(file)
    assert back.point_wise == model.point_wise
    names = {group: [one.name for one in getattr(back, group)] for group in ("static", "forcing", "state")}
    assert names["state"] == ["swvl1", "stl1", "snowc", "swvl1_before", "stl1_before", "snowc_before"]
    assert names["static"][2:] == [f"node_{of}_{angle}" for of in ("sin", "cos") for angle in ("latitude", "longitude")]
    assert names["forcing"][-2:] == ["cos_julian_day_before", "insolation_before"]
    by_name = {one.name: one.normalisation for one in back.forcing}
    assert by_name["met_rainf_before"] == by_name["met_rainf"]
    assert (back.n_prognostic, back.architecture, back.nodes, back.boundings) == (3, "point_wise", None, ())
    assert {one.normalisation.method for one in back.static[2:]} == {"none"}
    with read_windows_source(path, back) as source:
        radians = np.deg2rad(source.longitude)
        np.testing.assert_allclose(source.static[:, names["static"].index("node_sin_longitude")], np.sin(radians))
        assert source.initial_state.shape == (N_COLUMNS, 6)


def read_windows_source(path, model):
    from ailand_gt4py.io.sources import open_source

    return open_source(path, model)


def test_resumed_training_is_the_uninterrupted_one_to_the_bit(first, path, tmp_path, monkeypatch):
    """What is dropped is the same, too."""
    step = loop.Trainer.step
    monkeypatch.setattr(loop.Trainer, "step", lambda self: step(self) if self.iteration < 7 else pytest.fail("killed"))
    with pytest.raises(pytest.fail.Exception, match="killed"):
        trained(tmp_path, path)
    monkeypatch.undo()
    torch.rand(5)
    resumed = trained(tmp_path, path, resume=True)
    assert all(np.array_equal(resumed.parameters[name], array) for name, array in first[0].parameters.items())
    without = trained(tmp_path / "without", path, network=OPTIONS["network"] | {"dropout": 0.0})
    assert not np.array_equal(without.parameters["encoder.0.weight"], first[0].parameters["encoder.0.weight"])


def test_what_is_validated_drops_nothing(prepared, tmp_path):
    measured, data, tensors = prepared[2]
    options = read_settings(Configuration, OPTIONS | {"run": {"directory": str(tmp_path)}})
    scales = scaling.error_scales(scaling.measured_variability(data, measured), measured.state, 2.0)
    trainer = loop.Trainer(options, TrainingData(tensors, np.arange(N_COLUMNS), measured, scales), None, print)
    trainer.step()
    where = torch.arange(N_COLUMNS), torch.zeros(N_COLUMNS, dtype=torch.int64)
    for network, is_random in ((trainer.average, False), (trainer.best, False), (trainer.network, True)):
        first, second = (free_run(network, tensors, *where, 2)[1] for _ in range(2))
        assert torch.equal(first, second) is not is_random


def test_weights_there_and_back(first, prepared, path, tmp_path):
    model, file = first
    measured = prepared[2][0]
    network = PointWiseNetwork(configured(2).network, measured, 1)
    load_weights(network, model)
    back = to_model(network, measured, model.step_seconds, {}).parameters
    for name, array in model.parameters.items():
        np.testing.assert_allclose(back[name], array, rtol=1e-6, atol=1e-9)
    still = {"learning_rate": 1e-9, "warmup_iterations": 1, "weight_decay": 0.0}
    found = trained(tmp_path, write_columns(tmp_path / "a.nc", seed=7), file, optimiser=still)
    for name, array in model.parameters.items():
        np.testing.assert_allclose(found.parameters[name], array, rtol=1e-4, atol=1e-6)
    assert [one.normalisation for one in found.state] == [one.normalisation for one in model.state]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, None),
        ({"channels": 5}, "'network.channels' is 5, but taken is that of the model: "),
        ({"activation": "silu"}, "'network.activation' is silu, but taken is that of the model: gelu"),
        ({"input_steps": 1}, "'network.input_steps' is 1, but taken is that of the model: 2"),
    ],
)
def test_the_network_is_that_of_the_model(first, path, tmp_path, capsys, changed, said):
    model, file = first
    options = OPTIONS["network"] | changed if changed else {"architecture": "point_wise"}
    sentences = []
    content = OPTIONS | {"network": options, "run": {"start_from": str(file), "directory": str(tmp_path / "run")}}
    configuration = read_settings(Configuration, content)
    found = session.train(configuration, [path], tmp_path / "model.nc", False, "ailand train", sentences.append)
    assert found.point_wise == model.point_wise
    assert [one.name for one in found.variables] == [one.name for one in model.variables]
    assert any(said in line for line in sentences) if said else not any("but taken" in line for line in sentences)


def imported(model):
    """As `import_checkpoint` gives it of a checkpoint of anemoi with the same network."""
    return converted(as_anemoi(model, np.zeros(3), np.zeros(3)))


def test_training_goes_on_from_an_imported_model(first, prepared, path, tmp_path):
    """With a vanishing learning rate it stays the same network, whose normalisers are those of the import."""
    model, _ = first
    other = imported(model)
    assert any(one.processing for one in other.state)
    assert other.boundings
    write_model(other, tmp_path / "imported.nc")
    still = {"learning_rate": 1e-9, "warmup_iterations": 1, "weight_decay": 0.0}
    found = trained(tmp_path, path, tmp_path / "imported.nc", optimiser=still, augmentation={"static_noise": 0.0})
    assert found.state[0].lower_bound == model.state[0].lower_bound
    static, forcing, state = first_inputs(prepared[2][1], prepared[2][0], model)
    results = zip(
        reference_step(found, static, forcing[0], state), reference_step(model, static, forcing[0], state), strict=True
    )
    for (values, expected), group in zip(results, (model.state, model.diagnostics), strict=True):
        np.testing.assert_allclose(in_network_space(values, group), in_network_space(expected, group), atol=2e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda one: {
                "forcing": (dataclasses.replace(one.forcing[0], processing=(Step("log1p"),)), *one.forcing[1:])
            },
            "the model's 'met_tair' is processed by log1p, expected a normaliser alone",
        ),
        (
            lambda one: {"boundings": (Bounding("clip", ("stl1",), (0.0,), (1.0,), 0.01),)},
            "the model has a bounding 'clip' of 'stl1' with the slope 0.01, expected 'clip' with the slope 0",
        ),
        (
            lambda one: {"state": (dataclasses.replace(one.state[0], units="%"), *one.state[1:])},
            "the model has 'swvl1' in '%', expected 'm3 m-3', the unit of the configuration",
        ),
    ],
)
def test_imported_models_that_cannot_be_trained_on(first, path, tmp_path, change, message):
    other = imported(first[0])
    write_model(dataclasses.replace(other, **change(other)), tmp_path / "imported.nc")
    with pytest.raises(InputError, match=f"option 'run.start_from': {message}"):
        trained(tmp_path, path, tmp_path / "imported.nc")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"network": NETWORK | {"ratio": 9}}, "option 'network.ratio': found 9, expected at most 8"),
        ({"network": NETWORK | {"input_steps": 0}}, "option 'network.input_steps': found 0, expected at least 1"),
        ({"network": NETWORK | {"dropout": 1}}, "option 'network.dropout': found 1, expected less than 1"),
        ({"network": NETWORK | {"width": 64}}, "option 'network.width': found 64, expected nothing: the architecture"),
        ({"network": {"channels": 64}}, "option 'network.channels': found 64, expected nothing: .*'layer_norm'"),
        ({"network": NETWORK | {"activation": "relish"}}, "'network.activation': activation 'relish' is unknown"),
        ({"network": NETWORK | {"activation": "sine"}}, r"'network.activation': .*'sine' has the parameters \(\)"),
        (
            {"variables": {"soil_heat": True}, "network": NETWORK},
            "variables.soil_heat: found true, expected false for a network 'point_wise'",
        ),
        (
            {"augmentation": {"static_noise_of": {"node_sin_latitude": 0.1}}},
            "'augmentation.static_noise_of.node_sin_latitude': no such static input",
        ),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(InputError, match=message):
        read_settings(Configuration, {"data": {"train": ["a.nc"]}, "stages": OPTIONS["stages"]} | options)
