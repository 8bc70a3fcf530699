"""DataArrays in and out of a step, by the names of dimensions and variables."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.labels import are_same, require_same
from ailand_gt4py.emulator.emulator import Emulator
from helpers import small_model

N_COLUMNS = 3


@pytest.fixture(scope="module")
def emulator() -> Emulator:
    return Emulator(small_model(), N_COLUMNS, "embedded")


@pytest.fixture(scope="module")
def plain(emulator: Emulator) -> list[np.ndarray]:
    random = np.random.default_rng(3)
    groups = (emulator.model.static, emulator.model.forcing, emulator.model.state)
    return [random.uniform(0.1, 0.9, (N_COLUMNS, len(group))).astype(np.float32) for group in groups]


def labelled(emulator: Emulator, plain: list[np.ndarray]) -> list[xr.DataArray]:
    """With variables and dimensions in another order."""
    groups = (emulator.model.static, emulator.model.forcing, emulator.model.state)
    result = []
    for group, values in zip(groups, plain, strict=True):
        coords = {"variable": [one.name for one in group], "cell": [7, 8, 9]}
        array = xr.DataArray(values, dims=("cell", "variable"), coords=coords)
        result.append(array.isel(variable=slice(None, None, -1)).transpose("variable", "cell"))
    return result


def test_variables_are_taken_by_name(emulator: Emulator, plain: list[np.ndarray]) -> None:
    expected = emulator.step(*plain)
    found = emulator.step(*labelled(emulator, plain))
    groups = (emulator.model.state, emulator.model.diagnostics)
    for one, values, group in zip(found, expected, groups, strict=True):
        assert one.dims == ("cell", "variable")
        np.testing.assert_array_equal(one, values)
        np.testing.assert_array_equal(one["cell"], [7, 8, 9])
        assert list(one["variable"].values) == [variable.name for variable in group]
        assert list(one["units"].values) == [variable.units for variable in group]
    again = emulator.step(*plain[:2], found[0])[0]
    np.testing.assert_array_equal(again, emulator.step(*plain[:2], expected[0])[0])


def test_what_changes_in_a_labelled_array_is_seen(emulator: Emulator, plain: list[np.ndarray]) -> None:
    static, forcing, state = labelled(emulator, plain)
    out = emulator.allocate(len(emulator.model.state)), emulator.allocate(len(emulator.model.diagnostics))
    first = emulator.step(static, forcing, state, out=out)[0].copy()
    forcing.values[:] += 0.3
    again = emulator.step(static, forcing, state, out=out)[0]
    assert (first != again).any()
    np.testing.assert_array_equal(again, emulator.step(static, forcing, state)[0])


def test_without_labels_the_order_is_the_models(emulator: Emulator, plain: list[np.ndarray]) -> None:
    static = xr.DataArray(plain[0].T, dims=("variable", "x"))
    np.testing.assert_array_equal(emulator.step(static, *plain[1:])[0], emulator.step(*plain)[0])


def test_other_names_are_refused(emulator: Emulator, plain: list[np.ndarray]) -> None:
    static, forcing, state = labelled(emulator, plain)
    with pytest.raises(InputError, match=r"forcing: found the dimensions \(feature, cell\), expected .* 'variable'"):
        emulator.step(static, forcing.rename(variable="feature").drop_vars("feature"), state)
    with pytest.raises(InputError, match="state: variable 'stl1' is missing, expected swvl1, "):
        emulator.step(static, forcing, state.sel(variable=state["variable"] != "stl1"))
    names = ["wet" if name == "stl1" else name for name in state["variable"].values]
    with pytest.raises(InputError, match="state: variable '(stl1' is missing|wet' is unknown)"):
        emulator.step(static, forcing, state.assign_coords(variable=names))
    out = state.copy(), np.empty((N_COLUMNS, len(emulator.model.diagnostics)), np.float32)
    with pytest.raises(InputError, match="new state: found the variables .*, expected the order swvl1, "):
        emulator.step(static, forcing, state, out=out)


def test_other_units_are_refused(emulator: Emulator, plain: list[np.ndarray]) -> None:
    inputs = labelled(emulator, plain)
    units = {one.name: one.units for one in emulator.model.forcing}
    units[str(inputs[1]["variable"].values[-1])] = "furlong"
    first = emulator.model.forcing[0]
    own = [units[str(name)] for name in inputs[1]["variable"].values]
    with pytest.raises(
        InputError, match=f"forcing: variable '{first.name}': found the unit 'furlong', expected '{first.units}'"
    ):
        emulator.step(inputs[0], inputs[1].assign_coords(units=("variable", own)), inputs[2])


def test_other_columns_are_refused(emulator: Emulator, plain: list[np.ndarray]) -> None:
    static, forcing, state = labelled(emulator, plain)
    with pytest.raises(InputError, match="forcing: found 9 at index 0 along 'cell', expected 7 as of static"):
        emulator.step(static, forcing.isel(cell=[2, 1, 0]), state)
    with pytest.raises(InputError, match="state: found 9 at index 0 along 'cell', expected 7 as of forcing"):
        emulator.step(plain[0], forcing, state.isel(cell=[2, 1, 0]))
    texts = state.assign_coords(cell=["a", "b", "c"])
    with pytest.raises(InputError, match="state: found a at index 0 along 'cell', expected 7 as of static"):
        emulator.step(static, forcing, texts)
    expected = emulator.step(*plain)[0]
    np.testing.assert_array_equal(emulator.step(static, forcing.drop_vars("cell"), state)[0], expected)
    as_float = forcing.assign_coords(cell=[7.0, 8.00001, -351.0])
    np.testing.assert_array_equal(emulator.step(static, as_float, state)[0], expected)


@pytest.mark.parametrize(
    ("labels", "others", "are"),
    [
        ([0.0, 90.0, 350.0], [360.0, 90.0001, -10.0], True),
        ([0.0, 9000.0], [9000.0, 18000.0], False),  # metres of a projection, a multiple of 360 apart
        ([1, 2], [1.0, 2.0], True),
        ([1.0, 2.0], [2.0, 1.0], False),
        (["a", "b"], ["a", "b"], True),
        (["1", "2"], [1.0, 2.0], False),
    ],
)
def test_labels_that_are_the_same(labels: list, others: list, are: bool) -> None:
    assert are_same(np.array(labels), np.array(others)) is are


def test_the_first_label_that_differs_is_named_though_it_may_be_a_longitude() -> None:
    with pytest.raises(InputError, match=r"x: found 0\.0 at index 0 along 'x', expected 360\.0 as of y"):
        require_same("x: found", "x", np.array([0.0, 9000.0]), np.array([360.0, 9000.0]), "as of y")
