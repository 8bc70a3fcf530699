"""The catalogue of variables, and the choice of those that a model to be trained has."""

from ailand_gt4py.weights.variables.catalogue import (
    CATALOGUE,
    DEFAULT,
    Specification,
    VariableSet,
    cf_attributes,
    choose,
    of_kind,
    units_of,
)

__all__ = ["CATALOGUE", "DEFAULT", "Specification", "VariableSet", "cf_attributes", "choose", "of_kind", "units_of"]
