"""Fixtures for all tests."""

import gc
import os
import pathlib

import pytest
from hypothesis import settings

# The same examples each time: what a random one finds must not stop a change that has nothing to do with it.
# `make fuzz` looks further: --hypothesis-profile=explore.
settings.register_profile("reproducible", derandomize=True)
settings.register_profile("explore", derandomize=False, max_examples=1000, print_blob=True)
settings.load_profile("reproducible")


def pytest_collection_finish() -> None:
    """What has been imported by now, 700 000 objects, stays: every search for garbage would look at it in vain."""
    gc.freeze()


@pytest.fixture(scope="session")
def shared() -> pathlib.Path:
    """The project's folder of data, checkpoints and reference results, which is not part of the repository."""
    default = pathlib.Path(__file__).resolve().parents[2] / "shared"
    directory = pathlib.Path(os.environ.get("AILAND_SHARED", default))
    if not (directory / "reference").is_dir():
        pytest.skip(f"no reference data: neither AILAND_SHARED nor {default.name}/ beside the checkout holds any")
    return directory
