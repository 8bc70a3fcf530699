"""Constants of the published networks, and of physics where several modules need one."""

#: Slope of LeakyReLU for negative arguments (PyTorch's default, used by the aiLand prototype).
LEAKY_RELU_SLOPE = 0.01

#: Added to the variance in the layer normalisation (PyTorch's default, used by the aiLand prototype).
LAYER_NORM_EPSILON = 1e-5

#: Standard gravity (m s-2), as the IFS uses it to make geopotential from height.
GRAVITY = 9.80665

#: Melting point of ice as ecLand has it (``RTT``), the triple point of water, and 0 degrees Celsius, K.
MELTING_POINT, CELSIUS = 273.16, 273.15

#: Gas constants of dry air and of water vapour, J kg-1 K-1, as in the IFS.
DRY_AIR_GAS, VAPOUR_GAS = 287.0597, 461.5250

#: Specific heat of dry air at constant pressure, J kg-1 K-1, as in the IFS.
DRY_AIR_HEAT = 1004.709

#: Heat of vaporisation and of fusion of water, J kg-1, as in the IFS.
VAPORISATION_HEAT, FUSION_HEAT = 2.5008e6, 2.8345e6 - 2.5008e6

#: Stefan-Boltzmann constant (W m-2 K-4).
STEFAN_BOLTZMANN = 5.670374419e-8

#: Length of a day.
SECONDS_PER_DAY = 86_400.0

#: Share of a window that has to be observed for its mean to count: four hours of six, as of the towers' files.
LEAST_MEASURED = 0.66
