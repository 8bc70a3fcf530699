"""JSON files that a report takes in: good ones, and messages that say where a bad one is wrong."""

from __future__ import annotations

import copy
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.evaluation.report import attachments
from ailand_gt4py.evaluation.report.page import environment

TRANSFER: dict[str, Any] = {
    "schema": "ailand-transfer-1",
    "metric": "RMSE of the free run",
    "trained_on": ["africa", "asia"],
    "tested_on": ["africa", "asia", "europe"],
    "variables": [{"name": "stl1", "units": "K", "values": [[0.9, 1.3, 1.2], [1.1, 0.8, None]]}],
}
ALTERNATIVES: dict[str, Any] = {
    "schema": "ailand-alternatives-1",
    "metric": "RMSE at 90 days",
    "variables": [{"name": "stl1", "units": "K"}, {"name": "swvl1", "units": "m3 m-3"}],
    "methods": [
        {"name": "aiLand <4 x 256>", "scores": {"stl1": 1.1, "swvl1": 0.02}, "parameters": 300000, "microseconds": 3.2},
        {"name": "LSTM", "scores": {"stl1": 0.9}, "note": "slow"},
    ],
    "note": "Made up.",
}


def written(path: Path, content: object) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def section(name: str, **given: object) -> str:
    return environment().get_template(f"sections/{name}.html").render(**given)


def changed(content: dict[str, Any], keys: tuple[Any, ...], value: object) -> dict[str, Any]:
    """A copy with another value at a position; the value None removes."""
    result = copy.deepcopy(content)
    part: Any = result
    for key in keys[:-1]:
        part = part[key]
    if value is None:
        del part[keys[-1]]
    else:
        part[keys[-1]] = value
    return result


def test_transfer(tmp_path):
    found = attachments.read(written(tmp_path / "t.json", TRANSFER), attachments.Transfer)
    assert found.trained_on == ["africa", "asia"]
    assert found.title == "Transfer between regions"
    (matrix,) = found.variables
    assert (matrix.name, matrix.units, np.shape(matrix.values)) == ("stl1", "K", (2, 3))
    assert matrix.values[0][1] == 1.3
    assert math.isnan(matrix.values[1][2])
    page = section("130_transfer", transfer=found)
    assert page.count("<tr>") == 3
    assert "1.30" in page


def test_alternatives(tmp_path):
    found = attachments.read(written(tmp_path / "a.json", ALTERNATIVES), attachments.Alternatives)
    assert [method.name for method in found.methods] == ["aiLand <4 x 256>", "LSTM"]
    assert found.methods[0].parameters == 300000
    assert math.isnan(found.methods[1].scores["swvl1"])
    assert math.isnan(found.methods[1].parameters)
    page = section("140_alternatives", alternatives=found)
    assert "aiLand &lt;4 x 256&gt;" in page
    assert '<td class="good">0.900</td>' in page, "the best of a column is marked"
    assert '<td class="good">1.10</td>' not in page
    assert "Made up." in page


def test_without_files_the_sections_say_how_to_give_one():
    assert "--transfer" in section("130_transfer", transfer=None)
    assert "--alternatives" in section("140_alternatives", alternatives=None)


@pytest.mark.parametrize(
    ("keys", "value", "message"),
    [
        (("schema",), "ailand-transfer-9", "found the schema 'ailand-transfer-9', expected 'ailand-transfer-1'"),
        (("schema",), None, "found the schema None"),
        (("metric",), None, "metric is missing"),
        (("metric",), "  ", "metric: found '  ', expected some text"),
        (("colour",), "red", "colour is unknown; expected one of title, metric, trained_on"),
        (("trained_on",), [], r"trained_on: found \[\], expected at least 1"),
        (("trained_on",), ["asia", "asia"], "found 'asia' more than once"),
        (("tested_on",), "asia", "tested_on: found 'asia', expected a list"),
        (
            ("variables", 0, "values", 0, 1),
            "x",
            r"variables\[0\]\.values\[0\]\[1\]: found 'x', expected a number",
        ),
        (("variables", 0, "values", 0, 1), True, "found True, expected a number"),
        (
            ("variables", 0, "values", 0),
            [1.0],
            r"variables\[0\]\.values: found 2 rows of lengths \[1, 3\], expected 2 rows of length 3",
        ),
        (("variables", 0, "values", 1), None, "1 rows of lengths"),
        (("variables", 0), 5, r"variables\[0\]: found 5, expected options with values"),
    ],
)
def test_bad_transfer(tmp_path, keys, value, message):
    path = written(tmp_path / "t.json", changed(TRANSFER, keys, value))
    with pytest.raises(InputError, match=message) as caught:
        attachments.read(path, attachments.Transfer)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("keys", "value", "message"),
    [
        (("methods", 1, "name"), None, r"methods\[1\]\.name is missing"),
        (
            ("methods", 0, "scores", "t2m"),
            1.0,
            r"methods\[0\]\.scores: found the unknown 't2m', expected none but stl1",
        ),
        (("methods", 0, "microseconds"), "fast", "microseconds: found 'fast'"),
        (("variables", 0, "units"), None, r"variables\[0\]\.units is missing"),
    ],
)
def test_bad_alternatives(tmp_path, keys, value, message):
    with pytest.raises(InputError, match=message):
        attachments.read(written(tmp_path / "a.json", changed(ALTERNATIVES, keys, value)), attachments.Alternatives)


def test_files_that_are_no_json(tmp_path):
    with pytest.raises(InputError, match=r"none\.json: cannot be read"):
        attachments.read(tmp_path / "none.json", attachments.Transfer)
    with pytest.raises(InputError, match=r"x\.json: is no JSON"):
        attachments.read(written(tmp_path / "x.json", "{"), attachments.Transfer)
    with pytest.raises(InputError, match="found the schema None"):
        attachments.read(written(tmp_path / "list.json", []), attachments.Alternatives)
