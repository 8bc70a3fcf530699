"""Marks of this program's own files and stores: what cannot be read carries none, and is not waited for."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.io.marks import SOURCE, require_own


def test_a_store_with_the_mark_is_own(tmp_path: Path) -> None:
    (tmp_path / ".zattrs").write_text(json.dumps({"source": f"{SOURCE}1.0"}))
    require_own(tmp_path)


def test_a_store_of_another_format_stays(tmp_path: Path) -> None:
    (tmp_path / "zarr.json").write_text(json.dumps({"attributes": {"source": f"{SOURCE}1.0"}}))
    with pytest.raises(InputError, match=r"found 'zarr\.json' in it"):
        require_own(tmp_path)


@pytest.mark.parametrize("name", [".zattrs", "zarr.json"])
def test_a_pipe_in_a_store_is_not_waited_for(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(InputError, match="is not of this program"):
        require_own(tmp_path)


@pytest.mark.parametrize("name", [".zattrs", "zarr.json"])
@pytest.mark.parametrize("text", ["", "null", "1", '"ab"', "[1]", "{", "[" * 100_000, '{"attributes": 1}'])
def test_odd_attributes_are_no_mark(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match="is not of this program"):
        require_own(tmp_path)
