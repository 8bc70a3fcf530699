"""What any host needs to couple with the land: surface fluxes, mixed layer, budget, closures."""
