"""Brightness temperatures of satellites' footprints: read, brought to columns and labels, refused if they cannot be."""

from pathlib import Path

import netCDF4
import numpy as np
import pytest
from examples.satellite import make_smap
from footprint_files import cells_of, ease_y, latitude_of, write_smap, write_smos
from hypothesis import given
from hypothesis import strategies as st

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.observations import ease_grid
from ailand_gt4py.observations.collocation import Choice
from ailand_gt4py.observations.footprints import layout_of
from ailand_gt4py.observations.observed import Observed, read_observed
from ailand_gt4py.weights.variables import CATALOGUE

COLUMNS = Path(__file__).parents[2] / "examples" / "column_run" / "ecland_columns.nc"
LATITUDE, LONGITUDE = np.array([50.1565, 61.865437, -22.633644]), np.array([7.7783, 31.81783, 24.206047])
TBH, TBV = CATALOGUE["tbh"].variable(), CATALOGUE["tbv"].variable()
HOUR = np.timedelta64(1, "h")
#: A half orbit at about 06:00 of the first columns, as they are passed.
PASSED = np.datetime64("2021-06-01T05:20") + np.array([0, 4, 25]) * np.timedelta64(60, "s")


def smap(path, times=PASSED, latitude=LATITUDE, longitude=LONGITUDE, spacing=36.03222, tbh=None, tbv=None, **changes):
    n = len(latitude)
    values = (
        np.linspace(200.0, 260.0, n) if tbh is None else tbh,
        np.linspace(230.0, 280.0, n) if tbv is None else tbv,
    )
    return write_smap(path, *cells_of(latitude, longitude, spacing), times, *values, **changes)


def read(paths, choice=None, latitude=LATITUDE, longitude=LONGITUDE):
    more = {} if choice is None else {"choice": choice}
    return read_observed(paths, [TBH, TBV], latitude=latitude, longitude=longitude, **more)


def test_a_half_orbit_is_read_at_the_columns(tmp_path):
    found = read([smap(tmp_path / "a.h5")])
    assert set(found) == {"tbh", "tbv"}
    np.testing.assert_array_equal(found["tbh"].times, np.array(["2021-06-01T05", "2021-06-01T06"], "datetime64[ns]"))
    # The first column at 05:20 and 05:23 belongs to 05:00, the third, at 05:45 and 05:48, to 06:00.
    np.testing.assert_allclose(found["tbh"].values, [[200.0, 230.0, np.nan], [np.nan, np.nan, 260.0]])
    np.testing.assert_allclose(found["tbv"].values[0, :2], [230.0, 255.0])
    np.testing.assert_allclose(found["tbh"].errors[0, 0], 1.2, rtol=1e-6)
    labels = np.datetime64("2021-06-01", "ns") + np.arange(4) * 6 * HOUR
    at_labels = found["tbh"].on_labels(labels, 6 * HOUR)
    np.testing.assert_allclose(at_labels.values[1], [200.0, 230.0, 260.0])
    assert at_labels.count == 3


def test_both_looks_are_averaged_and_flags_heeded(tmp_path):
    flags, aft = np.array([0, 1, 2]), np.array([210.0, 240.0, 270.0])
    path = smap(tmp_path / "a.h5", times=PASSED.min() + 0 * (PASSED - PASSED[0]), cell_tb_h_aft=aft,
                cell_tb_qual_flag_h_fore=flags, cell_tb_qual_flag_v_aft=np.full(3, 65534))  # fmt: skip
    found = read([path])
    np.testing.assert_allclose(found["tbh"].values, [[205.0, 240.0, 265.0]])  # bit 0 alone; others only say why
    np.testing.assert_allclose(found["tbv"].values, [[230.0, 255.0, 280.0]])  # the missing flags are of no observation


def test_fill_values_are_no_observations(tmp_path, caplog):
    """Also where no attribute names them."""
    path = smap(tmp_path / "a.h5", tbh=[-9999.0, 230.0, 260.0])
    with netCDF4.Dataset(path, "a") as file:
        group = file["Global_Projection"]
        for look in ("fore", "aft"):
            group[f"cell_tb_time_seconds_{look}"][1] = -9999.0
            group.renameVariable(f"cell_tb_v_{look}", f"with_attribute_{look}")
            group.createVariable(f"cell_tb_v_{look}", "f4", ("cells",), fill_value=False)[:] = [230.0, 255.0, -9999.0]
    found = read([path])
    np.testing.assert_array_equal(found["tbh"].values, [[np.nan] * 3, [np.nan, np.nan, 260.0]])
    np.testing.assert_array_equal(found["tbv"].values, [[230.0, np.nan, np.nan], [np.nan] * 3])
    assert "cannot be" not in caplog.text


def test_cells_are_matched_by_distance(tmp_path):
    """A column has the cell it lies in, whatever the shape of that; a given distance takes more or fewer."""
    # 25 km to the north of a cell's centre: in the cell, which is 66 km high here.
    centre = cells_of(LATITUDE, LONGITUDE)
    found = read([smap(tmp_path / "a.h5")], None, centre[1][1:2] + 0.225, centre[2][1:2])
    assert found["tbh"].count == 1
    with pytest.raises(
        InputError, match=r"no column has a footprint \(the nearest is 15\.\d+ km away\), .* in whose cell"
    ):
        read([tmp_path / "a.h5"], None, centre[1][1:2], centre[2][1:2] + 0.3)  # 16 km to the east of it: not
    wide = np.concatenate([LATITUDE, LATITUDE + 0.5]), np.concatenate([LONGITUDE, LONGITUDE])
    path = smap(tmp_path / "b.h5", np.tile(PASSED[0], 6), *wide, tbh=[200.0] * 3 + [220.0] * 3, tbv=[250.0] * 6)
    np.testing.assert_allclose(read([path], Choice(distance=90.0))["tbh"].values, 210.0)
    with pytest.raises(
        InputError, match=r"no column has a footprint \(the nearest is .* km away\), expected .* 0\.1 km"
    ):
        read([path], Choice(distance=0.1))


@given(
    latitude=st.floats(-84.0, 84.0), longitude=st.floats(-180.0, 179.99), spacing=st.sampled_from([36.03222, 9.008055])
)
def test_a_location_is_in_one_cell(latitude, longitude, spacing):
    """Of those around it, that of its row and column; at an edge in both."""
    width = np.rad2deg(spacing / (ease_grid.RADIUS * ease_grid.SCALE))
    row, column = (7314.54083 - ease_y(latitude)) / spacing, (longitude + 180.0) / width
    around = np.arange(-1, 2)
    rows, columns = np.meshgrid(np.floor(row) + around, np.floor(column) + around, indexing="ij")
    centre = latitude_of(7314.54083 - (rows + 0.5) * spacing), (columns + 0.5) * width - 180.0
    found = ease_grid.in_cell(spacing, np.array(latitude), np.array(longitude), centre)
    assert found[1, 1]
    is_at_edge = [min(one % 1.0, 1.0 - one % 1.0) < 0.003 for one in (row, column)]
    assert found.sum() == 1 or any(is_at_edge)


def test_the_finer_product_is_told_by_its_rows(tmp_path):
    path = smap(tmp_path / "e.h5", spacing=9.008055)
    assert read([path])["tbh"].count == 3
    with pytest.raises(InputError, match=r"e\.h5: footprints are posted at 9\.01 km, expected 36 km as in .*a\.h5"):
        read([smap(tmp_path / "a.h5"), path])
    strange = smap(tmp_path / "s.h5", cell_row=cells_of(LATITUDE, LONGITUDE, 25.0)[0])
    with pytest.raises(InputError, match=r"group 'Global_Projection': cell_row and cell_lat are those of a grid of 25"):
        read([strange])


def test_of_polar_projections_only_what_the_global_one_lacks(tmp_path):
    """Which are the same observations otherwise."""
    path = smap(tmp_path / "a.h5")
    # The second cell is 23 km from the column, in its reach on the polar grid and far away on the global one.
    latitude, longitude = np.array([61.87, 86.0]), np.array([31.82, 13.0])
    write_smap(
        path, [1, 2], latitude, longitude, PASSED[:2], [100.0, 210.0], [100.0, 220.0], "North_Polar_Projection", "a"
    )
    found = read([path], None, np.append(LATITUDE, 86.0), np.append(LONGITUDE, 10.0))
    np.testing.assert_allclose(found["tbh"].values[0], [200.0, 230.0, np.nan, 210.0])


def test_half_orbits_in_any_order_and_each_once(tmp_path):
    later = smap(tmp_path / "a.h5", PASSED + 24 * HOUR, tbh=[201.0] * 3)
    first, other = smap(tmp_path / "b.h5"), smap(tmp_path / "other.h5", latitude=-LATITUDE)
    found = read([later, other, first])["tbh"]
    assert (np.diff(found.times) > np.timedelta64(0)).all()
    np.testing.assert_allclose(found.values[[0, 2], 0], [200.0, 201.0])
    twin = tmp_path / "b_002.h5"
    twin.write_bytes(first.read_bytes())
    with pytest.raises(
        InputError, match=r"b_002\.h5: the footprint at 50\.\d+ N, .* of 2021-06-01T05:20.* is in .*b\.h5, too"
    ):
        read([first, twin])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {f"cell_tb_qual_flag_{p}_{look}": [1, 3, 513] for p in "hv" for look in ("fore", "aft")},
            "none of 6 footprints near columns is recommended, expected some of which bit 0 of cell_tb_qual_flag is 0",
        ),
        ({"cell_tb_error_v_fore": [1.0, 0.0, 1.0]}, "the error of 'tbv' is 0 K in the footprint at 61.*, expected"),
        ({"cell_tb_error_h_aft": [1.0, 1.0, -0.5]}, "the error of 'tbh' is -0.5 K in .*, expected errors above 0"),
        (
            {f"cell_boresight_incidence_{look}": [52.5] * 3 for look in ("fore", "aft")},
            "observed at 52.5 to 52.5 degrees, expected 40 within 2.5",
        ),
        ({"cell_tb_time_seconds_fore": None}, "'Global_Projection': has no 'cell_tb_time_seconds_fore', expected it"),
        ({"cell_tb_qual_flag_h_fore": None}, "has no 'cell_tb_qual_flag_h_fore', expected it"),
        ({f"cell_tb_{p}_{look}": None for p in "hv" for look in ("fore", "aft")}, "has neither 'cell_tb_h_fore' nor"),
        (
            {f"cell_tb_{p}_{look}": [-9999.0] * 3 for p in "hv" for look in ("fore", "aft")},
            "none of 6 footprints near columns has a time and a value that can be",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(tmp_path, changes, message):
    with pytest.raises(InputError, match=message) as caught:
        read([smap(tmp_path / "a.h5", **changes)])
    assert str(tmp_path / "a.h5") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_values_that_are_no_numbers_or_times_no_times(tmp_path):
    path = smap(tmp_path / "a.h5", cell_tb_time_seconds_fore=[1e300, 1e18, np.nan], cell_tb_h_aft=[1e30, 240.0, 250.0])
    np.testing.assert_array_equal(read([path])["tbh"].values, [[np.nan, 240.0, np.nan], [np.nan, np.nan, 250.0]])
    for rows, message in (
        ([0.5] * 2, "'cell_lat' has the shape"),
        ([np.nan] * 3, "a latitude and a row .*of each cell"),
    ):
        with netCDF4.Dataset(tmp_path / "b.h5", "w") as file:
            group = file.createGroup("Global_Projection")
            for name, values in (("cell_lat", LATITUDE), ("cell_row", rows)):
                group.createDimension(name, len(values))
                group.createVariable(name, "f8", (name,))[:] = values
        with pytest.raises(InputError, match=message):
            read([tmp_path / "b.h5"])
    with netCDF4.Dataset(path, "a") as file:
        group = file["Global_Projection"]
        group.renameVariable("cell_tb_v_fore", "other")
        group.createVariable("cell_tb_v_fore", str, ("cells",))
    with pytest.raises(InputError, match=r"'cell_tb_v_fore' has no numbers, expected them"):
        read([path])


def test_a_file_that_is_cut_is_refused(tmp_path):
    path = smap(tmp_path / "a.h5")
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(InputError, match=r"a\.h5: cannot be opened .*; expected a netCDF file"):
        read([path])


def test_columns_without_a_location_have_none(tmp_path):
    path = smap(tmp_path / "a.h5")
    found = read([path], None, np.array([np.nan, LATITUDE[0]]), np.array([1.0, LONGITUDE[0]]))
    np.testing.assert_allclose(found["tbh"].values, [[np.nan, 200.0]])
    with pytest.raises(InputError, match="no column of the run has a location"):
        read([path], None, np.array([np.nan]), np.array([1.0]))


def test_errors_that_are_not_there_are_not_known(tmp_path):
    changes = {f"cell_tb_error_{p}_{look}": None for p in "hv" for look in ("fore", "aft")}
    found = read([smap(tmp_path / "a.h5", **changes)])
    assert np.isnan(found["tbh"].errors).all()
    assert found["tbh"].count == 3


def test_units_are_heeded(tmp_path):
    path = smap(tmp_path / "a.h5", tbh=np.array([200.0, 230.0, 260.0]) - 273.15)
    with netCDF4.Dataset(path, "a") as file:
        file["Global_Projection/cell_tb_h_fore"].units = file["Global_Projection/cell_tb_h_aft"].units = "degC"
    np.testing.assert_allclose(read([path])["tbh"].values[0, :2], [200.0, 230.0], rtol=1e-6)
    with netCDF4.Dataset(path, "a") as file:
        file["Global_Projection/cell_tb_h_fore"].units = "furlong"
    with pytest.raises(InputError, match="'cell_tb_h_fore'.*furlong"):
        read([path])


def test_interference_is_left_out_before_means_are_made(tmp_path, caplog):
    path = smap(tmp_path / "a.h5", np.tile(PASSED[0], 3), cell_tb_h_aft=[200.0, 1200.0, 260.0])
    np.testing.assert_allclose(read([path])["tbh"].values, [[200.0, 230.0, 260.0]])
    assert "'tbh' has 1 impossible values, the first 1200" in caplog.text


def test_observations_of_other_times_are_refused(tmp_path):
    found = read([smap(tmp_path / "a.h5")])["tbh"]
    labels = np.datetime64("2022-01-01", "ns") + np.arange(4) * 6 * HOUR
    with pytest.raises(
        InputError, match=r"'tbh' are from 2021-06-01T05:00 .*, expected some at labels every 6 h within 3 h, from 2022"
    ):
        found.on_labels(labels, 6 * HOUR)


def test_columns_need_locations_and_variables_be_observed(tmp_path):
    path = smap(tmp_path / "a.h5")
    with pytest.raises(InputError, match=r"a\.h5: is SMAP L1C_TB, expected latitude and longitude of the columns"):
        read_observed([path], [TBH])
    with pytest.raises(InputError, match=r"a\.h5: nothing in it was observed of sshf, expected some"):
        read_observed([path], [CATALOGUE["sshf"].variable()], latitude=LATITUDE, longitude=LONGITUDE)
    assert set(read_observed([path], [TBV], latitude=LATITUDE, longitude=LONGITUDE)) == {"tbv"}


@pytest.mark.parametrize("choice", [{"distance": 0.0}, {"incidence_tolerance": -1.0}, {"interval": 0 * HOUR}])
def test_choices_that_cannot_be(choice):
    with pytest.raises(InputError, match="expected (more than 0|0 or more)"):
        Choice(**choice)


# --- SMOS


LATITUDES = cells_of(LATITUDE[0] + np.array([-0.4, 0.0, 0.4]), np.full(3, 7.0), 25.02526)[1]
LONGITUDES = cells_of(np.full(4, 50.0), LONGITUDE[0] + np.array([-0.26, 0.0, 0.26, 0.52]), 25.02526)[2]


def smos(path, **changes):
    tbh = 200.0 + np.arange(12.0).reshape(3, 4)
    times = np.full((3, 4), np.datetime64("2021-06-01T05:02:03.456789"))
    return write_smos(path, LATITUDES, LONGITUDES, times, tbh, tbh + 30.0, **changes)


def test_of_smos_the_class_of_angles_that_is_nearest(tmp_path):
    """The column lies in the cell (1, 1), value 205; its class of 40 degrees is 10 K warmer than that of 37.5."""
    path, column = smos(tmp_path / "SM_RE07_MIR_CDF3TD.nc"), (LATITUDE[:1], LONGITUDE[:1])
    found = read([path], Choice(distance=5.0, incidence=40.0), LATITUDES[1:2], LONGITUDES[1:2])
    np.testing.assert_allclose(found["tbh"].values, [[215.0]], atol=0.01)
    np.testing.assert_allclose(found["tbv"].values, [[245.0]], atol=0.01)
    np.testing.assert_allclose(found["tbv"].errors, [[2.5]], atol=0.01)
    assert found["tbh"].times == np.datetime64("2021-06-01T05", "ns")
    times = layout_of(path).read(path, 40.0).times  # to the millisecond
    assert (np.abs(times - np.datetime64("2021-06-01T05:02:03.456789")) < np.timedelta64(1, "ms")).all()
    found = read([path], Choice(incidence=42.5), *column)
    assert 220.0 < found["tbh"].values[0, 0] < 232.0
    with pytest.raises(InputError, match=r"observed at 42\.5 to 42\.5 degrees, expected 55 within 2\.5"):
        read([path], Choice(incidence=55.0), *column)


def test_of_smos_what_is_free_of_interference(tmp_path):
    flags = np.ones((3, 4))
    flags[1, 1] = 0
    column = LATITUDE[:1], LONGITUDE[:1]
    found = read([smos(tmp_path / "a.nc", Nb_RFI_Flags_400=flags)], None, *column)
    np.testing.assert_allclose(found["tbh"].values, [[215.0]], atol=0.01)
    with pytest.raises(InputError, match="is recommended, expected some of which Nb_RFI_Flags is 0"):
        read([smos(tmp_path / "b.nc", Nb_RFI_Flags_400=flags + 1.0)], None, *column)


def test_layouts_are_recognised_and_not_mixed(tmp_path):
    of_smos, of_smap = smos(tmp_path / "a.nc"), smap(tmp_path / "a.h5")
    other = tmp_path / "other.nc"
    with netCDF4.Dataset(other, "w") as file:
        file.createGroup("Global_Projection")
    (tmp_path / "text.csv").write_text("time,tbh\n")
    names = [None if (found := layout_of(path)) is None else found.name for path in (of_smos, of_smap, other)]
    assert names == ["SMOS L3TB (CATDS)", "SMAP L1C_TB", None]
    assert layout_of(tmp_path / "text.csv") is None
    assert layout_of(tmp_path) is None
    for second, what in ((of_smos, "SMOS L3TB"), (other, "no file of footprints")):
        with pytest.raises(InputError, match=f"is {what}.*, expected SMAP L1C_TB as .*a.h5"):
            read([of_smap, second])


# --- labels


@given(seed=st.integers(0, 1000), tolerance=st.integers(0, 5), step=st.sampled_from([1, 3, 6]))
def test_instants_near_labels_count_at_the_nearest(seed, tolerance, step):
    """Against a loop."""
    random = np.random.default_rng(seed)
    hours = np.sort(random.choice(np.arange(-10, 58), 20, replace=False))
    start = np.datetime64("2021-06-01", "ns")
    values, unknown = random.normal(size=(20, 1)), np.full((20, 1), np.nan)
    one = Observed(TBH, start + hours * HOUR, HOUR, values, unknown, np.ones((20, 1)), np.timedelta64(tolerance, "h"))
    labels = np.arange(0, 48, step)
    expected = np.full(len(labels), np.nan)
    for k, label in enumerate(labels):
        distance = np.abs(hours - label)
        others = np.abs(hours[:, None] - labels)
        nearest = labels[(others.shape[1] - 1) - np.argmin(others[:, ::-1], axis=1)]
        inside = (nearest == label) & (distance <= min(tolerance, step / 2))
        if inside.any():
            expected[k] = values[inside, 0].mean()
    if np.isfinite(expected).any():
        np.testing.assert_allclose(one.on_labels(start + labels * HOUR, step * HOUR).values[:, 0], expected)
    else:
        with pytest.raises(InputError, match="expected some at labels"):
            one.on_labels(start + labels * HOUR, step * HOUR)


# --- the example


def test_the_example_is_read_back(tmp_path):
    """Its half orbits give at labels what the operator gives of the file's states, but for noise; snow is left out."""
    options = make_smap.Options(columns=COLUMNS, directory=tmp_path / "orbits", start="2021-02-01", days=8)
    assert len(make_smap.make(options)) == 4
    latitude, longitude, labels, values = make_smap.observed(options)
    found = read(sorted((tmp_path / "orbits").iterdir()), None, latitude, longitude)
    is_snowy = np.isnan(values[..., 0]).all(axis=0)
    assert is_snowy.tolist() == [False, True, True, False, False]
    for k, name in enumerate(("tbh", "tbv")):
        at_labels = found[name].on_labels(labels, 6 * HOUR)
        known = np.isfinite(at_labels.values)
        assert known.sum(axis=0).tolist()[3:] == [4, 4]
        assert not known[:, is_snowy].any()
        difference = (at_labels.values - values[..., k])[known]
        assert np.abs(difference).max() < 4.0 * make_smap.NOISE
        assert difference.std() > 0.2 * make_smap.NOISE
        np.testing.assert_allclose(at_labels.errors[known], make_smap.NOISE, rtol=1e-6)


def test_the_examples_cells_are_those_of_the_grid():
    made = make_smap.cells_of(LATITUDE, LONGITUDE, 9.008055)
    for mine, theirs in zip(cells_of(LATITUDE, LONGITUDE, 9.008055), (made[0], made[2], made[3]), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-4)
    # EASE2_M36km has 406 rows and 964 columns, from the north-western corner (Brodzik et al. 2012).
    corners = np.array([85.0, -85.0]), np.array([-179.99, 179.99])
    row, column, _, _ = make_smap.cells_of(*corners, 36.03222)
    assert row.tolist() == [0, 405]
    assert column.tolist() == [0, 963]
