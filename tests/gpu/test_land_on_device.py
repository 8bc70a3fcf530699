"""The land component on a CUDA device: the host's own memory, no transfer in a step, and the CPU's results."""

from collections.abc import Callable
from typing import Any

import gt4py.next as gtx
import numpy as np
import pytest
from land_hosts import HOUR, START, Host, small_model

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.integration.component import LandComponent
from ailand_gt4py.lowering.calls.operator_call import RepeatedCall

pytestmark = pytest.mark.gpu

MODEL = small_model()
MASK = np.array([[True, False, True], [False, True, True]])
Cell = gtx.Dimension("Cell")


class DeviceHost(Host):
    """A host whose fields are on the device."""

    def __init__(self, device: Any, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.device = device

    def field(self, values: Any) -> Any:
        return self.device.asarray(super().field(values), order=self.order)

    def component(self, model: Any, mask: np.ndarray, **options: Any) -> LandComponent:
        return super().component(model, self.device.asarray(mask), **({"backend": "dace_gpu"} | options))


def run(land: LandComponent, host: Host, n_steps: int) -> dict[str, Any]:
    outputs: dict[str, Any] = {}
    for hour in range(n_steps):
        time = START + hour * HOUR
        outputs = land(host.weather(time), time)
    return outputs


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_results_are_those_of_the_cpu(device: Any, dtype: type, order: str) -> None:
    options: dict[str, Any] = {"dtype": dtype, "halo": 2, "order": order}
    host, plain = DeviceHost(device, MASK.shape, **options), Host(MASK.shape, **options)
    land, expected = (one.component(MODEL, MASK, derivatives=True) for one in (host, plain))
    found, same = run(land, host, 13), run(expected, plain, 13)
    np.testing.assert_allclose(land.state.get(), expected.state, rtol=1e-10)
    for name, field in found.items():
        assert isinstance(field, device.ndarray)
        np.testing.assert_allclose(field.get(), same[name], rtol=1e-8, atol=1e-10, err_msg=name)


def test_the_pack_operator_reads_the_hosts_memory(device: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def spy(call: RepeatedCall, buffers: Any, numbers: Any = ()) -> None:
        seen.extend(buffer.data.ptr for buffer in buffers)
        real(call, buffers, numbers)

    real = RepeatedCall.__call__
    host = DeviceHost(device, MASK.shape)
    land = host.component(MODEL, MASK)
    for hour in range(3):
        weather = host.weather(START + hour * HOUR)
        with monkeypatch.context() as patch:
            patch.setattr(RepeatedCall, "__call__", spy)
            seen.clear()
            land.accumulate(weather, START + hour * HOUR)
        assert sorted(seen) == sorted(field.data.ptr for field in weather.values())
        land.advance(START + hour * HOUR)


def transfers(device: Any, call: Callable[[], Any]) -> list[tuple[str, int]]:
    """Name and bytes of every copy between host and device meanwhile, by whatever library, from CUDA's own tracing."""
    torch = pytest.importorskip("torch", reason="PyTorch, whose profiler counts the copies, is not installed")
    device.cuda.runtime.deviceSynchronize()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        call()
        device.cuda.runtime.deviceSynchronize()
    events = [(event.name(), event.nbytes()) for event in profile.profiler.kineto_results.events()]
    return [event for event in events if "HtoD" in event[0] or "DtoH" in event[0]]


def test_transfers_are_counted(device: Any) -> None:
    values = np.zeros(1000)
    assert [size for _, size in transfers(device, lambda: device.asarray(values))] == [8000]


def test_steps_transfer_nothing(device: Any) -> None:
    """Nothing in a step that adds up; where a window ends, only reports of what was found, to pinned memory."""
    host = DeviceHost(device, MASK.shape)
    land = host.component(MODEL, MASK, between="interpolate", derivatives=True)
    weather = host.weather(START)
    for hour in range(13):
        land(weather, START + hour * HOUR)
    for _ in range(13, 18):
        assert transfers(device, lambda: land(weather, land.time)) == []
    at_end = transfers(device, lambda: land(weather, START + 18 * HOUR))
    n_given = sum(not variable.derived for variable in MODEL.forcing)
    n_state, n_results = len(MODEL.state), len(MODEL.state) + len(MODEL.diagnostics)
    assert sum(size for _, size in at_end) == 8 * (3 * len(weather) + 6 * (n_given + n_state) + 2 * n_results)
    assert all("Pinned" in name for name, _ in at_end)


def test_the_callers_stream_is_used(device: Any) -> None:
    """Samples that a stream is still computing are read after it has; results are there for what it does next."""
    host = DeviceHost(device, MASK.shape)
    land, expected = host.component(MODEL, MASK), host.component(MODEL, MASK)
    same = run(expected, host, 13)["surface_temperature"].copy()
    stream = device.cuda.Stream(non_blocking=True)
    with stream:
        for hour in range(13):
            busy = device.random.standard_normal((4096, 4096), dtype="float32")
            for _ in range(10):
                busy = busy @ busy
                busy /= device.abs(busy).max()
            late = {name: field + 0.0 * busy[0, 0] for name, field in host.weather(START + hour * HOUR).items()}
            outputs = land(late, START + hour * HOUR)
        found = outputs["surface_temperature"].copy()
    stream.synchronize()
    device.testing.assert_array_equal(found, same)


def test_not_finite_is_told_after_the_window(device: Any) -> None:
    host = DeviceHost(device, MASK.shape)
    land = host.component(MODEL, MASK)
    before = land.state.copy()
    for hour in range(7):
        weather = host.weather(START + hour * HOUR)
        if hour == 3:
            weather["met_tair"][1, 1] = np.nan
        land(weather, START + hour * HOUR)
    with pytest.raises(InputError, match=r"met_tair: found .* not finite at point \(1, 1\), 2020-06-01T03:00"):
        land(host.weather(START + 7 * HOUR), START + 7 * HOUR)
    device.testing.assert_array_equal(land.flagged, device.asarray([False, False, True, False]))
    device.testing.assert_array_equal(land.state[2], before[2])


def test_restart_is_exact_to_the_bit(device: Any, tmp_path: Any) -> None:
    host = DeviceHost(device, MASK.shape)
    whole, first, second = (host.component(MODEL, MASK) for _ in range(3))
    run(whole, host, 13)
    run(first, host, 9)
    first.write_restart(tmp_path / "land.nc")
    second.restore(tmp_path / "land.nc")
    for hour in range(9, 13):
        second(host.weather(START + hour * HOUR), START + hour * HOUR)
    device.testing.assert_array_equal(whole.state, second.state)
    for name, field in whole.outputs.items():
        device.testing.assert_array_equal(field, second.outputs[name])


def test_host_memory_is_refused(device: Any) -> None:
    host, plain = DeviceHost(device, MASK.shape), Host(MASK.shape)
    land = host.component(MODEL, MASK)
    with pytest.raises(InputError, match="found a NumPy array in host memory, expected .* CUDA device"):
        land(plain.weather(START), START)
