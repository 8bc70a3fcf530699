"""The land component with a model that takes forcing of the previous window."""

import logging
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from land_hosts import HOUR, PRESCRIBED, START, Host, expected_windows, previous_window_model

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.emulator.forcing import ForcingAssembler
from ailand_gt4py.integration.component import LandComponent

MODEL = previous_window_model()
MASK = np.array([True, False, True, True, False, True, False])
HOST = Host(MASK.shape)
NAMES = [variable.name for variable in MODEL.forcing]


def run(land: LandComponent, n_steps: int, first: int = 0, spoilt: tuple[int, ...] = ()) -> list[dict[str, np.ndarray]]:
    """The outputs after each of so many hourly steps; in spoilt ones the air temperature at point 2 is NaN."""
    results = []
    for hour in range(first, first + n_steps):
        weather = HOST.weather(START + hour * HOUR)
        if hour in spoilt:
            weather["met_tair"][2] = np.nan
        outputs = land(weather, START + hour * HOUR)
        results.append({name: np.array(field) for name, field in outputs.items()})
    return results


@pytest.mark.parametrize("n_windows", [1, 2, 4])
@pytest.mark.parametrize("backend", ["embedded", pytest.param("dace_cpu", marks=pytest.mark.slow)])
def test_component_is_the_emulator_on_means_of_a_window_and_the_one_before(n_windows: int, backend: str) -> None:
    """In the first window both are the window's own: not those of the provisional step's single sample."""
    land = HOST.component(MODEL, MASK, backend=backend)
    run(land, 6 * n_windows + 1)
    state, diagnostics = expected_windows(MODEL, HOST, MASK, n_windows)
    np.testing.assert_allclose(land.state, state, rtol=1e-12)
    np.testing.assert_allclose(land.diagnostics, diagnostics, rtol=1e-12)


def test_the_host_is_not_asked_for_them() -> None:
    land = HOST.component(MODEL, MASK)
    assert set(land.inputs_properties) == set(HOST.weather(START))
    with pytest.raises(InputError, match="prescribed 'met_tair_before': expected an input that a host gives"):
        HOST.component(MODEL, MASK, prescribed=PRESCRIBED | {"met_tair_before": 280.0})
    with pytest.raises(InputError, match="met_tair_before: the model takes no such field"):
        HOST.component(MODEL, MASK, units={"met_tair_before": "K"})


def test_the_host_may_give_them_for_the_first_window() -> None:
    """Those that it gives; the others are the window's own, or follow from time and location."""
    given = HOST.field(284.0)
    land = HOST.component(MODEL, MASK, previous_forcing={"met_tair_before": given})
    run(land, 7)
    forcing = land._columns.forcing
    np.testing.assert_array_equal(forcing[:, NAMES.index("met_tair_before")], 284.0)
    np.testing.assert_array_equal(forcing[:, NAMES.index("met_swdown_before")], forcing[:, NAMES.index("met_swdown")])
    run(land, 6, first=7)
    assert (land._columns.forcing[:, NAMES.index("met_tair_before")] != 284.0).all()
    with pytest.raises(InputError, match="previous forcing 'met_tair': expected an input of previous windows: lai_h"):
        HOST.component(MODEL, MASK, previous_forcing={"met_tair": given})
    with pytest.raises(InputError, match="met_tair_before: found 11 at point 0 and 3 more land points, expected 1"):
        HOST.component(MODEL, MASK, previous_forcing={"met_tair_before": HOST.field(11.0)})


def test_what_was_prescribed_in_the_previous_window_is_remembered() -> None:
    land = HOST.component(MODEL, MASK)
    run(land, 7)
    land.prescribe("lai_hv", 4.0)
    run(land, 12, first=7)
    windows = [PRESCRIBED, PRESCRIBED | {"lai_hv": 4.0}, PRESCRIBED | {"lai_hv": 4.0}]
    np.testing.assert_allclose(land.state, expected_windows(MODEL, HOST, MASK, 3, windows)[0], rtol=1e-12)
    assert not np.allclose(land.state, expected_windows(MODEL, HOST, MASK, 3)[0], rtol=1e-6)


@pytest.mark.parametrize("n_steps", [0, 1, 4, 6, 7, 11, 12, 13])
def test_restart_is_exact_to_the_bit(tmp_path: Path, n_steps: int) -> None:
    land = HOST.component(MODEL, MASK, between="interpolate")
    run(land, n_steps)
    land.write_restart(tmp_path / "land.nc")
    other = HOST.component(MODEL, MASK, between="interpolate")
    other.restore(tmp_path / "land.nc")
    for first, second in zip(run(land, 14, first=n_steps), run(other, 14, first=n_steps), strict=True):
        for name, values in first.items():
            assert values.tobytes() == second[name].tobytes(), name
    assert land.state.tobytes() == other.state.tobytes()


def test_in_derivatives_the_previous_window_is_constant() -> None:
    """Of the third window, by central differences that leave the forcing of the second one as it was."""
    land = HOST.component(MODEL, MASK, derivatives=True)
    columns = land._columns
    run(land, 12)
    state = land.state.copy()
    outputs = run(land, 1, first=12)[0]
    for output, flux, forcing, step in (
        ("sensible_heat_flux_derivative_by_air_temperature", "sshf", "met_tair", 1e-3),
        ("latent_heat_flux_derivative_by_specific_humidity", "slhf", "met_qair", 1e-7),
    ):
        position = [variable.name for variable in MODEL.diagnostics].index(flux)
        values = []
        for sign in (1.0, -1.0):
            changed = columns.forcing.copy()
            changed[:, NAMES.index(forcing)] += sign * step
            values.append(land.emulator.step(columns._static, changed, state)[1][:, position])
        expected = -(values[0] - values[1]) / (2.0 * step)
        assert (expected != 0.0).any()
        np.testing.assert_allclose(outputs[output][MASK], expected, rtol=1e-5, atol=1e-8 * np.abs(expected).max())
    np.testing.assert_array_equal(
        outputs["sensible_heat_flux_air_temperature"][MASK], columns.forcing[:, NAMES.index("met_tair")]
    )


def test_a_window_that_was_not_finite_spoils_no_other(caplog: pytest.LogCaptureFixture) -> None:
    """There is none before the one after it, which then has its own instead."""
    land, same = (HOST.component(MODEL, MASK, not_finite="flag") for _ in range(2))
    with caplog.at_level(logging.WARNING):
        run(land, 13, spoilt=(8,))
    run(same, 13)
    assert "met_tair: found a number that is not finite at point 2, 2020-06-01T08:00" in caplog.text
    np.testing.assert_array_equal(land.flagged, [False, True, False, False])
    run(land, 6, first=13)
    run(same, 6, first=13)
    assert not land.flagged.any()
    np.testing.assert_array_equal(land.state[[0, 2, 3]], same.state[[0, 2, 3]])
    forcing = land._columns.forcing[1]
    assert forcing[NAMES.index("met_tair_before")] == forcing[NAMES.index("met_tair")]
    swdown = NAMES.index("met_swdown_before")
    assert forcing[swdown] == same._columns.forcing[1, swdown] != forcing[NAMES.index("met_swdown")]


def test_host_fields_are_neither_copied_nor_changed_and_memory_stays() -> None:
    land = HOST.component(MODEL, MASK)
    own = {name: array for name, array in land._columns.memory().items() if name.endswith("forcing")}
    assert set(own) == {"forcing", "previous_forcing"}
    for hour in range(13):
        weather = HOST.weather(START + hour * HOUR)
        copies = {name: field.copy() for name, field in weather.items()}
        for field in weather.values():
            field.setflags(write=False)
        land(weather, START + hour * HOUR)
        for name, field in weather.items():
            np.testing.assert_array_equal(field, copies[name])
            assert not np.shares_memory(land._columns.memory()["previous_forcing"], field)
    assert all(land._columns.memory()[name] is array for name, array in own.items())


def test_nothing_is_allocated_to_remember() -> None:
    n_land = 50_000
    forcing: Any = np.zeros((n_land, len(NAMES)))
    assembler = ForcingAssembler(MODEL.forcing)
    remembered = np.full((len(assembler.previous), n_land), np.nan)
    assembler.fill_previous(forcing[None], remembered.T)
    tracemalloc.start()
    try:
        for _ in range(2):
            assembler.fill_previous(forcing[None], remembered.T)
            assembler.of_window(forcing, out=remembered.T)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < n_land, "less than a byte for each column"
