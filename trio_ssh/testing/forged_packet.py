"""`ForgedPacket`: a packet that lies about itself, sealed with real keys (RFC 4253 §6)."""

from __future__ import annotations

import os

import attrs

from ..protocol.sealer import Sealer


@attrs.frozen(kw_only=True)
class ForgedPacket:
    """`payload` in a packet that is right but for what is said here; its tag covers the lies, so that only they can give it away.

    Fields and padding may contradict each other. With a block cipher all of it must be whole blocks: `smallest_padding` helps.
    """

    payload: bytes
    padding: bytes | None = None
    """What follows the payload; None: random bytes, as few as will do."""
    padding_length: int | None = None
    """What the packet says that `padding` has; None: the truth."""
    packet_length: int | None = None
    """What the packet says that follows the length; None: the truth."""
    sequence_number: int | None = None
    """Under which it is sealed; None: the one whose turn it is. Its turn is over in any case."""
    tag_mask: int = 0
    """These bits of the tag's last byte are flipped (before the first keys: of the packet's)."""

    def seal(self, sealer: Sealer) -> bytes:
        """The packet as it goes on the wire. It takes a sequence number of `sealer`, and leaves nothing in its outbox."""
        key = sealer._key  # not to be had otherwise: nobody else may seal anything behind the sealer's back
        padding = os.urandom(smallest_padding(sealer, len(self.payload))) if self.padding is None else self.padding
        body = bytes([len(padding) if self.padding_length is None else self.padding_length]) + self.payload + padding
        length = len(body) if self.packet_length is None else self.packet_length
        wire = bytearray(length.to_bytes(4, "big") + body + bytes(key.tag_bytes))
        number = sealer.sequence_number if self.sequence_number is None else self.sequence_number
        key.seal(memoryview(wire), 0, 4 + len(body), number)
        sealer.sequence_number = (sealer.sequence_number + 1) & 0xFFFFFFFF
        wire[-1] ^= self.tag_mask
        return bytes(wire)


def smallest_padding(sealer: Sealer, payload_bytes: int) -> int:
    """How much padding a payload of that size needs under the present key: at least 4 bytes (RFC 4253 §6)."""
    key = sealer._key
    size = payload_bytes + (5 if key.length_is_aligned else 1)
    padding = -size % key.alignment
    return padding if padding >= 4 else padding + key.alignment
