"""aiLand within a run of anemoi-inference: a mid-processor, which is called after each step of the atmosphere."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
from anemoi.inference.context import Context
from anemoi.inference.metadata import Metadata
from anemoi.inference.processor import Processor
from anemoi.inference.types import State

from ailand_gt4py.core.errors import InputError, reason
from ailand_gt4py.core.times import parse_interval, parse_time
from ailand_gt4py.core.types import Values
from ailand_gt4py.integration.hosts.anemoi.atmosphere import Atmosphere, require_names
from ailand_gt4py.integration.hosts.anemoi.land import CoupledLand, gifts, n_steps, weather_of
from ailand_gt4py.integration.hosts.anemoi.options import ProcessorOptions, read_options

logger = logging.getLogger(__name__)


class LandProcessor(Processor):
    """The land, driven by the atmosphere's near-surface fields after each of its steps.

    Nothing is given back unless the option ``give_back`` names prognostic fields of the atmosphere: those are then the
    land's at its points, in the atmosphere's output and in the input of its next step; where a state that the land
    model imputes is missing, the atmosphere keeps its own.

    Args:
        context: the runner. metadata: of the atmosphere's checkpoint.
        options: fields of `options.ProcessorOptions`.

    Raises:
        InputError: an option, file or atmosphere that does not fit, on one line.
    """

    def __init__(self, context: Context, metadata: Metadata, **options: Any) -> None:
        super().__init__(context, metadata)
        self._options = read_options(ProcessorOptions, options)
        self._model = self._options.read_model()
        self._atmosphere = Atmosphere.of(metadata, self._options.units)
        # What the checkpoint alone tells is checked now, before any forecast is made.
        weather_of(self._options, self._model, self._atmosphere)
        require_names(self._options.give_back, self._atmosphere.prognostic, "prognostic field of the atmosphere")
        self._gifts = gifts(self._options.give_back, self._model, self._atmosphere)
        self._land: CoupledLand | None = None

    def process(self, state: State) -> State:
        """Let the land make its step to the state's date, and put its fields into the state."""
        fields = state["fields"]
        if self._land is None:
            self._land = self._begin(state)
        try:
            found = self._land.at_land({name: as_numpy(fields[name]) for name in self._land.needs})
            self._land.step(parse_time(state["date"]), found)
        except BaseException:
            self._land.close()
            raise
        for name, gift in self._gifts.items():
            field = fields[name]
            values = as_numpy(field).copy()
            given = self._land.result(gift.name, gift.conversion)
            is_known = ~np.isnan(given)
            values[self._land.points[is_known]] = given[is_known]
            fields[name] = field.new_tensor(values)
        return state

    def _begin(self, state: State) -> CoupledLand:
        """The land at the start of the first step."""
        lead_time = self._options.lead_time or self.context.lead_time
        if lead_time is None:
            raise InputError("ailand: found no lead time, expected the option 'lead_time' where the runner has none")
        step, start = self._atmosphere.step, parse_time(state["date"]) - self._atmosphere.step
        n_outputs = self.metadata.multi_step_output
        land = CoupledLand(
            self._options,
            self._model,
            self._atmosphere,
            start,
            n_steps(parse_interval(lead_time), n_outputs * step) * n_outputs,
            np.asarray(state["latitudes"], dtype=np.float64),
            np.asarray(state["longitudes"], dtype=np.float64),
        )
        if self._options.first_window == "input" and self._options.restart is None:
            land.begin_with(self._input_fields(state, start))
        land.open()
        return land

    def _input_fields(self, state: State, start: np.datetime64) -> dict[str, Values]:
        """The atmosphere's prognostic fields at the start, from its input."""
        inputs: Any = getattr(self.context, "prognostics_inputs", {})
        try:
            date = state["date"] - self.metadata.timestep
            found = inputs[self.dataset_name].create_input_state(dates=[date])
            return {name: np.asarray(values).reshape(-1) for name, values in found["fields"].items()}
        except Exception as error:  # whatever an input of anemoi-inference raises
            raise InputError(
                f"ailand: the atmosphere's input at the start cannot be read ({reason(error)}), expected it, or the "
                "option 'first_window: end'"
            ) from error


def as_numpy(field: Any) -> Values:
    """A field of anemoi-inference, on any device and of any floating-point type, as float32 on the host."""
    values: Values = field if isinstance(field, np.ndarray) else field.detach().cpu().float().numpy()
    return values.astype(np.float32, copy=False)
