"""What ``trio-ssh-keygen`` reads and writes: private keys with their passphrases, and texts with public keys in them."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

import attrs

from .. import DecodeError, KeyFileError, PassphraseRequired, PrivateKey, PublicKey, printable
from ..keys.certificates import CERTIFICATE_KEY_TYPES, Certificate
from ..keys.files import write_public_file
from ..keys.lines import read_base64
from .prompts import NoAnswer, ask_plainly, ask_secret

STDIN = "-"
TEXT_BYTES_MAX = 64 << 20
DEFAULT_KIND = "ed25519"
_BLANKS = " \t"
_READ_BYTES = 1 << 20
_ARMOUR = re.compile(rb"-----BEGIN OPENSSH PRIVATE KEY-----([^-]*)-----END")
_MAGIC = b"openssh-key-v1\0"


@attrs.frozen
class OpenedKey:
    """A private key, and the passphrase that opened its file (None if it needed none)."""

    key: PrivateKey
    passphrase: str | None


@attrs.frozen
class PublicLine:
    """A key or certificate in a text; `number` is its line's, `comment` what stands behind it, else what stands before it."""

    number: int
    key: PublicKey | Certificate
    comment: str

    @property
    def public_key(self) -> PublicKey:
        """The key itself, also of a certificate: what a fingerprint is made of."""
        return self.key.public_key if isinstance(self.key, Certificate) else self.key


def ask_path(question: str, kind: str = DEFAULT_KIND) -> str:
    """The path that the user names, the usual one for a key of that kind if it is an empty line. Raises `NoAnswer` at the end of stdin."""
    usual = str(Path.home() / ".ssh" / f"id_{kind}")
    answer = ask_plainly(f"{question} ({usual}): ")
    if answer is None:
        raise NoAnswer("no file was named; use -f")
    return answer or usual


def open_private(path: str, given: str | None, question: str = "Enter passphrase: ") -> OpenedKey:
    """Read a private key; if it needs a passphrase, that is `given`, or is asked for. Raises `KeyFileError`, `NoAnswer`.

    What is no regular file, such as a pipe, is read as well: nobody else can have put a key of ours there.
    """
    content = None if _is_regular(path) else read_text_file(path)
    try:
        return OpenedKey(_read_private(path, content, None), None)
    except PassphraseRequired:
        passphrase = ask_secret(question) if given is None else given
        return OpenedKey(_read_private(path, content, passphrase), passphrase)


def _is_regular(path: str) -> bool:
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return True  # reading it tells what is wrong
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode)


def _read_private(path: str, content: bytes | None, passphrase: str | None) -> PrivateKey:
    return PrivateKey.from_file(path, passphrase) if content is None else PrivateKey.from_bytes(content, passphrase)


def read_text_file(path: str) -> bytes:
    """The content of any file, ``-`` for stdin. Raises `KeyFileError`."""
    try:
        number = 0 if path == STDIN else os.open(path, os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC)
        try:
            return _read_to_end(number, path)
        finally:
            if number:
                os.close(number)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise KeyFileError(f"{printable(path)}: cannot be read: {reason}; check the path", path=path) from None


def _read_to_end(number: int, path: str) -> bytes:
    content = bytearray()
    while part := os.read(number, _READ_BYTES):
        content += part
        if len(content) > TEXT_BYTES_MAX:
            raise KeyFileError(f"{printable(path)}: it is larger than {TEXT_BYTES_MAX} bytes; it cannot be the right file", path=path)
    return bytes(content)


def shown_path(path: str) -> str:
    """The path in messages about its lines."""
    return "(stdin)" if path == STDIN else printable(path)


# --- public keys in texts ---------------------------------------------------------------------------------------------------------------


def text_lines(content: bytes) -> Iterator[tuple[int, str]]:
    """Number and text of each line that is neither empty nor a comment."""
    for number, line in enumerate(content.split(b"\n"), 1):
        text = line.decode("utf-8", "surrogateescape").removesuffix("\r").lstrip(_BLANKS)
        if text and not text.startswith("#"):
            yield number, text


def public_lines(content: bytes) -> Iterator[PublicLine]:
    """The keys in a text: a .pub file, authorized_keys or known_hosts; other lines are passed over."""
    for number, text in text_lines(content):
        found = read_key(text)
        before = ""
        if found is None:
            before, text = _split_first_word(text)
            found = read_key(text)
        if found is not None:
            key, behind = found
            yield PublicLine(number, key, behind if behind and not behind.startswith("#") else before)


def read_key(text: str) -> tuple[PublicKey | Certificate, str] | None:
    """The key that a text begins with, and what follows it; None if there is none (that we can use)."""
    key_type, _, rest = text.partition(" ") if " " in text else text.partition("\t")
    fields = rest.strip(_BLANKS).replace("\t", " ").split(" ", 1)
    try:
        blob = read_base64(fields[0])
        key = Certificate.from_blob(blob) if key_type in CERTIFICATE_KEY_TYPES else PublicKey.from_blob(blob)
    except (DecodeError, ValueError):
        return None
    return (key, fields[1].lstrip(_BLANKS) if len(fields) == 2 else "") if key.algorithm == key_type else None


def _split_first_word(text: str) -> tuple[str, str]:
    """Host names or options, in which blanks may stand between double quotes; and what follows them."""
    quoted = False
    for index, character in enumerate(text):
        if character in _BLANKS and not quoted:
            return text[:index], text[index + 1 :].lstrip(_BLANKS)
        if character == '"' and text[index - 1 : index] != "\\":
            quoted = not quoted
    return text, ""


def load_public(path: str) -> PublicLine | None:
    """The public half of the key in a file: from the file itself, from the .pub file beside it, or from an unencrypted private key.

    None if there is none to be had without a passphrase. Raises `KeyFileError` for a file that cannot be read.
    """
    content = read_text_file(path)
    found = next(public_lines(content), None)
    if found is not None:
        return found
    try:
        beside = next(public_lines(read_text_file(f"{path}.pub")), None)
    except KeyFileError:
        beside = None
    if beside is not None and beside.comment:
        return beside
    try:
        key = PrivateKey.from_bytes(content)
    except PassphraseRequired:
        return beside if beside is not None else _half_in_clear(content)
    except KeyFileError:
        return beside
    return PublicLine(0, key.public_key, key.comment) if beside is None else attrs.evolve(beside, comment=key.comment)


def _half_in_clear(content: bytes) -> PublicLine | None:
    """The public half of an encrypted key of OpenSSH's format: it stands in front of what is encrypted (PROTOCOL.key)."""
    found = _ARMOUR.search(content)
    try:
        body = read_base64(b"".join(found[1].split())) if found else b""
        offset = len(_MAGIC)
        for _ in range(3):  # cipher, key derivation, its options
            offset += 4 + int.from_bytes(body[offset : offset + 4], "big")
        offset += 4  # how many keys there are: one
        size = int.from_bytes(body[offset : offset + 4], "big")
        return PublicLine(0, PublicKey.from_blob(body[offset + 4 : offset + 4 + size]), "") if body.startswith(_MAGIC) else None
    except (DecodeError, ValueError):
        return None


# --- writing ----------------------------------------------------------------------------------------------------------------------------


def write_public(path: str, line: str) -> None:
    """A file that everybody may read, as far as the umask lets them. Raises `KeyFileError`."""
    write_public_file(path, line.encode("utf-8", "surrogateescape") + b"\n")
