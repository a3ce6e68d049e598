"""Public key files: the one line of OpenSSH, the text of RFC 4716 ("SSH2 PUBLIC KEY"), and PEM (SubjectPublicKeyInfo, PKCS#1).

They are read from anybody, so the text is bounded in every direction before anything is made of it: the file, each line, each header and
how many of them. Header lines that we do not know are kept; what matters of them is the comment only.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterator, Sequence
from enum import Enum

import attrs
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from ..errors import DecodeError, KeyFileError, printable
from .blobs import check_blob, encode_blob
from .files import Path, read_regular_file, write_public_file
from .key import PublicKey, one_line
from .lines import entry_lines, read_base64
from .own_types import OwnPublicKey
from .security_keys import SecurityPublicKey

PUBLIC_KEY_FILE_BYTES_MAX = 64 * 1024
LINE_BYTES_MAX = 16 * 1024
HEADERS_MAX = 64
HEADER_TAG_BYTES_MAX = 64  # RFC 4716 §3.3
HEADER_VALUE_BYTES_MAX = 1024

_BEGIN = b"---- BEGIN SSH2 PUBLIC KEY ----"
_END = b"---- END SSH2 PUBLIC KEY ----"
_LINE_BYTES = 72  # RFC 4716 §3.1, for what we write
_BODY_CHARACTERS = 70
_LINE_END = re.compile(rb"\r\n|\n|\r")  # RFC 4716 §3.1: any of them
_TAG = re.compile(rb"[\x21-\x39\x3b-\x7e]{1,64}")


class PublicKeyFormat(Enum):
    """How a public key file is written; the names are those of ``ssh-keygen -m``."""

    OPENSSH = "OPENSSH"
    """One line, as in ``.pub`` files and authorized_keys."""
    RFC4716 = "RFC4716"
    """The text that other SSH programs exchange."""
    PKCS8 = "PKCS8"
    """PEM with a SubjectPublicKeyInfo (RFC 5280), of an RSA, ECDSA, Ed25519 or Ed448 key."""
    PEM = "PEM"
    """PEM with the PKCS#1 form of an RSA key; of an ECDSA key, which has none, as PKCS8. None of others."""


@attrs.frozen
class CommentedPublicKey:
    """A public key and what stands with it. `headers` are those of RFC 4716 but for the comment: tag and value, in their order."""

    key: PublicKey
    comment: str = ""
    headers: tuple[tuple[str, str], ...] = ()

    @classmethod
    def from_file(cls, path: Path) -> CommentedPublicKey:
        """Read a regular file of up to 64 KiB. Raises `KeyFileError` that names it."""
        content = read_regular_file(path, PUBLIC_KEY_FILE_BYTES_MAX)
        try:
            return cls.from_bytes(content)
        except KeyFileError as error:
            raise KeyFileError(f"{printable(os.fspath(path))}: {error}", path=os.fspath(path)) from None

    @classmethod
    def from_bytes(cls, data: bytes) -> CommentedPublicKey:
        """Read the content of such a file: whichever of the formats it has. Raises `KeyFileError` (without a path)."""
        try:
            return _read(data)
        except DecodeError as error:
            raise KeyFileError(f"not a public key: {error}") from None

    def to_bytes(self, form: PublicKeyFormat = PublicKeyFormat.OPENSSH) -> bytes:
        """The content of a file; only RFC 4716 keeps `headers`, and PEM no comment either.

        Raises `KeyFileError` if a key of this type has no such form.
        """
        if form is PublicKeyFormat.OPENSSH:
            return self.key.to_openssh_line(self.comment).encode("utf-8", "backslashreplace") + b"\n"
        if form is PublicKeyFormat.RFC4716:
            return _write_rfc4716(self)
        return _write_pem(self.key, form)

    def write_file(self, path: Path, form: PublicKeyFormat = PublicKeyFormat.OPENSSH, *, replace: bool = True) -> None:
        """Put the file in place in one step, readable by all as far as the umask lets. Raises `KeyFileError`."""
        write_public_file(path, self.to_bytes(form), replace=replace)


def _read(data: bytes) -> CommentedPublicKey:
    if len(data) > PUBLIC_KEY_FILE_BYTES_MAX:
        raise DecodeError(f"the text is larger than {PUBLIC_KEY_FILE_BYTES_MAX} bytes")
    lines = [line.rstrip(b" \t") for line in _LINE_END.split(data.removeprefix(b"\xef\xbb\xbf"))]
    if _BEGIN in lines or _END in lines:
        return _read_rfc4716(lines)
    if any(line.startswith(b"-----BEGIN ") for line in lines):  # behind the start of a line it may be a comment
        return CommentedPublicKey(_read_pem(data))
    return _read_line(data)


def _read_line(data: bytes) -> CommentedPublicKey:
    """The first line that is neither empty nor a comment; there must be no other."""
    lines = list(entry_lines(data, LINE_BYTES_MAX))
    if len(lines) != 1:
        raise DecodeError("there is no key in it" if not lines else "there is more than one line in it; leave one key only")
    _, text, reason = lines[0]
    if reason:
        raise DecodeError(reason)
    line = text.decode("utf-8", "backslashreplace")
    fields = line.replace("\t", " ").split(" ")
    words = [field for field in fields if field]
    comment = line.split(words[1], 1)[1].strip(" \t") if len(words) > 2 else ""
    return CommentedPublicKey(PublicKey.from_openssh_line(line), comment)


def _read_rfc4716(all_lines: Sequence[bytes]) -> CommentedPublicKey:
    lines = iter(_content_lines(all_lines))
    headers: list[tuple[str, str]] = []
    body = bytearray()
    for line in lines:
        if body or b":" not in line:
            body += line.strip(b" \t")
        elif len(headers) == HEADERS_MAX:
            raise DecodeError(f"it has more than {HEADERS_MAX} header lines")
        else:
            headers.append(_read_header(line, lines))
    try:
        blob = read_base64(bytes(body))
    except ValueError:
        raise DecodeError("the base64 text of the key is malformed") from None
    comments = [value for tag, value in headers if tag.lower() == "comment"]
    others = tuple(header for header in headers if header[0].lower() != "comment")
    return CommentedPublicKey(PublicKey.from_blob(blob), _unquoted(comments[0]) if comments else "", others)


def _content_lines(lines: Sequence[bytes]) -> Sequence[bytes]:
    """The lines between the markers."""
    start, end = _only(lines, _BEGIN), _only(lines, _END)
    if start > end or any(lines[:start]) or any(lines[end + 1 :]):
        raise DecodeError("something stands before its BEGIN line or behind its END line; leave one key only")
    content = lines[start + 1 : end]
    if any(len(line) > HEADER_VALUE_BYTES_MAX + HEADER_TAG_BYTES_MAX + 2 for line in content):
        raise DecodeError("a line is far longer than the 72 bytes that are allowed")
    return content


def _only(lines: Sequence[bytes], marker: bytes) -> int:
    if lines.count(marker) != 1:
        raise DecodeError(f"it must have one line {marker.decode()!r}, and has {lines.count(marker)}")
    return lines.index(marker)


def _read_header(line: bytes, more: Iterator[bytes]) -> tuple[str, str]:
    tag, value = line.split(b":", 1)
    while value.endswith(b"\\"):  # §3.3.3: the value goes on in the next line
        value = value[:-1] + next(more, b"")
        if len(value) > HEADER_VALUE_BYTES_MAX + 1:
            break
    value = value.removeprefix(b" ")
    if not _TAG.fullmatch(tag) or len(value) > HEADER_VALUE_BYTES_MAX:
        raise DecodeError("a header line is malformed or too long")
    return tag.decode("ascii"), value.decode("utf-8", "backslashreplace")


def _unquoted(text: str) -> str:
    """§3.3.2: quotes around a comment do not belong to it."""
    return text[1:-1] if len(text) >= 2 and text[0] == text[-1] == '"' else text


def _write_rfc4716(file: CommentedPublicKey) -> bytes:
    lines = [_BEGIN]
    if file.comment:
        lines += _header_lines("Comment", f'"{one_line(file.comment)}"')
    for tag, value in file.headers:
        lines += _header_lines(tag, one_line(value))
    body = base64.b64encode(file.key.blob)
    lines += [body[start : start + _BODY_CHARACTERS] for start in range(0, len(body), _BODY_CHARACTERS)]
    return b"\n".join([*lines, _END, b""])


def _header_lines(tag: str, value: str) -> list[bytes]:
    """One header in lines of 72 bytes at most, each but the last ending in a backslash; no character is cut in two."""
    if not _TAG.fullmatch(tag.encode("utf-8", "replace")) or len(value.encode()) > HEADER_VALUE_BYTES_MAX or value.endswith("\\"):
        raise KeyFileError(f"the header {printable(tag, 64)!r} cannot be written: its tag or its value is too long or malformed")
    lines = [bytearray(f"{tag}: ".encode())]
    for character in value:
        encoded = character.encode()
        if len(lines[-1]) + len(encoded) > _LINE_BYTES - 1:
            lines[-1] += b"\\"
            lines.append(bytearray())
        lines[-1] += encoded
    if _BEGIN in lines or _END in lines:
        raise KeyFileError(f"the header {printable(tag, 64)!r} cannot be written: a line of it looks like the end of the key")
    return [bytes(line) for line in lines]


def _read_pem(data: bytes) -> PublicKey:
    if b"PRIVATE KEY-----" in data:
        raise DecodeError("it is a private key; give the file of the public one, mostly that with .pub")
    try:
        key = load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm):
        raise DecodeError("its PEM text is damaged or of a kind of key that is not supported") from None
    if not isinstance(key, (ed25519.Ed25519PublicKey, ed448.Ed448PublicKey, ec.EllipticCurvePublicKey, rsa.RSAPublicKey)):
        raise DecodeError("its type of key is not supported")
    return PublicKey.from_blob(encode_blob(key))


def _write_pem(key: PublicKey, form: PublicKeyFormat) -> bytes:
    maths = check_blob(key.blob)[1]()
    if form is PublicKeyFormat.PEM and isinstance(maths, rsa.RSAPublicKey):
        return maths.public_bytes(Encoding.PEM, PublicFormat.PKCS1)
    none = form is PublicKeyFormat.PEM and not isinstance(maths, ec.EllipticCurvePublicKey)
    if none or isinstance(maths, (SecurityPublicKey, OwnPublicKey)):
        raise KeyFileError(f"a key of type {key.algorithm} cannot be written in this format: {form.value}")
    return maths.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
