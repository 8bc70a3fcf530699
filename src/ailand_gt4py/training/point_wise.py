"""The `point_wise` architecture in PyTorch: anemoi's network, with the parameters of `weights.architectures`."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from ailand_gt4py.training.configuration import Network
from ailand_gt4py.training.network import ColumnPhysics, Linear, StepNetwork
from ailand_gt4py.training.scaling import Scaling


class _Normalisation(nn.Module):
    """Layer normalisation over n features."""

    def __init__(self, n: int, epsilon: float) -> None:
        super().__init__()
        self.gain, self.offset = nn.Parameter(torch.ones(n)), nn.Parameter(torch.zeros(n))
        self._epsilon = epsilon

    def normalised(self, x: torch.Tensor) -> torch.Tensor:
        return functional.layer_norm(x, self.gain.shape, self.gain, self.offset, self._epsilon)


#: What ``processing.ACTIVATIONS`` names, of values and its parameters.
_FUNCTIONS = {
    "gelu": functional.gelu,
    "gelu_tanh": lambda x: functional.gelu(x, approximate="tanh"),
    "silu": functional.silu,
    "relu": functional.relu,
    "leaky_relu": functional.leaky_relu,
    "elu": functional.elu,
    "tanh": torch.tanh,
    "softplus": functional.softplus,
    "identity": lambda x: x,
    "sine": lambda x, w, phi: torch.sin(w * x + phi),
    "custom_relu": lambda x, threshold: functional.relu(x - threshold) + threshold,
}


class _Block(_Normalisation):
    """Linear layer, normalisation, activation and, where the hidden width is another, a linear layer back."""

    def __init__(self, options: Network, generator: torch.Generator) -> None:
        channels = options.channels
        hidden = int(channels * options.ratio + 0.5)
        super().__init__(hidden, options.epsilon)
        function, parameters = _FUNCTIONS[options.activation], options.activation_parameters
        self._activation, self._dropout = (lambda x: function(x, *parameters)), options.dropout
        first = Linear(channels, hidden, generator)
        self.weight, self.bias = first.weight, first.bias
        self.weight_out = self.bias_out = None
        if hidden != channels:
            last = Linear(hidden, channels, generator)
            self.weight_out, self.bias_out = last.weight, last.bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self._activation(self.normalised(functional.linear(x, self.weight, self.bias)))
        if self.weight_out is not None:
            x = functional.linear(x, self.weight_out, self.bias_out)
        return functional.dropout(x, self._dropout, self.training) if self._dropout else x


class _Decoder(_Normalisation):
    """Layer normalisation, then a linear layer whose rows of the state are 0: persistence."""

    def __init__(self, n_in: int, n_state: int, n_diagnostics: int, epsilon: float, generator: torch.Generator) -> None:
        super().__init__(n_in, epsilon)
        last = Linear(n_in, n_state + n_diagnostics, generator)
        self.weight, self.bias = last.weight, last.bias
        with torch.no_grad():
            self.weight[:n_state], self.bias[:n_state] = 0.0, 0.0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.linear(self.normalised(x), self.weight, self.bias)


class PointWiseNetwork(StepNetwork):
    """Encoder, blocks, latent skip, decoder to increments of the state and diagnostics; the state's bounds.

    What it takes as state is (n, input_steps * n_state): of the newest time, of the step before, ...
    """

    architecture = "point_wise"
    scaled_layer = "decoder.0"

    def __init__(self, options: Network, scaling: Scaling, seed: int) -> None:
        super().__init__(scaling)
        generator = torch.Generator().manual_seed(seed)
        self.shape, channels = options.point_wise, options.channels
        self.input_steps, self._n_of_state = options.input_steps, options.input_steps * self.n_state
        n_input = self.n_static + len(scaling.forcing) + self._n_of_state
        self.encoder = nn.ModuleList([Linear(n_input, channels, generator)])
        self.processor = nn.ModuleList(_Block(options, generator) for _ in range(options.layers))
        n_diagnostics = len(scaling.diagnostics)
        self.decoder = nn.ModuleList([_Decoder(channels, self.n_state, n_diagnostics, options.epsilon, generator)])

    @property
    def results(self) -> Sequence[nn.Module]:
        return (self.decoder,)

    @property
    def of_diagnostics(self) -> tuple[nn.Module, int]:
        return self.decoder[0], self.n_state

    def physics(self, static: torch.Tensor) -> ColumnPhysics:
        return ColumnPhysics(self.upper, None)

    def _input_product(self, static: torch.Tensor, forcing: torch.Tensor) -> torch.Tensor:
        """(..., n, channels) the encoder's result but for the state's part, for all steps of a rollout at once."""
        encoder = self.encoder[0]
        by_static = functional.linear(static, encoder.weight[:, : self.n_static], encoder.bias)
        return functional.linear(forcing, encoder.weight[:, self.n_static : -self._n_of_state]) + by_static

    def _advance(self, product: torch.Tensor, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The newest state after a step, unbounded, and the diagnostics."""
        encoded = product + functional.linear(state, self.encoder[0].weight[:, -self._n_of_state :])
        x = encoded
        for block in self.processor:
            x = block(x)
        results = self.decoder[0](x + encoded if self.shape.latent_skip else x)
        return state[:, : self.n_state] + results[:, : self.n_state] * self.increment_scale, results[:, self.n_state :]

    def _next(self, state: torch.Tensor, newest: torch.Tensor) -> torch.Tensor:
        """What the next step takes as state."""
        return torch.cat([newest, state], dim=1)[:, : self._n_of_state]

    def forward(
        self, static: torch.Tensor, forcing: torch.Tensor, state: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """One step: what the next one takes as state, bounded, and diagnostics (n, n_diagnostics)."""
        free, diagnostics = self._advance(self._input_product(static, forcing), state)
        return self._next(state, self._bounded(free, self.physics(static))), diagnostics

    def run(
        self, static: torch.Tensor, forcing: torch.Tensor, state: torch.Tensor, physics: ColumnPhysics
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        steps = []
        for product in self._input_product(static, forcing):
            steps.append(self._advance(product, state))
            state = self._next(state, self._bounded(steps[-1][0], physics))
        free, diagnostics = (torch.stack(one) for one in zip(*steps, strict=True))
        return self._passing(free, physics), diagnostics, state.detach()
