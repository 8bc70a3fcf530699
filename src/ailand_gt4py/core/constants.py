"""Constants of the published networks, and of physics where several modules need one."""

#: Slope of LeakyReLU for negative arguments (PyTorch's default, used by the aiLand prototype).
LEAKY_RELU_SLOPE = 0.01

#: Added to the variance in the layer normalisation (PyTorch's default, used by the aiLand prototype).
LAYER_NORM_EPSILON = 1e-5

#: Standard gravity (m s-2), as the IFS uses it to make geopotential from height.
GRAVITY = 9.80665
