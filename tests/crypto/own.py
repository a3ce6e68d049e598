"""Algorithms of a user's own, one or more of each kind, made of what `cryptography` has and SSH has no name for."""

from __future__ import annotations

import bz2
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import attrs
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey, Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCMSIV
from cryptography.hazmat.primitives.ciphers.algorithms import AES, ChaCha20
from cryptography.hazmat.primitives.cmac import CMAC

from trio_ssh import algorithms
from trio_ssh.crypto.compression import COMPRESSIONS
from trio_ssh.crypto.kex import KEX
from trio_ssh.crypto.suites import AEAD_CIPHERS, CIPHERS, MACS
from trio_ssh.errors import CompressionError, DecodeError, IntegrityError, KeyExchangeError
from trio_ssh.keys.own_types import OWN_KEY_TYPES
from trio_ssh.keys.signature import KEY_TYPE_OF_ALGORITHM, SIGNATURE_ALGORITHMS
from trio_ssh.wire.primitives import read_string, write_string

TABLES: list[dict[str, Any]] = [KEX, AEAD_CIPHERS, CIPHERS, MACS, COMPRESSIONS, OWN_KEY_TYPES, SIGNATURE_ALGORITHMS, KEY_TYPE_OF_ALGORITHM]


@contextmanager
def tables_put_back() -> Iterator[None]:
    """What is registered inside is forgotten behind it: other tests must not see it."""
    before = [dict(table) for table in TABLES]
    try:
        yield
    finally:
        for table, content in zip(TABLES, before, strict=True):
            table.clear()
            table.update(content)


# -- key exchange -----------------------------------------------------------------------------------------------------------------------


def start_x25519() -> algorithms.ClientShare:
    private = X25519PrivateKey.generate()

    def finish(peer_public: bytes) -> bytes:
        try:
            return private.exchange(X25519PublicKey.from_public_bytes(peer_public))
        except ValueError:
            raise KeyExchangeError("the peer's public value is invalid") from None

    return algorithms.ClientShare(private.public_key().public_bytes_raw(), finish)


KEX_RECIPE = algorithms.symmetric_kex("x25519-sha3-256@example.com", "sha3_256", start_x25519)

# -- ciphers ----------------------------------------------------------------------------------------------------------------------------

GCM_SIV = algorithms.counter_nonce_aead("aes256-gcm-siv@example.com", 32, AESGCMSIV, byte_ceiling=1 << 36)


@attrs.define(eq=False)
class CCMKey:
    """AES-CCM with a tag of 8 bytes and the sequence number for a nonce: both halves written out, as for a cipher like no other."""

    cipher: AESCCM
    alignment: int = 16
    tag_bytes: int = 8
    length_is_aligned: bool = False
    head_bytes: int = 4
    hides_errors: bool = False

    def seal(self, view: memoryview, start: int, end: int, sequence_number: int) -> None:
        nonce, body = struct.pack(">5xQ", sequence_number), start + 4
        view[body : end + 8] = self.cipher.encrypt(nonce, bytes(view[body:end]), bytes(view[start:body]))

    def packet_length(self, view: memoryview, start: int, sequence_number: int) -> int:
        return int.from_bytes(view[start : start + 4], "big")

    def open(self, view: memoryview, start: int, packet_length: int, sequence_number: int) -> None:
        nonce, body, end = struct.pack(">5xQ", sequence_number), start + 4, start + 4 + packet_length
        try:
            view[body:end] = self.cipher.decrypt(nonce, bytes(view[body : end + 8]), bytes(view[start:body]))
        except InvalidTag:
            raise IntegrityError from None


def ccm_key(key: bytes, iv: bytes) -> CCMKey:
    return CCMKey(AESCCM(key, tag_length=8))


CCM = algorithms.AEADRecipe("aes128-ccm-8@example.com", 16, 0, 1 << 36, ccm_key, ccm_key)


def chacha20(key: bytes, iv: bytes) -> algorithms.CipherStream:
    return Cipher(ChaCha20(key, iv), mode=None).encryptor()


STREAM = algorithms.CipherRecipe("chacha20-stream@example.com", 32, 16, 1, 1 << 30, chacha20, chacha20)

# -- MACs -------------------------------------------------------------------------------------------------------------------------------

HMAC_SHA3 = algorithms.hmac_recipe("hmac-sha3-256@example.com", hashes.SHA3_256(), covers_ciphertext=False)


def cmac(key: bytes) -> algorithms.KeyedMAC:
    return cast("algorithms.KeyedMAC", CMAC(AES(key)))  # it takes a memoryview; only its types say that it does not


CMAC_AES = algorithms.MACRecipe("cmac-aes128-etm@example.com", 16, 16, True, cmac)

# -- compression ------------------------------------------------------------------------------------------------------------------------


@attrs.frozen
class Bzip2:
    """Each packet by itself."""

    def compress(self, payload: bytes | memoryview) -> bytes:
        return bz2.compress(payload)

    def decompress(self, payload: bytes | memoryview, bytes_max: int) -> bytes:
        stream = bz2.BZ2Decompressor()
        try:
            inflated = stream.decompress(payload, bytes_max + 1)
        except (OSError, ValueError):
            raise CompressionError("the peer's packet is no bzip2 stream") from None
        if not inflated or len(inflated) > bytes_max or not stream.eof or stream.unused_data:
            raise CompressionError("the peer's bzip2 packet is of the wrong size")
        return inflated


BZIP2 = algorithms.CompressionRecipe("bzip2@example.com", True, Bzip2, Bzip2)
BZIP2_AT_ONCE = algorithms.CompressionRecipe("bzip2-at-once@example.com", False, Bzip2, Bzip2)

# -- key types --------------------------------------------------------------------------------------------------------------------------


def _ed448_bits(public: bytes) -> int:
    raw, end = read_string(public, 0)
    if end != len(public) or len(raw) != 57:
        raise DecodeError("an ed448 public key has 57 bytes")
    Ed448PublicKey.from_public_bytes(raw)
    return 456


def _ed448_public(private: bytes) -> bytes:
    out = bytearray()
    write_string(out, Ed448PrivateKey.from_private_bytes(private).public_key().public_bytes_raw())
    return bytes(out)


def _ed448_sign(private: bytes, algorithm: str, data: bytes) -> bytes:
    return Ed448PrivateKey.from_private_bytes(private).sign(data)


def _ed448_verify(public: bytes, algorithm: str, signature: bytes, data: bytes) -> bool:
    try:
        Ed448PublicKey.from_public_bytes(public[4:]).verify(signature, data)
    except InvalidSignature:
        return False
    return True


ED448 = algorithms.KeyTypeRecipe(
    name="ed448@example.com",
    algorithms=("ed448@example.com",),
    bits=_ed448_bits,
    generate=lambda: Ed448PrivateKey.generate().private_bytes_raw(),
    public_of=_ed448_public,
    sign=_ed448_sign,
    verify=_ed448_verify,
)


def register_all() -> None:
    algorithms.register_kex(KEX_RECIPE)
    for cipher in (GCM_SIV, CCM, STREAM):
        algorithms.register_cipher(cipher)
    for mac in (HMAC_SHA3, CMAC_AES):
        algorithms.register_mac(mac)
    for compression in (BZIP2, BZIP2_AT_ONCE):
        algorithms.register_compression(compression)
    algorithms.register_key_type(ED448)
