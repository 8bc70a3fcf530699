"""Soil moisture near the surface, as scatterometers give it.

A mid-latitude location is observed about twice a day by two of them (ASCAT on Metop-A and -B). Error: de Rosnay et al.
2013 (doi:10.1002/qj.2023).
"""

from __future__ import annotations

import numpy as np

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.types import Values
from ailand_gt4py.observations.operators import Columns, Direct, position_of, register
from ailand_gt4py.weights.model import Model
from ailand_gt4py.weights.variables import CATALOGUE


class SurfaceSoilMoisture(Direct):
    """Soil moisture of the uppermost layer, as a scatterometer (ASCAT) gives it after rescaling to the model.

    With a porosity (n_columns,), m3 m-3, it is the relative saturation (1), else the volumetric water content (m3 m-3):
    ECMWF rescales the instrument's index to the model's climatology (de Rosnay et al. 2013).
    """

    def __init__(self, model: Model, porosity: Values | None = None) -> None:
        inputs = [("state", position_of(model.state, "swvl1", CATALOGUE["swvl1"].units, "observation ssm"))]
        if porosity is None:
            super().__init__((CATALOGUE["ssm"],), inputs)
            return
        if not (np.asarray(porosity) > 0.0).all():
            raise InputError(f"porosity: found {np.min(porosity):g}, expected more than 0")
        super().__init__((CATALOGUE["ssm_saturation"],), inputs, 1.0 / np.asarray(porosity, dtype=np.float64)[:, None])


@register("ssm", hours=12.0, errors={"ssm": 0.05})
def _make(columns: Columns) -> SurfaceSoilMoisture:
    return SurfaceSoilMoisture(columns.model)
