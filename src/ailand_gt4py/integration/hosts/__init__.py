"""Host models, one module or package each."""
