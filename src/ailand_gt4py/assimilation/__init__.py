"""Soil moisture analysed from observations: filters and twin experiments."""
