"""What a key for one direction can do, and the two keys that do nothing: those in use before the first NEWKEYS (RFC 4253 §6).

Both work in place on a packet that stands somewhere in a larger buffer: packet_length(4) padding_length(1) payload padding tag. A key is
used by one task only, once for each packet and in the order of the sequence numbers, because several keep a running cipher state.
"""

from __future__ import annotations

import struct
from typing import Protocol

import attrs

_unpack_uint32 = struct.Struct(">I").unpack_from


class SealingKey(Protocol):
    """Encrypts and authenticates our packets."""

    alignment: int
    """Padded packets are a multiple of this many bytes long: max(8, cipher block)."""
    tag_bytes: int
    """How many bytes `seal` writes behind the packet."""
    length_is_aligned: bool
    """Whether the 4 bytes of packet_length count towards the alignment: True but for AEAD ciphers and encrypt-then-MAC."""

    def seal(self, view: memoryview, start: int, end: int, sequence_number: int) -> None:
        """Encrypt the padded packet at ``view[start:end]`` in place and write its tag to ``view[end:end + tag_bytes]``."""


class OpeningKey(Protocol):
    """Checks and decrypts the peer's packets."""

    alignment: int
    tag_bytes: int
    length_is_aligned: bool
    head_bytes: int
    """How many bytes of a packet must be there before its length can be read."""
    hides_errors: bool
    """Whether a wrong length and a wrong tag must look alike from outside, down to the byte at which the connection ends: True where the
    length is decrypted from blocks that an attacker can choose, that is, for CBC with the tag over the packet in clear (hardening A01)."""

    def packet_length(self, view: memoryview, start: int, sequence_number: int) -> int:
        """The packet_length of the packet at `start`, not authenticated yet; to be called exactly once a packet."""

    def open(self, view: memoryview, start: int, packet_length: int, sequence_number: int) -> None:
        """Check the tag and leave ``view[start + 4:start + 4 + packet_length]`` in clear; the tag must be in `view` as well.

        Raises `IntegrityError`: the buffer's contents are then undefined, and the key must not be used again.
        """


@attrs.define(eq=False)
class NoSealingKey:
    """Before the first NEWKEYS: packets leave as they are (RFC 4253 §6)."""

    alignment: int = attrs.field(default=8, init=False)
    tag_bytes: int = attrs.field(default=0, init=False)
    length_is_aligned: bool = attrs.field(default=True, init=False)

    def seal(self, view: memoryview, start: int, end: int, sequence_number: int) -> None:
        """Nothing to do: there is no key yet."""


@attrs.define(eq=False)
class NoOpeningKey:
    """Before the first NEWKEYS: packets arrive in clear (RFC 4253 §6)."""

    alignment: int = attrs.field(default=8, init=False)
    tag_bytes: int = attrs.field(default=0, init=False)
    length_is_aligned: bool = attrs.field(default=True, init=False)
    head_bytes: int = attrs.field(default=4, init=False)
    hides_errors: bool = attrs.field(default=False, init=False)

    def packet_length(self, view: memoryview, start: int, sequence_number: int) -> int:
        """Read it: it is in clear."""
        length: int = _unpack_uint32(view, start)[0]
        return length

    def open(self, view: memoryview, start: int, packet_length: int, sequence_number: int) -> None:
        """Nothing to do: there is no key yet."""
