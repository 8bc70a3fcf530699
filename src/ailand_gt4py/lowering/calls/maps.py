"""How the maps of element-wise programs are run: hooks of GT4Py's DaCe auto-optimiser.

They are for its stage ``TopLevelDataFlowPost``; `revision` is part of the key of GT4Py's cache, to be raised with every
change of what a hook does.
"""

from __future__ import annotations

import ast
import dataclasses

import dace
from dace.properties import CodeBlock
from dace.sdfg import nodes
from gt4py.next.program_processors.runners.dace.transformations import gt_set_iteration_order

from ailand_gt4py.core.dimensions import Column, HostPoint

_COMPARISONS = {"max": ast.Gt, "min": ast.Lt}


class _PassNaN(ast.NodeTransformer):
    """``max(a, b)`` -> ``a if a > b else b``, and likewise ``min``."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if not (isinstance(node.func, ast.Name) and node.func.id in _COMPARISONS and len(node.args) == 2):
            return node
        first, second = node.args
        return ast.IfExp(ast.Compare(first, [_COMPARISONS[node.func.id]()], [second]), first, second)


@dataclasses.dataclass(frozen=True)
class SequentialMaps:
    """On the CPU: no thread team for each map.

    A step has dozens of short element-wise maps. Starting and joining threads for each costs more than the maps
    themselves, and hundreds of times more where another process has one of the cores.
    """

    revision: int = 1

    def __call__(self, sdfg: dace.SDFG) -> None:
        """Transform in place."""
        for node, _ in sdfg.all_nodes_recursive():
            if isinstance(node, nodes.MapEntry):
                node.map.schedule = dace.ScheduleType.Sequential


@dataclasses.dataclass(frozen=True)
class DeviceMaps:
    """On a GPU.

    * Neighbouring threads get neighbouring columns or points. GT4Py orders a map by kinds of dimensions only, and
      features are horizontal ones too: their blocks of threads would read with a stride, and the columns would be the
      grid's second dimension, which CUDA limits to 65535 blocks: 524 280 columns.
    * ``max`` and ``min`` become comparisons. In device code they are CUDA's ``fmaxf`` and ``fminf``, which drop a NaN:
      a column with a missing input would get numbers that look right.
    """

    revision: int = 3

    def __call__(self, sdfg: dace.SDFG) -> None:
        """Transform in place."""
        gt_set_iteration_order(sdfg, unit_strides_dim=[Column, HostPoint], validate=False)
        for node, _ in sdfg.all_nodes_recursive():
            if isinstance(node, nodes.Tasklet) and node.language == dace.Language.Python:
                code = ast.fix_missing_locations(_PassNaN().visit(ast.parse(node.code.as_string)))
                node.code = CodeBlock(ast.unparse(code), dace.Language.Python)
