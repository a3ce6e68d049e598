"""A stream of cipher blocks with a MAC beside it (RFC 4253 §6.3-6.4, RFC 4344 §4, RFC 6668), in the two orders there are.

Encrypt-then-MAC (``-etm@openssh.com``): packet_length is in clear; the tag covers it and the encrypted rest, and is checked before anything
is decrypted. Encrypt-and-MAC (RFC 4253 §6.4): packet_length is encrypted with the rest; the tag covers the packet in clear. Both
cover the sequence number. The cipher context lives as long as its key: the counter, or CBC's last block, runs on from packet to packet.

Of the 28 µs that 32 KiB cost with aes-ctr and hmac-sha2-256, the HMAC takes 23; a copy of the keyed HMAC costs half as much as a new one.
"""

from __future__ import annotations

import struct
from hmac import compare_digest
from typing import Protocol

import attrs
from cryptography.hazmat.primitives.ciphers import CipherContext

from ..errors import IntegrityError

_uint32 = struct.Struct(">I")
_pack_uint32 = _uint32.pack
_unpack_uint32 = _uint32.unpack_from


class CipherStream(Protocol):
    """One direction of a cipher under one key, running on from packet to packet; `CipherContext` of a stream mode is one."""

    def update_into(self, data: memoryview, target: memoryview, /) -> int:
        """Encrypt or decrypt `data`, whole blocks of it, into `target`, which may be the same memory."""


class KeyedMAC(Protocol):
    """A MAC with its key set; `HMAC` of `cryptography` is one."""

    def copy(self) -> KeyedMAC:
        """A fresh one for the next packet."""

    def update(self, data: bytes | memoryview, /) -> None:
        """Take in more of what is authenticated."""

    def finalize(self) -> bytes:
        """The tag."""


@attrs.frozen
class ChainedStream:
    """A `CipherStream` of a CBC context, whose own `update_into` would want room for one more block."""

    context: CipherContext

    def update_into(self, data: memoryview, target: memoryview, /) -> int:
        """See `CipherStream.update_into`. Raises `IntegrityError` for what is no whole number of blocks: no such packet is sound."""
        done = self.context.update(data)
        if len(done) != len(data):
            raise IntegrityError
        target[:] = done
        return len(done)


def _tag(keyed: KeyedMAC, sequence_number: int, covered: memoryview) -> bytes:
    mac = keyed.copy()
    mac.update(_pack_uint32(sequence_number))
    mac.update(covered)
    return mac.finalize()


@attrs.define(eq=False, repr=False, init=False)
class EncryptThenMacSealingKey:
    """Sending, MAC names that end in ``-etm@openssh.com``; `cipher` encrypts, `mac` is keyed and fresh."""

    alignment: int
    tag_bytes: int
    length_is_aligned: bool
    _cipher: CipherStream
    _mac: KeyedMAC

    def __init__(self, cipher: CipherStream, block_bytes: int, mac: KeyedMAC, tag_bytes: int) -> None:
        self.alignment, self.tag_bytes, self.length_is_aligned = max(8, block_bytes), tag_bytes, False
        self._cipher, self._mac = cipher, mac

    def seal(self, view: memoryview, start: int, end: int, sequence_number: int) -> None:
        """See `SealingKey.seal`."""
        body = view[start + 4 : end]
        self._cipher.update_into(body, body)
        view[end : end + self.tag_bytes] = _tag(self._mac, sequence_number, view[start:end])


@attrs.define(eq=False, repr=False, init=False)
class EncryptThenMacOpeningKey:
    """Receiving, MAC names that end in ``-etm@openssh.com``; `cipher` decrypts, `mac` is keyed and fresh."""

    alignment: int
    tag_bytes: int
    length_is_aligned: bool
    head_bytes: int
    hides_errors: bool
    _cipher: CipherStream
    _mac: KeyedMAC

    def __init__(self, cipher: CipherStream, block_bytes: int, mac: KeyedMAC, tag_bytes: int) -> None:
        self.alignment, self.tag_bytes, self.length_is_aligned = max(8, block_bytes), tag_bytes, False
        self.head_bytes, self.hides_errors = 4, False
        self._cipher, self._mac = cipher, mac

    def packet_length(self, view: memoryview, start: int, sequence_number: int) -> int:
        """See `OpeningKey.packet_length`: it travels in clear."""
        length: int = _unpack_uint32(view, start)[0]
        return length

    def open(self, view: memoryview, start: int, packet_length: int, sequence_number: int) -> None:
        """See `OpeningKey.open`: nothing is decrypted unless the tag is right."""
        end = start + 4 + packet_length
        if not compare_digest(_tag(self._mac, sequence_number, view[start:end]), view[end : end + self.tag_bytes]):
            raise IntegrityError
        body = view[start + 4 : end]
        self._cipher.update_into(body, body)


@attrs.define(eq=False, repr=False, init=False)
class EncryptAndMacSealingKey:
    """Sending, the MACs of RFC 4253 §6.4; `cipher` encrypts, `mac` is keyed and fresh."""

    alignment: int
    tag_bytes: int
    length_is_aligned: bool
    _cipher: CipherStream
    _mac: KeyedMAC

    def __init__(self, cipher: CipherStream, block_bytes: int, mac: KeyedMAC, tag_bytes: int) -> None:
        self.alignment, self.tag_bytes, self.length_is_aligned = max(8, block_bytes), tag_bytes, True
        self._cipher, self._mac = cipher, mac

    def seal(self, view: memoryview, start: int, end: int, sequence_number: int) -> None:
        """See `SealingKey.seal`."""
        packet = view[start:end]
        view[end : end + self.tag_bytes] = _tag(self._mac, sequence_number, packet)
        self._cipher.update_into(packet, packet)


@attrs.define(eq=False, repr=False, init=False)
class EncryptAndMacOpeningKey:
    """Receiving, the MACs of RFC 4253 §6.4; `cipher` decrypts, `mac` is keyed and fresh.

    The length has to be believed before it can be checked. With a counter-mode cipher that tells an attacker only what bits he flipped
    himself, and bounds on packet_length are the caller's. With CBC he can put any block there and learn from the length what it
    decrypts to: `hides_errors` asks the caller not to show it.
    """

    alignment: int
    tag_bytes: int
    length_is_aligned: bool
    head_bytes: int
    hides_errors: bool
    _cipher: CipherStream
    _mac: KeyedMAC

    def __init__(self, cipher: CipherStream, block_bytes: int, mac: KeyedMAC, tag_bytes: int, hides_errors: bool = False) -> None:
        self.alignment, self.tag_bytes, self.length_is_aligned = max(8, block_bytes), tag_bytes, True
        self.head_bytes, self.hides_errors = self.alignment, hides_errors
        self._cipher, self._mac = cipher, mac

    def packet_length(self, view: memoryview, start: int, sequence_number: int) -> int:
        """See `OpeningKey.packet_length`: decrypts the first `head_bytes` of the packet in place."""
        head = view[start : start + self.head_bytes]
        self._cipher.update_into(head, head)
        length: int = _unpack_uint32(head)[0]
        return length

    def open(self, view: memoryview, start: int, packet_length: int, sequence_number: int) -> None:
        """See `OpeningKey.open`: decrypts what `packet_length` left, then checks the tag over the packet in clear."""
        end = start + 4 + packet_length
        rest = view[start + self.head_bytes : end]
        self._cipher.update_into(rest, rest)
        if not compare_digest(_tag(self._mac, sequence_number, view[start:end]), view[end : end + self.tag_bytes]):
            raise IntegrityError
