"""Models tuned on some sites, kept from one run of the study to the next."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ailand_gt4py.core.settings import read_settings, read_yaml
from ailand_gt4py.training import session
from ailand_gt4py.training.configuration import Configuration
from ailand_gt4py.training.models import file_digest
from ailand_gt4py.weights.model import Model
from ailand_gt4py.weights.model_file import read_model, write_model
from ailand_gt4py.weights.schema import checksum
from studies.fluxes.sites import Site

CONFIGURATION = Path(__file__).with_name("configuration.yaml")
#: Columns of ecLand beside which is tuned.
REHEARSAL = "ecland_synth_6h_train_d.nc"
#: So often windows of towers are drawn for the 394 000 of ecLand's columns: about a third of all, whichever towers.
TOWER_WINDOWS = 200_000


@dataclasses.dataclass(frozen=True)
class Tuning:
    """What is tuned, on which data of ecLand, and where models are kept."""

    start: Model
    data: Path
    work: Path

    def model(self, sites: Sequence[Site], learns: str, share: float = 1.0) -> Model:
        """The model tuned on the first share of the time of some sites, unless it is there already."""
        paths = [self._first(site.path, share) for site in sites]
        files = [*paths, self.data / REHEARSAL]
        options = self._options(learns, paths)
        content = f"{options}{checksum(self.start)}{[file_digest(path) for path in paths]}"
        directory = self.work / f"{learns}_{hashlib.sha256(content.encode()).hexdigest()[:12]}"
        output = directory / "model.nc"
        if output.exists():
            return read_model(output)
        directory.mkdir(parents=True, exist_ok=True)
        write_model(self.start, directory / "start.nc")
        run = options["run"] | {"start_from": str(directory / "start.nc"), "directory": str(directory)}
        configuration = read_settings(Configuration, options | {"run": run})
        return session.train(configuration, files, output, False, "python -m studies.fluxes", lambda line: None)

    def _options(self, learns: str, paths: Sequence[Path]) -> dict[str, Any]:
        options = dict(read_yaml(CONFIGURATION))
        names = [path.name for path in paths]
        frequency = max(1, round(TOWER_WINDOWS / sum(map(_windows, paths))))
        data = {"train": [*names, REHEARSAL], "frequency": dict.fromkeys(names, frequency)}
        changes = {"data": data, "adaptation": {"learns": learns}}
        return options | {name: options[name] | change for name, change in changes.items()}

    def _first(self, path: Path, share: float) -> Path:
        """The file, or one of the first share of its times."""
        if share == 1.0:
            return path
        part = self.work / f"{path.stem}_{share:g}.nc"
        if not part.exists():
            part.parent.mkdir(parents=True, exist_ok=True)
            with xr.open_dataset(path) as data:
                data.isel(time=slice(0, round(share * data.sizes["time"]))).to_netcdf(part)
        return part


def _windows(path: Path) -> int:
    with xr.open_dataset(path) as data:
        return data.sizes["x"] * (data.sizes["time"] - 1)


def years(sites: Sequence[Site], share: float = 1.0) -> float:
    """Site-years that are learnt from."""
    spans = [site.columns.times[-1] - site.columns.times[0] for site in sites]
    return float(share * sum(span / np.timedelta64(1, "D") for span in spans) / 365.25)
