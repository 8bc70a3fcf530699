"""What the site promises, without building it: everything public is documented, every page can be found."""

from __future__ import annotations

import ast
import functools
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import ailand_gt4py
from ailand_gt4py.cli.main import COMMANDS
from ailand_gt4py.cli.options import fields_of, flags_of

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
sys.path.insert(0, str(DOCS / "_ext"))

import check_links  # noqa: E402
import reference  # noqa: E402

#: Inherited from Python's own classes.
OF_PYTHON = {*dir(Exception), *dir(tuple), *dir(object)}
TOCTREE = re.compile(r"```\{toctree\}\n(.*?)```", re.DOTALL)
MADE = re.compile(r"<!-- made: (\w+) -->")
PAGE = re.compile(r"<!-- page: (\S+) -->")


def without_docstring() -> Iterator[str]:
    """Public names, and public methods and properties of public classes, that say nothing of themselves."""
    for name in ailand_gt4py.__all__:
        public = getattr(ailand_gt4py, name)
        if not inspect.getdoc(public):
            yield name
        if not inspect.isclass(public):
            continue
        for key in dir(public):
            member = inspect.getattr_static(public, key)
            if key.startswith("_") or key in OF_PYTHON:
                continue
            if not (inspect.isfunction(member) or isinstance(member, property | classmethod | staticmethod)):
                continue
            documented = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
            if not inspect.getdoc(documented):
                yield f"{name}.{key}"


def test_everything_public_has_a_docstring() -> None:
    assert list(without_docstring()) == []


def test_a_missing_docstring_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ailand_gt4py.Emulator, "bare", lambda self: None, raising=False)
    monkeypatch.setattr(ailand_gt4py.Model, "bare_too", property(lambda self: None), raising=False)
    assert list(without_docstring()) == ["Emulator.bare", "Model.bare_too"]


@pytest.mark.parametrize("name", reference.commands())
def test_every_option_of_a_command_is_described(name: str) -> None:
    kind = reference.commands()[name]
    assert (kind.__doc__ or "").strip()
    assert [path for path, field in fields_of(kind) if not (field.description or "").strip()] == []


@pytest.mark.parametrize("name", reference.configurations())
def test_every_key_of_a_configuration_is_described(name: str) -> None:
    kind = reference.configurations()[name]
    found = dict(reference.keys(kind))
    assert [path for path, field in found.items() if not (field.description or "").strip()] == []
    assert all(section.__doc__ for section in reference.sections_of(kind))


@functools.cache
def made(name: str) -> str:
    return reference.PAGES[name]()


def section(page: str, title: str) -> str:
    (found,) = re.findall(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    return str(found)


def test_the_reference_has_every_command_and_option() -> None:
    titles = re.findall(r"^## (.*)$", made("commands"), re.MULTILINE)
    assert titles == ["ailand-column-run", *(f"ailand {name}" for name in COMMANDS), "ailand-icon4py-run"]
    for name, kind in reference.commands().items():
        words = section(made("commands"), name)
        for path, field in fields_of(kind):
            for flag in flags_of(path, field):
                assert re.search(rf"`{re.escape(flag)}[ `]", words), f"{name} {flag}"


def test_the_reference_has_every_key() -> None:
    for name, kind in reference.configurations().items():
        words = section(made("configuration"), name)
        assert [key for key, _ in reference.keys(kind) if f"| `{key}` |" not in words] == []


def test_the_reference_has_every_variable_and_input() -> None:
    from ailand_gt4py.weights.variables import CATALOGUE

    assert [name for name in CATALOGUE if f"| `{name}` |" not in made("variables")] == []
    model = ailand_gt4py.read_model()
    inputs = [one.name for one in (*model.static, *model.forcing, *model.state)]
    assert [name for name in inputs if f"| `{name}` |" not in made("inputs")] == []
    outputs = [one.name for one in (*model.state, *model.diagnostics)]
    assert [name for name in outputs if f"| `{name}` |" not in made("output")] == []


def test_each_page_that_is_made_is_on_a_page() -> None:
    asked = [name for path in DOCS.rglob("*.md") for name in MADE.findall(path.read_text(encoding="utf-8"))]
    assert sorted(asked) == sorted(reference.PAGES)


def excluded() -> list[str]:
    """Patterns of what is no page, as the site's configuration has them."""
    tree = ast.parse((DOCS / "conf.py").read_text(encoding="utf-8"))
    (found,) = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "exclude_patterns"
    ]
    return [str(one) for one in found]


def pages() -> set[Path]:
    """The site's pages, but the first one."""
    left_out = {path for pattern in excluded() for path in DOCS.glob(pattern)}
    found = {path for path in DOCS.rglob("*.md") if not left_out & {path, *path.parents}}
    return found - {DOCS / "index.md"}


def listed() -> set[Path]:
    """What the tables of contents name."""
    found: set[Path] = set()
    for page in DOCS.rglob("*.md"):
        for content in TOCTREE.findall(page.read_text(encoding="utf-8")):
            for line in content.splitlines():
                name = line.strip()
                if name and not name.startswith(":"):
                    found |= {path.resolve() for path in page.parent.glob(f"{name}.md")}
    return found


def test_each_page_is_in_a_table_of_contents() -> None:
    assert sorted(str(path.relative_to(DOCS)) for path in pages() - listed()) == []
    assert len(pages()) > 50


def test_pages_from_elsewhere_are_there() -> None:
    elsewhere = [one for path in DOCS.rglob("*.md") for one in PAGE.findall(path.read_text(encoding="utf-8"))]
    assert "CONTRIBUTING.md" in elsewhere
    assert [one for one in elsewhere if not (ROOT / one).is_file()] == []


def test_environment_variables_are_documented() -> None:
    page = (DOCS / "reference" / "environment.md").read_text(encoding="utf-8")
    files = [path for ending in ("py", "hpp", "cuh") for path in (ROOT / "src").rglob(f"*.{ending}")]
    sources = "\n".join(path.read_text(encoding="utf-8") for path in files)
    own = set(re.findall(r"[\"'](AILAND_[A-Z_]+)[\"']", sources))
    assert {"AILAND_BLAS", "AILAND_TRUSTED_CACHE", "AILAND_DEVICE_COLUMNS"} <= own
    assert [name for name in sorted(own) if f"`{name}`" not in page] == []


#: A command in a block or in a line of text, as far as it goes, with lines that go on with it.
COMMAND = re.compile(
    r"(?:^(?:    )?|`|&& )((?:ailand-column-run|ailand-icon4py-run|ailand (?:model )?[a-z]+)\b[^`\n]*"
    r"(?:\n {8,}\[?-[^\n`]*)*)",
    re.MULTILINE,
)


def unknown_options(text: str) -> list[str]:
    """Options of this package's commands in a text that these do not have."""
    known = reference.commands()
    found = []
    for line in COMMAND.findall(text):
        words = re.sub(r"'[^']*'|\s#.*", " ", line)
        name = next((one for one in sorted(known, key=len, reverse=True) if words.startswith(one)), None)
        if name is None:
            found.append(line.split("  ")[0].strip())
            continue
        kind = known[name]
        flags = {"-h", "--help", "--version", "--set", kind.config}
        for path, field in fields_of(kind):
            own = flags_of(path, field)
            flags |= {*own, *(f"--no-{one.removeprefix('--')}" for one in own)}
        found += [f"{name} {one}" for one in re.findall(r"(?<![\w-])--?[a-z][a-z-]*\b", words) if one not in flags]
    return found


@pytest.mark.parametrize("page", [*sorted(DOCS.rglob("*.md")), *sorted(ROOT.glob("*.md"))], ids=lambda one: one.name)
def test_commands_on_pages_have_their_options(page: Path) -> None:
    if "log" not in page.parts:  # records of what was done
        assert unknown_options(page.read_text(encoding="utf-8")) == []


def test_an_unknown_option_is_told() -> None:
    text = "    ailand evaluate FILE --speed 3 -o A.md\nuse `ailand-column-run F --end T --unknown` or `ailand sing`"
    assert unknown_options(text) == ["ailand evaluate --speed", "ailand-column-run --unknown", "ailand sing"]


def test_dead_links_of_a_site_are_found(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(
        '<a href="b.html#there">x</a><a href="b.html#gone">x</a><a href="no.html">x</a><a href="https://no.where">x</a>'
        '<img src="no.png"><a href="#here">x</a><p id="here">x</p>'
    )
    (tmp_path / "b.html").write_text('<h1 id="there">x</h1>')
    assert check_links.dead_links(tmp_path) == {"a.html": {"b.html#gone", "no.html", "no.png"}}
