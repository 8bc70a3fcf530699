#!/usr/bin/env python3
"""Whether the package's extras go together, on every Python: resolved from the index, without installing anything.

    python tools/check_extras.py [-o docs/dependencies.md] [--lowest REQUIREMENTS.txt]     (or `make extras`)

Every extra, and the combinations in `TOGETHER`, is resolved by uv on each Python that the package names, with the newest
releases that the index has; the page says which versions that gives of packages that others are particular about. An
extra without a resolution is a line on standard error and the exit status 1. With --lowest, the oldest releases that the
package's own bounds allow are written as requirements, with which `make test-lowest` runs tests.

It needs uv (`pip install uv`), beside this Python or on the path.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.util
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
#: Extras that are used together: by the targets of the Makefile, and by who trains, couples or runs on a cluster.
TOGETHER = (
    "dev,grib,mpi,dask",
    "test,anemoi,mpi",
    "test,icon4py",
    "training,grib,dask,mpi,onnx-export",
    "training,anemoi-export,grib,dask,mpi,onnx-export",
    "training,studies,bench,cuda12",
    "training,studies,bench,cuda13",
    "icon4py,grib,dask,mpi,cuda13",
)
#: Extras of one machine, which replace each other.
APART = {"cuda12", "cuda13"}
#: Those on whose versions others depend.
TOLD = ("numpy", "xarray", "zarr", "gt4py", "torch")
#: What is tested with the oldest dependencies.
LOWEST = "test,onnx-export,grib,mpi,dask"
FOOT = """
An extra that another Python than that of a column is needed for adds nothing there (`icon4py`: 3.12 or newer). `cuda12` and
`cuda13` replace each other. The oldest releases of direct dependencies that the bounds in `pyproject.toml` allow are those
with which `make test-lowest` runs tests, on Python 3.11:

"""


def uv() -> list[str]:
    """The command."""
    if importlib.util.find_spec("uv"):
        return [sys.executable, "-m", "uv"]
    if path := shutil.which("uv"):
        return [path]
    raise SystemExit("check_extras: uv was not found, expected it beside this Python: pip install uv")


def resolved(python: str, extras: str, resolution: str = "highest") -> dict[str, str]:
    """Versions by package, of the package's dependencies with these extras.

    Raises:
        RuntimeError: there is no resolution; with uv's reason.
    """
    chosen = [word for extra in extras.split(",") if extra for word in ("--extra", extra)]
    command = [*uv(), "pip", "compile", "--quiet", "--no-header", "--no-annotate", "--python-version", python]
    done = subprocess.run(
        [*command, "--resolution", resolution, *chosen, "pyproject.toml"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(" ".join(done.stderr.split()))
    return dict(re.findall(r"^([\w.-]+)==(\S+)", done.stdout, re.MULTILINE))


def main() -> int:
    """Resolve, and write the page; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, metavar="PAGE.md", help="page to write")
    parser.add_argument("--lowest", type=Path, metavar="FILE", help="write the oldest requirements, and nothing else")
    options = parser.parse_args()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pythons = [one.rpartition(" ")[2] for one in project["classifiers"] if re.search(r":: 3\.\d+$", one)]
    names = [re.split(r"[<>=!~;\[ ]", one)[0].lower() for one in project["dependencies"]]
    lowest = resolved(pythons[0], LOWEST, "lowest-direct")
    if options.lowest:
        options.lowest.write_text("".join(f"{name}=={version}\n" for name, version in lowest.items()))
        return 0
    lines = [
        "# Dependencies",
        "",
        f"Made by `make extras` on {datetime.date.today().isoformat()}: whether the extras, alone and together, can be "
        "installed on each Python,\nwith the newest releases there were, and what that gives of packages that others are "
        "particular about. Nothing was installed.",
        "",
        "| extras | Python | packages | " + " | ".join(TOLD) + " |",
        "|---|---|---:|" + "---|" * len(TOLD),
    ]
    failed = 0
    for extras in ["", *project["optional-dependencies"], *TOGETHER]:
        assert not {*extras.split(",")} >= APART
        for python in pythons:
            try:
                versions = resolved(python, extras)
            except RuntimeError as error:
                failed += 1
                print(f"check_extras: [{extras}] on Python {python}: {error}", file=sys.stderr)
                lines.append(f"| {extras} | {python} | **no resolution** |" + " |" * len(TOLD))
                continue
            shown = [versions.get(name, "") for name in TOLD]
            lines.append(f"| {extras or 'none'} | {python} | {len(versions)} | {' | '.join(shown)} |")
            print(f"[{extras}] on Python {python}: {len(versions)} packages", flush=True)
    oldest = ", ".join(f"{name} {lowest[name]}" for name in dict.fromkeys(names) if name in lowest)
    if options.output:
        options.output.write_text("\n".join(lines) + f"\n{FOOT}{oldest}.\n")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
