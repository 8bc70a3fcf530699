"""The threads of the compiled programs: every block is done, once, whoever is awake."""

import ctypes
import os
import pathlib
import shutil
import subprocess
import textwrap
import threading

import numpy as np
import pytest

import ailand_gt4py.lowering.cpu

HEADER = pathlib.Path(ailand_gt4py.lowering.cpu.__file__).parent / "threads.hpp"

SOURCE = """
#include "threads.hpp"
// counts[block] += 1 for every block, `jobs` times; `load` iterations of work in each.
extern "C" void share_blocks(long jobs, long blocks, int threads, long load, long* counts) {
    for (long job = 0; job < jobs; ++job)
        ailand::share(blocks, threads, [&](long block) {
            volatile long sink = 0;
            for (long i = 0; i < load; ++i) sink = sink + i;
            std::atomic_ref<long>(counts[block]).fetch_add(1);
        });
}
// Which threads took part: the number of different ones.
extern "C" long threads_of(long blocks, int threads, long load) {
    std::mutex mutex;
    std::vector<std::thread::id> seen;
    ailand::share(blocks, threads, [&](long) {
        volatile long sink = 0;
        for (long i = 0; i < load; ++i) sink = sink + i;
        std::lock_guard<std::mutex> lock(mutex);
        for (auto id : seen) if (id == std::this_thread::get_id()) return;
        seen.push_back(std::this_thread::get_id());
    });
    return (long)seen.size();
}
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    compiler = shutil.which("c++") or shutil.which("g++")
    if compiler is None:
        pytest.skip("no C++ compiler")
    directory = tmp_path_factory.mktemp("threads")
    (directory / "threads.cpp").write_text(SOURCE)
    command = [compiler, "-std=c++20", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-pthread"]
    command += [f"-I{HEADER.parent}", "threads.cpp", "-o", "libthreads.so"]
    subprocess.run(command, cwd=directory, check=True)
    loaded = ctypes.CDLL(str(directory / "libthreads.so"))
    loaded.share_blocks.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_int, ctypes.c_long, ctypes.c_void_p]
    loaded.share_blocks.restype = None
    loaded.threads_of.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_long]
    loaded.threads_of.restype = ctypes.c_long
    return loaded


def shared(library: ctypes.CDLL, jobs: int, blocks: int, threads: int, load: int = 0) -> np.ndarray:
    counts = np.zeros(max(blocks, 1), dtype=np.int64)
    library.share_blocks(jobs, blocks, threads, load, counts.ctypes.data)
    return counts[:blocks]


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
@pytest.mark.parametrize("blocks", [0, 1, 2, 7, 100])
def test_every_block_is_done_once_in_each_job(library: ctypes.CDLL, blocks: int, threads: int) -> None:
    jobs = 300
    assert (shared(library, jobs, blocks, threads, load=50) == jobs).all()


def test_jobs_in_quick_succession_are_not_mixed_up(library: ctypes.CDLL) -> None:
    """A thread that comes late must not take a block of one job for another's."""
    jobs = 50_000
    for blocks in (2, 3):
        assert (shared(library, jobs, blocks, 4) == jobs).all()


def test_no_more_threads_than_asked_for_take_part(library: ctypes.CDLL) -> None:
    for threads in (4, 2, 1, 3):
        assert 1 <= library.threads_of(64, threads, 20_000) <= threads


def test_others_help_the_caller(library: ctypes.CDLL) -> None:
    assert max(library.threads_of(200, 2, 200_000) for _ in range(20)) == 2


def test_two_callers_at_once_both_get_all_their_blocks(library: ctypes.CDLL) -> None:
    results: list[np.ndarray] = []
    callers = [threading.Thread(target=lambda: results.append(shared(library, 200, 16, 2, 500))) for _ in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert len(results) == 4
    assert all((counts == 200).all() for counts in results)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_process_works_and_ends(library: ctypes.CDLL, tmp_path: pathlib.Path) -> None:
    """The child has none of the parent's threads; in a process of its own, since pytest's may hold other threads."""
    script = textwrap.dedent(f"""
        import ctypes, os
        library = ctypes.CDLL({library._name!r})
        library.share_blocks.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_int, ctypes.c_long, ctypes.c_void_p]
        def work():
            counts = (ctypes.c_long * 8)()
            library.share_blocks(100, 8, 3, 100, ctypes.addressof(counts))
            return list(counts) == [100] * 8
        assert work()
        child = os.fork()
        if child == 0:
            raise SystemExit(0 if work() else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert work()
    """)
    subprocess.run([shutil.which("python3") or "python3", "-c", script], check=True, timeout=60, cwd=tmp_path)
