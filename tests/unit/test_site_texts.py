"""Weather of one site as text: tables for FSM, single points of HRLDAS; hours at the ends of intervals, in UTC."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from tower_files import LATITUDE, LONGITUDE, utc, weather

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.io.conventions import read
from ailand_gt4py.io.site import Site

HERE = Site(LATITUDE, LONGITUDE, 120.0)
HEAD = f"""! about the site
&location
 latitude = {LATITUDE} ! degrees
 longitude = {LONGITUDE}
 vegetation_category = 12
 soil_category = 8 ! silty clay loam
 elevation = 218.0
/
&initial
 snow_water_equivalent = 5.0 ! mm
 soil_layer_nodes = 0.05, 0.25, 0.70, 1.50
 soil_temperature = 270.0, 272.0, 276.5, 279.7
 soil_moisture = 0.1, 0.2, 0.3, 0.3
/
&metadata
 land_cover_source = "MODIFIED_IGBP_MODIS_NOAH"
/
&conversion
 have_relative_humidity = .true.
 temperature_offset = 273.15
 temperature_scale = 1.0
 pressure_scale = 100.0
 precipitation_scale = 0.014111
/
yyyy mm dd hh mi  m s{{-1}} C % mb
"""


def hourly(days: int = 3) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Starts of hours and the weather in them."""
    return utc(days)[::2], {name: values.reshape(-1, 2).mean(axis=1) for name, values in weather(utc(days)).items()}


def fsm(path: Path, days: int = 3, late: int = 1) -> Path:
    times, values = hourly(days)
    lines = []
    for k, time in enumerate(times):
        day, hour = time.astype("datetime64[D]"), int((time - time.astype("datetime64[D]")) / np.timedelta64(1, "h"))
        date = f"{day}".replace("-", " ")
        numbers = [
            values["swdown"][k],
            values["lwdown"][k],
            0.0,
            values["precip"][k],
            values["tair"][k],
            80.0,
            3.0,
            99e3,
        ]
        lines.append(f"{date} {hour + late} " + " ".join(f"{one:.8g}" for one in numbers))
    path.write_text("\n".join(lines))
    return path


def hrldas(path: Path) -> Path:
    times, values = hourly()
    rows = []
    for k, time in enumerate(times + np.timedelta64(1, "h")):
        date = str(time.astype("datetime64[m]")).translate({ord(letter): " " for letter in "-T:"})
        numbers = [3.0, values["tair"][k] - 273.15, 80.0, 990.0, values["swdown"][k], 300.0, float(k == 5)]
        rows.append(f"{date} " + " ".join(f"{one:.6f}" for one in numbers))
    with gzip.open(path, "wt") as file:
        file.write(HEAD + "\n".join(rows) + "\n")
    return path


def test_a_table_for_fsm(tmp_path: Path) -> None:
    fields = read(fsm(tmp_path / "met.txt"), site=HERE)
    times, values = hourly()
    np.testing.assert_array_equal(fields.dataset["time"].values, times)
    np.testing.assert_allclose(fields.dataset["met_tair"].values[:, 0], values["tair"], rtol=1e-6)
    np.testing.assert_allclose(fields.dataset["met_rainf"].values[:, 0], values["precip"], rtol=1e-6)
    assert fields.dataset["met_relative_humidity"].attrs["units"] == "%"
    assert (fields.convention, fields.meanings["met_swdown"].kind) == ("FSM", "mean")
    assert any("as by the format, UTC; checked against the sun" in note for note in fields.notes)


def test_a_table_in_local_time_is_corrected_and_said_or_refused(tmp_path: Path) -> None:
    fields = read(fsm(tmp_path / "met.txt", days=40), site=Site(LATITUDE, LONGITUDE - 15.0))
    assert any("UTC-1, not UTC (as by the format)" in note for note in fields.notes)
    with pytest.raises(InputError, match="--utc-offset -4"):
        read(tmp_path / "met.txt", site=Site(LATITUDE, LONGITUDE - 60.0))


def test_a_single_point_of_hrldas(tmp_path: Path) -> None:
    fields = read(hrldas(tmp_path / "point.dat.gz"))
    times, values = hourly()
    data = fields.dataset
    np.testing.assert_array_equal(data["time"].values, times)
    np.testing.assert_allclose(data["met_tair"].values[:, 0], values["tair"], atol=1e-5)
    assert data["met_psurf"].values[0, 0] == 99_000.0
    assert data["met_precipitation"].values[5, 0] == pytest.approx(0.014111)
    found = {name: float(data[name][0]) for name in ("lat", "lon", "clim_orog", "clim_sotype", "igbp_class", "sd")}
    assert found == {
        "lat": LATITUDE,
        "lon": LONGITUDE,
        "clim_orog": 218.0,
        "clim_sotype": 3.0,
        "igbp_class": 12.0,
        "sd": 0.005,
    }
    assert float(data["stl2"][0]) == pytest.approx(270.0 + 2.0 * (0.175 - 0.05) / 0.2)
    assert float(data["swvl4"][0]) == 0.3


def test_damaged_texts(tmp_path: Path) -> None:
    path = fsm(tmp_path / "met.txt")
    path.write_text(path.read_text() + "\n2020 06 04 1 what\n")
    with pytest.raises(InputError, match="met.txt: cannot be read"):
        read(path, site=HERE)
    with gzip.open(hrldas(tmp_path / "point.dat.gz"), "rt") as file:
        text = file.read()
    (tmp_path / "cut.dat").write_text(text.rstrip()[:-15])
    with pytest.raises(InputError, match="cut.dat: line .* expected a time and seven numbers"):
        read(tmp_path / "cut.dat")
    (tmp_path / "bad.dat").write_text(text.replace("elevation = 218.0", "elevation = high"))
    with pytest.raises(InputError, match="'elevation' is 'high', expected numbers"):
        read(tmp_path / "bad.dat")


def test_the_files_of_the_models(shared: Path) -> None:
    raw = shared / "towers" / "raw"
    point, table = raw / "bondville" / "bondville.dat.gz", raw / "col_de_porte" / "met_CdP_0506.txt"
    if not (point.exists() and table.exists()):
        pytest.skip("no raw files of towers")
    assert any("fits the sun best at UTC (" in note for note in read(point).notes)
    assert read(table, site=Site(45.3, 5.77)).dataset.sizes["time"] == 6552
