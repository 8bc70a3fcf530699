"""Residuals of the water and of the surface energy budget, window by window, of ecLand and of an emulator alike.

Water (kg m-2 in a window, 1 kg m-2 = 1 mm):

    residual = (rainf + snowf + e - sro - ssro) dt - d(sum_k 1000 dz_k swvl_k + 1000 sd + src)

with ``e`` positive downward, as ECMWF has it: 0 where what comes in less what goes out is stored. Lakes and towns have
no storage in these files, so ecLand itself does not close there.

Energy (W m-2, mean over a window):

    residual = ssr + str + sshf + slhf - Lf snowf - d(soil heat + snow heat) / dt

What the surface takes up goes into the soil, into the snow, or melts it. Both heats follow ecLand's own definitions:

* soil heat = sum_k dz_k (C T_k - Lf rho_w V theta_cap f(T_k)), as `ailand_gt4py.ecland.soil_heat` says. Nothing
  leaves at the bottom.
* snow heat = (c_i (T_snow - T_0) - Lf) m_ice, of the frozen part m_ice = 1000 sd - slw of the pack, heat 0 being that
  of liquid water at T_0; snow that falls brings -Lf with it. c_i = 2.05e6 / 920 J kg-1 K-1 (``sussoil_mod``). The pack
  has one temperature here and five layers in ecLand, and rain's heat is left out, as there.

On the hold-out columns without lake ecLand itself closes water to 0.005 mm in 6 hours (rounding in the file), and
energy to 0.5 W m-2 where there is neither frost nor snow nor town, to 3 W m-2 with frost (the heat of freezing is
taken up linearised in a time step, so it is not conserved exactly) and to 8 W m-2 with snow (rms over 6 hours; means
below 0.4 W m-2). That is the limit to what the method can see; it is reported beside the emulator's.

Storages that a model lacks are left out, for it and for ecLand in a row of its own, and named. Without one of the
fluxes, or without soil water in any layer, there is no residual, and the report says which are missing.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from ailand_gt4py.core.types import Values
from ailand_gt4py.ecland.soil_heat import (
    FUSION_HEAT,
    PROPERTIES,
    WATER_DENSITY,
    freezing_heat,
    frozen_fraction,
    heat_capacity,
)
from ailand_gt4py.ecland.soil_tables import LAYER_THICKNESS
from ailand_gt4py.evaluation.fields import Fields
from ailand_gt4py.evaluation.scores.moments import rmse

#: Heat capacity of ice, J kg-1 K-1.
ICE_CAPACITY = 2.05e6 / 920.0
#: Melting point, K.
MELTING_POINT = 273.16

WATER_FLUXES = ("met_rainf", "met_snowf", "e", "sro", "ssro")
ENERGY_FLUXES = ("ssr", "str", "sshf", "slhf", "met_snowf")
SOIL_WATER = tuple(f"swvl{layer}" for layer in range(1, 5))
SOIL_HEAT = tuple(f"stl{layer}" for layer in range(1, 5))
WATER_STORAGES = (*SOIL_WATER, "sd", "src")
ENERGY_STORAGES = (*SOIL_HEAT, "sd", "tsn", "slw")

#: Lake and urban cover up to which a column counts as land only, 1.
LAND_ONLY = 1e-3


@dataclasses.dataclass(frozen=True)
class Residual:
    """Residuals of one budget.

    Attributes:
        budget: "water" or "energy". units: of the values: mm in a window, or W m-2.
        values: (n_windows, n_columns); None where the budget cannot be closed.
        missing: fluxes and properties without which it cannot be closed.
        left_out: storages that are not counted.
    """

    budget: str
    units: str
    values: Values | None
    missing: tuple[str, ...]
    left_out: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class ResidualScore:
    """Statistics of a residual over some columns and windows.

    Attributes:
        rms, mean: of the windows. rms_day: of means over 24 hours (energy) or sums (water); NaN without a whole day.
        worst: the largest magnitude.
        n: windows times columns.
    """

    rms: float
    mean: float
    rms_day: float
    worst: float
    n: int


def water_residual(fields: Fields) -> Residual:
    """Residual of the water budget, mm in a window (see the module)."""
    missing, left_out = _missing(fields, WATER_FLUXES, SOIL_WATER), tuple(fields.missing(WATER_STORAGES))
    if missing:
        return Residual("water", "mm", None, missing, left_out)
    rain, snow, evaporation, surface, deep = (fields.values[name] for name in WATER_FLUXES)
    supply = (rain + snow + evaporation - surface - deep) * fields.step_seconds
    return Residual("water", "mm", supply - np.diff(water_storage(fields), axis=0), (), left_out)


def water_storage(fields: Fields) -> Values:
    """Water in the column of those storages that there are, kg m-2: (n_windows + 1, n_columns)."""
    factors = dict(zip(SOIL_WATER, (WATER_DENSITY * thickness for thickness in LAYER_THICKNESS), strict=True))
    factors |= {"sd": WATER_DENSITY, "src": 1.0}
    return np.sum([factor * fields.values[name] for name, factor in factors.items() if name in fields.values], axis=0)


def energy_residual(fields: Fields) -> Residual:
    """Residual of the surface energy budget, W m-2 over a window (see the module)."""
    missing = _missing(fields, (*ENERGY_FLUXES, *PROPERTIES), SOIL_HEAT)
    left_out = tuple(fields.missing(ENERGY_STORAGES))
    if missing:
        return Residual("energy", "W m-2", None, missing, left_out)
    solar, thermal, sensible, latent, snowfall = (fields.values[name] for name in ENERGY_FLUXES)
    supply, stored = solar + thermal + sensible + latent, soil_heat(fields)
    if "sd" in fields.values:
        supply = supply - FUSION_HEAT * snowfall
        stored = stored + snow_heat(fields)
    residual = supply - np.diff(stored, axis=0) / fields.step_seconds
    return Residual("energy", "W m-2", residual, (), left_out)


def _missing(fields: Fields, needed: tuple[str, ...], soil: tuple[str, ...]) -> tuple[str, ...]:
    """What a budget cannot be closed without: one of some fields, or soil in every layer."""
    without_soil = len(fields.missing(soil)) == len(soil)
    return (*fields.missing(needed), *(soil if without_soil else ()))


def soil_heat(fields: Fields) -> Values:
    """Heat in the soil layers that there are, J m-2: (n_windows + 1, n_columns)."""
    values = fields.values
    properties = [values[name] for name in PROPERTIES]
    capacity, freezing = heat_capacity(properties), freezing_heat(properties)
    layers = [
        thickness * (capacity * (values[name] - MELTING_POINT) - freezing * frozen_fraction(values[name]))
        for name, thickness in zip(SOIL_HEAT, LAYER_THICKNESS, strict=True)
        if name in values
    ]
    return np.sum(layers, axis=0)


def snow_heat(fields: Fields) -> Values:
    """Heat of the snow pack against liquid water at the melting point, J m-2: (n_windows + 1, n_columns).

    A pack without ``tsn`` is taken at the melting point, one without ``slw`` as ice throughout.
    """
    ice = WATER_DENSITY * fields.values["sd"] - fields.values.get("slw", 0.0)
    below = fields.values["tsn"] - MELTING_POINT if "tsn" in fields.values else 0.0
    heat: Values = (ICE_CAPACITY * below - FUSION_HEAT) * ice
    return heat


@dataclasses.dataclass(frozen=True)
class BudgetRow:
    """Residual of one budget of one model over some columns and windows; score None where it cannot be closed."""

    budget: str
    whose: str
    where: str
    score: ResidualScore | None


@dataclasses.dataclass(frozen=True)
class BudgetComparison:
    """Residuals of the emulator and of ecLand, by budget.

    Attributes:
        run: of the emulator. truth: ecLand's, with the same storages left out (none where the emulator's budget cannot
            be closed).
        rows: statistics of the residuals.
    """

    run: dict[str, Residual]
    truth: dict[str, Residual]
    rows: tuple[BudgetRow, ...]


def compare(run: Fields, truth: Fields) -> BudgetComparison:
    """Both budgets of an emulator's run beside those of ecLand."""
    of_run, of_truth, rows = {}, {}, []
    for budget, residual_of in (("water", water_residual), ("energy", energy_residual)):
        residual, complete = residual_of(run), residual_of(truth)
        # Where the emulator's cannot be closed there is nothing to compare with: ecLand's own is shown whole.
        same = complete if residual.values is None else residual_of(truth.without(residual.left_out))
        of_run[budget], of_truth[budget] = residual, same
        shown = {"emulator": residual, "ecLand": complete}
        if residual.left_out and residual.values is not None:
            shown["ecLand, same storages"] = same
        for whose, one in shown.items():
            rows += _rows(budget, whose, one, truth)
    return BudgetComparison(of_run, of_truth, tuple(rows))


def _rows(budget: str, whose: str, residual: Residual, truth: Fields) -> list[BudgetRow]:
    if residual.values is None:
        return [BudgetRow(budget, whose, "all columns", None)]
    on_land, snowy = np.broadcast_to(land_only(truth), residual.values.shape), is_snowy(truth)
    subsets = {"all columns": None, "no lake, no town": on_land}
    if snowy is not None:
        subsets |= {"no lake, no town, no snow": on_land & ~snowy, "no lake, no town, snow": on_land & snowy}
    return [
        BudgetRow(budget, whose, where, score(residual.values, truth.step_seconds, budget == "water", chosen))
        for where, chosen in subsets.items()
    ]


def land_only(fields: Fields) -> Values:
    """(n_columns,) which columns have neither lake nor town, so that ecLand's budgets should close."""
    n_columns = next(field.shape[-1] for field in fields.values.values())
    chosen = np.ones(n_columns, dtype=bool)
    for name in ("clim_clake", "clim_cu"):
        if name in fields.values:
            chosen &= fields.values[name] <= LAND_ONLY
    return chosen


def is_snowy(fields: Fields) -> Values | None:
    """(n_windows, n_columns) windows with snow on the ground or falling; None where there is no snow depth."""
    snow, falling = fields.values.get("sd"), fields.values.get("met_snowf")
    if snow is None or falling is None:
        return None
    return (snow[:-1] > 0.0) | (snow[1:] > 0.0) | (falling > 0.0)


def score(residual: Values, step_seconds: float, is_sum: bool, chosen: Values | None = None) -> ResidualScore:
    """Statistics of a residual.

    Args:
        residual: (n_windows, n_columns).
        step_seconds: length of a window.
        is_sum: whether days are sums of their windows (water) or means (energy).
        chosen: (n_windows, n_columns) windows that count; days count where all of theirs do. None: all.
    """
    chosen = np.ones(residual.shape, dtype=bool) if chosen is None else chosen
    values = residual[chosen]
    per_day = max(1, round(86_400.0 / step_seconds))
    n_days = len(residual) // per_day
    days = residual[: n_days * per_day].reshape(n_days, per_day, -1)
    of_day = days.sum(axis=1) if is_sum else days.mean(axis=1)
    of_day = of_day[chosen[: n_days * per_day].reshape(days.shape).all(axis=1)]
    return ResidualScore(
        rms=float(rmse(values)),
        mean=float(values.mean()) if values.size else math.nan,
        rms_day=float(rmse(of_day)),
        worst=float(np.abs(values).max()) if values.size else math.nan,
        n=int(values.size),
    )
