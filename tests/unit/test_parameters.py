"""A model's numbers as operands: split, centred, complete, rounded once."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gt4py.next as gtx
import network_reference
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from point_wise_models import point_wise_model
from random_models import ARCHITECTURES, random_model

from ailand_gt4py.core import arrays
from ailand_gt4py.core.constants import LAYER_NORM_EPSILON
from ailand_gt4py.core.dimensions import N_MOMENTS
from ailand_gt4py.core.matrices import CACHE_LINE_BYTES
from ailand_gt4py.emulator.emulator import Emulator
from ailand_gt4py.emulator.operands import network_shape, step_operands
from ailand_gt4py.stencils.network.step import describe_static_part, describe_step
from ailand_gt4py.weights.model import Model
from ailand_gt4py.weights.model_file import read_model, write_model

SIZES = (4, 3, 2, 2)


def operands_of(model: Model, dtype: type = np.float64) -> Any:
    return step_operands(model, np.dtype(dtype), "cpu")


def fields(operands: Any) -> Iterator[gtx.Field]:
    """The leaves of nested tuples of fields."""
    if isinstance(operands, tuple):
        for item in operands:
            yield from fields(item)
    else:
        yield operands


def joined(weight: Any) -> np.ndarray:
    """The weights of one or more inputs, side by side as in the model."""
    return np.concatenate([field.asnumpy() for field in fields(weight)], axis=1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_operands_are_those_of_the_step_and_of_the_emulators_type(architecture: str, dtype: type) -> None:
    """Of the step, and of the static part where there is one; none is made that neither takes."""
    model = random_model(architecture, SIZES, depth=3)
    operands = operands_of(model, dtype)
    shape = network_shape(model)
    of_static = describe_static_part(shape, dtype)
    assert (of_static is not None) == (architecture == "two_branch")
    taken = describe_step(shape, dtype).operands.keys() | (
        of_static.operands.keys() if of_static is not None else set()
    )
    assert operands.by_name.keys() == taken
    for name, of_name in operands.by_name.items():
        for field in fields(of_name):
            assert field.asnumpy().dtype == dtype, name
            assert all(bounds.start == 0 for bounds in field.domain.ranges), name


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_weights_are_split_by_input_and_nothing_is_lost(architecture: str) -> None:
    model = random_model(architecture, SIZES, depth=3, dtype=np.float64)
    operands = operands_of(model).by_name
    for block, k, inputs in network_shape(model).contractions:
        weight = model.parameters[f"{block}.{k}.weight"]
        bias = model.parameters[f"{block}.{k}.bias"]
        linear = operands[f"operands_{block}_{k}"]
        if (model.architecture, block) == ("two_branch", "combine"):
            # The layer where the branches meet: its static share has the bias and is computed apart.
            of_static, bias_of_both = operands["operands_static_part"]
            linear = ((of_static, linear), bias_of_both)
        if f"{block}.{k}.gain" in model.parameters:
            linear, gain, offset, _ = linear
            np.testing.assert_array_equal(gain.asnumpy(), model.parameters[f"{block}.{k}.gain"])
            np.testing.assert_array_equal(offset.asnumpy(), model.parameters[f"{block}.{k}.offset"])
            weight, bias = weight - weight.mean(axis=0), bias - bias.mean()
        assert len(list(fields(linear[0]))) == len(inputs)
        np.testing.assert_array_equal(joined(linear[0]), weight)
        np.testing.assert_array_equal(linear[1].asnumpy(), bias)
        for field, dense in zip(fields(linear[0]), inputs, strict=True):
            assert field.domain.dims == (dense.target, dense.local)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_weights_lie_as_the_kernels_read_them(architecture: str, dtype: type) -> None:
    """For each input all outputs side by side, rows in whole vectors of any processor, zeros behind the outputs."""
    model = random_model(architecture, SIZES, width=15, depth=3)
    count = 0
    for of_name in operands_of(model, dtype).by_name.values():
        for field in fields(of_name):
            array = field.ndarray
            if array.ndim != 2:
                continue
            count += 1
            item = array.dtype.itemsize
            output_stride, input_stride = (stride // item for stride in array.strides)
            assert output_stride == 1
            vector = 16
            assert input_stride >= -(-array.shape[0] // vector) * vector, "a vector of the last outputs reads too far"
            rows = np.lib.stride_tricks.as_strided(array, (array.shape[1], input_stride), (input_stride * item, item))
            assert (rows[:, array.shape[0] :] == 0).all()
            np.testing.assert_array_equal(rows[:, : array.shape[0]].T, array)
    assert count >= len(network_shape(model).contractions)


def test_the_parts_belong_to_the_inputs_they_multiply() -> None:
    """Columns of the weight are in the order static, forcing, state, as the inputs are joined in the model."""
    model = random_model("simple", SIZES, dtype=np.float64)
    weight = np.arange(9.0) + np.zeros((len(model.parameters["trunk.0.bias"]), 1))
    model = dataclasses.replace(model, parameters=dict(model.parameters) | {"trunk.0.weight": weight})
    parts = [field.asnumpy()[0].tolist() for field in fields(operands_of(model).by_name["operands_trunk_0"][0])]
    assert parts == [[0.0, 1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0]]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_tables_are_complete(architecture: str) -> None:
    model = random_model(architecture, SIZES, depth=3)
    operands = operands_of(model)
    assert len(set(operands.complete_tables)) == len(operands.complete_tables)
    expected = {dense.name for _, _, inputs in network_shape(model).contractions for dense in inputs}
    normalised = [name.removesuffix(".gain").replace(".", "") for name in model.parameters if name.endswith(".gain")]
    averages = {f"Units_{layer}_to_Moment" for layer in normalised}
    broadcasts = {f"Moment_to_Units_{layer}" for layer in normalised}
    assert set(operands.complete_tables) == expected | averages
    assert operands.offset_provider.keys() == expected | averages | broadcasts
    weights = {
        field.domain.dims[1].value: field.asnumpy().shape
        for name, of_name in operands.by_name.items()
        if name.startswith("operands_")
        for field in fields(of_name)
        if field.asnumpy().ndim == 2
    }
    assert weights.keys() == set(operands.complete_tables)
    for name in operands.complete_tables:
        table = operands.offset_provider[name].ndarray
        assert table.shape == weights[name]
        assert (table == np.arange(table.shape[1])).all()
    for name in broadcasts:
        table = operands.offset_provider[name].ndarray
        assert table.shape[1] == N_MOMENTS
        assert ((table >= 0) & (table < N_MOMENTS)).all()


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    mean=st.sampled_from([0.0, 1.0, -30.0, 1e3]),
    width=st.integers(2, 40),
)
def test_taking_the_mean_out_of_a_normalised_layer_does_not_change_it(seed: int, mean: float, width: int) -> None:
    """In NumPy with the operands alone, also for weights and biases whose mean is large."""
    model = random_model("layer_norm", SIZES, seed=seed, width=width, depth=1, dtype=np.float64)
    shifted = {name: model.parameters[name] + mean for name in ("trunk.0.weight", "trunk.0.bias")}
    model = dataclasses.replace(model, parameters=dict(model.parameters) | shifted)
    (weight, bias), gain, offset, averaging = operands_of(model).by_name["operands_trunk_0"]
    gain, offset, averaging = gain.asnumpy(), offset.asnumpy(), averaging.asnumpy()
    x = np.random.default_rng(seed).normal(size=(6, 9))
    units = x @ joined(weight).T + bias.asnumpy()
    scale = 1.0 + np.abs(mean)
    assert (np.abs(units.mean(axis=1)) <= 1e-13 * scale).all()
    assert averaging.shape == (N_MOMENTS, width)
    for row in averaging:
        variance = (units**2) @ row
        found = units / np.sqrt(variance + LAYER_NORM_EPSILON)[:, None] * gain + offset
        expected = network_reference.layer_norm(network_reference.linear(model, "trunk.0", x)) * gain + offset
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-11 * scale)


@pytest.mark.parametrize("mean", [0.0, 5.0])
def test_taking_the_mean_out_does_not_change_the_networks_function(mean: float) -> None:
    """The whole step in float64 against the network as it is written down."""
    model = random_model("layer_norm", SIZES, width=6, depth=3, dtype=np.float64)
    normalised = {name.rsplit(".", 1)[0] for name in model.parameters if name.endswith(".gain")}
    parameters = {
        name: array + mean if name.rsplit(".", 1)[0] in normalised and name.endswith(("weight", "bias")) else array
        for name, array in model.parameters.items()
    }
    model = dataclasses.replace(model, parameters=parameters)
    random = np.random.default_rng(5)
    inputs = [random.normal(size=(8, size)) for size in SIZES[:3]]
    groups = (model.static, model.forcing, model.state)

    def scaling(variables: tuple) -> tuple[np.ndarray, np.ndarray]:
        return tuple(np.array([getattr(v.normalisation, what) for v in variables]) for what in ("shift", "scale"))

    normalised_inputs = [(x - scaling(group)[0]) / scaling(group)[1] for x, group in zip(inputs, groups, strict=True)]
    step = network_reference.forward(model, *normalised_inputs)
    new_state, diagnostics = Emulator(model, 8, "embedded", "float64").step(*inputs)
    for found, expected, variables in (
        (new_state, step.state, model.state),
        (diagnostics, step.diagnostics, model.diagnostics),
    ):
        shift, scale = scaling(variables)
        np.testing.assert_allclose(found, expected * scale + shift, rtol=1e-10, atol=1e-10)


def test_a_float64_model_is_rounded_once() -> None:
    """The mean is taken out before rounding, not of rounded numbers."""
    model = random_model("layer_norm", SIZES, width=33, depth=1, dtype=np.float64)
    weight, bias = (model.parameters[f"trunk.0.{kind}"] + 100.0 for kind in ("weight", "bias"))
    model = dataclasses.replace(
        model, parameters=dict(model.parameters) | {"trunk.0.weight": weight, "trunk.0.bias": bias}
    )
    linear, *_ = operands_of(model, np.float32).by_name["operands_trunk_0"]
    exact = weight - weight.mean(axis=0)
    np.testing.assert_array_equal(joined(linear[0]), exact.astype(np.float32))
    np.testing.assert_array_equal(linear[1].asnumpy(), (bias - bias.mean()).astype(np.float32))
    twice = weight.astype(np.float32)
    assert (joined(linear[0]) != twice - twice.mean(axis=0)).any(), "rounding twice would have gone unnoticed"


def test_normalisation_and_bounds_are_those_of_the_variables() -> None:
    model = random_model("simple", SIZES)
    by_name = operands_of(model, np.float32).by_name
    for group in ("static", "forcing", "state"):
        shift, scale = (field.asnumpy() for field in by_name[f"scaling_{group}"])
        variables = getattr(model, group)
        np.testing.assert_array_equal(shift, np.float32([v.normalisation.shift for v in variables]))
        np.testing.assert_array_equal(scale, np.float32([v.normalisation.scale for v in variables]))
    for name, variables in (("new_state", model.state), ("diagnostics", model.diagnostics)):
        found = [field.asnumpy().tolist() for field in by_name[f"finishing_{name}"]]
        kinds = ("lower_bound", "upper_bound")
        expected = [[getattr(v.normalisation, kind) for v in variables] for kind in ("shift", "scale")]
        expected += [[getattr(v, kind) for v in variables] for kind in kinds]
        assert found == [np.float32(values).tolist() for values in expected]


def test_the_models_parameters_stay_as_they_are() -> None:
    model = random_model("layer_norm", SIZES, dtype=np.float64)
    before = {name: array.copy() for name, array in model.parameters.items()}
    operands = operands_of(model)
    for name, array in before.items():
        np.testing.assert_array_equal(model.parameters[name], array)
    for of_name in operands.by_name.values():
        for field in fields(of_name):
            assert not any(np.may_share_memory(field.ndarray, array) for array in model.parameters.values())


def test_weights_of_a_point_wise_network_from_a_file_are_in_memory_once(tmp_path: Path) -> None:
    model = point_wise_model(n_times=2, channels=20)
    write_model(model, tmp_path / "model.nc")
    read = read_model(tmp_path / "model.nc")
    by_name = operands_of(read, np.float32).by_name
    for name, array in read.parameters.items():
        if array.ndim == 2 and not name.startswith("decoder"):  # whose rows are taken apart
            np.testing.assert_array_equal(array, model.parameters[name])
            block, layer, kind = name.split(".")
            end = "_out" if kind.endswith("_out") else ""
            weights = [field.ndarray for field in fields(by_name[f"operands_{block}_{layer}{end}"])]
            shared = sum(weight.size for weight in weights if np.shares_memory(weight, array))
            assert shared == array.size, f"{name} is copied"
    in_double = operands_of(read, np.float64).by_name["operands_processor_1_out"][0].ndarray
    np.testing.assert_array_equal(in_double, read.parameters["processor.1.weight_out"])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_weights_start_with_a_cache_line(dtype: type) -> None:
    operands = operands_of(random_model("simple", SIZES), dtype)
    weights = [
        field.ndarray for value in operands.by_name.values() for field in fields(value) if field.ndarray.ndim == 2
    ]
    assert weights
    assert all(arrays.address(weight) % CACHE_LINE_BYTES == 0 for weight in weights)
    assert all(max(weight.strides) % CACHE_LINE_BYTES == 0 for weight in weights)
