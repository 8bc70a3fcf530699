"""How long a step of the model that ships takes; `make bench`. Each also runs once as a test."""

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import ailand_gt4py


@pytest.mark.parametrize("n_columns", [1, 100, 10_000])
def test_step(benchmark: BenchmarkFixture, n_columns: int) -> None:
    model = ailand_gt4py.read_model()
    emulator = ailand_gt4py.Emulator(model, n_columns, "dace_cpu", "float32")
    random = np.random.default_rng(0)
    inputs = []
    for group in (model.static, model.forcing, model.state):
        low = np.array([variable.training_minimum for variable in group])
        high = np.array([variable.training_maximum for variable in group])
        inputs.append((low + (high - low) * random.random((n_columns, len(group)))).astype(np.float32))
    out = (emulator.allocate(len(model.state)), emulator.allocate(len(model.diagnostics)))
    emulator.compile()
    new_state, diagnostics = benchmark(emulator.step, *inputs, out=out)
    assert np.isfinite(new_state).all()
    assert np.isfinite(diagnostics).all()
    for j, variable in enumerate(model.state):
        assert variable.lower_bound <= new_state[:, j].min()
        assert new_state[:, j].max() <= variable.upper_bound
