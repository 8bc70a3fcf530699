"""What documents, configurations and docstrings name is there: files, modules, what is in them, and links."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import ailand_gt4py

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "ailand_gt4py"
ROOMS = sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py"))

#: Records of what was done (``docs/log``) name files as they were called then.
DOCUMENTS = sorted(
    path
    for path in (
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("examples/**/*.md"),
        *ROOT.glob("studies/**/*.md"),
    )
    if "log" not in path.parts
)
SOURCES = sorted(
    path
    for folder in ("src/ailand_gt4py", "studies", "examples", "configs")
    for pattern in ("*.py", "*.yaml", "*.toml", "*.hpp", "*.cuh")
    for path in (ROOT / folder).rglob(pattern)
)

FILE = re.compile(r"(?<![\w./~:<{$*-])(?:\w[\w-]*/)+[\w-]+\.(?:py|md|yaml|toml|hpp|cuh|json|png|nc)\b")
DOTTED = re.compile(rf"\bailand_gt4py((?:\.\w+)+)|(?<=`)((?:{'|'.join(ROOMS)})(?:\.\w+)+)(?=[`(])")
MODULE = re.compile(r"python3? -m ((?:studies|examples|tests)(?:\.[a-z_]\w*)+)")
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)")

#: Files that a command makes, or that are a reader's own; suffixes that look like members of the package.
MADE = ("out/", "build/", "example/")
NO_MEMBERS = frozenset({"nc", "py", "log", "egg-info"})


def _names(module: Path) -> set[str]:
    """What a module defines or imports at its top level."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.alias):
            found.add((node.asname or node.name).split(".")[0])
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
    return found


def is_in_package(dotted: str) -> bool:
    """Whether ``room.module.member`` is there; further members, of a class say, are not looked at."""
    here = PACKAGE
    for part in dotted.strip(".").split("."):
        if (here / part).is_dir():
            here = here / part
        elif (here / f"{part}.py").is_file():
            here = here / f"{part}.py"
        elif here == PACKAGE:
            return part in ailand_gt4py.__all__ or part in _names(PACKAGE / "__init__.py") or part == "__version__"
        else:
            return part in _names(here if here.is_file() else here / "__init__.py")
        if here.is_file() and part == dotted.split(".")[-1]:
            return True
    return True


def missing(text: str, path: Path) -> list[str]:
    """What a text names that is not there."""
    roots = (ROOT, ROOT / "src", PACKAGE, path.parent, ROOT / "docs", ROOT / "tests")
    found = [
        name
        for name in FILE.findall(text)
        if not name.startswith(MADE) and not any((root / name).exists() for root in roots)
    ]
    for whole, room in DOTTED.findall(text):
        dotted = (whole or room).strip(".")
        if dotted.split(".")[0] not in NO_MEMBERS and not is_in_package(dotted):
            found.append(dotted)
    for module in MODULE.findall(text):
        base = ROOT.joinpath(*module.split("."))
        if not (base.with_suffix(".py").is_file() or (base / "__main__.py").is_file()):
            found.append(f"python -m {module}")
    if path.suffix == ".md":
        found += [link for link in LINK.findall(text) if not (path.parent / link).exists()]
    return found


@pytest.mark.parametrize("path", [*DOCUMENTS, *SOURCES], ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_named_is_there(path: Path) -> None:
    assert missing(path.read_text(encoding="utf-8"), path) == []


def test_what_is_missing_is_found() -> None:
    text = (
        "`ailand_gt4py.emulator.no_module`, `weights.model.no_member`, `lowering/no_file.py`, "
        "python -m studies.no_study, [a page](no_page.md)"
    )

    assert missing(text, ROOT / "README.md") == [
        "lowering/no_file.py",
        "emulator.no_module",
        "weights.model.no_member",
        "python -m studies.no_study",
        "no_page.md",
    ]
    assert not missing("`ailand_gt4py.emulator.forcing`, `weights.model.Model.step_seconds`", ROOT / "README.md")
