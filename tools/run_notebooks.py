"""Execute the notebooks of docs/notebooks as the site does, from an empty cache, and tell what each takes.

    python tools/run_notebooks.py [--only NAME,...] [--keep DIRECTORY] [--limit SECONDS]

Ends with an error if a cell fails or writes to standard error (a warning is one), or if all together take longer than
the limit on one core: of the processor's time, which what else the machine does hardly changes. Needs myst-nb, in whose
text format the notebooks are.
"""

from __future__ import annotations

import argparse
import base64
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from myst_nb.core.read import read_myst_markdown_notebook
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

NOTEBOOKS = Path(__file__).resolve().parent.parent / "docs" / "notebooks"


def notebook_paths() -> list[Path]:
    """Those of the directory's pages that are notebooks, in the order of their names."""
    return [path for path in sorted(NOTEBOOKS.glob("*.md")) if "{code-cell}" in path.read_text(encoding="utf-8")]


def is_kept(path: Path) -> bool:
    """Whether the page shows outputs that were kept, since it needs another environment."""
    return 'execution_mode: "off"' in path.read_text(encoding="utf-8")


def problems_of(notebook: nbformat.NotebookNode) -> list[str]:
    """What cells wrote to standard error."""
    return [
        output["text"].strip()
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        if output["output_type"] == "stream" and output["name"] == "stderr"
    ]


def keep(notebook: nbformat.NotebookNode, path: Path) -> None:
    """Write the executed notebook, and its figures beside it."""
    nbformat.write(notebook, path)
    figures = [
        output["data"]["image/png"]
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        if "image/png" in output.get("data", {})
    ]
    for number, figure in enumerate(figures, 1):
        path.with_name(f"{path.stem}_{number}.png").write_bytes(base64.b64decode(figure))


def processor_seconds() -> float:
    """Of all processes that this one has started, and those that they started, as far as they have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def run(path: Path, kept: Path | None) -> tuple[float, float, list[str]]:
    """Execute one; seconds of the processor and of the clock, and problems."""
    notebook = read_myst_markdown_notebook(path.read_text(encoding="utf-8"))
    begin, begin_processor, problems = time.perf_counter(), processor_seconds(), []
    client = NotebookClient(notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": path.parent}})
    try:
        client.execute()
    except CellExecutionError as error:
        problems.append(str(error))
    seconds, by_clock = processor_seconds() - begin_processor, time.perf_counter() - begin
    if kept is not None:
        keep(notebook, kept / f"{path.stem}.ipynb")
    return seconds, by_clock, problems + problems_of(notebook)


def row(name: str, seconds: float, by_clock: float) -> str:
    return f"{name:<20}{seconds:7.1f} s of the processor{by_clock:8.1f} s by the clock "


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="names of notebooks, without .md (default: all whose outputs are not kept)")
    parser.add_argument("--keep", type=Path, help="directory for the executed notebooks and their figures")
    parser.add_argument("--limit", type=float, default=300.0, help="seconds for all together (%(default)g)")
    options = parser.parse_args()
    paths = notebook_paths()
    if options.only:
        wanted = options.only.split(",")
        if unknown := set(wanted) - {path.stem for path in paths}:
            parser.error(f"no notebook {', '.join(sorted(unknown))}, expected some of {[path.stem for path in paths]}")
        paths = [path for path in paths if path.stem in wanted]
    else:
        paths = [path for path in paths if not is_kept(path)]
    if options.keep is not None:
        options.keep.mkdir(parents=True, exist_ok=True)
    total, total_by_clock, failed = 0.0, 0.0, False
    with tempfile.TemporaryDirectory() as cache:
        # As on a machine that has never compiled the model, and on one core.
        os.environ |= {"XDG_CACHE_HOME": cache, "OMP_NUM_THREADS": "1"}
        for path in paths:
            seconds, by_clock, problems = run(path, options.keep)
            total, total_by_clock = total + seconds, total_by_clock + by_clock
            print(row(path.stem, seconds, by_clock), "FAILED" if problems else "", flush=True)
            for problem in problems:
                print(problem, file=sys.stderr)
            failed |= bool(problems)
    print(row("together", total, total_by_clock), f"at most {options.limit:g} s")
    return int(failed or total > options.limit)


if __name__ == "__main__":
    sys.exit(main())
