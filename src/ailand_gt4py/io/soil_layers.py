"""Soil moisture and temperature by depth, as CF has them, in ecLand's layers (0-7, 7-28, 28-100 and 100-289 cm).

A layer that a file has, too, is taken as it is. Of other layers, water is averaged by the parts of ecLand's layer that
they fill, which keeps its amount, and temperature lies on the straight line between their middles.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from pathlib import Path

import numpy as np
import xarray as xr

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.types import Values
from ailand_gt4py.ecland.soil_heat import WATER_DENSITY
from ailand_gt4py.ecland.soil_tables import LAYER_EDGES, LAYER_MIDDLES, LAYER_THICKNESS
from ailand_gt4py.io.units import conversion

#: CF standard name -> beginning of the names of ecLand's layers.
STEMS = {
    "volume_fraction_of_condensed_water_in_soil": "swvl",
    "mass_content_of_water_in_soil_layer": "swvl",
    "moisture_content_of_soil_layer": "swvl",
    "soil_temperature": "stl",
}
#: Those that are masses over the ground, of a layer.
_MASSES = {"mass_content_of_water_in_soil_layer", "moisture_content_of_soil_layer"}
#: Depths that differ less are the same, m.
SAME = 1e-3


@dataclasses.dataclass(frozen=True)
class SoilVariable:
    """A variable of a file over a dimension of depth.

    Attributes:
        own_name: the file's. stem: see `STEMS`. is_mass: whether it is kg m-2 of a layer. dimension: of the depth.
        middles: (n,), m, increasing. tops, bottoms: of the layers, None where the file does not tell them.
        order: (n,), indices along the dimension from the top down.
        what: names file and variable, for messages.
    """

    own_name: str
    stem: str
    is_mass: bool
    dimension: str
    middles: Values
    tops: Values | None
    bottoms: Values | None
    order: Values
    what: str

    def in_layers(self, array: xr.DataArray) -> tuple[dict[str, xr.DataArray], list[str], dict[str, str]]:
        """ecLand's layers of the variable, lazily; what was done to get them; of others, why they cannot be had."""
        found, sentences, lacking = dict[str, xr.DataArray](), list[str](), dict[str, str]()
        parts = [array.isel({self.dimension: int(index)}, drop=True) for index in self.order]
        if self.is_mass and self.tops is not None and self.bottoms is not None:
            thickness = self.bottoms - self.tops
            parts = [part / (WATER_DENSITY * float(one)) for part, one in zip(parts, thickness, strict=True)]
        for layer in range(len(LAYER_THICKNESS)):
            name = f"{self.stem}{layer + 1}"
            try:
                weights, how = self._weights(layer)
            except InputError as error:
                lacking[name] = str(error)
                continue
            used = np.flatnonzero(weights)
            value = parts[used[0]]
            if len(used) > 1:
                value = sum((parts[k] * float(weights[k]) for k in used[1:]), parts[used[0]] * float(weights[used[0]]))
            units = {"units": "m3 m-3"} if self.is_mass else {}
            found[name] = value.astype(array.dtype).assign_attrs(array.attrs | units)
            sentences.append(f"{name} {how}")
        mass = " (divided by the thickness of its layers)" if self.is_mass else ""
        note = [f"Soil layers of '{self.own_name}'{mass} by depth: {'; '.join(sentences)}."] if sentences else []
        return found, note, lacking

    def _weights(self, layer: int) -> tuple[Values, str]:
        """Of each of the variable's layers in one of ecLand's, and how that is had."""
        top, bottom = LAYER_EDGES[layer : layer + 2]
        wanted = f"{self.stem}{layer + 1}, {100.0 * top:g} to {100.0 * bottom:g} cm"
        weights = np.zeros(len(self.middles))
        if self.tops is not None and self.bottoms is not None:
            same = np.flatnonzero((abs(self.tops - top) < SAME) & (abs(self.bottoms - bottom) < SAME))
            if same.size:
                weights[same[0]] = 1.0
                return weights, "as it is"
        if self.stem == "stl":
            return self._on_line(layer, wanted)
        if self.tops is None or self.bottoms is None:
            raise InputError(f"{self.what} has depths without bounds, expected bounds of its layers for {wanted}")
        weights = np.maximum(np.minimum(self.bottoms, bottom) - np.maximum(self.tops, top), 0.0)
        if weights.sum() < bottom - top - SAME:
            raise InputError(
                f"{self.what} has layers from {100.0 * self.tops[0]:g} to {100.0 * self.bottoms[-1]:g} cm, expected "
                f"them to fill {wanted}"
            )
        return weights / weights.sum(), f"averaged over {self._shown(np.flatnonzero(weights))}"

    def _on_line(self, layer: int, wanted: str) -> tuple[Values, str]:
        """On the straight line between middles; at the ends the nearest one, where that is in ecLand's layer."""
        (top, bottom), depth, middles = LAYER_EDGES[layer : layer + 2], LAYER_MIDDLES[layer], self.middles
        first = middles[0] if self.tops is None else self.tops[0]
        last = middles[-1] if self.bottoms is None else self.bottoms[-1]
        if (first > depth and middles[0] > bottom) or (last < depth and middles[-1] < top):
            raise InputError(
                f"{self.what} is known from {100.0 * first:g} to {100.0 * last:g} cm, expected it to reach {wanted}"
            )
        weights = np.zeros(len(middles))
        at = float(np.clip(depth, middles[0], middles[-1]))
        above = min(int(np.searchsorted(middles, at, side="right")) - 1, max(len(middles) - 2, 0))
        part = (at - middles[above]) / (middles[above + 1] - middles[above]) if len(middles) > 1 else 0.0
        weights[above] = 1.0 - part
        if part:
            weights[above + 1] = part
        shown = " and ".join(f"{100.0 * middles[k]:g}" for k in np.flatnonzero(weights))
        return weights, f"{'interpolated between' if 0.0 < part < 1.0 else 'as at'} {shown} cm"

    def _shown(self, layers: Values) -> str:
        assert self.tops is not None
        assert self.bottoms is not None
        return ", ".join(f"{100.0 * self.tops[k]:g}-{100.0 * self.bottoms[k]:g}" for k in layers) + " cm"


def soil_variables(path: Path, dataset: xr.Dataset, taken: Collection[str]) -> list[SoilVariable]:
    """The variables of a file (unread) by depth of the soil, by CF's standard names.

    Args:
        taken: names of layers that the file has by other names; what gives these only is left out.

    Raises:
        InputError: depths that are none, or bounds that do not fit them.
    """
    found: dict[str, SoilVariable] = {}
    for own, array in dataset.data_vars.items():
        standard_name = str(array.attrs.get("standard_name", ""))
        stem = STEMS.get(standard_name)
        dimension = next((str(name) for name in array.dims if _is_depth(dataset, str(name))), None)
        known = {f"{stem}{layer}" for layer in range(1, len(LAYER_THICKNESS) + 1)}
        if stem is None or dimension is None or stem in found or known <= set(taken):
            continue
        what = f"{path}: variable '{own}'"
        middles, tops, bottoms = _depths(dataset, dimension, f"{path}: variable '{dimension}'")
        order = np.argsort(middles)
        if tops is not None and bottoms is not None:
            tops, bottoms = tops[order], bottoms[order]
        found[stem] = SoilVariable(
            str(own), stem, standard_name in _MASSES, dimension, middles[order], tops, bottoms, order, what
        )
    return list(found.values())


def _is_depth(dataset: xr.Dataset, name: str) -> bool:
    """Whether a dimension has depths."""
    if name not in dataset.variables or dataset[name].dims != (name,):
        return False
    attributes = dataset[name].attrs
    return attributes.get("standard_name") == "depth" or ("depth" in name.lower() and "units" in attributes)


def _depths(dataset: xr.Dataset, name: str, what: str) -> tuple[Values, Values | None, Values | None]:
    """Depths, m, and tops and bottoms of the layers where they are told or follow."""
    coordinate = dataset[name]
    attributes = {**coordinate.encoding, **coordinate.attrs}
    scale = conversion(attributes.get("units"), "m", what)

    def metres(values: Values) -> Values:
        return abs(scale.apply(np.asarray(values, dtype=np.float64)))

    depths = metres(coordinate.values)
    if not np.isfinite(depths).all() or len(np.unique(depths)) < len(depths):
        raise InputError(f"{what} is {coordinate.values.tolist()}, expected depths that differ")
    own_bounds = str(attributes.get("bounds", ""))
    if own_bounds in dataset.variables:
        bounds = np.sort(metres(dataset[own_bounds].values), axis=-1)
        if bounds.shape != (len(depths), 2) or not (bounds[:, 0] < bounds[:, 1]).all():
            raise InputError(f"{what} has the bounds '{own_bounds}' {bounds.tolist()}, expected two for each depth")
        tops, bottoms = bounds.T
        return 0.5 * (tops + bottoms), tops, bottoms
    order = np.argsort(depths)
    edges = _edges(depths[order])
    if edges is None:
        return depths, None, None
    back = np.argsort(order)
    tops, bottoms = edges[:-1][back], edges[1:][back]
    return 0.5 * (tops + bottoms), tops, bottoms


def _edges(depths: Values) -> Values | None:
    """Edges of the layers of increasing depths without bounds: ecLand's by tops, middles or bottoms, else from their
    middles down from the ground; None where there are none of which these are the middles."""
    for own in (LAYER_EDGES[:-1], LAYER_MIDDLES, LAYER_EDGES[1:]):
        if len(depths) == len(own) and (abs(depths - np.array(own)) < 5.0 * SAME).all():
            return np.array(LAYER_EDGES)
    edges = [0.0]
    for depth in depths.tolist():
        edges.append(2.0 * depth - edges[-1])
    return np.array(edges) if (np.diff(edges) > SAME).all() else None
