"""The study of bfloat16: what it scores, in both precisions."""

import sys

import numpy as np
import pytest

from ailand_gt4py.evaluation.columns import read_columns
from ailand_gt4py.evaluation.runs import FreeRun, run_free
from ailand_gt4py.evaluation.scores.lead_time import free_run_scores
from ailand_gt4py.lowering.calls import toolchain
from ailand_gt4py.weights.model_file import write_model
from helpers import small_dataset, small_model
from studies import bfloat16

needs_bfloat16 = pytest.mark.skipif(not toolchain.defines("__AVX512BF16__"), reason="no AVX512-BF16 here")


def test_rmse_is_that_of_the_evaluation(tmp_path) -> None:
    model, path = small_model(), tmp_path / "columns.nc"
    small_dataset(n_times=12).to_netcdf(path)
    columns = read_columns(path, model, np.dtype(np.float32))
    run = run_free(model, columns)
    found = bfloat16.rmse(model, columns, run)
    expected = {one.variable: one.rmse for one in free_run_scores(model, columns) if one.variable not in columns.absent}
    assert found == pytest.approx(expected, rel=1e-6)
    shifted = FreeRun(run.results + np.float32(1.0), run.cost)
    assert bfloat16.rmse(model, columns, shifted) != pytest.approx(expected, rel=1e-2)


@needs_bfloat16
def test_the_page_has_both_precisions(tmp_path, monkeypatch) -> None:
    path, page = tmp_path / "columns.nc", tmp_path / "page.md"
    small_dataset(n_times=12).to_netcdf(path)
    write_model(small_model(), tmp_path / "model.nc")
    monkeypatch.setattr(bfloat16, "TIMED_COLUMNS", 3)
    monkeypatch.setattr(sys, "argv", ["bfloat16", str(path), "--model", str(tmp_path / "model.nc"), "-o", str(page)])
    assert bfloat16.main() == 0
    rows = [line.strip("| ").split(" | ") for line in page.read_text().splitlines() if line.startswith("| ")]
    ratios = {row[0]: float(row[3]) for row in rows if row[0] in {one.name for one in small_model().state}}
    assert len(ratios) == len(small_model().state)
    assert all(0.5 < ratio < 2.0 for ratio in ratios.values())
    assert any(ratio != 1.0 for ratio in ratios.values()), "nothing was rounded"
    linear = [row for row in rows if row[0] in {str(size) for size in bfloat16.SIZES}]
    assert len(linear) == len(bfloat16.SIZES)
    assert all(float(row[2]) >= float(row[1]) for row in linear[-1:])
