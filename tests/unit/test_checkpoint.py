"""Import of published checkpoints: the right numbers in the right positions, and nothing in the file is run."""

from __future__ import annotations

import contextlib
import copyreg
import os
import pickle
import time
import tracemalloc
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from network_reference import forward, rollout
from random_models import ARCHITECTURES, random_model, random_parameters
from torch_files import Raw, View, attack, pickled, write_archive

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.weights import (
    Model,
    Normalisation,
    Variable,
    checkpoints,
    import_checkpoint,
    read_model,
    write_model,
)
from ailand_gt4py.weights.architectures import Sizes, layer_count
from ailand_gt4py.weights.checkpoints import torch_archive
from ailand_gt4py.weights.checkpoints.inert_pickle import unpickle
from ailand_gt4py.weights.checkpoints.torch_archive import opened

SIZES = Sizes(static=4, forcing=12, state=3, diagnostics=2)

PUBLISHED = {
    "ailand_v1_simple_172": ("simple", Sizes(20, 12, 7, 3)),
    "ailand_v1_two_branch_128": ("two_branch", Sizes(19, 12, 7, 3)),
    "ailand_v2_layernorm_256x4_random": ("layer_norm", Sizes(19, 12, 8, 4)),
}


def published_names(architecture: str, parameters: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Parameters under the names that the published code gives them."""
    layers: dict[str, str] = {}
    counts = {block: layer_count(parameters, block) for block in {name.split(".")[0] for name in parameters}}
    if architecture == "layer_norm":
        for block, sequence in (("trunk", "model"), ("diagnostic", "model_diag")):
            for layer in range(counts[block]):
                layers[f"{block}.{layer}"] = f"{sequence}.{3 * layer}"  # linear, normalisation, activation
                layers[f"{block}.{layer} normalisation"] = f"{sequence}.{3 * layer + 1}"
        layers["prognostic.0"] = "output_proj"
        layers[f"diagnostic.{counts['diagnostic'] - 1}"] = "output_proj_diag"
    else:
        if architecture == "two_branch":
            layers = {"static.0": "layer_clim", "dynamic.0": "layer_met_state", "combine.0": "combine_layer"}
        numbered = [b for b in ("trunk", "prognostic", "diagnostic") if b in counts]
        chain = [f"{block}.{layer}" for block in numbered for layer in range(counts[block])]
        layers |= {name: f"fc{i + 1}" for i, name in enumerate(chain)}
    renamed = {}
    for name, array in parameters.items():
        layer, kind = name.rsplit(".", 1)
        if kind in ("gain", "offset"):
            renamed[f"{layers[f'{layer} normalisation']}.{ {'gain': 'weight', 'offset': 'bias'}[kind] }"] = array
        else:
            renamed[f"{layers[layer]}.{kind}"] = array
    return renamed


def some_parameters(architecture: str, **options: int) -> dict[str, np.ndarray]:
    return random_parameters(architecture, SIZES, np.random.default_rng(3), **options)


def some_tensors(architecture: str = "simple") -> dict[str, np.ndarray]:
    return published_names(architecture, some_parameters(architecture))


def assert_equal_parameters(found: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray]) -> None:
    assert found.keys() == expected.keys()
    for name in expected:
        assert found[name].dtype == expected[name].dtype
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)


def relative(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


# --------------------------------------------------------------------------------------------- published files


def published(shared: Path, name: str) -> tuple[Model, Mapping[str, np.ndarray]]:
    """A published network as it is imported, and its reference."""
    model = import_checkpoint(shared / "checkpoints" / f"{name}.ckpt")
    return model, np.load(shared / "reference" / f"{name}.npz")


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_networks_give_the_reference_results(shared: Path, name: str) -> None:
    model, reference = published(shared, name)
    assert (model.architecture, model.sizes) == PUBLISHED[name]
    assert model.normalised_space
    assert model.step_seconds == 0.0
    step = forward(model, reference["static"], reference["forcing"][0], reference["state0"])
    prognostic = step.state if model.architecture == "layer_norm" else step.raw_prognostic
    assert relative(prognostic, reference["forward_prognostic_f64"]) <= 1e-14
    assert relative(step.diagnostics, reference["forward_diagnostic_f64"]) <= 1e-14


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_networks_give_the_reference_rollout(shared: Path, name: str) -> None:
    model, reference = published(shared, name)
    states, diagnostics = rollout(model, reference["static"], reference["forcing"][:25], reference["state0"])
    # The reference rollout is in float32; its rounding grows with the steps.
    assert relative(states[24], reference["rollout_state"][24]) <= 1e-4
    assert relative(diagnostics[23], reference["rollout_diagnostic"][23]) <= 1e-4


def test_a_published_network_survives_the_model_file(shared: Path, tmp_path: Path) -> None:
    model = import_checkpoint(shared / "checkpoints" / "ailand_v1_two_branch_128.ckpt")
    assert model.provenance["source_epoch"].isdigit()
    write_model(model, tmp_path / "model.nc")
    again = read_model(tmp_path / "model.nc")
    assert again.normalised_space
    assert_equal_parameters(again.parameters, model.parameters)


# ------------------------------------------------------------------------------------------- shapes and variables


@pytest.mark.parametrize("depth", [1, 2, 4])
@pytest.mark.parametrize("prefix", ["", "model.", "module._orig_mod."])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_shape_is_recognised(tmp_path: Path, architecture: str, prefix: str, depth: int) -> None:
    parameters = some_parameters(architecture, width=6, depth=depth)
    tensors = {prefix + name: array for name, array in published_names(architecture, parameters).items()}
    model = import_checkpoint(write_archive(tmp_path / "a.ckpt", {"state_dict": tensors}))
    assert model.architecture == architecture
    assert model.sizes == SIZES
    assert_equal_parameters(model.parameters, parameters)
    assert [variable.name for variable in model.diagnostics] == ["diagnostic_0", "diagnostic_1"]
    assert model.state[2].name == "state_2"
    assert {variable.time_meaning for variable in model.static} == {"static"}
    assert model.diagnostics[0].time_meaning == ("window end" if architecture == "layer_norm" else "window start")


def test_the_state_dict_may_be_the_whole_file(tmp_path: Path) -> None:
    model = import_checkpoint(write_archive(tmp_path / "a.pt", some_tensors(), root=""))
    assert_equal_parameters(model.parameters, some_parameters("simple"))


def names(prefix: str, count: int) -> list[str]:
    return [f"{prefix}{i}" for i in range(count)]


@pytest.mark.parametrize(
    ("options", "static", "forcing"),
    [
        ({}, 4, 12),
        ({"n_forcing": 10}, 6, 10),
        ({"static": names("s", 9)}, 9, 7),
        ({"forcing": names("f", 5)}, 11, 5),
        ({"static": names("s", 1), "forcing": names("f", 15), "n_forcing": 15}, 1, 15),
        ({"n_forcing": 16}, 0, 16),
    ],
)
def test_what_is_given_decides_the_split_of_the_inputs(
    tmp_path: Path, options: dict, static: int, forcing: int
) -> None:
    model = import_checkpoint(write_archive(tmp_path / "a.ckpt", some_tensors()), **options)
    assert (model.sizes.static, model.sizes.forcing) == (static, forcing)


@pytest.mark.parametrize(
    ("architecture", "options", "expected"),
    [
        ("simple", {"n_forcing": 17}, "leaves -1 static ones"),
        ("simple", {"static": names("s", 17)}, "found -1 forcing variables"),
        ("simple", {"static": names("s", 4), "forcing": names("f", 11)}, "4 static variables were given, expected 5"),
        ("simple", {"state": names("x", 4)}, "4 state variables were given, expected 3"),
        ("layer_norm", {"diagnostics": names("d", 3)}, "3 diagnostics variables were given, expected 2"),
        ("two_branch", {"static": names("s", 5)}, "5 static variables were given, expected 4"),
        ("two_branch", {"forcing": names("f", 5)}, "5 forcing variables were given, expected 12"),
        ("two_branch", {"n_forcing": 5}, "n_forcing is 5, expected 12"),
        ("simple", {"static": names("a", 4), "state": names("a", 3)}, "named more than once: a0, a1, a2"),
        ("simple", {"step_seconds": -1.0}, "step is -1.0"),
    ],
)
def test_variables_that_do_not_fit_the_tensors_are_refused(
    tmp_path: Path, architecture: str, options: dict, expected: str
) -> None:
    path = write_archive(tmp_path / "a.ckpt", some_tensors(architecture))
    with pytest.raises(InputError) as caught:
        import_checkpoint(path, **options)
    assert expected in str(caught.value)
    assert str(caught.value).startswith(f"checkpoint '{path}': ")


def test_variables_with_statistics_give_a_model_in_physical_units(tmp_path: Path) -> None:
    path = write_archive(tmp_path / "a.ckpt", some_tensors())
    wanted = random_model("simple", SIZES)
    groups = {group: getattr(wanted, group) for group in ("static", "forcing", "state", "diagnostics")}
    model = import_checkpoint(path, **groups, step_seconds=21600.0)
    assert not model.normalised_space
    assert model.step_seconds == 21600.0
    assert model.variables == wanted.variables
    for left_out in groups:
        with pytest.raises(InputError, match=f"the {left_out} variables are not described"):
            import_checkpoint(path, **{**groups, left_out: None})


def test_variables_with_bounds_alone_stay_in_normalised_space(tmp_path: Path) -> None:
    path = write_archive(tmp_path / "a.ckpt", some_tensors("layer_norm"))
    model = import_checkpoint(path, state=["a", Variable("b", "1", lower_bound=0.0), "c"])
    assert model.normalised_space
    assert [variable.lower_bound for variable in model.state] == [-np.inf, 0.0, -np.inf]
    assert model.state[1].normalisation == Normalisation()


def without(name: str) -> Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]:
    return lambda tensors: {key: array for key, array in tensors.items() if key != name}


def with_tensor(name: str, array: np.ndarray) -> Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]:
    return lambda tensors: {**tensors, name: array}


@pytest.mark.parametrize(
    ("architecture", "change", "expected"),
    [
        ("simple", without("fc1.bias"), "fit no published network shape"),
        ("simple", without("fc3.weight"), "fit no published network shape"),
        ("simple", lambda tensors: {"w": tensors["fc1.weight"]}, "w (5, 19)"),
        ("simple", lambda t: {f"x{key}": t[key] for key in t}, "no layer names of a published shape"),
        ("simple", with_tensor("fc1.bias", np.zeros(5, np.int64)), "fit no published network shape"),
        ("simple", with_tensor("fc1.bias", np.zeros(4, np.float32)), "fit no published network shape"),
        ("simple", with_tensor("fc2.weight", np.zeros(6, np.float32)), "'fc2' has 1-dimensional weights"),
        ("simple", with_tensor("fc1.bias", np.full(5, np.nan, np.float32)), "'trunk.0.bias' holds 5 values that are"),
        ("simple", with_tensor("fc2.weight", np.zeros((6, 9), np.float32)), "'trunk.1.weight' has the shape (6, 9)"),
        (
            "simple",
            lambda t: {**t, "fc9.weight": t["fc1.weight"], "fc9.bias": t["fc1.bias"]},
            "layer 'fc9' does not belong to it",
        ),
        ("two_branch", with_tensor("fc2.weight", np.zeros((18, 9), np.float32)), "chain in 0 ways"),
        ("layer_norm", lambda t: without("model.1.bias")(without("model.1.weight")(t)), "'model' has 3 layers"),
        ("layer_norm", with_tensor("model.1.weight", np.zeros((5, 5), np.float32)), "has 2-dimensional weights"),
    ],
)
def test_tensors_that_fit_no_shape_are_refused(
    tmp_path: Path, architecture: str, change: Callable[[dict], dict], expected: str
) -> None:
    path = write_archive(tmp_path / "a.ckpt", {"state_dict": change(some_tensors(architecture))})
    with pytest.raises(InputError) as caught:
        import_checkpoint(path)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_ambiguous_split_of_the_chains_is_refused(tmp_path: Path) -> None:
    """With as many states as hidden units the prognostic chain could end after either of two layers."""
    rng = np.random.default_rng(0)
    widths = {"layer_clim": (4, 2), "layer_met_state": (4, 6), "combine_layer": (4, 8)}
    widths |= {"fc1": (4, 4), "fc2": (4, 4), "fc3": (3, 4)}
    tensors = {}
    for name, shape in widths.items():
        tensors[f"{name}.weight"] = rng.normal(size=shape)
        tensors[f"{name}.bias"] = rng.normal(size=shape[:1])
    with pytest.raises(InputError, match="into a prognostic and a diagnostic chain in 2 ways"):
        import_checkpoint(write_archive(tmp_path / "a.ckpt", tensors))


def test_a_long_list_of_tensors_is_shortened(tmp_path: Path) -> None:
    tensors = {f"layer_{i}.weight": np.ones((2, 2), np.float32) for i in range(500)}
    with pytest.raises(InputError, match="and 488 more") as caught:
        import_checkpoint(write_archive(tmp_path / "a.ckpt", tensors))
    assert len(str(caught.value)) < 1000


# ------------------------------------------------------------------------------------------------ the archive


def read_state_dict(path: Path) -> dict[str, np.ndarray]:
    with opened(path) as archive:
        return archive.state_dict()


@pytest.mark.parametrize("order", ["little", "big"])
@pytest.mark.parametrize("kind", ["float64", "float32", "float16", "int64", "int32", "uint8", "bool"])
def test_types_and_byte_orders_are_read(tmp_path: Path, kind: str, order: str) -> None:
    array = np.array([[0, 1, 2], [3, 4, 5]]).astype(kind)
    tensors = read_state_dict(write_archive(tmp_path / "a.pt", {"x": array}, order=order))
    expected = np.float32 if kind == "float16" else np.dtype(kind)
    assert tensors["x"].dtype == expected
    np.testing.assert_array_equal(tensors["x"], array)


def test_bfloat16_is_read_exactly(tmp_path: Path) -> None:
    numbers = np.array([1.0, -2.5, 3.140625, 1e30, 0.0], dtype=np.float32)
    bits = (numbers.view(np.uint32) >> 16).astype(np.uint16)
    tensors = read_state_dict(write_archive(tmp_path / "a.pt", {"x": View.of(bits, kind="BFloat16Storage")}))
    np.testing.assert_array_equal(tensors["x"], (bits.astype(np.uint32) << 16).view(np.float32))
    assert tensors["x"].dtype == np.float32
    assert tensors["x"][1] == -2.5


def test_views_are_read_with_offset_and_strides(tmp_path: Path) -> None:
    storage = np.arange(20, dtype=np.float32)
    views = {"part": View(storage, 4, (2, 3), (5, 1)), "transposed": View(storage, 0, (4, 5), (1, 4))}
    tensors = read_state_dict(write_archive(tmp_path / "a.pt", views))
    np.testing.assert_array_equal(tensors["part"], [[4, 5, 6], [9, 10, 11]])
    np.testing.assert_array_equal(tensors["transposed"], storage.reshape(5, 4).T)
    assert tensors["transposed"].flags.c_contiguous
    tensors["part"][0, 0] = 1.0  # an array of its own


@pytest.mark.parametrize(
    ("view", "expected"),
    [
        (View(np.zeros(6, np.float32), 1, (2, 3), (3, 1)), "found 6 numbers, expected at least 7"),
        (View(np.zeros(6, np.float32), 9, (1,), (1,)), "found 6 numbers, expected at least 10"),
        (View(np.zeros(6, np.float32), 0, (2**30, 2**30), (0, 0)), "does not fit its storage"),
        (View(np.zeros(6, np.float32), 0, (0,), (1,)), "does not fit its storage"),
        (View(np.zeros(6, np.float32), -1, (1,), (1,)), "not admitted"),
        (View(np.zeros(6, np.float32), 0, (2,), (-1,)), "not admitted"),
        (View(np.zeros(6, np.float32), 0, (2, 3), (3,)), "not admitted"),
        (View(np.zeros(6, np.float32), 0, (2,), (1,), kind="QInt8Storage"), "stored as QInt8Storage, expected one of"),
        (View(np.zeros(6, np.float32), 0, (2,), (1,), rebuild="builtins\nprint"), "'builtins.print', which is not"),
    ],
)
def test_tensors_that_do_not_fit_their_storage_are_refused(tmp_path: Path, view: View, expected: str) -> None:
    with pytest.raises(InputError) as caught:
        read_state_dict(write_archive(tmp_path / "a.pt", {"x": view}))
    assert expected in str(caught.value)


def test_files_that_are_no_checkpoint_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.ckpt"
    with pytest.raises(InputError, match=r"checkpoint '.*a.ckpt' does not exist"):
        import_checkpoint(path)
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        import_checkpoint(tmp_path)
    path.write_bytes(b"")
    with pytest.raises(InputError, match="found 0 bytes that are no complete zip archive"):
        import_checkpoint(path)
    path.write_bytes(pickle.dumps(0x1950A86A20F9469CFC6C, protocol=2) + b"more")
    with pytest.raises(InputError, match=r"before version 1\.6.*save it again"):
        import_checkpoint(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(InputError, match=r"holds 0 members 'data.pkl', expected 1"):
        import_checkpoint(path)


def test_damaged_archives_are_refused(tmp_path: Path) -> None:
    path = write_archive(tmp_path / "a.ckpt", some_tensors())
    content = path.read_bytes()
    for fraction in (0.2, 0.6, 0.99):
        path.write_bytes(content[: int(len(content) * fraction)])
        with pytest.raises(InputError, match="no complete zip archive"):
            import_checkpoint(path)
    weights = some_tensors()["fc1.weight"].tobytes()
    flipped = bytearray(content)
    flipped[content.index(weights)] ^= 1
    path.write_bytes(flipped)
    with pytest.raises(InputError, match="Bad CRC-32"):
        import_checkpoint(path)


def test_bytes_that_are_no_number_are_verified_too(tmp_path: Path) -> None:
    """A storage of some numbers and three bytes: the CRC is of all of it."""
    path = tmp_path / "a.ckpt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", b"\x80\x02}X\x01\x00\x00\x00x" + FLOATS + b"s.")
        archive.writestr("a/data/0", np.r_[1.5, 2.5, np.zeros(2000)].astype(np.float32).tobytes() + b"end")
    np.testing.assert_array_equal(read_state_dict(path)["x"], [1.5, 2.5])
    content = path.read_bytes()
    path.write_bytes(content.replace(np.float32(1.5).tobytes(), np.float32(1.75).tobytes()))
    with pytest.raises(InputError, match="Bad CRC-32"):
        read_state_dict(path)


def test_a_storage_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many tensors are parts of it; each is an array of its own."""
    storages: dict[str, bytes] = {}
    pickled(np.arange(40, dtype=np.float32), storages)
    view = FLOATS.replace(b"K\x02tQ", b"K\x28tQ")
    names = b"".join(pickled(f"part{i}", {}) + view for i in range(10))
    path = tmp_path / "a.ckpt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", b"\x80\x02}(" + names + b"u.")
        archive.writestr("a/data/0", storages["0"])
    reads = []
    read = torch_archive.TorchArchive._values
    monkeypatch.setattr(
        torch_archive.TorchArchive, "_values", lambda self, dtype, key: reads.append(key) or read(self, dtype, key)
    )
    tensors = read_state_dict(path)
    assert reads == ["0"]
    tensors["part0"][0] = 9.0
    assert tensors["part1"][0] == 0.0


def test_odd_archives_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.ckpt"
    with pytest.raises(InputError, match=r"member 'archive/[a-z.]+' is compressed or encrypted"):
        import_checkpoint(write_archive(path, some_tensors(), compression=zipfile.ZIP_DEFLATED))
    with zipfile.ZipFile(write_archive(path, some_tensors()), "a") as archive:
        archive.writestr("other/data.pkl", b".")
    with pytest.raises(InputError, match=r"holds 2 members"):
        import_checkpoint(path)
    with pytest.raises(InputError, match="byte order is 'middle', expected"):
        import_checkpoint(write_archive(path, some_tensors(), order="middle"))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02" + pickled(some_tensors(), {}) + b".")
    with pytest.raises(InputError, match="no member 'archive/data/0'"):
        import_checkpoint(path)


# ---------------------------------------------------------------------------------------------------- hostility


def test_code_in_a_checkpoint_is_never_run(tmp_path: Path) -> None:
    """The attack works where pickle runs it, and has no effect here, wherever in the file it stands."""
    marker = tmp_path / "marker"
    hostile = attack(f"touch '{marker}'")
    pickle.loads(b"\x80\x02" + hostile.operations + b".")
    assert marker.exists(), "this test's attack must be a working one"
    marker.unlink()

    path = tmp_path / "a.ckpt"
    model = import_checkpoint(write_archive(path, {"callbacks": [hostile], "state_dict": some_tensors()}))
    assert_equal_parameters(model.parameters, some_parameters("simple"))
    for content in (hostile, {"state_dict": hostile}, {"state_dict": {**some_tensors(), "fc6.weight": hostile}}):
        with pytest.raises(InputError, match=r"'os.system', which is not admitted"):
            import_checkpoint(write_archive(path, content))
    assert not marker.exists()


@pytest.mark.parametrize(
    "operations",
    [
        b"(cos\nsystem\nX\x01\x00\x00\x00xo",  # OBJ
        b"(X\x01\x00\x00\x00xios\nsystem\n",  # INST
        b"X\x02\x00\x00\x00osX\x06\x00\x00\x00system\x93X\x01\x00\x00\x00x\x85R",  # STACK_GLOBAL, REDUCE
        b"cos\nsystem\n)\x81",  # NEWOBJ
        b"cos\nsystem\n)}\x92",  # NEWOBJ_EX
        b"cos\nsystem\n)R}b",  # BUILD
        b"cos\nsystem\n",  # the function itself
        b"\x82\x01",  # EXT1
        b"Psomething\n",  # PERSID
        b"X\x01\x00\x00\x00xQ",  # BINPERSID
    ],
)
def test_every_operation_that_makes_objects_is_inert(tmp_path: Path, operations: bytes) -> None:
    path = tmp_path / "a.ckpt"
    import_checkpoint(write_archive(path, {"other": Raw(operations), "state_dict": some_tensors()}))
    with pytest.raises(InputError, match=r"an object '.*', which is not admitted"):
        import_checkpoint(write_archive(path, Raw(operations)))


SYSTEM = b"X\x02\x00\x00\x00osX\x06\x00\x00\x00system\x93"
FLOATS = (
    b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\n"
    b"X\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x02tQK\x00K\x02\x85K\x01\x85\x89)tR"
)


@pytest.mark.parametrize(
    "operations",
    [
        b"cos\nsystem\n(X\x04\x00\x00\x00exittR",  # GLOBAL, REDUCE
        b"cbuiltins\neval\n(cos\nsystem\ncos\nsystem\n(X\x01\x00\x00\x00xtRtR",  # calls as arguments of calls
        b"cbuiltins\ngetattr\n(cos\npath\nX\x04\x00\x00\x00jointR",  # a name within a name
        b"X\x02\x00\x00\x00osX\x0d\x00\x00\x00path.__dict__\x93",  # a dotted name
        SYSTEM + b")R}X\x0c\x00\x00\x00__setstate__" + SYSTEM + b"sb",  # BUILD with __setstate__ in the state
        SYSTEM + b"}X\x0c\x00\x00\x00__setstate__" + SYSTEM + b"sb",  # BUILD of a class
        SYSTEM + b")RN}X\x09\x00\x00\x00__class__" + SYSTEM + b"s\x86b",  # BUILD of slots
        SYSTEM + b")R(K\x01K\x02e",  # APPENDS to an object
        SYSTEM + b")R(K\x01K\x02u",  # SETITEMS of an object
        SYSTEM + b")R(K\x01\x90",  # ADDITEMS to an object
        b"\x8f(K\x01\x90",  # a set
        b"\x83\x01\x01",  # EXT2
        b"\x84\x01\x00\x00\x01)R",  # EXT4, REDUCE
        SYSTEM + b"q\x00h\x00\x85R",  # an object that is its own argument
    ],
)
def test_no_name_is_looked_up_and_no_call_made(tmp_path: Path, operations: bytes) -> None:
    path = tmp_path / "a.ckpt"
    model = import_checkpoint(write_archive(path, {"other": Raw(operations), "state_dict": some_tensors()}))
    assert_equal_parameters(model.parameters, some_parameters("simple"))
    with pytest.raises(InputError, match=r"an object '.*', which is not admitted"):
        import_checkpoint(write_archive(path, Raw(operations)))


def test_registered_extension_codes_are_not_looked_up(tmp_path: Path) -> None:
    """Even one that the interpreter has seen and keeps."""
    copyreg.add_extension("os", "system", 240)
    try:
        assert pickle.loads(b"\x82\xf0.") is os.system
        with pytest.raises(InputError, match="an object 'copyreg extension 240', which is not admitted"):
            import_checkpoint(write_archive(tmp_path / "a.ckpt", Raw(b"\x82\xf0")))
    finally:
        copyreg.remove_extension("os", "system", 240)
        copyreg.clear_extension_cache()


@pytest.mark.parametrize(
    "state",
    [
        b"}X\x05\x00\x00\x00shapeK\x64\x85s",  # of the instance
        b"N}X\x05\x00\x00\x00shapeK\x64\x85s\x86",  # of slots
    ],
)
def test_a_tensor_cannot_be_changed_once_it_was_checked(tmp_path: Path, state: bytes) -> None:
    path = tmp_path / "a.ckpt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", b"\x80\x02}X\x01\x00\x00\x00x" + FLOATS + state + b"bs.")
        archive.writestr("a/data/0", np.zeros(2, np.float32).tobytes())
    with pytest.raises(InputError, match="'data.pkl' is damaged"):
        read_state_dict(path)
    # The same as it is without: two numbers.
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", b"\x80\x02}X\x01\x00\x00\x00x" + FLOATS + b"s.")
        archive.writestr("a/data/0", np.zeros(2, np.float32).tobytes())
    assert read_state_dict(path)["x"].shape == (2,)


@pytest.mark.parametrize(
    "bomb",
    [
        b"Nr\xff\xff\xff\xff",  # a memo index of 4e9
        b"\x96\xff\xff\xff\xff\xff\xff\x00\x00",  # a bytearray of 3e14 bytes
        b"\x8e\xff\xff\xff\xff\xff\xff\x00\x00",  # bytes
        b"\x95\xff\xff\xff\xff\xff\xff\x00\x00",  # a frame
        b"}" + b")" + b"\x85" * 100_000 + b"K\x01s",  # a key whose hash overflows the stack of a C program
        b"(" + b")" + b"\x85" * 100_000 + b"\x91",  # a frozenset of it
        b"]q\x00" + b"h\x00h\x00\x86a" * 1000,  # a list of itself
        b"L" + b"9" * 100_000 + b"L\n",  # a number of many digits
    ],
)
def test_memory_is_bounded_by_the_size_of_the_file(bomb: bytes) -> None:
    tracemalloc.start()
    try:
        unpickle(b"\x80\x05" + bomb + b".")
    except InputError as refusal:
        assert "'data.pkl' is damaged" in str(refusal)  # noqa: PT017
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 64 * 2**20


def test_a_pickle_of_many_names_or_of_many_bytes_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = b"".join(f"cm\nn{number}\n0".encode() for number in range(20_000))
    with pytest.raises(InputError, match="names more than 10000 classes and functions"):
        unpickle(names + b"N.")
    monkeypatch.setattr(torch_archive, "_LARGEST_PICKLE", 100)
    monkeypatch.setattr(torch_archive, "_LARGEST_FRACTION", 0.0)
    with pytest.raises(InputError, match="larger than 100 bytes, expected a small one"):
        import_checkpoint(write_archive(tmp_path / "a.ckpt", some_tensors()))


def test_odd_names_are_printed_in_one_line() -> None:
    value = unpickle(b"\x80\x04X\x02\x00\x00\x00o\nX\x02\x00\x00\x00\x1b[\x93)R.")
    assert value.name == r"o\n.\x1b["


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    changes=st.lists(st.tuples(st.integers(0, 10_000), st.binary(max_size=4)), min_size=1, max_size=5),
    cut=st.integers(0, 10_000),
)
def test_a_damaged_pickle_never_does_more_than_refuse(changes: list[tuple[int, bytes]], cut: int) -> None:
    program = bytearray(b"\x80\x02" + pickled({"epoch": 3, "state_dict": some_tensors()}, {}) + b".")
    for position, replacement in changes:
        start = position % len(program)
        program[start : start + len(replacement)] = replacement
    if cut < len(program):
        del program[cut:]
    message = ""
    try:
        unpickle(bytes(program))
    except InputError as refusal:
        message = str(refusal)
    assert "\n" not in message


def test_a_pickle_cannot_swell(tmp_path: Path) -> None:
    """Containers that hold each other over and over stay small: nothing is copied."""
    nested = b"]" + b"".join(b"q\x00]h\x00h\x00\x86a" for _ in range(200))
    assert isinstance(unpickle(b"\x80\x02" + nested + b"."), list)
    deep = b")" + b"\x85" * 100_000
    with pytest.raises(InputError, match="found a tuple, expected a dictionary"):
        read_state_dict(write_archive(tmp_path / "a.pt", Raw(deep)))
    with pytest.raises(InputError, match="expected a tensor"):
        read_state_dict(write_archive(tmp_path / "a.pt", Raw(b"}" + deep + b"K\x01s")))


# ------------------------------------------------------------------------------------------ written by PyTorch


class Callback:
    """Stands for a class that a training put into its checkpoint."""

    def __init__(self) -> None:
        self.best = 0.5


def torch_network(torch, architecture: str, width: int, depth: int):  # type: ignore[no-untyped-def]
    """A network of a published shape with the published code's module names."""
    linear = torch.nn.Linear
    n_in = SIZES.static + SIZES.forcing + SIZES.state

    def normalised(n_from: int, count: int):  # type: ignore[no-untyped-def]
        modules = []
        for _ in range(count):
            modules += [linear(n_from, width), torch.nn.LayerNorm(width), torch.nn.ReLU()]
            n_from = width
        return torch.nn.Sequential(*modules)

    network = torch.nn.Module()
    if architecture == "layer_norm":
        network.model, network.model_diag = normalised(n_in, depth), normalised(n_in, 1)
        network.output_proj, network.output_proj_diag = linear(width, SIZES.state), linear(width, SIZES.diagnostics)
        return network
    if architecture == "two_branch":
        network.layer_clim = linear(SIZES.static, width)
        network.layer_met_state = linear(SIZES.forcing + SIZES.state, width)
        network.combine_layer = linear(2 * width, width)
        layers = [linear(width, width) for _ in range(depth)] + [linear(width, SIZES.state)]
        layers += [linear(width, width), linear(width, SIZES.diagnostics)]
    else:
        layers = [linear(n_in if i == 0 else width, width) for i in range(depth)]
        layers += [linear(width, SIZES.state), linear(width, SIZES.diagnostics)]
    for i, layer in enumerate(layers):
        setattr(network, f"fc{i + 1}", layer)
    return network


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "float16"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_files_written_by_pytorch_are_read(tmp_path: Path, architecture: str, dtype: str) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    torch.manual_seed(1)
    network = torch_network(torch, architecture, width=8, depth=3).to(getattr(torch, dtype))
    content = {"state_dict": network.state_dict(), "callbacks": {"best": Callback()}, "epoch": 4, "loss": np.float64(3)}
    torch.save(content, tmp_path / "a.ckpt")
    model = import_checkpoint(tmp_path / "a.ckpt")
    assert model.sizes == SIZES
    assert model.provenance["source_epoch"] == "4"
    widened = {
        name: tensor.double().numpy() if dtype == "float64" else tensor.float().numpy()
        for name, tensor in network.state_dict().items()
    }
    assert_equal_parameters(published_names(architecture, model.parameters), widened)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_forward_pass_of_a_pytorch_network_is_the_same(tmp_path: Path, architecture: str) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    functional = torch.nn.functional
    torch.manual_seed(2)
    network = torch_network(torch, architecture, width=8, depth=2).double()
    torch.save(network.state_dict(), tmp_path / "a.ckpt")
    model = import_checkpoint(tmp_path / "a.ckpt")
    rng = np.random.default_rng(0)
    inputs = [rng.normal(size=(50, n)) for n in SIZES[:3]]
    static, forcing, state = (torch.from_numpy(x) for x in inputs)
    everything = torch.cat([static, forcing, state], dim=1)
    leaky = functional.leaky_relu
    if architecture == "simple":
        hidden = leaky(network.fc2(torch.relu(network.fc1(everything))))
        increment, diagnostics = network.fc3(hidden), network.fc4(hidden)
    elif architecture == "two_branch":
        branches = [network.layer_clim(static), network.layer_met_state(torch.cat([forcing, state], dim=1))]
        hidden = leaky(network.combine_layer(torch.cat([torch.relu(x) for x in branches], dim=1)))
        increment = network.fc3(leaky(network.fc2(leaky(network.fc1(hidden)))))
        diagnostics = network.fc5(leaky(network.fc4(hidden)))
    else:
        increment = network.output_proj(network.model(everything))
        new = torch.cat([static, forcing, state + increment], dim=1)
        diagnostics = network.output_proj_diag(network.model_diag(new))
    step = forward(model, *inputs)
    np.testing.assert_allclose(step.raw_prognostic, increment.detach().numpy(), rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(step.state, (state + increment).detach().numpy(), rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(step.diagnostics, diagnostics.detach().numpy(), rtol=1e-12, atol=1e-13)


def test_parameters_and_old_files_of_pytorch(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    network = torch_network(torch, "simple", width=8, depth=3)
    torch.save(dict(network.named_parameters()), tmp_path / "a.pt")
    assert import_checkpoint(tmp_path / "a.pt").architecture == "simple"
    torch.save(network.state_dict(), tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    with pytest.raises(InputError, match=r"before version 1\.6"):
        import_checkpoint(tmp_path / "old.pt")
    torch.save(network, tmp_path / "module.pt")
    with pytest.raises(InputError, match=r"an object 'torch.nn.modules.module.Module', which is not admitted"):
        import_checkpoint(tmp_path / "module.pt")


# ----------------------------------------------------------------------------------------- other kinds of checkpoints


def test_a_new_kind_of_checkpoint_registers_and_is_asked_before_the_prototype(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.ckpt"
    write_archive(path, {"network": "of another kind", "state_dict": some_tensors()})
    assert import_checkpoint(path).architecture == "simple"
    monkeypatch.setattr(checkpoints.KINDS, "_items", list(checkpoints.KINDS.items()))
    seen: list[checkpoints.Wanted] = []

    def model(archive: torch_archive.TorchArchive, wanted: checkpoints.Wanted) -> Model:
        seen.append(wanted)
        return random_model("layer_norm", SIZES)

    checkpoints.KINDS.add(checkpoints.CheckpointKind(lambda archive: "network" in archive.content, model))
    imported = import_checkpoint(path, step_seconds=3600.0)
    assert imported.architecture == "layer_norm"
    assert seen == [checkpoints.Wanted(step_seconds=3600.0)]
    assert imported.provenance["source"] == "checkpoint a.ckpt"
    assert import_checkpoint(write_archive(path, some_tensors())).architecture == "simple"


@pytest.mark.parametrize(
    "bomb",
    [
        b"(" + b"N" * 50_000 + b"tq\x000cos\nsystem\nq\x010" + b"h\x01h\x00R0" * 20_000,  # a call with many arguments
        b"X\x50\xc3\x00\x00" + b"a" * 50_000 + b"q\x000cos\nsystem\nq\x010" + b"h\x01h\x00R0" * 20_000,  # letters
        b"X\x50\xc3\x00\x00" + b"a" * 50_000 + b"q\x000" + b"h\x00X\x01\x00\x00\x00x\x930" * 20_000,  # long names
        b"](" + b"K\x01K\x02\x86" * 20_000 + b"eq\x000ccollections\nOrderedDict\nq\x010" + b"h\x01h\x00\x85R0" * 20_000,
    ],
)  # fmt: skip
def test_time_is_bounded_by_the_size_of_the_pickle(bomb: bytes) -> None:
    """What is remembered once and used again and again."""
    begin = time.process_time()
    with contextlib.suppress(InputError):
        unpickle(b"\x80\x05" + bomb + b"N.")
    assert time.process_time() - begin < 2.0


def test_pairs_make_a_dictionary_of_their_own(tmp_path: Path) -> None:
    """As protocols before 2 write one."""
    pairs = b"ccollections\nOrderedDict\n](X\x01\x00\x00\x00xK\x01\x86X\x01\x00\x00\x00yK\x02\x86e\x85R"
    assert unpickle(b"\x80\x02" + pairs + b".") == {"x": 1, "y": 2}


def test_many_tensors_of_one_storage_are_refused(tmp_path: Path) -> None:
    storages: dict[str, bytes] = {}
    pickled(np.zeros(250_000, np.float32), storages)
    view = b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000"
    view += b"X\x03\x00\x00\x00cpuJ\x90\xd0\x03\x00tQK\x00J\x90\xd0\x03\x00\x85K\x01\x85\x89)tRq\x00"
    for count, expected in (
        (20_000, "found 20000 tensors, expected at most 2000"),
        (1000, "they share their storages"),
    ):
        names = b"".join(pickled(f"fc{i}.weight", {}) + (view if i == 0 else b"h\x00") for i in range(count))
        with zipfile.ZipFile(tmp_path / "a.ckpt", "w") as archive:
            archive.writestr("a/data.pkl", b"\x80\x02}(" + names + b"u.")
            archive.writestr("a/data/0", storages["0"])
        tracemalloc.start()
        with pytest.raises(InputError, match=expected):
            import_checkpoint(tmp_path / "a.ckpt")
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 50 * 2**20


def test_members_that_share_their_bytes_are_refused(tmp_path: Path) -> None:
    path = write_archive(tmp_path / "a.ckpt", some_tensors())
    content = bytearray(path.read_bytes())
    begin = content.index(b"PK\x01\x02")
    entries = content[begin : content.index(b"PK\x05\x06")]
    position = content.index(b"PK\x01\x02", begin + 4) - begin
    larger = entries[:position]
    larger[20:28] = (10**6).to_bytes(4, "little") * 2
    path.write_bytes(bytes(content[:begin] + larger + entries[position:] + content[begin + len(entries) :]))
    with pytest.raises(InputError, match="members overlap|no complete zip archive"):
        import_checkpoint(path)


def test_facts_of_any_length_are_left_out(tmp_path: Path) -> None:
    long = Raw(b"\x8b" + (20_000).to_bytes(4, "little") + b"\x7f" * 20_000)  # an integer of 48 000 digits
    content = {"epoch": long, "pytorch-lightning_version": "9" * 10_000, "state_dict": some_tensors()}
    model = import_checkpoint(write_archive(tmp_path / "a.ckpt", content))
    assert not {"source_epoch", "source_pytorch_lightning_version"} & model.provenance.keys()


def test_parameters_that_overflow_are_refused(tmp_path: Path) -> None:
    tensors = {name: np.full_like(array, 1e38) for name, array in some_tensors().items()}
    with pytest.raises(InputError, match=r"checkpoint '.*': a step on .* gives inf for 'state_0'"):
        import_checkpoint(write_archive(tmp_path / "a.ckpt", tensors))
