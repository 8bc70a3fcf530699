"""The coupling closures against ecLand's own output: table and figure.

    python -m studies.closures DATA_DIRECTORY [--samples N]

The directory holds ``ecland_synth_6h_train.nc`` and ``ecland_synth_1h.nc``, ecLand runs made for this project. The
closures get ecLand's state, forcing and heat fluxes, not the network's, so the table shows what they themselves do.
Writes ``README.md`` and ``closures.png`` to ``docs/closures``, after the words of its ``introduction.md``.
"""

from __future__ import annotations

import argparse
import pathlib

import matplotlib
import numpy as np
import xarray as xr

import ailand_gt4py
from ailand_gt4py.integration.coupling.closures import SurfaceClosures

matplotlib.use("Agg")
import matplotlib.pyplot as plt

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "closures"
#: ecLand's file -> length of its windows.
FILES = {"ecland_synth_6h_train.nc": "6 h", "ecland_synth_1h.nc": "1 h"}

#: Closure -> what it is compared with, its unit, the factor to that unit, digits.
COMPARED = {
    "surface_albedo": ("fal", "1", 1.0, 3),
    "net short-wave radiation": ("ssr", "W m-2", 1.0, 1),
    "surface_upwelling_longwave_flux_in_air": ("met_lwdown - str", "W m-2", 1.0, 1),
    "the same, with the skin temperature at the window's start": ("met_lwdown - str", "W m-2", 1.0, 1),
    "water_evapotranspiration_flux": ("-e", "mm day-1", 86400.0, 3),
    "surface_roughness_length_for_momentum": ("fsr", "m", 1.0, 3),
    "logarithm of surface_roughness_length_for_heat": ("flsr", "1", 1.0, 2),
    "surface_downward_eastward_stress": ("ewss", "Pa", 1.0, 4),
    "surface_downward_northward_stress": ("nsss", "Pa", 1.0, 4),
}


def values_of(path: pathlib.Path, samples: int) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], np.ndarray]:
    """The closures, ecLand's values of the same, and the snow cover, at random windows of all columns."""
    model = ailand_gt4py.read_model()
    at_end = {variable.name for variable in model.state}
    at_end |= {variable.name for variable in model.diagnostics if variable.time_meaning == "window end"}
    with xr.open_dataset(path, decode_times=False) as data:
        rows = np.random.default_rng(0).choice(data.sizes["time"] - 1, samples, replace=False)
        rows.sort()
        n = samples * data.sizes["x"]

        def take(name: str, shift: int = 0) -> np.ndarray:
            if name not in data:
                return np.zeros(n)  # derived from time and location: no closure takes it
            array = data[name]
            if "time" in array.dims:
                values = array.transpose("time", "x").values[rows + shift]
            else:
                values = np.broadcast_to(array.values, (samples, data.sizes["x"]))
            return values.reshape(-1).astype(np.float64) * (0.01 if name == "snowc" else 1.0)

        groups = [
            np.stack([take(variable.name, int(variable.name in at_end)) for variable in group], axis=1)
            for group in (model.static, model.forcing, model.state, model.diagnostics)
        ]
        closures = SurfaceClosures(model, n, dtype=np.float64)
        found = {name: array.copy() for name, array in closures(*groups).items()}
        skin = [variable.name for variable in model.diagnostics].index("skt")
        groups[3][:, skin] = take("skt")
        earlier = closures(*groups)["surface_upwelling_longwave_flux_in_air"]
        found["the same, with the skin temperature at the window's start"] = earlier
        found["net short-wave radiation"] = (1.0 - found["surface_albedo"]) * take("met_swdown")
        found["logarithm of surface_roughness_length_for_heat"] = np.log(found["surface_roughness_length_for_heat"])
        expected = {
            name: {"-e": lambda: -take("e"), "met_lwdown - str": lambda: take("met_lwdown") - take("str")}.get(
                source, lambda source=source: take(source)
            )()
            for name, (source, *_) in COMPARED.items()
        }
        snow = np.stack([take("snowc"), take("snowc", 1)])
    return found, expected, snow


def table(found: dict[str, np.ndarray], expected: dict[str, np.ndarray], snow: np.ndarray) -> list[str]:
    """Rows of Markdown."""
    lines = [
        "| closure | ecLand | surface | mean | deviation | bias | RMSE | correlation |",
        "|---|---|---|---|---|---|---|---|",
    ]
    surfaces = {"snow-free": (snow == 0.0).all(axis=0), "snow cover > 0.5": (snow > 0.5).all(axis=0)}
    for name, (source, unit, factor, digits) in COMPARED.items():
        for surface, chosen in surfaces.items():
            one, other = factor * found[name][chosen], factor * expected[name][chosen]
            error = one - other
            numbers = (other.mean(), other.std(), error.mean(), np.sqrt((error**2).mean()))
            text = " | ".join(f"{number:.{digits}f}" for number in numbers)
            correlation = np.corrcoef(one, other)[0, 1]
            lines.append(f"| {name} ({unit}) | `{source}` | {surface} | {text} | {correlation:.4f} |")
    return lines


def figure(found: dict[str, np.ndarray], expected: dict[str, np.ndarray], path: pathlib.Path) -> None:
    """ecLand against the closures."""
    fig, axes = plt.subplots(2, 3, figsize=(11, 7), layout="constrained")
    shown = {
        "surface_albedo": "albedo",
        "surface_upwelling_longwave_flux_in_air": "upwelling long-wave radiation (W m-2)",
        "water_evapotranspiration_flux": "evaporation (mm day-1)",
        "surface_roughness_length_for_momentum": "roughness for momentum (m)",
        "logarithm of surface_roughness_length_for_heat": "log of roughness for heat (m)",
        "surface_downward_eastward_stress": "eastward stress (Pa)",
    }
    for axis, (name, title) in zip(axes.flat, shown.items(), strict=True):
        factor = COMPARED[name][2]
        one, other = factor * found[name], factor * expected[name]
        low, high = np.quantile(other, (0.001, 0.999))
        axis.hexbin(other, one, extent=(low, high, low, high), gridsize=60, bins="log", mincnt=1, cmap="viridis")
        axis.plot((low, high), (low, high), color="black", linewidth=0.8)
        axis.set(xlabel="ecLand", ylabel="closure", xlim=(low, high), ylim=(low, high))
        axis.set_title(title, fontsize=9)
    fig.savefig(path, dpi=100)


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare the coupling closures with ecLand's own output.")
    parser.add_argument("data", type=pathlib.Path, help="directory of the ecLand runs")
    parser.add_argument("--samples", type=int, default=800, help="windows taken of each file (default: 800)")
    options = parser.parse_args()
    text = (PAGE / "introduction.md").read_text().rstrip().splitlines()
    for name, window in FILES.items():
        found, expected, snow = values_of(options.data / name, options.samples)
        text += ["", f"## Windows of {window} (`{name}`, {options.samples} windows of all columns)", ""]
        text += table(found, expected, snow)
        if window == "6 h":
            figure(found, expected, PAGE / "closures.png")
            text += ["", "![ecLand against the closures](closures.png)"]
    (PAGE / "README.md").write_text("\n".join(text) + "\n")


if __name__ == "__main__":
    main()
