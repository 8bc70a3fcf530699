"""When benchmarks run, and what is noted of the machine beside their times."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from typing import Any

import machine
import pytest

_START = time.time()


@pytest.fixture(scope="session")
def benchmarks_enabled(pytestconfig: pytest.Config) -> None:
    """Skip where benchmarks are not asked for: they take many minutes, and a machine with nothing else to do."""
    if pytestconfig.getoption("benchmark_disable") and not pytestconfig.getoption("benchmark_enable"):
        pytest.skip("a benchmark: runs with --benchmark-enable (make bench)")


@pytest.fixture(autouse=True, scope="module")
def _restored_torch_threads() -> Iterator[None]:
    """Other tests choose PyTorch's threads for themselves when they are collected."""
    torch = sys.modules.get("torch")
    before = torch.get_num_threads() if torch is not None else None
    yield
    if torch is not None:
        torch.set_num_threads(before)


def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict[str, Any]) -> None:
    """Threads, libraries and variables; and no name of the machine."""
    machine_info["ailand"] = machine.describe() | {"seconds": time.time() - _START}
    machine_info.pop("node", None)
