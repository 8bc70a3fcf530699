"""Soil water and temperature of a layer, as probes at a site measure them, every step of six hours.

Errors are this project's: what a probe at one point says of a column of ecLand. 0.04 m3 m-3 is what SMAP is asked for
against networks of probes (Entekhabi et al. 2010, doi:10.1109/JPROC.2010.2043918); most of it lasts, and is bias to an
assimilation.
"""

from __future__ import annotations

from ailand_gt4py.observations.operators import Columns, Direct, position_of, register
from ailand_gt4py.weights.variables import CATALOGUE

#: Kind, a state variable of that name -> standard deviation of the error.
ERRORS = {**dict.fromkeys(("swvl1", "swvl2", "swvl3"), 0.04), **dict.fromkeys(("stl1", "stl2", "stl3"), 2.0)}


class Probe(Direct):
    """A state variable, at the end of a step."""

    def __init__(self, name: str, columns: Columns) -> None:
        position = position_of(columns.model.state, name, CATALOGUE[name].units, f"observation {name}")
        super().__init__((CATALOGUE[name],), [("state", position)])


def _register(name: str, error: float) -> None:
    register(name, hours=6.0, errors={name: error})(lambda columns: Probe(name, columns))


for _name, _error in ERRORS.items():
    _register(_name, _error)
