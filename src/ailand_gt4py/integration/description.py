"""What a host says of itself when it makes a land component: its grid, its ground, its clock, and how it couples.

`LandComponent` takes these, or their attributes as keywords of its own.
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
    """Where land is in a host's fields, and how they lie in memory.

    Attributes:
        land_mask: bool over the host's horizontal dimension(s), halo (False) included; on the backend's device. It may
            be False everywhere (a rank over the ocean), and is where it is masked (`numpy.ma`).
        latitude, longitude: degrees north (-90 to 90) and east (-180 to 360), fields of the mask's shape.
        horizontal: the host's dimension(s) for the output fields, whose domain is that of the host's GT4Py fields, or
            begins at 0 where none is given when the component is made; None: outputs are plain arrays.
        levels: dimension -> position in the field's own numbering, for GT4Py fields with more dimensions than the
            mask; for instance {KDim: num_levels - 1}.
        units: of the host's fields, by name; they must mean the model's, however they are spelt.
        host_dtype: type of the outputs, float32 or float64.
        ocean_value: of outputs at points that are not land.
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
        if np.dtype(self.host_dtype) not in (np.float32, np.float64):
            raise InputError(f"host_dtype: found {np.dtype(self.host_dtype)}, expected float32 or float64")

    @property
    def dims(self) -> tuple[gtx.Dimension, ...]:
        """Horizontal dimensions of the output fields; empty for plain arrays."""
        if self.horizontal is None:
            return ()
        return tuple(self.horizontal) if isinstance(self.horizontal, tuple) else (self.horizontal,)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ground:
    """What the land is and how it starts. Fields have the mask's shape or are scalars, in the model's units.

    Attributes:
        static: the model's static inputs by name. initial_state: its state by name. Both are read once. What is
            not given and follows from others is derived, as it is for files (`io.derive`, `io.first_guess`): soil
            parameters from ``clim_sotype``, those of vegetation from its types, ``tsn`` from ``met_tair`` among others.
            NaN (or masked) is a missing value of a variable that the model imputes, here and in forcing; of any other
            it is an error.
        previous_forcing: inputs of previous windows (``met_tair_before``) for the first window, by name; those that are
            not given are what follows from time and location, else the first window's own.
        prescribed: inputs that the host does not give at every step, by name (see `LandComponent.prescribe`).
        background_albedo: climatology of the albedo without snow, a field; None: by vegetation. It is prescribed to a
            model that takes it as forcing (``albedo_background``), if that is not in ``prescribed``; where it is None
            the host may give it with the weather.
    """

    static: Mapping[str, Any]
    initial_state: Mapping[str, Any]
    prescribed: Mapping[str, Any] | None = None
    previous_forcing: Mapping[str, Any] | None = None
    background_albedo: Any = None

    def prescribed_to(self, model: ModelVariables) -> dict[str, Any]:
        """Inputs of a model that the host does not give at every step, by name."""
        takes_albedo = any(variable.name == "albedo_background" for variable in model.forcing)
        albedo = {"albedo_background": self.background_albedo}
        known = albedo if takes_albedo and self.background_albedo is not None else {}
        return {**known, **(self.prescribed or {})}


@dataclasses.dataclass(frozen=True, kw_only=True)
class HostClock:
    """When the host runs; times of NumPy, Python, pandas or as text (`core.times.parse_time`), which NumPy's become.

    Attributes:
        start: of the first host step. host_step: its length, which must divide the emulator's step.
        state_time: when the initial state is valid, default ``start``; the first window begins then (see `LandClock`).
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
        between: ``hold`` keeps outputs until the emulator's next step; ``interpolate`` goes from the last but one to
            the last linearly in time, without jumps and later by half a window.
        derivatives: give the derivatives of the fluxes with respect to the forcing, too, and the forcing for which
            they hold; what was in the previous window is a constant in them.
        not_finite: what to do with NaN, infinity and numbers that cannot be from the host, and with results that are
            not finite: ``raise``, or ``flag``: such columns keep their state and results over the window, are counted
            in a warning, and marked in `LandComponent.flagged`.
        reference_height: of the host's temperature, humidity and wind above the ground, m, for the stress.
    """

    between: Literal["hold", "interpolate"] = "hold"
    derivatives: bool = False
    not_finite: Literal["raise", "flag"] = "raise"
    reference_height: float = REFERENCE_HEIGHT

    def __post_init__(self) -> None:
        for name, expected in (("between", ("hold", "interpolate")), ("not_finite", ("raise", "flag"))):
            if getattr(self, name) not in expected:
                raise InputError(f"{name}: found '{getattr(self, name)}', expected one of {', '.join(expected)}")


def group_of(kind: type[Group], name: str, given: Group | None, keywords: dict[str, Any]) -> Group:
    """A group of this name as given, or made of the keywords that are its attributes, which are removed."""
    own = {key: keywords.pop(key) for key in inspect.signature(kind).parameters if key in keywords}
    if given is None:
        return kind(**own)
    if own:
        raise TypeError(f"found '{next(iter(own))}' beside the group '{name}' that has it, expected one of the two")
    return given
