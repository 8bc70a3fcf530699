"""Fixtures for all tests."""

import os
import pathlib

import pytest


@pytest.fixture(scope="session")
def shared() -> pathlib.Path:
    """The project's folder of data, checkpoints and reference results, which is not part of the repository."""
    default = pathlib.Path(__file__).resolve().parents[2] / "shared"
    directory = pathlib.Path(os.environ.get("AILAND_SHARED", default))
    if not (directory / "reference").is_dir():
        pytest.skip(f"no reference data: neither AILAND_SHARED nor {default.name}/ beside the checkout holds any")
    return directory
