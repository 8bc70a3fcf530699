"""Errors of state, forcing and parameters carried through a run."""
