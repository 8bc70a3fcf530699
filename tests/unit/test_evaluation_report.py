"""The HTML report of a small file: numbers, what it refers to, and options that are refused."""

from __future__ import annotations

import base64
import dataclasses
import json
import math
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from column_files import driver_model
from evaluation_files import N_COLUMNS, closing_dataset, full_model, perfect_run, write_closing
from test_attachments import ALTERNATIVES, TRANSFER

from ailand_gt4py.cli import evaluate as command
from ailand_gt4py.cli.options import parse
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.evaluation import literature, study
from ailand_gt4py.evaluation.figures import space as figures_space
from ailand_gt4py.evaluation.figures import style as figure_style
from ailand_gt4py.evaluation.figures import time as figures_time
from ailand_gt4py.evaluation.report import page as html_page
from ailand_gt4py.evaluation.report import report as report_data
from ailand_gt4py.evaluation.runs import Cost
from ailand_gt4py.evaluation.scores import groups
from ailand_gt4py.evaluation.scores.climatology import day_of_year_climatology
from ailand_gt4py.evaluation.scores.definitions import SCORES
from ailand_gt4py.evaluation.scores.moments import Sample
from ailand_gt4py.evaluation.scores.uncertainty import alike_ratio
from ailand_gt4py.io.sources import open_source
from ailand_gt4py.weights.model import Normalisation
from ailand_gt4py.weights.model_file import write_model


class Page(HTMLParser):
    """Elements of a page with their attributes, and its text."""

    VOID = frozenset(("meta", "img", "br", "link"))

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("script", "style"):
            self.texts.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def run(*words: object) -> None:
    options = parse(command.Options, [str(word) for word in words])
    with options.claimed():
        command.run(options)


@pytest.fixture(scope="module")
def directory(tmp_path_factory) -> Path:
    """A file of two years of days, and a model that keeps temperatures and soil water about where they start."""
    path = tmp_path_factory.mktemp("report")
    write_closing(path / "data.nc")
    model = driver_model(step_hours=24.0)
    typical = {"K": 280.0, "m3 m-3": 0.25, "W m-2": -20.0}

    def plausible(variable):
        method = Normalisation("mean-std", mean=typical.get(variable.units, 0.0), std=1.0)
        return dataclasses.replace(variable, normalisation=method)

    model = dataclasses.replace(
        model,
        state=tuple(map(plausible, model.state)),
        diagnostics=tuple(map(plausible, model.diagnostics)),
        provenance={"title": "Tiny & <plain>", "licence": "Apache-2.0"},
    )
    write_model(model, path / "model.nc")
    (path / "transfer.json").write_text(json.dumps(TRANSFER))
    (path / "alternatives.json").write_text(json.dumps(ALTERNATIVES))
    return path


@pytest.fixture(scope="module")
def made(directory) -> Path:
    words = ["--model", directory / "model.nc", "--backend", "embedded", "--leads", "1,7,90", "--starts", "3"]
    words += ["-o", directory / "report.html", "-o", directory / "tables.json", "-o", directory / "tables.md"]
    words += ["--transfer", directory / "transfer.json", "--alternatives", directory / "alternatives.json"]
    run(directory / "data.nc", *words, "--at", "45,10")
    return directory


@pytest.fixture(scope="module")
def text(made) -> str:
    return (made / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(text) -> Page:
    return Page(text)


@pytest.mark.slow
def test_the_page_is_whole_and_refers_to_nothing_outside(page, text):
    assert page.open == []
    anchors = {attributes["id"] for _, attributes in page.elements if "id" in attributes}
    for tag, attributes in page.elements:
        for name in ("src", "href", "xlink:href", "srcset", "data", "action", "poster"):
            value = attributes.get(name)
            if value is None:
                continue
            assert value.startswith(("data:image/", "#")), f"<{tag} {name}={value[:60]}>"
            assert not value.startswith("#") or value[1:] in anchors
    assert not page.all("link")
    without_figures = re.sub(r"data:image/[^\"]+", "", text)
    assert "url(" not in without_figures
    assert "@import" not in without_figures


@pytest.mark.slow
def test_figures_hold_all_their_parts_and_say_what_they_show(page):
    images = page.all("img")
    assert len(images) >= 8
    assert len({attributes["alt"] for attributes in images}) == len(images)
    for attributes in images:
        assert len(attributes["alt"] or "") > 20
        kind, content = (attributes["src"] or "").split(";base64,")
        data = base64.b64decode(content)
        if kind == "data:image/svg+xml":
            # Names of the format (xmlns) are no references.
            assert not re.findall(rb'(?:href|src)="(?!#|data:)[^"]*"', data)
            assert b"<svg" in data
        else:
            assert data.startswith(b"\x89PNG")
    numbers = [part for part in page.texts if part.startswith("Figure ")]
    assert numbers == [f"Figure {location}." for location in range(1, len(images) + 1)]


@pytest.mark.slow
def test_texts_from_outside_are_escaped(page, text):
    assert "Evaluation of Tiny & <plain>" in page.texts
    assert "<plain>" not in text.replace("&lt;plain&gt;", "")


@pytest.mark.slow
def test_every_section_is_there(page):
    titles = [attributes["href"] for attributes in page.all("a")]
    assert titles == [
        "#leads", "#free", "#published", "#series", "#maps", "#density", "#box", "#groups", "#seasons", "#budgets",
        "#training", "#ranges", "#cost", "#observations", "#transfer", "#alternatives", "#methods", "#model",
    ]  # fmt: skip
    shown = " ".join(page.texts)
    for needed in ("ACC centred", "ACC uncentred", "ACC temporal", "By snow regime", "above 120 days", "aiLand v1"):
        assert needed in shown
    assert "cannot be closed: the model does not give e, sro, ssro" in shown
    assert "ecLand 91 to 127" not in shown, "the file's step is a day, ecLand's cost is for 6 hours"
    assert "ecLand 364 to 508" in shown


@pytest.mark.slow
def test_numbers_in_the_page_are_those_beside_it(made, text):
    found = re.search(r'<script type="application/json" id="report-data">(.*?)</script>', text, re.DOTALL)
    content = json.loads(found[1].replace("<\\/", "</"))
    beside = json.loads((made / "tables.json").read_text())
    assert beside["report"] | {"training_range": beside["training_range"]} == content
    assert len(beside["lead_time"]) == 3 * 12
    assert content["columns"] == N_COLUMNS
    stl1 = content["variables"]["stl1"]
    by_lead = {score["lead_days"]: score for score in beside["lead_time"] if score["variable"] == "stl1"}
    assert [entry["days"] for entry in stl1["leads"]] == [1.0, 7.0, 90.0]
    for entry in stl1["leads"]:
        assert entry["rmse"] == pytest.approx(by_lead[entry["days"]]["rmse"]), "two ways to the same score"
        assert entry["bias"] == pytest.approx(by_lead[entry["days"]]["bias"])
    assert {score["lead_days"] for score in stl1["curve"]} > {1.0, 2.0, 45.0, 90.0}
    for classes in stl1["groups"].values():
        squares = sum(scores["n_columns"] * scores["rmse"] ** 2 for scores in classes.values())
        assert squares / N_COLUMNS == pytest.approx(stl1["free_run"]["rmse"] ** 2)
    inside, outside = stl1["held_out_box"], stl1["outside_the_box"]
    assert inside["n_columns"] + outside["n_columns"] == N_COLUMNS
    assert inside["n_columns"] == 4  # 40, 50, 60 and 70 degrees north
    ratio, (low, high) = stl1["box_over_outside"]["ratio"], stl1["box_over_outside"]["interval"]
    assert ratio == pytest.approx(inside["rmse"] / outside["rmse"])
    assert low < ratio < high
    data = xr.decode_cf(closing_dataset())
    usual = day_of_year_climatology(data["stl1"].values, data["time"].values, 31, leave_year_out=True)
    squares = ((data["stl1"].values - usual)[1:].astype(float) ** 2).mean(axis=0)
    in_box = groups.inside_box(data["lat"].values, data["lon"].values)
    assert content["locations"]["in_box"] == in_box.tolist()
    own_squares = np.square(stl1["column_rmse"])
    assert own_squares.mean() == pytest.approx(stl1["free_run"]["rmse"] ** 2)
    regimes = groups.snow_regime(data["snowc"].values / 100.0).labels
    assert stl1["box_over_outside"]["snow_regimes_alike"] == pytest.approx(alike_ratio(own_squares, in_box, regimes))
    expected = math.sqrt(squares[in_box].mean() / squares[~in_box].mean())
    assert stl1["box_over_outside"]["of_climatology"] == pytest.approx(expected, rel=1e-4)
    ratios = stl1["ratio_to_published_ailand_v1"]
    published = literature.AILAND_V1_RMSE["stl1"]
    assert ratios[0] == pytest.approx(stl1["leads"][0]["rmse"] / published[0])
    assert ratios[2] == pytest.approx(stl1["free_run"]["rmse"] / published[2])
    own = [row for row in content["budgets"] if row["whose"] == "ecLand" and row["score"]]
    assert {row["budget"] for row in own} == {"water", "energy"}
    assert max(row["score"]["rms"] for row in own if row["score"]["rms"] is not None) < 1e-5


@pytest.mark.parametrize("kind", ["svg", "png"])
def test_the_same_figure_gives_the_same_text(kind):
    def drawn() -> str:
        with figure_style.styled():
            figure = figure_style.new_figure(2.0, 1.0)
            figure.subplots().plot([1.0, 2.0], [1.0, 3.0])
        return figure_style.data_uri(figure, kind)

    assert drawn() == drawn()


def test_a_perfect_emulator_closes_both_budgets(directory):
    """Rows of the tables for a model that has everything, and one that lacks a storage."""
    data, model = closing_dataset(), full_model()
    with open_source(directory / "data.nc", model, initial_state="none") as source:
        truth = study.fields.read_truth(source)
    run = study.fields.of_run(model, perfect_run(data, model), truth)
    for lacking, whose in (
        ((), {"emulator", "ecLand"}),
        (("src", "stl4"), {"emulator", "ecLand", "ecLand, same storages"}),
    ):
        own = run.without(lacking)
        rows = study.budgets.compare(own, truth).rows
        assert {row.whose for row in rows} == whose
        worst = {name: max(row.score.worst for row in rows if row.whose == name) for name in whose}
        assert worst["ecLand"] < 1e-5
        assert (worst["emulator"] < 1e-5) == (not lacking)
        if lacking:
            assert worst["ecLand, same storages"] == pytest.approx(worst["emulator"])


# ----------------------------------------------------------------------------------------------------------- parts


def test_numbers_for_people():
    shown = [html_page.number(value) for value in (0.0, 1.0, -0.00417, 0.0004444, 12.345, 317.0, 98765.0, 0.9996)]
    assert shown == ["0", "1.00", "-0.00417", "0.000444", "12.3", "317", "98800", "1.00"]
    assert html_page.number(8.014e-6) == "8.01×10⁻⁶"
    assert html_page.number(2.5e7, 2) == "2.5×10⁷"
    assert html_page.number(math.nan) == "–"
    bent = Sample.of(np.array([[1.0], [2.0], [4.0]]), np.array([[1.0], [3.0], [4.0]]))
    assert html_page.score_text(bent, SCORES["correlation"]) == "0.929"
    assert html_page.score_text(bent, SCORES["acc_centred"]) == "–"


def test_shades_are_white_at_one_and_the_same_both_ways():
    assert html_page.shade_colour(1.0) == "#ffffff"
    assert html_page.shade_colour(math.nan) == ""
    assert html_page.shade_colour(3.0) == html_page.shade_colour(30.0) != html_page.shade_colour(2.0)
    assert html_page.shade_colour(1.0 / 3.0) == html_page.shade_colour(0.0)


def test_cost_line():
    line = report_data.cost_text(Cost(columns=100, steps=10, cpu_seconds=0.005, wall_seconds=0.004), 21_600.0)
    assert "5 microseconds with 100 columns at once (4 by the wall clock)" in line
    assert "ecLand 91 to 127, 18 to 25 times as much" in line
    assert math.isnan(Cost(10, 0, 0.0, 0.0).cpu_microseconds)
    slow = report_data.cost_text(Cost(columns=100, steps=10, cpu_seconds=0.06, wall_seconds=0.04), 21_600.0)
    assert "ecLand 91 to 127, 1.5 to 2.1 times as much" in slow


def test_monthly_means():
    times = np.array(["2021-01-05", "2021-01-20", "2022-01-01", "2021-03-09"], dtype="datetime64[ns]")
    found = figures_time.monthly_means(np.array([[1.0], [2.0], [6.0], [8.0]]), times)
    assert found[0, 0] == 3.0
    assert found[2, 0] == 8.0
    assert np.isnan(np.delete(found, (0, 2), axis=0)).all()


def test_close_up_is_in_summer():
    times = np.datetime64("2021-01-01", "ns") + np.arange(730 * 4) * np.timedelta64(6, "h")
    north, south = (figures_time.close_up(times, latitude, 21_600.0) for latitude in (50.0, -30.0))
    for part, month in ((north, "2022-07"), (south, "2022-01")):
        assert part.stop - part.start == 56
        assert set(times[part].astype("datetime64[M]").astype(str)) == {month}
    assert figures_time.close_up(times[:100], 50.0, 21_600.0) is None


def test_coastlines_are_lines_on_the_globe():
    lines = figures_space.coastlines()
    assert len(lines) > 100
    points = np.concatenate(lines)
    assert points[:, 0].min() >= -180.0
    assert points[:, 0].max() <= 180.0
    assert np.abs(points[:, 1]).max() <= 90.0
    # No line crosses the map: neighbours are near each other.
    assert max(np.abs(np.diff(line[:, 0])).max() for line in lines) < 30.0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--at", "95,3", "-o", "a.html"], "option --at: found '95,3', expected LAT,LON in degrees"),
        (["--at", "here", "-o", "a.html"], "option --at: found 'here'"),
        (["--at", "45,10"], r"option --at is for a report: found no output \.html"),
        (["--transfer", "t.json", "-o", "a.md"], "option --transfer is for a report"),
        (["--alternatives", "none.json", "-o", "a.html"], r"none\.json: cannot be read"),
        (["-o", "a.htm"], r"option --output: found 'a\.htm', expected a file name that ends in \.html"),
        (["-o", "a.html", "-o", "nowhere/b.json"], r"nowhere/b\.json: cannot be written"),
    ],
)
def test_options_that_are_refused(tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        run("data.nc", *words)
