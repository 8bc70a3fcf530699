"""Fields of (I, J, K) models: one level where it is, whatever the storage."""

import dataclasses
from typing import Any

import gt4py.storage
import numpy as np
import pytest
from land_hosts import HOUR, START, Host, small_model

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.integration.hosts.cartesian import declared_units, horizontal_fields

MODEL = small_model()
MASK = np.array([[True, False, True], [False, True, True]])


@dataclasses.dataclass
class Quantity:
    """What PyFV3's has of it: the storage, halo included, names of its dimensions, and a unit."""

    data: np.ndarray
    dims: tuple[str, ...] = ("x", "y", "z")
    units: str = "K"


def storage(values: np.ndarray, layout: str, n_levels: int = 4, level: int = -1) -> np.ndarray:
    """(I, J, K) storage of gt4py.cartesian with these values in one level and NaN in the others."""
    result = gt4py.storage.full((*values.shape, n_levels), np.nan, np.float64, backend=layout, aligned_index=(2, 2, 0))
    result[..., level] = values
    return result


@pytest.mark.parametrize("layout", ["gt:cpu_ifirst", "gt:cpu_kfirst", "numpy"])
def test_a_model_with_halo_runs_the_land_on_its_storages(layout: str) -> None:
    plain, halo = Host(MASK.shape), Host(MASK.shape, halo=2)
    expected, land = plain.component(MODEL, MASK), halo.component(MODEL, MASK)
    for hour in range(7):
        time = START + hour * HOUR
        expected(plain.weather(time), time)
        fields: dict[str, Any] = {}
        for position, (name, values) in enumerate(halo.weather(time).items()):
            whole = storage(values, layout)
            fields[name] = Quantity(whole) if position % 2 else whole
        seen = horizontal_fields(fields)
        for name, field in seen.items():
            assert np.shares_memory(field, fields[name].data if isinstance(fields[name], Quantity) else fields[name])
        outputs = land(seen, time)
    np.testing.assert_array_equal(land.state, expected.state)
    assert np.isfinite(outputs["surface_temperature"][2:4, 2:5][MASK]).all()
    assert np.isnan(outputs["surface_temperature"][:2]).all()


def test_the_vertical_dimension_is_found_by_its_name() -> None:
    values = np.arange(6.0).reshape(2, 3)
    upward = np.stack([values, values + 10.0])
    fields = {"a": Quantity(upward, ("z", "y", "x")), "b": Quantity(values, ("x", "y"))}
    seen = horizontal_fields(fields, level=0)
    np.testing.assert_array_equal(seen["a"], values)
    np.testing.assert_array_equal(seen["b"], values)
    assert np.shares_memory(seen["a"], upward)


def test_units_that_a_field_declares_are_checked() -> None:
    weather = Host(MASK.shape).weather(START)
    fields = {name: Quantity(field, ("x", "y"), "K") for name, field in weather.items() if name == "met_tair"}
    assert declared_units(fields | {"plain": weather["met_tair"]}) == {"met_tair": "K"}
    fields["met_tair"].units = "degC"
    with pytest.raises(InputError, match="met_tair: found the unit 'degC', expected 'K'"):
        Host(MASK.shape).component(MODEL, MASK, units=declared_units(fields))


@pytest.mark.parametrize(
    ("field", "message"),
    [
        (np.zeros(3), "t: found 1 dimensions, expected"),
        (np.zeros((2, 3, 4, 5)), "t: found 4 dimensions, expected"),
        (Quantity(np.zeros((2, 3, 4)), ("x", "y")), "t: found 3 dimensions, expected"),
        (
            Quantity(np.zeros((2, 3, 4)), ("x", "y", "tile")),
            "t: found the dimensions x, y, tile, expected two horizontal",
        ),
        (np.zeros((2, 3, 2)), "t: found level 2, expected -2 to 1"),
        ([1.0], "t: found list, expected a NumPy or CuPy array"),
    ],
)
def test_bad_fields_are_named(field: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        horizontal_fields({"t": field}, level=2)
