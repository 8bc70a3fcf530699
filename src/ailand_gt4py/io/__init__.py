"""From files to columns and back."""
