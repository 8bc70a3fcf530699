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
    is full. The outputs are the land component's own buffers, the same objects in every call: the driver holds on to
    them between calls.

    Args:
        land: the land component.
        state_time: when its initial state was valid: its windows are counted from there.

    Attributes:
        land, state_time: as given.
        inputs_properties, outputs_properties: name -> standard_name, units, dims.
        seconds: (time, whether the emulator's window was full, wall-clock seconds) of every call.
    """

    def __init__(self, land: LandComponent, state_time: np.datetime64) -> None:
        self.land, self.state_time = land, state_time
        self.seconds: list[tuple[np.datetime64, bool, float]] = []

    @property
    def inputs_properties(self) -> dict[str, Any]:
        return self.land.inputs_properties

    @property
    def outputs_properties(self) -> dict[str, Any]:
        return self.land.outputs_properties

    def __call__(self, state: dict[str, Any], time_step: datetime.datetime) -> dict[str, Any]:
        """Give the fluxes.

        Args:
            state: of `AilandState.as_component_input`; added up already, and not read here.
            time_step: start of the host's step.

        Raises:
            InputError: a time that is not that of the last sample.
        """
        moment = as_datetime64(time_step)
        begin = time.perf_counter()
        outputs = self.land.advance(moment)
        elapsed = moment - self.state_time
        fired = bool(elapsed > _NOTHING and elapsed % self.land.window == _NOTHING)
        self.seconds.append((moment, fired, time.perf_counter() - begin))
        return outputs
