"""Every option of ``ailand-column-run``: its type, default, meaning, and how it is read from the command line or YAML.

`RunOptions` is the one declaration; the parser, the YAML keys, ``--help`` and the command line written to the output's
history are all made from it.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import difflib
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from ailand_gt4py.core.errors import InputError

PROGRAM = "ailand-column-run"

#: Stands for the forcing file where ``--reference`` names a file.
SAME_FILE = "same"

OUTPUT_SUFFIXES = (".nc", ".zarr")
PLOT_SUFFIXES = (".png", ".pdf", ".svg")

_DESCRIPTION = """\
Run aiLand, an emulator of the land-surface model ecLand, over the columns of a forcing file: from the state in the
file at the start time (or in a restart file) through all its time steps.
"""

_EPILOG = f"""\
example:
  {PROGRAM} forcing.nc --start 2021-01-01 --end 2021-07-01 -o run.nc --reference same --plot run.png --at 51.6,4.9

The rows of the output carry the labels of the forcing: row t holds the state and the instantaneous diagnostics (2 m
and skin temperature) AT t and the fluxes meaned over [t, t + step), so it can be compared with the input label by
label. The state after the last step is in the restart file beside the output.

A run writes OUT.partial and, now and then, OUT.resume; at the end OUT.partial is renamed to OUT. After an interruption
the same command with --resume continues there and gives the same file, bit for bit.

Every option can also be given in a YAML file (--config), under its long name without the dashes; the command line wins.
File names in it are relative to the current directory:
  forcing: forcing.nc
  start: 2021-01-01
  at: [51.6, 4.9]

exit status: 0 done; 1 failed while running; 2 input or usage is wrong; 130, 143 interrupted.
"""


def _path(value: object) -> Path:
    if not isinstance(value, str | Path) or not str(value):
        raise ValueError("a file name")
    return Path(value).expanduser()


def _reference(value: object) -> Path | str:
    return SAME_FILE if value == SAME_FILE else _path(value)


def _suffixed(suffixes: Sequence[str]) -> Callable[[object], Path]:
    def parse(value: object) -> Path:
        path = _path(value)
        if path.suffix.lower() not in suffixes:
            raise ValueError(f"a file name that ends in {' or '.join(suffixes)}")
        return path

    return parse


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("a word")
    return value


def _time(value: object) -> np.datetime64:
    expected = "a time (UTC) such as 2021-01-01 or 2021-01-01T06:00"
    if isinstance(value, datetime.datetime) and value.tzinfo is not None:
        value = value.astimezone(datetime.UTC).replace(tzinfo=None)
    if isinstance(value, datetime.date):  # YAML makes these by itself; datetime.datetime is one too
        value = value.isoformat()
    if not isinstance(value, str):
        raise ValueError(expected)
    text = value.strip().removesuffix("Z")
    try:
        time = np.datetime64(text)
    except ValueError:
        raise ValueError(expected) from None
    if np.isnat(time) or len(text) < len("2021-01-01"):
        raise ValueError(expected)
    return time.astype("datetime64[ns]")


def _location(value: object) -> tuple[float, float]:
    expected = "LAT,LON in degrees north and east, such as 51.6,4.9"
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list | tuple) or len(parts) != 2:
        raise ValueError(expected)
    try:
        latitude, longitude = (float(part) for part in parts)
    except (TypeError, ValueError):
        raise ValueError(expected) from None
    if not -90.0 <= latitude <= 90.0 or not -180.0 <= longitude <= 360.0:
        raise ValueError(expected)
    return latitude, longitude


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


def _number(value: object, smallest: float) -> float:
    expected = f"a number >= {smallest:g}"
    if isinstance(value, bool):
        raise ValueError(expected)
    try:
        number = float(value)  # type: ignore[arg-type]  # anything else raises TypeError
    except (TypeError, ValueError):
        raise ValueError(expected) from None
    if not smallest <= number < float("inf"):
        raise ValueError(expected)
    return number


def _seconds(value: object) -> float:
    return _number(value, 0.0)


def _count(value: object) -> int:
    number = _number(value, 1.0)
    if number != int(number):
        raise ValueError("a whole number >= 1")
    return int(number)


def _how(
    parse: Callable[[object], Any], help_text: str, metavar: str = "", flags: tuple[str, ...] = ()
) -> dict[str, Any]:
    """What the parser and the YAML reader must know about a field of `RunOptions`."""
    return {"parse": parse, "help": help_text, "metavar": metavar, "flags": flags}


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunOptions:
    """What a run is asked to do. Field names with ``-`` for ``_`` are the long options and the YAML keys."""

    forcing: Path = field(
        metadata=_how(_path, "forcing, static fields and initial state: netCDF file or zarr store", "FORCING")
    )
    model: Path | None = field(
        default=None, metadata=_how(_path, "model file (default: the model shipped with the package)", "MODEL")
    )
    backend: str = field(
        default="dace_cpu", metadata=_how(_text, "embedded, dace_cpu or dace_gpu (default: dace_cpu)", "NAME")
    )
    precision: str = field(
        default="float32",
        metadata=_how(
            _text,
            "precision of the computation: float32 or float64, on dace_gpu also tf32 or bf16 (default: float32)",
            "NAME",
        ),
    )
    start: np.datetime64 | None = field(
        default=None,
        metadata=_how(
            _time, "label of the first step, UTC (default: first of the file, or the restart's time)", "TIME"
        ),
    )
    end: np.datetime64 | None = field(
        default=None,
        metadata=_how(_time, "time at which the run ends: the end of its last step (default: end of the file)", "TIME"),
    )
    output: Path | None = field(
        default=None,
        metadata=_how(
            _suffixed(OUTPUT_SUFFIXES),
            "output, .nc (netCDF-4) or .zarr (default: <forcing's name>.ailand.nc in the current directory)",
            "OUT",
            ("-o",),
        ),
    )
    restart: Path | None = field(
        default=None,
        metadata=_how(_path, "start from this restart file of an earlier run, not from the state in FORCING", "FILE"),
    )
    restart_out: Path | None = field(
        default=None,
        metadata=_how(
            _suffixed((".nc",)),
            "restart file written at the end (default: <output's name>.restart.nc beside it)",
            "FILE",
        ),
    )
    resume: bool = field(
        default=False, metadata=_how(_flag, "continue an interrupted run; starts a new one where there is none")
    )
    reference: Path | str | None = field(
        default=None,
        metadata=_how(
            _reference, f"print scores against ecLand in this file; '{SAME_FILE}': the forcing file holds it", "REF"
        ),
    )
    plot: Path | None = field(
        default=None,
        metadata=_how(
            _suffixed(PLOT_SUFFIXES), "draw states and fluxes of one column through time (.png, .pdf, .svg)", "FIG"
        ),
    )
    at: tuple[float, float] | None = field(
        default=None,
        metadata=_how(_location, "column to draw: the one nearest to this location (default: the first)", "LAT,LON"),
    )
    overwrite: bool = field(default=False, metadata=_how(_flag, "replace existing output, restart and figure files"))
    block_steps: int | None = field(
        default=None,
        metadata=_how(
            _count, "steps held in memory and written at once (default: as many as fit 64 MiB, at most 512)", "N"
        ),
    )
    checkpoint_seconds: float = field(
        default=30.0,
        metadata=_how(
            _seconds, "least time between two resume checkpoints; 0: one with every block (default: 30)", "SECONDS"
        ),
    )
    quiet: bool = field(default=False, metadata=_how(_flag, "print only errors and the score table"))
    debug: bool = field(default=False, metadata=_how(_flag, "show the traceback of an error"))

    @property
    def output_path(self) -> Path:
        """Where the output goes, given or by default."""
        return self.output if self.output is not None else Path(f"{self.forcing.stem}.ailand.nc")

    @property
    def restart_out_path(self) -> Path:
        """Where the restart file goes, given or by default."""
        if self.restart_out is not None:
            return self.restart_out
        return self.output_path.with_name(f"{self.output_path.stem}.restart.nc")

    @property
    def reference_path(self) -> Path | None:
        """The reference file, if there is one."""
        return self.forcing if self.reference == SAME_FILE else self.reference  # type: ignore[return-value]

    def command_line(self) -> str:
        """The command that gives these options: those that differ from the default, less how the run is watched."""
        words = [PROGRAM, str(self.forcing)]
        for item in dataclasses.fields(self)[1:]:
            value = getattr(self, item.name)
            if value == item.default or item.name in ("quiet", "debug", "resume", "overwrite"):
                continue
            words.append(f"--{_key(item.name)}={_spelled(value)}")
        return shlex.join(words)


def _key(name: str) -> str:
    return name.replace("_", "-")


def _spelled(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(f"{part:g}" for part in value)
    return str(value)


class _Parser(argparse.ArgumentParser):
    """argparse, but an error is an `InputError` of one line."""

    def error(self, message: str) -> Any:
        raise InputError(f"{message}; see {PROGRAM} --help")


def parser(version: str) -> argparse.ArgumentParser:
    """The command-line parser; options that are not given do not appear in its result."""
    result = _Parser(
        prog=PROGRAM,
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    for item in dataclasses.fields(RunOptions):
        metadata = item.metadata
        if item.default is dataclasses.MISSING:
            result.add_argument(item.name, nargs="?", metavar=metadata["metavar"], help=metadata["help"])
        elif metadata["parse"] is _flag:
            result.add_argument(
                f"--{_key(item.name)}", dest=item.name, action=argparse.BooleanOptionalAction, help=metadata["help"]
            )
        else:
            result.add_argument(
                *metadata["flags"], f"--{_key(item.name)}", dest=item.name,
                metavar=metadata["metavar"], help=metadata["help"],
            )  # fmt: skip
    result.add_argument("--config", metavar="FILE", help="YAML file with any of these options")
    result.add_argument("--version", action="version", version=f"{PROGRAM} (ailand_gt4py {version})")
    return result


def join_location(argv: Sequence[str]) -> list[str]:
    """``--at -12.5,30`` as ``--at=-12.5,30``: argparse takes a value that starts with a dash for an option."""
    words = list(argv)
    for k in range(len(words) - 1):
        if words[k] == "--at" and words[k + 1][:1] == "-" and words[k + 1][1:2].isdigit():
            return [*words[:k], f"--at={words[k + 1]}", *words[k + 2 :]]
    return words


def parse_options(argv: Sequence[str], version: str) -> RunOptions:
    """The options of a command line, completed from its ``--config`` file.

    Raises:
        InputError: an unknown option, an unusable value, or no forcing file.
    """
    known, unknown = parser(version).parse_known_args(join_location(argv))
    if unknown:
        names = [f"--{_key(item.name)}" for item in dataclasses.fields(RunOptions)[1:]] + ["--config", "--version"]
        raise InputError(
            f"option '{unknown[0]}' is unknown{_nearest(unknown[0].split('=')[0], names)}; see {PROGRAM} --help"
        )
    given = vars(known)
    config = given.pop("config", None)
    values = {} if config is None else _read_config(Path(config))
    values.update({name: (value, f"--{_key(name)}") for name, value in given.items()})
    return _checked(values)


def _read_config(path: Path) -> dict[str, tuple[object, str]]:
    """Values of a YAML file, each with a word on where it stands."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot read the configuration: {error}") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = "" if mark is None else f" in line {mark.line + 1}"
        raise InputError(f"{path}: not YAML{where}: {getattr(error, 'problem', None) or 'cannot be parsed'}") from error
    if content is None:
        return {}
    if not isinstance(content, Mapping):
        raise InputError(f"{path}: found {type(content).__name__} at the top, expected 'option: value' pairs")
    names = {_key(item.name): item.name for item in dataclasses.fields(RunOptions)}
    values: dict[str, tuple[object, str]] = {}
    for key, value in content.items():
        name = names.get(_key(str(key)))
        if name is None:
            raise InputError(f"{path}: key '{key}' is unknown{_nearest(_key(str(key)), list(names))}")
        if name in values:
            raise InputError(f"{path}: key '{key}' is given twice")
        if value is not None:
            values[name] = (value, f"{path}: '{key}'")
    return values


def _nearest(word: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"; did you mean '{near[0]}'?" if near else f"; expected one of {', '.join(known)}"


def _checked(values: Mapping[str, tuple[object, str]]) -> RunOptions:
    if "forcing" not in values:
        raise InputError(f"no forcing file is given; expected {PROGRAM} FORCING [options], see {PROGRAM} --help")
    parsed: dict[str, Any] = {}
    for item in dataclasses.fields(RunOptions):
        if item.name in values:
            value, where = values[item.name]
            try:
                parsed[item.name] = item.metadata["parse"](value)
            except ValueError as error:
                raise InputError(f"{where}: found '{value}', expected {error}") from None
    options = RunOptions(**parsed)
    if options.start is not None and options.end is not None and not options.start < options.end:
        raise InputError(f"--end: found {options.end}, expected a time after --start {options.start}")
    if options.at is not None and options.plot is None:
        raise InputError("--at is given without --plot, which it belongs to")
    return options
