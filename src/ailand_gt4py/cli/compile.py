"""``ailand compile``: compile a model's programs ahead of time and keep them."""

from __future__ import annotations

import sys
import time
from typing import ClassVar, Literal

from tqdm import tqdm

from ailand_gt4py.core.option_types import File
from ailand_gt4py.core.settings import CommandOptions, option
from ailand_gt4py.driver.progress import counted


class Options(CommandOptions):
    """Compile a model's programs ahead of time and cache them. They serve any number of columns."""

    program: ClassVar[str] = "ailand compile"

    model: File | None = option(
        None, "model file or checkpoint (default: the model in the package)", positional=True, metavar="MODEL"
    )
    backend: Literal["dace_cpu", "dace_gpu"] = option("dace_cpu", "GT4Py backend")
    precision: tuple[Literal["float32", "float64", "tf32", "bf16"], ...] = option(
        ("float32",), "precision; tf32 only on dace_gpu; repeatable", repeated=True
    )
    quiet: bool = option(False, "print results and errors only")


def run(options: Options) -> None:
    """Compile, and print one line for each precision."""
    # Only now: `--help` must not wait for GT4Py.
    from ailand_gt4py.emulator.emulator import Emulator
    from ailand_gt4py.lowering.calls.directories import cache_directory
    from ailand_gt4py.weights.checkpoints import read_model_or_checkpoint

    model = read_model_or_checkpoint(options.model)
    with counted(len(options.precision), "programs", sys.stderr, quiet=options.quiet) as count:
        for done, precision in enumerate(options.precision, 1):
            start = time.perf_counter()
            Emulator(model, 1, options.backend, precision).compile()
            # Beside a bar on the same terminal.
            tqdm.write(
                f"{model.architecture} network of {options.model or 'the package'}, {options.backend}, {precision}: "
                f"ready after {time.perf_counter() - start:.1f} s, kept in {cache_directory()}",
                file=sys.stdout,
            )
            count(done, f"{precision} is ready".format)
