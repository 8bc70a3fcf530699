"""The architectures that can be trained."""

from __future__ import annotations

from ailand_gt4py.training.configuration import Network
from ailand_gt4py.training.network import LayerNormNetwork, StepNetwork
from ailand_gt4py.training.point_wise import PointWiseNetwork
from ailand_gt4py.training.scaling import Scaling

_NETWORKS = {one.architecture: one for one in (LayerNormNetwork, PointWiseNetwork)}


def make_network(options: Network, scaling: Scaling, seed: int) -> StepNetwork:
    """An untrained network as configured, which is persistence."""
    return _NETWORKS[options.architecture](options, scaling, seed)
