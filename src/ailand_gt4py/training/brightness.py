"""The brightness temperature of `stencils.physics.brightness` in PyTorch, for training: the tests compare both.

All coefficients are those of `observations.brightness`. Roughness, the vegetation's optical properties and a bias of
the instrument may be learnt: they are parameters of `Emission`, which begin with that module's values and no bias.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from ailand_gt4py.core.types import Values
from ailand_gt4py.observations.brightness import Radiometer, soil_coefficients, vegetation_table

#: What `Emission` may learn.
LEARNABLE = ("roughness", "optical_depth", "albedo", "bias")


class Cover(NamedTuple):
    """Vegetation of columns, high, then low, each (2, n): the share of the column, and the type, 0..20."""

    share: torch.Tensor
    kind: torch.Tensor

    @classmethod
    def of(cls, covers: tuple[Values, Values], types: tuple[Values, Values]) -> Cover:
        """Of covers and types of high and low vegetation, (n,); where they overlap high goes first."""
        high = np.clip(covers[0], 0.0, 1.0)
        shares = np.stack([high, np.minimum(np.clip(covers[1], 0.0, 1.0), 1.0 - high)])
        kinds = np.clip(np.rint(np.nan_to_num(np.stack(types))), 0, len(vegetation_table()) - 1)
        return cls(torch.as_tensor(shares), torch.as_tensor(kinds.astype(np.int64)))


class Emission(nn.Module):
    """What an L-band radiometer sees of columns: H and V polarised, K.

    Args:
        radiometer: instrument and roughness to begin with.
        learns: some of `LEARNABLE`: the roughness h; a factor of each vegetation type's optical depth; each type's
            single-scattering albedo; what is added to H and V, K. Logarithms (of the albedo, the logit) are learnt, so
            that all stay what they are.
        optical_depth: factor of all optical depths to begin with.
    """

    def __init__(self, radiometer: Radiometer, learns: Sequence[str] = (), optical_depth: float = 1.0) -> None:
        super().__init__()
        self._radiometer = radiometer
        table = torch.as_tensor(vegetation_table())
        numbers = {
            "roughness": torch.tensor(math.log(radiometer.roughness), dtype=torch.float64),
            "optical_depth": torch.full((len(table),), math.log(optical_depth), dtype=torch.float64),
            # An albedo of none stays none.
            "albedo": torch.logit(table[:, 2]),
            "bias": torch.zeros(2, dtype=torch.float64),
        }
        for name, values in numbers.items():
            self.register_parameter(f"_{name}", nn.Parameter(values, requires_grad=name in learns))
        self.register_buffer("_table", table, persistent=False)

    @property
    def roughness(self) -> torch.Tensor:
        return torch.exp(self._roughness)

    @property
    def learnt(self) -> dict[str, list[float]]:
        """What is learnt, as it is now: h; factors (21,) and albedos (21,) by type of vegetation; H and V, K."""
        numbers = {
            "roughness": self.roughness[None],
            "optical_depth": torch.exp(self._optical_depth),
            "albedo": torch.sigmoid(self._albedo),
            "bias": self._bias,
        }
        return {name: one.tolist() for name, one in numbers.items() if getattr(self, f"_{name}").requires_grad}

    def forward(
        self,
        water: torch.Tensor,
        surface: torch.Tensor,
        deep: torch.Tensor,
        soil: torch.Tensor,
        cover: Cover,
        leaf_areas: torch.Tensor,
    ) -> torch.Tensor:
        """(2, ..., n), H and V polarised.

        Args:
            water, surface, deep: (..., n) of the uppermost layer, m3 m-3; of the first two layers, K.
            soil: (7, n) of `soil_of`. cover: of n columns. leaf_areas: (2, ..., n) of high and low vegetation, m2 m-2.
        """
        cosine = math.cos(math.radians(self._radiometer.incidence))
        smooth = _smooth_reflectivities(water, soil, cosine)
        mixing, exponents = self._radiometer.mixing, (self._radiometer.exponent_h, self._radiometer.exponent_v)
        damping = torch.stack([torch.exp(-self.roughness * cosine**n) for n in exponents])
        rough = _along_first(damping, smooth) * (smooth + mixing * (smooth.flip(0) - smooth))
        through, own, returned = self._canopy(cover, leaf_areas, cosine)
        below = deep + self._radiometer.surface_weight * (surface - deep)
        clean = below * (1.0 - rough) * through + surface * (own + rough * returned)
        return clean + _along_first(self._bias, clean)

    def _canopy(self, cover: Cover, leaf_areas: torch.Tensor, cosine: float) -> tuple[torch.Tensor, ...]:
        """Terms of the tau-omega model, each (2, ..., n), summed over bare soil and vegetation with their shares."""
        by_leaf_area, constant, _, *tilts = (column[cover.kind] for column in self._table.unbind(dim=1))
        factor, albedo = torch.exp(self._optical_depth)[cover.kind], torch.sigmoid(self._albedo)[cover.kind]
        through = 1.0 - cover.share.sum(dim=0)
        own, returned = torch.zeros_like(through), torch.zeros_like(through)
        for k in range(len(cover.share)):
            depth = factor[k] * (by_leaf_area[k] * leaf_areas[k] + constant[k])
            path = torch.stack([depth * (cosine**2 + tilt[k] * (1.0 - cosine**2)) / cosine for tilt in tilts])
            passed = torch.exp(-path)
            emitted = (1.0 - albedo[k]) * (1.0 - passed)
            through = through + cover.share[k] * passed
            own = own + cover.share[k] * emitted
            returned = returned + cover.share[k] * emitted * passed
        return through, own, returned


def soil_of(clay: Values, frequency: float) -> torch.Tensor:
    """(7, n) coefficients of the dielectric model by the clay fraction (n,), in the order of `Soil`."""
    return torch.as_tensor(np.stack(soil_coefficients(clay, frequency)))


def _along_first(factors: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    return factors.reshape(-1, *(1,) * (values.ndim - 1))


def _smooth_reflectivities(water: torch.Tensor, soil: torch.Tensor, cosine: float) -> torch.Tensor:
    """(2, ..., n) power reflectivities of a smooth surface: Mironov's refractive index, Fresnel's equations."""
    transition, dry_index, bound_index, free_index, dry_attenuation, bound_attenuation, free_attenuation = soil
    bound, free = torch.minimum(water, transition), torch.relu(water - transition)
    index = torch.complex(
        dry_index + bound_index * bound + free_index * free,
        dry_attenuation + bound_attenuation * bound + free_attenuation * free,
    )
    permittivity = index * index
    normal = torch.sqrt(permittivity - (1.0 - cosine**2))
    ratios = [
        (cosine - normal) / (cosine + normal),
        (cosine * permittivity - normal) / (cosine * permittivity + normal),
    ]
    return torch.stack([ratio.real**2 + ratio.imag**2 for ratio in ratios])
