"""Small programs, written as text: run by GT4Py's embedded execution, and read as this package's backends read them."""

from __future__ import annotations

import ast
import functools
import itertools
import re
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

import gt4py.next as gtx
import numpy as np
from gt4py.next import common as gtx_common
from gt4py.next.iterator import ir

from ailand_gt4py.core import arrays
from ailand_gt4py.core.dimensions import (
    N_MOMENTS,
    Column,
    Moment,
    broadcast_connectivity,
    broadcast_offset,
    contraction,
)
from ailand_gt4py.emulator.differentiated import leaves
from ailand_gt4py.lowering.calls import compilation
from ailand_gt4py.lowering.columns.column_program import ColumnProgram
from ailand_gt4py.lowering.columns.fields import Tables
from ailand_gt4py.lowering.columns.interpret import Interpreter
from ailand_gt4py.lowering.columns.read_gtir import read_program
from ailand_gt4py.stencils.instances import define

Feature, Unit = gtx.Dimension("Feature"), gtx.Dimension("Unit")
DENSE = contraction(Feature, Unit)
_LAYERS = {dense.name: dense for dense in (DENSE, contraction(Unit, Feature), contraction(Feature, Moment))}
_TO_FEATURES = broadcast_offset(Feature)
#: Two neighbours of every unit, in no order: a table that is not complete.
_RING_LOCAL = gtx.Dimension("Ring", kind=gtx.DimensionKind.LOCAL)
_RING = gtx.FieldOffset("Ring", source=Feature, target=(Unit, _RING_LOCAL))
#: The column to the left and the one to the right.
_SIDES_LOCAL = gtx.Dimension("Sides", kind=gtx.DimensionKind.LOCAL)
_SIDES = gtx.FieldOffset("Sides", source=Column, target=(Column, _SIDES_LOCAL))

SIZES = {Column: 5, Feature: 3, Unit: 4, Moment: N_MOMENTS, _RING_LOCAL: 2, _SIDES_LOCAL: 2}
SIZES |= {dense.local: SIZES[dense.source] for dense in _LAYERS.values()}
COMPLETE, BROADCAST = tuple(_LAYERS), (str(_TO_FEATURES.value),)

#: Arguments of small programs: the dimensions of a field, or of several in a tuple. Results begin with ``out``.
ARGUMENTS: dict[str, tuple[Any, ...]] = {
    **dict.fromkeys(("x", "y", "out", "out_other", "work_a", "work_b"), (Column, Feature)),
    **dict.fromkeys(("units", "out_units", "out_units_other"), (Column, Unit)),
    **dict.fromkeys(("row", "out_row", "work_row"), (Column,)),
    **dict.fromkeys(("value", "out_pair"), ((Column, Feature), (Column, Feature))),
    "statistic": (Column, Moment),
    "gain": (Feature,),
    "unit_gain": (Unit,),
    "number": (),
    "weight": (Unit, DENSE.local),
    "back_weight": (Feature, contraction(Unit, Feature).local),
    "averaging": (Moment, contraction(Feature, Moment).local),
    "ring_weight": (Unit, _RING_LOCAL),
    "side_weight": (Column, _SIDES_LOCAL),
}

#: What the text of operators may use: all of GT4Py's functions, offsets and local dimensions by their tags.
_NAMES = {
    **vars(gtx),
    **{name: dense.offset for name, dense in _LAYERS.items()},
    **{f"{name}_local": dense.local for name, dense in _LAYERS.items()},
    **{"Moment_to_Feature": _TO_FEATURES, "Ring": _RING, "Ring_local": _RING_LOCAL},
    **{"Sides": _SIDES, "Sides_local": _SIDES_LOCAL, "Column": Column, "Feature": Feature, "Unit": Unit},
}


#: Operators and statements of valid programs, by what is in them.
PROGRAMS = {
    "functions": (
        """
def apply(x, y, gain):
    positive = abs(x) + 0.5
    return (sqrt(positive) + log(positive) - exp(-x) / tanh(y), maximum(x, minimum(gain, arctan(y))) + positive)
""",
        "apply(x, y, gain, out=(out, out_other))",
    ),
    "conditions": (
        """
def used_twice(x, y):
    larger = x > y
    return where(larger, x, y) * where(larger, 2.0, 3.0) + astype(larger, float64)
def chosen(x, y):
    chosen = where(x > 0.0, x > y, y > x)
    return where(chosen, x, y) + astype(where(y > 0.0, x <= y, y <= x), float64)
""",
        "used_twice(x, y, out=out)\n chosen(x, y, out=out_other)",
    ),
    "tuples and operators in operators": (
        """
def twice(x):
    return x + x
def pair(x, y):
    return twice(x * y), twice(twice(x))
def apply(value):
    parts = pair(value[1], value[0])
    chosen = where(parts[0] > parts[1], parts, (value[0], 1.0 + value[1]))
    return parts[0] - parts[1], chosen[0] * chosen[1]
""",
        "apply(value, out=(out, out_other))",
    ),
    "layers": (
        """
def dense(x, weight):
    return neighbor_sum(weight * x(Feature_to_Unit), axis=Feature_to_Unit_local)
def back(units, back_weight):
    return neighbor_sum(units(Unit_to_Feature) * back_weight, axis=Unit_to_Feature_local)
def residual(x, y, weight, back_weight, unit_gain, row):
    units = maximum(0.0, dense(x, weight) + dense(y * 2.0, weight) + unit_gain)
    return x + back(units * row, back_weight), units
""",
        """
        residual(x, y, weight, back_weight, unit_gain, row, out=(out, out_units))
        back(out_units, back_weight, out=out_other)
        """,
    ),
    "statistics of a row": (
        """
def average(x, averaging):
    return neighbor_sum(averaging * x(Feature_to_Moment), axis=Feature_to_Moment_local)
def normalise(x, averaging, gain):
    deviation = sqrt(average(x * x, averaging) * average(x * x, averaging) + 0.1)
    return x / deviation(Moment_to_Feature[0]) * gain
def apply(x, averaging, gain, statistic):
    return normalise(x, averaging, gain) + statistic(Moment_to_Feature[0])
""",
        "apply(x, averaging, gain, statistic, out=out)",
    ),
    "a layer of what is alike in a row": (
        """
def apply(statistic, row, gain, weight):
    alike = statistic(Moment_to_Feature[0])
    of_column = neighbor_sum(weight * (row * gain)(Feature_to_Unit), axis=Feature_to_Unit_local)
    return neighbor_sum(weight * alike(Feature_to_Unit), axis=Feature_to_Unit_local) + of_column
""",
        "apply(statistic, row, gain, weight, out=out_units)",
    ),
    "columns alone": (
        """
def apply(row):
    t = exp(0.0 - row * row)
    return t / (1.0 + t)
""",
        "apply(row, out=work_row)\n apply(work_row, out=out_row)",
    ),
    "scratch fields set anew": (
        """
def step(x, y):
    return (x + y) * 0.5
def swap(x, y):
    return y * 1.0, x * 1.0
""",
        """
        step(x, y, out=work_a)
        step(work_a, y, out=work_b)
        swap(work_a, work_b, out=(work_a, work_b))
        step(work_a, x, out=work_a)
        step(work_a, work_b, out=out)
        """,
    ),
}


@functools.cache
def provider() -> dict[str, gtx.Connectivity]:
    """The tables of all offsets."""
    n_columns, n_features = SIZES[Column], SIZES[Feature]
    ring = np.array([[2, 0], [1, 1], [2, 0], [0, 1]], dtype=np.int32)
    sides = np.add.outer(np.arange(n_columns), [-1, 1]).astype(np.int32) % n_columns
    layers = {name: dense.connectivity(SIZES[dense.source], SIZES[dense.target]) for name, dense in _LAYERS.items()}
    return layers | {
        BROADCAST[0]: broadcast_connectivity(Feature, n_features),
        "Ring": gtx.as_connectivity([Unit, _RING_LOCAL], Feature, ring),
        "Sides": gtx.as_connectivity([Column, _SIDES_LOCAL], Column, sides),
    }


#: Numbers of the programs made.
_NUMBERS = itertools.count()


class SmallProgram:
    """A program of operators that are given as text.

    Args:
        operators: functions whose arguments have names of `ARGUMENTS`.
        statements: of the program, as ``apply(x, gain, out=out)``; its arguments are what they name, in that order.
        types: of arguments, where they are not fields of float64.
        name: of the program.

    Attributes:
        program: GT4Py's.
        names: of its arguments.
        shapes: of these, by GT4Py's names for fields in tuples.
    """

    def __init__(
        self, operators: str, statements: str, types: Mapping[str, Any] | None = None, name: str = "small"
    ) -> None:
        self.types = {name: _type(dims) for name, dims in ARGUMENTS.items()} | dict(types or {})
        used = dict.fromkeys(re.findall(r"\w+", statements.replace("out=", "")))
        self.names = [name for name in used if name in self.types]
        # GT4Py remembers what it has parsed by text and position, with the operators called there: another program
        # of the same text calls others, of the same names.
        origin = f"{__file__}:{next(_NUMBERS)}"
        namespace = dict(_NAMES)
        for definition in ast.parse(operators).body:
            assert isinstance(definition, ast.FunctionDef)
            written = define(definition.name, ast.unparse(definition) + "\n", namespace, origin)
            written.__annotations__ = {argument.arg: self.types[argument.arg] for argument in definition.args.args}
            namespace[definition.name] = gtx.field_operator(written)
        body = "".join(f"    {line.strip()}\n" for line in statements.strip().splitlines())
        written = define(name, f"def {name}({', '.join(self.names)}):\n{body}", namespace, origin)
        written.__annotations__ = {name: self.types[name] for name in self.names}
        self.program = gtx.program(written)
        self.shapes = {name: array.shape for name, array in leaves(self.arguments()).items()}

    def arguments(self, seed: int = 0) -> dict[str, Any]:
        """Fields of random numbers, results and scratch fields among them."""
        random = np.random.default_rng(seed)

        def field(dims: tuple[Any, ...]) -> Any:
            if dims and isinstance(dims[0], tuple):
                return tuple(map(field, dims))
            values = random.normal(size=[SIZES[dim] for dim in dims])
            if Moment in dims:  # statistics of a row are all alike
                values = np.take(values, [0] * N_MOMENTS, axis=dims.index(Moment))
            return arrays.wrap(values, dims)

        return {name: field(ARGUMENTS[name]) for name in self.names}

    def embedded(self, arguments: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """The results by GT4Py's embedded execution, which writes them to the arguments."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", category=UserWarning)
            self.program(**arguments, offset_provider=provider())
        return {name: array.copy() for name, array in leaves(arguments).items() if name.startswith("out")}

    def check_compiled(self, backend: gtx.backend.Backend) -> None:
        """On a backend the program gives what it gives by embedded execution, and writes to results alone."""
        given, arguments = leaves(self.arguments()), self.arguments()
        expected = self.embedded(self.arguments())
        with compilation.in_this_process():
            self.program.with_backend(backend)(**arguments, offset_provider=provider())
        for name, found in leaves(arguments).items():
            np.testing.assert_allclose(found, expected.get(name, given[name]), rtol=1e-12, atol=1e-12, err_msg=name)

    def read(
        self,
        program: ir.Program | None = None,
        shapes: Mapping[str, tuple[int, ...]] | None = None,
        complete: Iterable[str] = COMPLETE,
        broadcast: Iterable[str] = BROADCAST,
    ) -> ColumnProgram:
        """The program as it is read, not fused, or another one of the same arguments.

        Args:
            shapes: of all arguments, if not their own.
            complete, broadcast: offsets whose tables are said to be so.
        """
        types = gtx_common.offset_provider_to_type(provider())
        tables = Tables(frozenset(complete), frozenset(broadcast), types)
        return read_program(program or self.program.gtir, shapes or self.shapes, tables)

    def interpreted(self, program: ColumnProgram, arguments: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """The results of the program as it was read."""
        values = {name: array for name, array in leaves(arguments).items() if not name.startswith(("out", "work_"))}
        # A field over columns alone is one feature of each.
        values |= {name: values[name][:, np.newaxis] for name in values if ARGUMENTS.get(name) == (Column,)}
        results = Interpreter(SIZES[Column], values).run(program)
        return {name: array[:, 0] if ARGUMENTS.get(name) == (Column,) else array for name, array in results.items()}


def _type(dims: tuple[Any, ...]) -> Any:
    if dims and isinstance(dims[0], tuple):
        return tuple[tuple(map(_type, dims))]
    return gtx.Field[[*dims], gtx.float64]
