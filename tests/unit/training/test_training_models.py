"""Training that goes on from a model: the same network in the same statistics, whatever the new data's are."""

import numpy as np
import pytest
import xarray as xr

torch = pytest.importorskip("torch", reason="training needs PyTorch")

from training_files import write_columns  # noqa: E402

from ailand_gt4py.core.errors import InputError  # noqa: E402
from ailand_gt4py.core.settings import read_settings  # noqa: E402
from ailand_gt4py.training import session  # noqa: E402
from ailand_gt4py.training.configuration import Configuration, Network  # noqa: E402
from ailand_gt4py.training.models import load_weights, to_model  # noqa: E402
from ailand_gt4py.training.network import LayerNormNetwork  # noqa: E402
from ailand_gt4py.weights.model_file import read_model  # noqa: E402
from ailand_gt4py.weights.schema import checksum  # noqa: E402

SIZES = {"width": 9, "depth": 2, "diagnostic_width": 6, "diagnostic_depth": 1}
OPTIONS = {
    "data": {"train": ["a.nc"], "validation_fraction": 0.0},
    "network": SIZES,
    "stages": [{"iterations": 3, "steps": 2, "batch": 4}],
    "optimiser": {"learning_rate": 1e-9, "warmup_iterations": 1, "weight_decay": 0.0},
}


def trained(directory, path, begin="", resume=False, **options):
    run = {"start_from": str(begin), "directory": str(directory / "run")}
    chosen = read_settings(Configuration, OPTIONS | {"run": run} | options)
    return session.train(chosen, [path], directory / "model.nc", resume, "ailand train", print)


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """A trained model and its file."""
    directory = tmp_path_factory.mktemp("first")
    model = trained(directory, write_columns(directory / "a.nc"), optimiser={"learning_rate": 0.01})
    return model, directory / "model.nc"


def test_weights_there_and_back(first, measured):
    model, _ = first
    network = LayerNormNetwork(Network(**SIZES), measured, seed=1)
    load_weights(network, model)
    back = to_model(network, measured, model.step_seconds, {}).parameters
    for name, array in model.parameters.items():
        np.testing.assert_allclose(back[name], array, rtol=1e-6, atol=1e-12)


def test_on_other_data_the_network_and_its_statistics_stay_and_ranges_grow(first, tmp_path):
    """With a vanishing learning rate: what is trained is what it began with."""
    model, path = first
    with xr.open_dataset(write_columns(tmp_path / "b.nc", seed=5)) as dataset:
        other = dataset.load()
    other["met_tair"] = other.met_tair + 30.0
    other.to_netcdf(tmp_path / "a.nc")
    found = trained(tmp_path, tmp_path / "a.nc", path)
    for name, array in model.parameters.items():
        np.testing.assert_allclose(found.parameters[name], array, rtol=1e-4, atol=1e-6)
    for group in ("static", "forcing", "state", "diagnostics"):
        for one, before in zip(getattr(found, group), getattr(model, group), strict=True):
            assert one.normalisation == before.normalisation
            assert one.training_minimum <= before.training_minimum
            assert one.training_maximum >= before.training_maximum
    position = [variable.name for variable in model.forcing].index("met_tair")
    assert found.forcing[position].training_maximum > model.forcing[position].training_maximum + 20.0
    assert checksum(read_model(path)) in found.provenance["start"]
    assert "its command: ailand train" in found.provenance["start"]


def test_without_it_training_begins_elsewhere(first, tmp_path):
    model, path = first
    data = write_columns(tmp_path / "a.nc")
    from_model, from_nothing = (trained(tmp_path / name, data, begin) for name, begin in (("x", path), ("y", "")))
    assert any(
        not np.array_equal(from_nothing.parameters[name], from_model.parameters[name]) for name in model.parameters
    )


def test_a_run_goes_on_only_as_it_began(first, tmp_path):
    """Without the model's statistics, its weights would mean something else."""
    data = write_columns(tmp_path / "a.nc", seed=5)
    before = trained(tmp_path, data, first[1])
    with pytest.raises(
        InputError, match=r"checkpoint .*: was made with the normalisation .* of 'clim_clake' = .*, expected "
    ):
        trained(tmp_path, data, resume=True)
    again = trained(tmp_path, data, first[1], resume=True)
    assert all(np.array_equal(again.parameters[name], array) for name, array in before.parameters.items())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"network": SIZES | {"width": 8}}, "found a network 'layer_norm', differing in .*, expected 'layer_norm' of"),
        (
            {"variables": {"state": ["stl2", "stl1"]}},
            "the model's state variables are swvl1, .*expected .*: stl2, stl1",
        ),
        (
            {"variables": {"soil_heat": True}},
            "the model's increments of 'stl1' are of the variable itself, those of the configuration of 'soil_heat'",
        ),
    ],
)
def test_models_that_do_not_fit(first, tmp_path, options, message):
    with pytest.raises(InputError, match=f"option 'run.start_from'.*{message}"):
        trained(tmp_path, write_columns(tmp_path / "a.nc"), first[1], **options)


def test_a_file_that_is_no_model(tmp_path):
    (tmp_path / "no.nc").write_text("no model")
    with pytest.raises(InputError, match=r"no\.nc"):
        trained(tmp_path, write_columns(tmp_path / "a.nc"), tmp_path / "no.nc")
    assert read_settings(Configuration, OPTIONS).run.start_from == ""
