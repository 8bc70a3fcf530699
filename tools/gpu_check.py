#!/usr/bin/env python3
"""All that is to be known of this package on a GPU, in one call of at most eight minutes.

    python tools/gpu_check.py [--wheels DIRECTORY] [--output out/gpu] [--minutes 8]     (or `make gpu`)

From nothing but a checkout, a Python and, for its packages, an index or a directory of wheels: an environment, the
programs of all precisions compiled, the tests on a device (parity in every precision, CUDA graphs, transfers counted,
streams), ``compute-sanitizer`` on a short step, and the benchmark at N320 with its rivals. A part that fails, or
outlasts its share of the time, keeps none of the others from being run; a part whose device, tool or environment is not
there is said not to have been run. After every part the page ``gpu.md`` is written anew, and each has its own log
beside it. The exit status is 0 where every part was run and passed, 3 where some were not run and none failed, else 1.

It needs nothing but Python's own library, so that it can make the environment.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PRECISIONS = ("float32", "float64", "tf32", "bf16")
#: What is installed beside the package.
EXTRAS = "cuda13,bench"
#: A step short enough to be watched instruction by instruction; CUDA graphs and transfers are the tests'.
SHORT_STEP = """
import cupy
from ailand_gt4py import Emulator, read_model
model = read_model()
for precision in ("float32", "bf16"):
    emulator = Emulator(model, 33, "dace_gpu", precision)
    inputs = [cupy.full((33, n), 0.3, dtype=emulator.dtype) for n in model.sizes[:3]]
    for _ in range(2):
        emulator.step(*inputs)
cupy.cuda.get_current_stream().synchronize()
"""
FAILED, RUN, NOT_RUN, TOO_LONG = "failed", "passed", "not run", "stopped at its limit"


@dataclasses.dataclass(frozen=True)
class Part:
    """One thing that is done.

    Attributes:
        name: of it and of its log. what: one line for the page.
        command: makes the command, once those before it were run. seconds: of its own at most.
        lacks: why it cannot be run here; empty where it can.
    """

    name: str
    what: str
    command: Callable[[], Sequence[str]]
    seconds: float
    lacks: Callable[[], str] = lambda: ""


@dataclasses.dataclass
class Result:
    """How a part ended: one of the four words above, why or the last lines of its log, and how long it took."""

    part: Part
    status: str
    detail: str
    seconds: float


def run(part: Part, directory: Path, seconds: float, environment: dict[str, str]) -> Result:
    """Run one part, its output in a log, for so long at most; what it started is ended with it."""
    if reason := part.lacks():
        return Result(part, NOT_RUN, reason, 0.0)
    if seconds <= 1.0:
        return Result(part, NOT_RUN, "no time was left", 0.0)
    log, begun = directory / f"{part.name}.log", time.monotonic()
    with log.open("w") as output:
        try:
            process = subprocess.Popen(
                list(part.command()), stdout=output, stderr=subprocess.STDOUT, cwd=ROOT, env=environment,
                start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            return Result(part, FAILED, str(error), time.monotonic() - begun)
        try:
            status = RUN if process.wait(min(seconds, part.seconds)) == 0 else FAILED
        except subprocess.TimeoutExpired:
            status = TOO_LONG
        finally:
            if process.poll() is None:
                os.killpg(process.pid, 9)
                process.wait()
    return Result(part, status, last_lines(log), time.monotonic() - begun)


def last_lines(log: Path, count: int = 3) -> str:
    """The end of a log, as one line."""
    lines = [line.strip(" =") for line in log.read_text(errors="replace").splitlines() if line.strip(" =")]
    return " / ".join(lines[-count:])[-400:]


def page(results: Sequence[Result], machine: str, directory: Path) -> str:
    """The page: a line for each part, then what the benchmark measured so far."""
    lines = [
        "# On a GPU", "", "Made by `make gpu`.", "", machine, "", "| part | result | seconds | last words |",
        "|---|---|---:|---|",
    ]  # fmt: skip
    for one in results:
        detail = one.detail.replace("|", "\\|")
        lines.append(f"| {one.part.name}: {one.part.what} | {one.status} | {one.seconds:.0f} | {detail} |")
    return "\n".join([*lines, *benchmark_rows(directory / "benchmark.json")]) + "\n"


def benchmark_rows(path: Path) -> list[str]:
    """Medians by network, columns and contestant, fastest first; none where nothing was measured."""
    if not path.is_file():
        return []
    try:
        measured = json.loads(path.read_text())["benchmarks"]
    except (ValueError, KeyError) as error:
        return ["", f"The benchmark's file cannot be read: {error}"]
    rows = sorted(
        (info["network"], info["columns"], one["stats"]["median"], info["contestant"])
        for one in measured
        for info in [one["extra_info"]]
    )
    return ["", "| network | columns | contestant | median, ms |", "|---|---:|---|---:|"] + [
        f"| {network} | {columns} | {name} | {1e3 * seconds:.3f} |" for network, columns, seconds, name in rows
    ]


def device_of() -> str:
    """What the device is, by its driver's tool; empty where there is none."""
    if shutil.which("nvidia-smi") is None:
        return ""
    query = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    found = subprocess.run(query, capture_output=True, text=True, check=False)
    return found.stdout.strip() if found.returncode == 0 else ""


def parts(directory: Path, python: Path, wheels: Path | None, device: str) -> list[Part]:
    """All of them, in order."""
    source = [] if wheels is None else ["--no-index", "--find-links", str(wheels)]

    whole = python.parents[1] / ".whole"

    def lacks_environment() -> str:
        return "" if whole.is_file() else "the environment was not made"

    def lacks_device() -> str:
        return lacks_environment() or ("" if device else "no CUDA device (nvidia-smi finds none)")

    def lacks_compiler() -> str:
        return lacks_environment() or ("" if shutil.which("nvcc") else "no nvcc on the path")

    def lacks_sanitizer() -> str:
        return lacks_device() or ("" if shutil.which("compute-sanitizer") else "no compute-sanitizer on the path")

    def pytest(*words: str) -> Callable[[], Sequence[str]]:
        return lambda: [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", *words]

    install = [str(python), "-m", "pip", "install", "--quiet", *source, "--editable", f".[{EXTRAS}]"]
    made = " ".join(f"'{word}'" for word in install)
    shell = f"rm -f '{whole}' && '{sys.executable}' -m venv '{python.parents[1]}' && {made} && touch '{whole}'"
    return [
        Part(
            "environment", "the package and its packages", lambda: ["/bin/sh", "-c", shell],
            200.0 if wheels else 400.0,
        ),
        Part(
            "code", "the generated code, compiled for the host", pytest("tests/gpu/test_device_code.py"), 60.0,
            lacks_environment,
        ),
        Part(
            "compile", "the model's programs by nvcc, all precisions",
            lambda: [
                str(python.with_name("ailand")), "compile", "--backend", "dace_gpu",
                *(word for precision in PRECISIONS for word in ("--precision", precision)),
            ],
            120.0, lambda: lacks_compiler() or lacks_device(),
        ),
        Part(
            "nvcc", "a program compiled and linked without a device",
            pytest("tests/gpu/test_cuda_compiles.py", "-k", "step_compiles and layer_norm and bf16"), 120.0,
            lambda: lacks_compiler() or ("" if not device else "the device's own compilation is tried instead"),
        ),
        Part(
            "tests", "parity, CUDA graphs, memory, streams, transfers, derivatives on the device",
            pytest("tests/gpu", "-m", "gpu"), 200.0, lacks_device,
        ),
        Part(
            "sanitizer", "compute-sanitizer on two steps",
            lambda: ["compute-sanitizer", "--error-exitcode", "9", str(python), "-c", SHORT_STEP], 90.0,
            lacks_sanitizer,
        ),
        Part(
            "benchmark", "a step at N320, all networks and precisions, with rivals",
            pytest(
                "tests/benchmarks/test_step.py", "-k", "171039", "--benchmark-enable", "--benchmark-only",
                f"--benchmark-json={directory / 'benchmark.json'}",
            ),
            200.0, lacks_device,
        ),
    ]  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description="All that is to be known of this package on a GPU.")
    parser.add_argument("--wheels", type=Path, metavar="DIRECTORY", help="of packages, instead of an index")
    parser.add_argument("--output", type=Path, default=ROOT / "out" / "gpu", metavar="DIRECTORY")
    parser.add_argument(
        "--environment", type=Path, metavar="DIRECTORY", help="virtual environment (default: in output)"
    )
    parser.add_argument("--minutes", type=float, default=8.0, help="for all parts together")
    options = parser.parse_args()
    directory: Path = options.output.resolve()
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "benchmark.json").unlink(missing_ok=True)
    python = (options.environment or directory / "environment").resolve() / "bin" / "python"
    device = device_of()
    machine = f"{device or 'no CUDA device'}; {os.cpu_count()} processors; Python {sysconfig.get_python_version()}"
    environment = {**os.environ, "XDG_CACHE_HOME": str(directory / "cache"), "PYTHONUNBUFFERED": "1"}
    environment["PATH"] = f"{python.parent}{os.pathsep}{environment.get('PATH', '')}"
    end, results = time.monotonic() + 60.0 * options.minutes, list[Result]()
    for part in parts(directory, python, options.wheels and options.wheels.resolve(), device):
        print(f"{part.name}: {part.what} ...", flush=True)
        results.append(run(part, directory, end - time.monotonic(), environment))
        print(f"  {results[-1].status} ({results[-1].seconds:.0f} s): {results[-1].detail}", flush=True)
        (directory / "gpu.md").write_text(page(results, machine, directory))
    print(f"wrote {directory / 'gpu.md'}")
    found = {one.status for one in results}
    return 0 if found == {RUN} else 3 if found <= {RUN, NOT_RUN} else 1


if __name__ == "__main__":
    raise SystemExit(main())
