"""A run at a site as intercomparisons take it: signs, clock, means, names and attributes, and what is refused."""

import re

import netCDF4
import numpy as np
import pytest
import xarray as xr

from ailand_gt4py.cli import main as cli
from ailand_gt4py.ecland.soil_tables import LAYER_THICKNESS
from ailand_gt4py.emulator.forcing import derived_forcing
from ailand_gt4py.io import intercomparison
from ailand_gt4py.observations.observed import read_observed
from ailand_gt4py.weights.variables import CATALOGUE, DEFAULT
from helpers import small_dataset

HOUR = np.timedelta64(1, "h")
N_TIMES, LATITUDE, LONGITUDE = 42, 61.85, 24.3
RESULTS = (*DEFAULT.state, *DEFAULT.diagnostics)


def made_up(path, n_columns=1, **changes):
    """What ailand-column-run would write, of random values; the first label has no instantaneous diagnostics."""
    data = small_dataset(n_times=N_TIMES, n_columns=n_columns)[[one.name for one in RESULTS]]
    data["skt"].values[0] = np.nan
    data["sd"].values[:4], data["rsn"].values[:2] = 0.0, 0.0
    for name, standard_name, value in (("lat", "latitude", LATITUDE), ("lon", "longitude", LONGITUDE)):
        data[name] = "x", np.full(n_columns, value), {"standard_name": standard_name}
    flags = np.where(np.arange(N_TIMES) < 3, 2, 0).astype(np.uint8)
    data["quality_flag"] = ("time", "x"), np.repeat(flags[:, None], n_columns, axis=1)
    data.attrs = {"model_checksum": "12ab", "title": "a run", "source": "ailand_gt4py", "history": "made up"}
    data.assign(changes).to_netcdf(path)
    return data


def intercompare(*words):
    return cli.main(["intercompare", *map(str, words)])


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return made_up(tmp_path / "run.nc").isel(x=0)


def test_alma_has_its_signs_units_and_layers(run):
    assert intercompare("run.nc", "--site-code", "XX-Syn", "--model-name", "aiLand.1") == 0
    with xr.open_dataset("aiLand.1_XX-Syn.nc") as found:
        assert found.Qle.dims == ("time", "y", "x")
        flat = found.isel(y=0, x=0).load()
    np.testing.assert_array_equal(flat.Qle, -run.slhf)
    np.testing.assert_array_equal(flat.Qh, -run.sshf)
    np.testing.assert_array_equal(flat.Evap, -run.e)
    np.testing.assert_array_equal(flat.Qs, run.sro)
    # The balance as intercomparisons have it.
    np.testing.assert_allclose(flat.Rnet, flat.Qh + flat.Qle + flat.Qg, atol=1e-3)
    np.testing.assert_allclose(flat.SWnet + flat.LWnet, flat.Rnet, atol=1e-3)
    for k, thickness in enumerate(LAYER_THICKNESS, 1):
        layer = flat.sel(soil_layer=k)
        np.testing.assert_allclose(layer.SoilMoist, 1000.0 * thickness * run[f"swvl{k}"], rtol=1e-6)
        np.testing.assert_array_equal(layer.SoilTemp, run[f"stl{k}"])
        assert float(layer.SoilThick) == pytest.approx(thickness)
    np.testing.assert_allclose(flat.SWE, 1000.0 * run.sd, rtol=1e-6)
    np.testing.assert_allclose(flat.SnowDepth.values * run.rsn.values, 1000.0 * run.sd.values, rtol=1e-5, atol=1e-6)
    assert (flat.SnowDepth.values[:4] == 0.0).all()
    assert (flat.Qle.attrs["units"], flat.Qle.attrs["cell_methods"]) == ("W/m2", "time: mean")
    assert flat.AvgSurfT.attrs["cell_methods"] == "time: point"
    assert flat.attrs["Model"] == "aiLand.1"
    assert flat.attrs["inputs_outside_training_range"] == f"3 of {N_TIMES} steps"


def test_labels_are_the_sites_standard_time(run, capsys):
    """By the longitude, or as it is told; days by hand."""
    assert intercompare("run.nc", "--site-code", "XX-Syn", "-o", "steps.nc") == 0
    assert "UTC+2" in capsys.readouterr().out
    with xr.open_dataset("steps.nc") as steps:
        np.testing.assert_array_equal(steps.time, run.time + 2 * HOUR)
        assert steps.time.encoding["units"] == "seconds since 2021-01-01 02:00:00"
    assert intercompare("run.nc", "--site-code", "XX-Syn", "-o", "days.nc", "--daily", "--utc-offset", 3) == 0
    with xr.open_dataset("days.nc") as days:
        flat = days.isel(y=0, x=0).load()
    # The run is from 3:00 on 1 January to 15:00 on the 11th by that clock: 21 hours of the first day, 15 of the last.
    np.testing.assert_array_equal(flat.time, np.arange("2021-01-01", "2021-01-11", dtype="datetime64[D]"))
    parts = np.array([6.0, 6.0, 6.0, 3.0, 0.0])
    assert float(flat.Qh[0]) == pytest.approx(-(parts * run.sshf.values[:5]).sum() / 21.0, rel=1e-5)
    parts = np.array([3.0, 6.0, 6.0, 6.0, 3.0])
    assert float(flat.Qh[1]) == pytest.approx(-(parts * run.sshf.values[3:8]).sum() / 24.0, rel=1e-5)
    water = run.swvl1.values[3:9].astype(float)
    ends = 0.5 * (water[:-1] + water[1:])  # from one label to the next
    half = (0.25 * water[0] + 0.75 * water[1], 0.75 * water[4] + 0.25 * water[5])  # of three hours at both ends
    expected = (3 * half[0] + 6 * ends[1:4].sum() + 3 * half[1]) / 24.0
    assert float(flat.SoilMoist.sel(soil_layer=1)[1]) == pytest.approx(70.0 * expected, rel=1e-5)
    assert "mean" in flat.SoilMoist.attrs["cell_methods"]


def test_what_is_written_is_read_again_as_it_was(run, tmp_path):
    """By the reader of towers' files, which looks at the sun: in UTC, positive downward, to the last bit."""
    sun = np.empty((N_TIMES, 1, 1))
    where = np.array([LATITUDE]), np.array([LONGITUDE])
    derived_forcing(*where, run.time.values, 21_600.0, ["toa_incoming_shortwave_flux"], sun)
    sunny = ("time", "x"), 5.0 * sun[:, :, 0].astype(np.float32), run.ssr.attrs
    run = made_up(tmp_path / "run.nc", ssr=sunny).assign(ssr=sunny).isel(x=0)
    assert intercompare("run.nc", "--site-code", "XX-Syn", "-o", "out.nc") == 0
    names = ("sshf", "slhf", "ssr", "str", "sro")
    found = read_observed([tmp_path / "out.nc"], [CATALOGUE[name].variable() for name in names])
    for name in names:
        np.testing.assert_array_equal(found[name].times, run.time)
        np.testing.assert_array_equal(found[name].values[:, 0], run[name])


def test_callmip_is_as_its_template(run, tmp_path, capsys):
    """Protocol of Phase 1, version 2, 6.2 to 7: names, dimensions, scalar locations, attributes."""
    words = ["--layout", "callmip", "--site-code", "FI-Hyy", "--scenario", 2, "--stage", "Posterior"]
    assert intercompare("run.nc", *words, "--sites", "Validation", "--model-name", "aiLand.v1") == 0
    path = tmp_path / "aiLand.v1_Phase1b_Scen2_FI-Hyy_Val_Posterior.nc"
    with netCDF4.Dataset(path) as found:
        assert {name: len(one) for name, one in found.dimensions.items()} == {"lon": 1, "lat": 1, "time": 10}
        assert found["lat"].dimensions == found["lon"].dimensions == ()
        assert (float(found["lat"][...]), float(found["lon"][...])) == (LATITUDE, LONGITUDE)
        assert found["time"].units == "days since 2021-01-01 00:00:00"
        np.testing.assert_array_equal(found["time"][:], np.arange(10) + 0.5)
        units = {one.name: one.units for one in found.variables.values() if one.ndim == 3}
        assert units == dict.fromkeys(("hfls", "hfss", "hfg"), "W m-2") | {"ts": "K"} | dict.fromkeys(
            ("mrso", "mrsos"), "kg m-2"
        )
        attributes = {name: found.getncattr(name) for name in ("Model", "CalLMIP_Phase", "Cal_Val")}
        assert attributes == {"Model": "aiLand.v1", "CalLMIP_Phase": "Phase1b", "Cal_Val": "Validation"}
        assert (found.Calibration_Scenario, found.Calibration_stage) == ("Scen2", "Posterior")
        parts, flux = np.array([2.0, 6.0, 6.0, 6.0, 4.0]), run.slhf.values
        assert found["hfls"][1, 0, 0] == pytest.approx(-(parts * flux[3:8]).sum() / 24.0, rel=1e-5)
        first_known = found["ts"][:, 0, 0]
        assert np.ma.getmaskarray(first_known).tolist() == [True] + [False] * 9  # 16 hours of the first day
        upper = 70.0 * run.swvl1.values[3:9].astype(float) + 30.0 * run.swvl2.values[3:9]
        # From 22 UTC, two hours before a label, to 22 UTC, four hours after one.
        start, end = (upper[0] + 2.0 * upper[1]) / 3.0, (upper[4] + 2.0 * upper[5]) / 3.0
        sums = (start + upper[1]) + 3.0 * (upper[1:4] + upper[2:5]).sum() + 2.0 * (upper[4] + end)
        expected = sums / 24.0
        assert found["mrsos"][1, 0, 0] == pytest.approx(expected, rel=1e-5)
    said = capsys.readouterr().out
    assert "not given by the emulator: nep, gpp, reco, tran" in said
    assert intercompare("run.nc", *words[:4], "-o", "mine.nc") == 0
    assert "expects the name aiLand" in capsys.readouterr().err


def test_what_a_model_does_not_give_is_said(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    data = made_up("run.nc").load()
    data.drop_vars(["skt", "src"]).to_netcdf("less.nc")
    assert intercompare("less.nc", "--site-code", "XX-Syn", "-o", "out.nc") == 0
    assert "Not in the run: AvgSurfT (skt), CanopInt (src)." in capsys.readouterr().out
    with xr.open_dataset("out.nc") as found:
        assert not {"AvgSurfT", "CanopInt"} & set(found)


def changed(change):
    def make():
        change(made_up("run.nc").load()).to_netcdf("other.nc")

    return make


@pytest.mark.parametrize(
    ("make", "words", "message"),
    [
        (lambda: made_up("other.nc", n_columns=3), (), "has 3 columns, expected one site; ailand-column-run --points"),
        (
            changed(lambda data: data.assign_attrs(model_checksum="").drop_attrs()),
            (),
            "other.nc: is no output of ailand-column-run, expected one",
        ),
        (
            changed(lambda data: data.isel(time=slice(0, 2))),
            ("--daily",),
            r"its 2 steps of 6 h have no day by the clock UTC\+2 of which 0.75 is there",
        ),
        (changed(lambda data: data.isel(time=[0, 1, 3])), (), "has 3 labels, expected two or more, one step apart"),
        (changed(lambda data: data[["snowc", "lat", "lon"]]), ("--layout", "callmip"), "has none of hfls, hfss"),
        (
            changed(lambda data: data),
            ("--scenario", "2"),
            "option --scenario is for callmip, expected --layout callmip",
        ),
        (changed(lambda data: data), ("--model-name", "a_b"), "option --model-name: found 'a_b', expected letters"),
    ],
)
def test_what_cannot_be_written_is_refused(tmp_path, monkeypatch, capsys, make, words, message):
    monkeypatch.chdir(tmp_path)
    make()
    assert intercompare("other.nc", "--site-code", "XX-Syn", "-o", "out.nc", *words) == 2
    said = capsys.readouterr().err
    assert re.search(message, said), said
    assert not (tmp_path / "out.nc").exists()


def test_nothing_is_replaced_unasked(run, tmp_path, capsys):
    (tmp_path / "out.nc").write_text("mine")
    words = ("run.nc", "--site-code", "XX-Syn", "-o", "out.nc")
    assert intercompare(*words) == 2
    assert "exists, expected a name that is free, or --overwrite" in capsys.readouterr().err
    assert (tmp_path / "out.nc").read_text() == "mine"
    assert intercompare(*words, "--overwrite") == 0


def test_every_quantity_follows_from_variables_of_the_catalogue():
    for one in (*intercomparison.ALMA, *intercomparison.CALLMIP):
        assert set(one.needs) <= set(CATALOGUE)
