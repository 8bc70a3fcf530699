"""The example of a component on every rank: any number of ranks gives the same bits."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

EXAMPLE = Path(__file__).parents[2] / "examples" / "many_ranks" / "many_ranks.py"


def mpiexec() -> str:
    """The launcher of this environment's MPI, or of the machine's."""
    beside = Path(sys.executable).parent / "mpiexec"
    return str(beside) if beside.is_file() else shutil.which("mpiexec") or ""


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("mpi4py") is None, reason="mpi4py is not installed (extra 'mpi')"),
    pytest.mark.skipif(not mpiexec(), reason="no 'mpiexec' was found"),
]


def run(n_ranks: int, output: Path) -> xr.Dataset:
    command = [mpiexec(), "-n", str(n_ranks), sys.executable, str(EXAMPLE), str(output)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    for rank in range(n_ranks):
        assert f"rank {rank} of {n_ranks}:" in done.stdout
    with xr.open_dataset(output) as data:
        return data.load()


def test_two_ranks_give_the_bits_of_one(tmp_path: Path) -> None:
    whole, parts = run(1, tmp_path / "one.nc"), run(2, tmp_path / "two.nc")
    land = np.isfinite(whole["surface_temperature"].values)
    assert 0.2 < land.mean() < 0.8
    assert len(whole.data_vars) > 10
    for name, values in whole.data_vars.items():
        assert values.values.tobytes() == parts[name].values.tobytes(), name
