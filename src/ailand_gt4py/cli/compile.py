"""``ailand compile``: compile a model's programs ahead of time and keep them."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from ailand_gt4py.core.errors import InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options to a parser."""
    parser.add_argument(
        "model", type=Path, nargs="?", metavar="MODEL", help="model file or checkpoint (default: the package's model)"
    )
    parser.add_argument("--backend", default="dace_cpu", help="dace_cpu or dace_gpu (default: %(default)s)")
    parser.add_argument(
        "--precision",
        action="append",
        metavar="PRECISION",
        help="float32 (default) or float64, on dace_gpu also tf32 or bf16; may be given several times",
    )


def run(arguments: argparse.Namespace) -> int:
    """Compile, and print one line for each precision; returns the exit status.

    The number of columns is no part of a program: what is compiled here serves any.

    Raises:
        InputError: options or model are not usable.
        RunError: the backend cannot be had, or the network cannot be compiled.
    """
    # Only now: `--help` must not wait for GT4Py.
    from ailand_gt4py.emulator.emulator import Emulator
    from ailand_gt4py.lowering.calls.compilation import cache_directory
    from ailand_gt4py.weights.checkpoints.importing import read_model_or_checkpoint

    if arguments.backend == "embedded":
        raise InputError("option --backend is 'embedded', which is not compiled; expected dace_cpu or dace_gpu")
    model = read_model_or_checkpoint(arguments.model)
    for precision in arguments.precision or ["float32"]:
        start = time.perf_counter()
        Emulator(model, 1, arguments.backend, precision).compile()
        print(
            f"{model.architecture} network of {arguments.model or 'the package'}, {arguments.backend}, {precision}: "
            f"ready after {time.perf_counter() - start:.1f} s, kept in {cache_directory()}"
        )
    return 0
