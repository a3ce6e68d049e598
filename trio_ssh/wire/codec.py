"""Turns frozen attrs classes into wire format and back: field order is wire order; the plan is compiled when a class is first used.

A class is declared with ``@message(number)`` (an SSH message) or ``@structure`` (a run of fields inside one); each field's annotation is
one of the aliases below. `encode` and `decode` then work on its instances.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from itertools import groupby
from typing import Annotated, Any, TypeVar, dataclass_transform, get_args, get_type_hints

import attrs

from ..errors import DecodeError, LocalProtocolError
from . import primitives as p

T = TypeVar("T")


@attrs.frozen
class Kind:
    """How one field is read and written. `fixed` is its `struct` code where its size is fixed: runs of such fields go in one step."""

    read: Callable[[bytes, int], tuple[Any, int]]
    write: Callable[[bytearray, Any], None]
    fixed: str = ""


Byte = Annotated[int, Kind(p.read_byte, p.write_byte, "B")]
Boolean = Annotated[bool, Kind(p.read_boolean, p.write_boolean, "?")]
Uint32 = Annotated[int, Kind(p.read_uint32, p.write_uint32, "I")]
Uint64 = Annotated[int, Kind(p.read_uint64, p.write_uint64, "Q")]
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
    encode: Callable[[Any, bytearray], None]
    decode: Callable[[bytes, int], tuple[Any, int]]


_numbers: dict[type, int | None] = {}
_plans: dict[type, _Plan] = {}
_classes: dict[int, list[type]] = {}


def _declare(cls: type[T], number: int | None) -> type[T]:
    """Make an attrs class. Comparison and repr are shared functions: attrs would compile its own for each of some fifty classes."""
    cls.__eq__ = _equal  # type: ignore[method-assign]
    cls.__hash__ = _hash  # type: ignore[method-assign]
    cls.__repr__ = _repr  # type: ignore[method-assign]
    declared = attrs.frozen(cls)
    _numbers[declared] = number
    if number is not None:
        _classes.setdefault(number, []).append(declared)
    return declared


def _values(value: object) -> tuple[Any, ...]:
    return tuple(getattr(value, name) for name in field_names(type(value)))


def _equal(self: object, other: object) -> bool:
    return type(self) is type(other) and _values(self) == _values(other)


def _hash(self: object) -> int:
    return hash((type(self), _values(self)))


def _repr(self: object) -> str:
    fields = zip(field_names(type(self)), _values(self), strict=True)
    return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in fields)})"


def _plan(cls: type) -> _Plan:
    """Compiled when the class is first used."""
    plan = _plans.get(cls)
    if plan is None:
        hints = get_type_hints(cls, include_extras=True)
        kinds = [(name, get_args(hints[name])[1]) for name in field_names(cls)]
        plan = _plans[cls] = _Plan(*_functions(cls, _numbers[cls], kinds))
    return plan


def _functions(
    cls: type, number: int | None, kinds: list[tuple[str, Kind]]
) -> tuple[Callable[[Any, bytearray], None], Callable[[bytes, int], tuple[Any, int]]]:
    """Write the two functions of a class as source text, a line a step, and compile it. Fields get a prefix: one is called `data`."""
    names: dict[str, Any] = {"cls": cls, "error": struct.error, "too_short": _too_short, "too_large": _too_large}
    writing, reading = [], []
    runs = [(fixed, list(run)) for fixed, run in groupby(kinds, key=lambda field: bool(field[1].fixed))]
    if number is not None:
        # The number is part of the first run, or a run of its own.
        names["number"] = number
        writing.append("out.append(number)")
        reading += ["if offset >= len(data) or data[offset] != number:", "    raise too_short(cls, data[offset:offset + 1])", "offset += 1"]
    for index, (fixed, run) in enumerate(runs):
        if fixed:
            packer = struct.Struct(">" + "".join(kind.fixed for _, kind in run))
            names[f"pack{index}"], names[f"unpack{index}"] = packer.pack, packer.unpack_from
            values = ", ".join(f"value.{name}" for name, _ in run)
            writing += ["try:", f"    out += pack{index}({values})", "except error:", "    raise too_large(value) from None"]
            targets = "".join(f"field_{name}, " for name, _ in run)
            reading += ["try:", f"    {targets}= unpack{index}(data, offset)", "except error:"]
            reading += ["    raise too_short(cls, None) from None", f"offset += {packer.size}"]
        else:
            for name, kind in run:
                names[f"read_{name}"], names[f"write_{name}"] = kind.read, kind.write
                writing.append(f"write_{name}(out, value.{name})")
                reading.append(f"field_{name}, offset = read_{name}(data, offset)")
    reading.append(f"return cls({', '.join(f'field_{name}' for name, _ in kinds)}), offset")
    source = ["def encode(value, out):", *(f"    {line}" for line in writing or ["pass"])]
    source += ["def decode(data, offset):", *(f"    {line}" for line in reading)]
    exec(compile("\n".join(source), f"<codec of {cls.__name__}>", "exec"), names)
    return names["encode"], names["decode"]


def _too_short(cls: type, number: bytes | None) -> DecodeError:
    if number:
        return DecodeError(f"message number {number[0]} is not that of {cls.__name__}")
    return DecodeError(f"{cls.__name__} is cut off")


def _too_large(value: object) -> LocalProtocolError:
    return LocalProtocolError(f"a number in {value!r} does not fit its field")


@dataclass_transform(frozen_default=True, field_specifiers=(attrs.field,))
def message(number: int) -> Callable[[type[T]], type[T]]:
    """Declare an SSH message class; `number` is its first byte (RFC 4250 §4.1.2)."""

    def decorate(cls: type[T]) -> type[T]:
        return _declare(cls, number)

    return decorate


@dataclass_transform(frozen_default=True, field_specifiers=(attrs.field,))
def structure(cls: type[T]) -> type[T]:
    """Declare a run of fields that stands inside a message, a key or a signature."""
    return _declare(cls, None)


def encode(value: object) -> bytes:
    """The wire form of a message (with its number) or structure. Raises `LocalProtocolError` for a value that does not fit."""
    out = bytearray()
    _plan(type(value)).encode(value, out)
    return bytes(out)


def decode(cls: type[T], data: bytes) -> T:
    """Read a whole message or structure: bytes missing or left over raise `DecodeError`."""
    value: T
    value, offset = _plan(cls).decode(data, 0)
    if offset != len(data):
        raise DecodeError(f"{len(data) - offset} bytes follow the end of {cls.__name__}")
    return value


def decode_from(cls: type[T], data: bytes, offset: int) -> tuple[T, int]:
    """Read a structure that other fields follow; returns the offset behind it."""
    return _plan(cls).decode(data, offset)


def field_names(cls: type) -> tuple[str, ...]:
    """The fields of a declared class in wire order."""
    attributes: tuple[attrs.Attribute[Any], ...] = cls.__attrs_attrs__  # type: ignore[attr-defined]  # put there by attrs.frozen
    return tuple(attribute.name for attribute in attributes)


def message_number(cls: type) -> int:
    """The number that `cls` was declared with."""
    number = _numbers[cls]
    if number is None:
        raise TypeError(f"{cls.__name__} is a structure, not a message")
    return number


def message_classes() -> dict[int, tuple[type, ...]]:
    """All declared message classes by number; the method-specific numbers have several."""
    return {number: tuple(classes) for number, classes in _classes.items()}
