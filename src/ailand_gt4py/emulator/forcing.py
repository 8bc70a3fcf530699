"""The forcing of a model: given, derived from time and location, or from the previous window.

Given forcing comes from a file or a host model. Some inputs follow from time and location (`derived_forcing`). Means
over a window do not show how the weather changes within it; together with those of the previous window they nearly do.
A forcing variable whose ``derived`` is `weights.model.previous_name` of another one takes that one's value in the
previous window; if that is itself from the previous window, the value one window earlier. `ForcingAssembler` combines
them.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Sequence
from typing import Any

import gt4py.next as gtx
import numpy as np

from ailand_gt4py.core import arrays
from ailand_gt4py.core.dimensions import Column
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.times import STANDARD
from ailand_gt4py.emulator import sun
from ailand_gt4py.lowering.calls.operator_call import OperatorCall
from ailand_gt4py.stencils.physics import solar
from ailand_gt4py.weights.model import Variable, previous_positions

#: Identity of the backend -> the programs on it. Backends cannot be compared; the call keeps its backend, so that no
#: other gets its identity.
_PROGRAMS: dict[tuple[int, str], OperatorCall] = {}
#: A compiled program keeps the arguments of its call; runs, and the thread that prepares forcing, share these.
_TURN = threading.Lock()


def derived_forcing(
    latitude: np.ndarray,
    longitude: np.ndarray,
    time: np.datetime64 | np.ndarray,
    step_seconds: float,
    names: Sequence[str],
    out: arrays.Array,
    backend: gtx.backend.Backend | None = None,
    device: arrays.Device = "cpu",
    calendar: str = STANDARD,
) -> None:
    """Write the derived inputs ``names`` into the last axis of ``out``, in that order.

    Args:
        latitude, longitude: (n,) degrees north and east.
        time: start of the window, UTC: one time for all n columns, or (n_times,) for n_times rows of columns.
        step_seconds: length of the window, s.
        names: some of `stencils.physics.solar.DERIVED_NAMES`, or none.
        out: (n, n_names) or, for n_times times, (n_times, n, n_names), float32 or float64, on ``device``; written in
            place. It may be a slice of a larger forcing array if times and columns share one common stride.
        backend: a GT4Py backend; None for embedded execution.
        calendar: calendar of the times.

    Raises:
        InputError: an unknown name, an array of the wrong shape or type, a masked location, or a read-only array for
            the results.
    """
    unknown = [name for name in names if name not in solar.DERIVED_NAMES]
    if unknown:
        raise InputError(f"derived input '{unknown[0]}' is unknown; expected one of {', '.join(solar.DERIVED_NAMES)}")
    times = np.atleast_1d(np.asarray(time, dtype="datetime64[us]"))
    n_columns = len(latitude)
    shape = (*np.shape(time), n_columns, len(names))
    if out.shape != shape:
        raise InputError(f"array for the derived inputs: found the shape {out.shape}, expected {shape}")
    latitude, longitude = arrays.unmasked(latitude, "latitude"), arrays.unmasked(longitude, "longitude")
    arrays.check_result(out, "array for the derived inputs", {})
    of_times = sun.derived_of_times(times, step_seconds, calendar)
    if not names or n_columns == 0:
        return
    xp = arrays.array_module(device)
    flat = out.reshape(len(times) * n_columns, len(names))
    if arrays.address(flat) != arrays.address(out):  # a copy
        raise InputError(
            f"array for the derived inputs: strides {out.strides} do not let times and columns be one axis"
        )
    for k, name in enumerate(names):
        if name in of_times:
            flat[:, k] = _repeated(of_times[name], n_columns, xp)
    location = [xp.tile(xp.asarray(values, dtype=xp.float64), len(times)) for values in (latitude, longitude)]
    for program, of_program, position in (
        (solar.solar_program, solar.WINDOW_NAMES, sun.position_of_windows),
        (solar.start_program, solar.START_NAMES, sun.position_at_starts),
    ):
        if set(of_program).isdisjoint(names):
            continue
        given = [_repeated(values, n_columns, xp) for values in position(times, step_seconds, calendar)]
        results = [xp.empty(len(flat), dtype=xp.float64) for _ in of_program]
        key = id(backend), program.__name__
        if key not in _PROGRAMS:
            _PROGRAMS[key] = OperatorCall(program(), backend, "the inputs derived from time and location")
        fields = [arrays.wrap(array, (Column,), "derived input") for array in (*location, *given, *results)]
        with _TURN:
            _PROGRAMS[key](*fields, offset_provider={})
        for k, name in enumerate(names):
            if name in of_program:
                flat[:, k] = results[of_program.index(name)]


def _repeated(values: np.ndarray, n_columns: int, xp: Any) -> Any:
    """Numbers of times (n_times,) for all columns: (n_times * n_columns,) on the device.

    On a GPU a single number goes with a kernel's arguments: no copy that would wait for the device.
    """
    if len(values) == 1:
        return xp.broadcast_to(xp.full(1, float(values[0])), n_columns)
    return xp.repeat(xp.asarray(values, dtype=xp.float64), n_columns)


class ForcingAssembler:
    """Puts the forcing of a model's windows together, on any device, without waiting for it.

    Args:
        forcing: of the model, in order.
        latitude, longitude: (n_columns,) degrees north and east; needed by `assemble` only.
        backend: a GT4Py backend for the inputs derived from time and location; None for embedded execution.
        device: where the forcing is.
        calendar: of the times.

    Attributes:
        given, derived, previous: positions of the inputs that are given, derived from time and location, and of the
            previous window.
        previous_of: positions of the variables whose values of the previous window those are.
        n_before: of how many windows before its own a window takes something.

    Raises:
        InputError: an input of the previous window whose variable is no forcing of the model.
    """

    def __init__(
        self,
        forcing: Sequence[Variable],
        latitude: arrays.Array | None = None,
        longitude: arrays.Array | None = None,
        backend: gtx.backend.Backend | None = None,
        device: arrays.Device = "cpu",
        calendar: str = STANDARD,
    ) -> None:
        self._n_forcing = len(forcing)
        self._is_imputed = [variable.is_imputed for variable in forcing]
        self.previous, self.previous_of = previous_positions(forcing)
        #: (index among ``previous``, position, position of what it repeats): what is repeated first.
        self._chain: list[tuple[int, int, int]] = []
        waiting = list(zip(itertools.count(), self.previous, self.previous_of))
        while waiting:
            unknown = {position for _, position, _ in waiting}
            self._chain += [link for link in waiting if link[2] not in unknown]
            waiting = [link for link in waiting if link[2] in unknown]
        #: Position of an input of previous windows -> that of the variable that it is of, and how many windows before.
        self._roots = dict[int, tuple[int, int]]()
        for _, position, source in self._chain:
            root, count = self._roots.get(source, (source, 0))
            self._roots[position] = root, count + 1
        self.n_before = max((count for _, count in self._roots.values()), default=0)
        self.given = [k for k, variable in enumerate(forcing) if not variable.derived]
        self.derived = [k for k, variable in enumerate(forcing) if variable.derived and not variable.is_previous]
        self._derived_names = [forcing[k].derived for k in self.derived]
        self._latitude: Any = latitude
        self._longitude: Any = longitude
        self._backend, self._device, self._calendar = backend, device, calendar
        self._xp = arrays.array_module(device)
        self._values: arrays.Array = None  # kept between calls of the same size, as is the next
        self._is_known: arrays.Array = None

    def assemble(
        self,
        forcing: arrays.Array,
        given: arrays.Array | None,
        times: np.ndarray,
        step_seconds: float,
        previous: arrays.Array | None = None,
    ) -> None:
        """Write the forcing of windows that follow one another.

        Args:
            forcing: (n_windows, n_columns, n_forcing); written.
            given: (n_windows, n_columns, n_given); None: it is in ``forcing`` already.
            times: (n_windows,) datetime64, starts of the windows, UTC. step_seconds: their length.
            previous: see `fill_previous`.
        """
        if len(times) == 0:
            return
        # One variable after the other: runs keep each in one piece.
        if given is not None:
            for k, position in enumerate(self.given):
                forcing[..., position] = given[..., k]
        if self.derived:
            self._derive(times, step_seconds, forcing)
        self.fill_previous(forcing, previous)

    def _derive(self, times: np.ndarray, step_seconds: float, forcing: arrays.Array) -> None:
        """Write what follows from time and location into a forcing (n_windows, n_columns, n_forcing)."""
        first, last = self.derived[0], self.derived[-1] + 1
        n_windows, n_columns, _ = forcing.shape
        is_one_axis = n_windows == 1 or forcing.strides[0] == n_columns * forcing.strides[1]
        is_in_place = is_one_axis and self.derived == list(range(first, last))
        values = forcing[..., first:last] if is_in_place else self._kept((n_windows, n_columns, len(self.derived)))
        derived_forcing(
            self._latitude, self._longitude, times, step_seconds, self._derived_names, values, self._backend,
            self._device, self._calendar,
        )  # fmt: skip
        if not is_in_place:
            for k, position in enumerate(self.derived):
                forcing[..., position] = values[..., k]

    def _kept(self, shape: tuple[int, ...]) -> arrays.Array:
        """Memory for derived inputs, float64, which the next call of this shape has again."""
        if self._values is None or self._values.shape != shape:
            self._values = arrays.by_variable(shape, np.dtype(np.float64), self._xp)
        return self._values

    def root(self, position: int) -> tuple[int, int]:
        """Of an input of previous windows: the position of the variable that it is of, and how many windows before."""
        return self._roots[position]

    def before_start(self, start: np.datetime64, step_seconds: float, dtype: np.dtype) -> arrays.Array:
        """What a run's first window takes of previous ones that nobody gives, as `fill_previous` takes it.

        Args:
            start: of the first window, UTC. step_seconds: length of the windows.

        Returns:
            (n_columns, n_previous): what follows from time and location; infinite, unknown, all else.
        """
        result = self._xp.full((len(self._latitude), len(self.previous)), np.inf, dtype=dtype)
        step = np.timedelta64(round(step_seconds * 1e6), "us")
        starts = np.array([start], dtype="datetime64[us]")
        for count in range(1, self.n_before + 1):
            wanted = {position: root for position, (root, back) in self._roots.items() if back == count}
            wanted = {position: root for position, root in wanted.items() if root in self.derived}
            if wanted:
                window = arrays.by_variable((1, *result.shape[:1], self._n_forcing), dtype, self._xp)
                self._derive(starts - count * step, step_seconds, window)
                for position, root in wanted.items():
                    result[:, self.previous.index(position)] = window[0, :, root]
        return result

    def fill_previous(self, forcing: arrays.Array, previous: arrays.Array | None = None) -> None:
        """Write the inputs of the previous window.

        Args:
            forcing: (n_windows, ..., n_forcing) of windows that follow one another, all else in it; written.
            previous: (..., n_previous), of the window preceding the first as `of_window` gives it. Where there is none
                (None, or a number that is not finite) the first window has its own, as if nothing had changed. NaN of
                a variable that is imputed is a value that was missing, and stays so.
        """
        if len(forcing) == 0:
            return
        shape = forcing.shape[1:-1]
        if previous is not None and (self._is_known is None or self._is_known.shape != shape):
            self._is_known = self._xp.empty(shape, dtype=bool)
        for k, position, source in self._chain:
            forcing[0, ..., position] = forcing[0, ..., source]
            if previous is not None:
                self._xp.isfinite(previous[..., k], out=self._is_known)
                if self._is_imputed[position]:
                    self._is_known |= self._xp.isnan(previous[..., k])
                self._xp.copyto(forcing[0, ..., position], previous[..., k], where=self._is_known)
            forcing[1:, ..., position] = forcing[:-1, ..., source]

    def of_window(self, forcing: arrays.Array, out: arrays.Array | None = None) -> arrays.Array:
        """What the next window takes as that of the previous one.

        Args:
            forcing: (..., n_forcing) of one window. out: (..., n_previous), to be written; None: a new array.
        """
        if out is None:
            out = arrays.by_variable((*forcing.shape[:-1], len(self.previous)), forcing.dtype, self._xp)
        for k, source in enumerate(self.previous_of):
            out[..., k] = forcing[..., source]
        return out

    def spread(self, tangent_forcing: Any, previous: Any = None) -> None:
        """Write the tangents of inputs of the previous window from those of the windows: derivative of `fill_previous`.

        Args:
            tangent_forcing: (n_windows, ..., n_forcing) of windows that follow one another, all else in it; written.
            previous: (..., n_previous) tangents of the window preceding the first; None: there is none, and the first
                has its own.
        """
        if len(tangent_forcing) == 0:
            return
        for k, position, source in self._chain:
            tangent_forcing[1:, ..., position] = tangent_forcing[:-1, ..., source]
            tangent_forcing[0, ..., position] = (
                tangent_forcing[0, ..., source] if previous is None else previous[..., k]
            )

    def gather(self, adjoint_forcing: Any, has_previous: bool = False) -> Any:
        """Give the adjoints of inputs of the previous window to the windows that they are of: adjoint of `spread`.

        Args:
            adjoint_forcing: (n_windows, ..., n_forcing) of all inputs; written: afterwards of each window's own
                forcing, and 0 of inputs of the previous window.
            has_previous: whether there is a window preceding the first.

        Returns:
            The adjoint (..., n_previous) of the window preceding the first, a copy; None where there is none.
        """
        before = adjoint_forcing[0][..., self.previous].copy() if has_previous else None
        for k, position, source in reversed(self._chain):  # two may be of one variable
            if before is not None:
                before[..., k] = adjoint_forcing[0, ..., position]
            else:
                adjoint_forcing[0, ..., source] += adjoint_forcing[0, ..., position]
            adjoint_forcing[:-1, ..., source] += adjoint_forcing[1:, ..., position]
        adjoint_forcing[..., self.previous] = 0.0
        return before
