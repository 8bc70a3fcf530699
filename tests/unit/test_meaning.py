"""What values mean in time, by all that a file may say of it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.io import meaning
from ailand_gt4py.io.conventions.ec_land_db import LAYOUT
from ailand_gt4py.io.fields import Fields, Meaning
from ailand_gt4py.io.request import Request
from ailand_gt4py.io.resets import detected
from ailand_gt4py.io.windows import to_windows
from ailand_gt4py.weights.variables import DEFAULT

HOUR = np.timedelta64(3_600_000_000_000, "ns")
PATH = Path("in.nc")


def file(bounds=None, step=6.0, **attributes):
    """A file of variables along time, with attributes each, and intervals relative to the labels, hours."""
    labels = step * np.arange(4)
    data = xr.Dataset(
        {name: (("time", "x"), np.ones((4, 1)), one) for name, one in attributes.items()},
        coords={"time": ("time", labels, {"units": "hours since 2020-01-01", "calendar": "standard"})},
    )
    if bounds is not None:
        data["time"].attrs["bounds"] = "time_bnds"
        data["time_bnds"] = (("time", "nv"), np.stack([labels + bounds[0], labels + bounds[1]], axis=1))
    return data


def read(data, convention=LAYOUT):
    own_names = {str(name): str(name) for name in data.data_vars if name != "time_bnds"}
    return meaning.meanings(PATH, data, "time", own_names, convention)


def one(convention=LAYOUT, bounds=None, step=6.0, name="met_tair", units="K", **attributes):
    found, notes = read(file(bounds, step, **{name: {"units": units, **attributes}}), convention)
    return dataclasses.replace(found[name], source=""), notes


@pytest.mark.parametrize(
    ("methods", "kind"),
    [
        ("time: mean", "mean"),
        ("area: mean time: point", "point"),
        ("time: mean (interval: 1 hour)", "mean"),
        ("time: mean (interval: 10 minutes comment: sampled instantaneously) area: mean", "mean"),
        ("time: point (interval: 3 hours)", "point"),
        ("area: time: mean", "mean"),
        ("valid_time: mean", "mean"),
    ],
)
def test_cell_methods(methods, kind):
    assert one(cell_methods=methods) == (Meaning(kind), [])


def test_sum_by_cell_methods():
    found, _ = one(name="met_rainf", units="mm", cell_methods="time: sum")
    assert found == Meaning("sum")


@pytest.mark.parametrize(
    ("bounds", "label", "hours"),
    [((0, 6), "start", 6), ((-6, 0), "end", 6), ((-3, 3), "middle", 6), ((-1, 0), "end", 1)],
)
@pytest.mark.parametrize("methods", [{}, {"cell_methods": "time: mean"}])
def test_bounds(bounds, label, hours, methods):
    assert one(bounds=bounds, **methods) == (Meaning("mean", label, hours * HOUR), [])


def test_bounds_are_not_of_what_is_instantaneous():
    assert one(bounds=(-6, 0), cell_methods="time: point") == (Meaning("point"), [])
    assert one(bounds=(-6, 0), name="stl1") == (Meaning("point"), [])
    assert one(bounds=(0, 0)) == (Meaning("mean"), [])


@pytest.mark.parametrize(
    ("step_type", "units", "expected"),
    [
        ("instant", "K", Meaning("point")),
        ("avg", "K", Meaning("mean", "end")),
        ("accum", "m", Meaning("accumulated", "end", reset="unknown")),
        ("diff", "m", Meaning("sum", "end")),
    ],
)
def test_step_type(step_type, units, expected):
    name = "met_tair" if units == "K" else "met_rainf"
    found, _ = one(name=name, units=units, GRIB_stepType=step_type)
    assert found == expected


@pytest.mark.parametrize(("comment", "label"), [("mean over [t, t+6h)", "start"), ("mean over (t - 6 h, t]", "end")])
def test_comment(comment, label):
    assert one(cell_methods="time: mean", comment=comment)[0] == Meaning("mean", label)


def test_table_of_the_convention():
    table = {"met_rainf": Meaning("sum", "end", HOUR), "met_tair": Meaning("point")}
    convention = dataclasses.replace(LAYOUT, name="mine", meanings=table)
    assert one(convention, name="met_rainf", units="m", GRIB_stepType="accum") == (Meaning("sum", "end", HOUR), [])
    assert one(convention)[0] == Meaning("point")
    assert one(convention, GRIB_stepType="avg") == (
        Meaning("point"),
        ["Contradiction, mine is followed: GRIB_stepType says 'avg', mine has 'point': met_tair."],
    )
    found, notes = one(convention, name="met_rainf", units="m", bounds=(0, 6))
    assert found == Meaning("sum", "start", 6 * HOUR)
    assert notes == [
        "Contradiction, the bounds are followed: the bounds 'time_bnds' have the label at the start of its interval, "
        "mine at the end: met_rainf."
    ]


def test_contradictions_that_are_said():
    assert one(cell_methods="time: mean", GRIB_stepType="instant")[1] == [
        "Contradiction, cell_methods are followed: cell_methods say 'mean', GRIB_stepType says 'instant': met_tair."
    ]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"GRIB_stepType": "accum", "units": "kg m-2 s-1"}, "accumulated by GRIB_stepType 'accum', but has the unit"),
        ({"cell_methods": "time: sum", "units": "mm/h"}, "is a sum by cell_methods, but has the unit 'mm/h' of a rate"),
        ({"cell_methods": "time: maximum"}, "'time: maximum', expected 'time: point', 'time: mean' or 'time: sum'"),
        ({"cell_methods": "time: mean within days time: mean over days"}, "takes no other statistic"),
        ({"GRIB_stepType": "max"}, "has the GRIB_stepType 'max', expected one of instant, avg"),
        (
            {"cell_methods": "time: mean", "comment": "mean over [t, t+6h)", "bounds": (-6, 0)},
            "the bounds 'time_bnds' have the label at the end of its interval, cell_methods and comment at the start",
        ),
        ({"bounds": (-5, 1)}, "expected all labels at the start, in the middle or at the end"),
        ({"bounds": (6, 0)}, "intervals that do not end after they begin"),
        ({"bounds": np.array([(-6, -6, -3, -6), (0, 0, 0, 0)])}, "intervals of 6 h and, at 2020-01-01T12:00, 3 h"),
    ],
)
def test_refusals(more, message):
    with pytest.raises(InputError, match=r"in.nc: variable") as error:
        one(**{"name": "met_rainf" if "units" in more else "met_tair", **more})
    assert message in str(error.value)


def test_bounds_that_are_not_there():
    data = file(met_tair={"units": "K"})
    data["time"].attrs["bounds"] = "time_bnds"
    with pytest.raises(InputError, match="'time_bnds', the bounds of 'time', is missing"):
        read(data)


def test_what_is_no_input_refuses_nothing():
    found, notes = read(file(t2m={"units": "K", "cell_methods": "time: maximum"}, met_tair={"units": "K"}))
    assert list(found) == ["met_tair"]
    assert notes[0].startswith("Left out (in.nc: variable 't2m' has the cell_methods 'time: maximum'")


TIMES = np.datetime64("2020-01-01", "ns") + np.arange(1, 80) * HOUR
#: W m-2: of the sun, nothing at night; of the sky, all the time.
SUN = np.maximum(0.0, np.sin((np.arange(79) % 24 - 6.0) / 12.0 * np.pi))[:, None] * [500.0, 700.0]
SKY = 300.0 + 20.0 * np.sin(np.arange(79) / 5.0)[:, None] * [1.0, 0.5]


def accumulated(rates, reset):
    total, rows = 0.0, []
    for index, rate in enumerate(rates):
        total = rate * 3600.0 + (0.0 if reset and index % reset == 0 else total)
        rows.append(total)
    return np.array(rows)


@pytest.mark.parametrize("rates", [SUN, SKY])
@pytest.mark.parametrize(("hours", "expected"), [(24, 24 * HOUR), (12, 12 * HOUR), (6, 6 * HOUR), (0, "never")])
def test_resets_by_values(rates, hours, expected):
    found, _ = detected(accumulated(rates, hours), TIMES)
    assert found.kind == "accumulated"
    assert found.reset == expected


#: mm h-1: showers of a few hours, of two columns.
RAIN = (np.array([[1, 4], [17, 5]])[:, None] * np.arange(79)[:, None] % 23 < 4).transpose(1, 2, 0)[..., 0] * 1.0


@pytest.mark.parametrize("rates", [SKY, RAIN])
@pytest.mark.parametrize(("hours", "at"), [(24, 6), (24, 18), (12, 6), (24, 23)])
def test_resets_at_other_hours_than_00_utc(rates, hours, at):
    """Those of a day of precipitation that begins at 06 UTC are no resets each six hours."""
    since = accumulated(rates, 0)
    begins = (np.arange(79) - at) % hours == 0
    last = np.maximum.accumulate(np.where(begins, np.arange(79), 0))
    values = since - np.where(last[:, None] > 0, since[last - 1], 0.0)
    found, how = detected(values, TIMES)
    assert (found.kind, found.reset, found.reset_at) == ("accumulated", hours * HOUR, at * HOUR)
    assert f"from {at:02d} UTC on" in how


def test_amounts_that_grow_from_unknown_times_are_no_sums():
    assert detected(accumulated(SKY, 17), TIMES) is None


@pytest.mark.parametrize("rates", [SUN, SKY, RAIN])
def test_sums_by_values(rates):
    assert detected(3600.0 * rates, TIMES)[0] == Meaning("sum", "end")


def test_values_that_do_not_tell():
    assert detected(np.zeros((79, 2)), TIMES) is None
    assert detected(np.ones((79, 2)), TIMES)[0].kind == "sum"
    fields = Fields(
        PATH,
        xr.Dataset({"met_rainf": (("time", "x"), np.zeros((79, 2)), {"units": "m"})}, coords={"time": TIMES}),
        {},
        {"met_rainf": Meaning("accumulated", reset="unknown", source="GRIB_stepType 'accum'")},
    )
    with pytest.raises(InputError, match="variable 'met_rainf' is accumulated by GRIB_stepType 'accum', but from when"):
        to_windows(fields, Request(DEFAULT.template(21_600.0)))
