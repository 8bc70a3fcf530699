"""The study of fluxes tuned on towers: which sites and files it takes, what it keeps, classes, sums and its page."""

import sys

import numpy as np
import pytest
import xarray as xr

pytest.importorskip("torch", reason="training needs PyTorch")

from studies.fluxes import __main__ as study
from studies.fluxes import bias, sites, tuning, unobserved
from training_files import columns

from ailand_gt4py.evaluation.columns import read_columns
from ailand_gt4py.evaluation.runs import Cost, FreeRun
from ailand_gt4py.evaluation.towers import verification
from ailand_gt4py.evaluation.towers.empirical import BENCHMARKS
from ailand_gt4py.evaluation.towers.scores import TowerScore
from ailand_gt4py.training.configuration import Network
from ailand_gt4py.training.dataset import read_windows
from ailand_gt4py.training.models import to_model
from ailand_gt4py.training.network import LayerNormNetwork
from ailand_gt4py.training.scaling import measure
from ailand_gt4py.weights.model_file import write_model
from ailand_gt4py.weights.variables import DEFAULT

N_COLUMNS, N_TIMES = 8, 120
#: Name -> whether in the box.
TOWERS = {"CdP": True, "US-A": False, "US-B": False, "US-Bi1": False}


def tower(path, in_box, column, has_fluxes=True):
    """A file with observed fluxes that differ from the file's own by 20 W m-2, with a gap."""
    data = columns(N_COLUMNS, N_TIMES, seed=5).isel(x=[column])
    data["met_swdown"] = data.met_swdown + 0.0
    for name in ("sshf", "slhf"):
        data[name] = data[name] * 0.0 - 30.0 + (np.arange(N_TIMES) % 4 * 10.0)[:, None]
        if has_fluxes:
            data[f"obs_{name}"] = data[name] + 20.0
            data[f"obs_{name}"][3] = np.nan
            data[f"obs_{name}"].attrs = {"units": "W m-2", "cell_methods": "time: mean"}
    data["europe_box"] = (("x",), np.array([int(in_box)]))
    data.to_netcdf(path)
    return path


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    path = tmp_path_factory.mktemp("fluxes")
    (path / "towers").mkdir()
    for number, (name, in_box) in enumerate(TOWERS.items()):
        tower(path / "towers" / f"tower_{name}_6h.nc", in_box, number)
    tower(path / "towers" / "tower_Bondville_6h.nc", False, 6, has_fluxes=False)
    whole = columns(N_COLUMNS, N_TIMES)
    # Neither lake nor town, so that budgets are those of land.
    for name in ("clim_clake", "clim_cu"):
        whole[name] = whole[name] * 0.0
    for name in (study.HOLD_OUT, tuning.REHEARSAL):
        whole.to_netcdf(path / name)
    (path / "points.csv").write_text(f"{whole.lat.values[1]:.6f},{whole.lon.values[1]:.6f}\n")
    scaling = measure(read_windows([path / tuning.REHEARSAL], DEFAULT), DEFAULT)
    sizes = Network(width=8, depth=1, diagnostic_width=6, diagnostic_depth=1)
    model = to_model(LayerNormNetwork(sizes, scaling, 1), scaling, 21_600.0, {})
    write_model(model, path / "model.nc")
    (path / "configuration.yaml").write_text(
        "data: {train: [towers], observed: [sshf, slhf], validation_fraction: 0.0}\n"
        "stages: [{iterations: 4, steps: 2, batch: 8}]\n"
        "optimiser: {learning_rate: 0.01, warmup_iterations: 1, weight_decay: 0.0}\n"
        "adaptation: {distils: true}\n"
        "augmentation: {static_noise: 0.0}\n"
        "run: {seed: 1, start_from: model}\n"
    )
    return path, model


@pytest.fixture
def own_configuration(directory, monkeypatch):
    monkeypatch.setattr(tuning, "CONFIGURATION", directory[0] / "configuration.yaml")
    monkeypatch.setattr(study, "POINTS", directory[0] / "points.csv")


def test_sites_are_towers_with_fluxes_that_follow_from_the_weather(directory):
    path, model = directory
    found = {site.name: site for site in sites.sites_of(path / "towers", model)}
    assert {name: site.in_box for name, site in found.items()} == {"CdP": True, "US-A": False, "US-B": False}
    assert set(found["CdP"].observed) == {"sshf", "slhf"}
    assert tuning.years([found["US-A"], found["US-B"]], 0.5) == pytest.approx((N_TIMES - 1) / 4 / 365.25)


def test_the_site_itself_and_those_in_the_box_are_not_learnt_from(directory, tmp_path, monkeypatch):
    path, model = directory
    all_sites = sites.sites_of(path / "towers", model)
    asked = []
    own = tuning.Tuning(model, path, tmp_path)
    monkeypatch.setattr(
        tuning.Tuning, "model", lambda self, chosen, learns, share=1.0: asked.append([one.name for one in chosen])
    )
    study.left_out(own, all_sites, "all")
    assert asked == [["US-A", "US-B"], ["US-B"], ["US-A"]]


def test_a_model_is_kept_for_what_it_was_tuned_from_and_by(directory, own_configuration, tmp_path):
    """Another part, site, share of the time, configuration: another model; the same: the one that is there."""
    path, model = directory
    first, second = (one for one in sites.sites_of(path / "towers", model) if not one.in_box)
    own = tuning.Tuning(model, path, tmp_path / "work")
    found = own.model([first], "diagnostic_block")
    (kept,) = (tmp_path / "work").glob("diagnostic_block_*/model.nc")
    stamp = kept.stat().st_mtime_ns
    again = own.model([first], "diagnostic_block")
    assert kept.stat().st_mtime_ns == stamp
    for name, array in found.parameters.items():
        np.testing.assert_array_equal(again.parameters[name], array)
    own.model([second], "diagnostic_block")
    own.model([first], "diagnostic_block", 0.5)
    (path / "configuration.yaml").write_text((path / "configuration.yaml").read_text().replace("seed: 1", "seed: 2"))
    own.model([first], "diagnostic_block")
    (path / "configuration.yaml").write_text((path / "configuration.yaml").read_text().replace("seed: 2", "seed: 1"))
    assert len(list((tmp_path / "work").glob("diagnostic_block_*/model.nc"))) == 4
    with xr.open_dataset(tmp_path / "work" / f"{first.path.stem}_0.5.nc") as half:
        assert half.sizes["time"] == N_TIMES // 2
        np.testing.assert_array_equal(half.time.values, first.columns.times[: N_TIMES // 2])


def test_towers_are_drawn_as_often_however_short(directory, own_configuration, tmp_path, monkeypatch):
    path, model = directory
    monkeypatch.setattr(tuning, "TOWER_WINDOWS", 6 * (N_TIMES - 1))
    paths = [one.path for one in sites.sites_of(path / "towers", model)]
    own = tuning.Tuning(model, path, tmp_path)
    for count, expected in ((1, 6), (2, 3), (3, 2)):
        options = own._options("all", paths[:count])
        assert set(options["data"]["frequency"].values()) == {expected}
        assert options["data"]["train"] == [*(one.name for one in paths[:count]), tuning.REHEARSAL]


def windows(**changes):
    zeros = np.zeros((2, 2))
    fields = dict.fromkeys(("leaf_area", "snow", "wetness", "sun"), zeros) | changes
    learnt = {"sshf": np.array([[1.0, 2.0], [3.0, 4.0]]), "slhf": np.array([[-1.0, -2.0], [-3.0, -4.0]])}
    lacking = {"sshf": np.array([[np.nan, 10.0], [20.0, 30.0]]), "slhf": np.full((2, 2), 5.0)}
    return bias.Windows(**({"learnt": learnt, "lacking": lacking} | fields))


def test_means_by_class():
    """An edge belongs to the class above; snow keeps a window out of classes of bare ground; gaps count nowhere."""
    kind = bias.Class("leaves", "leaf_area", (0.0, 1.0, np.inf), True)
    one = windows(leaf_area=np.array([[0.0, 1.0], [0.5, 3.0]]), snow=np.array([[0.0, 0.0], [0.0, 0.4]]))
    found = bias.class_means([one, one], kind)
    np.testing.assert_allclose(found["share"], [0.5, 0.25])
    np.testing.assert_allclose(found["learnt sshf"], [2.0, 2.0])
    np.testing.assert_allclose(found["learnt slhf"], [-2.0, -2.0])
    np.testing.assert_allclose(found["lacking sshf"], [20.0, 10.0])
    np.testing.assert_allclose(found["learnt sshf, observed"], [3.0, 2.0])
    assert found["n"].tolist() == [4, 2]
    everywhere = bias.class_means([one], kind._replace(is_bare=False))
    np.testing.assert_allclose(everywhere["learnt sshf"], [2.0, 3.0])
    empty = bias.class_means([one], bias.Class("leaves", "leaf_area", (7.0, 8.0), False))
    assert np.isnan(empty["learnt sshf"]).all()


def test_what_is_told_of_windows_is_by_hand(directory):
    path, model = directory
    data = read_columns(path / study.HOLD_OUT, model, np.dtype(np.float32))
    names = [one.name for one in (*model.state, *model.diagnostics)]
    n_outputs = len(names)
    values = np.random.default_rng(0).uniform(0.1, 0.4, (N_TIMES - 1, N_COLUMNS, n_outputs)).astype(np.float32)
    after = values.copy()
    after[..., names.index("slhf")] += 7.0
    runs = (FreeRun(one, Cost(1, 1, 0.0, 0.0)) for one in (values, after))
    found = bias.windows_of(model, data, *runs)
    with xr.open_dataset(path / study.HOLD_OUT) as file:
        leaves = file.clim_cvh * file.clim_veg_covh * file.lai_hv + file.clim_cvl * file.clim_veg_covl * file.lai_lv
        wilting, capacity = file.clim_theta_pwp.values, file.clim_theta_cap.values
        np.testing.assert_allclose(found.leaf_area, leaves.transpose("time", "x").values[:-1], rtol=1e-5)
    water = sum(values[..., names.index(f"swvl{k}")] * dz for k, dz in ((1, 0.07), (2, 0.21), (3, 0.72)))
    np.testing.assert_allclose(found.wetness, (water - wilting) / (capacity - wilting), rtol=1e-4)
    np.testing.assert_allclose(found.learnt["slhf"], 7.0, rtol=1e-5)
    np.testing.assert_array_equal(found.learnt["sshf"], 0.0)
    assert not found.lacking


def test_changes_and_the_largest_loss_leave_out_what_was_observed(directory):
    path, model = directory
    own = unobserved.read(path / study.HOLD_OUT, model)
    positions = {one.name: k for k, one in enumerate((*model.state, *model.diagnostics))}
    after = own.before.results.astype(np.float64)
    for name, factor in (("ssr", 2.0), ("sshf", 3.0), ("stl1", 0.5)):
        variable = (*model.state, *model.diagnostics)[positions[name]]
        truth = own.columns.output(positions[name])[own.before.labels(variable)]
        after[..., positions[name]] = truth + factor * (after[..., positions[name]] - truth)
    found = unobserved.changes(model, own, FreeRun(after, own.before.cost))
    assert found["ssr"] == pytest.approx(1.0, rel=1e-4)
    assert found["stl1"] == pytest.approx(-0.5, rel=1e-4)
    assert found["t2m"] == pytest.approx(0.0, abs=1e-6)
    assert unobserved.largest({"here": found, "there": dict.fromkeys(found, 0.0)}) == "ssr +100.0 % (here)"
    assert unobserved.largest({"here": {"ssr": 4e-4, "t2m": -0.1, "sshf": 0.5}}) == "none"
    one = unobserved.read(path / tuning.REHEARSAL, model, path / "points.csv")
    assert one.columns.n_columns == 1


def test_budgets_are_of_land_and_latent_heat_is_held_against_evaporation(directory):
    """A latent heat that is 12 W m-2 more, or evaporation that is, shows in either budget by as much."""
    path, model = directory
    own = unobserved.read(path / study.HOLD_OUT, model)
    names = [one.name for one in (*model.state, *model.diagnostics)]
    results = own.before.results.astype(np.float64)
    more = results.copy()
    more[..., names.index("slhf")] += 12.0
    runs = {name: FreeRun(one, own.before.cost) for name, one in (("before", results), ("more", more))}
    rows = [line.strip("| ").split(" | ") for line in unobserved.budget_table(model, own, runs)[2:]]
    means = {(row[0].split()[0], row[1]): float(row[5]) for row in rows}
    assert means["water", "more"] == means["water", "before"]
    for what in ("energy", "latent"):
        step = max(abs(means[what, "before"]), 1.0) * 2e-2
        assert means[what, "more"] - means[what, "before"] == pytest.approx(12.0, abs=step)
    assert {row[1] for row in rows} == {"before", "more", "ecLand"}


def scores(rmse_before, rmse_after, rmse_ecland=10.0):
    by = dict.fromkeys(sites.SHOWN, rmse_ecland) | {sites.BEFORE: rmse_before, sites.AFTER: rmse_after}
    return {flux: {name: TowerScore(9, one, 0.0, 1.0, 0.5) for name, one in by.items()} for flux in verification.FLUXES}


def test_the_summary_is_of_ratios_and_not_of_means():
    found = {"a": scores(10.0, 9.0), "b": scores(40.0, 44.0, 80.0)}
    *_, row = sites.summary({"all": found}, {"all": "none"})
    assert row == "| all | 1.000 | 1.100 | 0.725 | 1.000 | 1.100 | 0.725 | none |"
    assert sites.rows_of(found)[2].startswith("| a | sshf | 9 | 0.900 | 10.0 | 0.50 | 9.0 | 0.50 | 10.0 |")


def test_each_site_left_out_counts_alike():
    """However many choices of others were learnt from: (0.9 + 1.1) / 2 at one and 0.5 at the other."""
    one = [study.Spent(1.0, scores(10.0, 9.0)), study.Spent(3.0, scores(10.0, 11.0))]
    row = study.amount_row("1", 0.5, [one, [study.Spent(4.0, scores(10.0, 5.0))]])
    assert row == "| 1 | 0.5 | 3.0 | 0.750 | 1.100 | 0.750 | 1.100 | 2 of 6 |"


def test_the_page_has_all_of_it(directory, own_configuration, tmp_path, monkeypatch):
    path, _ = directory
    page = tmp_path / "page.md"
    monkeypatch.setattr(study, "SHARES", (0.5,))
    # These towers' time is too short for so many clusters.
    monkeypatch.setitem(BENCHMARKS, "3km27", (BENCHMARKS["3km27"][0], 2))
    words = [str(path / "towers"), str(path), "--model", str(path / "model.nc"), "--work", str(tmp_path / "work")]
    monkeypatch.setattr(sys, "argv", ["fluxes", *words, "--learns", study.CHOSEN, "-o", str(page)])
    assert study.main() == 0
    text = page.read_text()
    assert (tmp_path / "page.png").stat().st_size > 10_000
    assert "![learnt bias at the columns](page.png)" in text
    units = {one.name: one.units for one in (*DEFAULT.state, *DEFAULT.diagnostics)}
    for name in (*unobserved.SHOWN, *verification.FLUXES):
        assert text.count(f"| {name} | {units[name]} | ") == 2
    for kind in bias.CLASSES:
        assert f"| {kind.title} |" in text
    for site in ("CdP", "US-A", "US-B"):
        assert f"| {site} | sshf | {N_TIMES - 2} |" in text
    sums = text.split("## How many site-years")[1].splitlines()
    rows = [row.strip("| ").split(" | ") for row in sums if row.startswith(("| 1 of", "| all but"))]
    assert [row[:3] for row in rows] == [
        ["1 of those outside the box", "1", "0.1"],
        ["all but the site left out", "0.5", "0.1"],
        ["all but the site left out", "1", "0.1"],
    ]
    # The site in the box is left out with either of the others, these with the one that is left.
    assert [row[-1].split(" of ")[1] for row in rows] == ["8", "6", "6"]
