"""A step of each architecture in PyTorch, in model units, as one would write it for inference."""

from __future__ import annotations

import torch
from networks import scales, shifts
from torch import nn
from torch.nn import functional

from ailand_gt4py.core.constants import LAYER_NORM_EPSILON, LEAKY_RELU_SLOPE
from ailand_gt4py.weights.architectures import layer_count
from ailand_gt4py.weights.model import Model


def torch_step(model: Model) -> nn.Module:
    """The step of any architecture."""
    return TorchStep(model) if model.point_wise is None else TorchPointWise(model)


class TorchPointWise(nn.Module):
    """As `TorchStep`, of a point-wise network with GELU, latent skip and one input time."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        assert model.point_wise is not None
        self.depth, self.epsilon = layer_count(model.parameters, "processor"), model.point_wise.epsilon
        self.n_state = model.sizes.state
        for name, array in model.parameters.items():
            self.register_buffer(name.replace(".", "_"), torch.as_tensor(array, dtype=torch.float32))
        inputs, results = model.static + model.forcing + model.state, model.state + model.diagnostics
        for name, values in {
            "input_shift": shifts(inputs),
            "input_rescale": 1.0 / scales(inputs),
            "result_shift": shifts(results),
            "result_scale": scales(results),
        }.items():
            self.register_buffer(name, torch.as_tensor(values, dtype=torch.float32))

    def _linear(self, layer: str, x: torch.Tensor, kind: str = "") -> torch.Tensor:
        return functional.linear(x, getattr(self, f"{layer}_weight{kind}"), getattr(self, f"{layer}_bias{kind}"))

    def _normalised(self, layer: str, x: torch.Tensor) -> torch.Tensor:
        gain, offset = getattr(self, f"{layer}_gain"), getattr(self, f"{layer}_offset")
        return functional.layer_norm(x, (len(gain),), gain, offset, self.epsilon)

    def forward(
        self, static: torch.Tensor, forcing: torch.Tensor, state: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        inputs = (torch.cat((static, forcing, state), dim=1) - self.input_shift) * self.input_rescale
        x = encoded = self._linear("encoder_0", inputs)
        for k in range(self.depth):
            x = functional.gelu(self._normalised(f"processor_{k}", self._linear(f"processor_{k}", x)))
            x = self._linear(f"processor_{k}", x, "_out")
        results = self._linear("decoder_0", self._normalised("decoder_0", x + encoded))
        new_state = inputs[:, -self.n_state :] + results[:, : self.n_state]
        results = torch.cat((new_state, results[:, self.n_state :]), dim=1) * self.result_scale + self.result_shift
        return results[:, : self.n_state], results[:, self.n_state :]


class TorchStep(nn.Module):
    """(static, forcing, state) -> (new state, diagnostics); each (n, n_features) in model units, float32.

    The inputs are concatenated once and normalised together. Where both output blocks start from one input their
    first layers are one wider layer.
    """

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.architecture = model.architecture
        self.n_state, self.n_static = model.sizes.state, model.sizes.static
        self.counts = {
            block: layer_count(model.parameters, block)
            for block in ("trunk", "static", "dynamic", "combine", "prognostic", "diagnostic")
        }
        for name, array in model.parameters.items():
            self.register_buffer(name.replace(".", "_"), torch.as_tensor(array, dtype=torch.float32))
        if model.architecture != "layer_norm":
            for kind in ("weight", "bias"):
                both = [getattr(self, f"{block}_0_{kind}") for block in ("prognostic", "diagnostic")]
                self.register_buffer(f"outputs_{kind}", torch.cat(both))
        inputs = model.static + model.forcing + model.state
        for name, values in {
            "input_shift": shifts(inputs),
            "input_rescale": 1.0 / scales(inputs),
            "state_shift": shifts(model.state),
            "state_scale": scales(model.state),
            "diagnostic_shift": shifts(model.diagnostics),
            "diagnostic_scale": scales(model.diagnostics),
        }.items():
            self.register_buffer(name, torch.as_tensor(values, dtype=torch.float32))
        for prefix, group in (("state", model.state), ("diagnostic", model.diagnostics)):
            for bound in ("lower", "upper"):
                values = [getattr(variable, f"{bound}_bound") for variable in group]
                self.register_buffer(f"{prefix}_{bound}", torch.tensor(values, dtype=torch.float32))

    def _linear(self, layer: str, x: torch.Tensor) -> torch.Tensor:
        return functional.linear(x, getattr(self, f"{layer}_weight"), getattr(self, f"{layer}_bias"))

    def _normalised(self, layer: str, x: torch.Tensor) -> torch.Tensor:
        gain, offset = getattr(self, f"{layer}_gain"), getattr(self, f"{layer}_offset")
        x = functional.layer_norm(self._linear(layer, x), (len(gain),), gain, offset, LAYER_NORM_EPSILON)
        return x.relu_()

    def _leaky(self, layer: str, x: torch.Tensor) -> torch.Tensor:
        return functional.leaky_relu_(self._linear(layer, x), LEAKY_RELU_SLOPE)

    def _heads(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Prognostic and diagnostic blocks on one input."""
        both = self._linear("outputs", x)
        widths = (len(self.prognostic_0_bias), len(self.diagnostic_0_bias))
        results = []
        for block, part in zip(("prognostic", "diagnostic"), both.split(widths, dim=1), strict=True):
            for k in range(1, self.counts[block]):
                part = self._linear(f"{block}_{k}", functional.leaky_relu(part, LEAKY_RELU_SLOPE))
            results.append(part)
        return results[0], results[1]

    def _outputs(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Increment of the state and diagnostics from the inputs, normalised."""
        if self.architecture == "simple":
            x = self._linear("trunk_0", x).relu_()
            for k in range(1, self.counts["trunk"]):
                x = self._leaky(f"trunk_{k}", x)
            return self._heads(x)
        if self.architecture == "two_branch":
            static = self._linear("static_0", x[:, : self.n_static]).relu_()
            dynamic = self._linear("dynamic_0", x[:, self.n_static :]).relu_()
            return self._heads(self._leaky("combine_0", torch.cat((static, dynamic), dim=1)))
        hidden = x
        for k in range(self.counts["trunk"]):
            hidden = self._normalised(f"trunk_{k}", hidden)
        increment = self._linear("prognostic_0", hidden)
        new_state = x[:, -self.n_state :] + increment
        hidden = torch.cat((x[:, : -self.n_state], new_state), dim=1)
        last = self.counts["diagnostic"] - 1
        for k in range(last):
            hidden = self._normalised(f"diagnostic_{k}", hidden)
        return increment, self._linear(f"diagnostic_{last}", hidden)

    def forward(
        self, static: torch.Tensor, forcing: torch.Tensor, state: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """One step."""
        x = (torch.cat((static, forcing, state), dim=1) - self.input_shift) * self.input_rescale
        increment, diagnostics = self._outputs(x)
        new_state = torch.addcmul(self.state_shift, x[:, -self.n_state :] + increment, self.state_scale)
        diagnostics = torch.addcmul(self.diagnostic_shift, diagnostics, self.diagnostic_scale)
        return (
            new_state.clamp(self.state_lower, self.state_upper),
            diagnostics.clamp(self.diagnostic_lower, self.diagnostic_upper),
        )
