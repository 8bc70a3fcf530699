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
from ailand_gt4py.weights.schema import GROUPS, checksum  # noqa: E402

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
    options = {"variables": {group: [one.name for one in getattr(before, group)] for group in GROUPS}}
    with pytest.raises(
        InputError, match=r"checkpoint .*: was made with the normalisation .* of 'clim_clake' = .*, expected "
    ):
        trained(tmp_path, data, resume=True, **options)
    again = trained(tmp_path, data, first[1], resume=True)
    assert all(np.array_equal(again.parameters[name], array) for name, array in before.parameters.items())


def test_network_and_variables_are_the_models(first, tmp_path, capsys):
    """Without a word where the configuration does not name them; else it is said that they are not those named."""
    model, path = first
    data = write_columns(tmp_path / "a.nc", seed=5)
    named = {"network": SIZES | {"width": 8}, "variables": {"state": ["stl2", "stl1"], "soil_heat": True}}
    expected = (
        "option 'network.width' is 8, but taken is that of the model: 9",
        "option 'variables.state' is stl2, stl1, but taken is that of the model: swvl1, swvl2",
        "option 'variables.soil_heat' is True, but taken is that of the model: False",
    )
    for number, options in enumerate(({"network": {}}, named)):
        found = trained(tmp_path / str(number), data, path, **options)
        assert {name: one.shape for name, one in found.parameters.items()} == {
            name: one.shape for name, one in model.parameters.items()
        }
        assert [one.name for one in found.variables] == [one.name for one in model.variables]
        assert not any(one.changes_by_heat for one in found.state)
        said = capsys.readouterr().out
        assert [sentence in said for sentence in expected] == [number == 1] * 3


def test_a_variable_that_the_model_does_not_have(first, tmp_path):
    expected = (
        "option 'variables.forcing': the model that training begins with has no albedo_background, expected some of"
    )
    options = {"variables": {"forcing": ["met_tair", "albedo_background"]}}
    with pytest.raises(InputError, match=expected):
        trained(tmp_path, write_columns(tmp_path / "a.nc"), first[1], **options)
    with pytest.raises(InputError, match="option 'loss.weights.asm': no such output"):
        trained(tmp_path, write_columns(tmp_path / "a.nc"), first[1], loss={"weights": {"asm": 2.0}})


def test_one_column_is_enough_and_errors_count_as_they_did(first, tmp_path):
    """Statistics and the yardsticks of the loss are the model's: what does not vary here is no obstacle."""
    model, path = first
    with xr.open_dataset(write_columns(tmp_path / "a.nc", seed=5)) as dataset:
        alone = dataset.load().isel(x=[1])
    for name in ("snowc", "sd"):
        if name in alone:
            alone[name] = 0.0 * alone[name]
    alone.to_netcdf(tmp_path / "one.nc")
    found = trained(tmp_path, tmp_path / "one.nc", path, data={"train": ["one.nc"], "validation_fraction": 0.0})
    assert [one.normalisation for one in found.variables] == [one.normalisation for one in model.variables]
    for key in ("changes", "anomalies"):
        np.testing.assert_array_equal(getattr(found.variability, key), getattr(model.variability, key))
    assert read_model(tmp_path / "model.nc").variability is not None


def test_a_file_that_is_no_model(tmp_path):
    (tmp_path / "no.nc").write_text("no model")
    with pytest.raises(InputError, match=r"no\.nc"):
        trained(tmp_path, write_columns(tmp_path / "a.nc"), tmp_path / "no.nc")
    assert read_settings(Configuration, OPTIONS).run.start_from == ""
