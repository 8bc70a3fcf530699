"""Settings of an assimilation, with ECMWF's values as defaults where there are any.

* Errors of the background, and no observations over snow or frozen ground: de Rosnay et al. 2013
  (doi:10.1002/qj.2023), after Drusch et al. 2009 (doi:10.1029/2009GL037716).
* Errors of observations: with their operators in `observations`.
* Below the coldest soil ecLand lets soil water freeze: Viterbo et al. 1999 (doi:10.1002/qj.49712555904).
* Bounds of analysed soil moisture: ECMWF's forecast user guide, section 9.2.1.3.

What is not ECMWF's is marked "this project's"; ``docs/assimilation.md`` says how it was found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import AfterValidator, ConfigDict, Field, ValidationInfo, field_validator

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.option_types import NameList
from ailand_gt4py.core.settings import Settings, nearest, option
from ailand_gt4py.ecland.soil_heat import LIQUID_ABOVE

if TYPE_CHECKING:
    from ailand_gt4py.observations.operators import Kind

#: Standard deviation of the emulator's own error in what is observed, where soil moisture is right: this project's.
#: Twice the RMSE against ecLand on training columns (0.77 K and 4.6 %, without snow and frost, within a day of ecLand's
#: state), rounded up, because these errors last: their mean over 60 days is twice that of independent errors. Found by
#: ``studies/assimilation/estimate_errors.py``.
EMULATOR_ERRORS: dict[str, float] = {"t2m": 1.6, "rh2m": 9.2}

#: Standard deviation of the background error: of a cycle with constant B.
BACKGROUND_ERRORS: dict[str, float] = {"swvl1": 0.01, "swvl2": 0.01, "swvl3": 0.01, "stl1": 1.0}

#: Standard deviation of what the model adds to the error of the control variables in a day: this project's, RMSE of
#: runs of 24 h from ecLand's state on training columns (``studies/assimilation/estimate_errors.py``), that of the third
#: layer rounded up: 60 days of it would be less than the error of a free run of 60 days.
MODEL_ERRORS: dict[str, float] = {"swvl1": 0.006, "swvl2": 0.0023, "swvl3": 0.001, "stl1": 0.55}


def _kinds() -> Mapping[str, Kind]:
    from ailand_gt4py.observations.operators import kinds  # only now: `--help` must not wait for GT4Py

    return kinds()


def observation_errors() -> dict[str, float]:
    """Standard deviation of what instrument and location add to an observation, by observable."""
    return {name: size for kind in _kinds().values() for name, size in kind.errors.items()}


def _sizes(defaults: Callable[[], Mapping[str, float]]) -> AfterValidator:
    """Standard deviations by name: the default ones where others are not given."""

    def completed(given: Mapping[str, float]) -> Mapping[str, float]:
        known = defaults()
        for name in given:
            if name not in known:
                raise InputError(f"found '{name}'; {nearest(name, known)}")
        return {**known, **given}

    return AfterValidator(completed)


#: What measured observations are given of the open loop's moments, column by column, before they are assimilated.
Rescaling = Literal["none", "mean", "mean-and-deviation"]
#: What of them is kept for verification.
Withholding = Literal["none", "odd-days"]

Sizes = Mapping[str, Annotated[float, Field(ge=0.0)]]


class Screening(Settings):
    """Which observations take part, by the background."""

    largest_snow_cover: float = option(0.01, "snow fraction above which nothing is assimilated (0 at ECMWF)")
    coldest_soil: float = option(
        LIQUID_ABOVE, "temperature of the uppermost layer below which nothing is assimilated, K"
    )
    #: The test is the IFS's (Jarvinen and Unden 1997, ECMWF Technical Memorandum 236), its size this project's.
    largest_departure: float = option(
        3.0,
        "largest departure, in standard deviations expected from B and R; for measurements 6, unless given",
        gt=0.0,
        allow_inf_nan=True,
    )


#: `Screening.largest_departure` of measured observations, unless another is given: this project's. Model and site
#: differ by more than random errors, and a check as strict as a twin's keeps the cycle from what it is to learn.
LARGEST_MEASURED_DEPARTURE = 6.0


class Limits(Settings):
    """How far an analysis may go."""

    #: This project's, against departures that screening lets pass.
    largest_increment: float = option(0.1, "largest change of soil moisture in one analysis, m3 m-3", gt=0.0)
    largest_warming: float = option(5.0, "largest change of soil temperature in one analysis, K", gt=0.0)
    driest: float = option(0.01, "least analysed soil moisture, m3 m-3")
    plant_range_from: float = option(
        2.0,
        "uppermost layer whose analysis is kept between wilting point and field capacity; layers above are only kept "
        "below porosity. 2 at ECMWF; 4: no layer",
    )


class Errors(Settings):
    """Standard deviations, by observable or control variable."""

    model_config = ConfigDict(validate_default=True)

    observation: Annotated[Sizes, _sizes(observation_errors)] = option(
        {}, "errors of instrument and location, by observable"
    )
    emulator: Annotated[Sizes, _sizes(lambda: dict.fromkeys(observation_errors(), 0.0) | EMULATOR_ERRORS)] = option(
        {}, "errors of the emulator, by observable"
    )
    background: Annotated[Sizes, _sizes(BACKGROUND_ERRORS.copy)] = option(
        {}, "errors of a constant B, by control variable"
    )
    model: Annotated[Sizes, _sizes(MODEL_ERRORS.copy)] = option({}, "model errors per day, by control variable")
    covariance: Literal["cycled", "constant"] = option(
        "cycled",
        "background error of the SEKF: the analysis error propagated by the tangent-linear, plus Q; or the same in "
        "every window, as at ECMWF (default: cycled)",
        "--background-error",
    )

    def of_observations(self, names: Iterable[str]) -> np.ndarray:
        """(n_names,) standard deviations of R, above 0: instrument, location and emulator together."""
        sizes = {name: np.hypot(self.observation[name], self.emulator[name]) for name in names}
        for name, size in sizes.items():
            if not size > 0.0:
                raise InputError(f"observation error of '{name}': found {size:g}, expected more than 0")
        return np.array([sizes[name] for name in names])

    def of_background(self, names: Iterable[str]) -> np.ndarray:
        """(n_control, n_control) constant B, diagonal."""
        return np.diag([self.background[name] ** 2 for name in names])

    def of_model(self, names: Iterable[str], days: float) -> np.ndarray:
        """(n_control, n_control) Q of a window, diagonal: variance grows with its length."""
        return np.diag([days * self.model[name] ** 2 for name in names])


class AssimilationSettings(Settings):
    """An experiment."""

    method: Literal["sekf", "etkf"] = option("sekf", "simplified extended or ensemble transform Kalman filter")
    jacobian: Literal["tangent-linear", "adjoint", "finite-differences"] = option(
        "tangent-linear", "method for the SEKF's Jacobians"
    )
    observe: NameList = option(
        ("t2m", "rh2m", "ssm"),
        "kinds of observation: t2m, rh2m, ssm (surface soil moisture), tb (L-band brightness temperature), swvl1-3 and "
        "stl1-3 (soil probes)",
        metavar="KIND,...",
    )
    days: float = option(60.0, "length of a twin experiment, days", gt=0.0)
    window_hours: float = option(24.0, "length of a window, such as 12 or 24", metavar="HOURS", gt=0.0)
    seed: int = option(1, "seed of all random numbers", ge=0)
    control: NameList = option(
        ("swvl1", "swvl2", "swvl3"), "control variables, among swvl1-3 and stl1", metavar="NAME,..."
    )
    members: int = option(24, "members of the ETKF's ensemble", ge=2)
    relaxation: float = option(
        0.5, "relaxation to the background's spread (inflation of the ETKF)", metavar="SHARE", ge=0.0, le=1.0
    )
    #: This project's, about that of a state of another season (docs/model.md: persistence over 90 days).
    initial_error: float = option(
        0.08, "standard deviation of the initial error of soil moisture", metavar="M3M-3", ge=0.0
    )
    weather_error: float = option(0.0, "errors of rain, snow and radiation, in typical sizes", metavar="SHARE", ge=0.0)
    errors: Errors = option(..., "standard deviations of errors", default_factory=Errors)
    screening: Screening = option(..., "screening of observations", default_factory=Screening)
    limits: Limits = option(..., "limits of an analysis", default_factory=Limits)

    @field_validator("observe", "control")
    @classmethod
    def _check_names(cls, names: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        known = _kinds() if info.field_name == "observe" else BACKGROUND_ERRORS
        for name in names:
            if name not in known:
                raise InputError(f"found '{name}', expected some of {', '.join(known)}")
        if not names or len(set(names)) != len(names):
            raise InputError(f"found ({', '.join(names)}), expected some of {', '.join(known)}, each once")
        return names
