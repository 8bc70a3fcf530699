"""Soil moisture and temperature by depth, by CF's standard names, in ecLand's layers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from column_files import N_COLUMNS, N_TIMES, dataset, driver_model

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.io.soil_layers import soil_variables
from ailand_gt4py.io.sources import open_source

#: ecLand's layers, m.
EDGES = (0.0, 0.07, 0.28, 1.0, 2.89)
WATER, MASS, HEAT = (
    "volume_fraction_of_condensed_water_in_soil",
    "mass_content_of_water_in_soil_layer",
    "soil_temperature",
)


def by_depth(
    edges: tuple[float, ...], values: list[float], standard_name: str, unit: str = "m", *, bounds: bool = True
) -> xr.Dataset:
    """A variable with these values in layers, the same at all times and in all columns but for 0.001 of it a column."""
    scale, n = {"m": 1.0, "cm": 100.0}[unit], len(values)
    own = {WATER: "mrsv", MASS: "mrsol", HEAT: "tsl"}[standard_name]
    units = {WATER: "m3 m-3", MASS: "kg m-2", HEAT: "K"}[standard_name]
    pairs = np.stack([edges[:-1], edges[1:]], axis=1) * scale
    full = np.broadcast_to(np.array(values)[:, None], (N_TIMES, n, N_COLUMNS)) * (1.0 + 0.001 * np.arange(N_COLUMNS))
    depth = {"standard_name": "depth", "units": unit, "positive": "down"} | ({"bounds": "depth_bnds"} if bounds else {})
    attributes = {"standard_name": standard_name, "units": units, "cell_methods": "time: point"}
    data = xr.Dataset(
        {own: (("time", "depth", "x"), full, attributes)}, {"depth": ("depth", pairs.mean(axis=1), depth)}
    )
    return data.assign(depth_bnds=(("depth", "bnds"), pairs)) if bounds else data


def soil(*parts: xr.Dataset) -> xr.Dataset:
    """Columns whose soil is by depth."""
    data = dataset()
    stems = [
        {"mrsv": "swvl", "mrsol": "swvl", "tsl": "stl"}[str(name)]
        for one in parts
        for name in one
        if "_" not in str(name)
    ]
    data = data.drop_vars([f"{stem}{layer}" for stem in stems for layer in (1, 2, 3)])
    for one in parts:
        data = data.merge(one)
    return data


def state(data: xr.Dataset) -> tuple[dict[str, np.ndarray], str]:
    model = driver_model()
    with open_source(data, model) as source:
        assert source.initial_state is not None
        names = [one.name for one in model.state]
        return dict(zip(names, source.initial_state.T, strict=True)), "\n".join(source.history)


@pytest.mark.parametrize("unit", ["m", "cm"])
@pytest.mark.parametrize("bounds", [True, False])
def test_ecland_s_own_layers_are_as_they_are(unit: str, bounds: bool) -> None:
    values = [0.1, 0.2, 0.3, 0.4]
    found, history = state(soil(by_depth(EDGES, values, WATER, unit, bounds=bounds)))
    for layer, value in enumerate(values[:3], start=1):
        np.testing.assert_allclose(found[f"swvl{layer}"], value * (1.0 + 0.001 * np.arange(N_COLUMNS)))
    assert "Soil layers of 'mrsv' by depth: swvl1 as it is; swvl2 as it is" in history


def test_other_layers_are_averaged_by_what_they_fill() -> None:
    edges, thickness = (0.0, 0.05, 0.25, 0.7, 1.5, 3.0), (0.05, 0.2, 0.45, 0.8, 1.5)
    water = [0.1, 0.2, 0.3, 0.4, 0.5]
    found, history = state(soil(by_depth(edges, water, WATER)))
    assert found["swvl1"][0] == pytest.approx((0.05 * 0.1 + 0.02 * 0.2) / 0.07)
    assert found["swvl2"][0] == pytest.approx((0.18 * 0.2 + 0.03 * 0.3) / 0.21)
    assert found["swvl3"][0] == pytest.approx((0.42 * 0.3 + 0.3 * 0.4) / 0.72)
    assert "swvl1 averaged over 0-5, 5-25 cm" in history
    mass = [1000.0 * one * depth for one, depth in zip(water, thickness, strict=True)]
    of_mass, history = state(soil(by_depth(edges, mass, MASS)))
    for name in ("swvl1", "swvl2", "swvl3"):
        np.testing.assert_allclose(of_mass[name], found[name], rtol=1e-6)
    assert "'mrsol' (divided by the thickness of its layers)" in history


def test_temperature_is_interpolated_between_middles() -> None:
    found, history = state(soil(by_depth((0.0, 0.1, 0.3, 1.3, 2.3), [260.0, 262.0, 266.0, 268.0], HEAT)))
    assert found["stl1"][0] == pytest.approx(260.0)  # above the first middle
    assert found["stl2"][0] == pytest.approx(260.0 + 2.0 * 0.125 / 0.15)
    assert found["stl3"][0] == pytest.approx(262.0 + 4.0 * 0.44 / 0.6)
    assert "stl1 as at 5 cm; stl2 interpolated between 5 and 20 cm" in history


def test_layers_from_the_bottom_up_and_negative_heights() -> None:
    data = by_depth(EDGES, [0.1, 0.2, 0.3, 0.4], WATER).isel(depth=slice(None, None, -1))
    data["depth"] = ("depth", -data["depth"].values, data["depth"].attrs | {"positive": "up"})
    assert state(soil(data))[0]["swvl1"][0] == pytest.approx(0.1)


@pytest.mark.parametrize("depths", [EDGES[1:], EDGES[:-1]], ids=["bottoms", "tops"])
def test_depths_that_are_ecland_s_edges(depths: tuple[float, ...]) -> None:
    data = by_depth(EDGES, [0.1, 0.2, 0.3, 0.4], WATER, bounds=False)
    data["depth"] = ("depth", np.array(depths), data["depth"].attrs)
    assert state(soil(data))[0]["swvl3"][0] == pytest.approx(0.3)


def test_layers_that_do_not_reach_are_refused() -> None:
    shallow = soil(by_depth((0.0, 0.1, 0.5), [0.1, 0.2], WATER))
    with pytest.raises(
        InputError, match=r"'mrsv' has layers from 0 to 50 cm, expected them to fill swvl3, 28 to 100 cm,"
    ):
        state(shallow)
    with pytest.raises(InputError, match="--initial-state guess"):
        state(shallow)
    deep = soil(by_depth((1.2, 1.4, 3.0), [270.0, 271.0], HEAT))
    with pytest.raises(InputError, match=r"'tsl' is known from 120 to 300 cm, expected it to reach stl1, 0 to 7 cm"):
        state(deep)
    with open_source(shallow, driver_model(), initial_state="guess") as source:
        assert source.initial_state is not None


def test_water_needs_the_bounds_of_its_layers() -> None:
    data = by_depth(EDGES, [0.1, 0.2, 0.3, 0.4], WATER, bounds=False)
    data["depth"] = ("depth", np.array([0.05, 0.06, 1.0, 2.0]), data["depth"].attrs)
    with pytest.raises(InputError, match="'mrsv' has depths without bounds, expected bounds of its layers for swvl1"):
        state(soil(data))


def test_layers_by_their_own_names_go_before() -> None:
    data = dataset().merge(by_depth(EDGES, [0.1, 0.2, 0.3, 0.4], WATER)).drop_vars("swvl2")
    found, _ = state(data)
    np.testing.assert_allclose(found["swvl1"], data["swvl1"].values[0])
    assert found["swvl2"][0] == pytest.approx(0.2)


def test_bounds_that_are_none_are_refused() -> None:
    data = by_depth(EDGES, [0.1, 0.2, 0.3, 0.4], WATER)
    data["depth_bnds"].values[1] = data["depth_bnds"].values[1, 0]
    with pytest.raises(InputError, match=r"'depth' has the bounds 'depth_bnds' .*expected two for each depth"):
        soil_variables(Path("f.nc"), data, ())
