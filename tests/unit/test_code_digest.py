"""The key of compiled programs sees everything that makes code."""

import shutil
from pathlib import Path

import pytest

import ailand_gt4py.lowering
from ailand_gt4py.lowering.columns.column_node import code_files, digest_of

LOWERING = Path(ailand_gt4py.lowering.__file__).parent


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return shutil.copytree(LOWERING, tmp_path / "lowering", ignore=shutil.ignore_patterns("__pycache__"))


def test_every_source_and_header_of_the_room_counts(copy: Path) -> None:
    seen = {digest_of(copy)}
    files = code_files(copy)
    assert {path.name for path in files} >= {"layer_code.py", "entry.py", "kernels.hpp", "device_kernels.cuh"}
    for path in files:
        path.write_text(path.read_text() + "\n")
        digest = digest_of(copy)
        assert digest not in seen, f"a change of {path.name} goes unnoticed"
        seen.add(digest)


def test_a_new_file_and_a_new_name_count_and_compiled_python_does_not(copy: Path) -> None:
    before = digest_of(copy)
    (copy / "cpu" / "new.pyc").write_text("")
    assert digest_of(copy) == before == digest_of(LOWERING)
    (copy / "cpu" / "new_code.py").write_text("")
    after = digest_of(copy)
    (copy / "cpu" / "new_code.py").rename(copy / "cpu" / "other_code.py")
    assert len({before, after, digest_of(copy)}) == 3
