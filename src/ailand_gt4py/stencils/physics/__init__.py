"""Sun, humidity, surface, soil heat, brightness temperature, land points."""
