"""Emulators of one process share the programs that GT4Py makes for networks of the same shape."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from random_models import random_model

from ailand_gt4py.emulator.emulator import Emulator
from ailand_gt4py.lowering.calls import operator_call
from ailand_gt4py.weights.model import Model

SIZES = (4, 3, 2, 2)


def arrays(n_columns: int, seed: int = 0) -> list[np.ndarray]:
    return [np.random.default_rng(seed).normal(size=(n_columns, size)).astype(np.float32) for size in SIZES[:3]]


def diagnosed(n_diagnostics: int, backend: str) -> tuple[np.ndarray, ...]:
    """A step of a network with so many diagnostics."""
    model = random_model("simple", (*SIZES[:3], n_diagnostics), seed=3)
    return Emulator(model, 4, backend).step(*arrays(4))


@pytest.fixture(scope="module")
def models() -> list[Model]:
    """Of the same shape, with other weights."""
    return [random_model("simple", SIZES, seed=seed) for seed in (1, 2)]


def n_compiled() -> int:
    return sum(call.backend is not None for call, _ in operator_call._SHARED.values())


def agree(emulator: Emulator, seed: int = 0) -> None:
    """With GT4Py's embedded execution."""
    given = arrays(emulator.n_columns, seed)
    expected = Emulator(emulator.model, emulator.n_columns, "embedded").step(*given)
    for found, wanted in zip(emulator.step(*given), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=2e-5, atol=2e-6)


@pytest.mark.slow
def test_emulators_of_one_shape_share_a_program_and_nothing_else(models: list[Model]) -> None:
    first = Emulator(models[0], 5)
    first.compile()
    n_programs = n_compiled()
    others = [Emulator(models[1], 5), Emulator(models[0], 9), Emulator(models[1], 70)]
    for emulator in [first, *others, *others, first]:  # the first call of each, then a bound one, in turn
        agree(emulator)
    assert n_compiled() == n_programs


@pytest.mark.parametrize("backend", ["embedded", pytest.param("dace_cpu", marks=pytest.mark.slow)])
def test_networks_with_other_numbers_of_diagnostics_share_it_too(backend: str) -> None:
    """Of one shape are networks of the same depths and units; how many diagnostics they have is an array's extent."""
    reference = {}
    with pytest.MonkeyPatch.context() as patch:
        for n_diagnostics in (2, 5, 3):
            patch.setattr(operator_call, "_SHARED", {})  # each alone
            reference[n_diagnostics] = diagnosed(n_diagnostics, "embedded")
    for n_diagnostics, expected in reference.items():
        for found, wanted in zip(diagnosed(n_diagnostics, backend), expected, strict=True):
            np.testing.assert_allclose(found, wanted, rtol=2e-5, atol=2e-6)


@pytest.mark.slow
def test_derivatives_are_shared_likewise(models: list[Model]) -> None:
    emulators = [Emulator(models[0], 5), Emulator(models[1], 8)]
    emulators[0].compile(adjoint=True)
    n_programs = n_compiled()
    for emulator in [*emulators, *emulators]:
        given = arrays(emulator.n_columns, 3)
        seeds = [np.ones((emulator.n_columns, size), np.float32) for size in SIZES[2:]]
        expected = Emulator(emulator.model, emulator.n_columns, "embedded").adjoint(*given, *seeds)
        for found, wanted in zip(emulator.adjoint(*given, *seeds), expected, strict=True):
            np.testing.assert_allclose(found, wanted, rtol=2e-4, atol=2e-5)
    assert n_compiled() == n_programs


@pytest.mark.slow
def test_networks_of_other_shapes_and_types_have_their_own(models: list[Model]) -> None:
    Emulator(models[0], 5).compile()
    n_programs = n_compiled()
    agree(Emulator(random_model("simple", SIZES, seed=4, width=7), 5))
    Emulator(models[0], 5, precision="float64").compile()
    assert n_compiled() == n_programs + 2


@pytest.mark.slow
def test_threads_may_begin_at_the_same_time(models: list[Model]) -> None:
    emulators = [Emulator(models[k % 2], 10 + k) for k in range(8)]
    failures: list[BaseException] = []
    begin = threading.Barrier(len(emulators))

    def work(k: int) -> None:
        try:
            begin.wait()
            for seed in range(3):
                agree(emulators[k], seed)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(len(emulators))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
