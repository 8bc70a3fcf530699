"""Derivatives of a step's results along a trajectory."""
