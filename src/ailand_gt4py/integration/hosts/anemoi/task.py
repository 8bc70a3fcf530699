"""aiLand as a task of its own of a coupled run of anemoi-inference, beside the atmosphere's task.

The atmosphere sends its new state after each of its steps but the last and, where the land sends anything, waits for
it: fields that are forcings of its checkpoint, for its next step. So the land makes one step less than the atmosphere.

HDF5 takes one thread at a time, and anemoi-inference's netCDF output does not always keep to its own lock. So between
threads the land touches its files only while the atmosphere waits for it or, if that never does, when it has ended: the
fields that it sent are held until then, at land.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from anemoi.inference.checkpoint import Checkpoint
from anemoi.inference.task import Task
from anemoi.inference.transport import Coupling, Transport
from anemoi.inference.transports.threads import ThreadsTransport

from ailand_gt4py.core.errors import InputError, reason
from ailand_gt4py.core.times import parse_interval, parse_time
from ailand_gt4py.core.types import Values
from ailand_gt4py.integration.hosts.anemoi.atmosphere import Atmosphere, require_names
from ailand_gt4py.integration.hosts.anemoi.land import CoupledLand, Gift, gifts, n_steps
from ailand_gt4py.integration.hosts.anemoi.mid_processor import as_numpy
from ailand_gt4py.integration.hosts.anemoi.options import TaskOptions, read_options

logger = logging.getLogger(__name__)


def read_atmosphere(path: Path, units: Mapping[str, str]) -> tuple[Atmosphere, tuple[Values, Values]]:
    """The atmosphere of a checkpoint, and latitudes and longitudes of its points; ``units`` as of `Atmosphere.of`."""
    try:
        checkpoint = Checkpoint(str(path))
        metadata = list(checkpoint.multi_dataset_metadata.values())
        atmosphere = Atmosphere.of(metadata[0], units)
    except InputError:
        raise
    except Exception as error:  # whatever anemoi-inference makes of another file
        raise InputError(f"{path}: cannot be read ({reason(error)}), expected an anemoi checkpoint") from error
    if len(metadata) > 1:
        raise InputError(f"{path}: has {len(metadata)} data sets, expected one")
    if metadata[0].multi_step_output > 1:
        raise InputError(f"{path}: makes {metadata[0].multi_step_output} outputs a step, expected one")
    if atmosphere.latitude is None or atmosphere.longitude is None:
        raise InputError(
            f"{path}: does not contain the locations of its grid points, expected latitudes and longitudes"
        )
    return atmosphere, (atmosphere.latitude, atmosphere.longitude)


class LandTask(Task):
    """The land as a task; what it receives and sends stands in the coupled run's ``couplings``.

    What can be checked before the run is checked when the task is made: a task that fails in a run would leave the
    other one waiting for it. Where it fails all the same, the other one is released, and ends with an error, too, if it
    waits for the land's fields.

    Args:
        name: of the task. options: fields of `options.TaskOptions`. global_config: ``date`` and ``lead_time`` of the
            coupled run.

    Raises:
        InputError: an option, file or atmosphere that does not fit, on one line.
    """

    def __init__(self, name: str, *, global_config: Mapping[str, Any] | None = None, **options: Any) -> None:
        super().__init__(name)
        self._options = read_options(TaskOptions, options)
        model = self._options.read_model()
        self._atmosphere, points = read_atmosphere(self._options.checkpoint, self._options.units)
        shared = global_config or {}
        given = {key: getattr(self._options, key) or shared.get(key) for key in ("date", "lead_time")}
        for key, value in given.items():
            if value is None:
                raise InputError(f"ailand: found no {key}, expected it as an option of the task or of the coupled run")
        self._n_points = len(points[0])
        n_windows = n_steps(parse_interval(given["lead_time"]), self._atmosphere.step) - 1
        self._land = CoupledLand(self._options, model, self._atmosphere, parse_time(given["date"]), n_windows, *points)

    def run(self, transport: Transport) -> None:
        """Take part in the coupled run to its end."""
        couplings = transport.couplings(self)
        receives = [one for one in couplings if one.target is self]
        sends = [one for one in couplings if one.source is self]
        n_received = n_sent = 0
        try:
            given = gifts((name for one in sends for name in one.variables), self._land.model, self._atmosphere)
            self._check(couplings, receives, sends, given)
            waiting: list[dict[str, Values]] = []
            for tag in range(self._land.n_windows):
                fields = self._receive(transport, receives, tag)
                n_received += 1
                waiting.append(self._land.at_land(fields))
                if not sends and isinstance(transport, ThreadsTransport):
                    continue
                self._step(waiting.pop())
                state = {"date": self._land.time.astype("datetime64[us]").item(), "fields": self._fields(given)}
                for one in sends:
                    one.apply(self, transport, input_state=state, output_state={}, constants={}, tag=tag)
                n_sent += 1
            if waiting:
                transport.threads[receives[0].source.name].join()
            for fields in waiting:
                self._step(fields)
        except BaseException:
            self._land.close()
            self._release(transport, couplings, n_received, n_sent)
            raise

    def _step(self, fields: Mapping[str, Values]) -> None:
        """Let the land make its step on fields at its columns; its files are made at the first one."""
        if self._land.n_made == 0:
            self._land.open()
        self._land.step(self._land.next_end, fields)

    def _check(
        self,
        couplings: Sequence[Coupling],
        receives: Sequence[Coupling],
        sends: Sequence[Coupling],
        given: Mapping[str, Gift],
    ) -> None:
        """Check that the couplings give the land what it needs and the atmosphere what it takes."""
        if len(receives) != 1 or couplings[0] is not receives[0]:
            found = ", ".join(f"{one.source.name}->{one.target.name}" for one in couplings) or "none"
            raise InputError(
                f"ailand: couplings of '{self.name}': found {found}, expected one from the atmosphere to "
                f"'{self.name}', and those from '{self.name}' after it"
            )
        what = f"field in the coupling {receives[0].source.name}->{self.name}"
        require_names(self._land.needs, receives[0].variables, what)
        for one in sends:
            require_names(one.variables, self._atmosphere.forcings, "forcing of the atmosphere that changes in time")
            is_everywhere = len(self._land.points) == self._n_points
            wanted = [name for name in one.variables if not is_everywhere or given[name].may_be_missing]
            what = "value in the option 'elsewhere', for points without a value of the land"
            require_names(wanted, self._options.elsewhere, what)

    def _receive(self, transport: Transport, receives: Sequence[Coupling], tag: int) -> dict[str, Values]:
        """The atmosphere's fields, over its grid."""
        state: dict[str, Any] = {"fields": {}}
        for one in receives:
            one.apply(self, transport, input_state={}, output_state=state, constants={}, tag=tag)
        return {name: as_numpy(field) for name, field in state["fields"].items()}

    def _fields(self, given: Mapping[str, Gift]) -> dict[str, Values]:
        """What the land sends, over the atmosphere's grid."""
        fields = {}
        for name, gift in given.items():
            fields[name] = np.full(self._n_points, self._options.elsewhere.get(name, np.nan), dtype=np.float32)
            values = self._land.result(gift.name, gift.conversion)
            is_known = ~np.isnan(values)
            fields[name][self._land.points[is_known]] = values[is_known]
        return fields

    def _release(self, transport: Transport, couplings: Sequence[Coupling], n_received: int, n_sent: int) -> None:
        """Let the atmosphere go on that is not told anything; give the one that waits a state without its fields.

        One that is to be sent nothing but what is no forcing of its checkpoint exchanges nothing at all.
        """
        receives = [one for one in couplings if one.target is self]
        sends = [one for one in couplings if one.source is self]
        if sends and not any(self._atmosphere.forcings.intersection(one.variables) for one in sends):
            return
        logger.error("ailand: the land has failed; %s", "so will the atmosphere" if sends else "the atmosphere goes on")
        for one in sends:
            transport.send(self, one.target, {"date": None, "fields": {}}, n_sent)
        last = self._land.n_windows
        if sends:
            # What it sends before it waits is only between processes to be taken for it to go on.
            is_first = couplings[0].target is self and not isinstance(transport, ThreadsTransport)
            last = n_sent + 1 if is_first else n_received
        for tag in range(n_received, last):
            self._receive(transport, receives, tag)
