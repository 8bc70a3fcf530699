"""Driver and land component from anemoi's first inputs on: its own rollouts of ten steps, missing values among them.

The references are those of anemoi-inference; what they compute from time and location is derived here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.driver.run import run
from ailand_gt4py.integration.component import LandComponent
from ailand_gt4py.weights import Model, Variable, import_checkpoint, write_model

STEP = np.timedelta64(6, "h")
#: Of a standard deviation: the inputs derived here differ from anemoi's in single precision.
TOLERANCE = 2e-5
#: Of the reference's, to be quick.
COLUMNS, N_STEPS = slice(None, None, 3), 5


class Rollout:
    """Of a reference: its inputs at the labels from the earliest input time on, and its results."""

    def __init__(self, shared: Path, name: str) -> None:
        self.path = shared / "anemoi" / f"{name}.ckpt"
        if not self.path.is_file():
            pytest.skip("no checkpoints of anemoi in the shared data")
        self.model: Model = import_checkpoint(self.path)
        with np.load(self.path.with_suffix(".npz")) as stored:
            reference = dict(stored)
        self.latitude, self.longitude = (reference[name][COLUMNS] for name in ("latitudes", "longitudes"))
        self.start = np.datetime64(str(reference["rollout_start"]), "ns")
        x = reference["rollout_x"][:N_STEPS, :, COLUMNS].astype(np.float64)
        self.n_earlier = x.shape[1] - 1
        self.times = self.start + np.arange(-self.n_earlier, len(x)) * STEP
        x = np.concatenate([x[0, :-1], x[:, -1]])
        self.inputs = {str(one): x[..., k] for k, one in enumerate(reference["in_names"])}
        self.computed = {str(one) for one in reference["in_names"][reference["in_computed"].astype(bool)]}
        y = np.moveaxis(reference["rollout_y64"], -1, 0)
        self.spread = dict(zip(map(str, reference["out_names"]), np.nanstd(y, axis=(1, 2)), strict=True))
        self.y = dict(zip(self.spread, y[:, :, COLUMNS], strict=True))

    def require(self, name: str, step: int, found: np.ndarray) -> None:
        """Check the result of a step, from 0 on; NaN where anemoi has NaN."""
        np.testing.assert_allclose(found, self.y[name][step], atol=TOLERANCE * self.spread[name], rtol=0.0)

    def file(self, path: Path) -> Path:
        """What a user has: no input that anemoi computes, all labels from the earliest input time on."""
        data = xr.Dataset()
        for variable in (*self.model.static, *self.model.forcing, *self.model.state):
            if variable.name in self.inputs and variable.name not in self.computed:
                values, is_static = self.inputs[variable.name], variable.time_meaning == "static"
                data[variable.name] = ("x" if is_static else ("time", "x"), values[0] if is_static else values)
                data[variable.name].attrs["units"] = variable.units
        data["time"] = ("time", self.times)
        data["x"] = ("x", np.arange(len(self.latitude)), {"units": "1"})
        data["lat"] = ("x", self.latitude, {"units": "degrees_north"})
        data["lon"] = ("x", self.longitude, {"units": "degrees_east"})
        data.to_netcdf(path)
        return path


@pytest.fixture(scope="module", params=["B", "E"])
def rollout(request: pytest.FixtureRequest, shared: Path) -> Rollout:
    return Rollout(shared, request.param)


def test_a_run_with_what_the_file_has_before_the_start_is_anemois(tmp_path: Path, rollout: Rollout) -> None:
    write_model(rollout.model, tmp_path / "model.nc")
    options: dict[str, Any] = {
        "model": tmp_path / "model.nc", "backend": "embedded", "precision": "float64", "quiet": True,
    }  # fmt: skip
    path = rollout.file(tmp_path / "in.nc")
    start = str(rollout.start)[:16]
    output = run(path, start=start, output=tmp_path / "out.nc", **options)
    with xr.open_dataset(output) as found:
        results = [one.name for one in (*rollout.model.state, *rollout.model.diagnostics) if not one.is_previous]
        for name in results:
            for step in range(len(found.time) - 1):
                rollout.require(name, step, found[name].values[step + 1])
        history = found.attrs["history"]
        for wanted in ("first window what is before the start: met_tair_before", "before the start, from the file: s"):
            assert (wanted in history) == (rollout.n_earlier > 0)
        assert "its own" not in history
        whole = {name: found[name].values for name in found.variables}
    middle = str(rollout.start + 2 * STEP)[:16]
    run(path, start=start, end=middle, output=tmp_path / "first.nc", restart_out=tmp_path / "restart.nc", **options)
    output = run(path, restart=tmp_path / "restart.nc", output=tmp_path / "second.nc", **options)
    with xr.open_dataset(output) as found:
        for name in (*results, "quality_flag"):
            assert whole[name][2:].tobytes() == found[name].values.tobytes(), name


def component(rollout: Rollout, **changes: Any) -> LandComponent:
    first = rollout.n_earlier

    def given(variables: tuple[Variable, ...]) -> dict[str, np.ndarray]:
        """What the host has of them at the start; ``NAME_before`` of the time before."""
        found = {}
        for variable in variables:
            root = variable.name.partition("_before")[0]
            if root in rollout.inputs and root not in rollout.computed:
                found[variable.name] = rollout.inputs[root][first - (root != variable.name)]
        return found

    model = rollout.model
    defaults: dict[str, Any] = {
        "land_mask": np.ones(len(rollout.latitude), dtype=bool),
        "latitude": rollout.latitude,
        "longitude": rollout.longitude,
        "static": given(model.static),
        "initial_state": given(model.state),
        "previous_forcing": given(tuple(one for one in model.forcing if one.is_previous)),
        "start": rollout.start,
        "host_step": STEP,
        "backend": "embedded",
        "precision": "float64",
    }
    return LandComponent(model, **(defaults | changes))


def give(land: LandComponent, rollout: Rollout, step: int) -> dict[str, np.ndarray]:
    """Give it a window's forcing; the results by name, which are those of the window before."""
    fields = {name: rollout.inputs[name][rollout.n_earlier + step] for name in land.inputs_properties}
    land(fields, rollout.start + step * STEP)
    model = land.model
    values = np.concatenate([land.state, land.diagnostics], axis=1)
    return dict(zip([one.name for one in (*model.state, *model.diagnostics)], values.T.copy(), strict=True))


def test_a_land_component_is_anemois(tmp_path: Path, rollout: Rollout) -> None:
    """Restart is to the bit, missing values too."""
    land = component(rollout)
    results = [give(land, rollout, step) for step in range(N_STEPS)]
    assert not land.flagged.any()
    for step, found in enumerate(results[1:]):
        for name in rollout.y:
            rollout.require(name, step, found[name])
    other = component(rollout)
    for step in range(3):
        give(other, rollout, step)
    other.write_restart(tmp_path / "land.nc")
    third = component(rollout)
    third.restore(tmp_path / "land.nc")
    for step in range(3, N_STEPS):
        for name, values in give(third, rollout, step).items():
            assert values.tobytes() == results[step][name].tobytes(), name
    assert not any("not finite" in sentence for sentence in land.range_sentences)


@pytest.mark.parametrize("on_what", ["static", "initial_state"])
def test_what_is_not_imputed_must_be_there(shared: Path, on_what: str) -> None:
    rollout = Rollout(shared, "B")
    name = {"static": "clim_geopot", "initial_state": "swvl1"}[on_what]
    fields = {one.name: rollout.inputs[one.name][0] for one in (*rollout.model.static, *rollout.model.state)
              if one.name in rollout.inputs and one.name not in rollout.computed}  # fmt: skip
    spoilt = fields[name].copy()
    spoilt[7] = np.nan
    group = {one.name for one in getattr(rollout.model, "static" if on_what == "static" else "state")}
    given = {key: value for key, value in (fields | {name: spoilt}).items() if key in group}
    with pytest.raises(InputError, match=f"{name}: found nan at point 7, expected finite numbers"):
        component(rollout, **{on_what: given})


def test_samples_that_are_missing_and_samples_that_cannot_be(shared: Path) -> None:
    """A missing sample makes its window missing, of an imputed variable; what cannot be is not taken for missing."""
    rollout = Rollout(shared, "B")
    n, half_step = len(rollout.latitude), STEP // 2
    land = component(rollout, host_step=half_step, not_finite="flag")
    same = component(rollout)
    fields = {name: rollout.inputs[name][0].copy() for name in land.inputs_properties}
    whole = dict(fields, lai_hv=np.where(np.arange(n) == 3, np.nan, 2.0))
    for step in range(2):
        same(whole, rollout.start + step * STEP)
    # Point 3: missing once. Point 5: a fill value, then missing. Point 8: the temperature is missing.
    for half in range(3):
        fields["lai_hv"] = np.full(n, 2.0)
        fields["lai_hv"][[3, 5]] = [np.nan, 1e20] if half == 0 else [2.0, np.nan]
        fields["met_tair"][8] = np.nan if half == 1 else rollout.inputs["met_tair"][0, 8]
        land(fields, rollout.start + half * half_step)
    np.testing.assert_array_equal(np.flatnonzero(land.flagged), [5, 8])
    kept = np.setdiff1d(np.arange(n), [5, 8])
    np.testing.assert_allclose(land.state[kept], same.state[kept], rtol=1e-12)
    raising = component(rollout)
    fields["lai_hv"][5] = 1e20
    with pytest.raises(InputError, match=r"lai_hv: found 1e\+20 m2 m-2 at point 5, .* expected -0.15 to 16.5 m2 m-2"):
        raising(fields, rollout.start)
