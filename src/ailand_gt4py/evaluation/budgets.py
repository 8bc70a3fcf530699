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

from ailand_gt4py.core.constants import FUSION_HEAT, MELTING_POINT, SECONDS_PER_DAY
from ailand_gt4py.core.types import Values
from ailand_gt4py.ecland import soil_heat as soil
from ailand_gt4py.ecland import soil_water
from ailand_gt4py.ecland.soil_tables import LAYER_THICKNESS
from ailand_gt4py.evaluation.fields import Fields
from ailand_gt4py.evaluation.scores.moments import rmse

#: Heat capacity of ice, J kg-1 K-1.
ICE_CAPACITY = 2.05e6 / 920.0

WATER_FLUXES = ("met_rainf", "met_snowf", "e", "sro", "ssro")
ENERGY_FLUXES = ("ssr", "str", "sshf", "slhf", "met_snowf")
SOIL_WATER = tuple(soil_water.WATER_HELD)
SOIL_HEAT = tuple(f"stl{layer}" for layer in range(1, 5))
#: What a unit of each storage of water holds, kg m-2.
WATER_HELD = {**soil_water.WATER_HELD, "sd": soil.WATER_DENSITY, "src": 1.0}
WATER_STORAGES = tuple(WATER_HELD)
ENERGY_STORAGES = (*SOIL_HEAT, "sd", "tsn", "slw")
#: Lake and urban cover up to which a column counts as land only, 1.
LAND_ONLY = 1e-3


@dataclasses.dataclass(frozen=True)
class Residual:
    """Of a budget, "water" or "energy", (n_windows, n_columns); None where too much is missing for it to be closed.

    Storages that are not there are left out.
    """

    budget: str
    units: str
    values: Values | None
    missing: tuple[str, ...]
    left_out: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class ResidualScore:
    """Of n windows and columns, and of days: means (energy) or sums (water) over them; NaN without a whole one."""

    rms: float
    mean: float
    rms_day: float
    worst: float
    n: int


@dataclasses.dataclass(frozen=True)
class BudgetRow:
    """Residual of one budget of one model over some columns and windows; score None where it cannot be closed."""

    budget: str
    whose: str
    where: str
    score: ResidualScore | None


@dataclasses.dataclass(frozen=True)
class BudgetComparison:
    """Residuals of the emulator and of ecLand by budget, with the same storages left out, and their statistics."""

    run: dict[str, Residual]
    truth: dict[str, Residual]
    rows: list[BudgetRow]


def water_residual(fields: Fields) -> Residual:
    """Residual of the water budget, mm in a window (see the module)."""
    missing, left_out = _lacking(fields, WATER_FLUXES, WATER_STORAGES)
    if missing:
        return Residual("water", "mm", None, missing, left_out)
    rain, snow, evaporation, surface, deep = (fields.values[name] for name in WATER_FLUXES)
    supply = (rain + snow + evaporation - surface - deep) * fields.step_seconds
    stored = np.sum([factor * fields.values[name] for name, factor in WATER_HELD.items() if name in fields.values], 0)
    return Residual("water", "mm", supply - np.diff(stored, axis=0), missing, left_out)


def energy_residual(fields: Fields) -> Residual:
    """Residual of the surface energy budget, W m-2 over a window (see the module)."""
    missing, left_out = _lacking(fields, (*ENERGY_FLUXES, *soil.PROPERTIES), ENERGY_STORAGES)
    if missing:
        return Residual("energy", "W m-2", None, missing, left_out)
    solar, thermal, sensible, latent, snowfall = (fields.values[name] for name in ENERGY_FLUXES)
    supply, stored = solar + thermal + sensible + latent, soil_heat(fields)
    if "sd" in fields.values:
        supply = supply - FUSION_HEAT * snowfall
        stored = stored + snow_heat(fields)
    values = supply - np.diff(stored, axis=0) / fields.step_seconds
    return Residual("energy", "W m-2", values, missing, left_out)


def _lacking(fields: Fields, needed: tuple[str, ...], storages: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """What is missing, of storages only all layers of soil, the first of them; and storages to leave out."""
    missing, left_out, layers = fields.missing(needed), fields.missing(storages), storages[: len(LAYER_THICKNESS)]
    return (*missing, *(() if set(layers) - set(left_out) else layers)), tuple(left_out)


def soil_heat(fields: Fields) -> Values:
    """Heat in the soil layers that there are, J m-2: (n_windows + 1, n_columns)."""
    properties = [fields.values[name] for name in soil.PROPERTIES]
    capacity, freezing = soil.heat_capacity(properties), soil.freezing_heat(properties)
    heat = np.zeros(())
    for name, thickness in zip(SOIL_HEAT, LAYER_THICKNESS, strict=True):
        if name in fields.values:
            warmth = capacity * (fields.values[name] - MELTING_POINT)
            heat = heat + thickness * (warmth - freezing * soil.frozen_fraction(fields.values[name]))
    return heat


def snow_heat(fields: Fields) -> Values:
    """Heat of the snow pack against liquid water at the melting point, J m-2: (n_windows + 1, n_columns).

    A pack without ``tsn`` is taken at the melting point, one without ``slw`` as ice throughout.
    """
    ice = soil.WATER_DENSITY * fields.values["sd"] - fields.values.get("slw", 0.0)
    below = fields.values["tsn"] - MELTING_POINT if "tsn" in fields.values else 0.0
    heat: Values = (ICE_CAPACITY * below - FUSION_HEAT) * ice
    return heat


def compare(run: Fields, truth: Fields) -> BudgetComparison:
    """Both budgets of an emulator's run beside those of ecLand."""
    found = BudgetComparison({}, {}, [])
    on_land, snowy = land_only(truth), is_snowy(truth)
    subsets: dict[str, Values | bool] = {"all columns": True, "no lake, no town": on_land}
    if snowy is not None:
        subsets |= {"no lake, no town, no snow": on_land & ~snowy, "no lake, no town, snow": on_land & snowy}
    for budget, residual_of in (("water", water_residual), ("energy", energy_residual)):
        residual, complete = residual_of(run), residual_of(truth)
        # Where the emulator's cannot be closed there is nothing to compare with: ecLand's own is shown whole.
        same = complete if residual.values is None else residual_of(truth.without(residual.left_out))
        found.run[budget], found.truth[budget] = residual, same
        shown = {"emulator": residual, "ecLand": complete}
        if residual.left_out and residual.values is not None:
            shown["ecLand, same storages"] = same
        for whose, one in shown.items():
            if one.values is None:
                found.rows.append(BudgetRow(budget, whose, "all columns", None))
                continue
            for where, chosen in subsets.items():
                statistics = score(one.values, truth.step_seconds, budget == "water", chosen)
                found.rows.append(BudgetRow(budget, whose, where, statistics))
    return found


def land_only(fields: Fields) -> Values:
    """(n_columns,) which columns have neither lake nor town, so that ecLand's budgets should close."""
    covers = [fields.values[name] for name in ("clim_clake", "clim_cu") if name in fields.values]
    return np.all([cover <= LAND_ONLY for cover in covers], axis=0)


def is_snowy(fields: Fields) -> Values | None:
    """(n_windows, n_columns) windows with snow on the ground or falling; None where there is no snow depth."""
    snow, falling = fields.values.get("sd"), fields.values.get("met_snowf")
    if snow is None or falling is None:
        return None
    return (snow[:-1] > 0.0) | (snow[1:] > 0.0) | (falling > 0.0)


def score(residual: Values, step_seconds: float, is_sum: bool, chosen: Values | bool = True) -> ResidualScore:
    """Statistics of a residual, (n_windows, n_columns); days, sums or means, count where all of their windows do."""
    chosen = np.broadcast_to(chosen, residual.shape)
    values = residual[chosen]
    per_day = max(1, round(SECONDS_PER_DAY / step_seconds))
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
