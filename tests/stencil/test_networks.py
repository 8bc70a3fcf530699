"""The forward pass against references: published networks, random networks, PyTorch."""

import functools
import pathlib

import numpy as np
import pytest
from network_reference import forward
from random_models import ARCHITECTURES, random_model

from ailand_gt4py.emulator.emulator import Emulator
from ailand_gt4py.weights.checkpoints import import_checkpoint
from ailand_gt4py.weights.model import Model

PUBLISHED = ("ailand_v1_simple_172", "ailand_v1_two_branch_128", "ailand_v2_layernorm_256x4_random")

#: Bars of relative norms to the float64 reference.
ONE_STEP = {"float32": 5e-6, "float64": 1e-12}


def relative_norm(found: np.ndarray, expected: np.ndarray) -> float:
    expected = expected.astype(np.float64)
    return float(np.linalg.norm(found.astype(np.float64) - expected) / np.linalg.norm(expected))


def published_model(shared: pathlib.Path, name: str) -> Model:
    return import_checkpoint(shared / "checkpoints" / f"{name}.ckpt")


@functools.cache
def compiled(model_key: tuple, n_columns: int, precision: str) -> Emulator:
    """One emulator for each model of `random_model`, size and precision: compiled programs are shared by the tests."""
    architecture, sizes, seed, width, depth = model_key
    model = random_model(architecture, sizes, seed=seed, width=width, depth=depth)
    return Emulator(model, n_columns, "dace_cpu", precision)


def physical_reference(model: Model, static: np.ndarray, forcing: np.ndarray, state: np.ndarray) -> tuple:
    """`network_reference.forward` on inputs in model units, results in model units; float64."""

    def scaled(values: np.ndarray, variables: tuple, back: bool = False) -> np.ndarray:
        shift = np.array([v.normalisation.shift for v in variables])
        scale = np.array([v.normalisation.scale for v in variables])
        values = values.astype(np.float64)
        return values * scale + shift if back else (values - shift) / scale

    step = forward(model, scaled(static, model.static), scaled(forcing, model.forcing), scaled(state, model.state))
    return scaled(step.state, model.state, back=True), scaled(step.diagnostics, model.diagnostics, back=True)


def random_inputs(model: Model, n_columns: int, precision: str, seed: int = 0) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    return [random.normal(size=(n_columns, size)).astype(precision) for size in model.sizes[:3]]


def check(emulator: Emulator, results: tuple, inputs: list[np.ndarray]) -> None:
    """Results of a step are the reference's."""
    for found, expected in zip(results, physical_reference(emulator.model, *inputs), strict=True):
        assert relative_norm(found, expected) <= ONE_STEP[emulator.precision]


def check_step(emulator: Emulator) -> None:
    """`check` on random inputs."""
    inputs = random_inputs(emulator.model, emulator.n_columns, emulator.precision)
    check(emulator, emulator.step(*inputs), inputs)


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("backend", ["embedded", "dace_cpu"])
@pytest.mark.parametrize("name", PUBLISHED)
def test_published_network_one_step(shared: pathlib.Path, name: str, backend: str, precision: str) -> None:
    model = published_model(shared, name)
    reference = np.load(shared / "reference" / f"{name}.npz")
    static, forcing, state = (reference[key].astype(precision) for key in ("static", "forcing", "state0"))
    new_state, diagnostics = Emulator(model, len(state), backend, precision).step(static, forcing[0], state)
    expected = reference["forward_prognostic_f64"]
    if model.architecture != "layer_norm":  # the references of the prototypes hold the increment
        expected = expected + reference["state0"].astype(np.float64)
    assert relative_norm(new_state, expected) <= ONE_STEP[precision]
    assert relative_norm(diagnostics, reference["forward_diagnostic_f64"]) <= ONE_STEP[precision]


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_network_rollout(shared: pathlib.Path, name: str) -> None:
    model = published_model(shared, name)
    reference = np.load(shared / "reference" / f"{name}.npz")
    emulator = Emulator(model, len(reference["state0"]), "dace_cpu", "float32")
    state = reference["state0"]
    for step in range(39):
        expected = reference["rollout_state"][step]
        if step <= 24:
            assert relative_norm(state, expected) <= 1e-4, f"state of step {step}"
        else:  # random inputs drive the prototypes out of their range, where differences grow; see the README there
            assert relative_norm(state, expected) <= 1e-3, f"state of step {step}"
        state, diagnostics = emulator.step(reference["static"], reference["forcing"][step], state)
        if step < 24:
            assert relative_norm(diagnostics, reference["rollout_diagnostic"][step]) <= 1e-4, f"step {step}"


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("depth", [1, 2, 5])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_any_width_and_depth_embedded(architecture: str, depth: int, precision: str) -> None:
    model = random_model(architecture, (5, 4, 3, 2), seed=depth, width=11, depth=depth)
    check_step(Emulator(model, 9, "embedded", precision))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("architecture", "precision"), [("simple", "float32"), ("two_branch", "float64"), ("layer_norm", "float32")]
)
def test_random_network_compiled_agrees_with_reference_and_embedded(architecture: str, precision: str) -> None:
    key = (architecture, (5, 4, 3, 2), 7, 24, 2)
    for n_columns in (1, 7, 64, 1000):
        emulator = compiled(key, n_columns, precision)
        inputs = random_inputs(emulator.model, n_columns, precision)
        results = emulator.step(*inputs)
        embedded = Emulator(emulator.model, n_columns, "embedded", precision).step(*inputs)
        for found, expected, other in zip(results, physical_reference(emulator.model, *inputs), embedded, strict=True):
            assert relative_norm(found, expected) <= ONE_STEP[precision]
            assert relative_norm(found, other) <= ONE_STEP[precision]


@pytest.mark.study
def test_ailand_v1_depth_compiled() -> None:
    """aiLand v1's six layers; its width of 512 differs only in the size of the matrices."""
    check_step(compiled(("layer_norm", (19, 18, 7, 5), 3, 64, 6), 33, "float32"))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_against_pytorch(architecture: str) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed; it serves as a second reference here")
    from torch.nn import functional

    model = random_model(architecture, (5, 4, 3, 2), seed=11, width=20, depth=3)
    parameters = {name: torch.from_numpy(np.asarray(a, np.float64)) for name, a in model.parameters.items()}

    def dense(name: str, x: "torch.Tensor") -> "torch.Tensor":
        return functional.linear(x, parameters[f"{name}.weight"], parameters[f"{name}.bias"])

    def chain(block: str, x: "torch.Tensor", first: str, others: str, linear_end: bool) -> "torch.Tensor":
        depth = sum(1 for name in parameters if name.startswith(f"{block}.") and name.endswith("weight"))
        for k in range(depth):
            name = f"{block}.{k}"
            x = dense(name, x)
            if linear_end and k == depth - 1:
                return x
            if f"{name}.gain" in parameters:
                gain, offset = parameters[f"{name}.gain"], parameters[f"{name}.offset"]
                x = torch.relu(functional.layer_norm(x, x.shape[-1:], gain, offset))
            else:
                x = torch.relu(x) if (first if k == 0 else others) == "relu" else functional.leaky_relu(x)
        return x

    inputs = random_inputs(model, 13, "float64")
    groups = (model.static, model.forcing, model.state, model.diagnostics)
    shifts = [torch.tensor([v.normalisation.shift for v in group], dtype=torch.float64) for group in groups]
    scales = [torch.tensor([v.normalisation.scale for v in group], dtype=torch.float64) for group in groups]
    static, forcing, state = (
        (torch.from_numpy(x) - shift) / scale for x, shift, scale in zip(inputs, shifts, scales, strict=False)
    )
    everything = torch.cat([static, forcing, state], dim=1)
    if architecture == "simple":
        hidden = chain("trunk", everything, "relu", "leaky", False)
        new_state, diagnostics = state + dense("prognostic.0", hidden), dense("diagnostic.0", hidden)
    elif architecture == "two_branch":
        branches = [torch.relu(dense("static.0", static))]
        branches.append(torch.relu(dense("dynamic.0", torch.cat([forcing, state], dim=1))))
        hidden = functional.leaky_relu(dense("combine.0", torch.cat(branches, dim=1)))
        new_state = state + chain("prognostic", hidden, "leaky", "leaky", True)
        diagnostics = chain("diagnostic", hidden, "leaky", "leaky", True)
    else:
        new_state = state + dense("prognostic.0", chain("trunk", everything, "relu", "relu", False))
        diagnostics = chain("diagnostic", torch.cat([static, forcing, new_state], dim=1), "relu", "relu", True)
    results = Emulator(model, 13, "embedded", "float64").step(*inputs)
    for found, raw, group, shift, scale in zip(
        results, (new_state, diagnostics), groups[2:], shifts[2:], scales[2:], strict=True
    ):
        lower = torch.tensor([v.lower_bound for v in group], dtype=torch.float64)
        upper = torch.tensor([v.upper_bound for v in group], dtype=torch.float64)
        expected = torch.minimum(torch.maximum(raw * scale + shift, lower), upper)
        assert relative_norm(found, expected.numpy()) <= 1e-12
