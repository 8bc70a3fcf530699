"""Changes to bytes, texts, pickles and numbers as accidents and attackers make them, by a seeded generator."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable

import numpy as np

Random = np.random.Generator

#: Numbers that programs get wrong.
NUMBERS = (
    0.0,
    -0.0,
    1.0,
    -1.0,
    1e-320,
    1e-50,
    1e-39,
    1e20,
    1e38,
    3.5e38,
    1e300,
    -1e300,
    np.inf,
    -np.inf,
    np.nan,
    9.97e36,
)

#: Texts that terminals, file systems and parsers get wrong.
TEXTS = (
    "", " ", "time", "x", "lat", "quality_flag", "time_bnds", "../../etc/passwd", "a/b", ".", "\x1b[2J\x1b]0;owned\x07",
    "\u202egnp.exe", "a" * 300, "é", "é", "line\nbreak", "{0.__class__}", "%s%n", "<script>", "'; --", "K m-2 9",
    "Mm9 " * 90, "-1", "1e999", "nan", "true", "٣", "\ufeff",
)  # fmt: skip

_WORDS = (0, 1, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**62, 2**63 - 1, 2**64 - 1)


def _place(random: Random, length: int) -> int:
    """A position; half of them near the beginning, where formats keep what they are made of."""
    return int(random.integers(min(length, 4096) if random.random() < 0.5 else length))


def _span(random: Random, content: bytearray) -> slice:
    start = _place(random, len(content))
    return slice(start, start + int(2 ** random.uniform(0, 13)))


def flip(random: Random, content: bytearray) -> None:
    for _ in range(int(random.integers(1, 9))):
        content[_place(random, len(content))] ^= 1 << int(random.integers(8))


def set_bytes(random: Random, content: bytearray) -> None:
    for _ in range(int(random.integers(1, 5))):
        content[_place(random, len(content))] = int(random.choice([0, 1, 0x7F, 0x80, 0xFF]))


def set_word(random: Random, content: bytearray) -> None:
    start, width = _place(random, len(content)) & ~3, int(random.choice([4, 8]))
    word = int(_WORDS[random.integers(len(_WORDS))]).to_bytes(8, "little")[:width]
    content[start : start + width] = word[: max(len(content) - start, 0)]


def fill(random: Random, content: bytearray) -> None:
    span = _span(random, content)
    length = len(content[span])
    content[span] = random.bytes(length) if random.random() < 0.3 else bytes([random.choice([0, 255])]) * length


def swap(random: Random, content: bytearray) -> None:
    size = int(2 ** random.integers(3, 12))
    one, other = (int(random.integers(max(len(content) // size, 1))) * size for _ in range(2))
    first, second = bytes(content[one : one + size]), bytes(content[other : other + size])
    if len(first) == len(second):
        content[one : one + size], content[other : other + size] = second, first


def cut(random: Random, content: bytearray) -> None:
    del content[_span(random, content)]


def truncate(random: Random, content: bytearray) -> None:
    del content[int(random.integers(len(content))) :]


def insert(random: Random, content: bytearray) -> None:
    start = _place(random, len(content))
    content[start:start] = random.bytes(int(random.integers(1, 600)))


def repeat(random: Random, content: bytearray) -> None:
    span = _span(random, content)
    start = _place(random, len(content))
    part = bytes(content[span])
    content[start : start + len(part)] = part


BYTES: tuple[Callable[[Random, bytearray], None], ...] = (
    flip, flip, set_bytes, set_word, set_word, fill, fill, swap, cut, truncate, insert, repeat,
)  # fmt: skip


def changed_bytes(random: Random, content: bytes) -> bytes:
    """One to three changes of bytes."""
    result = bytearray(content)
    for _ in range(int(random.choice([1, 1, 1, 2, 3]))):
        if result:
            BYTES[random.integers(len(BYTES))](random, result)
    return bytes(result)


def changed_text(random: Random, text: str) -> str:
    """Lines left out, repeated, moved in or out, words replaced, or bytes changed."""
    for _ in range(int(random.integers(1, 4))):
        lines = text.split("\n")
        index = int(random.integers(len(lines)))
        choice = random.integers(6)
        if choice == 0:
            del lines[index]
        elif choice == 1:
            lines.insert(index, lines[random.integers(len(lines))])
        elif choice == 2:
            lines[index] = "  " * int(random.integers(5)) + lines[index].strip()
        elif choice == 3:
            lines[index] = lines[index].partition(":")[0] + ": " + value_text(random)
        elif choice == 4:
            lines.insert(index, f"{TEXTS[random.integers(len(TEXTS))]}: {value_text(random)}")
        else:
            damaged = changed_bytes(random, "\n".join(lines).encode("utf-8", "surrogateescape"))
            lines = damaged.decode("utf-8", "surrogateescape").split("\n")
        text = "\n".join(lines)
    return text


def value_text(random: Random) -> str:
    """A value as YAML or a command line may have it."""
    special = (
        "[" * 500, "{a: {a: {a: 1}}}", "&a [*a, *a]", "!!python/object/apply:os.system ['true']", "2021-13-45", "1:90",
        "9" * 5000, "null", "~", "|", ">-", "0x1F", "1e-3", ".inf", "[1, a, null]", "'\\ud800'", '"\\ud800"', "\0",
        "/dev/zero", "/dev/null", "a" * 5000, "-0", "1_000", "2021-01-01", "0001-01-01", "99999-01-01", "6h", "1e300h",
    )  # fmt: skip
    kind = random.integers(3)
    if kind == 0:
        return str(special[random.integers(len(special))])
    return str(NUMBERS[random.integers(len(NUMBERS))]) if kind == 1 else TEXTS[random.integers(len(TEXTS))]


def changed_json(random: Random, text: str) -> str:
    """One value somewhere in JSON replaced, left out or nested."""
    content = json.loads(text)
    places = []
    waiting = [content]
    while waiting:
        part = waiting.pop()
        keys = list(part) if isinstance(part, dict) else range(len(part)) if isinstance(part, list) else []
        places += [(part, key) for key in keys]
        waiting += [part[key] for key in keys]
    if not places:
        return value_text(random)
    part, key = places[random.integers(len(places))]
    values = (
        None, -1, 0, 1, 2**31, 2**62, 10**30, 1e300, True, "pickle", {"id": "pickle"}, [{"id": "pickle"}], [], {},
        "|O", "<f8", "|S1000000000", [2**40], [10**9, 10**9], [-1], "NaN", {"id": "zlib", "level": 99}, "x", "time",
        *TEXTS[:10],
    )  # fmt: skip
    if random.random() < 0.15:
        del part[key]
    else:
        part[key] = values[random.integers(len(values))]
    return json.dumps(content)


#: Operations of pickle that make, call, repeat or remember things.
_OPERATIONS = (
    b"]", b"}", b")", b"(", b"N", b"\x88", b"0", b"1", b"2", b"\x94", b"q\x00", b"h\x00", b"h\x01", b"R", b"\x81",
    b"\x92", b"b", b"a", b"e", b"s", b"u", b"t", b"\x85", b"\x86", b"\x87", b"\x90", b"\x91", b"\x8f", b"Q",
    b"cos\nsystem\n", b"cbuiltins\neval\n", b"ccollections\nOrderedDict\n", b"ctorch._utils\n_rebuild_tensor_v2\n",
    b"X\x01\x00\x00\x00x", b"K\xff", b"J\xff\xff\xff\xff", b"\x8a\x08" + b"\xff" * 7 + b"\x7f",
    b"\x95" + b"\xff" * 6 + b"\0\0", b"\x96" + b"\xff" * 6 + b"\0\0", b"r\xff\xff\xff\xff", b"\x82\x01", b"\x93",
    b"o", b"i" + b"os\nsystem\n",
)  # fmt: skip


def changed_pickle(random: Random, program: bytes, hostile: bytes) -> bytes:
    """Operations put in, left out, or bytes changed; sometimes an attack, sometimes the same a thousand times."""
    result = bytearray(program)
    for _ in range(int(random.integers(1, 4))):
        kind = random.integers(4)
        if kind == 0:
            return changed_bytes(random, bytes(result))
        piece = _OPERATIONS[random.integers(len(_OPERATIONS))] if kind < 3 else hostile
        if random.random() < 0.1:
            piece *= 1000
        start = int(random.integers(2, len(result)))
        result[start : start + int(random.choice([0, 0, len(piece)]))] = piece
    if result[-1:] != pickle.STOP:
        result += pickle.STOP
    return bytes(result)
