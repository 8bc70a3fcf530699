#!/usr/bin/env python3
"""What a stranger gets: the package built, installed without the repository, and used outside of it.

    python tools/check_wheel.py [--torch REQUIREMENT] [--keep DIRECTORY]     (or `make test-wheel`)

Builds the source distribution and, from that alone, the wheel; compares the first with what git tracks; installs the
wheel into an empty environment; and in an empty directory goes through the help of every command and through the
commands of the example's README.md, as they stand there. Without --torch those that train are left out, and said to be.
The exit status is 0 where all of it worked.

It needs nothing but Python's own library, so that it can make the environments.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
import tarfile
import tempfile
import time
import venv
import zipfile
from collections.abc import Sequence
from email.parser import Parser
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
#: What building adds to a source distribution.
MADE = re.compile(r"PKG-INFO|setup\.cfg|src/ailand_gt4py\.egg-info/.*")
#: What the commands of the example leave behind, and which of them.
RESULTS = {"ailand-column-run": ("run.nc", "columns.png"), "ailand evaluate": ("evaluation.html",)}


class FailedError(Exception):
    """Something is not as it should be."""


def call(command: Sequence[str | Path], where: Path, environment: dict[str, str], status: int = 0) -> str:
    """What a command prints; it has to end with this status."""
    start = time.monotonic()
    done = subprocess.run(
        list(map(str, command)), cwd=where, env=environment, capture_output=True, text=True, check=False, timeout=900
    )
    shown = shlex.join([Path(str(command[0])).name, *map(str, command[1:])])
    if done.returncode != status:
        raise FailedError(f"{shown}: ended with {done.returncode}, expected {status}\n{done.stdout}{done.stderr}")
    print(f"  {time.monotonic() - start:6.1f} s  {shown}", flush=True)
    return done.stdout + done.stderr


def environment_at(path: Path, *requirements: str | Path) -> Path:
    """The directory of programs of a new environment."""
    venv.create(path, with_pip=True)
    own = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    call([path / "bin" / "python", "-m", "pip", "install", "--quiet", *requirements], path, own)
    return path / "bin"


def check_source(archive: Path) -> None:
    """Whether a source distribution has all that git tracks, and nothing else."""
    with tarfile.open(archive) as content:
        found = {member.name.partition("/")[2] for member in content.getmembers() if not member.isdir()}
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        print("  no git: the source distribution is not compared with what it tracks")
        return
    tracked = set(filter(None, listed.stdout.split("\0")))
    # What the package takes of a directory by a link, the wheel tells.
    links = tuple(f"{name}/" for name in tracked if (ROOT / name).is_dir())
    expected = {name for name in tracked if not (ROOT / name).is_dir()}
    if lacking := sorted(expected - found):
        raise FailedError(
            f"the source distribution lacks {len(lacking)} files that git tracks: {', '.join(lacking[:10])}"
        )
    if more := sorted(name for name in found - expected if not (MADE.fullmatch(name) or name.startswith(links))):
        raise FailedError(
            f"the source distribution has {len(more)} files that git does not track: {', '.join(more[:10])}"
        )
    print(f"  {archive.name}: the {len(expected)} files that git tracks, {archive.stat().st_size / 1e6:.1f} MB")


def check_wheel(wheel: Path) -> str:
    """The version of a wheel, which has to have the configurations and the example."""
    with zipfile.ZipFile(wheel) as content:
        names = set(content.namelist())
        (metadata,) = (content.read(name).decode() for name in names if name.endswith(".dist-info/METADATA"))
    expected = {f"ailand_gt4py/configs/{path.name}" for path in (ROOT / "configs").iterdir() if path.is_file()}
    expected |= {f"ailand_gt4py/example/{name}" for name in ("ecland_columns.nc", "toy_model.yaml", "README.md")}
    if lacking := sorted(expected - names):
        raise FailedError(f"the wheel lacks {', '.join(lacking)}")
    if more := sorted(name for name in names if name.startswith(("tests/", "docs/", "ailand_gt4py/configs/tried"))):
        raise FailedError(f"the wheel has {', '.join(more[:10])}, expected the package alone")
    told = Parser().parsestr(metadata)
    links = re.findall(r"\]\(([^)\s]+)\)", told.get_payload())
    if relative := [link for link in links if not link.startswith("https://")]:
        raise FailedError(
            f"the description of the package has links that lead nowhere from there: {', '.join(relative)}"
        )
    print(f"  {wheel.name}: {len(names)} files, {wheel.stat().st_size / 1e6:.1f} MB")
    return str(told["Version"])


def commands_of(page: Path) -> list[list[str]]:
    """The commands that a page shows."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    return [shlex.split(line) for block in blocks for line in block.splitlines() if line.strip()]


def use(programs: Path, version: str, folder: Path, has_torch: bool) -> None:
    """Go through all commands in a directory without anything of the repository."""
    environment = {
        **{name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")},
        "PATH": f"{programs}:{os.environ['PATH']}",
        "XDG_CACHE_HOME": str(folder / "cache"),
        "PYTHONNOUSERSITE": "1",
    }

    def run(*words: str, status: int = 0, where: Path = folder) -> str:
        return call([programs / words[0], *words[1:]], where, environment, status)

    place = Path(run("python", "-c", "import ailand_gt4py; print(ailand_gt4py.__file__)").strip())
    if not place.is_relative_to(programs.parent):
        raise FailedError(f"the package that is used is {place}, expected that of the wheel")
    if (told := run("ailand", "--version").strip()) != f"ailand {version}":
        raise FailedError(f"ailand --version says '{told}', expected that of the wheel, {version}")
    listed = re.findall(
        r"^  ((?:model )?\w+)  +\S", run("ailand", "--help").partition("\ncommands:\n")[2], re.MULTILINE
    )
    if "example" not in listed:
        raise FailedError(f"ailand --help lists {listed}, expected the commands")
    for name in listed:
        run("ailand", *name.split(), "--help")
    for program in ("ailand-column-run", "ailand-icon4py-run"):
        run(program, "--help")
    run("ailand", "example")
    run("ailand", "example", status=2)
    example = folder / "ailand_example"
    # By its name, from a directory that has no configuration: only the data of that training are not there.
    message = run("ailand", "train", "default_model", status=2)
    if "ecland_synth_6h_train.nc: no such file" not in message:
        raise FailedError(f"ailand train default_model says '{message}', expected what data it lacks")
    left_out = []
    for command in commands_of(example / "README.md"):
        if not has_torch and "toy_model" in " ".join(command):
            left_out.append(shlex.join(command))
            continue
        run(*command, where=example)
        of = command[0] if command[0] != "ailand" else " ".join(command[:2])
        for name in RESULTS.get(of, ()) if "--model" not in command else ():
            if not (example / name).stat().st_size:
                raise FailedError(f"{shlex.join(command)} wrote an empty {name}")
    for command in left_out:
        print(f"  not run, without PyTorch: {command}")


def main() -> int:
    """Build, install and use; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--torch", metavar="REQUIREMENT", help="PyTorch to install, to train with")
    parser.add_argument("--keep", type=Path, metavar="DIRECTORY", help="keep what is built there")
    options = parser.parse_args()
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="ailand-wheel-") as name:
        folder = Path(name).resolve()
        built = (options.keep or folder / "dist").resolve()
        try:
            print("Building:")
            builder = environment_at(folder / "builder", "build", "twine")
            call([builder / "python", "-m", "build", "--outdir", built, ROOT], folder, dict(os.environ))
            newest = {
                suffix: max(built.glob(f"*{suffix}"), key=lambda path: path.stat().st_mtime_ns)
                for suffix in (".tar.gz", ".whl")
            }
            call([builder / "twine", "check", "--strict", *newest.values()], folder, dict(os.environ))
            check_source(newest[".tar.gz"])
            version = check_wheel(newest[".whl"])
            print("Installing:")
            requirements = [newest[".whl"], *([options.torch] if options.torch else [])]
            programs = environment_at(folder / "environment", *requirements)
            print("Using:")
            (folder / "empty").mkdir()
            use(programs, version, folder / "empty", bool(options.torch))
        except (FailedError, subprocess.TimeoutExpired) as error:
            print(f"check_wheel: {error}", file=sys.stderr)
            return 1
    print(f"The wheel works in an environment of its own, {time.monotonic() - start:.0f} s.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
