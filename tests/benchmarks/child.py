"""What has to be measured in a process of its own: ``python child.py WHAT [ARGUMENT]`` prints one line of JSON.

imports
    seconds to import gt4py.next and its DaCe backend.
start MODEL
    seconds from ``import ailand_gt4py`` to the first result of 100 columns.
compile MODEL
    seconds to make an emulator ready for its first step.
memory MODEL COLUMNS
    bytes that a step needs beyond the imports: weights, inputs, results, all that is between them; Linux only.

MODEL is ``default`` or a name of `networks.NETWORKS`.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any


def imports() -> dict[str, float]:
    start = time.perf_counter()
    import gt4py.next
    import gt4py.next.program_processors.runners.dace  # noqa: F401

    return {"seconds": time.perf_counter() - start}


def start(name: str) -> dict[str, float]:
    begin = time.perf_counter()
    import ailand_gt4py

    emulator = ailand_gt4py.Emulator(_model(name), 100, "dace_cpu", "float32")
    sizes = emulator.model.sizes
    inputs = [emulator.allocate(size) for size in (sizes.static, sizes.forcing, sizes.state)]
    for array in inputs:
        array[...] = 0.0
    emulator.step(*inputs)
    return {"seconds": time.perf_counter() - begin}


def compile_network(name: str) -> dict[str, float]:
    import ailand_gt4py

    model = _model(name)
    begin = time.perf_counter()
    ailand_gt4py.Emulator(model, 100, "dace_cpu", "float32").compile()
    return {"seconds": time.perf_counter() - begin}


def memory(name: str, n_columns: str) -> dict[str, int]:
    import gt4py.next.program_processors.runners.dace  # noqa: F401
    import networks  # noqa: F401
    import numpy as np

    from ailand_gt4py.emulator.emulator import Emulator

    before = _status("VmRSS")
    emulator = Emulator(_model(name), int(n_columns), "dace_cpu", "float32")
    sizes = emulator.model.sizes
    random = np.random.default_rng(0)
    inputs = [emulator.allocate(size) for size in (sizes.static, sizes.forcing, sizes.state)]
    for array in inputs:
        random.standard_normal(out=array, dtype=np.float32)
    out = (emulator.allocate(sizes.state), emulator.allocate(sizes.diagnostics))
    emulator.step(*inputs, out=out)
    emulator.step(*inputs, out=out)
    if not all(np.isfinite(array).all() for array in out):
        raise SystemExit("a result is not finite")
    arrays = sum(array.nbytes for array in (*inputs, *out))
    # The peak of this process's own memory; the ru_maxrss of a child may be its parent's.
    return {"bytes": _status("VmHWM") - before, "arrays": arrays, "imports": before}


def _status(key: str) -> int:
    """A size of /proc/self/status, bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) * 1024
    raise SystemExit(f"/proc/self/status: '{key}' is missing")


def _model(name: str) -> Any:
    if name == "default":
        import ailand_gt4py

        return ailand_gt4py.read_model()
    import networks

    return networks.NETWORKS[name].model()


if __name__ == "__main__":
    commands = {"imports": imports, "start": start, "compile": compile_network, "memory": memory}
    print(json.dumps(commands[sys.argv[1]](*sys.argv[2:])))
