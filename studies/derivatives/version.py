"""One version of the package, in a process of its own: run by `studies.derivatives` with that version on the path.

    python version.py MODEL INPUTS.npz BACKEND PRECISION

Reads requests from standard input, a line each, and answers each with a line: `keep NAME FILE` writes the results of
a program; `time NAME COUNT` gives the CPU seconds of so many calls. Only the public face of the package is used, which
the versions have in common.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import ailand_gt4py


def programs(emulator: Any, inputs: dict[str, np.ndarray]) -> dict[str, Callable[[], Any]]:
    """The step and its derivatives, by name."""
    model = emulator.model
    static, forcing, state = (inputs[name] for name in ("static", "forcing", "state"))
    states, diagnostics = ([one.name for one in group] for group in (model.state, model.diagnostics))
    three = ["swvl1", "swvl2", "swvl3"] if {"swvl1", "swvl2", "swvl3"} <= set(states) else states[:3]
    blocks: dict[str, tuple[list[str] | None, list[str] | None]] = {
        "Jacobian, state by state": (states, states),
        "Jacobian, three states by all inputs": (three, None),
        "Jacobian, all results by three states": (None, three),
        "Jacobian, all by all": (None, None),
    }
    if diagnostics:
        blocks["Jacobian, diagnostics by all inputs"] = (diagnostics, None)
    out = [emulator.allocate(len(group)) for group in (states, diagnostics)]
    prepared = emulator.prepare_static(static)
    tangents = [inputs[f"d_{name}"] for name in ("static", "forcing", "state")]
    adjoints = [inputs["g_new_state"], inputs["g_diagnostics"]]
    found: dict[str, Callable[[], Any]] = {
        "step": lambda: emulator.step(prepared, forcing, state, out=tuple(out)),
        "tangent-linear": lambda: emulator.tangent_linear(prepared, forcing, state, *tangents),
        "tangent-linear of three states": lambda: emulator.tangent_linear_of_states(
            prepared, forcing, state, inputs["d_states"]
        ),
        "adjoint": lambda: emulator.adjoint(prepared, forcing, state, *adjoints),
    }
    for name, (of, by) in blocks.items():
        found[name] = lambda of=of, by=by: emulator.jacobian(prepared, forcing, state, of, by)
    return found


def main() -> None:
    """Answer until there are no more requests."""
    path, given, backend, precision = sys.argv[1:]
    read = ailand_gt4py.import_checkpoint if path.endswith(".ckpt") else ailand_gt4py.read_model
    inputs = {name: array.astype(precision) for name, array in np.load(given).items()}
    emulator = ailand_gt4py.Emulator(read(Path(path)), len(inputs["state"]), backend, precision)
    named = programs(emulator, inputs)
    print(*named, sep="\t", flush=True)
    for line in sys.stdin:
        request, *arguments = line.rstrip("\n").split("\t")
        if request == "keep":
            name, file = arguments
            results = named[name]()
            parts = results if isinstance(results, tuple) else (results,)
            np.save(file, np.concatenate([np.ravel(part) for part in parts]))
            print(flush=True)
        else:
            name, count = arguments
            begin = time.process_time()
            for _ in range(int(count)):
                named[name]()
            print(time.process_time() - begin, flush=True)


if __name__ == "__main__":
    main()
