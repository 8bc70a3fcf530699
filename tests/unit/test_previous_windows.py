"""Forcing of the window before the previous one, and so on: chains of inputs of previous windows."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.emulator.forcing import ForcingAssembler, derived_forcing
from ailand_gt4py.weights.model import Variable, previous_name, previous_positions
from ailand_gt4py.weights.processing import Step

N_WINDOWS, N_COLUMNS = 6, 2


def variable(name: str, of: str = "") -> Variable:
    return Variable(name, "1", derived=previous_name(of) if of else "")


#: What is repeated stands behind what repeats it, too.
FORCING = (
    variable("a_before3", "a_before2"),
    variable("a"),
    variable("a_before", "a"),
    variable("b_before", "b"),
    variable("a_before2", "a_before"),
    variable("b"),
)
NAMES = [one.name for one in FORCING]


def expected(own: dict[str, np.ndarray], name: str, window: int) -> np.ndarray:
    """The value so many windows before, of the first windows that of the first one."""
    root, _, count = name.partition("_before")
    return own[root][max(window - (int(count or 1) if "_before" in name else 0), 0)]


def own_values(seed: int = 0) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    return {name: random.normal(size=(N_WINDOWS, N_COLUMNS)) for name in ("a", "b")}


def filled(own: dict[str, np.ndarray]) -> np.ndarray:
    forcing = np.full((N_WINDOWS, N_COLUMNS, len(FORCING)), np.nan)
    for name, values in own.items():
        forcing[..., NAMES.index(name)] = values
    return forcing


@pytest.mark.parametrize("together", [1, 2, 4, N_WINDOWS])
def test_chains_reach_back_whatever_number_of_windows_is_made_together(together: int) -> None:
    own = own_values()
    forcing, assembler, previous = filled(own), ForcingAssembler(FORCING), None
    for first in range(0, N_WINDOWS, together):
        part = forcing[first : first + together]
        assembler.fill_previous(part, previous)
        previous = assembler.of_window(part[-1])
    for window in range(N_WINDOWS):
        for k, name in enumerate(NAMES):
            np.testing.assert_array_equal(forcing[window, :, k], expected(own, name, window), f"{name} of {window}")


def test_what_is_not_known_of_the_window_before_is_the_windows_own() -> None:
    own = own_values()
    forcing, assembler = filled(own), ForcingAssembler(FORCING)
    known = np.full((N_COLUMNS, len(assembler.previous)), np.nan)
    known[:, [NAMES[k] for k in assembler.previous].index("a_before")] = 7.0
    assembler.fill_previous(forcing, known)
    np.testing.assert_array_equal(forcing[0, :, NAMES.index("a_before")], 7.0)
    np.testing.assert_array_equal(forcing[0, :, NAMES.index("a_before2")], 7.0)
    np.testing.assert_array_equal(forcing[1, :, NAMES.index("a_before2")], 7.0)
    np.testing.assert_array_equal(forcing[0, :, NAMES.index("b_before")], own["b"][0])


def test_what_is_missing_of_an_imputed_variable_stays_missing() -> None:
    """What is infinite is not known, of any variable."""
    imputed = Variable("a", "1", processing=(Step("impute", (0.0,)),))
    for one, previous, expected_value in (
        (imputed, np.nan, np.nan),
        (variable("a"), np.nan, 3.0),
        (imputed, np.inf, 3.0),
        (variable("a"), np.inf, 3.0),
    ):
        forcing = (one, dataclasses.replace(one, name="a_before", derived=previous_name("a")))
        values = np.full((2, 1, 2), 3.0)
        ForcingAssembler(forcing).fill_previous(values, np.full((1, 1), previous))
        np.testing.assert_array_equal(values[:, 0, 1], [expected_value, 3.0])


def test_before_the_start_is_what_follows_from_time_and_location() -> None:
    """At the time of the window that it is of; nothing else is known."""
    angle = dataclasses.replace(variable("t"), derived="time_of_day_cos")
    forcing = (*FORCING, angle, variable("t_before", "t"), variable("t_before2", "t_before"))
    where = np.array([10.0, -50.0]), np.array([20.0, 300.0])
    assembler = ForcingAssembler(forcing, *where)
    assert assembler.n_before == 3
    found = assembler.before_start(np.datetime64("2021-03-04T06", "ns"), 21_600.0, np.dtype("float64"))
    for k, position in enumerate(assembler.previous):
        expected_value = np.full(2, np.inf)
        count = {"t_before": 1, "t_before2": 2}.get(forcing[position].name)
        if count:
            time = np.datetime64("2021-03-04T06", "ns") - count * np.timedelta64(6, "h")
            values = np.empty((2, 1))
            derived_forcing(*where, time, 21_600.0, ["time_of_day_cos"], values)
            expected_value = values[:, 0]
        np.testing.assert_array_equal(found[:, k], expected_value)


@pytest.mark.parametrize("has_previous", [False, True])
def test_gathering_is_the_adjoint_of_spreading(has_previous: bool) -> None:
    random, assembler = np.random.default_rng(1), ForcingAssembler(FORCING)
    tangent, before = filled(own_values(2)), None
    if has_previous:
        before = random.normal(size=(N_COLUMNS, len(assembler.previous)))
    own = np.where(np.isnan(tangent), 0.0, tangent)
    assembler.spread(tangent, before)
    assert np.isfinite(tangent).all()
    given = random.normal(size=tangent.shape)
    adjoint = given.copy()
    adjoint_before = assembler.gather(adjoint, has_previous)
    total = (adjoint * own).sum() + (0.0 if before is None else (adjoint_before * before).sum())
    assert total == pytest.approx((given * tangent).sum(), rel=1e-13)
    assert (adjoint_before is None) == (not has_previous)


def test_spreading_is_the_derivative_of_filling() -> None:
    own, change = filled(own_values(3)), filled(own_values(4))
    moved = own + change
    assembler = ForcingAssembler(FORCING)
    for values in (own, moved):
        assembler.fill_previous(values)
    assembler.spread(change)
    np.testing.assert_allclose(moved - own, change, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize(
    "forcing",
    [
        (variable("a"), variable("b_before", "b")),
        (variable("a"), variable("a_before2", "a_before")),
        (variable("a"), variable("x", "y"), variable("y", "x")),
        (variable("a"), variable("x", "x")),
    ],
)
def test_chains_must_end_at_the_forcing_of_the_window(forcing: tuple[Variable, ...]) -> None:
    with pytest.raises(InputError, match="of the previous window, which is not among the forcing .* expected one of a"):
        previous_positions(forcing)


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (2, 0, 1)])
def test_forcing_may_lie_in_memory_in_any_order(order: tuple[int, ...]) -> None:
    """Windows, columns and variables: training keeps each column's windows together, runs each variable's."""
    own = FORCING[1]
    sun = dataclasses.replace(own, name="sun", derived="toa_incoming_shortwave_flux")
    where, shape = (np.array([10.0, 50.0, -30.0]), np.array([0.0, 90.0, 200.0])), (4, 3, 2)
    times = np.datetime64("2021-05-01", "us") + np.arange(4) * np.timedelta64(6, "h")
    given = np.arange(12.0).reshape(4, 3, 1)
    found = np.empty([shape[axis] for axis in order]).transpose(np.argsort(order))
    ForcingAssembler([own, sun], *where).assemble(found, given, times, 21_600.0)
    expected = np.empty((4, 3, 1))
    derived_forcing(*where, times, 21_600.0, [sun.derived], expected)
    np.testing.assert_array_equal(found, np.concatenate([given, expected], axis=-1))
