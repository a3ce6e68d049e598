"""What a private key file holds: finds the armoured block, names what it is if it is none, and hands it to its reader."""

from __future__ import annotations

from ..errors import printable
from . import private_openssh, private_pem
from .files import KEY_FILE_BYTES_MAX, Source
from .lines import read_base64
from .signature import PrivateMaths

_BEGIN = b"-----BEGIN "
_DASHES = b"-----"
_BLANKS = b" \t\r\n"


def read_private(data: bytes, passphrase: str | bytes | None, source: Source) -> tuple[PrivateMaths, str]:
    """The key and its comment in the content of a private key file. Raises `KeyFileError` and its kin, nothing else."""
    if len(data) > KEY_FILE_BYTES_MAX:
        raise source.error(f"it is larger than {KEY_FILE_BYTES_MAX} bytes; it cannot be a private key")
    secret = _passphrase_bytes(passphrase, source)
    label, block = _find_block(data, source)
    content = block[len(_BEGIN) + len(label) + len(_DASHES) : block.rindex(b"-----END ")]
    if label == private_openssh.LABEL:
        return private_openssh.read_openssh_private(_base64_body(content, source), secret, source)
    if label not in private_pem.LABELS:
        raise source.error(f"private keys of the kind '{printable(label, 80)}' are not supported; use ed25519, ed448, ecdsa or rsa")
    body = None if b":" in content else _base64_body(content, source)
    return private_pem.read_pem_private(label, block, body, secret, source), ""


def _passphrase_bytes(passphrase: str | bytes | None, source: Source) -> bytes | None:
    if not isinstance(passphrase, str):
        return passphrase
    try:
        return passphrase.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise source.wrong_passphrase() from None


def _find_block(data: bytes, source: Source) -> tuple[str, bytes]:
    """Label and text of the private key block. Other blocks (such as EC PARAMETERS) may stand before it; nothing may follow."""
    start = _find_begin(data, source)
    label_start = start + len(_BEGIN)
    label_end = data.find(_DASHES, label_start)
    label = data[label_start:label_end].decode("ascii", "replace")
    end_line = b"-----END " + data[label_start:label_end] + _DASHES
    end = data.find(end_line, label_end)
    if end < 0:
        raise source.error("the file is cut off: its END line is missing; copy it again or restore it from a backup")
    end += len(end_line)
    if data[end:].strip(_BLANKS):
        raise source.error("something follows the END line of the private key; leave one key only in the file")
    return label, data[start:end]


def _find_begin(data: bytes, source: Source) -> int:
    start = data.find(_BEGIN)
    while start >= 0:
        label_end = data.find(_DASHES, start + len(_BEGIN), start + 80)
        if label_end < 0:
            raise source.error("its BEGIN line is malformed; copy it again or restore it from a backup")
        if data[:label_end].endswith(b"PRIVATE KEY"):
            return start
        start = data.find(_BEGIN, label_end)
    raise source.error(_what_is_it(data, source))


def _what_is_it(data: bytes, source: Source) -> str:
    head = data[:4096].lstrip(b"\xef\xbb\xbf" + _BLANKS)
    if not head:
        return "the file is empty; restore the private key from a backup or make a new one"
    if head.startswith(b"PuTTY-User-Key-File"):
        return f"it is a PuTTY key; convert it with: puttygen {source.argument} -O private-openssh -o NEW"
    if head.startswith((b"ssh-", b"ecdsa-", b"sk-")) or b"PUBLIC KEY" in head:
        return "it is a public key; give the private key's file, mostly the one without .pub"
    return "it is not a private key in OpenSSH or PEM format; check the path"


def _base64_body(content: bytes, source: Source) -> bytes:
    try:
        return read_base64(content.translate(None, _BLANKS))
    except ValueError:
        raise source.error("the private key is damaged: its base64 text is malformed; copy it again or restore it from a backup") from None
