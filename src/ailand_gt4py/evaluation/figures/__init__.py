"""Maps, time series and other figures."""
