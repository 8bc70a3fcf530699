"""Terms of the loss: registered by name, weighted by the configuration."""

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

import numpy as np  # noqa: E402

from ailand_gt4py.core.errors import InputError  # noqa: E402
from ailand_gt4py.training import losses  # noqa: E402
from ailand_gt4py.training.configuration import Loss  # noqa: E402

ERRORS = losses.Errors(
    state=torch.tensor([[[3.0, 0.5]], [[-3.0, 0.5]]]),
    state_weights=torch.tensor([[1.0, 2.0]]),
    diagnostics=torch.full((2, 1, 1), 2.0),
    diagnostic_weights=torch.tensor([1.0]),
)


def scales(measured, **options) -> losses.LossScales:
    by_lead = np.ones((1, len(measured.state)))
    return losses.LossScales.of(Loss(**options), measured, by_lead, torch.device("cpu"))


def test_terms_by_hand() -> None:
    assert float(losses.state(ERRORS)) == pytest.approx((2.5 + 2 * 0.125) / 2)
    assert float(losses.mean_error(ERRORS)) == pytest.approx(2 * 0.125 / 2), "what averages out does not count"
    assert float(losses.diagnostics(ERRORS)) == pytest.approx(1.5)


def test_a_new_term_is_one_function(measured, monkeypatch) -> None:
    monkeypatch.setattr(losses, "TERMS", dict(losses.TERMS))

    @losses.term("state")
    def largest_error(errors: losses.Errors) -> torch.Tensor:
        return errors.state.abs().max()

    without, diagnosed = scales(measured).parts(ERRORS)
    total, other = scales(measured, terms={"largest_error": 0.5, "mean_error": 2.0}).parts(ERRORS)
    assert float(total - without) == pytest.approx(0.5 * 3.0 + 2.0 * 0.125)
    assert float(diagnosed) == float(other) == pytest.approx(1.5)


def test_a_term_that_is_not_there_is_refused(measured) -> None:
    with pytest.raises(InputError, match=r"'loss.terms.budget': no such term; expected one of state, mean_error"):
        scales(measured, terms={"budget": 1.0})
