"""What every room stands on: errors, arrays wrapped without a copy, dimensions, physical constants."""
