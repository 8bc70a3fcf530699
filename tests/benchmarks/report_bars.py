"""What the speed on the CPU is to reach, and whether a run reached it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from networks import N320_COLUMNS, NETWORKS
from report_data import Results, duration
from report_tables import table

#: Share of the fastest matrix products, for the largest network and many columns.
LIMIT_SHARE = 0.85
#: Best peer's time over ours: for many columns, unless ours is this share of what the processor can, and for few.
RATIO_MANY, MACHINE_SHARE, RATIO_FEW = 1.1, 0.95, 1.2
#: Time in float32 over that in bfloat16, for many columns.
ROUNDED_GAIN = 1.7
OVERHEAD_SECONDS = 50e-6
START_SECONDS = 3.0
FLOAT32_ERROR = 5e-6
MEMORY_BYTES = 1e9
ACCUMULATION_SECONDS = 1e-3
COMPACTION = 0.4

LARGEST = "layer_norm_6x512"
MANY, FEW = (10_000, N320_COLUMNS), (1, 10, 100)


class Bar(NamedTuple):
    """What is judged, what was found and wanted, and whether it was reached; None where it was not measured."""

    name: str
    found: str
    wanted: str
    reached: bool | None


def judged_table(judged: Sequence[Bar]) -> list[str]:
    """Lines of a table of bars, and whether they were reached."""
    words = {True: "met", False: "**missed**", None: "not measured"}
    return table(
        ("figure", "measured", "target", ""), [(bar.name, bar.found, bar.wanted, words[bar.reached]) for bar in judged]
    )


def judge(results: Results) -> list[Bar]:
    """All bars."""
    judged = []
    for columns in MANY:
        share = results.limit_share(LARGEST, columns)
        name = f"{LARGEST}, {columns} columns: ailand / fastest GEMM"
        judged.append(at_least(name, share, LIMIT_SHARE))
    for sizes, ratio in ((MANY, RATIO_MANY), (FEW, RATIO_FEW)):
        for network in NETWORKS:
            for columns in sizes:
                best = results.best_peer(network, columns)
                name = f"{network}, {columns} column{'s' if columns > 1 else ''}: best peer / ailand"
                note = _note(results, network, columns, ratio)
                bar = at_least(name, best[1] if best else None, ratio, note)
                share = _machine_share(results, network, columns)
                if columns in MANY and share is not None and share >= MACHINE_SHARE:
                    bar = bar._replace(reached=True, found=f"{bar.found}; {100.0 * share:.0f} % of the peak")
                judged.append(bar)
    return [*judged, *_rounded(results), *_figures(results)]


def _machine_share(results: Results, network: str, columns: int) -> float | None:
    """Our rate over that of multiply-adds in registers; None where either is missing."""
    step = results.steps.get((network, columns, "ailand"))
    return None if step is None or results.multiply_adds is None else step.gflops / results.multiply_adds["gflops"]


def _rounded(results: Results) -> list[Bar]:
    """What products in bfloat16 are worth; where a processor has none, there is nothing to judge."""
    judged = []
    for network in NETWORKS:
        for columns in MANY:
            single, rounded = (results.steps.get((network, columns, name)) for name in ("ailand", "ailand_bf16"))
            if single is None or rounded is None:
                continue
            name = f"{network}, {columns} columns, bf16"
            judged.append(at_least(f"{name}: time in float32 / bf16", single.median / rounded.median, ROUNDED_GAIN))
            best = results.best_peer(network, columns, "ailand_bf16")
            ratio, note = (None, "") if best is None else (best[1], f" ({best[0]})")
            judged.append(at_least(f"{name}: best peer / ailand", ratio, RATIO_MANY, note))
    return judged


def _note(results: Results, network: str, columns: int, ratio: float) -> str:
    """Who the best peer is; the best of those that are not called in blocks by hand, if that is another; and what the
    bar would ask of the processor where it is missed.
    """
    best, plain = results.best_peer(network, columns), results.best_peer(network, columns, by_hand=False)
    if best is None:
        return ""
    note = f" ({best[0]})"
    if plain is not None and plain[0] != best[0]:
        note += f"; {plain[1]:.2f} ({plain[0]}) without blocks by hand"
    if best[1] < ratio and results.multiply_adds is not None:
        needed = results.steps[network, columns, "ailand"].gflops * ratio / best[1]
        share = needed / results.multiply_adds["gflops"]
        note += f"; {ratio:g} would take {100.0 * share:.0f} % of the peak"
    return note


def at_least(name: str, value: float | None, wanted: float, note: str = "") -> Bar:
    if value is None:
        return Bar(name, "", f">= {wanted:g}", None)
    return Bar(name, f"{value:.2f}{note}", f">= {wanted:g}", value >= wanted)


def at_most(name: str, value: float | None, wanted: float, is_time: bool) -> Bar:
    def shown(number: float) -> str:
        return duration(number) if is_time else f"{number:.2f}"

    return Bar(
        name,
        "" if value is None else shown(value),
        f"<= {shown(wanted)}",
        None if value is None else value <= wanted,
    )


def _figures(results: Results) -> list[Bar]:
    """The single figures."""
    found = results.overheads
    overhead = found.get("step_overhead", {}).get("median")
    start = found.get("cached_start", {}).get("seconds_beyond_imports")
    accumulation = found.get("land_accumulation", {}).get("median")
    compaction = found.get("land_compaction", {}).get("ratio")
    memory = found.get("peak_memory_bytes", {}).get("bytes")
    errors = [step.error for (_, _, name), step in results.steps.items() if name == "ailand" and step.error is not None]
    error = max(errors) if errors else None
    return [
        Bar(
            "overhead of `Emulator.step`",
            "" if overhead is None else duration(overhead),
            f"<= {duration(OVERHEAD_SECONDS)}",
            None if overhead is None else overhead <= OVERHEAD_SECONDS,
        ),
        at_most(
            "`LandComponent`: a host step that only accumulates forcing, R2B3", accumulation, ACCUMULATION_SECONDS, True
        ),
        at_most("`LandComponent`: time with 30 % land / time with land everywhere", compaction, COMPACTION, False),
        Bar(
            "start with everything compiled, without importing GT4Py and its DaCe backend",
            "" if start is None else duration(start),
            f"<= {duration(START_SECONDS)}",
            None if start is None else start <= START_SECONDS,
        ),
        Bar(
            "float32 against float64, largest relative error (norm)",
            "" if error is None else f"{error:.1e}",
            f"<= {FLOAT32_ERROR:.0e}",
            None if error is None else error <= FLOAT32_ERROR,
        ),
        Bar(
            f"peak memory of a step of {LARGEST}, {N320_COLUMNS} columns",
            "" if memory is None else f"{memory / 1e6:.0f} MB",
            f"< {MEMORY_BYTES / 1e6:.0f} MB",
            None if memory is None else memory < MEMORY_BYTES,
        ),
    ]
