"""Columns through time for verification: inputs of the emulator and the truth, by label, in memory."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from ailand_gt4py.core.times import STANDARD
from ailand_gt4py.io.period import read_forcing, read_states, read_timed, require_memory
from ailand_gt4py.io.request import AS_THEY_ARE, Reading
from ailand_gt4py.io.sources import ColumnSource, Inputs, open_source
from ailand_gt4py.weights.model import Model

#: Why something is no truth.
ABSENT = "not there"


@dataclasses.dataclass(frozen=True)
class VerificationColumns:
    """Forcing and truth of some columns.

    Attributes:
        times: (n_times,) datetime64, labels. static: (n_columns, n_static).
        forcing: (n_times, n_columns, n_forcing), of the window that starts at the label, derived inputs included.
        state: (n_times, n_columns, n_state) at the label.
        diagnostics: (n_times, n_columns, n_diagnostics) with the label that the file gives them: "window end" ones at
            that time, "window mean" ones over the window that starts then.
        calendar: of the times. absent: states and diagnostics that are not the truth -> why.
    """

    times: np.ndarray
    static: np.ndarray
    forcing: np.ndarray
    state: np.ndarray
    diagnostics: np.ndarray
    calendar: str = STANDARD
    absent: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def n_times(self) -> int:
        return len(self.times)

    @property
    def n_columns(self) -> int:
        return self.static.shape[0]

    def output(self, position: int) -> np.ndarray:
        """(n_times, n_columns) of a state or diagnostic, by its position among states, then diagnostics."""
        n_state = self.state.shape[-1]
        return self.state[..., position] if position < n_state else self.diagnostics[..., position - n_state]


def read_columns(
    paths: Inputs, model: Model, dtype: np.dtype, may_lack: Sequence[str] = (), reading: Reading = AS_THEY_ARE
) -> VerificationColumns:
    """Read whole files as `columns_of`; states that they may lack are guessed."""
    with open_source(paths, model, may_lack=may_lack, reading=reading) as source:
        return columns_of(source, model, dtype)


def columns_of(source: ColumnSource, model: Model, dtype: np.dtype) -> VerificationColumns:
    """All columns of a source with the truth at its labels, in memory; states that it may lack are guessed.

    These, and diagnostics that are not there or have gaps, which are NaN, are no truth: they are said to be `absent`.

    Raises:
        InputError: a state is missing that the source may not lack, at any label.
    """
    n_times, sizes = len(source.times), model.sizes
    n_values = sizes.forcing + sizes.state + sizes.diagnostics
    require_memory(source, n_values, dtype, "give fewer columns or a shorter period")
    forcing = read_forcing(source, model, dtype)
    state = read_states(source, forcing, dtype, "from which runs start")
    absent = dict.fromkeys(source.lacking, ABSENT)
    diagnostics = np.full((n_times, source.n_columns, sizes.diagnostics), np.nan, dtype=dtype)
    for position, variable in enumerate(model.diagnostics):
        if source.lacks(variable.name):
            absent[variable.name] = ABSENT
            continue
        values = read_timed(source, [variable.name], dtype)[..., 0]
        count = int((~np.isfinite(values)).sum())
        if count:
            absent[variable.name] = f"lacks {count} of {values.size} values"
        else:
            diagnostics[..., position] = values
    static = source.static.astype(dtype)
    return VerificationColumns(source.times, static, forcing, state, diagnostics, source.calendar, absent)


def lacks_states(source: ColumnSource) -> bool:
    """Whether a source, such as a tower's weather, is without states to begin runs with and to compare them with."""
    return any(one.name not in source.lacking and source.lacks(one.name) for one in source.model.state)


def weather_of(source: ColumnSource, model: Model, dtype: np.dtype) -> VerificationColumns:
    """All columns of a source in memory without any truth: forcing, and the state at the first label, NaN later.

    What the source has of fluxes is taken for no truth either: it may be observed. Without a first state, if none was
    asked for, all of the state is NaN.
    """
    sizes = model.sizes
    require_memory(source, sizes.forcing + sizes.state, dtype, "give fewer columns or a shorter period")
    forcing = read_forcing(source, model, dtype)
    state, diagnostics = (
        np.full((len(source.times), source.n_columns, n), np.nan, dtype=dtype) for n in (sizes.state, sizes.diagnostics)
    )
    if source.initial_state is not None:
        state[0] = source.initial_state
    absent = dict.fromkeys([one.name for one in (*model.state, *model.diagnostics)], ABSENT)
    static = source.static.astype(dtype)
    return VerificationColumns(source.times, static, forcing, state, diagnostics, source.calendar, absent)
