"""Model files: schema, reading, writing, import of published checkpoints, the default model."""

from ailand_gt4py.weights.checkpoints import import_checkpoint
from ailand_gt4py.weights.model import Model, Normalisation, Variable
from ailand_gt4py.weights.model_file import read_model, write_model
from ailand_gt4py.weights.summary import summarise

__all__ = ["Model", "Normalisation", "Variable", "import_checkpoint", "read_model", "summarise", "write_model"]
