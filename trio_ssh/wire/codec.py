"""Turns frozen attrs classes into wire format and back: field order is wire order, and the plan is compiled once per class.

A class is declared with ``@message(number)`` (an SSH message) or ``@structure`` (a run of fields inside one); each field's annotation is
one of the aliases below. `encode` and `decode` then work on its instances.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, TypeVar, dataclass_transform, get_args, get_type_hints

import attrs

from ..errors import DecodeError
from . import primitives as p

T = TypeVar("T")


@attrs.frozen
class Kind:
    """How one field is read and written."""

    read: Callable[[bytes, int], tuple[Any, int]]
    write: Callable[[bytearray, Any], None]


Byte = Annotated[int, Kind(p.read_byte, p.write_byte)]
Boolean = Annotated[bool, Kind(p.read_boolean, p.write_boolean)]
Uint32 = Annotated[int, Kind(p.read_uint32, p.write_uint32)]
Uint64 = Annotated[int, Kind(p.read_uint64, p.write_uint64)]
Bytes16 = Annotated[bytes, Kind(p.read_bytes16, p.write_bytes16)]
String = Annotated[bytes, Kind(p.read_string, p.write_string)]
Name = Annotated[str, Kind(p.read_name, p.write_name)]
Text = Annotated[str, Kind(p.read_text, p.write_text)]
Utf8 = Annotated[str, Kind(p.read_utf8, p.write_utf8)]
Mpint = Annotated[int, Kind(p.read_mpint, p.write_mpint)]
NameList = Annotated[tuple[str, ...], Kind(p.read_name_list, p.write_name_list)]
Rest = Annotated[bytes, Kind(p.read_rest, p.write_rest)]


@attrs.frozen
class _Plan:
    number: int | None
    readers: tuple[Callable[[bytes, int], tuple[Any, int]], ...]
    writers: tuple[tuple[str, Callable[[bytearray, Any], None]], ...]


_plans: dict[type, _Plan] = {}
_classes: dict[int, list[type]] = {}


def _compile(cls: type[T], number: int | None) -> type[T]:
    hints = get_type_hints(cls, include_extras=True)
    kinds = [(name, get_args(hints[name])[1]) for name in field_names(cls)]
    _plans[cls] = _Plan(number, tuple(kind.read for _, kind in kinds), tuple((name, kind.write) for name, kind in kinds))
    if number is not None:
        _classes.setdefault(number, []).append(cls)
    return cls


@dataclass_transform(frozen_default=True, field_specifiers=(attrs.field,))
def message(number: int) -> Callable[[type[T]], type[T]]:
    """Declare an SSH message class; `number` is its first byte (RFC 4250 §4.1.2)."""

    def decorate(cls: type[T]) -> type[T]:
        return _compile(attrs.frozen(cls), number)

    return decorate


@dataclass_transform(frozen_default=True, field_specifiers=(attrs.field,))
def structure(cls: type[T]) -> type[T]:
    """Declare a run of fields that stands inside a message, a key or a signature."""
    return _compile(attrs.frozen(cls), None)


def encode(value: object) -> bytes:
    """The wire form of a message (with its number) or structure. Raises `LocalProtocolError` for a value that does not fit."""
    plan = _plans[type(value)]
    out = bytearray()
    if plan.number is not None:
        out.append(plan.number)
    for name, write in plan.writers:
        write(out, getattr(value, name))
    return bytes(out)


def decode(cls: type[T], data: bytes) -> T:
    """Read a whole message or structure: bytes missing or left over raise `DecodeError`."""
    value, offset = decode_from(cls, data, 0)
    if offset != len(data):
        raise DecodeError(f"{len(data) - offset} bytes follow the end of {cls.__name__}")
    return value


def decode_from(cls: type[T], data: bytes, offset: int) -> tuple[T, int]:
    """Read a structure that other fields follow; returns the offset behind it."""
    plan = _plans[cls]
    if plan.number is not None:
        number, offset = p.read_byte(data, offset)
        if number != plan.number:
            raise DecodeError(f"message number {number} is not that of {cls.__name__}")
    values = []
    for read in plan.readers:
        value, offset = read(data, offset)
        values.append(value)
    return cls(*values), offset


def field_names(cls: type) -> tuple[str, ...]:
    """The fields of a declared class in wire order."""
    attributes: tuple[attrs.Attribute[Any], ...] = cls.__attrs_attrs__  # type: ignore[attr-defined]  # put there by attrs.frozen
    return tuple(attribute.name for attribute in attributes)


def message_number(cls: type) -> int:
    """The number that `cls` was declared with."""
    number = _plans[cls].number
    if number is None:
        raise TypeError(f"{cls.__name__} is a structure, not a message")
    return number


def message_classes() -> dict[int, tuple[type, ...]]:
    """All declared message classes by number; the method-specific numbers have several."""
    return {number: tuple(classes) for number, classes in _classes.items()}
