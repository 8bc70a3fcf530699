"""ICON4Py's ``Component`` protocol around the land component."""

from __future__ import annotations

import datetime
import time
from typing import Any

import numpy as np
from icon4py.model.common import dimension as dims

from ailand_gt4py.core import arrays
from ailand_gt4py.integration.component import LandComponent
from ailand_gt4py.integration.coupling.exchange import GIVEN, FluxExchange
from ailand_gt4py.integration.hosts.icon4py.times import as_datetime64
from ailand_gt4py.weights.variables import CATALOGUE, cf_attributes

_NOTHING = np.timedelta64(0, "ns")


class AilandComponent:
    """The land component as ICON4Py's physics driver calls it.

    `AilandState.gather_from_prognostic` has added the step's forcing to the window by then, in every step of the
    dycore; this call, at the process's interval, gives the outputs and lets the emulator make its step if its window
    is full. The outputs are buffers of the land component and of the exchange, the same objects in every call: the
    driver holds on to them between calls. The land's are those that hold from now on; what the air was given, as fluxes
    and as tendencies of its lowest layer, is written when it is given, in every step of the host.

    Args:
        land: the land component. exchange: what gives its fluxes to the air.
        state_time: when the land's initial state was valid: its windows are counted from there.

    Attributes:
        land, state_time: as given.
        inputs_properties, outputs_properties: name -> standard_name, units, dims.
        seconds: (time, whether the emulator's window was full, wall-clock seconds) of every call.
    """

    def __init__(self, land: LandComponent, exchange: FluxExchange, state_time: np.datetime64) -> None:
        self.land, self.state_time = land, state_time
        given = {name: arrays.wrap(values, (dims.CellDim,), name) for name, values in exchange.given.items()}
        self._outputs = {**land.outputs, **given}
        self.inputs_properties = land.inputs_properties
        self.outputs_properties = land.outputs_properties | {
            name: {"standard_name": name, **cf_attributes(CATALOGUE[name]), "dims": (dims.CellDim,), "origin": "host"}
            for name in GIVEN
        }
        self.seconds: list[tuple[np.datetime64, bool, float]] = []

    def __call__(self, state: dict[str, Any], time_step: datetime.datetime) -> dict[str, Any]:
        """Give what `outputs_properties` lists.

        Args:
            state: of `AilandState.as_component_input`; added up already, and not read here.
            time_step: start of the host's step.

        Raises:
            InputError: a time that is not that of the last sample.
        """
        moment = as_datetime64(time_step)
        begin = time.perf_counter()
        self.land.advance(moment)
        elapsed = moment - self.state_time
        fired = bool(elapsed > _NOTHING and elapsed % self.land.window == _NOTHING)
        self.seconds.append((moment, fired, time.perf_counter() - begin))
        return self._outputs
