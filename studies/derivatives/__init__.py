"""The derivatives of this version beside those of another."""
