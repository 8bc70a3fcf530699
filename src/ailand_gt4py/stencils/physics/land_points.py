"""Between a host's horizontal points and land columns: samples added up, results spread."""

import functools

import gt4py.next as gtx
import numpy as np
from gt4py.next import astype

from ailand_gt4py.core.dimensions import Column, HostPoint, LandColumn, LandPoint, OutputFeature
from ailand_gt4py.stencils.instances import Function, Statement, define, field_operators, write_program

Sum = gtx.Field[[Column], gtx.float64]


@functools.cache
def accumulate(dtypes: tuple[type, ...]) -> gtx.program:
    """``sum + host`` at the land points for fields of these types; the sums are float64 and written in place.

    Arguments: the host's fields over `HostPoint`, then the sums over `Column`. A host's number is converted here only,
    where it is read. One program for all fields, since its call costs the host little more than one for each.
    """
    count = len(dtypes)
    name = "accumulate_" + "_".join(np.dtype(dtype).name for dtype in dtypes)
    hosts, sums = ([f"{what}_{k}" for k in range(count)] for what in ("host", "sum"))
    results = [f"sum_{k} + astype(host_{k}(LandPoint[0]), float64)" for k in range(count)]
    body = results[0] if count == 1 else f"({', '.join(results)})"
    namespace = {"astype": astype, "float64": gtx.float64, "LandPoint": LandPoint}
    source = f"def {name}({', '.join((*hosts, *sums))}):\n    return {body}\n"
    operator = define(name, source, namespace, __file__)
    types = {host: gtx.Field[[HostPoint], dtype] for host, dtype in zip(hosts, dtypes, strict=True)}
    types |= dict.fromkeys(sums, Sum)
    operator.__annotations__ = dict(types)
    statement = Statement(gtx.field_operator(operator), tuple(types), sums[0] if count == 1 else tuple(sums))
    return write_program(f"{name}_program", types, [statement], __file__)


@field_operators
def spread_values(dtype: type, host_dtype: type) -> Function:
    """(1 - weight) earlier + weight later, at the host's points in its type."""
    one, values = dtype(1.0), gtx.Field[[Column, OutputFeature], dtype]

    def apply(earlier: values, later: values, weight: dtype) -> gtx.Field[[HostPoint, OutputFeature], host_dtype]:
        return astype((one - weight) * earlier(LandColumn[0]) + weight * later(LandColumn[0]), host_dtype)

    return apply


@functools.cache
def spread(dtype: type, host_dtype: type) -> gtx.program:
    """Values of land columns at the host's points, between two times.

    Arguments of the program: the earlier and the later values over `Column` and `OutputFeature`, the later ones' weight
    (1 gives them exactly), and the results over `HostPoint` and `OutputFeature`. Every point has a column; those that
    are not land share one.
    """
    operator = spread_values(dtype, host_dtype)
    values, results = gtx.Field[[Column, OutputFeature], dtype], gtx.Field[[HostPoint, OutputFeature], host_dtype]
    types = {"earlier": values, "later": values, "weight": dtype, "result": results}
    statement = Statement(operator, ("earlier", "later", "weight"), "result")
    return write_program(f"{operator.__name__}_program", types, [statement], __file__)
