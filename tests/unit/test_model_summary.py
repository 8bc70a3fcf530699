"""The summary of a model says what is in it, in lines that fit a terminal."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from random_models import ARCHITECTURES, random_model

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.weights import Normalisation, Variable, summarise, write_model
from ailand_gt4py.weights.schema import checksum


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_summary_names_network_variables_and_provenance(architecture: str) -> None:
    model = random_model(architecture)
    text = summarise(model)
    lines = text.splitlines()
    assert f"network:     {architecture}" in lines
    assert f"{model.parameter_count} (float32)" in text
    assert "step:        21600 s (6 h)" in lines
    assert "physical units" in text
    assert checksum(model) in text
    for variable in model.variables:
        assert any(line.split()[:2] == [variable.name, "K"] for line in lines), variable.name
    assert any(line.split() == ["licence:", "Apache-2.0"] for line in lines)
    for heading, count in (("Static inputs", 4), ("Forcing", 3), ("State (input and output)", 2)):
        assert f"{heading}: {count}" in lines


def test_layers_are_read_off_the_parameters() -> None:
    assert "layers:      trunk 9-5-6; prognostic 6-2; diagnostic 9-5-2\n" in summarise(random_model("layer_norm"))


def test_table_is_aligned_and_says_units_time_statistics_range_and_bounds() -> None:
    model = random_model("simple")
    water = Variable(
        "swvl1",
        "m3 m-3",
        time_meaning="window start",
        normalisation=Normalisation("min-max", minimum=0.0, maximum=0.5),
        training_minimum=0.01,
        training_maximum=0.45,
        lower_bound=0.0,
    )
    lines = summarise(dataclasses.replace(model, state=(water, model.state[1]))).splitlines()
    start = lines.index("State (input and output): 2") + 1
    heading, _, first, second = lines[start : start + 4]
    expected = {
        "name": "swvl1",
        "units": "m3 m-3",
        "time meaning": "window start",
        "normalisation": "min-max 0, 0.5",
        "training range": "0.01 .. 0.45",
        "bounds": ">= 0",
    }
    for title, text in expected.items():
        assert first[heading.index(title) :].startswith(text)
    assert second[heading.index("normalisation") :].startswith("mean-std ")
    assert "time meaning" not in lines[lines.index("Static inputs: 4") + 1]


def test_normalised_space_and_unknown_step_are_said_plainly() -> None:
    text = summarise(dataclasses.replace(random_model("simple"), normalised_space=True, step_seconds=0.0))
    assert "NORMALISED: no statistics are known; inputs and outputs are not in physical units" in text
    assert "step:        unknown" in text


def test_derived_inputs_are_marked() -> None:
    model = random_model("simple")
    assert "*" not in summarise(model)
    derived = dataclasses.replace(model.forcing[0], derived="cos_solar_zenith_angle")
    text = summarise(dataclasses.replace(model, forcing=(derived, *model.forcing[1:])))
    assert "forcing_0*" in text
    assert "* computed from time and location" in text
    assert "previous window" not in text


def test_inputs_of_the_previous_window_are_marked_otherwise() -> None:
    model = random_model("simple")
    previous = dataclasses.replace(model.forcing[0], derived="before:forcing_1")
    text = summarise(dataclasses.replace(model, forcing=(previous, *model.forcing[1:])))
    assert "forcing_0+" in text
    assert "+ of the previous window; need not be in the forcing file" in text
    assert "*" not in text


def test_long_and_odd_texts_stay_within_the_width() -> None:
    model = random_model("simple")
    long = dataclasses.replace(
        model.state[0],
        name="n" * 300,
        units="kg\nm-2 \x1b[31m" + "u" * 300,
        training_minimum=-1.23456789e-300,
        training_maximum=1.23456789e300,
        lower_bound=-1.23456789e-300,
        upper_bound=1.23456789e30,
        normalisation=Normalisation("mean-std", mean=-1.23456789e-300, std=1.23456789e30),
    )
    text = summarise(dataclasses.replace(model, state=(long, model.state[1])))
    start = text.index("State (input")
    assert "\x1b" not in text
    assert max(len(line) for line in text[start:].splitlines()) <= 136
    flux = dataclasses.replace(
        model.forcing[0],
        name="toa_incoming_shortwave_flux",
        units="W m-2",
        normalisation=Normalisation("mean-std", mean=-1234.5678, std=1234.5678),
        training_maximum=1234.5678,
        derived="toa_incoming_shortwave_flux",
    )
    text = summarise(dataclasses.replace(model, forcing=(flux, *model.forcing[1:])))
    assert "toa_incoming_shortwave_flux*" in text
    assert max(len(line) for line in text.splitlines()) <= 120


def test_checksum_of_the_file_is_compared(tmp_path: Path) -> None:
    model = random_model("simple")
    path = tmp_path / "model.nc"
    write_model(model, path)
    text = summarise(model, path)
    assert text.startswith(f"aiLand model {path}\n")
    assert f"sha256 {checksum(model)} (verified)" in text
    other = random_model("simple", seed=9)
    assert f"(DOES NOT MATCH the file's, {checksum(model)})" in summarise(other, path)
    with pytest.raises(InputError, match="does not exist"):
        summarise(model, tmp_path / "absent.nc")
