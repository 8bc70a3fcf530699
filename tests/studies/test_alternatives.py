"""The comparison of methods: the protocol's scores, and that each stepper is what was trained, in model units."""

import json
import math

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed; the studies need it")
pytest.importorskip("xgboost", reason="XGBoost is not installed; the studies need it (extra 'studies')")

from studies.alternatives import protocol, recurrent, trees  # noqa: E402
from studies.alternatives.__main__ import FewerStates, table  # noqa: E402
from training_files import write_columns  # noqa: E402

from ailand_gt4py.evaluation.columns import VerificationColumns  # noqa: E402
from ailand_gt4py.evaluation.report.attachments import Alternatives, read  # noqa: E402
from ailand_gt4py.evaluation.runs import start_labels  # noqa: E402
from ailand_gt4py.training.models import to_model  # noqa: E402
from ailand_gt4py.training.network import LayerNormNetwork  # noqa: E402
from ailand_gt4py.weights.model import Model  # noqa: E402
from ailand_gt4py.weights.variables import DEFAULT  # noqa: E402

N_COLUMNS, N_TIMES = 6, 400


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> protocol.TrainingData:
    path = write_columns(tmp_path_factory.mktemp("data") / "a.nc", N_COLUMNS, N_TIMES)
    return protocol.training_data([path], DEFAULT, 0.2, seed=1)


@pytest.fixture(scope="module")
def model(data) -> Model:
    from ailand_gt4py.core.settings import read_settings
    from ailand_gt4py.training.configuration import Configuration

    options = {
        "data": {"train": ["a.nc"]},
        "stages": [{"iterations": 1, "steps": 1, "batch": 1}],
        "network": {"width": 6, "depth": 1, "diagnostic_width": 6, "diagnostic_depth": 1},
    }
    network = LayerNormNetwork(read_settings(Configuration, options).network, data.scaling, seed=1)
    return to_model(network, data.scaling, 21600.0, {})


@pytest.fixture(scope="module")
def columns(model) -> VerificationColumns:
    """Random numbers about the mean of each variable: what a score must tell, not what a model could learn."""
    rng = np.random.default_rng(2)

    def values(group: str, *shape: int) -> np.ndarray:
        variables = getattr(model, group)
        mean, scale = (np.array([getattr(v.normalisation, n) for v in variables]) for n in ("shift", "scale"))
        logarithmic = np.array([v.normalisation.is_logarithmic for v in variables])
        drawn = mean + 0.3 * scale * rng.normal(size=(*shape, len(variables)))
        return np.where(logarithmic, np.exp(np.where(logarithmic, drawn, 0.0)), drawn).astype(np.float32)

    times = np.datetime64("2021-01-01", "ns") + np.arange(N_TIMES) * np.timedelta64(6, "h")
    shape = (N_TIMES, N_COLUMNS)
    return VerificationColumns(
        times,
        values("static", N_COLUMNS),
        values("forcing", *shape),
        values("state", *shape),
        values("diagnostics", *shape),
    )


class Oracle:
    """Knows the truth and errs by one unit, in the first free run by two; finds its position by the forcing."""

    def __init__(self, columns: VerificationColumns, offset: float) -> None:
        self._columns, self._offset = columns, offset
        self._labels = {columns.forcing[k].tobytes(): k for k in range(columns.n_times)}

    def begin(self, static: np.ndarray, state: np.ndarray) -> None:
        assert len(static) == len(state)

    def step(self, forcing: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        labels = [self._labels[block.tobytes()] for block in np.split(forcing, len(forcing) // N_COLUMNS)]
        state = np.concatenate([self._columns.state[label + 1] for label in labels])
        # The first three diagnostics are of the window's end, the others of the window.
        end = np.concatenate([self._columns.diagnostics[label + 1] for label in labels])
        mean = np.concatenate([self._columns.diagnostics[label] for label in labels])
        diagnostics = np.where(np.arange(end.shape[1]) < 3, end, mean)
        return state + self._offset, diagnostics - self._offset


def test_who_knows_the_truth_makes_no_error_and_who_errs_by_one_an_error_of_one(model, columns) -> None:
    for offset in (0.0, 1.0):
        found = protocol.score(Oracle(columns, offset), model, columns)
        assert found["finite"]
        assert found["microseconds"] > 0.0
        for what in ("1 day", "90 days", "free run"):
            assert set(found[what]) == {variable.name for variable in model.state + model.diagnostics}
            assert all(abs(error - offset) < 2e-5 for error in found[what].values()), what


def test_who_gives_no_number_is_found_out(model, columns) -> None:
    assert not protocol.score(Oracle(columns, math.nan), model, columns)["finite"]


def test_starts_leave_room_for_the_longest_lead() -> None:
    starts = start_labels(N_TIMES, 90 * protocol.STEPS_PER_DAY, protocol.STARTS)
    assert starts.max() + 90 * protocol.STEPS_PER_DAY <= N_TIMES - 1


def physical(values: torch.Tensor, variables: tuple) -> np.ndarray:
    """Normalised values in model units."""
    parts = [
        values[:, k].double().numpy() * v.normalisation.scale + v.normalisation.shift for k, v in enumerate(variables)
    ]
    taken = [np.exp(part) if v.normalisation.is_logarithmic else part for part, v in zip(parts, variables, strict=True)]
    return np.stack(taken, axis=1)


def test_recurrent_network_learns_and_steps_in_model_units(data, tmp_path, monkeypatch) -> None:
    for name, value in (("CURRICULUM", ((60, 1, 32), (40, 3, 16))), ("LEARNING_RATE", 0.02), ("WARM_UP", 5)):
        monkeypatch.setattr(recurrent, name, value)
    said: list[str] = []
    network, minutes = recurrent.kept(tmp_path / "lstm.pt", data, 16, 1, said.append)
    again, _ = recurrent.kept(tmp_path / "lstm.pt", data, 16, 1, said.append)
    assert minutes > 0.0
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), again.parameters(), strict=True))
    untrained = recurrent.RecurrentNetwork(data.scaling, 16)
    names = len(data.scaling.state), len(data.scaling.diagnostics)
    by_lead = torch.from_numpy(data.error_scales).float()
    scales = recurrent.LossScales(recurrent.Loss(), torch.ones(names[0]), torch.ones(names[1]), by_lead)
    losses = [
        float(recurrent._loss(one, data, np.random.default_rng(5), 3, 64, scales).detach())
        for one in (network, untrained)
    ]
    assert losses[0] < 0.8 * losses[1]
    stepper = recurrent.RecurrentStepper(network, data.scaling)
    tensors, one = data.tensors, torch.zeros(1, dtype=torch.int64)
    static, state = tensors.static[:1], tensors.state_at(one, one)
    forcing = tensors.forcing_at(one, one)

    scaling = data.scaling
    stepper.begin(physical(static, scaling.static), physical(state, scaling.state))
    found, diagnosed = stepper.step(physical(forcing, scaling.forcing))
    with torch.no_grad():
        expected, expected_diagnostics, _ = network(static, forcing, state, network.memory(static, state))
    np.testing.assert_allclose(found, physical(expected, scaling.state), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(
        diagnosed, physical(expected_diagnostics, scaling.diagnostics), rtol=1e-3, atol=1e-3 * np.abs(diagnosed).max()
    )


def test_trees_learn_and_stay_within_bounds(data, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(trees, "ROUNDS", 20)
    boosters, _ = trees.kept(tmp_path / "trees", data, 1500, 1, lambda line: None)
    again, _ = trees.kept(tmp_path / "trees", data, 1500, 1, lambda line: None)
    scaling, n_state = data.scaling, len(data.scaling.state)
    assert len(boosters) == len(again) == n_state + len(scaling.diagnostics)
    assert trees.node_count(again) > 20 * len(again)
    rng = np.random.default_rng(1)

    def drawn(variables: tuple) -> np.ndarray:
        """Over the range of the training data: forcing and state that never were together."""
        low, high = (np.array([getattr(v, f"training_{end}") for v in variables]) for end in ("minimum", "maximum"))
        return low + (high - low) * rng.uniform(size=(40, len(variables)))

    stepper = trees.TreeStepper(again, scaling)
    stepper.begin(drawn(scaling.static), drawn(scaling.state))
    state, diagnostics = stepper.step(drawn(scaling.forcing))
    assert np.isfinite(diagnostics).all()
    for position, variable in enumerate(scaling.state):
        rounding = 1e-6 * variable.normalisation.scale
        assert state[:, position].min() >= variable.lower_bound - rounding
        assert state[:, position].max() <= variable.upper_bound + rounding


def test_a_method_with_fewer_states_gets_and_gives_its_own() -> None:
    class Half:
        """Halves its states in each step."""

        def begin(self, static: np.ndarray, state: np.ndarray) -> None:
            self.state = state

        def step(self, forcing: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            self.state = self.state / 2.0
            return self.state, forcing

    start = np.arange(1.0, 7.0).reshape(2, 3)
    stepper = FewerStates(Half(), [0, 2])
    stepper.begin(np.zeros((2, 1)), start)
    stepper.step(np.ones((2, 1)))
    state, diagnostics = stepper.step(np.full((2, 1), 7.0))
    np.testing.assert_array_equal(state, start * [0.25, 1.0, 0.25])
    np.testing.assert_array_equal(diagnostics, np.full((2, 1), 7.0))
    np.testing.assert_array_equal(start, np.arange(1.0, 7.0).reshape(2, 3))


def test_the_table_is_one_that_a_report_takes(model, columns, tmp_path) -> None:
    found = protocol.score(Oracle(columns, 1.0), model, columns)
    found["free run"]["swvl1"] = math.nan  # a method that ran away
    content = table(model, [{"name": "oracle", "found": found, "parameters": 3, "training_minutes": 0.5}])
    (tmp_path / "table.json").write_text(json.dumps(content))
    attached = read(tmp_path / "table.json", Alternatives)
    (method,) = attached.methods
    assert method.scores["stl1, 90 days"] == pytest.approx(1.0, abs=1e-4)
    assert math.isnan(method.scores["swvl1, free run"])
    assert (method.parameters, method.training_minutes) == (3, 0.5)
    assert len(attached.variables) == 3 * len(model.state + model.diagnostics)
