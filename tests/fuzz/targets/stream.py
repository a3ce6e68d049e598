"""A whole end of ours from its first byte on: whatever a stranger sends to it, before any key was agreed on."""

from __future__ import annotations

from tests import pairs
from tests.fuzz.choices import Choices, inside_trio
from tests.fuzz.machine import Machine
from tests.fuzz.ours import PEER_ERRORS
from tests.fuzz.peer import Peer
from tests.fuzz.states import BOTH, GROUP_EXCHANGE, Calls, State
from trio_ssh.protocol.role import Role
from trio_ssh.wire.codec import encode
from trio_ssh.wire.transport import Ignore, KexEcdhInit, NewKeys


def target(data: bytes) -> None:
    inside_trio(lambda: _play(Choices(data)))


def _play(choices: Choices) -> None:
    machine = Machine(choices.pick(list(Role)), State.S5, BOTH)
    piece = choices.byte() + 1
    data = choices.rest()
    for start in range(0, len(data), piece):
        machine.feed(data[start : start + piece])
        machine.take()
    assert machine.cause is None or isinstance(machine.cause, PEER_ERRORS), machine.cause
    assert machine.calls == Calls(), "somebody was asked before there were keys"


def seeds() -> list[bytes]:
    found = []
    for role, index in ((Role.CLIENT, 0), (Role.SERVER, 1)):
        for algorithms in (pairs.QUICK, GROUP_EXCHANGE):
            peer = Peer(role.peer, algorithms)
            peer.identify()
            peer.send(peer.any_kexinit())
            hello = peer.take()
            for message in (Ignore(b""), KexEcdhInit(bytes(range(32))), NewKeys()):
                peer.send(encode(message))
                found.append(bytes([index, 99]) + hello + peer.take())
    return found
