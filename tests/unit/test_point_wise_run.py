"""Driver and land component with a point-wise model: earlier states and forcing, missing values, tied columns."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from land_hosts import START, Host
from point_wise_models import point_wise_model

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.driver.run import run
from ailand_gt4py.emulator.emulator import Emulator
from ailand_gt4py.evaluation.columns import read_columns
from ailand_gt4py.integration.component import LandComponent
from ailand_gt4py.io.sources import open_source
from ailand_gt4py.weights import Model, Variable, write_model
from ailand_gt4py.weights.nodes import node_inputs
from ailand_gt4py.weights.processing import Nodes

N_COLUMNS, N_TIMES = 5, 7
LATITUDES, LONGITUDES = np.linspace(-60.0, 70.0, N_COLUMNS), np.linspace(-170.0, 350.0, N_COLUMNS)
COORDINATES = ("node_sin_latitude", "node_sin_longitude", "node_cos_latitude", "node_cos_longitude")


def model_of(n_times: int = 3, tied: bool = False) -> Model:
    """Its coordinates and numbers of each column are the last static inputs; every second variable is imputed."""
    model = point_wise_model((7, 3, 3, 2), n_times=n_times, seed=4, processings=("affine", "imputed"))
    names = (*COORDINATES, *(f"node_trainable_{k}" for k in range(2))) if tied else COORDINATES
    of_nodes = tuple(Variable(name, "1", time_meaning="static") for name in names)
    static = (*model.static[: 7 - len(of_nodes)], *of_nodes)
    numbers = np.random.default_rng(1).normal(size=(N_COLUMNS, 2)).astype(np.float32)
    return dataclasses.replace(model, static=static, nodes=Nodes(LATITUDES, LONGITUDES, numbers) if tied else None)


def given(model: Model) -> list[Variable]:
    """What a file has with time."""
    return [one for one in (*model.forcing, *model.state) if not one.derived]


def dataset(model: Model) -> xr.Dataset:
    """Columns of which some forcing, and the first state, is missing."""
    random = np.random.default_rng(2)
    data = xr.Dataset()
    for variable in model.static:
        if not variable.name.startswith("node_"):
            data[variable.name] = ("x", random.uniform(0.1, 0.9, N_COLUMNS), {"units": "1"})
    for variable in given(model):
        values = random.uniform(0.1, 0.9, (N_TIMES, N_COLUMNS))
        if variable.is_imputed:
            values[random.uniform(size=values.shape) < 0.2] = np.nan
            values[0, 1] = np.nan
        data[variable.name] = (("time", "x"), values, {"units": "1", "cell_methods": "time: point"})
    data["time"] = ("time", np.arange(N_TIMES) * 6, {"units": "hours since 2021-01-01", "calendar": "standard"})
    data["x"] = ("x", 100 + np.arange(N_COLUMNS), {"units": "1"})
    data["lat"] = ("x", LATITUDES.copy(), {"units": "degrees_north"})
    data["lon"] = ("x", LONGITUDES.copy(), {"units": "degrees_east"})
    return data


def files(directory: Path, model: Model, data: xr.Dataset | None = None) -> dict[str, Path]:
    write_model(model, directory / "model.nc")
    (dataset(model) if data is None else data).to_netcdf(directory / "in.nc")
    return {"forcing": directory / "in.nc", "model": directory / "model.nc"}


def run_of(paths: dict[str, Path], output: str, **options: object) -> xr.Dataset:
    settings = {"backend": "embedded", "precision": "float64", "quiet": True, "model": paths["model"]}
    found = run(paths["forcing"], output=paths["forcing"].parent / output, **(settings | options))
    with xr.open_dataset(found) as opened:
        return opened.load()


def stepped_by_hand(model: Model, data: xr.Dataset, n_steps: int, first: int = 0) -> list[np.ndarray]:
    """The states at the labels from one on, by the emulator alone: before the first label all was as at it."""
    emulator = Emulator(model, N_COLUMNS, "embedded", "float64")
    of_nodes = node_inputs(model, LATITUDES, LONGITUDES)
    static = np.stack(
        [of_nodes[one.name] if one.name in of_nodes else data[one.name].values for one in model.static], axis=1
    )

    def at(variables: tuple[Variable, ...], label: int) -> np.ndarray:
        columns = []
        for variable in variables:
            name, is_previous, count = variable.name.partition("_before")
            columns.append(data[name].values[max(label - int(count or 1), 0) if is_previous else label])
        return np.stack(columns, axis=1)

    states = [at(model.state, first)]
    for label in range(first, first + n_steps):
        states.append(emulator.step(static, at(model.forcing, label), states[-1])[0])
    return states


@pytest.mark.parametrize("n_times", [1, 2, 3])
def test_a_run_is_the_emulator_stepped_by_hand(tmp_path: Path, n_times: int) -> None:
    model = model_of(n_times)
    data = dataset(model)
    found = run_of(files(tmp_path, model), "out.nc")
    states = stepped_by_hand(model, data, N_TIMES - 1)
    for k, variable in enumerate(model.state):
        expected = np.stack([state[:, k] for state in states])
        np.testing.assert_array_equal(found[variable.name].values, expected)
        assert np.isnan(expected).any() == variable.is_imputed
    history = found.attrs["history"]
    assert (
        "first guess by taking the variables themselves at the start: state_0_before, state_1_before" in history
    ) == (n_times > 1)


@pytest.mark.parametrize(("first", "n_times"), [(1, 3), (2, 3), (3, 2)])
def test_before_the_start_all_was_as_the_file_has_it(tmp_path: Path, first: int, n_times: int) -> None:
    """As far back as the model takes something; and as at the first label before that."""
    model = model_of(n_times)
    data = dataset(model)
    start = str(np.datetime64("2021-01-01") + first * np.timedelta64(6, "h"))[:13]
    found = run_of(files(tmp_path, model, data), "out.nc", start=start)
    states = stepped_by_hand(model, data, N_TIMES - 1 - first, first)
    for k, variable in enumerate(model.state):
        expected = np.stack([state[:, k] for state in states])
        np.testing.assert_array_equal(found[variable.name].values, expected, err_msg=variable.name)
    history = found.attrs["history"]
    assert "Of times before the start, from the file: state_0_before, state_1_before" in history
    assert ("state_0_before2" in history.split("from the file: ")[1].split(".")[0]) == (first > 1 and n_times > 2)
    assert ("first window what is earliest before the start: forcing_0_before2" in history) == (first < n_times - 1)


def test_a_window_before_the_start_with_values_missing_is_none(tmp_path: Path) -> None:
    """As if the file began after it; and a state that is missing there is as at the start."""
    model = model_of(2)
    data = dataset(model)
    forcing = next(one.name for one in model.forcing if not one.is_imputed and not one.derived)
    data[forcing].values[1, 3] = np.nan
    state = next(one.name for one in model.state if not one.is_imputed)
    data[state].values[1, 0] = np.nan
    found = run_of(files(tmp_path, model, data), "out.nc", start="2021-01-01T12")
    as_if = data.copy(deep=True)
    for name in (one.name for one in model.forcing if not one.derived):
        as_if[name].values[1] = as_if[name].values[2]
    as_if[state].values[1] = as_if[state].values[2]
    states = stepped_by_hand(model, as_if, N_TIMES - 3, 2)
    for k, variable in enumerate(model.state):
        np.testing.assert_array_equal(found[variable.name].values, np.stack([one[:, k] for one in states]))
    assert "first window its own: forcing_0_before" in found.attrs["history"]


def test_a_restart_is_bit_for_bit_reproducible(tmp_path: Path) -> None:
    model = model_of()
    paths = files(tmp_path, model)
    whole = run_of(paths, "whole.nc")
    run_of(paths, "first.nc", end="2021-01-02T00", restart_out=tmp_path / "restart.nc")
    second = run_of(paths, "second.nc", restart=tmp_path / "restart.nc")
    assert len(second["time"]) == N_TIMES - 4
    for variable in (*model.state, *model.diagnostics):
        assert whole[variable.name].values[4:].tobytes() == second[variable.name].values.tobytes(), variable.name


def test_an_earlier_state_is_taken_from_the_file_where_it_has_one(tmp_path: Path) -> None:
    model = model_of(2)
    data = dataset(model)
    data["state_1_before"] = data["state_1"] * 0.5
    data["state_1_before"].attrs = data["state_1"].attrs
    found = run_of(files(tmp_path, model, data), "out.nc")
    np.testing.assert_array_equal(found["state_1_before"].values[0], data["state_1"].values[0] * 0.5)
    np.testing.assert_array_equal(found["state_0_before"].values[0], data["state_0"].values[0])


def test_the_truth_at_a_label_has_earlier_states_of_the_labels_before(tmp_path: Path) -> None:
    model = point_wise_model((7, 3, 3, 2), n_times=3)
    data = dataset(model)
    random = np.random.default_rng(3)
    for variable in model.diagnostics:
        data[variable.name] = (("time", "x"), random.uniform(size=(N_TIMES, N_COLUMNS)), {"units": "1"})
    for variable in model.static:
        data[variable.name] = ("x", random.uniform(size=N_COLUMNS), {"units": "1"})
    paths = files(tmp_path, model, data)
    columns = read_columns(paths["forcing"], model, np.dtype("float64"))
    for k, variable in enumerate(model.state):
        name, is_earlier, count = variable.name.partition("_before")
        labels = np.maximum(np.arange(N_TIMES) - (int(count or 1) if is_earlier else 0), 0)
        np.testing.assert_array_equal(columns.state[..., k], data[name].values[labels])
    with open_source(paths["forcing"], model) as source:
        for first in range(N_TIMES):
            part = source.reference(["state_1_before2", "state_0"], first, first + 1)
            np.testing.assert_array_equal(part[0, :, 0], data["state_1"].values[max(first - 2, 0)])
            np.testing.assert_array_equal(part[0, :, 1], data["state_0"].values[first])


def test_what_is_not_imputed_must_not_be_missing(tmp_path: Path) -> None:
    model = model_of()
    data = dataset(model)
    name = next(one.name for one in model.forcing if not one.is_imputed)
    data[name].values[3, 2] = np.nan
    with pytest.raises(InputError, match=f"'{name}' is missing at .* in column 2"):
        run_of(files(tmp_path, model, data), "out.nc")


def test_columns_that_a_network_is_tied_to_are_found_wherever_they_stand(tmp_path: Path) -> None:
    model = model_of(tied=True)
    data = dataset(model)
    order = [3, 0, 4]
    turned = data.isel(x=order)
    turned["lon"] = turned["lon"] - 360.0 * (turned["lon"] > 180.0)
    turned["lon"].attrs["units"] = "degrees_east"
    whole, part = tmp_path / "whole", tmp_path / "part"
    for directory in (whole, part):
        directory.mkdir()
    expected, found = run_of(files(whole, model), "out.nc"), run_of(files(part, model, turned), "out.nc")
    for variable in model.state:
        np.testing.assert_allclose(found[variable.name].values, expected[variable.name].values[:, order], rtol=1e-13)


def test_other_columns_than_those_are_refused(tmp_path: Path) -> None:
    model = model_of(tied=True)
    data = dataset(model)
    data["lat"].values[3] += 0.1
    message = "column 3 is at 37.6000 N, 220.0000 E, expected one of the 5 columns that the model is tied to"
    with pytest.raises(InputError, match=message):
        run_of(files(tmp_path, model, data), "out.nc")


def test_a_land_component_starts_with_earlier_states_as_the_state() -> None:
    model = model_of(2)
    host, mask = Host((4,)), np.array([True, False, True, True])
    values = {one.name: host.field(0.2 + 0.1 * k) for k, one in enumerate(model.static) if one.name not in COORDINATES}
    state = {one.name: host.field(0.3 + 0.1 * k) for k, one in enumerate(model.state) if not one.derived}
    land = LandComponent(
        model, land_mask=mask, latitude=host.latitude, longitude=host.longitude, static=values, initial_state=state,
        start=START, host_step=np.timedelta64(6, "h"), backend="embedded", precision="float64",
    )  # fmt: skip
    n_new = model.n_prognostic
    np.testing.assert_array_equal(land.state[:, :n_new], land.state[:, n_new:])
    before = land.state[:, :n_new].copy()
    weather = {name: host.field(0.5) for name in land.inputs_properties}
    assert set(weather) == {one.name for one in model.forcing if not one.derived}
    for step in range(2):
        land(weather, START + step * np.timedelta64(6, "h"))
    np.testing.assert_array_equal(land.state[:, n_new:], before)
    assert (land.state[:, :n_new] != before).all()
