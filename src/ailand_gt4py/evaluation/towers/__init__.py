"""Models against what towers observed: scores as of PLUMBER2, empirical benchmarks, closure of the energy balance."""
