"""Attributes of the objects in an anemoi checkpoint, as `inert_pickle` leaves them: by name, and of the type expected.

A value may stand in a container of omegaconf's (``_content``, ``_val``) or be NumPy's; what is asked for here comes out
as plain numbers, texts, lists and arrays. Every level is opened when it is asked for, never a whole tree: a small
pickle can hold an endless one.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.weights.checkpoints.inert_pickle import Tensor, Unknown, describe

_LONGEST_TEXT = 500
_LARGEST_INTEGER = 2**53
_ARRAY_TYPES = {"f4", "f8", "i4", "i8"}


def shown(value: object) -> str:
    """A value in a message: one line, not long."""
    if isinstance(value, (list, tuple)) and not isinstance(value, Tensor):
        return f"{len(value)} items"
    if isinstance(value, bool) or value is None or isinstance(value, float):
        return repr(value)
    if isinstance(value, int):
        return repr(value) if abs(value) <= _LARGEST_INTEGER else "a large integer"
    if isinstance(value, str):
        return repr(value[:60])
    if isinstance(value, type) and issubclass(value, Unknown):
        return f"'{value.name[:100]}'"
    return f"'{class_of(value)[:100]}'" if isinstance(value, Unknown) else describe(value)


def class_of(value: object) -> str:
    """The full name of a pickled object's class, empty where it is none of a class that is not admitted."""
    return type(value).name if isinstance(value, Unknown) else ""


def mapping(value: object) -> Mapping[Any, Any] | None:
    """A dictionary, or the content of omegaconf's; None where it is neither."""
    content = _content(value)
    return content if isinstance(content, dict) else None


def sequence(value: object) -> list[Any] | tuple[Any, ...] | None:
    """A list or tuple, or the content of omegaconf's; None where it is neither."""
    content = _content(value)
    return content if isinstance(content, (list, tuple)) and not isinstance(content, Tensor) else None


def number(value: object) -> float | None:
    """A real number, also of omegaconf or NumPy; None where it is none."""
    value = _content(value)
    if class_of(value).endswith("multiarray.scalar"):
        assert isinstance(value, Unknown)
        dtype, content = (*value.arguments, None, None)[:2]
        numbers = _numbers(dtype, content)
        return float(numbers[0]) if numbers is not None and numbers.size == 1 else None
    if isinstance(value, float) or (isinstance(value, int) and abs(value) <= _LARGEST_INTEGER):
        return float(value)
    return None


def text(value: object) -> str | None:
    """A short text, also of omegaconf; None where it is none."""
    value = _content(value)
    return value if isinstance(value, str) and len(value) <= _LONGEST_TEXT else None


def is_name(value: object) -> bool:
    """Whether it is a text that can be printed in a line, and not long."""
    return isinstance(value, str) and 0 < len(value) <= _LONGEST_TEXT and value.isprintable()


def is_none(value: object) -> bool:
    """Whether it is None, also of omegaconf."""
    return _content(value) is None


def vector(value: object) -> np.ndarray | None:
    """A one-dimensional array of NumPy's; None where it is none."""
    state = value.state if isinstance(value, Unknown) else None
    if not class_of(value).endswith("multiarray._reconstruct") or not isinstance(state, tuple) or len(state) != 5:
        return None
    _, shape, dtype, _, content = state
    numbers = _numbers(dtype, content)
    return numbers if numbers is not None and shape == numbers.shape else None


def _content(value: object) -> object:
    """What a container or node of omegaconf holds; anything else as it is."""
    if class_of(value).startswith("omegaconf."):
        assert isinstance(value, Unknown)
        state = value.state if isinstance(value.state, dict) else {}
        return state.get("_content", state.get("_val"))
    return value


def _numbers(dtype: object, content: object) -> np.ndarray | None:
    """The numbers in the bytes that protocol 2 writes as a text in Latin-1 and the name of a codec."""
    if class_of(dtype) != "numpy.dtype" or class_of(content) != "_codecs.encode":
        return None
    assert isinstance(dtype, Unknown)
    assert isinstance(content, Unknown)
    kind = next(iter(dtype.arguments), None)
    is_little = isinstance(dtype.state, tuple) and dtype.state[1:2] == ("<",)
    letters, codec = (*content.arguments, None, None)[:2]
    if kind not in _ARRAY_TYPES or not is_little or not isinstance(letters, str) or codec != "latin1":
        return None
    values = np.dtype(f"<{kind}")
    raw = letters.encode("latin1", "replace")
    return np.frombuffer(raw, values) if len(raw) % values.itemsize == 0 else None


@dataclasses.dataclass(frozen=True)
class Thing:
    """An object of a class whose name is known.

    Attributes:
        path: how it is reached from the pickled object, as attributes are written; for messages.
        kind: full name of its class.
        state: its attributes.
    """

    path: str
    kind: str
    state: Mapping[Any, Any]

    @classmethod
    def of(cls, value: object, path: str, expected: Collection[str] = (), what: str = "") -> Thing:
        """The object, refused by its class where that is none of those ``expected`` (empty: any)."""
        kind = class_of(value)
        if not kind or (expected and kind not in expected):
            names = " or ".join(f"'{one}'" for one in expected) or "an object"
            raise InputError(f"'{path}': found {shown(value)}, expected {what or names}")
        assert isinstance(value, Unknown)
        if not isinstance(value.state, dict):
            raise InputError(f"'{path}': found a '{kind[:100]}' without attributes, expected some")
        return cls(path, kind, value.state)

    @property
    def name(self) -> str:
        """The class's own name."""
        return self.kind.rpartition(".")[2]

    def has(self, name: str) -> bool:
        return name in self.state

    def refuse(self, name: str, expected: str) -> InputError:
        """The error that an attribute is not as it is expected."""
        found = shown(_content(self.state[name])) if name in self.state else "nothing"
        return InputError(f"'{self.path}.{name}': found {found}, expected {expected}")

    def thing(self, name: str, *expected: str) -> Thing:
        return Thing.of(self.state.get(name), f"{self.path}.{name}", expected)

    def mapping(self, name: str) -> Mapping[Any, Any]:
        return self._wanted(name, mapping, "a dictionary")

    def sequence(self, name: str) -> list[Any] | tuple[Any, ...]:
        return self._wanted(name, sequence, "a list")

    def number(self, name: str) -> float:
        return self._wanted(name, number, "a number")

    def numbers(self, name: str) -> list[float]:
        found = [number(one) for one in self.sequence(name)]
        if any(one is None or math.isnan(one) for one in found):
            raise self.refuse(name, "a list of numbers")
        return [one for one in found if one is not None]

    def count(self, name: str) -> int:
        """A whole number."""
        value = self._wanted(name, number, "a whole number")
        if not value.is_integer():
            raise self.refuse(name, "a whole number")
        return int(value)

    def flag(self, name: str) -> bool:
        value = _content(self.state.get(name))
        if not isinstance(value, bool):
            raise self.refuse(name, "True or False")
        return value

    def text(self, name: str) -> str:
        return self._wanted(name, text, "a short text")

    def positions(self, name: str) -> list[int | None]:
        """A list of indices, some of which may be absent."""
        found = list(self.sequence(name))
        if not all(one is None or (type(one) is int and 0 <= one < _LARGEST_INTEGER) for one in found):
            raise self.refuse(name, "a list of indices")
        return found

    def order(self, name: str) -> tuple[str, ...]:
        """The names in a dictionary of indices from 0 on, in the order of these."""
        found = self.mapping(name)
        indices = [one for one in found.values() if type(one) is int]
        if sorted(indices) != list(range(len(found))) or not all(is_name(key) for key in found):
            raise self.refuse(name, "a dictionary of names and their indices 0, 1, 2, ...")
        return tuple(sorted(found, key=found.__getitem__))

    def tensor(self, name: str) -> Tensor:
        """An attribute, parameter or buffer that is a tensor."""
        found = self.optional_tensor(name)
        if found is None:
            raise InputError(f"'{self.path}.{name}': found nothing, expected a tensor")
        return found

    def optional_tensor(self, name: str) -> Tensor | None:
        """The same, None where it is absent or None."""
        for group in (self.state, self._part("_parameters"), self._part("_buffers")):
            found = group.get(name)
            if isinstance(found, Tensor):
                return found
            if found is not None:
                raise InputError(f"'{self.path}.{name}': found {shown(found)}, expected a tensor")
        return None

    def modules(self) -> dict[str, object]:
        """The submodules of a module of PyTorch's, in its order."""
        found = self._part("_modules")
        if not all(is_name(name) for name in found):
            raise InputError(f"'{self.path}': found submodules without short names, expected such names")
        return {str(name): value for name, value in found.items()}

    def module(self, name: str, *expected: str) -> Thing:
        """A submodule of one of the classes expected, which computes what its class does."""
        modules = self.modules()
        if name not in modules:
            raise InputError(f"'{self.path}' has no '{name}', expected {' or '.join(expected) or 'one'}")
        found = Thing.of(modules[name], f"{self.path}.{name}", expected)
        for other in ("_forward_hooks", "_forward_pre_hooks", "forward"):
            if found.state.get(other):
                raise InputError(f"'{found.path}' has '{other}', which may change what it computes, expected none")
        return found

    def only(self, *expected: str, name: str = "") -> Thing:
        """The only submodule of a container, of a name if one is given."""
        names = list(self.modules())
        if len(names) != 1 or (name and name != names[0]):
            found = ", ".join(one[:60] for one in names[:5]) or "none"
            raise InputError(f"'{self.path}' has the members {found}, expected {name[:60] or 'one'} alone")
        return self.module(names[0], *expected)

    def numbered(self) -> list[str]:
        """The names of a sequence's submodules, which are 0, 1, 2, ..."""
        names = list(self.modules())
        if names != [str(k) for k in range(len(names))]:
            raise InputError(f"'{self.path}' has the members {', '.join(names[:5])[:99]}, expected 0, 1, 2, ...")
        return names

    def _part(self, name: str) -> Mapping[Any, Any]:
        found = self.state.get(name)
        return found if isinstance(found, dict) else {}

    def _wanted(self, name: str, taken: Any, expected: str) -> Any:
        value = taken(self.state.get(name))
        if value is None:
            raise self.refuse(name, expected)
        return value
