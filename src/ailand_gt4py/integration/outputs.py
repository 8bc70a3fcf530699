"""What a land component gives: names, units and origin of its outputs, and the fields that have them.

An output's ``origin`` is ``model`` predicted by the network, ``closure`` from formulas (`stencils.physics.surface`),
``derivative`` of the network, ``forcing`` the host's own over the window, ``host`` what its air was given.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from ailand_gt4py.core import arrays
from ailand_gt4py.core.dimensions import Column, HostPoint, LandColumn, OutputFeature, point_connectivity
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.integration.coupling.surface_fluxes import LATENT_LINE, SENSIBLE_LINE, FluxLine
from ailand_gt4py.integration.description import HostGrid
from ailand_gt4py.integration.host_points import HostPoints
from ailand_gt4py.lowering.calls.operator_call import OperatorCall, RepeatedCall
from ailand_gt4py.stencils.physics.land_points import spread
from ailand_gt4py.weights.model import Model
from ailand_gt4py.weights.variables import CATALOGUE, Specification, cf_attributes

Origin = Literal["model", "closure", "derivative", "forcing", "host"]
Properties = dict[str, Any]
#: Variables that are outputs, too, but for their sign: those to which the catalogue gives a name among them.
PREDICTED = tuple(entry for entry in CATALOGUE.values() if entry.component_name)


def catalogued(name: str, origin: Origin) -> Properties:
    """Of the output that the catalogue has under a name."""
    return {"standard_name": name, **cf_attributes(CATALOGUE[name]), "origin": origin}


def predicted(entry: Specification) -> Properties:
    """Of one of `PREDICTED`, as an output."""
    properties = {"standard_name": entry.component_name, **cf_attributes(entry), "origin": "model"}
    if entry.component_factor < 0.0:
        for key in ("standard_name", "long_name"):
            properties[key] = properties[key].replace("downward", "upward")
    return properties


def predicted_by(model: Model) -> tuple[tuple[Specification, ...], dict[str, str]]:
    """Those of `PREDICTED` that the model has in their units, and of the other outputs why it does not give them."""
    units = {variable.name: variable.units for variable in (*model.state, *model.diagnostics)}
    reasons = {}
    for entry in PREDICTED:
        if entry.name not in units:
            reasons[entry.component_name] = f"the model does not predict '{entry.name}'"
        elif (found := units[entry.name]) != entry.units:
            reasons[entry.component_name] = f"the model gives '{entry.name}' in '{found}', expected '{entry.units}'"
    return tuple(entry for entry in PREDICTED if entry.component_name not in reasons), reasons


def flux_lines(model: Model) -> tuple[FluxLine, ...]:
    """Those of the fluxes, of which a model must have flux and forcing."""
    known = {variable.name for variable in (*model.diagnostics, *model.forcing)}
    lines = (SENSIBLE_LINE, LATENT_LINE)
    for one in lines:
        if not {one.flux, one.forcing} <= known:
            raise InputError(
                f"derivatives: the model has no '{one.flux}' or no '{one.forcing}', expected both for '{one.slope}'"
            )
    return lines


class OutputFields:
    """Fields by name, the component's own in every step, from values (n_outputs, n_land) at the last two times."""

    def __init__(self, names: Sequence[str], points: HostPoints, grid: HostGrid, dtype: np.dtype, backend: Any) -> None:
        xp = arrays.array_module(points.device)
        host_dtype, ocean_value, dims = np.dtype(grid.host_dtype), grid.ocean_value, grid.dims
        self._points = points
        # GT4Py's DaCe lowering drops a dimension of size one; points that are not land share a column, the last one.
        n_rows = max(len(names), 2)
        columns = [xp.full((n_rows, points.n_land + 1), ocean_value, dtype=dtype) for _ in range(2)]
        self.earlier, self.later = (values[: len(names), : points.n_land] for values in columns)
        memory = xp.full((n_rows, *points.shape), ocean_value, dtype=host_dtype)
        self.fields: dict[str, Any] = {
            name: arrays.wrap(array, dims, name, points.starts) if dims else array
            for name, array in zip(names, memory, strict=False)
        }
        position = xp.where(points.is_land, xp.cumsum(points.is_land) - 1, points.n_land)
        table = {LandColumn.value: point_connectivity(LandColumn, position, xp)}
        types: tuple[Any, Any] = (dtype.type, host_dtype.type)
        program, self._dtype = spread(*types), types[0]
        self._spread = RepeatedCall(
            OperatorCall(program, backend, "spreading results over the host's grid"),
            {
                "earlier": arrays.wrap(columns[0].T, (Column, OutputFeature), "earlier outputs"),
                "later": arrays.wrap(columns[1].T, (Column, OutputFeature), "later outputs"),
                "result": arrays.wrap(memory.reshape(n_rows, -1).T, (HostPoint, OutputFeature), "outputs"),
            },
            {},
            ("weight",),
            table,
        )

    def write(self, weight: float) -> None:
        """Write the fields: at the later time (weight 1) or between the two."""
        if self._points.n_land:
            self._spread([], [self._dtype(weight)])
