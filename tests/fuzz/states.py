"""The states of hardening 4.1, and the way a peer takes to bring one end of ours into each.

A way is a generator: it lets the peer send, and yields where our end is to be given its turn.
"""

from __future__ import annotations

from collections.abc import Generator
from enum import Enum
from typing import Protocol

import attrs

from tests import pairs
from tests.fuzz.peer import Peer
from trio_ssh.errors import SSHError
from trio_ssh.protocol.role import Role
from trio_ssh.wire.codec import encode
from trio_ssh.wire.connection import ChannelOpen, ChannelOpenConfirmation, GlobalRequest
from trio_ssh.wire.transport import NewKeys, ServiceAccept, ServiceRequest
from trio_ssh.wire.userauth import PasswordFields, PublicKeyFields, UserauthFailure, UserauthPkOk, UserauthRequest, UserauthSuccess

Turns = Generator[None, None, None]


@attrs.define
class Calls:
    """How often the application was asked."""

    trust: int = 0
    policy: int = 0
    open: int = 0


CANARY = "the-canary-password"
USER = "ada"
KEY_ALGORITHM = "ssh-ed25519"
PEERS_CHANNEL = 7
"""The peer's number of the one session channel there is in S7 and R1; ours is 0."""
CHANNEL = ChannelOpen("session", PEERS_CHANNEL, 1 << 20, 32768)
CONFIRMATION = ChannelOpenConfirmation(0, PEERS_CHANNEL, 1 << 20, 32768)


class State(Enum):
    """Rows of the table in hardening 4.1, S2 and R2 doubled for the two steps of group exchange."""

    S0 = "VERSION"
    S1 = "WAIT_KEXINIT"
    S2 = "IN_KEX"
    S2_SECOND = "IN_KEX, second step of group exchange"
    S3 = "WAIT_NEWKEYS"
    S4 = "POST_KEX"
    S5 = "AUTH"
    S6 = "AUTH_METHOD: a key was asked about"
    S7 = "CONNECTION"
    R1 = "rekey: our KEXINIT sent, the peer's not yet seen"
    R2 = "rekey: the peer's KEXINIT seen"
    R2_SECOND = "rekey, second step of group exchange"
    R3 = "rekey: WAIT_NEWKEYS"
    S8 = "CLOSING"


SECOND_STEPS = frozenset([State.S2_SECOND, State.R2_SECOND])
IN_REKEY = frozenset([State.R1, State.R2, State.R2_SECOND, State.R3])
IN_FIRST_KEX = frozenset([State.S0, State.S1, State.S2, State.S2_SECOND, State.S3])
IN_AUTH = frozenset([State.S4, State.S5, State.S6])


GROUP_EXCHANGE = attrs.evolve(pairs.QUICK, kex=("diffie-hellman-group-exchange-sha256",))
BOTH = attrs.evolve(pairs.QUICK, kex=(*GROUP_EXCHANGE.kex_for(Role.CLIENT), *pairs.QUICK.kex_for(Role.CLIENT)))
"""What our end offers: the peer decides whether it is the quick method or group exchange."""


class OurEnd(Protocol):
    """`Machine` or `Whole`: what a script can make our end do of itself."""

    calls: Calls

    @property
    def ended(self) -> bool: ...

    @property
    def cause(self) -> SSHError | None: ...

    def open_channel(self) -> None: ...

    def begin_rekey(self) -> None: ...

    def close(self) -> None: ...


def reach(peer: Peer, ours: OurEnd, state: State) -> Turns:
    """From the first byte to `state`."""
    peer.offer(GROUP_EXCHANGE if state is State.S2_SECOND else pairs.QUICK)
    yield
    if state is State.S0:
        return
    peer.identify()
    yield
    if state is State.S1:
        return
    in_kex = state in (State.S2, State.S2_SECOND, State.S3)
    yield from _exchange_keys(peer, state if in_kex else State.S4)
    if in_kex:
        return
    yield from _log_in(peer, state)
    if state in IN_AUTH:
        return
    yield from _open_channel(peer, ours)
    if state is State.R1:
        ours.begin_rekey()
        yield
    elif state is State.S8:
        ours.close()
        yield
    elif state in IN_REKEY:
        peer.offer(GROUP_EXCHANGE if state is State.R2_SECOND else pairs.QUICK)
        yield from _exchange_keys(peer, state)


def _exchange_keys(peer: Peer, until: State) -> Turns:
    """Our peer's part of an exchange, up to a state in it or to its end."""
    peer.send(peer.kexinit())
    yield
    if until in (State.S2, State.R2):
        return
    yield from finish_exchange(peer, until)


def finish_exchange(peer: Peer, until: State = State.S7) -> Turns:
    """What follows when both KEXINITs are out."""
    # A client has two messages to send in group exchange, a server likewise; else each has one.
    while True:
        peer.send(peer.reply)
        yield
        if until in SECOND_STEPS:
            return
        if not peer.reply:
            break
    if until not in (State.S3, State.R3):
        peer.send(NewKeys())
        yield


def _log_in(peer: Peer, state: State) -> Turns:
    if state is State.S4:
        return
    if peer.role is Role.CLIENT:
        peer.send(ServiceRequest("ssh-userauth"))
        yield
        if state is State.S5:
            return
        peer.send(key_question())
        yield
        if state is State.S6:
            return
        peer.send(password_request())
    else:
        peer.send(ServiceAccept("ssh-userauth"))
        yield
        if b"none" in peer.received[-1]:  # it asks for the methods before it asks a person for a password
            peer.send(UserauthFailure(("password", "publickey"), False))
            yield
        if state in (State.S5, State.S6):
            return
        peer.send(UserauthSuccess())
    yield


def _open_channel(peer: Peer, ours: OurEnd) -> Turns:
    if peer.role is Role.CLIENT:
        peer.send(CHANNEL)
    else:
        ours.open_channel()
        yield
        peer.send(CONFIRMATION)
    yield


def password_request() -> UserauthRequest:
    return UserauthRequest(USER, "ssh-connection", "password", encode(PasswordFields(False, CANARY.encode())))


def key_question() -> UserauthRequest:
    fields = PublicKeyFields(False, KEY_ALGORITHM, pairs.USER_KEY.public_key.blob)
    return UserauthRequest(USER, "ssh-connection", "publickey", encode(fields))


def due(peer: Peer, state: State) -> bytes:
    """The payload that an honest peer would send next: what our end must still take if it ignored what came before."""
    if state in (State.S1, State.R1):
        return peer.kexinit()
    if state in (State.S2, State.R2, *SECOND_STEPS):
        return peer.reply
    if state in (State.S3, State.R3):
        return encode(NewKeys())
    if state is State.S4:
        return encode(ServiceRequest("ssh-userauth") if peer.role is Role.CLIENT else ServiceAccept("ssh-userauth"))
    if state in IN_AUTH:
        return _due_in_auth(peer, state)
    return encode(GlobalRequest("keepalive@openssh.com", True))


def _due_in_auth(peer: Peer, state: State) -> bytes:
    if peer.role is Role.CLIENT:
        return encode(password_request())
    return encode(UserauthSuccess() if state is State.S5 else UserauthPkOk(KEY_ALGORITHM, pairs.USER_KEY.public_key.blob))
