"""What the user tells of a site: tower files have little of where they stand, and nothing of the soil."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Site:
    """What is told of one site, for conventions of its files; None: not told.

    Attributes:
        latitude, longitude: degrees. elevation: m above sea level.
        nearby: latitude and longitude of what belongs to the file, for one that does not tell where it is.
        utc_offset: of the clock of the file, hours to be subtracted from its times to get UTC.
        igbp: class of land cover, such as ``GRA``. soil_type: ecLand's texture class, 1 to 7.
        estimates_longwave: whether downward long-wave radiation that is missing is estimated.
        measured_only: whether observations that somebody filled in are left out of a reference.
    """

    latitude: float | None = None
    longitude: float | None = None
    elevation: float | None = None
    nearby: tuple[float, float] | None = None
    utc_offset: float | None = None
    igbp: str | None = None
    soil_type: int | None = None
    estimates_longwave: bool = False
    measured_only: bool = False
