"""Column runs killed, stopped and started twice at random moments: ``python tests/fuzz/kill_runs.py --runs 50``.

A try is one of

- ``killed``: a run is killed; nothing half-written has the output's name, and the next run gives what one that nobody
  stopped gives, to the bit, and leaves nothing else behind;
- ``twice``: a run is stopped (SIGSTOP) while a second one is started on its output; the second is refused, in one line
  and without touching anything, and the first, continued, is right.

Outputs are netCDF and zarr; runs are plain, with ``--overwrite`` and with ``--resume``.
"""

from __future__ import annotations

import argparse
import collections
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from helpers import Bench

#: Steps of a run, written two by two with a checkpoint after each pair.
N_TIMES = 12
OFTEN = ("--block-steps", 2, "--checkpoint-seconds", 0, "--quiet")
OUTPUTS = ("out.nc", "out.zarr")
MODES = ((), ("--overwrite",), ("--resume",))
MEMORY = "/dev/shm"
#: Longest that one may take, seconds.
PATIENCE = 120


def require(is_right: bool, message: str) -> None:
    """Raise unless a try ended as it must."""
    if not is_right:
        raise AssertionError(message)


class Yard:
    """A directory of a `Bench` in which processes run and are stopped; the results that they must have are beside it.

    Attributes:
        seconds: that a run takes here.
    """

    def __init__(self, path: Path) -> None:
        path.mkdir()
        self.bench, self.whole = Bench(path, n_times=N_TIMES), {}
        self._inputs = {item.name for item in path.iterdir()}
        self.said = path.with_name("said.txt")
        for output in OUTPUTS:
            # Here first, so that the processes, which are forks of this one, find all that is made once.
            require(self.bench.run(*OFTEN, output=output) == 0, f"{output}: a whole run failed")
            self.whole[output] = self.content(output)
            self.clear()
            begin = time.monotonic()
            require(self.end(self.start(output)) == 0, f"{output}: a whole run failed in a process of its own")
            self.seconds = time.monotonic() - begin
            self.clear()

    def start(self, output: str, *options: object) -> int:
        """A run in a process of its own; its id."""
        child = os.fork()
        if child == 0:
            signal.alarm(PATIENCE)
            sys.stderr = sys.stdout = self.said.open("w")
            try:
                status = self.bench.run(*OFTEN, *options, output=output)
                sys.stderr.flush()
                os._exit(status)
            finally:
                os._exit(99)
        return child

    @staticmethod
    def end(child: int) -> int:
        """Exit status of a process, or minus the signal that ended it."""
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    def names(self) -> set[str]:
        return {item.name for item in self.bench.path.iterdir()} - self._inputs

    def clear(self) -> None:
        for name in self.names():
            path = self.bench.path / name
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def content(self, output: str) -> dict[str, bytes]:
        """All values of output and restart file."""
        found = {}
        for name in (output, f"{output.removesuffix('.nc')}.restart.nc"):
            data = self.bench.open(name)
            found |= {f"{name} {own}": variable.values.tobytes() for own, variable in data.variables.items()}
        return found

    def require_right(self, output: str) -> None:
        names = {output, f"{output.removesuffix('.nc')}.restart.nc"}
        require(self.names() == names, f"{output}: found {sorted(self.names())}, expected {sorted(names)}")
        require(self.content(output) == self.whole[output], f"{output}: has other values than that of a whole run")


def killed(yard: Yard, output: str, mode: tuple[str, ...], after: float) -> str:
    """Kill a run after some seconds; says when that was."""
    if mode == ("--overwrite",):
        require(yard.end(yard.start(output)) == 0, f"{output}: the run before failed")
    child = yard.start(output, *mode)
    time.sleep(after)
    os.kill(child, signal.SIGKILL)
    is_over = yard.end(child) == 0
    names = yard.names()
    when = "over" if is_over else "on the way" if f"{output}.partial" in names else "before or after its steps"
    if output in names:
        data = yard.bench.open(output)
        found = {f"{output} {own}": variable.values.tobytes() for own, variable in data.variables.items()}
        require(found.items() <= yard.whole[output].items(), f"{output}: is there, half-written")
    # An output that was complete when its run was killed is refused, not lost.
    again = ("--resume",) if output not in names and f"{output}.resume" in names else ("--overwrite",)
    status = yard.end(yard.start(output, *again))
    require(status == 0, f"{output}: after a kill, {again[0]} ended with {status}: {yard.said.read_text()}")
    yard.require_right(output)
    return when


def twice(yard: Yard, output: str, mode: tuple[str, ...], after: float) -> str:
    """Start a run on the output of one that is stopped after some seconds; says when that was."""
    if mode == ("--resume",):
        interrupted = yard.start(output)
        time.sleep(0.6 * yard.seconds)
        os.kill(interrupted, signal.SIGKILL)
        if yard.end(interrupted) == 0:
            yard.clear()
    first = yard.start(output, *mode)
    lock = yard.bench.path / f".{output}.ailand-lock"
    limit = time.monotonic() + PATIENCE
    while not (lock.exists() and lock.read_bytes()) and time.monotonic() < limit:
        time.sleep(0.001)
    time.sleep(after)
    os.kill(first, signal.SIGSTOP)
    over, status = os.waitpid(first, os.WNOHANG | os.WUNTRACED)
    while not over:
        over, status = os.waitpid(first, os.WUNTRACED)
    if not os.WIFSTOPPED(status):
        require(os.waitstatus_to_exitcode(status) == 0, f"{output}: the first run failed: {yard.said.read_text()}")
        yard.require_right(output)
        return "over"
    before = {item: item.stat().st_mtime_ns for item in yard.bench.path.rglob("*")}
    first_said = yard.said
    yard.said = first_said.with_name("second.txt")
    status = yard.end(yard.start(output, *mode))
    said, yard.said = yard.said.read_text(), first_said
    after_it = {item: item.stat().st_mtime_ns for item in yard.bench.path.rglob("*")}
    os.kill(first, signal.SIGCONT)
    ended = yard.end(first)
    require(status == 2, f"{output}: the second run {mode} ended with {status}: {said}")
    require(f"is being written by process {first} on" in said, f"{output}: the second run said: {said}")
    require(said.count("\n") == 1, f"{output}: the second run said more than a line: {said}")
    require(
        {k: v for k, v in before.items() if k != yard.bench.path}
        == {k: v for k, v in after_it.items() if k != yard.bench.path},
        f"{output}: the second run changed files",
    )
    require(ended == 0, f"{output}: the first run ended with {ended}: {yard.said.read_text()}")
    yard.require_right(output)
    return "on the way"


def run(n_runs: int, seed: int, kinds: tuple[str, ...] = ("killed", "twice")) -> collections.Counter[str]:
    """Make tries; how many of each there were, all of them right."""
    choice, found = random.Random(seed), collections.Counter[str]()
    # In memory, where there is some: waiting for a disk is most of a run.
    with tempfile.TemporaryDirectory(dir=MEMORY if os.access(MEMORY, os.W_OK) else None) as directory:
        yard = Yard(Path(directory, "yard"))
        for index in range(n_runs):
            kind, output, mode = kinds[index % len(kinds)], choice.choice(OUTPUTS), choice.choice(MODES)
            when = globals()[kind](yard, output, mode, choice.uniform(0.0, 0.8 * yard.seconds))
            found[f"{kind}, {output}, {' '.join(mode) or 'plain'}, {when}"] += 1
            yard.clear()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=50, metavar="N", help="tries (default: 50)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of what is tried; moments vary all the same")
    options = parser.parse_args()
    found = run(options.runs, options.seed)
    for name, count in sorted(found.items()):
        print(f"{count:6d}  {name}")
    print(f"{found.total():6d}  right, of {options.runs}")


if __name__ == "__main__":
    main()
