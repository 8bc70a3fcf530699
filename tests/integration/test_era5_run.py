"""A month of hourly weather as ERA5's users get it, by one command: as the run on the same weather in means of 6 h."""

from __future__ import annotations

import zipfile
from pathlib import Path

import era5_files
import numpy as np
import pytest
import xarray as xr
from era5_files import LATITUDE, LONGITUDE, N_CELLS, SEA, STATIC, cds_files, gridded, write

from ailand_gt4py.cli.column_run import main
from ailand_gt4py.io import opening
from ailand_gt4py.io.reference import Reference
from ailand_gt4py.io.sources import open_source
from ailand_gt4py.weights.model_file import write_model
from ailand_gt4py.weights.variables import CATALOGUE
from helpers import small_model

HOURS = 24 * 30
SHORT = 48


def former_layout(folder: Path) -> list[Path]:
    fields = era5_files.era5(SHORT)
    timed = write(gridded({name: one for name, one in fields.items() if one.ndim == 2}, "time"), folder / "era5.nc")
    return [timed, write(gridded({name: fields[name][None] for name in STATIC}, "time"), folder / "ground.nc")]


def arco(folder: Path) -> list[Path]:
    data = gridded(era5_files.era5(SHORT), "time", names=era5_files.LONG)
    data.to_zarr(folder / "era5.zarr", zarr_format=2, consolidated=True)
    return [folder / "era5.zarr"]


def archive(folder: Path) -> list[Path]:
    instant, accum, static = cds_files(folder, SHORT)
    with zipfile.ZipFile(folder / "download.zip", "w") as target:
        for one in (instant, accum):
            target.write(one, one.name)
    return [folder / "download.zip", static]


LAYOUTS = {
    "present layout": lambda folder: cds_files(folder, SHORT),
    "former layout": former_layout,
    "ARCO-ERA5": arco,
    "archive": archive,
    "ERA5-Land": lambda folder: cds_files(folder, SHORT, era5_files.since_midnight(era5_files.era5(SHORT))),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_has_the_same_weather(tmp_path: Path, layout: str) -> None:
    era5_files.own_layout(SHORT).to_netcdf(tmp_path / "own.nc")
    model = small_model()
    with open_source(LAYOUTS[layout](tmp_path), model) as found, open_source(tmp_path / "own.nc", model) as expected:
        np.testing.assert_array_equal(found.times, expected.times)
        np.testing.assert_allclose(found.latitude, expected.latitude)
        np.testing.assert_allclose(found.longitude, expected.longitude)
        np.testing.assert_allclose(found.static, expected.static, rtol=1e-6)
        np.testing.assert_allclose(found.initial_state, expected.initial_state, rtol=1e-6)
        names = [one.name for one in model.forcing if not one.derived]
        values, wanted = found.forcing(0, len(found.times)), expected.forcing(0, len(expected.times))
        for position, name in enumerate(names):
            scale = np.abs(wanted[..., position]).max()
            # Humidity comes from a dew point, rain and its convective part from sums, in float32 each.
            np.testing.assert_allclose(
                values[..., position], wanted[..., position], rtol=2e-5, atol=1e-6 * scale, err_msg=name
            )
        history = " ".join(found.history)
        assert "gently rolling" not in history
        for word in ("met_qair", "met_rainf", "met_ctpf", "clim_cu", "clim_ctype", "Sea is left out: 1 of 6"):
            assert word in history


def test_a_month_is_one_command(tmp_path: Path) -> None:
    write_model(small_model(), tmp_path / "model.nc")
    era5_files.own_layout(HOURS).to_netcdf(tmp_path / "own.nc")
    options = ["--model", str(tmp_path / "model.nc"), "--backend", "embedded", "-o"]
    assert main([str(tmp_path / "own.nc"), *options, str(tmp_path / "own.out.nc")]) == 0
    paths = [str(path) for path in cds_files(tmp_path, HOURS)]
    assert main([*paths, *options, str(tmp_path / "out.nc")]) == 0
    with xr.open_dataset(tmp_path / "out.nc") as file, xr.open_dataset(tmp_path / "own.out.nc") as own:
        out, wanted = file.load(), own.load()
    assert out["stl1"].dims == ("time", "latitude", "longitude")
    np.testing.assert_array_equal(out["latitude"], LATITUDE)
    np.testing.assert_array_equal(out["longitude"], LONGITUDE)
    assert out.sizes["time"] == HOURS // 6
    land = np.arange(N_CELLS) != SEA
    for name in (*(one.name for one in small_model().state), *(one.name for one in small_model().diagnostics)):
        values = out[name].values.reshape(len(out["time"]), N_CELLS)
        assert np.isnan(values[:, SEA]).all()
        scale = np.nanmax(np.abs(wanted[name].values))
        np.testing.assert_allclose(values[:, land], wanted[name].values, rtol=1e-5, atol=1e-5 * scale, err_msg=name)


def test_fluxes_of_era5_are_a_reference_with_the_right_sign(tmp_path: Path) -> None:
    """Sums over an hour in J m-2 and m, downward, against means in W m-2 and kg m-2 s-1 over the windows."""
    names, n = ("sshf", "e", "t2m", "swvl1"), SHORT // 6
    random = np.random.default_rng(5)
    means = {"sshf": random.normal(-30.0, 20.0, (n, N_CELLS)), "e": random.normal(-3e-5, 1e-5, (n, N_CELLS))}
    points = {
        "t2m": random.uniform(280.0, 290.0, (SHORT + 1, N_CELLS)),
        "swvl1": random.uniform(0.2, 0.3, (SHORT + 1, N_CELLS)),
    }
    hourly = {name: np.concatenate([one[:1], np.repeat(one, 6, axis=0)]) for name, one in means.items()}
    fluxes = {"sshf": 3600.0 * hourly["sshf"], "e": 3.6 * hourly["e"]}
    paths = [
        write(era5_files.cds(points, "instant"), tmp_path / "instant.nc"),
        write(era5_files.cds(fluxes, "accum"), tmp_path / "accum.nc"),
    ]
    latitude, longitude = (one.ravel() for one in np.meshgrid(LATITUDE, LONGITUDE, indexing="ij"))
    times = era5_files.times(SHORT)[:SHORT:6]
    variables = [CATALOGUE[name].variable() for name in names]
    with Reference(paths, variables, times, latitude=latitude, longitude=longitude) as reference:
        found = reference.read(0, n)
    for position, name in enumerate(names):
        wanted = means[name] if name in means else points[name][:SHORT:6]
        np.testing.assert_allclose(found[..., position], wanted, rtol=2e-6, err_msg=name)


def test_the_period_that_is_asked_for_is_what_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store of decades has millions of chunks: those of other times must cost nothing."""
    paths, model = cds_files(tmp_path, 24 * 12), small_model()
    with open_source(paths, model) as whole:
        assert len(whole.labels) == 4 * 12
        monkeypatch.setattr(opening, "READ_BYTES", 1)
        with open_source(paths, model, start="2020-06-06", end="2020-06-06T12:00") as part:
            assert len(part.labels) < 4 * 6
            first = int(np.searchsorted(whole.times, part.times[0]))
            np.testing.assert_array_equal(part.forcing(0, 2), whole.forcing(first, first + 2))
