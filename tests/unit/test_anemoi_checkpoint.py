"""Import of anemoi's point-wise checkpoints: the same numbers as anemoi's own, and refusals by name."""

from __future__ import annotations

import functools
import importlib
import itertools
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from anemoi_files import DEGREES, Instance, Recipe, at, configured, recipe, write_checkpoint
from anemoi_reference import REFERENCES, checkpoint_step, error, inputs, read, reference, spread
from point_wise_models import reference_step

from ailand_gt4py.cli import main as cli
from ailand_gt4py.weights import Normalisation, import_checkpoint, read_model
from ailand_gt4py.weights.checkpoints.anemoi import converted
from ailand_gt4py.weights.checkpoints.anemoi.checkpoint import AnemoiCheckpoint
from ailand_gt4py.weights.processing import Bounding, Step, to_network, to_physical

# ------------------------------------------------------------------------------------- checkpoints that anemoi trained


@pytest.mark.parametrize("name", REFERENCES)
def test_a_step_is_that_of_anemoi(shared: Path, name: str) -> None:
    found, expected = reference(shared, name)
    assert [one.name for one in found.inputs] == expected["in_names"].tolist()
    assert [one.units for one in found.inputs] == expected["in_units"].tolist()
    assert [one.is_constant for one in found.inputs] == expected["in_constant"].tolist()
    assert [one.is_computed for one in found.inputs] == expected["in_computed"].tolist()
    assert [one.name for one in found.outputs] == expected["out_names"].tolist()
    assert found.step_seconds == 21600.0
    results = np.stack([checkpoint_step(found, x)["y"] for x in expected["x"]])
    scale = spread(expected["y64"])
    assert error(results, expected["y64"], scale) <= 1e-12
    assert error(results, expected["y32"].astype(np.float64), scale) <= 2e-5


@pytest.mark.parametrize("name", REFERENCES)
def test_every_stage_of_a_step_is_that_of_anemoi(shared: Path, name: str) -> None:
    found, expected = reference(shared, name)
    columns = expected["jac_columns"]
    results = checkpoint_step(found, expected["x"][int(expected["jac_date_index"])][:, columns], columns)
    stages = [key.removeprefix("mid_") for key in expected if key.startswith("mid_")]
    assert len(stages) >= 6
    for stage in stages:
        np.testing.assert_allclose(results[stage], expected[f"mid_{stage}"], rtol=1e-13, atol=1e-13, err_msg=stage)


@pytest.mark.parametrize("name", REFERENCES)
def test_a_rollout_of_the_model_is_that_of_anemoi(shared: Path, name: str) -> None:
    """The model keeps earlier states itself; forcing is anemoi's, of every input time."""
    found, expected = reference(shared, name)
    model = converted(found)
    n = model.n_prognostic
    order = [one.name for one in (*model.state[:n], *model.diagnostics)]
    columns = [order.index(one.name) for one in found.outputs]
    _, _, state = inputs(model, found, expected["rollout_x"][0].astype(np.float64))
    steps = []
    for x in expected["rollout_x"]:
        static, forcing, _ = inputs(model, found, x)
        state, diagnostics = reference_step(model, static, forcing, state)
        steps.append(np.concatenate([state[:, :n], diagnostics], axis=-1)[:, columns])
    results, scale = np.stack(steps), spread(expected["y64"])
    assert error(results, expected["rollout_y64"], scale) <= 1e-12
    assert error(results, expected["rollout_y32"].astype(np.float64), scale) <= 5e-5


@pytest.mark.parametrize("name", REFERENCES)
def test_the_model_is_complete(shared: Path, name: str) -> None:
    found, expected = reference(shared, name)
    model = import_checkpoint(shared / "anemoi" / f"{name}.ckpt")
    assert (model.architecture, model.normalised_space, model.step_seconds) == ("point_wise", False, 21600.0)
    constant = expected["in_names"][expected["in_constant"]].tolist()
    nodes = [f"node_{one}" for one in ("sin_latitude", "sin_longitude", "cos_latitude", "cos_longitude")]
    trainable = [f"node_trainable_{k}" for k in range(8 if name == "E" else 0)]
    assert [one.name for one in model.static] == [*constant, *nodes, *trainable]
    dynamic = expected["in_names"][~expected["in_constant"] & (expected["in_role"] == "forcing")].tolist()
    prognostic = expected["in_names"][expected["in_role"] == "prognostic"].tolist()
    for group, names in ((model.forcing, dynamic), (model.state, prognostic)):
        earlier = [f"{one}_before" for one in names] if found.n_times == 2 else []
        assert [one.name for one in group] == [*names, *earlier]
    assert [one.name for one in model.diagnostics] == [one for one in expected["out_names"] if one not in prognostic]
    assert (model.nodes is not None) == (name == "E")
    assert model.provenance["source_anemoi_models"] == "0.19.0"
    results = []
    for x in expected["x"]:
        new_state, diagnostics = reference_step(model, *inputs(model, found, x))
        values = dict(zip([one.name for one in model.state], new_state.T, strict=True))
        values |= dict(zip([one.name for one in model.diagnostics], diagnostics.T, strict=True))
        results.append(np.stack([values[one.name] for one in found.outputs], axis=-1))
    assert error(np.stack(results), expected["y64"], spread(expected["y64"])) <= 1e-12


# ----------------------------------------------------------------------------------- small checkpoints made for tests


def small(tmp_path: Path, **options: Any) -> tuple[Recipe, Instance, AnemoiCheckpoint]:
    made = Recipe(**options)
    tree, metadata = recipe(made)
    return made, tree, read(write_checkpoint(tmp_path / "a.ckpt", tree, metadata))


TORCH, ANEMOI = "torch.nn.modules.activation", "anemoi.models.layers.activations"
ACTIVATIONS = {
    "gelu": (f"{TORCH}.GELU", {"approximate": "none"}),
    "gelu_tanh": (f"{TORCH}.GELU", {"approximate": "tanh"}),
    "silu": (f"{TORCH}.SiLU", {}),
    "relu": (f"{TORCH}.ReLU", {}),
    "leaky_relu": (f"{TORCH}.LeakyReLU", {"negative_slope": 0.2}),
    "elu": (f"{TORCH}.ELU", {"alpha": 0.7}),
    "tanh": (f"{TORCH}.Tanh", {}),
    "softplus": (f"{TORCH}.Softplus", {"beta": 2.0, "threshold": 1.5}),
    "identity": ("torch.nn.modules.linear.Identity", {}),
    "sine": (f"{ANEMOI}.Sine", {"w": 3, "phi": 0.5}),
    "custom_relu": (f"{ANEMOI}.CustomRelu", {"threshold": 0.25}),
}


def module_of_torch(torch: Any, one: Instance) -> Callable[[Any], Any]:
    """What PyTorch computes for a stand-in: of its own class, with its attributes and tensors."""
    attributes = {key: value for key, value in one.state.items() if not key.startswith("_") and key != "training"}
    if one.kind == f"{ANEMOI}.Sine":
        return lambda x: torch.sin(attributes["w"] * x + attributes["phi"])
    if one.kind == f"{ANEMOI}.CustomRelu":
        return lambda x: torch.relu(x - attributes["threshold"]) + attributes["threshold"]
    module_name, _, name = one.kind.rpartition(".")
    if name == "Linear":
        attributes = dict(
            zip(("out_features", "in_features"), one.state["_parameters"]["weight"].array.shape, strict=True)
        )
    made = getattr(importlib.import_module(module_name), name)(**attributes).double().eval()
    arrays = {key: value.array for key, value in one.state["_parameters"].items() if value is not None}
    made.load_state_dict({key: torch.from_numpy(array).double() for key, array in arrays.items()})
    return made


def sequential(torch: Any, tree: Instance) -> Callable[[Any], Any]:
    layers = [module_of_torch(torch, one) for one in tree.state["_modules"].values()]
    return lambda x: functools.reduce(lambda values, layer: layer(values), layers, x)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("ratio", [1, 3])
def test_the_network_is_that_of_pytorch(tmp_path: Path, activation: str, ratio: int) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    kind = ACTIVATIONS[activation]
    _, tree, found = small(tmp_path, activation=kind, ratio=ratio, latent_skip=ratio == 3, epsilon=1e-3, dropout=0.1)
    assert found.network.activation == activation
    x = np.random.default_rng(1).normal(size=(2, 5, len(found.inputs)))
    results = checkpoint_step(found, x)
    with torch.no_grad():
        encoder = at(tree, "model.encoder.0.emb_nodes_src")
        encoded = latent = module_of_torch(torch, encoder)(torch.from_numpy(results["vector"]))
        for block in at(tree, "model.processor.proc").state["_modules"].values():
            latent = sequential(torch, at(block, "mlp"))(latent)
        latent = latent + encoded if ratio == 3 else latent
        decoded = sequential(torch, at(tree, "model.decoder.0.node_data_extractor"))(latent).numpy()
    np.testing.assert_allclose(results["decoded"], decoded, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("version", ["0.14.0", "0.15.1", "0.16.0", "0.17.0", "0.18.0", "0.19.0", "0.19.1.dev3"])
@pytest.mark.parametrize("n_times", [1, 2, 3])
def test_layouts_and_input_times(tmp_path: Path, version: str, n_times: int) -> None:
    made, tree, found = small(tmp_path, version=version, n_times=n_times, n_trainable=2, imputed={"stl1": 3.0})
    assert [one.name for one in found.inputs] == made.inputs
    assert [one.name for one in found.outputs] == made.outputs
    key = "0" if version.startswith("0.19") else "data"
    weight = at(tree, f"model.encoder.{key}.emb_nodes_src").state["_parameters"]["weight"].array
    np.testing.assert_array_equal(found.parameters["encoder.0.weight"], weight)
    model = converted(found)
    rng = np.random.default_rng(3)
    x = rng.normal(size=(n_times, made.n_nodes, len(made.inputs)))
    x[:, :, made.inputs.index("clim_cvh")] = x[0, :, made.inputs.index("clim_cvh")]
    x[0, 1, made.inputs.index("stl1")] = np.nan
    x[-1, 2, made.inputs.index("stl1")] = np.nan
    expected = checkpoint_step(found, x)["y"]
    static, forcing, state = inputs(model, found, x)
    new_state, diagnostics = reference_step(model, static, forcing, state)
    n = model.n_prognostic
    order = [one.name for one in (*model.state[:n], *model.diagnostics)]
    results = np.concatenate([new_state[:, :n], diagnostics], axis=-1)[:, [order.index(one) for one in made.outputs]]
    np.testing.assert_allclose(results, expected, rtol=1e-12, atol=1e-12)
    rows = [1, 2] if n_times == 1 else [1]
    assert np.flatnonzero(np.isnan(expected[:, made.outputs.index("stl1")])).tolist() == rows
    np.testing.assert_array_equal(new_state[:, n:], state[:, : n * (n_times - 1)])
    newest = [one for one in made.inputs if one in made.forcing][-1]
    assert model.forcing[-1].derived == ("", f"before:{newest}", f"before:{newest}_before")[n_times - 1]


def test_the_data_set_may_have_another_name(tmp_path: Path) -> None:
    of_data = small(tmp_path)[2]
    for version in ("0.14.0", "0.19.0"):
        _, _, found = small(tmp_path, dataset="land", version=version)
        assert [one.name for one in found.inputs] == [one.name for one in of_data.inputs]
        for name, array in of_data.parameters.items():
            np.testing.assert_array_equal(found.parameters[name], array)


def test_constant_columns_are_added_up_in_double_precision(tmp_path: Path) -> None:
    made, _, found = small(tmp_path, n_times=3)
    model = converted(found)
    columns = found.parameters["encoder.0.weight"].astype(np.float64)[
        :, made.inputs.index("clim_cvh") :: len(made.inputs)
    ]
    assert model.parameters["encoder.0.weight"].dtype == np.float64
    np.testing.assert_array_equal(model.parameters["encoder.0.weight"][:, 0], columns[:, :3].sum(axis=1))
    once = converted(small(tmp_path, n_times=1)[2])
    assert {array.dtype for array in once.parameters.values()} == {np.dtype(np.float32)}


def power(x: np.ndarray, exponent: float) -> np.ndarray:
    return np.where(x > 1.0, 1.0 - exponent + exponent * x, np.maximum(x, 0.0) ** exponent)


#: anemoi's function, its inverse, arguments, values for it and what it gives.
REMAPPERS: dict[str, tuple[str, str, dict[str, Any], list[float], Callable[[np.ndarray], np.ndarray]]] = {
    "log1p": ("log1p_converter", "expm1_converter", {}, [0.0, 0.5, 7.0], lambda x: np.log(1.0 + x)),
    "sqrt": ("sqrt_converter", "inverse_sqrt_converter", {}, [0.0, 0.5, 7.0], np.sqrt),
    "power": ("power_transform", "inverse_power_transform", {}, [0.0, 0.5, 7.0], lambda x: x**0.33),
    "power of all arguments": (
        "power_transform",
        "inverse_power_transform",
        {"lambd": 0.25, "clip_negative": True, "tangent_linear_above_one": True},
        [-1.0, 0.5, 7.0],
        lambda x: power(x, 0.25),
    ),
    "boxcox": ("boxcox_converter", "inverse_boxcox_converter", {}, [0.1, 0.5, 7.0], lambda x: (x**0.5 - 1.0) / 0.5),
    "boxcox of 0": ("boxcox_converter", "inverse_boxcox_converter", {"lambd": 0.0}, [0.1, 0.5, 7.0], np.log),
    "boxcox that clips": (
        "boxcox_converter",
        "inverse_boxcox_converter",
        {"lambd": 0.2, "clip_negative": True},
        [-0.1, 0.5, 7.0],
        lambda x: (np.maximum(x, 0.0) ** 0.2 - 1.0) / 0.2,
    ),
    "asinh": ("asinh_converter", "inverse_asinh_converter", {"c": 50}, [-2.0, 0.5], lambda x: np.arcsinh(50.0 * x)),
    "asinh of none": ("asinh_converter", "inverse_asinh_converter", {}, [-2.0, 0.5], np.arcsinh),
    "atanh": (
        "atanh_converter",
        "inverse_atanh_converter",
        {},
        [0.0, 0.3, 1.0],
        lambda x: np.arctanh(np.tanh(2.0) * (2.0 * x - 1.0)) / 2.0,
    ),
    "affine": (
        "affine_transform",
        "inverse_affine_transform",
        {"scale": 4.0, "shift": 1.0},
        [-1.0, 2.0],
        lambda x: 4.0 * x + 1.0,
    ),
    "atoms": (
        "displace_boundary_atoms",
        "inverse_displace_boundary_atoms",
        {"lower_atom": 0.0, "lower_target": -0.5, "eps": 0.01},
        [0.005, 0.02, 3.0],
        lambda x: np.where(x <= 0.01, -0.5, x),
    ),
    "both atoms": (
        "displace_boundary_atoms",
        "inverse_displace_boundary_atoms",
        {"lower_atom": 0.0, "lower_target": -0.5, "upper_atom": 1.0, "upper_target": 1.5},
        [0.0, 0.4, 1.0],
        lambda x: np.where(x <= 0.0, -0.5, np.where(x >= 1.0, 1.5, x)),
    ),
}


@pytest.mark.parametrize("name", REMAPPERS)
def test_remappers_are_steps(tmp_path: Path, name: str) -> None:
    function, inverse, arguments, values, expected = REMAPPERS[name]
    remapped = dict.fromkeys(("stl1", "met_tair", "skt"), (function, inverse, arguments))
    _, _, found = small(tmp_path, remapped=remapped)
    variables = {one.name: one for one in (*found.inputs, *found.outputs)}
    x = np.array(values)
    for one in remapped:
        chain = variables[one].processing
        assert chain[-1].kind == "affine"
        np.testing.assert_allclose(to_network(chain[:-1], x), expected(x), rtol=1e-14, atol=1e-15)
        back = to_physical(chain, to_network(chain, x))
        lowest = np.maximum(x, 0.0) if arguments.get("clip_negative") or "lower_atom" in arguments else x
        lowest = np.where(x <= 0.01, 0.0, x) if arguments.get("eps") else lowest
        np.testing.assert_allclose(back, lowest, rtol=1e-12, atol=1e-13)
    assert len(variables["swvl1"].processing) == 1


def test_remappers_have_the_defaults_of_anemoi(tmp_path: Path) -> None:
    expected = {
        "power": Step("power", (0.33, 0.0, 0.0)),
        "boxcox": Step("boxcox", (0.5,)),
        "asinh of none": Step("asinh", (1.0,)),
        "atanh": Step("atanh", (2.0,)),
        "atoms": Step("boundary_atoms", (0.0, -0.5, np.inf, np.inf, 0.01)),
        "both atoms": Step("boundary_atoms", (0.0, -0.5, 1.0, 1.5, 0.0)),
    }
    for name, step in expected.items():
        _, _, found = small(tmp_path, remapped={"met_tair": REMAPPERS[name][:3]})
        assert next(one for one in found.inputs if one.name == "met_tair").processing[0] == step
    none = ("affine_transform", "inverse_affine_transform", {"scale": None})
    _, _, found = small(tmp_path, remapped={"met_tair": none})
    assert next(one for one in found.inputs if one.name == "met_tair").processing[0] == Step("scale", (1.0, 0.0))


def test_processors_act_in_their_own_order(tmp_path: Path) -> None:
    remapped = {"stl1": ("log1p_converter", "expm1_converter", {})}
    for order in itertools.permutations(("imputer", "remapper", "normalizer")):
        _, _, found = small(tmp_path, imputed={"stl1": 2.5, "met_tair": 1.0}, remapped=remapped, processors=order)
        variables = {one.name: one for one in found.inputs}
        kinds = {"imputer": "impute", "remapper": "log1p", "normalizer": "affine"}
        assert [step.kind for step in variables["stl1"].processing] == [kinds[one] for one in order]
        expected = [kinds[one] for one in order if one != "remapper"]
        assert [step.kind for step in variables["met_tair"].processing] == expected
        assert next(one.parameters for one in variables["stl1"].processing if one.kind == "impute") == (2.5,)


BOUNDINGS = {
    "ReluBounding": ({}, 0.0, np.inf, 0.0),
    "LeakyReluBounding": ({}, 0.0, np.inf, 0.01),
    "NormalizedReluBounding": ({"norm_min_val": [-0.5, 0.25]}, (-0.5, 0.25), np.inf, 0.0),
    "NormalizedLeakyReluBounding": ({"norm_min_val": [-0.5, 0.25]}, (-0.5, 0.25), np.inf, 0.01),
    "HardtanhBounding": ({"min_val": 0, "max_val": configured(0.75)}, 0.0, 0.75, 0.0),
    "LeakyHardtanhBounding": ({"min_val": 0.0, "max_val": 0.75}, 0.0, 0.75, 0.01),
    "FractionBounding": ({"min_val": 0.1, "max_val": 0.9, "total_variable": ["skt"]}, 0.1, 0.9, 0.0),
    "LeakyFractionBounding": ({"min_val": 0.1, "max_val": 0.9, "total_variable": ["skt"]}, 0.1, 0.9, 0.01),
}


def test_boundings_are_read_in_order(tmp_path: Path) -> None:
    boundings = [(kind, {"variables": ["t2m", "stl1"], **one[0]}) for kind, one in BOUNDINGS.items()]
    _, _, found = small(tmp_path, boundings=[*boundings, ("ReluBounding", {"variables": []})])
    assert len(found.boundings) == len(BOUNDINGS)
    for one, (kind, (_, lower, upper, slope)) in zip(found.boundings, BOUNDINGS.items(), strict=True):
        assert one.kind == ("fraction" if "Fraction" in kind else "clip")
        assert one.variables == ("t2m", "stl1")
        assert one.lower == tuple(np.broadcast_to(lower, 2))
        assert one.upper == tuple(np.broadcast_to(upper, 2))
        assert (one.slope, one.total) == (slope, "skt" if "Fraction" in kind else "")


def test_boundings_that_clip_different_variables_are_one(tmp_path: Path) -> None:
    """What is at the end of single precision is no bound."""
    most = float(np.finfo(np.float32).max)
    boundings = [
        ("ReluBounding", {"variables": ["stl1"]}),
        ("HardtanhBounding", {"variables": ["t2m"], "min_val": -most, "max_val": 0.75}),
        ("HardtanhBounding", {"variables": ["stl1"], "min_val": 0.1, "max_val": most}),
    ]
    _, _, found = small(tmp_path, boundings=boundings)
    assert found.boundings == (
        Bounding("clip", ("stl1", "t2m"), (0.0, -np.inf), (np.inf, 0.75)),
        Bounding("clip", ("stl1",), (0.1,), (np.inf,)),
    )


def test_layers_may_lack_gain_offset_and_bias(tmp_path: Path) -> None:
    tree, metadata = recipe(Recipe())
    for path in ("processor.proc.0.mlp.0", "processor.proc.1.mlp.1", "decoder.0.node_data_extractor.0"):
        at(tree, f"model.{path}").state["_parameters"]["bias"] = None
    at(tree, "model.processor.proc.1.mlp.1").state["_parameters"]["weight"] = None
    at(tree, "model.processor.proc.0.mlp.1").kind = "anemoi.models.layers.normalization.AutocastLayerNorm"
    found = read(write_checkpoint(tmp_path / "a.ckpt", tree, metadata)).parameters
    assert not found["processor.0.bias"].any()
    assert not found["processor.1.offset"].any()
    assert not found["decoder.0.offset"].any()
    np.testing.assert_array_equal(found["processor.1.gain"], np.ones(12, np.float32))


def test_statistics_units_and_provenance_are_kept(tmp_path: Path) -> None:
    tree, metadata = recipe(Recipe())
    normaliser = at(tree, "pre_processors.data.processors.normalizer")
    normaliser.state |= {"methods": {"swvl1": "min-max"}, "remap": configured({"d2m": "t2m"})}
    model = import_checkpoint(write_checkpoint(tmp_path / "a.ckpt", tree, metadata, member="ai-models.json"))
    by_name = {one.name: one for one in model.variables}
    names = Recipe().names
    statistics = tree.state["statistics"]["data"]
    for name, method in (("stl1", "mean-std"), ("swvl1", "min-max")):
        own = {key: float(values[names.index(name)]) for key, values in statistics.items()}
        expected = Normalisation(method, own["mean"], own["stdev"], own["minimum"], own["maximum"])
        assert by_name[name].normalisation == expected
        assert by_name[name].training_maximum == own["maximum"]
    assert by_name["d2m"].normalisation == Normalisation()
    assert np.isnan(by_name["d2m"].training_minimum)
    assert by_name["cos_julian_day"].units == "1"
    assert by_name["stl1"].standard_name == "soil_temperature"
    assert model.provenance["source_anemoi_models"] == "0.19.0"
    assert model.provenance["source_precision"] == "16-mixed"
    assert model.provenance["source"] == "checkpoint a.ckpt"
    assert {one.time_meaning for one in model.diagnostics} == {"window end"}
    assert {one.time_meaning for one in model.state} == {"window start"}
    meanings = {one.name: one.time_meaning for one in model.forcing}
    expected = {"cos_julian_day": "window start", "met_tair": "window mean"}
    assert meanings == expected | {f"{name}_before": meaning for name, meaning in expected.items()}


def test_units_that_the_data_set_lacks_are_the_catalogues(tmp_path: Path) -> None:
    tree, metadata = recipe(Recipe())
    described = metadata["dataset"]["data"]["variables_metadata"]
    for name in ("stl1", "cos_julian_day"):
        del described[name]["units"]
    model = import_checkpoint(write_checkpoint(tmp_path / "a.ckpt", tree, metadata))
    units = {one.name: one.units for one in model.variables}
    assert (units["stl1"], units["cos_julian_day"]) == ("K", "1")
    assert sorted(model.provenance["units_not_said"].split(", ")) == ["cos_julian_day (1)", "stl1 (K)"]


def test_a_network_with_numbers_of_each_node_keeps_its_nodes(tmp_path: Path) -> None:
    model = import_checkpoint(write_checkpoint(tmp_path / "a.ckpt", *recipe(Recipe(n_trainable=3))))
    assert model.nodes is not None
    np.testing.assert_array_equal(model.nodes.latitudes, DEGREES["latitudes"](5))
    np.testing.assert_array_equal(model.nodes.longitudes, DEGREES["longitudes"](5))
    assert model.nodes.trainable.shape == (5, 3)
    tree, metadata = recipe(Recipe(n_trainable=3))
    del metadata["supporting_arrays_paths"]
    again = import_checkpoint(write_checkpoint(tmp_path / "b.ckpt", tree, metadata))
    assert again.nodes is not None
    np.testing.assert_allclose(again.nodes.latitudes, model.nodes.latitudes, atol=1e-4)
    np.testing.assert_array_equal(again.nodes.trainable, model.nodes.trainable)


def test_the_command_makes_a_model_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = Recipe(
        n_trainable=2,
        imputed={"stl1": 3.0},
        remapped={"swvl1": ("asinh_converter", "inverse_asinh_converter", {"c": 2.0})},
        boundings=[("LeakyReluBounding", {"variables": ["skt"]})],
    )
    path = write_checkpoint(tmp_path / "a.ckpt", *recipe(made))
    target = tmp_path / "model.nc"
    assert cli.main(["model", "import", str(path), "-o", str(target), "--licence", "CC-BY-4.0"]) == 0
    assert "point_wise" in capsys.readouterr().out
    imported, stored = import_checkpoint(path), read_model(target)
    assert stored.variables == imported.variables
    assert stored.boundings == imported.boundings
    assert stored.point_wise == imported.point_wise
    assert stored.provenance == {**imported.provenance, "licence": "CC-BY-4.0"}
    assert stored.nodes is not None
    assert imported.nodes is not None
    np.testing.assert_array_equal(stored.nodes.trainable, imported.nodes.trainable)
    for name, array in imported.parameters.items():
        np.testing.assert_array_equal(stored.parameters[name], array)
        assert stored.parameters[name].dtype == array.dtype
    assert cli.main(["model", "import", str(path), "-o", str(tmp_path / "b.nc"), "--variables", str(target)]) == 2
    assert "is given, expected nothing: a checkpoint of anemoi contains it" in capsys.readouterr().err


def test_reading_takes_little_more_memory_than_the_weights(tmp_path: Path) -> None:
    made = Recipe(n_channels=512, ratio=4, n_layers=4)
    path = write_checkpoint(tmp_path / "a.ckpt", *recipe(made))
    tracemalloc.start()
    found = read(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    size = sum(array.nbytes for array in found.parameters.values())
    assert size > 30e6
    assert peak < 1.3 * size
