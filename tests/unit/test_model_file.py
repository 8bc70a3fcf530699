"""The model file: what is written is read back exactly, and anything less than that is refused in one line."""

from __future__ import annotations

import dataclasses
import errno
import math
import os
import resource
from collections.abc import Callable
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from random_models import ARCHITECTURES, random_model, random_parameters

from ailand_gt4py.core.errors import InputError, RunError
from ailand_gt4py.weights import Model, Normalisation, Variable, model_file, read_model, write_model
from ailand_gt4py.weights.architectures import Sizes
from ailand_gt4py.weights.schema import checksum
from ailand_gt4py.weights.typical_step import check_step

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
keys = st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,9}", fullmatch=True)
any_number = st.floats(width=64)
finite = st.floats(-1e30, 1e30)
positive = st.floats(1e-30, 1e30)


@st.composite
def normalisations(draw: st.DrawFn) -> Normalisation:
    method = draw(st.sampled_from(["mean-std", "max", "std", "min-max", "none"]))
    statistics = {key: draw(any_number) for key in ("mean", "std", "minimum", "maximum", "epsilon")}
    needed = {
        "mean-std": {"mean": finite, "std": positive, "epsilon": st.sampled_from([0.0, 1e-5])},
        "max": {"maximum": positive},
        "std": {"std": positive},
        "min-max": {"minimum": st.floats(-1e3, 0.0), "maximum": st.floats(0.5, 1e3)},
        "none": {},
    }[method]
    return Normalisation(method, **statistics | {key: draw(strategy) for key, strategy in needed.items()})


@st.composite
def models(draw: st.DrawFn) -> Model:
    architecture = draw(st.sampled_from(ARCHITECTURES))
    sizes = Sizes(*(draw(st.integers(smallest, 3)) for smallest in (0, 0, 1, 0)))
    names = draw(st.lists(texts.filter(bool), min_size=sum(sizes), max_size=sum(sizes), unique=True))
    variables = tuple(
        Variable(
            name,
            units=draw(texts),
            long_name=draw(texts),
            standard_name=draw(texts),
            time_meaning=draw(st.sampled_from(["static", "window mean", "window start", "window end"])),
            normalisation=draw(normalisations()),
            training_minimum=draw(any_number),
            training_maximum=draw(any_number),
            lower_bound=draw(st.floats(-1e3, 0.0) | st.just(-math.inf)),
            upper_bound=draw(st.floats(0.5, 1e3) | st.just(math.inf)),
            derived=draw(texts),
        )
        for name in names
    )
    ends = np.cumsum(sizes)
    return Model(
        architecture,
        *(variables[end - size : end] for size, end in zip(sizes, ends, strict=True)),
        parameters=random_parameters(
            architecture,
            sizes,
            np.random.default_rng(draw(st.integers(0, 2**32))),
            width=draw(st.integers(1, 6)),
            depth=draw(st.integers(1, 4)),
            dtype=draw(st.sampled_from([np.float32, np.float64])),
        ),
        step_seconds=draw(st.floats(0.0, 1e9)),
        normalised_space=draw(st.booleans()),
        provenance=draw(st.dictionaries(keys, texts, max_size=3)),
    )


def assert_same(found: Model, expected: Model) -> None:
    """Every field equal; numbers bit for bit (NaNs count as equal), types of the parameters too."""
    for field in dataclasses.fields(Model):
        a, b = getattr(found, field.name), getattr(expected, field.name)
        if field.name == "parameters":
            assert a.keys() == b.keys()
            for name in b:
                assert (a[name].dtype, a[name].shape) == (b[name].dtype, b[name].shape), name
                assert a[name].tobytes() == b[name].tobytes(), name
        else:
            if isinstance(b, dict):
                a, b = dict(sorted(a.items())), dict(sorted(b.items()))
            assert repr(a) == repr(b), field.name  # repr shows floats exactly and NaN as itself


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A model file of the `layer_norm` shape."""
    target = tmp_path / "model.nc"
    write_model(random_model("layer_norm"), target)
    return target


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(model=models())
def test_what_is_written_is_read_back_exactly(tmp_path: Path, model: Model) -> None:
    target = tmp_path / "Modell äöü.nc"
    try:
        check_step(model)
    except InputError:
        assume(False)  # a model that gives no numbers is refused
    write_model(model, target)
    assert_same(read_model(target), model)
    with xr.open_dataset(target) as dataset:
        assert [str(name) for name in dataset["state"].values] == [variable.name for variable in model.state]
    assert [entry.name for entry in tmp_path.iterdir()] == [target.name]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_file_describes_itself_to_xarray_and_survives_a_rewrite(tmp_path: Path, architecture: str) -> None:
    model = random_model(architecture)
    write_model(model, tmp_path / "model.nc")
    with xr.open_dataset(tmp_path / "model.nc") as dataset:
        assert dataset.attrs["architecture"] == architecture
        assert dataset.attrs["step_seconds"] == 21600.0
        assert dataset.attrs["provenance_licence"] == "Apache-2.0"
        assert float(dataset["state_mean"].sel(state="state_1")) == model.state[1].normalisation.mean
        for name, array in model.parameters.items():
            stored = dataset[name.replace(".", "_")]
            assert stored.attrs["parameter_name"] == name
            assert name.split(".")[0] in stored.attrs["long_name"]
            assert stored.dtype == array.dtype
        head = "prognostic_0_weight" if architecture != "two_branch" else "prognostic_2_weight"
        assert dataset[head].dims[0] == "state"
        dataset.load().to_netcdf(tmp_path / "rewritten.nc")
    assert_same(read_model(tmp_path / "rewritten.nc"), model)


def test_every_part_of_the_model_enters_the_checksum() -> None:
    model = random_model("layer_norm")
    first = model.state[0]

    def with_first_state(**changes: object) -> Model:
        return dataclasses.replace(model, state=(dataclasses.replace(first, **changes), *model.state[1:]))

    def with_parameter(change: Callable[[np.ndarray], np.ndarray]) -> Model:
        name = "trunk.0.weight"
        return dataclasses.replace(model, parameters={**model.parameters, name: change(model.parameters[name])})

    def nudged(array: np.ndarray) -> np.ndarray:
        array = array.copy()
        array[-1, -1] = np.nextafter(array[-1, -1], np.float32(9.0))
        return array

    changed = [
        dataclasses.replace(model, step_seconds=3600.0),
        dataclasses.replace(model, normalised_space=True),
        dataclasses.replace(model, provenance={"data": "random numbers", "licence": "other"}),
        dataclasses.replace(model, static=model.static[::-1]),
        *(with_first_state(**{key: "other"}) for key in ("name", "units", "long_name", "standard_name", "derived")),
        with_first_state(time_meaning="window end"),
        *(with_first_state(**{key: 7.0}) for key in ("training_minimum", "training_maximum", "upper_bound")),
        with_first_state(lower_bound=-7.0),
        *(
            with_first_state(normalisation=dataclasses.replace(first.normalisation, **change))
            for change in (
                {"mean": 7.0},
                {"std": 7.0},
                {"minimum": 7.0},
                {"maximum": 7.0},
                {"epsilon": 1e-5},
                {"method": "std"},
            )
        ),
        with_parameter(nudged),
        with_parameter(lambda array: array.astype(np.float64)),
    ]
    sums = [checksum(other) for other in [model, *changed]]
    assert len(set(sums)) == len(sums)
    reordered = dataclasses.replace(model, parameters=dict(reversed(list(model.parameters.items()))))
    assert checksum(reordered) == sums[0]


def set_attribute(key: str, value: object) -> Callable[[netCDF4.Dataset], None]:
    return lambda dataset: dataset.setncattr(key, value)


def rename(old: str, new: str) -> Callable[[netCDF4.Dataset], None]:
    return lambda dataset: dataset.renameVariable(old, new)


def set_first(name: str, value: float | str) -> Callable[[netCDF4.Dataset], None]:
    def change(dataset: netCDF4.Dataset) -> None:
        dataset[name][0] = value

    return change


def without_attribute(key: str) -> Callable[[netCDF4.Dataset], None]:
    return lambda dataset: dataset.delncattr(key)


def without_parameter(name: str) -> Callable[[netCDF4.Dataset], None]:
    return lambda dataset: dataset[name].delncattr("parameter_name")


def of_variable_length(dataset: netCDF4.Dataset, name: str) -> None:
    """Rows of numbers where there was one number each."""
    lengths = dataset.createVLType(np.float64, "lengths")
    old = dataset[name]
    dataset.renameVariable(name, "old")
    other = dataset.createVariable(name, lengths, old.dimensions)
    if "parameter_name" in old.ncattrs():
        other.setncattr("parameter_name", old.getncattr("parameter_name"))
        old.delncattr("parameter_name")
    for index in range(len(old)):
        other[index] = np.ones(2)


def replaced_parameter(dataset: netCDF4.Dataset, kind: str, shape: tuple[int, ...]) -> None:
    dataset["trunk_0_bias"].delncattr("parameter_name")
    dimensions = []
    for i, size in enumerate(shape):
        dataset.createDimension(f"other_{i}", size)
        dimensions.append(f"other_{i}")
    other = dataset.createVariable("other", kind, dimensions)
    other.setncattr("parameter_name", "trunk.0.bias")
    other[...] = np.zeros(shape)


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (without_attribute("format"), ["is netCDF, but no model file: attribute 'format': found nothing"]),
        (without_attribute("architecture"), ["attribute 'architecture'", "found nothing, expected text"]),
        (without_attribute("checksum"), ["attribute 'checksum'", "found nothing, expected text"]),
        (without_attribute("format_version"), ["attribute 'format_version'", "found nothing, expected a number"]),
        (without_attribute("step_seconds"), ["attribute 'step_seconds'", "found nothing, expected a number"]),
        (without_attribute("normalised_space"), ["attribute 'normalised_space'", "found nothing, expected a number"]),
        (set_attribute("format", "something"), ["'something'", "expected 'ailand-gt4py-model'"]),
        (set_attribute("format_version", np.int32(2)), ["'format_version': found 2, expected 1"]),
        (set_attribute("architecture", "transformer"), ["architecture 'transformer' is unknown", "layer_norm"]),
        (set_attribute("architecture", "simple"), ["architecture 'simple'"]),
        (set_attribute("normalised_space", np.int32(3)), ["found 3, expected 0 or 1"]),
        (set_attribute("step_seconds", "6 h"), ["'step_seconds': found '6 h', expected a number"]),
        (set_attribute("step_seconds", np.nan), ["step is nan"]),
        (set_attribute("checksum", "0" * 64), ["'checksum': found '000", "changed or damaged"]),
        (set_attribute("provenance_data", "another"), ["'checksum'"]),
        (rename("state", "stato"), ["array 'state': found nothing"]),
        (rename("forcing_units", "x"), ["array 'forcing_units': found nothing"]),
        (rename("state_std", "x"), ["array 'state_std': found nothing, expected one float per state variable"]),
        (set_first("state_std", np.nan), ["variable 'state_0'", "needs the statistic 'std', found nan"]),
        (set_first("state_std", -1.0), ["variable 'state_0'", "scale -1.0, expected a positive number"]),
        (set_first("state_mean", 12.0), ["'checksum'"]),
        (set_first("state_lower_bound", np.inf), ["variable 'state_0'", "lower bound inf"]),
        (set_first("state_normalisation", "rank"), ["variable 'state_0'", "'rank' is unknown"]),
        (set_first("state_time_meaning", "noon"), ["variable 'state_0'", "'noon' is unknown"]),
        (set_first("state_units", "m"), ["'checksum'"]),
        (set_first("state", "static_0"), ["named more than once: static_0"]),
        (without_parameter("trunk_0_bias"), ["parameters missing: trunk.0.bias"]),
        (without_parameter("trunk_0_weight"), ["parameter 'trunk.0.weight': found nothing"]),
        (lambda d: replaced_parameter(d, "f4", (3,)), ["'trunk.0.bias' has the shape (3,), expected (5,)"]),
        (lambda d: replaced_parameter(d, "i4", (5,)), ["'trunk.0.bias' is of type int32, expected float32"]),
        (lambda d: d["trunk_0_bias"].setncattr("parameter_name", "../x"), ["found '../x'", "<block>.<layer>.<kind>"]),
        (lambda d: d["trunk_0_bias"].setncattr("parameter_name", "trunk.7.bias"), ["layers [0, 1, 7]"]),
        (set_first("trunk_0_bias", np.inf), ["'trunk.0.bias' holds 1 values that are not finite"]),
        (set_first("trunk_0_bias", 0.25), ["'checksum'"]),
        (set_first("state_std", 1e-50), ["variable 'state_0'", "scale 1e-50", "that single precision holds"]),
        (set_first("state_std", 1e300), ["variable 'state_0'", "scale 1e+300", "that single precision holds"]),
        (set_first("state_mean", -1e300), ["variable 'state_0'", "subtracts -1e+300, expected at most"]),
        (set_first("state_upper_bound", 1e300), ["variable 'state_0'", "bound 1e+300, expected infinity or at most"]),
        (set_first("state_lower_bound", -1e300), ["variable 'state_0'", "bound -1e+300, expected infinity or"]),
        (set_attribute("step_seconds", 1e300), ["step is 1e+300 s, expected a number from 0 to 1e+09"]),
        (lambda d: of_variable_length(d, "state_mean"), ["array 'state_mean'", "(VLType)", "expected float over"]),
        (lambda d: of_variable_length(d, "trunk_0_bias"), ["'trunk.0.bias' is of type the type 'lengths' (VLType)"]),
    ],
)
def test_a_wrong_file_is_refused_in_one_line(
    path: Path, damage: Callable[[netCDF4.Dataset], None], expected: list[str]
) -> None:
    with netCDF4.Dataset(path, "a") as dataset:
        damage(dataset)
    with pytest.raises(InputError) as caught:
        read_model(path)
    message = str(caught.value)
    assert message.startswith(f"model file '{path}'")
    assert "\n" not in message
    for part in expected:
        assert part in message


def _with_parameter(name: str, value: float) -> Model:
    model = random_model("layer_norm")
    changed = np.full_like(model.parameters[name], value)
    return dataclasses.replace(model, parameters={**model.parameters, name: changed})


def _with_state(**changes: object) -> Model:
    model = random_model("layer_norm")
    return dataclasses.replace(model, state=(dataclasses.replace(model.state[0], **changes), *model.state[1:]))


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (_with_parameter("prognostic.0.weight", 1e38), "a step on .* gives .* for 'state_0' in the network's space"),
        (_with_parameter("prognostic.0.bias", 3e38), "a step on the training means gives 3e\\+38 for 'state_0'"),
        (_with_parameter("trunk.0.weight", 1e38), "gives nan for 'state_0'"),
        (_with_parameter("diagnostic.0.gain", -1e38), "for 'diagnostic_0'"),
        (_with_state(lower_bound=1e30, upper_bound=math.inf), "for 'state_0'"),
        (_with_state(upper_bound=-1e30, lower_bound=-math.inf), "for 'state_0'"),
    ],
)
def test_a_network_whose_results_overflow_is_refused(tmp_path: Path, model: Model, expected: str) -> None:
    write_model(model, tmp_path / "model.nc")
    with pytest.raises(InputError, match=f"model file '.*model.nc': .*{expected}"):
        read_model(tmp_path / "model.nc")


def test_a_logarithm_needs_a_floor_that_single_precision_holds() -> None:
    with pytest.raises(InputError, match="minimum 1e-50, expected more than 0 that single precision holds"):
        Normalisation("log", mean=0.0, std=1.0, minimum=1e-50)


def test_an_array_of_another_type_is_refused(path: Path) -> None:
    with netCDF4.Dataset(path, "a") as dataset:
        dataset.renameVariable("state_mean", "old")
        dataset.createVariable("state_mean", np.float32, ("state",))[:] = 1.0
    with pytest.raises(InputError, match=r"array 'state_mean': found float32 over .*expected float over"):
        read_model(path)


@pytest.mark.parametrize("fraction", [0.0, 0.001, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_refused(path: Path, fraction: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * fraction)])
    with pytest.raises(InputError, match=r"is not readable: found .* bytes that netCDF refuses"):
        read_model(path)


def test_one_flipped_bit_in_the_weights_is_refused(path: Path) -> None:
    content = bytearray(path.read_bytes())
    weights = random_model("layer_norm").parameters["trunk.0.weight"].tobytes()
    position = bytes(content).index(weights)
    content[position] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match="'checksum'"):
        read_model(path)


def test_other_files_are_refused(tmp_path: Path) -> None:
    other = tmp_path / "text.nc"
    other.write_text("not a netCDF file\n" * 100)
    with pytest.raises(InputError, match="is not readable"):
        read_model(other)
    xr.Dataset({"a": ("x", [1.0])}).to_netcdf(tmp_path / "data.nc")
    with pytest.raises(InputError) as caught:
        read_model(tmp_path / "data.nc")
    assert str(caught.value) == (
        f"model file '{tmp_path / 'data.nc'}': is netCDF, but no model file: attribute 'format': found nothing, "
        "expected 'ailand-gt4py-model', as 'ailand train' and 'ailand model import' write it"
    )
    with pytest.raises(InputError, match="does not exist"):
        read_model(tmp_path / "absent.nc")
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        read_model(tmp_path)


def test_the_default_model_is_looked_up_in_the_package(
    tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_file.importlib.resources, "files", lambda package: tmp_path / package)
    with pytest.raises(InputError, match=r"default model 'default_model.nc' is missing"):
        read_model()
    package = tmp_path / "ailand_gt4py.weights"
    package.mkdir()
    (package / "default_model.nc").write_bytes(path.read_bytes())
    assert_same(read_model(), random_model("layer_norm"))
    (package / "default_model.nc").write_bytes(path.read_bytes()[:1000])
    with pytest.raises(InputError, match=r"'default_model.nc of the package' is not readable"):
        read_model()


def test_an_older_file_is_replaced(path: Path) -> None:
    other = random_model("simple", seed=5)
    write_model(other, path)
    assert_same(read_model(path), other)


@pytest.mark.parametrize("kind", ["directory", "no parent", "parent is a file"])
def test_a_path_that_cannot_be_written_is_an_input_error(tmp_path: Path, path: Path, kind: str) -> None:
    target = {"directory": tmp_path, "no parent": tmp_path / "a" / "m.nc", "parent is a file": path / "m.nc"}[kind]
    before = path.read_bytes()
    with pytest.raises(InputError, match=r"cannot be written: .*expected a ") as caught:
        write_model(random_model("simple"), target)
    assert caught.value.exit_status == 2
    assert (list(tmp_path.iterdir()), path.read_bytes()) == ([path], before)


def test_a_refused_permission_is_an_input_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(model_file.os, "replace", refuse)
    with pytest.raises(InputError, match="cannot be written: Permission denied"):
        write_model(random_model("simple"), tmp_path / "model.nc")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_a_run_error_and_leaves_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = path.read_bytes()
    monkeypatch.setattr(model_file.os, "fsync", full)
    with pytest.raises(RunError, match=r"model.nc: writing the model file failed: No space left on device") as caught:
        write_model(random_model("simple"), path)
    assert caught.value.exit_status == 1
    assert (list(path.parent.iterdir()), path.read_bytes()) == ([path], before)


def test_no_room_to_compose_the_file_is_a_run_error(
    tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = path.read_bytes()
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(model_file.tempfile, "tempdir", str(scratch))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
        with pytest.raises(RunError, match="composing the model file in the scratch directory") as caught:
            write_model(random_model("simple"), path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "\n" not in str(caught.value)
    assert (list(scratch.iterdir()), path.read_bytes()) == ([], before)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"provenance": {"data": "a\0b"}}, "provenance 'data'"),
        ({"provenance": {"data": "\ud800"}}, "provenance 'data'"),
        ({"provenance": {"my data/x": "a"}}, "provenance key 'my data/x'"),
        ({"provenance": {"": "a"}}, "provenance key ''"),
        ({"provenance": {"data": 3}}, "found 3, expected text"),
    ],
)
def test_texts_that_netcdf_cannot_hold_are_refused(tmp_path: Path, changes: dict, expected: str) -> None:
    with pytest.raises(InputError) as caught:
        write_model(dataclasses.replace(random_model("simple"), **changes), tmp_path / "model.nc")
    assert expected in str(caught.value)
    assert list(tmp_path.iterdir()) == []
