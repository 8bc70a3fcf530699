"""The study of skill by size: columns of each kind, towers averaged, models in turn."""

import sys

import pytest

from ailand_gt4py.evaluation.literature import AILAND_V1_RMSE
from ailand_gt4py.weights.model_file import write_model
from helpers import small_dataset, small_model
from studies import skill


def test_against_published_is_a_geometric_mean() -> None:
    found = {name: rmses[2] * (4.0 if name == "stl1" else 1.0) for name, rmses in AILAND_V1_RMSE.items()}
    assert skill.against_published(found) == pytest.approx(4.0 ** (1.0 / len(found)))


def test_the_page_has_each_model_on_each_kind(tmp_path, monkeypatch) -> None:
    data, towers, page = tmp_path / "data", tmp_path / "towers", tmp_path / "skill.md"
    data.mkdir()
    towers.mkdir()
    whole = small_dataset(n_times=12)
    for path in (data / skill.HOLD_OUT, data / skill.SECOND):
        whole.to_netcdf(path)
    for column, name in enumerate("ab"):
        whole.isel(x=[column]).to_netcdf(towers / f"tower_{name}_6h.nc")
    (tmp_path / "points.csv").write_text(f"{whole.lat.values[1]},{whole.lon.values[1]}\n")
    monkeypatch.setattr(skill, "POINTS", tmp_path / "points.csv")
    monkeypatch.setattr(skill, "TIMED_COLUMNS", 3)
    models = {}
    for name, seed in (("one", 1), ("other", 2)):
        models[name] = small_model(seed)
        write_model(models[name], tmp_path / f"{name}.nc")
    words = [f"{name}={tmp_path / name}.nc" for name in models]
    monkeypatch.setattr(sys, "argv", ["skill", str(data), str(towers), *words, "-o", str(page)])
    assert skill.main() == 0
    rows = [line.strip("| ").split(" | ") for line in page.read_text().splitlines() if line.startswith("| o")]
    assert [row[0] for row in rows] == ["one", "other"] * 4
    column = 1 + skill.SHOWN.index("stl1")
    for number, (name, model) in enumerate(models.items()):
        hold_out, second, sites = (float(rows[2 * kind + number][column]) for kind in (1, 2, 3))
        assert hold_out == pytest.approx(skill.rmse(model, data / skill.HOLD_OUT)["stl1"], rel=0.01), name
        own = [skill.rmse(model, towers / f"tower_{one}_6h.nc")["stl1"] for one in "ab"]
        # The only point is the second tower's.
        assert second == pytest.approx(own[1], rel=0.01)
        assert sites == pytest.approx(sum(own) / 2, rel=0.01)
        assert float(rows[number][2]) > 0.0
    assert rows[2] != rows[3]
