"""The component's output fields: values of land columns at two times, spread over the host's grid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ailand_gt4py.core import arrays
from ailand_gt4py.core.dimensions import Column, HostPoint, LandColumn, OutputFeature, point_connectivity
from ailand_gt4py.integration.description import HostGrid
from ailand_gt4py.integration.host_points import HostPoints
from ailand_gt4py.integration.properties import Output
from ailand_gt4py.lowering.calls.operator_call import OperatorCall, RepeatedCall
from ailand_gt4py.stencils.physics.land_points import spread


class OutputFields:
    """Buffers that the component owns and gives to the host, the same objects in every step.

    Args:
        outputs: what there is.
        points, grid: of the host.
        dtype: of the emulator.
        backend: a GT4Py backend; None for embedded execution. device: of the fields.

    Attributes:
        fields: name -> field or array of the host's horizontal shape.
        earlier, later: (n_outputs, n_land) values at the last two times.
    """

    def __init__(
        self,
        outputs: Sequence[Output],
        points: HostPoints,
        grid: HostGrid,
        dtype: np.dtype,
        backend: Any,
        device: arrays.Device,
    ) -> None:
        xp = arrays.array_module(device)
        host_dtype, ocean_value, dims = np.dtype(grid.host_dtype), grid.ocean_value, grid.dims
        self._points = points
        # GT4Py's DaCe lowering drops a dimension of size one; points that are not land share a column, the last one.
        n_rows = max(len(outputs), 2)
        columns = [xp.full((n_rows, points.n_land + 1), ocean_value, dtype=dtype) for _ in range(2)]
        self.earlier, self.later = (values[: len(outputs), : points.n_land] for values in columns)
        memory = xp.full((n_rows, *points.shape), ocean_value, dtype=host_dtype)
        self.fields: dict[str, Any] = {
            output.name: arrays.wrap(array, dims, output.name) if dims else array
            for output, array in zip(outputs, memory, strict=False)
        }
        position = xp.where(points.is_land, xp.cumsum(points.is_land) - 1, points.n_land)
        table = {LandColumn.value: point_connectivity(LandColumn, position, xp)}
        types: tuple[Any, Any] = (dtype.type, host_dtype.type)
        self._one = dtype.type(1.0)
        self._spread = RepeatedCall(
            OperatorCall(spread(*types), backend, "spreading results over the host's grid"),
            {
                "earlier": arrays.wrap(columns[0].T, (Column, OutputFeature), "earlier outputs"),
                "later": arrays.wrap(columns[1].T, (Column, OutputFeature), "later outputs"),
                "result": arrays.wrap(memory.reshape(n_rows, -1).T, (HostPoint, OutputFeature), "outputs"),
            },
            {},
            ("weight",),
            table,
        )

    def write(self, weight: float = 1.0) -> None:
        """Write the fields: at the later time (weight 1) or between the two.

        Raises:
            RunError: the operator cannot be compiled.
        """
        if self._points.n_land == 0:
            return
        self._spread([], [self._one * weight])
