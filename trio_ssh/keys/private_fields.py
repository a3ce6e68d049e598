"""The fields of a private key behind each other, as they stand in OpenSSH's private key files (PROTOCOL.key) and in what an agent is given
(PROTOCOL.agent, draft-miller-ssh-agent §3.2): the key type, the public fields, the private ones.

The reader trusts no field: what a key needs is derived from the private numbers, and the caller compares the public key.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from ..errors import DecodeError, printable
from ..wire.primitives import (
    read_byte,
    read_mpint,
    read_name,
    read_string,
    write_byte,
    write_mpint,
    write_name,
    write_string,
)
from .blobs import CURVES, ED448, ED25519, RSA, Curve, build_security_key, encode_blob
from .own_types import OWN_KEY_TYPES, KeyTypeRecipe, OwnPrivateKey
from .private_rsa import make_rsa_key
from .security_keys import SECURITY_KEY_TYPES, SecurityPrivateKey
from .signature import PrivateMaths


def read_private_fields(data: bytes, offset: int) -> tuple[PrivateMaths, int]:
    """The key whose fields start at `offset`, and where they end. Raises `DecodeError`."""
    start = offset
    key_type, offset = read_name(data, offset)
    if key_type == ED25519:
        raw, offset = _read_edwards("ed25519", 32, data, offset)
        return ed25519.Ed25519PrivateKey.from_private_bytes(raw), offset
    if key_type == ED448:
        raw, offset = _read_edwards("ed448", 57, data, offset)
        return ed448.Ed448PrivateKey.from_private_bytes(raw), offset
    if key_type in CURVES:
        return _read_ecdsa(CURVES[key_type], data, offset)
    if key_type == RSA:
        return _read_rsa(data, offset)
    if key_type in SECURITY_KEY_TYPES:
        return _read_security_key(data, start)
    if recipe := OWN_KEY_TYPES.get(key_type):
        return _read_own(recipe, data, offset)
    raise DecodeError(f"key type {printable(key_type, 64)!r} is not supported")


def _read_edwards(name: str, length: int, data: bytes, offset: int) -> tuple[bytes, int]:
    public, offset = read_string(data, offset)
    pair, offset = read_string(data, offset)
    if len(pair) != 2 * length or pair[length:] != public:
        raise DecodeError(f"its {name} fields do not fit together")
    return pair[:length], offset


def _read_ecdsa(curve: Curve, data: bytes, offset: int) -> tuple[PrivateMaths, int]:
    name, offset = read_name(data, offset)
    _, offset = read_string(data, offset)  # the point; the caller compares the whole public key
    scalar, offset = read_mpint(data, offset)
    if name != curve.name or not 0 < scalar < curve.maths.group_order:
        raise DecodeError("its curve name or private number is out of range")
    return ec.derive_private_key(scalar, curve.maths), offset


def _read_rsa(data: bytes, offset: int) -> tuple[PrivateMaths, int]:
    numbers = []
    for _ in range(6):  # n, e, d, 1/q mod p, p, q
        number, offset = read_mpint(data, offset)
        numbers.append(number)
    n, e, d, iqmp, p, q = numbers
    return make_rsa_key(n=n, e=e, d=d, p=p, q=q, iqmp=iqmp), offset


def _read_security_key(data: bytes, offset: int) -> tuple[PrivateMaths, int]:
    """Its public fields are those of the blob, and all that there is to check."""
    public, offset = build_security_key(data, offset)
    flags, offset = read_byte(data, offset)
    handle, offset = read_string(data, offset)
    reserved, offset = read_string(data, offset)
    return SecurityPrivateKey(public, flags, handle, reserved), offset


def _read_own(recipe: KeyTypeRecipe, data: bytes, offset: int) -> tuple[PrivateMaths, int]:
    _, offset = read_string(data, offset)  # the public half; the caller compares the whole public key
    private, offset = read_string(data, offset)
    return OwnPrivateKey(recipe, private), offset


def write_private_fields(out: bytearray, key: PrivateMaths) -> None:
    """What `read_private_fields` reads."""
    if isinstance(key, OwnPrivateKey):
        write_name(out, key.recipe.name)
        write_string(out, key.public_key().public)
        write_string(out, key.private)
    elif isinstance(key, rsa.RSAPrivateKey):
        public = key.public_key().public_numbers()
        write_name(out, RSA)
        write_mpint(out, public.n)  # the other way round than in a public key
        write_mpint(out, public.e)
        _write_secrets(out, key)
    else:
        out += encode_blob(key.public_key())
        _write_secrets(out, key)


def write_certified_fields(out: bytearray, key: PrivateMaths, certificate_type: str, certificate_blob: bytes) -> None:
    """The same of a key with a certificate, as agents take it: the certificate stands for the public fields, or for most of them."""
    write_name(out, certificate_type)
    write_string(out, certificate_blob)
    if isinstance(key, (ed25519.Ed25519PrivateKey, ed448.Ed448PrivateKey)):
        write_string(out, key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))
    elif isinstance(key, SecurityPrivateKey):
        if isinstance(key.public.maths, ed25519.Ed25519PublicKey):
            write_string(out, key.public.maths.public_bytes(Encoding.Raw, PublicFormat.Raw))
        write_string(out, key.public.application.encode())
    elif isinstance(key, OwnPrivateKey):
        write_string(out, key.public_key().public)
        write_string(out, key.private)
        return
    _write_secrets(out, key)


def _write_secrets(out: bytearray, key: PrivateMaths) -> None:
    """What stands behind the public fields."""
    if isinstance(key, (ed25519.Ed25519PrivateKey, ed448.Ed448PrivateKey)):
        public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        write_string(out, key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption()) + public)
    elif isinstance(key, ec.EllipticCurvePrivateKey):
        write_mpint(out, key.private_numbers().private_value)
    elif isinstance(key, rsa.RSAPrivateKey):
        numbers = key.private_numbers()
        for number in (numbers.d, numbers.iqmp, numbers.p, numbers.q):
            write_mpint(out, number)
    elif isinstance(key, SecurityPrivateKey):
        write_byte(out, key.flags)
        write_string(out, key.handle)
        write_string(out, key.reserved)
