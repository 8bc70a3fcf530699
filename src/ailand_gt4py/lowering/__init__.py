"""From a GT4Py program to machine code."""
