"""Surface parameters by vegetation type, and those that do not depend on it, for the coupling closures.

Where a value is ecLand's, it is that of ``github.com/ecmwf-ifs/ecland`` (Apache-2.0): ``susveg_mod`` (roughness),
``susrad_mod`` (emissivity, albedo of snow in forests), ``susurb_mod`` (towns), ``vupdz0_mod`` (roughness of tiles).
The formulas that take them are in `ailand_gt4py.stencils.physics.surface`.

ecLand has no albedo by vegetation type: it reads a monthly climatology of satellite observations. Its vegetation types
are those of BATS, so where a host has no climatology BATS1e's values stand in for it (Dickinson et al. 1993, NCAR
Technical Note TN-387+STR, tables 1 to 3). Type 19 (interrupted forest), which BATS1e lacks, has the values of type 18,
as ecLand gives both the same albedo under snow; type 20 has those of type 13 (bogs and marshes).
"""

from __future__ import annotations

import numpy as np

#: Types 0..20, as in ``clim_tvh`` and ``clim_tvl``; type 0 (no vegetation) has the values of desert (8), as in ecLand.
N_TYPES = 21

#: Share of the solar energy below 0.69 micrometres and above, of ecLand's two-band short-wave radiation.
SOLAR_WEIGHTS = (0.441676, 0.558324)

#: Of the vegetation, below and above 0.7 micrometres: BATS1e, table 2.
_ALBEDO_VISIBLE = (
    *(0.20, 0.10, 0.10, 0.05, 0.05, 0.08, 0.04, 0.08, 0.20, 0.10, 0.08),
    *(0.17, 0.80, 0.06, 0.07, 0.07, 0.05, 0.08, 0.06, 0.06, 0.06),
)
_ALBEDO_NEAR_INFRARED = (
    *(0.40, 0.30, 0.30, 0.23, 0.23, 0.28, 0.20, 0.30, 0.40, 0.30, 0.28),
    *(0.34, 0.60, 0.18, 0.20, 0.20, 0.23, 0.28, 0.24, 0.24, 0.18),
)
#: Colour of the soil, 1 (light) to 8 (dark), that BATS1e supposes under a vegetation type.
_SOIL_COLOUR = (1, 5, 3, 4, 4, 4, 4, 4, 1, 3, 3, 2, 1, 5, 5, 5, 4, 3, 4, 4, 5)
#: Of saturated soil below 0.7 micrometres by colour; twice that above: BATS1e, table 3.
_SATURATED_SOIL_ALBEDO = (0.12, 0.11, 0.10, 0.09, 0.08, 0.07, 0.06, 0.05)

#: Of snow-covered forest below and above 0.7 micrometres: Moody et al. 2007 (doi:10.1016/j.rse.2007.03.011), as in
#: ecLand; other types have ecLand's 0.15 (Viterbo and Betts 1999), spread over its two bands.
_FOREST_SNOW_ALBEDO = {
    **{3: (0.31, 0.24), 4: (0.39, 0.27), 5: (0.35, 0.27), 6: (0.44, 0.33)},
    **dict.fromkeys((18, 19), (0.32, 0.25)),
}
_OTHER_SNOW_ALBEDO = (0.15 * 1.10598, 0.15 * 0.90981)

#: Roughness length for momentum over that for heat, by type: (21,), 1: ecLand.
ROUGHNESS_RATIO = np.array(
    [
        *(100.0, 100.0, 100.0, 1.0, 10.0, 1.0, 1.0, 100.0, 100.0, 100.0, 100.0),
        *(100.0, 10.0, 100.0, 10.0, 10.0, 100.0, 100.0, 100.0, 100.0, 10.0),
    ]
)

#: Emissivity in six spectral intervals, from Feldman et al. 2014 (doi:10.1073/pnas.1413640111), and the intervals'
#: shares of the emission at 15 degrees Celsius: ecLand.
_EMISSIVITY = {
    "land": (0.98836, 0.98179, 0.98257, 0.98685, 0.98746, 0.98746),
    "desert": (0.97395, 0.89598, 0.93831, 0.96009, 0.89529, 0.91139),
    "snow": (0.97851, 0.98896, 0.98112, 0.96727, 0.98421, 0.99240),
    "water": (0.93780, 0.94782, 0.95285, 0.91103, 0.88590, 0.87016),
}
_EMISSION_SHARES = (0.149, 0.111, 0.126, 0.190, 0.290, 0.134)


#: Of the vegetation over the whole solar spectrum, by type: (21,), 1.
VEGETATION_ALBEDO = SOLAR_WEIGHTS[0] * np.array(_ALBEDO_VISIBLE) + SOLAR_WEIGHTS[1] * np.array(_ALBEDO_NEAR_INFRARED)
#: Of wet soil below 0.7 micrometres, under the vegetation of a type: (21,), 1.
SATURATED_SOIL_ALBEDO = np.array([_SATURATED_SOIL_ALBEDO[colour - 1] for colour in _SOIL_COLOUR])
#: Of snow under high vegetation, viewed from above, by type: (21,), 1.
FOREST_SNOW_ALBEDO = np.multiply(
    SOLAR_WEIGHTS, [_FOREST_SNOW_ALBEDO.get(number, _OTHER_SNOW_ALBEDO) for number in range(N_TYPES)]
).sum(axis=1)
#: Of the whole thermal spectrum: moist soil and vegetation ("land"), dry soil, snow (also ice), water.
EMISSIVITY = {surface: float(np.dot(bands, _EMISSION_SHARES)) for surface, bands in _EMISSIVITY.items()}

#: Of bare soil for momentum, and of snow deeper than 0.25 m (ice caps), m: ecLand.
BARE_SOIL_ROUGHNESS, SNOW_ROUGHNESS = 0.013, 0.0013
#: Of lake ice for momentum and heat, m: ecLand's sea ice.
ICE_ROUGHNESS = 1.0e-3
#: Of open water for diffuse radiation: ecLand.
WATER_ALBEDO = 0.06
#: Of snow in the open: the middle between ecLand's limits for old and for new snow, 0.50 and 0.85. ecLand's own depends
#: on the time since the last snowfall, which the emulator's state does not tell, and in its runs not on temperature
#: (mean 0.65 to 0.70 whatever the temperature), so that a ramp with temperature, as in other models, does worse.
MIDDLE_SNOW_ALBEDO = 0.675

#: Towns: ecLand's urban tile for its one kind of street (buildings of 8 m, half as high as the street is wide; McNorton
#: et al. 2021, doi:10.1029/2020MS002375). The albedo is that at a solar zenith angle of 45
#: degrees, the roughness length for heat that of the roofs.
URBAN_ALBEDO = 0.146
URBAN_EMISSIVITY = 0.970
URBAN_ROUGHNESS = 0.0646
URBAN_HEAT_ROUGHNESS = 0.0035

#: By how much BATS1e's ground is brighter than ecLand's climatology: the mean over 1174 columns of ecLand in 21
#: climates, rounded; the standard deviation about it is 0.042, that of the climatology itself 0.053
#: (`python -m studies.background_albedo`).
BATS_EXCESS = 0.030


def background_albedo(
    high_cover: np.ndarray, low_cover: np.ndarray, high_type: np.ndarray, low_type: np.ndarray
) -> np.ndarray:
    """First guess of the albedo without snow where no climatology is known: BATS1e's by vegetation, less `BATS_EXCESS`.

    Bare ground has the colour of the soil that BATS1e supposes under the larger vegetation, half dry: one and a half
    times the albedo of its saturated soil below 0.7 micrometres, and twice that above.

    Args:
        high_cover, low_cover: parts of the column, 1. high_type, low_type: whole numbers 0 to 20, all (n,).

    Returns:
        (n,), 1.
    """
    wet = SATURATED_SOIL_ALBEDO[np.where(high_cover > low_cover, high_type, low_type)]
    soil = 1.5 * (SOLAR_WEIGHTS[0] + 2.0 * SOLAR_WEIGHTS[1]) * wet
    bare = np.maximum(1.0 - high_cover - low_cover, 0.0)
    vegetation = high_cover * VEGETATION_ALBEDO[high_type] + low_cover * VEGETATION_ALBEDO[low_type]
    result: np.ndarray = vegetation + bare * soil - BATS_EXCESS
    return result
