"""Scores of runs against a reference."""
