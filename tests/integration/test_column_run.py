"""``ailand-column-run`` from forcing file to output: what is in the output, and that parts of a run make the whole."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import netCDF4
import network_reference
import numpy as np
import pytest
import xarray as xr

from ailand_gt4py.cli.column_run import main
from ailand_gt4py.cli.main import main as command
from ailand_gt4py.emulator.emulator import Emulator
from ailand_gt4py.emulator.forcing import derived_forcing
from ailand_gt4py.io.restart import read_restart, write_restart
from ailand_gt4py.weights.model_file import write_model
from helpers import Bench, small_dataset, small_model

N_TIMES = 10
STATE = tuple(variable.name for variable in small_model().state)
AT_LABEL = ("t2m", "d2m", "skt")
FLUXES = tuple(variable.name for variable in small_model().diagnostics if variable.name not in AT_LABEL)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """A finished run through the whole file; tests must not change it."""
    bench = Bench(tmp_path_factory.mktemp("whole"), n_times=N_TIMES)
    assert bench.run() == 0
    return bench


@pytest.fixture
def bench(whole: Bench, tmp_path: Path) -> Bench:
    """The same input without output."""
    return whole.beside(tmp_path)


def same_values(first: xr.Dataset, second: xr.Dataset) -> None:
    assert set(first.variables) == set(second.variables)
    for name in first.variables:
        assert first[name].dtype == second[name].dtype, name
        assert first[name].values.tobytes() == second[name].values.tobytes(), name


def test_rows_are_labelled_as_the_model_means_them(whole):
    """The emulator stepped by hand: a shift by one label of anything makes this fail."""
    model, data, found = small_model(), small_dataset(N_TIMES), whole.open()
    emulator = Emulator(model, 3, backend="embedded")
    static = np.stack([data[v.name].values for v in model.static], axis=1).astype(np.float32)
    state = np.stack([data[v.name].values[0] for v in model.state], axis=1).astype(np.float32)
    # An input of the previous window is the variable's value one label earlier; the first window has its own.
    before = {v.name: v.derived.partition(":")[2] for v in model.forcing if v.derived.startswith("before:")}
    assert len(before) == 7
    derived = [v.name for v in model.forcing if v.derived and v.name not in before]
    for step in range(4):
        for k, name in enumerate(STATE):
            assert np.array_equal(found[name].values[step], state[:, k]), (step, name)
        forcing = np.empty((3, len(model.forcing)), np.float32)
        values = np.empty((3, len(derived)), np.float32)
        derived_forcing(data["lat"].values, data["lon"].values, data["time"].values[step], 21600.0, derived, values)
        for k, variable in enumerate(model.forcing):
            if variable.name in derived:
                forcing[:, k] = values[:, derived.index(variable.name)]
            elif variable.name in before:
                forcing[:, k] = data[before[variable.name]].values[max(step - 1, 0)]
            else:
                forcing[:, k] = data[variable.name].values[step]
        state, diagnostics = emulator.step(static, forcing, state)
        for k, variable in enumerate(model.diagnostics):
            row = step + 1 if variable.name in AT_LABEL else step
            assert np.array_equal(found[variable.name].values[row], diagnostics[:, k]), (step, variable.name)
    for name in AT_LABEL:
        assert np.isnan(found[name].values[0]).all()
        assert np.isfinite(found[name].values[1:]).all()


def test_output_follows_cf(whole):
    found = whole.open()
    assert np.array_equal(found["time"].values, small_dataset(N_TIMES)["time"].values)
    assert np.array_equal(found["time_bnds"].values[:, 1] - found["time"].values, [np.timedelta64(6, "h")] * N_TIMES)
    assert found.attrs["Conventions"] == "CF-1.11"
    for word in ("random test network", "layer_norm", found.attrs["model_checksum"]):
        assert word in found.attrs["source"]
    assert "ailand-column-run" in found.attrs["history"]
    assert "Computed from time and location" in found.attrs["history"]
    assert (found.attrs["backend"], found.attrs["precision"]) == ("embedded", "float32")
    for name in (*STATE, *AT_LABEL, *FLUXES):
        variable = found[name]
        assert variable.dims == ("time", "x")
        assert variable.dtype == np.float32
        assert variable.attrs["units"]
        assert variable.attrs["long_name"]
        assert variable.attrs["cell_methods"] == ("time: mean" if name in FLUXES else "time: point")
        assert variable.attrs["ancillary_variables"] == "quality_flag"
        assert {"lat", "lon"} <= set(variable.coords)
    assert found["t2m"].attrs["standard_name"] == "air_temperature"
    assert found["lat"].attrs["units"] == "degrees_north"
    assert found["lon"].attrs["units"] == "degrees_east"
    flag = found["quality_flag"]
    assert len(np.atleast_1d(flag.attrs["flag_masks"])) == len(flag.attrs["flag_meanings"].split()) == 3
    assert flag.attrs["flag_masks"].dtype == flag.dtype == np.uint8
    with netCDF4.Dataset(whole.path / "out.nc") as raw:
        assert raw["time"].units.startswith("seconds since")
        assert raw["time"].calendar == "proleptic_gregorian"
        assert np.isnan(raw["t2m"]._FillValue)
        assert raw["t2m"].chunking() == [N_TIMES, 3]


def test_double_precision(bench):
    assert bench.run("--precision", "float64", "--end", "2021-01-01T12:00") == 0
    found = bench.open()
    assert found["stl1"].dtype == np.float64
    assert found.attrs["precision"] == "float64"
    assert bench.open("out.restart.nc")["stl1"].dtype == np.float64


def test_zarr_holds_what_netcdf_holds(whole, bench):
    assert bench.run("--block-steps", "3", output="out.zarr") == 0
    zarr, netcdf = bench.open("out.zarr"), whole.open()
    same_values(zarr, netcdf)
    for name in netcdf.variables:
        own = {key: np.asarray(value).tolist() for key, value in zarr[name].attrs.items()}
        assert own == {key: np.asarray(value).tolist() for key, value in netcdf[name].attrs.items()}, name
    assert set(zarr.attrs) == set(netcdf.attrs)
    metadata = json.loads((bench.path / "out.zarr" / ".zmetadata").read_text())["metadata"]
    assert metadata["t2m/.zarray"]["chunks"] == [3, 3]


def test_two_halves_make_the_whole(whole, bench):
    """A to B and B to C by the restart file is A to C, bit for bit; blocks of other lengths change nothing."""
    middle = "2021-01-02T06:00"
    assert bench.run("--end", middle, "--block-steps", "2", output="a.nc") == 0
    restart = bench.path / "a.restart.nc"
    assert bench.run("--restart", restart, "--start", middle, "--block-steps", "3", output="b.nc") == 0
    parts = xr.concat([bench.open("a.nc"), bench.open("b.nc")], "time", data_vars="minimal", combine_attrs="override")
    same_values(parts.reset_coords(drop=False), whole.open().reset_coords(drop=False))
    same_values(bench.open("b.restart.nc"), whole.open("out.restart.nc"))
    assert bench.run("--restart", restart, output="c.nc") == 0  # the start is the restart's own time
    same_values(bench.open("c.nc"), bench.open("b.nc"))
    assert "Started from the restart file" in bench.open("c.nc").attrs["history"]


@pytest.mark.parametrize("labels", [np.array([b"NL", b"DE-Tha", b"FR"]), np.array(["a", "b", "c"]), np.arange(3.0)])
def test_a_restart_continues_whatever_the_type_of_the_labels(bench, labels):
    """Characters, as netCDF-3 files have them, texts and floating-point numbers."""
    data = small_dataset(N_TIMES)
    data["x"] = labels
    data.to_netcdf(bench.forcing)
    assert bench.run(output="whole.nc") == 0
    assert bench.run("--end", "2021-01-01T12:00", output="a.nc") == 0
    assert bench.run("--restart", bench.path / "a.restart.nc", output="b.nc") == 0
    same_values(bench.open("b.restart.nc"), bench.open("whole.restart.nc"))
    same_values(bench.open("b.nc"), bench.open("whole.nc").isel(time=slice(2, None)))


def test_a_restart_holds_the_forcing_of_the_previous_window(bench):
    """Without it the first window after the restart would take its own: the run would be another."""
    middle = "2021-01-02T06:00"
    assert bench.run("--end", middle, output="a.nc") == 0
    restart, model, data = bench.open("a.restart.nc"), small_model(), small_dataset(N_TIMES)
    assert int(np.flatnonzero(data["time"].values == np.datetime64(middle))[0]) == 5
    previous = [variable for variable in model.forcing if variable.derived.startswith("before:")]
    for variable in previous:
        own = variable.derived.partition(":")[2]
        assert np.array_equal(restart[variable.name].values, data[own].values[4]), variable.name
        assert restart[variable.name].attrs["units"] == variable.units
    path, changed = bench.path / "a.restart.nc", bench.path / "changed.nc"
    other = np.stack([data[variable.derived.partition(":")[2]].values[5] for variable in previous], axis=1)
    write_restart(changed, dataclasses.replace(read_restart(path, model), before=other), model)
    for name, file in (("b", path), ("c", changed)):
        assert bench.run("--restart", file, output=f"{name}.nc") == 0
    right, wrong = bench.open("b.nc"), bench.open("c.nc")
    assert np.array_equal(right["stl1"].values[0], wrong["stl1"].values[0])
    assert not np.array_equal(right["stl1"].values[1], wrong["stl1"].values[1])


def test_a_run_is_the_rollout_in_numpy(bench):
    """Normalised, stepped and brought back by the NumPy reference in double precision."""
    assert bench.run("--precision", "float64") == 0
    model, data, found = small_model(), small_dataset(N_TIMES), bench.open()
    forcing = np.empty((N_TIMES, 3, len(model.forcing)))
    names = [variable.name for variable in model.forcing]
    for position, variable in enumerate(model.forcing):
        if not variable.derived:
            forcing[..., position] = data[variable.name].values
        elif not variable.derived.startswith("before:"):
            values = np.empty((N_TIMES, 3, 1))
            arguments = (data["lat"].values, data["lon"].values, data["time"].values, 21600.0, [variable.name])
            derived_forcing(*arguments, values)
            forcing[..., position] = values[..., 0]
    for position, variable in enumerate(model.forcing):
        if variable.derived.startswith("before:"):
            source = forcing[..., names.index(variable.derived.partition(":")[2])]
            forcing[..., position] = np.concatenate([source[:1], source[:-1]])
    static = np.stack([data[variable.name].values for variable in model.static], axis=1)
    start = np.stack([data[variable.name].values[0] for variable in model.state], axis=1)

    def normalised(values, variables):
        parts = [v.normalisation.apply(values[..., k].astype(np.float64)) for k, v in enumerate(variables)]
        return np.stack(parts, axis=-1)

    states, diagnostics = network_reference.rollout(
        model, normalised(static, model.static), normalised(forcing, model.forcing), normalised(start, model.state)
    )
    for position, variable in enumerate(model.state):
        expected = states[..., position] * variable.normalisation.scale + variable.normalisation.shift
        np.testing.assert_allclose(found[variable.name].values, expected, rtol=1e-9, atol=1e-12, err_msg=variable.name)
    for position, variable in enumerate(model.diagnostics):
        expected = diagnostics[..., position] * variable.normalisation.scale + variable.normalisation.shift
        values = found[variable.name].values
        if variable.name in AT_LABEL:
            values, expected = values[1:], expected[:-1]
        np.testing.assert_allclose(values, expected, rtol=1e-9, atol=1e-11, err_msg=variable.name)


def test_a_restart_that_does_not_fit_is_refused(whole, bench, capsys):
    assert bench.run("--end", "2021-01-01T12:00", output="a.nc") == 0
    restart = bench.path / "a.restart.nc"

    def refused(message: str, *arguments: object) -> None:
        capsys.readouterr()
        assert bench.run("--restart", restart, *arguments, output="b.nc") == 2
        error = capsys.readouterr().err.splitlines()[-1]
        assert message in error
        assert str(restart) in error
        assert not (bench.path / "b.nc").exists()
        assert not (bench.path / "b.nc.partial").exists()

    refused("is valid at 2021-01-01T12:00, expected the start 2021-01-01T18:00", "--start", "2021-01-01T18:00")
    refused("was written in float32, expected this run's precision float64", "--precision", "float64")
    write_model(small_model(seed=1), bench.path / "other.nc")
    refused("was written by the model with the checksum", "--model", bench.path / "other.nc")
    shutil.copy2(bench.forcing, bench.path / "second.nc")
    bench.forcing = bench.path / "second.nc"
    refused("is of a run on 'forcing.nc', and", "--end", "2021-01-02")
    assert bench.run("--restart", restart, "--start", "2021-01-01T12:00", output="asked.nc") == 0
    later = small_dataset(N_TIMES).isel(time=slice(2, None))
    later.to_netcdf(bench.forcing)  # begins where the restart stands, as the next year's file does
    assert bench.run("--restart", restart, output="next.nc") == 0
    small_dataset(4, start="2022-01-01").to_netcdf(bench.forcing)
    refused("expected one of them")
    small_dataset(4, n_columns=4).to_netcdf(bench.forcing)
    refused("has 3 columns, expected the run's 4", "--start", "2021-01-01T12:00")


def test_flags_and_counts_of_inputs_outside_the_training_range(bench, capsys):
    data = small_dataset(6)
    data["met_tair"][2, 1] = 350.0
    data["clim_sdor"][2] = 5000.0
    data["stl3"][0, 0] = 325.0
    data.to_netcdf(bench.forcing)
    assert bench.run() == 0
    flags = bench.open()["quality_flag"].values
    assert flags[2, 1] == 2
    assert flags[0, 0] == 4
    assert (flags[:, 2] & 1 == 1).all()
    assert (flags[:, :2] & 1 == 0).all()
    assert (flags[:, 1] & 2 == [0, 0, 2, 2, 0, 0]).all(), "the window itself and the one that has it as that before"
    text = capsys.readouterr().err
    assert "met_tair: 1 above 325 K of 18 values" in text
    assert "met_tair_before: 1 above 325 K of 18 values" in text
    assert "clim_sdor: 1 above 250 m of 3 values" in text
    assert "stl3:" in text
    assert "met_qair" not in text


def test_scores_against_the_reference(whole, bench, capsys):
    assert bench.run("--reference", "same") == 0
    table = capsys.readouterr().out
    found, reference = bench.open(), small_dataset(N_TIMES)
    for name in ("stl1", "sshf", "t2m"):
        row = next(line for line in table.splitlines() if line.startswith(f"{name} ")).split()[-7:]
        run, truth = found[name].values[1:].astype(float), reference[name].values[1:].astype(float)
        first = reference[name].values[0].astype(float)
        assert float(row[0]) == pytest.approx(np.sqrt(np.mean((run - truth) ** 2)), rel=6e-3)
        assert float(row[1]) == pytest.approx(np.mean(run - truth), rel=6e-3)
        assert float(row[2]) == pytest.approx(np.corrcoef(run.ravel(), truth.ravel())[0, 1], abs=6e-4)
        assert row[3] == "-"
        assert row[5] == "-"
        assert float(row[4]) == pytest.approx(np.sqrt(np.mean((first - truth) ** 2)), rel=6e-3)
        assert int(row[6]) == (N_TIMES - 1) * 3
    assert "the reference has 2 days and a climatology needs 730" in table


def test_scores_with_climatology_from_a_long_reference(bench, capsys):
    long = small_dataset(4 * 731, start="2020-06-01")
    keep = ["stl1", "t2m", "lat", "lon"]
    long[keep].to_netcdf(bench.path / "reference.nc")
    assert bench.run("--reference", bench.path / "reference.nc") == 0
    printed = capsys.readouterr()
    row = next(line for line in printed.out.splitlines() if line.startswith("stl1 ")).split()
    # Uniform numbers within one standard deviation (8 K) of the mean: their climatology misses by 8 / sqrt(3).
    assert float(row[7]) == pytest.approx(8.0 / np.sqrt(3.0), rel=0.3)
    assert -1.0 <= float(row[5]) <= 1.0
    assert "Not in the reference, so without scores: swvl1, swvl2" in printed.err
    assert "ACC: centred anomaly correlation" in printed.out


def test_a_reference_that_does_not_fit_is_refused_before_the_run(bench, capsys):
    small_dataset(4, start="2021-03-01").to_netcdf(bench.path / "late.nc")
    assert bench.run("--reference", bench.path / "late.nc") == 2
    assert "reference has no time 2021-01-01T00:00" in capsys.readouterr().err
    assert sorted(item.name for item in bench.path.iterdir()) == ["forcing.nc", "late.nc", "model.nc"]


def test_a_reference_that_ends_before_the_run_is_compared_as_far_as_it_goes(bench, capsys):
    data = small_dataset(N_TIMES)
    data.isel(time=slice(0, 5)).to_netcdf(bench.path / "short.nc")
    assert bench.run("--reference", bench.path / "short.nc", "--plot", bench.path / "figure.png") == 0
    printed = capsys.readouterr()
    assert "The reference ends at 2021-01-02T00:00: 5 of the run's 10 labels are compared." in printed.err
    row = next(line for line in printed.out.splitlines() if line.startswith("stl1 ")).split()
    error = bench.open()["stl1"].values[1:5] - data["stl1"].values[1:5]
    assert float(row[2]) == pytest.approx(np.sqrt(np.mean(error**2)), rel=1e-2)
    assert row[-1] == "12"  # four labels of three columns


def test_a_reference_that_begins_after_the_run_is_compared_from_there(bench, capsys):
    data = small_dataset(N_TIMES)
    data.isel(time=slice(3, 7)).to_netcdf(bench.path / "late.nc")
    assert bench.run("--reference", bench.path / "late.nc", "--plot", bench.path / "figure.png") == 0
    printed = capsys.readouterr()
    text = "The reference begins at 2021-01-01T18:00 and ends at 2021-01-02T12:00: 4 of the run's 10 labels are"
    assert text in printed.err
    row = next(line for line in printed.out.splitlines() if line.startswith("stl1 ")).split()
    error = bench.open()["stl1"].values[4:7] - data["stl1"].values[4:7]
    assert float(row[2]) == pytest.approx(np.sqrt(np.mean(error**2)), rel=1e-2)
    assert row[-1] == "9"  # three labels of three columns
    assert "persistence has the reference's state there, the run its own" in printed.out


def test_contradictions_are_said_again_at_the_end(bench, capsys):
    data = small_dataset(4)
    data["met_tair"].attrs["GRIB_stepType"] = "instant"
    data.to_netcdf(bench.forcing)
    assert bench.run() == 0
    begin, end = capsys.readouterr().err.split("done: 4 steps")
    decided = (
        "Contradiction, cell_methods are followed: cell_methods say 'mean', GRIB_stepType says 'instant': met_tair."
    )
    assert decided in begin
    assert f"contradictions in the input, which were decided:\n  {decided}" in end
    assert command(["check", str(bench.forcing), "--model", str(bench.model), "--quiet"]) == 0
    assert f"contradictions that were decided:\n  {decided}" in capsys.readouterr().out


def test_the_score_table_says_whose_state_the_run_begins_with(bench, capsys):
    assert bench.run("--reference", "same", "--end", "2021-01-02") == 0
    assert "the run has the reference's own state there" in capsys.readouterr().out
    assert bench.run("--reference", "same", "--end", "2021-01-02", "--initial-state", "guess", "--overwrite") == 0
    printed = capsys.readouterr()
    assert "the run has the reference's own state there" not in printed.out
    assert "persistence has the reference's state there, the run its own" in printed.out
    assert "start: first guess" in printed.err


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_figure(bench, suffix):
    figure = bench.path / f"figure.{suffix}"
    extra = [] if suffix == "pdf" else ["--reference", "same", "--at", "60,100"]
    assert bench.run("--end", "2021-01-01T18:00", "--plot", figure, *extra) == 0
    start = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[suffix]
    assert figure.read_bytes().startswith(start)
    assert figure.stat().st_size > 10_000
    if suffix == "svg":
        assert "ecLand and aiLand at 65.00" in figure.read_text()
    assert not list(bench.path.glob(".figure*"))


def test_a_finished_run_does_not_fail_because_of_its_figure(bench, monkeypatch, capsys):
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("no such\nfont")

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", broken)
    arguments = ("--end", "2021-01-01T12:00", "--plot", bench.path / "figure.png")
    assert bench.run("--quiet", *arguments) == 0
    said = "figure.png: the figure cannot be drawn (RuntimeError: no such font); everything else is done\n"
    assert capsys.readouterr().err == f"{bench.path}/{said}"
    assert not (bench.path / "figure.png").exists()
    assert bench.run("--debug", "--overwrite", *arguments) == 0
    assert "Traceback" in capsys.readouterr().err


def test_figures_are_checked_before_the_run(bench, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert bench.run("--plot", bench.path / "figure.png") == 2
    assert "matplotlib cannot be imported (ModuleNotFoundError:" in capsys.readouterr().err
    assert not (bench.path / "out.nc").exists()


def test_no_backend_of_the_environment_is_needed(bench):
    """A notebook's is inherited by the commands in its cells."""
    words = bench.arguments("--plot", bench.path / "figure.png")
    code = f"import sys; from ailand_gt4py.cli.column_run import main; sys.exit(main({words!r}))"
    environment = {**os.environ, "MPLBACKEND": "module://a_backend_of_the_notebook"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (bench.path / "figure.png").stat().st_size > 10_000


def test_quiet_prints_nothing_and_otherwise_it_says_what_is_done(bench, capsys):
    assert bench.run("--quiet", "--end", "2021-01-01T12:00") == 0
    assert capsys.readouterr() == ("", "")
    assert bench.run("--overwrite", "--end", "2021-01-01T12:00") == 0
    text = capsys.readouterr().err
    for part in (
        "model: ",
        "input: ",
        "3 columns, 2 steps from 2021-01-01T00:00 to 2021-01-01T12:00",
        "backend: embedded",
        "2/2 steps",
        "inputs outside the training range: none",
        "out.restart.nc",
    ):
        assert part in text


def test_default_names_are_beside_the_caller(bench, monkeypatch):
    directory = bench.path / "here"
    directory.mkdir()
    monkeypatch.chdir(directory)
    arguments = [str(bench.forcing), "--model", str(bench.model), "--backend", "embedded", "--end", "2021-01-01T06:00"]
    assert main(arguments) == 0
    assert sorted(item.name for item in directory.iterdir()) == ["forcing.ailand.nc", "forcing.ailand.restart.nc"]


def test_one_label_has_no_scores_but_runs(bench, capsys):
    assert bench.run("--end", "2021-01-01T06:00", "--reference", "same") == 0
    assert "No scores: one label is compared" in capsys.readouterr().out


@pytest.mark.slow
def test_compiled_backend_agrees_with_embedded(whole, bench):
    assert bench.run(backend="dace_cpu") == 0
    compiled, embedded = bench.open(), whole.open()
    for variable in small_model().state + small_model().diagnostics:
        scale = variable.normalisation.scale
        difference = np.nanmax(np.abs(compiled[variable.name].values - embedded[variable.name].values)) / scale
        assert difference < 1e-4, variable.name
        assert np.array_equal(np.isnan(compiled[variable.name]), np.isnan(embedded[variable.name]))
