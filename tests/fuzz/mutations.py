"""What G2 does to a message: cut, extended, its lengths and counts wrong, its bytes flipped, its fields swapped (hardening §3)."""

from __future__ import annotations

import random
from collections.abc import Iterator

from tests.fuzz.draws import Drawn
from tests.strategies import WITH_LENGTH

WRONG_LENGTHS = (0, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
EXTENSIONS = (b"\0", b"\xff", bytes(4), bytes(300))

Mutation = tuple[str, bytes]
"""What was done, and the payload that came of it."""


def mutations(drawn: Drawn, rng: random.Random) -> Iterator[Mutation]:
    """Every one there is of this message; `rng` chooses what stands in the flipped bytes."""
    payload = drawn.payload
    yield "as it is", payload
    yield from _cut(payload)
    for more in EXTENSIONS:
        yield f"extended by {len(more)} bytes", payload + more
    yield from _lengths(drawn)
    yield from _counts(drawn)
    yield from _flipped(payload, rng)
    yield from _fields(drawn)


def _cut(payload: bytes) -> Iterator[Mutation]:
    for size in range(1, len(payload)):
        yield f"cut to {size} bytes", payload[:size]


def _put(payload: bytes, offset: int, number: int) -> bytes:
    return payload[:offset] + (number & 0xFFFFFFFF).to_bytes(4, "big") + payload[offset + 4 :]


def _lengths(drawn: Drawn) -> Iterator[Mutation]:
    payload = drawn.payload
    for kind, start, end in drawn.places:
        if kind in WITH_LENGTH and end - start >= 4:
            length = end - start - 4
            for wrong in (length - 1, length + 1, *WRONG_LENGTHS):
                yield f"length at {start} says {wrong & 0xFFFFFFFF:#x}", _put(payload, start, wrong)


def _counts(drawn: Drawn) -> Iterator[Mutation]:
    for offset in drawn.counts:
        count = int.from_bytes(drawn.payload[offset : offset + 4], "big")
        for wrong in (count - 1, count + 1, *WRONG_LENGTHS):
            yield f"count at {offset} says {wrong & 0xFFFFFFFF:#x}", _put(drawn.payload, offset, wrong)


def _flipped(payload: bytes, rng: random.Random) -> Iterator[Mutation]:
    """The message number stays: what a wrong one does is G1's."""
    for offset in range(1, len(payload)):
        for flip in (0xFF, 1 << rng.randrange(8)):
            damaged = bytearray(payload)
            damaged[offset] ^= flip
            yield f"byte {offset} flipped by {flip:#x}", bytes(damaged)


def _fields(drawn: Drawn) -> Iterator[Mutation]:
    """Neighbours swapped; each field left out, and twice."""
    payload, places = drawn.payload, drawn.places
    for index, (_, start, end) in enumerate(places):
        yield f"field {index} left out", payload[:start] + payload[end:]
        yield f"field {index} twice", payload[:end] + payload[start:]
        if index:
            before = places[index - 1][1]
            yield f"fields {index - 1} and {index} swapped", payload[:before] + payload[start:end] + payload[before:start] + payload[end:]
