"""Groups of columns that scores are shown for: region, climate, soil, snow, dryness, events, and a held-out box."""

from __future__ import annotations

import dataclasses

import numpy as np

from ailand_gt4py.core.constants import VAPORISATION_HEAT
from ailand_gt4py.core.types import Values
from ailand_gt4py.ecland.soil_tables import SOILS
from ailand_gt4py.io.sources import ColumnSource
from ailand_gt4py.io.units import conversion
from ailand_gt4py.weights.variables import CATALOGUE

#: The Europe-like box that aiLand's training data here hold out: south, north, west, east, degrees.
HELD_OUT_BOX = (35.5, 71.5, -11.0, 32.5)
#: Snow cover above which a time counts as snow-covered, 1.
SNOW_COVERED = 0.5
#: Upper edges of the mean number of snow-covered days a year, and the names of the grouping and its classes.
SNOW_EDGES = (30.0, 120.0)
SNOW_REGIME = "snow regime"
EVENTS = "extreme events"
SNOW_CLASSES = ("no snow", "below 30 days", "30 to 120 days", "above 120 days")
#: Upper edges of the radiative index of dryness, 1, and the names of the grouping and its classes: Budyko (1974,
#: Climate and Life, Academic Press) has forest below 1, steppe up to 2, semi-desert and desert above.
DRYNESS_EDGES = (1.0, 2.0)
DRYNESS = "index of dryness"
DRYNESS_CLASSES = ("below 1", "1 to 2", "above 2")
DAYS_PER_YEAR = 365.25


@dataclasses.dataclass(frozen=True)
class Grouping:
    """Classes of the columns, in the order in which they are shown; labels: (n_columns,), of several classes "a,b"."""

    name: str
    labels: Values
    classes: tuple[str, ...]

    def members(self, name: str) -> Values:
        """(n_columns,) which columns are in a class."""
        return np.array([label == name or name in label.split(",") for label in self.labels.tolist()])


@dataclasses.dataclass(frozen=True)
class ColumnLocations:
    """Where columns of labels x are, degrees (longitude from -180 to 180), and the groupings that their file has."""

    x: Values
    latitude: Values
    longitude: Values
    groupings: tuple[Grouping, ...]

    @property
    def in_box(self) -> Values:
        """(n_columns,) whether a column is in the held-out box."""
        return inside_box(self.latitude, self.longitude)

    def grouping(self, name: str) -> Grouping | None:
        """The grouping of a name, None where the file has none."""
        return next((grouping for grouping in self.groupings if grouping.name == name), None)


def snow_regime(snow_cover: Values) -> Grouping:
    """Classes by the mean number of days a year with more than half of the ground under snow, (n_times, n_columns)."""
    days = (snow_cover > SNOW_COVERED).mean(axis=0) * DAYS_PER_YEAR
    labels = np.array(SNOW_CLASSES)[np.where(days == 0.0, 0, 1 + np.digitize(days, SNOW_EDGES))]
    return Grouping(SNOW_REGIME, labels, tuple(name for name in SNOW_CLASSES if (labels == name).any()))


def dryness(net_radiation: Values, precipitation: Values) -> Grouping:
    """Classes by mean net radiation (W m-2) over what would evaporate the mean precipitation (kg m-2 s-1).

    Both are (n_times, n_columns). Where nothing falls the index is infinite; where no net radiation comes in, 0.
    """
    radiation = np.maximum(net_radiation.mean(axis=0), 0.0)
    heat = VAPORISATION_HEAT * precipitation.mean(axis=0)
    index = np.divide(radiation, heat, out=np.full_like(heat, np.inf), where=heat > 0.0)
    labels = np.array(DRYNESS_CLASSES)[np.digitize(index, DRYNESS_EDGES)]
    return Grouping(DRYNESS, labels, tuple(name for name in DRYNESS_CLASSES if (labels == name).any()))


def soil_types(numbers: Values) -> Grouping:
    """Classes by ecLand's soil texture type, (n_columns,) integers 1 to 7."""
    types = np.rint(numbers).astype(int)
    names = {number: f"{number} {SOILS[number].name}" if number in SOILS else str(number) for number in sorted(types)}
    return Grouping("soil type", np.array([names[number] for number in types]), tuple(names.values()))


def texts(name: str, labels: Values) -> Grouping:
    """Classes by a text such as the climate, in alphabetical order; underscores become blanks."""
    clean = np.array([str(label).replace("_", " ") for label in labels])
    return Grouping(name, clean, tuple(sorted(set(clean.tolist()))))


def events(labels: Values) -> Grouping:
    """Classes by the extreme events that a column's weather has, "none" or such as "drought,heat"."""
    classes = {one for label in labels for one in label.split(",")}
    return Grouping(EVENTS, labels, tuple(sorted(classes, key=lambda one: (one != "none", one))))


def inside_box(latitude: Values, longitude: Values) -> Values:
    """Which columns are in `HELD_OUT_BOX`."""
    south, north, west, east = HELD_OUT_BOX
    return (latitude >= south) & (latitude <= north) & (longitude >= west) & (longitude <= east)


def locations_of(source: ColumnSource) -> ColumnLocations:
    """Of the columns of a source; groups whose variables it lacks (``region``, ``climate``, ...) are left out."""
    named = {name: source.texts(name) for name in ("region", "climate")}
    groupings = [texts(name, labels) for name, labels in named.items() if labels is not None]
    soil = source.field("clim_sotype", "1")
    if soil is not None and np.isfinite(soil).all():
        groupings.append(soil_types(soil))
    if not source.lacks("snowc"):
        groupings.append(snow_regime(_through_time(source, "snowc", "1")))
    balance = ("ssr", "str", "met_rainf", "met_snowf")
    if not any(map(source.lacks, balance)):
        # A last label without a window of its own has no means.
        short, long, rain, snow = (_through_time(source, name, CATALOGUE[name].units)[:-1] for name in balance)
        if np.isfinite(short).all() and np.isfinite(long).all():
            groupings.append(dryness(short + long, rain + snow))
    kinds = source.texts("year_kind")
    if kinds is not None:
        groupings.append(events(kinds))
    longitude = (source.longitude + 180.0) % 360.0 - 180.0
    return ColumnLocations(source.x, source.latitude, longitude, tuple(groupings))


def _through_time(source: ColumnSource, name: str, units: str) -> Values:
    """(n_times, n_columns) of a variable that a source has, in some units."""
    model = source.model
    own = {one.name: one.units for one in (*model.forcing, *model.state, *model.diagnostics)}
    straight = conversion(own.get(name, CATALOGUE[name].units), units, name)
    return straight.apply(source.reference([name], 0, len(source.times))[..., 0].astype(np.float64))
