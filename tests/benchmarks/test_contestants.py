"""Every contestant computes the same; at a small size in the normal suite (`torch.compile` in the benchmarks only)."""

from __future__ import annotations

import contestants
import networks
import numpy as np
import pytest
from networks import NETWORKS

N_COLUMNS = 37
PEERS = ("numpy", "torch_eager", "onnxruntime", "openvino", "openvino_bf16", "jax")


def _check(name: str, network: str, n_columns: int = N_COLUMNS) -> None:
    model = NETWORKS[network].model()
    inputs = networks.random_inputs(model, n_columns)
    try:
        contestant = contestants.build(name, model, inputs)
    except contestants.UnavailableError as error:
        pytest.skip(str(error))
    found, expected = contestant.results(), networks.reference(model, inputs)
    assert [array.shape for array in found] == [(n_columns, size) for size in model.sizes[2:]]
    assert max(networks.relative_errors(model, found, expected)) <= contestant.tolerance


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("name", PEERS)
def test_peer_agrees_with_reference(name: str, network: str) -> None:
    _check(name, network)


@pytest.mark.parametrize("name", ["torch_eager", "onnxruntime", "openvino", "jax"])
def test_peer_of_the_large_network_agrees_with_reference(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(NETWORKS, "large", networks.LARGE)
    _check(name, "large")


@pytest.mark.parametrize("name", ["onnxruntime_blocks", "openvino_blocks", "jax_blocks", "numpy"])
def test_blocks_that_do_not_divide_the_columns(name: str) -> None:
    _check(name, "two_branch_128", 2 * contestants.PEER_BLOCK + 1)


@pytest.mark.slow
def test_component_agrees_with_reference() -> None:
    """One network: those of all shapes are compiled by the stencils' tests."""
    _check("ailand", "simple_172")


def test_errors_are_seen() -> None:
    """A result that is off in one column and variable is off by as much as its share of the norm."""
    model = NETWORKS["two_branch_128"].model()
    inputs = networks.random_inputs(model, 9)
    expected = networks.reference(model, inputs)
    right = [
        values * networks.scales(group) + networks.shifts(group)
        for values, group in zip(expected, (model.state, model.diagnostics), strict=True)
    ]
    assert max(networks.relative_errors(model, right, expected)) < 1e-12
    right[0][3, 2] += 1e-3 * networks.scales(model.state)[2]
    state_error, diagnostics_error = networks.relative_errors(model, right, expected)
    assert state_error == pytest.approx(1e-3 / np.linalg.norm(expected[0]))
    assert diagnostics_error < 1e-12


@pytest.mark.parametrize("n_columns", [1, 100, 10_000])
def test_every_contestant_has_a_builder(n_columns: int) -> None:
    for device in ("cpu", "cuda"):
        kinds = {name.removesuffix("_tf32").removesuffix("_bf16") for name in contestants.names(device, n_columns)}
        assert kinds <= contestants._BUILDERS.keys()
    assert ("onnxruntime_blocks" in contestants.names("cpu", n_columns)) == (n_columns >= contestants.MANY_COLUMNS)


def test_missing_package_is_named() -> None:
    with pytest.raises(contestants.UnavailableError, match="'no_such_package' is not installed"):
        contestants.require("no_such_package")
