"""Damage a cache of compiled programs in every way we know, and see what the next run does.

``python tests/fuzz/damage_cache.py`` takes each kind of damage once and prints a line for each; the exit status is 1
where a run ended by a signal, gave other numbers, or ended with a message that does not name the cache. Every run is a
process of its own that is forked before anything is compiled.
"""

from __future__ import annotations

import argparse
import functools
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))

import numpy as np
from random_models import random_model

from ailand_gt4py import Emulator
from ailand_gt4py.core.errors import AilandError
from ailand_gt4py.lowering.calls import backends
from ailand_gt4py.lowering.columns.column_node import code_digest

# Once for all runs, which look for the same programs then, whatever becomes of the sources meanwhile.
assert backends
assert code_digest()

SECONDS = 300


class Outcome(NamedTuple):
    """How a run ended: "right" and the digits of its result, "refused" and why, or how else."""

    kind: str
    text: str


def step() -> str:
    """The result of a compiled step."""
    emulator = Emulator(random_model("simple", depth=1), 3, "dace_cpu")
    inputs = [np.ones((3, size), dtype=np.float32) for size in emulator.model.sizes[:3]]
    state, diagnostics = emulator.step(*inputs)
    return (state.tobytes() + diagnostics.tobytes()).hex()


def run(cache: Path) -> Outcome:
    """A step in another process that keeps its programs below this directory."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.environ["XDG_CACHE_HOME"] = str(cache)
        os.environ.pop("GT4PY_BUILD_CACHE_DIR", None)
        signal.alarm(SECONDS)
        try:
            text, status = step(), 0
        except AilandError as error:
            text, status = str(error), 1
        except BaseException as error:
            text, status = f"{type(error).__name__}: {error}", 2
        os.write(writing, text.encode(errors="replace")[:60_000])
        os._exit(status)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        text = pipe.read().decode()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    kind = {0: "right", 1: "refused", 2: "unexpected error"}.get(status)
    return Outcome(kind or f"ended by {signal.Signals(-status).name}", text)


def _replaced(path: Path, make: Callable[[Path], object]) -> None:
    path.unlink()
    make(path)


def _flip(path: Path, where: float) -> None:
    content = bytearray(path.read_bytes())
    content[int(where * (len(content) - 1))] ^= 4
    path.write_bytes(content)


def _zero(path: Path) -> None:
    content = path.read_bytes()
    third = len(content) // 3
    path.write_bytes(content[:third] + bytes(third) + content[2 * third :])


#: Of one file, which is there.
OF_A_FILE: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: os.truncate(path, 0),
    "cut short": lambda path: os.truncate(path, min(1000, path.stat().st_size // 2)),
    "cut in half": lambda path: os.truncate(path, path.stat().st_size // 2),
    "a byte missing": lambda path: os.truncate(path, path.stat().st_size - 1),
    "a page more": lambda path: os.truncate(path, path.stat().st_size + 4096),
    "huge": lambda path: os.truncate(path, 2**40),
    "a bit flipped at its begin": functools.partial(_flip, where=0.01),
    "a bit flipped": functools.partial(_flip, where=0.5),
    "a third zero": _zero,
    "other bytes": lambda path: path.write_bytes(np.random.default_rng(0).bytes(path.stat().st_size)),
    "text": lambda path: path.write_text("moved to tape\n"),
    "removed": Path.unlink,
    "a directory": lambda path: _replaced(path, Path.mkdir),
    "a pipe": lambda path: _replaced(path, os.mkfifo),
    "a link to itself": lambda path: _replaced(path, lambda p: p.symlink_to(p)),
}


def _the(cache: Path, pattern: str) -> Path:
    (path,) = (path for path in cache.glob(f"ailand_gt4py/*/{pattern}"))
    return path


def _every_file(cache: Path, damage: Callable[[Path], object]) -> None:
    for path in cache.rglob("*"):
        if path.is_file():
            damage(path)


def _swap(cache: Path) -> None:
    library, stub = _the(cache, "simple*/libsimple*.so"), _the(cache, "simple*/libdacestub*.so")
    content = library.read_bytes()
    library.write_bytes(stub.read_bytes())
    stub.write_bytes(content)


def _without_checksums(cache: Path) -> None:
    _the(cache, "simple*/SHA256SUMS").unlink()
    OF_A_FILE["cut short"](_the(cache, "simple*/libsimple*.so"))


FILES = {
    "library": "simple*/libsimple*.so",
    "stub": "simple*/libdacestub*.so",
    "checksums": "simple*/SHA256SUMS",
    "translation": "translations/*.pkl",
}
#: All of them, by name.
KINDS: dict[str, Callable[[Path], object]] = {
    f"{file}: {name}": lambda cache, pattern=pattern, damage=damage: damage(_the(cache, pattern))
    for file, pattern in FILES.items()
    for name, damage in OF_A_FILE.items()
} | {
    "all files: empty": lambda cache: _every_file(cache, OF_A_FILE["empty"]),
    "all files: a third zero": lambda cache: _every_file(cache, _zero),
    "library and stub swapped": _swap,
    "library: cut short, and no checksums": _without_checksums,
    "mode: text": lambda cache: _the(cache, "simple*/FOLDER_MODE").write_text("moved to tape\n"),
    "mode and checksums: other bytes": lambda cache: [
        OF_A_FILE["other bytes"](_the(cache, f"simple*/{name}")) for name in ("FOLDER_MODE", "SHA256SUMS")
    ],
    "program: a file": lambda cache: [
        shutil.rmtree(folder := _the(cache, "simple*")),
        folder.write_text("moved to tape\n"),
    ],
    "translations: a file": lambda cache: [
        shutil.rmtree(folder := _the(cache, "translations")),
        folder.write_text("moved to tape\n"),
    ],
    "locks: directories": lambda cache: [_replaced(path, Path.mkdir) for path in cache.rglob("*.lock")],
    "commands of builds: other bytes": lambda cache: [
        [OF_A_FILE["other bytes"](path) for path in cache.rglob("builds/**/*") if path.is_file()],
        shutil.rmtree(_the(cache, "simple*")),
    ],
    "all: removed": lambda cache: shutil.rmtree(cache / "ailand_gt4py"),
    "all: a file": lambda cache: [
        shutil.rmtree(folder := cache / "ailand_gt4py"),
        folder.write_text("moved to tape\n"),
    ],
}


def after(cache: Path, name: str, directory: Path) -> Outcome:
    """A run, and another one, with a copy of a cache that was damaged in this way.

    Args:
        directory: for the copy, which is removed.
    """
    copy = directory / "copy"
    shutil.copytree(cache, copy)
    try:
        KINDS[name](copy)
        outcomes = [run(copy), run(copy)]
        for outcome in outcomes:
            if outcome.kind == "refused" and (str(copy) not in outcome.text or "\n" in outcome.text):
                return Outcome("refused without a word on the cache", outcome.text)
        return next((outcome for outcome in outcomes if outcome.kind != "right"), outcomes[-1])
    finally:
        shutil.rmtree(copy)


def is_good(outcome: Outcome, expected: Outcome) -> bool:
    """Whether the result is that of an undamaged cache, or a refusal that names it."""
    return outcome == expected if outcome.kind == "right" else outcome.kind == "refused"


def main() -> int:
    """All kinds of damage, or those whose names contain one of some words."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", default=[""], help="only kinds of damage whose names contain one of these")
    words = parser.parse_args().words
    n_bad = 0
    with tempfile.TemporaryDirectory() as directory:
        whole = Path(directory) / "whole"
        os.environ["TMPDIR"] = tempfile.tempdir = directory  # where nothing else can be used
        expected = run(whole)
        if expected.kind != "right":
            print(*expected, sep=": ")
            return 1
        names = [name for name in KINDS if any(word in name for word in words)]
        for name in names:
            start = time.perf_counter()
            outcome = after(whole, name, Path(directory))
            good = is_good(outcome, expected)
            n_bad += not good
            detail = "" if outcome.kind == "right" else f" ({outcome.text[:300]})"
            print(
                f"{'' if good else 'BAD '}{name}: {outcome.kind}{detail}, {time.perf_counter() - start:.1f} s",
                flush=True,
            )
    print(f"{len(names)} kinds of damage, {n_bad} not survived")
    return int(n_bad > 0)


if __name__ == "__main__":
    sys.exit(main())
