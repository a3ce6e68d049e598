"""The private key file format of OpenSSH ("openssh-key-v1", PROTOCOL.key): reading and writing, with the comment.

The container names a cipher and a key derivation, carries one public key in clear, and a section that starts with the same random number
twice, so that a wrong passphrase shows. Whoever made the file chose the derivation's cost, so that is judged before any of it is spent.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Callable
from typing import TypeAlias

import attrs
import bcrypt
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ..errors import DecodeError, printable
from ..wire.primitives import (
    read_name,
    read_rest,
    read_string,
    read_text,
    read_uint32,
    write_name,
    write_string,
    write_text,
    write_uint32,
)
from .blobs import check_blob, encode_blob
from .files import Source
from .private_fields import read_private_fields, write_private_fields
from .signature import PrivateMaths

LABEL = "OPENSSH PRIVATE KEY"
BCRYPT_ROUNDS_MAX = 2048
BCRYPT_ROUNDS_DEFAULT = 24

_MAGIC = b"openssh-key-v1\0"
_PADDING = bytes(range(1, 256))
_LINE_CHARACTERS = 70

Decrypt: TypeAlias = Callable[[bytes, bytes, bytes, bytes], bytes]
Encrypt: TypeAlias = Callable[[bytes, bytes, bytes], bytes]


def _ctr(key: bytes, iv: bytes, text: bytes, tag: bytes) -> bytes:
    return Cipher(algorithms.AES(key), modes.CTR(iv)).decryptor().update(text)


def _cbc(key: bytes, iv: bytes, text: bytes, tag: bytes) -> bytes:
    return Cipher(algorithms.AES(key), modes.CBC(iv)).decryptor().update(text)


def _gcm(key: bytes, iv: bytes, text: bytes, tag: bytes) -> bytes:
    return AESGCM(key).decrypt(iv, text + tag, None)


def _into_ctr(key: bytes, iv: bytes, text: bytes) -> bytes:
    return Cipher(algorithms.AES(key), modes.CTR(iv)).encryptor().update(text)


def _into_cbc(key: bytes, iv: bytes, text: bytes) -> bytes:
    return Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor().update(text)


def _into_gcm(key: bytes, iv: bytes, text: bytes) -> bytes:
    return AESGCM(key).encrypt(iv, text, None)


@attrs.frozen
class _Protection:
    """A cipher that ``ssh-keygen -Z`` offers. A GCM tag stands behind the encrypted section, not in it; `encrypt` gives both."""

    key_bytes: int
    iv_bytes: int
    tag_bytes: int
    decrypt: Decrypt
    encrypt: Encrypt


_protections = {
    **{f"aes{bits}-ctr": _Protection(bits // 8, 16, 0, _ctr, _into_ctr) for bits in (128, 192, 256)},
    **{f"aes{bits}-cbc": _Protection(bits // 8, 16, 0, _cbc, _into_cbc) for bits in (128, 192, 256)},
    **{f"aes{bits}-gcm@openssh.com": _Protection(bits // 8, 12, 16, _gcm, _into_gcm) for bits in (128, 256)},
}
KEY_CIPHERS = tuple(_protections)
"""What private keys may be encrypted with in OpenSSH's format."""
KEY_CIPHER_DEFAULT = "aes256-ctr"


@attrs.frozen
class _Container:
    cipher: str
    kdf: str
    kdf_options: bytes
    public_blob: bytes
    section: bytes
    rest: bytes


def read_openssh_private(body: bytes, passphrase: bytes | None, source: Source) -> tuple[PrivateMaths, str]:
    """The key and its comment out of a container (the base64 already undone). Raises `KeyFileError` and its kin."""
    try:
        container = _read_container(body)
        check_blob(container.public_blob)
    except DecodeError as error:
        raise source.error(f"the private key cannot be used: {error}") from None
    section = _open_section(container, passphrase, source)
    try:
        return _read_section(section, container.public_blob)
    except DecodeError as error:
        raise source.error(f"the private key is damaged: {error}; restore it from a backup or make a new one") from None


def _read_container(body: bytes) -> _Container:
    if not body.startswith(_MAGIC):
        raise DecodeError("it does not start with the mark of the OpenSSH format")
    cipher, offset = read_name(body, len(_MAGIC))
    kdf, offset = read_name(body, offset)
    kdf_options, offset = read_string(body, offset)
    count, offset = read_uint32(body, offset)
    if count != 1:
        raise DecodeError(f"the file says that it holds {count} keys; one is expected")
    public_blob, offset = read_string(body, offset)
    section, offset = read_string(body, offset)
    rest, _ = read_rest(body, offset)
    return _Container(cipher, kdf, kdf_options, public_blob, section, rest)


def _open_section(container: _Container, passphrase: bytes | None, source: Source) -> bytes:
    if container.cipher == "none" and container.kdf == "none":
        if container.rest:
            raise source.error(f"the private key is damaged: {len(container.rest)} bytes follow its end")
        return container.section
    protection = _protections.get(container.cipher)
    if protection is None or container.kdf != "bcrypt":
        scheme = printable(f"{container.cipher} with {container.kdf}", 128)
        command = f"ssh-keygen -p -Z aes256-ctr -f {source.argument}"
        raise source.error(f"it is encrypted by {scheme}, which is not supported; re-encrypt it with: {command}")
    salt, rounds = _read_kdf_options(container, protection, source)
    if passphrase is None:
        raise source.passphrase_required()
    if not passphrase:
        raise source.wrong_passphrase()
    return _decrypt(container, protection, passphrase, salt, rounds, source)


def _read_kdf_options(container: _Container, protection: _Protection, source: Source) -> tuple[bytes, int]:
    """Salt and rounds; whatever can be seen to be wrong before the costly derivation is refused here."""
    try:
        salt, offset = read_string(container.kdf_options, 0)
        rounds, offset = read_uint32(container.kdf_options, offset)
        if offset != len(container.kdf_options) or not salt:
            raise DecodeError("the bcrypt options are malformed")
        if len(container.rest) != protection.tag_bytes:
            raise DecodeError(f"{len(container.rest)} bytes follow its end, not {protection.tag_bytes}")
        if not container.section or len(container.section) % 16:
            raise DecodeError("the encrypted part is not a whole number of blocks")
    except DecodeError as error:
        raise source.error(f"the private key is damaged: {error}") from None
    if not 1 <= rounds <= BCRYPT_ROUNDS_MAX:
        raise source.error(
            f"it asks for {rounds} bcrypt rounds; 1 to {BCRYPT_ROUNDS_MAX} are accepted; "
            f"if you trust the file, re-encrypt it with: ssh-keygen -p -a 100 -f {source.argument}"
        )
    return salt, rounds


def _decrypt(
    container: _Container, protection: _Protection, passphrase: bytes, salt: bytes, rounds: int, source: Source
) -> bytes:
    size = protection.key_bytes + protection.iv_bytes
    material = bcrypt.kdf(passphrase, salt, size, rounds, ignore_few_rounds=True)
    key, iv = material[: protection.key_bytes], material[protection.key_bytes :]
    try:
        section = protection.decrypt(key, iv, container.section, container.rest)
    except InvalidTag:
        raise source.wrong_passphrase() from None
    if section[:4] != section[4:8]:
        raise source.wrong_passphrase()
    return section


def _read_section(section: bytes, public_blob: bytes) -> tuple[PrivateMaths, str]:
    first, offset = read_uint32(section, 0)
    second, offset = read_uint32(section, offset)
    if first != second:
        raise DecodeError("its two check numbers differ")
    key, offset = read_private_fields(section, offset)
    if encode_blob(key.public_key()) != public_blob:
        raise DecodeError("its private and public parts do not belong together")
    comment, offset = read_text(section, offset)
    padding, _ = read_rest(section, offset)
    if padding != _PADDING[: len(padding)]:
        raise DecodeError("its padding is wrong")
    return key, comment


def write_openssh_private(
    key: PrivateMaths, comment: str, passphrase: bytes | None, rounds: int, cipher: str = KEY_CIPHER_DEFAULT
) -> bytes:
    """The text of a private key file; with a passphrase, `cipher` (one of `KEY_CIPHERS`) under bcrypt, as ssh-keygen does."""
    protection = _protections[cipher]
    out = bytearray(_MAGIC)
    section = _write_section(key, comment, block_bytes=16 if passphrase else 8)
    options = bytearray()
    tag = b""
    if passphrase:
        salt = os.urandom(16)
        write_string(options, salt)
        write_uint32(options, rounds)
        material = bcrypt.kdf(passphrase, salt, protection.key_bytes + protection.iv_bytes, rounds, ignore_few_rounds=True)
        sealed = protection.encrypt(material[: protection.key_bytes], material[protection.key_bytes :], section)
        section, tag = sealed[: len(section)], sealed[len(section) :]
    write_name(out, cipher if passphrase else "none")
    write_name(out, "bcrypt" if passphrase else "none")
    write_string(out, options)
    write_uint32(out, 1)
    write_string(out, encode_blob(key.public_key()))
    write_string(out, section)
    return armour(bytes(out) + tag)


def _write_section(key: PrivateMaths, comment: str, block_bytes: int) -> bytes:
    out = bytearray(os.urandom(4) * 2)
    write_private_fields(out, key)
    write_text(out, comment)
    out += _PADDING[: -len(out) % block_bytes]
    return bytes(out)


def armour(body: bytes) -> bytes:
    text = base64.b64encode(body).decode("ascii")
    lines = [text[start : start + _LINE_CHARACTERS] for start in range(0, len(text), _LINE_CHARACTERS)]
    return "\n".join([f"-----BEGIN {LABEL}-----", *lines, f"-----END {LABEL}-----", ""]).encode("ascii")
