"""The beginnings of a key exchange, whatever its method: for peers and machines that must not care which one it is."""

from __future__ import annotations

import os

import attrs

from tests import pairs
from trio_ssh.crypto.moduli import Moduli
from trio_ssh.protocol.key_exchange import (
    ExpectGroup,
    ExpectGroupRequest,
    ExpectKexInit,
    ExpectKexReply,
    Transcript,
    is_group_exchange,
    start_client,
    start_group_client,
    start_group_server,
    start_server,
)
from trio_ssh.protocol.negotiation import Algorithms, Negotiated
from trio_ssh.protocol.role import Role
from trio_ssh.wire.codec import encode
from trio_ssh.wire.transport import KexDhGexRequest

Expecting = ExpectKexReply | ExpectGroup | ExpectKexInit | ExpectGroupRequest

BUILT_IN = Moduli.built_in()
SMALL = KexDhGexRequest(2048, 2048, 2048)
SMALL_GROUPS = Moduli(tuple(group for group in BUILT_IN.groups if group.bits == 2048))


def begin_client(transcript: Transcript, negotiated: Negotiated, *, cheap: bool = False) -> tuple[bytes, Expecting]:
    """Our first message, and what we wait for then. `cheap` asks for the smallest group there may be."""
    if not is_group_exchange(negotiated.kex):
        return start_client(transcript, negotiated)
    payload, state = start_group_client(transcript, negotiated)
    if cheap:
        state = attrs.evolve(state, request=SMALL)
        payload = encode(SMALL)
    return payload, state


def begin_server(transcript: Transcript, negotiated: Negotiated, moduli: Moduli = BUILT_IN) -> Expecting:
    if is_group_exchange(negotiated.kex):
        return start_group_server(transcript, negotiated, pairs.HOST_KEY, moduli, os.urandom)
    return start_server(transcript, negotiated, pairs.HOST_KEY)


def algorithms_of(role: Role, algorithms: Algorithms) -> Algorithms:
    """A server's with the host key algorithms that its key can do."""
    return attrs.evolve(algorithms, host_keys=pairs.HOST_KEY.public_key.signature_algorithms) if role is Role.SERVER else algorithms
