"""The host's description for a land component: its grid, ground, clock and coupling.

`LandComponent` takes these, or their attributes as keywords.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping
from typing import Any, Literal, TypeVar

import gt4py.next as gtx
import numpy as np

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.times import HOST_UNIT, parse_interval, parse_time
from ailand_gt4py.integration.coupling.closures import REFERENCE_HEIGHT
from ailand_gt4py.weights.model import ModelVariables

Group = TypeVar("Group")


@dataclasses.dataclass(frozen=True, kw_only=True)
class HostGrid:
    """Land points and memory layout of a host's fields.

    Attributes:
        land_mask: bool over the host's horizontal dimension(s), halo (False) included; on the backend's device. It may
            be False everywhere (a rank over the ocean); masked elements (`numpy.ma`) count as False.
        latitude, longitude: degrees north (-90 to 90) and east (-180 to 360), fields of the mask's shape.
        horizontal: the host's dimension(s) for the output fields. Their domain is that of the host's GT4Py fields, or
            begins at 0 if none is given when the component is made. None: outputs are plain arrays.
        levels: dimension -> index in the field's own numbering, for GT4Py fields with more dimensions than the mask,
            such as {KDim: num_levels - 1}.
        units: units of the host's fields, by name; they must be equivalent to the model's, in any spelling.
        host_dtype: dtype of the outputs, float32 or float64.
        ocean_value: value of the outputs at points that are not land.
    """

    land_mask: Any
    latitude: Any
    longitude: Any
    horizontal: gtx.Dimension | tuple[gtx.Dimension, ...] | None = None
    levels: Mapping[gtx.Dimension, int] | None = None
    units: Mapping[str, str] | None = None
    host_dtype: Any = np.float64
    ocean_value: float = np.nan

    def __post_init__(self) -> None:
        try:
            found: Any = np.dtype(self.host_dtype)
        except TypeError:  # no type at all
            found = self.host_dtype
        if found not in (np.float32, np.float64):
            raise InputError(f"host_dtype: found {found}, expected float32 or float64")
        for dimension in self.dims:
            if not isinstance(dimension, gtx.Dimension):
                raise InputError(f"horizontal: found {dimension!r}, expected one or two GT4Py dimensions")
        _require_number("ocean_value", self.ocean_value)
        _require_mapping("levels", self.levels)
        _require_mapping("units", self.units)

    @property
    def dims(self) -> tuple[gtx.Dimension, ...]:
        """Horizontal dimensions of the output fields; empty for plain arrays."""
        if self.horizontal is None:
            return ()
        return tuple(self.horizontal) if isinstance(self.horizontal, (tuple, list)) else (self.horizontal,)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ground:
    """Properties and initial state of the land. Fields have the mask's shape or are scalars, in the model's units.

    Attributes:
        static: the model's static inputs by name. initial_state: its state by name. Both are read once. Missing
            variables that follow from others are derived, as for files (`io.derive`, `io.first_guess`): soil
            parameters from ``clim_sotype``, vegetation parameters from the types, ``tsn`` from ``met_tair`` among
            others. NaN (or masked) is a missing value of a variable that the model imputes, here and in forcing; for
            any other variable it is an error.
        previous_forcing: inputs of previous windows (``met_tair_before``) for the first window, by name. Those not
            given follow from time and location, or else equal the first window's own.
        prescribed: inputs that the host does not give at every step, by name (see `LandComponent.prescribe`).
        background_albedo: climatology of the snow-free albedo, a field; None: from vegetation types. A model with
            ``albedo_background`` as forcing takes it as a prescribed input, unless that is in ``prescribed``; if None,
            the host may give it with the weather.
    """

    static: Mapping[str, Any]
    initial_state: Mapping[str, Any]
    prescribed: Mapping[str, Any] | None = None
    previous_forcing: Mapping[str, Any] | None = None
    background_albedo: Any = None

    def __post_init__(self) -> None:
        for name in ("static", "initial_state"):
            _require_mapping(name, getattr(self, name), is_needed=True)
        for name in ("prescribed", "previous_forcing"):
            _require_mapping(name, getattr(self, name))

    def prescribed_to(self, model: ModelVariables) -> dict[str, Any]:
        """Inputs of a model that the host does not give at every step, by name."""
        takes_albedo = any(variable.name == "albedo_background" for variable in model.forcing)
        albedo = {"albedo_background": self.background_albedo}
        known = albedo if takes_albedo and self.background_albedo is not None else {}
        return {**known, **(self.prescribed or {})}


@dataclasses.dataclass(frozen=True, kw_only=True)
class HostClock:
    """Times of the host, as NumPy, Python or pandas objects or as text (`core.times.parse_time`).

    Attributes:
        start: start of the first host step. host_step: its length, which must divide the emulator's step.
        state_time: valid time of the initial state, default ``start``; the first window begins then (see `LandClock`).
    """

    start: Any
    host_step: Any
    state_time: Any = None

    def __post_init__(self) -> None:
        for name, parse in (("start", parse_time), ("host_step", parse_interval), ("state_time", parse_time)):
            value = getattr(self, name)
            if value is not None or name != "state_time":
                try:
                    value = parse(value, HOST_UNIT)
                except InputError as error:
                    raise InputError(f"{name}: {error}") from error
                object.__setattr__(self, name, value)


@dataclasses.dataclass(frozen=True, kw_only=True)
class CouplingOptions:
    """How the land is coupled.

    Attributes:
        between: ``hold`` keeps outputs until the emulator's next step; ``interpolate`` moves linearly in time from the
            last but one to the last, without jumps but half a window later.
        derivatives: also give the derivatives of the fluxes with respect to the forcing, and the forcing at which they
            hold; the previous window is constant in them.
        not_finite: treatment of NaN, infinity and impossible values from the host, and of results that are not finite:
            ``raise`` an error, or ``flag``: such columns keep their state and results over the window, are counted in
            a warning, and are marked in `LandComponent.flagged`.
        reference_height: height above ground of the host's temperature, humidity and wind, m, for the stress.
    """

    between: Literal["hold", "interpolate"] = "hold"
    derivatives: bool = False
    not_finite: Literal["raise", "flag"] = "raise"
    reference_height: float = REFERENCE_HEIGHT

    def __post_init__(self) -> None:
        for name, expected in (("between", ("hold", "interpolate")), ("not_finite", ("raise", "flag"))):
            if getattr(self, name) not in expected:
                raise InputError(f"{name}: found '{getattr(self, name)}', expected one of {', '.join(expected)}")
        if not isinstance(self.derivatives, (bool, np.bool_)):
            raise InputError(f"derivatives: found {self.derivatives!r}, expected True or False")
        _require_number("reference_height", self.reference_height)


def _require_number(name: str, value: Any) -> None:
    """Check that an option is a number: of a text NumPy would say so later, and without the option's name."""
    if not isinstance(value, (int, float, np.number)) or isinstance(value, bool):
        raise InputError(f"{name}: found {value!r}, expected a number")


def _require_mapping(name: str, value: Any, *, is_needed: bool = False) -> None:
    """Check that values are given by name."""
    if not isinstance(value, Mapping) and (is_needed or value is not None):
        raise InputError(f"{name}: found {type(value).__name__}, expected values by name, such as a dict")


def group_of(kind: type[Group], name: str, given: Group | None, keywords: dict[str, Any]) -> Group:
    """A group of this name as given, or made of the keywords that are its attributes, which are removed."""
    own = {key: keywords.pop(key) for key in inspect.signature(kind).parameters if key in keywords}
    if given is None:
        return kind(**own)
    if own:
        raise TypeError(f"found '{next(iter(own))}' beside the group '{name}' that has it, expected one of the two")
    return given
