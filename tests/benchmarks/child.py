"""What has to be measured in a process of its own: ``python child.py WHAT [ARGUMENT]`` prints one line of JSON.

imports
    seconds to import gt4py.next and its DaCe backend.
start MODEL
    seconds from ``import ailand_gt4py`` to the first result of 100 columns.
compile MODEL
    seconds to make an emulator ready for its first step.
memory MODEL COLUMNS
    bytes that a step needs beyond the imports: weights, inputs, results, all that is between them; Linux only.
large NETWORK SIZE
    the race of one of `networks.LARGE_NETWORKS`: seconds and relative error of each contestant and of the matrix
    products alone.
large_file WHAT SIZE CHECKPOINT FILE
    seconds and peak memory beyond the imports, bytes, of reading a checkpoint (``checkpoint``), of the command that
    makes a model file of it (``command``), and of reading that (``file``); of the last also of making an emulator,
    compiling it and stepping so many columns, and what stays in memory then.
driven FORCING OUTPUT ROUNDS
    runs of ``ailand-column-run`` from a store to a store, and as many bare steps, in turn, warm: seconds of each; of
    the runs also those between the first and the last step, CPU seconds, of all and of sun and range flags, and the
    peak memory, bytes.

MODEL is ``default`` or a name of `networks.NETWORKS`. AILAND_BENCH_FULL in the environment: no toys (`scale`).
"""

import json
import os
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


def large(network: str, n_columns: str) -> dict[str, Any]:
    import contest
    import contestants
    import limits
    import networks

    large, columns = networks.LARGE_NETWORKS[network], int(n_columns)
    names = contestants.OF_LARGE if columns <= networks.LARGE_COLUMNS else contestants.OF_LARGE_MANY
    found = contest.run(large, columns, names, limits.OF_LARGE)
    return {
        "seconds": {name: list(timing.seconds) for name, timing in found.timings.items()},
        "errors": {name: max(errors) for name, errors in found.errors.items()},
        "failures": found.failures,
        "reasons": found.reasons,
        "flops": large.flops() * columns,
        "load": os.getloadavg()[0],
    }


def large_file(what: str, n_columns: str, checkpoint: str, file: str) -> dict[str, float]:
    import gt4py.next.program_processors.runners.dace  # noqa: F401
    import netCDF4  # noqa: F401
    import numpy as np

    from ailand_gt4py import Emulator, import_checkpoint, read_model
    from ailand_gt4py.cli.main import main

    before, begin = _status("VmRSS"), time.perf_counter()
    if what == "command":
        if code := main(["model", "import", checkpoint, "-o", file]):
            raise SystemExit(code)
        return {"seconds": time.perf_counter() - begin, "bytes": _status("VmHWM") - before}
    model = import_checkpoint(checkpoint) if what == "checkpoint" else read_model(file)
    found = {"seconds": time.perf_counter() - begin, "bytes": _status("VmHWM") - before}
    found["weights"] = sum(array.nbytes for array in model.parameters.values())
    if what == "file":
        begin = time.perf_counter()
        emulator = Emulator(model, int(n_columns))
        found["seconds_emulator"] = time.perf_counter() - begin
        inputs = [np.full((int(n_columns), size), 0.5, np.float32) for size in model.sizes[:3]]
        begin = time.perf_counter()
        emulator.step(*inputs)
        found["seconds_compile"] = time.perf_counter() - begin
        emulator.step(*inputs)
        found["bytes_step"], found["bytes_resident"] = _status("VmHWM") - before, _status("VmRSS") - before
    return found


def driven(forcing: str, output: str, rounds: str) -> dict[str, Any]:
    import numpy as np

    import ailand_gt4py.emulator.forcing as forcing_module
    from ailand_gt4py import read_model, run
    from ailand_gt4py.driver import run as driver
    from ailand_gt4py.emulator.emulator import Emulator
    from ailand_gt4py.io import sunlight, training_ranges
    from ailand_gt4py.io.sources import open_source

    run(forcing, output=output, overwrite=True, quiet=True)  # warms up
    n_bytes, model = _status("VmHWM"), read_model()
    with open_source(forcing, model) as source:
        n_columns, n_steps = source.n_columns, len(source.times)
        static, state = source.static.astype(np.float32), source.initial_state.astype(np.float32)
        # More of them than a cache holds: a step's forcing is not the one before's.
        windows = np.empty((min(n_steps, 8), n_columns, len(model.forcing)), np.float32)
        assembler = forcing_module.ForcingAssembler(model.forcing, source.latitude, source.longitude)
        first = slice(0, len(windows))
        assembler.assemble(windows, source.forcing(0, len(windows)), source.times[first], model.step_seconds)
    emulator = Emulator(model, n_columns)
    prepared = emulator.prepare_static(static)
    results = [(np.empty_like(state), emulator.allocate(len(model.diagnostics))) for _ in range(2)]

    def bare() -> None:
        now = state
        for step in range(n_steps):
            now, _ = emulator.step(prepared, windows[step % len(windows)], now, out=results[step % 2])

    watched, steps = [0.0], [0.0]

    def watch(owner: Any, name: str, total: list[float], clock: Any) -> None:
        """Add up what calls of a function take."""
        function = getattr(owner, name)

        def timed(*arguments: Any, **options: Any) -> Any:
            begin = clock()
            try:
                return function(*arguments, **options)
            finally:
                total[0] += clock() - begin

        setattr(owner, name, timed)

    watch(forcing_module, "derived_forcing", watched, time.thread_time)
    watch(training_ranges.RangeCounter, "look", watched, time.thread_time)
    watch(sunlight.SunLimit, "exceeding", watched, time.thread_time)
    watch(driver, "make_steps", steps, time.perf_counter)
    found: dict[str, Any] = {key: [] for key in ("bare", "run", "steps", "cpu", "watched")}
    bare()
    for _ in range(int(rounds)):
        begin = time.perf_counter()
        bare()
        middle, used = time.perf_counter(), time.process_time()
        watched[0] = steps[0] = 0.0
        run(forcing, output=output, overwrite=True, quiet=True)
        end = time.perf_counter()
        measured = (middle - begin, end - middle, steps[0], time.process_time() - used, watched[0])
        for values, value in zip(found.values(), measured, strict=True):
            values.append(value)
    return found | {"columns": n_columns, "n_steps": n_steps, "bytes": n_bytes, "load": os.getloadavg()[0]}


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
    if "AILAND_BENCH_FULL" in os.environ:
        import scale

        scale.TOY = False
    commands = {
        "imports": imports,
        "start": start,
        "compile": compile_network,
        "memory": memory,
        "large": large,
        "large_file": large_file,
        "driven": driven,
    }
    print(json.dumps(commands[sys.argv[1]](*sys.argv[2:])))
