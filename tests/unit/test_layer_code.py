"""Which layers the C++ of a program makes together; that the numbers stay is tested where derivatives are."""

import dataclasses
import re

import dace
import pytest

from ailand_gt4py.lowering.columns.column_node import Interface
from ailand_gt4py.lowering.columns.column_program import (
    ROW,
    ColumnProgram,
    Definition,
    Load,
    Number,
    Operation,
    Product,
    Sum,
)
from ailand_gt4py.lowering.cpu.block_code import block_code

N_COLUMNS, N_FEATURES = 5, 4
ON = Definition("on", N_FEATURES, Operation("max", (Number(0), Load("x", ROW))))
CHANGE = Definition(
    "change",
    N_FEATURES,
    Operation("select", (Operation(">", (Load("on", ROW), Number(0))), Load("dx", ROW), Number(0))),
)


def layer(result: str, x: str, weight: str = "w0") -> Definition:
    return Definition(result, N_FEATURES, Sum(), (Product(Load(x, ROW), weight, N_FEATURES),))


def text_of(*definitions: Definition, with_blas: bool = False) -> str:
    """The code of a program with the caller's fields x, dx and weights w0, w1 that gives y, dy of its own v, dv."""
    definitions += tuple(Definition(to, N_FEATURES, Load(of, ROW)) for to, of in (("y", "v"), ("dy", "dv")))
    rows, weights = ("x", "dx", "y", "dy"), ("w0", "w1")
    arrays = {name: dace.data.Array(dace.float64, (N_COLUMNS, N_FEATURES)) for name in rows}
    arrays |= {name: dace.data.Array(dace.float64, (N_FEATURES, N_FEATURES)) for name in weights}
    inner = {definition.result for definition in definitions} - {"y", "dy"}
    program = ColumnProgram("program", list(definitions), inner, N_COLUMNS)
    outputs = {name: name for name in ("y", "dy")}
    inputs = {name: name for name in arrays if name not in outputs}
    return block_code(program, Interface(arrays, inputs, outputs), with_blas)


def test_a_value_and_its_change_are_multiplied_together_where_the_value_is_on() -> None:
    text = text_of(ON, CHANGE, layer("v", "on"), layer("dv", "change"))
    assert text.count("multiply_both") == text.count("list_positions") == 1
    assert "multiply_panel" not in text


@pytest.mark.parametrize(
    "definitions",
    [
        (ON, CHANGE, layer("v", "on"), layer("dv", "change", "w1")),
        (dataclasses.replace(ON, value=Load("x", ROW)), CHANGE, layer("v", "on"), layer("dv", "change")),
        (ON, dataclasses.replace(CHANGE, value=Load("dx", ROW)), layer("v", "on"), layer("dv", "change")),
        (ON, dataclasses.replace(CHANGE, result="on2"), layer("v", "on2"), layer("dv", "on")),
    ],
    ids=["other weights", "no ReLU", "no change of a ReLU", "the other way round"],
)
def test_others_are_multiplied_as_they_are(definitions: tuple[Definition, ...]) -> None:
    text = text_of(*definitions)
    assert "multiply_both" not in text
    assert text.count("multiply_panel") == 2


def test_what_one_layer_multiplies_is_not_written_over_by_the_one_beside_it() -> None:
    """Both are made panel by panel: the rows that the first one reads are needed to the end."""
    lines = text_of(ON, CHANGE, layer("v", "on"), layer("dv", "change")).splitlines()
    read = [line.split("{{")[1].split(",")[0] for line in lines if line.startswith("const ailand::Term")][:2]
    written = [line.split("store<V>(")[1].split(" ")[0] for line in lines if "decltype(sums)" in line][:2]
    assert len({*read, *written}) == 4


def test_a_blas_multiplies_each_by_itself() -> None:
    text = text_of(ON, CHANGE, layer("v", "on"), layer("dv", "change"), with_blas=True)
    assert text.count("dense_by") == 2
    assert "list_positions" not in text


def test_what_is_made_feature_by_feature_takes_the_rows_of_what_it_is_made_of() -> None:
    """Also where the number of features is known of a factor alone: a layer that is normalised is made in one row."""
    n = dace.symbolic.pystr_to_symbolic("n")
    units = Definition("units", n, Sum(), (Product(Load("x", ROW), "w0", N_FEATURES),))
    mean = Definition("mean", 1, Sum(), (Product(Load("units", ROW), "w1", 40),))
    centred = Definition("v", n, Operation("-", (Load("units", ROW), Load("mean", ("column", 0)))))
    text = text_of(units, mean, centred, Definition("dv", N_FEATURES, Load("dx", ROW)))
    (of_units,) = set(re.findall(r"store<V>\((s\d+) \+ r \* stride\d+ \+ j, sums\)", text.split("reduce_row")[0]))
    assert f"store<V>({of_units} + r * stride{of_units[1:]} + j, (ailand::load<V>({of_units} + r" in text
