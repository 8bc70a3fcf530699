"""Work on CUDA's default stream keeps its turn in the caller's stream; the streams are stand-ins."""

import sys
import types
from typing import Any

import pytest

from ailand_gt4py.lowering.gpu import device_stream


class Stream:
    """Notes, in one list for all streams, what a stream is told."""

    def __init__(self, name: str, told: list[tuple[str, str]]) -> None:
        self.name, self.told = name, told

    def record(self) -> str:
        self.told.append((self.name, "record"))
        return f"event of {self.name}"

    def wait_event(self, event: str) -> None:
        self.told.append((self.name, f"wait for {event}"))


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What the streams of a stand-in for CuPy are told, the caller's stream being another than the default one."""
    told: list[tuple[str, str]] = []
    caller, default = Stream("caller", told), Stream("default", told)
    cuda: Any = types.SimpleNamespace(get_current_stream=lambda: caller, Stream=types.SimpleNamespace(null=default))
    monkeypatch.setitem(sys.modules, "cupy", types.SimpleNamespace(cuda=cuda))
    return told


def test_default_stream_comes_after_what_was_before_and_before_what_is_after(told: list[tuple[str, str]]) -> None:
    with device_stream.in_turn():
        told.append(("default", "work"))
    assert told == [
        ("caller", "record"),
        ("default", "wait for event of caller"),
        ("default", "work"),
        ("default", "record"),
        ("caller", "wait for event of default"),
    ]


def test_on_the_default_stream_nothing_needs_to_wait(
    told: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    cupy = sys.modules["cupy"]
    monkeypatch.setattr(cupy.cuda, "get_current_stream", lambda: cupy.cuda.Stream.null)
    with device_stream.in_turn():
        pass
    assert told == []
