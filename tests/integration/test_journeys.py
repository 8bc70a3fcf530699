"""The journeys of the documentation: what stands on their pages is run as it stands, block by block, in its order."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "journeys"
JOURNEYS = sorted(path.stem for path in PAGES.glob("*.md") if path.stem != "index")
BLOCK = re.compile(r"^```(bash|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINKED = re.compile(r"\]\(\.\./\.\./(examples/[\w./]+\.py)\)")
#: Pages that train.
WITH_TORCH = ("own_model", "tower")

#: What the Climate Data Store would send: the request is looked at, the files are made.
CDSAPI = """
import shutil, subprocess, sys

class Client:
    def retrieve(self, name, request):
        assert name == "reanalysis-era5-single-levels", name
        assert {"product_type", "variable", "year", "month", "day", "time", "area", "data_format"} <= set(request)
        self.request = request
        return self

    def download(self, target):
        area = ",".join(map(str, self.request["area"]))
        start = "-".join(self.request[key][0] for key in ("year", "month", "day"))
        subprocess.run([sys.executable, MAKER, "era5", EXAMPLE, "cds", "--area", area, "--start", start], check=True)
        shutil.move(f"cds/{target}", target)
"""

#: Begins the session in which a page is followed. Commands of this package begin as copies of a process in which what
#: takes seconds to import is there; all else is bash's.
SESSION = """
import json, os, re, runpy, shlex, subprocess, sys
import ailand_gt4py.driver.api, ailand_gt4py.driver.check
from ailand_gt4py.cli import column_run, main as ailand

def script(words):
    sys.argv = words
    runpy.run_path(words[0], run_name="__main__")

PROGRAMS = {"ailand": ailand.main, "ailand-column-run": column_run.main, "python": script}

def run(words):
    status = 1
    try:
        status = PROGRAMS[words[0]](words[1:]) or 0
    except SystemExit as error:
        status = error.code or 0
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)

# Of a process that does nothing else: locks and threads of a session that has opened files are no good to a copy.
(questions, asked), (answered, answers) = ((os.fdopen(r), os.fdopen(w, "w")) for r, w in (os.pipe(), os.pipe()))
if not os.fork():
    asked.close()
    for question in questions:
        child = os.fork() or run(json.loads(question))
        answers.write(f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\\n")
        answers.flush()
    os._exit(0)
answers.close()

def commands(text):
    command, end = "", None
    for line in text.splitlines(keepends=True):
        command += line
        heredoc = re.search(r"<< \'(\\w+)\'", line)
        end = heredoc[1] if heredoc else end
        if line.strip() == end:
            end = None
        if end is None and not line.endswith("\\\\\\n"):
            yield command
            command = ""

def follow(text):
    for command in commands(text):
        words = shlex.split(command.replace("\\\\\\n", " "))
        if words[0] not in PROGRAMS or "-c" in words[:2] or set("|&;<>$`") & set(command):
            subprocess.run(["bash", "-euc", command], check=True)
            continue
        sys.stdout.flush()
        asked.write(json.dumps(words) + "\\n")
        asked.flush()
        status = int(answered.readline() or 1)
        if status:
            raise SystemExit(f"exit status {status} of: {command}")
"""


def blocks(page: Path) -> list[tuple[str, str]]:
    """Kind and text of each block that a reader is to run."""
    return BLOCK.findall(page.read_text(encoding="utf-8"))


def run_page(page: Path, folder: Path) -> None:
    """Run a page's blocks in a folder, Python in one process as a reader's session."""
    example = ROOT / "examples" / "column_run" / "ecland_columns.nc"
    for linked in LINKED.findall(page.read_text(encoding="utf-8")):  # which the site has as downloads
        shutil.copy(ROOT / linked, folder)
    maker = ROOT / "examples" / "journeys" / "make_files.py"
    constants = f"MAKER, EXAMPLE = {str(maker)!r}, {str(example)!r}\n"
    modules = folder / "modules"
    modules.mkdir()
    (modules / "cdsapi.py").write_text(constants + textwrap.dedent(CDSAPI), encoding="utf-8")
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
        "PYTHONPATH": os.pathsep.join([str(modules), *filter(None, [os.environ.get("PYTHONPATH")])]),
        "MPLBACKEND": "agg",
        "OMP_NUM_THREADS": "1",
    }
    session = [SESSION]
    for number, (kind, text) in enumerate(blocks(page), start=1):
        session.append(f"print('--- block {number}', flush=True)\n")
        session.append(text if kind == "python" else f"follow({text!r})\n")
    script = folder / "session.py"
    script.write_text("".join(session), encoding="utf-8")
    command = [sys.executable, str(script)]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    said = f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    assert done.returncode == 0, f"{page.name} cannot be followed:\n{said}"


def test_there_are_five() -> None:
    assert JOURNEYS == ["ecland_files", "era5_box", "host", "own_model", "tower"]


@pytest.mark.slow
@pytest.mark.parametrize("name", JOURNEYS)
def test_a_reader_can_follow(name: str, tmp_path: Path) -> None:
    if name in WITH_TORCH:
        pytest.importorskip("torch")
    page = PAGES / f"{name}.md"
    steps = re.findall(r"^## (\d+)\. ", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert steps == [str(k) for k in range(1, len(steps) + 1)], "its steps are numbered"
    run_page(page, tmp_path)
    if name == "tower":  # the page says that fluxes get better
        for flux in ("sshf", "slhf"):
            before, after = (rmse(tmp_path / f"{time}.md", flux) for time in ("before", "after"))
            assert after < 0.8 * before, flux


def rmse(table: Path, name: str) -> float:
    """Of the emulator, against observations."""
    (found,) = re.findall(
        rf"^\| {name} \| emulator \| \d+ \| ([\d.]+) \|", table.read_text(encoding="utf-8"), re.MULTILINE
    )
    return float(found)


@pytest.mark.slow
def test_a_newcomer_can_start(tmp_path: Path) -> None:
    run_page(ROOT / "docs" / "getting_started.md", tmp_path)
    assert (tmp_path / "run.png").stat().st_size > 10_000


def test_a_step_that_fails_is_told(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    folder = tmp_path / "there"
    folder.mkdir()
    page.write_text("```bash\nailand check nothing.nc\n```\n", encoding="utf-8")
    with pytest.raises(AssertionError, match=r"nothing\.nc"):
        run_page(page, folder)
