"""The training configuration: every option checked, unknown ones refused, the shipped file complete."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from ailand_gt4py.cli.train import data_files
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.settings import read_settings, read_yaml
from ailand_gt4py.training.configuration import Configuration

MINIMAL = {"data": {"train": ["a.nc"]}, "stages": [{"iterations": 1, "steps": 1, "batch": 1}]}
SECTIONS = (
    "data", "variables", "network", "loss", "brightness", "optimiser", "adaptation", "augmentation", "validation",
    "run",
)  # fmt: skip
SHIPPED = Path(__file__).parents[2] / "configs" / "default_model.yaml"


def _option_lines() -> dict[str, list[str]]:
    """Options of the shipped file, "section.option", with the comment lines right above each."""
    found: dict[str, list[str]] = {}
    section, comments = "", []
    for line in SHIPPED.read_text(encoding="utf-8").splitlines():
        text = line.strip()
        if text.startswith("#"):
            comments.append(text.lstrip("# "))
        elif option := re.match(r"( *)(\w+):", line):
            section = section if option[1] else option[2]
            found[f"{section}.{option[2]}" if option[1] else section] = comments
            comments = []
        elif not text:
            comments = []
    return found


def test_shipped_file_names_every_option():
    """So that it documents all of them."""
    content = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))
    parsed = read_settings(Configuration, read_yaml(SHIPPED)).model_dump(mode="json")
    assert content.keys() == parsed.keys()
    for section in SECTIONS:
        assert content[section].keys() == parsed[section].keys(), section
    assert all(stage.keys() == parsed["stages"][0].keys() for stage in content["stages"])


def test_shipped_file_explains_every_option():
    """In the comment above the option itself, or, where options belong together, above the first and by its name."""
    explained = _option_lines()
    every = read_settings(Configuration, read_yaml(SHIPPED)).model_dump(mode="json")
    missing = []
    for section in SECTIONS:
        texts = " ".join(" ".join(lines) for name, lines in explained.items() if name.startswith(f"{section}."))
        missing += [
            f"{section}.{name}"
            for name in every[section]
            if not explained[f"{section}.{name}"] and not re.search(rf"\b{name}\b", texts)
        ]
    assert missing == []
    for name in every["stages"][0]:
        assert re.search(rf"\b{name}\b", " ".join(explained["stages"])), name
    assert explained["provenance"]


def test_a_left_out_option_has_the_value_that_the_file_names():
    """Where the shipped file differs from the defaults, the comment says "default" and the value."""
    contents = read_yaml(SHIPPED), MINIMAL
    shipped, defaults = (read_settings(Configuration, content).model_dump(mode="json") for content in contents)
    explained = _option_lines()
    for section in SECTIONS:
        texts = " ".join(" ".join(lines) for name, lines in explained.items() if name.startswith(f"{section}."))
        for name, value in defaults[section].items():
            if (section, name) != ("data", "train") and shipped[section][name] != value:
                assert re.search(rf"{name} {re.escape(_yaml(value))}|default: {re.escape(_yaml(value))}", texts), name


def _yaml(value: object) -> str:
    return yaml.safe_dump(value, default_flow_style=True).strip().removesuffix("\n...").strip()


def test_a_share_of_the_curriculum():
    """Every stage in proportion, none left out."""
    stages = [{"iterations": 300, "steps": 1, "batch": 2}, {"iterations": 3, "steps": 4, "batch": 1}]
    short = read_settings(Configuration, MINIMAL | {"stages": stages, "run": {"length": 0.1}})
    assert [stage.iterations for stage in short.curriculum] == [30, 1]
    assert [(stage.steps, stage.batch) for stage in short.curriculum] == [(1, 2), (4, 1)]
    assert short.iterations == 31


def test_defaults_and_conversions():
    parsed = read_settings(Configuration, MINIMAL | {"optimiser": {"gradient_clip": 3}})
    assert isinstance(parsed, Configuration)
    assert parsed.iterations == 1
    assert parsed.optimiser.gradient_clip == 3.0
    assert isinstance(parsed.optimiser.gradient_clip, float)
    assert parsed.data.train == ("a.nc",)
    assert parsed.network.width == 192


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"netwrok": {}}, "option 'netwrok' is unknown; did you mean 'network'?"),
        ({"zzz": {}}, "option 'zzz' is unknown; expected one of data, stages"),
        ({"network": {"widht": 3}}, "option 'network.widht' is unknown; did you mean 'width'?"),
        ({"network": {"width": "wide"}}, "option 'network.width': found 'wide', expected an integer"),
        ({"network": {"width": True}}, "option 'network.width': found True, expected an integer"),
        ({"network": {"depth": 0}}, "option 'network.depth': found 0, expected more than 0"),
        ({"network": None}, "option 'network': found nothing, expected options"),
        ({"data": {}}, "option 'data.train' is missing"),
        ({"data": {"train": "a.nc"}}, "option 'data.train': found 'a.nc', expected a list"),
        ({"data": {"train": []}}, "option 'data.train': found \\[\\], expected at least 1"),
        ({"data": {"train": ["a"], "clip": {"sshf": [1]}}}, "'data.clip.sshf': found .*expected at least 2"),
        ({"data": {"train": ["a"], "clip": {"sshf": [2, 1]}}}, "'data.clip.sshf': found .*increasing"),
        (
            {"data": {"train": ["a"], "validation_fraction": 0.9}},
            "'data.validation_fraction': found 0.9, expected at most 0.5",
        ),
        ({"loss": {"weights": {"slw": 1.0}}}, "'loss.weights.slw': no such output"),
        ({"loss": {"weights": {"stl1": 1.0}}, "variables": {"state": ["stl2"]}}, "'loss.weights.stl1': no such output"),
        ({"data": {"train": ["a"], "clip": {"met_tair": [1, 2]}}}, "'data.clip.met_tair': no such output"),
        (
            {"data": {"train": ["a"], "may_lack": ["swvl1"]}},
            "'data.may_lack': 'swvl1' is no state that can be guessed; expected some of ",
        ),
        (
            {"data": {"train": ["a"], "may_lack": ["asn"]}, "variables": {"state": ["stl1"]}},
            "'data.may_lack': 'asn' is no state that can be guessed; expected some of none",
        ),
        ({"data": {"train": ["a"], "frequency": {"b": 2}}}, "'data.frequency.b': no such source; expected one of a"),
        ({"data": {"train": ["a"], "frequency": {"a": 0}}}, "'data.frequency.a': found 0, expected at least 1"),
        (
            {"data": {"train": ["a"], "frequency_above": {"met_tair": [280.0, 2]}}},
            "'data.frequency_above.met_tair': no such static input; expected one of clim_clake",
        ),
        (
            {"data": {"train": ["a"], "frequency_above": {"clim_cu": [0.5, 0]}}},
            "'data.frequency_above.clim_cu\\[1\\]': found 0, expected at least 1",
        ),
        (
            {"augmentation": {"static_noise_of": {"met_tair": 0.1}}},
            "'augmentation.static_noise_of.met_tair': no such static input; expected one of clim_clake",
        ),
        (
            {"augmentation": {"forcing_offset_of": {"clim_cu": 0.1}}},
            "'augmentation.forcing_offset_of.clim_cu': no such forcing input; expected one of met_ctpf",
        ),
        (
            {"augmentation": {"forcing_offset_of": {"met_psurf": -0.1}}},
            "'augmentation.forcing_offset_of.met_psurf': found -0.1, expected at least 0",
        ),
        (
            {"augmentation": {"static_noise_of": {"clim_cu": -0.1}}},
            "'augmentation.static_noise_of.clim_cu': found -0.1, expected at least 0",
        ),
        ({"loss": {"mean_error_weight": -1.0}}, "'loss.mean_error_weight': found -1, expected at least 0"),
        (
            {"data": {"train": ["a"], "exclude_boxes": [[35.0, 71.5, -11.0]]}},
            r"'data.exclude_boxes\[0\]': found .*at least 4",
        ),
        (
            {"data": {"train": ["a"], "exclude_boxes": [[71.5, 35, -11, 32]]}},
            r"'data.exclude_boxes\[0\]': found .*increasing",
        ),
        ({"data": {"train": ["a"], "in_files": 1}}, "'data.in_files': found 1, expected true or false"),
        ({"variables": {"state": ["stl9"]}}, "^variables.state: 'stl9' is unknown, expected some of swvl1"),
        (
            {"variables": {"forcing": ["met_tair_before"]}},
            "^variables.forcing: forcing 'met_tair_before' is 'met_tair'",
        ),
        ({"validation": {"patience": -1}}, r"'validation.patience': found -1, expected at least 0"),
        ({"validation": {"leads_days": []}}, "'validation.leads_days': found \\[\\], expected at least 1"),
        ({"run": {"device": "tpu"}}, "'run.device': found 'tpu', expected 'cpu' or 'cuda'"),
        ({"loss": {"weights": {"stl1": -1.0}}}, "'loss.weights.stl1': found -1"),
        ({"loss": {"anomaly_factor": 0.0}}, "'loss.anomaly_factor': found 0"),
        ({"stages": []}, "'stages': found \\[\\], expected at least 1"),
        ({"stages": [{"iterations": 1, "steps": 1, "batch": 1, "restart_probability": 2.0}]}, r"stages\[0\].restart"),
        ({"stages": [{"iterations": 1, "steps": 1}]}, r"'stages\[0\].batch' is missing"),
        ({"optimiser": {"learning_rate": "1e-3"}}, "'optimiser.learning_rate': found '1e-3', expected a number"),
        (
            {"optimiser": {"learning_rate": float("nan")}},
            "'optimiser.learning_rate': found nan, expected a finite number",
        ),
        ({"provenance": {"title": 3}}, "'provenance.title': found 3, expected text"),
    ],
)
def test_wrong_options_are_named(change, message):
    with pytest.raises(InputError, match=message):
        read_settings(Configuration, MINIMAL | change)


def test_unreadable_files_are_named(tmp_path):
    with pytest.raises(InputError, match=r"none\.yaml: cannot be read: No such file"):
        read_settings(Configuration, read_yaml(tmp_path / "none.yaml"))
    for content, message in (("a: [", "is not YAML in line 1"), ("- 1", "expected options")):
        (tmp_path / "bad.yaml").write_text(content)
        with pytest.raises(InputError, match=message):
            read_settings(Configuration, read_yaml(tmp_path / "bad.yaml"))


def test_a_data_file_given_twice_is_refused(tmp_path):
    """By another name, too: a column to learn from would be one to validate with."""
    (tmp_path / "a.nc").touch()
    (tmp_path / "b.nc").symlink_to(tmp_path / "a.nc")
    for names in (["a.nc", "a.nc"], ["a.nc", "b.nc"]):
        options = read_settings(Configuration, MINIMAL | {"data": {"train": names, "directory": str(tmp_path)}})
        with pytest.raises(InputError, match=r"option 'data.train': found .*, the same as .*a.nc, expected each file"):
            data_files(options)


ROOT = SHIPPED.parents[1]
KEPT = [
    *sorted(ROOT.glob("configs/tried/*.yaml")),
    ROOT / "configs" / "point_wise.yaml",
    ROOT / "studies" / "transfer" / "configuration.yaml",
]


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_every_configuration_that_is_kept_can_be_read(path):
    """Those of trainings that the documents tell of, and of the studies."""
    assert read_settings(Configuration, read_yaml(path)).iterations > 1000
