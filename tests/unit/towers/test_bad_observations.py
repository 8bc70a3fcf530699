"""Files of observations that cannot be used: one line each, with the file, what was found and what was expected."""

import dataclasses
import logging

import numpy as np
import pytest
import xarray as xr
from tower_files import LATITUDE, LONGITUDE, callmip, plumber2, table, utc, weather

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.evaluation.columns import read_columns
from ailand_gt4py.evaluation.runs import run_free
from ailand_gt4py.evaluation.towers import verification
from ailand_gt4py.evaluation.towers.closure import Balance, closure
from ailand_gt4py.io.request import Reading
from ailand_gt4py.io.site import Site
from ailand_gt4py.observations.observed import read_observed
from ailand_gt4py.weights.variables import CATALOGUE
from helpers import small_dataset, small_model

FLUXES = [CATALOGUE[name].variable() for name in ("sshf", "slhf")]


def half_hourly(path):
    flags = {name: np.zeros(144) for name in ("Qh", "Qle")}
    return plumber2(path, {"Qh": "h", "Qle": "le"}, flags=flags)


def daily(path):
    days, values = utc(6)[46::48][:5], np.arange(5.0)
    return callmip(path, days, values + 20.0, values + 30.0, np.full(5, 3.0), (LATITUDE, LONGITUDE), 1.0)


def changed(make, path, change):
    with xr.open_dataset(make(path.with_name("good.nc")), decode_times=False) as data:
        data = data.load()
    found = change(data)
    (data if found is None else found).to_netcdf(path)
    return path


def values(name, value):
    return lambda data: data[name].values.__setitem__(..., value)


def unit(name, units):
    return lambda data: data[name].attrs.update(units=units)


def both(*changes):
    def change(data):
        for one in changes:
            one(data)

    return change


@pytest.mark.parametrize(
    ("make", "change", "message"),
    [
        (half_hourly, unit("Qle", "furlong"), "variable 'Qle': unit 'furlong' is unknown; expected 'W m-2'"),
        (half_hourly, unit("Qh", "K"), "variable 'Qh': unit 'K' is of another quantity; expected 'W m-2'"),
        (half_hourly, lambda data: data.isel(time=[0, 1, 1, 2]), "'time' at index 2 .* repeats the one at index 1"),
        (half_hourly, lambda data: data.isel(time=[0, 2, 1, 3]), "'time' at index 2 .* is before the one at index 1"),
        (half_hourly, lambda data: data.isel(time=[0]), "has 1 times, expected several"),
        (half_hourly, lambda data: data.drop_vars(["Qh", "Qle"]), "has no known variables with values through time"),
        (half_hourly, both(values("Qh", np.nan), values("Qle", np.nan)), "no known variables with values through time"),
        (half_hourly, both(values("Qh", -9999.0), values("Qle", -9999.0)), "sshf, slhf has no value at any time"),
        (
            half_hourly,
            both(values("Qh_qc", 2.0), values("Qle_qc", 1.0)),
            r"values through time \(Observations that are filled in by the flags .*, left out: Qh 100 %, Qle 100 %\)",
        ),
        (
            daily,
            values("Qle_uc_daily", 0.0),
            "'slhf': found an error of 0 W m-2 at 2020-06-01T23:00, expected .* above 0",
        ),
        (daily, values("Qh_uc_daily", -3.0), "'sshf': found an error of -3 W m-2 at"),
        (daily, unit("Qle_uc_daily", "K"), "variable 'Qle_uc_daily': unit 'K' is of another quantity"),
        (daily, lambda data: data.isel(time=[0, 1, 1, 2]), "'time' at index 2 .* repeats the one at index 1"),
    ],
)
def test_what_cannot_be_is_refused_by_name(tmp_path, make, change, message):
    path = changed(make, tmp_path / "bad.nc", change)
    with pytest.raises(InputError, match=message) as caught:
        read_observed([path], FLUXES, reading=Reading(site=Site(measured_only=True)))
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_codes_for_missing_values_that_no_attribute_names_are_no_fluxes(tmp_path, caplog):
    """-9999 W m-2 in a file that does not say so: left out and said, of one variable, the other one stays."""
    path = changed(half_hourly, tmp_path / "coded.nc", values("Qle", -9999.0))
    with caplog.at_level(logging.WARNING):
        found = read_observed([path], FLUXES)
    assert set(found) == {"sshf"}
    assert "'slhf' has 144 impossible values, the first 9999" in caplog.text
    assert f"{path}: observations of 'slhf': has no value at any time; it is left out" in caplog.text


def test_all_of_the_energy_balance_is_read(tmp_path):
    """Rnet and Qg of PLUMBER2's files, positive downward as they are: closure can be told."""
    names = {"Qh": "h", "Qle": "le", "Rnet": "swdown", "Qg": "wind"}
    path = plumber2(tmp_path / "Flux.nc", names)
    found = read_observed([path], [*FLUXES, *(CATALOGUE[name].variable() for name in ("rnet", "ghf"))])
    truth = weather(utc())
    np.testing.assert_allclose(found["ghf"].values[:, 0], truth["wind"])
    np.testing.assert_allclose(found["rnet"].values[:, 0], truth["swdown"])
    balance = closure(Balance(*(found[name].values for name in ("sshf", "slhf", "rnet", "ghf"))))
    expected = (truth["h"] + truth["le"]).mean() / (truth["swdown"] - truth["wind"]).mean()
    assert balance.ratio == pytest.approx(expected)
    path = table(tmp_path / "FLX.csv", G_F_MDS=truth["wind"])
    reading = Reading(site=Site(latitude=LATITUDE, longitude=LONGITUDE, igbp="GRA"))
    found = read_observed([path], [CATALOGUE["ghf"].variable()], reading=reading)
    np.testing.assert_allclose(found["ghf"].values[:, 0], truth["wind"], rtol=1e-5)


def test_what_is_filled_in_is_said(tmp_path, caplog):
    path = changed(half_hourly, tmp_path / "filled.nc", values("Qle_qc", 2.0))
    with caplog.at_level(logging.INFO):
        assert set(read_observed([path], FLUXES)) == {"sshf", "slhf"}
    assert "taken as if measured (--measured-only leaves them out): Qle 100 %" in caplog.text


def test_windows_in_which_nothing_can_be_compared(tmp_path):
    """Observed in the last window alone, whose results a run of the file's labels does not have."""
    model = small_model()
    data = small_dataset(n_times=20, n_columns=1)
    data["obs_sshf"] = data.sshf.where(np.arange(20)[:, None] == 19)
    data["obs_sshf"].attrs = data.sshf.attrs
    data.to_netcdf(tmp_path / "last.nc")
    columns = read_columns(tmp_path / "last.nc", model, np.dtype(np.float32))
    observed = read_observed([tmp_path / "last.nc"], FLUXES)
    free = run_free(model, columns, backend="embedded")
    with pytest.raises(
        InputError, match=r"last.nc: observations of 'sshf': found no window in which they and all of emul"
    ):
        verification.make_study(model, columns, free, observed)
    unknown = dataclasses.replace(observed["sshf"], measured=np.zeros((20, 1)))
    with pytest.raises(InputError, match=r"last.nc: observations of 'sshf': of all 1 less than 0.66 was measured"):
        verification.make_study(model, columns, free, {"sshf": unknown})
