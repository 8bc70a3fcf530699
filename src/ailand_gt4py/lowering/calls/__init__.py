"""Compile, keep, bind and call a GT4Py program."""
