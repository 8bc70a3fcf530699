"""Checkpoints of networks that the installed anemoi-models makes itself: the same results when they are imported."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("anemoi.models", reason="anemoi-models is not installed")

from anemoi_networks import ACTIVATIONS, VERSION, make_checkpoint
from anemoi_reference import checkpoint_step
from point_wise_models import reference_step
from test_anemoi_checkpoint import inputs, read

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.weights import import_checkpoint

IS_BEFORE_0_16 = tuple(map(int, VERSION.split(".")[:2])) < (0, 16)


@pytest.mark.parametrize("seed", range(2 * len(ACTIVATIONS)))
def test_results_are_those_of_anemoi(tmp_path: Path, seed: int) -> None:
    """Activations, ratios, input times, skips and numbers of the nodes in turn; all processors and boundings."""
    path = tmp_path / "inference-last.ckpt"
    latent_skip = IS_BEFORE_0_16 or seed % 2 == 0
    x, y = make_checkpoint(
        path, seed, n_times=1 + seed % 3, ratio=(4, 1, 2)[seed % 3], latent_skip=latent_skip,
        n_trainable=3 * (seed % 2), dropout=0.1 * (seed % 2),
    )  # fmt: skip
    found, model = read(path), import_checkpoint(path)
    assert found.n_times == x.shape[1]
    assert found.trainable.shape[1] == 3 * (seed % 2)
    assert np.isnan(y).any()
    for one, expected in zip(x, y, strict=True):
        np.testing.assert_allclose(checkpoint_step(found, one)["y"], expected, rtol=1e-11, atol=1e-11)
        state, diagnostics = reference_step(model, *inputs(model, found, one))
        results = dict(zip([one.name for one in model.state], state.T, strict=True))
        results |= dict(zip([one.name for one in model.diagnostics], diagnostics.T, strict=True))
        values = np.stack([results[one.name] for one in found.outputs], axis=-1)
        np.testing.assert_allclose(values, expected, rtol=1e-11, atol=1e-11)


@pytest.mark.skipif(not IS_BEFORE_0_16, reason="anemoi-models from 0.16 on uses its blocks without latent skip, too")
def test_blocks_that_have_no_effect_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "inference-last.ckpt"
    make_checkpoint(path, 0, n_times=1, ratio=1, latent_skip=False, n_trainable=0, dropout=0.0)
    with pytest.raises(InputError, match="found a network without latent skip, of a version of anemoi-models before"):
        import_checkpoint(path)
