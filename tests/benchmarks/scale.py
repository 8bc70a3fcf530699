"""How large the benchmarks are: as large as what is measured, or toys that run once in the normal suite."""

from __future__ import annotations

from typing import TypeVar

#: Set by ``conftest.py`` before the benchmarks are imported: `make bench` and its like measure.
TOY = True

_Value = TypeVar("_Value")


def of(full: _Value, toy: _Value) -> _Value:
    """A size or a choice for the benchmark, and for its toy."""
    return toy if TOY else full
