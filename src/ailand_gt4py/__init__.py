"""aiLand, ECMWF's emulator of the land-surface model ecLand, as a GT4Py land component.

    model = ailand_gt4py.read_model()
    emulator = ailand_gt4py.Emulator(model, n_columns)
    new_state, diagnostics = emulator.step(static, forcing, state)
"""

from ailand_gt4py.emulator import Emulator
from ailand_gt4py.errors import AilandError, InputError, RunError
from ailand_gt4py.weights.checkpoint import import_checkpoint
from ailand_gt4py.weights.model import Model, Normalisation, Variable
from ailand_gt4py.weights.model_file import read_model, write_model

__all__ = [
    "AilandError",
    "Emulator",
    "InputError",
    "Model",
    "Normalisation",
    "RunError",
    "Variable",
    "import_checkpoint",
    "read_model",
    "write_model",
]
__version__ = "0.1.0"
