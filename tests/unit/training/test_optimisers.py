"""Which optimiser changes which parameters, and how far: Muon turns all directions of a matrix alike."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs PyTorch")

from training_files import write_columns  # noqa: E402

from ailand_gt4py.core.errors import InputError  # noqa: E402
from ailand_gt4py.core.settings import read_settings  # noqa: E402
from ailand_gt4py.training import scaling  # noqa: E402
from ailand_gt4py.training.configuration import Configuration, Optimiser  # noqa: E402
from ailand_gt4py.training.dataset import read_windows  # noqa: E402
from ailand_gt4py.training.networks import make_network  # noqa: E402
from ailand_gt4py.training.optimisers import Optimisers  # noqa: E402
from ailand_gt4py.weights.variables import DEFAULT  # noqa: E402

RATE, MUON_RATE = 1e-3, 1e-2
SIZES = {
    "layer_norm": {"width": 16, "depth": 3, "diagnostic_width": 8, "diagnostic_depth": 2},
    "point_wise": {"architecture": "point_wise", "channels": 16, "layers": 2, "ratio": 2},
}


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    path = write_columns(tmp_path_factory.mktemp("columns") / "a.nc")
    return scaling.measure(read_windows([path], DEFAULT), DEFAULT)


def changes(measured, network, **options):
    """Change of every parameter by name in one step without decay, from gradients of random numbers."""
    configuration = read_settings(
        Configuration,
        {"data": {"train": ["a.nc"]}, "network": SIZES[network], "stages": [{"iterations": 1, "steps": 1, "batch": 1}]},
    )
    made = make_network(configuration.network, measured, 1)
    optimisers = Optimisers(Optimiser(learning_rate=RATE, weight_decay=0.0, **options), made)
    generator = torch.Generator().manual_seed(2)
    before = {name: one.detach().clone() for name, one in made.named_parameters()}
    for parameter in made.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=generator)
    optimisers.set_rates(0.5)
    optimisers.step()
    optimisers.zero_grad()
    assert all(parameter.grad is None for parameter in made.parameters())
    return {name: (one.detach() - before[name]).numpy() for name, one in made.named_parameters()}


@pytest.mark.parametrize("network", sorted(SIZES))
def test_without_muon_all_is_learnt_by_adamw(measured, network):
    """Whose first step is the learning rate, whatever the gradient."""
    for change in changes(measured, network).values():
        np.testing.assert_allclose(np.abs(change), 0.5 * RATE, rtol=1e-3)


@pytest.mark.parametrize("network", sorted(SIZES))
def test_muon_takes_the_matrices_in_between(measured, network):
    """Singular values of its step are alike, as near as five Newton-Schulz iterations come; the rest is AdamW's."""
    results = {"layer_norm": ("prognostic.0", "diagnostic.2"), "point_wise": ("decoder.0",)}[network]
    found = changes(measured, network, muon_learning_rate=MUON_RATE)
    by_muon = {name for name, change in found.items() if change.ndim == 2 and not name.startswith(results)}
    assert len(by_muon) >= 4
    for name, change in found.items():
        if name in by_muon:
            longer = max(1.0, change.shape[0] / change.shape[1]) ** 0.5
            values = np.linalg.svd(change, compute_uv=False) / (0.5 * MUON_RATE * longer)
            assert values.min() > 0.6, name
            assert values.max() < 1.3, name
        else:
            np.testing.assert_allclose(np.abs(change), 0.5 * RATE, rtol=1e-3, err_msg=name)


def test_a_pytorch_without_muon_is_said(measured, monkeypatch):
    monkeypatch.delattr(torch.optim, "Muon")
    with pytest.raises(InputError, match=r"learning_rate' is 0.01, but PyTorch .* has no Muon; expected 2.9"):
        changes(measured, "layer_norm", muon_learning_rate=MUON_RATE)
    changes(measured, "layer_norm")
