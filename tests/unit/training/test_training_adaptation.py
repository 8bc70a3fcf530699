"""Training that goes on from a model on what was observed: which part of the network is learnt, and from what."""

import numpy as np
import pytest
import xarray as xr

torch = pytest.importorskip("torch", reason="training needs PyTorch")

from training_files import write_columns  # noqa: E402

from ailand_gt4py.core.errors import InputError  # noqa: E402
from ailand_gt4py.core.settings import read_settings  # noqa: E402
from ailand_gt4py.training import loop, session  # noqa: E402
from ailand_gt4py.training.configuration import Configuration  # noqa: E402
from ailand_gt4py.training.dataset import read_windows  # noqa: E402
from ailand_gt4py.training.observed_data import Wanted  # noqa: E402
from ailand_gt4py.training.scaling import measure  # noqa: E402
from ailand_gt4py.weights.variables import DEFAULT  # noqa: E402

LAYER_NORM = {"width": 9, "depth": 2, "diagnostic_width": 6, "diagnostic_depth": 1}
POINT_WISE = {"architecture": "point_wise", "channels": 6, "layers": 2, "ratio": 2.0}
OPTIONS = {
    "data": {"train": ["a.nc"], "validation_fraction": 0.0},
    "stages": [{"iterations": 6, "steps": 3, "batch": 4}],
    "optimiser": {"learning_rate": 0.01, "warmup_iterations": 1},
}
DIAGNOSTICS = [variable.name for variable in DEFAULT.diagnostics]


def trained(directory, path, begin="", resume=False, **options):
    run = {"start_from": str(begin), "directory": str(directory / "run"), "checkpoint_interval": 3}
    said = []
    chosen = read_settings(Configuration, OPTIONS | {"run": run} | options)
    return session.train(chosen, [path], directory / "model.nc", resume, "ailand train", said.append), said


@pytest.fixture(scope="module", params=[LAYER_NORM, POINT_WISE], ids=["layer_norm", "point_wise"])
def first(request, tmp_path_factory):
    directory = tmp_path_factory.mktemp("first")
    model, _ = trained(directory, write_columns(directory / "a.nc"), network=request.param)
    return model, directory


def changed(model, start):
    return {name for name, array in model.parameters.items() if not np.array_equal(array, start.parameters[name])}


def rows_changed(model, start, name):
    differs = model.parameters[name] != start.parameters[name]
    return np.flatnonzero(differs.reshape(len(differs), -1).any(axis=1)).tolist()


def test_the_last_layers_alone(first, tmp_path):
    start, directory = first
    model, _ = trained(tmp_path, directory / "a.nc", directory / "model.nc", adaptation={"learns": "last_layers"})
    names = {"prognostic.0", "diagnostic.1"} if start.architecture == "layer_norm" else {"decoder.0"}
    assert {name.rpartition(".")[0] for name in changed(model, start)} == names


def test_the_diagnostic_block_alone(first, tmp_path):
    start, directory = first
    words = tmp_path, directory / "a.nc", directory / "model.nc"
    if start.architecture == "point_wise":
        with pytest.raises(InputError, match="found 'diagnostic_block' for a network 'point_wise', expected one that"):
            trained(*words, adaptation={"learns": "diagnostic_block"})
        return
    model, _ = trained(*words, adaptation={"learns": "diagnostic_block"})
    assert {name.partition(".")[0] for name in changed(model, start)} == {"diagnostic"}


def test_gain_and_bias_of_the_diagnostics(first, tmp_path):
    """Each row of the last layer times one number, and any bias; the state's rows stay."""
    start, directory = first
    model, _ = trained(tmp_path, directory / "a.nc", directory / "model.nc", adaptation={"learns": "bias_correction"})
    layer = "diagnostic.1" if start.architecture == "layer_norm" else "decoder.0"
    assert changed(model, start) == {f"{layer}.weight", f"{layer}.bias"}
    n = len(start.diagnostics)
    for kind in ("weight", "bias"):
        of_state = len(start.parameters[f"{layer}.{kind}"]) - n
        assert rows_changed(model, start, f"{layer}.{kind}") == list(range(of_state, of_state + n))
    ratio = (model.parameters[f"{layer}.weight"] / start.parameters[f"{layer}.weight"])[-n:].astype(float)
    np.testing.assert_allclose(ratio, np.broadcast_to(ratio[:, :1], ratio.shape), rtol=1e-4)


def test_of_the_last_layers_what_is_not_observed_stays_as_it_was(first, tmp_path):
    """With `distils`, to the bit: nothing pulls at the other rows."""
    start, directory = first
    if start.architecture == "point_wise":
        pytest.skip("its last layer has a normalisation of its inputs, which all results come from")
    path = with_observations(directory / "a.nc", sshf=-30.0, slhf=-20.0)
    model, _ = trained(
        tmp_path,
        path,
        directory / "model.nc",
        data={"train": ["observed.nc"], "validation_fraction": 0.0, "observed": ["sshf", "slhf"]},
        adaptation={"learns": "last_layers", "distils": True},
        optimiser={"learning_rate": 0.01, "warmup_iterations": 1, "weight_decay": 0.0},
    )
    assert changed(model, start) == {"diagnostic.1.weight", "diagnostic.1.bias"}
    expected = sorted(DIAGNOSTICS.index(name) for name in ("sshf", "slhf"))
    for kind in ("weight", "bias"):
        assert rows_changed(model, start, f"diagnostic.1.{kind}") == expected


def test_low_rank_additions(first, tmp_path):
    """Every matrix, by a difference of that rank; no vector."""
    start, directory = first
    words = tmp_path, directory / "a.nc", directory / "model.nc"
    model, _ = trained(*words, adaptation={"learns": "low_rank", "rank": 2})
    assert changed(model, start) == {name for name, array in start.parameters.items() if array.ndim == 2}
    for name in changed(model, start):
        difference = model.parameters[name].astype(float) - start.parameters[name]
        sizes = np.linalg.svd(difference, compute_uv=False)
        assert sizes[1] > 1e-3 * sizes[0], name
        assert (sizes[2:] < 1e-4 * sizes[0]).all(), name
    assert model.parameter_count == start.parameter_count


@pytest.mark.parametrize("learns", ["low_rank", "bias_correction"])
def test_resumed_training_is_the_uninterrupted_one_to_the_bit(first, tmp_path, monkeypatch, learns):
    start, directory = first
    adaptation = {"learns": learns, "rank": 2, "decay_to_start": 0.5}
    whole, _ = trained(tmp_path / "whole", directory / "a.nc", directory / "model.nc", adaptation=adaptation)
    step = loop.Trainer.step
    monkeypatch.setattr(loop.Trainer, "step", lambda self: step(self) if self.iteration < 4 else pytest.fail("killed"))
    words = tmp_path / "parts", directory / "a.nc", directory / "model.nc"
    with pytest.raises(pytest.fail.Exception, match="killed"):
        trained(*words, adaptation=adaptation)
    monkeypatch.undo()
    again, _ = trained(*words, resume=True, adaptation=adaptation)
    assert changed(again, whole) == set()
    assert changed(again, start)


def test_decay_to_the_start_keeps_it_near(first, tmp_path):
    start, directory = first
    distances = []
    for decay in (0.0, 20.0, 1e9):
        words = tmp_path / f"{decay}", directory / "a.nc", directory / "model.nc"
        model, _ = trained(*words, adaptation={"decay_to_start": decay})
        pairs = [(model.parameters[name], array) for name, array in start.parameters.items()]
        distances.append(np.sqrt(sum(np.square((a - b).astype(float)).sum() for a, b in pairs)))
    assert distances[1] < 0.8 * distances[0]
    assert distances[2] < 1e-3 * distances[0]


def test_a_part_is_learnt_only_from_a_model_on():
    with pytest.raises(InputError, match=r"learns 'low_rank', .* without a model .*, expected run\.start_from"):
        read_settings(Configuration, OPTIONS | {"adaptation": {"learns": "low_rank"}})


def with_observations(path, **values):
    """The file with ``obs_NAME`` of these values (n_times, n_columns), or numbers."""
    with xr.open_dataset(path) as dataset:
        data = dataset.load()
    for name, value in values.items():
        data[f"obs_{name}"] = data.sshf * 0.0 + value
        data[f"obs_{name}"].attrs = dict(data[name].attrs)
    data.to_netcdf(path.with_name("observed.nc"))
    return path.with_name("observed.nc")


def test_observations_take_the_place_of_a_diagnostic(tmp_path):
    """Where they are, with gaps; of a file without them, and of other diagnostics, nothing changes."""
    plain = write_columns(tmp_path / "a.nc", n_columns=3, n_times=20)
    observed = np.full((20, 3), -12.0)
    observed[5:9, 1] = np.nan
    path = with_observations(plain, sshf=observed, t2m=np.arange(60.0).reshape(20, 3) + 250.0)
    as_it_is = read_windows([plain, path], DEFAULT)
    found = read_windows([plain, path], DEFAULT, observed=Wanted(("sshf", "t2m")))
    by_source = [found.diagnostics[found.source.repeat(found.n_windows) == k].reshape(3, 19, -1) for k in (0, 1)]
    before = as_it_is.diagnostics.reshape(6, 19, -1)
    np.testing.assert_array_equal(by_source[0], before[:3])
    sshf, t2m = DIAGNOSTICS.index("sshf"), DIAGNOSTICS.index("t2m")
    others = [k for k in range(len(DIAGNOSTICS)) if k not in (sshf, t2m)]
    np.testing.assert_array_equal(by_source[1][..., others], before[3:][..., others])
    # A flux with the label of its window, what is at the window's end with the next one.
    np.testing.assert_array_equal(by_source[1][..., sshf], observed[:19].T.astype("f4"))
    np.testing.assert_array_equal(by_source[1][..., t2m], (np.arange(60.0).reshape(20, 3) + 250.0)[1:].T.astype("f4"))
    assert any("observed.nc: sshf is observed, in 56 of 60 windows" in line for line in found.history)
    statistics = measure(found, DEFAULT)
    assert np.isfinite([one.normalisation.std for one in statistics.diagnostics]).all()


def test_what_was_observed_is_learnt_and_gaps_teach_nothing(tmp_path):
    """Sensible heat is observed 60 W m-2 above ecLand's in one half of the windows; the rest stays what it was."""
    plain = write_columns(tmp_path / "a.nc", n_columns=4, n_times=60)
    start, _ = trained(tmp_path / "start", plain, network=LAYER_NORM, optimiser={"learning_rate": 1e-9})
    with xr.open_dataset(plain) as data:
        truth = data.sshf.values
    wanted = truth + 60.0
    wanted[::2] = np.nan
    path = with_observations(plain, sshf=wanted)
    k, biases = DIAGNOSTICS.index("sshf"), {}
    for name, observed in (("ecland", []), ("observed", ["sshf"])):
        model, _ = trained(
            tmp_path / name,
            path,
            tmp_path / "start" / "model.nc",
            data={"train": ["observed.nc"], "validation_fraction": 0.0, "observed": observed},
            stages=[{"iterations": 150, "steps": 1, "batch": 32}],
            optimiser={"learning_rate": 0.02, "warmup_iterations": 1, "average_decay": 0.9},
            adaptation={"learns": "bias_correction"},
            augmentation={"static_noise": 0.0},
        )
        scale = start.diagnostics[k].normalisation.scale
        biases[name] = model.parameters["diagnostic.1.bias"].astype(float) * scale
    difference = biases["observed"] - biases["ecland"]
    assert difference[k] == pytest.approx(60.0, rel=0.25)
    assert np.abs(np.delete(difference, k)).max() < 1e-3 * scale
    with pytest.raises(InputError, match=r"'data\.observed\.sshg': no such diagnostic"):
        read_settings(Configuration, OPTIONS | {"data": {"train": ["a.nc"], "observed": ["sshg"]}})
