"""Model files of point-wise networks: all of it comes back, each part enters the checksum, damage is refused."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr
from point_wise_models import PROCESSINGS, point_wise_model
from test_model_file import assert_same, rename, set_attribute

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.weights import Model, model_file, read_model, summarise, write_model
from ailand_gt4py.weights.processing import Bounding, Nodes, PointWise
from ailand_gt4py.weights.schema import checksum, processing_of, processing_text

BOUNDINGS = (
    Bounding("clip", ("state_0", "diagnostic_1"), (-0.1, -math.inf), (math.inf, 1.0 / 3.0)),
    Bounding("fraction", ("diagnostic_0",), (0.0,), (1.0,), slope=0.01, total="state_1"),
)


def tied_model(**changes: object) -> Model:
    """With all processings, boundings, and numbers of each of seven columns."""
    network = PointWise("softplus", (1.0, 20.0), latent_skip=False, epsilon=1e-6)
    model = point_wise_model(
        (4, 3, 4, 4), n_times=3, ratio=1.5, processings=list(PROCESSINGS), boundings=BOUNDINGS, network=network
    )
    static = [dataclasses.replace(one, name=f"node_trainable_{k}") for k, one in enumerate(model.static[2:])]
    nodes = Nodes(np.linspace(-60.0, 70.0, 7), np.linspace(0.0, 359.0, 7), np.arange(14.0, dtype="f4").reshape(7, 2))
    tied = dataclasses.replace(model, static=(*model.static[:2], *static), nodes=nodes)
    return dataclasses.replace(tied, **changes)


def assert_same_nodes(found: Model, expected: Model) -> None:
    assert (found.nodes is None) == (expected.nodes is None)
    for key, values in vars(expected.nodes).items() if expected.nodes is not None else ():
        np.testing.assert_array_equal(getattr(found.nodes, key), values)
        assert getattr(found.nodes, key).dtype == values.dtype


@pytest.mark.parametrize(
    "model",
    [
        tied_model(),
        point_wise_model(ratio=1.0),
        point_wise_model(ratio=4.0, depth=1, dtype=np.float64, network=PointWise("gelu_tanh")),
    ],
)
def test_what_is_written_is_read_back_exactly(tmp_path: Path, model: Model) -> None:
    write_model(model, tmp_path / "model.nc")
    found = read_model(tmp_path / "model.nc")
    assert_same(found, model)
    assert_same_nodes(found, model)
    with xr.open_dataset(tmp_path / "model.nc") as dataset:
        assert dataset["encoder_0_weight"].dims == ("encoder_0", "static_forcing_state")
        assert dataset["decoder_0_bias"].dims == ("results",)
        assert dataset.sizes["results"] == model.n_prognostic + len(model.diagnostics)
        dataset.load().to_netcdf(tmp_path / "rewritten.nc")
    assert_same_nodes(read_model(tmp_path / "rewritten.nc"), model)


def test_every_part_enters_the_checksum() -> None:
    model = tied_model()
    first, last = model.state[0], model.nodes.trainable.copy()
    last[-1, -1] = np.nextafter(last[-1, -1], np.float32(99.0))
    changed = [
        dataclasses.replace(model, point_wise=dataclasses.replace(model.point_wise, latent_skip=True)),
        dataclasses.replace(model, point_wise=dataclasses.replace(model.point_wise, epsilon=1e-5)),
        dataclasses.replace(model, point_wise=dataclasses.replace(model.point_wise, activation_parameters=(1.0, 21.0))),
        dataclasses.replace(model, boundings=BOUNDINGS[::-1]),
        dataclasses.replace(model, boundings=(BOUNDINGS[0], dataclasses.replace(BOUNDINGS[1], slope=0.0))),
        dataclasses.replace(model, state=(dataclasses.replace(first, processing=()), *model.state[1:])),
        dataclasses.replace(model, nodes=dataclasses.replace(model.nodes, trainable=last)),
        dataclasses.replace(model, nodes=dataclasses.replace(model.nodes, longitudes=model.nodes.longitudes + 1e-9)),
    ]
    sums = [checksum(other) for other in [model, *changed]]
    assert len(set(sums)) == len(sums)


def test_steps_are_read_back_from_their_text() -> None:
    for steps in PROCESSINGS.values():
        assert processing_of(processing_text(steps)) == steps
    assert processing_text(PROCESSINGS["sqrt"]) == "impute 0.3; sqrt; affine 3.0 -1.5"
    for text, message in (("affine 1.0 x", "could not convert"), ("affine", "expected"), ("sqrt;", "''"), (";", "''")):
        with pytest.raises(InputError, match=message):
            processing_of(text)


def delete_nodes(dataset: netCDF4.Dataset) -> None:
    dataset.renameVariable("node_longitude", "other")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (set_attribute("point_wise", "no JSON"), "attribute 'point_wise': .*expected JSON of PointWise"),
        (set_attribute("point_wise", "[]"), "attribute 'point_wise': found 0 networks, expected 1"),
        (set_attribute("point_wise", '{"activation": "mish"}'), "activation 'mish' is unknown"),
        (set_attribute("point_wise", '{"colour": "red"}'), "attribute 'point_wise': .*colour"),
        (set_attribute("boundings", '[{"kind": "clip"}]'), "attribute 'boundings': .*missing"),
        (set_attribute("boundings", "[3]"), "attribute 'boundings': .*expected JSON of Bounding"),
        (set_attribute("boundings", 3), "attribute 'boundings': found .*3.*, expected text"),
        (delete_nodes, "array 'node_longitude': expected floating-point numbers"),
        (rename("processor_1_weight_out", "other"), "checksum|changed or damaged|does not"),
    ],
)
def test_damage_is_refused(tmp_path: Path, damage: Callable[[netCDF4.Dataset], None], message: str) -> None:
    path = tmp_path / "model.nc"
    write_model(tied_model(), path)
    with netCDF4.Dataset(path, "a") as dataset:
        damage(dataset)
        if damage is not delete_nodes and "checksum" in message:
            dataset["other"].parameter_name = "processor.1.bias_out2"
    with pytest.raises(InputError) as caught:
        read_model(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_summary_says_what_is_special(tmp_path: Path) -> None:
    model = tied_model()
    write_model(model, tmp_path / "model.nc")
    text = summarise(model, tmp_path / "model.nc")
    assert "encoder 25-6; processor 2 x (6-9-6); decoder 6-8" in text
    assert "softplus (1, 20); latent skip: no" in text
    assert "clip of state_0, diagnostic_1; leaky fraction of diagnostic_0 (of state_1)" in text
    assert "its own 7 columns" in text
    assert "impute, sqrt, affine" in text
    assert "(verified)" in text


def test_parameters_that_overflow_are_refused(tmp_path: Path) -> None:
    model = point_wise_model()
    wrong = {**model.parameters, "decoder.0.weight": model.parameters["decoder.0.weight"] * np.float32(1e30)}
    write_model(dataclasses.replace(model, parameters=wrong), tmp_path / "model.nc")
    with pytest.raises(InputError, match="for 'state_0' in the network's space, expected a number of order one"):
        read_model(tmp_path / "model.nc")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"processor.0.weight_out": None}, "parameters missing: processor.0.weight_out"),
        ({"decoder.0.weight": np.zeros((3, 6), np.float32)}, r"'decoder.0.weight' has the shape \(3, 6\), expected"),
        ({"encoder.1.weight": np.zeros((6, 6), np.float32)}, "of 2, 2, 1 layers, expected 1, at least 1, and 1"),
        ({"processor.0.gain": np.full(12, np.nan, np.float32)}, "'processor.0.gain' holds 12 values that are not"),
    ],
)
def test_parameters_that_do_not_fit(change: dict, message: str) -> None:
    model = point_wise_model()
    parameters = {name: array for name, array in (model.parameters | change).items() if array is not None}
    with pytest.raises(InputError, match=message):
        dataclasses.replace(model, parameters=parameters)


def test_the_file_keeps_its_format() -> None:
    """Readers of older files look for no later column, and find none of it in older checksums."""
    assert "processing" in model_file.schema.LATER_COLUMNS
