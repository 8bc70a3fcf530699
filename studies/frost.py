"""How far frost lets soil water move in ecLand.

    python -m studies.frost FILE -o docs/studies/frost.md

Changes of the water in a layer over a step of 6 hours, sorted by the highest of its own temperature and that of the
layer above, before and after the step: their root mean square over that of all changes of the layer, and the share that
is zero (less than 0.00001 m3 m-3). The first table is the basis of `PASSING` and `THAWING_RANGE` in
`ecland.soil_water`; the second is sorted by the layer's own temperature only.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import xarray as xr

from ailand_gt4py.core.types import Values
from ailand_gt4py.ecland.soil_water import WATER_HELD
from studies import page

#: Classes of temperature, K: the layer's water at field capacity is all frozen below 272.16 K.
EDGES = (0.0, 262.0, 268.0, 271.0, 271.8, 272.0, 272.16, 272.26, 272.36, 273.16, 400.0)
#: A change that is none, m3 m-3.
NONE = 1e-5


def by_temperature(water: Values, temperature: Values) -> tuple[Values, Values, Values]:
    """Of changes by class of the warmer end: relative rms, share that are none, share of all; each (n_classes,).

    Args:
        water: (n_times, n) m3 m-3. temperature: (n_times, n), K.
    """
    change = np.diff(np.asarray(water, dtype=np.float64), axis=0)
    place = np.digitize(np.maximum(temperature[:-1], temperature[1:]), EDGES[1:-1])
    classes = [change[place == number] for number in range(len(EDGES) - 1)]
    rms = np.sqrt([np.mean(one**2) if one.size else np.nan for one in classes])
    still = np.array([np.mean(np.abs(one) < NONE) if one.size else np.nan for one in classes])
    return rms / np.sqrt(np.mean(change**2)), still, np.array([one.size for one in classes]) / change.size


def class_name(low: float, high: float) -> str:
    if low == EDGES[0]:
        return f"below {high:g}"
    return f"from {low:g}" if high == EDGES[-1] else f"{low:g} to {high:g}"


def table(title: str, found: Mapping[str, tuple[Values, Values, Values]]) -> list[str]:
    """Rows of Markdown: classes of temperature by layers, relative rms and share that is none."""
    heads = "".join(f" {name}: rms | zero | of all |" for name in found)
    lines = [f"**{title}**", "", f"| K |{heads}", "|---|" + "---:|" * (3 * len(found))]
    for number, (low, high) in enumerate(itertools.pairwise(EDGES)):
        cells = (
            f" {rms[number]:.3f} | {100 * still[number]:.0f} % | {100 * share[number]:.1f} % |"
            for rms, still, share in found.values()
        )
        lines.append(f"| {class_name(low, high)} |" + "".join(cells))
    return [*lines, ""]


def main() -> int:
    parser = argparse.ArgumentParser(description="How much frost lets soil water move in ecLand.")
    parser.add_argument("file", type=Path, metavar="FILE", help="6-hourly ecLand run")
    parser.add_argument("-o", "--output", type=Path, default=Path("frost.md"))
    options = parser.parse_args()
    layers = range(1, len(WATER_HELD) + 1)
    with xr.open_dataset(options.file) as data:
        water = {layer: data[f"swvl{layer}"].values for layer in layers}
        own = {layer: data[f"stl{layer}"].values for layer in layers}
    both = {layer: np.maximum(own[layer], own[max(1, layer - 1)]) for layer in layers}
    lines = [
        "# Soil water and frost",
        "",
        page.introduction(__doc__),
        "",
        f"Made by `python -m studies.frost {options.file.name}`: {water[1].shape[1]} columns.",
        "",
    ]
    for title, temperatures in (("By the warmer of the layer and the layer above", both), ("By the layer itself", own)):
        found = {f"layer {layer}": by_temperature(water[layer], temperatures[layer]) for layer in layers}
        lines += table(title, found)
    page.write(options.output, lines[:-1])
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
