"""Our side of the negotiation through the life of a connection: what we offer, what is in use, what a peer's KEXINIT makes of it."""

from __future__ import annotations

import attrs

from .limits import Limits
from .negotiation import Algorithms, Negotiated, guess_is_wrong, negotiate, read_kexinit
from .role import Role

_NO_COOKIE = bytes(16)


@attrs.frozen
class PeerKexInit:
    """A peer's KEXINIT as received, and what was negotiated from it."""

    payload: bytes
    negotiated: Negotiated
    guess_is_wrong: bool
    """The next packet, whatever it is, was meant for another method: skip it (RFC 4253 §7)."""
    our_guess_is_right: bool
    """The packet that followed our KEXINIT, if one did, counts."""


@attrs.define(eq=False)
class Negotiator:
    role: Role
    algorithms: Algorithms
    limits: Limits
    current: Negotiated | None = None
    """What the connection uses; None before the first KEXINIT was received."""

    def our_kexinit(self, cookie: bytes, *, first: bool) -> bytes:
        return self.algorithms.kexinit_payload(self.role, cookie, first=first)

    def receive(self, payload: bytes) -> PeerKexInit:
        """Raises `DecodeError` for a malformed KEXINIT and `NegotiationError` when nothing is common."""
        theirs = read_kexinit(payload, self.limits)
        ours = self.algorithms.kexinit(self.role, _NO_COOKIE, first=self.current is None)
        self.current = negotiate(self.role, ours, theirs, self.current, self.algorithms)
        return PeerKexInit(payload, self.current, guess_is_wrong(ours, theirs), not guess_is_wrong(theirs, ours))
