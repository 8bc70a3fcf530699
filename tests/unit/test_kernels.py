"""The C++ that generated programs are made of, alone: compiled for several processors, called through ctypes."""

import ctypes
import itertools
import pathlib
import platform
import shutil
import subprocess
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ailand_gt4py.lowering.cpu import blocks

HEADERS = pathlib.Path(blocks.__file__).parent
SOURCE = pathlib.Path(__file__).with_name("kernels_under_test.cpp")
COMPILER = next((path for path in map(shutil.which, ("c++", "g++", "clang++")) if path), None)

#: Flags by the length of the vectors that they lead to.
BUILDS = {"native": ["-march=native", "-fopenmp"], "plain": ["-fopenmp"]}
if platform.machine() == "x86_64":
    BUILDS |= {
        "avx2": ["-march=native", "-mno-avx512f", "-fopenmp"],
        "sse2": ["-msse2", "-mno-avx"],  # also without OpenMP
    }
DTYPES = ("float32", "float64")


class _Term(ctypes.Structure):
    _fields_ = (
        ("x", ctypes.c_void_p),
        ("x_stride", ctypes.c_long),
        ("weight", ctypes.c_void_p),
        ("weight_stride", ctypes.c_long),
        ("inputs", ctypes.c_long),
        ("positions", ctypes.c_void_p),
        ("positions_stride", ctypes.c_long),
    )


def _pointer(array: np.ndarray) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


class Kernels:
    """One build in one precision."""

    def __init__(self, library: ctypes.CDLL, dtype: str) -> None:
        self.library = library
        self.dtype = np.dtype(dtype)
        self.real = ctypes.c_float if dtype == "float32" else ctypes.c_double
        self.lanes = self.call("lanes")

    def call(self, name: str, *arguments: Any, result: Any = ctypes.c_long) -> Any:
        function = getattr(self.library, f"{self.dtype.name}_{name}")
        function.restype = result
        plain = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
        return function(*(_pointer(a) if isinstance(a, np.ndarray) else a for a in plain))

    def padded(self, extent: int) -> int:
        return -(-extent // self.lanes) * self.lanes

    def terms(self, xs: list[np.ndarray], weights: list[np.ndarray]) -> Any:
        """The factors of a layer's sums."""
        items = [
            _Term(_pointer(x), x.strides[0] // x.itemsize, _pointer(w), w.strides[0] // w.itemsize, x.shape[1])
            for x, w in zip(xs, weights, strict=True)
        ]
        return (_Term * len(items))(*items)

    def dense(
        self, xs: list[np.ndarray], weights: list[np.ndarray], outputs: int, name: str = "dense", pieces: int = 1
    ) -> np.ndarray:
        """The sum of x @ weight over the terms, weights (inputs, whole vectors of outputs); nothing else is written.

        Args:
            pieces: so many calls for some of the rows each.
        """
        rows = len(xs[0])
        stride = self.padded(outputs) + 3
        out = np.full((rows, stride), 77.0, self.dtype)
        terms = self.terms(xs, weights)
        bounds = np.linspace(0, rows, pieces + 1).astype(int).tolist()
        for row, end in itertools.pairwise(bounds):
            self.call(name, terms, ctypes.c_int(len(xs)), row, end, outputs, out, stride, result=None)
            assert (out[end:] == 77.0).all(), "written behind the last row"
        assert (out[:, self.padded(outputs) :] == 77.0).all(), "written behind the whole vectors of outputs"
        return out[:, :outputs]


@pytest.fixture(scope="session")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ctypes.CDLL]:
    """The builds by name."""
    if COMPILER is None:
        pytest.skip("no C++ compiler (c++, g++ or clang++) was found")
    directory = tmp_path_factory.mktemp("kernels")
    result = {}
    for name, flags in BUILDS.items():
        target = directory / f"{name}.so"
        command = [COMPILER, "-std=c++20", "-O3", "-fPIC", "-shared", "-Wall", "-Wextra", "-Werror", *flags]
        process = subprocess.run(
            [*command, f"-I{HEADERS}", str(SOURCE), "-o", str(target)], capture_output=True, text=True, check=False
        )
        assert process.returncode == 0, process.stderr
        result[name] = ctypes.CDLL(str(target))
    return result


@pytest.fixture(scope="session", params=[(build, dtype) for build in BUILDS for dtype in DTYPES], ids="-".join)
def kernels(request: pytest.FixtureRequest, libraries: dict[str, ctypes.CDLL]) -> Kernels:
    build, dtype = request.param
    return Kernels(libraries[build], dtype)


@pytest.fixture(scope="session", params=list(BUILDS))
def library(request: pytest.FixtureRequest, libraries: dict[str, ctypes.CDLL]) -> ctypes.CDLL:
    return libraries[request.param]


def test_the_builds_are_for_vectors_of_the_lengths_that_they_name(libraries: dict[str, ctypes.CDLL]) -> None:
    """Else the portability would be tested three times on the same code."""
    if platform.machine() != "x86_64":
        pytest.skip("builds for other vectors are made on x86-64 only")
    lengths = {name: library.vector_bytes() for name, library in libraries.items()}
    assert (lengths["sse2"], lengths["plain"]) == (16, 16)
    flags = pathlib.Path("/proc/cpuinfo").read_text().split() if pathlib.Path("/proc/cpuinfo").exists() else []
    assert lengths["native"] == (64 if "avx512f" in flags else 32 if "avx" in flags else 16)
    assert lengths["avx2"] == min(lengths["native"], 32)


layers = st.tuples(
    st.integers(1, 40),  # rows
    # Inputs of each term; many are added up in parts.
    st.lists(st.integers(0, 70) | st.sampled_from([511, 512, 513, 1300]), min_size=1, max_size=3),
    st.integers(1, 150),  # outputs
    st.integers(0, 9),  # gap between rows
    st.integers(0, 2**32 - 1),
)


def make_layer(kernels: Kernels, layer: Any) -> tuple[list[np.ndarray], list[np.ndarray], int]:
    """Inputs in rows with gaps, weights (inputs, outputs) in rows of whole vectors, garbage in all that is padded."""
    rows, inputs, outputs, gap, seed = layer
    random = np.random.default_rng(seed)
    xs, weights = [], []
    for count in inputs:
        x = np.full((rows, count + gap), np.nan, kernels.dtype)
        x[:, :count] = random.normal(size=(rows, count))
        weight = np.full((count, kernels.padded(outputs) + gap), np.nan, kernels.dtype)
        weight[:, :outputs] = random.normal(size=(count, outputs))
        xs.append(x[:, :count])
        weights.append(weight)
    return xs, weights, outputs


@pytest.mark.parametrize("name", ["dense", "dense_shared", "dense_by"])
@settings(max_examples=40, deadline=None)
@given(layer=layers)
def test_dense_is_the_matrix_product(kernels: Kernels, name: str, layer: Any) -> None:
    xs, weights, outputs = make_layer(kernels, layer)
    found = kernels.dense(xs, weights, outputs, name, pieces=1 + layer[-1] % len(xs[0]))
    exact = sum(x.astype(np.float64) @ w[:, :outputs].astype(np.float64) for x, w in zip(xs, weights, strict=True))
    size = sum(abs(x).astype(np.float64) @ abs(w[:, :outputs]) for x, w in zip(xs, weights, strict=True))
    count = sum(x.shape[1] for x in xs) + 1
    assert (np.abs(found - exact) <= count * np.finfo(kernels.dtype).eps * size).all()


@settings(max_examples=40, deadline=None)
@given(layer=layers, data=st.data())
def test_a_columns_bits_do_not_depend_on_its_position_nor_on_the_others(
    kernels: Kernels, layer: Any, data: st.DataObject
) -> None:
    xs, weights, outputs = make_layer(kernels, layer)
    rows = len(xs[0])
    found = kernels.dense(xs, weights, outputs)
    for row in range(rows):
        alone = kernels.dense([x[row : row + 1] for x in xs], weights, outputs)
        np.testing.assert_array_equal(alone[0], found[row])
    pieces = data.draw(st.integers(1, rows))
    np.testing.assert_array_equal(kernels.dense(xs, weights, outputs, pieces=pieces), found)
    np.testing.assert_array_equal(kernels.dense(xs, weights, outputs, "dense_shared"), found)
    more = data.draw(st.integers(1, 30))
    position = data.draw(st.integers(0, more - 1))
    others = [np.full((more, x.shape[1]), np.inf, kernels.dtype) for x in xs]
    for other, x in zip(others, xs, strict=True):
        other[position] = x[0]
    np.testing.assert_array_equal(kernels.dense(others, weights, outputs)[position], found[0])


@settings(max_examples=40, deadline=None)
@given(layer=layers, data=st.data())
def test_a_value_and_its_change_give_the_bits_that_each_gives_alone(
    kernels: Kernels, layer: Any, data: st.DataObject
) -> None:
    """Where the first term's value is zero, so is its change, and neither is multiplied; NaN is no zero."""
    xs, weights, outputs = make_layer(kernels, layer)
    random = np.random.default_rng(layer[-1])
    changes = [random.normal(size=x.shape).astype(kernels.dtype) for x in xs]
    xs[0][...] = np.maximum(xs[0], 0.0)
    changes[0][xs[0] == 0.0] = 0.0
    if xs[0].size and data.draw(st.booleans()):
        xs[0].flat[data.draw(st.integers(0, xs[0].size - 1))] = np.nan
    rows, stride = len(xs[0]), kernels.padded(outputs) + 3
    found = [np.full((rows, stride), 77.0, kernels.dtype) for _ in range(2)]
    count = ctypes.c_int(len(xs))
    layers_of_both = (kernels.terms(xs, weights), kernels.terms(changes, weights))
    kernels.call("dense_of_both", *layers_of_both, count, 0, rows, outputs, *found, stride, result=None)
    for values, alone in zip(found, (xs, changes), strict=True):
        assert (values[:, kernels.padded(outputs) :] == 77.0).all(), "written behind the whole vectors of outputs"
        np.testing.assert_array_equal(values[:, :outputs], kernels.dense(alone, weights, outputs))


@settings(max_examples=60, deadline=None)
@given(inputs=st.integers(1, 150), seed=st.integers(0, 2**32 - 1))
def test_the_reduction_of_a_row_leaves_out_what_lies_behind_it(kernels: Kernels, inputs: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    x, weight = (np.full(kernels.padded(inputs), np.nan, kernels.dtype) for _ in range(2))
    x[:inputs], weight[:inputs] = random.normal(size=inputs), random.normal(size=inputs)
    found = kernels.call("reduce_squares", inputs, weight, x, result=kernels.real)
    exact = x[:inputs].astype(np.float64) ** 2 @ weight[:inputs].astype(np.float64)
    size = x[:inputs].astype(np.float64) ** 2 @ abs(weight[:inputs]).astype(np.float64)
    assert abs(found - exact) <= (inputs + 1) * np.finfo(kernels.dtype).eps * size


def test_the_reduction_of_a_row_passes_a_nan_of_any_input(kernels: Kernels) -> None:
    for position in range(2 * kernels.lanes + 3):
        x, weight = (np.ones(4 * kernels.lanes, kernels.dtype) for _ in range(2))
        x[position] = np.nan
        assert np.isnan(kernels.call("reduce_squares", 2 * kernels.lanes + 3, weight, x, result=kernels.real))


memory_layouts = st.tuples(
    st.integers(1, 40),  # rows: whole squares of a vector's lanes, and some more
    st.integers(1, 40),  # features
    st.integers(1, 3),  # element stride of the inner axis
    st.integers(0, 5),  # gap behind the outer axis
    st.sampled_from("CF"),
    st.integers(0, 4),  # gap of the block's rows
)


def strided(layout: Any, dtype: np.dtype) -> tuple[np.ndarray, np.ndarray]:
    """(memory full of -5, a view (rows, features) of it with these strides)."""
    rows, features, step, gap, order, _ = layout
    outer, inner = (rows, features) if order == "C" else (features, rows)
    memory = np.full((outer, inner * step + gap), -5.0, dtype)
    view = memory[:, : inner * step : step]
    return memory, view if order == "C" else view.T


@settings(max_examples=100, deadline=None)
@given(layout=memory_layouts)
def test_copies_take_any_strides_and_write_nothing_else(kernels: Kernels, layout: Any) -> None:
    rows, features, *_, gap = layout
    values = np.arange(rows * features, dtype=kernels.dtype).reshape(rows, features)
    memory, view = strided(layout, kernels.dtype)
    view[...] = values
    s0, s1 = (stride // view.itemsize for stride in view.strides)
    block = np.full((rows, features + gap), -7.0, kernels.dtype)
    kernels.call("copy_in", block, features + gap, view, s0, 0, s1, rows, 1, features, result=None)
    np.testing.assert_array_equal(block[:, :features], values)
    assert (block[:, features:] == -7.0).all()

    memory[...] = -5.0
    kernels.call("copy_out", view, s0, 0, s1, block, features + gap, rows, 1, features, result=None)
    np.testing.assert_array_equal(view, values)
    view[...] = -5.0
    assert (memory == -5.0).all(), "written elsewhere"


def test_copies_read_an_array_that_is_broadcast(kernels: Kernels) -> None:
    value = np.full(1, 3.0, kernels.dtype)
    for strides in ((0, 0), (0, 1)):
        row = np.full(6, 3.0, kernels.dtype) if strides[1] else value
        block = np.zeros((5, 8), kernels.dtype)
        kernels.call("copy_in", block, 8, row, strides[0], 0, strides[1], 5, 1, 6, result=None)
        np.testing.assert_array_equal(block, [[3.0] * 6 + [0.0] * 2] * 5)


@settings(max_examples=60, deadline=None)
@given(
    outputs=st.integers(1, 40),
    inputs=st.integers(1, 12),
    pad=st.integers(0, 40),
    rows_of_outputs=st.booleans(),
)
def test_weights_are_kept_from_both_layouts(
    kernels: Kernels, outputs: int, inputs: int, pad: int, rows_of_outputs: bool
) -> None:
    """As they are where a row of all outputs of an input can be read in whole vectors, copied where not."""
    values = np.arange(1.0, 1.0 + outputs * inputs, dtype=kernels.dtype).reshape(outputs, inputs)
    if rows_of_outputs:
        memory = np.zeros((inputs, outputs + pad), kernels.dtype)
        view = memory[:, :outputs].T
    else:
        memory = np.zeros((outputs, inputs + pad), kernels.dtype)
        view = memory[:, :inputs]
    view[...] = values
    output_stride, input_stride = (stride // view.itemsize for stride in view.strides)
    extents = (output_stride, input_stride, outputs, inputs)
    room_size = kernels.call("room_for_weight", *extents)
    room = np.full(room_size + 5, -7.0, kernels.dtype)
    data, stride = ctypes.c_void_p(), ctypes.c_long()
    taken = kernels.call("keep_weight", room, view, *extents, ctypes.byref(data), ctypes.byref(stride))
    assert taken == room_size
    assert (room[room_size:] == -7.0).all(), "more room was taken than was asked for"
    fits = output_stride == 1 and input_stride >= kernels.padded(outputs)
    assert data.value == (view if fits else room).ctypes.data
    assert room_size == (0 if fits else inputs * kernels.padded(outputs))
    assert stride.value >= kernels.padded(outputs)
    source = ctypes.cast(data, ctypes.POINTER(kernels.real))
    kept = [[source[k * stride.value + o] for k in range(inputs)] for o in range(outputs)]
    np.testing.assert_array_equal(kept, values)


@settings(max_examples=30, deadline=None)
@given(extent=st.integers(1, 70), stride=st.integers(0, 3))
def test_vectors_are_kept_in_whole_vectors(kernels: Kernels, extent: int, stride: int) -> None:
    source = np.arange(extent * max(stride, 1), dtype=kernels.dtype)
    room = np.full(kernels.padded(extent) + 4, -7.0, kernels.dtype)
    assert kernels.call("keep_rows", room, source, 0, stride, 1, extent) == kernels.padded(extent)
    np.testing.assert_array_equal(room[:extent], source[np.arange(extent) * stride])
    assert (room[extent:] == -7.0).all()


def test_rows_are_padded_to_whole_vectors_and_one_more(kernels: Kernels) -> None:
    for extent in range(1, 200):
        padded = kernels.call("padded", extent)
        assert padded % kernels.lanes == 0
        assert extent <= padded < extent + kernels.lanes
        assert kernels.call("row_stride", extent) == padded + kernels.lanes


@pytest.mark.parametrize(("which", "name"), [(0, "maximum"), (1, "minimum")])
def test_the_larger_and_the_smaller_pass_a_nan_in_the_second_argument(kernels: Kernels, which: int, name: str) -> None:
    first = np.array([1.0, 2.0, 0.0, np.inf] * kernels.lanes, kernels.dtype)[: kernels.lanes]
    second = np.array([3.0, -4.0, np.nan, np.nan] * kernels.lanes, kernels.dtype)[: kernels.lanes]
    out = np.zeros(kernels.lanes, kernels.dtype)
    kernels.call("lanewise", ctypes.c_int(which), first, second, out, result=None)
    expected = getattr(np, name)(first, second)  # NumPy's pass a NaN in either
    np.testing.assert_array_equal(out, expected)
    ones = [
        kernels.call("of_one", ctypes.c_int(which), kernels.real(a), kernels.real(b), result=kernels.real)
        for a, b in zip(first, second, strict=True)
    ]
    np.testing.assert_array_equal(np.array(ones, kernels.dtype), expected)


def test_functions_and_constants_reach_every_lane(kernels: Kernels) -> None:
    values = np.arange(kernels.lanes).astype(kernels.dtype)
    out = np.zeros_like(values)
    kernels.call("lanewise", ctypes.c_int(2), values, values, out, result=None)
    np.testing.assert_array_equal(out, np.sqrt(values))
    kernels.call("lanewise", ctypes.c_int(3), values, values + 5, out, result=None)
    np.testing.assert_array_equal(out, np.full_like(values, 5.0))
    negative_zero = np.full_like(values, -0.0)
    kernels.call("lanewise", ctypes.c_int(3), values, negative_zero, out, result=None)
    assert np.signbit(out).all()


def test_a_work_space_stays_where_it_is_until_more_is_needed(kernels: Kernels) -> None:
    alignment = kernels.library.vector_bytes()
    first = kernels.call("workspace", 100, result=ctypes.c_void_p)
    assert first % alignment == 0
    assert kernels.call("workspace", 7, result=ctypes.c_void_p) == first
    assert kernels.call("workspace", 100, result=ctypes.c_void_p) == first
    large = kernels.call("workspace", 1_000_003, result=ctypes.c_void_p)
    assert large % alignment == 0
    memory = np.ctypeslib.as_array(ctypes.cast(large, ctypes.POINTER(kernels.real)), (1_000_003,))
    assert (memory == 0).all(), "garbage could be a NaN that slows arithmetic down"
    memory[:] = 1.0
    assert kernels.call("workspace", 100, result=ctypes.c_void_p) == large


class Plan(NamedTuple):
    rows: int
    threads: int
    within: int


def plan(library: ctypes.CDLL, columns: int, row_bytes: int, flops: float, weight_bytes: float = 0.0) -> Plan:
    rows, threads, within = ctypes.c_long(), ctypes.c_int(), ctypes.c_int()
    library.plan.restype = None
    library.plan(
        ctypes.c_long(columns), ctypes.c_long(row_bytes), ctypes.c_double(weight_bytes), ctypes.c_double(flops),
        ctypes.byref(rows), ctypes.byref(threads), ctypes.byref(within),
    )  # fmt: skip
    return Plan(rows.value, threads.value, within.value)


@settings(max_examples=200, deadline=None)
@given(
    columns=st.integers(1, 10**7),
    row_bytes=st.integers(16, 10**6),
    flops=st.floats(1.0, 1e8),
    weight_bytes=st.sampled_from([0.0, 1e5, 1e9]),
)
def test_blocks_cover_the_columns_and_threads_keep_within_limits(
    library: ctypes.CDLL, columns: int, row_bytes: int, flops: float, weight_bytes: float
) -> None:
    library.set_most_threads(7)
    most = library.most_threads()
    rows, threads, within = plan(library, columns, row_bytes, flops, weight_bytes)
    assert rows >= 1
    assert 1 <= within <= most
    if within > 1:
        assert (threads, rows) == (1, columns), "the panels of several blocks are shared, and the blocks, too"
        return
    assert rows <= 32 * 12, "a block has more rows than the most for the smallest row"
    assert 1 <= threads <= most
    n_blocks = -(-columns // rows)
    assert threads <= -(-columns // 12), "a thread for less than the smallest block"
    assert rows * (n_blocks - 1) < columns <= rows * n_blocks
    if columns * flops < 1e6:
        assert threads == 1, "too little work to wake a second thread"
    if columns * flops > 1e9 and columns > 12 * 7:
        assert threads == most


def test_weights_that_no_cache_holds_are_fetched_for_many_columns_at_once(library: ctypes.CDLL) -> None:
    library.set_most_threads(1)
    wide = 10**6
    assert plan(library, 10_000, wide, 1e9, 1e6).rows <= 24
    assert plan(library, 10_000, wide, 1e9, 1e10).rows >= 180


def test_a_few_columns_take_one_thread_whatever_they_cost(library: ctypes.CDLL) -> None:
    library.set_most_threads(7)
    for columns in range(1, 13):
        assert plan(library, columns, 1000, 1e12) == (columns, 1, 1)
    if library.most_threads() > 1:
        assert plan(library, 1200, 1000, 1e12).threads == 7


def test_threads_share_the_panels_of_a_few_columns_with_more_weights_than_the_cache_holds(library: ctypes.CDLL) -> None:
    library.set_most_threads(7)
    cache = library.cache_bytes()
    most = library.most_threads()
    for columns in (1, 10, 24):
        assert plan(library, columns, 1000, 1e6, 0.9 * cache).within == 1
        assert plan(library, columns, 1000, 1e6, 1.1 * cache).within == most
    assert plan(library, 25, 1000, 1e6, 1.1 * cache).within == 1


def test_two_threads_have_as_many_columns_each(library: ctypes.CDLL) -> None:
    """Not one a whole tile more than the other."""
    library.set_most_threads(2)
    if library.most_threads() > 1:
        assert plan(library, 100, 1000, 1e9) == (50, 2, 1)


def test_a_team_of_the_caller_is_not_multiplied(library: ctypes.CDLL) -> None:
    """A host that steps from within its own threads keeps one thread for each."""
    library.set_most_threads(7)
    assert library.threads_within_a_team(ctypes.c_long(10_000), ctypes.c_double(1e9)) == 1


def test_exponential_is_that_of_numpy_in_its_whole_range(kernels: Kernels) -> None:
    """To two units in the last place; beyond, 0 and infinity; NaN stays."""
    limits = np.finfo(kernels.dtype)
    least, largest = np.log(np.float64(limits.smallest_subnormal)), np.log(np.float64(limits.max))
    random = np.random.default_rng(0)
    x = np.concatenate([random.uniform(least, largest, 4000), random.normal(size=4000), np.linspace(-1e-3, 1e-3, 100)])
    x = np.concatenate([x, [0.0, -0.0, least, largest, 2 * least, 2 * largest, -np.inf, np.inf, np.nan, 1e30, -1e30]])
    x = np.resize(x, -(-x.size // kernels.lanes) * kernels.lanes).astype(kernels.dtype)
    found = np.empty_like(x)
    assert kernels.call("exponential", x.size, x, found, result=ctypes.c_bool)
    with np.errstate(over="ignore"):
        expected = np.exp(x.astype(np.longdouble)).astype(kernels.dtype)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(x))
    np.testing.assert_array_equal(np.isinf(found), np.isinf(expected))
    normal = np.isfinite(expected) & (expected >= limits.tiny)
    np.testing.assert_array_max_ulp(found[normal], expected[normal], maxulp=2)
    np.testing.assert_allclose(found[~normal], expected[~normal], atol=limits.tiny)
    assert (found[x == 0.0] == 1.0).all()


#: Functions of whole vectors: NumPy's name, and arguments between which they are finite numbers.
FUNCTIONS = {
    "log": ("log", 1e-30, 1e30),
    "tanh": ("tanh", -20, 20),
    "sinh": ("sinh", -80, 80),
    "cosh": ("cosh", -80, 80),
    "asinh": ("arcsinh", -1e6, 1e6),
    "atanh": ("arctanh", -1, 1),
    "sin": ("sin", -100, 100),
    "cos": ("cos", -100, 100),
    "acos": ("arccos", -1, 1),
    "atan": ("arctan", -1e3, 1e3),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_of_vectors_are_those_of_numpy(kernels: Kernels, name: str) -> None:
    """To four units in the last place, wherever in a vector and beside whatever else a number stands."""
    reference, least, largest = FUNCTIONS[name]
    random = np.random.default_rng(0)
    x = np.concatenate([random.uniform(least, largest, 4000), random.normal(size=4000), [0.0, -0.0, 1.0, -1.0]])
    x = np.concatenate([x, [2 * largest, 2 * least, np.inf, -np.inf, np.nan, 1e-38]])
    x = np.resize(x, -(-x.size // kernels.lanes) * kernels.lanes).astype(kernels.dtype)
    with np.errstate(all="ignore"):
        expected = getattr(np, reference)(x.astype(np.longdouble)).astype(kernels.dtype)
    found, mixed = np.empty_like(x), np.empty_like(x)
    kernels.call(name, x.size, x, found, result=None)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    np.testing.assert_array_equal(found[np.isinf(expected)], expected[np.isinf(expected)])
    finite = np.isfinite(expected)
    np.testing.assert_array_max_ulp(found[finite], expected[finite], maxulp=4)
    order = random.permutation(x.size)
    kernels.call(name, x.size, x[order], mixed, result=None)
    np.testing.assert_array_equal(mixed, found[order])
