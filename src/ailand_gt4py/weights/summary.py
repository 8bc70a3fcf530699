"""A model in words and tables (``ailand model show FILE``)."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence

from ailand_gt4py.core.text_table import aligned
from ailand_gt4py.weights import architectures
from ailand_gt4py.weights.model import METHODS, Model, Normalisation, Variable
from ailand_gt4py.weights.model_file import stored_checksum
from ailand_gt4py.weights.processing import Bounding
from ailand_gt4py.weights.schema import GROUPS, checksum

_HEADINGS = {
    "static": "Static inputs",
    "forcing": "Forcing",
    "state": "State (input and output)",
    "diagnostics": "Diagnostics (output)",
}

#: Marks of inputs that need not be in the forcing file.
_MARKS = {"*": "computed from time and location", "+": "of the previous window"}

#: Longest text of a cell by column; with usual names and numbers the lines stay within 120 characters.
_WIDEST = {"name": 28, "units": 12, "normalisation": 25, "processing": 25, "training range": 22, "bounds": 27}


def summarise(model: Model, path: str | os.PathLike[str] | None = None) -> str:
    """Plain text that says what a model is: network, step, variables with units and statistics, provenance, checksum.

    Args:
        path: the file it was read from; its stored checksum is then compared with the model's.

    Raises:
        InputError: ``path`` is not a readable model file.
    """
    lines = [f"aiLand model{f' {os.fspath(path)}' if path is not None else ''}", ""]
    types = {str(array.dtype) for array in model.parameters.values()}
    own = checksum(model)
    if path is None:
        verdict = "of the model in memory"
    else:
        stored = stored_checksum(path)
        verdict = "verified" if stored == own else f"DOES NOT MATCH the file's, {stored}"
    seconds = model.step_seconds
    facts: dict[str, str] = {
        "network": model.architecture,
        "layers": _layers(model),
        **_point_wise_facts(model),
        "parameters": f"{model.parameter_count} ({', '.join(sorted(types))})",
        "step": f"{seconds:g} s ({seconds / 3600:g} h)" if seconds else "unknown (the source does not say)",
        "space": "NORMALISED: no statistics are known; inputs and outputs are not in physical units"
        if model.normalised_space
        else "physical units; the statistics below normalise inputs and bring outputs back",
        "checksum": f"sha256 {own} ({verdict})",
    }
    lines += [f"{key + ':':<13}{text}" for key, text in facts.items()]
    for group in GROUPS:
        variables = getattr(model, group)
        lines += ["", f"{_HEADINGS[group]}: {len(variables)}", *_table(variables)]
    marks = {_mark(variable) for variable in model.variables} - {""}
    if marks:
        lines += ["", *(f"{mark} {_MARKS[mark]}; need not be in the forcing file" for mark in sorted(marks))]
    if model.provenance:
        lines += ["", "Provenance"]
        lines += [f"  {key + ':':<22} {' '.join(model.provenance[key].split())}" for key in sorted(model.provenance)]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _mark(variable: Variable) -> str:
    """A sign at the end of the name of what need not be in the forcing file."""
    return "" if not variable.derived else "+" if variable.is_previous else "*"


def _layers(model: Model) -> str:
    """Inputs and widths of each block: ``trunk 39-256-256; prognostic 256-8``."""
    if model.point_wise is not None:
        (channels, n_in), (n_out, _) = (model.parameters[f"{one}.0.weight"].shape for one in ("encoder", "decoder"))
        depth = architectures.layer_count(model.parameters, "processor")
        hidden = {model.parameters[f"processor.{layer}.bias"].size for layer in range(depth)}
        block = f"{channels}-{' or '.join(map(str, sorted(hidden)))}-{channels}"
        return f"encoder {n_in}-{channels}; processor {depth} x ({block}); decoder {channels}-{n_out}"
    texts = []
    for block in architectures.find(model.architecture).blocks:
        count = architectures.layer_count(model.parameters, block)
        shapes = [model.parameters[f"{block}.{layer}.weight"].shape for layer in range(count)]
        texts.append(f"{block} " + "-".join(str(n) for n in (shapes[0][1], *(shape[0] for shape in shapes))))
    return "; ".join(texts)


def _point_wise_facts(model: Model) -> dict[str, str]:
    """What the tables of variables do not say of a point-wise network."""
    if model.point_wise is None:
        return {}
    network = model.point_wise
    numbers = ", ".join(f"{one:g}" for one in network.activation_parameters)
    facts = {
        "activation": f"{network.activation}{f' ({numbers})' if numbers else ''}; latent skip: "
        f"{'yes' if network.latent_skip else 'no'}",
    }
    if model.boundings:
        facts["boundings"] = "; ".join(map(_bounding, model.boundings))
    if model.nodes is not None:
        facts["tied to"] = f"its own {len(model.nodes.latitudes)} columns, by numbers of each"
    return facts


def _bounding(bounding: Bounding) -> str:
    """``leaky clip of swvl1, swvl2``."""
    what = f"{'leaky ' if bounding.slope else ''}{bounding.kind} of {', '.join(bounding.variables)}"
    return f"{what} (of {bounding.total})" if bounding.total else what


def _table(variables: Sequence[Variable]) -> list[str]:
    """Aligned lines, the heading first; columns in which nothing is said are left out."""
    columns: dict[str, Callable[[Variable], str]] = {
        "name": lambda v: v.name + _mark(v),
        "units": lambda v: v.units,
        "time meaning": lambda v: "" if v.time_meaning == "static" else v.time_meaning,
        "normalisation": lambda v: _normalisation(v.normalisation),
        "processing": lambda v: ", ".join(step.kind for step in v.processing),
        "training range": lambda v: _interval(v.training_minimum, v.training_maximum),
        "bounds": _bounds,
        "increment of": lambda v: v.increment_of.replace("_", " "),
    }
    cells = {
        title: [_cell(text(variable), _WIDEST.get(title, 12)) for variable in variables]
        for title, text in columns.items()
    }
    cells = {title: column for title, column in cells.items() if any(column)}
    return aligned(tuple(cells), list(zip(*cells.values(), strict=True)), left=len(cells), indent=2) if cells else []


def _cell(text: str, widest: int) -> str:
    """The text in one printable line, shortened where it is too long for its column."""
    printable = "".join(character if character.isprintable() else "?" for character in " ".join(text.split()))
    return printable if len(printable) <= widest else printable[: widest - 3] + "..."


def _normalisation(normalisation: Normalisation) -> str:
    """Method and what it works with, of the logarithm without its floor: ``mean-std 285.3, 10.2``."""
    statistics = [getattr(normalisation, name) for name in METHODS[normalisation.method].needs[:2]]
    return " ".join([normalisation.method, ", ".join(f"{value:.4g}" for value in statistics)]).strip()


def _bounds(variable: Variable) -> str:
    """``0 .. 0.766, clim_theta_sat``: the smaller of both upper bounds holds."""
    own = _interval(variable.lower_bound, variable.upper_bound)
    if not variable.bounded_by:
        return own
    return f"{own}, {variable.bounded_by}" if own else f"<= {variable.bounded_by}"


def _interval(lower: float, upper: float) -> str:
    """``0 .. 1``, one side where the other is unknown or unbounded, empty where both are."""
    low, high = ("" if not math.isfinite(value) else f"{value:.4g}" for value in (lower, upper))
    if low and high:
        return f"{low} .. {high}"
    return f">= {low}" if low else f"<= {high}" if high else ""
