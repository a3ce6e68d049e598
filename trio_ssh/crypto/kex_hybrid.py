"""The post-quantum hybrids: ML-KEM (FIPS 203) and an elliptic curve side by side (RFC 10042).

The client sends an encapsulation key followed by its curve share (C_PK2 || C_PK1), the server a ciphertext followed by its own
(S_CT2 || S_PK1). K is the hash of both secrets, ML-KEM's first (§2.4), so it is safe as long as either half is, and it is encoded as a
string, not an mpint. The curve's secret goes in as raw bytes: for a NIST curve the x coordinate at the width of the field.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial
from typing import Protocol

import attrs
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.mlkem import (
    MLKEM768PrivateKey,
    MLKEM768PublicKey,
    MLKEM1024PrivateKey,
    MLKEM1024PublicKey,
)

from ..errors import KeyExchangeError
from .kex_ecdh import start_nist, start_x25519
from .kex_share import ClientShare, StartFunction, string_secret


class _EncapsulationKey(Protocol):
    def encapsulate(self) -> tuple[bytes, bytes]: ...


class _DecapsulationKey(Protocol):
    def decapsulate(self, ciphertext: bytes) -> bytes: ...


@attrs.frozen
class _KEM:
    """One parameter set of FIPS 203: its sizes are those of §8, table 3. `generate` gives a key and its public half's bytes."""

    name: str
    key_bytes: int
    ciphertext_bytes: int
    generate: Callable[[], tuple[_DecapsulationKey, bytes]]
    read_key: Callable[[bytes], _EncapsulationKey]


def _generate768() -> tuple[_DecapsulationKey, bytes]:
    private = MLKEM768PrivateKey.generate()
    return private, private.public_key().public_bytes_raw()


def _generate1024() -> tuple[_DecapsulationKey, bytes]:
    private = MLKEM1024PrivateKey.generate()
    return private, private.public_key().public_bytes_raw()


_MLKEM768 = _KEM("ML-KEM-768", 1184, 1088, _generate768, MLKEM768PublicKey.from_public_bytes)
_MLKEM1024 = _KEM("ML-KEM-1024", 1568, 1568, _generate1024, MLKEM1024PublicKey.from_public_bytes)


@attrs.frozen
class Hybrid:
    """One method: a KEM, a curve whose shares have `curve_bytes`, and the hash that makes K of their secrets."""

    kem: _KEM
    curve_bytes: int
    start_curve: StartFunction
    hash_name: str

    def start_client(self) -> ClientShare:
        """The client's half: C_INIT, to be finished with an S_REPLY."""
        private, key_bytes = self.kem.generate()
        curve_share = self.start_curve()
        return ClientShare(key_bytes + curve_share.public, partial(self._finish, private, curve_share))

    def _finish(self, private: _DecapsulationKey, curve_share: ClientShare, server_public: bytes) -> bytes:
        ciphertext, curve_public = self._split(server_public, self.kem.ciphertext_bytes, "S_REPLY")
        curve_secret = curve_share.finish(curve_public)
        # A ciphertext of the right length always decapsulates; a forged one gives a secret nobody else has (FIPS 203 §6.3).
        return self._combine(private.decapsulate(ciphertext), curve_secret)

    def respond(self, client_public: bytes) -> tuple[bytes, bytes]:
        """The server's half: (S_REPLY, K) for the client's C_INIT."""
        key_bytes, curve_public = self._split(client_public, self.kem.key_bytes, "C_INIT")
        curve_share = self.start_curve()
        curve_secret = curve_share.finish(curve_public)
        try:
            encapsulation_key = self.kem.read_key(key_bytes)
        except ValueError:  # a coefficient of q or more: the modulus check of FIPS 203 §7.2
            raise KeyExchangeError(f"the peer's {self.kem.name} key is not canonical") from None
        kem_secret, ciphertext = encapsulation_key.encapsulate()
        return ciphertext + curve_share.public, self._combine(kem_secret, curve_secret)

    def _split(self, share: bytes, kem_bytes: int, name: str) -> tuple[bytes, bytes]:
        size = kem_bytes + self.curve_bytes
        if len(share) != size:
            raise KeyExchangeError(f"{name} of the hybrid key exchange with {self.kem.name} has {len(share)} bytes instead of {size}")
        return share[:kem_bytes], share[kem_bytes:]

    def _combine(self, kem_secret: bytes, curve_secret: bytes) -> bytes:
        return string_secret(hashlib.new(self.hash_name, kem_secret + curve_secret).digest())


MLKEM768_X25519 = Hybrid(_MLKEM768, 32, start_x25519, "sha256")
MLKEM768_NISTP256 = Hybrid(_MLKEM768, 65, partial(start_nist, ec.SECP256R1()), "sha256")
MLKEM1024_NISTP384 = Hybrid(_MLKEM1024, 97, partial(start_nist, ec.SECP384R1()), "sha384")
