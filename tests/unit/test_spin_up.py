"""Spin-up: the period before the run again and again, as by hand through restart files."""

from __future__ import annotations

import dataclasses
import os
import signal
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from ailand_gt4py.driver.spin_up import drift
from ailand_gt4py.io.before_start import begun_again
from ailand_gt4py.io.restart import Restart
from ailand_gt4py.io.stepping import Stepper
from ailand_gt4py.weights.model import Variable, previous_name
from helpers import Bench

N_TIMES = 14
#: From the file's third label on, six steps: the sun at the end is not that before the start.
PERIOD = ("--start", "2021-01-01T12", "--end", "2021-01-03")
N_STEPS = 6
OFTEN = ("--block-steps", 3, "--checkpoint-seconds", 0)


@pytest.fixture(scope="module")
def hand(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """The period run three times, each time from the restart file of the time before."""
    bench = Bench(tmp_path_factory.mktemp("hand"), n_times=N_TIMES)
    more: tuple[object, ...] = ()
    for k in range(3):
        assert bench.run(*PERIOD, *more, output=f"{k}.nc") == 0
        more = ("--restart", bench.path / f"{k}.restart.nc", "--restart-as-start")
    return bench


def same(bench: Bench, name: str, hand: Bench, expected_name: str) -> None:
    """Values to the bit; of the restart file, too."""
    for suffix in ("", ".restart"):
        found, expected = bench.open(f"{name}{suffix}.nc"), hand.open(f"{expected_name}{suffix}.nc")
        assert set(found.variables) == set(expected.variables)
        for variable in expected.variables:
            assert found[variable].values.tobytes() == expected[variable].values.tobytes(), variable


@pytest.fixture
def bench(hand: Bench, tmp_path: Path) -> Bench:
    return hand.beside(tmp_path, has_own_files=False)


def test_loops_are_runs_by_hand_through_restart_files(bench: Bench, hand: Bench, capsys: pytest.CaptureFixture) -> None:
    assert bench.run(*PERIOD, "--spin-up", 2, *OFTEN) == 0
    same(bench, "out", hand, "2")
    assert {item.name for item in bench.path.iterdir()} == {"out.nc", "out.restart.nc"}
    history = bench.open().attrs["history"]
    assert "2021-01-01T12:00 to 2021-01-03T00:00 was run 2 times before" in history
    assert "at the end of the spin-up" in history
    first, last = hand.open("0.restart.nc")["swvl2"], hand.open("1.restart.nc")["swvl2"]
    change = (last.astype(float) - first).values
    largest = np.argmax(np.abs(change))
    text = f"swvl2 {change.mean():+.3g} m3 m-3 in the mean, at most {change[largest]:+.3g} m3 m-3 (x = {100 + largest})"
    assert text in history
    error = capsys.readouterr().err
    assert text in error
    assert "loop 1 of 2 changed" in error


def test_from_a_restart_file_the_first_loop_begins_there(bench: Bench, hand: Bench) -> None:
    restart = ("--restart", hand.path / "0.restart.nc", "--restart-as-start")
    assert bench.run(*PERIOD, *restart, "--spin-up", 1) == 0
    same(bench, "out", hand, "2")
    history = bench.open().attrs["history"]
    assert "its state taken as that at the start" in history
    assert "was run once before" in history


def test_at_the_seam_the_sun_is_that_before_the_start_and_the_weather_the_last(
    bench: Bench, hand: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[dict[str, np.ndarray]] = []
    step = Stepper._step

    def look(self: Stepper, forcing: np.ndarray) -> None:
        names = [one.name for one in self.model.forcing]
        seen.append({name: np.array(forcing[:, k]) for k, name in enumerate(names)})
        step(self, forcing)

    monkeypatch.setattr(Stepper, "_step", look)
    assert bench.run("--start", "2021-01-01T06", "--end", "2021-01-03", "--spin-up", 1) == 0
    last, seam = seen[N_STEPS], seen[N_STEPS + 1]
    previous = [name for name in seam if name.endswith("_before")]
    assert previous
    for name in previous:
        np.testing.assert_array_equal(seam[name], last[name.removesuffix("_before")], name)
    for name in set(seam) - set(previous):
        np.testing.assert_array_equal(seam[name], seen[0][name], name)


@pytest.mark.parametrize("at", [4, N_STEPS, 2 * N_STEPS, 2 * N_STEPS + 4])
def test_an_interrupted_spin_up_goes_on(
    bench: Bench, hand: Bench, at: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """In a loop, at the end of one, of the last one, and in the run."""
    step, steps = Stepper._step, []

    def stop(self: Stepper, forcing: object) -> None:
        step(self, forcing)
        steps.append(1)
        if len(steps) == at:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Stepper, "_step", stop)
    spin_up = (*PERIOD, "--spin-up", 2, "--block-steps", 3)
    assert bench.run(*spin_up) == 128 + signal.SIGTERM
    assert not (bench.path / "out.nc").exists()
    capsys.readouterr()
    assert bench.run(*spin_up) == 2
    assert "an unfinished run; expected --resume to continue it" in capsys.readouterr().err
    assert bench.run(*PERIOD, "--resume", "--block-steps", 3) == 2
    assert "--spin-up was '2', now it is '0'" in capsys.readouterr().err
    assert bench.run(*spin_up, "--resume") == 0
    assert len(steps) == 3 * N_STEPS  # none was made twice
    same(bench, "out", hand, "2")
    assert bench.open().attrs["history"].count("was run 2 times before") == 1
    assert {item.name for item in bench.path.iterdir()} == {"out.nc", "out.restart.nc"}


def test_overwrite_begins_anew(bench: Bench, hand: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    step = Stepper._step

    def stop(self: Stepper, forcing: object) -> None:
        step(self, forcing)
        os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(Stepper, "_step", stop)
        assert bench.run(*PERIOD, "--spin-up", 2) == 128 + signal.SIGTERM
    assert bench.run(*PERIOD, "--spin-up", 2, "--overwrite") == 0
    same(bench, "out", hand, "2")


def test_what_goes_wrong_in_a_loop_names_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    step = Stepper._step

    def wrong(self: Stepper, forcing: object) -> None:
        step(self, forcing)
        self.state[1, 0] = np.nan

    monkeypatch.setattr(Stepper, "_step", wrong)
    assert bench.run("--spin-up", 3) == 1
    assert "spin-up, loop 1 of 3: result 'swvl1' is not finite" in capsys.readouterr().err
    assert not list(bench.path.iterdir())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--spin-up", -1), "--spin-up: found -1, expected at least 0"),
        (("--restart-as-start",), "--restart-as-start is given without --restart"),
    ],
)
def test_what_cannot_be_is_refused(
    bench: Bench, words: tuple[object, ...], message: str, capsys: pytest.CaptureFixture
) -> None:
    assert bench.run(*words) == 2
    assert message in capsys.readouterr().err


def test_drift_leaves_out_what_is_missing() -> None:
    variables = [Variable("stl1", "K"), Variable("tsn", "K"), Variable("snowc", "1")]
    first = np.array([[280.0, np.nan, 0.5], [281.0, np.nan, 0.5]], np.float32)
    last = np.array([[280.5, np.nan, 0.25], [278.0, 270.0, np.nan]], np.float32)
    assert drift(variables, first, last, np.array([7, 9])) == (
        "stl1 -1.25 K in the mean, at most -3 K (x = 9); snowc -0.25 in the mean, at most -0.25 (x = 7)"
    )


def test_what_follows_from_time_and_location_is_that_before_the_start() -> None:
    """Of the previous window; all else that a state remembers stays."""
    angle = Variable("t", "1", derived="time_of_day_cos")
    forcing = tuple(
        dataclasses.replace(one, name=f"{one.name}_before", derived=previous_name(one.name))
        for one in (angle, Variable("a", "1"))
    )
    source = SimpleNamespace(
        model=SimpleNamespace(forcing=(angle, Variable("a", "1"), *forcing)), latitude=np.array([10.0]),
        longitude=np.array([0.0]), calendar="standard", step=np.timedelta64(6, "h"),
        times=np.array(["2021-01-01T06"], "datetime64[ns]"),
    )  # fmt: skip
    one = np.ones((1, 1), np.float32)
    point = Restart(
        one, one, np.array([[0.5, 7.0]], np.float32), np.datetime64("2021-03-01T18", "ns"), one[0], one[0], one[0],
        "model", "float32", "forcing.nc",
    )  # fmt: skip
    found = begun_again(point, source)  # type: ignore[arg-type]
    assert found.valid_time == source.times[0]
    np.testing.assert_allclose(found.before, [[-1.0, 7.0]], atol=1e-3)  # solar midnight, but for the equation of time
