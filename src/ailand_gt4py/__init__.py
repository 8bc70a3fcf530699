"""aiLand, ECMWF's emulator of the land-surface model ecLand, as a GT4Py land component.

model = ailand_gt4py.read_model()
emulator = ailand_gt4py.Emulator(model, n_columns)
new_state, diagnostics = emulator.step(static, forcing, state)
"""

import importlib
from typing import TYPE_CHECKING, Any

from ailand_gt4py.core import dace_configuration

if TYPE_CHECKING:
    from ailand_gt4py.core.errors import AilandError as AilandError
    from ailand_gt4py.core.errors import InputError as InputError
    from ailand_gt4py.core.errors import RunError as RunError
    from ailand_gt4py.driver.api import run as run
    from ailand_gt4py.emulator.derivatives.jacobian import labelled as labelled
    from ailand_gt4py.emulator.emulator import Emulator as Emulator
    from ailand_gt4py.emulator.forcing import derived_forcing as derived_forcing
    from ailand_gt4py.emulator.rollout import Rollout as Rollout
    from ailand_gt4py.integration.component import LandComponent as LandComponent
    from ailand_gt4py.training.exports import export_checkpoint as export_checkpoint
    from ailand_gt4py.weights.checkpoints import import_checkpoint as import_checkpoint
    from ailand_gt4py.weights.model import Model as Model
    from ailand_gt4py.weights.model import Normalisation as Normalisation
    from ailand_gt4py.weights.model import Variable as Variable
    from ailand_gt4py.weights.model_file import read_model as read_model
    from ailand_gt4py.weights.model_file import write_model as write_model

    __version__: str

dace_configuration.ignore_working_directory()

# Imported at first use: GT4Py takes seconds to import, which `ailand-column-run --help` need not wait for.
_NAMES = {
    "core.errors": ("AilandError", "InputError", "RunError"),
    "driver.api": ("run",),
    "emulator.derivatives.jacobian": ("labelled",),
    "emulator.emulator": ("Emulator",),
    "emulator.forcing": ("derived_forcing",),
    "emulator.rollout": ("Rollout",),
    "integration.component": ("LandComponent",),
    "training.exports": ("export_checkpoint",),
    "weights.checkpoints": ("import_checkpoint",),
    "weights.model": ("Model", "Normalisation", "Variable"),
    "weights.model_file": ("read_model", "write_model"),
}
_HOMES = {name: module for module, names in _NAMES.items() for name in names}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        value: Any = _version()
    elif name in _HOMES:
        value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    else:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    globals()[name] = value
    return value


def _version() -> str:
    """The version that was installed, which git's tags told when it was built."""
    import importlib.metadata

    try:
        return importlib.metadata.version(__name__)
    except importlib.metadata.PackageNotFoundError:  # a source tree on the path that was never installed
        return "0+unknown"


def __dir__() -> list[str]:
    return sorted({*__all__, "__version__"})
