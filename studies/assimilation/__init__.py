"""How the defaults of the assimilation were chosen, and what an analysis costs."""
