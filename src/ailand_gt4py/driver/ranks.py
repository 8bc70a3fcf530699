"""The ranks of MPI as the team of a run that ``mpirun`` started: rank 0 makes the run, the others serve it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ailand_gt4py.core.errors import InputError

#: What launchers tell a process: its rank, and how many there are.
_LAUNCHERS = (
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("PMI_RANK", "PMI_SIZE"),
    ("MV2_COMM_WORLD_RANK", "MV2_COMM_WORLD_SIZE"),
    ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS"),
)
#: Seconds between two looks for a message: MPI itself would wait with all of a core.
LOOK_SECONDS = 0.05


def launched() -> tuple[int, int]:
    """Rank of this process and number of ranks, by the environment; MPI is not looked at."""
    for rank, size in _LAUNCHERS:
        texts = os.environ.get(rank, ""), os.environ.get(size, "")
        if all(text.isdecimal() for text in texts):
            return int(texts[0]), int(texts[1])
    return 0, 1


class Ranks:
    """All ranks, on each of them; on rank 0 a `driver.shared_run.Team`.

    Raises:
        InputError: MPI's package is missing, or does not see the ranks that were started.
    """

    def __init__(self, size: int) -> None:
        try:
            from mpi4py import MPI
        except ImportError as error:
            raise InputError(
                f"started as {size} processes, which needs mpi4py, and that is not installed; expected: pip install "
                "'ailand_gt4py[mpi]', or one process"
            ) from error
        self._comm: Any = MPI.COMM_WORLD
        if self._comm.size != size:
            raise InputError(
                f"started as {size} processes, of which MPI sees {self._comm.size}; expected the launcher of the MPI "
                "that mpi4py was built with"
            )
        self.size, self.rank = size, self._comm.rank
        self._share_cores(MPI.COMM_TYPE_SHARED)

    def _share_cores(self, shared: int) -> None:
        """Each rank of a machine gets its share of the cores, unless the environment says how many threads it has."""
        beside = self._comm.Split_type(shared)
        own = sorted(os.sched_getaffinity(0))
        among = beside.allgather(own).count(own)
        os.environ.setdefault("OMP_NUM_THREADS", str(max(1, len(own) // among)))
        beside.Free()

    def carry_out(self, tasks: Sequence[Any], meanwhile: Callable[[], None]) -> Iterable[Any]:
        """See `driver.shared_run.Team`; rank 0 has its share of them, too."""
        from ailand_gt4py.driver.part_run import carried_out

        shares: list[list[Any]] = [[] for _ in range(self.size)]
        for task in sorted(tasks, key=lambda task: -task.part.n_columns):
            min(shares, key=lambda share: sum(one.part.n_columns for one in share)).append(task)
        for rank, share in enumerate(shares[1:], 1):
            self._comm.send(share, dest=rank)
        for task in shares[0]:
            yield carried_out(task, meanwhile)
        for _ in range(len(tasks) - len(shares[0])):
            last = time.monotonic()
            while not self._comm.iprobe():
                time.sleep(LOOK_SECONDS)
                if time.monotonic() - last > 10 * LOOK_SECONDS:
                    meanwhile()
                    last = time.monotonic()
            yield self._comm.recv()

    def release(self) -> None:
        """On rank 0, at the end: the others need not wait any more."""
        for rank in range(1, self.size):
            self._comm.send(None, dest=rank)

    def serve(self) -> None:
        """On the other ranks: carry out what rank 0 sends, until it releases them."""
        from ailand_gt4py.driver.interruption import stop_signals

        with stop_signals() as received:
            while (tasks := self._received()) is not None:
                for task in tasks:
                    self._comm.send(self._carried_out(task, received), dest=0)

    def _received(self) -> Any:
        while not self._comm.iprobe(source=0):
            time.sleep(LOOK_SECONDS)
        return self._comm.recv(source=0)

    def _carried_out(self, task: Any, received: list[int]) -> Any:
        from ailand_gt4py.driver.part_run import carried_out

        def meanwhile() -> None:
            if received:
                task.directory.stop(received[0])

        return carried_out(task, meanwhile)
