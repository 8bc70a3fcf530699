"""Unpickles without executing: classes, functions and calls in a pickle become inert placeholders.

A pickle is a program that may import and call any function. The standard library lets a subclass of its unpickler
decide what a name stands for (``find_class``) and what PyTorch's references to storages do (``persistent_load``). Here
no name is ever looked up: those of PyTorch's tensors and of ``OrderedDict`` stand for recorders below, every other one
for a class of its own that takes any arguments, state and items, and at most keeps them for who reads the result.

It is the pure Python implementation that is subclassed, for three operations that hooks do not reach: the one in C
hashes keys however deeply they are nested (a hostile one overflows its stack), reserves memory for the largest index
that a memo operation names, and takes extension codes from a table of the whole interpreter.
"""

from __future__ import annotations

import io
import pickle
import struct
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

from ailand_gt4py.core.errors import InputError

#: A pickle that names more classes and functions, or longer ones, is no checkpoint of a network (the published ones
#: name below 20).
MOST_NAMES = 10_000
LONGEST_NAME = 1000

#: A list or text that is used again and again as the arguments of calls would be copied each time.
MOST_ARGUMENTS = 1000

#: Arguments that are kept, of calls with no more (those of NumPy's arrays and numbers are four).
MOST_KEPT = 4


class Unknown:
    """Stands for a class or function of a name that is not admitted, its instances for what it would have made.

    Attributes:
        name: of the class or function, with its module's.
        arguments: of the call, if they are few.
        state: what the object's ``__setstate__`` would have been given, or its ``__dict__`` taken from; else None.
    """

    __slots__ = ("arguments", "state")

    name: ClassVar[str] = "?"
    arguments: tuple[object, ...]
    state: object

    def __new__(cls, *arguments: object, **_: object) -> Any:
        made = super().__new__(cls)
        made.arguments, made.state = arguments if len(arguments) <= MOST_KEPT else (), None
        return made

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def __setstate__(self, *state: object) -> None:
        # A pickle may call it of a class: then ``self`` is the state, and there is nothing to keep it in.
        if state:
            self.state = state[0]

    def _ignore(self, *_: object) -> None:
        pass

    __setitem__ = append = extend = add = _ignore


class Storage(NamedTuple):
    """Values in the archive: the storage class's name and the member's key."""

    kind: str
    key: str


class Tensor(NamedTuple):
    """A strided view of a storage."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class Entries(dict[object, object]):
    """A dictionary; a key that is no plain number or text becomes one of a kind, and state is not set."""

    def __setitem__(self, key: object, value: object) -> None:
        super().__setitem__(key if isinstance(key, (str, int, float, bytes, type(None))) else Unknown(), value)

    def __setstate__(self, state: object) -> None:
        pass

    @classmethod
    def of(cls, items: list[object]) -> Entries:
        """From keys and values in turn."""
        entries = cls()
        for key, value in zip(items[::2], items[1::2], strict=True):
            entries[key] = value
        return entries


class _OrderedDict(Unknown):
    """Of a list of pairs, as older protocols write it; the list is emptied, so that no second call copies it again."""

    __slots__ = ()
    name = "collections.OrderedDict"

    def __new__(cls, *arguments: object) -> Any:
        pairs = arguments[0] if len(arguments) == 1 else []
        if not isinstance(pairs, list):
            return super().__new__(cls)
        taken = pairs[:]
        pairs.clear()
        if all(isinstance(pair, (list, tuple)) and len(pair) == 2 for pair in taken):
            return Entries.of([item for pair in taken for item in pair])
        return super().__new__(cls)


class _RebuiltTensor(Unknown):
    __slots__ = ()
    name = "torch._utils._rebuild_tensor_v2"

    def __new__(cls, *arguments: Any) -> Any:
        if len(arguments) >= 4:
            storage, offset, shape, strides = arguments[:4]
            is_view = _counts((offset,)) and _counts(shape) and _counts(strides) and len(shape) == len(strides)
            if isinstance(storage, Storage) and is_view:
                return Tensor(storage, offset, shape, strides)
        return super().__new__(cls)


class _RebuiltParameter(Unknown):
    __slots__ = ()
    name = "torch._utils._rebuild_parameter"

    def __new__(cls, *arguments: object) -> Any:
        return arguments[0] if arguments and isinstance(arguments[0], Tensor) else super().__new__(cls)


_RECORDERS: dict[str, type[Unknown]] = {
    **{recorder.name: recorder for recorder in (_OrderedDict, _RebuiltTensor, _RebuiltParameter)},
    "torch._utils._rebuild_parameter_with_state": _RebuiltParameter,
}


def _counts(values: object) -> bool:
    """Whether this is a short tuple of integers from 0 on that an array's shape or strides can be."""
    return (
        isinstance(values, tuple)
        and len(values) <= 32
        and all(type(value) is int and 0 <= value < 2**40 for value in values)
    )


def _few(values: object) -> None:
    if len(values) > MOST_ARGUMENTS:  # type: ignore[arg-type]  # what has no length makes the call fail
        raise InputError(f"'data.pkl' calls something with more than {MOST_ARGUMENTS} arguments, expected a few")


def _after_check(operation: Callable[[Any], None], n_arguments: int) -> Callable[[Any], None]:
    """A call whose arguments, the last items of the stack, are looked at first."""

    def checked(self: Any) -> None:
        for values in self.stack[-n_arguments:]:
            _few(values)
        operation(self)

    return checked


class _InertUnpickler(pickle._Unpickler):
    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = {
        **pickle._Unpickler.dispatch,
        pickle.EMPTY_DICT[0]: lambda self: self.append(Entries()),
        pickle.DICT[0]: lambda self: self.append(Entries.of(self.pop_mark())),
        pickle.REDUCE[0]: _after_check(pickle._Unpickler.load_reduce, 1),  # type: ignore[attr-defined]
        pickle.NEWOBJ[0]: _after_check(pickle._Unpickler.load_newobj, 1),  # type: ignore[attr-defined]
        pickle.NEWOBJ_EX[0]: _after_check(pickle._Unpickler.load_newobj_ex, 2),  # type: ignore[attr-defined]
        # Members of sets would be hashed, and nothing of a set is used.
        pickle.EMPTY_SET[0]: lambda self: self.append(Unknown()),
        pickle.FROZENSET[0]: lambda self: self.append(list(self.pop_mark())),
        # The library reserves the length that stands in the pickle before it reads.
        pickle.BYTEARRAY8[0]: lambda self: self.append(self.read(*struct.unpack("<Q", self.read(8)))),
    }

    def __init__(self, program: bytes) -> None:
        super().__init__(io.BytesIO(program))
        self._names: dict[str, type[Unknown]] = dict(_RECORDERS)

    def find_class(self, module: str, name: str) -> type[Unknown]:
        if len(module) + len(name) > LONGEST_NAME:
            raise InputError(
                f"'data.pkl' has a class of a name of more than {LONGEST_NAME} letters, expected a short one"
            )
        return self._placeholder(f"{module}.{name}")

    def get_extension(self, code: int) -> None:
        self.append(self._placeholder(f"copyreg extension {code}"))  # type: ignore[attr-defined]

    def persistent_load(self, identifier: object) -> Storage | Unknown:
        """PyTorch's identifier of a storage: ("storage", class, key, device, number of elements)."""
        if isinstance(identifier, tuple) and len(identifier) == 5 and identifier[0] == "storage":
            kind, key = identifier[1:3]
            if isinstance(kind, type) and issubclass(kind, Unknown) and isinstance(key, str):
                return Storage(kind.name, key)
        return self._placeholder("persistent identifier")()

    def _placeholder(self, name: str) -> type[Unknown]:
        if name not in self._names:
            if len(self._names) >= MOST_NAMES:
                raise InputError(f"'data.pkl' names more than {MOST_NAMES} classes and functions, expected a few")
            printable = name.encode("unicode_escape").decode("ascii")
            self._names[name] = type("Unknown", (Unknown,), {"name": printable, "__slots__": ()})
        return self._names[name]


def unpickle(program: bytes) -> object:
    """The value that a pickle describes, with `Unknown` for all but plain containers, numbers, texts and tensors."""
    try:
        return _InertUnpickler(program).load()
    except InputError:
        raise
    # What the unpickler raises on damaged bytes is any of these.
    except (pickle.UnpicklingError, EOFError, ArithmeticError, LookupError, ValueError, TypeError, AttributeError,
            struct.error, MemoryError, RecursionError) as error:  # fmt: skip
        raise InputError(f"'data.pkl' is damaged ({' '.join(str(error).split())[:100]}), expected a pickle") from error


def describe(value: object) -> str:
    """What a value of a pickle is, for messages."""
    kind = value if isinstance(value, type) else type(value)
    if issubclass(kind, Unknown):
        return f"an object '{kind.name[:100]}', which is not admitted"
    return f"{len(value)} entries" if isinstance(value, dict) else f"a {kind.__name__}"
