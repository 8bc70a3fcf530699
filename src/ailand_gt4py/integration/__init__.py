"""The emulator inside a host model: how host fields are read where they are."""
