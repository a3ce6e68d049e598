"""Finite-field Diffie-Hellman (RFC 4253 §8, RFC 8268, RFC 4419). The secrets given here are raw bytes, as wide as the prime.

In the groups of RFC 3526 OpenSSL does the maths, in constant time, and picks exponents of twice the group's strength: 225 bits in group 14,
325 in group 16. A key or a secret takes 0.4 ms in group 14, 1.7 ms in group 16 and 8 ms in group 18 (2 shared virtual cores, cryptography
50), with the interpreter's lock held.

Any other group comes from a group exchange. OpenSSL would first prove such a prime, anew for each number that it is handed with: 0.3 s at
2048 bits, 34 s at 8192. So the powers are taken here, with an exponent of 512 bits, twice the strength of any cipher's key, which is used
for one exchange and forgotten: 6 ms at 2048 bits, 12 ms at 3072, 80 ms at 8192, in small steps.
"""

from __future__ import annotations

import secrets
import warnings

# cryptography warns that it will drop these groups one day. What peers to talk to is this package's user's decision, by way of the
# algorithm lists, so the warning is not passed on. It comes with taking the names, that is, here and only once.
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from cryptography.hazmat.primitives.asymmetric.dh import DHParameterNumbers, DHPrivateKey, DHPublicNumbers

from ..errors import KeyExchangeError
from ..wire.primitives import mpint_bytes
from .dh_primes import GROUP14_PRIME, GROUP15_PRIME, GROUP16_PRIME, GROUP17_PRIME, GROUP18_PRIME
from .kex_share import ClientShare
from .modular import power

KNOWN_PRIMES = frozenset([GROUP14_PRIME, GROUP15_PRIME, GROUP16_PRIME, GROUP17_PRIME, GROUP18_PRIME])
"""With 2 for a generator, the groups that OpenSSL knows by name."""

EXPONENT_BITS = 512
_GENERATOR = 2
_SET_BITS_MIN = 4  # RFC 8268 §4


def start_dh(prime: int) -> ClientShare:
    """A share in a group of RFC 3526: `public` holds the bytes of the mpint e or f, without its length, and so must the peer's."""
    return dh_share(generate_dh_key(prime))


def generate_dh_key(prime: int) -> DHPrivateKey:
    """A fresh private key for the group of RFC 3526 with that prime."""
    return DHParameterNumbers(prime, _GENERATOR).parameters().generate_private_key()


def dh_share(private: DHPrivateKey) -> ClientShare:
    """The share of a given key."""
    own = private.public_key().public_numbers()
    return ClientShare(mpint_bytes(own.y), lambda peer_public: _agree(private, own.parameter_numbers, peer_public))


def _agree(private: DHPrivateKey, numbers: DHParameterNumbers, peer_public: bytes) -> bytes:
    peer = DHPublicNumbers(_public_value(peer_public, numbers.p), numbers).public_key()
    try:
        return private.exchange(peer)
    except ValueError:
        raise KeyExchangeError("the peer's Diffie-Hellman public value is invalid") from None


def start_dh_in_group(prime: int, generator: int) -> ClientShare:
    """As `start_dh`, in any group whose numbers have been checked: see `group_exchange`."""
    if prime in KNOWN_PRIMES and generator == _GENERATOR:
        return start_dh(prime)
    return dh_share_in_group(prime, generator, generate_exponent())


def generate_exponent() -> int:
    """A fresh private exponent for a group without a name; it has exactly `EXPONENT_BITS`."""
    return secrets.randbits(EXPONENT_BITS - 1) | 1 << (EXPONENT_BITS - 1)


def dh_share_in_group(prime: int, generator: int, exponent: int) -> ClientShare:
    """The share of a given exponent."""
    public = power(generator, exponent, prime)
    return ClientShare(mpint_bytes(public), lambda peer_public: _agree_in_group(prime, exponent, peer_public))


def _agree_in_group(prime: int, exponent: int, peer_public: bytes) -> bytes:
    secret = power(_public_value(peer_public, prime), exponent, prime)
    if not 1 < secret < prime - 1:
        raise KeyExchangeError("the peer's Diffie-Hellman public value gives a trivial secret")
    return secret.to_bytes((prime.bit_length() + 7) // 8, "big")


def _public_value(share: bytes, prime: int) -> int:
    """The peer's e or f, if it is one that RFC 4253 §8 and RFC 8268 §4 allow."""
    if len(share) > len(mpint_bytes(prime)):  # before any arithmetic on it
        raise KeyExchangeError("the peer's Diffie-Hellman public value is longer than the group's prime")
    value = int.from_bytes(share, "big", signed=True)
    if mpint_bytes(value) != share:
        raise KeyExchangeError("the peer's Diffie-Hellman public value is not an mpint in its shortest form")
    if not 1 < value < prime - 1 or value.bit_count() < _SET_BITS_MIN:
        raise KeyExchangeError("the peer's Diffie-Hellman public value is out of range or trivial")
    return value
