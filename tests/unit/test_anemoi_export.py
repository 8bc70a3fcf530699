"""Models as anemoi has them, without anemoi: the same steps in its order and space, and what it has no place for."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import math
from pathlib import Path

import numpy as np
import pytest
from anemoi_reference import checkpoint_step, inputs
from hypothesis import given, settings
from hypothesis import strategies as st
from point_wise_models import PROCESSINGS, point_wise_model, reference_step, some_inputs, with_missing

from ailand_gt4py import export_checkpoint, read_model
from ailand_gt4py.cli.main import main
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.training.exports import FORMATS, Columns, ExportFormat, find_format
from ailand_gt4py.training.exports.anemoi import configuration
from ailand_gt4py.weights import Model, Normalisation, Variable, write_model
from ailand_gt4py.weights.checkpoints.anemoi import converted
from ailand_gt4py.weights.checkpoints.anemoi.as_anemoi import as_anemoi
from ailand_gt4py.weights.checkpoints.anemoi.checkpoint import AnemoiCheckpoint
from ailand_gt4py.weights.processing import Bounding, Nodes, PointWise, Step
from ailand_gt4py.weights.variables import CATALOGUE, NODE_COORDINATES

EXAMPLE = Path(__file__).parents[2] / "examples" / "column_run" / "ecland_columns.nc"
N = 6
WHERE = np.linspace(-60.0, 80.0, N), np.linspace(-170.0, 300.0, N)
NORMALISATIONS = (
    Normalisation("mean-std", mean=0.412345678, std=0.123456789),
    Normalisation("mean-std", mean=-0.3, std=2.7, epsilon=1e-5),
    Normalisation("max", maximum=0.87654321),
    Normalisation("std", std=0.3333333),
    Normalisation("min-max", minimum=-0.1, maximum=1.7),
    Normalisation("none"),
)


def changed(group: tuple[Variable, ...], **changes: object) -> tuple[Variable, ...]:
    return tuple(dataclasses.replace(one, **changes) for one in group)


def with_statistics(model: Model, turn: int) -> Model:
    """Of variables without a processing, other statistics in turn, also at earlier times; forcing with logarithms."""
    groups = {}
    for name in ("static", "forcing", "state", "diagnostics"):
        groups[name] = tuple(
            one
            if one.processing
            else dataclasses.replace(one, normalisation=NORMALISATIONS[(turn + k) % len(NORMALISATIONS)])
            for k, one in enumerate(getattr(model, name))
        )
    logarithm = Normalisation("log", mean=-1.1, std=0.777, minimum=0.2)
    of = [one for one in groups["forcing"] if one.name.startswith("forcing_0")]
    groups["forcing"] = tuple(
        dataclasses.replace(one, normalisation=logarithm) if one in of and not one.processing else one
        for one in groups["forcing"]
    )
    return dataclasses.replace(model, **groups)


def with_coordinates(model: Model) -> Model:
    """Two of the static inputs are coordinates of the column."""
    names = NODE_COORDINATES[1:3]
    static = (*(CATALOGUE[name].variable() for name in names), *model.static[2:])
    return dataclasses.replace(model, static=static)


def in_anemoi_order(found: AnemoiCheckpoint, model: Model, static: np.ndarray, forcing: np.ndarray, state: np.ndarray):
    """(n_times, n_columns, n_inputs) of a model's inputs; what is of no time of the model is as at the newest."""
    values = {
        one.name: array[:, k]
        for group, array in ((model.static, static), (model.forcing, forcing), (model.state, state))
        for k, one in enumerate(group)
    }
    suffixes = ["", "_before", *(f"_before{k}" for k in range(2, found.n_times))][: found.n_times]
    names = [one.name for one in found.inputs]
    return np.stack([
        np.stack([values.get(f"{name}{suffix}", values[name]) for name in names], axis=-1)
        for suffix in reversed(suffixes)
    ])  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(
    turn=st.integers(0, 50),
    n_times=st.integers(1, 3),
    processings=st.lists(st.sampled_from(sorted(PROCESSINGS)), min_size=1, max_size=4),
    has_coordinates=st.booleans(),
)
def test_a_step_is_the_same_in_anemois_order(turn, n_times, processings, has_coordinates):
    """To rounding: whatever single precision does not hold of a normaliser is in the network."""
    model = with_statistics(point_wise_model(n_times=n_times, seed=turn, processings=processings), turn)
    model = with_coordinates(model) if has_coordinates else model
    found = as_anemoi(model, *WHERE)
    static, forcing, state = with_missing(model, some_inputs(model, N, seed=turn), seed=turn)
    if has_coordinates:
        static[:, 0], static[:, 1] = found.coordinates[:, 1], found.coordinates[:, 2]
    expected, diagnostics = reference_step(model, static, forcing, state)
    y = checkpoint_step(found, in_anemoi_order(found, model, static, forcing, state))["y"]
    expected = np.concatenate([expected[:, : model.n_prognostic], diagnostics], axis=1)
    np.testing.assert_allclose(y, expected, rtol=1e-9, atol=1e-9)
    back = converted(found)
    again = as_anemoi(back, *WHERE)
    for name, values in found.parameters.items():
        np.testing.assert_allclose(again.parameters[name], values, rtol=1e-14, atol=1e-14, err_msg=name)
    static, forcing, state = inputs(back, found, in_anemoi_order(found, model, static, forcing, state))
    results = reference_step(back, static, forcing, state)
    np.testing.assert_allclose(
        np.concatenate([results[0][:, : back.n_prognostic], results[1]], axis=1), expected, rtol=1e-9, atol=1e-9
    )


def test_normalisers_are_in_single_precision_and_the_rest_in_the_network():
    model = with_statistics(point_wise_model(n_times=2), 0)
    found = as_anemoi(model, *WHERE)
    for one in (*found.inputs, *found.outputs):
        for step in one.processing:
            if step.kind == "affine":
                assert all(float(np.float32(number)) == number for number in step.parameters)
    assert [one.name for one in found.inputs][:3] == ["forcing_0", "forcing_1", "forcing_2"]
    kinds = [step.kind for step in found.inputs[0].processing]
    assert kinds == ["boundary_atoms", "boxcox", "affine"]
    assert found.inputs[0].method == "mean-std"


def test_constant_inputs_whose_weights_are_sums_stay_what_they_are():
    """Of two numbers in single precision that no single one holds."""
    model = point_wise_model(n_times=2, processings=("affine",))
    weight = model.parameters["encoder.0.weight"].astype(np.float64)
    weight[:, :4] += 1e-9
    model = dataclasses.replace(model, parameters={**model.parameters, "encoder.0.weight": weight})
    rounded = {name: array.astype(np.float32) for name, array in as_anemoi(model, *WHERE).parameters.items()}
    back = converted(dataclasses.replace(as_anemoi(model, *WHERE), parameters=rounded))
    np.testing.assert_allclose(back.parameters["encoder.0.weight"][:, :4], weight[:, :4], rtol=1e-13)


def test_bounds_in_physical_units_are_boundings():
    model = point_wise_model(processings=("affine",))
    state = (
        dataclasses.replace(model.state[0], lower_bound=0.0, upper_bound=0.6),
        dataclasses.replace(model.state[1], lower_bound=0.45),
        model.state[2],
    )
    model = dataclasses.replace(model, state=state, diagnostics=changed(model.diagnostics, upper_bound=0.55))
    found = as_anemoi(model, *WHERE)
    static, forcing, start = some_inputs(model, N)
    new, diagnostics = reference_step(model, static, forcing, start)
    limits = [
        np.array([getattr(one, side) for one in (*model.state, *model.diagnostics)])
        for side in ("lower_bound", "upper_bound")
    ]
    results = np.concatenate([new, diagnostics], axis=1)
    expected = np.clip(results, *limits)
    assert (expected != results).any()
    y = checkpoint_step(found, in_anemoi_order(found, model, static, forcing, start))["y"]
    np.testing.assert_allclose(y, expected, rtol=1e-6)
    assert converted(found).boundings == found.boundings


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(sorted(PROCESSINGS)), min_size=1, max_size=8))
def test_processors_give_every_variable_its_steps_in_their_order(processings):
    found = as_anemoi(point_wise_model(processings=processings), *WHERE)
    processors = configuration.processors(found)
    for variable in found.variables.values():
        of_it = [one.steps[variable.name] for one in processors.values() if variable.name in one.steps]
        assert of_it == list(variable.processing)
    for one in processors.values():
        methods = one.configuration(found.variables)["config"]
        named = [name for key, names in methods.items() if isinstance(names, list) for name in names]
        assert sorted(named) == sorted(
            name for name in one.steps if one.kind != "normalizer" or found.variables[name].method != "none"
        )
    assert "normalizer" in processors


def test_a_remapper_has_one_set_of_arguments_for_each_method():
    model = point_wise_model(processings=("asinh", "scale"))
    other = (Step("asinh", (2.0,)), *PROCESSINGS["asinh"][1:])
    model = dataclasses.replace(model, state=changed(model.state, processing=other))
    found = as_anemoi(model, *WHERE)
    processors = configuration.processors(found)
    assert list(processors) == ["remapper", "remapper_2", "normalizer"]
    arguments = [
        processors[name].configuration(found.variables)["config"]["method_kwargs"] for name in list(processors)[:2]
    ]
    assert sorted(one["asinh"]["c"] for one in arguments) == [2.0, 4.0]


def test_boundings_are_layers_of_equal_bounds():
    one = Bounding("clip", ("a", "b", "c", "d"), (0.0, -1.0, 0.0, -math.inf), (math.inf, 1.0, math.inf, 2.0), 0.01)
    most = float(np.finfo(np.float32).max)
    layers = [(layer.pop("_target_").rpartition(".")[2], layer) for layer in configuration.boundings(one)]
    assert layers == [
        ("LeakyReluBounding", {"variables": ["a", "c"]}),
        ("LeakyHardtanhBounding", {"variables": ["b"], "min_val": -1.0, "max_val": 1.0}),
        ("LeakyHardtanhBounding", {"variables": ["d"], "min_val": -most, "max_val": 2.0}),
    ]
    fraction = Bounding("fraction", ("a",), (0.0,), (1.0,), 0.0, "b")
    (layer,) = configuration.boundings(fraction)
    assert layer["_target_"].endswith(".FractionBounding")
    assert (layer["min_val"], layer["max_val"], layer["total_var"]) == (0.0, 1.0, "b")


# ------------------------------------------------------------------------------------------- what it has no place for


def tied(model: Model) -> Model:
    static = (*model.static[:-1], dataclasses.replace(model.static[-1], name="node_trainable_0"))
    nodes = Nodes(*WHERE, np.arange(N, dtype=np.float64)[:, None])
    return dataclasses.replace(model, static=static, nodes=nodes)


def of_two_widths() -> Model:
    model, other = point_wise_model(ratio=2.0), point_wise_model(ratio=3.0)
    second = {name: array for name, array in other.parameters.items() if name.startswith("processor.1.")}
    return dataclasses.replace(model, parameters={**model.parameters, **second})


PLAIN = point_wise_model(processings=("affine",))
REFUSED = [
    (read_model, "the model has the architecture 'layer_norm', expected 'point_wise'"),
    (lambda: dataclasses.replace(PLAIN, step_seconds=0.0), "export as a checkpoint of anemoi: the model has no step"),
    (
        lambda: dataclasses.replace(
            PLAIN, forcing=(CATALOGUE["day_of_year_cos"].variable(Normalisation("none")), *PLAIN.forcing[1:])
        ),
        "forcing 'day_of_year_cos' is derived from time and location in a way that anemoi has not, expected some of",
    ),
    (
        lambda: dataclasses.replace(
            PLAIN, forcing=(CATALOGUE["cos_solar_zenith_angle"].variable(Normalisation("none")), *PLAIN.forcing[1:])
        ),
        "forcing 'cos_solar_zenith_angle' is derived from time and location in a way that anemoi has not",
    ),
    (of_two_widths, "the blocks have 12, 18 hidden units, expected one number"),
    (
        lambda: dataclasses.replace(PLAIN, boundings=(Bounding("clip", ("state_1",), (0.0,), (1.0,), 0.2),)),
        "the bounding of 'state_1' has the slope 0.2, expected 0 or 0.01",
    ),
    (
        lambda: dataclasses.replace(
            with_statistics(point_wise_model(), 0), boundings=(Bounding("clip", ("state_0",), (0.0,), (1.0,)),)
        ),
        "a bounding is of 'state_0', whose normaliser single precision does not hold",
    ),
    (
        lambda: (
            lambda one: dataclasses.replace(one, state=changed(one.state, lower_bound=0.0))
        )(point_wise_model(processings=("sqrt",))),
        "variable 'state_0' has bounds and is remapped or imputed",
    ),
    (
        lambda: (
            lambda one: dataclasses.replace(
                one, forcing=(*one.forcing[:3], *changed(one.forcing[3:], processing=PROCESSINGS["log1p"]))
            )
        )(point_wise_model(n_times=2, processings=("affine",))),
        "variable 'forcing_0_before' is processed in another way than 'forcing_0', expected the same at all times",
    ),
    (
        lambda: dataclasses.replace(PLAIN, static=(*changed(PLAIN.static[:1], name="a b"), *PLAIN.static[1:])),
        "the model's variable 'a b' cannot be a variable of a file",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("make", "message"), REFUSED, ids=range(len(REFUSED)))
def test_what_anemoi_has_no_place_for_is_refused_by_name(make, message, tmp_path):
    with pytest.raises(InputError, match=message):
        export_checkpoint(make(), tmp_path / "out.ckpt", latitudes=WHERE[0], longitudes=WHERE[1])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("make", "latitudes", "longitudes", "message"),
    [
        (lambda: PLAIN, None, None, "has fixed columns, expected their latitudes and longitudes"),
        (lambda: PLAIN, WHERE[0], WHERE[1][:3], r"latitudes \(6,\) and longitudes \(3,\), expected \(n,\) of both"),
        (lambda: PLAIN, np.array([91.0]), np.array([0.0]), "expected degrees, -90 to 90"),
        (lambda: PLAIN, np.array([np.nan]), np.array([0.0]), "expected degrees, -90 to 90"),
        (lambda: tied(PLAIN), *WHERE, "the model is tied to its own columns, expected no others"),
    ],
)
def test_columns_that_do_not_fit(make, latitudes, longitudes, message, tmp_path):
    with pytest.raises(InputError, match=message):
        export_checkpoint(make(), tmp_path / "out.ckpt", latitudes=latitudes, longitudes=longitudes)


def test_a_model_that_is_tied_to_its_columns_says_them():
    found = as_anemoi(tied(PLAIN), None, None)
    np.testing.assert_array_equal(found.trainable[:, 0], np.arange(N))
    np.testing.assert_array_equal(found.latitudes, WHERE[0])
    assert converted(found).nodes is not None


def test_columns_of_a_file():
    columns = Columns.of_file(EXAMPLE)
    assert columns.latitudes.shape == columns.longitudes.shape == (5,)
    assert columns.latitudes[0] == pytest.approx(50.1565, abs=1e-4)


def test_another_format_is_one_more_entry(tmp_path, monkeypatch):
    def prepare(model, columns, precision):
        return lambda path: path.write_text(f"{model.architecture} {columns.latitudes is None}")

    monkeypatch.setattr(FORMATS, "_items", [*FORMATS.items(), ExportFormat("text", "nothing", prepare)])
    assert find_format("text").meaning == "nothing"
    export_checkpoint(PLAIN, tmp_path / "out.txt", format="text")
    assert (tmp_path / "out.txt").read_text() == "point_wise True"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["MODEL", "out.ckpt"], "option --grid is missing; expected a file of the columns"),
        (["MODEL", "out.ckpt", "--format", "tea"], "format 'tea' is unknown, expected one of anemoi, onnx"),
        (
            ["MODEL", "there.ckpt", "--grid", "GRID"],
            "output there.ckpt exists, expected a name that is free, or --overw",
        ),
        (["MODEL", "nowhere/out.ckpt", "--grid", "GRID"], "nowhere/out.ckpt: cannot be written"),
        (["MODEL", "out.ckpt", "--grid", "none.nc"], "none.nc"),
        (["none.nc", "out.ckpt", "--grid", "GRID"], "model file 'none.nc' does not exist"),
        (["MODEL"], "OUT is missing"),
    ],
)
def test_command_names_what_is_wrong(words, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_model(PLAIN, "model.nc")
    Path("there.ckpt").write_text("there")
    given = [{"MODEL": "model.nc", "GRID": str(EXAMPLE)}.get(word, word) for word in words]
    assert main(["model", "export", *given]) == 2
    assert message in capsys.readouterr().err
    assert not Path("out.ckpt").exists()


@pytest.mark.parametrize(("found", "message"), [(None, "which is not installed"), ("0.18.2", "0.19, found 0.18.2")])
def test_without_the_right_anemoi_it_is_said_what_to_install(found, message, tmp_path, monkeypatch):
    def version(package):
        if package == "anemoi-models" and found is None:
            raise importlib.metadata.PackageNotFoundError(package)
        return found

    monkeypatch.setattr(importlib.metadata, "version", version)
    with pytest.raises(InputError, match=rf"anemoi-models,? {message}; .*pip install 'ailand_gt4py\[anemoi-export\]'"):
        export_checkpoint(PLAIN, tmp_path / "out.ckpt", latitudes=WHERE[0], longitudes=WHERE[1])
    assert not list(tmp_path.iterdir())


def test_activations_and_epsilon_are_kernels():
    for network in (
        PointWise("gelu_tanh"),
        PointWise("softplus", (2.0, 5.0), False, 1e-3),
        PointWise("sine", (1.0, 0.5)),
    ):
        found = configuration.model(as_anemoi(point_wise_model(network=network), *WHERE))
        kernels = found["processor"]["layer_kernels"]
        assert kernels["LayerNorm"]["eps"] == network.epsilon
        activation = dict(kernels["Activation"])
        kind = activation.pop("_target_").rpartition(".")[2]
        expected = {
            "gelu_tanh": ("GELU", {"approximate": "tanh"}),
            "softplus": ("Softplus", {"beta": 2.0, "threshold": 5.0}),
            "sine": ("Sine", {"w": 1.0, "phi": 0.5}),
        }
        assert (kind, activation) == expected[network.activation]
        assert found["model"]["latent_skip"] == network.latent_skip
