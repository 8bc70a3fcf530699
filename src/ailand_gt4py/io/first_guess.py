"""State variables that nothing gives exactly: first guesses for the start of a run, column by column.

Models may have more variables in their state than files of ec-land-db's layout: the deepest soil layer, properties of
the snow, water on leaves. `FIRST_GUESSES` lists what follows from the rest of a state. Where there is no state at all,
as at towers and in weather alone, `FROM_CLIMATE` has what the soil would be like in the climate that the file's weather
shows. The history of a run says what was guessed. The run forgets water on leaves within a day and snow with its
season; the soil takes months, its deepest layer years. How far the guesses are from ecLand's state:
``docs/first_guesses``.
"""

from __future__ import annotations

import cmath
import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Literal

import numpy as np

from ailand_gt4py.core.types import Values
from ailand_gt4py.ecland import snow
from ailand_gt4py.ecland.humidity import VAPORISATION_HEAT
from ailand_gt4py.ecland.soil_tables import LAYER_MIDDLES
from ailand_gt4py.ecland.surface_tables import MIDDLE_SNOW_ALBEDO
from ailand_gt4py.io.derive import ALTERNATIVES, DERIVATIONS, Derivation, Function, mean_key, wave_key
from ailand_gt4py.weights.variables import CATALOGUE

#: Middles of ecLand's third and fourth soil layers (28-100 and 100-289 cm), m.
THIRD_LAYER, FOURTH_LAYER = LAYER_MIDDLES[2:]

#: Depth at which the annual wave of the temperature has 1/e of its amplitude at the surface, m: sqrt(2 D / omega) with
#: the thermal diffusivity D = 4.8e-7 m2 s-1, as mineral soils have it (Hillel 1982, Introduction to Soil Physics).
DAMPING_DEPTH = 2.2

#: Net radiation as part of the short wave that comes down, for what could evaporate.
NET_PART = 0.6
#: Without a whole year of weather, days whose mean air temperature the soil has.
DAYS = 30

_Guess = functools.partial(Derivation, is_first_guess=True)


def wave_below(depth: float) -> complex:
    """What the ground makes of the annual wave of the temperature at its surface, in a depth in m: damping and delay.

    exp(-(1 + i) z / d) at the depth z, d the damping depth: heat conduction in a uniform half-space (Carslaw and Jaeger
    1959, Conduction of Heat in Solids, section 2.6).
    """
    return cmath.exp(-(1 + 1j) * depth / DAMPING_DEPTH)


def _fourth_layer_by_wave(inputs: Mapping[str, Values], what: str) -> Values:
    change = inputs[wave_key("met_tair")] * (wave_below(FOURTH_LAYER) - wave_below(THIRD_LAYER))
    return inputs["stl3"] + change.real


_NONE = snow.NO_SNOW
#: Name of the variable -> how it is guessed.
FIRST_GUESSES: dict[str, Derivation] = {
    guess.name: guess
    for guess in (
        _Guess("swvl4", ("swvl3",), lambda inputs, what: inputs["swvl3"], "taking the third layer's"),
        _Guess(
            "stl4",
            ("stl3",),
            _fourth_layer_by_wave,
            f"damping and delay of the wave in the ground (Carslaw and Jaeger 1959; damping depth {DAMPING_DEPTH:g} m)",
            waves=("met_tair",),
            # A damped wave changes from the third layer to the fourth about as from the second to the third.
            otherwise=_Guess(
                "stl4",
                ("stl2", "stl3"),
                lambda inputs, what: inputs["stl3"] + (inputs["stl3"] - inputs["stl2"]),
                "extrapolating from the second layer through the third, as there is no whole year of met_tair",
            ),
        ),
        _Guess(
            "tsn",
            ("sd", "stl1", "met_tair"),
            lambda inputs, what: snow.temperature(inputs["sd"], inputs["stl1"], inputs["met_tair"]),
            f"taking the mean of soil and air, and {_NONE['tsn']} K where it is above that or there is no snow",
        ),
        _Guess(
            "rsn",
            ("sd",),
            lambda inputs, what: snow.density(inputs["sd"]),
            f"taking {snow.MIDDLE_DENSITY:g} kg m-3, and {_NONE['rsn']:g} kg m-3 where there is no snow",
        ),
        _Guess(
            "asn",
            ("sd",),
            lambda inputs, what: snow.albedo(inputs["sd"]),
            f"taking {MIDDLE_SNOW_ALBEDO:g}, and {_NONE['asn']:g} (new snow's) where there is no snow",
        ),
        _Guess("src", (), lambda inputs, what: np.zeros(1), "assuming dry leaves and soil"),
    )
}

#: How to get a variable that is not given.
MODES = {**DERIVATIONS, **FIRST_GUESSES}


def _temperature(depth: float) -> Function:
    def function(inputs: Mapping[str, Values], what: str) -> Values:
        wave = inputs[wave_key("met_tair")] * wave_below(depth)
        return inputs[mean_key("met_tair")] + wave.real

    return function


def _soil_water(*precipitation: str) -> Function:
    """Of the water that plants can take the part that the climate keeps there, by Budyko's index of dryness."""

    def function(inputs: Mapping[str, Values], what: str) -> Values:
        could = NET_PART * inputs[mean_key("met_swdown")] / VAPORISATION_HEAT
        falls = np.sum([inputs[mean_key(name)] for name in precipitation], axis=0)
        part = np.clip(falls / np.maximum(could, 1e-12), 0.0, 1.0)
        dry, moist = inputs["clim_theta_pwp"], inputs["clim_theta_cap"]
        return dry + part * (moist - dry)

    return function


def _without_snow(name: str) -> Derivation:
    return _Guess(name, (), lambda inputs, what: np.full(1, _NONE.get(name, 0.0)), "assuming no snow")


_BUDYKO = (
    "scaling plant-available water with the ratio of precipitation to what the net radiation, "
    f"{NET_PART:g} of the short wave, could evaporate (Budyko 1974, Climate and Life; over a year at most)"
)
#: Name of the variable -> how it is guessed of the climate in a file, the best way first.
FROM_CLIMATE: dict[str, tuple[Derivation, ...]] = {
    **{
        f"stl{layer}": (
            _Guess(
                f"stl{layer}",
                (),
                _temperature(depth),
                f"mean and damped annual wave (Carslaw and Jaeger 1959; damping depth {DAMPING_DEPTH:g} m)",
                waves=("met_tair",),
                otherwise=_Guess(
                    f"stl{layer}",
                    (),
                    lambda inputs, what: inputs[mean_key("met_tair")],
                    f"taking that of the first {DAYS} days, as there is no whole year of met_tair",
                    means=("met_tair",),
                    mean_days=DAYS,
                ),
            ),
        )
        for layer, depth in enumerate(LAYER_MIDDLES, start=1)
    },
    **{
        f"swvl{layer}": tuple(
            _Guess(
                f"swvl{layer}",
                ("clim_theta_pwp", "clim_theta_cap"),
                _soil_water(*falls),
                _BUDYKO,
                means=("met_swdown", *falls),
            )
            for falls in (("met_rainf", "met_snowf"), ("met_rainf",))
        )
        for layer in range(1, len(LAYER_MIDDLES) + 1)
    },
    **{name: (_without_snow(name),) for name in ("sd", "snowc", "slw")},
}

#: Said of a state that is guessed of the climate.
FORGOTTEN = (
    "The soil forgets a first guess over months, its deepest layer over years: --spin-up N, or an earlier start, is "
    "recommended."
)

#: Whether the state is guessed of the climate: never, where a file lacks it, or all of it.
ByClimate = Literal["never", "missing", "all"]


@dataclasses.dataclass(frozen=True)
class Gaps:
    """How what is not given is had.

    Attributes:
        in_file: whether a file has a variable of this name. by_climate: see `ByClimate`.
        state: names of a model's state.
    """

    in_file: Callable[[str], bool]
    by_climate: ByClimate = "never"
    state: frozenset[str] = frozenset()

    def is_given(self, name: str) -> bool:
        """Whether a variable is taken from the file."""
        return self.in_file(name) and not (self.by_climate == "all" and self.is_state(name))

    def is_state(self, name: str) -> bool:
        return name in self.state or (name in CATALOGUE and CATALOGUE[name].kind == "state")

    def way(self, name: str) -> Derivation | None:
        """How a variable that is not given is had; None: it cannot be."""
        return next((way for way in self.ways(name) if not self.lacking(way)), None)

    def ways(self, name: str) -> tuple[Derivation, ...]:
        """All that there are, the best first."""
        usual = tuple(ways[name] for ways in (MODES, ALTERNATIVES) if name in ways)
        by_climate = FROM_CLIMATE.get(name, ()) if self.by_climate != "never" else ()
        return (*by_climate, *usual) if self.by_climate == "all" else (*usual, *by_climate)

    def lacking(self, way: Derivation) -> list[str]:
        """Of what a way needs, what is not given nor, where the state may be guessed of the climate, had otherwise."""
        is_deep = self.by_climate != "never"
        return [name for name in way.needs if not (self.is_given(name) or (is_deep and self.way(name) is not None))]


def at_start(name: str) -> Derivation:
    """How the value before the start of a state variable is guessed, by the name of that value."""
    return _Guess(name, (), lambda inputs, what: np.zeros(0), "taking the variables themselves at the start")


def guessable(state: Iterable[str]) -> tuple[str, ...]:
    """Those of the states of these names whose first guess follows from others of them at the same time."""
    names = set(state)
    return tuple(
        name
        for name, guess in FIRST_GUESSES.items()
        if name in names and not guess.waves and names.issuperset(guess.inputs)
    )
