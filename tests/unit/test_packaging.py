"""What the package tells of itself: its version, its links, and documents that are not in the wheel."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

import ailand_gt4py

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
#: Under which this repository's files are found: of pages, and of pictures.
HOME = PROJECT["urls"]["Homepage"]
FILES = re.compile(rf"{re.escape(HOME)}/(?:blob|raw|tree)/main/([^)#\s]+)")
LINK = re.compile(r"\]\(([^)\s]+)\)")


def test_the_version_is_that_of_the_installation() -> None:
    assert ailand_gt4py.__version__ == importlib.metadata.version("ailand_gt4py")
    assert Version(ailand_gt4py.__version__)


def test_a_source_tree_that_is_not_installed_has_a_version_too(tmp_path: Path) -> None:
    """Of names that no installation has."""
    (tmp_path / "ailand_gt4py").symlink_to(ROOT / "src" / "ailand_gt4py")
    code = (
        "import importlib.metadata as m\n"
        "def none(name): raise m.PackageNotFoundError(name)\n"
        "m.version = none\n"
        "import ailand_gt4py; print(ailand_gt4py.__version__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=True
    )
    assert done.stdout == "0+unknown\n"
    assert Version(done.stdout.strip()) < Version("0.1.dev0")


def test_links_of_the_readme_are_absolute_and_lead_to_files() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    links = LINK.findall(text)
    assert len(links) > 10
    assert [link for link in links if not link.startswith("https://")] == []
    own = FILES.findall(text)
    # The first page of the site comes with the site.
    assert [path for path in own if not (ROOT / path).exists() and path != "docs/index.md"] == []
    assert len(own) >= sum(link.startswith(HOME) for link in links)
    assert len(text.splitlines()) <= 80


@pytest.mark.parametrize("path", ["examples/column_run/README.md", ".github/ISSUE_TEMPLATE/config.yml"])
def test_links_of_documents_that_are_read_elsewhere_are_absolute_too(path: str) -> None:
    text = (ROOT / path).read_text(encoding="utf-8")
    assert [link for link in LINK.findall(text) if not link.startswith("https://")] == []
    assert all((ROOT / own).exists() for own in FILES.findall(text))


def test_addresses_are_of_one_repository() -> None:
    assert all(url.startswith(HOME) for url in PROJECT["urls"].values())
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["repository-code"] == HOME
    assert citation["license"] == PROJECT["license"]
    assert [author["name"] for author in citation["authors"]] == [author["name"] for author in PROJECT["authors"]]


def test_figures_of_the_readme_are_those_of_the_page_that_has_all_of_them() -> None:
    page = (ROOT / "docs" / "model.md").read_text(encoding="utf-8")
    rows = [
        line
        for line in (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
        if re.match(r"\| (1 day|90 days|three years) ", line)
    ]
    assert len(rows) == 3
    assert all(row in page for row in rows)
    for network in ("`simple` 172", "`layer_norm` 4 x 256", "`layer_norm` 6 x 512"):
        (short,) = re.findall(rf"^\| {network} \|(.*)\|$", (ROOT / "README.md").read_text(), re.MULTILINE)
        (whole,) = re.findall(rf"^\| {network} \|(.*)\|$", page, re.MULTILINE)
        assert whole.split("|")[:5] == short.split("|")


def test_dependencies_have_lower_bounds() -> None:
    """Which `make test-lowest` installs."""
    for text in PROJECT["dependencies"]:
        assert any(one.operator in (">=", "==") for one in Requirement(text).specifier), text
    (numpy,) = [one for one in map(Requirement, PROJECT["dependencies"]) if one.name == "numpy"]
    assert "1.26.4" not in numpy.specifier


def test_the_workflow_of_hosted_checks_calls_the_script_of_all_checks() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
    steps = [step.get("run", "") for job in workflow["jobs"].values() for step in job["steps"]]
    assert any(".ci/run" in step for step in steps)


def test_the_changelog_has_the_version_that_is_being_made() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## \[(.+?)\](?: - \d{4}-\d{2}-\d{2})?$", text, re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert all(f"[{heading}]: {HOME}/" in text for heading in headings)
