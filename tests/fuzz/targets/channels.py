"""The connection protocol: a sequence of messages to an end that has channels in several states, and sessions on them."""

from __future__ import annotations

import random

from tests.fuzz.choices import Choices, inside_trio, sized
from tests.fuzz.draws import draw
from tests.fuzz.placed import connected, tell
from tests.strategies import MESSAGES
from trio_ssh.protocol.role import Role
from trio_ssh.wire.codec import message_number


def target(data: bytes) -> None:
    inside_trio(lambda: _play(Choices(data)))


def _play(choices: Choices) -> None:
    machine = connected(choices.pick(list(Role)))
    while choices:
        payload = choices.sized()
        if not payload or not tell(machine, payload):
            break
    mux, limits = machine.mux, machine.limits
    assert len(mux.channels) <= limits.channels
    assert all(len(channel.inbox) <= channel.receive_window.size for channel in mux.channels.values())


def seeds() -> list[bytes]:
    rng = random.Random(0)
    classes = [cls for cls in MESSAGES if 80 <= message_number(cls) <= 100]
    alone = [bytes([role]) + sized(draw(rng, cls).payload) for cls in classes for role in (0, 1) for _ in range(3)]
    return alone + [bytes([role]) + sized(*(draw(rng, cls).payload for cls in classes)) for role in (0, 1)]
