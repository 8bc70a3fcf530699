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
from ailand_gt4py.integration.coupling.closures import REFERENCE_HEIGHT

Group = TypeVar("Group")


@dataclasses.dataclass(frozen=True, kw_only=True)
class HostGrid:
    """Where land is in a host's fields, and how they lie in memory.

    Attributes:
        land_mask: bool over the host's horizontal dimension(s), halo (False) included; on the backend's device. It may
            be False everywhere (a rank over the ocean), and is where it is masked (`numpy.ma`).
        latitude, longitude: degrees north and east, fields of the mask's shape.
        horizontal: the host's dimension(s) for the output fields, whose domain is that of the host's GT4Py fields, or
            begins at 0 where none is given when the component is made; None: outputs are plain arrays.
        levels: dimension -> position in the field's own numbering, for GT4Py fields with more dimensions than the
            mask; for instance {KDim: num_levels - 1}.
        units: of the host's fields, by name; checked against the model's.
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
        static: the model's static inputs by name. initial_state: its state by name. Both are read once.
        prescribed: inputs that the host does not give at every step, by name (see `LandComponent.prescribe`).
        background_albedo: climatology of the albedo without snow, a field; None: by vegetation.
    """

    static: Mapping[str, Any]
    initial_state: Mapping[str, Any]
    prescribed: Mapping[str, Any] | None = None
    background_albedo: Any = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class HostClock:
    """When the host runs.

    Attributes:
        start: of the first host step. host_step: its length, which must divide the emulator's step.
        state_time: when the initial state is valid, default ``start``; the first window begins then (see `LandClock`).
    """

    start: np.datetime64
    host_step: np.timedelta64
    state_time: np.datetime64 | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class CouplingOptions:
    """How the land is coupled.

    Attributes:
        between: ``hold`` keeps outputs until the emulator's next step; ``interpolate`` goes from the last but one to
            the last linearly in time, without jumps and later by half a window.
        derivatives: give the derivatives of the fluxes with respect to the forcing, too, and the forcing for which
            they hold; what was in the previous window is a constant in them.
        not_finite: what to do with NaN or infinity from the host: ``raise``, or ``flag``: such columns keep their state
            and results over the window, are counted in a warning, and marked in `LandComponent.flagged`.
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
