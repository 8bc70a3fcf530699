"""The race of a network: contestants whose results are right, and the network's matrix products alone."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from typing import NamedTuple

import contestants
import limits
import networks
import numpy as np
import race


class Outcome(NamedTuple):
    """Of a race: times and relative errors by contestant, why others could not take part, and whose results are wrong.

    A contestant with wrong results does not race.
    """

    timings: dict[str, race.Timing]
    errors: dict[str, tuple[float, float]]
    reasons: dict[str, str]
    failures: dict[str, str]


def run(
    network: networks.Network, n_columns: int, names: Sequence[str], products: Sequence[str], device: str = "cpu"
) -> Outcome:
    """Build contestants and products of these names, check the former against NumPy in float64, time all in turn."""
    gc.collect()  # Networks and arrays of the race before hold each other.
    _forget_compiled()
    model = network.model()
    inputs = networks.random_inputs(model, n_columns)
    columns = networks.sample_columns(n_columns)
    expected = networks.reference(model, [array[columns] for array in inputs])
    rivals: list[contestants.Contestant] = []
    found = Outcome({}, {}, {}, {})
    for name in names:
        try:
            rival = contestants.build(name, model, inputs, device)
        except contestants.UnavailableError as error:
            found.reasons[name] = str(error)
            continue
        results = rival.results()
        errors = networks.relative_errors(model, [result[columns] for result in results], expected)
        if not all(np.isfinite(result).all() for result in results):
            found.failures[name] = "results that are not finite"
        elif max(errors) > rival.tolerance:
            found.failures[name] = f"relative errors {errors}, expected at most {rival.tolerance}"
        else:
            found.errors[name] = errors
            rivals.append(rival)
    for name in products:
        try:
            rivals.append(limits.build(name, network, n_columns))
        except contestants.UnavailableError as error:
            found.reasons[name] = str(error)
    found.timings.update(race.run(rivals))
    return found


def _forget_compiled() -> None:
    """PyTorch compiles a module's code at most eight times and then runs it uncompiled."""
    try:
        import torch
    except ImportError:
        return
    torch._dynamo.reset()
