"""Names of types that every room uses."""

from __future__ import annotations

from typing import Any

import numpy as np

#: A NumPy array of any type; its shape is said where it is used.
Values = np.ndarray[Any, np.dtype[Any]]
