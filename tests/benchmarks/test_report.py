"""The report of a small made-up run."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import report
import report_bars
import report_data
from networks import N320_COLUMNS, NETWORKS

from ailand_gt4py.core.errors import InputError

#: Seconds per column; the matrix products alone would take 0.9 of ours.
OWN, PEER, LIMIT = 1e-6, 1.4e-6, 0.9e-6


def _entry(median: float, **extra: Any) -> dict[str, Any]:
    return {"stats": {"median": median}, "extra_info": extra}


def _run(**changes: Any) -> dict[str, Any]:
    """A run in which every bar is reached."""
    entries = []
    for network, sizes in NETWORKS.items():
        for columns in (1, 10, 100, 10_000, N320_COLUMNS):
            for name, cost in (("ailand", OWN), ("torch_eager", 3 * PEER), ("numpy", PEER), ("gemm_openblas", LIMIT)):
                is_limit = name.startswith("gemm")
                errors = {} if is_limit else {"error_state": 1e-7, "error_diagnostics": 2e-7}
                entries.append(
                    _entry(
                        cost * columns,
                        kind="limit" if is_limit else "step",
                        network=network,
                        columns=columns,
                        contestant=name,
                        flops_per_column=sizes.flops(),
                        gflops=sizes.flops() / cost / 1e9,
                        reasons={"jax": "package 'jax' is not installed"},
                        **errors,
                    )
                )
    entries += [
        _entry(
            40e-6,
            kind="overhead",
            name="step_overhead",
            seconds_with_allocation=42e-6,
            seconds_in_turn=43e-6,
            seconds_with_new_windows=77e-6,
        ),
        _entry(30.0, kind="overhead", name="first_compile_default", seconds_cached=0.5),
        _entry(6.0, kind="overhead", name="cached_start", seconds_imports=4.0, seconds_beyond_imports=2.0),
        _entry(8e-4, kind="overhead", name="land_accumulation", columns=5120),
        _entry(3e-2, kind="overhead", name="land_firing", columns=5120, seconds_with_derivatives=7e-2),
        _entry(5e-2, kind="overhead", name="land_compaction", points=100_000, share=0.3, ratio=0.32),
        _entry(5e8, kind="overhead", name="peak_memory_bytes", bytes=5e8, arrays=4e7, network="n", columns=7),
        _entry(2e-3, kind="overhead", name="driver_step", columns=10_000, seconds_bare_step=1e-3),
        _entry(0.1, kind="copy", gbytes_per_second=21.5),
        _entry(0.1, kind="large_product", by="gemm_openblas", size=2048, columns=100, gflops=301.0),
        _entry(0.1, kind="multiply_adds", gflops=5000.0),
    ]
    machine = {
        "device": "cpu", "processor": "A Processor", "cores": 2, "caches": {"L1": "48K"}, "threads": 2,
        "variables": {"OMP_NUM_THREADS": "2"}, "versions": {"numpy": "2.0"}, "thread_pools": [], "seconds": 600.0,
        "load_average": [0.1, 0.2, 0.3],
    }  # fmt: skip
    return {
        "datetime": "2026-01-02T03:04:05",
        "commit_info": {"id": "0123456789abcdef", "dirty": False},
        "machine_info": {"node": "a-host-name", "ailand": machine | changes},
        "benchmarks": entries,
    }


def _write(path: Path, run: dict[str, Any]) -> Path:
    path.write_text(json.dumps(run))
    return path


def _change(run: dict[str, Any], factor: float, **wanted: Any) -> None:
    """Multiply times (and divide rates) of the entries whose extra information fits."""
    matching = [e for e in run["benchmarks"] if all(e["extra_info"].get(key) == value for key, value in wanted.items())]
    assert matching
    for entry in matching:
        entry["stats"]["median"] *= factor
        if "gflops" in entry["extra_info"]:
            entry["extra_info"]["gflops"] /= factor


def test_report_holds_what_the_run_measured(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    source = _write(tmp_path / "run.json", _run())
    assert report.main([str(source), str(tmp_path)]) == 0
    assert "cpu.md" in capsys.readouterr().out
    text = (tmp_path / "cpu.md").read_text()
    for expected in (
        "2026-01-02", "0123456789", "A Processor, 2 cores", "OMP_NUM_THREADS=2", "the run took 10 minutes",
        "* jax: package 'jax' is not installed",
        "| **ailand** | 1 us (",
        "| best peer / ailand | 1.40 (numpy) | 1.40 (numpy) | 1.40 (numpy) | 1.40 (numpy) | 1.40 (numpy) |",
        "| ailand / fastest GEMM | 0.90 |",
        "layer_norm_6x512 (2.72 MFLOP a column)",
        "40 us", "43 us", "77 us", "500 MB", "21.5 GB/s", "301 GFLOP/s", "5120 land cells", "30 ms", "70 ms", "0.32",
        "| simple_172 | 171039 | 2.00 | 46 to 64 |",
    ):  # fmt: skip
        assert expected in text, expected
    assert "a-host-name" not in text
    assert (tmp_path / "cpu.png").stat().st_size > 10_000


def test_the_land_component_has_a_report_of_its_own(tmp_path: Path) -> None:
    run = _run()
    run["benchmarks"] = [e for e in run["benchmarks"] if str(e["extra_info"].get("name", "")).startswith("land_")]
    assert report.main([str(_write(tmp_path / "run.json", run)), str(tmp_path)]) == 0
    text = (tmp_path / "land.md").read_text()
    for expected in ("| 0.32 | <= 0.40 | met |", "| 800 us | <= 1 ms | met |", "30 ms", "A Processor, 2 cores"):
        assert expected in text, expected
    assert "not measured" not in text
    assert sorted(path.name for path in tmp_path.iterdir()) == ["land.md", "run.json"]


def test_derivatives_have_a_report_of_their_own(tmp_path: Path) -> None:
    run = _run()
    location = {"kind": "derivative", "network": "default", "columns": 10_000, "threads": 2}
    step = {"median": 0.02, "ratio": 1.0}
    linear = {
        "step": step,
        "tangent_linear": {"median": 0.036, "ratio": 1.8},
        "adjoint": {"median": 0.06, "ratio": 2.6},
    }
    block = {
        "jacobian, state by state": {"median": 0.05, "ratio": 0.25},
        "finite differences": {"median": 0.2, "ratio": 1},
    }
    run["benchmarks"] = [
        _entry(0.02, **location, base="step", rivals=linear),
        _entry(0.2, **location, base="finite differences", rivals={**block, "step": step}),
    ]
    assert report.main([str(_write(tmp_path / "run.json", run)), str(tmp_path)]) == 0
    text = (tmp_path / "derivatives.md").read_text()
    for expected in (
        "| default | 10000 | 2 | 20 ms | 1.80 | **2.60** |",
        "| default | 10000 | 2 | state by state | 50 ms | 200 ms | 4.0 |",
        "A Processor, 2 cores",
    ):
        assert expected in text, expected
    assert sorted(path.name for path in tmp_path.iterdir()) == ["derivatives.md", "run.json"]


def test_a_whole_run_has_a_report_of_its_own(tmp_path: Path) -> None:
    found = {
        "columns": 200_000, "n_steps": 40, "run": [13.0, 15.0, 12.0], "steps": [12.0, 13.0, 11.0],
        "bare": [10.0, 10.0, 10.0],
        "cpu": [24.0, 25.0, 23.0], "watched": [3.0, 3.0, 3.0], "bytes": 1.0e9, "load": 0.5,
    }  # fmt: skip
    run = _run() | {"benchmarks": [_entry(12.0, kind="run", name="whole", **found)]}
    assert report.main([str(_write(tmp_path / "run.json", run)), str(tmp_path)]) == 0
    text = (tmp_path / "run.md").read_text()
    assert (
        "| 200000 columns x 40 steps: from the first step to the last row / bare steps | 1.20 | <= 1.25 | met |" in text
    )
    assert "the whole run / bare steps | 1.30 | <= 1.25 | **missed** |" in text
    assert "share of the CPU time | 0.12 | <= 0.10 | **missed** |" in text
    assert "peak memory, GB | 1.00 | <= 1.50 | met |" in text
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run.json", "run.md"]


def test_the_large_network_has_a_report_of_its_own(tmp_path: Path) -> None:
    run = _run()
    seconds = {"ailand": [1.0, 1.2, 1.1], "openvino": [1.3] * 3, "onnxruntime": [0.99] * 3, "gemm_onednn": [0.9] * 3}
    step = {
        "seconds": seconds,
        "errors": {},
        "failures": {},
        "reasons": {"jax": "no JAX"},
        "flops": 2.2e11,
        "load": 0.5,
    }
    files = {
        "checkpoint": {"seconds": 4.0, "bytes": 1.2e9, "size": 5e8, "weights": 5e8},
        "command": {"seconds": 12.0, "bytes": 1.3e9},
        "file": {
            "seconds": 3.0, "bytes": 6e8, "weights": 5e8, "seconds_emulator": 0.1, "seconds_compile": 40.0,
            "bytes_step": 7e8, "bytes_resident": 6.5e8,
        },
    }  # fmt: skip
    common = {"kind": "large", "columns": 1000}
    run["benchmarks"] = [
        _entry(1.1, **common, name="step", network="wide", threads=2, **step),
        _entry(4.0, **common, name="files", load=0.5, **files),
    ]
    assert report.main([str(_write(tmp_path / "run.json", run)), str(tmp_path)]) == 0
    text = (tmp_path / "large.md").read_text()
    for expected in (
        "| wide, 1000 columns, 2 threads: ailand / fastest products alone | 0.82 | >= 0.9 | **missed** |",
        "| wide, 1000 columns, 2 threads: best peer / ailand | 0.90 (onnxruntime) | >= 1.1 | **missed** |",
        "| **ailand** | 1.1 s (200) |",
        "* jax: no JAX",
        "| `ailand model import`: time | 12 s | <= 10 s | **missed** |",
        "| `import_checkpoint`: peak memory / checkpoint | 2.40 | <= 2.50 | met |",
        "| first compilation | 40 s | <= 60 s | met |",
        "| resident memory afterwards |  | 650 MB (1.30) |",
    ):
        assert expected in text, expected
    assert sorted(path.name for path in tmp_path.iterdir()) == ["large.md", "run.json"]


def test_report_runs_as_a_script(tmp_path: Path) -> None:
    """As `make bench` calls it: without pytest's paths."""
    source = _write(tmp_path / "run.json", _run())
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, report.__file__, str(source), str(tmp_path)]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "cpu.md").is_file()


def test_all_bars_reached_and_each_can_be_missed(tmp_path: Path) -> None:
    results = report_data.read(_write(tmp_path / "run.json", _run()))
    names = [bar.name for bar in report_bars.judge(results)]
    assert len(names) == len(set(names)) == 2 + 4 * 5 + 6
    assert all(bar.reached is True for bar in report_bars.judge(results))
    for slower, missed in (
        ({"contestant": "ailand", "network": "layer_norm_6x512", "columns": 10_000}, 2),  # the limit and the peers
        ({"contestant": "ailand", "network": "simple_172", "columns": N320_COLUMNS}, 1),
        ({"contestant": "ailand", "network": "two_branch_128", "columns": 1}, 1),
        ({"name": "step_overhead"}, 1),
        ({"name": "land_accumulation"}, 1),
    ):
        run = _run()
        _change(run, 1.5, **slower)
        judged = report_bars.judge(report_data.read(_write(tmp_path / "run.json", run)))
        assert sum(bar.reached is False for bar in judged) == missed, slower
        assert "**missed**" in report.markdown(report_data.read(tmp_path / "run.json"), "f.png")
    for name, key, value in (
        ("cached_start", "seconds_beyond_imports", 3.1),
        ("land_compaction", "ratio", 0.41),
        ("peak_memory_bytes", "bytes", 1e9),
    ):
        run = _run()
        next(e for e in run["benchmarks"] if e["extra_info"].get("name") == name)["extra_info"][key] = value
        judged = report_bars.judge(report_data.read(_write(tmp_path / "run.json", run)))
        assert sum(bar.reached is False for bar in judged) == 1, name
    run = _run()
    next(e for e in run["benchmarks"] if e["extra_info"].get("contestant") == "ailand")["extra_info"]["error_state"] = (
        6e-6
    )
    judged = report_bars.judge(report_data.read(_write(tmp_path / "run.json", run)))
    assert [bar.found for bar in judged if bar.reached is False] == ["6.0e-06"]


def _reached(tmp_path: Path, run: dict[str, Any], name: str) -> report_bars.Bar:
    (bar,) = (b for b in report_bars.judge(report_data.read(_write(tmp_path / "run.json", run))) if b.name == name)
    return bar


def test_nobody_has_to_be_faster_than_the_processor(tmp_path: Path) -> None:
    run, name = _run(), "simple_172, 10000 columns: best peer / ailand"
    _change(run, 0.75, contestant="numpy", network="simple_172", columns=10_000)
    assert _reached(tmp_path, run, name).reached is False
    rate = next(
        e["extra_info"]["gflops"]
        for e in run["benchmarks"]
        if e["extra_info"].get("contestant") == "ailand" and e["extra_info"]["columns"] == 10_000
    )
    for share, is_reached in ((0.94, False), (0.96, True)):
        next(e for e in run["benchmarks"] if e["extra_info"]["kind"] == "multiply_adds")["extra_info"]["gflops"] = (
            rate / share
        )
        bar = _reached(tmp_path, run, name)
        assert bar.reached is is_reached
    assert bar.found == "1.05 (numpy); 1.1 would take 101 % of the peak; 96 % of the peak"


def test_bfloat16_is_judged_by_its_own_precision(tmp_path: Path) -> None:
    run = _run()
    entry = next(
        e
        for e in run["benchmarks"]
        if e["extra_info"].get("contestant") == "ailand" and e["extra_info"]["columns"] == 10_000
    )
    for contestant, cost in (("ailand_bf16", 0.5), ("openvino_blocks_bf16", 0.6)):
        extra = entry["extra_info"] | {"contestant": contestant}
        run["benchmarks"].append(_entry(entry["stats"]["median"] * cost, **extra))
    gain = "simple_172, 10000 columns, bf16: time in float32 / bf16"
    ratio = "simple_172, 10000 columns, bf16: best peer / ailand"
    assert _reached(tmp_path, run, gain)[1:] == ("2.00", ">= 1.7", True)
    assert _reached(tmp_path, run, ratio)[1:] == ("1.20 (openvino_blocks_bf16)", ">= 1.1", True)
    _change(run, 1.2, contestant="ailand_bf16")
    assert _reached(tmp_path, run, gain).reached is False
    assert _reached(tmp_path, run, ratio).reached is False


def test_what_was_not_measured_is_said(tmp_path: Path) -> None:
    run = _run()
    run["benchmarks"] = [e for e in run["benchmarks"] if e["extra_info"].get("network") == "simple_172"]
    results = report_data.read(_write(tmp_path / "run.json", run))
    judged = report_bars.judge(results)
    assert sum(bar.reached is None for bar in judged) == 2 + 3 * 5 + 5
    assert "not measured" in report.markdown(results, "f.png")
    assert report.overheads_section(results) == []


def test_gpu_run_compares_equal_precisions(tmp_path: Path) -> None:
    run = _run(device="cuda", gpu="A GPU")
    entry = next(e for e in run["benchmarks"] if e["extra_info"].get("contestant") == "ailand")
    for name, cost in (("ailand_tf32", 0.5), ("torch_compile_tf32", 1.0)):
        run["benchmarks"].append(
            _entry(entry["stats"]["median"] * cost, **(entry["extra_info"] | {"contestant": name}))
        )
    assert report.main([str(_write(tmp_path / "run.json", run)), str(tmp_path)]) == 0
    text = (tmp_path / "gpu.md").read_text()
    assert "| best peer / ailand_tf32 | 2.00 (torch_compile_tf32) |" in text
    assert "1.40 (numpy)" in text
    assert "A GPU" in text
    assert "## Targets" not in text
    assert (tmp_path / "gpu.png").is_file()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read"),
        ("{", "found no JSON"),
        ('{"benchmarks": []}', "'machine_info' is missing"),
        (json.dumps(_run() | {"benchmarks": []}), "found no step and no overhead"),
    ],
)
def test_bad_run_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture, content: str | None, message: str) -> None:
    source = tmp_path / "run.json"
    if content is not None:
        source.write_text(content)
    assert report.main([str(source), str(tmp_path)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert message in lines[0]
    assert str(source) in lines[0]


def test_missing_directory_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert report.main([str(_write(tmp_path / "run.json", _run())), str(tmp_path / "none")]) == 2
    assert "expected one for the report" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("seconds", "text"), [(2.5, "2.5 s"), (0.1234, "123 ms"), (4.56e-5, "45.6 us"), (1e-7, "0.1 us")]
)
def test_durations(seconds: float, text: str) -> None:
    assert report_data.duration(seconds) == text


def test_parts_of_a_run_are_read_as_one(tmp_path: Path) -> None:
    whole = _run()
    parts = [copy.deepcopy(whole), copy.deepcopy(whole)]
    parts[0]["benchmarks"] = whole["benchmarks"][:2]
    parts[1]["benchmarks"] = whole["benchmarks"][2:]
    paths = [_write(tmp_path / f"part{location}.json", part) for location, part in enumerate(parts)]
    assert report_data.read(*paths).steps == report_data.read(_write(tmp_path / "run.json", whole)).steps
    parts[1]["machine_info"]["ailand"]["threads"] += 1
    _write(paths[1], parts[1])
    with pytest.raises(InputError, match="part1.json: found threads"):
        report_data.read(*paths)
