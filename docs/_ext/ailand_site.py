"""What makes the site of these documents: pages from the code, links to files of the repository, pages from elsewhere.

* A line ``<!-- made: NAME -->`` becomes the page ``NAME`` of `reference.PAGES`.
* A line ``<!-- page: PATH -->`` becomes the document at PATH in the repository, less its title.
* Links may be those of the repository, ``../configs/default_model.yaml``: to a document that is a page of the site
  they lead there; to any other file, to the repository at `ailand_repository`, or, where that is empty, to a copy of
  the file that comes with the site. A link that leads nowhere is a warning, and so an error of ``make docs``.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import reference
from sphinx.application import Sphinx
from sphinx.util import logging

logger = logging.getLogger(__name__)

MADE = re.compile(r"^<!-- made: (\w+) -->$", re.MULTILINE)
#: Of pages that have none of their own, since commands that write tables wrote them.
TITLES = {"evaluation_holdout": "Hold-out columns"}

PAGE = re.compile(r"^<!-- page: (\S+) -->$", re.MULTILINE)
LINK = re.compile(r"(?P<before>!?\[(?:[^\[\]]|\[[^\]]*\])*\]\()(?P<target>[^()\s]+)(?P<after>(?:\s+\"[^\"]*\")?\))")
FENCE = re.compile(r"^( {0,3}(?:```|~~~).*?^ {0,3}(?:```|~~~)\s*?$)", re.MULTILINE | re.DOTALL)
SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:|#", re.IGNORECASE)


def pages_from_elsewhere(source: Path) -> dict[Path, Path]:
    """Documents outside the site's folder -> the page that has them."""
    found = {}
    for page in sorted(source.rglob("*.md")):
        for path in PAGE.findall(page.read_text(encoding="utf-8")):
            found[(source.parent / path).resolve()] = page
    return found


class Links:
    """Links of documents as the site has them.

    Args:
        source: folder of the pages, in the repository. repository: address of the repository's files, or nothing.
    """

    def __init__(self, source: Path, repository: str) -> None:
        self.source, self.root = source.resolve(), source.resolve().parent
        self.repository = repository.rstrip("/")
        self.elsewhere = pages_from_elsewhere(self.source)

    def resolved(self, text: str, document: Path) -> str:
        """A document's text with its links led on; what is in fences stays as it is."""
        parts = FENCE.split(text)
        return "".join(
            part if k % 2 else LINK.sub(lambda one: self._link(one, document), part) for k, part in enumerate(parts)
        )

    def _link(self, link: re.Match[str], document: Path) -> str:
        target = link["target"]
        if SCHEME.match(target) or target.startswith("/"):
            return link[0]
        name, mark, anchor = target.partition("#")
        return f"{link['before']}{self.address((document.parent / name).resolve())}{mark}{anchor}{link['after']}"

    def address(self, path: Path) -> str:
        """Where a file of the repository is, for a page of the site."""
        if not path.is_relative_to(self.root):
            return str(path)
        if path in self.elsewhere:
            return f"/{self.elsewhere[path].relative_to(self.source)}"
        if path.is_relative_to(self.source) and path.is_file():
            return f"/{path.relative_to(self.source)}"
        if path.is_dir() and (path / "README.md") in self.elsewhere:
            return f"/{self.elsewhere[path / 'README.md'].relative_to(self.source)}"
        pages = sorted(path.glob("*.md")) if path.is_relative_to(self.source) else []
        if pages:  # a folder of pages: the first one
            return f"/{pages[0].relative_to(self.source)}"
        if self.repository:
            return f"{self.repository}/{path.relative_to(self.root)}"
        return f"/../{path.relative_to(self.root)}"


#: Docstrings of attributes, before napoleon, which takes what stands before a colon in them for a type.
_of_attributes: dict[str, list[str]] = {}


def keep(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    if what in ("attribute", "data", "property"):
        _of_attributes[name] = list(lines)


def put_back(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    lines[:] = _of_attributes.pop(name, lines)
    # Shapes, (n_times, *grid), are no emphasis.
    lines[:] = [re.sub(r"([(,] ?)\*(?=\w)", r"\1\\*", line) for line in lines]


def read(app: Sphinx, docname: str, content: list[str]) -> None:
    """Put in what a page asks for, and lead its links on."""
    links: Links = app.env.ailand_links  # type: ignore[attr-defined]
    page = Path(app.env.doc2path(docname))
    if page.suffix != ".md":
        return
    title = f"# {TITLES[docname]}\n\n" if docname in TITLES and not content[0].startswith("# ") else ""
    text = title + links.resolved(content[0], page)
    if not any((links.source / "notebooks").glob("*.md")):
        text = text.replace("notebooks/*\n", "")

    def other(found: re.Match[str]) -> str:
        document = links.root / found[1]
        app.env.note_dependency(str(document))
        words = document.read_text(encoding="utf-8")
        return links.resolved(re.sub(r"\A# .*\n", "", words), document)

    text = PAGE.sub(other, text)
    if MADE.search(text):
        app.env.note_reread()  # from the code as it is now
        text = MADE.sub(lambda found: reference.PAGES[found[1]](), text)
    content[0] = text


def begin(app: Sphinx, *_: Any) -> None:
    app.env.ailand_links = Links(Path(app.srcdir), app.config.ailand_repository)  # type: ignore[attr-defined]


def end(app: Sphinx, *_: Any) -> None:
    # The environment is kept between builds; this is made anew in each.
    app.env.__dict__.pop("ailand_links", None)


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_config_value("ailand_repository", "", "env", str)
    app.connect("autodoc-process-docstring", keep, priority=400)
    app.connect("autodoc-process-docstring", put_back, priority=600)
    app.connect("env-before-read-docs", begin)
    app.connect("env-updated", end)
    app.connect("source-read", read)
    return {"parallel_read_safe": False, "parallel_write_safe": True, "version": "1"}
