"""Fixtures of the tests that need CUDA."""

from typing import Any

import pytest


@pytest.fixture(scope="session")
def cupy() -> Any:
    """CuPy; skips where it is not installed."""
    return pytest.importorskip(
        "cupy", reason="CuPy is not installed (extra 'cuda12' or 'cuda13')", exc_type=ImportError
    )


@pytest.fixture(scope="session")
def device(cupy: Any) -> Any:
    """CuPy with a CUDA device; skips where there is none."""
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        pytest.skip(f"no CUDA device: {error}")
    if count == 0:
        pytest.skip("no CUDA device")
    return cupy
