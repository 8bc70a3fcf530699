"""Which variable is read from which name, unit and meaning in time of whose files, and what gives one that is missing.

    python -m studies.input_files

Writes ``docs/input_files.md`` from the conventions, the catalogue and the derivations as they are, after the words of
its ``introduction.md``. A test holds the page against them.
"""

from __future__ import annotations

import pathlib
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from ailand_gt4py.core.text_table import markdown
from ailand_gt4py.core.times import step_text
from ailand_gt4py.ecland import land_cover, soil_tables
from ailand_gt4py.io.conventions import CONVENTIONS, Convention
from ailand_gt4py.io.derive import ALTERNATIVES, DERIVATIONS, Derivation, mean_key, wave_key
from ailand_gt4py.io.fields import Meaning
from ailand_gt4py.io.first_guess import FIRST_GUESSES, FROM_CLIMATE
from ailand_gt4py.io.ways import AMOUNTS, WAYS, Way
from ailand_gt4py.weights.variables import CATALOGUE, STANDARD_NAMES, Specification
from studies.page import write

HERE = pathlib.Path(__file__).resolve().parent
PAGE = HERE.parents[1] / "docs" / "input_files.md"
#: Kinds of variables that are read from files of others.
KINDS = ("coordinate", "static", "forcing", "ingredient", "state", "diagnostic")
#: The layouts whose names are the catalogue's own.
OWN = "ec-land-db"


def time_text(meaning: Meaning | None) -> str:
    """What a value at a label is."""
    if meaning is None:
        return "as the file says, otherwise as the model takes it"
    if meaning.kind == "point":
        return "value at the label"
    if meaning.kind == "accumulated":
        since = {"daily": "00 UTC", "never": "the start"}.get(str(meaning.reset), "the last reset")
        whole = " (at 00 UTC: of the day before)" if meaning.reset == "daily" else ""
        return f"accumulated since {since}{whole}"
    over = "the interval" if meaning.interval is None else step_text(np.timedelta64(meaning.interval, "ns"))
    where = {"start": "begins at", "middle": "is centred on", "end": "ends at"}[meaning.label]
    return f"{meaning.kind} over {over} that {where} the label"


def unit_text(entry: Specification, meaning: Meaning | None) -> str:
    """The unit that is needed of a variable, any other of the quantity being converted."""
    is_amount = meaning is not None and meaning.kind in ("sum", "accumulated")
    return AMOUNTS.get(entry.units, entry.units) if is_amount else entry.units


def table(titles: Sequence[str], rows: Iterable[Iterable[str]]) -> list[str]:
    return markdown(titles, ([cell.replace("|", "/") for cell in row] for row in rows))


def code(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def rows_of(convention: Convention) -> dict[str, tuple[str, ...]]:
    """By variable: its row of the convention's table."""
    rows = {}
    for name in (name for name, entry in CATALOGUE.items() if entry.kind in KINDS and name in convention.aliases):
        entry = CATALOGUE[name]
        meaning = None if entry.time_meaning == "static" else convention.meanings.get(name)
        time = "constant" if entry.time_meaning == "static" else time_text(meaning)
        rows[name] = (f"`{name}`", entry.long_name, code(convention.aliases[name]), unit_text(entry, meaning), time)
    return rows


def of_conventions(conventions: Iterable[Convention]) -> Iterator[str]:
    """Their tables; of one with the names of one before, what differs."""
    tables: dict[str, dict[str, tuple[str, ...]]] = {}
    for convention in conventions:
        yield f"### {convention.name}\n"
        rows = rows_of(convention)
        like = next((name for name, others in tables.items() if _names(others) == _names(rows)), None)
        tables[convention.name] = rows
        if like is not None:
            rows = {name: row for name, row in rows.items() if row != tables[like][name]}
            yield f"As {like}{', but:' if rows else '.'}\n"
        if rows:
            yield from table(("variable", "meaning", "names in files", "unit", "time"), rows.values())


def _names(rows: dict[str, tuple[str, ...]]) -> dict[str, str]:
    return {name: row[2] for name, row in rows.items()}


def of_any_file() -> Iterator[str]:
    rows = [
        (
            f"`{name}`",
            entry.long_name,
            code(one for group in entry.aliases.values() for one in group),
            f"`{entry.standard_name}`" if name in STANDARD_NAMES.get(entry.standard_name, ()) else "",
            entry.units,
        )
        for name, entry in CATALOGUE.items()
        if entry.kind in KINDS and not entry.derived
    ]
    yield from table(("variable", "meaning", "other names", "standard name", "unit"), rows)


def of_missing(ways: Iterable[Derivation]) -> Iterator[str]:
    rows = []
    for way in ways:
        of_years = (*map(wave_key, way.waves), *map(mean_key, way.means))
        names = (*way.waves, *way.means)
        inputs = ", ".join(
            [*map(code, ([name] for name in way.inputs))]
            + [key.replace(name, f"`{name}`") for key, name in zip(of_years, names, strict=True)]
        )
        kind = "first guess" if way.is_first_guess else "derived"
        if isinstance(way, Way) and way.on_demand:
            kind = "estimate, only if asked for"
        detail = f" ({way.detail})" if way.detail else ""
        rows.append((f"`{way.name}`{detail}", inputs, way.how, kind))
    yield from table(("missing variable", "derived from", "method", ""), rows)


def of_land_cover() -> Iterator[str]:
    rows = []
    for one in land_cover.CLASSES.values():
        pairs = (one.high_type, one.high_cover), (one.low_type, one.low_cover)
        names = (f"{kind} {soil_tables.VEGETATIONS[kind].name}, {cover:g}" if kind else "-" for kind, cover in pairs)
        rows.append((f"`{one.short}`", one.name, *names))
    yield from table(("class", "IGBP", "high vegetation: type, cover", "low vegetation: type, cover"), rows)


def page() -> list[str]:
    """The lines of the page."""
    ways = [way for alternatives in WAYS.values() for way in alternatives]
    return [
        (HERE / "introduction.md").read_text(encoding="utf-8"),
        "## Names, units and times by convention\n",
        *of_conventions(sorted((one for one in CONVENTIONS.items() if OWN not in one.name), key=lambda one: one.name)),
        "### Any file\n",
        "The names of ec-land-db, which are this package's own, or CF standard names that belong to a single variable. "
        "`cell_methods`, time bounds and GRIB's step type take precedence for the meaning of values in time.\n",
        *of_any_file(),
        "## Derived inputs\n",
        "Forcing, the best method first. Non-linear conversions use the file's own labels if all their inputs have the "
        "same meaning in time, otherwise means over the model's windows.\n",
        *of_missing(ways),
        "Static fields and state:\n",
        *of_missing((*DERIVATIONS.values(), *ALTERNATIVES.values(), *FIRST_GUESSES.values())),
        "A state guessed from the climate, at sites without one and with `--initial-state guess`:\n",
        *of_missing(one for ways in FROM_CLIMATE.values() for one in ways),
        "From a land cover class, of the site's file or `--land-cover`:\n",
        *of_land_cover(),
    ]


if __name__ == "__main__":
    write(PAGE, page())
