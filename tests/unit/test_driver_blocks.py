"""Reading through time: the same values whatever the chunks, in bounded memory."""

from __future__ import annotations

import math
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from column_files import (
    FORCING_UNITS,
    N_TIMES,
    dataset,
    driver_model,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from ailand_gt4py.core.errors import RunError
from ailand_gt4py.io import blocks, column_file
from ailand_gt4py.io.column_file import ColumnFile
from ailand_gt4py.io.request import Reading
from ailand_gt4py.io.sources import open_source

MODEL = driver_model()


@pytest.mark.parametrize("chunks", [None, (N_TIMES, 1), (4, 2), (1, 3)])
def test_blocks_and_chunks_do_not_change_the_values(tmp_path: Path, chunks: tuple[int, int] | None) -> None:
    data, path = dataset(), tmp_path / "in.nc"
    encoding = {name: {"chunksizes": chunks, "zlib": True} for name in FORCING_UNITS} if chunks else {}
    data.to_netcdf(path, encoding=encoding)
    values = np.stack([data[name].values for name in FORCING_UNITS], axis=-1)
    step_bytes = values[0].nbytes
    for first, start in ((0, None), (3, "2021-01-01T18")):
        for block_bytes in (1, 2 * step_bytes, 4 * step_bytes, 1 << 20):
            with open_source(path, MODEL, start=start, reading=Reading(block_bytes=block_bytes)) as source:
                n_times = len(source.times)
                for begin, end in [(0, 1), (1, 2), (2, 5), (0, n_times), (n_times - 1, n_times), (3, 3), (0, 2)]:
                    found = source.forcing(begin, end)
                    np.testing.assert_array_equal(found, values[first:][begin:end])
                    assert not found.flags.writeable or found.size == 0
                with pytest.raises(ValueError, match="expected 0 <= first <= last"):
                    source.forcing(0, n_times + 1)


def test_file_in_long_chunks_is_copied_once_and_every_chunk_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    n_columns, n_times = 11, 40
    data, path = dataset(n_columns, n_times), tmp_path / "in.nc"
    data.to_netcdf(path, encoding={name: {"chunksizes": (n_times, 2)} for name in FORCING_UNITS})
    read: list[tuple[str, int, int]] = []
    original = blocks.ColumnFile.read

    def spy(self: blocks.ColumnFile, name: str, times: slice | None = None, columns: slice | None = None) -> np.ndarray:
        values = original(self, name, times, columns)
        if name in FORCING_UNITS and columns is not None:
            assert times is not None
            read.extend((name, times.start, column) for column in range(columns.start, columns.stop))
        return values

    monkeypatch.setattr(blocks.ColumnFile, "read", spy)
    with open_source(path, MODEL, reading=Reading(block_bytes=4 * n_times * 5)) as source:
        assert "copied once to a temporary file" in source.history[-1]
        found = np.concatenate([source.forcing(step, step + 1) for step in range(n_times)])
    np.testing.assert_array_equal(found, np.stack([data[name].values for name in FORCING_UNITS], axis=-1))
    assert sorted(read) == sorted((name, 0, column) for name in FORCING_UNITS for column in range(n_columns))


def test_blocks_begin_where_chunks_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, path = dataset(3, 20), tmp_path / "in.nc"
    data.to_netcdf(path, encoding={name: {"chunksizes": (4, 3)} for name in FORCING_UNITS})
    starts: list[tuple[int, int]] = []
    original = blocks.ColumnFile.read

    def spy(self: blocks.ColumnFile, name: str, times: slice | None = None, columns: slice | None = None) -> np.ndarray:
        if name == "met_tair" and times is not None:
            starts.append((times.start, times.stop))
        return original(self, name, times, columns)

    monkeypatch.setattr(blocks.ColumnFile, "read", spy)
    step_bytes = 3 * len(FORCING_UNITS) * 4
    # From index 3 on, at most 9 times: whole chunks, so 8, and the first block ends where one from index 0 would.
    with open_source(path, MODEL, start="2021-01-01T18", reading=Reading(block_bytes=9 * step_bytes)) as source:
        for step in range(len(source.times)):
            source.forcing(step, step + 1)
    assert starts == [(3, 8), (8, 16), (16, 20)]


class _Chunked:
    """Stands for a file: as much of it as `blocks.tiles` asks for."""

    def __init__(self, n_columns: int, chunks: tuple[int, int]) -> None:
        self.n_columns, self._chunks = n_columns, chunks

    def array(self, name: str) -> np.ndarray:
        return np.empty(0, np.float32)

    def chunk_lengths(self, name: str) -> tuple[int, int]:
        return self._chunks


@settings(max_examples=200, deadline=None)
@given(
    st.integers(1, 30),
    st.integers(0, 20),
    st.integers(1, 40),
    st.integers(1, 12),
    st.integers(1, 12),
    st.integers(0, 600),
)
def test_tiles_cover_all_and_every_chunk_is_in_one_tile(
    n_columns: int, first: int, count: int, chunk_times: int, chunk_columns: int, n_bytes: int
) -> None:
    chunk_columns = min(chunk_columns, n_columns)
    covered = np.zeros((first + count, n_columns), int)
    owners: dict[tuple[int, int], set[int]] = {}
    file = _Chunked(n_columns, (chunk_times, chunk_columns))
    for number, (times, columns) in enumerate(blocks.tiles(file, "v", first, count, n_bytes)):  # type: ignore[arg-type]
        covered[times, columns] += 1
        size = 4 * (times.stop - times.start) * (columns.stop - columns.start)
        assert size <= max(n_bytes, 4 * chunk_times * chunk_columns)
        for time in range(times.start, times.stop):
            for column in range(columns.start, columns.stop):
                owners.setdefault((time // chunk_times, column // chunk_columns), set()).add(number)
    assert (covered[first:] == 1).all()
    assert (covered[:first] == 0).all()
    assert all(len(tiles) == 1 for tiles in owners.values())


def test_full_disk_for_the_copy_is_a_run_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, path = dataset(4, 40), tmp_path / "in.nc"
    data.to_netcdf(path, encoding={name: {"chunksizes": (40, 1)} for name in FORCING_UNITS})
    if not Path("/dev/full").exists():
        pytest.skip("needs the device /dev/full to stand for a full disk")
    with (
        Path("/dev/full").open("w+b", buffering=0) as full,
        open_source(path, MODEL, reading=Reading(block_bytes=64)) as source,
    ):
        monkeypatch.setattr(blocks.tempfile, "TemporaryFile", lambda **options: full)
        with pytest.raises(RunError) as caught:
            source.forcing(0, 1)
    assert "No space left on device" in str(caught.value)
    assert caught.value.exit_status == 1


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_a_slab_is_read_in_parts_of_few_chunks(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Of each of them HDF5 holds kilobytes while they are read."""
    n_times, n_columns = data.draw(st.integers(1, 12)), data.draw(st.integers(1, 12))
    chunks = (data.draw(st.integers(1, n_times)), data.draw(st.integers(1, n_columns)))
    times, columns = (sorted(data.draw(st.tuples(*[st.integers(0, n)] * 2))) for n in (n_times, n_columns))
    values = np.random.default_rng(0).normal(size=(n_times, n_columns)).astype(np.float32)
    is_transposed = data.draw(st.booleans())
    stored = xr.DataArray(values, dims=("time", "x"))
    stored, chunks = (stored.T, chunks[::-1]) if is_transposed else (stored, chunks)
    path = tmp_path_factory.mktemp("slabs") / "in.nc"
    stored.to_dataset(name="a").to_netcdf(path, encoding={"a": {"chunksizes": chunks}})
    most, sizes = data.draw(st.integers(1, 6)), []
    isel = xr.DataArray.isel

    def counting(array: xr.DataArray, indexers: dict[str, slice]) -> xr.DataArray:
        found = isel(array, indexers)
        lengths = dict(zip(array.dims, array.encoding["chunksizes"], strict=True))
        sizes.append(math.prod(math.ceil(found.sizes[axis] / lengths[axis]) for axis in found.dims))
        return found

    with ColumnFile(path) as file, pytest.MonkeyPatch.context() as patch:
        patch.setattr(column_file, "_CHUNKS_TOGETHER", most)
        patch.setattr(xr.DataArray, "isel", counting)
        found = file.read("a", slice(*times), slice(*columns))
    np.testing.assert_array_equal(found, values[slice(*times), slice(*columns)])
    assert found.flags.c_contiguous
    assert max(sizes) <= most


@pytest.mark.parametrize("chunk_times", [10, 1000])
def test_memory_does_not_grow_with_the_length_of_the_run(tmp_path: Path, chunk_times: int) -> None:
    n_columns, n_times, block_bytes = 50, 1000, 100_000
    data, path = dataset(n_columns, n_times), tmp_path / "in.nc"
    size = sum(data[name].nbytes for name in FORCING_UNITS)
    data.to_netcdf(path, encoding={name: {"chunksizes": (chunk_times, 5), "zlib": True} for name in FORCING_UNITS})
    del data
    with open_source(path, MODEL, reading=Reading(block_bytes=block_bytes)) as source:
        tracemalloc.start()
        for step in range(n_times):
            source.forcing(step, step + 1)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    # A block, one variable's share of it, and conversions; the file is 24 blocks.
    assert size == 24 * block_bytes
    assert peak < 6 * block_bytes
