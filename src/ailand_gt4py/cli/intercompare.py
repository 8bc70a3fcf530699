"""``ailand intercompare RUN``: a run at a site as a file for intercomparisons of land models."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import model_validator

import ailand_gt4py
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.option_types import File, suffixed
from ailand_gt4py.core.settings import CommandOptions, option

logger = logging.getLogger(__name__)

#: In names of files and attributes: parts of CalLMIP's names are separated by underscores.
_WORD = re.compile(r"[A-Za-z0-9.-]+")
#: What an option is to CalLMIP in names of files.
_SHORT = {"Calibration": "Cal", "Validation": "Val"}


class Options(CommandOptions):
    """
    Write a run of ailand-column-run at one site in the layout of a land-model intercomparison (modelevaluation.org):
    turbulent fluxes positive upward, times in the site's local time. docs/evaluation.md lists the variables.
    """

    program: ClassVar[str] = "ailand intercompare"
    epilog: ClassVar[str] = """\
layouts:
  alma     ALMA's names, (time, y, x) as in PLUMBER2's files; every step, or local days with --daily
  callmip  CalLMIP, Phase 1b: daily means with CMIP's names; file name as in the protocol:
           MODEL_Phase1b_ScenN_SITE_Cal|Val_Prior|Posterior.nc
"""

    run: File = option(..., "output file of ailand-column-run at one site", positional=True, metavar="RUN.nc")
    site_code: str = option(..., "code of the site, such as FI-Hyy", metavar="NAME")
    layout: Literal["alma", "callmip"] = option("alma", "layout of the file")
    output: Annotated[File, suffixed(".nc")] | None = option(
        None, "file to write (default: in this directory, MODEL_SITE.nc or CalLMIP's name)", "-o", metavar="OUT.nc"
    )
    daily: bool = option(False, "means over local days instead of every step (always with callmip)")
    utc_offset: float | None = option(
        None, "the site's local time minus UTC (default: from its longitude)", metavar="HOURS", ge=-12.0, le=14.0
    )
    model_name: str = option(
        # Less the commit of a version between releases, whose "+" no protocol takes.
        f"aiLand.{ailand_gt4py.__version__.partition('+')[0]}",
        "name and version of the model",
        metavar="NAME.VERSION",
    )
    institution: str | None = option(None, "global attribute 'institution'", metavar="TEXT")
    contact: str | None = option(None, "global attribute 'contact'", metavar="TEXT")
    scenario: int = option(1, "callmip: calibration scenario", metavar="N", ge=1, le=6)
    stage: Literal["Prior", "Posterior"] = option("Prior", "callmip: before or after calibration")
    sites: Literal["Calibration", "Validation"] = option("Calibration", "callmip: group of sites")
    overwrite: bool = option(False, "replace an existing file")

    @model_validator(mode="after")
    def _check_names(self) -> Self:
        for name in ("site_code", "model_name"):
            found = getattr(self, name)
            if not _WORD.fullmatch(found):
                raise InputError(
                    f"option --{name.replace('_', '-')}: found '{found}', expected letters, digits, '-' and '.'"
                )
        return self

    @model_validator(mode="after")
    def _check_layout(self) -> Self:
        of_callmip = [name for name in ("scenario", "stage", "sites") if getattr(self, name) != self._default(name)]
        if self.layout != "callmip" and of_callmip:
            raise InputError(f"option --{of_callmip[0]} is for callmip, expected --layout callmip beside it")
        return self

    @classmethod
    def _default(cls, name: str) -> object:
        return cls.model_fields[name].default

    @property
    def callmip_name(self) -> str:
        """Of a file, by the protocol."""
        kind = _SHORT[self.sites]
        return f"{self.model_name}_Phase1b_Scen{self.scenario}_{self.site_code}_{kind}_{self.stage}.nc"

    @property
    def output_path(self) -> Path:
        own = self.callmip_name if self.layout == "callmip" else f"{self.model_name}_{self.site_code}.nc"
        return self.output or Path(own)

    @property
    def paths_written(self) -> list[Path]:
        return [self.output_path]


def run(options: Options) -> None:
    """Read the run, write the file, and say what it has and what it lacks."""
    from ailand_gt4py.io import intercomparison
    from ailand_gt4py.io.local_time import longitude_offset
    from ailand_gt4py.io.output import now

    path = options.output_path
    if path.exists() and not options.overwrite:
        raise InputError(f"output {path} exists, expected a name that is free, or --overwrite")
    site = intercomparison.read_run(options.run)
    offset = longitude_offset(site.longitude) if options.utc_offset is None else options.utc_offset
    attributes = {
        "Conventions": "CF-1.11",
        "title": site.attributes.get("title", ""),
        "Model": options.model_name,
        "institution": options.institution,
        "contact": options.contact,
        "site_code": options.site_code,
        "time_zone": f"local standard time, UTC{offset:+g}",
        "inputs_outside_training_range": site.outside,
        "source": site.attributes.get("source", ""),
        "references": site.attributes.get("references", ""),
        "model_checksum": site.attributes["model_checksum"],
        "history": f"{now()}: {options.command_line()}\n{site.attributes.get('history', '')}",
    }
    if options.layout == "callmip":
        attributes |= {
            "CalLMIP_Phase": "Phase1b",
            "Calibration_Scenario": f"Scen{options.scenario}",
            "Calibration_stage": options.stage,
            "Cal_Val": options.sites,
        }
    texts = {name: text for name, text in attributes.items() if text}
    if options.layout == "callmip":
        made = intercomparison.callmip(site, offset, texts)
        if path.name != options.callmip_name:
            logger.warning("%s: CalLMIP expects the name %s", path, options.callmip_name)
    else:
        made = intercomparison.alma(site, offset, options.daily, texts)
    made.write(path)
    named = [one.name for one in made.variables if one.dimensions[:1] == ("time",) and one.name != "time"]
    days = "days" if options.daily or options.layout == "callmip" else "steps"
    print(f"wrote {path}: {made.dimensions['time']} {days}, UTC{offset:+g}: {', '.join(named)}")
    if made.lacking:
        print(f"Not in the run: {', '.join(made.lacking)}.")
    if options.layout == "callmip":
        print(f"Asked for by CalLMIP, and not given by the emulator: {', '.join(intercomparison.NOT_GIVEN)}.")
    print(f"Inputs outside the training range: {site.outside}.")
