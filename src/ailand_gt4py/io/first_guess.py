"""State variables that a file lacks and that nothing gives exactly: first guesses for the start of a run.

Models may have more variables in their state than files of ec-land-db's layout: the deepest soil layer, properties of
the snow, water on leaves. `FIRST_GUESSES` lists what can be guessed, and the history of a run says what was. The run
forgets water on leaves within a day and snow with its season; the deepest layer takes months. How far the guesses are
from ecLand's state: ``docs/first_guesses``.
"""

from __future__ import annotations

import cmath
import functools
from collections.abc import Iterable, Mapping

import numpy as np

from ailand_gt4py.core.types import Values
from ailand_gt4py.ecland import snow
from ailand_gt4py.ecland.surface_tables import MIDDLE_SNOW_ALBEDO
from ailand_gt4py.io.derive import DERIVATIONS, Derivation, wave_key

#: Middles of ecLand's third and fourth soil layers (28-100 and 100-289 cm), m.
THIRD_LAYER, FOURTH_LAYER = 0.64, 1.945

#: Depth at which the annual wave of the temperature has 1/e of its amplitude at the surface, m: sqrt(2 D / omega) with
#: the thermal diffusivity D = 4.8e-7 m2 s-1, as mineral soils have it (Hillel 1982, Introduction to Soil Physics).
DAMPING_DEPTH = 2.2

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
                "going on from the second layer over the third, there being no whole year of met_tair",
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
        _Guess("src", (), lambda inputs, what: np.zeros(1), "taking leaves and soil as dry"),
    )
}

#: How to get a variable that is not given.
MODES = {**DERIVATIONS, **FIRST_GUESSES}


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
