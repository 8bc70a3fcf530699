"""The training loop as a whole: it learns, it can be resumed bit by bit, and it writes a model."""

from __future__ import annotations

import argparse
import itertools
import json

import numpy as np
import pytest
import xarray as xr

torch = pytest.importorskip("torch", reason="training needs PyTorch")
# The networks are tiny: more threads only wait for each other.
torch.set_num_threads(1)

from training_files import write_columns  # noqa: E402

from ailand_gt4py.errors import InputError, RunError  # noqa: E402
from ailand_gt4py.training import command, configuration, loop, scaling, session  # noqa: E402
from ailand_gt4py.training.dataset import read_windows  # noqa: E402
from ailand_gt4py.training.validation import Scores, Validator  # noqa: E402
from ailand_gt4py.weights.model_file import read_model  # noqa: E402

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


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_columns(tmp_path_factory.mktemp("data") / "a.nc")


def _trainer(path, directory, **changes):
    options = configuration.parse_configuration(OPTIONS | changes, "test")
    data = read_windows([path])
    scaling_ = scaling.measure(data)
    scales = scaling.error_scales(data, scaling_, options.loss.anomaly_factor)
    tensors = scaling.normalised_tensors(data, scaling_)
    return loop.Trainer(options, scaling_, tensors, None, directory, scales, report=lambda line: None)


def _same(first, second):
    pairs = zip(first.state_dict().items(), second.state_dict().items(), strict=True)
    return all(name == other and torch.equal(a, b) for (name, a), (other, b) in pairs)


def test_resumed_training_is_the_uninterrupted_one_to_the_bit(path, tmp_path):
    whole = _trainer(path, tmp_path / "whole")
    whole.run()
    first = _trainer(path, tmp_path / "parts")
    first.run(until=11)
    second = _trainer(path, tmp_path / "parts")
    assert not _same(second.network, first.network)
    second.resume()
    assert second.iteration == 11
    second.run()
    assert second.iteration == 20
    assert _same(whole.network, second.network)
    assert _same(whole.average, second.average)


def test_the_best_network_on_the_validation_columns_is_kept(path, tmp_path):
    """Scores are handed out in turn: the third of four validations is the best, before and after a resumption."""
    skills = dict(zip((5, 10, 15, 20), (0.9, 0.8, 0.5, 0.6), strict=True))
    trainer = _trainer(path, tmp_path, validation={"interval": 5})
    seen = {}

    class Oracle:
        def __init__(self, owner):
            self.owner = owner

        def scores(self, network):
            seen[self.owner.iteration] = {name: tensor.clone() for name, tensor in network.state_dict().items()}
            ones = np.ones((1, 8))
            model = skills[self.owner.iteration] * ones
            return Scores(model, ones, ones, np.ones(5), np.ones(8), np.ones((2, 8)))

    trainer._validator = Oracle(trainer)
    trainer.run()
    network, iteration = trainer.chosen
    assert iteration == 15
    assert all(torch.equal(tensor, seen[15][name]) for name, tensor in network.state_dict().items())
    assert not all(torch.equal(tensor, seen[20][name]) for name, tensor in network.state_dict().items())
    again = _trainer(path, tmp_path, validation={"interval": 5})
    again._validator = Oracle(again)
    again.resume()
    assert again.chosen[1] == 15
    assert _same(again.chosen[0], network)


def test_another_seed_gives_another_network(path, tmp_path):
    one, other = (_trainer(path, tmp_path / str(seed), run={"seed": seed}) for seed in (1, 2))
    for trainer in (one, other):
        trainer.run()
    assert not _same(one.network, other.network)


def test_training_learns_a_toy_land_surface(path, tmp_path):
    stages = [{"iterations": 150, "steps": 2, "batch": 64}]
    trainer = _trainer(path, tmp_path, stages=stages, optimiser={"learning_rate": 0.005, "warmup_iterations": 10})
    losses = [trainer.step() for _ in range(150)]
    early, late = np.mean(losses[:10], axis=0), np.mean(losses[-10:], axis=0)
    assert late[0] < 0.2 * early[0], "state"
    assert late[1] < 0.6 * early[1], "diagnostics"


def test_a_loss_that_is_no_number_stops_training(path, tmp_path):
    trainer = _trainer(path, tmp_path)
    trainer.network.trunk[0].bias.data[0] = torch.nan
    with pytest.raises(RunError, match="loss is nan at iteration 0"):
        trainer.step()


@pytest.mark.parametrize(
    ("changes", "named"), [({"run": {"seed": 6}}, "run.seed"), ({"network": {"width": 8}}, "network")]
)
def test_a_checkpoint_of_other_options_is_refused(path, tmp_path, changes, named):
    _trainer(path, tmp_path).save()
    with pytest.raises(InputError, match=f"was made with {named} ="):
        _trainer(path, tmp_path, **changes).resume()


def test_no_or_broken_checkpoint(path, tmp_path):
    trainer = _trainer(path, tmp_path)
    with pytest.raises(InputError, match="no such file; start without --resume"):
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


def test_validation_of_persistence_is_persistence(path):
    """The untrained network keeps the state: its scores are the baseline's."""
    options = configuration.parse_configuration(OPTIONS, "test")
    data = read_windows([path])
    measured = scaling.measure(data)
    scores = Validator(data, measured, (1, 4), 3).scores(loop.build_network(options, measured))
    assert np.allclose(scores.model, scores.persistence, rtol=1e-4)
    assert scores.skill >= 1.0 - 1e-4
    assert (scores.persistence > 0.0).all()


def _arguments(*words):
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return parser.parse_args([str(word) for word in words])


def test_command_trains_and_writes_a_model(path, tmp_path, monkeypatch):
    monkeypatch.setattr(command.ailand_gt4py, "__version__", "1.2.3")
    options = tmp_path / "options.yaml"
    options.write_text(json.dumps(OPTIONS))
    output = tmp_path / "model.nc"
    words = (options, "--data", path.parent, "-o", output, "--directory", tmp_path / "run")
    assert command.run(_arguments(*words)) == 0
    model = read_model(output)
    assert model.architecture == "layer_norm"
    assert model.step_seconds == 21600.0
    assert [len(group) for group in (model.static, model.forcing, model.state, model.diagnostics)] == [18, 18, 8, 5]
    assert model.provenance["licence"] == "Apache-2.0"
    assert model.provenance["seed"] == "5"
    assert "a.nc sha256:" in model.provenance["data_files"]
    assert "1.2.3" in model.provenance["code_version"]
    assert str(tmp_path) not in " ".join(model.provenance.values())
    first = output.read_bytes()
    assert command.run(_arguments(*words, "--resume")) == 0, "a finished run is only exported again"
    again = read_model(output)
    assert all(np.array_equal(again.parameters[name], array) for name, array in model.parameters.items())
    assert first


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--data", "nowhere"], "data directory nowhere: no such directory"),
        (["--data", "."], "data file a.nc: no such file"),
        (["-o", "nowhere/model.nc"], "output nowhere/model.nc: cannot be written"),
        (["--threads", "0"], "option --threads is 0"),
    ],
)
def test_command_names_what_is_wrong(path, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "options.yaml").write_text(json.dumps(OPTIONS))
    given = words if "--data" in words else ["--data", path.parent, *words]
    with pytest.raises(InputError, match=message):
        command.run(_arguments("options.yaml", *given))


def test_columns_that_are_all_alike_are_refused(tmp_path):
    path = write_columns(tmp_path / "a.nc", n_columns=2)
    with xr.open_dataset(path) as dataset:
        one = dataset.load().isel(x=[0, 0])
    one.to_netcdf(tmp_path / "b.nc")
    options = configuration.parse_configuration(
        OPTIONS | {"data": {"train": ["b.nc"], "validation_fraction": 0.5}}, "x"
    )
    with pytest.raises(InputError, match=r"'clim_clake' has the standard deviation 0\.0"):
        session.train(options, [tmp_path / "b.nc"], tmp_path / "m.nc", tmp_path, False, 1, "", "", print)
