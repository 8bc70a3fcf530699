"""Between a host's horizontal points and land columns: samples gathered, results spread."""

import functools

import gt4py.next as gtx
import numpy as np
from gt4py.next import astype

from ailand_gt4py.core.dimensions import Column, HostPoint, LandColumn, LandPoint, OutputFeature
from ailand_gt4py.stencils.instances import Function, Statement, define, field_operators, write_program

Sample = gtx.Field[[Column], gtx.float64]


@functools.cache
def gather(dtypes: tuple[type, ...]) -> gtx.program:
    """Fields of these types at the land points, as float64.

    Arguments: the host's fields over `HostPoint`, then the samples over `Column`. A host's number is converted here
    only, where it is read. One program for all fields, since its call costs the host little more than one for each.
    """
    count = len(dtypes)
    name = "gather_" + "_".join(np.dtype(dtype).name for dtype in dtypes)
    hosts, samples = ([f"{what}_{k}" for k in range(count)] for what in ("host", "sample"))
    results = [f"astype(host_{k}(LandPoint[0]), float64)" for k in range(count)]
    body = results[0] if count == 1 else f"({', '.join(results)})"
    namespace = {"astype": astype, "float64": gtx.float64, "LandPoint": LandPoint}
    source = f"def {name}({', '.join(hosts)}):\n    return {body}\n"
    operator = define(name, source, namespace, __file__)
    types = {host: gtx.Field[[HostPoint], dtype] for host, dtype in zip(hosts, dtypes, strict=True)}
    operator.__annotations__ = dict(types)
    statement = Statement(gtx.field_operator(operator), tuple(types), samples[0] if count == 1 else tuple(samples))
    return write_program(f"{name}_program", types | dict.fromkeys(samples, Sample), [statement], __file__)


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
