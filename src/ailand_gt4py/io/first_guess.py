"""State variables that a file lacks and that nothing gives exactly: first guesses for the start of a run.

Models may have more variables in their state than files of ec-land-db's layout: the deepest soil layer, properties of
the snow, water on leaves. `FIRST_GUESSES` lists what can be guessed, and the history of a run says what was. The run
forgets water on leaves within a day and snow with its season; the deepest layer takes months. How far the guesses are
from ecLand's state: ``docs/first_guesses``.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping

import numpy as np

from ailand_gt4py.ecland import snow
from ailand_gt4py.ecland.surface_tables import MIDDLE_SNOW_ALBEDO
from ailand_gt4py.io.derive import Derivation, Values, wave_key

#: Middles of ecLand's third and fourth soil layers (28-100 and 100-289 cm), m.
THIRD_LAYER, FOURTH_LAYER = 0.64, 1.945

#: Depth at which the annual wave of the temperature has 1/e of its amplitude at the surface, m: sqrt(2 D / omega) with
#: the thermal diffusivity D = 4.8e-7 m2 s-1, as mineral soils have it (Hillel 1982, Introduction to Soil Physics).
DAMPING_DEPTH = 2.2


def wave_below(depth: float) -> complex:
    """What the ground makes of the annual wave of the temperature at its surface: damping and delay.

    exp(-(1 + i) z / d) at the depth z, d the damping depth: heat conduction in a uniform half-space (Carslaw and Jaeger
    1959, Conduction of Heat in Solids, section 2.6).

    Args:
        depth: m.
    """
    damping = depth / DAMPING_DEPTH
    return math.exp(-damping) * complex(math.cos(damping), -math.sin(damping))


def _fourth_layer_by_wave(inputs: Mapping[str, Values], what: str) -> Values:
    """The third layer's temperature, and how far the wave is from there in the fourth."""
    change = inputs[wave_key("met_tair")] * (wave_below(FOURTH_LAYER) - wave_below(THIRD_LAYER))
    return inputs["stl3"] + change.real


def _fourth_layer_by_profile(inputs: Mapping[str, Values], what: str) -> Values:
    """A damped wave changes from the third layer to the fourth about as from the second to the third."""
    return inputs["stl3"] + (inputs["stl3"] - inputs["stl2"])


def _same(name: str) -> Callable[[Mapping[str, Values], str], Values]:
    return lambda inputs, what: inputs[name]


def _dry(inputs: Mapping[str, Values], what: str) -> Values:
    return np.zeros(1)


def _snow_temperature(inputs: Mapping[str, Values], what: str) -> Values:
    return snow.temperature(inputs["sd"], inputs["stl1"], inputs["met_tair"])


def _table() -> dict[str, Derivation]:
    by_profile = Derivation(
        "stl4",
        ("stl2", "stl3"),
        _fourth_layer_by_profile,
        "going on from the second layer over the third, there being no whole year of met_tair",
        is_first_guess=True,
    )
    none = snow.NO_SNOW
    found = [
        Derivation("swvl4", ("swvl3",), _same("swvl3"), "taking the third layer's"),
        Derivation(
            "stl4",
            ("stl3",),
            _fourth_layer_by_wave,
            f"damping and delay of the wave in the ground (Carslaw and Jaeger 1959; damping depth {DAMPING_DEPTH:g} m)",
            waves=("met_tair",),
            otherwise=by_profile,
        ),
        Derivation(
            "tsn",
            ("sd", "stl1", "met_tair"),
            _snow_temperature,
            f"taking the mean of soil and air, and {none['tsn']} K where it is above that or there is no snow",
        ),
        Derivation(
            "rsn",
            ("sd",),
            lambda inputs, what: snow.density(inputs["sd"]),
            f"taking {snow.MIDDLE_DENSITY:g} kg m-3, and {none['rsn']:g} kg m-3 where there is no snow",
        ),
        Derivation(
            "asn",
            ("sd",),
            lambda inputs, what: snow.albedo(inputs["sd"]),
            f"taking {MIDDLE_SNOW_ALBEDO:g}, and {none['asn']:g} (new snow's) where there is no snow",
        ),
        Derivation("src", (), _dry, "taking leaves and soil as dry"),
    ]
    return {guess.name: dataclasses.replace(guess, is_first_guess=True) for guess in found}


#: Name of the variable -> how it is guessed.
FIRST_GUESSES: dict[str, Derivation] = _table()


def guessable(state: Iterable[str]) -> tuple[str, ...]:
    """Those of the states of these names whose first guess follows from others of them at the same time."""
    names = set(state)
    return tuple(
        name
        for name, guess in FIRST_GUESSES.items()
        if name in names and not guess.waves and names.issuperset(guess.inputs)
    )
