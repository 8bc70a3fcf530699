"""What a host model's file in this room gives, and one step of a host that has no driver of its own for it.

A new host is one file here: a class that is a `Host`. `cartesian` helps hosts of (I, J, K) fields with their memory;
`icon4py` is a whole one, whose driver calls the land in its own order.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from ailand_gt4py.integration.component import LandComponent
from ailand_gt4py.integration.coupling.exchange import FluxExchange
from ailand_gt4py.integration.coupling.mixed_layer import Air
from ailand_gt4py.integration.description import Ground, HostClock, HostGrid
from ailand_gt4py.weights.model import Model


class Host(Protocol):
    """A host model as the land needs it.

    ``LandComponent(model, grid=host.grid, ground=host.ground(model), clock=host.clock)`` makes the land. A host that
    puts the outputs into its own lower boundary needs no more than these and `forcing`; one that has none gives its
    `air`, into which a `FluxExchange` puts them.
    """

    @property
    def grid(self) -> HostGrid: ...

    @property
    def clock(self) -> HostClock: ...

    def ground(self, model: Model) -> Ground:
        """The model's static inputs, its first state and what is prescribed."""

    def forcing(self, time: np.datetime64) -> Mapping[str, Any]:
        """The fields of `LandComponent.inputs_properties` for the host's step that begins at a time."""

    def air(self) -> Air:
        """At land, of the time level at hand."""


def step(host: Host, land: LandComponent, exchange: FluxExchange, time: np.datetime64) -> Mapping[str, Any]:
    """The step of the host that begins at a time: forcing to the land, its fluxes into the air.

    Returns:
        The land's outputs.
    """
    air = host.air()
    exchange.catch_up(air)
    outputs = land(host.forcing(time), time)
    exchange.give(outputs, air, float(host.clock.host_step / np.timedelta64(1, "s")))
    return outputs
