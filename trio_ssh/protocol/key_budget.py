"""How much may go under one key: a soft limit asks for fresh keys, a hard limit refuses to go on (RFC 4253 §9, RFC 4344 §3).

Each direction has a budget of its own, renewed by every NEWKEYS. The soft limit is the least of what the user set, what the cipher allows
and 2^31 packets; the hard limit is twice what the cipher and the packet counter allow, and meeting it means that the peer has not answered
our rekey for as long again as the whole budget took.
"""

from __future__ import annotations

import attrs

from ..crypto.suites import cipher_byte_ceiling
from .limits import Limits

SEQUENCE_NUMBERS = 2**32


@attrs.frozen
class KeyBudget:
    """Bytes count whole sealed packets, tags included. A rekey is due *past* a soft limit, so one packet always passes."""

    soft_bytes: int
    soft_packets: int
    hard_bytes: int
    hard_packets: int

    def is_spent(self, sealed_bytes: int, packets: int) -> bool:
        """Is it time to ask for fresh keys?"""
        return sealed_bytes > self.soft_bytes or packets > self.soft_packets

    def is_overdrawn(self, sealed_bytes: int, packets: int) -> bool:
        """Must the connection end rather than use this key once more?"""
        return sealed_bytes > self.hard_bytes or packets > self.hard_packets


UNLIMITED = KeyBudget(2**63, SEQUENCE_NUMBERS - 2, 2**63, SEQUENCE_NUMBERS - 1)
"""Before the first keys there is nothing to wear out, but sequence numbers must not wrap (hardening A27)."""


def budget_for(cipher: str, limits: Limits) -> KeyBudget:
    ceiling = cipher_byte_ceiling(cipher)
    soft_bytes = ceiling if limits.rekey_bytes is None else min(limits.rekey_bytes, ceiling)
    soft_packets = min(limits.rekey_packets, 2**31)
    return KeyBudget(soft_bytes, soft_packets, 2 * ceiling, min(2 * 2**31, SEQUENCE_NUMBERS - 1))
