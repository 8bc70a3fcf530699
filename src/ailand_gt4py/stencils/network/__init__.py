"""Layers, activations and the step of the network, with their derivatives."""
