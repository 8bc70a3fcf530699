"""Every option of ``ailand-icon4py-run``; ICON4Py need not be there to read them."""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np
from pydantic import model_validator

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.option_types import FigureFile, File, Time
from ailand_gt4py.core.settings import CommandOptions, option


class RunOptions(CommandOptions):
    """
    Run ICON4Py from the Jablonowski-Williamson initial state, with aiLand as its land surface on idealised continents,
    and write the exchange between land and atmosphere.
    """

    program: ClassVar[str] = "ailand-icon4py-run"
    epilog: ClassVar[str] = f"""\
examples:
  {program} --grid R2B3 --hours 24 -o coupled.nc --plot coupled.png
  {program} --grid R2B2 --hours 12 --no-dynamics -o coupled.nc      # no dynamical core: little to compile

With the dynamical core, the first run on a grid takes long to compile (tens of minutes on two cores). Set
GT4PY_BUILD_CACHE_LIFETIME=persistent to keep the compiled programs in GT4PY_BUILD_CACHE_DIR.

exit status: 0 done; 1 failed while running; 2 input or usage is wrong; 130 interrupted.
"""

    grid: str = option("R2B3", "name of a global grid to generate, or an ICON grid file")
    hours: float = option(24.0, "simulated time, hours", gt=0.0)
    dtime: int = option(300, "time step of the host", metavar="SECONDS", gt=0)
    substeps: int = option(1, "dynamics substeps per time step", gt=0)
    levels: int = option(20, "atmospheric levels", gt=0)
    dynamics: bool = option(True, "run the dynamical core (default: yes)")
    moisture: bool = option(True, "carry water vapour (not advected; default: yes)")
    backend: str | None = option(None, "ICON4Py's backend (default: gtfn_cpu; embedded without dynamics)")
    land_backend: str | None = option(None, "the land's backend (default: dace_cpu)")
    land_interval: float | None = option(
        None, "interval between calls of the land (default: its own step)", metavar="HOURS", gt=0.0
    )
    implicit: bool = option(True, "couple implicitly: fluxes respond to the air within a window (default: yes)")
    mixing_height: float = option(
        1000.0, "height up to which the land's heat and vapour are mixed into the air", metavar="M", ge=0.0
    )
    record: int = option(3600, "simulated time between records", metavar="SECONDS", gt=0)
    start: Time = option(
        np.datetime64("2008-09-01", "ns"), "start of the run, UTC (default: 2008-09-01)", metavar="TIME"
    )
    model: File | None = option(None, "model file (default: the model in the package)", metavar="MODEL.nc")
    grids: File | None = option(None, "directory to keep generated grids in (default: not kept)", metavar="DIRECTORY")
    output: File | None = option(None, "write the records to this netCDF file", "-o", metavar="OUT.nc")
    plot: FigureFile | None = option(None, "write a figure (.png, .pdf or .svg)", metavar="FIGURE")

    @model_validator(mode="after")
    def _check_steps(self) -> Self:
        if self.n_steps <= 0 or round(self.hours * 3600) % self.dtime:
            raise InputError(
                f"option --hours: found {self.hours:g}, expected a whole number of steps of {self.dtime} s"
            )
        if self.record % self.dtime:
            raise InputError(f"option --record: found {self.record}, expected a multiple of the step of {self.dtime} s")
        return self

    @property
    def n_steps(self) -> int:
        return round(self.hours * 3600) // self.dtime

    @property
    def host_backend(self) -> str:
        """ICON4Py's name of its backend."""
        return self.backend or ("gtfn_cpu" if self.dynamics else "embedded")

    @property
    def start_text(self) -> str:
        """The start as ICON4Py reads it."""
        return str(np.datetime_as_string(self.start, unit="s"))
