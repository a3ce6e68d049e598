"""Hypothesis strategies for messages and their fields, built from the codec's own field kinds: a new message class needs nothing here."""

from __future__ import annotations

from typing import Any, get_args, get_type_hints

from hypothesis import strategies as st

from trio_ssh.wire import codec, connection, transport, userauth
from trio_ssh.wire.codec import Kind, encode, field_names, message_classes
from trio_ssh.wire.primitives import NAME_BYTES_MAX

UINT32_MAX = 2**32 - 1
UINT64_MAX = 2**64 - 1

ascii_texts = st.text(st.characters(min_codepoint=0, max_codepoint=127), max_size=20)
listed_names = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters=","), min_size=1, max_size=NAME_BYTES_MAX)
name_lists = st.lists(listed_names, max_size=4).map(tuple)
utf8_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
any_bytes = st.binary(max_size=40)
people_texts = any_bytes.map(lambda raw: raw.decode("utf-8", "surrogateescape"))
"""Every text that bytes of a peer can become."""

BYTE, BOOLEAN, UINT32, UINT64, BYTES16, STRING, NAME, TEXT, UTF8, MPINT, NAME_LIST, REST = (
    get_args(alias)[1]
    for alias in (
        codec.Byte,
        codec.Boolean,
        codec.Uint32,
        codec.Uint64,
        codec.Bytes16,
        codec.String,
        codec.Name,
        codec.Text,
        codec.Utf8,
        codec.Mpint,
        codec.NameList,
        codec.Rest,
    )
)

VALUES: dict[Kind, st.SearchStrategy[Any]] = {
    BYTE: st.integers(0, 255),
    BOOLEAN: st.booleans(),
    UINT32: st.integers(0, UINT32_MAX),
    UINT64: st.integers(0, UINT64_MAX),
    BYTES16: st.binary(min_size=16, max_size=16),
    STRING: any_bytes,
    NAME: ascii_texts,
    TEXT: people_texts,
    UTF8: utf8_texts,
    MPINT: st.integers(-(2**200), 2**200),
    NAME_LIST: name_lists,
    REST: any_bytes,
}
"""Kind of field -> all values it can hold."""

WITH_LENGTH = frozenset([STRING, NAME, TEXT, UTF8, MPINT, NAME_LIST])
"""Kinds that begin with a uint32 length."""

MESSAGES: tuple[type, ...] = tuple(cls for _, classes in sorted(message_classes().items()) for cls in classes)
"""Every message class, by number."""

STRUCTURES: tuple[type, ...] = tuple(
    cls
    for module in (transport, userauth, connection)
    for cls in vars(module).values()
    if isinstance(cls, type) and cls.__module__ == module.__name__ and cls not in MESSAGES
)
"""Every run of fields that stands inside a message."""

DECLARED = MESSAGES + STRUCTURES


def kinds_of(cls: type) -> tuple[Kind, ...]:
    """The kinds of a declared class's fields, in wire order."""
    hints = get_type_hints(cls, include_extras=True)
    return tuple(get_args(hints[name])[1] for name in field_names(cls))


def values_of(cls: type) -> st.SearchStrategy[Any]:
    """Instances of a declared class."""
    return st.builds(cls, *(VALUES[kind] for kind in kinds_of(cls)))


def layout_of(value: Any) -> list[tuple[Kind, int, int]]:
    """Where each field of `value` stands in ``encode(value)``: its kind, start and end."""
    offset = 1 if type(value) in MESSAGES else 0
    places = []
    for name, kind in zip(field_names(type(value)), kinds_of(type(value)), strict=True):
        written = bytearray()
        kind.write(written, getattr(value, name))
        places.append((kind, offset, offset + len(written)))
        offset += len(written)
    assert offset == len(encode(value))
    return places
