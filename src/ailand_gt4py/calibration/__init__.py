"""Estimation of soil and vegetation parameters from observations."""
