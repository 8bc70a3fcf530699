"""The stand-alone run, ``ailand-column-run``."""
