"""The commands: options to one call each."""
