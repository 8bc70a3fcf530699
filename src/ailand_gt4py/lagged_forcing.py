"""Forcing of the window before, as an input beside that of the window.

A model's means over its windows do not tell how the weather changes within one. With the window before they nearly do:
a forcing variable whose ``derived`` is `lagged_name` of another one has that one's value of the window before. Where
there is none, at the first window of a run without a past, it has that of the window itself, as if nothing had changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ailand_gt4py.errors import InputError
from ailand_gt4py.weights.model import BEFORE, Variable


def lagged_name(name: str) -> str:
    """What `Variable.derived` says of the variable that has ``name``'s value of the window before."""
    return f"{BEFORE}{name}"


class LaggedForcing:
    """Which inputs of a model are of the window before, and of which variables.

    Args:
        forcing: of the model, in order.

    Attributes:
        places: of such inputs. sources: places of the variables that they are of.

    Raises:
        InputError: an input of the window before whose variable is no forcing of the model, or of the window before
            itself.
    """

    def __init__(self, forcing: Sequence[Variable]) -> None:
        own = {variable.name: place for place, variable in enumerate(forcing) if not variable.is_of_window_before}
        self.places = [place for place, variable in enumerate(forcing) if variable.is_of_window_before]
        self.sources: list[int] = []
        for place in self.places:
            name = forcing[place].derived.removeprefix(BEFORE)
            if name not in own:
                raise InputError(
                    f"forcing '{forcing[place].name}' is '{name}' of the window before, which is not among the forcing "
                    f"of the window itself; expected one of {', '.join(own)}"
                )
            self.sources.append(own[name])

    def fill(self, forcing: Any, before: Any = None) -> None:
        """Fill in the inputs of windows that follow one another.

        Args:
            forcing: (n_windows, ..., n_forcing), all else in it; written.
            before: (..., n_sources) of the window before the first; None: there is none.
        """
        if not self.places or len(forcing) == 0:
            return
        forcing[1:, ..., self.places] = forcing[:-1, ..., self.sources]
        forcing[0][..., self.places] = forcing[0][..., self.sources] if before is None else before

    def of(self, forcing: Any) -> Any:
        """(..., n_sources) of a window (..., n_forcing), for the window after it; a copy."""
        return forcing[..., self.sources]

    def spread(self, changes: Any, before: Any = None) -> None:
        """Fill in the changes of inputs of the window before, from those of the windows: the derivative of `fill`.

        Args:
            changes: (n_windows, ..., n_forcing) of windows that follow one another, all else in it; written.
            before: (..., n_sources), the changes of the window before the first; None: there is none, and the first
                has its own.
        """
        self.fill(changes, before)

    def gather(self, gradients: Any, has_before: bool = False) -> Any:
        """Give the gradients of inputs of the window before to the windows that they are of: the adjoint of `spread`.

        Args:
            gradients: (n_windows, ..., n_forcing) with respect to all inputs; written: afterwards they are with respect
                to each window's own forcing, and 0 of inputs of the window before.
            has_before: whether there is a window before the first.

        Returns:
            The gradient (..., n_sources) with respect to the window before the first, a copy; None where there is none.
        """
        before = gradients[0][..., self.places].copy() if has_before else None
        for place, source in zip(self.places, self.sources, strict=True):  # two of them may be of one variable
            gradients[:-1, ..., source] += gradients[1:, ..., place]
            if not has_before:
                gradients[0, ..., source] += gradients[0, ..., place]
        gradients[..., self.places] = 0.0
        return before
