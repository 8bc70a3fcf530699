"""Diagnostics learnt from what was observed: errors of observations, means over more and less than a step, gaps."""

import numpy as np
import pytest
import xarray as xr

torch = pytest.importorskip("torch", reason="training needs PyTorch")
torch.set_num_threads(1)

from training_files import columns, write_columns  # noqa: E402

from ailand_gt4py.core.errors import InputError  # noqa: E402
from ailand_gt4py.core.settings import read_settings  # noqa: E402
from ailand_gt4py.evaluation.columns import read_columns  # noqa: E402
from ailand_gt4py.evaluation.runs import run_free  # noqa: E402
from ailand_gt4py.training import session  # noqa: E402
from ailand_gt4py.training.configuration import Configuration  # noqa: E402
from ailand_gt4py.training.dataset import read_windows  # noqa: E402
from ailand_gt4py.training.observed_data import Wanted  # noqa: E402
from ailand_gt4py.training.observed_term import ObservedTerm  # noqa: E402
from ailand_gt4py.training.scaling import measure, measured_variability  # noqa: E402
from ailand_gt4py.training.tensors import normalised_tensors  # noqa: E402
from ailand_gt4py.weights.variables import DEFAULT  # noqa: E402

NAMES = [variable.name for variable in DEFAULT.diagnostics]
SSHF, SSR = NAMES.index("sshf"), NAMES.index("ssr")
HOUR = np.timedelta64(1, "h")
N_TIMES = 41
DIAGNOSTIC_SCALE = 0.1
NETWORK = {"width": 9, "depth": 2, "diagnostic_width": 6, "diagnostic_depth": 1}


def beside(path, **values):
    """The file with ``obs_NAME`` and errors ``obs_NAME_error`` of these values, or numbers."""
    with xr.open_dataset(path) as dataset:
        data = dataset.load()
    for name, value in values.items():
        data[f"obs_{name}"] = data.sshf * 0.0 + value
        data[f"obs_{name}"].attrs = {"units": "W m-2", "cell_methods": "time: mean"}
    data.to_netcdf(path.with_name(f"with_{path.name}"))
    return path.with_name(f"with_{path.name}")


def own_file(path, source, start, step, values, error=None, order=None):
    """Means of sensible heat (n_times,) at the columns of a source, a step apart from so many hours after its start."""
    with xr.open_dataset(source) as data:
        latitude, longitude, first = data.lat.load(), data.lon.load(), data.time.values[0]
    times = first + (start + np.arange(len(values)) * step) * HOUR
    shape = len(values), latitude.size
    fields = {"sshf": np.broadcast_to(np.asarray(values, dtype=float)[:, None], shape)}
    if error is not None:
        fields["sshf_error"] = np.full(shape, error)
    found = xr.Dataset(
        {
            name: (("time", "x"), field, {"units": "W m-2", "cell_methods": "time: mean"})
            for name, field in fields.items()
        },
        coords={"time": times, "lat": latitude, "lon": longitude},
    )
    found.isel(time=slice(None) if order is None else order).to_netcdf(path)
    return path


def prepared(path, **wanted):
    """The term, and (n_steps, n) rows, targets of all windows and the scale of sensible heat."""
    data = read_windows([path], DEFAULT, observed=Wanted(names=("sshf",), **wanted))
    # Targets of other diagnostics are those of the file, where the statistics are from.
    scaling = measure(read_windows([path], DEFAULT), DEFAULT)
    term = ObservedTerm(data.observed, scaling, DIAGNOSTIC_SCALE)
    tensors = normalised_tensors(data, scaling)
    numbers = torch.arange(len(data.n_windows))
    windows = torch.arange(int(data.n_windows[0]))[:, None]
    rows = tensors.rows_of(numbers, windows)
    return term, rows, tensors.diagnostics_at(numbers, windows), scaling.diagnostics[SSHF].normalisation


def errors_of(term, rows, targets, diagnosed):
    difference = torch.where(torch.isfinite(targets), diagnosed - targets, 0.0)
    return term.errors(rows, diagnosed, difference)


@pytest.fixture
def source(tmp_path):
    return write_columns(tmp_path / "a.nc", n_columns=2, n_times=N_TIMES)


def test_an_error_is_divided_by_that_of_the_observation_and_of_the_model(source):
    """In quadrature; by the model's alone where it is not known, and for what was not observed."""
    error = np.full((N_TIMES, 2), 30.0)
    error[10:, 1] = np.nan
    term, rows, targets, own = prepared(beside(source, sshf=-5.0, sshf_error=error))
    diagnosed = targets + 0.25
    found = errors_of(term, rows, targets, diagnosed).numpy()
    expected = 0.25 / np.hypot(DIAGNOSTIC_SCALE, error[:-1] / own.scale)
    expected[10:, 1] = 0.25 / DIAGNOSTIC_SCALE
    np.testing.assert_allclose(found[..., SSHF], expected, rtol=1e-5)
    np.testing.assert_allclose(np.delete(found, SSHF, axis=-1), 0.25 / DIAGNOSTIC_SCALE, rtol=1e-4)
    assert expected[0, 0] < 0.9 * 0.25 / DIAGNOSTIC_SCALE


def test_an_error_that_files_do_not_tell_is_that_of_the_configuration(source):
    error = np.full((N_TIMES, 2), np.nan)
    error[:, 0] = 30.0
    term, rows, targets, own = prepared(beside(source, sshf=-5.0, sshf_error=error), errors={"sshf": 80.0})
    found = errors_of(term, rows, targets, targets + 0.25).numpy()[..., SSHF]
    for k, one in enumerate((30.0, 80.0)):
        np.testing.assert_allclose(found[:, k], 0.25 / np.hypot(DIAGNOSTIC_SCALE, one / own.scale), rtol=1e-5)


@pytest.mark.parametrize("begin", [0, 7, 12])
def test_a_daily_mean_is_compared_with_the_mean_of_its_steps(source, tmp_path, begin):
    """Of steps that it has a part of that part, by hand; in the step in which it ends."""
    values = np.array([-30.0, -10.0, np.nan, 20.0, 5.0])
    path = own_file(tmp_path / "daily.nc", source, begin, 24, values, error=12.0)
    term, rows, targets, own = prepared(source, files={source: [path]})
    assert np.isnan(targets[..., SSHF]).all()
    diagnosed = torch.as_tensor(np.random.default_rng(0).normal(size=targets.shape).astype("f4"))
    found = errors_of(term, rows, targets, diagnosed).numpy()[..., SSHF]
    fluxes = own.shift + own.scale * diagnosed.numpy()[..., SSHF].astype(float)
    expected = np.zeros_like(found)
    for k in np.flatnonzero(np.isfinite(values)):
        hours = begin + 24 * k + np.arange(24)
        mean = fluxes[hours // 6].mean(axis=0)
        expected[hours[-1] // 6] = (mean - values[k]) / np.hypot(DIAGNOSTIC_SCALE * own.scale, 12.0)
    np.testing.assert_allclose(found, expected, atol=2e-4)
    assert np.count_nonzero(expected) == 2 * 4


def test_of_a_mean_that_a_rollout_does_not_hold_nothing_counts(source, tmp_path):
    path = own_file(tmp_path / "daily.nc", source, 6, 24, np.arange(5.0))
    term, rows, targets, _ = prepared(source, files={source: [path]})
    diagnosed = torch.ones_like(targets, requires_grad=True)
    for first, count in ((1, 1), (2, 0), (0, 1), (5, 1), (6, 0)):
        part = slice(first, first + 5)
        found = errors_of(term, rows[part], targets[part], diagnosed[part])[..., SSHF]
        assert torch.count_nonzero(found[:, 0]) == count
    (gradient,) = torch.autograd.grad(found.sum(), diagnosed)
    assert torch.count_nonzero(gradient[..., SSHF]) == 0
    found = errors_of(term, rows[1:6], targets[1:6], diagnosed[1:6])[..., SSHF].sum()
    (gradient,) = torch.autograd.grad(found, diagnosed)
    np.testing.assert_allclose(gradient[1:5, :, SSHF], 0.25 / DIAGNOSTIC_SCALE, rtol=1e-4)
    assert torch.count_nonzero(gradient[..., SSHF]) == 8


def test_half_hours_become_means_over_the_step(source, tmp_path):
    values = np.random.default_rng(1).normal(size=12 * 10)
    values[3] = np.nan
    path = half_hourly(tmp_path, source, values)
    data = read_windows([source], DEFAULT, observed=Wanted(names=("sshf",), files={source: [path]}))
    found = data.diagnostics.reshape(2, N_TIMES - 1, -1)[..., SSHF]
    expected = np.full(N_TIMES - 1, np.nan)
    expected[2:12] = np.nanmean(values.reshape(10, 12), axis=1)
    np.testing.assert_allclose(found, np.broadcast_to(expected, found.shape), rtol=1e-5)
    assert data.observed.is_observed.sum() == 2
    assert not data.observed.needs


def half_hourly(tmp_path, source, values):
    with xr.open_dataset(own_file(tmp_path / "hourly.nc", source, 12, 1, values)) as data:
        hourly = data.load()
    first = hourly.time.values[0]
    hourly["time"] = first + np.arange(len(values)) * np.timedelta64(30, "m")
    hourly.to_netcdf(tmp_path / "half.nc")
    return tmp_path / "half.nc"


def trained(directory, path, begin="", **options):
    run = {"start_from": str(begin), "directory": str(directory / "run")}
    chosen = {
        "data": {"train": [path.name], "validation_fraction": 0.0},
        "stages": [{"iterations": 3, "steps": 5, "batch": 4}],
        "optimiser": {"learning_rate": 0.02, "warmup_iterations": 1, "average_decay": 0.9, "weight_decay": 0.0},
        "augmentation": {"static_noise": 0.0},
    }
    chosen |= {name: chosen.get(name, {}) | value if name == "data" else value for name, value in options.items()}
    said = []
    configuration = read_settings(Configuration, chosen | {"run": run})
    files = [path.parent / name for name in configuration.data.train]
    return session.train(configuration, files, directory / "model.nc", False, "ailand train", said.append), said


@pytest.fixture
def start(source, tmp_path):
    """A model that gives the source's diagnostics roughly, and its file."""
    model, _ = trained(tmp_path / "start", source, network=NETWORK)
    return model, tmp_path / "start" / "model.nc"


@pytest.mark.parametrize("begin", [0, 7])
def test_daily_means_alone_teach_a_flux(source, start, tmp_path, begin):
    """Twin: what is observed is a day's mean of the flux of another network, 40 W m-2 above; gaps teach nothing."""
    model, file = start
    scale = model.diagnostics[SSHF].normalisation.scale

    def fluxes(of):
        run = run_free(of, read_columns(source, of, np.dtype(np.float32)))
        return run.results[..., len(of.state) + SSHF].astype(float)

    # Both columns have the same mean in the file: of the first alone is learnt.
    before = fluxes(model)
    hours = np.repeat(before[:, 0] + 40.0, 6)[begin:]
    means = hours[: len(hours) // 24 * 24].reshape(-1, 24).mean(axis=1)
    means[1] = np.nan
    with xr.open_dataset(source) as data:
        data.isel(x=[0]).to_netcdf(tmp_path / "one.nc")
    path = own_file(tmp_path / "daily.nc", tmp_path / "one.nc", begin, 24, means)
    after, said = trained(
        tmp_path / "tuned",
        tmp_path / "one.nc",
        file,
        data={"observed": ["sshf"], "observations": {"one.nc": [path.name]}},
        stages=[{"iterations": 150, "steps": 10, "batch": 16}],
        adaptation={"learns": "bias_correction", "distils": True},
    )
    learnt = fluxes(after)[:, 0] - before[:, 0]
    assert learnt.mean() == pytest.approx(40.0, rel=0.15)
    assert learnt.std() < 0.2 * scale
    (told,) = (line for line in said if "is observed, in" in line)
    assert f"one.nc: sshf is observed, in {len(means) - 1} means over 24 h, up to" in told
    change = np.abs(after.parameters["diagnostic.1.bias"] - model.parameters["diagnostic.1.bias"])
    assert change[SSHF] > 0.1
    assert np.delete(change, SSHF).max() < 1e-6


def test_what_is_not_observed_is_held_to_the_start_and_not_to_the_source(source, start, tmp_path):
    """The source's own net short-wave radiation is far off: with `distils` it teaches nothing, otherwise much."""
    model, file = start
    path = beside(source, sshf=30.0)
    with xr.open_dataset(path) as data:
        changed = data.load()
    changed["ssr"] = changed.ssr + 500.0
    changed["stl1"] = changed.stl1 + 3.0
    changed.to_netcdf(tmp_path / "changed.nc")
    moved = {}
    for distils in (False, True):
        after, _ = trained(
            tmp_path / f"{distils}",
            tmp_path / "changed.nc",
            file,
            data={"observed": ["sshf"]},
            stages=[{"iterations": 40, "steps": 3, "batch": 16}],
            adaptation={"learns": "last_layers", "distils": distils},
        )
        pairs = [
            (after.parameters[name], model.parameters[name]) for name in ("diagnostic.1.weight", "prognostic.0.weight")
        ]
        of_diagnostics, of_state = (np.abs(one.astype(float) - other).max(axis=1) for one, other in pairs)
        moved[distils] = of_diagnostics[SSHF], of_diagnostics[SSR], of_state.max()
    assert moved[True][0] > 1e-2
    assert moved[True][1] == pytest.approx(0.0, abs=1e-6)
    assert moved[True][2] == pytest.approx(0.0, abs=1e-6)
    assert moved[False][1] > 1e-2
    assert moved[False][2] > 1e-6


def test_rollouts_that_are_too_short_for_a_mean_are_refused_or_told(source, start, tmp_path):
    own_file(tmp_path / "daily.nc", source, 7, 24, np.arange(5.0))
    words = tmp_path / "run", source, start[1]
    data = {"observed": ["sshf"], "observations": {"a.nc": ["daily.nc"]}}
    one = {"iterations": 2, "batch": 4}
    with pytest.raises(
        InputError,
        match=r"'stages': found rollouts of at most 4 steps, expected at least 5, which the means of 'sshf' over 24 h "
        r"in a\.nc are over",
    ):
        trained(*words, data=data, stages=[one | {"steps": 1}, one | {"steps": 4}])
    _, said = trained(*words, data=data, stages=[one | {"steps": 4}, one | {"steps": 5}])
    assert "rollouts of 4 steps do not learn from the means of 'sshf' over 24 h in a.nc, which are over 5" in said


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"start": 24 * 400}, r"'sshf' are from 2022-04-05.*, expected some means over 24 h from 2021-03-01T00:00 to"),
        ({"order": [0, 2, 1]}, r"daily\.nc: .*'time' at index 2 .* is before the one at index 1"),
        ({"order": [0, 1, 1]}, r"daily\.nc: .*'time' at index 2 .* repeats the one at index 1"),
        ({"error": 0.0}, r"daily\.nc: .*'sshf': found an error of 0 W m-2.*expected errors above 0"),
        ({"error": -3.0}, r"daily\.nc: .*'sshf': found an error of -3 W m-2.*expected errors above 0"),
    ],
)
def test_observations_that_cannot_be_are_refused(source, tmp_path, change, message):
    options = {"start": 0, "step": 24, "values": np.arange(5.0)} | change
    path = own_file(tmp_path / "daily.nc", source, **options)
    with pytest.raises(InputError, match=message) as caught:
        read_windows([source], DEFAULT, observed=Wanted(names=("sshf",), files={source: [path]}))
    assert "\n" not in str(caught.value)


def test_means_over_windows_of_different_lengths_are_refused(source, tmp_path):
    path = own_file(tmp_path / "uneven.nc", source, 0, 24, np.arange(5.0), order=[0, 1, 3])
    assert read_windows([source], DEFAULT, observed=Wanted(names=("sshf",), files={source: [path]})).observed.needs
    with xr.open_dataset(path) as data:
        uneven = data.load()
    uneven["time"] = uneven.time + np.array([0, 0, 6], dtype="timedelta64[h]").astype("timedelta64[ns]")
    uneven.to_netcdf(tmp_path / "months.nc")
    with pytest.raises(
        InputError,
        match=r"'sshf' at 2021-03-02T00:00 and 2021-03-04T06:00: found them 2\.25 times as far apart as the near",
    ):
        read_windows([source], DEFAULT, observed=Wanted(names=("sshf",), files={source: [tmp_path / "months.nc"]}))


def test_what_was_observed_nowhere_is_refused(source, tmp_path):
    path = beside(source, sshf=3.0)
    with pytest.raises(
        InputError, match=r"'data\.observed': found no source with observations of slhf, expected obs_slhf in one, or"
    ):
        read_windows([source, path], DEFAULT, observed=Wanted(names=("sshf", "slhf")))
    with pytest.raises(InputError, match=r"none\.nc.*no such file"):
        read_windows([source], DEFAULT, observed=Wanted(names=("sshf",), files={source: [tmp_path / "none.nc"]}))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"observation_errors": {"sshf": 0.0}}, r"'data\.observation_errors\.sshf': found 0, expected more than 0"),
        ({"observation_errors": {"sshf": -1.0}}, r"'data\.observation_errors\.sshf': found -1, expected more than 0"),
        (
            {"observation_errors": {"slhf": 1.0}},
            r"'data\.observation_errors\.slhf': no such observed diag.*sshf",
        ),
        ({"observations": {"b.nc": ["d.nc"]}}, r"'data\.observations\.b\.nc': no such source; expected one of a\.nc"),
        ({"observations": {"a.nc": []}}, r"'data\.observations\.a\.nc': .*expected at least 1"),
        ({"observations": {"a.nc": ["d.nc"]}, "observed": []}, r"'data\.observations': found files of a\.nc, but no"),
    ],
)
def test_options_that_cannot_be_are_refused(data, message):
    minimal = {"stages": [{"iterations": 1, "steps": 1, "batch": 1}]}
    with pytest.raises(InputError, match=message):
        read_settings(Configuration, minimal | {"data": {"train": ["a.nc"], "observed": ["sshf"]} | data})


def test_sources_of_which_all_is_only_observed(source, start, tmp_path):
    """No state is known: statistics are the model's, and what was observed is learnt."""
    model, file = start
    plain = columns(2, N_TIMES).drop_vars(NAMES)
    plain["obs_sshf"] = (("time", "x"), np.full((N_TIMES, 2), -200.0), {"units": "W m-2", "cell_methods": "time: mean"})
    plain.to_netcdf(tmp_path / "only.nc")
    options = {"data": {"only_observed": ["only.nc"], "observed": ["sshf"]}}
    with pytest.raises(InputError, match=r"'data\.only_observed': found all of data\.train, so that no state is known"):
        trained(tmp_path / "none", tmp_path / "only.nc", network=NETWORK, **options)
    with pytest.raises(InputError, match=r"so that nothing is learnt, expected names in 'data\.observed'"):
        trained(tmp_path / "none", tmp_path / "only.nc", file, data={"only_observed": ["only.nc"]})
    for learns in ("all", "diagnostic_block"):
        after, _ = trained(
            tmp_path / learns,
            tmp_path / "only.nc",
            file,
            stages=[{"iterations": 60, "steps": 2, "batch": 16}],
            adaptation={"learns": learns, "distils": True},
            **options,
        )
        before = [one.normalisation for one in (*model.state, *model.diagnostics)]
        assert [one.normalisation for one in (*after.state, *after.diagnostics)] == before
        bias = (after.parameters["diagnostic.1.bias"] - model.parameters["diagnostic.1.bias"]).astype(float)
        assert bias[SSHF] < -0.05
        assert np.isfinite(bias).all()


def test_without_what_a_model_tells_of_its_variability_no_state_is_enough(source):
    data = read_windows([source], DEFAULT)
    scaling = measure(data, DEFAULT)
    data.state_known[:] = False
    with pytest.raises(
        InputError, match=r"no state is known to learn from, and the initial model .* expected a source whose"
    ):
        measured_variability(data, scaling)
