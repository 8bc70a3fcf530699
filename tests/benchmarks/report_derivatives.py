"""The report of what derivatives cost beside a step: tables of ratios."""

from __future__ import annotations

from typing import Any

from report_data import Results, duration
from report_tables import table

#: What a tangent-linear and an adjoint may take at most, in steps.
MOST_STEPS = {"tangent_linear": 2.0, "adjoint": 2.5}
_DIFFERENCES = "finite differences"


def tables(results: Results) -> list[str]:
    """Lines: linear derivatives in steps, then blocks of the Jacobian beside finite differences."""
    linear = [entry for entry in results.derivatives if entry["base"] == "step"]
    blocks = [entry for entry in results.derivatives if entry["base"] == _DIFFERENCES]
    lines: list[str] = []
    if linear:
        bars = " and ".join(f"{name.replace('_', '-')} {most:g}" for name, most in MOST_STEPS.items())
        lines += [f"Time relative to the step; targets: {bars} at most.", ""]
        lines += table(
            ("network", "columns", "threads", "step", "tangent-linear / step", "adjoint / step"),
            [
                (*_location(entry), _time(entry, "step"), *(_judged(entry, name) for name in MOST_STEPS))
                for entry in linear
            ],
        )
    if blocks:
        lines += [
            "",
            "Blocks of the Jacobian beside one-sided finite differences of the step for the same derivatives.",
            "",
        ]
        lines += table(
            ("network", "columns", "threads", "block", "Jacobian", "finite differences", "differences / Jacobian"),
            [(*_location(entry), *_block(entry)) for entry in blocks],
        )
    return lines


def markdown(results: Results) -> str:
    """The whole report."""
    machine = results.machine
    return "\n".join(
        [
            "# Benchmarks of derivatives on the CPU",
            "",
            f"{results.date}, commit {results.commit}. Made by `make bench-derivatives`. Compiled, in float32; what "
            "is compared is timed in turn, in interleaved rounds (`tests/benchmarks/race.py`); a ratio is the median "
            "of the rounds' ratios.",
            "",
            f"{machine['processor']}, {machine['cores']} cores; load average at the end "
            f"{', '.join(f'{load:.2f}' for load in machine['load_average'])} (1, 5, 15 minutes).",
            "",
            *tables(results),
            "",
        ]
    )


def _location(entry: dict[str, Any]) -> tuple[str, str, str]:
    return entry["network"], str(entry["columns"]), str(entry["threads"])


def _time(entry: dict[str, Any], name: str) -> str:
    return duration(entry["rivals"][name]["median"])


def _judged(entry: dict[str, Any], name: str) -> str:
    ratio = entry["rivals"][name]["ratio"]
    return f"{ratio:.2f}" if ratio <= MOST_STEPS[name] else f"**{ratio:.2f}**"


def _block(entry: dict[str, Any]) -> tuple[str, ...]:
    (name,) = (name for name in entry["rivals"] if name.startswith("jacobian"))
    factor = 1.0 / entry["rivals"][name]["ratio"]
    return name.removeprefix("jacobian, "), _time(entry, name), _time(entry, _DIFFERENCES), f"{factor:.1f}"
