"""A step of each architecture layer by layer on NumPy or CuPy arrays, in model units, with buffers made once."""

from __future__ import annotations

from typing import Any

import numpy as np
from networks import scales, shifts

from ailand_gt4py.core.constants import LAYER_NORM_EPSILON, LEAKY_RELU_SLOPE
from ailand_gt4py.weights.architectures import layer_count
from ailand_gt4py.weights.model import Model


class ArrayStep:
    """(static, forcing, state) -> (new state, diagnostics) by the array library's BLAS; float32, model units.

    Weights are transposed once, so that each product reads both operands as they lie. All results have buffers.

    Args:
        model: what to run.
        n_columns: of every call.
        xp: numpy or cupy.
        block: columns that go through all layers together, so that they stay in a cache; None: all.
    """

    def __init__(self, model: Model, n_columns: int, xp: Any = np, block: int | None = None) -> None:
        self.model, self.xp = model, xp
        self.n_columns, self.block = n_columns, min(block or n_columns, n_columns)
        self._parameters = {
            name: xp.asarray(np.ascontiguousarray(array.T, dtype=np.float32))
            for name, array in model.parameters.items()
        }
        self._counts = {
            block: layer_count(model.parameters, block)
            for block in ("trunk", "static", "dynamic", "combine", "prognostic", "diagnostic")
        }
        if model.architecture != "layer_norm":
            for kind in ("weight", "bias"):
                both = [self._parameters[f"{block}.0.{kind}"] for block in ("prognostic", "diagnostic")]
                self._parameters[f"outputs.0.{kind}"] = xp.concatenate(both, axis=-1)
        sizes = model.sizes
        inputs = model.static + model.forcing + model.state
        self._input = self._constants(shifts(inputs), 1.0 / scales(inputs))
        self._finishing = {
            name: self._constants(
                shifts(group),
                scales(group),
                np.array([variable.lower_bound for variable in group]),
                np.array([variable.upper_bound for variable in group]),
            )
            for name, group in (("state", model.state), ("diagnostics", model.diagnostics))
        }
        self._slices = (
            slice(0, sizes.static),
            slice(sizes.static, sizes.static + sizes.forcing),
            slice(sizes.static + sizes.forcing, len(inputs)),
        )
        self._buffers = {"input": self._empty(len(inputs)), "diagnostic input": self._empty(len(inputs))}
        for name, array in self._parameters.items():
            if name.endswith(".bias"):
                self._buffers[name.removesuffix(".bias")] = self._empty(len(array))
        self._buffers["scratch"] = self._empty(max(buffer.shape[1] for buffer in self._buffers.values()))
        if model.architecture == "two_branch":
            self._buffers["branches"] = self._empty(self._parameters["combine.0.weight"].shape[0])
        self.results = tuple(
            xp.full((n_columns, size), np.nan, dtype=np.float32) for size in (sizes.state, sizes.diagnostics)
        )

    def _constants(self, *values: np.ndarray) -> tuple[Any, ...]:
        return tuple(self.xp.asarray(np.asarray(array, dtype=np.float32)) for array in values)

    def _empty(self, n_features: int) -> Any:
        return self.xp.empty((self.block, n_features), dtype=np.float32)

    def __call__(self, static: Any, forcing: Any, state: Any) -> tuple[Any, Any]:
        """One step; the results are overwritten by the next call."""
        for first in range(0, self.n_columns, self.block):
            rows = slice(first, min(first + self.block, self.n_columns))
            self._step(*(array[rows] for array in (static, forcing, state)), *(array[rows] for array in self.results))
        return self.results

    def _step(self, static: Any, forcing: Any, state: Any, new_state: Any, diagnostics: Any) -> None:
        n, xp = len(static), self.xp
        x = self._buffers["input"][:n]
        shift, factor = self._input
        for part, columns in zip((static, forcing, state), self._slices, strict=True):
            xp.subtract(part, shift[columns], out=x[:, columns])
        xp.multiply(x, factor, out=x)
        old_state = x[:, self._slices[2]]
        if self.model.architecture == "layer_norm":
            hidden = x
            for k in range(self._counts["trunk"]):
                hidden = self._normalised(f"trunk.{k}", hidden)
            xp.add(old_state, self._linear("prognostic.0", hidden), out=new_state)
            hidden = self._buffers["diagnostic input"][:n]
            hidden[:, : self._slices[2].start] = x[:, : self._slices[2].start]
            hidden[:, self._slices[2]] = new_state
            last = self._counts["diagnostic"] - 1
            for k in range(last):
                hidden = self._normalised(f"diagnostic.{k}", hidden)
            result = self._linear(f"diagnostic.{last}", hidden)
        else:
            increment, result = self._heads(self._trunk(x))
            xp.add(old_state, increment, out=new_state)
        self._finish(new_state, new_state, "state")
        self._finish(result, diagnostics, "diagnostics")

    def _trunk(self, x: Any) -> Any:
        """Hidden layers of `simple` and `two_branch` up to the output blocks."""
        if self.model.architecture == "simple":
            x = self._relu(self._linear("trunk.0", x))
            for k in range(1, self._counts["trunk"]):
                x = self._leaky(self._linear(f"trunk.{k}", x))
            return x
        n_static = self._slices[0].stop
        both = self._buffers["branches"][: len(x)]
        n_static_units = len(self._parameters["static.0.bias"])
        both[:, :n_static_units] = self._linear("static.0", x[:, :n_static])
        both[:, n_static_units:] = self._linear("dynamic.0", x[:, n_static:])
        return self._leaky(self._linear("combine.0", self._relu(both)))

    def _heads(self, x: Any) -> tuple[Any, Any]:
        both = self._linear("outputs.0", x)
        n_prognostic = len(self._parameters["prognostic.0.bias"])
        results = []
        for block, part in (("prognostic", both[:, :n_prognostic]), ("diagnostic", both[:, n_prognostic:])):
            for k in range(1, self._counts[block]):
                part = self._linear(f"{block}.{k}", self._leaky(part))
            results.append(part)
        return results[0], results[1]

    def _linear(self, layer: str, x: Any) -> Any:
        out = self._buffers[layer][: len(x)]
        self.xp.matmul(x, self._parameters[f"{layer}.weight"], out=out)
        out += self._parameters[f"{layer}.bias"]
        return out

    def _normalised(self, layer: str, x: Any) -> Any:
        xp, x = self.xp, self._linear(layer, x)
        x -= x.mean(axis=1, keepdims=True)
        variance = xp.einsum("ij,ij->i", x, x) / np.float32(x.shape[1])
        x *= (1.0 / xp.sqrt(variance + np.float32(LAYER_NORM_EPSILON)))[:, None]
        x *= self._parameters[f"{layer}.gain"]
        x += self._parameters[f"{layer}.offset"]
        return self._relu(x)

    def _relu(self, x: Any) -> Any:
        return self.xp.maximum(x, np.float32(0.0), out=x)

    def _leaky(self, x: Any) -> Any:
        """max(x, slope x), in place."""
        scaled = self.xp.multiply(x, np.float32(LEAKY_RELU_SLOPE), out=self._buffers["scratch"][: len(x), : x.shape[1]])
        return self.xp.maximum(x, scaled, out=x)

    def _finish(self, normalised: Any, out: Any, name: str) -> None:
        """To model units, and within the bounds."""
        shift, scale, lower, upper = self._finishing[name]
        self.xp.multiply(normalised, scale, out=out)
        out += shift
        self.xp.clip(out, lower, upper, out=out)
