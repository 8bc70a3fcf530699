"""Types of vegetation of ecLand by the land cover classes of the IGBP, and what goes with them at a site.

The classes are those of Loveland and Belward 1997 (doi:10.1080/014311697218074), as FLUXNET and MODIS (MCD12Q1) give
them. Types and covers are the choice of this package: at a tower the cover is that within its footprint, a few hundred
metres around it.
"""

from __future__ import annotations

from typing import NamedTuple

from ailand_gt4py.core.errors import InputError


class LandCover(NamedTuple):
    """A class: its short and long name, and ecLand's types and covers of high and low vegetation."""

    short: str
    name: str
    high_type: int
    high_cover: float
    low_type: int
    low_cover: float


#: Number of the class -> what ecLand has there.
CLASSES: dict[int, LandCover] = {
    1: LandCover("ENF", "evergreen needleleaf forest", 3, 0.90, 2, 0.10),
    2: LandCover("EBF", "evergreen broadleaf forest", 6, 0.95, 2, 0.05),
    3: LandCover("DNF", "deciduous needleleaf forest", 4, 0.90, 2, 0.10),
    4: LandCover("DBF", "deciduous broadleaf forest", 5, 0.90, 2, 0.10),
    5: LandCover("MF", "mixed forest", 18, 0.90, 2, 0.10),
    6: LandCover("CSH", "closed shrubland", 0, 0.0, 16, 0.80),
    7: LandCover("OSH", "open shrubland", 0, 0.0, 17, 0.50),
    8: LandCover("WSA", "woody savanna", 19, 0.50, 7, 0.50),
    9: LandCover("SAV", "savanna", 19, 0.25, 7, 0.70),
    10: LandCover("GRA", "grassland", 0, 0.0, 2, 0.95),
    11: LandCover("WET", "permanent wetland", 0, 0.0, 13, 0.95),
    12: LandCover("CRO", "cropland", 0, 0.0, 1, 0.95),
    14: LandCover("CVM", "mosaic of cropland and natural vegetation", 19, 0.20, 1, 0.75),
    16: LandCover("BSV", "barren or sparsely vegetated", 0, 0.0, 11, 0.20),
}

#: Other names of classes: FLUXNET's for MODIS' 14.
_OTHER_NAMES = {"CNM": 14, "BAR": 16, "SPV": 16}


def number_of(name: str) -> int:
    """The number of a class by its short name, such as ``GRA``, in any case.

    Raises:
        InputError: none that ecLand has vegetation for.
    """
    known = {one.short: number for number, one in CLASSES.items()} | _OTHER_NAMES
    number = known.get(name.strip().upper())
    if number is None:
        raise InputError(f"land cover: found '{name[:40]}', expected one of {', '.join(known)} (IGBP)")
    return number
