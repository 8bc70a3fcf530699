"""A model's step as a graph of ONNX does what `Emulator.step` does, in ONNX Runtime, without this package."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from network_reference import forward
from point_wise_models import ACTIVATIONS, PROCESSINGS, point_wise_model, reference_step, some_inputs, with_missing
from random_models import random_model

import ailand_gt4py
from ailand_gt4py import Emulator, InputError, RunError, export_checkpoint, read_model, write_model
from ailand_gt4py.cli.main import main
from ailand_gt4py.emulator.forcing import ForcingAssembler
from ailand_gt4py.io.sources import open_source
from ailand_gt4py.training import exports
from ailand_gt4py.training.exports import onnx as onnx_format
from ailand_gt4py.weights.model import Model
from ailand_gt4py.weights.processing import Bounding, Nodes, PointWise

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")

EXAMPLE = Path(__file__).parents[2] / "examples" / "column_run" / "ecland_columns.nc"
PAGE = Path(__file__).parents[2] / "docs" / "onnx.md"
NAMES = ("static", "forcing", "state")
#: Largest difference over one plus the value.
TOLERANCE = {"float32": 2e-6, "float64": 2e-14}
N_STEPS = 4

PHYSICAL = random_model("layer_norm", (8, 3, 4, 3), bounded_by_others=True, soil_heat=True, soil_water=True)
MODELS = {
    "simple": random_model("simple"),
    "two_branch": random_model("two_branch"),
    "layer_norm": random_model("layer_norm", depth=3),
    "bounds": random_model("layer_norm", bounded_by_others=True),
    "soil heat": random_model("layer_norm", (8, 3, 4, 3), soil_heat=True),
    "frost and bounds": PHYSICAL,
}
STEPS = tuple(PROCESSINGS)
POINT_WISE = {
    **{name: point_wise_model(network=PointWise(name, numbers)) for name, (numbers, _) in ACTIVATIONS.items()},
    # Each processing once of an input and once of a result.
    "processing": point_wise_model((4, 3, 4, 4), processings=STEPS, n_times=2),
    "other processing": point_wise_model((4, 3, 4, 4), processings=STEPS[8:] + STEPS[:8], n_times=3),
    "boundings": point_wise_model(
        boundings=(
            Bounding("clip", ("state_0", "diagnostic_1"), (0.2, -0.1), (0.4, 0.1), slope=0.01),
            Bounding("fraction", ("diagnostic_0", "state_1"), (0.0, 0.0), (1.0, 1.0), total="diagnostic_2"),
        )
    ),
    "no diagnostics": point_wise_model((4, 3, 3, 0)),
}


def session(model: Model, path: Path, precision: str = "float32"):
    export_checkpoint(model, path, format="onnx", precision=precision)
    return runtime.InferenceSession(path, providers=["CPUExecutionProvider"])


def drawn(model: Model, n_columns: int, seed: int = 0) -> list[np.ndarray]:
    """Inputs about the means, float64."""
    random = np.random.default_rng(seed)
    groups = (model.static, model.forcing, model.state)
    moments = [np.array([(one.normalisation.shift, one.normalisation.scale) for one in group]) for group in groups]
    return [random.normal(one[:, 0], one[:, 1], (n_columns, len(one))) for one in moments]


def largest_difference(model: Model, inputs: list[np.ndarray], path: Path, precision: str) -> float:
    """Of results of both over several steps, each from its own state; forcing of one step or of several."""
    graph, (static, forcing, state) = session(model, path, precision), (one.astype(precision) for one in inputs)
    emulator = Emulator(model, len(static), "embedded", precision)
    theirs, differences = state, []
    for window in forcing if forcing.ndim == 3 else [forcing] * N_STEPS:
        state, diagnostics = emulator.step(static, window, state)
        theirs, *others = graph.run(None, dict(zip(NAMES, (static, window, theirs), strict=True)))
        for own, other in zip((state, diagnostics), (theirs, *others), strict=False):
            assert other.shape == own.shape
            assert other.dtype == own.dtype == precision
            np.testing.assert_array_equal(np.isnan(other), np.isnan(own))
            differences.append(np.nanmax(np.abs(other - own) / (1.0 + np.abs(own)), initial=0.0))
    return max(differences)


@pytest.mark.parametrize("precision", TOLERANCE)
@pytest.mark.parametrize("name", MODELS)
def test_steps_are_those_of_the_emulator(name, precision, tmp_path):
    model = MODELS[name]
    assert largest_difference(model, drawn(model, 37), tmp_path / "m.onnx", precision) <= TOLERANCE[precision]


@pytest.mark.parametrize("precision", TOLERANCE)
@pytest.mark.parametrize("name", POINT_WISE)
def test_steps_of_point_wise_networks_are_those_of_the_emulator(name, precision, tmp_path):
    """Missing values, which some of them admit, and earlier times among the inputs."""
    model = POINT_WISE[name]
    inputs = with_missing(model, some_inputs(model, 37))
    assert largest_difference(model, inputs, tmp_path / "m.onnx", precision) <= TOLERANCE[precision]


@pytest.mark.parametrize("precision", TOLERANCE)
def test_steps_of_the_model_that_ships_are_those_of_the_emulator(precision, tmp_path):
    """On ecLand's columns, from a first of January on."""
    model = read_model()
    with open_source(EXAMPLE, model) as source:
        n_steps = 12
        forcing = np.empty((n_steps, source.n_columns, len(model.forcing)))
        assembler = ForcingAssembler(model.forcing, source.latitude, source.longitude)
        assembler.assemble(forcing, source.forcing(0, n_steps), source.times[:n_steps], model.step_seconds)
        inputs = [source.static, forcing, source.initial_state]
    # Rounding of sums of fluxes of some hundred W m-2, and of the states of the steps before.
    most = {"float32": 5e-5, "float64": 1e-13}[precision]
    assert 0.0 < largest_difference(model, inputs, tmp_path / "m.onnx", precision) <= most


def test_results_are_right(tmp_path):
    """By the references in NumPy, which know neither GT4Py nor the program that the graph is made of."""
    model = MODELS["layer_norm"]
    inputs = drawn(model, 9)
    groups = (model.static, model.forcing, model.state)
    normalised = [
        (values - [one.normalisation.shift for one in group]) / [one.normalisation.scale for one in group]
        for values, group in zip(inputs, groups, strict=True)
    ]
    step = forward(model, *normalised)
    expected = (step.state, step.diagnostics)
    found = session(model, tmp_path / "m.onnx", "float64").run(None, dict(zip(NAMES, inputs, strict=True)))
    for values, right, group in zip(found, expected, (model.state, model.diagnostics), strict=True):
        scaled = (values - [one.normalisation.shift for one in group]) / [one.normalisation.scale for one in group]
        np.testing.assert_allclose(scaled, right, rtol=0.0, atol=1e-12)
    model = POINT_WISE["gelu"]
    inputs = some_inputs(model, 9)
    found = session(model, tmp_path / "p.onnx", "float64").run(None, dict(zip(NAMES, inputs, strict=True)))
    for values, right in zip(found, reference_step(model, *inputs), strict=True):
        np.testing.assert_allclose(values, right, rtol=0.0, atol=1e-12)


def test_any_number_of_columns_each_of_itself_alone(tmp_path):
    graph = session(PHYSICAL, tmp_path / "m.onnx")
    inputs = [one.astype(np.float32) for one in drawn(PHYSICAL, 11)]
    whole = graph.run(None, dict(zip(NAMES, inputs, strict=True)))
    inputs[1][4, 0] = np.nan
    spoilt = graph.run(None, dict(zip(NAMES, inputs, strict=True)))
    for found, right in zip(spoilt, whole, strict=True):
        assert np.isnan(found[4]).any()
        np.testing.assert_array_equal(np.delete(found, 4, axis=0), np.delete(right, 4, axis=0))
    (one, _) = graph.run(None, {name: values[:1] for name, values in zip(NAMES, inputs, strict=True)})
    np.testing.assert_allclose(one, whole[0][:1], rtol=1e-5)


def test_the_file_says_what_a_caller_has_to_know(tmp_path):
    path = tmp_path / "m.onnx"
    export_checkpoint(PHYSICAL, path, format="onnx")
    graph = onnx.load(path)
    onnx.checker.check_model(graph, full_check=True)
    assert [(one.domain, one.version) for one in graph.opset_import] == [("", 20)]
    assert graph.producer_version == ailand_gt4py.__version__
    known = {one.key: one.value for one in graph.metadata_props}
    assert known["step_seconds"] == "21600.0"
    assert known["provenance.licence"] == "Apache-2.0"
    variables = json.loads(known["variables"])
    assert [one["name"] for one in variables["state"]] == [one.name for one in PHYSICAL.state]
    assert variables["state"][0]["units"] == "m3 m-3"
    assert "upper_bound" not in variables["state"][0]  # infinite
    shapes = {
        one.name: [part.dim_param or part.dim_value for part in one.type.tensor_type.shape.dim]
        for one in (*graph.graph.input, *graph.graph.output)
    }
    assert shapes == {
        "static": ["n_columns", 8],
        "forcing": ["n_columns", 3],
        "state": ["n_columns", 4],
        "new_state": ["n_columns", 4],
        "diagnostics": ["n_columns", 3],
    }
    assert graph.graph.input[2].doc_string.startswith("swvl2 [m3 m-3], stl1 [K]")


def test_the_file_is_the_same_each_time(tmp_path):
    """Also in processes that hash otherwise."""
    write_model(PHYSICAL, tmp_path / "m.nc")
    code = "from ailand_gt4py.cli.main import main; import sys; sys.exit(main(sys.argv[1:]))"
    words = [sys.executable, "-c", code, "model", "export", "--format", "onnx", "m.nc"]
    for seed in ("1", "2"):
        environment = os.environ | {"PYTHONHASHSEED": seed}
        subprocess.run([*words, f"{seed}.onnx"], check=True, cwd=tmp_path, env=environment, capture_output=True)
    assert (tmp_path / "1.onnx").read_bytes() == (tmp_path / "2.onnx").read_bytes()


def test_the_example_of_the_page_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    export_checkpoint(read_model(), "model.onnx", format="onnx")
    (example,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    exec(compile(example, str(PAGE), "exec"), {})
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["6.0 h", "12.0 h", "18.0 h", "24.0 h"]
    assert all(230.0 < float(line.split()[-2]) < 330.0 for line in lines)


def test_half_a_file_is_not_left(tmp_path, monkeypatch):
    def fail(content, path):
        path.write_bytes(content[:100])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(onnx_format, "_write", fail)
    with pytest.raises(RunError, match="m.onnx: writing it failed: No space left on device"):
        export_checkpoint(PHYSICAL, tmp_path / "m.onnx", format="onnx")
    assert list(tmp_path.iterdir()) == []


def test_command(tmp_path, capsys):
    write_model(PHYSICAL, tmp_path / "m.nc")
    # Options stand anywhere.
    words = ["model", "export", str(tmp_path / "m.nc"), "--format", "onnx", str(tmp_path / "m.onnx")]
    assert main([*words, "--precision", "float64"]) == 0
    assert f"wrote {tmp_path / 'm.onnx'}: {PHYSICAL.parameter_count} parameters" in capsys.readouterr().out
    assert onnx.load(tmp_path / "m.onnx").graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.DOUBLE
    assert main(words) == 2
    assert "exists, expected a name that is free, or --overwrite" in capsys.readouterr().err
    assert main([*words, "--overwrite", "--grid", str(EXAMPLE)]) == 2
    assert "a graph of ONNX runs on any columns, expected no latitudes and longitudes" in capsys.readouterr().err


def tied(model: Model) -> Model:
    """With a number of each of three columns."""
    first = dataclasses.replace(model.static[0], name="node_trainable_0")
    nodes = Nodes(np.zeros(3), np.zeros(3), np.zeros((3, 1)))
    return dataclasses.replace(model, static=(first, *model.static[1:]), nodes=nodes)


def test_what_a_graph_has_no_place_for_is_one_line(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="tied to its own 3 columns by numbers of each, which a graph of ONNX has no"):
        export_checkpoint(tied(POINT_WISE["gelu"]), tmp_path / "m.onnx", format="onnx")
    with pytest.raises(InputError, match="precision: found 'bf16', expected one of float32, float64"):
        export_checkpoint(PHYSICAL, tmp_path / "m.onnx", format="onnx", precision="bf16")
    monkeypatch.setattr(onnx_format, "LARGEST", 1000)
    with pytest.raises(InputError, match=r"the model has \d+ bytes of weights in float64, expected at most 1000"):
        export_checkpoint(PHYSICAL, tmp_path / "m.onnx", format="onnx", precision="float64")
    assert list(tmp_path.iterdir()) == []


def test_without_onnx_it_is_said_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_format.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"needs onnx, which is not installed; .*'ailand_gt4py\[onnx-export\]'"):
        export_checkpoint(PHYSICAL, tmp_path / "m.onnx", format="onnx")


def test_anemoi_has_single_precision_only(tmp_path):
    with pytest.raises(InputError, match="a checkpoint of anemoi is in single precision, found 'float64'"):
        export_checkpoint(POINT_WISE["gelu"], tmp_path / "m.ckpt", precision="float64")
    assert {one.name for one in exports.FORMATS.items()} == {"anemoi", "onnx"}
