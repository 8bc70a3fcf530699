"""The column program: GTIR read into a small language, fused, and put into DaCe's graph."""
