"""The parts of the figure that can be right or wrong."""

from __future__ import annotations

import numpy as np
import pytest

from ailand_gt4py.evaluation.figures.series import REFERENCE_COLOUR, daily_means, draw_columns, rmse_text
from ailand_gt4py.evaluation.figures.style import DIAGNOSTIC_COLOUR, location_text, nearest_column, units_text
from helpers import small_model

MODEL = small_model()
VARIABLES = MODEL.state + MODEL.diagnostics


@pytest.mark.parametrize(
    ("at", "column"),
    [
        (None, 0),
        ((10.0, 10.0), 1),
        ((0.0, -179.0), 2),  # across the date line, 2 degrees from 179 E
        ((0.0, 181.0), 2),
        ((89.0, 0.0), 3),  # one degree from the pole: every longitude is near
    ],
)
def test_nearest_column_on_the_sphere(at, column):
    latitude, longitude = np.array([0.0, 12.0, 0.0, 88.0]), np.array([0.0, 10.0, 179.0, 180.0])
    assert nearest_column(latitude, longitude, at) == column


def test_locations():
    assert location_text(51.6, 4.9) == "51.60° N, 4.90° E"
    assert location_text(-12.5, 350.0) == "12.50° S, 10.00° W"


def test_units():
    assert units_text("m3 m-3") == "m$^{3}$ m$^{-3}$"
    assert units_text("K") == "K"
    assert units_text("1") == ""


def test_daily_means():
    times = np.datetime64("2021-01-01", "ns") + np.arange(8) * np.timedelta64(6, "h")
    values = np.arange(8.0)
    values[5] = np.nan
    days, means = daily_means(times, values)
    assert list(days) == [np.datetime64("2021-01-01T12"), np.datetime64("2021-01-02T12")]
    assert means[0] == 1.5
    assert np.isnan(means[1])


def test_rmse_leaves_out_the_first_label():
    assert rmse_text(np.array([100.0, 1.0, 2.0]), np.array([0.0, 0.0, 0.0]), "K") == "RMSE 1.58 K"
    assert rmse_text(np.array([1.0, np.nan]), np.array([0.0, 0.0]), "K") == ""


def drawn(n_times: int, with_truth: bool):
    times = np.datetime64("2021-01-01", "ns") + np.arange(n_times) * np.timedelta64(6, "h")
    random = np.random.default_rng(0)
    series = {variable.name: random.normal(size=n_times) for variable in VARIABLES}
    truth = {variable.name: random.normal(size=n_times) for variable in VARIABLES[1:]} if with_truth else {}
    return series, truth, draw_columns(VARIABLES, times, series, truth, "title")


def test_every_variable_has_a_panel_with_both_lines():
    series, truth, figure = drawn(40, with_truth=True)
    panels = {panel.get_title(loc="left"): panel for panel in figure.axes if panel.axison}
    assert set(panels) == set(series)
    reference, run = panels["t2m"].get_lines()
    assert reference.get_color() == REFERENCE_COLOUR
    assert run.get_color() == DIAGNOSTIC_COLOUR
    assert np.array_equal(reference.get_ydata(), truth["t2m"])
    assert np.array_equal(run.get_ydata(), series["t2m"])
    assert panels["t2m"].get_ylabel() == "K"
    assert "RMSE" in panels["t2m"].get_title(loc="right")
    only_run = panels[VARIABLES[0].name]
    assert len(only_run.get_lines()) == 1
    assert not only_run.get_title(loc="right")


def test_long_runs_are_drawn_as_daily_means_and_say_so():
    series, _, figure = drawn(4 * 200, with_truth=False)
    line = figure.axes[0].get_lines()[0]
    assert len(line.get_ydata()) == 200
    assert line.get_ydata()[0] == pytest.approx(series[VARIABLES[0].name][:4].mean())
    assert "daily means" in figure.get_suptitle()
    assert "ecLand" not in [text.get_text() for text in figure.legends[0].get_texts()]


def test_longitudes_of_a_map_are_in_one_piece():
    from ailand_gt4py.evaluation.figures.maps import _in_one_piece

    for longitude, expected in (
        ([4.9, 8.4], [4.9, 8.4]),
        ([359.0, 0.0, 1.0], [-1.0, 0.0, 1.0]),
        ([170.0, -175.0], [170.0, 185.0]),
        (np.arange(0.0, 360.0, 10.0), [*np.arange(0.0, 180.0, 10.0), *np.arange(-180.0, 0.0, 10.0)]),
    ):
        np.testing.assert_allclose(_in_one_piece(np.array(longitude)), expected, atol=1e-4)
