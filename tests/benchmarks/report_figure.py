"""The figure of a benchmark run: rates for many columns against the limit, relative times for few."""

from __future__ import annotations

from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter
from report_data import Results, is_limit

matplotlib.use("Agg")

import matplotlib.pyplot as plt

#: Colours of Okabe and Ito, told apart with any colour vision, and hatches for variants of a contestant.
STYLES = {
    "ailand": ("#D55E00", ""),
    "ailand_tf32": ("#D55E00", "//"),
    "ailand_bf16": ("#D55E00", ".."),
    "torch_eager": ("#56B4E9", ""),
    "torch_compile": ("#0072B2", ""),
    "torch_compile_tuned": ("#CC79A7", ""),
    "torch_compile_blocks": ("#CC79A7", "//"),
    "torch_compile_tf32": ("#0072B2", "//"),
    "torch_compile_bf16": ("#0072B2", ".."),
    "onnxruntime": ("#009E73", ""),
    "onnxruntime_blocks": ("#009E73", "//"),
    "openvino": ("#F0E442", ""),
    "openvino_blocks": ("#F0E442", "//"),
    "openvino_bf16": ("#F0E442", ".."),
    "openvino_blocks_bf16": ("#F0E442", "xx"),
    "jax": ("#000000", ""),
    "jax_blocks": ("#000000", "//"),
    "numpy": ("#999999", ""),
    "cupy": ("#E69F00", ""),
}
#: Where rates are drawn rather than ratios, columns.
MANY_COLUMNS = 1000


def draw(results: Results, path: Path) -> None:
    """Draw a panel for each number of columns."""
    sizes = sorted({columns for _, columns, _ in results.steps})
    names = [name for name in STYLES if any(found == name for _, _, found in results.steps)]
    rows = -(-len(sizes) // 2)
    figure, axes = plt.subplots(
        rows, min(len(sizes), 2), figsize=(6.5 * min(len(sizes), 2), 4.0 * rows), squeeze=False, layout="constrained"
    )
    # The many columns first: that is what the rates are about.
    ordered = [size for size in sizes if size >= MANY_COLUMNS] + [size for size in sizes if size < MANY_COLUMNS]
    for axis, size in zip(axes.flat, ordered, strict=False):
        _panel(axis, results, size, names)
    for axis in list(axes.flat)[len(ordered) :]:
        axis.set_axis_off()
    handles = {
        label: handle for axis in axes.flat for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)
    }
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=5, fontsize=9, frameon=False)
    figure.savefig(path, dpi=150, metadata={"Software": None})
    plt.close(figure)


def _panel(axis: Axes, results: Results, size: int, names: list[str]) -> None:
    """Bars grouped by network: GFLOP/s of many columns, or time over that of the component."""
    networks = [network for network in results.networks if size in results.sizes(network)]
    width = 0.84 / max(len(names), 1)
    are_rates = size >= MANY_COLUMNS
    for index, name in enumerate(names):
        color, hatch = STYLES[name]
        locations, values = [], []
        for location, network in enumerate(networks):
            step, own = (results.steps.get((network, size, other)) for other in (name, "ailand"))
            if step is None or (own is None and not are_rates):
                continue
            locations.append(location - 0.42 + (index + 0.5) * width)
            values.append(step.gflops if are_rates or own is None else step.median / own.median)
        if not values:  # Else the legend would show a style that nothing has.
            continue
        axis.bar(locations, values, width, color=color, hatch=hatch, edgecolor="white", linewidth=0.4, label=name)
    axis.set_xticks(range(len(networks)), networks, fontsize=9)
    axis.set_title(f"{size:,} column{'s' if size > 1 else ''}".replace(",", " "), fontsize=11)
    axis.spines[["top", "right"]].set_visible(False)
    if not are_rates:
        axis.set_yscale("log")
        for ticks in (axis.yaxis.set_major_formatter, axis.yaxis.set_minor_formatter):
            ticks(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.axhline(1.0, color="black", linewidth=0.8, linestyle=":")
        axis.set_ylabel("time / ailand's time (above 1: slower)")
        return
    for location, network in enumerate(networks):
        limits = [s.gflops for (n, c, name), s in results.steps.items() if (n, c) == (network, size) and is_limit(name)]
        if limits:
            label = "matrix products alone, fastest" if location == 0 else None
            axis.hlines(max(limits), location - 0.46, location + 0.46, color="black", linewidth=1.8, label=label)
    axis.set_ylabel("GFLOP/s")
    axis.set_ylim(bottom=0.0)
