"""Operators from factories: names, literals, and what GT4Py makes of them."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import gt4py.next as gtx
import numpy as np
import pytest
from gt4py.next import errors as gtx_errors
from gt4py.next import maximum, neighbor_sum
from hypothesis import given, settings
from hypothesis import strategies as st
from random_models import random_model

from ailand_gt4py.core import arrays
from ailand_gt4py.core.dimensions import Column, ForcingFeature, StateFeature, contraction
from ailand_gt4py.emulator.operands import network_shape
from ailand_gt4py.stencils.fields import contract
from ailand_gt4py.stencils.instances import _instance
from ailand_gt4py.stencils.network.activations import leaky_relu, relu
from ailand_gt4py.stencils.network.layers import layer
from ailand_gt4py.stencils.network.shapes import INPUTS
from ailand_gt4py.stencils.network.step import describe_step, make_program


def named_field_operator(prefix: str, dtype: type) -> Callable[[Callable[..., Any]], Any]:
    """An instance by a name of our own; those of `field_operators` get theirs from the factory."""
    return functools.partial(_instance, f"{prefix}_{dtype.__name__}")


def make_scaling(feature: gtx.Dimension, dtype: type, number: float, prefix: str = "scale") -> Any:
    factor = dtype(number)

    @named_field_operator(f"{prefix}_{feature.value}", dtype)
    def multiply(x: gtx.Field[[Column, feature], dtype]) -> gtx.Field[[Column, feature], dtype]:
        return factor * x

    return multiply


def make_chain(feature: gtx.Dimension, dtype: type) -> Any:
    first, second = make_scaling(feature, dtype, 2.0, "first"), make_scaling(feature, dtype, 5.0, "second")

    @named_field_operator(f"chain_{feature.value}", dtype)
    def apply(x: gtx.Field[[Column, feature], dtype]) -> gtx.Field[[Column, feature], dtype]:
        return second(first(x)) + first(x)

    return apply


def columns(values: np.ndarray, feature: gtx.Dimension) -> gtx.Field:
    return arrays.wrap(values, (Column, feature))


def run(operator: Any, *values: np.ndarray, feature: gtx.Dimension = StateFeature) -> np.ndarray:
    """An operator on fields (Column, feature), embedded."""
    result = np.full_like(values[0], np.nan)
    operator(*(columns(value, feature) for value in values), out=columns(result, feature), offset_provider={})
    return result


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_an_instance_has_a_name_of_its_own(dtype: type) -> None:
    names = {make_scaling(feature, dtype, 2.0).__name__ for feature in (StateFeature, ForcingFeature)}
    assert names == {f"scale_StateFeature_{dtype.__name__}", f"scale_ForcingFeature_{dtype.__name__}"}


def test_what_gt4py_parses_goes_by_the_instances_name() -> None:
    """In the program the operator and those that it calls are told apart by these."""
    parsed = make_chain(StateFeature, np.float32).foast_stage
    assert parsed.foast_node.id == "chain_StateFeature_float32"
    assert {"first_StateFeature_float32", "second_StateFeature_float32"} <= parsed.closure_vars.keys()
    assert not {"first", "second"} & parsed.closure_vars.keys()


def test_offsets_go_by_their_tags() -> None:
    operator = contract(ForcingFeature, StateFeature, np.float64)
    assert "ForcingFeature_to_StateFeature" in operator.foast_stage.closure_vars
    assert "offset" not in operator.foast_stage.closure_vars


def test_factories_give_the_same_operator_for_the_same_arguments() -> None:
    for factory in (relu, leaky_relu):
        assert factory(StateFeature, np.float32) is factory(StateFeature, np.float32)
        assert factory(StateFeature, np.float32) is not factory(StateFeature, np.float64)
    assert contract(ForcingFeature, StateFeature, np.float32) is contract(ForcingFeature, StateFeature, np.float32)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_two_instances_of_a_factory_in_one_operator_stay_apart(dtype: type) -> None:
    x = np.array([[1.0, 3.0]], dtype=dtype)
    np.testing.assert_array_equal(run(make_chain(StateFeature, dtype), x), 12.0 * x)


scale_StateFeature_float64 = make_scaling(StateFeature, np.float64, 2.0)  # noqa: N816  # the name it has in a program
scale_ForcingFeature_float64 = make_scaling(ForcingFeature, np.float64, 7.0)  # noqa: N816


@gtx.program
def two_instances(
    state: gtx.Field[[Column, StateFeature], gtx.float64],
    forcing: gtx.Field[[Column, ForcingFeature], gtx.float64],
    of_state: gtx.Field[[Column, StateFeature], gtx.float64],
    of_forcing: gtx.Field[[Column, ForcingFeature], gtx.float64],
):
    scale_StateFeature_float64(state, out=of_state)
    scale_ForcingFeature_float64(forcing, out=of_forcing)


def test_two_instances_of_a_factory_in_one_program_stay_apart() -> None:
    state, forcing = np.array([[1.0, 2.0]]), np.array([[1.0, 2.0, 4.0]])
    of_state, of_forcing = np.zeros_like(state), np.zeros_like(forcing)
    two_instances(
        columns(state, StateFeature),
        columns(forcing, ForcingFeature),
        columns(of_state, StateFeature),
        columns(of_forcing, ForcingFeature),
        offset_provider={},
    )
    np.testing.assert_array_equal(of_state, 2.0 * state)
    np.testing.assert_array_equal(of_forcing, 7.0 * forcing)
    names = {function.id for function in two_instances.gtir.function_definitions}
    assert names == {"scale_StateFeature_float64", "scale_ForcingFeature_float64"}


@pytest.mark.parametrize("width", [32, 64])
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_captured_number_keeps_every_bit(width: int, data: st.DataObject) -> None:
    """In what GT4Py generates: the literal's digits give the number back."""
    dtype = {32: np.float32, 64: np.float64}[width]
    number = dtype(data.draw(st.floats(width=width, allow_nan=False, allow_infinity=False)))
    expression = make_scaling(StateFeature, dtype, number).__gt_itir__().expr
    (literal,) = [node for node in expression.pre_walk_values() if type(node).__name__ == "Literal"]
    assert literal.type.kind.name == dtype.__name__.upper()
    assert dtype(literal.value) == number
    assert np.signbit(dtype(literal.value)) == np.signbit(number)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("number", [0.1, 1e-5, 1.0 / 3.0, -2.5e-30, 16777217.0])
def test_a_captured_number_is_used_as_it_is(dtype: type, number: float) -> None:
    x = np.array([[1.0, -1.0]], dtype=dtype)
    result = run(make_scaling(StateFeature, dtype, number), x)
    assert result.dtype == dtype
    np.testing.assert_array_equal(result, dtype(number) * x)


def test_globals_and_annotations_are_those_of_the_function() -> None:
    @named_field_operator("with_globals", np.float64)
    def combine(x: gtx.Field[[Column, StateFeature], gtx.float64]) -> gtx.Field[[Column, StateFeature], gtx.float64]:
        return maximum(x, scale_StateFeature_float64(x))

    x = np.array([[1.0, -2.0]])
    np.testing.assert_array_equal(run(combine, x), np.maximum(x, 2.0 * x))
    assert combine.definition.__annotations__.keys() == {"x", "return"}


def test_the_source_can_be_read_back() -> None:
    source = inspect.getsource(make_scaling(StateFeature, np.float32, 0.1).definition)
    assert source.startswith("def scale_StateFeature_float32(x):\n")
    assert "float32('0.1') * x" in source


def test_gt4pys_error_shows_the_line() -> None:
    local, offset = contraction(ForcingFeature, StateFeature).local, contraction(ForcingFeature, StateFeature).offset
    with pytest.raises(gtx_errors.DSLError) as caught:

        @named_field_operator("wrong", np.float64)
        def reduce_over_nothing(
            x: gtx.Field[[Column, ForcingFeature], gtx.float64],
        ) -> gtx.Field[[Column, StateFeature], gtx.float64]:
            return neighbor_sum(x(offset) + undefined_name, axis=local)  # noqa: F821  # the error that is wanted

    message = str(caught.value)
    assert "undefined_name" in message
    assert "return neighbor_sum(x(ForcingFeature_to_StateFeature) + undefined_name, axis=local)" in message
    assert "test_instances.py:wrong_float64" in message


def test_networks_of_one_depth_and_different_architectures_live_in_one_process() -> None:
    """Their first layers have one name and different activations; each must keep its own source."""
    layered, plain = random_model("layer_norm", depth=1), random_model("simple", depth=1)
    programs = [make_program(describe_step(network_shape(model), np.float32)) for model in (layered, plain)]
    sources = []
    for model in (layered, plain):
        target, kind = network_shape(model).layers["trunk"][0]
        operator = layer(tuple(INPUTS.values()), target, kind, np.float32)
        sources.append(inspect.getsource(operator.definition_stage.definition))
    assert "layer_norm_relu_Units_trunk0" in sources[0]
    assert "layer_norm" not in sources[1]
    assert programs[0] is not programs[1]
