"""Elliptic-curve Diffie-Hellman: curve25519, curve448 (RFC 8731) and the NIST curves (RFC 5656 §4). The secrets here are raw bytes."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDH,
    EllipticCurve,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.x448 import X448PrivateKey, X448PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from ..errors import KeyExchangeError
from .kex_share import ClientShare

_UNCOMPRESSED = 4  # SEC 1 §2.3.3


def start_x25519() -> ClientShare:
    """A share with a fresh key: public values and the secret have 32 bytes each."""
    return x25519_share(X25519PrivateKey.generate())


def x25519_share(private: X25519PrivateKey) -> ClientShare:
    """The share of a given key."""
    return ClientShare(private.public_key().public_bytes_raw(), lambda peer_public: _agree_x25519(private, peer_public))


def _agree_x25519(private: X25519PrivateKey, peer_public: bytes) -> bytes:
    try:
        # ValueError stands for a wrong length, and for the all-zero secret that points of low order lead to (RFC 8731 §3).
        return private.exchange(X25519PublicKey.from_public_bytes(peer_public))
    except ValueError:
        raise KeyExchangeError("the peer's curve25519 public value is invalid: wrong length or a point of low order") from None


def start_x448() -> ClientShare:
    """A share with a fresh key: public values and the secret have 56 bytes each."""
    return x448_share(X448PrivateKey.generate())


def x448_share(private: X448PrivateKey) -> ClientShare:
    """The share of a given key."""
    return ClientShare(private.public_key().public_bytes_raw(), lambda peer_public: _agree_x448(private, peer_public))


def _agree_x448(private: X448PrivateKey, peer_public: bytes) -> bytes:
    try:
        return private.exchange(X448PublicKey.from_public_bytes(peer_public))  # ValueError as for curve25519
    except ValueError:
        raise KeyExchangeError("the peer's curve448 public value is invalid: wrong length or a point of low order") from None


def start_nist(curve: EllipticCurve) -> ClientShare:
    """A share with a fresh key: public values are uncompressed points, the secret is the x coordinate at the width of the field."""
    return nist_share(generate_private_key(curve))


def nist_share(private: EllipticCurvePrivateKey) -> ClientShare:
    """The share of a given key."""
    numbers = private.public_key().public_numbers()
    width = _coordinate_bytes(private.curve)
    point = bytes([_UNCOMPRESSED]) + numbers.x.to_bytes(width, "big") + numbers.y.to_bytes(width, "big")
    return ClientShare(point, lambda peer_public: _agree_nist(private, peer_public))


def _agree_nist(private: EllipticCurvePrivateKey, peer_public: bytes) -> bytes:
    curve = private.curve
    if len(peer_public) != 1 + 2 * _coordinate_bytes(curve) or peer_public[0] != _UNCOMPRESSED:
        raise KeyExchangeError(f"the peer's public value is not an uncompressed point of {curve.name}")
    try:
        return private.exchange(ECDH(), EllipticCurvePublicKey.from_encoded_point(curve, peer_public))
    except ValueError:
        raise KeyExchangeError(f"the peer's public value is not a point on {curve.name}") from None


def _coordinate_bytes(curve: EllipticCurve) -> int:
    return (curve.key_size + 7) // 8
