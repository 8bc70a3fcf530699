"""One thread at a time on one object: the other one is told, in a forked process nobody is."""

import os
import pathlib
import threading
from collections.abc import Callable

import numpy as np
import pytest
from land_hosts import START, Host, small_model
from random_models import random_model

from ailand_gt4py.core.errors import RunError
from ailand_gt4py.core.turns import Turn, in_turn
from ailand_gt4py.emulator.emulator import Emulator

MESSAGE = "emulator: found a call while one of another thread was not finished, expected one thread at a time"


def in_thread(call: Callable[[], object]) -> BaseException | None:
    """What a call raises in a thread of its own."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            call()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return raised[0] if raised else None


class Counted:
    def __init__(self) -> None:
        self.turn, self.calls = Turn("counted"), 0

    @in_turn
    def call(self, fails: bool = False) -> int:
        """Count."""
        self.calls += 1
        if fails:
            raise ZeroDivisionError
        return self.calls if self.calls > 1 else self.call()


def test_a_method_takes_the_turn_and_gives_it_back() -> None:
    counted = Counted()
    assert counted.call() == 2
    assert Counted.call.__doc__ == "Count."
    with pytest.raises(ZeroDivisionError):
        counted.call(fails=True)
    assert in_thread(counted.call) is None
    release = counted.turn.take()
    assert counted.call() == 5
    error = in_thread(counted.call)
    assert isinstance(error, RunError)
    assert str(error).startswith("counted: found a call while one of another thread")
    release()
    assert in_thread(counted.call) is None
    assert counted.calls == 6


def test_every_method_that_runs_a_program_takes_the_emulators_turn() -> None:
    emulator = Emulator(random_model("simple", (4, 3, 2, 2)), 2, "embedded")
    inputs = [np.zeros((2, size), np.float32) for size in (4, 3, 2)]
    emulator.turn.take()
    for call in (
        lambda: emulator.step(*inputs),
        lambda: emulator.prepare_static(inputs[0]),
        lambda: emulator.tangent_linear(*inputs),
        lambda: emulator.tangent_linear_of_states(*inputs, inputs[2][:, None]),
        lambda: emulator.adjoint(*inputs),
        lambda: emulator.jacobian(*inputs),
        lambda: emulator.compile(),
    ):
        assert MESSAGE in str(in_thread(call))
    emulator.step(*inputs)


def test_two_threads_on_one_emulator_get_right_results_or_an_error() -> None:
    emulator = Emulator(random_model("simple", (5, 4, 3, 2), seed=7, width=24), 3000, "dace_cpu")
    random = np.random.default_rng(0)
    given = [[random.normal(size=(3000, size)).astype(np.float32) for size in (5, 4, 3)] for _ in range(2)]
    expected = [emulator.step(*inputs) for inputs in given]
    outs = [tuple(np.empty_like(result) for result in results) for results in expected]
    found: list[str] = []

    def steps(which: int) -> None:
        for k in range(150):
            try:
                results = emulator.step(*given[which], out=outs[which] if k % 3 else None)
            except RunError as error:
                found.append("refused" if MESSAGE in str(error) else str(error))
                continue
            right = all(np.array_equal(*pair) for pair in zip(results, expected[which], strict=True))
            found.append("right" if right else "wrong")

    threads = [threading.Thread(target=steps, args=(which,)) for which in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 300
    assert set(found) <= {"right", "refused"}
    assert "right" in found


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:This process")  # of Python 3.12, which sees the other thread
def test_the_turn_of_a_thread_ends_in_a_forked_process() -> None:
    turn, taken, leave = Turn("object"), threading.Event(), threading.Event()

    def hold() -> None:
        release = turn.take()
        taken.set()
        leave.wait()
        release()

    holder = threading.Thread(target=hold)
    holder.start()
    taken.wait()
    child = os.fork()
    if child == 0:
        try:
            turn.take()()
            turn.take()
            os._exit(0 if isinstance(in_thread(turn.take), RunError) else 1)
        finally:
            os._exit(2)
    assert os.waitpid(child, 0)[1] == 0
    with pytest.raises(RunError, match="object: found a call"):
        turn.take()
    leave.set()
    holder.join()
    turn.take()()


def test_a_land_component_is_of_one_thread_at_a_time(tmp_path: pathlib.Path) -> None:
    host = Host((2,))
    land = host.component(small_model(), np.array([True, True]))
    release = land.turn.take()
    for call in (
        lambda: land(host.weather(START), START),
        lambda: land.accumulate(host.weather(START), START),
        lambda: land.advance(START),
        lambda: land.prescribe("lai_hv", 1.0),
        lambda: land.write_restart(tmp_path / "land.nc"),
        lambda: land.restore(tmp_path / "land.nc"),
    ):
        assert "land component: found a call while one of another thread" in str(in_thread(call))
    assert not list(tmp_path.iterdir())
    release()
    land(host.weather(START), START)
