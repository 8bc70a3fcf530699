"""How a run is cut into parts for several processes, and what may be asked of them."""

from __future__ import annotations

import dataclasses
import itertools
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ailand_gt4py.cli.column_run import main
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.driver import part_run, parts
from ailand_gt4py.driver.options import RunOptions
from ailand_gt4py.driver.parts import PartsDirectory, cut
from ailand_gt4py.driver.ranks import launched
from ailand_gt4py.io.grids import Grid
from ailand_gt4py.io.output import OutputLayout
from ailand_gt4py.weights.model import Variable


def layout(shape: tuple[int, ...], index: np.ndarray, n_times: int = 8, block_steps: int = 4) -> OutputLayout:
    n = len(index)
    return OutputLayout(
        variables=(Variable("stl1", "K"),),
        times=np.datetime64("2021-01-01", "ns") + np.arange(n_times) * np.timedelta64(6, "h"),
        step=np.timedelta64(6, "h"),
        latitude=np.linspace(-50.0, 50.0, n),
        longitude=np.linspace(0.0, 90.0, n),
        x=np.arange(n),
        grid=Grid({f"d{k}": length for k, length in enumerate(shape)}, {}, index),
        calendar="standard",
        dtype=np.dtype(np.float32),
        block_steps=block_steps,
        attributes={},
    )


@given(
    st.lists(st.integers(1, 7), min_size=1, max_size=3), st.integers(1, 9), st.randoms(use_true_random=False),
    st.sampled_from([0.1, 0.5, 1.0]), st.sampled_from([1, 3, 10_000]),
)  # fmt: skip
def test_parts_have_every_column_once_in_chunks_of_their_own(shape, n_workers, random, land, columns_of_part):
    n = int(np.prod(shape))
    index = np.array([k for k in range(n) if random.random() <= land] or [n - 1])
    whole = layout(tuple(shape), index)
    before, parts.COLUMNS_OF_PART = parts.COLUMNS_OF_PART, columns_of_part
    try:
        chunked, found = cut(whole, n_workers)
    finally:
        parts.COLUMNS_OF_PART = before
    assert [part.number for part in found] == list(range(len(found)))
    assert sorted(part.columns for part in found) == [part.columns for part in found]
    assert (found[0].columns[0], found[-1].columns[1]) == (0, len(index))
    assert all(one.columns[1] == other.columns[0] for one, other in itertools.pairwise(found))
    owner = np.full(tuple(-(-size // length) for size, length in zip(shape, chunked.chunks[1:], strict=True)), -1)
    values = np.arange(len(index), dtype=np.float64)
    together = np.full(tuple(shape), np.nan)
    for part in found:
        assert part.n_columns > 0
        for (start, stop), size, length in zip(part.region, shape, chunked.chunks[1:], strict=True):
            assert start % length == 0
            assert stop == size or stop % length == 0
        chunks = tuple(
            slice(start // length, -(-stop // length))
            for (start, stop), length in zip(part.region, chunked.chunks[1:], strict=True)
        )
        assert (owner[chunks] == -1).all()
        owner[chunks] = part.number
        own = part.layout(chunked)
        np.testing.assert_array_equal(own.x, whole.x[slice(*part.columns)])
        together[part.slices] = own.grid.spread(values[slice(*part.columns)])
    np.testing.assert_array_equal(together, whole.grid.spread(values))


def test_several_workers_all_have_work():
    for shape, n_workers in (((7,), 2), ((200_000,), 2), ((50, 60), 8), ((2, 30, 40), 5), ((1, 30, 40), 5)):
        n = int(np.prod(shape))
        _, found = cut(layout(shape, np.arange(n)), n_workers)
        assert len(found) >= n_workers
        columns = [part.n_columns for part in found]
        assert max(columns) <= 2 * min(columns)
    _, found = cut(layout((200_000,), np.arange(200_000)), 2)
    assert len(found) == 8
    # Land in the north only: the south is not half of the work.
    land = np.flatnonzero(np.arange(60 * 40) < 30 * 40)
    _, found = cut(layout((60, 40), land), 2)
    assert max(part.n_columns for part in found) < 0.7 * len(land)


def test_one_process_has_chunks_as_before():
    whole = layout((200_000,), np.arange(200_000))
    assert dataclasses.replace(whole, longest=(10,)).chunks == (4, 10)
    assert whole.chunks == (4, 200_000)


def refusal(capsys: pytest.CaptureFixture, *words: object) -> str:
    assert main([str(word) for word in words]) == 2
    return capsys.readouterr().err.splitlines()[-1]


@pytest.fixture
def forcing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "forcing.nc"
    path.write_bytes(b"")
    return path


def test_what_several_processes_cannot_do_is_refused(forcing, capsys, monkeypatch):
    assert "found the output forcing.ailand.nc, expected a store" in refusal(capsys, forcing, "--workers", 2)
    assert "option --scheduler: found the output a.nc" in refusal(
        capsys, forcing, "--scheduler", "tcp://a:1", "-o", "a.nc"
    )
    more = ("-o", "a.zarr", "--workers", 2)
    assert "both given" in refusal(capsys, forcing, *more, "--scheduler", "tcp://a:1")
    assert "found the backend dace_gpu, expected" in refusal(capsys, forcing, *more, "--backend", "dace_gpu")
    assert "found 0, expected at least 1" in refusal(capsys, forcing, "-o", "a.zarr", "--workers", 0)
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert "expected: pip install 'ailand_gt4py[dask]'" in refusal(capsys, forcing, *more)


def test_a_directory_that_is_not_of_this_program_stays(forcing, capsys, tmp_path):
    directory = tmp_path / "a.zarr.parts"
    directory.mkdir()
    for name in ("plan.json", "letter.txt"):
        (directory / name).write_text("{}")
        assert "is not of this program" in refusal(capsys, forcing, "-o", "a.zarr", "--workers", 2, "--overwrite")
        assert (directory / name).exists()


def test_ranks_are_told_by_their_launchers(monkeypatch):
    for name in ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS", "MV2_COMM_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    assert launched() == (0, 1)
    monkeypatch.setenv("SLURM_PROCID", "0")
    monkeypatch.setenv("SLURM_NTASKS", "4")  # of a batch script, which is one process
    assert launched() == (0, 1)
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "4")
    assert launched() == (0, 4)
    monkeypatch.setenv("PMI_RANK", "2")
    monkeypatch.setenv("PMI_SIZE", "3")
    assert launched() == (2, 3)


def test_without_mpi4py_one_rank_says_so(forcing, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    monkeypatch.setenv("PMI_SIZE", "2")
    monkeypatch.setenv("PMI_RANK", "0")
    assert "pip install 'ailand_gt4py[mpi]'" in refusal(capsys, forcing, "-o", "a.zarr")
    monkeypatch.setenv("PMI_RANK", "1")
    assert main([str(forcing), "-o", "a.zarr"]) == 2
    assert capsys.readouterr().err == ""


def test_a_damaged_plan_is_told(tmp_path):
    (tmp_path / "plan.json").write_text('{"format": "ailand_gt4py parts 1"}')
    with pytest.raises(InputError, match=r"plan\.json: cannot be read .* --overwrite starts over"):
        PartsDirectory(tmp_path).plan()


def test_options_for_workers_have_absolute_paths(forcing, tmp_path):
    options = RunOptions(
        forcing=(Path("forcing.nc"), Path("b*.nc")), output=Path("a.zarr"), workers=2, reference="same"
    )
    told = options.for_workers()
    assert told.forcing == (tmp_path / "forcing.nc", tmp_path / "b*.nc")
    assert told.parts_path == tmp_path / "a.zarr.parts"
    assert told.quiet


@pytest.mark.parametrize(
    ("told", "expected"), [("3", 3), ("2,4", 2), (" 5", 5), ("auto", None), ("0", None), ("-1", None)]
)
def test_threads_that_are_no_number_are_as_many_as_cores(monkeypatch, told, expected):
    monkeypatch.setenv("OMP_NUM_THREADS", told)
    assert part_run._n_threads() == (expected or len(os.sched_getaffinity(0)))
