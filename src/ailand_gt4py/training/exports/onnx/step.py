"""The graph of a model's step, and what a caller has to know of it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, TensorProto, ValueInfoProto, helper

import ailand_gt4py
from ailand_gt4py.core.constants import LAYER_NORM_EPSILON, LEAKY_RELU_SLOPE
from ailand_gt4py.emulator.operands import network_shape, results_of
from ailand_gt4py.emulator.step_program import step_program
from ailand_gt4py.stencils.instances import FieldOperator
from ailand_gt4py.stencils.network.activations import layer_norm, leaky_relu
from ailand_gt4py.stencils.network.point_wise import centred_layer_norm
from ailand_gt4py.stencils.network.shapes import NetworkShape
from ailand_gt4py.stencils.network.smooth_activations import gelu, gelu_tanh
from ailand_gt4py.training.exports import Precision
from ailand_gt4py.training.exports.onnx.graph import Graph, Own
from ailand_gt4py.weights.model import Model, Variable
from ailand_gt4py.weights.schema import GROUPS, checksum

#: Of ONNX's operators: the least that has GELU; and the version of the file that goes with it.
OPSET, FILE_VERSION = 20, 9
#: The dimension of columns, whose number a caller chooses.
COLUMNS = "n_columns"
#: The program's name of an input -> the graph's.
INPUTS = {"static_input": "static", "forcing_input": "forcing", "state_input": "state"}
RESULTS = ("new_state", "diagnostics")


def made(model: Model, precision: Precision = "float32") -> ModelProto:
    """The graph: static, forcing, state -> new_state and, where there are some, diagnostics.

    Each is (n_columns, n_features) in the model's order and units; the number of columns is free. Metadata: names,
    units and meaning of all variables (``variables``, JSON), ``step_seconds``, ``space``, ``checksum`` of the model,
    provenance.
    """
    own = _own_operators(network_shape(model), precision)
    program, operands = step_program(model, precision, own.keys())
    graph = Graph(program, operands, INPUTS | dict(zip(RESULTS, RESULTS, strict=True)), own)
    kind = TensorProto.FLOAT if precision == "float32" else TensorProto.DOUBLE

    def described(name: str, variables: Sequence[Variable]) -> ValueInfoProto:
        words = ", ".join(f"{one.name} [{one.units}]" for one in variables)
        return helper.make_tensor_value_info(name, kind, [COLUMNS, len(variables)], words)

    proto = helper.make_graph(
        graph.nodes,
        f"ailand_{model.architecture}",
        [described(name, getattr(model, name)) for name in INPUTS.values()],
        [described(name, results_of(model)[name]) for name in program.results],
        graph.constants,
    )
    built = helper.make_model(
        proto,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=FILE_VERSION,
        producer_name="ailand_gt4py",
        producer_version=ailand_gt4py.__version__,
        doc_string="One step of an emulator of ecLand: (static, forcing over [t, t + step), state at t) -> state at "
        "t + step and diagnostics, in the units of the metadata.",
    )
    helper.set_model_props(built, _metadata(model))
    onnx.checker.check_model(built, full_check=True)
    return built


def _own_operators(shape: NetworkShape, precision: Precision) -> dict[str, Own]:
    """Field operators of a step that ONNX has operators for, by their names.

    None in double precision, in which ONNX Runtime lacks most of them, and their attributes are single.
    """
    if precision == "float64":
        return {}
    if shape.point_wise is None:
        # Of what has the mean 0 already, ONNX's subtracts that.
        normalisation, epsilon = layer_norm, LAYER_NORM_EPSILON
    else:
        normalisation, epsilon = centred_layer_norm, shape.point_wise.network.epsilon
    factories: dict[Callable[..., FieldOperator], tuple[tuple[float, ...], Own]] = {
        normalisation: ((epsilon,), Own("LayerNormalization", {"axis": -1, "epsilon": epsilon})),
        leaky_relu: ((), Own("LeakyRelu", {"alpha": LEAKY_RELU_SLOPE})),
        gelu: ((), Own("Gelu", {})),
        gelu_tanh: ((), Own("Gelu", {"approximate": "tanh"})),
    }
    return {
        factory(units, *parameters, np.float32).__name__: own
        for factory, (parameters, own) in factories.items()
        for units in shape.hidden_units.values()
    }


def _metadata(model: Model) -> dict[str, str]:
    return {
        "architecture": model.architecture,
        "step_seconds": repr(model.step_seconds),
        "space": "normalised" if model.normalised_space else "physical",
        "checksum": checksum(model),
        "variables": json.dumps({group: [_described(one) for one in getattr(model, group)] for group in GROUPS}),
        **{f"provenance.{key}": text for key, text in sorted(model.provenance.items())},
    }


def _described(variable: Variable) -> dict[str, Any]:
    """What a caller has to know of a variable; nothing that is not known."""
    names = (
        "name", "units", "long_name", "standard_name", "time_meaning", "derived", "lower_bound", "upper_bound",
        "bounded_by", "training_minimum", "training_maximum",
    )  # fmt: skip
    known = {name: getattr(variable, name) for name in names if hasattr(variable, name)}
    return {name: value for name, value in known.items() if value != "" and _is_finite(value)}


def _is_finite(value: object) -> bool:
    return not isinstance(value, float) or math.isfinite(value)
