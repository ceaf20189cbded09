"""Pickles read without unpickling: plain values come out, whatever else a pickle names is recorded, nothing is called.

A pickle is a program for a small stack machine, whose instructions can call any function of Python. This one knows
the instructions that lists, texts, numbers and arrays are written with, in protocols 0 to 5, and no others; where a
pickle calls something, a :class:`Call` says what and with which arguments, for the reader of a format to make sense
of. So no stream of bytes runs code, and none takes more than some tens of bytes of memory for each of its own.
"""

from __future__ import annotations

import codecs
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, cast

from paco_fr.utils.errors import quoted


class PickleError(ValueError):
    """A stream that is no pickle, or one with what is not admitted. The message says what."""


class RefusedError(PickleError):
    """A pickle that names what is not admitted."""


@dataclass(frozen=True, eq=False)
class Global:
    """A function or class that a pickle names; never looked up."""

    name: str


@dataclass(eq=False)
class Call:
    """What a pickle would call, with which arguments, and the state that it would give the result; never done."""

    name: str
    arguments: tuple[Any, ...]
    state: Any = None


class _Mark:
    """Where the parts of a list or tuple begin on the stack."""


_MARK = _Mark()
_DIGITS = 20
"""Digits of a whole number at most."""


def read_plain(content: bytes, admitted: Iterable[str]) -> Any:
    """Return the value that a pickle spells, its calls as :class:`Call`.

    Texts of Python 2 are bytes. Dictionaries, sets and instances are not admitted.

    Args:
        content: of the pickle; what follows its end is not looked at.
        admitted: functions and classes that it may name, as ``module.name``.

    Raises:
        RefusedError: it names another.
        PickleError: no pickle, torn, or with an instruction that plain values do not need.

    """
    machine = _Machine(content, frozenset(admitted))
    try:
        return machine.run()
    except PickleError:
        raise
    except (ValueError, IndexError, struct.error, OverflowError) as error:
        raise PickleError(str(error)) from error


class _Machine:
    def __init__(self, content: bytes, admitted: frozenset[str]) -> None:
        self.content, self.admitted, self.at = content, admitted, 0
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        while True:
            code = self.take(1)
            if code == b".":
                return self.pop()
            do = _INSTRUCTIONS.get(code)
            if do is None:
                raise PickleError(
                    f"instruction {quoted(code)} at byte {self.at - 1} is not one of plain values"
                )
            do(self)

    def take(self, count: int) -> bytes:
        if not 0 <= count <= len(self.content) - self.at:
            raise PickleError("it ends too early")
        self.at += count
        return self.content[self.at - count : self.at]

    def line(self) -> bytes:
        end = self.content.find(b"\n", self.at)
        if end < 0:
            raise PickleError("it ends too early")
        found = self.take(end - self.at)
        self.at += 1
        return found

    def number(self, form: str) -> int:
        return cast("int", struct.unpack(form, self.take(struct.calcsize(form)))[0])

    def pop(self) -> Any:
        if not self.stack or self.stack[-1] is _MARK:
            raise PickleError("it takes a value that is not there")
        return self.stack.pop()

    def to_mark(self) -> list[Any]:
        """Take what lies above the last mark, and the mark."""
        for start in range(len(self.stack) - 1, -1, -1):
            if self.stack[start] is _MARK:
                parts = self.stack[start + 1 :]
                del self.stack[start:]
                return parts
        raise PickleError("it takes a value that is not there")

    def memorise(self, key: int) -> None:
        value = self.pop()
        self.stack.append(value)
        self.memo[key] = value

    def recall(self, key: int) -> None:
        if key not in self.memo:
            raise PickleError("it takes a value that is not there")
        self.stack.append(self.memo[key])

    def name(self, module: object, name: object) -> None:
        if not isinstance(module, str) or not isinstance(name, str):
            raise PickleError("a name that is no text")
        full = f"{module}.{name}"
        if full not in self.admitted:
            raise RefusedError(quoted(full)[1:-1])
        self.stack.append(Global(full))

    def extend(self, parts: list[Any]) -> None:
        target = self.pop()
        if not isinstance(target, list):
            raise PickleError("it adds to what is no list")
        target += parts
        self.stack.append(target)

    def call(self) -> None:
        arguments, function = self.pop(), self.pop()
        if not isinstance(function, Global) or not isinstance(arguments, tuple):
            raise PickleError("it calls what is no function")
        self.stack.append(Call(function.name, arguments))

    def build(self) -> None:
        state, made = self.pop(), self.pop()
        if not isinstance(made, Call) or made.state is not None:
            raise PickleError("it gives a state to what has none")
        made.state = state
        self.stack.append(made)

    def tuple_of(self, count: int) -> None:
        parts = [self.pop() for _ in range(count)]
        self.stack.append(tuple(reversed(parts)))

    def dotted(self) -> None:
        name, module = self.pop(), self.pop()
        self.name(module, name)


def _whole(text: bytes) -> int:
    digits = text.strip().removesuffix(b"L")
    if len(digits) > _DIGITS:
        raise PickleError(f"a number of {len(digits)} digits")
    return int(digits)


def _int_line(machine: _Machine) -> None:
    text = machine.line()
    machine.stack.append({b"00": False, b"01": True}[text] if text in (b"00", b"01") else _whole(text))


def _float_line(machine: _Machine) -> None:
    text = machine.line()
    if len(text) > 40:
        raise PickleError("a number of many digits")
    machine.stack.append(float(text))


def _quoted_line(machine: _Machine) -> None:
    """Read a text of Python 2 as bytes."""
    text = machine.line().strip()
    if len(text) < 2 or text[:1] not in b"'\"" or text[-1:] != text[:1]:
        raise PickleError("a text without quotation marks")
    machine.stack.append(codecs.escape_decode(text[1:-1])[0])


def _long(machine: _Machine, length: int) -> None:
    if length > 8:
        raise PickleError(f"a number of {length} bytes")
    machine.stack.append(int.from_bytes(machine.take(length), "little", signed=True))


def _bytes(form: str) -> Callable[[_Machine], None]:
    return lambda machine: machine.stack.append(machine.take(machine.number(form)))


def _text(form: str) -> Callable[[_Machine], None]:
    return lambda machine: machine.stack.append(str(machine.take(machine.number(form)), "utf-8"))


def _pushed(value: Any) -> Callable[[_Machine], None]:
    return lambda machine: machine.stack.append(value)


_INSTRUCTIONS: dict[bytes, Callable[[_Machine], object]] = {
    b"\x80": lambda m: _protocol(m.number("<B")),
    b"\x95": lambda m: m.take(8),  # a frame: how much follows, for readers of pipes
    b"(": _pushed(_MARK),
    b"0": lambda m: m.pop(),
    b"1": lambda m: m.to_mark(),
    b"N": _pushed(None),
    b"\x88": _pushed(True),
    b"\x89": _pushed(False),
    b"I": _int_line,
    b"L": lambda m: m.stack.append(_whole(m.line())),
    b"J": lambda m: m.stack.append(m.number("<i")),
    b"K": lambda m: m.stack.append(m.number("<B")),
    b"M": lambda m: m.stack.append(m.number("<H")),
    b"\x8a": lambda m: _long(m, m.number("<B")),
    b"\x8b": lambda m: _long(m, m.number("<i")),
    b"F": _float_line,
    b"G": lambda m: m.stack.append(struct.unpack(">d", m.take(8))[0]),
    b"S": _quoted_line,
    b"T": _bytes("<i"),
    b"U": _bytes("<B"),
    b"B": _bytes("<I"),
    b"C": _bytes("<B"),
    b"\x8e": _bytes("<Q"),
    b"\x96": _bytes("<Q"),  # a bytearray; the same bytes
    b"V": lambda m: m.stack.append(str(m.line(), "raw-unicode-escape")),
    b"X": _text("<I"),
    b"\x8c": _text("<B"),
    b"\x8d": _text("<Q"),
    b"]": lambda m: m.stack.append([]),
    b"l": lambda m: m.stack.append(m.to_mark()),
    b"a": lambda m: m.extend([m.pop()]),
    b"e": lambda m: m.extend(m.to_mark()),
    b")": _pushed(()),
    b"t": lambda m: m.stack.append(tuple(m.to_mark())),
    b"\x85": lambda m: m.tuple_of(1),
    b"\x86": lambda m: m.tuple_of(2),
    b"\x87": lambda m: m.tuple_of(3),
    b"p": lambda m: m.memorise(_whole(m.line())),
    b"q": lambda m: m.memorise(m.number("<B")),
    b"r": lambda m: m.memorise(m.number("<I")),
    b"\x94": lambda m: m.memorise(len(m.memo)),
    b"g": lambda m: m.recall(_whole(m.line())),
    b"h": lambda m: m.recall(m.number("<B")),
    b"j": lambda m: m.recall(m.number("<I")),
    b"c": lambda m: m.name(str(m.line(), "utf-8"), str(m.line(), "utf-8")),
    b"\x93": lambda m: m.dotted(),
    b"R": lambda m: m.call(),
    b"b": lambda m: m.build(),
}
"""What each admitted instruction does, by its byte, as the module ``pickletools`` of Python describes them."""


def _protocol(number: int) -> None:
    if number > 5:
        raise PickleError(f"protocol {number}")
