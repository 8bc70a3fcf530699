"""Archives of files, as the Climate Data Store delivers two types of step."""

from __future__ import annotations

import zipfile
from pathlib import Path

import era5_files
import numpy as np
import pytest
from era5_files import cds_files

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.io import conventions, opening

HOURS = 24


def archive(path: Path, files: list[Path]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for file in files:
            target.write(file, file.name)
    return path


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return cds_files(tmp_path, HOURS)[:2]


def test_files_of_an_archive_are_one(tmp_path: Path, files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "unpacked"))
    (tmp_path / "unpacked").mkdir()
    fields = conventions.read(archive(tmp_path / "download.zip", files))
    assert fields.convention == "ERA5"
    assert (fields.meanings["met_tair"].kind, fields.meanings["met_swdown"].kind) == ("point", "sum")
    found = fields.dataset["met_swdown"].values.reshape(HOURS + 1, -1)
    np.testing.assert_array_equal(found, era5_files.era5(HOURS)["ssrd"].astype(np.float32))
    data, size = opening.open_file(tmp_path / "download.zip")
    assert size == (tmp_path / "download.zip").stat().st_size
    assert len(list((tmp_path / "unpacked").iterdir())) == 2
    data.close()
    assert len(list((tmp_path / "unpacked").iterdir())) == 1, "gone when it is closed"


def test_files_of_other_times_are_refused(tmp_path: Path, files: list[Path]) -> None:
    (tmp_path / "later").mkdir()
    later = cds_files(tmp_path / "later", HOURS + 6)[1]
    with pytest.raises(InputError, match=r"in\.zip: its files are of different times or grids"):
        opening.open_file(archive(tmp_path / "in.zip", [files[0], later]))


def test_damage_and_bombs_are_refused(tmp_path: Path, files: list[Path]) -> None:
    content = bytearray(archive(tmp_path / "in.zip", files).read_bytes())
    content[200:260] = bytes(60)
    (tmp_path / "bad.zip").write_bytes(content)
    with pytest.raises(InputError, match=r"bad\.zip: .* cannot be unpacked"):
        opening.open_file(tmp_path / "bad.zip")
    (tmp_path / "huge.nc").write_bytes(bytes(2**28))
    with pytest.raises(InputError, match=r"bomb\.zip: would unpack to"):
        opening.open_file(archive(tmp_path / "bomb.zip", [tmp_path / "huge.nc"]))
