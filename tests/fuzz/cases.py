"""What is fuzzed: good inputs of each kind, changed by a seeded generator, and what is expected of those that pass."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import sys
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import netCDF4
import numpy as np
import xarray as xr
import zarr
from anemoi_files import Recipe, recipe, rewritten, write_checkpoint
from column_files import dataset, driver_model
from network_reference import forward
from random_models import ARCHITECTURES, random_model
from test_checkpoint import published_names
from tests.fuzz import mutators
from tests.fuzz.mutators import NUMBERS, TEXTS, Random
from tests.fuzz.runner import Case, WrongError
from torch_files import attack, pickled, write_archive

from ailand_gt4py.cli import column_run, compile, evaluate, jacobian, main, model_import, model_show, train
from ailand_gt4py.cli.options import parse
from ailand_gt4py.core.errors import AilandError
from ailand_gt4py.driver.options import RunOptions
from ailand_gt4py.integration import restart as land_restart
from ailand_gt4py.io import restart as run_restart
from ailand_gt4py.io.sources import open_source
from ailand_gt4py.weights import schema
from ailand_gt4py.weights.checkpoints import import_checkpoint
from ailand_gt4py.weights.model import Model
from ailand_gt4py.weights.model_file import _decode, read_model, write_model
from helpers import small_dataset, small_model

MODEL = driver_model()

#: Formats of stores; zarr 2 writes the first only.
STORE_VERSIONS = (2, 3) if int(zarr.__version__.partition(".")[0]) > 2 else (2,)

#: A checkpoint with something of everything.
ANEMOI = Recipe(
    n_trainable=2,
    imputed={"stl1": 3.0},
    remapped={"swvl1": ("asinh_converter", "inverse_asinh_converter", {"c": 2.0})},
    boundings=[("HardtanhBounding", {"variables": ["skt"], "min_val": -3.0, "max_val": 3.0})],
)
ANEMOI_MEMBERS = ("data.pkl", "anemoi-metadata/anemoi.json")


class Inputs:
    """A directory with good files of each kind, and one for the changed file of the case that is made next.

    ``marker`` is a file that attacks make where they are run.
    """

    def __init__(self, directory: Path) -> None:
        self.directory, self.marker = directory, directory / "marker"
        self.good, self.changed = directory / "good", directory / "changed"
        self.good.mkdir()
        self.models = {name: random_model(name) for name in ARCHITECTURES}
        self.models |= {"columns": small_model(), "driver": MODEL}
        for name, model in self.models.items():
            write_model(model, self.good / f"{name}.nc")
        self.hostile = attack(f"touch '{self.marker}'")
        for name in ARCHITECTURES:
            tensors = published_names(name, self.models[name].parameters)
            write_archive(self.good / f"{name}.ckpt", {"epoch": 3, "state_dict": tensors})
        write_checkpoint(self.good / "anemoi.ckpt", *recipe(ANEMOI))
        self._write_restarts()
        data = dataset()
        data.to_netcdf(self.good / "plain.nc")
        timed = [name for name in data.data_vars if "time" in data[name].dims]
        packed = {"zlib": True, "shuffle": True, "chunksizes": (3, 2)}
        data.to_netcdf(self.good / "chunked.nc", encoding=dict.fromkeys(timed, packed))
        data.to_netcdf(self.good / "classic.nc", format="NETCDF3_64BIT")
        labelled = data.assign_coords(x=("x", np.array(["one", "two", "three"])))
        labelled.to_netcdf(self.good / "labelled.nc")
        for version in STORE_VERSIONS:
            data.to_zarr(self.good / f"store{version}.zarr", zarr_format=version, consolidated=version == 2)
        with zipfile.ZipFile(self.good / "zipped.zip", "w") as archive:
            for file in (self.good / "store2.zarr").rglob("*"):
                if file.is_file():
                    archive.write(file, file.relative_to(self.good / "store2.zarr"))
        small_dataset(6).to_netcdf(self.good / "forcing.nc")

    def _write_restarts(self) -> None:
        random = np.random.default_rng(0)
        model = self.models["driver"]
        n_state, n_diagnostics = len(model.state), len(model.diagnostics)
        self.restart = run_restart.Restart(
            state=random.normal(size=(3, n_state)).astype(np.float32),
            diagnostics=random.normal(size=(3, n_diagnostics)).astype(np.float32),
            before=np.empty((3, 0), np.float32), valid_time=np.datetime64("2021-01-02", "ns"),
            latitude=np.array([1.0, 2.0, 3.0]), longitude=np.array([1.0, 2.0, 3.0]), x=np.arange(3),
            model_checksum=schema.checksum(model), precision="float32", forcing="forcing.nc",
        )  # fmt: skip
        run_restart.write_restart(self.good / "restart.nc", self.restart, model)
        self.land = land_restart.Content(
            {"state": random.normal(size=(4, 3)).astype(np.float32), "sums": random.normal(size=(4, 5))},
            {"land_points": np.arange(4), "is_land": np.array([True, False, True, True])},
            {"model": "a", "step": "6 h"},
            [False] * 3,
        )
        self.position = {"next_time": 1_600_000_000_000_000_000, "count": 3}
        land_restart.write(self.good / "land.nc", self.land, self.position)

    def empty(self) -> None:
        """Make room for the next case."""
        shutil.rmtree(self.changed, ignore_errors=True)
        self.changed.mkdir()
        self.marker.unlink(missing_ok=True)

    def damaged(self, random: Random, name: str) -> Path:
        """A good file with changed bytes."""
        path = self.changed / name
        path.write_bytes(mutators.changed_bytes(random, (self.good / name).read_bytes()))
        return path


def command(run: Callable[[], int]) -> str:
    """What a command prints where it succeeds; refusals have to be one line without escape sequences."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = run()
    for text in (out.getvalue(), err.getvalue()):
        if not all(one.isprintable() or one in "\n\t" for one in text):
            raise WrongError(f"prints {text[:200]!r}")
    lines = err.getvalue().splitlines()
    if status and (not lines or "Traceback" in err.getvalue() or "--debug shows where" in lines[-1]):
        raise WrongError(f"exit status {status}: {lines[-1] if lines else 'nothing'}")
    if status:
        raise AilandError(lines[-1])
    return out.getvalue()


def shown(path: Path) -> None:
    command(lambda: main.main(["model", "show", str(path)]))


# ------------------------------------------------------------------------------------------------- model files


def model_bytes(inputs: Inputs, random: Random) -> Case:
    name = str(random.choice(["simple", "two_branch", "layer_norm", "columns"]))
    path = inputs.damaged(random, f"{name}.nc")

    def run() -> None:
        shown(path)
        if schema.checksum(read_model(path)) != schema.checksum(inputs.models[name]):
            raise WrongError("accepted with other contents")

    return Case(f"{name}.nc", path.stat().st_size, run)


def model_contents(inputs: Inputs, random: Random) -> Case:
    """Numbers and texts replaced, and the checksum made anew."""
    name = str(random.choice(ARCHITECTURES))
    path = Path(shutil.copy(inputs.good / f"{name}.nc", inputs.changed))
    what = []
    with contextlib.suppress(Exception), netCDF4.Dataset(path, "a") as data:
        data.set_auto_maskandscale(False)
        for _ in range(int(random.integers(1, 3))):
            what.append(_change_model(random, data))
        with contextlib.suppress(Exception):
            data.setncattr_string("checksum", schema.checksum(_decode(data)[0]))

    def run() -> None:
        shown(path)
        _require_numbers(read_model(path))

    return Case(f"{name}.nc: {'; '.join(what)}", path.stat().st_size, run)


def _change_model(random: Random, data: netCDF4.Dataset) -> str:
    kind, names = random.integers(6), list(data.variables)
    name = str(names[random.integers(len(names))])
    variable = data[name]
    if kind == 0:
        key = str(random.choice(["provenance_data", "architecture", "comment", "step_seconds", "provenance_x"]))
        value = TEXTS[random.integers(len(TEXTS))] if random.random() < 0.7 else NUMBERS[random.integers(len(NUMBERS))]
        data.setncattr(key, value)
        return f"{key} = {value!r}"
    if kind == 1:
        length = int(random.choice([0, 1, 10**6, 2**31]))
        dimension = f"d{length}"
        data.createDimension(dimension, length)
        other = data.createVariable(f"other_{length}", "f4", (dimension, dimension), zlib=True)
        other.setncattr("parameter_name", str(random.choice(["trunk.0.weight", "trunk.9.weight", "a.0.b"])))
        return f"an array of {length} x {length}"
    if kind == 2:
        vlen = data.createVLType(np.float64, "vlen")
        data.renameVariable(name, "old")
        if "parameter_name" in data["old"].ncattrs():
            data["old"].delncattr("parameter_name")
        replaced = data.createVariable(name, vlen, data["old"].dimensions)
        replaced.setncattr("parameter_name", name.replace("_", "."))
        return f"{name} of variable length"
    if variable.dtype is str:
        value = TEXTS[random.integers(len(TEXTS))]
        variable[int(random.integers(variable.size))] = value
        return f"{name} = {value!r}"
    number = NUMBERS[random.integers(len(NUMBERS))]
    if kind == 3:
        variable[...] = number
    else:
        variable[tuple(int(random.integers(extent)) for extent in variable.shape)] = number
    return f"{name}{'' if kind == 3 else '[.]'} = {number}"


def _require_numbers(model: Model) -> None:
    """Check that a step on the means gives numbers that single precision holds."""
    with np.errstate(all="ignore"):
        step = forward(model, *(np.zeros((1, size)) for size in model.sizes[:3]))
        for values, group in ((step.state, model.state), (step.diagnostics, model.diagnostics)):
            scales = np.array([one.normalisation.scale for one in group])
            shifts = np.array([one.normalisation.shift for one in group])
            if not np.isfinite((values * scales + shifts).astype(np.float32)).all():
                raise WrongError("accepted, and a step on the means gives no number")


# ------------------------------------------------------------------------------------------------- checkpoints


def checkpoint_bytes(inputs: Inputs, random: Random) -> Case:
    name = str(random.choice(ARCHITECTURES))
    path = inputs.damaged(random, f"{name}.ckpt")

    def run() -> None:
        found, expected = import_checkpoint(path).parameters, inputs.models[name].parameters
        if any(found[key].tobytes() != expected[key].tobytes() for key in expected):
            raise WrongError("accepted with other parameters")
        shown(path)

    return Case(f"{name}.ckpt", path.stat().st_size, run)


def checkpoint_pickle(inputs: Inputs, random: Random) -> Case:
    """The pickle in an archive that is whole, changed; attacks in it must not be run."""
    path, storages = inputs.changed / "attack.ckpt", dict[str, bytes]()
    name = str(random.choice(ARCHITECTURES))
    tensors = published_names(name, inputs.models[name].parameters)
    program = b"\x80\x02" + pickled({"epoch": 3, "state_dict": tensors}, storages) + b"."
    program = mutators.changed_pickle(random, program, inputs.hostile.operations)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", program)
        for key, content in storages.items():
            archive.writestr(f"archive/data/{key}", content)

    return Case(f"{name}.ckpt, pickle", path.stat().st_size, partial(_import_running_nothing, inputs, path))


def _import_running_nothing(inputs: Inputs, path: Path) -> None:
    try:
        import_checkpoint(path)
        shown(path)
    finally:
        if inputs.marker.exists():
            raise WrongError("code in the file was run")


def anemoi_members(inputs: Inputs, random: Random) -> Case:
    """Pickle or metadata of an anemoi checkpoint, in an archive that is whole, changed."""
    path = Path(shutil.copy(inputs.good / "anemoi.ckpt", inputs.changed))
    with zipfile.ZipFile(path) as archive:
        program, metadata = (archive.read(f"inference-last/{name}") for name in ANEMOI_MEMBERS)
    if random.random() < 0.7:
        program = mutators.changed_pickle(random, program, inputs.hostile.operations)
    else:
        metadata = mutators.changed_bytes(random, metadata)
    rewritten(path, dict(zip(ANEMOI_MEMBERS, (program, metadata), strict=True)))

    return Case("anemoi.ckpt, members", path.stat().st_size, partial(_import_running_nothing, inputs, path))


# ---------------------------------------------------------------------------------------------------- restarts


def restart_bytes(inputs: Inputs, random: Random) -> Case:
    path = inputs.damaged(random, "restart.nc")

    def run() -> None:
        found = run_restart.read_restart(path, MODEL)
        run_restart.check_run(path, found, schema.checksum(MODEL), "float32", None)
        expected = inputs.restart
        run_restart.check_columns(path, found, expected.x, expected.latitude, expected.longitude)
        if found.digest() != expected.digest():
            raise WrongError("accepted with other numbers")

    return Case("restart.nc", path.stat().st_size, run)


def land_restart_bytes(inputs: Inputs, random: Random) -> Case:
    path = inputs.damaged(random, "land.nc")

    def run() -> None:
        memory, position = land_restart.read(path, inputs.land)
        same = all(np.array_equal(values, inputs.land.memory[name]) for name, values in memory.items())
        if not same or position != inputs.position:
            raise WrongError("accepted with other numbers")

    return Case("land.nc", path.stat().st_size, run)


# ------------------------------------------------------------------------------------------------------ inputs


def _read(path: Path, size: int, what: str) -> Case:
    def run() -> None:
        with open_source(path, MODEL) as source:
            for first in range(len(source.times)):
                source.forcing(first, first + 1)
            source.reference(["stl1", "t2m"], 0, 1)

    return Case(what, size, run)


def input_bytes(inputs: Inputs, random: Random) -> Case:
    name = str(random.choice(["plain.nc", "chunked.nc", "classic.nc", "labelled.nc"]))
    path = inputs.damaged(random, name)
    return _read(path, path.stat().st_size, name)


def input_contents(inputs: Inputs, random: Random) -> Case:
    """Attributes, values, types, shapes and names replaced."""
    path = Path(shutil.copy(inputs.good / "plain.nc", inputs.changed))
    what = []
    with contextlib.suppress(Exception), netCDF4.Dataset(path, "a") as data:
        data.set_auto_maskandscale(False)
        for _ in range(int(random.integers(1, 4))):
            what.append(_change_input(random, data))
    return _read(path, path.stat().st_size, f"plain.nc: {'; '.join(what)}")


def _change_input(random: Random, data: netCDF4.Dataset) -> str:
    names = ["x", "time", "lat", "lon", *data.variables]
    name = str(names[random.integers(len(names))])
    variable, kind = data[name], random.integers(5)
    if kind == 0:
        keys = (
            "units", "calendar", "_FillValue", "missing_value", "scale_factor", "add_offset", "GRIB_missingValue",
            "cell_methods", "coordinates", "bounds", "dtype", "valid_range", "_Unsigned", "flag_values", "climate",
        )  # fmt: skip
        key = str(keys[random.integers(len(keys))])
        value = TEXTS[random.integers(len(TEXTS))] if random.random() < 0.5 else NUMBERS[random.integers(len(NUMBERS))]
        variable.setncattr(key, value)
        return f"{name}:{key} = {value!r}"
    if kind == 1:
        number = NUMBERS[random.integers(len(NUMBERS))]
        variable[tuple(int(random.integers(extent)) for extent in variable.shape)] = number
        return f"{name}[.] = {number}"
    if kind == 2:
        types = ("i1", "u8", "f8", "S1", str, "vlen", "compound", "enum")
        chosen = types[random.integers(len(types))]
        data.renameVariable(name, "old")
        made = {
            "vlen": lambda: data.createVLType(np.float32, "v"),
            "compound": lambda: data.createCompoundType(np.dtype([("a", "f4"), ("b", "i4")]), "c"),
            "enum": lambda: data.createEnumType(np.uint8, "e", {"no": 0, "yes": 1}),
        }.get(chosen, lambda: chosen)()
        data.createVariable(name, made, data["old"].dimensions)
        return f"{name} of type {chosen}"
    if kind == 3:
        length = int(random.choice([1, 10**6, 10**8, 2**40]))
        data.createDimension("long", length)
        data.renameVariable(name, "old")
        dimensions = [("long",), ("time", "long"), ("long", "long")][random.integers(3)]
        data.createVariable(name, "f4", dimensions, zlib=True)
        return f"{name} of {dimensions}, {length}"
    other = TEXTS[random.integers(len(TEXTS))]
    data.renameVariable(name, other)
    return f"{name} renamed {other!r}"


def huge_input(inputs: Inputs, random: Random) -> Case:
    """Dimensions that the file has no data for."""
    path = inputs.changed / "huge.nc"
    n_times, n_columns = (int(10 ** random.uniform(0, 9.5)) for _ in range(2))
    good = dataset()
    with netCDF4.Dataset(path, "w") as data:
        data.createDimension("time", n_times)
        data.createDimension("x", n_columns)
        for name, array in good.variables.items():
            chunks = [min(int(10 ** random.uniform(0, 7)), {"time": n_times, "x": n_columns}[d]) for d in array.dims]
            fill_value = None if random.random() < 0.5 else array.dtype.type(1)
            with contextlib.suppress(RuntimeError):
                made = data.createVariable(
                    str(name), array.dtype, array.dims, zlib=True, chunksizes=chunks, fill_value=fill_value
                )
                made.setncatts(array.attrs)
    return _read(path, path.stat().st_size, f"{n_times} times, {n_columns} columns")


def store(inputs: Inputs, random: Random) -> Case:
    """A zarr store with changed metadata, changed or lost chunks, or what is no file in it."""
    name = str(random.choice([f"store{version}.zarr" for version in STORE_VERSIONS]))
    path = inputs.changed / name
    shutil.copytree(inputs.good / name, path)
    files = sorted(file for file in path.rglob("*") if file.is_file())
    metadata = [file for file in files if file.name.startswith(".z") or file.name == "zarr.json"]
    what = name
    for _ in range(int(random.integers(1, 3))):
        file = (metadata if random.random() < 0.6 else files)[random.integers(len(metadata))]
        kind = random.integers(8)
        what += f"; {file.relative_to(path)}"
        if not file.is_file():  # changed already: a device may have no end
            continue
        if file in metadata and kind < 5:
            with contextlib.suppress(ValueError):
                file.write_text(mutators.changed_json(random, file.read_text()))
        elif kind < 5:
            file.write_bytes(mutators.changed_bytes(random, file.read_bytes()))
        else:
            file.unlink()
            if kind == 6:
                os.mkfifo(file)
            if kind == 7:
                file.symlink_to("/dev/zero")
    return _read(path, sum(file.stat().st_size for file in path.rglob("*") if file.is_file()), what)


def zipped_store(inputs: Inputs, random: Random) -> Case:
    path = inputs.damaged(random, "zipped.zip")
    return _read(path, path.stat().st_size, "zipped.zip")


# ---------------------------------------------------------------------------------- configurations and commands

CONFIGURATION = """\
forcing: forcing.nc
start: 2021-01-01
end: 2021-02-01T06:00
output: out.nc
backend: embedded
precision: float32
at: [51.6, 4.9]
plot: run.png
block-steps: 12
checkpoint-seconds: 30.0
quiet: true
"""


def configuration(inputs: Inputs, random: Random) -> Case:
    is_run = random.random() < 0.5
    text = CONFIGURATION if is_run else Path("configs/default_model.yaml").read_text()
    path = inputs.changed / "options.yaml"
    path.write_bytes(mutators.changed_text(random, text).encode("utf-8", "surrogateescape"))
    kind, words = (RunOptions, ["--config", str(path)]) if is_run else (train.Options, [str(path)])
    return Case(path.read_text("utf-8", "replace")[:200], path.stat().st_size, lambda: parse(kind, words) and None)


_OPTIONS = (
    RunOptions,
    compile.Options,
    evaluate.Options,
    jacobian.Options,
    model_import.Options,
    model_show.Options,
    train.Options,
)


def command_line(inputs: Inputs, random: Random) -> Case:
    kind = _OPTIONS[random.integers(len(_OPTIONS))]
    flags = [f"--{name.replace('_', '-')}" for name in kind.model_fields] + ["-o", "--set", "--config", "--", "-"]
    words = []
    for _ in range(int(random.integers(0, 6))):
        words.append(str(flags[random.integers(len(flags))]) if random.random() < 0.5 else mutators.value_text(random))
        if random.random() < 0.2:
            words[-1] += "=" + mutators.value_text(random)
    words = [word.replace("\0", "") for word in words]

    def run() -> None:
        with contextlib.suppress(SystemExit):
            parse(kind, words)

    return Case(repr(words), 0, run)


def whole_run(inputs: Inputs, random: Random) -> Case:
    """``ailand-column-run`` itself, on a changed input or model, up to where it compiles."""
    changed = "forcing.nc" if random.random() < 0.7 else "columns.nc"
    path = inputs.damaged(random, changed)
    paths = {name: inputs.good / name for name in ("forcing.nc", "columns.nc")} | {changed: path}
    words = [str(paths["forcing.nc"]), "--model", str(paths["columns.nc"]), "--backend", "embedded"]
    words += ["-o", str(inputs.changed / f"{TEXTS[random.integers(len(TEXTS))].replace('/', '_')}.nc")]

    def run() -> None:
        command(lambda: column_run.main(words))
        if changed == "columns.nc" and schema.checksum(read_model(path)) != schema.checksum(inputs.models["columns"]):
            raise WrongError("accepted with other contents")
        with xr.open_dataset(words[-1]) as data:
            data.load()

    return Case(f"ailand-column-run, {changed} changed", sum(one.stat().st_size for one in paths.values()), run)


#: Kinds of cases and how often each is made.
KINDS: dict[str, tuple[int, Callable[[Inputs, Random], Case]]] = {
    "model file, bytes": (5, model_bytes),
    "model file, contents, checksum made anew": (4, model_contents),
    "checkpoint, bytes": (4, checkpoint_bytes),
    "checkpoint, pickle": (5, checkpoint_pickle),
    "checkpoint of anemoi, pickle and metadata": (5, anemoi_members),
    "restart, bytes": (4, restart_bytes),
    "restart of a component, bytes": (4, land_restart_bytes),
    "netCDF input, bytes": (5, input_bytes),
    "netCDF input, contents": (4, input_contents),
    "netCDF input, dimensions without data": (2, huge_input),
    "zarr input": (4, store),
    "zipped zarr input, bytes": (2, zipped_store),
    "YAML options": (4, configuration),
    "command lines": (4, command_line),
    "whole runs": (1, whole_run),
}
_ORDER = [name for name, (share, _) in KINDS.items() for _ in range(share)]


def make(inputs: Inputs, seed: int, index: int) -> tuple[str, Case]:
    """The case of an index, the same each time, and its kind."""
    random = np.random.default_rng([seed, index])
    kind = _ORDER[index % len(_ORDER)]
    inputs.empty()
    return kind, KINDS[kind][1](inputs, random)


def load() -> None:
    """What the cases need, before processes are forked from this one."""
    import ailand_gt4py.driver.run  # noqa: F401

    sys.setrecursionlimit(1000)
