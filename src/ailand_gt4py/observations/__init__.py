"""Observed values and observation operators with tangent-linear and adjoint."""
