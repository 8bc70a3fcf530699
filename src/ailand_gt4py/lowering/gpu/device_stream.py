"""The caller's CUDA stream, which is CuPy's current one.

GT4Py compiles programs for CUDA's default stream. DaCe's ``__dace_gpu_set_all_streams`` sets the streams that a program
holds, and the code that `device_columns` generates runs on the first of these; `bound_call` sets it in every call. All
other kernels of DaCe are launched on the default stream whatever is set; `in_turn` keeps them in order.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator


def current_stream() -> int:
    """Address of CuPy's current stream; 0 is the default stream."""
    import cupy

    return int(cupy.cuda.get_current_stream().ptr)


@contextlib.contextmanager
def in_turn() -> Iterator[None]:
    """Around work on the default stream: it comes after what the caller's stream was given before, and the caller's
    stream goes on after it. The host waits for nothing.
    """
    import cupy

    stream, default = cupy.cuda.get_current_stream(), cupy.cuda.Stream.null
    if stream == default:
        yield
        return
    default.wait_event(stream.record())
    yield
    stream.wait_event(default.record())
