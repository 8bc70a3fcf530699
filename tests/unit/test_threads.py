"""The threads of the compiled programs: every block is done, once, whoever is awake."""

import ctypes
import os
import pathlib
import re
import shutil
import subprocess
import sys
import textwrap
import threading
import time

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


def test_who_finds_the_threads_taken_has_them_as_soon_as_they_are_free(library: ctypes.CDLL) -> None:
    """A step may begin while a program of another thread lasts, and must not be alone to its end."""
    found = []
    for _ in range(20):
        other = threading.Thread(target=lambda: shared(library, 1, 8, 2, 3_000_000))
        other.start()
        time.sleep(0.005)
        was_alone = other.is_alive()
        found.append(library.threads_of(400, 2, 200_000) if was_alone else 0)
        other.join()
    assert max(found) == 2


#: Of scripts in processes of their own, since pytest's may hold other threads.
PREAMBLE = """
import ctypes, os, resource, sys, threading, time
library = ctypes.CDLL({library!r})
library.share_blocks.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_int, ctypes.c_long, ctypes.c_void_p]
library.threads_of.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_long]
def work(threads=3, jobs=100):
    counts = (ctypes.c_long * 8)()
    library.share_blocks(jobs, 8, threads, 100, ctypes.addressof(counts))
    return list(counts) == [jobs] * 8
def in_thread():
    result = []
    thread = threading.Thread(target=lambda: result.append(work()))
    thread.start()
    thread.join(30)
    return result == [True]
def status_of_child(call):
    child = os.fork()
    if child == 0:
        sys.exit(0 if call() else 1)
    return os.waitpid(child, 0)[1]
"""


def run_script(library: ctypes.CDLL, script: str) -> str:
    """What it prints on standard error."""
    text = PREAMBLE.format(library=library._name) + textwrap.dedent(script)
    done = subprocess.run([sys.executable, "-c", text], timeout=120, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stderr


fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")


@fork
@pytest.mark.parametrize("first", ["work", "in_thread", "lambda: in_thread() and work() and in_thread()"])
def test_a_forked_process_works_and_ends(library: ctypes.CDLL, first: str) -> None:
    """The child has none of the parent's threads, whichever of its own comes first; nor has the child's child."""
    script = f"""
        first = {first}
        for _ in range(10):
            assert work()
            assert status_of_child(first) == 0
            assert status_of_child(lambda: first() and status_of_child(first) == 0) == 0
        assert work()
    """
    run_script(library, script)


@fork
def test_a_process_forked_while_its_threads_work_makes_threads_of_its_own(library: ctypes.CDLL) -> None:
    script = """
        def helped():
            return work() and any(library.threads_of(200, 2, 100_000) == 2 for _ in range(50))
        end = threading.Event()
        def busy():
            while not end.is_set():
                assert work()
        worker = threading.Thread(target=busy)
        worker.start()
        statuses = [status_of_child(helped) for _ in range(4)]
        end.set()
        worker.join()
        assert statuses == [0] * 4, statuses
    """
    run_script(library, script)


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is that of Linux' address space")
def test_threads_that_cannot_be_made_are_gone_without(library: ctypes.CDLL) -> None:
    script = """
        pages = int(open("/proc/self/statm").read().split()[0])
        limit = pages * resource.getpagesize() + 12 * 2**20
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        assert all(work(threads=40) for _ in range(3))
        assert work(threads=30)
    """
    said = run_script(library, script).splitlines()
    assert len(said) == 1, said
    assert re.fullmatch(r"ailand_gt4py: found \d threads \(.+\), expected 8: goes on with these", said[0])


def test_a_process_ends_while_a_thread_works(library: ctypes.CDLL) -> None:
    """A daemon, which Python does not wait for."""
    script = """
        threading.Thread(target=lambda: [work() for _ in range(10**6)], daemon=True).start()
        time.sleep(0.05)
    """
    for _ in range(3):
        run_script(library, script)


def test_a_library_may_be_closed_while_threads_that_it_made_live(library: ctypes.CDLL, tmp_path: pathlib.Path) -> None:
    """As DaCe closes those of programs; the pool is the first library's, which stays, the threads the second one's."""
    copies = [shutil.copy(library._name, tmp_path / f"lib{name}.so") for name in ("first", "second")]
    script = f"""
        import _ctypes, ctypes, time, numpy
        first, second = map(ctypes.CDLL, {list(map(str, copies))})
        counts = numpy.zeros(64, dtype=int)
        def share(library, threads):
            library.share_blocks(*map(ctypes.c_long, (3, 64)), threads, ctypes.c_long(1000), counts.ctypes)
        share(first, 1)
        share(second, 4)
        _ctypes.dlclose(second._handle)
        time.sleep(0.05)
        share(first, 4)
        assert (counts == 9).all()
    """
    finished = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
