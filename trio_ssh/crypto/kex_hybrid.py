"""Post-quantum hybrids: ML-KEM (FIPS 203) and an elliptic curve side by side (draft-ietf-sshm-mlkem-hybrid-kex).

The client sends an encapsulation key followed by its curve share, the server a ciphertext followed by its own. K is the hash of both
secrets, so it is safe as long as either half is, and it is encoded as a string, not an mpint.
"""

from __future__ import annotations

import hashlib
from functools import partial

from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey

from ..errors import KeyExchangeError
from .kex_ecdh import start_x25519
from .kex_share import ClientShare, string_secret

MLKEM768_KEY_BYTES = 1184  # FIPS 203 §8, table 3
MLKEM768_CIPHERTEXT_BYTES = 1088
_X25519_BYTES = 32


def start_mlkem768_x25519() -> ClientShare:
    """The client's half: C_INIT of 1184 + 32 bytes, to be finished with an S_REPLY of 1088 + 32."""
    private, curve_share = MLKEM768PrivateKey.generate(), start_x25519()
    return ClientShare(private.public_key().public_bytes_raw() + curve_share.public, partial(_finish, private, curve_share))


def _finish(private: MLKEM768PrivateKey, curve_share: ClientShare, server_public: bytes) -> bytes:
    ciphertext, curve_public = _split(server_public, MLKEM768_CIPHERTEXT_BYTES, "S_REPLY")
    curve_secret = curve_share.finish(curve_public)
    # A ciphertext of the right length always decapsulates; a forged one gives a secret nobody else has (FIPS 203 §6.3).
    return _combine(private.decapsulate(ciphertext), curve_secret)


def respond_mlkem768_x25519(client_public: bytes) -> tuple[bytes, bytes]:
    """The server's half: (S_REPLY, K) for the client's C_INIT."""
    key_bytes, curve_public = _split(client_public, MLKEM768_KEY_BYTES, "C_INIT")
    curve_share = start_x25519()
    curve_secret = curve_share.finish(curve_public)
    try:
        encapsulation_key = MLKEM768PublicKey.from_public_bytes(key_bytes)
    except ValueError:  # a coefficient of q or more: the modulus check of FIPS 203 §7.2
        raise KeyExchangeError("the peer's ML-KEM-768 key is not canonical") from None
    kem_secret, ciphertext = encapsulation_key.encapsulate()
    return ciphertext + curve_share.public, _combine(kem_secret, curve_secret)


def _split(share: bytes, kem_bytes: int, name: str) -> tuple[bytes, bytes]:
    if len(share) != kem_bytes + _X25519_BYTES:
        raise KeyExchangeError(f"{name} of mlkem768x25519-sha256 has {len(share)} bytes instead of {kem_bytes + _X25519_BYTES}")
    return share[:kem_bytes], share[kem_bytes:]


def _combine(kem_secret: bytes, curve_secret: bytes) -> bytes:
    return string_secret(hashlib.sha256(kem_secret + curve_secret).digest())
