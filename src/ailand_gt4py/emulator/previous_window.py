"""Forcing of the previous window, as an input beside that of the window.

A model's means over its windows do not tell how the weather changes within one. With the previous window they nearly
do: a forcing variable whose ``derived`` is `weights.model.previous_name` of another one has that one's value of the
previous window. Where there is none, at the first window of a run without a past, it has that of the window itself,
as if nothing had changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ailand_gt4py.weights.model import Variable, previous_positions


class PreviousWindow:
    """Which inputs of a model are of the previous window, and of which variables.

    Args:
        forcing: of the model, in order.

    Attributes:
        positions: of such inputs. sources: positions of the variables that they are of.

    Raises:
        InputError: an input of the previous window whose variable is no forcing of the model, or of the previous window
            itself.
    """

    def __init__(self, forcing: Sequence[Variable]) -> None:
        self.positions, self.sources = previous_positions(forcing)

    def fill(self, forcing: Any, before: Any = None) -> None:
        """Fill in the inputs of windows that follow one another.

        Args:
            forcing: (n_windows, ..., n_forcing), all else in it; written.
            before: (..., n_sources) of the window preceding the first; None: there is none.
        """
        if not self.positions or len(forcing) == 0:
            return
        forcing[1:, ..., self.positions] = forcing[:-1, ..., self.sources]
        forcing[0][..., self.positions] = forcing[0][..., self.sources] if before is None else before

    def of(self, forcing: Any) -> Any:
        """(..., n_sources) of a window (..., n_forcing), for the window after it; a copy."""
        return forcing[..., self.sources]

    def spread(self, changes: Any, before: Any = None) -> None:
        """Fill in the changes of inputs of the previous window, from those of the windows: the derivative of `fill`.

        Args:
            changes: (n_windows, ..., n_forcing) of windows that follow one another, all else in it; written.
            before: (..., n_sources), the changes of the window preceding the first; None: there is none, and the first
                has its own.
        """
        self.fill(changes, before)

    def gather(self, gradients: Any, has_before: bool = False) -> Any:
        """Give the gradients of inputs of the previous window to the windows that they are of: the adjoint of `spread`.

        Args:
            gradients: (n_windows, ..., n_forcing) with respect to all inputs; written: afterwards they are with respect
                to each window's own forcing, and 0 of inputs of the previous window.
            has_before: whether there is a window preceding the first.

        Returns:
            The gradient (..., n_sources) with respect to the window preceding the first, a copy; None where there is
            none.
        """
        before = gradients[0][..., self.positions].copy() if has_before else None
        for position, source in zip(self.positions, self.sources, strict=True):  # two of them may be of one variable
            gradients[:-1, ..., source] += gradients[1:, ..., position]
            if not has_before:
                gradients[0, ..., source] += gradients[0, ..., position]
        gradients[..., self.positions] = 0.0
        return before
