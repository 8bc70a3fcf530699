"""Results of other studies that a report takes in from JSON files: a transfer matrix, and a table of alternatives.

``--transfer FILE.json``: how models trained in one region do in another. ``--alternatives FILE.json``: other methods on
the same task. Both are checked before anything runs. Values may be null where there is none.

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

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, TypeVar, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, FiniteFloat, ValidationError, WrapValidator
from pydantic_core import ErrorDetails

from ailand_gt4py.core.errors import InputError

TRANSFER_SCHEMA = "ailand-transfer-1"
ALTERNATIVES_SCHEMA = "ailand-alternatives-1"


def _distinct(names: list[str]) -> list[str]:
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(f"found '{repeated[0]}' more than once, expected different names")
    return names


Text = Annotated[str, Field(pattern=r"\S")]
Names = Annotated[list[Text], Field(min_length=1), AfterValidator(_distinct)]
#: NaN for null.
Number = Annotated[FiniteFloat, WrapValidator(lambda value, check: math.nan if value is None else check(value))]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class VariableUnits(_Part):
    """A variable that scores are of."""

    name: Text
    units: Text


class Matrix(VariableUnits):
    """Scores of a variable, (n_rows, n_columns), NaN where there is none."""

    values: Annotated[list[Annotated[list[Number], Field(min_length=1)]], Field(min_length=1)]


class Transfer(_Part):
    """A transfer matrix for each of some variables; ``trained_on`` and ``tested_on`` name rows and columns."""

    title: Text = "Transfer between regions"
    metric: Text
    trained_on: Names
    tested_on: Names
    variables: Annotated[list[Matrix], Field(min_length=1)]
    note: Text = ""


class Method(_Part):
    """One alternative; NaN for values that are not known.

    Attributes:
        scores: by variable; once read, of all variables. parameters: number of trained ones.
        microseconds: CPU time for a column and a step.
        training_minutes: of its training.
    """

    name: Text
    scores: dict[str, Number]
    parameters: Number = math.nan
    microseconds: Number = math.nan
    training_minutes: Number = math.nan
    note: Text = ""


class Alternatives(_Part):
    """A table of alternatives, whose columns are scores of the variables."""

    title: Text = "Alternatives"
    metric: Text
    variables: Annotated[list[VariableUnits], Field(min_length=1)]
    methods: Annotated[list[Method], Field(min_length=1)]
    note: Text = ""

    def lowest(self, name: str) -> float:
        """The lowest score of a variable; NaN where no method has one."""
        scores = (method.scores[name] for method in self.methods)
        return min(filter(math.isfinite, scores), default=math.nan)


def read_transfer(path: Path) -> Transfer:
    """Read a transfer matrix.

    Raises:
        InputError: the file does not follow the schema; names the position in it.
    """
    found = _read(path, TRANSFER_SCHEMA, Transfer)
    n_rows, n_columns = len(found.trained_on), len(found.tested_on)
    for index, matrix in enumerate(found.variables):
        lengths = [len(row) for row in matrix.values]
        if lengths != [n_columns] * n_rows:
            raise InputError(
                f"{path}, variables[{index}], values: found {len(lengths)} rows of lengths {sorted(set(lengths))}, "
                f"expected {n_rows} rows of length {n_columns}"
            )
    return found


def read_alternatives(path: Path) -> Alternatives:
    """Read a table of alternatives.

    Raises:
        InputError: the file does not follow the schema; names the position in it.
    """
    found = _read(path, ALTERNATIVES_SCHEMA, Alternatives)
    known = [variable.name for variable in found.variables]
    for index, method in enumerate(found.methods):
        unknown = sorted(set(method.scores).difference(known))
        if unknown:
            raise InputError(
                f"{path}, methods[{index}], scores: found the unknown '{unknown[0]}', expected none but "
                f"{', '.join(sorted(known))}"
            )
        method.scores.update({name: math.nan for name in known if name not in method.scores})
    return found


PartT = TypeVar("PartT", bound=_Part)


def _read(path: Path, schema: str, kind: type[PartT]) -> PartT:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}; expected a JSON file") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: is no JSON ({error}); expected the schema '{schema}'") from error
    found = content.pop("schema", None) if isinstance(content, dict) else None
    if found != schema:
        raise InputError(f"{path}: found the schema {found!r}, expected '{schema}'")
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        raise InputError(f"{path}{_complaint(kind, error.errors()[0])}") from error


#: What is expected, by the beginning of the name of pydantic's errors.
_EXPECTED = {
    "model": "an object",
    "dict": "an object",
    "list": "a list with at least one entry",
    "too_short": "a list with at least one entry",
    "string": "a text that is not empty",
    "float": "a finite number or null",
    "finite": "a finite number or null",
}


def _complaint(kind: type[_Part], error: ErrorDetails) -> str:
    """Where in a file what is wrong: ", variables[0], name: found 5, expected a text that is not empty"."""
    what, keys = error["type"], list(error["loc"])
    last = keys.pop() if what in ("missing", "extra_forbidden") else ""
    where = "".join(f"[{key}]" if isinstance(key, int) else f", {key}" for key in keys)
    fields = _part_at(kind, keys).model_fields
    if what == "missing":
        required = sorted(name for name, field in fields.items() if field.is_required())
        return f"{where}: found no '{last}', expected the keys {', '.join(required)}"
    if what == "extra_forbidden":
        return f"{where}: found the unknown '{last}', expected none but {', '.join(sorted(fields))}"
    if what == "value_error":
        return f"{where}: {error['ctx']['error']}"
    expected = next((text for name, text in _EXPECTED.items() if what.startswith(name)), error["msg"])
    value = error["input"]
    names = {dict: "an object", list: "a list" if value else "an empty list"}
    found = next((name for type_, name in names.items() if isinstance(value, type_)), repr(value))
    return f"{where}: found {found}, expected {expected}"


def _part_at(kind: type[_Part], keys: Sequence[str | int]) -> type[_Part]:
    """The innermost part of the schema that a position is in."""
    for key in keys:
        inner: list[object] = [kind.model_fields[key].annotation] if key in kind.model_fields else []
        while inner:
            if isinstance(inner[0], type) and issubclass(inner[0], _Part):
                kind = inner[0]
                break
            inner = list(get_args(inner[0]))
    return kind
