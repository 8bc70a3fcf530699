"""A host's arrays as the land component takes them: masked ones, and GT4Py fields that begin anywhere."""

import copy
import pickle
from typing import Any

import gt4py.next as gtx
import numpy as np
import pytest
import xarray as xr
from land_hosts import HOUR, PRESCRIBED, START, Host, small_model

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.integration.component import LandComponent
from ailand_gt4py.integration.host_points import HostPoints
from ailand_gt4py.integration.hosts.cartesian import horizontal_fields

MODEL = small_model()
MASK = np.array([True, False, True, True, False, True, False])
HOST = Host(MASK.shape)
IDim, JDim, K = gtx.Dimension("I"), gtx.Dimension("J"), gtx.Dimension("K", kind=gtx.DimensionKind.VERTICAL)


def component(host: Host = HOST, mask: Any = MASK, **options: Any) -> LandComponent:
    defaults = {
        "latitude": host.field(host.latitude),
        "longitude": host.field(host.longitude),
        **host.surface(MODEL),
        "prescribed": PRESCRIBED,
        "backend": "embedded",
        "precision": "float64",
    }
    return LandComponent(MODEL, land_mask=mask, start=START, host_step=HOUR, **(defaults | options))


def masked(field: np.ndarray, missing: Any) -> np.ma.MaskedArray:
    """Missing at some points, under whose mask a fill value stands."""
    result = np.ma.array(field, mask=False)
    result[missing] = np.ma.masked
    result.data[missing] = 1e20
    return result


def temperature(land: LandComponent, n_steps: int, change: Any = lambda weather, hour: weather) -> np.ndarray:
    """The surface's at all points after so many hourly steps."""
    for hour in range(n_steps):
        outputs = land(change(HOST.weather(START + hour * HOUR), hour), START + hour * HOUR)
    return np.array(outputs["surface_temperature"])


# --- masks ---


def test_a_masked_sample_is_an_error_that_names_field_point_and_time() -> None:
    def change(weather: dict[str, Any], hour: int) -> dict[str, Any]:
        return weather | ({"met_tair": masked(weather["met_tair"], 3)} if hour == 2 else {})

    with pytest.raises(InputError, match=r"met_tair: found .* at point 3, 2020-06-01T02:00, expected finite numbers"):
        temperature(component(), 7, change)


def test_a_masked_sample_is_flagged_where_that_is_wanted() -> None:
    def change(weather: dict[str, Any], hour: int) -> dict[str, Any]:
        return weather | ({"met_tair": masked(weather["met_tair"], 3)} if hour == 2 else {})

    land, same = component(not_finite="flag"), component()
    before = land.state[2].copy()
    found, expected = temperature(land, 7, change), temperature(same, 7)
    np.testing.assert_array_equal(land.flagged, [False, False, True, False])
    np.testing.assert_array_equal(land.state[2], before)
    others = [0, 2, 5]
    np.testing.assert_array_equal(found[others], expected[others])


def test_what_is_masked_where_there_is_no_land_is_not_read() -> None:
    surface = {
        group: {name: masked(field, ~MASK) for name, field in fields.items()}
        for group, fields in HOST.surface(MODEL).items()
    }
    land = component(latitude=masked(HOST.field(HOST.latitude), ~MASK), **surface)
    found = temperature(land, 7, lambda weather, _: {name: masked(field, ~MASK) for name, field in weather.items()})
    np.testing.assert_array_equal(found, temperature(component(), 7))


def test_there_is_no_land_where_the_land_mask_is_masked() -> None:
    mask = np.ma.array(MASK, mask=[False, False, True, False, False, False, False])
    land = component(mask=mask)
    assert land.n_land == 3
    assert np.isnan(temperature(land, 1)[[1, 2, 4, 6]]).all()


@pytest.mark.parametrize(
    ("group", "name"),
    [("static", "clim_cvh"), ("initial_state", "stl1"), ("prescribed", "lai_hv"), ("", "latitude"), ("", "longitude")],
)
def test_masked_fields_at_land_are_errors_that_name_field_and_point(group: str, name: str) -> None:
    field = masked(np.ones(7), 5)
    options: dict[str, Any] = {name: field}
    if group:
        options = {group: ({**HOST.surface(MODEL), "prescribed": PRESCRIBED}[group]) | options}
    with pytest.raises(InputError, match=f"{name}: found nan at point 5"):
        component(**options)
    land = component()
    with pytest.raises(InputError, match="lai_hv: found nan at point 5"):
        land.prescribe("lai_hv", field)
    with pytest.raises(InputError, match="background albedo: found nan at point 5"):
        component(background_albedo=field)


def test_one_level_of_a_masked_storage_is_nan_where_it_is_masked() -> None:
    storage = np.ma.array(np.ones((2, 3, 4)), mask=False)
    storage[1, 2, 3] = np.ma.masked
    found = horizontal_fields({"t": storage})["t"]
    np.testing.assert_array_equal(found, [[1.0, 1.0, 1.0], [1.0, 1.0, np.nan]])


# --- domains of GT4Py fields ---


def on(start: int, values: Any, dimension: gtx.Dimension = IDim) -> gtx.Field:
    """A field whose domain begins there."""
    return gtx.as_field(gtx.domain({dimension: (start, start + len(values))}), np.asarray(values))


def fields_on(start: int, fields: dict[str, Any]) -> dict[str, Any]:
    return {name: on(start, field) for name, field in fields.items()}


@pytest.mark.parametrize("given", ["all", "mask", "latitude", "static"])
def test_outputs_have_the_domain_of_the_hosts_fields(given: str) -> None:
    options: dict[str, Any] = {"horizontal": IDim}
    mask: Any = MASK
    if given in ("all", "mask"):
        mask = on(-1, MASK)
    if given in ("all", "latitude"):
        options["latitude"] = on(-1, HOST.field(HOST.latitude))
    if given in ("all", "static"):
        options["static"] = fields_on(-1, HOST.surface(MODEL)["static"])
    land, weather = component(mask=mask, **options), fields_on(-1, HOST.weather(START))
    skin = land(weather, START)["surface_temperature"]
    assert skin.domain == weather["met_tair"].domain
    total = weather["met_tair"] + skin
    expected = HOST.weather(START)["met_tair"] + temperature(component(), 1)
    np.testing.assert_array_equal(total.ndarray, expected)


def test_fields_of_another_domain_are_refused() -> None:
    land = component(horizontal=IDim)
    expected = r"met_\w+: found a GT4Py field over I from -1, expected I from 0 as of the others"
    with pytest.raises(InputError, match=expected):
        land(fields_on(-1, HOST.weather(START)), START)
    land(fields_on(0, HOST.weather(START)), START)
    with pytest.raises(InputError, match="latitude: found a GT4Py field over I from 0, expected I from -1 as of the"):
        component(mask=on(-1, MASK), latitude=on(0, HOST.field(HOST.latitude)))
    with pytest.raises(InputError, match="land mask: found a GT4Py field over J from 0, expected I"):
        component(mask=on(0, MASK, JDim), horizontal=IDim)
    # Without dimensions for the outputs the first field says it.
    land, weather = component(), HOST.weather(START)
    with pytest.raises(InputError, match="met_.air: found a GT4Py field over I from -?1, expected I from -?1"):
        land(weather | {"met_tair": on(-1, weather["met_tair"]), "met_qair": on(1, weather["met_qair"])}, START)


def test_a_level_is_taken_from_fields_that_begin_anywhere() -> None:
    host = Host((2, 3))
    mask = np.array([[True, False, True], [False, True, True]])
    domain = {IDim: (-1, 1), JDim: (2, 5)}
    land = component(host, gtx.as_field(gtx.domain(domain), mask), horizontal=(IDim, JDim), levels={K: 7})
    weather = {
        name: gtx.as_field(gtx.domain(domain | {K: (6, 8)}), np.stack([field * np.nan, field], axis=2))
        for name, field in host.weather(START).items()
    }
    skin = land(weather, START)["surface_temperature"]
    assert [(one.unit_range.start, one.unit_range.stop) for one in skin.domain] == [(-1, 1), (2, 5)]
    np.testing.assert_array_equal(np.isfinite(skin.ndarray), mask)
    square = Host((2, 2))
    turned = component(square, gtx.as_field(gtx.domain({IDim: (0, 2), JDim: (0, 2)}), np.ones((2, 2), bool)))
    with pytest.raises(InputError, match="met_tair: found a GT4Py field over J from 0, I from 0, expected I from 0, J"):
        turned(
            {
                **square.weather(START),
                "met_tair": gtx.as_field(gtx.domain({JDim: (0, 2), IDim: (0, 2)}), np.ones((2, 2))),
            },
            START,
        )


# --- copies ---


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_component_says_that_it_cannot_be_copied(copied: Any) -> None:
    with pytest.raises(
        TypeError, match="a LandComponent can be neither copied nor pickled, .* write_restart and restore"
    ):
        copied(component())


# --- xarray's arrays ---


def named(field: Any, *dims: str, **more: Any) -> xr.DataArray:
    return xr.DataArray(field, dims=dims, **more)


def test_fields_of_xarray_are_taken_by_the_names_of_their_dimensions() -> None:
    host = Host((2, 3))
    mask = np.array([[True, False, True], [True, True, False]])

    def turned(field: Any) -> Any:
        return field if np.ndim(field) == 0 else named(field, "lat", "lon").transpose("lon", "lat")

    surface = {
        group: {name: turned(field) for name, field in fields.items()} for group, fields in host.surface(MODEL).items()
    }
    where = {"latitude": turned(host.field(host.latitude)), "longitude": turned(host.field(host.longitude))}
    land = component(host, named(mask, "lat", "lon"), **where, **surface)
    same = component(host, mask)
    for hour in range(7):
        weather = host.weather(START + hour * HOUR)
        found = land({name: turned(field) for name, field in weather.items()}, START + hour * HOUR)
        expected = same(weather, START + hour * HOUR)
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, name)
    weather["met_tair"] = named(weather["met_tair"], "lat", "x")
    with pytest.raises(InputError, match=r"met_tair: found the dimensions \(lat, x\), expected \(lat, lon\)"):
        land(
            {name: turned(field) if name != "met_tair" else field for name, field in weather.items()}, START + 7 * HOUR
        )


def test_a_level_of_a_field_of_xarray_is_chosen_by_name() -> None:
    points = HostPoints(named(MASK, "cell"), levels={K: 1})
    columns = np.arange(14.0).reshape(2, 7)
    found = points.land_values(named(columns, "K", "cell"), "t", np.dtype(np.float64))
    np.testing.assert_array_equal(found, columns[1][MASK])
    with pytest.raises(InputError, match="t: found level 1 of K, expected 0 to 0"):
        points.view(named(columns[:1], "K", "cell"), "t")


def test_fields_of_xarray_with_other_labels_are_refused() -> None:
    """Such as latitudes from south to north in one field and from north to south in another one."""
    points = HostPoints(named(np.ones((2, 3), bool), "lat", "lon", coords={"lat": [50.0, 49.0], "lon": [350, 355, 0]}))
    field = named(np.zeros((2, 3)), "lat", "lon", coords={"lat": np.array([50, 49], "f4"), "lon": [-10.0, -5.0, 0.0]})
    points.view(field, "t")
    points.view(field.drop_vars("lat").transpose(), "t")
    with pytest.raises(InputError, match=r"t: found 49.0 at index 0 along 'lat', expected 50.0 as of the other fields"):
        points.view(field.isel(lat=[1, 0]), "t")
    with pytest.raises(InputError, match=r"t: found 3 labels along 'lat', expected 2 as of"):
        points.view(field.reindex(lat=[50.0, 49.0, 48.0]), "t")


def test_units_of_fields_of_xarray_are_heeded() -> None:
    host, mask = Host((2, 3)), np.ones((2, 3), bool)
    where = named(host.field(host.latitude), "lat", "lon", attrs={"units": "radian"})
    with pytest.raises(InputError, match="latitude: found the unit 'radian', expected 'degrees_north'"):
        component(host, mask, latitude=where)
    surface = host.surface(MODEL)
    name = next(iter(surface["static"]))
    wrong = named(np.full((2, 3), 0.5), "lat", "lon", attrs={"units": "%"})
    with pytest.raises(InputError, match=f"{name}: found the unit '%', expected '1'"):
        component(host, mask, static={**surface["static"], name: wrong}, initial_state=surface["initial_state"])
    land, weather = component(host, mask), host.weather(START)
    rain = named(weather["met_rainf"], "lat", "lon")
    with pytest.raises(InputError, match="met_rainf: found the unit 'mm h-1', expected 'kg m-2 s-1'"):
        land({**weather, "met_rainf": rain.assign_attrs(units="mm h-1")}, START)
    land({**weather, "met_rainf": rain.assign_attrs(units="kg/m2/s")}, START)
