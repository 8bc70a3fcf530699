"""The study of frost and soil water: classes of temperature, and which temperatures count."""

import sys

import numpy as np
import pytest

from helpers import small_dataset
from studies import frost


def test_changes_are_counted_where_the_warmer_end_lies() -> None:
    water = np.array([[0.3], [0.3], [0.302], [0.298], [0.301]])
    temperature = np.array([[260.0], [261.0], [272.3], [271.0], [280.0]])
    rms, still, share = frost.by_temperature(water, temperature)
    changes = np.array([0.0, 0.002, -0.004, 0.003])
    overall = np.sqrt(np.mean(changes**2))
    frozen, thawing, warm = 0, frost.EDGES.index(272.26), len(frost.EDGES) - 2
    assert rms[frozen] == 0.0
    assert rms[thawing] == pytest.approx(np.sqrt((0.002**2 + 0.004**2) / 2) / overall)
    assert rms[warm] == pytest.approx(0.003 / overall)
    assert still[frozen] == 1.0
    assert still[thawing] == still[warm] == 0.0
    np.testing.assert_allclose(share[[frozen, thawing, warm]], [0.25, 0.5, 0.25])
    assert np.isnan(rms).sum() == rms.size - 3, "a class without changes has none"


def test_the_page_has_both_tables(tmp_path, monkeypatch, capsys) -> None:
    data = small_dataset(n_times=9)
    data["stl2"] = data.stl2 * 0.0 + 260.0
    data["stl1"] = data.stl1 * 0.0 + 280.0
    data.to_netcdf(tmp_path / "data.nc")
    monkeypatch.setattr(sys, "argv", ["frost", str(tmp_path / "data.nc"), "-o", str(tmp_path / "page.md")])
    assert frost.main() == 0
    by_both, by_itself = (tmp_path / "page.md").read_text().split("**By the layer itself**")
    # The second layer is frozen, what lies above it is not.
    for text, expected in ((by_both, [0.0, 100.0]), (by_itself, [100.0, 0.0])):
        rows = [row for row in text.splitlines() if row.startswith(("| below", "| from"))]
        assert [float(row.split("|")[7].split()[0]) for row in rows] == expected
    assert "data.nc" in capsys.readouterr().out
