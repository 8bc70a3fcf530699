"""Groups of columns, and that scores by group add up to those of all columns."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from evaluation_files import STEP_SECONDS, closing_dataset, full_model, write_closing

from ailand_gt4py.evaluation.scores import groups
from ailand_gt4py.evaluation.scores.moments import Sample
from ailand_gt4py.evaluation.study import summary
from ailand_gt4py.io.sources import open_source
from ailand_gt4py.weights.model import Template


def test_snow_regimes():
    """A year of days: covered on 0, 1, 29, 31, 119 and 121 of 365.25 of them, just half covered on none."""
    cover = np.zeros((365, 7))
    for column, days in enumerate((0, 1, 29, 31, 119, 121)):
        cover[:days, column] = 0.6
    cover[:, 6] = 0.5
    found = groups.snow_regime(cover)
    assert found.labels.tolist() == [
        "no snow", "below 30 days", "below 30 days", "30 to 120 days", "30 to 120 days", "above 120 days", "no snow",
    ]  # fmt: skip
    assert found.classes == groups.SNOW_CLASSES
    assert groups.snow_regime(cover[:, :1]).classes == ("no snow",)


def test_dryness():
    """100 W m-2 evaporate 100 / 2.5008e6 kg m-2 s-1; means count, not what is at a time."""
    rain = 100.0 / 2.5008e6 * np.array([[2.0, 0.5, 0.4, 0.0, 1.0], [0.2, 1.0, 0.0, 0.0, 1.0]])
    radiation = np.array([[250.0, 100.0, 100.0, 90.0, -50.0], [-50.0, 100.0, 100.0, 110.0, 0.0]])
    found = groups.dryness(radiation, rain)
    assert found.labels.tolist() == ["below 1", "1 to 2", "above 2", "above 2", "below 1"]
    assert found.classes == groups.DRYNESS_CLASSES
    assert groups.dryness(radiation[:, 1:2], rain[:, 1:2]).classes == ("1 to 2",)


def test_a_column_is_in_the_class_of_each_of_its_extreme_events():
    found = groups.events(np.array(["heat", "none", "cold,heat", "none"]))
    assert found.classes == ("none", "cold", "heat")
    members = [found.members(name).tolist() for name in found.classes]
    assert members == [[False, True, False, True], [False, False, True, False], [True, False, True, False]]


def test_soil_types_have_names_and_order():
    found = groups.soil_types(np.array([6.0, 1.0, 1.0, 9.0]))
    assert found.classes == ("1 coarse", "6 organic", "9")
    assert found.members("1 coarse").tolist() == [False, True, True, False]


def test_the_box_has_its_edges():
    latitude = np.array([35.5, 71.5, 35.4, 50.0, 50.0, 50.0])
    longitude = np.array([-11.0, 32.5, 0.0, 32.6, -11.1, 349.5 - 360.0])
    assert groups.inside_box(latitude, longitude).tolist() == [True, True, False, False, False, True]


def locations(path: Path) -> groups.ColumnLocations:
    model = full_model()
    template = Template(model.static, model.forcing, (), (), STEP_SECONDS)
    with open_source(path, template) as source:
        return groups.locations_of(source)


def test_positions_of_a_file(tmp_path):
    data = closing_dataset(n_times=20)
    data["lon"].values[:] = [0.0, 10.0, 20.0, 350.0, 30.0, 180.0]
    found = locations(write_closing(tmp_path / "data.nc", data))
    assert found.x.tolist() == list(range(100, 106))
    assert found.longitude.tolist() == [0.0, 10.0, 20.0, -10.0, 30.0, -180.0]
    names = ["region", "climate", "soil type", "snow regime", "index of dryness"]
    assert [grouping.name for grouping in found.groupings] == names
    balance = (data["ssr"] + data["str"])[:-1].mean("time").values
    fallen = (data["met_rainf"] + data["met_snowf"])[:-1].mean("time").values
    edges = np.digitize(np.maximum(balance, 0.0) / (2.5008e6 * fallen), (1.0, 2.0))
    assert found.groupings[-1].labels.tolist() == [groups.DRYNESS_CLASSES[edge] for edge in edges]
    assert found.grouping("region").classes == ("europe", "north asia")
    assert found.grouping("climate").labels.tolist() == ["boreal"] * 3 + ["hot desert"] * 3
    assert found.grouping("continent") is None


def test_groups_that_a_file_lacks_are_left_out(tmp_path):
    data = closing_dataset(n_times=5).drop_vars(["region", "climate", "clim_sotype", "snowc", "str"])
    assert locations(write_closing(tmp_path / "data.nc", data)).groupings == ()


def test_scores_by_group_add_up():
    """Squared errors and biases of the classes, weighted with their columns, are those of all."""
    random = np.random.default_rng(1)
    truth = random.normal(size=(50, 9))
    run = truth + random.normal(0.2, 1.0, truth.shape)
    grouping = groups.texts("kind", np.array(list("aababcacc")))
    sample = Sample.of(run, truth, truth)
    whole = SimpleNamespace(**summary(sample))
    parts = [SimpleNamespace(**summary(sample[chosen])) for chosen in map(grouping.members, grouping.classes)]
    assert [part.n_columns for part in parts] == [4, 2, 3]
    assert sum(part.n_pairs for part in parts) == whole.n_pairs
    assert sum(part.n_columns * part.rmse**2 for part in parts) / 9 == pytest.approx(whole.rmse**2)
    assert sum(part.n_columns * part.bias for part in parts) / 9 == pytest.approx(whole.bias)
