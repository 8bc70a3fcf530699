"""How large benchmarks are, and what is noted of the machine beside their times."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from typing import Any

import machine
import pytest
import scale

_START = time.time()


def pytest_configure(config: pytest.Config) -> None:
    """Toys, unless benchmarks are asked for: those take many minutes, and a machine with nothing else to do."""
    scale.TOY = config.getoption("benchmark_disable") and not config.getoption("benchmark_enable")


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
