"""The training configuration: every option checked, unknown ones refused, the shipped file complete."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import yaml

from ailand_gt4py.errors import InputError
from ailand_gt4py.training.configuration import Configuration, parse_configuration, read_configuration

MINIMAL = {"data": {"train": ["a.nc"]}, "stages": [{"iterations": 1, "steps": 1, "batch": 1}]}
SHIPPED = Path(__file__).parents[2] / "configs" / "default_model.yaml"


def test_shipped_file_names_every_option():
    """So that it documents all of them."""
    content = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))
    parsed = dataclasses.asdict(read_configuration(SHIPPED))
    assert content.keys() == parsed.keys()
    for section in ("data", "network", "loss", "optimiser", "augmentation", "validation", "run"):
        assert content[section].keys() == parsed[section].keys(), section
    assert all(stage.keys() == parsed["stages"][0].keys() for stage in content["stages"])


def test_defaults_and_conversions():
    parsed = parse_configuration(MINIMAL | {"optimiser": {"gradient_clip": 3}}, "x")
    assert isinstance(parsed, Configuration)
    assert parsed.iterations == 1
    assert parsed.optimiser.gradient_clip == 3.0
    assert isinstance(parsed.optimiser.gradient_clip, float)
    assert parsed.data.train == ("a.nc",)
    assert parsed.network.width == 192


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"netwrok": {}}, "option 'netwrok' is unknown; expected one of data, stages"),
        ({"network": {"widht": 3}}, "option 'network.widht' is unknown"),
        ({"network": {"width": "wide"}}, "option 'network.width' is 'wide', expected an integer"),
        ({"network": {"width": True}}, "option 'network.width' is True"),
        ({"network": {"depth": 0}}, "option 'network.depth' is 0, expected more than 0"),
        ({"network": None}, "network is empty, expected options"),
        ({"data": {}}, "option 'data.train' is missing"),
        ({"data": {"train": "a.nc"}}, "option 'data.train' is 'a.nc', expected a list"),
        ({"data": {"train": []}}, "option 'data.train' is empty"),
        ({"data": {"train": ["a"], "clip": {"sshf": [1]}}}, "'data.clip.sshf' is .*expected a list of 2"),
        ({"data": {"train": ["a"], "clip": {"sshf": [2, 1]}}}, "'data.clip.sshf' is .*increasing"),
        (
            {"data": {"train": ["a"], "validation_fraction": 0.9}},
            "'data.validation_fraction' is 0.9, expected 0.0 to 0.5",
        ),
        ({"loss": {"weights": {"rsn": 1.0}}}, "'loss.weights.rsn': no such output"),
        ({"loss": {"weights": {"stl1": -1.0}}}, "'loss.weights.stl1' is -1.0"),
        ({"loss": {"anomaly_factor": 0.0}}, "'loss.anomaly_factor' is 0.0"),
        ({"stages": []}, "'stages' is empty"),
        ({"stages": [{"iterations": 1, "steps": 1, "batch": 1, "restart_probability": 2.0}]}, r"stages\[0\].restart"),
        ({"stages": [{"iterations": 1, "steps": 1}]}, r"'stages\[0\].batch' is missing"),
        ({"optimiser": {"learning_rate": "1e-3"}}, "'optimiser.learning_rate' is '1e-3', expected a number"),
        ({"optimiser": {"learning_rate": float("nan")}}, "'optimiser.learning_rate' is nan"),
        ({"provenance": {"title": 3}}, "'provenance.title' is 3, expected text"),
    ],
)
def test_wrong_options_are_named(change, message):
    with pytest.raises(InputError, match=f"configuration x: .*{message}"):
        parse_configuration(MINIMAL | change, "x")


def test_unreadable_files_are_named(tmp_path):
    with pytest.raises(InputError, match=r"none\.yaml: cannot be read: No such file"):
        read_configuration(tmp_path / "none.yaml")
    for content, message in (("a: [", "is not valid YAML"), ("- 1", "expected options")):
        (tmp_path / "bad.yaml").write_text(content)
        with pytest.raises(InputError, match=message):
            read_configuration(tmp_path / "bad.yaml")
