"""Derivatives of this version against those of another: are they the same, and as fast?

    python -m studies.derivatives OTHER_CHECKOUT -o docs/studies/derivatives.md

Step, tangent-linear, adjoint and Jacobians of both versions, each version in a process of its own on one thread, with
the same inputs near the means of the training data. Differences are in float64 without compilation: the norm of the
difference over the norm of all results of a program. Times are CPU times of compiled float32 programs, measured
alternately: the median of the rounds' ratios with its quartiles, and the ratio of the minima, the least disturbed
rounds.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from ailand_gt4py import import_checkpoint, read_model
from ailand_gt4py.weights.model import Model
from studies import page

HERE = Path(__file__).parents[2]
DEFAULT = HERE / "src" / "ailand_gt4py" / "weights" / "default_model.nc"
#: Columns of which derivatives are compared.
COMPARED = 40
#: Of the inputs' spread about their means: all independent, farther away they are no weather.
NEARNESS = 0.2
#: Seconds of a timed call, at the least.
ENOUGH = 0.02


class Version:
    """A checkout's package in a process of its own.

    Args:
        model: file of a model. inputs: file of arrays.

    Raises:
        ValueError: the checkout has no package, or its process has ended.
    """

    def __init__(self, checkout: Path, model: Path, inputs: Path, backend: str, precision: str) -> None:
        source = checkout / "src"
        if not (source / "ailand_gt4py").is_dir():
            raise ValueError(f"{checkout}: found no src/ailand_gt4py, expected a checkout of this package")
        self._checkout = checkout
        environment = {**os.environ, "PYTHONPATH": str(source), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, str(Path(__file__).with_name("version.py")), str(model), str(inputs)]
        self._process = subprocess.Popen(
            [*command, backend, precision], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.programs = self._answer().split("\t")

    def results(self, program: str, directory: Path) -> np.ndarray:
        """All results of a program, one after another."""
        self._request("keep", program, directory / "results.npy")
        return np.load(directory / "results.npy")

    def seconds(self, program: str, count: int) -> float:
        """CPU time of so many calls."""
        return float(self._request("time", program, count))

    def close(self) -> None:
        """End the process."""
        with self._process:
            self._process.stdin.close()  # type: ignore[union-attr]

    def _request(self, *words: object) -> str:
        print(*words, sep="\t", file=self._process.stdin, flush=True)
        return self._answer()

    def _answer(self) -> str:
        line = self._process.stdout.readline()  # type: ignore[union-attr]
        if not line:
            raise ValueError(f"{self._checkout}: its process has ended; what it said is above")
        return line.rstrip("\n")


def random_inputs(model: Model, n_columns: int) -> dict[str, np.ndarray]:
    """Inputs near the means, tangents and adjoints of one spread each."""
    random = np.random.default_rng(0)
    arrays: dict[str, np.ndarray] = {}
    groups = {"static": model.static, "forcing": model.forcing, "state": model.state, "diagnostics": model.diagnostics}
    for name, group in groups.items():
        shift, scale = (np.array([getattr(one.normalisation, part) for one in group]) for part in ("shift", "scale"))
        noise = random.standard_normal((4, n_columns, len(group)))
        values = shift + NEARNESS * scale * noise[0]
        is_logarithmic = [one.normalisation.is_logarithmic for one in group]
        arrays[name] = np.where(is_logarithmic, np.exp(np.where(is_logarithmic, values, 0.0)), values)
        arrays[f"d_{name}"] = scale * noise[1]
        if name in ("state", "diagnostics"):
            arrays["g_new_state" if name == "state" else "g_diagnostics"] = noise[2] / scale
        if name == "state":
            arrays["d_states"] = np.moveaxis(scale * noise[1:], 0, 1)
    return arrays


@contextlib.contextmanager
def both(
    other: Path, model: Path, inputs: dict[str, np.ndarray], backend: str, precision: str
) -> Iterator[tuple[Version, Version, Path]]:
    """This version and the other on the same inputs, and a directory for what they write."""
    with tempfile.TemporaryDirectory() as directory, contextlib.ExitStack() as stack:
        given = Path(directory) / "inputs.npz"
        np.savez(given, **inputs)  # type: ignore[arg-type]
        versions = []
        for checkout in (HERE, other):
            versions.append(Version(checkout, model, given, backend, precision))
            stack.callback(versions[-1].close)
        yield versions[0], versions[1], Path(directory)


def differences(other: Path, path: Path, model: Model, programs: Sequence[str] | None = None) -> dict[str, float]:
    """Program -> norm of the difference over norm; None: all programs."""
    found = {}
    with both(other, path, random_inputs(model, COMPARED), "embedded", "float64") as (this, that, directory):
        for name in programs or this.programs:
            ours, theirs = (version.results(name, directory) for version in (this, that))
            found[name] = float(np.linalg.norm(ours - theirs) / np.linalg.norm(theirs))
    return found


def times(settings: argparse.Namespace, path: Path, model: Model) -> dict[str, np.ndarray]:
    """Program -> CPU times (versions, rounds)."""
    found: dict[str, np.ndarray] = {}
    with both(settings.other, path, random_inputs(model, settings.columns), "dace_cpu", "float32") as (this, that, _):
        for name in this.programs:
            with concurrent.futures.ThreadPoolExecutor() as together:  # they compile
                list(together.map(Version.seconds, (this, that), (name, name), (1, 1)))
            count = 1 + int(ENOUGH / this.seconds(name, 1))
            rounds = []
            for number in range(settings.rounds):
                in_turn = (this, that) if number % 2 else (that, this)
                seconds = {version: version.seconds(name, count) for version in in_turn}
                rounds.append((seconds[this], seconds[that]))
            found[name] = np.array(rounds).T
    return found


def rows(settings: argparse.Namespace, path: Path) -> list[str]:
    """A model's table."""
    model = import_checkpoint(path) if path.suffix == ".ckpt" else read_model(path)
    apart = differences(settings.other, path, model)
    lines = ["| | difference | time | quartiles | of the minima |", "|---|---:|---:|---:|---:|"]
    for name, (ours, theirs) in times(settings, path, model).items():
        low, median, high = np.quantile(ours / theirs, (0.25, 0.5, 0.75))
        lines.append(
            f"| {name} | {apart[name]:.1e} | {median:.3f} | {low:.3f} to {high:.3f} | {ours.min() / theirs.min():.3f} |"
        )
    return lines


def main(given: Sequence[str] | None = None) -> None:
    """Compare, time, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("other", type=Path, help="checkout of the other version")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE.md")
    parser.add_argument("--models", type=Path, nargs="+", default=[DEFAULT], help="model files and checkpoints")
    parser.add_argument("--columns", type=int, default=2000, metavar="N", help="timed (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=201, metavar="N", help="(default: %(default)s)")
    settings = parser.parse_args(given)
    lines = ["# Derivatives of two versions", "", page.introduction(__doc__), ""]
    versions = [_commit(checkout) for checkout in (HERE, settings.other)]
    lines += [
        f"Versions {versions[0]} and {versions[1]}; {settings.columns} columns, {settings.rounds} rounds.",
        "",
    ]
    for path in settings.models:
        table = rows(settings, path)
        print(path.stem, *table, sep="\n", flush=True)
        lines += [f"## {path.stem}", "", *table, ""]
    page.write(settings.output, lines[:-1])


def _commit(checkout: Path) -> str:
    command = ["git", "-C", str(checkout), "describe", "--always", "--dirty"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    main()
