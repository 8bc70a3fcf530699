"""Links within a built site that lead nowhere: ``python check_links.py SITE``; exit status 1 where there are some."""

from __future__ import annotations

import html.parser
import sys
import urllib.parse
from collections import defaultdict
from pathlib import Path


class _Page(html.parser.HTMLParser):
    """What a page links to, and the anchors that it has."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        own = dict(attrs)
        self.anchors |= {one for one in (own.get("id"), own.get("name") if tag == "a" else None) if one}
        self.links += [one for one in (own.get("href"), own.get("src")) if one]


def dead_links(site: Path) -> dict[str, set[str]]:
    """Pages of a site -> links of theirs to files or anchors that are not there."""
    pages = {path.resolve(): _Page(path) for path in site.rglob("*.html")}
    found: dict[str, set[str]] = defaultdict(set)
    for path, page in pages.items():
        for link in page.links:
            parts = urllib.parse.urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / urllib.parse.unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            fragment = urllib.parse.unquote(parts.fragment)
            if not target.is_file() or (fragment and target in pages and fragment not in pages[target].anchors):
                found[str(path.relative_to(site.resolve()))].add(link)
    return found


def main() -> int:
    site = Path(sys.argv[1])
    found = dead_links(site)
    for page, links in sorted(found.items()):
        print(f"{page}: {', '.join(sorted(links))}")
    n_pages = len(list(site.rglob("*.html")))
    print(f"{site}: {sum(map(len, found.values()))} dead links within {n_pages} pages")
    return 1 if found or not n_pages else 0


if __name__ == "__main__":
    sys.exit(main())
