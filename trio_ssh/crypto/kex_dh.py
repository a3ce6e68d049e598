"""Finite-field Diffie-Hellman over the fixed groups of RFC 3526 (RFC 4253 §8, RFC 8268). The secrets given here are raw bytes.

OpenSSL does the maths in constant time and picks exponents of twice the group's strength: 225 bits for group 14, 325 for group 16.
"""

from __future__ import annotations

import warnings

# cryptography warns that it will drop these groups one day. What peers to talk to is this package's user's decision, by way of the
# algorithm lists, so the warning is not passed on. It comes with taking the names, that is, here and only once.
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from cryptography.hazmat.primitives.asymmetric.dh import DHParameterNumbers, DHPrivateKey, DHPublicNumbers

from ..errors import KeyExchangeError
from ..wire.primitives import mpint_bytes
from .kex_share import ClientShare

_GENERATOR = 2
_SET_BITS_MIN = 4  # RFC 8268 §4


def _prime(digits: str) -> int:
    return int.from_bytes(bytes.fromhex(digits), "big")


GROUP14_PRIME = _prime(  # RFC 3526 §3
    """
    FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B302B0A6DF25F1437
    4FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7EDEE386BFB5A899FA5AE9F24117C4B1FE649286651ECE45B3DC2007CB8A163BF05
    98DA48361C55D39A69163FA8FD24CF5F83655D23DCA3AD961C62F356208552BB9ED529077096966D670C354E4ABC9804F1746C08CA18217C32905E462E36CE3B
    E39E772C180E86039B2783A2EC07A28FB5C55DF06F4C52C9DE2BCBF6955817183995497CEA956AE515D2261898FA051015728E5A8AACAA68FFFFFFFFFFFFFFFF
    """
)
GROUP16_PRIME = _prime(  # RFC 3526 §5
    """
    FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B302B0A6DF25F1437
    4FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7EDEE386BFB5A899FA5AE9F24117C4B1FE649286651ECE45B3DC2007CB8A163BF05
    98DA48361C55D39A69163FA8FD24CF5F83655D23DCA3AD961C62F356208552BB9ED529077096966D670C354E4ABC9804F1746C08CA18217C32905E462E36CE3B
    E39E772C180E86039B2783A2EC07A28FB5C55DF06F4C52C9DE2BCBF6955817183995497CEA956AE515D2261898FA051015728E5A8AAAC42DAD33170D04507A33
    A85521ABDF1CBA64ECFB850458DBEF0A8AEA71575D060C7DB3970F85A6E1E4C7ABF5AE8CDB0933D71E8C94E04A25619DCEE3D2261AD2EE6BF12FFA06D98A0864
    D87602733EC86A64521F2B18177B200CBBE117577A615D6C770988C0BAD946E208E24FA074E5AB3143DB5BFCE0FD108E4B82D120A92108011A723C12A787E6D7
    88719A10BDBA5B2699C327186AF4E23C1A946834B6150BDA2583E9CA2AD44CE8DBBBC2DB04DE8EF92E8EFC141FBECAA6287C59474E6BC05D99B2964FA090C3A2
    233BA186515BE7ED1F612970CEE2D7AFB81BDD762170481CD0069127D5B05AA993B4EA988D8FDDC186FFB7DC90A6C08F4DF435C934063199FFFFFFFFFFFFFFFF
    """
)


def start_dh(prime: int) -> ClientShare:
    """A share with a fresh key: `public` holds the bytes of the mpint e or f, without its length, and so must the peer's."""
    return dh_share(generate_dh_key(prime))


def generate_dh_key(prime: int) -> DHPrivateKey:
    """A fresh private key for the group of `prime`."""
    return DHParameterNumbers(prime, _GENERATOR).parameters().generate_private_key()


def dh_share(private: DHPrivateKey) -> ClientShare:
    """The share of a given key; its secret is as wide as the prime."""
    own = private.public_key().public_numbers()
    return ClientShare(mpint_bytes(own.y), lambda peer_public: _agree(private, own.parameter_numbers, peer_public))


def _agree(private: DHPrivateKey, numbers: DHParameterNumbers, peer_public: bytes) -> bytes:
    peer = DHPublicNumbers(_public_value(peer_public, numbers.p), numbers).public_key()
    try:
        return private.exchange(peer)
    except ValueError:
        raise KeyExchangeError("the peer's Diffie-Hellman public value is invalid") from None


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
