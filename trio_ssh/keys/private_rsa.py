"""RSA private keys out of their numbers, checked in bounded time.

OpenSSL's own check tests the primes, which takes minutes for numbers of hostile size; ours tests that the numbers fit together. That is
enough: a key whose factors are not prime makes signatures that do not verify, and every signature is verified before it is used.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric import rsa

from ..errors import DecodeError
from .blobs import check_rsa_numbers


def make_rsa_key(*, n: int, e: int, d: int, p: int, q: int, iqmp: int) -> rsa.RSAPrivateKey:
    """Build a key from the numbers of RFC 8017 §3.2; `DecodeError` if they are out of bounds or do not fit together."""
    check_rsa_fit(n=n, e=e, d=d, p=p, q=q)
    if not 0 < iqmp < p or iqmp * q % p != 1:
        raise DecodeError("its RSA numbers do not fit together")
    public = rsa.RSAPublicNumbers(e, n)
    private = rsa.RSAPrivateNumbers(p, q, d, d % (p - 1), d % (q - 1), iqmp, public)
    try:
        return private.private_key(unsafe_skip_rsa_key_validation=True)
    except ValueError:
        raise DecodeError("its RSA numbers do not fit together") from None


def check_rsa_fit(*, n: int, e: int, d: int, p: int, q: int) -> None:
    """Raise `DecodeError` unless n = p·q and e·d = 1 for both factors; sizes are judged before anything is multiplied."""
    check_rsa_numbers(e, n)
    in_range = 1 < p < n and 1 < q < n and 1 < d < n
    if not in_range or p * q != n or e * d % (p - 1) != 1 or e * d % (q - 1) != 1:
        raise DecodeError("its RSA numbers do not fit together")
