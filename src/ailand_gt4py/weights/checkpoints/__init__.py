"""Published PyTorch checkpoints, read without PyTorch and without executing anything in them."""
