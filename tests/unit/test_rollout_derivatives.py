"""Derivatives of runs of many steps: against complex steps, by dot products, and how much is kept for them."""

import functools
import weakref
from typing import Any

import numpy as np
import pytest
import tangent_reference
import xarray as xr
from derivative_cases import changes_of, dot_product_error, gradients_of
from random_models import ARCHITECTURES, random_model
from tangent_reference import COMPLEX

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.emulator.emulator import Emulator
from ailand_gt4py.emulator.forcing import ForcingAssembler
from ailand_gt4py.emulator.rollout import Rollout
from ailand_gt4py.weights.model import Model, Variable

SIZES = (5, 4, 3, 3)
N_COLUMNS, N_STEPS = 8, 7


@functools.cache
def emulator_of(architecture: str, precision: str = "float64") -> Emulator:
    bounded = architecture != "two_branch"
    model = random_model(architecture, SIZES, seed=5, width=16, depth=2, bounded_by_others=bounded)
    return Emulator(model, N_COLUMNS, "embedded", precision)


def run_inputs(emulator: Emulator, n_steps: int = N_STEPS) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(4)
    sizes = emulator.model.sizes
    shapes = ((N_COLUMNS, sizes.static), (n_steps, N_COLUMNS, sizes.forcing), (N_COLUMNS, sizes.state))
    static, forcing, state = (random.normal(size=shape).astype(emulator.dtype) for shape in shapes)
    return static, forcing, state


def exact_changes(model: Model, inputs: tuple, changes: tuple) -> tuple[np.ndarray, np.ndarray]:
    """Changes of all states and diagnostics by one complex step, which is carried through the whole run."""
    size = 1e-30
    static, forcing, state = (a.astype(np.complex128) + 1j * size * d for a, d in zip(inputs, changes, strict=True))
    states, diagnostics = [], []
    for values in forcing:
        state, of_step = tangent_reference.step(model, (static, values, state), COMPLEX)
        states.append(state.imag / size)
        diagnostics.append(of_step.imag / size)
    return np.stack(states), np.stack(diagnostics)


def by_column(*arrays: np.ndarray) -> list[np.ndarray]:
    """Steps beside features: (n_columns, ...)."""
    return [np.moveaxis(a, 1, 0).reshape(a.shape[1], -1) if a.ndim == 3 else a for a in arrays]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_run_is_its_steps(architecture: str) -> None:
    emulator = emulator_of(architecture)
    static, forcing, state = run_inputs(emulator)
    states, diagnostics = Rollout(emulator).run(static, forcing, state)
    for step in range(N_STEPS):
        state, of_step = emulator.step(static, forcing[step], state)
        np.testing.assert_array_equal(states[step], state)
        np.testing.assert_array_equal(diagnostics[step], of_step)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_changes_against_complex_steps(architecture: str) -> None:
    emulator = emulator_of(architecture)
    inputs = run_inputs(emulator)
    changes = tuple(changes_of(inputs))
    found = Rollout(emulator).tangent_linear(*inputs, *changes)
    for one, expected in zip(found, exact_changes(emulator.model, inputs, changes), strict=True):
        np.testing.assert_allclose(one, expected, rtol=0.0, atol=1e-12 * np.abs(expected).max())


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_dot_products_of_every_column(architecture: str, precision: str) -> None:
    emulator = emulator_of(architecture, precision)
    inputs = run_inputs(emulator)
    rollout = Rollout(emulator)
    changes, gradients = changes_of(inputs), gradients_of(rollout.run(*inputs))
    forward, backward = rollout.tangent_linear(*inputs, *changes), rollout.adjoint(*inputs, *gradients)
    assert all(np.abs(array).max() > 0.0 for array in (*forward, *backward))
    error = dot_product_error(*(by_column(*arrays) for arrays in (changes, forward, gradients, backward)))
    assert error.max() <= {"float32": 1e-5, "float64": 1e-12}[precision]


def test_taylor_remainder_of_a_run() -> None:
    """Of the sum of all results times their gradients; the slope is two until rounding."""
    emulator = emulator_of("layer_norm")
    inputs = run_inputs(emulator)
    rollout = Rollout(emulator)
    base = rollout.run(*inputs)
    changes, gradients = changes_of(inputs), gradients_of(base)
    of_inputs = by_column(*rollout.adjoint(*inputs, *gradients))
    slope = sum((a * d).sum(axis=1) for a, d in zip(of_inputs, by_column(*changes), strict=True))
    sizes = 10.0 ** np.arange(-4.0, -7.0, -0.5)
    remainders = []
    for size in sizes:
        moved = rollout.run(*(a + size * d for a, d in zip(inputs, changes, strict=True)))
        rise = sum((g * (m - b)).sum(axis=(0, 2)) for g, m, b in zip(gradients, moved, base, strict=True))
        remainders.append(np.abs(rise - size * slope))
    terms = sum(np.abs(g * b).sum(axis=(0, 2)) for g, b in zip(gradients, base, strict=True))
    clear = np.array(remainders[1:]) > 1000.0 * np.finfo(np.float64).eps * terms
    slopes = np.log10(np.array(remainders[:-1]) / np.array(remainders[1:])) / 0.5
    assert clear.sum() > 15
    assert np.mean(np.abs(slopes[clear] - 2.0) < 0.1) > 0.8  # the others cross a kink


@pytest.mark.parametrize("n_steps", [1, 2, 6, 7])
def test_the_distance_of_what_is_kept_changes_no_bit(n_steps: int) -> None:
    emulator = emulator_of("layer_norm")
    inputs = run_inputs(emulator, n_steps)
    gradients = gradients_of(Rollout(emulator).run(*inputs))
    expected = Rollout(emulator, distance=1).adjoint(*inputs, *gradients)
    for distance in (2, 3, 5, 100, None):
        for found, wanted in zip(Rollout(emulator, distance).adjoint(*inputs, *gradients), expected, strict=True):
            np.testing.assert_array_equal(found, wanted)


class Counted:
    """An emulator that counts its steps and those of their states that somebody still holds."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator, self.steps, self.most = emulator, 0, 0
        self.held: list[weakref.ref] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.emulator, name)

    def step(self, *arguments: Any, **more: Any) -> Any:
        results = self.emulator.step(*arguments, **more)
        self.steps += 1
        self.held = [one for one in self.held if one() is not None] + [weakref.ref(results[0])]
        self.most = max(self.most, len(self.held))
        return results


@pytest.mark.parametrize(
    ("n_steps", "distance", "most_steps", "most_held"),
    # Without a distance: the states at the start of six parts, and those of one part.
    [(36, None, 60, 11), (36, 1, 35, 35), (36, 36, 35, 35), (36, 9, 59, 12), (1, None, 0, 0)],
)
def test_how_much_is_kept_and_computed_again(n_steps: int, distance: Any, most_steps: int, most_held: int) -> None:
    counted = Counted(emulator_of("simple"))
    inputs = run_inputs(counted.emulator, n_steps)
    gradient = np.ones((N_COLUMNS, SIZES[2]))
    Rollout(counted, distance).adjoint(*inputs, {n_steps - 1: gradient})  # type: ignore[arg-type]
    assert counted.steps == most_steps
    assert counted.most <= most_held


def test_gradients_of_some_steps_only() -> None:
    emulator = emulator_of("layer_norm")
    inputs = run_inputs(emulator)
    rollout = Rollout(emulator)
    of_states, of_diagnostics = (np.zeros_like(a) for a in rollout.run(*inputs))
    of_states[2] = of_diagnostics[4] = 1.0
    expected = rollout.adjoint(*inputs, of_states, of_diagnostics)
    found = rollout.adjoint(*inputs, {2: of_states[2]}, {4: of_diagnostics[4]})
    for one, wanted in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, wanted)
    np.testing.assert_array_equal(found[1][5:], 0.0)  # what comes later does not count
    for one in rollout.adjoint(*inputs):
        np.testing.assert_array_equal(one, 0.0)


def test_forcing_is_asked_for_and_its_gradients_are_handed_over_step_by_step() -> None:
    emulator = emulator_of("simple")
    static, forcing, state = run_inputs(emulator)
    rollout = Rollout(emulator)
    gradients = gradients_of(rollout.run(static, forcing, state))
    expected = rollout.adjoint(static, forcing, state, *gradients)

    class Read:
        def __len__(self) -> int:
            return N_STEPS

        def __getitem__(self, step: int) -> np.ndarray:
            return forcing[step].copy()

    handed: list[tuple[int, np.ndarray]] = []

    class Sink:
        def __setitem__(self, step: int, values: np.ndarray) -> None:
            handed.append((step, values.copy()))

    sink = Sink()
    g_static, g_forcing, g_state = rollout.adjoint(static, Read(), state, *gradients, g_forcing=sink)  # type: ignore[arg-type]
    assert g_forcing is sink
    assert [step for step, _ in handed] == list(reversed(range(N_STEPS)))
    for step, values in handed:
        np.testing.assert_array_equal(values, expected[1][step])
    np.testing.assert_array_equal(g_static, expected[0])
    np.testing.assert_array_equal(g_state, expected[2])


def test_forcing_of_the_previous_window_goes_with_that_of_the_window() -> None:
    """Its changes and gradients are those of the variable it is of, one step earlier."""
    names = ("met_tair", "met_rainf", "met_tair_before")
    assembler = ForcingAssembler(
        [
            Variable(
                name, "1", time_meaning="window mean", derived="before:met_tair" if name.endswith("before") else ""
            )
            for name in names
        ]
    )
    random = np.random.default_rng(0)
    changes, gradients = random.normal(size=(2, N_STEPS, N_COLUMNS, 3))
    given = changes.copy()
    assembler.spread(given)
    gathered = gradients.copy()
    assembler.gather(gathered)
    # Dot product: spreading changes and gathering gradients are transposes.
    changes[..., 2] = 0.0
    np.testing.assert_allclose((given * gradients).sum(), (changes * gathered).sum(), rtol=1e-13)
    np.testing.assert_array_equal(gathered[..., 2], 0.0)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"distance": 0}, "steps between the states that are kept: found 0, expected a whole number of at least 1"),
        ({"forcing": []}, "forcing: found no step, expected at least one"),
        ({"g_states": np.zeros((3, 8, 3))}, "g_states: found 3 steps, expected 7 as of the forcing"),
        ({"g_diagnostics": {7: None}}, "g_diagnostics: found the step 7, expected 0 to 6"),
        ({"g_states": {1: np.zeros((8, 2))}}, r"g_states of step 1: found the shape \(8, 2\), expected \(8, 3\)"),
        ({"g_states": {1: np.zeros(3)}}, r"g_states of step 1: found the shape \(3,\), expected \(8, 3\)"),
        ({"state": np.zeros((7, 3))}, r"state: found the shape \(7, 3\), expected \(8, 3\)"),
        (
            {"forcing": {0: np.zeros((8, 4))}},
            r"forcing: found dict, expected an array \(n_steps, n_columns, n_forcing\)",
        ),
        ({"forcing": iter([np.zeros((8, 4))])}, "forcing: found list_iterator, expected an array"),
        ({"g_forcing": np.zeros((6, 8, 4))}, r"g_forcing: found float64 \(6, 8, 4\), expected float64 \(7, 8, 4\)"),
        ({"g_forcing": np.zeros((7, 8, 4), int)}, r"g_forcing: found int64 \(7, 8, 4\), expected float64"),
    ],
)
def test_what_cannot_be_used_is_named(changed: dict[str, Any], message: str) -> None:
    emulator = emulator_of("simple")
    given = dict(zip(("static", "forcing", "state"), run_inputs(emulator), strict=True)) | changed
    distance = given.pop("distance", None)
    with pytest.raises(InputError, match=message):
        Rollout(emulator, distance).adjoint(**given)


def test_steps_of_labelled_forcing_are_along_time() -> None:
    """With as many steps as columns no shape tells them apart."""
    emulator = emulator_of("simple")
    static, forcing, state = run_inputs(emulator, N_COLUMNS)
    labelled = xr.DataArray(forcing, dims=("time", "x", "variable"))
    expected = Rollout(emulator).run(static, forcing, state)
    for one in (labelled, labelled.transpose("x", "time", "variable"), labelled.transpose("variable", "x", "time")):
        for values, wanted in zip(Rollout(emulator).run(static, one, state), expected, strict=True):
            np.testing.assert_array_equal(values, wanted)
    other = labelled.rename(time="step").transpose("x", "step", "variable")
    with pytest.raises(
        InputError, match=r"forcing: found the dimensions \(x, step, variable\), expected that of steps"
    ):
        Rollout(emulator).run(static, other, xr.DataArray(state, dims=("x", "variable")))


def test_changes_of_another_number_of_steps() -> None:
    emulator = emulator_of("simple")
    inputs = run_inputs(emulator)
    with pytest.raises(InputError, match="d_forcing: found 3 steps, expected 7 as of the forcing"):
        Rollout(emulator).tangent_linear(*inputs, d_forcing=inputs[1][:3])
