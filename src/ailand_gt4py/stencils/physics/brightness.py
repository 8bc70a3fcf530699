"""Brightness temperature at L-band of soil under vegetation, and its derivatives, by hand.

The chain:

1. soil water -> complex refractive index: Mironov et al. 2009 (doi:10.1109/TGRS.2008.2011631), equations 11 to 13.
   Up to a transition water content all water is bound to the minerals, what exceeds it is free; index and
   attenuation are linear in both. At the transition itself the derivative is that of bound water: the free part is
   max(0, water - transition), which is a rectifier, and `lowering.columns.derivative_rules` has 0 at its kink.
2. refractive index -> permittivity -> power reflectivity of a smooth surface, H and V polarised: Fresnel's equations
   (for instance Ulaby, Moore and Fung 1981, Microwave Remote Sensing, volume I).
3. -> of a rough surface: h-Q-N (Wang and Choudhury 1981, doi:10.1029/JC086iC06p05277): reflectivities mix by Q and are
   damped by exp(-h cos^N).
4. -> brightness temperature by the tau-omega model of zero order (Mo et al. 1982, doi:10.1029/JC087iC13p11229), its
   terms summed over the tiles of a column beforehand (see `observations.brightness`): emission of the soil through the
   canopy, of the canopy, and of the canopy reflected by the soil and attenuated again.

All is float64. `ailand_gt4py.observations.brightness` calls the operators on arrays, once for an observation
time: embedded execution, which passes over memory about a hundred times, is fast enough and compiles nothing.
"""

from typing import NamedTuple

import gt4py.next as gtx
from gt4py.next import float64, maximum, minimum, sqrt, where

from ailand_gt4py.core.dimensions import Column

Values = gtx.Field[[Column], gtx.float64]


class Land(NamedTuple):
    """What is emitted from: water content of the uppermost layer, m3 m-3; temperatures of the first two layers, K."""

    water: Values
    surface: Values
    deep: Values


class Soil(NamedTuple):
    """Coefficients of `mixed` for index and attenuation; transition: water content up to which all is bound, m3 m-3."""

    transition: Values
    dry_index: Values
    bound_index: Values
    free_index: Values
    dry_attenuation: Values
    bound_attenuation: Values
    free_attenuation: Values


class Canopy(NamedTuple):
    """Transmissivity G, (1 - omega)(1 - G) and (1 - omega)(1 - G) G of the canopies, each the mean over the tiles."""

    through: Values
    own: Values
    returned: Values


class View(NamedTuple):
    """Instrument and surface.

    Attributes:
        cosine, sine_squared: of the incidence angle. mixing: Q. damping_h, damping_v: exp(-h cos^N).
        surface_weight: C of the effective temperature deep + C (surface - deep) (Choudhury et al. 1982,
            doi:10.1029/JC087iC02p01301). The canopy has the surface's temperature.
    """

    cosine: float64
    sine_squared: float64
    mixing: float64
    damping_h: float64
    damping_v: float64
    surface_weight: float64


@gtx.field_operator
def mixed(water: Values, transition: Values, dry: Values, bound: Values, free: Values) -> Values:
    """Refractive index or attenuation of moist soil: dry value, plus rates times bound and free water."""
    return dry + bound * minimum(water, transition) + free * maximum(0.0, water - transition)


@gtx.field_operator
def refractive_index(water: Values, soil: Soil) -> tuple[Values, Values]:
    """Index and attenuation of moist soil."""
    return (
        mixed(water, soil.transition, soil.dry_index, soil.bound_index, soil.free_index),
        mixed(water, soil.transition, soil.dry_attenuation, soil.bound_attenuation, soil.free_attenuation),
    )


@gtx.field_operator
def refracted(index: Values, attenuation: Values, view: View) -> tuple[Values, Values, Values, Values]:
    """Permittivity (index + i attenuation)^2, and the root of it less sin^2: real and imaginary part of each."""
    real = index * index - attenuation * attenuation
    imaginary = 2.0 * index * attenuation
    rest = real - view.sine_squared
    normal = sqrt(0.5 * (sqrt(rest * rest + imaginary * imaginary) + rest))
    return real, imaginary, normal, 0.5 * imaginary / normal


@gtx.field_operator
def reflected_share(ahead: Values, aside: Values, normal: Values, damped: Values) -> tuple[Values, Values]:
    """|(a - n) / (a + n)|^2 with a = ahead + i aside, n = normal + i damped, and its denominator."""
    denominator = (ahead + normal) * (ahead + normal) + (aside + damped) * (aside + damped)
    numerator = (ahead - normal) * (ahead - normal) + (aside - damped) * (aside - damped)
    return numerator / denominator, denominator


@gtx.field_operator
def reflected_share_tangent(
    ahead: Values,
    aside: Values,
    normal: Values,
    damped: Values,
    d_ahead: Values,
    d_aside: Values,
    d_normal: Values,
    d_damped: Values,
) -> Values:
    """The tangent of `reflected_share` for tangents of its four arguments."""
    share, denominator = reflected_share(ahead, aside, normal, damped)
    along = (ahead - normal) * (d_ahead - d_normal) + (aside - damped) * (d_aside - d_damped)
    across = (ahead + normal) * (d_ahead + d_normal) + (aside + damped) * (d_aside + d_damped)
    return 2.0 * (along - share * across) / denominator


@gtx.field_operator
def rough(smooth_h: Values, smooth_v: Values, view: View) -> tuple[Values, Values]:
    """Reflectivities of a rough surface, H and V polarised, from those of a smooth one; linear."""
    return (
        view.damping_h * (smooth_h + view.mixing * (smooth_v - smooth_h)),
        view.damping_v * (smooth_v + view.mixing * (smooth_h - smooth_v)),
    )


@gtx.field_operator
def reflectivities(water: Values, soil: Soil, view: View) -> tuple[Values, Values]:
    """Reflectivities of the rough soil, H and V polarised."""
    index, attenuation = refractive_index(water, soil)
    real, imaginary, normal, damped = refracted(index, attenuation, view)
    smooth_h, _ = reflected_share(view.cosine + 0.0 * real, 0.0 * real, normal, damped)
    smooth_v, _ = reflected_share(view.cosine * real, view.cosine * imaginary, normal, damped)
    return rough(smooth_h, smooth_v, view)


@gtx.field_operator
def reflectivity_slopes(water: Values, soil: Soil, view: View) -> tuple[Values, Values]:
    """Derivatives of `reflectivities` with respect to the water content, those of bound water at the transition."""
    index, attenuation = refractive_index(water, soil)
    real, imaginary, normal, damped = refracted(index, attenuation, view)
    is_free = water > soil.transition
    d_index = where(is_free, soil.free_index, soil.bound_index)
    d_attenuation = where(is_free, soil.free_attenuation, soil.bound_attenuation)
    d_real = 2.0 * (index * d_index - attenuation * d_attenuation)
    d_imaginary = 2.0 * (attenuation * d_index + index * d_attenuation)
    # The derivative of a complex square root s is 1 / (2 s).
    twice_square = 2.0 * (normal * normal + damped * damped)
    d_normal = (normal * d_real + damped * d_imaginary) / twice_square
    d_damped = (normal * d_imaginary - damped * d_real) / twice_square
    none = 0.0 * real
    cosine = view.cosine
    return rough(
        reflected_share_tangent(cosine + none, none, normal, damped, none, none, d_normal, d_damped),
        reflected_share_tangent(
            cosine * real, cosine * imaginary, normal, damped, cosine * d_real, cosine * d_imaginary, d_normal, d_damped
        ),
        view,
    )


@gtx.field_operator
def soil_temperature(land: Land, view: View) -> Values:
    """Effective temperature of the soil's emission, K."""
    return land.deep + view.surface_weight * (land.surface - land.deep)


@gtx.field_operator
def brightness_temperature(
    land: Land, soil: Soil, canopy_h: Canopy, canopy_v: Canopy, view: View
) -> tuple[Values, Values]:
    """Brightness temperature above the canopy, H and V polarised, K."""
    rough_h, rough_v = reflectivities(land.water, soil, view)
    below, above = soil_temperature(land, view), land.surface
    return (
        below * (1.0 - rough_h) * canopy_h.through + above * (canopy_h.own + rough_h * canopy_h.returned),
        below * (1.0 - rough_v) * canopy_v.through + above * (canopy_v.own + rough_v * canopy_v.returned),
    )


@gtx.field_operator
def emission_slopes(
    land: Land, canopy: Canopy, view: View, reflectivity: Values, d_reflectivity: Values
) -> tuple[Values, Values, Values]:
    """Derivatives of one polarisation with respect to water, surface and deep temperature."""
    of_soil = (1.0 - reflectivity) * canopy.through
    of_canopy = canopy.own + reflectivity * canopy.returned
    return (
        (land.surface * canopy.returned - soil_temperature(land, view) * canopy.through) * d_reflectivity,
        view.surface_weight * of_soil + of_canopy,
        (1.0 - view.surface_weight) * of_soil,
    )


@gtx.field_operator
def brightness_temperature_slopes(
    land: Land, soil: Soil, canopy_h: Canopy, canopy_v: Canopy, view: View
) -> tuple[tuple[Values, Values, Values], tuple[Values, Values, Values]]:
    """Derivatives of `brightness_temperature`, H then V polarised, by water (K / (m3 m-3)) and the two temperatures."""
    rough_h, rough_v = reflectivities(land.water, soil, view)
    d_rough_h, d_rough_v = reflectivity_slopes(land.water, soil, view)
    return (
        emission_slopes(land, canopy_h, view, rough_h, d_rough_h),
        emission_slopes(land, canopy_v, view, rough_v, d_rough_v),
    )
