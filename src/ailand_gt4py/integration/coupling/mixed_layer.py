"""Where the land's heat and vapour go: the lowest layer of a host's atmosphere, or all layers up to a height.

A host without turbulence carries heat out of the lowest layer by the resolved flow alone. A mixing height stands in for
it: all layers below warm and moisten equally, as in a well-mixed boundary layer.

Heat is added at constant density, as ICON's physics does: pressure follows, and the dynamics turns the excess into
work. So the heat capacity is that at constant volume, and the layers' internal energy grows by just the heat given.
Vapour replaces as much dry air and has the layer's temperature.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from ailand_gt4py.core import arrays


class Air(Protocol):
    """A host's air above its land cells, at the time level at hand: what a host gives so that the land can be coupled.

    Arrays are (n_land, n_layers) of the levels asked for, downward, so that the lowest layer is the last. They are
    copies; nothing here is kept beyond the step in which it was given, since hosts swap their time levels.
    """

    @property
    def has_vapour(self) -> bool: ...

    def density(self, levels: slice) -> arrays.Array:
        """kg m-3."""

    def temperature(self, levels: slice) -> arrays.Array:
        """K, diagnosed from the host's own variables."""

    def specific_heat(self, levels: slice) -> arrays.Array | float:
        """At constant volume, J kg-1 K-1."""

    def vapour(self, levels: slice) -> arrays.Array:
        """Specific humidity, kg kg-1; asked for where `has_vapour`."""

    def set_temperature(self, levels: slice, temperature: arrays.Array) -> None:
        """At constant density and composition."""

    def set_vapour(self, levels: slice, vapour: arrays.Array) -> None:
        """At constant density; the host's other variables stay."""


class MixedLayer:
    """The layers above the land cells that take what the land gives, up to a height above the ground, m.

    Thickness is (n_land, n_levels), m, from the top of the model downward. A layer that is cut takes its share,
    the lowest one always its whole share. Levels: those that take anything at any cell.
    """

    def __init__(self, thickness: arrays.Array, height: float, device: arrays.Device = "cpu") -> None:
        self._xp = xp = arrays.array_module(device)
        above_base = xp.flip(xp.cumsum(xp.flip(thickness, axis=1), axis=1), axis=1) - thickness
        share = xp.clip((height - above_base) / thickness, 0.0, 1.0)
        share[:, -1] = 1.0
        n_levels = int(thickness.shape[1])
        first = int(np.argmax(arrays.to_host((share > 0.0).any(axis=0)))) if len(thickness) else n_levels - 1
        self.levels, self.lowest = slice(first, n_levels), slice(n_levels - 1, n_levels)
        self._share, self._thickness = share[:, first:], thickness[:, first:]

    def air_mass(self, air: Air) -> arrays.Array:
        """Of the air that takes the vapour, (n_land,), kg m-2: what raises the humidity by 1 kg kg-1."""
        return (self._share * self._mass(air)).sum(axis=1)

    def heat_capacity(self, air: Air) -> arrays.Array:
        """Of the air that takes the heat, (n_land,), J m-2 K-1."""
        return (self._share * self._mass(air) * air.specific_heat(self.levels)).sum(axis=1)

    def add_water(self, air: Air, water: arrays.Array) -> None:
        """Add vapour (kg m-2, (n_land,)) at constant density; nothing else changes."""
        increase = self._share * (water / self.air_mass(air))[:, None]
        air.set_vapour(self.levels, air.vapour(self.levels) + increase)

    def add(self, air: Air, heat: arrays.Array, water: arrays.Array | None) -> tuple[arrays.Array, ...]:
        """Add heat (J m-2) and vapour (kg m-2; None: none), both (n_land,).

        Returns:
            What the layers then hold more than before, diagnosed from the host's own variables: heat (J m-2) and water
            (kg m-2), and temperature (K) and humidity (kg kg-1) of the lowest layer, all (n_land,).
        """
        mass = self._mass(air)
        capacity = mass * air.specific_heat(self.levels)
        before = air.temperature(self.levels)
        vapour_before = None if water is None else air.vapour(self.levels)
        if water is not None:
            self.add_water(air, water)
        warming = self._share * (heat / (self._share * capacity).sum(axis=1))[:, None]
        air.set_temperature(self.levels, before + warming)
        warmed = air.temperature(self.levels) - before
        moistened = self._xp.zeros_like(warmed) if vapour_before is None else air.vapour(self.levels) - vapour_before
        return (capacity * warmed).sum(axis=1), (mass * moistened).sum(axis=1), warmed[:, -1], moistened[:, -1]

    def _mass(self, air: Air) -> arrays.Array:
        return air.density(self.levels) * self._thickness
