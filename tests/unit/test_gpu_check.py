"""`tools/gpu_check.py` without a device: parts on their own, the page after each, what was not run and why."""

from __future__ import annotations

import importlib.util
import json
import os
import pathlib
import sys
import time
from typing import Any

import pytest

TOOL = pathlib.Path(__file__).parents[2] / "tools" / "gpu_check.py"


@pytest.fixture(scope="module")
def tool() -> Any:
    spec = importlib.util.spec_from_file_location("gpu_check", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["gpu_check"] = module
    spec.loader.exec_module(module)
    return module


def part(tool: Any, name: str, code: str, seconds: float = 20.0, lacks: str = "") -> Any:
    return tool.Part(name, "a part", lambda: [sys.executable, "-c", code], seconds, lambda: lacks)


@pytest.fixture
def parts(tool: Any, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the tool is to run, filled by a test."""
    chosen: list[Any] = []
    monkeypatch.setattr(tool, "parts", lambda *words: chosen)
    return chosen


def run(tool: Any, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, *words: str) -> tuple[int, str]:
    monkeypatch.setattr(sys, "argv", ["gpu_check.py", "--output", str(tmp_path / "gpu"), *words])
    return tool.main(), (tmp_path / "gpu" / "gpu.md").read_text()


def test_a_part_that_fails_or_hangs_keeps_none_from_being_run(tool, parts, tmp_path, monkeypatch) -> None:
    child = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(60)'])"
    parts += [
        part(tool, "fails", "print('why it fails'); raise SystemExit(2)"),
        part(tool, "hangs", child, 1.5),
        part(tool, "lacks", "", lacks="no tool on the path"),
        part(tool, "passes", "print('all is well')"),
    ]
    begun = time.monotonic()
    status, page = run(tool, tmp_path, monkeypatch)
    assert time.monotonic() - begun < 30.0
    assert status == 1
    rows = {line.split(":")[0].strip("| "): line for line in page.splitlines() if ": a part |" in line}
    assert "| failed |" in rows["fails"]
    assert "why it fails" in rows["fails"]
    assert "| stopped at its limit |" in rows["hangs"]
    assert "| not run | 0 | no tool on the path |" in rows["lacks"]
    assert "| passed |" in rows["passes"]
    assert (tmp_path / "gpu" / "passes.log").read_text() == "all is well\n"


def test_the_page_is_there_after_each_part(tool, parts, tmp_path, monkeypatch) -> None:
    page = tmp_path / "gpu" / "gpu.md"
    parts += [
        part(tool, "first", "print('one')"),
        part(tool, "second", f"print(open({os.fspath(page)!r}).read().count('| first: a part | passed |'))"),
    ]
    status, _ = run(tool, tmp_path, monkeypatch)
    assert status == 0
    assert (tmp_path / "gpu" / "second.log").read_text() == "1\n"


def test_time_that_is_over_and_what_was_not_run_are_said(tool, parts, tmp_path, monkeypatch) -> None:
    parts += [part(tool, "first", "print('one')")]
    status, page = run(tool, tmp_path, monkeypatch, "--minutes", "0")
    assert status == 3
    assert "| not run | 0 | no time was left |" in page


def test_measured_times_are_on_the_page(tool, parts, tmp_path, monkeypatch) -> None:
    measured = [
        {"extra_info": {"network": "simple_172", "columns": 171039, "contestant": name}, "stats": {"median": seconds}}
        for name, seconds in (("torch_eager", 0.004), ("ailand", 0.002))
    ]
    target = tmp_path / "gpu" / "benchmark.json"
    text = json.dumps({"benchmarks": measured})
    parts += [part(tool, "benchmark", f"open({os.fspath(target)!r}, 'w').write({text!r})")]
    _, page = run(tool, tmp_path, monkeypatch)
    rows = [line for line in page.splitlines() if line.startswith("| simple_172")]
    assert rows == ["| simple_172 | 171039 | ailand | 2.000 |", "| simple_172 | 171039 | torch_eager | 4.000 |"]


def test_without_a_device_every_part_says_why(tool, tmp_path, monkeypatch) -> None:
    """All but the environment, which would be installed."""
    monkeypatch.setattr(tool, "device_of", lambda: "")
    monkeypatch.setattr(tool.shutil, "which", lambda name: None)
    python = tmp_path / "bin" / "python"
    (tmp_path / ".whole").touch()
    whole = tool.parts(tmp_path, python, None, "")
    reasons = {one.name: one.lacks() for one in whole}
    assert reasons.pop("environment") == ""
    assert reasons.pop("code") == ""
    assert reasons.pop("nvcc") == "no nvcc on the path"
    assert reasons.pop("compile") == "no nvcc on the path"
    assert set(reasons.values()) == {"no CUDA device (nvidia-smi finds none)"}
    (tmp_path / ".whole").unlink()
    assert {one.lacks() for one in tool.parts(tmp_path, python, None, "")} == {"", "the environment was not made"}
