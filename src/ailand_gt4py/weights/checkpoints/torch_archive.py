"""Reads the tensors of a PyTorch or Lightning checkpoint without PyTorch and without running anything in the file.

PyTorch (since 1.6) writes a zip archive, uncompressed: ``<root>/data.pkl`` is a pickle of the saved object, in which
each tensor names its storage ``<root>/data/<key>``, raw numbers in the order that ``<root>/byteorder`` says. A pickle
is a program for a stack machine that may call any function. Here the program is only looked at: the machine below knows
lists, dictionaries, texts, numbers and tensors; every other class or call becomes an inert `Unknown`, which is not
looked up, imported or called. So a Lightning file with callbacks or optimiser states of whatever classes is readable,
and a hostile one has no effect.
"""

from __future__ import annotations

import dataclasses
import os
import pickletools
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from ailand_gt4py.core.errors import InputError

#: Storage classes of PyTorch -> type of the numbers in the file; bfloat16 is read as its bits.
STORAGE_TYPES = {
    "DoubleStorage": "f8",
    "FloatStorage": "f4",
    "HalfStorage": "f2",
    "BFloat16Storage": "u2",
    "LongStorage": "i8",
    "IntStorage": "i4",
    "ShortStorage": "i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}

#: First bytes of the files that PyTorch wrote before version 1.6 (a pickled magic number).
_LEGACY_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."

#: A pickle of more bytes is no checkpoint of a network of this kind (the published ones have 2 to 8 kB).
_LARGEST_PICKLE = 256 * 1024**2


class Unknown:
    """Stands for an object of a class that is not admitted; carries its name for messages, nothing else."""

    def __init__(self, name: str) -> None:
        self.name = name


@dataclasses.dataclass(frozen=True, eq=False)
class Global:
    """A class or function that the pickle names; never looked up."""

    name: str


@dataclasses.dataclass(frozen=True, eq=False)
class Storage:
    """Numbers in the archive: the storage class's name and the member's key."""

    kind: str
    key: str


@dataclasses.dataclass(frozen=True, eq=False)
class Tensor:
    """A strided view of a storage."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read_state_dict(path: str | os.PathLike[str]) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The tensors of a checkpoint, and the plain facts that a Lightning file holds beside them.

    Args:
        path: a file written by ``torch.save`` or Lightning: a state dict, or a dictionary with one as ``state_dict``.

    Returns:
        name -> array (float16 and bfloat16 as float32, which is exact; other types as they are), in the file's order;
        and ``epoch``, ``global_step``, ``pytorch-lightning_version`` where they are there.

    Raises:
        InputError: not such a file, damaged, or what should be a tensor is something else.
    """
    label = os.fspath(path)
    try:
        return _read_archive(Path(path))
    except FileNotFoundError as error:
        raise InputError(f"checkpoint '{label}' does not exist") from error
    except OSError as error:
        raise InputError(f"checkpoint '{label}' cannot be read: {error.strerror or error}") from error
    except InputError as error:
        raise InputError(f"checkpoint '{label}': {error}") from error


def _read_archive(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    with path.open("rb") as file:
        start = file.read(len(_LEGACY_MAGIC))
        if start == _LEGACY_MAGIC:
            raise InputError(
                "found the file format that PyTorch wrote before version 1.6, expected the zip archive of later "
                "versions; load and save it again with a recent PyTorch"
            )
        try:
            with zipfile.ZipFile(file) as archive:
                return _state_dict(archive)
        except InputError:
            raise
        except (zipfile.BadZipFile, EOFError, NotImplementedError, ValueError, struct.error, OverflowError) as error:
            raise InputError(
                f"found {path.stat().st_size} bytes that are no complete zip archive ({error}), expected a file "
                "written by torch.save or Lightning"
            ) from error


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    """One member's bytes, verified by the archive's CRC."""
    try:
        info = archive.getinfo(name)
    except KeyError as error:
        raise InputError(f"the archive has no member '{name}', expected one") from error
    if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1:
        raise InputError(f"the archive's member '{name}' is compressed or encrypted, expected it plain as PyTorch does")
    return archive.read(info)


def _state_dict(archive: zipfile.ZipFile) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    names = archive.namelist()
    roots = [name.removesuffix("data.pkl") for name in names if name == "data.pkl" or name.endswith("/data.pkl")]
    if len(roots) != 1:
        raise InputError(f"the archive holds {len(roots)} members 'data.pkl', expected 1 as in a file of torch.save")
    root = roots[0]
    order = _member(archive, f"{root}byteorder").decode("ascii", "replace") if f"{root}byteorder" in names else "little"
    if order not in ("little", "big"):
        raise InputError(f"the archive's byte order is {order[:20]!r}, expected 'little' or 'big'")
    if archive.getinfo(f"{root}data.pkl").file_size > _LARGEST_PICKLE:
        raise InputError(f"the archive's 'data.pkl' is larger than {_LARGEST_PICKLE} bytes, expected a small one")

    content = unpickle(_member(archive, f"{root}data.pkl"))
    if not isinstance(content, dict):
        raise InputError(f"found {_describe(content)}, expected a dictionary of tensors or one with 'state_dict'")
    tensors = content.get("state_dict", content)
    if not isinstance(tensors, dict) or not tensors:
        raise InputError(f"'state_dict': found {_describe(tensors)}, expected a dictionary of tensors")
    for name, tensor in tensors.items():
        if not (isinstance(name, str) and isinstance(tensor, Tensor)):
            raise InputError(f"entry {str(name)[:60]!r}: found {_describe(tensor)}, expected a tensor")
    arrays = {name: _array(archive, root, order, name, tensor) for name, tensor in tensors.items()}
    facts = ("epoch", "global_step", "pytorch-lightning_version")
    return arrays, {key: str(content[key]) for key in facts if isinstance(content.get(key), (int, str))}


def _array(archive: zipfile.ZipFile, root: str, order: str, name: str, tensor: Tensor) -> np.ndarray:
    """A tensor's numbers as an array of its own."""
    kind = tensor.storage.kind.removeprefix("torch.")
    if kind not in STORAGE_TYPES:
        raise InputError(f"tensor '{name}' is stored as {kind[:60]}, expected one of {', '.join(STORAGE_TYPES)}")
    dtype = np.dtype(STORAGE_TYPES[kind]).newbyteorder("<" if order == "little" else ">")
    content = _member(archive, f"{root}data/{tensor.storage.key}")
    numbers = np.frombuffer(content, dtype, count=len(content) // dtype.itemsize)
    size = int(np.prod(tensor.shape, dtype=object))
    last = tensor.offset + sum((n - 1) * stride for n, stride in zip(tensor.shape, tensor.strides, strict=True))
    # A view larger than its storage would repeat numbers: no weight is saved so, and it could be made huge.
    if size == 0 or last >= numbers.size or size > numbers.size:
        raise InputError(
            f"tensor '{name}' of the shape {tensor.shape} and strides {tensor.strides} does not fit its storage: found "
            f"{numbers.size} numbers, expected at least {max(last + 1, size, 1)}"
        )
    strides = tuple(stride * numbers.itemsize for stride in tensor.strides)
    view = np.lib.stride_tricks.as_strided(numbers[tensor.offset :], tensor.shape, strides, writeable=False)
    array = view.astype(view.dtype.newbyteorder("="), order="C")
    if kind == "BFloat16Storage":
        return (array.astype(np.uint32) << np.uint32(16)).view(np.float32)
    return array.astype(np.float32) if kind == "HalfStorage" else array


def _describe(value: object) -> str:
    """What a value of the pickle is, for messages."""
    if isinstance(value, (Unknown, Global)):
        return f"an object '{value.name[:100]}', which is not admitted"
    return f"{len(value)} entries" if isinstance(value, dict) else f"a {type(value).__name__}"


# ------------------------------------------------------------------------------------------- the stack machine

_MARK = object()

_NEW_CONTAINERS: dict[str, type] = {
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_SET": list,  # members need not be hashable here, and nothing of a set is used
    "EMPTY_TUPLE": tuple,
}
_CONSTANTS: dict[str, Any] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_FROM_MARK = {"TUPLE": tuple, "LIST": list, "FROZENSET": list}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_IGNORED = ("PROTO", "FRAME", "STOP")


def unpickle(program: bytes) -> Any:
    """The value that a pickle describes, with `Unknown` for all but plain containers, numbers, texts and tensors.

    Raises:
        InputError: the bytes are no complete pickle.
    """
    machine = _Machine()
    try:
        for opcode, argument, _ in pickletools.genops(program):
            machine.run(opcode.name, argument, opcode.stack_after)
        return machine.stack.pop()
    except (ValueError, TypeError, IndexError, KeyError, AttributeError, OverflowError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"'data.pkl' is damaged ({' '.join(str(error).split())[:100]}), expected a pickle") from error


class _Machine:
    """The pickle machine's stack and memory; each operation only moves and builds plain values."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memory: dict[int, Any] = {}

    def run(self, name: str, argument: Any, pushes: list[Any]) -> None:
        stack = self.stack
        if name in _IGNORED:
            return
        if name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name in _NEW_CONTAINERS:
            stack.append(_NEW_CONTAINERS[name]())
        elif name in _TUPLES:
            count = _TUPLES[name]
            stack[-count:] = [tuple(stack[-count:])]
        elif name == "MARK":
            stack.append(_MARK)
        elif name in _FROM_MARK:
            stack.append(_FROM_MARK[name](self.pop_to_mark()))
        elif name in ("APPEND", "APPENDS", "ADDITEMS"):
            items = [stack.pop()] if name == "APPEND" else self.pop_to_mark()
            if isinstance(stack[-1], list):
                stack[-1].extend(items)
        elif name in ("SETITEM", "SETITEMS", "DICT"):
            items = [stack.pop(-2), stack.pop()] if name == "SETITEM" else self.pop_to_mark()
            if name == "DICT":
                stack.append({})
            if isinstance(stack[-1], dict):
                stack[-1].update(_pairs(items))
        elif name in ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"):
            self.memory[len(self.memory) if name == "MEMOIZE" else argument] = stack[-1]
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            stack.append(self.memory[argument])
        elif name == "POP":
            stack.pop()
        elif name == "POP_MARK":
            self.pop_to_mark()
        elif name == "DUP":
            stack.append(stack[-1])
        else:
            self.run_object(name, argument, pushes)

    def run_object(self, name: str, argument: Any, pushes: list[Any]) -> None:
        """The operations by which a pickle names classes, calls them and sets their state: none is carried out."""
        stack = self.stack
        if name == "GLOBAL":
            stack.append(Global(argument.replace(" ", ".", 1)))
        elif name == "STACK_GLOBAL":
            attribute, module = stack.pop(), stack.pop()
            stack.append(Global(f"{module if isinstance(module, str) else '?'}.{attribute}"))
        elif name in ("BINPERSID", "PERSID"):
            stack.append(_storage(stack.pop() if name == "BINPERSID" else argument))
        elif name in ("REDUCE", "NEWOBJ"):
            arguments, function = stack.pop(), stack.pop()
            stack.append(_result(function, arguments))
        elif name == "NEWOBJ_EX":
            _, _, function = stack.pop(), stack.pop(), stack.pop()
            stack.append(_result(function, None))
        elif name in ("INST", "OBJ"):
            arguments = self.pop_to_mark()
            stack.append(Unknown(argument.replace(" ", ".", 1) if name == "INST" else _name(arguments[0])))
        elif name in ("EXT1", "EXT2", "EXT4"):
            stack.append(Global(f"copyreg extension {argument}"))
        elif name == "BUILD":
            stack.pop()
        elif pushes and argument is not None:
            stack.append(argument)  # the literals: numbers, texts, bytes
        else:
            raise ValueError(f"operation {name}")

    def pop_to_mark(self) -> list[Any]:
        position = len(self.stack) - 1
        while self.stack[position] is not _MARK:
            position -= 1
            if position < 0:
                raise ValueError("a mark is missing")
        items = self.stack[position + 1 :]
        del self.stack[position:]
        return items


def _pairs(items: list[Any]) -> list[tuple[Any, Any]]:
    """Keys and values in turn as pairs; a key that is no plain number or text becomes one of a kind."""
    keys = (key if isinstance(key, (str, int, float, bytes, type(None))) else Unknown("key") for key in items[::2])
    return list(zip(keys, items[1::2], strict=True))


def _is_pair(value: object) -> bool:
    return isinstance(value, (list, tuple)) and len(value) == 2


def _name(value: object) -> str:
    return value.name if isinstance(value, (Global, Unknown)) else type(value).__name__


def _storage(identifier: Any) -> Storage | Unknown:
    """PyTorch's persistent identifier: ("storage", class, key, device, number of elements)."""
    if isinstance(identifier, tuple) and len(identifier) == 5 and identifier[0] == "storage":
        _, kind, key, _, _ = identifier
        if isinstance(kind, Global) and isinstance(key, str):
            return Storage(kind.name, key)
    return Unknown("persistent identifier")


def _result(function: object, arguments: Any) -> Any:
    """What a call stands for: a dictionary, a tensor, or `Unknown`."""
    name = _name(function)
    if not isinstance(function, Global) or not isinstance(arguments, tuple):
        return Unknown(name)
    if name == "collections.OrderedDict":
        pairs = arguments[0] if arguments else []
        if len(arguments) < 2 and isinstance(pairs, list) and all(_is_pair(pair) for pair in pairs):
            return dict(_pairs([item for pair in pairs for item in pair]))
        return Unknown(name)
    if name in ("torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state"):
        return arguments[0] if arguments and isinstance(arguments[0], Tensor) else Unknown(name)
    if name == "torch._utils._rebuild_tensor_v2" and len(arguments) >= 4:
        storage, offset, shape, strides = arguments[:4]
        is_view = _counts((offset,)) and _counts(shape) and _counts(strides) and len(shape) == len(strides)
        if isinstance(storage, Storage) and is_view:
            return Tensor(storage, offset, shape, strides)
    return Unknown(name)


def _counts(values: object) -> bool:
    """Whether this is a short tuple of integers from 0 on that an array's shape or strides can be."""
    return (
        isinstance(values, tuple)
        and len(values) <= 32
        and all(type(value) is int and 0 <= value < 2**40 for value in values)
    )
