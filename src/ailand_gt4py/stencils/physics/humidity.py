"""Relative humidity from temperature and dew point: field operator and its derivatives, written by hand.

The saturation vapour pressure is that of the IFS over water (`ailand_gt4py.ecland.humidity`). The pressure of the dew
point over that of the temperature needs no factor.

All is float64; `ailand_gt4py.observations.screen` calls the operators on arrays.
"""

import gt4py.next as gtx
import numpy as np
from gt4py.eve.utils import FrozenNamespace
from gt4py.next import exp

from ailand_gt4py.core.constants import MELTING_POINT
from ailand_gt4py.core.dimensions import Column
from ailand_gt4py.ecland.humidity import OVER_WATER

SATURATION = FrozenNamespace(
    slope=np.float64(OVER_WATER[0]),
    offset=np.float64(OVER_WATER[1]),
    freezing=np.float64(MELTING_POINT),
    percent=np.float64(100.0),
)

Values = gtx.Field[[Column], gtx.float64]


@gtx.field_operator
def saturation_exponent(temperature: Values) -> Values:
    """Logarithm of the saturation vapour pressure over that at the triple point, for a temperature in K."""
    return SATURATION.slope * (temperature - SATURATION.freezing) / (temperature - SATURATION.offset)


@gtx.field_operator
def saturation_exponent_slope(temperature: Values) -> Values:
    """Derivative of `saturation_exponent`, K-1."""
    above = temperature - SATURATION.offset
    return SATURATION.slope * (SATURATION.freezing - SATURATION.offset) / (above * above)


@gtx.field_operator
def relative_humidity(temperature: Values, dew_point: Values) -> Values:
    """Relative humidity over water, %, of temperature and dew point at one height, K; above 100 beyond saturation."""
    return SATURATION.percent * exp(saturation_exponent(dew_point) - saturation_exponent(temperature))


@gtx.field_operator
def relative_humidity_slopes(temperature: Values, dew_point: Values) -> tuple[Values, Values]:
    """Derivatives of `relative_humidity` with respect to temperature and dew point, % K-1."""
    humidity = relative_humidity(temperature, dew_point)
    return (
        0.0 - humidity * saturation_exponent_slope(temperature),
        humidity * saturation_exponent_slope(dew_point),
    )
