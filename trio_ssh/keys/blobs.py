"""Public keys as bytes and as `cryptography` objects: the blob of RFC 4253 §6.6, RFC 5656 §3.1, RFC 8709 §4
and PROTOCOL.u2f, read strictly.

A hostile key must cost next to nothing, so the type is looked up before anything else is read, and all sizes are compared before any
maths is done.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol, TypeAlias, TypeVar

import attrs
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ..errors import DecodeError, printable
from ..wire.primitives import read_mpint, read_name, read_string, write_mpint, write_name, write_string
from .own_types import OWN_KEY_TYPES, KeyTypeRecipe, OwnPublicKey
from .security_keys import SK_ECDSA, SK_ED25519, SecurityPublicKey, TouchedMaths, read_application

RSA_BITS_MIN = 2048
RSA_BITS_MAX = 16384
RSA_EXPONENT_MAX = 1 << 24

ED25519 = "ssh-ed25519"
ED448 = "ssh-ed448"
RSA = "ssh-rsa"

ED25519_BYTES = 32
ED448_BYTES = 57

PlainMaths: TypeAlias = ed25519.Ed25519PublicKey | ed448.Ed448PublicKey | ec.EllipticCurvePublicKey | rsa.RSAPublicKey
PublicMaths: TypeAlias = PlainMaths | SecurityPublicKey | OwnPublicKey
_Maths = TypeVar("_Maths", covariant=True)


class _Reader(Protocol[_Maths]):
    """Checks what stands in a blob behind the key type; gives what builds the key, and where that ends."""

    def __call__(self, blob: bytes, offset: int, /) -> tuple[Callable[[], _Maths], int]: ...


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
KEY_TYPES = (ED25519, *CURVES, SK_ED25519, SK_ECDSA, RSA, ED448)
"""The key types that come with the package; each is also the first string of its blobs."""

_NISTP256 = CURVES["ecdsa-sha2-nistp256"]
_key_type_of_curve = {curve.maths.name: key_type for key_type, curve in CURVES.items()}


def is_key_type(name: str) -> bool:
    """Can keys of this type be used? Those that were registered count."""
    return name in KEY_TYPES or name in OWN_KEY_TYPES


def needs_building(name: str) -> bool:
    """Does only building a key of this type show whether it is sound: whether its point lies on its curve?"""
    return name in CURVES or name == SK_ECDSA


def curve_of(key: ec.EllipticCurvePublicKey | ec.EllipticCurvePrivateKey) -> Curve:
    """Its row; a curve that has none raises `DecodeError`."""
    key_type = _key_type_of_curve.get(key.curve.name)
    if key_type is None:
        raise DecodeError(f"the curve {key.curve.name} is not supported")
    return CURVES[key_type]


def check_blob(blob: bytes) -> tuple[str, Callable[[], PublicMaths]]:
    """Check the shape and bounds of a public key blob; returns its key type and what builds the key from it.

    Raises `DecodeError`. Whether a point lies on its curve only shows when it is built; that raises `DecodeError` too.
    """
    key_type, offset = read_name(blob, 0)
    reader = _readers.get(key_type)
    if reader is not None:
        build, offset = reader(blob, offset)
        _check_end(blob, offset)
        return key_type, build
    if recipe := OWN_KEY_TYPES.get(key_type):
        return key_type, _check_own(recipe, blob, offset)
    here = " here: it is a certificate" if "-cert-v0" in key_type else ""
    raise DecodeError(f"key type {printable(key_type, 64)!r} is not supported{here}")


def build_security_key(data: bytes, offset: int) -> tuple[SecurityPublicKey, int]:
    """The security key whose public fields start at `offset` of something longer, and where they end. Raises `DecodeError`."""
    key_type, offset = read_name(data, offset)
    read = _security_readers[key_type]
    build, offset = read(data, offset)
    return build(), offset


def _check_end(blob: bytes, offset: int) -> None:
    if offset != len(blob):
        raise DecodeError(f"{len(blob) - offset} bytes follow the end of the public key")


def _read_raw(name: str, length: int, blob: bytes, offset: int) -> tuple[bytes, int]:
    raw, offset = read_string(blob, offset)
    if len(raw) != length:
        raise DecodeError(f"an {name} public key has {length} bytes, not {len(raw)}")
    return raw, offset


def _read_ed25519(blob: bytes, offset: int) -> tuple[Callable[[], ed25519.Ed25519PublicKey], int]:
    raw, offset = _read_raw("ed25519", ED25519_BYTES, blob, offset)
    return lambda: ed25519.Ed25519PublicKey.from_public_bytes(raw), offset


def _read_ed448(blob: bytes, offset: int) -> tuple[Callable[[], ed448.Ed448PublicKey], int]:
    raw, offset = _read_raw("ed448", ED448_BYTES, blob, offset)
    return lambda: ed448.Ed448PublicKey.from_public_bytes(raw), offset


def _read_ecdsa(curve: Curve, blob: bytes, offset: int) -> tuple[Callable[[], ec.EllipticCurvePublicKey], int]:
    name, offset = read_name(blob, offset)
    point, offset = read_string(blob, offset)
    if name != curve.name:
        raise DecodeError(f"the key type says {curve.name}, the curve field says {printable(name, 64)!r}")
    if len(point) != curve.point_bytes or point[0] != 4:
        raise DecodeError(f"the point is not an uncompressed one of {curve.name}")

    def build() -> ec.EllipticCurvePublicKey:
        try:
            return ec.EllipticCurvePublicKey.from_encoded_point(curve.maths, point)
        except ValueError:
            raise DecodeError(f"the point is not on the curve {curve.name}") from None

    return build, offset


def _read_rsa(blob: bytes, offset: int) -> tuple[Callable[[], rsa.RSAPublicKey], int]:
    e, offset = read_mpint(blob, offset)
    n, offset = read_mpint(blob, offset)
    check_rsa_numbers(e, n)
    return lambda: rsa.RSAPublicNumbers(e, n).public_key(), offset


def _read_security(read: _Reader[TouchedMaths], blob: bytes, offset: int) -> tuple[Callable[[], SecurityPublicKey], int]:
    build, offset = read(blob, offset)
    application, offset = read_application(blob, offset)
    return lambda: SecurityPublicKey(build(), application), offset


def _check_own(recipe: KeyTypeRecipe, blob: bytes, offset: int) -> Callable[[], PublicMaths]:
    key = OwnPublicKey(recipe, blob[offset:])
    _ = key.key_size  # the recipe checks the key where it measures it
    return lambda: key


_security_readers: dict[str, _Reader[SecurityPublicKey]] = {
    SK_ED25519: partial(_read_security, _read_ed25519),
    SK_ECDSA: partial(_read_security, partial(_read_ecdsa, _NISTP256)),
}
_readers: dict[str, _Reader[PublicMaths]] = {
    ED25519: _read_ed25519,
    ED448: _read_ed448,
    RSA: _read_rsa,
    **{key_type: partial(_read_ecdsa, curve) for key_type, curve in CURVES.items()},
    **_security_readers,
}


def check_rsa_numbers(e: int, n: int) -> None:
    """Raise `DecodeError` unless exponent and modulus are within the bounds that we work with (and not absurd)."""
    bits = n.bit_length()
    if n <= 0 or not RSA_BITS_MIN <= bits <= RSA_BITS_MAX:
        raise DecodeError(f"an RSA modulus must have {RSA_BITS_MIN} to {RSA_BITS_MAX} bits, not {bits}")
    if not 3 <= e <= RSA_EXPONENT_MAX or e % 2 == 0:
        raise DecodeError("an RSA exponent must be odd and between 3 and 2^24")
    if n % 2 == 0:
        raise DecodeError("an RSA modulus cannot be even")


def bits_of(key: PublicMaths) -> int:
    """The key's size as people state it."""
    if isinstance(key, ed25519.Ed25519PublicKey):
        return 256
    return 456 if isinstance(key, ed448.Ed448PublicKey) else key.key_size


def encode_blob(key: PublicMaths) -> bytes:
    """The blob of a key of one of our `KEY_TYPES`; a curve outside of them raises `DecodeError`."""
    out = bytearray()
    if isinstance(key, SecurityPublicKey):
        write_name(out, SK_ED25519 if isinstance(key.maths, ed25519.Ed25519PublicKey) else SK_ECDSA)
        _write_maths(out, key.maths)
        write_string(out, key.application.encode())
    elif isinstance(key, OwnPublicKey):
        write_name(out, key.recipe.name)
        out += key.public
    else:
        write_name(out, _key_type_of(key))
        _write_maths(out, key)
    return bytes(out)


def _key_type_of(key: PlainMaths) -> str:
    if isinstance(key, ed25519.Ed25519PublicKey):
        return ED25519
    if isinstance(key, ed448.Ed448PublicKey):
        return ED448
    return RSA if isinstance(key, rsa.RSAPublicKey) else f"ecdsa-sha2-{curve_of(key).name}"


def _write_maths(out: bytearray, key: PlainMaths) -> None:
    """What stands in a blob behind the key type."""
    if isinstance(key, rsa.RSAPublicKey):
        numbers = key.public_numbers()
        write_mpint(out, numbers.e)
        write_mpint(out, numbers.n)
    elif isinstance(key, ec.EllipticCurvePublicKey):
        write_name(out, curve_of(key).name)
        write_string(out, key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint))
    else:
        write_string(out, key.public_bytes(Encoding.Raw, PublicFormat.Raw))
