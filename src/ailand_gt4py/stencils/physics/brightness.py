"""Brightness temperature at L-band of soil under vegetation: field operator, tangent-linear and adjoint, by hand.

The chain, each link with its derivative forwards and backwards:

1. soil water -> complex refractive index: Mironov et al. 2009 (doi:10.1109/TGRS.2008.2011631), equations 11 to 13.
   Up to a transition water content all water is bound to the minerals, what exceeds it is free; index and
   attenuation are linear in both. At the transition itself the derivative is that of bound water: the free part is
   max(0, water - transition), which is a rectifier, and `stencils.tangent_linear` takes 0 at the kink of a rectifier.
2. refractive index -> permittivity -> power reflectivity of a smooth surface, H and V polarised: Fresnel's equations
   (for instance Ulaby, Moore and Fung 1981, Microwave Remote Sensing, volume I).
3. -> of a rough surface: h-Q-N (Wang and Choudhury 1981, doi:10.1029/JC086iC06p05277): reflectivities mix by Q and are
   damped by exp(-h cos^N).
4. -> brightness temperature by the tau-omega model of zero order (Mo et al. 1982, doi:10.1029/JC087iC13p11229), its
   terms summed over the tiles of a column beforehand (see `assimilation.microwave`): emission of the soil through the
   canopy, of the canopy, and of the canopy reflected by the soil and attenuated again.

All is float64. `ailand_gt4py.observations.brightness` calls the operators on arrays, once for an observation
time: embedded execution, which passes over memory about a hundred times, is fast enough and compiles nothing.
"""

import gt4py.next as gtx
from gt4py.next import float64, maximum, minimum, sqrt, where

from ailand_gt4py.core.dimensions import Column

Values = gtx.Field[[Column], gtx.float64]


@gtx.field_operator
def mixed(water: Values, transition: Values, dry: Values, bound: Values, free: Values) -> Values:
    """Refractive index or attenuation of moist soil: dry value, plus rates times bound and free water."""
    return dry + bound * minimum(water, transition) + free * maximum(0.0, water - transition)


@gtx.field_operator
def mixed_slope(water: Values, transition: Values, bound: Values, free: Values) -> Values:
    """Derivative of `mixed` by the water content; that of bound water at the transition."""
    return where(water > transition, free, bound)


@gtx.field_operator
def permittivity(index: Values, attenuation: Values) -> tuple[Values, Values]:
    """Real and imaginary part of (index + i attenuation)^2."""
    return index * index - attenuation * attenuation, 2.0 * index * attenuation


@gtx.field_operator
def refracted(real: Values, imaginary: Values, sine_squared: float64) -> tuple[Values, Values]:
    """Real and imaginary part of sqrt(permittivity - sin^2 of the incidence angle)."""
    rest = real - sine_squared
    size = sqrt(rest * rest + imaginary * imaginary)
    normal = sqrt(0.5 * (size + rest))
    return normal, 0.5 * imaginary / normal


@gtx.field_operator
def reflected_share(ahead: Values, aside: Values, normal: Values, damped: Values) -> tuple[Values, Values]:
    """|(a - n) / (a + n)|^2 with a = ahead + i aside, n = normal + i damped, and its denominator."""
    denominator = (ahead + normal) * (ahead + normal) + (aside + damped) * (aside + damped)
    numerator = (ahead - normal) * (ahead - normal) + (aside - damped) * (aside - damped)
    return numerator / denominator, denominator


@gtx.field_operator
def reflected_share_slopes(
    ahead: Values, aside: Values, normal: Values, damped: Values
) -> tuple[Values, Values, Values, Values]:
    """Derivatives of `reflected_share` by its four arguments."""
    share, denominator = reflected_share(ahead, aside, normal, damped)
    twice = 2.0 / denominator
    return (
        twice * ((ahead - normal) - share * (ahead + normal)),
        twice * ((aside - damped) - share * (aside + damped)),
        twice * ((normal - ahead) - share * (ahead + normal)),
        twice * ((damped - aside) - share * (aside + damped)),
    )


@gtx.field_operator
def smooth_reflectivities(
    index: Values, attenuation: Values, cosine: float64, sine_squared: float64
) -> tuple[Values, Values]:
    """Fresnel reflectivities of a smooth surface, H and V polarised."""
    real, imaginary = permittivity(index, attenuation)
    normal, damped = refracted(real, imaginary, sine_squared)
    horizontal, _ = reflected_share(cosine + 0.0 * real, 0.0 * real, normal, damped)
    vertical, _ = reflected_share(cosine * real, cosine * imaginary, normal, damped)
    return horizontal, vertical


@gtx.field_operator
def smooth_reflectivities_tangent(
    index: Values, attenuation: Values, cosine: float64, sine_squared: float64, d_index: Values, d_attenuation: Values
) -> tuple[Values, Values]:
    """Changes of `smooth_reflectivities` for changes of refractive index and attenuation."""
    real, imaginary = permittivity(index, attenuation)
    normal, damped = refracted(real, imaginary, sine_squared)
    d_real = 2.0 * (index * d_index - attenuation * d_attenuation)
    d_imaginary = 2.0 * (attenuation * d_index + index * d_attenuation)
    # The derivative of a complex square root s is 1 / (2 s).
    twice_square = 2.0 * (normal * normal + damped * damped)
    d_normal = (normal * d_real + damped * d_imaginary) / twice_square
    d_damped = (normal * d_imaginary - damped * d_real) / twice_square
    h = reflected_share_slopes(cosine + 0.0 * real, 0.0 * real, normal, damped)
    v = reflected_share_slopes(cosine * real, cosine * imaginary, normal, damped)
    return (
        h[2] * d_normal + h[3] * d_damped,
        v[0] * cosine * d_real + v[1] * cosine * d_imaginary + v[2] * d_normal + v[3] * d_damped,
    )


@gtx.field_operator
def smooth_reflectivities_adjoint(
    index: Values, attenuation: Values, cosine: float64, sine_squared: float64, g_horizontal: Values, g_vertical: Values
) -> tuple[Values, Values]:
    """Gradients to refractive index and attenuation for gradients to the two reflectivities."""
    real, imaginary = permittivity(index, attenuation)
    normal, damped = refracted(real, imaginary, sine_squared)
    h = reflected_share_slopes(cosine + 0.0 * real, 0.0 * real, normal, damped)
    v = reflected_share_slopes(cosine * real, cosine * imaginary, normal, damped)
    g_normal = h[2] * g_horizontal + v[2] * g_vertical
    g_damped = h[3] * g_horizontal + v[3] * g_vertical
    twice_square = 2.0 * (normal * normal + damped * damped)
    g_real = cosine * v[0] * g_vertical + (normal * g_normal - damped * g_damped) / twice_square
    g_imaginary = cosine * v[1] * g_vertical + (damped * g_normal + normal * g_damped) / twice_square
    return (
        2.0 * (index * g_real + attenuation * g_imaginary),
        2.0 * (index * g_imaginary - attenuation * g_real),
    )


@gtx.field_operator
def emitted(
    reflectivity: Values, soil: Values, canopy: Values, through: Values, own: Values, returned: Values
) -> Values:
    """Tau-omega: emission of the soil through the canopy, of the canopy, and of the canopy by way of the soil.

    Args:
        reflectivity: of the rough soil. soil, canopy: temperatures, K.
        through, own, returned: the canopies' transmissivity G, (1 - omega)(1 - G) and (1 - omega)(1 - G) G, each the
            mean over the tiles.
    """
    return soil * (1.0 - reflectivity) * through + canopy * (own + reflectivity * returned)


@gtx.field_operator
def brightness_temperature(
    water: Values,
    surface: Values,
    deep: Values,
    transition: Values,
    dry_index: Values,
    bound_index: Values,
    free_index: Values,
    dry_attenuation: Values,
    bound_attenuation: Values,
    free_attenuation: Values,
    through_h: Values,
    own_h: Values,
    returned_h: Values,
    through_v: Values,
    own_v: Values,
    returned_v: Values,
    cosine: float64,
    sine_squared: float64,
    mixing: float64,
    damping_h: float64,
    damping_v: float64,
    surface_weight: float64,
) -> tuple[Values, Values]:
    """Brightness temperature above the canopy, H and V polarised, K.

    Args:
        water: volumetric, of the uppermost layer, m3 m-3. surface, deep: temperatures of the first and second layer, K.
        transition: water content up to which all of it is bound, m3 m-3.
        dry_index ... free_attenuation: of `mixed`. through_h ... returned_v: of `emitted`, by polarisation.
        cosine, sine_squared: of the incidence angle. mixing: Q. damping_h, damping_v: exp(-h cos^N).
        surface_weight: C of the effective temperature deep + C (surface - deep) (Choudhury et al. 1982,
            doi:10.1029/JC087iC02p01301). The canopy has the surface's temperature.
    """
    index = mixed(water, transition, dry_index, bound_index, free_index)
    attenuation = mixed(water, transition, dry_attenuation, bound_attenuation, free_attenuation)
    smooth_h, smooth_v = smooth_reflectivities(index, attenuation, cosine, sine_squared)
    rough_h = damping_h * (smooth_h + mixing * (smooth_v - smooth_h))
    rough_v = damping_v * (smooth_v + mixing * (smooth_h - smooth_v))
    soil = deep + surface_weight * (surface - deep)
    return (
        emitted(rough_h, soil, surface, through_h, own_h, returned_h),
        emitted(rough_v, soil, surface, through_v, own_v, returned_v),
    )


@gtx.field_operator
def brightness_temperature_tangent(
    water: Values,
    surface: Values,
    deep: Values,
    transition: Values,
    dry_index: Values,
    bound_index: Values,
    free_index: Values,
    dry_attenuation: Values,
    bound_attenuation: Values,
    free_attenuation: Values,
    through_h: Values,
    own_h: Values,
    returned_h: Values,
    through_v: Values,
    own_v: Values,
    returned_v: Values,
    cosine: float64,
    sine_squared: float64,
    mixing: float64,
    damping_h: float64,
    damping_v: float64,
    surface_weight: float64,
    d_water: Values,
    d_surface: Values,
    d_deep: Values,
) -> tuple[Values, Values]:
    """Changes of `brightness_temperature`, K, for changes of soil water and temperatures."""
    index = mixed(water, transition, dry_index, bound_index, free_index)
    attenuation = mixed(water, transition, dry_attenuation, bound_attenuation, free_attenuation)
    smooth_h, smooth_v = smooth_reflectivities(index, attenuation, cosine, sine_squared)
    rough_h = damping_h * (smooth_h + mixing * (smooth_v - smooth_h))
    rough_v = damping_v * (smooth_v + mixing * (smooth_h - smooth_v))
    soil = deep + surface_weight * (surface - deep)
    d_index = mixed_slope(water, transition, bound_index, free_index) * d_water
    d_attenuation = mixed_slope(water, transition, bound_attenuation, free_attenuation) * d_water
    d_smooth_h, d_smooth_v = smooth_reflectivities_tangent(
        index, attenuation, cosine, sine_squared, d_index, d_attenuation
    )
    d_rough_h = damping_h * (d_smooth_h + mixing * (d_smooth_v - d_smooth_h))
    d_rough_v = damping_v * (d_smooth_v + mixing * (d_smooth_h - d_smooth_v))
    d_soil = d_deep + surface_weight * (d_surface - d_deep)
    return (
        emitted(rough_h, d_soil, d_surface, through_h, own_h, returned_h)
        + (surface * returned_h - soil * through_h) * d_rough_h,
        emitted(rough_v, d_soil, d_surface, through_v, own_v, returned_v)
        + (surface * returned_v - soil * through_v) * d_rough_v,
    )


@gtx.field_operator
def brightness_temperature_adjoint(
    water: Values,
    surface: Values,
    deep: Values,
    transition: Values,
    dry_index: Values,
    bound_index: Values,
    free_index: Values,
    dry_attenuation: Values,
    bound_attenuation: Values,
    free_attenuation: Values,
    through_h: Values,
    own_h: Values,
    returned_h: Values,
    through_v: Values,
    own_v: Values,
    returned_v: Values,
    cosine: float64,
    sine_squared: float64,
    mixing: float64,
    damping_h: float64,
    damping_v: float64,
    surface_weight: float64,
    g_horizontal: Values,
    g_vertical: Values,
) -> tuple[Values, Values, Values]:
    """Gradients to soil water, surface and deep temperature for gradients to the two brightness temperatures."""
    index = mixed(water, transition, dry_index, bound_index, free_index)
    attenuation = mixed(water, transition, dry_attenuation, bound_attenuation, free_attenuation)
    smooth_h, smooth_v = smooth_reflectivities(index, attenuation, cosine, sine_squared)
    rough_h = damping_h * (smooth_h + mixing * (smooth_v - smooth_h))
    rough_v = damping_v * (smooth_v + mixing * (smooth_h - smooth_v))
    soil = deep + surface_weight * (surface - deep)
    g_soil = (1.0 - rough_h) * through_h * g_horizontal + (1.0 - rough_v) * through_v * g_vertical
    g_canopy = (own_h + rough_h * returned_h) * g_horizontal + (own_v + rough_v * returned_v) * g_vertical
    damped_h = damping_h * (surface * returned_h - soil * through_h) * g_horizontal
    damped_v = damping_v * (surface * returned_v - soil * through_v) * g_vertical
    g_index, g_attenuation = smooth_reflectivities_adjoint(
        index,
        attenuation,
        cosine,
        sine_squared,
        damped_h + mixing * (damped_v - damped_h),
        damped_v + mixing * (damped_h - damped_v),
    )
    g_water = (
        mixed_slope(water, transition, bound_index, free_index) * g_index
        + mixed_slope(water, transition, bound_attenuation, free_attenuation) * g_attenuation
    )
    return g_water, surface_weight * g_soil + g_canopy, (1.0 - surface_weight) * g_soil
