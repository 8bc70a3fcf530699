"""A single HTML page with tables and figures in it, which needs nothing from anywhere else."""

from __future__ import annotations

import dataclasses
import html
import json
import math
from collections.abc import Sequence
from typing import Any

from ailand_gt4py.evaluation.figures.style import Drawing, data_uri

#: Of the whole page. System fonts only: nothing is fetched.
STYLE_SHEET = """
:root { --ink: #1c1e21; --soft: #5c636a; --line: #d9dde1; --wash: #f5f6f8; --accent: #a8323e; }
* { box-sizing: border-box; }
body { margin: 0; color: var(--ink); background: #fff; font: 15px/1.5 "Helvetica Neue", Arial, "Liberation Sans", sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 28px 26px 60px; }
h1 { font-size: 27px; line-height: 1.2; margin: 0 0 4px; }
h2 { font-size: 20px; margin: 44px 0 8px; padding-top: 10px; border-top: 2px solid var(--ink); }
h3 { font-size: 16px; margin: 24px 0 6px; }
p { margin: 6px 0 10px; max-width: 92ch; }
.lead { color: var(--soft); margin-bottom: 14px; }
nav { display: flex; flex-wrap: wrap; gap: 2px 16px; font-size: 13.5px; margin: 16px 0 0; padding: 10px 14px; background: var(--wash); border-radius: 5px; }
nav a { color: var(--accent); text-decoration: none; white-space: nowrap; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(190px, 1fr)); gap: 12px; margin: 18px 0 6px; }
.card { border: 1px solid var(--line); border-radius: 6px; padding: 10px 14px; }
.card b { display: block; font-size: 22px; line-height: 1.25; }
.card span { color: var(--soft); font-size: 13px; }
figure { margin: 16px 0 22px; }
figure img { display: block; max-width: 100%; height: auto; }
figcaption { font-size: 13px; color: var(--soft); max-width: 105ch; margin-top: 5px; }
.scroll { overflow-x: auto; margin: 10px 0 6px; }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
caption { caption-side: bottom; text-align: left; font-size: 13px; color: var(--soft); padding-top: 6px; max-width: 105ch; }
th, td { padding: 3px 8px; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--line); }
thead th { border-top: 1.5px solid var(--ink); border-bottom: 1px solid var(--ink); vertical-align: bottom;
  white-space: normal; max-width: 96px; line-height: 1.25; }
tbody tr:last-child td, tbody tr:last-child th { border-bottom: 1.5px solid var(--ink); }
th.text, td.text { text-align: left; }
tbody th { font-weight: 600; text-align: left; }
td.good { color: #22672f; font-weight: 600; }
td.bad { color: var(--accent); font-weight: 600; }
td.prose { white-space: normal; min-width: 220px; text-align: left; }
details { margin: 8px 0; }
summary { cursor: pointer; font-size: 14px; color: var(--accent); }
.box { border-left: 4px solid var(--accent); background: var(--wash); padding: 8px 16px; margin: 14px 0; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 4px 16px; font-size: 13.5px; }
dt { font-weight: 600; } dd { margin: 0; max-width: 92ch; overflow-wrap: anywhere; }
code { font-size: 13px; background: var(--wash); padding: 0 3px; }
footer { margin-top: 46px; font-size: 12.5px; color: var(--soft); border-top: 1px solid var(--line); padding-top: 10px; }
@media print { nav { display: none; } details > * { display: block; } h2 { break-after: avoid; } figure { break-inside: avoid; } }
"""  # noqa: E501


_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclasses.dataclass(frozen=True)
class Cell:
    """A cell of a table.

    Attributes:
        text: shown; escaped by `table`.
        kind: class of the style sheet: "", "text", "prose", "good" or "bad".
        shade: background: a ratio to what is usual; 1 none, above 1 red, below 1 blue; NaN none.
    """

    text: str
    kind: str = ""
    shade: float = math.nan


@dataclasses.dataclass(frozen=True)
class Section:
    """A part of the page with a heading; ``content`` is HTML."""

    anchor: str
    title: str
    content: str


def number(value: float, digits: int = 3) -> str:
    """A number with some significant digits, a dash for none."""
    if not math.isfinite(value):
        return "–"
    if value == 0.0:
        return "0"
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    power = int(exponent)
    # 0.00042 reads better than 4.2e-04, 31700 better than 3.17e+04; further out powers of ten do.
    if -5 < power < 6:
        return f"{float(f'{mantissa}e{exponent}'):.{max(0, digits - 1 - power)}f}"
    return f"{mantissa}×10{str(power).translate(_SUPERSCRIPTS)}"


def coefficient(value: float) -> str:
    """A correlation with three decimals, a dash for none."""
    return f"{value:.3f}" if math.isfinite(value) else "–"


def shade_colour(ratio: float) -> str:
    """A background for a ratio: white at 1, red at 3 and above, blue at a third and below; empty for no number."""
    if not math.isfinite(ratio) or ratio < 0.0:
        return ""
    strength = 1.0 if ratio == 0.0 else min(1.0, abs(math.log(ratio)) / math.log(3.0))
    red, green, blue = (214, 69, 65) if ratio > 1.0 else (58, 118, 176)
    mixed = [round(255 + (part - 255) * 0.62 * strength) for part in (red, green, blue)]
    return "#" + "".join(f"{part:02x}" for part in mixed)


def paragraph(text: str) -> str:
    """Plain text as a paragraph."""
    return f"<p>{html.escape(text)}</p>"


def table(header: Sequence[str], rows: Sequence[Sequence[Cell | str]], caption: str = "", text_columns: int = 1) -> str:
    """A table.

    Args:
        header: titles of the columns.
        rows: cells, texts for plain ones; the first of each is the row's title.
        caption: below the table.
        text_columns: columns at the left that are texts.
    """
    titles = "".join(_title(title, position < text_columns) for position, title in enumerate(header))
    lines = ["".join(_cell(cell, position, text_columns) for position, cell in enumerate(row)) for row in rows]
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    below = f"<caption>{html.escape(caption)}</caption>" if caption else ""
    return f'<div class="scroll"><table>{below}<thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table></div>'


def _title(title: str, is_text: bool) -> str:
    kind = ' class="text"' if is_text else ""
    return f'<th scope="col"{kind}>{html.escape(title)}</th>'


def _cell(cell: Cell | str, position: int, text_columns: int) -> str:
    cell = Cell(cell) if isinstance(cell, str) else cell
    if position == 0:
        return f'<th scope="row">{html.escape(cell.text)}</th>'
    kind = cell.kind or ("text" if position < text_columns else "")
    colour = shade_colour(cell.shade)
    attributes = (f' class="{kind}"' if kind else "") + (f' style="background:{colour}"' if colour else "")
    return f"<td{attributes}>{html.escape(cell.text)}</td>"


def details(summary: str, content: str) -> str:
    """Content that is shown on demand."""
    return f"<details><summary>{html.escape(summary)}</summary>{content}</details>"


def cards(entries: Sequence[tuple[str, str]]) -> str:
    """Key figures: (figure, what it is)."""
    inner = "".join(
        f'<div class="card"><b>{html.escape(value)}</b><span>{html.escape(what)}</span></div>'
        for value, what in entries
    )
    return f'<div class="cards">{inner}</div>'


def heading(text: str) -> str:
    """A heading within a section."""
    return f"<h3>{html.escape(text)}</h3>"


def definitions(entries: Sequence[tuple[str, str]]) -> str:
    """Terms and what they mean."""
    inner = "".join(f"<dt>{html.escape(term)}</dt><dd>{html.escape(text)}</dd>" for term, text in entries)
    return f"<dl>{inner}</dl>"


def figure(drawing: Drawing | None, position: int) -> str:
    """A figure with its caption, numbered; nothing for None."""
    if drawing is None:
        return ""
    alt = html.escape(drawing.alt, quote=True)
    caption = f"<b>Figure {position}.</b> {html.escape(drawing.caption)}"
    return f'<figure><img src="{data_uri(drawing)}" alt="{alt}"><figcaption>{caption}</figcaption></figure>'


def page(title: str, lead: str, head: str, sections: Sequence[Section], data: Any, footer: str) -> str:
    """The page.

    Args:
        title: of the page. lead: a line below it.
        head: HTML above the first section.
        sections: in order.
        data: what the tables are made of, kept in the page as JSON (element ``report-data``).
        footer: a line at the end.
    """
    links = "".join(f'<a href="#{section.anchor}">{html.escape(section.title)}</a>' for section in sections)
    body = "".join(
        f'<section id="{section.anchor}"><h2>{html.escape(section.title)}</h2>{section.content}</section>'
        for section in sections
    )
    # "</" would end the script element early, wherever it stands.
    kept = json.dumps(data, allow_nan=False).replace("</", "<\\/")
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{STYLE_SHEET}</style></head><body><main>"
        f'<h1>{html.escape(title)}</h1><p class="lead">{html.escape(lead)}</p>{head}<nav>{links}</nav>{body}'
        f"<footer>{html.escape(footer)}</footer></main>"
        f'<script type="application/json" id="report-data">{kept}</script></body></html>\n'
    )
