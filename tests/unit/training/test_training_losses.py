"""Terms of the loss: registered by name, weighted by the configuration."""

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

import numpy as np  # noqa: E402

from ailand_gt4py.core.errors import InputError  # noqa: E402
from ailand_gt4py.evaluation.budgets import WATER_STORAGES, water_residual  # noqa: E402
from ailand_gt4py.evaluation.fields import Fields  # noqa: E402
from ailand_gt4py.training import losses  # noqa: E402
from ailand_gt4py.training.configuration import Loss  # noqa: E402
from ailand_gt4py.training.scaling import Scaling  # noqa: E402
from ailand_gt4py.weights.model import Normalisation  # noqa: E402
from ailand_gt4py.weights.variables import CATALOGUE  # noqa: E402

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


def _scaling(diagnostics: tuple[str, ...], state: tuple[str, ...]) -> Scaling:
    """Of some variables of the catalogue, with means and standard deviations that differ."""
    groups = [
        tuple(
            CATALOGUE[name].variable(Normalisation(CATALOGUE[name].method, mean=0.1 * k, std=0.5 + k))
            for k, name in enumerate(names)
        )
        for names in (state, diagnostics)
    ]
    return Scaling((), (), *groups, increment_std=np.ones(len(state)))


def test_amounts_count_by_their_ratio_but_for_the_smallest() -> None:
    amounts = losses.Amounts.of(_scaling(("skt", "sro", "ssro"), ()), torch.device("cpu"))
    assert amounts.positions.tolist() == [1, 2]
    values = torch.tensor([[9.0, -0.3, 0.0], [9.0, 1.0, 0.1], [9.0, 0.01, 0.001]])
    small = np.log(2.0) / np.log(101.0)
    expected = [[0.0, 0.0], [1.0, np.log(11.0) / np.log(101.0)], [small, np.log(1.1) / np.log(101.0)]]
    torch.testing.assert_close(amounts.logarithm(values), torch.tensor(expected, dtype=torch.float32))
    with pytest.raises(InputError, match=r"'loss.terms.amounts': found no diagnostic that is an amount"):
        losses.Amounts.of(_scaling(("skt",), ()), torch.device("cpu"))


def test_the_water_budget_is_that_of_the_evaluation() -> None:
    """The residual of two runs with the same precipitation differs by what the term takes."""
    states, fluxes = WATER_STORAGES, ("skt", "ssro", "e", "sro")
    scaling = _scaling(fluxes, ("stl1", *states))
    random = torch.Generator().manual_seed(1)
    runs = []
    for _ in range(2):
        state = torch.rand(4, 3, len(states) + 1, generator=random, dtype=torch.float64)
        flux = torch.rand(3, 3, len(fluxes), generator=random, dtype=torch.float64)
        runs.append((state, flux))
    step = 21_600.0
    residuals = []
    for state, flux in runs:
        values = {"met_rainf": np.full((3, 3), 1e-4), "met_snowf": np.zeros((3, 3))}
        for group, numbers in ((scaling.state, state), (scaling.diagnostics, flux)):
            for k, one in enumerate(group):
                values[one.name] = one.normalisation.shift + one.normalisation.scale * numbers[..., k].numpy()
        residuals.append(water_residual(Fields(values, step)).values)
    budget = losses.WaterBudget.of(scaling, step, torch.device("cpu"))
    (state, flux), (true_state, true_flux) = runs
    found = budget.error((flux - true_flux).float(), (state - true_state).float())
    expected = (residuals[0] - residuals[1]) / losses.WATER_RESIDUAL
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-4)
    with pytest.raises(InputError, match=r"'loss.terms.water': the model lacks swvl4, src, expected all of them"):
        losses.WaterBudget.of(_scaling(fluxes, ("swvl1", "swvl2", "swvl3", "sd")), step, torch.device("cpu"))
