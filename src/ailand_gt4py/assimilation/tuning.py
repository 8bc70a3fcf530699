"""Errors of a filter tuned by its own departures (Desroziers et al. 2005, doi:10.1256/qj.05.108, section 4).

Where the estimate of R in observation space differs from what was believed, the next cycle believes the estimate; the
background's error is multiplied by the mean ratio of estimated to believed H B H^T. Repeated, this goes to a fixed
point that is the right one if errors of background and observations have other structures; where they have the same, as
with a bias of the observations, it does not tell them apart.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from ailand_gt4py.assimilation.consistency import Consistency
from ailand_gt4py.assimilation.settings import Errors

#: An estimate may multiply an error by no more, and divide it by no more, at once: this project's. A few departures
#: give any estimate.
LARGEST_FACTOR = 3.0
#: Fewest departures that an estimate is made of: this project's.
FEWEST = 30


def _factor(estimate: float, believed: float) -> float:
    """What a believed standard deviation is to be multiplied by; 1 where there is no estimate."""
    if not (math.isfinite(estimate) and estimate > 0.0 and believed > 0.0):
        return 1.0
    return min(max(estimate / believed, 1.0 / LARGEST_FACTOR), LARGEST_FACTOR)


def tuned(errors: Errors, found: Sequence[Consistency]) -> Errors:
    """Errors for the next cycle: of observations and emulator together, and of the background or the model.

    A cycled background error is as large as the model's makes it; a constant one is what it is.
    """
    enough = [one for one in found if one.count >= FEWEST]
    observation, emulator = dict(errors.observation), dict(errors.emulator)
    for one in enough:
        factor = _factor(one.observation_error, one.believed_observation_error)
        observation[one.name] *= factor
        emulator[one.name] *= factor
    factors = [_factor(one.background_error, one.believed_background_error) for one in enough]
    factor = statistics.geometric_mean(factors) if factors else 1.0
    which = "background" if errors.covariance == "constant" else "model"
    sizes = {name: factor * size for name, size in getattr(errors, which).items()}
    return errors.replace(observation=observation, emulator=emulator, **{which: sizes})


def as_settings(errors: Errors, observables: Sequence[str], control: Sequence[str]) -> str:
    """Lines of YAML for ``--config``, of what a cycle used."""
    which = "background" if errors.covariance == "constant" else "model"
    groups = {"observation": observables, "emulator": observables, which: control}
    lines = ["errors:"]
    for group, names in groups.items():
        sizes = ", ".join(f"{name}: {getattr(errors, group)[name]:.4g}" for name in names)
        lines.append(f"  {group}: {{{sizes}}}")
    return "\n".join(lines)
