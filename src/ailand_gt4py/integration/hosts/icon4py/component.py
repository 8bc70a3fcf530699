"""ICON4Py's ``Component`` protocol around the land component."""

from __future__ import annotations

import datetime
import time
from typing import Any

import numpy as np

from ailand_gt4py.integration.component import LandComponent

_NOTHING = np.timedelta64(0, "ns")


def as_datetime64(moment: datetime.datetime) -> np.datetime64:
    """ICON4Py's date, UTC, with or without a time zone."""
    if moment.tzinfo is not None:
        moment = moment.astimezone(datetime.UTC).replace(tzinfo=None)
    return np.datetime64(moment, "ns")


def as_datetime(moment: np.datetime64) -> datetime.datetime:
    """A date as ICON4Py has it, without a time zone."""
    result: datetime.datetime = moment.astype("datetime64[us]").item()
    return result


def as_timedelta(duration: np.timedelta64) -> datetime.timedelta:
    """A duration as ICON4Py has it."""
    result: datetime.timedelta = duration.astype("timedelta64[us]").item()
    return result


class AilandComponent:
    """The land component as ICON4Py's physics driver calls it.

    `AilandState.gather_from_prognostic` has added the step's forcing to the window by then, in every step of the
    dycore; this call, at the process's interval, gives the outputs and lets the emulator make its step if its window
    is full. The outputs are buffers of the land component and of the exchange, the same objects in every call: the
    driver holds on to them between calls. The land's are those that hold from now on; what the air was given, as fluxes
    and as tendencies of its lowest layer, is written when it is given, in every step of the host.

    Args:
        land: the land component.
        given: name -> field over the host's cells of what the air was given. given_properties: of these.
        state_time: when the land's initial state was valid: its windows are counted from there.

    Attributes:
        land, state_time: as given.
        inputs_properties, outputs_properties: name -> standard_name, units, dims.
        seconds: (time, whether the emulator's window was full, wall-clock seconds) of every call.
    """

    def __init__(
        self,
        land: LandComponent,
        given: dict[str, Any],
        given_properties: dict[str, Any],
        state_time: np.datetime64,
    ) -> None:
        self.land, self.state_time = land, state_time
        self._outputs = {**land.outputs, **given}
        self._outputs_properties = {**land.outputs_properties, **given_properties}
        self.seconds: list[tuple[np.datetime64, bool, float]] = []

    @property
    def inputs_properties(self) -> dict[str, Any]:
        return self.land.inputs_properties

    @property
    def outputs_properties(self) -> dict[str, Any]:
        return self._outputs_properties

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
