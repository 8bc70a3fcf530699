"""GT4Py field operators, and nothing else."""
