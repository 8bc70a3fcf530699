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
from pathlib import Path
from typing import Annotated, ClassVar, Self, TypeVar

from pydantic import AfterValidator, Field, FiniteFloat, StringConstraints, WrapValidator, model_validator

from ailand_gt4py.core.errors import InputError, reason
from ailand_gt4py.core.settings import Settings, dotted, read_settings
from ailand_gt4py.core.trial import read_whole

TRANSFER_SCHEMA = "ailand-transfer-1"
ALTERNATIVES_SCHEMA = "ailand-alternatives-1"


def _distinct(names: list[str]) -> list[str]:
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise InputError(f"found '{repeated[0]}' more than once, expected different names")
    return names


Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Names = Annotated[list[Text], Field(min_length=1), AfterValidator(_distinct)]
#: NaN for null.
Number = Annotated[FiniteFloat, WrapValidator(lambda value, check: math.nan if value is None else check(value))]


class VariableUnits(Settings):
    """A variable that scores are of."""

    name: Text
    units: Text


class Matrix(VariableUnits):
    """Scores of a variable, (n_rows, n_columns), NaN where there is none."""

    values: Annotated[list[Annotated[list[Number], Field(min_length=1)]], Field(min_length=1)]


class Transfer(Settings):
    """A transfer matrix for each of some variables; ``trained_on`` and ``tested_on`` name rows and columns."""

    schema_name: ClassVar[str] = TRANSFER_SCHEMA
    title: Text = "Transfer between regions"
    metric: Text
    trained_on: Names
    tested_on: Names
    variables: Annotated[list[Matrix], Field(min_length=1)]
    note: Text = ""

    @model_validator(mode="after")
    def _check_shapes(self) -> Self:
        n_rows, n_columns = len(self.trained_on), len(self.tested_on)
        for index, matrix in enumerate(self.variables):
            lengths = [len(row) for row in matrix.values]
            if lengths != [n_columns] * n_rows:
                raise InputError(
                    f"variables[{index}].values: found {len(lengths)} rows of lengths {sorted(set(lengths))}, "
                    f"expected {n_rows} rows of length {n_columns}"
                )
        return self


class Method(Settings):
    """One alternative; NaN for values that are not known; once read, ``scores`` has all variables."""

    name: Text
    scores: dict[str, Number]
    parameters: Number = math.nan
    microseconds: Number = math.nan
    training_minutes: Number = math.nan
    note: Text = ""


class Alternatives(Settings):
    """A table of alternatives, whose columns are scores of the variables."""

    schema_name: ClassVar[str] = ALTERNATIVES_SCHEMA
    title: Text = "Alternatives"
    metric: Text
    variables: Annotated[list[VariableUnits], Field(min_length=1)]
    methods: Annotated[list[Method], Field(min_length=1)]
    note: Text = ""

    @model_validator(mode="after")
    def _check_scores(self) -> Self:
        known = [variable.name for variable in self.variables]
        for index, method in enumerate(self.methods):
            unknown = sorted(set(method.scores).difference(known))
            if unknown:
                raise InputError(
                    f"methods[{index}].scores: found the unknown '{unknown[0]}', expected none but "
                    f"{', '.join(sorted(known))}"
                )
            method.scores.update({name: math.nan for name in known if name not in method.scores})
        return self

    def lowest(self, name: str) -> float:
        """The lowest score of a variable; NaN where no method has one."""
        scores = (method.scores[name] for method in self.methods)
        return min(filter(math.isfinite, scores), default=math.nan)


Attachment = TypeVar("Attachment", Transfer, Alternatives)


def read(path: Path, kind: type[Attachment]) -> Attachment:
    """Read an attachment; an InputError says where in the file it does not follow the schema."""
    try:
        content = json.loads(read_whole(path).decode("utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {reason(error)}; expected a JSON file") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: is no JSON ({error}); expected the schema '{kind.schema_name}'") from error
    found = content.pop("schema", None) if isinstance(content, dict) else None
    if found != kind.schema_name:
        raise InputError(f"{path}: found the schema {found!r}, expected '{kind.schema_name}'")
    return read_settings(kind, content, lambda at: f"{path}: {dotted(at)}")
