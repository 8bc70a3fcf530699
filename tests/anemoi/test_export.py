"""Models as inference checkpoints of anemoi: its own results, alone and through its runner, are the model's."""

from __future__ import annotations

import datetime
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("anemoi.models", reason="anemoi-models is not installed")

import torch
import xarray as xr
from anemoi.inference.config.run import RunConfiguration
from anemoi.inference.runners.default import DefaultRunner
from anemoi.utils.checkpoints import load_metadata
from anemoi_networks import ACTIVATIONS, make_checkpoint
from anemoi_reference import REFERENCES, error, read, reference, spread
from point_wise_models import point_wise_model, some_inputs
from training_files import columns, write_anemoi_store

import ailand_gt4py
from ailand_gt4py.cli.main import main
from ailand_gt4py.core.settings import read_settings
from ailand_gt4py.emulator.forcing import ForcingAssembler
from ailand_gt4py.io.sources import open_source
from ailand_gt4py.training import session
from ailand_gt4py.training.configuration import Configuration
from ailand_gt4py.weights import Model, import_checkpoint
from ailand_gt4py.weights.processing import Bounding, PointWise

SAME = ("static", "forcing", "state", "diagnostics", "point_wise", "boundings", "step_seconds")


def predictions(path: Path, x: np.ndarray, inputs: list[str], outputs: list[str]) -> np.ndarray:
    """anemoi's results (samples, nodes, outputs) from (samples, times, nodes, inputs), in the order of the names."""
    interface = torch.load(path, weights_only=False).eval()
    if x.dtype == np.float64:
        interface.double()
    order = load_metadata(path)["metadata_inference"]["data"]["data_indices"]
    given = torch.tensor(x[..., [inputs.index(name) for name in order["input"]]])
    y = torch.cat([interface.predict_step({"data": one[None]})["data"][0, 0] for one in given])
    return y.numpy()[..., [list(order["output"]).index(name) for name in outputs]]


def require_same(found: Model, expected: Model) -> None:
    """The same model after there and back, to the bit."""
    for name in SAME:
        assert getattr(found, name) == getattr(expected, name), name
    assert found.parameters.keys() == expected.parameters.keys()
    for name, array in expected.parameters.items():
        np.testing.assert_array_equal(found.parameters[name], array, err_msg=name)


@pytest.mark.parametrize("name", REFERENCES)
def test_trained_by_anemoi_and_back(shared: Path, tmp_path: Path, name: str) -> None:
    _, expected = reference(shared, name)
    model = import_checkpoint(shared / "anemoi" / f"{name}.ckpt")
    where = {key: expected[key] for key in ("latitudes", "longitudes")} if model.nodes is None else {}
    path = tmp_path / "out.ckpt"
    ailand_gt4py.export_checkpoint(model, path, **where)
    names = [expected[key].tolist() for key in ("in_names", "out_names")]
    scale = spread(expected["y64"])
    assert error(predictions(path, expected["x"], *names), expected["y64"], scale) <= 2e-5
    assert error(predictions(path, expected["x"].astype(np.float64), *names), expected["y64"], scale) <= 1e-11
    back = import_checkpoint(path)
    assert all(np.array_equal(back.parameters[key], array) for key, array in model.parameters.items())
    if model.nodes is not None:
        for key, values in vars(model.nodes).items():
            np.testing.assert_array_equal(getattr(back.nodes, key), values)


@pytest.mark.parametrize("seed", range(len(ACTIVATIONS)))
def test_made_by_anemoi_and_back(tmp_path: Path, seed: int) -> None:
    """All activations, processors and boundings."""
    path, out = tmp_path / "inference-last.ckpt", tmp_path / "out.ckpt"
    x, y = make_checkpoint(
        path, seed, n_times=1 + seed % 3, ratio=(4, 1, 2)[seed % 3], latent_skip=seed % 2 == 0,
        n_trainable=3 * (seed % 2), dropout=0.0,
    )  # fmt: skip
    model, found = import_checkpoint(path), read(path)
    where = {"latitudes": np.linspace(-50, 60, 7), "longitudes": np.linspace(2, 340, 7)}
    ailand_gt4py.export_checkpoint(model, out, **(where if model.nodes is None else {}))
    names = [[one.name for one in group] for group in (found.inputs, found.outputs)]
    np.testing.assert_allclose(predictions(out, x.astype(np.float64), *names), y, rtol=1e-11, atol=1e-11)
    back = import_checkpoint(out)
    assert back.point_wise == model.point_wise
    assert all(np.array_equal(back.parameters[key], array) for key, array in model.parameters.items())
    ailand_gt4py.export_checkpoint(back, out, **(where if model.nodes is None else {}), overwrite=True)
    require_same(import_checkpoint(out), back)


@pytest.mark.parametrize("n_times", [1, 3])
def test_normalisers_and_bounds_of_our_own(tmp_path: Path, n_times: int) -> None:
    """Statistics that single precision does not hold go into the network; no coordinates, several blocks."""
    model = point_wise_model(
        (4, 3, 3, 3), n_times=n_times, depth=3, ratio=1.0, network=PointWise("sine", (1.3, 0.2), False, 1e-3),
        boundings=(
            Bounding("fraction", ("diagnostic_0",), (0.0,), (1.0,), 0.0, "state_1"),
            Bounding("clip", ("state_0", "state_2"), (-0.5, 0.0), (0.5, np.inf), 0.01),
        ),
        processings=("affine",),
    )  # fmt: skip
    path = tmp_path / "out.ckpt"
    latitudes = np.linspace(-20.0, 20.0, 5)
    ailand_gt4py.export_checkpoint(model, path, latitudes=latitudes, longitudes=latitudes)
    back = import_checkpoint(path)
    assert back.boundings == model.boundings
    inputs = some_inputs(model, 5)
    found = read(path)
    by_name = {
        one.name: values
        for group, array in zip((model.static, model.forcing, model.state), inputs, strict=True)
        for one, values in zip(group, array.T, strict=True)
    }
    suffixes = ["", "_before", "_before2"][:n_times]
    names = [one.name for one in found.inputs]
    x = np.stack([[by_name.get(f"{name}{end}", by_name[name]) for name in names] for end in reversed(suffixes)])
    outputs = [one.name for one in found.outputs]
    y = predictions(path, x.transpose(0, 2, 1)[None], names, outputs)[0]
    state, diagnostics = ailand_gt4py.Emulator(model, 5, "embedded", "float64").step(*inputs)
    np.testing.assert_allclose(y, np.concatenate([state[:, :3], diagnostics], axis=1), rtol=1e-11, atol=1e-11)


# ------------------------------------------------------------------------------------------------------- trained here

OPTIONS = {
    "data": {"train": ["a.nc"], "validation_fraction": 0.0},
    "variables": {
        "static": ["clim_cvh", "clim_theta_sat"],
        "forcing": ["met_tair", "met_qair", "met_rainf", "cos_julian_day", "sin_local_time", "insolation"],
        "state": ["swvl1", "stl1", "snowc", "sd"],
        "diagnostics": ["t2m", "sshf"],
    },
    "network": {"architecture": "point_wise", "channels": 16, "layers": 2, "ratio": 2.0, "input_steps": 2},
    "stages": [{"iterations": 60, "steps": 2, "batch": 32}],
    "optimiser": {"learning_rate": 0.01, "warmup_iterations": 5, "average_decay": 0.9},
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A file to train on, and the same as a store of anemoi-datasets in the units of the model."""
    directory = tmp_path_factory.mktemp("data")
    found = columns(n_times=60)
    found["snowc"] = (found.snowc.dims, (found.snowc / 100.0).values, {"units": "1"})
    found.to_netcdf(directory / "a.nc")
    described = {str(name): {"units": found[name].attrs["units"]} for name in found if name != "climate"}
    return directory / "a.nc", write_anemoi_store(directory / "a.zarr", found, variables_metadata=described)


@pytest.fixture(scope="module")
def trained(data: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[Model, Path]:
    """A model trained here and its checkpoint, made by the command."""
    directory = tmp_path_factory.mktemp("trained")
    options = read_settings(Configuration, OPTIONS | {"run": {"directory": str(directory)}})
    model = session.train(options, [data[0]], directory / "model.nc", False, "ailand train", print)
    words = ["model", "export", directory / "model.nc", directory / "model.ckpt", "--format", "anemoi"]
    assert main([*map(str, words), "--grid", str(data[0])]) == 0
    return model, directory / "model.ckpt"


class Recorded(DefaultRunner):
    """anemoi's own runner, which keeps its states."""

    def prepare_output_state(self, output, return_numpy):
        self.states = []
        for states in super().prepare_output_state(output, return_numpy):
            self.states.append({name: field.copy() for name, field in states["data"]["fields"].items()})
            yield states


def test_ten_steps_of_anemoi_inference_are_those_of_the_emulator(
    data: tuple[Path, Path], trained: tuple[Model, Path]
) -> None:
    """With the weather of a data set, and what anemoi computes of time and location."""
    model, path = trained
    start = datetime.datetime(2021, 3, 5)
    configuration = RunConfiguration(
        checkpoint=str(path), input={"dataset": {"dataset": str(data[1])}}, output="none", date=start,
        lead_time="60h", device="cpu",
    )  # fmt: skip
    runner = Recorded(configuration)
    runner.execute()
    assert len(runner.states) == 10
    before = np.datetime64(start) - np.timedelta64(6, "h")
    with open_source(data[0], model, start=before, end=np.datetime64(start) + np.timedelta64(60, "h")) as source:
        static, given, times = source.static, source.forcing(0, 11).copy(), source.times
        state = source.reference([one.name for one in model.state], 0, 2)[1].astype(np.float64)
        forcing = np.empty((11, source.n_columns, len(model.forcing)))
        assembler = ForcingAssembler(model.forcing, source.latitude, source.longitude)
        assembler.assemble(forcing, given, times, model.step_seconds)
    for precision, of_step, of_all in (("float64", 2e-5, 5e-5), ("float32", 2e-5, 5e-5)):
        emulator = ailand_gt4py.Emulator(model, len(static), "embedded", precision)
        now = [values.astype(precision) for values in (static, forcing[1:], state)]
        after = now[2]
        for step, fields in enumerate(runner.states):
            after, diagnosed = emulator.step(now[0], now[1][step], after)
            results = zip(
                (*model.state[:4], *model.diagnostics), np.concatenate([after[:, :4], diagnosed], 1).T, strict=True
            )
            for variable, values in results:
                difference = np.abs(fields[variable.name] - values).max() / variable.normalisation.scale
                assert difference <= (of_step if step == 0 else of_all), (step, variable.name, difference)
    moved = np.abs(runner.states[-1]["stl1"] - state[:, 1]).max()
    assert moved > 0.5


def test_a_model_trained_here_comes_back(trained: tuple[Model, Path]) -> None:
    """The same network: bounds are now in its space, normalisers in single precision."""
    model, path = trained
    back = import_checkpoint(path)
    for group in ("static", "forcing", "state", "diagnostics"):
        pairs = list(zip(getattr(back, group), getattr(model, group), strict=True))
        found, expected = (
            [(one.name, one.units, one.derived, one.time_meaning) for one in side] for side in zip(*pairs, strict=True)
        )
        assert found == expected
    assert (back.step_seconds, back.point_wise, back.n_prognostic) == (21600.0, model.point_wise, 4)
    rng = np.random.default_rng(0)
    inputs = [
        np.stack([rng.uniform(one.training_minimum, one.training_maximum, 20) for one in group], axis=-1)
        for group in (model.static, model.forcing, model.state)
    ]
    found, expected = (ailand_gt4py.Emulator(one, 20, "embedded", "float64").step(*inputs) for one in (back, model))
    for values, others, group in zip(found, expected, (model.state, model.diagnostics), strict=True):
        scale = np.array([one.normalisation.scale for one in group])
        assert (np.abs(values - others) / scale).max() <= 2e-6


def test_what_a_checkpoint_says_of_itself(data: tuple[Path, Path], trained: tuple[Model, Path]) -> None:
    _, path = trained
    said, arrays = load_metadata(path, supporting_arrays=True)
    own = said["metadata_inference"]["data"]
    assert own["variable_types"]["prognostic"] == ["swvl1", "stl1", "snowc", "sd"]
    assert own["variable_types"]["forcing"][-2:] == ["clim_cvh", "clim_theta_sat"]
    assert own["timesteps"]["timestep"] == "6h"
    described = said["dataset"]["data"]["variables_metadata"]
    assert described["insolation"] == {"units": "1", "computed_forcing": True, "constant_in_time": False}
    assert described["clim_cvh"]["constant_in_time"]
    assert described["stl1"]["units"] == "K"
    assert said["ailand_gt4py"]["command"] == "ailand train"
    with xr.open_dataset(data[0]) as there:
        np.testing.assert_allclose(arrays["data"]["latitudes"], there.lat.values)
    with zipfile.ZipFile(path) as archive:
        text = archive.read(next(name for name in archive.namelist() if name.endswith("anemoi.json"))).decode()
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def test_nothing_is_half_written(trained: tuple[Model, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, _ = trained
    where = {"latitudes": np.zeros(3), "longitudes": np.zeros(3)}
    path = tmp_path / "out.ckpt"
    path.write_text("other")
    with pytest.raises(ailand_gt4py.InputError, match=r"out\.ckpt: exists; expected a new name, or overwrite=True"):
        ailand_gt4py.export_checkpoint(model, path, **where)
    monkeypatch.setattr(
        "anemoi.utils.checkpoints.save_metadata", lambda *_, **__: (_ for _ in ()).throw(OSError("full"))
    )
    with pytest.raises(ailand_gt4py.RunError, match=r"out\.ckpt: writing it failed: full"):
        ailand_gt4py.export_checkpoint(model, path, **where, overwrite=True)
    assert path.read_text() == "other"
    assert list(tmp_path.iterdir()) == [path]
    monkeypatch.undo()
    ailand_gt4py.export_checkpoint(model, path, **where, overwrite=True)
    assert import_checkpoint(path).parameter_count > 0
