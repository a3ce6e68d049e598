"""Every message and structure of the codec: what decodes says the same when it is encoded and decoded again."""

from __future__ import annotations

import random

from tests.fuzz.choices import Choices
from tests.fuzz.draws import draw, draw_structure
from tests.strategies import DECLARED, MESSAGES, STRUCTURES
from trio_ssh.errors import DecodeError
from trio_ssh.wire.codec import decode, encode, message_number


def target(data: bytes) -> None:
    choices = Choices(data)
    cls: type[object] = choices.pick(DECLARED)
    number = bytes([message_number(cls)]) if cls in MESSAGES else b""
    try:
        value = decode(cls, number + choices.rest())
    except DecodeError:
        return
    repr(value)
    assert decode(cls, encode(value)) == value


def seeds() -> list[bytes]:
    rng = random.Random(0)
    messages = [bytes([index]) + draw(rng, cls).payload[1:] for index, cls in enumerate(MESSAGES)]
    return messages + [bytes([len(MESSAGES) + index]) + encode(draw_structure(rng, cls)) for index, cls in enumerate(STRUCTURES)]
