"""The land component: the emulator's step on a host's window means, on the host's own memory."""

import logging
from pathlib import Path
from typing import Any

import gt4py.next as gtx
import numpy as np
import pytest
from gt4py.next.otf.workflow import CachedStep
from hypothesis import given, settings
from hypothesis import strategies as st
from land_hosts import HOUR, PRESCRIBED, START, Host, expected_windows, small_model

from ailand_gt4py.core import arrays
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.ecland.surface_tables import background_albedo
from ailand_gt4py.emulator.emulator import Emulator
from ailand_gt4py.integration.component import LandComponent
from ailand_gt4py.integration.host_points import HostPoints
from ailand_gt4py.lowering.calls.operator_call import RepeatedCall

MODEL = small_model()
LEAVES = {name: value for name, value in PRESCRIBED.items() if name != "albedo_background"}
MASK = np.array([True, False, True, True, False, True, False])
HOST = Host(MASK.shape)
Cell = gtx.Dimension("Cell")
K = gtx.Dimension("K", kind=gtx.DimensionKind.VERTICAL)


def run(land: LandComponent, host: Host, n_steps: int, first: int = 0) -> dict[str, np.ndarray]:
    """The outputs after so many hourly steps."""
    outputs: dict[str, Any] = {}
    for hour in range(first, first + n_steps):
        time = START + hour * HOUR
        outputs = land(host.weather(time), time)
    return {name: np.array(arrays.as_array(field, "cpu", name)) for name, field in outputs.items()}


def test_component_is_the_emulator_on_window_means() -> None:
    land = HOST.component(MODEL, MASK)
    outputs = run(land, HOST, 13)
    state, diagnostics = expected_windows(MODEL, HOST, MASK, 2)
    np.testing.assert_allclose(land.state, state, rtol=1e-12)
    np.testing.assert_allclose(land.diagnostics, diagnostics, rtol=1e-12)
    names = [variable.name for variable in MODEL.diagnostics]
    for output, name, sign in (
        ("surface_temperature", "skt", 1.0),
        ("surface_upward_sensible_heat_flux", "sshf", -1.0),
        ("surface_upward_latent_heat_flux", "slhf", -1.0),
        ("air_temperature_at_2m", "t2m", 1.0),
        ("dew_point_temperature_at_2m", "d2m", 1.0),
    ):
        np.testing.assert_allclose(outputs[output][MASK], sign * diagnostics[:, names.index(name)], rtol=1e-12)
        assert np.isnan(outputs[output][~MASK]).all()


def test_derivatives_are_those_of_the_fluxes() -> None:
    """Of the emulator's step, by central differences in float64, whose error is far above the tangent-linear's."""
    land = HOST.component(MODEL, MASK, derivatives=True)
    outputs = run(land, HOST, 1)
    emulator, columns = land.emulator, land._columns
    assert emulator is not None
    names = [variable.name for variable in MODEL.forcing]
    fluxes = [variable.name for variable in MODEL.diagnostics]
    for output, flux, forcing, step in (
        ("sensible_heat_flux_derivative_by_air_temperature", "sshf", "met_tair", 1e-3),
        ("latent_heat_flux_derivative_by_specific_humidity", "slhf", "met_qair", 1e-7),
    ):
        values = []
        for sign in (1.0, -1.0):
            changed = columns.forcing.copy()
            changed[:, names.index(forcing)] += sign * step
            values.append(emulator.step(columns._static, changed, columns.state)[1][:, fluxes.index(flux)])
        expected = -(values[0] - values[1]) / (2.0 * step)
        assert (expected != 0.0).any()
        np.testing.assert_allclose(outputs[output][MASK], expected, rtol=1e-5, atol=1e-8 * np.abs(expected).max())


def test_derivatives_take_one_call_a_window_into_the_same_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[str, int]] = []

    def noting(name: str) -> Any:
        real = getattr(Emulator, name)

        def call(*arguments: Any, out: Any = None, **options: Any) -> Any:
            calls.append((name, id(out)))
            return real(*arguments, out=out, **options)

        return call

    land = HOST.component(MODEL, MASK, derivatives=True)
    for name in ("tangent_linear", "adjoint", "jacobian"):
        monkeypatch.setattr(Emulator, name, noting(name))
    run(land, HOST, 13)
    assert [name for name, _ in calls] == 3 * ["jacobian"], "of the provisional step and of two windows"
    assert len(set(calls)) == 1
    assert id(None) not in dict(calls).values()


@pytest.mark.slow
def test_programs_for_one_grid_are_those_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not translated anew, and right: fewer points, more of them land, all of them."""
    keys: dict[str, set[str]] = {}
    cache_key = CachedStep.cache_key

    def noting(step: Any, program: Any) -> str:
        found = cache_key(step, program)
        keys.setdefault(getattr(getattr(program, "data", None), "id", ""), set()).add(found)
        return found

    monkeypatch.setattr(CachedStep, "cache_key", noting)
    for mask in (MASK, np.ones(MASK.size + 4, dtype=bool), np.arange(5) == 3):
        host = Host(mask.shape)
        land, embedded = (host.component(MODEL, mask, backend=backend) for backend in ("dace_cpu", "embedded"))
        outputs, expected = run(land, host, 7), run(embedded, host, 7)
        for name, values in expected.items():
            np.testing.assert_allclose(outputs[name], values, rtol=1e-9, err_msg=name)
    of_tables = {name: found for name, found in keys.items() if name.startswith(("gather", "spread"))}
    assert len(of_tables) == 2
    assert all(len(found) == 1 for found in of_tables.values())


@pytest.mark.slow
@pytest.mark.parametrize("host", [HOST, Host((3, 3), dtype=np.float32, halo=1, order="F")], ids=["cells", "halo"])
def test_compiled_component_is_the_embedded_one(host: Host) -> None:
    mask = np.resize(MASK, host.shape)
    land, embedded = (
        host.component(MODEL, mask, backend=backend, between="interpolate") for backend in ("dace_cpu", "embedded")
    )
    outputs, expected = run(land, host, 9), run(embedded, host, 9)
    np.testing.assert_allclose(land.state, embedded.state, rtol=1e-12)
    for name, values in expected.items():
        np.testing.assert_allclose(outputs[name], values, rtol=1e-9, err_msg=name)


def test_outputs_are_held_until_the_next_window() -> None:
    land = HOST.component(MODEL, MASK)
    seen = [run(land, HOST, 1, first=hour)["surface_temperature"][MASK] for hour in range(13)]
    for hour in range(13):
        np.testing.assert_array_equal(seen[hour], seen[hour // 6 * 6])
    assert not np.array_equal(seen[0], seen[6])
    assert not np.array_equal(seen[6], seen[12])


def test_outputs_are_interpolated_between_windows() -> None:
    held, between = HOST.component(MODEL, MASK), HOST.component(MODEL, MASK, between="interpolate")
    name = "surface_upward_latent_heat_flux"
    steps = [(run(held, HOST, 1, hour)[name][MASK], run(between, HOST, 1, hour)[name][MASK]) for hour in range(13)]
    for hour in range(6, 12):
        earlier, later, weight = steps[0][0], steps[6][0], (hour - 6) / 6.0
        np.testing.assert_allclose(steps[hour][1], earlier + weight * (later - earlier), rtol=1e-12)
    np.testing.assert_array_equal(steps[12][1], steps[6][0])


def test_provisional_outputs_leave_the_state() -> None:
    land = HOST.component(MODEL, MASK)
    before = land.state.copy()
    outputs = run(land, HOST, 1)
    np.testing.assert_array_equal(land.state, before)
    assert np.isfinite(outputs["surface_temperature"][MASK]).all()


def test_start_within_a_window_uses_the_samples_there_are() -> None:
    late = HOST.component(MODEL, MASK, start=START + 4 * HOUR, state_time=START)
    run(late, HOST, 3, first=4)
    assert late.time == START + 7 * HOUR

    class Constant(Host):
        def weather(self, time: np.datetime64) -> dict[str, np.ndarray]:
            hours = [super(Constant, self).weather(START + hour * HOUR) for hour in (4, 5)]
            return {name: 0.5 * (hours[0][name] + hours[1][name]) for name in hours[0]}

    whole = HOST.component(MODEL, MASK)
    run(whole, Constant(MASK.shape), 7)
    np.testing.assert_allclose(late.state, whole.state, rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("order", ["C", "F"])
def test_two_dimensions_with_halo_give_the_same_columns(dtype: type, order: str) -> None:
    mask = np.array([[True, False, True], [False, True, True]])
    plain, halo = Host(mask.shape), Host(mask.shape, dtype=dtype, halo=2, order=order)
    expected, land = plain.component(MODEL, mask), halo.component(MODEL, mask, host_dtype=dtype)
    run(expected, plain, 7)
    outputs = run(land, halo, 7)
    np.testing.assert_allclose(land.state, expected.state, rtol=1e-12 if dtype == np.float64 else 1e-4)
    assert outputs["surface_temperature"].shape == (6, 7)
    assert outputs["surface_temperature"].dtype == dtype
    assert np.isfinite(outputs["surface_temperature"]).sum() == mask.sum()


@settings(max_examples=40, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    steps=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    order=st.sampled_from("CF"),
    seed=st.integers(0, 99),
)
def test_views_share_memory_and_find_the_land_points(
    shape: tuple[int, int], steps: tuple[int, int], order: Any, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    base = np.asarray(rng.normal(size=tuple(n * step for n, step in zip(shape, steps, strict=True))), order=order)
    field, mask = base[:: steps[0], :: steps[1]], rng.random(shape) < 0.5
    points = HostPoints(mask)
    view = points.view(field, "x")
    assert np.shares_memory(view.points, base)
    assert view.points.__array_interface__["data"] == field.__array_interface__["data"]
    table = points.table(view.layout).ndarray
    np.testing.assert_array_equal(view.points[table[:, 0]], field[mask])


def test_lowest_level_of_a_field_is_read_where_it_is() -> None:
    storage = np.random.default_rng(0).normal(size=(len(MASK), 3))
    field = gtx.as_field({Cell: (0, len(MASK)), K: (5, 8)}, storage)
    points = HostPoints(MASK, levels={K: 7})
    view = points.view(field, "met_tair")
    assert np.shares_memory(view.points, field.ndarray)
    np.testing.assert_array_equal(view.points, storage[:, 2])
    with pytest.raises(InputError, match="met_tair: found level 8 of K, expected 5 to 7"):
        HostPoints(MASK, levels={K: 8}).view(field, "met_tair")


@pytest.mark.parametrize("backend", ["embedded", pytest.param("dace_cpu", marks=pytest.mark.slow)])
def test_host_fields_are_neither_copied_nor_changed(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every position of memory that the pack operator reads is the host's, in the first call and in later ones."""
    seen: list[Any] = []

    def spy(call: RepeatedCall, buffers: Any, numbers: Any = ()) -> None:
        seen.extend(buffers)
        real(call, buffers, numbers)

    real = RepeatedCall.__call__
    land = HOST.component(MODEL, MASK, backend=backend)
    for hour in range(3):
        weather = HOST.weather(START + hour * HOUR)
        copies = {name: field.copy() for name, field in weather.items()}
        for field in weather.values():
            field.setflags(write=False)
        with monkeypatch.context() as patch:
            patch.setattr(RepeatedCall, "__call__", spy)
            seen.clear()
            land.accumulate(weather, START + hour * HOUR)
        assert len(seen) == len(weather)
        for name, field in weather.items():
            assert sum(np.shares_memory(array, field) for array in seen) == 1, name
            np.testing.assert_array_equal(field, copies[name])
        land.advance(START + hour * HOUR)


class Quantity:
    """What gives its memory by DLPack alone."""

    def __init__(self, array: np.ndarray) -> None:
        self._array = array

    def __dlpack__(self, **options: Any) -> Any:
        return self._array.__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return self._array.__dlpack_device__()


def test_what_gives_its_memory_by_dlpack_alone_is_read_where_it_is() -> None:
    plain, land = HOST.component(MODEL, MASK), HOST.component(MODEL, MASK)
    run(plain, HOST, 7)
    for hour in range(7):
        weather = HOST.weather(START + hour * HOUR)
        land({name: Quantity(field) for name, field in weather.items()}, START + hour * HOUR)
    np.testing.assert_array_equal(land.state, plain.state)


def test_outputs_are_the_same_objects_in_every_step() -> None:
    land = HOST.component(MODEL, MASK, horizontal=Cell)
    outputs = land(HOST.weather(START), START)
    first = {name: field.ndarray for name, field in outputs.items()}
    assert all(field.domain.dims == (Cell,) for field in outputs.values())
    for hour in range(1, 8):
        again = land(HOST.weather(START + hour * HOUR), START + hour * HOUR)
        assert again is outputs
        assert all(np.shares_memory(again[name].ndarray, array) for name, array in first.items())


def test_no_land_costs_and_gives_nothing() -> None:
    land = HOST.component(MODEL, np.zeros_like(MASK), ocean_value=0.0)
    outputs = run(land, HOST, 14)
    assert land.n_land == 0
    assert land.emulator is None
    assert all((values == 0.0).all() for values in outputs.values())
    assert land.time == START + 14 * HOUR


@pytest.mark.parametrize("n_steps", [0, 1, 4, 6, 7, 11])
@pytest.mark.parametrize("between", ["hold", "interpolate"])
def test_restart_is_exact_to_the_bit(tmp_path: Path, n_steps: int, between: str) -> None:
    land = HOST.component(MODEL, MASK, between=between)
    run(land, HOST, n_steps)
    land.write_restart(tmp_path / "land.nc")
    other = HOST.component(MODEL, MASK, between=between)
    other.restore(tmp_path / "land.nc")
    for name, field in land.outputs.items():
        np.testing.assert_array_equal(other.outputs[name], field)
    for first, second in zip(
        (run(land, HOST, 1, first=hour) for hour in range(n_steps, n_steps + 9)),
        (run(other, HOST, 1, first=hour) for hour in range(n_steps, n_steps + 9)),
        strict=True,
    ):
        for name, values in first.items():
            assert values.tobytes() == second[name].tobytes(), name
    assert land.state.tobytes() == other.state.tobytes()


def test_restart_of_another_run_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "land.nc"
    HOST.component(MODEL, MASK).write_restart(path)
    mask = MASK.copy()
    mask[[0, 1]] = mask[[1, 0]]
    for options, message in (
        ({"precision": "float32"}, "precision: found 'float64', expected 'float32'"),
        ({"host_step": HOUR // 2}, "host step microseconds"),
        ({"between": "interpolate"}, "between: found 'hold', expected 'interpolate'"),
    ):
        with pytest.raises(InputError, match=message):
            HOST.component(MODEL, MASK, **options).restore(path)
    with pytest.raises(InputError, match="model checksum"):
        HOST.component(small_model(seed=4), MASK).restore(path)
    with pytest.raises(InputError, match="has other land points"):
        HOST.component(MODEL, mask).restore(path)
    with pytest.raises(InputError, match="no such file"):
        HOST.component(MODEL, MASK).restore(tmp_path / "none.nc")
    path.write_bytes(b"no netCDF")
    with pytest.raises(InputError, match="cannot be read"):
        HOST.component(MODEL, MASK).restore(path)
    assert list(tmp_path.iterdir()) == [path]


def test_not_finite_from_the_host_names_position_and_time() -> None:
    land = HOST.component(MODEL, MASK)
    run(land, HOST, 2)
    weather = HOST.weather(START + 2 * HOUR)
    weather["met_qair"][[2, 5]] = np.nan, np.inf
    expected = (
        "met_qair: found a number that is not finite at point 2 and 1 more land points, 2020-06-01T02:00, "
        "expected finite numbers"
    )
    with pytest.raises(InputError, match=expected):
        land(weather, START + 2 * HOUR)


def test_not_finite_over_the_ocean_is_not_seen() -> None:
    land, same = HOST.component(MODEL, MASK), HOST.component(MODEL, MASK)
    run(same, HOST, 7)
    for hour in range(7):
        weather = HOST.weather(START + hour * HOUR)
        for field in weather.values():
            field[~MASK] = np.nan
        land(weather, START + hour * HOUR)
    np.testing.assert_array_equal(land.state, same.state)


def test_flagged_columns_keep_their_state(caplog: pytest.LogCaptureFixture) -> None:
    options = {"not_finite": "flag", "derivatives": True}
    land, same = HOST.component(MODEL, MASK, **options), HOST.component(MODEL, MASK, **options)
    before = land.state.copy()
    first = run(same, HOST, 1)
    later = run(same, HOST, 6, first=1)
    with caplog.at_level(logging.WARNING):
        for hour in range(7):
            weather = HOST.weather(START + hour * HOUR)
            if hour == 3:
                weather["met_tair"][2] = np.nan
            outputs = land(weather, START + hour * HOUR)
    assert "met_tair: found a number that is not finite at point 2, 2020-06-01T03:00" in caplog.text
    np.testing.assert_array_equal(land.flagged, [False, True, False, False])
    np.testing.assert_array_equal(land.state[1], before[1])
    np.testing.assert_array_equal(land.state[[0, 2, 3]], same.state[[0, 2, 3]])
    for name, values in outputs.items():
        assert values[2] == first[name][2], "all outputs of the flagged column are those before"
        np.testing.assert_array_equal(values[[0, 3, 5]], later[name][[0, 3, 5]])
    run(land, HOST, 6, first=7)
    assert not land.flagged.any()
    assert np.isfinite(land.state).all()


def test_prescribed_inputs_can_change() -> None:
    land, other = HOST.component(MODEL, MASK), HOST.component(MODEL, MASK, prescribed=PRESCRIBED | {"lai_lv": 4.0})
    land.prescribe("lai_lv", HOST.field(4.0))
    run(land, HOST, 7)
    run(other, HOST, 7)
    np.testing.assert_array_equal(land.state, other.state)
    with pytest.raises(InputError, match="met_tair: is not prescribed, expected one of lai_hv, lai_lv, met_ctpf"):
        land.prescribe("met_tair", 280.0)


def test_background_albedo_is_prescribed_to_a_model_that_takes_it() -> None:
    """As the climatology of the ground it is known already; what is prescribed by name goes before it."""
    albedo = HOST.field(0.1 + 0.02 * np.arange(MASK.size))
    by_name = HOST.component(MODEL, MASK, prescribed=LEAVES | {"albedo_background": albedo})
    by_ground = HOST.component(MODEL, MASK, prescribed=LEAVES, background_albedo=albedo)
    both = HOST.component(MODEL, MASK, background_albedo=0.5, prescribed=LEAVES | {"albedo_background": albedo})
    for land in (by_name, by_ground, both):
        run(land, HOST, 7)
        np.testing.assert_array_equal(land.state, by_name.state)
    lighter = HOST.component(MODEL, MASK, prescribed=LEAVES, background_albedo=albedo + 0.3)
    run(lighter, HOST, 7)
    assert not np.array_equal(lighter.state, by_name.state)


def test_background_albedo_that_no_one_gives_is_that_of_the_vegetation() -> None:
    static = HOST.surface(MODEL)["static"]
    covers, types = ([static[f"clim_{kind}{layer}"] for layer in "hl"] for kind in ("cv", "tv"))
    guess = background_albedo(*covers, *(one.astype(int) for one in types))
    by_guess, plain, lighter, with_weather = (
        HOST.component(MODEL, MASK, prescribed=LEAVES, background_albedo=albedo)
        for albedo in (guess, None, guess + 0.3, None)
    )
    assert "albedo_background" not in plain.inputs_properties
    for land in (by_guess, plain, lighter):
        run(land, HOST, 7)
    np.testing.assert_array_equal(plain.state, by_guess.state)
    for hour in range(7):
        with_weather(HOST.weather(START + hour * HOUR) | {"albedo_background": guess + 0.3}, START + hour * HOUR)
    np.testing.assert_allclose(with_weather.state, lighter.state, rtol=1e-12)
    assert not np.allclose(plain.state, lighter.state, rtol=1e-6)


def test_background_albedo_and_height_are_the_hosts() -> None:
    plain = run(HOST.component(MODEL, MASK), HOST, 1)
    land = HOST.component(MODEL, MASK, background_albedo=HOST.field(0.9), reference_height=40.0)
    changed = run(land, HOST, 1)
    assert (changed["surface_albedo"][MASK] > plain["surface_albedo"][MASK]).all()
    stress = "surface_downward_eastward_stress"
    assert (np.abs(changed[stress][MASK]) < np.abs(plain[stress][MASK])).all()


def test_properties_name_units_and_origin() -> None:
    land = HOST.component(MODEL, MASK, horizontal=Cell)
    assert land.inputs_properties["met_tair"]["standard_name"] == "air_temperature"
    assert land.inputs_properties["met_tair"]["units"] == "K"
    assert land.inputs_properties["met_tair"]["dims"] == (Cell,)
    assert set(land.inputs_properties) == set(HOST.weather(START))
    assert land.outputs_properties["surface_temperature"]["origin"] == "model"
    assert land.outputs_properties["surface_albedo"]["origin"] == "closure"
    assert set(land.outputs_properties) == set(land.outputs)
    assert not set(land.missing_outputs) & set(land.outputs)


def _weather(**changes: Any) -> dict[str, Any]:
    fields = HOST.weather(START) | changes
    return {name: field for name, field in fields.items() if field is not None}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (_weather(met_tair=None), "met_tair: the host gave no such field, expected air temperature in K"),
        (_weather(met_tair=np.zeros(3)), r"met_tair: found the shape \(3,\), expected the land mask's \(7,\)"),
        (_weather(met_tair=np.zeros(7, dtype=int)), "met_tair: found the type int64, expected float32 or float64"),
        (_weather(met_tair=[280.0] * 7), "met_tair: found list, expected a NumPy or CuPy array"),
        (_weather(met_tair=np.zeros(14)[::-2]), "met_tair: found the strides"),
    ],
)
def test_bad_fields_are_named_and_the_component_goes_on(fields: dict[str, Any], message: str) -> None:
    land = HOST.component(MODEL, MASK)
    with pytest.raises(InputError, match=message):
        land(fields, START)
    assert np.isfinite(run(land, HOST, 7)["surface_temperature"][MASK]).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"land_mask": np.zeros(0, dtype=bool)}, r"land mask: found the shape \(0,\)"),
        ({"land_mask": np.zeros(7)}, "land mask: found the type float64, expected bool"),
        ({"land_mask": np.ones(5, dtype=bool)}, r"found the shape \(7,\), expected the land mask's \(5,\)"),
        ({"units": {"met_tair": "degC"}}, "met_tair: found the unit 'degC', expected 'K'"),
        ({"units": {"t": "K"}}, "t: the model takes no such field, expected one of"),
        ({"prescribed": {"skt": 1.0}}, "prescribed 'skt': expected an input that a host gives"),
        ({"between": "guess"}, "between: found 'guess', expected one of hold, interpolate"),
        ({"not_finite": "ignore"}, "not_finite: found 'ignore', expected one of raise, flag"),
        ({"host_dtype": np.int32}, "host_dtype: found int32"),
        ({"static": {}}, "found no such static input, expected"),
        ({"initial_state": {"x": 1.0}}, "x: is no initial state of the model"),
        ({"latitude": np.full(7, np.nan)}, "latitude: found nan at point 0 and 3 more land points"),
        ({"host_step": 4 * HOUR}, "host step: found 14400 s, expected one that divides"),
        ({"horizontal": (Cell, K)}, "horizontal: found 2 dimensions, expected the land mask's 1"),
        ({"backend": "numpy"}, "backend: found 'numpy'"),
    ],
)
def test_bad_arguments_are_named(options: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {
        "land_mask": MASK,
        "latitude": HOST.field(HOST.latitude),
        "longitude": HOST.field(HOST.longitude),
        **HOST.surface(MODEL),
        "start": START,
        "host_step": HOUR,
        "prescribed": PRESCRIBED,
        "backend": "embedded",
        "precision": "float64",
    }
    with pytest.raises(InputError, match=message):
        LandComponent(MODEL, **(arguments | options))


def test_on_a_gpu_not_finite_is_told_one_step_after_the_window(monkeypatch: pytest.MonkeyPatch) -> None:
    """The order of events there, without one: the answer is read when the host comes with the next sample."""
    from ailand_gt4py.integration.columns import LandColumns

    monkeypatch.setattr(LandColumns, "on_cpu", False)
    land = HOST.component(MODEL, MASK)
    before = land.state.copy()
    for hour in range(7):
        weather = HOST.weather(START + hour * HOUR)
        if hour in (3, 4):
            weather["met_tair"][2] = np.nan
        outputs = land(weather, START + hour * HOUR)
    np.testing.assert_array_equal(land.flagged, [False, True, False, False])
    np.testing.assert_array_equal(land.state[1], before[1])
    assert np.isfinite(outputs["surface_temperature"][MASK]).all()
    with pytest.raises(InputError, match="met_tair: found .* not finite at point 2, 2020-06-01T03:00, expected"):
        land(HOST.weather(START + 7 * HOUR), START + 7 * HOUR)
