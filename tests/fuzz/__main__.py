"""Fuzzes what the package reads: ``python -m tests.fuzz --count 10000 --seed 0 -o FILE.md``.

Each input is read in a process of its own and is either right, or refused with the package's own error of one line. All
else is a fault: another exception, a hang, a signal, memory beyond ten times the file and 100 MiB, escape sequences in
what is printed, and numbers or texts other than those written where a file carries a checksum. A fault is made again by
``--only INDEX`` with the same seed.
"""

from __future__ import annotations

import argparse
import collections
import concurrent.futures
import functools
import gc
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(HERE), str(HERE / "unit")]

#: Cases that a process takes at once.
_CHUNK = 51


#: This process's good inputs, once they are made.
_made: list[Any] = []


def _outcomes(directory: Path, seed: int, indices: Sequence[int]) -> list[tuple[int, str, str, Any]]:
    """Make and run cases: index, kind, what was done, outcome."""
    from tests.fuzz import cases, runner

    if not _made:
        own = directory / str(os.getpid())
        own.mkdir()
        _made.append(cases.Inputs(own))
        gc.collect()
        gc.freeze()  # what children would copy by looking at it
    results = []
    for index in indices:
        kind, case = cases.make(_made[0], seed, index)
        results.append((index, kind, case.what, runner.isolated(case)))
    return results


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--count", type=int, default=10_000, help="number of inputs")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, metavar="INDEX", help="this one alone")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("-o", "--output", type=Path, metavar="FILE.md", help="write the table there, too")
    options = parser.parse_args()
    from tests.fuzz import cases

    cases.load()
    every = [options.only] if options.only is not None else range(options.count)
    chunks = [every[first : first + _CHUNK] for first in range(0, len(every), _CHUNK)]
    begin = time.monotonic()
    # Processes that are forked have what is imported already.
    fork = multiprocessing.get_context("fork")
    with (
        tempfile.TemporaryDirectory(prefix="ailand_fuzz_") as directory,
        concurrent.futures.ProcessPoolExecutor(options.processes, fork) as pool,
    ):
        run = functools.partial(_outcomes, Path(directory), options.seed)
        found = [one for part in pool.map(run, chunks) for one in part]
    text = report(found, options.seed, time.monotonic() - begin)
    print(text)
    if options.output:
        options.output.write_text(text + "\n")
    return int(any(outcome.verdict == "WRONG" for *_, outcome in found))


def report(found: Sequence[tuple], seed: int, seconds: float) -> str:
    """A table of kinds, and a line for each fault."""
    kinds = collections.defaultdict(list)
    for _, kind, _, outcome in found:
        kinds[kind].append(outcome)
    lines = [f"# {len(found)} inputs, seed {seed}, {seconds:.0f} s", ""]
    lines += ["| input | number | right | refused | wrong | slowest, s | most memory, MiB |", "|---|" + "---:|" * 6]
    for kind, outcomes in {**kinds, "all": [one for part in kinds.values() for one in part]}.items():
        count = collections.Counter(outcome.verdict for outcome in outcomes)
        slowest, most = (max(getattr(one, key) for one in outcomes) for key in ("seconds", "growth"))
        lines.append(
            f"| {kind} | {len(outcomes)} | {count['right']} | {count['refused']} | {count['WRONG']} | {slowest:.1f} | "
            f"{most / 2**20:.0f} |"
        )
    wrong = [one for one in found if one[-1].verdict == "WRONG"]
    if wrong:
        lines += ["", f"## {len(wrong)} faults", ""]
    for index, kind, what, outcome in wrong:
        lines.append(ascii(f"{index} ({kind}; {what[:150]}): {outcome.message[:400]}")[1:-1])
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
