"""A benchmark run as pytest-benchmark wrote it: steps, limits, overheads, machine."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ailand_gt4py.core.errors import InputError

PRECISIONS = ("tf32", "bf16")


class Step(NamedTuple):
    """A contestant's or a limit's step: median seconds, GFLOP/s, larger relative error (None for limits)."""

    median: float
    gflops: float
    error: float | None


@dataclasses.dataclass(frozen=True)
class Results:
    """All that a run measured.

    Attributes:
        device: ``cpu`` or ``cuda``. date, commit: of the run. seconds: it took, 0 where unknown.
        machine: see `machine.describe`.
        steps: (network, columns, name) -> of contestants and of the limits ``gemm_...``.
        flops: network -> of one column.
        reasons: contestant or limit -> why it was not run.
        overheads: name -> its extra information, and ``median`` seconds.
        derivatives, large, runs: of each race of derivatives, each test of the large network and each whole run, its
            extra information.
        copy, large_product, multiply_adds: rates of the machine, None where not measured.
    """

    device: str
    date: str
    commit: str
    seconds: float
    machine: dict[str, Any]
    steps: dict[tuple[str, int, str], Step]
    flops: dict[str, int]
    reasons: dict[str, str]
    overheads: dict[str, dict[str, Any]]
    derivatives: list[dict[str, Any]]
    large: list[dict[str, Any]]
    runs: list[dict[str, Any]]
    copy: dict[str, Any] | None
    large_product: dict[str, Any] | None
    multiply_adds: dict[str, Any] | None

    @property
    def networks(self) -> list[str]:
        """In the order of the run."""
        return list(dict.fromkeys(network for network, _, _ in self.steps))

    def sizes(self, network: str) -> list[int]:
        """Numbers of columns of a network, ascending."""
        return sorted({columns for name, columns, _ in self.steps if name == network})

    def contestants(self, network: str) -> list[str]:
        """Contestants of a network in the order of the run, then its limits."""
        names = list(dict.fromkeys(name for found, _, name in self.steps if found == network))
        return sorted(names, key=is_limit)

    def best_peer(
        self, network: str, columns: int, own: str = "ailand", by_hand: bool = True
    ) -> tuple[str, float] | None:
        """The fastest peer of the same precision and its time over ours; None where either is missing.

        Args:
            by_hand: with peers that are called on one block of columns after the other.
        """
        ours = self.steps.get((network, columns, own))
        peers = {
            name: step.median
            for (found, size, name), step in self.steps.items()
            if (found, size) == (network, columns)
            and not is_limit(name)
            and not name.startswith("ailand")
            and (by_hand or "_blocks" not in name)
            and precision(name) == precision(own)
        }
        if ours is None or not peers:
            return None
        best = min(peers, key=peers.__getitem__)
        return best, peers[best] / ours.median

    def limit_share(self, network: str, columns: int, own: str = "ailand") -> float | None:
        """Our rate over that of the fastest products of the same precision; None where either is missing."""
        ours = self.steps.get((network, columns, own))
        limits = [
            step.gflops
            for (found, size, name), step in self.steps.items()
            if (found, size) == (network, columns) and is_limit(name) and precision(name) == precision(own)
        ]
        return ours.gflops / max(limits) if ours is not None and limits else None


def is_limit(name: str) -> bool:
    """Whether a name is that of matrix products alone."""
    return name.startswith("gemm_")


def precision(name: str) -> str:
    """Of a contestant's or a limit's products."""
    suffix = name.rpartition("_")[2]
    return suffix if suffix in PRECISIONS else "float32"


def not_run(reasons: Mapping[str, str]) -> list[str]:
    """Lines that name those who did not take part, none where all did."""
    return ["", "Not run:", "", *(f"* {name}: {reason}" for name, reason in sorted(reasons.items()))] if reasons else []


def duration(seconds: float) -> str:
    """With a unit that suits it, three significant digits."""
    for factor, unit in ((1.0, "s"), (1e3, "ms"), (1e6, "us")):
        if seconds * factor >= 1.0 or unit == "us":
            value = seconds * factor
            return f"{value:.0f} {unit}" if value >= 100.0 else f"{value:.3g} {unit}"
    raise AssertionError("unreachable")


def amount(number: float) -> str:
    """With a metric prefix, to be followed by the unit."""
    for factor, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= factor:
            return f"{number / factor:.3g} {prefix}"
    return f"{number:g} "


def read(*paths: Path) -> Results:
    """Read what ``pytest --benchmark-json`` wrote: a run, or several parts of one on the same machine.

    Raises:
        InputError: no such file, no JSON, not of these benchmarks, parts of different machines, or empty.
    """
    contents = [_content(path) for path in paths]
    try:
        machines = [content["machine_info"]["ailand"] for content in contents]
        entries = [
            (entry["extra_info"], entry["stats"]["median"]) for content in contents for entry in content["benchmarks"]
        ]
        for path, machine in zip(paths, machines, strict=True):
            for key in ("device", "processor", "threads", "versions"):
                if machine[key] != machines[0][key]:
                    raise InputError(
                        f"{path}: found {key} {machine[key]}, expected {machines[0][key]} as in {paths[0]}"
                    )
        results = _sorted(contents[0], machines[0], entries)
    except (KeyError, TypeError) as error:
        raise InputError(f"{paths[0]}: {error} is missing, expected a run of these benchmarks") from error
    if not results.steps and not results.overheads and not (results.derivatives or results.large or results.runs):
        raise InputError(f"{paths[0]}: found no step and no overhead, expected a run of these benchmarks")
    return dataclasses.replace(results, seconds=sum(machine.get("seconds", 0.0) for machine in machines))


def _content(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}), expected a benchmark run") from error
    except ValueError as error:
        raise InputError(f"{path}: found no JSON ({error}), expected a benchmark run") from error


def _sorted(content: dict[str, Any], machine: dict[str, Any], entries: list[tuple[dict[str, Any], float]]) -> Results:
    steps: dict[tuple[str, int, str], Step] = {}
    flops: dict[str, int] = {}
    reasons: dict[str, str] = {}
    overheads: dict[str, dict[str, Any]] = {}
    derivatives: list[dict[str, Any]] = []
    large: list[dict[str, Any]] = []
    runs: list[dict[str, Any]] = []
    others: dict[str, dict[str, Any]] = {}
    for extra, median in entries:
        kind = extra.get("kind")
        if kind in ("step", "limit"):
            errors = [extra[key] for key in ("error_state", "error_diagnostics") if key in extra]
            key = (extra["network"], extra["columns"], extra["contestant"])
            steps[key] = Step(median, extra["gflops"], max(errors) if errors else None)
            flops[extra["network"]] = extra["flops_per_column"]
            reasons |= extra.get("reasons", {})
        elif kind == "overhead":
            overheads[extra["name"]] = extra | {"median": median}
        elif kind == "derivative":
            derivatives.append(extra)
        elif kind == "large":
            large.append(extra)
        elif kind == "run":
            runs.append(extra)
        elif kind is not None:
            others[kind] = extra
    commit = content.get("commit_info", {})
    return Results(
        device=machine["device"],
        date=content["datetime"][:10],
        commit=str(commit.get("id") or "unknown")[:10] + (" with changes" if commit.get("dirty") else ""),
        seconds=machine.get("seconds", 0.0),
        machine=machine,
        steps=steps,
        flops=flops,
        reasons=reasons,
        overheads=overheads,
        derivatives=derivatives,
        large=large,
        runs=runs,
        copy=others.get("copy"),
        large_product=others.get("large_product"),
        multiply_adds=others.get("multiply_adds"),
    )
