"""Execute the notebooks of docs/notebooks as the site does, from an empty cache, and tell what each takes.

    python tools/run_notebooks.py [--only NAME,...] [--keep DIRECTORY] [--limit SECONDS]

Ends with an error if a cell fails or writes to standard error (a warning is one), or if all together take longer than
the limit. Needs myst-nb, in whose text format the notebooks are.
"""

from __future__ import annotations

import argparse
import base64
import os
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


def run(path: Path, kept: Path | None) -> tuple[float, list[str]]:
    """Execute one; its seconds and problems."""
    notebook = read_myst_markdown_notebook(path.read_text(encoding="utf-8"))
    begin, problems = time.perf_counter(), []
    client = NotebookClient(notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": path.parent}})
    try:
        client.execute()
    except CellExecutionError as error:
        problems.append(str(error))
    seconds = time.perf_counter() - begin
    if kept is not None:
        keep(notebook, kept / f"{path.stem}.ipynb")
    return seconds, problems + problems_of(notebook)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="names of notebooks, without .md (default: all)")
    parser.add_argument("--keep", type=Path, help="directory for the executed notebooks and their figures")
    parser.add_argument("--limit", type=float, default=300.0, help="seconds for all together (%(default)g)")
    options = parser.parse_args()
    paths = notebook_paths()
    if options.only:
        wanted = options.only.split(",")
        if unknown := set(wanted) - {path.stem for path in paths}:
            parser.error(f"no notebook {', '.join(sorted(unknown))}, expected some of {[path.stem for path in paths]}")
        paths = [path for path in paths if path.stem in wanted]
    if options.keep is not None:
        options.keep.mkdir(parents=True, exist_ok=True)
    total, failed = 0.0, False
    with tempfile.TemporaryDirectory() as cache:
        # As on a machine that has never compiled the model, and on one core.
        os.environ |= {"XDG_CACHE_HOME": cache, "OMP_NUM_THREADS": "1"}
        for path in paths:
            seconds, problems = run(path, options.keep)
            total += seconds
            print(f"{path.stem:<24}{seconds:7.1f} s{'  FAILED' if problems else ''}", flush=True)
            for problem in problems:
                print(problem, file=sys.stderr)
            failed |= bool(problems)
    print(f"{'together':<24}{total:7.1f} s, at most {options.limit:g} s")
    return int(failed or total > options.limit)


if __name__ == "__main__":
    sys.exit(main())
