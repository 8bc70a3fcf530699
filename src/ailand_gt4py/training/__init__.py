"""Training of a model on ecLand's runs. The only room with PyTorch."""
