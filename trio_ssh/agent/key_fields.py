"""Private keys as they are given to an agent (RFC 9987 §5.2): the key type and its numbers, alone or behind a certificate.

A plain key has here the form that it has inside a private key file of OpenSSH's ("openssh-key-v1", PROTOCOL.key), so that `PrivateKey`
reads it once that file has been put around the fields. A certificate holds the public fields already; they are left out behind it, as far
as they come first.
"""

from __future__ import annotations

import base64
import textwrap

import attrs

from ..errors import DecodeError, KeyFileError, printable
from ..keys.blobs import is_key_type
from ..keys.certificates import CERTIFICATE_KEY_TYPES, Certificate, CertifiedKey
from ..keys.key import PrivateKey, PublicKey
from ..wire.primitives import read_byte, read_name, read_string, write_name, write_string, write_uint32

_MAGIC = b"openssh-key-v1\0"
_LABEL = "OPENSSH PRIVATE KEY"
_PADDING = bytes(range(1, 8))
_CHECK_NUMBERS = bytes(8)
_EMPTY_COMMENT = bytes(4)


@attrs.frozen
class _Layout:
    """Of one key type: its fields behind the name (``s`` a string or mpint, ``b`` a byte), and where the public ones stand."""

    fields: str
    public: tuple[int, ...]
    """The fields that make the public blob, in the blob's order."""
    in_certificate: int
    """So many of the first fields are left out behind a certificate."""


_ELLIPTIC = _Layout("sss", (0, 1), 2)  # curve, point; scalar
_EDWARDS = _Layout("ss", (0,), 0)  # public; private and public
_layouts = {
    "ssh-ed25519": _EDWARDS,
    "ssh-ed448": _EDWARDS,
    "ecdsa-sha2-nistp256": _ELLIPTIC,
    "ecdsa-sha2-nistp384": _ELLIPTIC,
    "ecdsa-sha2-nistp521": _ELLIPTIC,
    "ssh-rsa": _Layout("ssssss", (1, 0), 2),  # n, e; d, 1/q mod p, p, q
    "sk-ssh-ed25519@openssh.com": _Layout("ssbss", (0, 1), 0),  # public, application; flags, handle, reserved
    "sk-ecdsa-sha2-nistp256@openssh.com": _Layout("sssbss", (0, 1, 2), 2),  # curve, point, application; the same
}
_OWN = _Layout("ss", (0,), 0)


def write_agent_key(out: bytearray, key: PrivateKey | CertifiedKey) -> None:
    """Append a key, or a certificate and its key."""
    if isinstance(key, CertifiedKey):
        out += key.key.certified_agent_fields(key.certificate.algorithm, key.certificate.blob)
    else:
        out += key.agent_fields()


def read_agent_key(data: bytes, offset: int) -> tuple[PrivateKey | CertifiedKey, int]:
    """The key at `offset`, checked as one from a file is. Raises `DecodeError`."""
    named, offset = read_name(data, offset)
    key_type = CERTIFICATE_KEY_TYPES.get(named, named)
    layout = _layout_of(key_type)
    if key_type == named:
        fields, offset = _read_fields(layout.fields, data, offset)
        return _private_key(key_type, layout, fields), offset
    blob, offset = read_string(data, offset)
    certificate = Certificate.from_blob(blob)
    if certificate.algorithm != named:
        raise DecodeError(f"a certificate of type {certificate.algorithm} stands where one of {named} is announced")
    known = _public_fields(layout, certificate.public_key)
    fields, offset = _read_fields(layout.fields[layout.in_certificate :], data, offset)
    key = _private_key(key_type, layout, known[: layout.in_certificate] + fields)
    if key.public_key != certificate.public_key:
        raise DecodeError("a certificate comes with a private key that is not its own")
    return CertifiedKey(key, certificate), offset


def _layout_of(key_type: str) -> _Layout:
    layout = _layouts.get(key_type)
    if layout is None and is_key_type(key_type):
        return _OWN
    if layout is None:
        raise DecodeError(f"key type {printable(key_type, 64)!r} is not supported")
    return layout


def _read_fields(kinds: str, data: bytes, offset: int) -> tuple[list[bytes], int]:
    """Each field's bytes as they stand there, a string's length included."""
    fields = []
    for kind in kinds:
        start = offset
        _, offset = read_string(data, offset) if kind == "s" else read_byte(data, offset)
        fields.append(bytes(data[start:offset]))
    return fields, offset


def _public_fields(layout: _Layout, key: PublicKey) -> list[bytes]:
    """The public fields of a blob, in the order of the private form."""
    _, offset = read_name(key.blob, 0)
    in_blob, _ = _read_fields("s" * len(layout.public), key.blob, offset)
    return [field for _, field in sorted(zip(layout.public, in_blob, strict=True))]


def _public_blob(key_type: str, layout: _Layout, fields: list[bytes]) -> bytes:
    out = bytearray()
    write_name(out, key_type)
    for place in layout.public:
        # The public half of a user's own type is no string in its blob: it is all that follows the name.
        out += fields[place][4:] if layout is _OWN else fields[place]
    return bytes(out)


# --- the file around the fields --------------------------------------------------------------------------------------------------------


def _private_key(key_type: str, layout: _Layout, fields: list[bytes]) -> PrivateKey:
    section = bytearray(_CHECK_NUMBERS)
    write_name(section, key_type)
    section += b"".join(fields) + _EMPTY_COMMENT
    section += _PADDING[: -len(section) % 8]
    body = bytearray(_MAGIC)
    for text in ("none", "none", ""):
        write_name(body, text)
    write_uint32(body, 1)
    write_string(body, _public_blob(key_type, layout, fields))
    write_string(body, section)
    encoded = "\n".join(textwrap.wrap(base64.b64encode(body).decode("ascii"), 70))
    try:
        return PrivateKey.from_bytes(f"-----BEGIN {_LABEL}-----\n{encoded}\n-----END {_LABEL}-----\n".encode("ascii"))
    except KeyFileError as error:
        raise DecodeError(f"a private key that cannot be used: {error}") from None
