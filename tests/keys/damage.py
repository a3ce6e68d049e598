"""Building private key files that are wrong in one place, and looking at the error that reading them raises."""

from __future__ import annotations

import base64
import struct
from collections import Counter
from pathlib import Path

import pytest

from tests.keys.counting import calls_during
from trio_ssh.errors import KeyFileError
from trio_ssh.keys import PrivateKey
from trio_ssh.keys.private_openssh import armour
from trio_ssh.wire.primitives import write_mpint, write_string

MAGIC = b"openssh-key-v1\0"


def load(path: Path, content: bytes, passphrase: str | None = None) -> KeyFileError:
    """The error that reading a file of this content raises: one line, with the path in it, of exactly KeyFileError's kin."""
    path.touch(0o600)
    path.write_bytes(content)
    with pytest.raises(KeyFileError) as caught:
        PrivateKey.from_file(path, passphrase)
    assert caught.value.path == str(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert str(caught.value).isprintable()
    return caught.value


def counted(path: Path, content: bytes, passphrase: str | None = None) -> tuple[KeyFileError, Counter[str]]:
    """The same, and what was called until then."""
    errors: list[KeyFileError] = []
    calls = calls_during(lambda: errors.append(load(path, content, passphrase)))
    return errors[0], calls


def body_of(text: bytes) -> bytes:
    return base64.b64decode(b"".join(text.split(b"\n")[1:-2]))


def strings(*fields: bytes | int) -> bytes:
    out = bytearray()
    for field in fields:
        if isinstance(field, int):
            write_mpint(out, field)
        else:
            write_string(out, field)
    return bytes(out)


def container(public: bytes, section: bytes, *, cipher=b"none", kdf=b"none", options=b"", count=1, rest=b"") -> bytes:
    head = MAGIC + strings(cipher, kdf, options) + struct.pack(">I", count)
    return armour(head + strings(public, section) + rest)


def section_of(*fields: bytes, comment: bytes = b"", checks: bytes = b"12341234", padding: bytes | None = None) -> bytes:
    content = checks + b"".join(fields) + strings(comment)
    return content + (bytes(range(1, 1 + -len(content) % 8)) if padding is None else padding)
