"""Generated CUDA of small programs, compiled for the host (`host_cuda`) and compared with NumPy."""

from __future__ import annotations

import ctypes
import pathlib
import shutil
import subprocess
from typing import Any

import dace
import numpy as np
import pytest
from host_cuda import on_host

from ailand_gt4py.lowering.columns.column_node import CallerArray, Interface, source_text
from ailand_gt4py.lowering.columns.column_program import (
    ROW,
    ColumnProgram,
    Definition,
    Expression,
    Load,
    Number,
    Operation,
    Product,
    RefusedError,
    Sum,
)
from ailand_gt4py.lowering.gpu.device_code import DeviceCode
from ailand_gt4py.lowering.gpu.device_columns import HEADER

Arrays = dict[str, np.ndarray]


def of(name: str, *arguments: Expression) -> Operation:
    return Operation(name, arguments)


def row(name: str) -> Load:
    return Load(name, ROW)


def device_code(program: ColumnProgram, arrays: Arrays, products: Any = "full") -> DeviceCode:
    described = {
        name: CallerArray(
            dace.dtypes.typeclass(array.dtype.type), tuple(stride // array.itemsize for stride in array.strides)
        )
        for name, array in arrays.items()
    }
    outputs = {name: f"_{name}" for name in arrays if name in program.results}
    inputs = {name: f"_{name}" for name in arrays if name not in outputs}
    layers = [name for name in arrays if name.startswith("w")]
    return DeviceCode(program, Interface(described, inputs, outputs), products, layers)


def run(code: DeviceCode, arrays: Arrays, columns: int, directory: pathlib.Path) -> None:
    """Run the program on the arrays, results among them."""
    compiler = shutil.which("c++")
    if compiler is None:
        pytest.skip("no C++ compiler on the path")
    source, library = directory / "program.cpp", directory / "program.so"
    source.write_text(on_host(source_text(HEADER) + code.text))
    command = [compiler, "-std=c++20", "-O1", "-pthread", "-shared", "-fPIC", "-o", str(library), str(source)]
    subprocess.run(command, check=True)
    assert code.numbers == ["n"], "all extents and strides are literals here"
    pointers = (ctypes.c_void_p * len(arrays))(*(array.ctypes.data for array in arrays.values()))
    functions = ctypes.CDLL(str(library))
    kept = ctypes.c_void_p(None)
    numbers = ctypes.byref(ctypes.c_longlong(columns))
    assert functions[code.name](ctypes.byref(kept), ctypes.byref(pointers), numbers, None) == 0
    functions[code.release](kept)


def program_of(definitions: list[Definition], results: set[str], name: str = "program") -> ColumnProgram:
    inner = {definition.result for definition in definitions} - results
    return ColumnProgram(name, definitions, inner, dace.symbol("n"))


#: What expressions may hold, of two numbers each, and NumPy's word for it.
OPERATIONS = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "max": lambda a, b: np.where(a > b, a, b),
    "min": lambda a, b: np.where(a < b, a, b),
    "pow": lambda a, b: np.abs(a) ** b,
    "sqrt": lambda a, b: np.sqrt(np.abs(a)),
    "exp": lambda a, b: np.exp(a),
    "log": lambda a, b: np.log(np.abs(b)),
    "tanh": lambda a, b: np.tanh(b),
    "sinh": lambda a, b: np.sinh(b),
    "cosh": lambda a, b: np.cosh(b),
    "asinh": lambda a, b: np.arcsinh(b),
    "atanh": lambda a, b: np.arctanh(np.tanh(b)),
    "sin": lambda a, b: np.sin(b),
    "cos": lambda a, b: np.cos(b),
    "acos": lambda a, b: np.arccos(np.tanh(b)),
    "atan": lambda a, b: np.arctan(b),
    "floor": lambda a, b: np.floor(b),
    "neg": lambda a, b: -a,
    **{
        name: lambda a, b, compare=compare: np.where(compare(a, b), a, 2.5)
        for name, compare in {
            ">": np.greater, ">=": np.greater_equal, "<": np.less, "<=": np.less_equal, "==": np.equal,
            "!=": np.not_equal,
        }.items()
    },
}  # fmt: skip


def expression_of(name: str) -> Expression:
    a, b = row("a"), Load("b", ("feature",))
    magnitudes = {"pow": (of("abs", a), b), "sqrt": (of("abs", a),), "log": (of("abs", b),)}
    if name in magnitudes:
        return of(name, *magnitudes[name])
    if name in ("exp", "neg"):
        return of(name, a)
    if name in ("tanh", "sinh", "cosh", "asinh", "sin", "cos", "atan", "floor"):
        return of(name, b)
    if name in ("acos", "atanh"):
        return of(name, of("tanh", b))
    if name[0] in "<>=!":
        return of("select", of(name, a, b), a, Number(2.5))
    return of(name, a, b)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_operation(dtype: type, tmp_path: pathlib.Path) -> None:
    random = np.random.default_rng(0)
    arrays: Arrays = {"a": random.normal(size=(7, 5)).astype(dtype), "b": random.normal(size=5).astype(dtype)}
    arrays["a"][2, 3] = arrays["b"][3]
    arrays["a"][4, 1] = np.nan
    names = {f"result{position}": name for position, name in enumerate(OPERATIONS)}
    definitions = [Definition(result, 5, expression_of(name)) for result, name in names.items()]
    a, b = arrays["a"].copy(), arrays["b"].copy()
    arrays |= {name: np.zeros((7, 5), dtype, order="F") for name in names}
    run(device_code(program_of(definitions, set(names)), arrays), arrays, 7, tmp_path)
    for result, name in names.items():
        expected = np.broadcast_to(OPERATIONS[name](a, b), a.shape)
        np.testing.assert_allclose(arrays[result], expected, rtol=100 * np.finfo(dtype).eps, err_msg=name)


def layouts(weight: np.ndarray) -> dict[str, np.ndarray]:
    """The same weights with outputs side by side, with inputs side by side, both with room behind, and with neither."""
    outputs, inputs = weight.shape
    by_output = np.full((inputs, outputs + 3), np.nan, weight.dtype)[:, :outputs].T
    by_input = np.full((outputs, inputs + 3), np.nan, weight.dtype)[:, :inputs]
    neither = np.full((outputs, 2 * inputs), np.nan, weight.dtype)[:, ::2]
    result = {
        "C": weight.copy("C"),
        "F": weight.copy("F"),
        "outputs": by_output,
        "inputs": by_input,
        "neither": neither,
    }
    for array in result.values():
        array[...] = weight
    return result


@pytest.mark.parametrize("layout", ["C", "F", "outputs", "inputs", "neither"])
def test_products_of_the_callers_arrays_in_every_layout(layout: str, tmp_path: pathlib.Path) -> None:
    """Two terms, of arrays of which one is no row of the work space; one output is a case of its own."""
    random = np.random.default_rng(1)
    x, y = random.normal(size=(6, 4)), random.normal(size=(6, 3))
    weights = {name: random.normal(size=shape) for name, shape in (("u", (5, 4)), ("v", (5, 3)), ("w", (1, 5)))}
    expected = x @ weights["u"].T + np.exp(y) @ weights["v"].T
    definitions = [
        Definition("e", 3, of("exp", row("y"))),
        Definition("hidden", 5, Sum(), (Product(row("x"), "u", 4), Product(row("e"), "v", 3))),
        Definition("one", 1, of("+", Sum(), Sum()), (Product(row("hidden"), "w", 5), Product(row("hidden"), "w", 5))),
    ]
    arrays = {"x": np.asfortranarray(x), "y": y, **{name: layouts(array)[layout] for name, array in weights.items()}}
    arrays |= {"hidden": np.zeros((6, 5)), "one": np.zeros((6, 1))}
    run(device_code(program_of(definitions, {"hidden", "one"}), arrays), arrays, 6, tmp_path)
    np.testing.assert_allclose(arrays["hidden"], expected, rtol=1e-12)
    np.testing.assert_allclose(arrays["one"], 4 * expected @ weights["w"].T, rtol=1e-12)


@pytest.mark.parametrize(("width", "kernels_expected"), [(3, 1), (16, 1), (45, 1), (1100, 2)])
def test_a_statistic_of_the_row(
    width: int, kernels_expected: int, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    """A product, a sum over its row, and what is made of both: in one kernel, if registers can hold the row."""
    monkeypatch.setenv("AILAND_DEVICE_COLUMNS", "2")
    random = np.random.default_rng(2)
    arrays = {"x": random.normal(size=(5, 4)), "u": random.normal(size=(width, 4)), "mean": np.ones((2, width)) / width}
    arrays |= {"gain": random.normal(size=width), "result": np.zeros((5, width))}
    square, scale = of("*", row("hidden"), row("hidden")), Load("scale", ("column", 0))
    definitions = [
        Definition("row", 4, of("*", row("x"), Number(2))),
        Definition("hidden", width, of("+", Sum(), Number(0.5)), (Product(row("row"), "u", 4),)),
        Definition("scale", 1, of("/", Number(1.0), of("sqrt", Sum())), (Product(square, "mean", width),)),
        Definition("result", width, of("*", of("*", row("hidden"), scale), Load("gain", ("feature",)))),
    ]
    code = device_code(program_of(definitions, {"result"}), arrays)
    assert len(code.plan.kernels) == 1 + kernels_expected
    run(code, arrays, 5, tmp_path)
    hidden = 2 * arrays["x"] @ arrays["u"].T + 0.5
    expected = hidden / np.sqrt((hidden**2).mean(axis=1, keepdims=True)) * arrays["gain"]
    np.testing.assert_allclose(arrays["result"], expected, rtol=1e-12)


def test_another_feature_of_a_row_is_read_from_memory(tmp_path: pathlib.Path) -> None:
    """Another lane has made it, so the kernel ends before; a feature of the caller's array and a literal's position."""
    random = np.random.default_rng(3)
    arrays = {"x": random.normal(size=(4, 6)), "bound": random.normal(size=3), "result": np.zeros((4, 6))}
    definitions = [
        Definition("twice", 6, of("*", row("x"), Number(2))),
        Definition("result", 6, of("+", of("-", row("twice"), Load("twice", ("column", 3))),
                                   of("*", Load("x", ("column", 5)), Load("bound", (1,))))),
    ]  # fmt: skip
    code = device_code(program_of(definitions, {"result"}), arrays)
    assert len(code.plan.kernels) == 2
    run(code, arrays, 4, tmp_path)
    x = arrays["x"]
    np.testing.assert_allclose(arrays["result"], 2 * x - 2 * x[:, 3:4] + x[:, 5:6] * arrays["bound"][1], rtol=1e-12)


def test_rows_are_used_again() -> None:
    """Layers of one width need two rows, however many they are; operands in bfloat16 have rows of their own."""
    arrays: Arrays = {"x": np.zeros((3, 8), np.float32), "result": np.zeros((3, 8), np.float32)}
    definitions = [Definition("layer0", 8, of("neg", row("x")))]
    for k in range(1, 7):
        arrays[f"w{k}"] = np.zeros((8, 8), np.float32)
        value = of("max", Number(0.0), Sum())
        definitions.append(Definition(f"layer{k}", 8, value, (Product(row(f"layer{k - 1}"), f"w{k}", 8),)))
    definitions.append(Definition("result", 8, row("layer6")))
    program = program_of(definitions, {"result"})
    assert [rows.kind for rows in device_code(program, arrays).plan.rows.all] == ["T", "T"]
    assert sorted(rows.kind for rows in device_code(program, arrays, "bf16").plan.rows.all) == ["O", "T"]


def test_rounded_products_need_single_precision() -> None:
    arrays: Arrays = {"x": np.zeros((3, 8)), "result": np.zeros((3, 8))}
    program = program_of([Definition("result", 8, row("x"))], {"result"})
    with pytest.raises(RefusedError, match="products in bf16 need arrays of type float, not double"):
        device_code(program, arrays, "bf16")


@pytest.mark.parametrize("products", ["tf32", "bf16"])
def test_products_that_are_no_layers_keep_the_arrays_type(products: str) -> None:
    """A row that a layer and a choice of features both read is there in both types where these differ."""
    arrays: Arrays = {"x": np.zeros((3, 8), np.float32), "result": np.zeros((3, 8), np.float32)}
    arrays |= {name: np.zeros((8, 8), np.float32) for name in ("w1", "choice")}
    definitions = [
        Definition("row", 8, of("neg", row("x"))),
        Definition("layer", 8, Sum(), (Product(row("row"), "w1", 8),)),
        Definition("chosen", 8, Sum(), (Product(row("row"), "choice", 8),)),
        Definition("result", 8, of("add", row("layer"), row("chosen"))),
    ]
    code = device_code(program_of(definitions, {"result"}), arrays, products)
    operand = "O" if products == "bf16" else "T"
    assert code.text.count(f"device.product<T, {operand}>(rounded, ") == 1
    assert code.text.count("device.product<T, T>(full, ") == 1
    kinds = [rows.kind for rows in code.plan.rows.all]
    assert kinds.count("O") == (products == "bf16")
