"""Brightness temperature as a term of the loss: what it teaches, what teaches nothing, and what is refused."""

import numpy as np
import pytest
import xarray as xr

torch = pytest.importorskip("torch", reason="training needs PyTorch")
torch.set_num_threads(1)

from training_files import columns  # noqa: E402

from ailand_gt4py.core.errors import InputError  # noqa: E402
from ailand_gt4py.core.settings import read_settings  # noqa: E402
from ailand_gt4py.evaluation.columns import read_columns  # noqa: E402
from ailand_gt4py.evaluation.runs import run_free  # noqa: E402
from ailand_gt4py.observations.brightness import BrightnessTemperature, clay_fraction  # noqa: E402
from ailand_gt4py.observations.operators import Situation  # noqa: E402
from ailand_gt4py.training import session  # noqa: E402
from ailand_gt4py.training.brightness_term import BrightnessTerm  # noqa: E402
from ailand_gt4py.training.configuration import Brightness, Configuration  # noqa: E402
from ailand_gt4py.training.dataset import read_windows  # noqa: E402
from ailand_gt4py.training.loop import Trainer  # noqa: E402
from ailand_gt4py.training.scaling import measure  # noqa: E402
from ailand_gt4py.training.tensors import normalised_tensors  # noqa: E402
from ailand_gt4py.weights.variables import DEFAULT  # noqa: E402

STATE = [variable.name for variable in DEFAULT.state]
WATER, SURFACE, SNOW = (STATE.index(name) for name in ("swvl1", "stl1", "snowc"))
N_COLUMNS, N_TIMES = 6, 60
#: Soil types of the columns; the last is organic.
SOIL = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
NAMES = ("tbh", "tbv")


def land(seed=0, **changes):
    """Columns without snow and frost, over low vegetation with few leaves, and their soil type."""
    data = columns(N_COLUMNS, N_TIMES, seed)
    for name, value in ({"clim_cvh": 0.0, "clim_cvl": 0.5, "clim_tvl": 2.0, "lai_lv": 1.0} | changes).items():
        data[name] = data[name] * 0.0 + value
    data["snowc"] = data.snowc * 0.0
    for name in ("stl1", "stl2", "met_tair"):
        data[name] = data[name].clip(min=276.0)
    data["clim_sotype"] = (("x",), SOIL, {"units": "1"})
    return data


def observed(data, path, **changes):
    """The file with obs_tbh, obs_tbv of its own states, all gaps at every third label; changes: of these values."""
    template = DEFAULT.template(21_600.0)
    static = np.stack([data[variable.name].values for variable in template.static], axis=1)
    operator = BrightnessTemperature(template, np.tile(static, (N_TIMES, 1)), clay_fraction(np.tile(SOIL, N_TIMES)))
    state, forcing = (np.zeros((N_TIMES, N_COLUMNS, len(getattr(DEFAULT, one)))) for one in ("state", "forcing"))
    for values, group in ((state, DEFAULT.state), (forcing, DEFAULT.forcing)):
        for k, variable in enumerate(group):
            if variable.name in data:
                values[..., k] = data[variable.name].values
    # At the end of a step: with the leaves of the step before.
    forcing[1:] = forcing[:-1]
    rows = N_TIMES * N_COLUMNS
    situation = Situation(forcing.reshape(rows, -1), state.reshape(rows, -1), np.zeros((rows, 0)))
    simulated = operator.values(situation).reshape(N_TIMES, N_COLUMNS, 2)
    simulated[::3] = np.nan
    data = data.copy()
    for k, name in enumerate(NAMES):
        values = np.where(np.isnan(simulated[..., k]), np.nan, simulated[..., k] + changes.get(name, 0.0))
        # Organic soils are not simulated, but may be observed.
        values = np.where((SOIL == 6.0) & np.isfinite(simulated[:, :1, k]), 250.0, values)
        data[f"obs_{name}"] = (("time", "x"), values, {"units": "K"})
    data.to_netcdf(path)
    return path


def prepared(path, names=NAMES, **options):
    """The term, tensors, and (n_steps, n) rows, normalised states (float64) and forcing of all windows."""
    windows = read_windows([path], DEFAULT, brightness=names)
    scaling = measure(windows, DEFAULT)
    term = BrightnessTerm(Brightness(**options), windows.brightness, scaling)
    tensors = normalised_tensors(windows, scaling)
    numbers, steps = torch.arange(N_COLUMNS), torch.arange(N_TIMES - 1)[:, None]
    states = tensors.state_at(numbers, steps + 1).double()
    return term, numbers, tensors.rows_of(numbers, steps), states, tensors.forcing_at(numbers, steps)


def test_the_truth_has_no_error_and_a_bias_is_one(tmp_path):
    """At the windows' ends, in units of the error, which is the file's where it has one."""
    path = observed(land(), tmp_path / "a.nc", tbv=-6.0)
    with xr.open_dataset(path) as file:
        data = file.load()
    data["obs_tbv_error"] = data.obs_tbv * 0.0 + 1.5
    data.obs_tbv_error.attrs["units"] = "K"
    data.to_netcdf(tmp_path / "b.nc")
    term, *arguments = prepared(tmp_path / "b.nc", error=3.0)
    errors = term(*arguments)
    there = np.arange(1, N_TIMES) % 3 != 0
    assert torch.count_nonzero(errors[~there]) == 0
    assert errors[there, :5, 0].abs().max() < 1e-3
    np.testing.assert_allclose(errors[there, :5, 1].numpy(), 4.0, atol=1e-3)
    # An organic soil has no clay.
    assert torch.count_nonzero(errors[:, 5]) == 0


def test_what_is_given_changes_what_is_expected(tmp_path):
    path = observed(land(), tmp_path / "a.nc")
    for changes in ({"roughness": 1.3}, {"optical_depth": 0.7}, {"incidence": 50.0}):
        term, *arguments = prepared(path, **changes)
        assert term(*arguments)[:, :5].abs().max() > 0.1
    term, *arguments = prepared(path, ("tbv",), polarisations=("v",))
    assert term(*arguments).shape[-1] == 1
    assert term(*arguments).abs().max() < 1e-3


def test_gradients_are_those_of_finite_differences(tmp_path):
    path = observed(land(), tmp_path / "a.nc", tbh=-5.0)
    learns = ("roughness", "optical_depth", "albedo", "bias")
    term, numbers, rows, states, forcing = prepared(path, learns=learns)
    part = slice(0, 4)
    states = states[part].clone().requires_grad_(True)
    assert torch.autograd.gradcheck(lambda one: term(numbers, rows[part], one, forcing[part]), (states,), atol=1e-6)
    parameters = list(term.parameters())
    assert len(parameters) == len(learns)
    loss = term(numbers, rows, *prepared(path)[3:]).square().mean()
    found = torch.autograd.grad(loss, parameters)
    for parameter, gradient in zip(parameters, found, strict=True):
        k, step = int(gradient.abs().argmax()), 1e-5
        ends = []
        for sign in (1.0, -1.0):
            with torch.no_grad():
                parameter.view(-1)[k] += sign * step
                ends.append(float(term(numbers, rows, *prepared(path)[3:]).square().mean()))
                parameter.view(-1)[k] -= sign * step
        assert float(gradient.view(-1)[k]) == pytest.approx((ends[0] - ends[1]) / (2.0 * step), rel=1e-5)


@pytest.mark.parametrize(("position", "value"), [(SNOW, 0.02), (SURFACE, 274.0)], ids=["snow", "frost"])
def test_snow_and_frost_of_the_rollout_teach_nothing(tmp_path, position, value):
    path = observed(land(), tmp_path / "a.nc", tbh=-5.0, tbv=-5.0)
    term, numbers, rows, states, forcing = prepared(path)
    scaling = measure(read_windows([path], DEFAULT), DEFAULT)
    variable = scaling.state[position].normalisation
    changed = states.clone()
    changed[:, 2, position] = (value - variable.shift) / variable.scale
    changed.requires_grad_(True)
    errors = term(numbers, rows, changed, forcing)
    errors.square().sum().backward()
    assert torch.count_nonzero(errors[:, 2]) == 0
    assert torch.count_nonzero(changed.grad[:, 2]) == 0
    assert torch.isfinite(changed.grad).all()
    assert torch.count_nonzero(errors[:, 1]) > 0


OPTIONS = {
    "network": {"width": 16, "depth": 1, "diagnostic_width": 4, "diagnostic_depth": 1},
    "optimiser": {"learning_rate": 0.02, "warmup_iterations": 1, "average_decay": 0.9},
    "augmentation": {"static_noise": 0.0},
}


def trained(directory, files, data, iterations=120, **options):
    names = {"train": [file.name for file in files], "validation_fraction": 0.0} | data
    stages = [{"iterations": iterations, "steps": 4, "batch": 24}]
    chosen = {"data": names, "stages": stages, "run": {"directory": str(directory)}} | OPTIONS | options
    said = []
    directory.mkdir()
    configuration = read_settings(Configuration, chosen)
    model = session.train(configuration, files, directory / "model.nc", False, "ailand train", said.append)
    return model, said


def water_error(model, path):
    """RMSE of swvl1 in a free run from the true first state, by column."""
    found = read_columns(path, model, np.dtype(np.float32))
    error = run_free(model, found).results[..., WATER] - found.state[1:, :, WATER]
    return np.sqrt(np.square(error).mean(axis=0))


def test_brightness_alone_moves_water_towards_the_truth(tmp_path):
    """Water is not taught by states; where Tb is observed it is had of this, and elsewhere as without."""
    data = land()
    # Rain is what wets the uppermost layer: without it there is nothing to be learnt.
    assert float(data.swvl1.std("time").mean()) > 0.005
    path = observed(data, tmp_path / "true.nc")
    errors = {}
    for name, term in (("without", {}), ("with", {"brightness": 1.0})):
        loss = {"weights": {"swvl1": 0.0}, "terms": term}
        model, said = trained(tmp_path / name, [path], {}, 150, loss=loss)
        errors[name] = water_error(model, path)
        assert any("tbh was observed" in line for line in said) == (name == "with")
    mineral = slice(0, 5)
    assert errors["with"][mineral].mean() < 0.6 * errors["without"][mineral].mean()


def test_of_what_is_only_observed_neither_states_nor_diagnostics_are_learnt(tmp_path):
    """Its states are no part of statistics either; diagnostics need not be there."""
    taught = observed(land(), tmp_path / "taught.nc")
    found = []
    for name, shift in (("first", 0.0), ("second", 0.1)):
        guess = land(seed=2).drop_vars([variable.name for variable in DEFAULT.diagnostics])
        guess["swvl2"] = guess.swvl2 + shift
        guess.to_netcdf(tmp_path / f"{name}.nc")
        windows = read_windows([taught, tmp_path / f"{name}.nc"], DEFAULT, only_observed=[tmp_path / f"{name}.nc"])
        assert windows.state_known[:N_COLUMNS].all()
        assert not windows.state_known[N_COLUMNS:].any()
        assert np.isnan(windows.diagnostics[windows.source.repeat(windows.n_windows) == 1]).all()
        found.append(measure(windows, DEFAULT).state[STATE.index("swvl2")].normalisation.mean)
        options = {"only_observed": [f"{name}.nc"], "validation_fraction": 0.3}
        terms = {"loss": {"terms": {"brightness": 1.0, "amounts": 0.1, "water": 0.1}}}
        model, _ = trained(tmp_path / name, [taught, tmp_path / f"{name}.nc"], options, 6, **terms)
        assert all(np.isfinite(array).all() for array in model.parameters.values())
    assert found[0] == found[1]


def test_what_the_operator_learns_is_told_and_resumed(tmp_path, monkeypatch):
    path = observed(land(), tmp_path / "a.nc", tbh=3.0, tbv=3.0)
    options = {
        "loss": {"terms": {"brightness_square": 1.0}},
        "brightness": {"learns": ["bias", "optical_depth"], "learning_rate": 0.1},
        "run": {"directory": str(tmp_path / "whole"), "checkpoint_interval": 5},
    }
    model, said = trained(tmp_path / "whole", [path], {}, 60, **options)
    (told,) = (line for line in said if "learnt bias" in line)
    found = [float(text) for text in told.replace("K", " ").replace("(H),", " ").split() if text[:1] in "+-"]
    assert found[0] > 1.0
    assert told in model.provenance["brightness_temperature"]
    assert "(type 2)" in model.provenance["brightness_temperature"]
    step = Trainer.step
    monkeypatch.setattr(Trainer, "step", lambda self: step(self) if self.iteration < 23 else pytest.fail("killed"))
    options["run"] |= {"directory": str(tmp_path / "parts")}
    with pytest.raises(pytest.fail.Exception, match="killed"):
        trained(tmp_path / "parts", [path], {}, 60, **options)
    monkeypatch.undo()
    stages = [{"iterations": 60, "steps": 4, "batch": 24}]
    data = {"train": [path.name], "validation_fraction": 0.0}
    configuration = read_settings(Configuration, {"data": data, "stages": stages} | OPTIONS | options)
    again = session.train(configuration, [path], tmp_path / "again.nc", True, "ailand train", said.append)
    for name, array in model.parameters.items():
        np.testing.assert_array_equal(again.parameters[name], array)
    assert again.provenance["brightness_temperature"] == model.provenance["brightness_temperature"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"error": 0.0}, r"'brightness\.error': found 0, expected more than 0"),
        ({"polarisations": ["h", "q"]}, r"'brightness\.polarisations\[1\]': found 'q', expected 'h' or 'v'"),
        ({"polarisations": []}, r"'brightness\.polarisations': .*expected at least 1"),
        ({"learns": ["clay"]}, r"'brightness\.learns\[0\]': found 'clay', expected 'roughness'"),
        ({"incidence": 90.0}, r"'brightness\.incidence': found 90, expected less than 90"),
    ],
)
def test_options_that_cannot_be_are_refused(changes, message):
    minimal = {"data": {"train": ["a.nc"]}, "stages": [{"iterations": 1, "steps": 1, "batch": 1}]}
    with pytest.raises(InputError, match=message):
        read_settings(Configuration, minimal | {"brightness": changes})


def test_what_the_model_or_the_files_lack_is_named(tmp_path):
    minimal = {"stages": [{"iterations": 1, "steps": 1, "batch": 1}], "loss": {"terms": {"brightness": 1.0}}}
    states = {"variables": {"state": ["swvl1", "stl1"]}}
    with pytest.raises(InputError, match=r"needs snowc, stl2 in 'variables\.state', expected all of swvl1"):
        read_settings(Configuration, minimal | states | {"data": {"train": ["a.nc"]}})
    with pytest.raises(InputError, match=r"'data\.only_observed\.b\.nc': no such source; expected one of a\.nc"):
        read_settings(Configuration, minimal | {"data": {"train": ["a.nc"], "only_observed": ["b.nc"]}})
    path = observed(land(), tmp_path / "a.nc")
    with xr.open_dataset(path) as file:
        data = file.load()
    data.drop_vars("clim_sotype").to_netcdf(tmp_path / "untyped.nc")
    with pytest.raises(InputError, match=r"untyped\.nc: variable 'clim_sotype' is missing"):
        read_windows([tmp_path / "untyped.nc"], DEFAULT, brightness=NAMES)
    data["obs_tbh_error"] = data.obs_tbh * 0.0
    data.obs_tbh_error.attrs["units"] = "K"
    data.to_netcdf(tmp_path / "exact.nc")
    with pytest.raises(InputError, match=r"'tbh': found an error of 0 K.*expected errors above 0"):
        read_windows([tmp_path / "exact.nc"], DEFAULT, brightness=NAMES)
    land().to_netcdf(tmp_path / "none.nc")
    with pytest.raises(InputError, match=r"no source has any of obs_tbh, obs_tbv on mineral soil, expected some"):
        read_windows([tmp_path / "none.nc"], DEFAULT, brightness=NAMES)
    plain, both = (read_windows(files, DEFAULT, brightness=names) for files, names in (
        ([tmp_path / "none.nc"], ()), ([tmp_path / "none.nc", path], NAMES)
    ))  # fmt: skip
    assert np.isnan(both.brightness.values[: len(plain.forcing)]).all()
    np.testing.assert_array_equal(both.state[: len(plain.state)], plain.state)
