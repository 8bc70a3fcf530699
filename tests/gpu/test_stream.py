"""How a bound call hands the caller's stream to a program and hears of its failures; the program is a stand-in."""

from __future__ import annotations

import types
from typing import Any

import pytest

from ailand_gt4py.core.errors import RunError
from ailand_gt4py.lowering.calls import bound_call
from ailand_gt4py.lowering.gpu import device_stream


class Program:
    """What `bound_call` uses of DaCe's compiled program; notes what is done with it."""

    def __init__(self) -> None:
        self.sdfg = types.SimpleNamespace(name="step", arrays={}, arglist=dict)
        self._libhandle = object()
        self.done: list[Any] = []
        self.errors = [0] * 10

    def get_exported_function(self, name: str, restype: Any = None) -> Any:
        def set_streams(handle: object, stream: Any) -> None:
            assert handle is self._libhandle
            self.done.append(stream.value or 0)

        return {"__dace_gpu_set_all_streams": set_streams, "__dace_gpu_last_error": lambda _: self.errors.pop()}[name]

    def fast_call(self, *_: Any, **__: Any) -> None:
        self.done.append("run")


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> Program:
    program = Program()
    compiled = types.SimpleNamespace(sdfg_program=program, csdfg_argv=[], csdfg_init_argv=[])
    monkeypatch.setattr(bound_call, "compiled_dace_program", lambda _: compiled)
    return program


def test_the_callers_stream_is_set_where_it_changes(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    call = bound_call.BoundCall(None, ())
    for stream in (0, 7, 7, 0):
        monkeypatch.setattr(device_stream, "current_stream", lambda stream=stream: stream)
        call((), ())
    assert program.done == ["run", 7, "run", "run", 0, "run"]


def test_a_failure_on_the_device_is_an_error_of_the_call(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_stream, "current_stream", lambda: 0)
    call = bound_call.BoundCall(None, ())
    program.errors.append(999)
    with pytest.raises(RunError, match="program 'step' failed on the CUDA device: see its line on standard error"):
        call((), ())
    program.errors.append(999)
    with pytest.raises(RunError):
        bound_call.BoundCall(None, ())
