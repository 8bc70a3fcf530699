"""``ailand check``: all that a run would say of its input, and whether it would take it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from column_files import Change, changed, driver_model

from ailand_gt4py.cli.main import main
from ailand_gt4py.weights.model_file import write_model

MODEL = driver_model()


def run(tmp_path: Path, change: Change, *options: str) -> int:
    write_model(MODEL, tmp_path / "model.nc")
    return main(["check", str(changed(tmp_path, change)), "--model", str(tmp_path / "model.nc"), "--quiet", *options])


def test_a_good_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def change(data: xr.Dataset) -> xr.Dataset:
        data["met_tair"] = data["met_tair"] - 273.15
        data["met_tair"].attrs["units"] = "degC"
        data["t2m"].attrs["units"] = "m"
        return data.rename({"met_psurf": "MET_Psurf"}).drop_vars("clim_theta_cap")

    assert run(tmp_path, change, "--reference", "same") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("changed.nc: 3 columns, 9 steps of 6 h from 2021-01-01T00:00 to 2021-01-03T06:00")
    text = "\n".join(lines)
    for said in (
        "  Read under another name: met_psurf from 'MET_Psurf'.",
        "  met_tair: converted from 'degC' to 'K'",
        "clim_theta_cap (at -0.1 bar)",
        "Not compared: t2m (variable 't2m': unit 'm' is of another quantity",
        "outside the training range: none",
        "impossible or missing: none",
    ):
        assert said in text
    assert lines[-1] == "A run would take this."


def test_a_first_guess_of_the_state(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, lambda data: data.drop_vars(["swvl2", "stl1"])) == 2
    assert "or --initial-state guess" in capsys.readouterr().err
    assert run(tmp_path, lambda data: data.drop_vars(["swvl2", "stl1"]), "--initial-state", "guess") == 0
    assert "State at the start, as asked for, whatever the file has" in capsys.readouterr().out


def test_everything_that_is_wrong_with_values_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def change(data: xr.Dataset) -> None:
        data["snowc"].attrs["units"] = "1"
        data["met_tair"].values[5, 1] = -9999.0
        data["met_rainf"].values[8, 2] = np.nan
        data["clim_tvh"].values[0] = 5.37

    assert run(tmp_path, change) == 2
    printed = capsys.readouterr()
    found = printed.out.split("impossible or missing:\n")[1].splitlines()
    assert [line.split("variable ")[1].split(" at ")[0].split(" in ")[0] for line in found] == [
        "'clim_tvh' is 5.37",
        f"'snowc' is {changed_snow(tmp_path):g}",
        "'met_rainf' is missing",
        "'met_tair' is -9999 K",
    ]
    assert "2021-01-02T06:00 in column 1 (x = 101)" in found[3]
    assert "'clim_tvh' is 5.37 in column 0 (x = 100), expected a type, a whole number from 0 to 20" in printed.err
    assert printed.err.rstrip().endswith("; 3 more are listed above")


def changed_snow(tmp_path: Path) -> float:
    with xr.open_dataset(tmp_path / "changed.nc") as data:
        return float(data["snowc"].values[0, 0])


def test_what_a_run_would_refuse_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, lambda data: data.drop_vars("met_tair")) == 2
    assert "variable missing that cannot be derived: 'met_tair'" in capsys.readouterr().err
