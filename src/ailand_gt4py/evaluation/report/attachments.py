"""Results of other studies that a report takes in from JSON files: a transfer matrix, and a table of alternatives.

``--transfer FILE.json``: how models trained in one region do in another. ``--alternatives FILE.json``: other methods on
the same task. Both are checked before anything runs. Numbers may be null where there is none.

Transfer::

    {"schema": "ailand-transfer-1",
     "title": "Transfer between continents",               (optional)
     "metric": "RMSE of the free run",
     "trained_on": ["africa", "asia"],                     rows
     "tested_on": ["africa", "asia", "europe"],            columns
     "variables": [{"name": "stl1", "units": "K", "values": [[0.9, 1.3, 1.2], [1.1, 0.8, 1.0]]}],
     "note": "..."}                                        (optional)

Alternatives::

    {"schema": "ailand-alternatives-1",
     "title": "Methods on the hold-out columns",           (optional)
     "metric": "RMSE at 90 days",
     "variables": [{"name": "stl1", "units": "K"}],
     "methods": [{"name": "aiLand 4 x 256", "scores": {"stl1": 1.1},
                  "parameters": 300000, "microseconds": 3.2, "training_minutes": 40, "note": "..."}],
     "note": "..."}                                        (optional; so are all of a method but name and scores)

``microseconds`` is CPU time for a column and a step.
"""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from ailand_gt4py.core.errors import InputError

TRANSFER_SCHEMA = "ailand-transfer-1"
ALTERNATIVES_SCHEMA = "ailand-alternatives-1"


@dataclasses.dataclass(frozen=True)
class Transfer:
    """A transfer matrix for each of some variables.

    Attributes:
        trained_on, tested_on: names of rows and columns.
        matrices: (name, units, values (n_rows, n_columns), NaN where there is none).
    """

    title: str
    metric: str
    trained_on: tuple[str, ...]
    tested_on: tuple[str, ...]
    matrices: tuple[tuple[str, str, np.ndarray], ...]
    note: str


@dataclasses.dataclass(frozen=True)
class Method:
    """One alternative; NaN for numbers that are not known.

    Attributes:
        scores: by variable. parameters: trained numbers. microseconds: CPU time for a column and a step.
        training_minutes: of its training.
    """

    name: str
    scores: dict[str, float]
    parameters: float
    microseconds: float
    training_minutes: float
    note: str


@dataclasses.dataclass(frozen=True)
class Alternatives:
    """A table of alternatives.

    Attributes:
        variables: (name, units), the columns of scores.
    """

    title: str
    metric: str
    variables: tuple[tuple[str, str], ...]
    methods: tuple[Method, ...]
    note: str


class _Node:
    """A part of a JSON file that knows where it is, for messages."""

    def __init__(self, value: Any, where: str) -> None:
        self.value, self.where = value, where

    def fail(self, found: str, expected: str) -> InputError:
        return InputError(f"{self.where}: found {found}, expected {expected}")

    def object(self, required: set[str], optional: set[str]) -> dict[str, _Node]:
        if not isinstance(self.value, dict):
            raise self.fail(_kind(self.value), "an object")
        missing = sorted(required - self.value.keys())
        if missing:
            raise self.fail("no " + ", ".join(f"'{key}'" for key in missing), f"the keys {', '.join(sorted(required))}")
        unknown = sorted(self.value.keys() - required - optional)
        if unknown:
            known = ", ".join(sorted(required | optional))
            raise self.fail("the unknown " + ", ".join(f"'{key}'" for key in unknown), f"none but {known}")
        return {key: _Node(value, f"{self.where}, {key}") for key, value in self.value.items()}

    def items(self) -> list[_Node]:
        if not isinstance(self.value, list) or not self.value:
            raise self.fail(_kind(self.value), "a list with at least one entry")
        return [_Node(value, f"{self.where}[{index}]") for index, value in enumerate(self.value)]

    def text(self) -> str:
        if not isinstance(self.value, str) or not self.value.strip():
            raise self.fail(_kind(self.value), "a text that is not empty")
        return self.value

    def texts(self) -> tuple[str, ...]:
        found = tuple(item.text() for item in self.items())
        repeated = sorted({text for text in found if found.count(text) > 1})
        if repeated:
            raise self.fail(f"'{repeated[0]}' more than once", "different names")
        return found

    def number(self) -> float:
        if self.value is None:
            return math.nan
        if isinstance(self.value, bool) or not isinstance(self.value, (int, float)) or not math.isfinite(self.value):
            raise self.fail(_kind(self.value), "a finite number or null")
        return float(self.value)


def _kind(value: Any) -> str:
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    return repr(value)


def _read(path: Path, schema: str, required: set[str], optional: set[str]) -> dict[str, _Node]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}; expected a JSON file") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: is no JSON ({error}); expected the schema '{schema}'") from error
    root = _Node(content, str(path))
    found = content.get("schema") if isinstance(content, dict) else None
    if found != schema:
        raise root.fail(f"the schema {found!r}", f"'{schema}'")
    return root.object({"schema", *required}, optional)


def _text(node: _Node | None) -> str:
    return node.text() if node is not None else ""


def _number(node: _Node | None) -> float:
    return node.number() if node is not None else math.nan


def read_transfer(path: Path) -> Transfer:
    """Read a transfer matrix.

    Raises:
        InputError: the file does not follow the schema; names the position in it.
    """
    root = _read(path, TRANSFER_SCHEMA, {"metric", "trained_on", "tested_on", "variables"}, {"title", "note"})
    rows, columns = root["trained_on"].texts(), root["tested_on"].texts()
    matrices = []
    for item in root["variables"].items():
        entry = item.object({"name", "units", "values"}, set())
        values = [[cell.number() for cell in row.items()] for row in entry["values"].items()]
        if [len(row) for row in values] != [len(columns)] * len(rows):
            shape = f"{len(values)} rows of lengths {sorted({len(row) for row in values})}"
            raise entry["values"].fail(shape, f"{len(rows)} rows of length {len(columns)}")
        matrices.append((entry["name"].text(), entry["units"].text(), np.array(values)))
    title = _text(root.get("title")) or "Transfer between regions"
    return Transfer(title, root["metric"].text(), rows, columns, tuple(matrices), _text(root.get("note")))


def read_alternatives(path: Path) -> Alternatives:
    """Read a table of alternatives.

    Raises:
        InputError: the file does not follow the schema; names the position in it.
    """
    root = _read(path, ALTERNATIVES_SCHEMA, {"metric", "variables", "methods"}, {"title", "note"})
    entries = [item.object({"name", "units"}, set()) for item in root["variables"].items()]
    variables = tuple((entry["name"].text(), entry["units"].text()) for entry in entries)
    known = {name for name, _ in variables}
    methods = []
    for item in root["methods"].items():
        extra = {"parameters", "microseconds", "training_minutes", "note"}
        entry = item.object({"name", "scores"}, extra)
        found = entry["scores"].object(set(), known)
        methods.append(
            Method(
                name=entry["name"].text(),
                scores={name: found[name].number() if name in found else math.nan for name, _ in variables},
                parameters=_number(entry.get("parameters")),
                microseconds=_number(entry.get("microseconds")),
                training_minutes=_number(entry.get("training_minutes")),
                note=_text(entry.get("note")),
            )
        )
    title = _text(root.get("title")) or "Alternatives"
    return Alternatives(title, root["metric"].text(), variables, tuple(methods), _text(root.get("note")))
