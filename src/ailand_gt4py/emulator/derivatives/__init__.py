"""Tangent-linear, adjoint and Jacobian of a step."""
