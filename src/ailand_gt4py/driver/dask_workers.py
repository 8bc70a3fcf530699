"""Dask's workers as the team of a run: processes of this machine, or those of a cluster.

A worker that dies is replaced by Dask, and its part goes on from its last checkpoint elsewhere.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import dask

from ailand_gt4py.core.errors import InputError, RunError, reason
from ailand_gt4py.driver.part_run import Outcome, Task, carried_out

logger = logging.getLogger(__name__)

#: So many workers may die with a part before it is given up.
MOST_DEATHS = 10
#: Seconds between two looks at the workers, and those that one is waited for.
LOOK_SECONDS, WAIT_SECONDS = 0.3, 120


def require_distributed() -> None:
    """Check that Dask's scheduler is there.

    Raises:
        InputError: naming the extra that has it.
    """
    try:
        import distributed  # noqa: F401
    except ImportError as error:
        raise InputError(
            "options --workers and --scheduler need the package distributed, which is not installed; expected: pip "
            "install 'ailand_gt4py[dask]'"
        ) from error


class DaskWorkers:
    """The workers that a client of ``distributed`` knows; see `driver.shared_run.Team`."""

    def __init__(self, client: Any) -> None:
        self._client, self._known = client, set(client.nthreads())
        self.size, self._seen = len(self._known), time.monotonic()

    def carry_out(self, tasks: Sequence[Task], meanwhile: Callable[[], None]) -> Iterable[Outcome]:
        waiting = [self._client.submit(carried_out, task, pure=False) for task in tasks]
        try:
            while waiting:
                time.sleep(LOOK_SECONDS)
                meanwhile()
                self._look()
                for one in [one for one in waiting if one.done()]:
                    waiting.remove(one)
                    yield self._outcome(one)
        finally:
            self._client.cancel(waiting)

    def _outcome(self, future: Any) -> Outcome:
        try:
            outcome: Outcome = future.result()
            return outcome
        except Exception as error:  # what Dask says where no worker could tell
            return Outcome(False, RunError(f"a part was given up by Dask: {type(error).__name__}: {reason(error)}"), [])

    def _look(self) -> None:
        """Say which workers have died.

        Raises:
            RunError: there has been none for long.
        """
        found = set(self._client.nthreads())
        self._seen = time.monotonic() if found else self._seen
        if time.monotonic() - self._seen > WAIT_SECONDS:
            raise RunError(f"no Dask worker was available for {WAIT_SECONDS} s, expected at least one")
        for lost in sorted(self._known - found):
            logger.warning("worker %s was lost; another worker continues its part from the last checkpoint", lost)
        self._known = found


def _without_interrupts() -> Any:
    """Makes workers ignore the interrupts that a terminal sends to all its processes: the run tells them to stop."""
    from distributed.diagnostics.plugin import WorkerPlugin

    class WithoutInterrupts(WorkerPlugin):  # type: ignore[misc]
        def setup(self, worker: Any) -> None:
            signal.signal(signal.SIGINT, signal.SIG_IGN)

    return WithoutInterrupts()


@contextlib.contextmanager
def of_this_machine(n_workers: int) -> Iterator[DaskWorkers]:
    """So many processes, which share the cores unless OMP_NUM_THREADS says how many threads each has."""
    from distributed import Client, LocalCluster

    threads = max(1, len(os.sched_getaffinity(0)) // n_workers)
    settings = {
        "distributed.scheduler.allowed-failures": MOST_DEATHS,
        # For the emulator's kernels; what stands in the environment takes precedence.
        "distributed.nanny.pre-spawn-environ.OMP_NUM_THREADS": threads,
    }
    before = os.environ.copy()
    with tempfile.TemporaryDirectory(prefix="ailand-") as folder, dask.config.set(settings):
        try:
            with (
                LocalCluster(
                    n_workers=n_workers, threads_per_worker=1, processes=True, memory_limit=0,
                    dashboard_address="127.0.0.1:0", silence_logs=logging.CRITICAL, local_directory=folder,
                ) as cluster,
                Client(cluster, set_as_default=False) as client,
            ):  # fmt: skip
                client.wait_for_workers(n_workers, timeout=WAIT_SECONDS)
                client.register_plugin(_without_interrupts())
                yield DaskWorkers(client)
        finally:
            os.environ.clear()  # Dask sets what its workers get
            os.environ.update(before)


@contextlib.contextmanager
def of_cluster(address: str) -> Iterator[DaskWorkers]:
    """The workers of a cluster whose scheduler has an address.

    Raises:
        InputError: there is none, or it has no worker.
    """
    from distributed import Client

    try:
        client = Client(address, set_as_default=False, timeout=WAIT_SECONDS // 4)
    except (OSError, ValueError) as error:
        raise InputError(f"option --scheduler: {address} cannot be reached ({reason(error)})") from error
    with client:
        try:
            client.wait_for_workers(1, timeout=WAIT_SECONDS // 4)
        except TimeoutError as error:
            raise InputError(f"option --scheduler: {address} has no worker, expected at least one") from error
        yield DaskWorkers(client)
