"""Restart files: exact, whole, and refused where they do not fit."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import os

import numpy as np
import pytest
import xarray as xr
from random_models import random_model

from ailand_gt4py.core.errors import InputError, RunError
from ailand_gt4py.io import restart as restarts
from ailand_gt4py.io.restart import Restart, read_restart, write_restart
from ailand_gt4py.weights.model import Model, Variable
from helpers import small_model

MODEL = small_model()
N_PREVIOUS = sum(variable.derived.startswith("before:") for variable in MODEL.forcing)


def with_outputs(state: tuple[Variable, ...]) -> Model:
    """A model with these states and the diagnostics of `MODEL`, but other inputs, by which nothing can be bounded."""
    free = [
        tuple(dataclasses.replace(variable, bounded_by="") for variable in group)
        for group in (state, MODEL.diagnostics)
    ]
    model = random_model("simple", (1, 2, len(state), len(MODEL.diagnostics)))
    return dataclasses.replace(model, state=free[0], diagnostics=free[1])


SMALLER = with_outputs(MODEL.state[1:])


def some_restart(precision: str = "float32", n_columns: int = 4, **changes) -> Restart:
    random = np.random.default_rng(5)
    state = random.normal(size=(n_columns, len(MODEL.state))).astype(precision)
    state[0, 0] = np.nextafter(np.array(0, precision), np.array(1, precision))  # the smallest number there is
    diagnostics = random.normal(size=(n_columns, len(MODEL.diagnostics))).astype(precision)
    diagnostics[1] = np.nan
    content = {
        "state": state,
        "diagnostics": diagnostics,
        "before": random.normal(size=(n_columns, N_PREVIOUS)).astype(precision),
        "valid_time": np.datetime64("2021-03-01T06:00:00.000000001", "ns"),
        "latitude": np.linspace(-30, 60, n_columns),
        "longitude": np.linspace(-170, 170, n_columns),
        "x": np.arange(n_columns) + 7,
        "model_checksum": "ab" * 32,
        "precision": precision,
        "forcing": "forcing.nc",
        "extra": {"next_step": 3},
    }
    return Restart(**(content | changes))


def written(path, restart):
    write_restart(path, restart, MODEL)
    return read_restart(path, MODEL)


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_comes_back_bit_for_bit(tmp_path, precision):
    before = some_restart(precision)
    after = written(tmp_path / "r.nc", before)
    for field in dataclasses.fields(Restart):
        old, new = getattr(before, field.name), getattr(after, field.name)
        if isinstance(old, np.ndarray):
            assert (new.dtype, new.tobytes()) == (old.dtype, old.tobytes()), field.name
        else:
            assert new == old, field.name
    assert after.digest() == before.digest()


def test_labels_may_be_words(tmp_path):
    after = written(tmp_path / "r.nc", some_restart(x=np.array(["a", "bb", "Zürich", ""])))
    assert list(after.x) == ["a", "bb", "Zürich", ""]


def test_is_a_plain_netcdf_file(tmp_path):
    written(tmp_path / "r.nc", some_restart())
    with xr.open_dataset(tmp_path / "r.nc") as data:
        previous = {variable.name for variable in MODEL.forcing if variable.derived.startswith("before:")}
        assert len(previous) == N_PREVIOUS == 7
        assert set(data.data_vars) == {variable.name for variable in MODEL.state + MODEL.diagnostics} | previous
        assert data["met_tair_before"].attrs["units"] == "K"
        assert data["stl1"].attrs["units"] == "K"
        assert data["stl1"].dims == ("x",)
        assert data["time"].values == np.datetime64("2021-03-01T06:00:00.000000001")


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "r.nc"
    before = written(path, some_restart())

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RunError, match=r"r\.nc: writing the restart file failed: No space left on device"):
        written(path, some_restart(x=np.arange(4)))
    monkeypatch.undo()
    assert [item.name for item in tmp_path.iterdir()] == ["r.nc"]
    assert read_restart(path, MODEL).digest() == before.digest()


@pytest.mark.parametrize("name", ["state", "diagnostics", "before"])
def test_the_digest_is_of_all_values(name):
    restart = some_restart()
    other = getattr(restart, name).copy()
    other[2, 0] += 1.0
    assert dataclasses.replace(restart, **{name: other}).digest() != restart.digest()


def test_a_model_without_previous_window_needs_none(tmp_path):
    restart = some_restart(before=np.empty((4, 0), np.float32), state=some_restart().state[:, 1:])
    write_restart(tmp_path / "r.nc", restart, SMALLER)
    back = read_restart(tmp_path / "r.nc", SMALLER)
    assert back.before.shape == (4, 0)
    assert back.digest() == restart.digest()


def test_missing_damaged_and_foreign_files(tmp_path):
    def refused(path, message):
        with pytest.raises(InputError, match=message) as error:
            read_restart(path, MODEL)
        assert str(path) in str(error.value)
        assert "\n" not in str(error.value)

    path = tmp_path / "r.nc"
    refused(path, "no such file")
    written(path, some_restart())
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    refused(path, "cannot be read")
    path.write_bytes(b"not netCDF")
    refused(path, "cannot be read")
    xr.Dataset({"stl1": ("x", [1.0])}).to_netcdf(path)
    refused(path, "'format': found '', expected 'ailand_gt4py restart 2'")
    write_restart(path, some_restart(state=some_restart().state[:, 1:]), SMALLER)
    refused(path, f"variable '{MODEL.state[0].name}' is missing")
    write_restart(path, some_restart(), with_outputs(MODEL.state))
    refused(path, "variable 'met_tair_before' is missing, expected all that the model remembers")
    state = some_restart().state
    state[2, 1] = np.nan
    write_restart(path, some_restart(state=state), MODEL)
    refused(path, f"variable '{MODEL.state[1].name}' is nan in column 2")
    before = some_restart().before
    before[1, 0] = np.inf
    write_restart(path, some_restart(before=before), MODEL)
    refused(path, "variable 'met_tair_before' is inf in column 1")


def test_every_value_and_attribute_is_sealed(tmp_path):
    """What another program changes in a restart file is noticed, whatever it is."""
    written(tmp_path / "r.nc", some_restart(x=np.array(["a", "b", "c", "d"])))
    whole = xr.load_dataset(tmp_path / "r.nc", decode_cf=False)
    whole.to_netcdf(tmp_path / "same.nc")
    assert read_restart(tmp_path / "same.nc", MODEL).valid_time == some_restart().valid_time
    assert whole.attrs.keys() >= {"model_checksum", "precision", "extra"}
    for name in (*whole.variables, *(f"attribute {key}" for key in whole.attrs if key != "format")):
        other = whole.copy(deep=True)
        if name.startswith("attribute "):
            key = name.removeprefix("attribute ")
            other.attrs[key] = f"{other.attrs[key]}0"
        elif name == "x":
            other["x"] = ("x", np.array(["a", "b", "c", "e"], dtype=object))
        else:
            other[name] = other[name] + 1
        other.to_netcdf(tmp_path / "other.nc")
        with pytest.raises(InputError, match="is damaged: its values are not those"):
            read_restart(tmp_path / "other.nc", MODEL)


def test_a_flipped_bit_is_never_read_as_another_number(tmp_path):
    """Each is refused, or the file reads as before: not all of its bytes are values."""
    path, random = tmp_path / "r.nc", np.random.default_rng(7)
    before = written(path, some_restart())
    whole = path.read_bytes()
    refused = 0
    for position in random.integers(len(whole), size=60):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << random.integers(8)
        path.write_bytes(damaged)
        try:
            after = read_restart(path, MODEL)
        except InputError:
            refused += 1
        else:
            assert (after.digest(), after.valid_time, after.extra) == (before.digest(), before.valid_time, before.extra)
    assert refused > 5


@pytest.mark.parametrize(
    ("first", "second", "are_same"),
    [
        (np.arange(4), np.arange(4.0), True),
        (np.arange(4.0, dtype=np.float32), np.arange(4), True),
        (np.arange(4) + 0.5, np.arange(4), False),
        (np.array(["a", "bb"]), np.array(["a ", "bb"], object), True),
        (np.array(["a", "bb"]), np.array(["a", "b"]), False),
    ],
)
def test_labels_are_compared_by_what_they_say(tmp_path, first, second, are_same):
    restart = some_restart(n_columns=len(first), x=first)
    with contextlib.nullcontext() if are_same else pytest.raises(InputError, match="expected the run's x ="):
        restarts.check_columns(tmp_path / "r.nc", restart, second, restart.latitude, restart.longitude)


def test_must_fit_the_run(tmp_path):
    path, restart = tmp_path / "r.nc", some_restart()
    x, latitude, longitude = restart.x, restart.latitude, restart.longitude
    restarts.check_columns(path, restart, x, latitude, longitude + 360.0)
    restarts.check_run(path, restart, "ab" * 32, "float32", restart.valid_time)
    restarts.check_run(path, restart, "ab" * 32, "float32", None)
    moved, relabelled = latitude.copy(), x.copy()
    moved[2] += 0.1
    relabelled[1] = 99
    columns, run, later = restarts.check_columns, restarts.check_run, np.datetime64("2021-03-02", "ns")
    for check, arguments, message in (
        (columns, (x[:3], latitude[:3], longitude[:3]), "has 4 columns, expected the run's 3"),
        (columns, (x, moved, longitude), "column 2 is x = 9 at 30.0000 N"),
        (columns, (x, latitude, longitude[::-1]), "column 0 is"),
        (columns, (relabelled, latitude, longitude), "column 1 is x = 8"),
        (run, ("cd" * 32, "float32", None), "checksum abababababab"),
        (run, ("ab" * 32, "float64", None), "was written in float32, expected"),
        (run, ("ab" * 32, "float32", later), "expected the start 2021-03-02T00:00"),
    ):
        with pytest.raises(InputError) as error:
            check(path, restart, *arguments)
        assert message in str(error.value)


def test_a_changed_file_has_another_identity(tmp_path):
    file, store = tmp_path / "f.nc", tmp_path / "s.zarr"
    file.write_bytes(b"1234")
    (store / "a").mkdir(parents=True)
    (store / ".zmetadata").write_text("{}")
    before = restarts.file_identity(file), restarts.file_identity(store)
    assert before == (restarts.file_identity(file), restarts.file_identity(store))
    os.utime(file, ns=(1, 1))
    os.utime(store / "a", ns=(1, 1))
    after = restarts.file_identity(file), restarts.file_identity(store)
    assert before[0] != after[0]
    assert before[1] != after[1]
    file.write_bytes(b"12345")
    assert restarts.file_identity(file) != after[0]


def test_the_first_difference_of_identities_is_named(tmp_path):
    restarts.check_identity(tmp_path, {"a": "1", "b": "2"}, {"b": "2", "a": "1"})
    with pytest.raises(InputError, match="cannot be resumed: b was '2', now it is '3'"):
        restarts.check_identity(tmp_path, {"a": "1", "b": "2"}, {"a": "1", "b": "3"})
    with pytest.raises(InputError, match="c was 'None', now it is '4'"):
        restarts.check_identity(tmp_path, {}, {"c": "4"})
