"""KEXINIT and what is negotiated from it, for both roles, in a first exchange and in a rekey."""

from __future__ import annotations

from functools import cache

from tests.fuzz.choices import Choices
from trio_ssh.errors import NegotiationError, RemoteProtocolError
from trio_ssh.protocol.limits import Limits
from trio_ssh.protocol.negotiation import MARKERS, Algorithms
from trio_ssh.protocol.negotiator import Negotiator
from trio_ssh.protocol.role import Role

STRICT = Algorithms(require_strict_kex=True)
SMALL = Limits(kexinit_names=12, kexinit_list_bytes=120, kexinit_name_bytes=32)


@cache
def honest(role: Role, first: bool) -> bytes:
    return Negotiator(role, Algorithms(), Limits()).our_kexinit(bytes(16), first=first)


def target(data: bytes) -> None:
    choices = Choices(data)
    role, first = choices.pick(list(Role)), choices.byte() % 2 == 0
    algorithms, limits = choices.pick((Algorithms(), STRICT)), choices.pick((Limits(), SMALL))
    negotiator = Negotiator(role, algorithms, limits)
    if not first:
        negotiator.limits = Limits()
        negotiator.receive(honest(role.peer, True))
        negotiator.limits = limits
    try:
        negotiated = negotiator.receive(b"\x14" + choices.rest()).negotiated
    except (RemoteProtocolError, NegotiationError):
        return
    assert negotiated.kex not in MARKERS
    assert negotiated.kex in algorithms.kex_for(role)
    assert negotiated.cipher_client_to_server in algorithms.ciphers


def seeds() -> list[bytes]:
    heads = [bytes([role, first, 0, limits]) for role in (0, 1) for first in (0, 1) for limits in (0, 1)]
    return [head + honest(role, True)[1:] for head in heads for role in Role]
