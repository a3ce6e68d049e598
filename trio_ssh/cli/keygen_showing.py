"""``trio-ssh-keygen`` shows keys: fingerprints in all forms, pictures, and public halves."""

from __future__ import annotations

import hashlib

from .. import PublicKey, printable
from ..keys import randomart, randomart_title
from ..keys.certificates import Certificate
from ..keys.fingerprint import key_family
from .keygen_arguments import Action, KeygenFailed, Request
from .keygen_files import STDIN, PublicLine, ask_path, load_public, open_private, public_lines, read_text_file, shown_path
from .prompts import show

_COMMENT_CHARACTERS_MAX = 8192
_VOWELS, _CONSONANTS = "aeiouy", "bcdfghklmnprstvzx"


def family(key: PublicKey | Certificate) -> str:
    """``ED25519``, ``RSA-CERT`` and the like."""
    return key_family(key.algorithm)


def picture(key: PublicKey | Certificate, digest: str) -> str:
    """The randomart: eleven lines, without the last one's end. A certificate's is its key's under another title."""
    plain = key.public_key if isinstance(key, Certificate) else key
    return randomart(plain.blob, randomart_title(key.algorithm, plain.bits), digest)


def bubble_babble(key: PublicKey) -> str:
    """SHA-1 of the key in five-letter words that can be said aloud ("The Bubble Babble Binary Data Encoding", 2000)."""
    data = hashlib.sha1(key.blob, usedforsecurity=False).digest()
    check = 1
    words = []
    for first, second in zip(data[::2], data[1::2], strict=True):
        words.append(_syllable(first, check) + _CONSONANTS[second >> 4] + "-" + _CONSONANTS[second & 15])
        check = (check * 5 + first * 7 + second) % 36
    return "x" + "".join(words) + _VOWELS[check % 6] + _CONSONANTS[16] + _VOWELS[check // 6] + "x"


def _syllable(byte: int, check: int) -> str:
    middle = _CONSONANTS[byte >> 2 & 15]
    return _VOWELS[((byte >> 6) + check) % 6] + middle + _VOWELS[((byte & 3) + check // 6) % 6]


def show_fingerprints(request: Request) -> int:
    """-l and -B: of each key in a file, or of a private key. Raises `SSHError`."""
    path = request.path if request.path is not None else ask_path("Enter file in which the key is")
    content = read_text_file(path)
    if path != STDIN and b"PRIVATE KEY" in content.split(b"\n", 1)[0]:
        found = load_public(path)
        lines = [] if found is None else [found]
    else:
        lines = list(public_lines(content))
    for line in lines:
        _show_fingerprint(line, request)
    if not lines:
        raise KeygenFailed(f"{shown_path(path)} is not a public key file; name one, or a private key with a .pub file beside it")
    return 0


def _show_fingerprint(line: PublicLine, request: Request) -> None:
    key = line.public_key
    value = bubble_babble(key) if request.action is Action.SHOW_BABBLE else key.fingerprint(request.digest)
    comment = printable(line.comment, _COMMENT_CHARACTERS_MAX) or "no comment"
    show(f"{key.bits} {value} {comment} ({family(line.key)})\n")
    if request.verbose:
        show(picture(line.key, request.digest) + "\n")


def show_public_key(request: Request) -> int:
    """-y: the public half of a private key. Raises `SSHError`."""
    path = request.path if request.path is not None else ask_path("Enter file in which the key is")
    key = open_private(path, request.old_passphrase).key
    show(key.public_key.to_openssh_line(key.comment) + "\n")
    return 0
