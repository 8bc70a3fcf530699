"""A step of each architecture as an ONNX graph, in model units, built by hand."""

from __future__ import annotations

import numpy as np
import onnx
from networks import scales, shifts
from onnx import TensorProto, helper, numpy_helper

from ailand_gt4py.core.constants import LAYER_NORM_EPSILON, LEAKY_RELU_SLOPE
from ailand_gt4py.weights.architectures import layer_count
from ailand_gt4py.weights.model import Model

#: Gelu is an operator of its own since opset 20, LayerNormalization since 17.
OPSET = 20


class _Graph:
    """Nodes and constants of a graph under construction; each method returns the name of its result."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, np.ndarray] = {}

    def constant(self, name: str, values: np.ndarray) -> str:
        kind = np.int64 if np.issubdtype(values.dtype, np.integer) else np.float32
        self.constants[name] = np.ascontiguousarray(values, dtype=kind)
        return name

    def node(self, kind: str, *inputs: str, outputs: tuple[str, ...] = (), **attributes: object) -> str:
        names = outputs or (f"{kind.lower()}_{len(self.nodes)}",)
        self.nodes.append(helper.make_node(kind, list(inputs), list(names), **attributes))
        return names[0]

    def linear(self, layer: str, x: str, suffix: str = "") -> str:
        names = [f"{layer}.{kind}{suffix}" for kind in _LINEAR]
        operands = [self.constant(name, self.model.parameters[name]) for name in names]
        return self.node("Gemm", x, *operands, transB=1)

    def layer_norm(self, layer: str, x: str, epsilon: float = LAYER_NORM_EPSILON) -> str:
        operands = [self.constant(f"{layer}.{kind}", self.model.parameters[f"{layer}.{kind}"]) for kind in _NORM]
        return self.node("LayerNormalization", x, *operands, axis=-1, epsilon=epsilon)

    def normalised(self, layer: str, x: str) -> str:
        return self.node("Relu", self.layer_norm(layer, self.linear(layer, x)))

    def leaky(self, layer: str, x: str) -> str:
        return self.node("LeakyRelu", self.linear(layer, x), alpha=LEAKY_RELU_SLOPE)

    def rescaled(self, x: str, name: str, shift: np.ndarray, factor: np.ndarray) -> str:
        """(x - shift) * factor."""
        x = self.node("Sub", x, self.constant(f"{name}.shift", shift))
        return self.node("Mul", x, self.constant(f"{name}.factor", factor))

    def finish(self, x: str, name: str, output: str) -> None:
        """To model units, and within the bounds."""
        group = getattr(self.model, name)
        x = self.node("Mul", x, self.constant(f"{name}.scale", scales(group)))
        x = self.node("Add", x, self.constant(f"{name}.shift_back", shifts(group)))
        lower, upper = (np.array([getattr(v, f"{bound}_bound") for v in group]) for bound in ("lower", "upper"))
        x = self.node("Max", x, self.constant(f"{name}.lower", lower))
        self.node("Min", x, self.constant(f"{name}.upper", upper), outputs=(output,))


_LINEAR = ("weight", "bias")
_NORM = ("gain", "offset")


def _heads(graph: _Graph, x: str) -> tuple[str, str]:
    """Prognostic and diagnostic blocks on one input, their first layers as one wider layer."""
    parameters, results = graph.model.parameters, []
    both = graph.node(
        "Gemm",
        x,
        *(
            graph.constant(f"outputs.{k}", np.concatenate([parameters[f"{block}.0.{k}"] for block in _OUTPUTS]))
            for k in _LINEAR
        ),
        transB=1,
    )
    widths = graph.constant("outputs.widths", np.array([len(parameters[f"{block}.0.bias"]) for block in _OUTPUTS]))
    parts = ("outputs_prognostic", "outputs_diagnostic")
    graph.node("Split", both, widths, outputs=parts, axis=1)
    for block, part in zip(_OUTPUTS, parts, strict=True):
        for k in range(1, layer_count(parameters, block)):
            part = graph.linear(f"{block}.{k}", graph.node("LeakyRelu", part, alpha=LEAKY_RELU_SLOPE))
        results.append(part)
    return results[0], results[1]


_OUTPUTS = ("prognostic", "diagnostic")


def _outputs(graph: _Graph, groups: dict[str, str]) -> tuple[str, str]:
    """Normalised new state and diagnostics, before the bounds."""
    model = graph.model
    everything = graph.node("Concat", *groups.values(), axis=1)
    if model.point_wise is not None:
        return _point_wise(graph, everything, groups["state"])
    if model.architecture == "simple":
        x = graph.node("Relu", graph.linear("trunk.0", everything))
        for k in range(1, layer_count(model.parameters, "trunk")):
            x = graph.leaky(f"trunk.{k}", x)
    elif model.architecture == "two_branch":
        static = graph.node("Relu", graph.linear("static.0", groups["static"]))
        dynamic = graph.node("Concat", groups["forcing"], groups["state"], axis=1)
        dynamic = graph.node("Relu", graph.linear("dynamic.0", dynamic))
        x = graph.leaky("combine.0", graph.node("Concat", static, dynamic, axis=1))
    else:
        x = everything
        for k in range(layer_count(model.parameters, "trunk")):
            x = graph.normalised(f"trunk.{k}", x)
        new_state = graph.node("Add", groups["state"], graph.linear("prognostic.0", x))
        x = graph.node("Concat", groups["static"], groups["forcing"], new_state, axis=1)
        last = layer_count(model.parameters, "diagnostic") - 1
        for k in range(last):
            x = graph.normalised(f"diagnostic.{k}", x)
        return new_state, graph.linear(f"diagnostic.{last}", x)
    increment, diagnostics = _heads(graph, x)
    return graph.node("Add", groups["state"], increment), diagnostics


def _point_wise(graph: _Graph, inputs: str, state: str) -> tuple[str, str]:
    """Of a point-wise network with GELU, latent skip and one input time."""
    parameters, (*_, n_state, n_diagnostics) = graph.model.parameters, graph.model.sizes
    assert graph.model.point_wise is not None
    epsilon = graph.model.point_wise.epsilon
    x = encoded = graph.linear("encoder.0", inputs)
    for k in range(layer_count(parameters, "processor")):
        x = graph.node("Gelu", graph.layer_norm(f"processor.{k}", graph.linear(f"processor.{k}", x), epsilon))
        x = graph.linear(f"processor.{k}", x, "_out")
    x = graph.layer_norm("decoder.0", graph.node("Add", x, encoded), epsilon)
    widths = graph.constant("results.widths", np.array([n_state, n_diagnostics]))
    graph.node("Split", graph.linear("decoder.0", x), widths, outputs=("increment", "diagnosed"), axis=1)
    return graph.node("Add", state, "increment"), "diagnosed"


def build(model: Model) -> onnx.ModelProto:
    """The graph: static, forcing, state -> new_state, diagnostics; each (n, n_features), float32, n free."""
    graph = _Graph(model)
    groups = {
        name: graph.rescaled(name, f"input.{name}", shifts(group), 1.0 / scales(group))
        for name, group in (("static", model.static), ("forcing", model.forcing), ("state", model.state))
    }
    new_state, diagnostics = _outputs(graph, groups)
    graph.finish(new_state, "state", "new_state")
    graph.finish(diagnostics, "diagnostics", "diagnostics")
    sizes = model.sizes

    def described(name: str, size: int) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["columns", size])

    proto = helper.make_graph(
        graph.nodes,
        f"ailand_{model.architecture}",
        [described(name, size) for name, size in zip(groups, sizes, strict=False)],
        [described("new_state", sizes.state), described("diagnostics", sizes.diagnostics)],
        [numpy_helper.from_array(values, name) for name, values in graph.constants.items()],
    )
    built = helper.make_model(proto, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=9)
    onnx.checker.check_model(built)
    return built
