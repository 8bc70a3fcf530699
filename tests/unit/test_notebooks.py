"""The notebooks of docs/notebooks can be read and their cells are Python; `make notebooks` executes them."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "notebooks"
CELL = re.compile(r"^```\{code-cell\} ipython3\n(.*?)^```$", re.DOTALL | re.MULTILINE)
NAMES = ("anemoi_coupling", "fine_tune", "jacobians", "lat_lon_box", "tower", "toy_host")


def text_of(name: str) -> str:
    return (FOLDER / f"{name}.md").read_text(encoding="utf-8")


def front_matter(name: str) -> dict[str, Any]:
    _, matter, _ = text_of(name).split("---\n", 2)
    found = yaml.safe_load(matter)
    assert isinstance(found, dict)
    return found


def trees(name: str) -> list[ast.Module]:
    return [ast.parse(cell, f"{name}.md") for cell in CELL.findall(text_of(name))]


def calls(name: str) -> list[tuple[str, ast.Call]]:
    """Calls in all cells, with what is called as it is written."""
    nodes = [node for tree in trees(name) for node in ast.walk(tree)]
    return [(ast.unparse(node.func), node) for node in nodes if isinstance(node, ast.Call)]


def test_all_notebooks_are_looked_at() -> None:
    found = {path.stem for path in FOLDER.glob("*.md") if "{code-cell}" in path.read_text(encoding="utf-8")}
    assert found == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_a_notebook_of_myst(name: str) -> None:
    matter = front_matter(name)
    assert matter["kernelspec"] == {"display_name": "Python 3", "language": "python", "name": "python3"}
    assert matter["jupytext"]["text_representation"] == {"extension": ".md", "format_name": "myst"}
    text = text_of(name)
    assert len(CELL.findall(text)) == text.count("{code-cell}") >= 4  # every one is closed
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    assert len(re.findall(r"^# ", prose, re.MULTILINE)) == 1  # one title


@pytest.mark.parametrize("name", NAMES)
def test_cells_are_python_and_draw(name: str) -> None:
    for number, tree in enumerate(trees(name)):
        compile(tree, f"{name}.md, cell {number}", "exec")
    called = [what for what, _ in calls(name)]
    assert "plt.show" in called
    if front_matter(name).get("mystnb", {}).get("execution_mode") == "off":  # its outputs are kept
        assert (FOLDER / f"{name}.png").is_file()
        assert f"]({name}.png)" in text_of(name)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_random_without_a_seed(name: str) -> None:
    for what, call in calls(name):
        if "random" in what.split("."):
            assert what in ("np.random.default_rng", "generator.random"), what
        if what == "np.random.default_rng":
            assert len(call.args) == 1


@pytest.mark.parametrize("name", NAMES)
def test_files_are_of_the_repository(name: str) -> None:
    nodes = [node for tree in trees(name) for node in ast.walk(tree)]
    # What stands behind the name of a directory, as in f"{folder}/before.nc", is no path of its own.
    behind = {id(part) for node in nodes if isinstance(node, ast.JoinedStr) for part in node.values[1:]}
    texts = [
        node.value
        for node in nodes
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in behind
    ]
    assert not [text for text in texts if re.match(r"~?/", text)]
    for text in texts:
        if text.startswith("../"):
            path = (FOLDER / text).resolve()
            assert path.exists(), text
            assert path.is_relative_to(ROOT)


@pytest.mark.parametrize("name", NAMES)
def test_pages_that_it_names_are_there(name: str) -> None:
    for link in re.findall(r"\{doc\}`([^`<]+)`", text_of(name)):
        assert (FOLDER / f"{link}.md").is_file(), link
