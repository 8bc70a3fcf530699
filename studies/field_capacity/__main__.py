"""How soil moisture responds to field capacity: the emulator against ecLand, and beyond the range of the training.

    python -m studies.field_capacity DATA_DIRECTORY --model MODEL.nc -o docs/studies/field_capacity

ecLand was run at 44 sites with five sets of field capacity and wilting point each, in the same weather. The emulator
runs freely through the same year from each run's own first state. The response of a member is the difference between
its mean soil water over the second half of the year and that of the unperturbed member of its site. Sites in the
Europe-like box were never used in training. Writes a figure (.png) and a table (.md).
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import xarray as xr

from ailand_gt4py.evaluation.columns import VerificationColumns, read_columns
from ailand_gt4py.evaluation.runs import run_free
from ailand_gt4py.evaluation.scores.groups import inside_box
from ailand_gt4py.io.training_ranges import outside_training_range
from ailand_gt4py.weights.model import Model
from ailand_gt4py.weights.model_file import read_model

matplotlib.use("Agg")
import matplotlib.pyplot as plt

FILE = "ecland_perturbed_params_6h.nc"
LAYERS = ("swvl1", "swvl2", "swvl3")
#: Factors on field capacity and wilting point of the sweep; the training data have 0.8 to 1.2.
FACTORS = np.linspace(0.5, 1.5, 11)
TRAINED = (0.8, 1.2)


def second_half(columns: VerificationColumns) -> slice:
    """The steps over which answers are meant: the first half-year forgets the start."""
    return slice((columns.n_times - 1) // 2, columns.n_times - 1)


def position_of(model: Model, name: str) -> int:
    """Position of a static variable or a state."""
    return [variable.name for variable in (model.state if name in LAYERS else model.static)].index(name)


def answers(values: np.ndarray, site: np.ndarray, member: np.ndarray) -> np.ndarray:
    """Difference of each column's value from its site's member 0."""
    reference = {int(one): values[(site == one) & (member == 0)][0] for one in np.unique(site)}
    return values - np.array([reference[int(one)] for one in site])


def compare(model: Model, columns: VerificationColumns, about: xr.Dataset) -> dict[str, dict[str, np.ndarray]]:
    """Answers of ecLand and of the emulator, m3 m-3, by layer."""
    site, member = about.site.values, about.member.values
    results = run_free(model, columns).results.astype(np.float64)
    when = second_half(columns)
    found = {}
    for name in LAYERS:
        position = position_of(model, name)
        truth = columns.state[1:, :, position].astype(np.float64)[when].mean(axis=0)
        found[name] = {
            "ecland": answers(truth, site, member),
            "emulator": answers(results[when, :, position].mean(axis=0), site, member),
        }
    return found


def sweep(model: Model, columns: VerificationColumns, about: xr.Dataset) -> dict[str, Any]:
    """Soil water of the unperturbed members with field capacity, or it and the wilting point, times `FACTORS`."""
    chosen = np.flatnonzero(about.member.values == 0)
    capacity, wilting, porosity = (position_of(model, f"clim_theta_{name}") for name in ("cap", "pwp", "sat"))
    when, found = second_half(columns), {}
    for what in ("field capacity", "field capacity and wilting point"):
        rows, outside = [], []
        for factor in FACTORS:
            static = columns.static[chosen].copy()
            static[:, capacity] = np.minimum(static[:, capacity] * factor, static[:, porosity])
            if what != "field capacity":
                static[:, wilting] *= factor
            changed = VerificationColumns(
                columns.times,
                static,
                columns.forcing[:, chosen],
                columns.state[:, chosen],
                columns.diagnostics[:, chosen],
            )
            results = run_free(model, changed).results.astype(np.float64)[when]
            rows.append([results[..., position_of(model, name)].mean() for name in LAYERS])
            outside.append(int(outside_training_range(static, model.static).any(axis=(0, 2)).sum()))
        found[what] = {"values": np.array(rows), "outside": np.array(outside), "n": len(chosen)}
    return found


def table(found: dict[str, dict[str, np.ndarray]], about: xr.Dataset, swept: dict[str, Any]) -> list[str]:
    """Rows of Markdown."""
    is_perturbed = about.member.values > 0
    in_box = inside_box(about.lat.values, (about.lon.values + 180.0) % 360.0 - 180.0)
    lines = [
        "| layer | sites | runs | ecLand: spread | slope | correlation | RMSE |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for name, pair in found.items():
        for what, where in (("in training", ~in_box), ("never trained on (Europe-like box)", in_box)):
            one, other = pair["emulator"][is_perturbed & where], pair["ecland"][is_perturbed & where]
            slope = (one * other).sum() / (other**2).sum()
            numbers = (other.std(), slope, np.corrcoef(one, other)[0, 1], np.sqrt(np.mean((one - other) ** 2)))
            text = " | ".join(f"{number:.4f}" for number in (numbers[0],)) + f" | {numbers[1]:.2f} | {numbers[2]:.3f}"
            lines.append(f"| {name} | {what} | {one.size} | {text} | {numbers[3]:.4f} |")
    lines += [
        "",
        "| changed | factor | " + " | ".join(LAYERS) + " | columns out of range |",
        "|---|---:|" + "---:|" * 4,
    ]
    for what, one in swept.items():
        for factor, row, outside in zip(FACTORS, one["values"], one["outside"], strict=True):
            cells = " | ".join(f"{value:.4f}" for value in row)
            lines.append(f"| {what} | {factor:.1f} | {cells} | {outside} of {one['n']} |")
    return lines


def figure(found: dict[str, dict[str, np.ndarray]], about: xr.Dataset, swept: dict[str, Any], path: Path) -> None:
    """Answers against each other, and the sweep."""
    fig, axes = plt.subplots(2, 3, figsize=(11, 7), layout="constrained")
    is_perturbed, in_box = (
        about.member.values > 0,
        inside_box(about.lat.values, (about.lon.values + 180.0) % 360.0 - 180.0),
    )
    relative = 100.0 * (about.clim_theta_cap.values / about.theta_cap_table.values - 1.0)
    for axis, (name, pair) in zip(axes[0], found.items(), strict=True):
        limit = 1.05 * np.abs(np.concatenate([pair["ecland"], pair["emulator"]])).max()
        axis.plot((-limit, limit), (-limit, limit), color="0.6", linewidth=0.8)
        for where, marker, label in ((~in_box, "o", "sites in training"), (in_box, "^", "sites never trained on")):
            chosen = is_perturbed & where
            image = axis.scatter(
                pair["ecland"][chosen],
                pair["emulator"][chosen],
                c=relative[chosen],
                cmap="RdBu",
                vmin=-20,
                vmax=20,
                s=22,
                marker=marker,
                edgecolor="0.3",
                linewidth=0.4,
                label=label,
            )
        axis.set(xlim=(-limit, limit), ylim=(-limit, limit), xlabel="ecLand (m³ m⁻³)", title=f"change of {name}")
    axes[0, 0].set_ylabel("emulator (m³ m⁻³)")
    axes[0, 0].legend(frameon=False, fontsize=8)
    fig.colorbar(image, ax=axes[0], label="field capacity (%)")
    for position, (axis, name) in enumerate(zip(axes[1], LAYERS, strict=True)):
        axis.axvspan(*TRAINED, color="0.93", label="in training")
        for (what, one), colour in zip(swept.items(), ("tab:blue", "tab:red"), strict=True):
            axis.plot(FACTORS, one["values"][:, position], color=colour, marker=".", label=what)
        axis.set(xlabel="factor", title=f"mean {name}, sweep")
    axes[1, 0].set_ylabel("emulator (m³ m⁻³)")
    axes[1, 0].legend(frameon=False, fontsize=8)
    fig.savefig(path, dpi=110)


def main() -> int:
    parser = argparse.ArgumentParser(description="How soil moisture responds to field capacity.")
    parser.add_argument("data", type=Path, metavar="DATA_DIRECTORY")
    parser.add_argument("--model", type=Path, help="model file (default: the model in the package)")
    parser.add_argument("-o", "--output", type=Path, default=Path("field_capacity"), help="without suffix")
    options = parser.parse_args()
    model = read_model(options.model)
    columns = read_columns(options.data / FILE, model, np.dtype(np.float32), may_lack=("asn",))
    with xr.open_dataset(options.data / FILE, decode_times=False) as data:
        names = ["site", "member", "theta_cap_table", "clim_theta_cap"]
        about = data[names].load()
    found = compare(model, columns, about)
    swept = sweep(model, columns, about)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    figure(found, about, swept, options.output.with_suffix(".png"))
    text = [
        "# Response of soil moisture to field capacity",
        "",
        "Made by `python -m studies.field_capacity`. ecLand was run with five sets of field capacity and",
        "wilting point at each of 44 sites, in the same weather of 2021; the emulator ran freely from each",
        "run's first state. A response is the difference between the means of the second half-year of a run",
        "and of the unperturbed run. The slope is that of the emulator's responses on ecLand's, through zero.",
        "The sweep multiplies field capacity (never above porosity), or both field capacity and wilting",
        "point, of the unperturbed members; the training data have factors from 0.8 to 1.2. Columns out of",
        "the training range are counted as in a run's quality flag.",
        "",
        f"![responses and sweep]({options.output.with_suffix('.png').name})",
        "",
        *table(found, about, swept),
    ]
    options.output.with_suffix(".md").write_text("\n".join(text) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
