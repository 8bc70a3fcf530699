"""Options from the command line and from YAML."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from ailand_gt4py.cli.column_run import main
from ailand_gt4py.cli.options import make_parser, parse
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.driver.options import RunOptions
from ailand_gt4py.io.site import Site


def options(*arguments: str) -> RunOptions:
    return parse(RunOptions, arguments)


def write(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


def test_defaults():
    found = options("dir/forcing.nc")
    assert found.output_path == Path("forcing.ailand.nc")
    assert found.restart_out_path == Path("forcing.ailand.restart.nc")
    assert (found.backend, found.precision) == ("dace_cpu", "float32")
    assert found.model is None
    assert found.reference_paths == ()


def test_outputs_in_one_directory_have_restart_files_of_their_own():
    outputs = ("a/run.nc", "a/run.zarr", "a/run.NC", "a/run.ZARR", "a/run.2.nc")
    restarts = {options("f.nc", "-o", output).restart_out_path for output in outputs}
    assert len(restarts) == len(outputs)
    assert options("f.nc", "-o", "a/run.nc").restart_out_path == Path("a/run.restart.nc")


def test_everything_on_the_command_line():
    found = options(
        "f.nc", "--model", "m.nc", "--backend", "embedded", "--precision", "float64", "--start", "2021-01-01",
        "--end", "2021-02-01T06:00", "-o", "a/run.zarr", "--restart", "r.nc", "--reference", "same", "--plot", "p.pdf",
        "--at", "-12.5,30", "--overwrite", "--resume", "--quiet", "--debug", "--block-steps", "7",
        "--checkpoint-seconds", "0",
    )  # fmt: skip
    assert found.start == np.datetime64("2021-01-01")
    assert found.end == np.datetime64("2021-02-01T06")
    assert found.at == (-12.5, 30.0)
    assert found.reference_paths == (Path("f.nc"),)
    assert found.restart_out_path == Path("a/run.zarr.restart.nc")
    assert found.overwrite
    assert found.resume
    assert found.quiet
    assert found.debug
    assert (found.block_steps, found.checkpoint_seconds) == (7, 0.0)


def test_what_is_told_of_a_site():
    words = ("f.csv", "--site", "-33.5,150.7,20", "--utc-offset", "-7.5", "--land-cover", "EBF", "--soil-type", "4")
    found = options(*words, "--estimate-longwave", "--measured-only", "--reference", "flux.nc")
    told = Site(-33.5, 150.7, 20.0, None, -7.5, "EBF", 4, True, True)
    assert found.reading.site == told
    assert options("f.csv", "--site", "1,2").reading.site == Site(1.0, 2.0)
    # A reference says where it is, or is where the run's column is.
    assert found.reference_reading.site == dataclasses.replace(told, latitude=None, longitude=None)


@pytest.mark.parametrize("text", ["1", "91,0", "1,2,3,4", "1,2,9500", "here"])
def test_a_site_that_cannot_be(text):
    with pytest.raises(InputError, match="option --site: found .* expected LAT,LON or LAT,LON,ELEVATION"):
        options("f.csv", "--site", text)


def test_every_option_can_be_given_in_yaml(tmp_path):
    config = write(
        tmp_path / "run.yaml",
        """
        forcing: f.nc
        model: m.nc
        backend: embedded
        precision: float64
        start: 2021-01-01
        end: 2021-01-03 06:00:00
        output: run.nc
        restart: r.nc
        restart-out: s.nc
        resume: true
        reference: ref.nc
        plot: p.png
        at: [51.6, 4.9]
        overwrite: true
        block_steps: 4
        checkpoint-seconds: 2.5
        quiet: true
        debug: true
        convention: ERA5
        points: [[51.6, 4.9], "-12.5,30"]
        plot_map: ["swvl1,2021-01-02", stl1]
        site: [51.6, 4.9, 2]
        utc-offset: 1
        land-cover: GRA
        soil-type: 3
        estimate-longwave: true
        restart-as-start: true
        spin-up: 3
        measured-only: true
        """,
    )
    found = options("--config", config)
    unchanged = [name for name, field in RunOptions.model_fields.items() if getattr(found, name) == field.default]
    # Which exclude points, restart, and being one process.
    assert unchanged == ["box", "initial_state", "workers", "scheduler"]
    assert found.points == ((51.6, 4.9), (-12.5, 30.0))
    assert found.site == (51.6, 4.9, 2.0)
    assert [path.name for path in found.map_paths] == ["run.swvl1.2021-01-02T00:00.png", "run.stl1.png"]
    assert found.start == np.datetime64("2021-01-01")
    assert found.end == np.datetime64("2021-01-03T06")
    assert found.at == (51.6, 4.9)


def test_the_part_of_the_grid(tmp_path):
    assert options("f.nc", "--box", "-10,10,170,-170").reading.selection.box == (-10.0, 10.0, 170.0, -170.0)
    points = write(tmp_path / "points.txt", "# site\n51.6, 4.9\n\n-12.5 30 # dry\n")
    found = options("f.nc", "--points", points)
    assert found.reading.selection.points == ((51.6, 4.9), (-12.5, 30.0))
    assert Path(points) in found.paths_read
    write(tmp_path / "points.txt", "51.6\n")
    with pytest.raises(InputError, match="line 1 is '51.6', expected LAT,LON in degrees"):
        _ = found.reading


def test_a_pattern_stands_for_the_files_that_match(tmp_path):
    for name in ("b_2.nc", "b_1.nc", "a.nc"):
        (tmp_path / name).touch()
    found = options(str(tmp_path / "b_*.nc"), str(tmp_path / "a.nc"))
    assert [path.name for path in found.paths_read] == ["b_1.nc", "b_2.nc", "a.nc"]
    assert found.output_path == Path("b_.ailand.nc")


def test_the_command_line_wins_over_yaml(tmp_path):
    config = write(tmp_path / "run.yaml", "forcing: f.nc\nprecision: float64\nquiet: true\noverwrite: true")
    found = options("g.nc", "--config", config, "--precision", "float32", "--no-quiet")
    assert (found.forcing, found.precision, found.quiet, found.overwrite) == ((Path("g.nc"),), "float32", False, True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("forcing: f.nc\nprecison: float32", "option 'precison' is unknown; did you mean 'precision'?"),
        ("forcing: f.nc\nrestart_output: r.nc", "option 'restart_output' is unknown; did you mean 'restart_out'?"),
        ("forcing: f.nc\nzzz: 1", "option 'zzz' is unknown; expected one of debug, plot, at, convention, box, "),
        ("forcing: f.nc\nblock-steps: 1\nblock_steps: 2", "option 'block_steps' is given twice"),
        ("- forcing", "found a list at the top"),
        ("forcing: [", "is not YAML in line 1"),
        ("forcing: f.nc\nresume: perhaps", "'resume': found 'perhaps', expected true or false"),
        ("forcing: f.nc\nstart: 5", "option 'start': found 5, expected a time (UTC)"),
        ("forcing: 7", "'forcing[0]': found 7, expected a file name"),
        ("forcing: f.nc\nplot: p.png\nat: [1, 2, 3]", "expected LAT,LON"),
    ],
)
def test_bad_yaml(tmp_path, text, message):
    config = write(tmp_path / "run.yaml", text)
    with pytest.raises(InputError) as error:
        options("--config", config)
    assert message in str(error.value)
    assert config in str(error.value)


def test_missing_yaml(tmp_path):
    with pytest.raises(InputError, match=r"none\.yaml: cannot be read: No such file"):
        options("--config", str(tmp_path / "none.yaml"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "FORCING is missing"),
        (["f.nc", "--presision", "float32"], "option '--presision' is unknown; did you mean '--precision'?"),
        (["f.nc", "--back", "embedded"], "option '--back' is unknown"),
        (["f.nc", "--start", "yesterday"], "--start: found 'yesterday', expected a time"),
        (["f.nc", "--start", "2021"], "--start: found '2021', expected a time"),
        (["f.nc", "--start", "2021-02-31"], "--start: found '2021-02-31', expected a time"),
        (
            ["f.nc", "--start", "2021-02-01", "--end", "2021-01-01"],
            "--end: found 2021-01-01T00:00, expected a time after --start 2021-02-01T00:00",
        ),
        (["f.nc", "-o", "out.txt"], "--output: found 'out.txt', expected a file name that ends in .nc or .zarr"),
        (["f.nc", "--plot", "p.gif"], "--plot: found 'p.gif', expected a file name that ends in .png or .pdf or .svg"),
        (["f.nc", "--plot", "p.png", "--at", "51.6"], "--at: found '51.6', expected LAT,LON"),
        (["f.nc", "--plot", "p.png", "--at", "91,0"], "--at: found '91,0', expected LAT,LON"),
        (["f.nc", "--at", "51,0"], "--at is given without --plot"),
        (["f.nc", "--block-steps", "0"], "--block-steps: found 0, expected at least 1"),
        (["f.nc", "--block-steps", "1.5"], "--block-steps: found '1.5', expected an integer"),
        (["f.nc", "--checkpoint-seconds", "nan"], "--checkpoint-seconds: found nan, expected a finite number"),
        (["f.nc", "--checkpoint-seconds", "-1"], "--checkpoint-seconds: found -1, expected at least 0"),
        (["f.nc", "--model"], "expected one argument"),
        (["f.nc", "--box", "50,40,0,1"], "--box: found '50,40,0,1', expected S,N,W,E"),
        (["f.nc", "--box", "40,50,0,1", "--points", "45,0"], "--box and --points are both given"),
        (["f.nc", "--points", "91,0"], "--points: found '91,0', expected LAT,LON;LAT,LON"),
        (["f.nc", "--plot-map", ",2021"], "--plot-map: found ',2021', expected VARIABLE or VARIABLE,TIME"),
        (["f.nc", "--backend", "gtfn"], "--backend: found 'gtfn', expected 'embedded', 'dace_cpu' or 'dace_gpu'"),
    ],
)
def test_bad_command_lines(arguments, message, capsys):
    with pytest.raises(InputError) as error:
        options(*arguments)
    assert message in str(error.value)
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert printed.err.count("\n") == 1
    assert not printed.out


def test_help_names_every_option(capsys):
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    for name, field in RunOptions.model_fields.items():
        assert name == "forcing" or f"--{name.replace('_', '-')}" in text
        assert field.description.split()[0] in text
    assert "example:" in text
    assert "exit status" in text
    assert "FORCING" in text


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("ailand-column-run (ailand_gt4py ")


def test_the_command_line_in_the_history_gives_the_same_options():
    given = [
        "my forcing.nc",
        "era5_*.nc",
        "--points",
        "51.6,4.9;-12.5,30",
        "--plot-map",
        "swvl1,2021-01-02T06:00",
        "--plot-map",
        "stl1",
        "--start",
        "2021-01-01T06:00",
        "--at",
        "-12.5,30",
        "--plot",
        "p.png",
        "--precision",
        "float64",
    ]
    first = options(*given)
    import shlex

    again = options(*shlex.split(first.command_line())[1:])
    assert again == first


def test_parser_has_no_default_that_hides_the_yaml_value():
    assert vars(make_parser(RunOptions).parse_args([])) == {}


def test_a_whole_number_in_yaml_may_have_a_point(tmp_path: Path) -> None:
    config = tmp_path / "run.yaml"
    config.write_text("forcing: in.nc\nblock-steps: 2.0\n")
    assert parse(RunOptions, ["--config", str(config)]).block_steps == 2
    config.write_text("forcing: in.nc\nblock-steps: 2.5\n")
    with pytest.raises(InputError, match=r"block_steps.*found 2\.5, expected an integer"):
        parse(RunOptions, ["--config", str(config)])
