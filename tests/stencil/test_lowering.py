"""Programs over columns are compiled as such and give what embedded execution gives; any other program is refused."""

import faulthandler
import os
import re
import signal
import subprocess
import sys

import dace
import numpy as np
import pytest
from captured_programs import captured_step, generated_sdfg
from dace.sdfg import nodes
from small_programs import BROADCAST, COMPLETE, DENSE, PROGRAMS, Feature, SmallProgram, Unit, provider

from ailand_gt4py.core import arrays
from ailand_gt4py.core.dimensions import Column
from ailand_gt4py.core.errors import RunError
from ailand_gt4py.emulator.differentiated import leaves
from ailand_gt4py.lowering.calls import backends, compilation
from ailand_gt4py.lowering.columns.translation import ColumnTranslator

DENSE_OPERATOR = """
def dense(x, weight):
    return neighbor_sum(weight * x(Feature_to_Unit), axis=Feature_to_Unit_local)
"""


def arrays_of_one_node(sdfg: dace.SDFG) -> set[str]:
    """What the one node of a graph reads and writes; there is nothing else in it."""
    (state,) = (state for state in sdfg.states() if state.number_of_nodes() > 0)
    others = [node for node in state.nodes() if not isinstance(node, nodes.AccessNode)]
    assert [node.label for node in others] == ["column_blocks"]
    (tasklet,) = others
    assert tasklet.language == dace.Language.CPP
    assert not any(descriptor.transient for descriptor in sdfg.arrays.values())
    sdfg.validate()
    return {node.data for node in state.data_nodes()}


def test_a_program_becomes_one_node_that_touches_no_scratch_field() -> None:
    small = SmallProgram(*PROGRAMS["scratch fields set anew"])
    backend = backends.column_backend(False, COMPLETE, BROADCAST)
    assert arrays_of_one_node(generated_sdfg(small.program.gtir, provider(), backend)) == {"x", "y", "out"}


def test_the_step_of_a_network_becomes_one_node_that_touches_no_scratch_field() -> None:
    captured = captured_step("layer_norm", 1)
    operands = captured.operands
    backend = backends.dace_backend(False, operands.complete_tables, operands.broadcast_tables)
    names = arrays_of_one_node(generated_sdfg(captured.gtir, dict(operands.offset_provider), backend))
    assert names == {"static_input", "forcing_input", "state_input", "new_state", "diagnostics", *captured.values}


CODE_OF_ADJOINT = """
import hashlib, sys
from captured_programs import captured_step, generated_sdfg
from ailand_gt4py.lowering.calls import backends

captured = captured_step("layer_norm", 2, what="adjoint")
backend = backends.column_backend(False, captured.operands.complete_tables, captured.operands.broadcast_tables)
backend = backends.differentiating(backend, captured.derivative)
sdfg = generated_sdfg(captured.gtir, dict(captured.operands.offset_provider), backend)
print(hashlib.sha256(sdfg.generate_code()[0].clean_code.encode()).hexdigest())
"""


@pytest.mark.slow
def test_every_process_generates_the_same_code() -> None:
    """Else processes that start together would each compile a program of their own, and keep all of them."""
    path = os.pathsep.join(path for path in sys.path if path)
    found = {
        subprocess.run(
            [sys.executable, "-c", CODE_OF_ADJOINT],
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1


def test_a_backend_for_columns_is_asked_for_by_complete_tables() -> None:
    for backend, is_for_columns in (
        (backends.make_backend("dace_cpu", ("table",)), True),
        (backends.dace_backend(False, ("table",)), True),
        (backends.dace_backend(True, ("table",)), True),
        (backends.column_backend(False), True),
        (backends.for_columns("dace_cpu"), True),
        (backends.make_backend("dace_cpu"), False),
        (backends.dace_backend(True, ()), False),
    ):
        assert isinstance(backend.executor.translation.step, ColumnTranslator) == is_for_columns
    assert backends.for_columns("embedded") is None


@pytest.mark.parametrize(
    "what",
    [
        "functions",
        "conditions",
        "layers",
        "statistics of a row",
        "a layer of what is alike in a row",
        "columns alone",
    ],
)
def test_compiled_programs_give_what_embedded_execution_gives(what: str) -> None:
    small = SmallProgram(*PROGRAMS[what], name=what.replace(" ", "_"))
    small.check_compiled(backends.column_backend(False, COMPLETE, BROADCAST))


@pytest.mark.parametrize(
    ("operators", "statements", "reason"),
    [
        (
            "def apply(x, weight):\n    return max_over(weight * x(Feature_to_Unit), axis=Feature_to_Unit_local)",
            "apply(x, weight, out=out_units)",
            "it reduces a list by 'maximum' from '-1.7976931348623157e+308'",
        ),
        (
            "def apply(x):\n    return neighbor_sum(x(Feature_to_Unit), axis=Feature_to_Unit_local)",
            "apply(x, out=out_units)",
            "it sums a list that is not weights times all elements of a row",
        ),
        (
            f"{DENSE_OPERATOR}\ndef apply(x, ring_weight):\n"
            "    return neighbor_sum(ring_weight * x(Ring), axis=Ring_local)",
            "dense(x, weight, out=out_units)\n apply(x, ring_weight, out=out_units_other)",
            "it reads through the table 'Ring', which is not complete",
        ),
        (
            DENSE_OPERATOR,
            "dense(x, weight, out=out_units, domain={Column: (2, 5), Unit: (1, 3)})",
            "'out_units' is not set as a whole",
        ),
        ("def apply(x, y):\n    return power(x, y)", "apply(x, y, out=out)", "it has the operation 'pow'"),
        ("def apply(x, y):\n    return x + y", "apply(x, y, out=work_a)", "it computes nothing"),
    ],
)
def test_a_program_that_is_none_over_columns_is_refused_in_one_line(
    operators: str, statements: str, reason: str
) -> None:
    """Whether it is compiled ahead or called; it is run in no other way."""
    small = SmallProgram(operators, statements)
    program = small.program.with_backend(backends.column_backend(False, COMPLETE, BROADCAST))
    arguments = small.arguments()
    expected = re.escape(
        f"program 'small' cannot be run in blocks of columns: {reason}; expected dense layers and element-wise "
        "operations in which each column depends on itself alone"
    )
    with compilation.in_this_process():
        with pytest.raises(RunError, match=f"^{expected}$"):
            program.compile(offset_provider=provider())
        with pytest.raises(RunError, match=f"^{expected}$"):
            program(**arguments, offset_provider=provider())
    for name, before in leaves(small.arguments()).items():
        np.testing.assert_array_equal(leaves(arguments)[name], before)


@pytest.mark.parametrize("asked", [("another",), (*COMPLETE[1:], "Ring")])
def test_a_table_counts_as_complete_only_where_that_is_said(asked: tuple[str, ...]) -> None:
    small = SmallProgram(DENSE_OPERATOR, "dense(x, weight, out=out_units)")
    program = small.program.with_backend(backends.dace_backend(False, asked))
    expected = "it reads through the table 'Feature_to_Unit', which is not complete; expected"
    with compilation.in_this_process(), pytest.raises(RunError, match=expected):
        program(**small.arguments(), offset_provider=provider())


LAYERS_OF_THE_CALLERS_ARRAYS = (
    f"""{DENSE_OPERATOR}
def shifted(x):
    return x + 1.0
def dense_of_shifted(x, weight):
    return dense(shifted(x), weight)
""",
    """
        dense(x, weight, out=out_units)
        dense_of_shifted(x, weight, out=out_units_other)
        shifted(x, out=out)
    """,
)


@pytest.mark.parametrize(("n_columns", "n_features", "n_units"), [(1, 2, 37), (7, 37, 2), (300, 13, 13)])
def test_layers_on_the_callers_arrays(n_columns: int, n_features: int, n_units: int) -> None:
    """With fewer and with more inputs than outputs; nothing behind an array's own elements is read or written."""
    random = np.random.default_rng(n_columns)
    memory = np.full((n_columns + 50, n_features + 60), np.nan)
    x, weight = memory[:n_columns, :n_features], random.normal(size=(n_units, n_features))
    x[...] = random.normal(size=x.shape)
    results = [np.full((n_columns + 50, size + 60), -9.0) for size in (n_units, n_units, n_features)]
    own = [result[:n_columns, :size] for result, size in zip(results, (n_units, n_units, n_features), strict=True)]
    program = SmallProgram(*LAYERS_OF_THE_CALLERS_ARRAYS, name="layers_of_the_callers_arrays").program
    with compilation.in_this_process():
        program.with_backend(backends.dace_backend(False, (DENSE.name,)))(
            arrays.wrap(x, (Column, Feature)),
            arrays.wrap(weight, (Unit, DENSE.local)),
            *(arrays.wrap(a, (Column, d)) for a, d in zip(own, (Unit, Unit, Feature), strict=True)),
            offset_provider={DENSE.name: DENSE.connectivity(n_features, n_units)},
        )
    expected = (x @ weight.T, (x + 1.0) @ weight.T, x + 1.0)
    for found, wanted, result in zip(own, expected, results, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)
        outside = result.copy()
        outside[:n_columns, : found.shape[1]] = -9.0
        assert (outside == -9.0).all(), "written outside of the result"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_arrays_that_do_not_fit_together_end_the_process(capfd: pytest.CaptureFixture[str]) -> None:
    """They would be read or written outside of their memory; an emulator checks its arguments before."""
    small = SmallProgram("def apply(x, gain):\n    return x * gain", "apply(x, gain, out=out)", name="fitting")
    program = small.program.with_backend(backends.column_backend(False))
    fitting = small.arguments()
    with compilation.in_this_process():
        program(**fitting, offset_provider={})
    wrong = {"x": (6, 3), "gain": (2,), "out": (5, 4)}
    for name, shape in wrong.items():
        field = arrays.wrap(np.zeros(shape), fitting[name].domain.dims)
        child = os.fork()
        if child == 0:
            faulthandler.disable()
            program(**fitting | {name: field}, offset_provider={})
            os._exit(0)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status), f"'{name}' of the shape {shape} was taken"
        assert os.WTERMSIG(status) == signal.SIGABRT
    assert capfd.readouterr().err.count("fitting: its arrays differ in columns or features") == len(wrong)
