"""The SSH forms of signatures: RFC 8332 §3 for RSA, RFC 5656 §3.1.2 for ECDSA, RFC 8709 §6 for Ed25519 and Ed448,
PROTOCOL.u2f for security keys.

A signature blob is ``string algorithm, string signature``. The algorithm in it must be the one that was negotiated or declared, and that
must belong to the key's type: nothing is ever deduced from the blob. SHA-1 (``ssh-rsa``) is neither made nor accepted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from ..crypto.registry import check_private_name
from ..errors import DecodeError, LocalProtocolError, printable
from ..wire.primitives import read_mpint, read_name, read_string, write_mpint, write_name, write_string
from .blobs import CURVES, ED448, ED25519, RSA, PlainMaths, PublicMaths, curve_of
from .own_types import OWN_KEY_TYPES, KeyTypeRecipe, OwnPrivateKey, OwnPublicKey
from .security_keys import (
    SECURITY_KEY_TYPES,
    SK_ECDSA,
    SK_ED25519,
    WEBAUTHN_SK_ECDSA,
    SecurityKeyNeeded,
    SecurityPrivateKey,
    SecurityPublicKey,
    decode_security_signature,
)

PrivateMaths: TypeAlias = (
    ed25519.Ed25519PrivateKey
    | ed448.Ed448PrivateKey
    | ec.EllipticCurvePrivateKey
    | rsa.RSAPrivateKey
    | SecurityPrivateKey
    | OwnPrivateKey
)

SIGNATURE_ALGORITHMS: dict[str, tuple[str, ...]] = {
    ED25519: (ED25519,),
    **{key_type: (key_type,) for key_type in CURVES},
    SK_ED25519: (SK_ED25519,),
    SK_ECDSA: (SK_ECDSA, WEBAUTHN_SK_ECDSA),
    RSA: ("rsa-sha2-512", "rsa-sha2-256"),
    ED448: (ED448,),
}
"""Key type -> the signature algorithms that such a key proposes, best first; `register_key_type` adds to it."""

LEGACY_SIGNATURE_ALGORITHMS: dict[str, tuple[str, ...]] = {RSA: ("ssh-rsa",)}
"""Key type -> the signature algorithms that such a key can be used with when they are named, but never proposes (hardening B13)."""

DEFAULT_USER_KEY_ALGORITHMS = tuple(name for names in SIGNATURE_ALGORITHMS.values() for name in names)
"""Signature algorithms of user keys, in the order in which they are preferred."""

DEFAULT_HOST_KEY_ALGORITHMS = tuple(
    name for key_type, names in SIGNATURE_ALGORITHMS.items() if key_type not in SECURITY_KEY_TYPES for name in names
)
"""Likewise of host keys. Security keys can be host keys, but only where they are named: hardly a server waits for a touch."""

KEY_TYPE_OF_ALGORITHM = {
    name: key_type for table in (SIGNATURE_ALGORITHMS, LEGACY_SIGNATURE_ALGORITHMS) for key_type, names in table.items() for name in names
}
"""Signature algorithm -> the key type that it needs, legacy and registered ones included."""

_rsa_hashes: dict[str, hashes.HashAlgorithm] = {
    "rsa-sha2-256": hashes.SHA256(),
    "rsa-sha2-512": hashes.SHA512(),
    "ssh-rsa": hashes.SHA1(),
}
_ED25519_SIGNATURE_BYTES = 64
_ED448_SIGNATURE_BYTES = 114


def supported_signature_algorithms() -> tuple[str, ...]:
    """All there are, legacy and registered ones included: what may be named, not what is offered."""
    return tuple(KEY_TYPE_OF_ALGORITHM)


def register_key_type(recipe: KeyTypeRecipe) -> None:
    """Make a key type of your own known, for host keys and user keys. Raises `LocalProtocolError` for a bad name or one in use."""
    check_private_name("key type", recipe.name, SIGNATURE_ALGORITHMS)
    if not recipe.algorithms or len(set(recipe.algorithms)) != len(recipe.algorithms):
        raise LocalProtocolError(f"{recipe.name}: `algorithms` must name at least one signature algorithm, and none twice")
    for algorithm in recipe.algorithms:
        check_private_name("signature algorithm", algorithm, KEY_TYPE_OF_ALGORITHM)
    OWN_KEY_TYPES[recipe.name] = recipe
    SIGNATURE_ALGORITHMS[recipe.name] = recipe.algorithms
    KEY_TYPE_OF_ALGORITHM.update(dict.fromkeys(recipe.algorithms, recipe.name))


def prefer_key_types(algorithms: Sequence[str], key_types: Sequence[str]) -> tuple[str, ...]:
    """`algorithms` with those for any of `key_types` first, otherwise in their order: what a client offers a host it knows."""
    return tuple(sorted(algorithms, key=lambda name: KEY_TYPE_OF_ALGORITHM.get(name) not in key_types))


def encode_signature(algorithm: str, raw: bytes) -> bytes:
    """Put a bare signature into a signature blob."""
    out = bytearray()
    write_name(out, algorithm)
    write_string(out, raw)
    return bytes(out)


def decode_signature(algorithm: str, blob: bytes) -> bytes:
    """The bare signature in `blob`; `DecodeError` unless the blob is whole, exact and says `algorithm`."""
    named, offset = read_name(blob, 0)
    raw, offset = read_string(blob, offset)
    if offset != len(blob):
        raise DecodeError(f"{len(blob) - offset} bytes follow the end of the signature")
    if named != algorithm:
        raise DecodeError(f"the signature is of {printable(named, 64)!r}, not of {algorithm}")
    return raw


def make_signature(key: PrivateMaths, algorithm: str, data: bytes) -> bytes:
    """Sign `data`: a signature blob. The caller has checked that `algorithm` fits the key.

    Raises `SecurityKeyNeeded` for a security key: what is here of it cannot sign.
    """
    if isinstance(key, SecurityPrivateKey):
        raise SecurityKeyNeeded("the private key is in a security key, which is asked through an agent: add it there with ssh-add")
    if isinstance(key, (ed25519.Ed25519PrivateKey, ed448.Ed448PrivateKey)):
        return encode_signature(algorithm, key.sign(data))
    if isinstance(key, OwnPrivateKey):
        return encode_signature(algorithm, key.recipe.sign(key.private, algorithm, data))
    if isinstance(key, rsa.RSAPrivateKey):
        return encode_signature(algorithm, key.sign(data, padding.PKCS1v15(), _rsa_hashes[algorithm]))
    r, s = decode_dss_signature(key.sign(data, ec.ECDSA(curve_of(key).hash)))
    raw = bytearray()
    write_mpint(raw, r)
    write_mpint(raw, s)
    return encode_signature(algorithm, bytes(raw))


def check_signature(key: PublicMaths, algorithm: str, blob: bytes, data: bytes) -> bool:
    """Does the signature blob hold for `data`? A blob of the wrong form raises `DecodeError`.

    The caller has checked that `algorithm` fits the key. Of a security key, what its flags say is not judged (see `security_key_use`).
    """
    if isinstance(key, SecurityPublicKey):
        signature = decode_security_signature(algorithm, blob)
        return _holds(key.maths, algorithm, signature.raw, signature.signed_data(key.application, data))
    if isinstance(key, OwnPublicKey):
        return key.holds(algorithm, decode_signature(algorithm, blob), data)
    return _holds(key, algorithm, decode_signature(algorithm, blob), data)


def _holds(key: PlainMaths, algorithm: str, raw: bytes, data: bytes) -> bool:
    try:
        _verify(key, algorithm, raw, data)
    except InvalidSignature:
        return False
    return True


def _verify(key: PlainMaths, algorithm: str, raw: bytes, data: bytes) -> None:
    if isinstance(key, ed25519.Ed25519PublicKey):
        _check_length(raw, _ED25519_SIGNATURE_BYTES)
        key.verify(raw, data)  # refuses S >= L (RFC 8032 §5.1.7)
    elif isinstance(key, ed448.Ed448PublicKey):
        _check_length(raw, _ED448_SIGNATURE_BYTES)
        key.verify(raw, data)  # likewise (§5.2.7)
    elif isinstance(key, rsa.RSAPublicKey):
        _check_length(raw, (key.key_size + 7) // 8)
        key.verify(raw, data, padding.PKCS1v15(), _rsa_hashes[algorithm])
    else:
        key.verify(_dss_form(key.curve.group_order, raw), data, ec.ECDSA(curve_of(key).hash))


def _check_length(raw: bytes, length: int) -> None:
    if len(raw) != length:
        raise DecodeError(f"the signature has {len(raw)} bytes, not {length}")


def _dss_form(order: int, raw: bytes) -> bytes:
    r, offset = read_mpint(raw, 0)
    s, offset = read_mpint(raw, offset)
    if offset != len(raw):
        raise DecodeError(f"{len(raw) - offset} bytes follow r and s of the signature")
    if not (0 < r < order and 0 < s < order):
        raise DecodeError("r or s of the signature is out of range")
    return encode_dss_signature(r, s)
