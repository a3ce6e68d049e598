"""Public keys as bytes and as `cryptography` objects: the blob of RFC 4253 §6.6, RFC 5656 §3.1 and RFC 8709 §4, read strictly.

A hostile key must cost next to nothing, so the type is looked up before anything else is read, and all sizes are compared before any
maths is done.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import attrs
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ..errors import DecodeError, printable
from ..wire.primitives import read_mpint, read_name, read_string, write_mpint, write_name, write_string
from .own_types import OWN_KEY_TYPES, KeyTypeRecipe, OwnPublicKey

RSA_BITS_MIN = 2048
RSA_BITS_MAX = 16384
RSA_EXPONENT_MAX = 1 << 24

ED25519 = "ssh-ed25519"
RSA = "ssh-rsa"

PublicMaths: TypeAlias = ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey | rsa.RSAPublicKey | OwnPublicKey


@attrs.frozen
class Curve:
    """One row of RFC 5656 §10.1: the curve, its name on the wire, and the hash that its size calls for (§6.2.1)."""

    name: str
    maths: ec.EllipticCurve
    hash: hashes.HashAlgorithm

    @property
    def point_bytes(self) -> int:
        """The length of an uncompressed point; no other form is accepted."""
        return 1 + 2 * ((self.maths.key_size + 7) // 8)


CURVES = {
    "ecdsa-sha2-nistp256": Curve("nistp256", ec.SECP256R1(), hashes.SHA256()),
    "ecdsa-sha2-nistp384": Curve("nistp384", ec.SECP384R1(), hashes.SHA384()),
    "ecdsa-sha2-nistp521": Curve("nistp521", ec.SECP521R1(), hashes.SHA512()),
}
KEY_TYPES = (ED25519, *CURVES, RSA)
"""The key types that come with the package; each is also the first string of its blobs."""

_key_type_of_curve = {curve.maths.name: key_type for key_type, curve in CURVES.items()}


def is_key_type(name: str) -> bool:
    """Can keys of this type be used? Those that were registered count."""
    return name in KEY_TYPES or name in OWN_KEY_TYPES


def check_blob(blob: bytes) -> tuple[str, Callable[[], PublicMaths]]:
    """Check the shape and bounds of a public key blob; returns its key type and what builds the key from it.

    Raises `DecodeError`. Whether a point lies on its curve only shows when it is built; that raises `DecodeError` too.
    """
    key_type, offset = read_name(blob, 0)
    if key_type == ED25519:
        return key_type, _check_ed25519(blob, offset)
    if key_type in CURVES:
        return key_type, _check_ecdsa(CURVES[key_type], blob, offset)
    if key_type == RSA:
        return key_type, _check_rsa(blob, offset)
    if recipe := OWN_KEY_TYPES.get(key_type):
        return key_type, _check_own(recipe, blob, offset)
    raise DecodeError(f"key type {printable(key_type, 64)!r} is not supported")


def _check_end(blob: bytes, offset: int) -> None:
    if offset != len(blob):
        raise DecodeError(f"{len(blob) - offset} bytes follow the end of the public key")


def _check_ed25519(blob: bytes, offset: int) -> Callable[[], PublicMaths]:
    raw, offset = read_string(blob, offset)
    _check_end(blob, offset)
    if len(raw) != 32:
        raise DecodeError(f"an ed25519 public key has 32 bytes, not {len(raw)}")
    return lambda: ed25519.Ed25519PublicKey.from_public_bytes(raw)


def _check_ecdsa(curve: Curve, blob: bytes, offset: int) -> Callable[[], PublicMaths]:
    name, offset = read_name(blob, offset)
    point, offset = read_string(blob, offset)
    _check_end(blob, offset)
    if name != curve.name:
        raise DecodeError(f"the key type says {curve.name}, the curve field says {printable(name, 64)!r}")
    if len(point) != curve.point_bytes or point[0] != 4:
        raise DecodeError(f"the point is not an uncompressed one of {curve.name}")

    def build() -> PublicMaths:
        try:
            return ec.EllipticCurvePublicKey.from_encoded_point(curve.maths, point)
        except ValueError:
            raise DecodeError(f"the point is not on the curve {curve.name}") from None

    return build


def _check_rsa(blob: bytes, offset: int) -> Callable[[], PublicMaths]:
    e, offset = read_mpint(blob, offset)
    n, offset = read_mpint(blob, offset)
    _check_end(blob, offset)
    check_rsa_numbers(e, n)
    return lambda: rsa.RSAPublicNumbers(e, n).public_key()


def _check_own(recipe: KeyTypeRecipe, blob: bytes, offset: int) -> Callable[[], PublicMaths]:
    key = OwnPublicKey(recipe, blob[offset:])
    _ = key.key_size  # the recipe checks the key where it measures it
    return lambda: key


def check_rsa_numbers(e: int, n: int) -> None:
    """Raise `DecodeError` unless exponent and modulus are within the bounds that we work with (and not absurd)."""
    bits = n.bit_length()
    if n <= 0 or not RSA_BITS_MIN <= bits <= RSA_BITS_MAX:
        raise DecodeError(f"an RSA modulus must have {RSA_BITS_MIN} to {RSA_BITS_MAX} bits, not {bits}")
    if not 3 <= e <= RSA_EXPONENT_MAX or e % 2 == 0:
        raise DecodeError("an RSA exponent must be odd and between 3 and 2^24")
    if n % 2 == 0:
        raise DecodeError("an RSA modulus cannot be even")


def encode_blob(key: PublicMaths) -> bytes:
    """The blob of a key of one of our `KEY_TYPES`; a curve outside of them raises `DecodeError`."""
    out = bytearray()
    if isinstance(key, ed25519.Ed25519PublicKey):
        write_name(out, ED25519)
        write_string(out, key.public_bytes(Encoding.Raw, PublicFormat.Raw))
    elif isinstance(key, rsa.RSAPublicKey):
        numbers = key.public_numbers()
        write_name(out, RSA)
        write_mpint(out, numbers.e)
        write_mpint(out, numbers.n)
    elif isinstance(key, OwnPublicKey):
        write_name(out, key.recipe.name)
        out += key.public
    else:
        key_type = _key_type_of_curve.get(key.curve.name)
        if key_type is None:
            raise DecodeError(f"the curve {key.curve.name} is not supported")
        write_name(out, key_type)
        write_name(out, CURVES[key_type].name)
        write_string(out, key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint))
    return bytes(out)
