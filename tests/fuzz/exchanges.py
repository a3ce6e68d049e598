"""Key exchanges in the middle: the typed states of both roles for each method, and messages for them that are right."""

from __future__ import annotations

from functools import lru_cache

import attrs

from tests.fuzz.methods import Expecting, algorithms_of, begin_client, begin_server
from trio_ssh.errors import RemoteProtocolError
from trio_ssh.protocol.key_exchange import (
    ExpectGroup,
    ExpectGroupRequest,
    ExpectKexInit,
    ExpectKexReply,
    Transcript,
)
from trio_ssh.protocol.limits import Limits
from trio_ssh.protocol.negotiation import Algorithms, Negotiated
from trio_ssh.protocol.negotiator import Negotiator
from trio_ssh.protocol.role import Role

TRANSCRIPT = Transcript(client_line=b"SSH-2.0-a", server_line=b"SSH-2.0-b", client_kexinit=b"\x14client", server_kexinit=b"\x14server")
KINDS = {
    "curve25519": "curve25519-sha256",
    "ecdh": "ecdh-sha2-nistp256",
    "mlkem": "mlkem768x25519-sha256",
    "dh": "diffie-hellman-group14-sha256",
    "group_exchange": "diffie-hellman-group-exchange-sha256",
}
"""One method of each kind of message and arithmetic."""


@lru_cache
def negotiated(method: str) -> Negotiated:
    algorithms = attrs.evolve(Algorithms(), kex=(method,))
    client = Negotiator(Role.CLIENT, algorithms, Limits())
    server = Negotiator(Role.SERVER, algorithms_of(Role.SERVER, algorithms), Limits())
    return client.receive(server.our_kexinit(bytes(16), first=True)).negotiated


def client_state(method: str) -> tuple[bytes, Expecting]:
    """Its first message, and what it waits for then."""
    return begin_client(TRANSCRIPT, negotiated(method))


def server_state(method: str) -> Expecting:
    return begin_server(TRANSCRIPT, negotiated(method))


def give(state: Expecting, payload: bytes) -> Expecting | None:
    """One message for a state. What follows, if it was taken and something does; None when the exchange is through or has failed."""
    try:
        result = state.receive(payload)
    except RemoteProtocolError:
        return None
    if isinstance(result, tuple) and isinstance(result[1], (ExpectKexInit, ExpectKexReply)):
        return result[1]
    return None


def states_of(method: str) -> dict[int, Expecting]:
    """The states of both roles in an exchange, by the number of the message that each waits for."""
    server = server_state(method)
    init, client = client_state(method)
    if isinstance(client, ExpectGroup) and isinstance(server, ExpectGroupRequest):
        group, second_server = server.receive(init)
        _, second_client = client.receive(group)
        return {31: client, 32: second_server, 33: second_client, 34: server}
    return {30: server, 31: client}


def states_awaiting(number: int) -> list[Expecting]:
    """Every state that takes that message number, one of each kind."""
    return [states[number] for method in KINDS.values() if number in (states := states_of(method))]


def honest_messages(method: str) -> dict[int, bytes]:
    """What the two sides say in an exchange, by number."""
    server = server_state(method)
    init, client = client_state(method)
    messages = {init[0]: init}
    if isinstance(client, ExpectGroup) and isinstance(server, ExpectGroupRequest):
        group, following = server.receive(init)
        init, _ = client.receive(group)
        messages |= {group[0]: group, init[0]: init}
        server = following
    assert isinstance(server, ExpectKexInit)
    reply, _ = server.receive(init)
    return messages | {reply[0]: reply}
