"""What an assimilation can be told, with ECMWF's values as defaults where there are any.

* Errors of background and observations, and no observations over snow or frozen ground: de Rosnay et al. 2013
  (doi:10.1002/qj.2023), after Drusch et al. 2009 (doi:10.1029/2009GL037716).
* Brightness temperature: 4 K, of instrument and forward model together, as in NASA's level-4 soil moisture of SMAP
  (Reichle et al. 2017, doi:10.1175/JHM-D-17-0063.1).
* Bounds of analysed soil moisture: ECMWF's forecast user guide, section 9.2.1.3.

What is not ECMWF's is marked "this project's"; ``docs/assimilation.md`` says how it was found.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Literal

import numpy as np

from ailand_gt4py.assimilation.control import Control
from ailand_gt4py.core.errors import InputError

#: Standard deviation of what instrument and location add to an observation, by observable.
OBSERVATION_ERRORS: Mapping[str, float] = {"t2m": 1.0, "rh2m": 4.0, "ssm": 0.05, "tbh": 4.0, "tbv": 4.0}

#: Standard deviation of the emulator's own error in what is observed, where soil moisture is right: this project's.
#: Twice the RMSE against ecLand on training columns (0.77 K and 4.6 %, without snow and frost, within a day of ecLand's
#: state), rounded up, because these errors last: their mean over 60 days is twice that of independent errors. Found by
#: ``studies/assimilation/estimate_errors.py``.
EMULATOR_ERRORS: Mapping[str, float] = {"t2m": 1.6, "rh2m": 9.2, "ssm": 0.0, "tbh": 0.0, "tbv": 0.0}

#: Standard deviation of the background error: of a cycle with constant B.
BACKGROUND_ERRORS: Mapping[str, float] = {"swvl1": 0.01, "swvl2": 0.01, "swvl3": 0.01, "stl1": 1.0}

#: Standard deviation of what the model adds to the error of the control variables in a day: this project's, RMSE of
#: runs of 24 h from ecLand's state on training columns (``studies/assimilation/estimate_errors.py``), that of the third
#: layer rounded up: 60 days of it would be less than the error of a free run of 60 days.
MODEL_ERRORS: Mapping[str, float] = {"swvl1": 0.006, "swvl2": 0.0023, "swvl3": 0.001, "stl1": 0.55}

#: Below it ecLand lets soil water freeze, K (Viterbo et al. 1999, doi:10.1002/qj.49712555904).
FREEZING_BEGINS = 274.16


@dataclasses.dataclass(frozen=True)
class Screening:
    """Which observations take part.

    Attributes:
        largest_snow_cover: of the background, 1; ECMWF takes none over snow, a network's zero is not quite zero.
        coldest_soil: temperature of the background's uppermost layer, K.
        largest_departure: of an observation from the background, in standard deviations that B and R let expect. The
            test is the IFS's (Jarvinen and Unden 1997, ECMWF Technical Memorandum 236), its size this project's.
    """

    largest_snow_cover: float = 0.01
    coldest_soil: float = FREEZING_BEGINS
    largest_departure: float = 3.0

    def __post_init__(self) -> None:
        if not self.largest_departure > 0.0:
            raise InputError(f"largest departure: found {self.largest_departure:g}, expected more than 0")


@dataclasses.dataclass(frozen=True)
class Limits:
    """How far an analysis may go.

    Attributes:
        largest_increment: of soil moisture in one analysis, m3 m-3: this project's, against departures that screening
            let pass.
        largest_warming: the same of temperature, K.
        driest: soil moisture is not analysed below it, m3 m-3.
        plant_range_from: layers from this one down are not analysed below the wilting point or above the field
            capacity; those above are not analysed above the porosity. 2 at ECMWF; 4: no layer.
    """

    largest_increment: float = 0.1
    largest_warming: float = 5.0
    driest: float = 0.01
    plant_range_from: float = 2.0

    def __post_init__(self) -> None:
        for name in ("largest_increment", "largest_warming"):
            if not getattr(self, name) > 0.0:
                raise InputError(f"{name.replace('_', ' ')}: found {getattr(self, name):g}, expected more than 0")


@dataclasses.dataclass(frozen=True)
class Errors:
    """Standard deviations.

    Attributes:
        observation: by observable: of instrument and location. emulator: by observable: of the model compared with.
        background: by control variable, of constant B. model: by control variable, in a day.
        covariance: "constant": B is the same in every window, as at ECMWF; "cycled": it is what the analysis left,
            carried on by the tangent-linear, and Q.
    """

    observation: Mapping[str, float] = dataclasses.field(default_factory=lambda: dict(OBSERVATION_ERRORS))
    emulator: Mapping[str, float] = dataclasses.field(default_factory=lambda: dict(EMULATOR_ERRORS))
    background: Mapping[str, float] = dataclasses.field(default_factory=lambda: dict(BACKGROUND_ERRORS))
    model: Mapping[str, float] = dataclasses.field(default_factory=lambda: dict(MODEL_ERRORS))
    covariance: Literal["cycled", "constant"] = "cycled"

    def __post_init__(self) -> None:
        for kind in ("observation", "emulator", "background", "model"):
            for name, size in getattr(self, kind).items():
                if not 0.0 <= size < np.inf:
                    raise InputError(f"{kind} error of '{name}': found {size:g}, expected a standard deviation")

    def of_observations(self, names: list[str]) -> np.ndarray:
        """(n_names,) standard deviations of R: instrument, location and emulator together."""
        return np.array([np.hypot(self.observation[name], self.emulator[name]) for name in names])

    def of_background(self, control: Control) -> np.ndarray:
        """(n_control, n_control) constant B, diagonal."""
        return np.diag([self.background[name] ** 2 for name in control.names])

    def of_model(self, control: Control, days: float) -> np.ndarray:
        """(n_control, n_control) Q of a window, diagonal: variance grows with its length."""
        return np.diag([days * self.model[name] ** 2 for name in control.names])
