"""The study of long runs: passages through the same weather are one run, and its page tells what changes."""

import dataclasses
import sys

import numpy as np
import pytest

from ailand_gt4py.evaluation.columns import read_columns
from ailand_gt4py.weights.model_file import write_model
from helpers import small_dataset, small_model
from studies import stability

#: An odd number of windows: results of a passage are not where the next one begins to write.
N_TIMES = 7


def test_passages_are_one_run_through_the_weather_again_and_again(tmp_path) -> None:
    small_dataset(n_times=N_TIMES).to_netcdf(tmp_path / "data.nc")
    model = small_model()
    columns = read_columns(tmp_path / "data.nc", model, np.dtype(np.float32))
    longer = dataclasses.replace(
        columns,
        times=columns.times[0] + np.arange(2 * N_TIMES) * np.timedelta64(6, "h"),
        forcing=np.concatenate([columns.forcing] * 2),
    )
    (whole,) = stability.passages(model, longer, 1, backend="embedded")
    found = np.concatenate(list(stability.passages(model, columns, 2, backend="embedded")))
    np.testing.assert_array_equal(found, whole)
    # The weather of the second half begins from another state.
    assert np.abs(whole[:N_TIMES] - whole[N_TIMES:]).max() > 1e-3


def test_the_page_has_every_state_and_the_violations(tmp_path, monkeypatch, capsys) -> None:
    data, page = tmp_path / "data.nc", tmp_path / "page.md"
    small_dataset(n_times=N_TIMES).to_netcdf(data)
    model = small_model()
    write_model(model, tmp_path / "model.nc")
    monkeypatch.setattr(
        sys, "argv", ["stability", str(data), "--model", str(tmp_path / "model.nc"), "--passages", "3", "-o", str(page)]
    )
    assert stability.main() == 0
    text = page.read_text()
    rows = {
        line.split(" | ")[0].strip("| "): line.strip("| ").split(" | ") for line in text.splitlines() if "|" in line
    }
    assert set(rows) > {variable.name for variable in model.state}
    assert rows["change of"][2:] == ["ecLand, passage 1", "passage 1", "passage 2", "passage 3",
                                     "largest of any column in the last"]  # fmt: skip
    with stability.open_source(data, model) as source:
        columns = stability.columns_of(source, model, np.dtype(np.float32))
    expected = stability.rms((columns.state[-1] - columns.state[0]).astype(np.float64))
    found = [float(rows[variable.name][2]) for variable in model.state]
    assert found == pytest.approx(expected.tolist(), rel=0.06)
    assert "Values out of physical ranges:" in text
    assert text.strip() == capsys.readouterr().out.strip()
