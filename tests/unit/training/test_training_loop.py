"""The training loop as a whole: it learns, it can be resumed bit by bit, and it writes a model."""

from __future__ import annotations

import csv
import dataclasses
import importlib.util
import itertools
import json

import numpy as np
import pytest
import xarray as xr

torch = pytest.importorskip("torch", reason="training needs PyTorch")
# The networks are tiny: more threads only wait for each other.
torch.set_num_threads(1)

from training_files import write_columns  # noqa: E402

import ailand_gt4py  # noqa: E402
from ailand_gt4py.cli import train as command  # noqa: E402
from ailand_gt4py.cli.options import parse  # noqa: E402
from ailand_gt4py.core.errors import InputError, RunError  # noqa: E402
from ailand_gt4py.core.settings import read_settings  # noqa: E402
from ailand_gt4py.training import loop, scaling, session  # noqa: E402
from ailand_gt4py.training.configuration import Configuration, Validation  # noqa: E402
from ailand_gt4py.training.curves import Curves  # noqa: E402
from ailand_gt4py.training.dataset import read_windows  # noqa: E402
from ailand_gt4py.training.network import LayerNormNetwork  # noqa: E402
from ailand_gt4py.training.tensors import TrainingData, normalised_tensors  # noqa: E402
from ailand_gt4py.training.validation import Scores, Validator  # noqa: E402
from ailand_gt4py.weights.model_file import read_model  # noqa: E402
from ailand_gt4py.weights.schema import checksum  # noqa: E402
from ailand_gt4py.weights.variables import DEFAULT  # noqa: E402

N_STATE, N_DIAGNOSTICS = len(DEFAULT.state), len(DEFAULT.diagnostics)

OPTIONS = {
    "data": {"train": ["a.nc"], "validation_fraction": 0.2},
    "network": {"width": 16, "depth": 2, "diagnostic_width": 8, "diagnostic_depth": 1},
    "stages": [
        {"iterations": 6, "steps": 1, "batch": 16},
        {"iterations": 14, "steps": 3, "batch": 8, "restart_probability": 0.3},
    ],
    "optimiser": {"learning_rate": 0.01, "warmup_iterations": 3},
    "validation": {"interval": 10, "starts": 3, "leads_days": [1, 4]},
    "run": {"seed": 5, "checkpoint_interval": 7},
    "provenance": {"licence": "Apache-2.0"},
}


TRAINING, VALIDATION = np.arange(10), np.array([10, 11])


@pytest.fixture(scope="module")
def prepared(path):
    """Windows, normalised, and what to learn from; nothing changes them after this."""
    windows = read_windows([path], DEFAULT)
    measured = scaling.measure(windows, DEFAULT, TRAINING)
    scales = scaling.error_scales(scaling.measured_variability(windows, measured, TRAINING), measured.state, 2.0)
    return windows, TrainingData(normalised_tensors(windows, measured), TRAINING, measured, scales)


def _validator(prepared):
    return Validator(Validation(leads_days=(1, 4), starts=3), *prepared, VALIDATION)


def _trainer(prepared, directory, validates=False, report=lambda line: None, run=OPTIONS["run"], **changes):
    changes["run"] = run | {"directory": str(directory)}
    options = read_settings(Configuration, OPTIONS | changes)
    return loop.Trainer(options, prepared[1], _validator(prepared) if validates else None, report)


def _untrained(prepared):
    options = read_settings(Configuration, OPTIONS)
    return LayerNormNetwork(options.network, prepared[1].scaling, options.run.seed)


def _same(first, second):
    pairs = zip(first.state_dict().items(), second.state_dict().items(), strict=True)
    return all(name == other and torch.equal(a, b) for (name, a), (other, b) in pairs)


def _log(directory):
    """The table and the records that a run has written."""
    with (directory / "log.csv").open(newline="") as stream:
        table = list(csv.DictReader(stream))
    return table, [json.loads(line) for line in (directory / "log.jsonl").read_text().splitlines()]


class Oracle:
    """A validator that hands out skills by iteration."""

    def __init__(self, owner, skills):
        self.owner, self.skills, self.seen = owner, skills, {}

    def scores(self, network):
        self.seen[self.owner.iteration] = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        ones = np.ones((2, N_STATE))
        model = self.skills[self.owner.iteration] * ones
        return Scores(model, ones, ones, np.ones(N_DIAGNOSTICS), np.ones(N_STATE), np.ones((2, N_STATE)))


MUON = OPTIONS["optimiser"] | {"muon_learning_rate": 0.02}


@pytest.mark.parametrize("optimiser", [OPTIONS["optimiser"], MUON])
def test_resumed_training_is_the_uninterrupted_one_to_the_bit(prepared, tmp_path, monkeypatch, optimiser):
    """Killed after iteration 11, when the last checkpoint is that of iteration 7; and what is logged, too."""
    whole = _trainer(prepared, tmp_path / "whole", validates=True, optimiser=optimiser)
    whole.run()
    first = _trainer(prepared, tmp_path / "parts", validates=True, optimiser=optimiser)
    step = first.step
    monkeypatch.setattr(first, "step", lambda: step() if first.iteration < 11 else pytest.fail("killed"))
    with pytest.raises(pytest.fail.Exception, match="killed"):
        first.run()
    assert first.iteration == 11
    second = _trainer(prepared, tmp_path / "parts", validates=True, optimiser=optimiser)
    assert not _same(second.network, first.network)
    second.resume()
    assert second.iteration == 7
    second.run()
    assert second.iteration == 20
    assert _same(whole.network, second.network)
    assert _same(whole.average, second.average)
    assert _same(whole.chosen[0], second.chosen[0])
    for record, expected in zip(_log(tmp_path / "parts")[1], _log(tmp_path / "whole")[1], strict=True):
        assert record["model"] == expected["model"]


def test_the_best_network_on_the_validation_columns_is_kept(prepared, tmp_path):
    """Scores are handed out in turn: the third of four validations is the best, before and after a resumption."""
    skills = dict(zip((5, 10, 15, 20), (0.9, 0.8, 0.5, 0.6), strict=True))
    trainer = _trainer(prepared, tmp_path, validation={"interval": 5, "leads_days": [1, 4]})
    oracle = trainer._validator = Oracle(trainer, skills)
    trainer.run()
    network, iteration = trainer.chosen
    assert iteration == 15
    assert all(torch.equal(tensor, oracle.seen[15][name]) for name, tensor in network.state_dict().items())
    assert not all(torch.equal(tensor, oracle.seen[20][name]) for name, tensor in network.state_dict().items())
    again = _trainer(prepared, tmp_path, validation={"interval": 5, "leads_days": [1, 4]})
    again._validator = Oracle(again, skills)
    again.resume()
    assert again.chosen[1] == 15
    assert _same(again.chosen[0], network)


@pytest.mark.parametrize(
    ("skills", "patience", "end"),
    [
        ((0.9, 0.8, 0.85, 0.85, 0.9), 2, 16),  # the best at 8, two more in vain
        ((0.9, 0.8, 0.85, 0.7, 0.9), 2, 20),
        ((0.1, 0.8, 0.8, 0.8, 0.8), 2, 16),  # the last stage begins at 6: it is given its time
        ((0.1, 0.8, 0.8, 0.8, 0.8), 0, 20),  # for ever
    ],
)
def test_training_stops_when_it_gets_no_better(prepared, tmp_path, skills, patience, end):
    said = []
    validation = {"interval": 4, "leads_days": [1, 4], "patience": patience}
    trainer = _trainer(prepared, tmp_path, report=said.append, validation=validation)
    trainer._validator = Oracle(trainer, dict(zip((4, 8, 12, 16, 20), skills, strict=True)))
    trainer.run()
    assert trainer.iteration == end
    assert trainer.is_stopped == (end < 20)
    assert any("no better than iteration" in line for line in said) == (end < 20)
    again = _trainer(prepared, tmp_path, validation=validation)
    again._validator = Oracle(again, {})
    again.resume()
    again.run()
    assert again.iteration == end, "a run that had stopped does not go on"
    assert again.chosen[1] == trainer.best_iteration == (4, 8, 12, 16, 20)[int(np.argmin(skills))]


def test_what_is_logged(prepared, tmp_path):
    """A row for each validation, by name, in the table; the scores of the network at that time in the records."""
    said = []
    trainer = _trainer(prepared, tmp_path, validates=True, report=said.append)
    trainer.run()
    table, records = _log(tmp_path)
    assert [int(row["iteration"]) for row in table] == [record["iteration"] for record in records] == [10, 20]
    scores = trainer._validator.scores(trainer.average)
    assert float(table[1]["skill"]) == pytest.approx(scores.skill, rel=1e-5)
    for position, variable in enumerate(DEFAULT.state):
        for index, lead in enumerate((1, 4)):
            found = float(table[1][f"rmse_{lead}d/{variable.name}"])
            assert found == pytest.approx(scores.model[index, position], rel=1e-5)
    for position, variable in enumerate(DEFAULT.diagnostics):
        assert float(table[1][f"rmse/{variable.name}"]) == pytest.approx(scores.diagnostics[position], rel=1e-5)
    assert float(table[0]["loss/state"]) > 0.0
    assert float(table[0]["loss/diagnostics"]) > 0.0
    assert float(table[0]["column_steps_per_second"]) > 0.0
    for name, value in dataclasses.asdict(scores).items():
        assert np.allclose(records[1][name], value)
    assert len(said) == 2
    assert said[0].startswith("iteration 10/20, ")
    assert "rollout 3: loss " in said[0]


def test_rows_that_will_be_made_again_are_forgotten(tmp_path):
    """A run killed after its last checkpoint leaves later rows, perhaps half a line; a new run begins new files."""
    curves = Curves(tmp_path)
    for iteration in (10, 20, 30):
        curves.write(iteration, {"a": [iteration]}, {"skill": 1.0 / iteration})
    with (tmp_path / "log.jsonl").open("a") as stream:
        stream.write('{"iterat')
    curves.forget_after(20)
    table, records = _log(tmp_path)
    assert [row["iteration"] for row in table] == ["10", "20"]
    assert records == [{"iteration": 10, "a": [10]}, {"iteration": 20, "a": [20]}]
    curves.forget_after(0)
    curves.write(5, {}, {"other": 1.0})
    table, records = _log(tmp_path)
    assert table == [{"iteration": "5", "other": "1"}]
    assert records == [{"iteration": 5}]


def test_tensorboard_is_asked_for_in_vain(prepared, tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"'run\.tensorboard': the package 'tensorboard' is not installed"):
        _trainer(prepared, tmp_path, run={"tensorboard": True})


def test_tensorboard_gets_the_curves(tmp_path):
    pytest.importorskip("tensorboard", reason="needs TensorBoard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    curves = Curves(tmp_path, tensorboard=True)
    curves.write(10, {}, {"skill": 0.5})
    curves.write(20, {}, {"skill": 0.25})
    events = EventAccumulator(str(tmp_path)).Reload().Scalars("skill")
    assert [(event.step, event.value) for event in events] == [(10, 0.5), (20, 0.25)]


def test_another_seed_gives_another_network(prepared, tmp_path):
    one, other = (_trainer(prepared, tmp_path / str(seed), run={"seed": seed}) for seed in (1, 2))
    for trainer in (one, other):
        trainer.run()
    assert not _same(one.network, other.network)


def test_training_learns_a_toy_land_surface(prepared, tmp_path):
    stages = [{"iterations": 150, "steps": 2, "batch": 64}]
    trainer = _trainer(prepared, tmp_path, stages=stages, optimiser={"learning_rate": 0.005, "warmup_iterations": 10})
    losses = [trainer.step() for _ in range(150)]
    early, late = np.mean(losses[:10], axis=0), np.mean(losses[-10:], axis=0)
    assert late[0] < 0.2 * early[0], "state"
    assert late[1] < 0.6 * early[1], "diagnostics"


def test_a_loss_that_is_no_number_stops_training(prepared, tmp_path):
    trainer = _trainer(prepared, tmp_path)
    trainer.network.trunk[0].bias.data[0] = torch.nan
    with pytest.raises(RunError, match="loss is nan at iteration 0"):
        trainer.step()


def test_a_share_of_the_curriculum_is_run(prepared, tmp_path):
    """Half of 6 iterations of one step and of 14 of three; the learning rate has come down at their end."""
    trainer = _trainer(prepared, tmp_path, run=OPTIONS["run"] | {"length": 0.5})
    trainer.run()
    assert trainer.iteration == 10
    assert [trainer.stage(iteration).steps for iteration in (2, 3, 9)] == [1, 3, 3]
    last = trainer.optimiser.state_dict()["0"]["param_groups"][0]["lr"]
    assert last < 0.1 * OPTIONS["optimiser"]["learning_rate"]


@pytest.mark.parametrize(
    ("changes", "named"),
    [({"run": {"seed": 6}}, "run.seed"), ({"network": {"width": 8}}, "network"), ({"run": {"length": 2.0}}, "stages")],
)
def test_a_checkpoint_of_other_options_is_refused(prepared, tmp_path, changes, named):
    _trainer(prepared, tmp_path).save()
    with pytest.raises(InputError, match=f"was made with {named} ="):
        _trainer(prepared, tmp_path, **changes).resume()


def test_no_or_broken_checkpoint(prepared, tmp_path):
    trainer = _trainer(prepared, tmp_path)
    with pytest.raises(InputError, match="cannot be read: .*No such file"):
        trainer.resume()
    trainer.checkpoint_path.write_bytes(b"not a checkpoint")
    with pytest.raises(InputError, match="cannot be read"):
        trainer.resume()


def test_learning_rate_warms_up_and_decays():
    factors = [loop.learning_rate_factor(i, 100, 10, 0.1) for i in range(101)]
    assert factors[0] == 0.1
    assert factors[9] == 1.0
    assert factors[10] == 1.0
    assert factors[100] == pytest.approx(0.1)
    assert all(a >= b for a, b in itertools.pairwise(factors[9:]))


def test_validation_of_persistence_is_persistence(prepared):
    """The untrained network keeps the state: its scores are the baseline's."""
    scores = _validator(prepared).scores(_untrained(prepared))
    assert np.allclose(scores.model, scores.persistence, rtol=1e-4)
    assert scores.skill >= 1.0 - 1e-4
    assert (scores.persistence > 0.0).all()


def test_baselines_of_the_validation_are_of_its_columns(path, prepared):
    """From the file: runs of columns 10 and 11 that begin at the period's start, middle and end."""
    scores = _validator(prepared).scores(_untrained(prepared))
    with xr.open_dataset(path) as file:
        state = np.stack([file[variable.name].values[:, VALIDATION] for variable in DEFAULT.state], axis=-1)
    state = state.astype(float)
    state[..., [variable.name for variable in DEFAULT.state].index("snowc")] /= 100.0
    first = np.array([0, 32, 63])  # 79 windows, the longest lead is of 16
    for index, lead in enumerate((4, 16)):
        change = state[first + lead] - state[first]
        assert np.allclose(scores.persistence[index], np.sqrt((change**2).mean(axis=(0, 1))), rtol=1e-4)
    reached = np.sqrt(((state[1:] - state[0]) ** 2).mean(axis=(0, 1)))
    assert np.allclose(scores.whole_run, reached, rtol=1e-4)


def test_a_baseline_without_error_does_not_count():
    """Without snow, persistence is perfect there: no skill can be had, and none lost."""
    ones = np.ones((1, 3))
    scores = Scores(0.5 * ones, np.array([[1.0, 2.0, 0.0]]), ones, np.ones(1), np.ones(3), np.ones((2, 3)))
    assert np.array_equal(scores.ratio, [[0.5, 0.5, np.nan]], equal_nan=True)
    assert scores.skill == 0.5
    perfect = dataclasses.replace(scores, persistence=0.0 * ones)
    assert perfect.skill == 0.5, "the error itself"


def test_rollouts_longer_than_the_data_are_refused(prepared, tmp_path):
    stages = [{"iterations": 1, "steps": 80, "batch": 1}]
    with pytest.raises(InputError, match="'stages': rollouts of 80 steps, but a column has 79 windows only"):
        _trainer(prepared, tmp_path, stages=stages)


def _run(*words):
    options = parse(command.Options, [str(word) for word in words])
    with options.claimed():
        command.run(options)


def test_command_trains_and_writes_a_model(path, tmp_path, monkeypatch):
    monkeypatch.setattr(ailand_gt4py, "__version__", "1.2.3")
    options = tmp_path / "options.yaml"
    options.write_text(json.dumps(OPTIONS))
    output = tmp_path / "model.nc"
    words = (options, "--data", path.parent, "-o", output, "--directory", tmp_path / "run")
    _run(*words)
    model = read_model(output)
    assert model.architecture == "layer_norm"
    assert model.step_seconds == 21600.0
    expected = [[variable.name for variable in group] for group in DEFAULT.groups.values()]
    found = (model.static, model.forcing, model.state, model.diagnostics)
    assert [[variable.name for variable in group] for group in found] == expected
    assert (
        "met_snowf, met_rainf_before, sro, ssro are of the values above zero" in model.provenance["normalisation_note"]
    )
    assert model.provenance["licence"] == "Apache-2.0"
    assert model.provenance["seed"] == "5"
    assert "a.nc sha256:" in model.provenance["data_files"]
    assert "1.2.3" in model.provenance["code_version"]
    assert str(tmp_path) not in " ".join(model.provenance.values())
    first = output.read_bytes()
    _run(*words, "--resume")  # a finished run is only exported again
    again = read_model(output)
    assert all(np.array_equal(again.parameters[name], array) for name, array in model.parameters.items())
    assert first


def test_command_begins_with_the_model_it_is_given(path, tmp_path):
    """The option takes precedence over the configuration, whose model is not there."""
    options = tmp_path / "options.yaml"
    options.write_text(json.dumps(OPTIONS | {"run": {"start_from": "nowhere.nc"}}))
    words = (options, "--data", path.parent, "--directory", tmp_path / "run", "-o", tmp_path / "model.nc")
    with pytest.raises(InputError, match=r"nowhere\.nc"):
        _run(*words)
    (tmp_path / "first.yaml").write_text(json.dumps(OPTIONS))
    first = tmp_path / "first.nc"
    _run(tmp_path / "first.yaml", "--data", path.parent, "--directory", tmp_path / "a", "-o", first)
    _run(*words, "--start-from", first)
    provenance = read_model(tmp_path / "model.nc").provenance
    assert checksum(read_model(first)) in provenance["start"]
    assert "--start-from first.nc" in provenance["command"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--data", "nowhere"], "data directory nowhere: no such directory"),
        (["--data", "."], "data file a.nc: no such file"),
        (["-o", "nowhere/model.nc"], "nowhere/model.nc: cannot be written"),
        (["--set", "network.widht=3"], "option --set: option 'network.widht' is unknown; did you mean 'width'"),
        (["--threads", "0"], "option --threads: found 0, expected more than 0"),
    ],
)
def test_command_names_what_is_wrong(path, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "options.yaml").write_text(json.dumps(OPTIONS))
    given = words if "--data" in words else ["--data", path.parent, *words]
    with pytest.raises(InputError, match=message):
        _run("options.yaml", *given)


def test_a_missing_checkpoint_is_said_before_data_is_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "options.yaml").write_text(json.dumps(OPTIONS))
    (tmp_path / "a.nc").write_text("nobody reads this")
    with pytest.raises(InputError, match=r"checkpoint run/checkpoint\.pt: no such file; start without --resume"):
        _run("options.yaml", "--data", ".", "--directory", "run", "--resume")


def test_columns_that_are_all_alike_are_learnt_from(tmp_path):
    """As a single site: what is the same in all has the scale 1, which is said."""
    path = write_columns(tmp_path / "a.nc", n_columns=2)
    with xr.open_dataset(path) as dataset:
        one = dataset.load().isel(x=[0])
    one.to_netcdf(tmp_path / "b.nc")
    options = read_settings(
        Configuration,
        OPTIONS | {"data": {"train": ["b.nc"], "validation_fraction": 0.0}, "run": {"directory": str(tmp_path)}},
    )
    said = []
    model = session.train(options, [tmp_path / "b.nc"], tmp_path / "m.nc", False, "", said.append)
    (sentence,) = (line for line in said if line.startswith("the same in all windows"))
    assert "clim_clake" in sentence
    assert "met_tair" not in sentence
    assert model.static[0].normalisation.mean == pytest.approx(one.clim_clake.item(0), rel=1e-6)
    assert model.static[0].normalisation.std == 1.0
    assert all(np.isfinite(array).all() for array in model.parameters.values())


def test_how_far_a_training_is_goes_to_standard_error(path, tmp_path, capsys):
    content = OPTIONS | {"data": {"train": [path.name]}, "run": OPTIONS["run"] | {"directory": str(tmp_path)}}
    options = read_settings(Configuration, content)
    n = options.iterations
    for quiet in (False, True):
        session.train(options, [path], tmp_path / "m.nc", False, "", lambda line: None, quiet)
        said = capsys.readouterr()
        assert (f"100.0 %  {n}/{n} iterations, loss " in said.err) != quiet
        assert said.out == ""


def test_training_from_files_and_from_a_store_gives_the_same_model(path, tmp_path):
    """Data in mapped files, a zarr store instead of netCDF: the same parameters to the bit, and who was kept out."""
    said = []

    def trained(name, file, **data):
        content = OPTIONS | {"data": {"train": [file.name], "validation_fraction": 0.2} | data}
        content["run"] = OPTIONS["run"] | {"directory": str(tmp_path / name)}
        options = read_settings(Configuration, content)
        return session.train(options, [file], tmp_path / f"{name}.nc", False, "", said.append)

    with xr.open_dataset(path) as dataset:
        dataset.load().to_zarr(tmp_path / "a.zarr")
    first = trained("memory", path)
    # One of either climate, and one of the snow regime that neither has.
    assert "9 columns for training, 3 for validation, 711 windows to learn from" in said
    for other in (trained("files", path, in_files=True), trained("store", tmp_path / "a.zarr")):
        assert all(np.array_equal(other.parameters[name], array) for name, array in first.parameters.items())
        assert other.forcing == first.forcing
    assert (tmp_path / "files" / "data" / "forcing.npy").exists()
    assert "a.zarr sha256:" in other.provenance["data_files"]
    named = read_settings(Configuration, OPTIONS | {"data": {"train": ["a.zarr"]}})
    assert command.data_files(named.replace(data=named.data.replace(directory=str(tmp_path)))) == [tmp_path / "a.zarr"]
    said.clear()
    without = trained("without", path, exclude_boxes=[[-90.0, -30.0, -180.0, 180.0]])
    assert "6 columns for training, 3 for validation, 474 windows to learn from" in said
    assert without.forcing != first.forcing
    with pytest.raises(InputError, match="no column is left"):
        trained("nowhere", path, exclude_locations_of=[path.name])
    said.clear()
    (tmp_path / "points.csv").write_text("# held back\n-60.0,-120.0\n")
    trained("points", path, exclude_points=str(tmp_path / "points.csv"))
    assert any(line.startswith("8 columns for training, 3 for validation") for line in said)
    assert "  1 columns are at the 1 points that are left out" in said
