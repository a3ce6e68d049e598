"""Private keys written out: in OpenSSH's own format, or in one of the PEM forms that other programs read (`cryptography` writes those)."""

from __future__ import annotations

from enum import Enum

from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)

from ..errors import KeyFileError, printable
from .own_types import OwnPrivateKey
from .private_openssh import BCRYPT_ROUNDS_DEFAULT, BCRYPT_ROUNDS_MAX, KEY_CIPHER_DEFAULT, KEY_CIPHERS, write_openssh_private
from .security_keys import SecurityPrivateKey
from .signature import PrivateMaths

PEM_PASSPHRASE_BYTES_MAX = 1023


class PrivateKeyFormat(Enum):
    """How a private key file is written; the names are those of ``ssh-keygen -m``."""

    OPENSSH = "OPENSSH"
    """For keys of every type, with the comment; a passphrase is stretched by bcrypt. The one to take unless another program needs a PEM."""
    PEM = "PEM"
    """PKCS#1 of an RSA key, SEC1 of an ECDSA key, none of others. A passphrase protects it badly: it is hashed once, by MD5."""
    PKCS8 = "PKCS8"
    """PKCS#8 of an RSA, ECDSA, Ed25519 or Ed448 key; a passphrase is stretched by PBKDF2 with 2048 rounds of SHA-256."""


def export_private(
    key: PrivateMaths,
    comment: str,
    form: PrivateKeyFormat = PrivateKeyFormat.OPENSSH,
    passphrase: str | bytes | None = None,
    rounds: int = BCRYPT_ROUNDS_DEFAULT,
    cipher: str = KEY_CIPHER_DEFAULT,
) -> bytes:
    """The content of a private key file. Only OpenSSH's format has room for `comment`, and uses `rounds` and `cipher`.

    Raises `KeyFileError` if a key of this type cannot be written so, `ValueError` for an empty passphrase, one longer than 1023 bytes in
    PEM, rounds out of 1 to 2048, or a cipher that is none of `KEY_CIPHERS`.
    """
    if passphrase is not None and not passphrase:
        raise ValueError("the passphrase is empty; give None for a file that is not encrypted")
    if not 1 <= rounds <= BCRYPT_ROUNDS_MAX:
        raise ValueError(f"rounds must be 1 to {BCRYPT_ROUNDS_MAX}, not {rounds}")
    if cipher not in KEY_CIPHERS:
        raise ValueError(f"private keys are not encrypted by {printable(cipher, 64)!r}; there are {', '.join(KEY_CIPHERS)}")
    secret = passphrase.encode("utf-8", "surrogateescape") if isinstance(passphrase, str) else passphrase
    if form is PrivateKeyFormat.OPENSSH:
        return write_openssh_private(key, comment, secret, rounds, cipher)
    return _write_pem(key, form, secret)


def _write_pem(key: PrivateMaths, form: PrivateKeyFormat, passphrase: bytes | None) -> bytes:
    if isinstance(key, (SecurityPrivateKey, OwnPrivateKey)):
        raise KeyFileError("a key of this type can be written in OpenSSH's format only")
    encryption = _encryption(passphrase)
    if form is PrivateKeyFormat.PKCS8:
        return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
    if isinstance(key, (ed25519.Ed25519PrivateKey, ed448.Ed448PrivateKey)):
        raise KeyFileError("a key of this type has no PKCS#1 or SEC1 form; write it in OpenSSH's format or as PKCS#8")
    return _write_traditional(key, encryption)


def _write_traditional(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, encryption: KeySerializationEncryption) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, encryption)


def _encryption(passphrase: bytes | None) -> KeySerializationEncryption:
    if passphrase is None:
        return NoEncryption()
    if len(passphrase) > PEM_PASSPHRASE_BYTES_MAX:
        raise ValueError(f"the passphrase has {len(passphrase)} bytes; a PEM file takes up to {PEM_PASSPHRASE_BYTES_MAX}")
    return BestAvailableEncryption(passphrase)
