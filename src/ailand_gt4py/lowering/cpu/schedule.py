"""How the element-wise maps of a program are run on the CPU."""

from __future__ import annotations

import dataclasses

import dace
from dace.sdfg import nodes


@dataclasses.dataclass(frozen=True)
class SequentialMaps:
    """A hook for GT4Py's DaCe auto-optimiser (stage ``TopLevelDataFlowPost``): no thread team for each map.

    A step has dozens of short element-wise maps. Starting and joining threads for each costs more than the maps
    themselves, and hundreds of times more where another process has one of the cores.

    Attributes:
        revision: part of the key of GT4Py's cache; to be raised with every change of what this does.
    """

    revision: int = 1

    def __call__(self, sdfg: dace.SDFG) -> None:
        """Transform in place."""
        for node, _ in sdfg.all_nodes_recursive():
            if isinstance(node, nodes.MapEntry):
                node.map.schedule = dace.ScheduleType.Sequential
