"""Brightness temperatures of a rollout's states against those observed, for the loss (`losses.brightness`)."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from ailand_gt4py.observations.brightness import Radiometer
from ailand_gt4py.training.brightness import Cover, Emission, soil_of
from ailand_gt4py.training.configuration import BRIGHTNESS_INPUTS, Brightness
from ailand_gt4py.training.scaling import Scaling, scale, shift
from ailand_gt4py.training.windows import ObservedBrightness

#: Rows of what `Emission` gives.
_POLARISATIONS = ("tbh", "tbv")


class BrightnessTerm(nn.Module):
    """Errors of brightness temperature in units of the observations' errors; the operator is computed in float64."""

    def __init__(self, options: Brightness, observed: ObservedBrightness, scaling: Scaling) -> None:
        super().__init__()
        radiometer = Radiometer(incidence=options.incidence, roughness=options.roughness * Radiometer.roughness)
        self.emission = Emission(radiometer, options.learns, options.optical_depth)
        self._snow, self._frost = options.largest_snow_cover, options.coldest_soil
        self._rows = [_POLARISATIONS.index(name) for name in observed.names]
        # Beside the training data, on the processor: only what a batch takes goes to the device.
        self._values, errors = (torch.from_numpy(one) for one in (observed.values, observed.errors))
        self._errors = torch.nan_to_num(errors, nan=options.error)
        self._soil = soil_of(observed.clay, radiometer.frequency)
        high, low = observed.covers.astype(np.float64)
        self._cover = Cover.of((high, low), (observed.kinds[0], observed.kinds[1]))
        for group in ("state", "forcing"):
            known = [one.name for one in getattr(scaling, group)]
            positions = [known.index(name) for name in BRIGHTNESS_INPUTS[group]]
            variables = [getattr(scaling, group)[position] for position in positions]
            self.register_buffer(f"_{group}", torch.tensor(positions), persistent=False)
            for name, numbers in (("scale", scale(variables)), ("shift", shift(variables))):
                self.register_buffer(f"_{group}_{name}", torch.as_tensor(numbers), persistent=False)

    def forward(
        self, columns: torch.Tensor, rows: torch.Tensor, states: torch.Tensor, forcing: torch.Tensor
    ) -> torch.Tensor:
        """(n_steps, n, n_names) simulated minus observed over the error; 0 where nothing is compared.

        Nothing is where nothing was observed, and where the states themselves have snow or frost.

        Args:
            columns: (n,). rows: (n_steps, n) of the windows. states, forcing: (n_steps, n, ...) at the windows' ends
                and of the windows, normalised.
        """
        there = torch.isfinite(self._values[rows])
        water, surface, deep, snow = self._in_model_units("state", states)
        is_bare = (snow <= self._snow) & (surface >= self._frost)
        steps, runs = torch.nonzero(there.any(dim=-1).to(states.device) & is_bare, as_tuple=True)
        errors = states.new_zeros(there.shape)
        if len(steps):
            at = rows[steps.cpu(), runs.cpu()]
            chosen = columns[runs.cpu()]
            land = (one[steps, runs] for one in (water, surface, deep))
            leaf_areas = self._in_model_units("forcing", forcing[steps, runs])
            soil = self._soil[:, chosen].to(states.device)
            cover = Cover(*(one[:, chosen].to(states.device) for one in self._cover))
            simulated = self.emission(*land, soil, cover, leaf_areas)[self._rows].T
            wanted = self._values[at].to(states.device)
            wanted = torch.where(torch.isfinite(wanted), wanted, simulated.detach())
            error = (simulated - wanted) / self._errors[at].to(states.device)
            errors[steps, runs] = error.to(states.dtype)
        return errors

    def _in_model_units(self, group: str, values: torch.Tensor) -> torch.Tensor:
        """(n_inputs, ...) float64 of normalised values (..., n_features), in the order of `BRIGHTNESS_INPUTS`."""
        chosen = values[..., getattr(self, f"_{group}")].double()
        return (chosen * getattr(self, f"_{group}_scale") + getattr(self, f"_{group}_shift")).movedim(-1, 0)

    @property
    def texts(self) -> dict[str, str]:
        """What was learnt, by name; of vegetation by the types that were observed."""
        observed = torch.isfinite(self._soil[0]) & (self._cover.share > 0.0)
        types = sorted(set(self._cover.kind[observed].tolist()))
        found = {}
        for name, values in self.emission.learnt.items():
            if name == "roughness":
                found[name] = f"{values[0]:.3f}"
            elif name == "bias":
                found[name] = f"{values[0]:+.2f} K (H), {values[1]:+.2f} K (V)"
            else:
                found[name] = ", ".join(f"{values[kind]:.3f} (type {kind})" for kind in types)
        return found
