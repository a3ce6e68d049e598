"""The AEAD ciphers: AES-GCM (RFC 5647 with OpenSSH's names) and chacha20-poly1305@openssh.com (OpenSSH's PROTOCOL.chacha20poly1305).

Hot path. What a packet of 32 KiB costs (2 shared virtual cores, Python 3.11, cryptography 50):

    AES-GCM, all of seal() or open()                4 µs, of which 3 are the cipher
    chacha20-poly1305, all of seal() or open()     17 µs: ChaCha20 6.6, Poly1305 5.9, the rest is six calls
    a slice of a memoryview                        0.1 µs
    a new ChaCha20 context                         about 3 µs, so both are kept for the life of the key

AES-GCM: packet_length is sent in clear and authenticated. The nonce is 4 fixed bytes and a 64-bit counter of packets that starts where
key derivation says, so it never repeats under one key; the sequence number takes no part (RFC 5647 §7.1).

chacha20-poly1305: two keys of 256 bits. K_2, the first in the key material, encrypts the packet and K_1, the second, its length, both under
the sequence number as nonce. Block 0 of K_2's stream keys Poly1305 and the packet is encrypted from block 1 on: so one context, reset to
the nonce once, gives both in one run. Poly1305 covers the encrypted length and the encrypted packet. That no sequence number comes twice
under a key is the key budget's doing (2^31 packets at most).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from hmac import compare_digest
from typing import Protocol, TypeAlias

import attrs
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
from cryptography.hazmat.primitives.poly1305 import Poly1305

from ..errors import IntegrityError

GCM_IV_BYTES = 12
CHACHA_KEY_BYTES = 64  # K_2 for the packet, then K_1 for its length
_TAG_BYTES = 16
_UINT64_MAX = 0xFFFFFFFFFFFFFFFF

_unpack_uint32 = struct.Struct(">I").unpack_from
_uint64 = struct.Struct(">Q")
_pack_uint64_into = _uint64.pack_into
_pack_chacha_nonce = struct.Struct(">QQ").pack  # block counter 0, then the sequence number
_poly1305 = Poly1305.generate_tag
_ZERO_BLOCK = bytes(64)

IntoFunction: TypeAlias = Callable[[bytearray, memoryview, memoryview, memoryview], int]
"""``(nonce, data, authenticated_data, target)``: data and target may be the same memory."""


class AEADCipher(Protocol):
    """An AEAD of `cryptography` under one key, with nonces of 12 bytes and tags of 16 behind the ciphertext."""

    @property
    def encrypt_into(self) -> IntoFunction:
        """Encrypts; the target has room for the tag."""

    @property
    def decrypt_into(self) -> IntoFunction:
        """Decrypts ciphertext and tag, or raises `InvalidTag`."""


@attrs.define(eq=False, repr=False, init=False)
class AESGCMSealingKey:
    """aes128-gcm@openssh.com and aes256-gcm@openssh.com, sending: `key` of 16 or 32 bytes, `iv` of 12.

    `cipher` is another AEAD for an algorithm of one's own.
    """

    alignment: int
    tag_bytes: int
    length_is_aligned: bool
    _encrypt_into: IntoFunction
    _nonce: bytearray
    _counter: int

    def __init__(self, key: bytes, iv: bytes, cipher: Callable[[bytes], AEADCipher] = AESGCM) -> None:
        self.alignment, self.tag_bytes, self.length_is_aligned = 16, _TAG_BYTES, False
        self._encrypt_into = cipher(key).encrypt_into
        self._nonce, self._counter = _gcm_nonce(iv)

    def seal(self, view: memoryview, start: int, end: int, sequence_number: int) -> None:
        """See `SealingKey.seal`."""
        counter = self._counter
        _pack_uint64_into(self._nonce, 4, counter)
        self._counter = (counter + 1) & _UINT64_MAX
        body = start + 4
        self._encrypt_into(self._nonce, view[body:end], view[start:body], view[body : end + 16])


@attrs.define(eq=False, repr=False, init=False)
class AESGCMOpeningKey:
    """aes128-gcm@openssh.com and aes256-gcm@openssh.com, receiving: `key` of 16 or 32 bytes, `iv` of 12.

    `cipher` is another AEAD for an algorithm of one's own.
    """

    alignment: int
    tag_bytes: int
    length_is_aligned: bool
    head_bytes: int
    hides_errors: bool
    _decrypt_into: IntoFunction
    _nonce: bytearray
    _counter: int

    def __init__(self, key: bytes, iv: bytes, cipher: Callable[[bytes], AEADCipher] = AESGCM) -> None:
        self.alignment, self.tag_bytes, self.length_is_aligned, self.head_bytes = 16, _TAG_BYTES, False, 4
        self.hides_errors = False
        self._decrypt_into = cipher(key).decrypt_into
        self._nonce, self._counter = _gcm_nonce(iv)

    def packet_length(self, view: memoryview, start: int, sequence_number: int) -> int:
        """See `OpeningKey.packet_length`: it travels in clear."""
        length: int = _unpack_uint32(view, start)[0]
        return length

    def open(self, view: memoryview, start: int, packet_length: int, sequence_number: int) -> None:
        """See `OpeningKey.open`."""
        counter = self._counter
        _pack_uint64_into(self._nonce, 4, counter)
        self._counter = (counter + 1) & _UINT64_MAX
        body = start + 4
        end = body + packet_length
        try:
            self._decrypt_into(self._nonce, view[body : end + 16], view[start:body], view[body:end])
        except InvalidTag:
            raise IntegrityError from None


def _gcm_nonce(iv: bytes) -> tuple[bytearray, int]:
    if len(iv) != GCM_IV_BYTES:
        raise ValueError("AES-GCM takes an IV of 12 bytes")
    return bytearray(iv), _uint64.unpack_from(iv, 4)[0]


@attrs.define(eq=False, repr=False, init=False)
class ChaChaSealingKey:
    """chacha20-poly1305@openssh.com, sending: `key` of 64 bytes; it takes no IV."""

    alignment: int
    tag_bytes: int
    length_is_aligned: bool
    _head_stream: CipherContext
    _body_stream: CipherContext
    _block: bytearray
    _poly_key: memoryview

    def __init__(self, key: bytes, iv: bytes = b"") -> None:
        self.alignment, self.tag_bytes, self.length_is_aligned = 8, _TAG_BYTES, False
        self._body_stream, self._head_stream = _chacha_streams(key)
        self._block = bytearray(64)
        self._poly_key = memoryview(self._block)[:32]

    def seal(self, view: memoryview, start: int, end: int, sequence_number: int) -> None:
        """See `SealingKey.seal`."""
        nonce = _pack_chacha_nonce(0, sequence_number)
        head = view[start : start + 4]
        body = view[start + 4 : end]
        head_stream = self._head_stream
        head_stream.reset_nonce(nonce)
        head_stream.update_into(head, head)
        body_stream = self._body_stream
        body_stream.reset_nonce(nonce)
        body_stream.update_into(_ZERO_BLOCK, self._block)
        body_stream.update_into(body, body)
        view[end : end + 16] = _poly1305(self._poly_key, view[start:end])


@attrs.define(eq=False, repr=False, init=False)
class ChaChaOpeningKey:
    """chacha20-poly1305@openssh.com, receiving: `key` of 64 bytes; it takes no IV."""

    alignment: int
    tag_bytes: int
    length_is_aligned: bool
    head_bytes: int
    hides_errors: bool
    _head_stream: CipherContext
    _body_stream: CipherContext
    _block: bytearray
    _poly_key: memoryview

    def __init__(self, key: bytes, iv: bytes = b"") -> None:
        self.alignment, self.tag_bytes, self.length_is_aligned, self.head_bytes = 8, _TAG_BYTES, False, 4
        self.hides_errors = False
        self._body_stream, self._head_stream = _chacha_streams(key)
        self._block = bytearray(64)
        self._poly_key = memoryview(self._block)[:32]

    def packet_length(self, view: memoryview, start: int, sequence_number: int) -> int:
        """See `OpeningKey.packet_length`; the 4 bytes stay encrypted in the buffer, since the tag covers them so."""
        head_stream = self._head_stream
        head_stream.reset_nonce(_pack_chacha_nonce(0, sequence_number))
        return int.from_bytes(head_stream.update(view[start : start + 4]), "big")

    def open(self, view: memoryview, start: int, packet_length: int, sequence_number: int) -> None:
        """See `OpeningKey.open`: nothing is decrypted unless the tag is right."""
        end = start + 4 + packet_length
        body_stream = self._body_stream
        body_stream.reset_nonce(_pack_chacha_nonce(0, sequence_number))
        body_stream.update_into(_ZERO_BLOCK, self._block)
        if not compare_digest(_poly1305(self._poly_key, view[start:end]), view[end : end + 16]):
            raise IntegrityError
        body = view[start + 4 : end]
        body_stream.update_into(body, body)


def _chacha_streams(key: bytes) -> tuple[CipherContext, CipherContext]:
    if len(key) != CHACHA_KEY_BYTES:
        raise ValueError("chacha20-poly1305@openssh.com takes a key of 64 bytes")
    no_nonce = bytes(16)  # every packet resets it
    body, head = (Cipher(ChaCha20(half, no_nonce), mode=None).encryptor() for half in (key[:32], key[32:]))
    return body, head
