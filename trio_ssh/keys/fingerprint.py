"""Fingerprints of public keys, in the forms that ssh-keygen shows: SHA256, MD5, and the picture."""

from __future__ import annotations

import base64
import hashlib

_WIDTH, _HEIGHT = 17, 9
_SHADES = " .o+=*BOX@%&#/^"
_START, _END = "S", "E"


def sha256_fingerprint(blob: bytes) -> str:
    """``SHA256:`` and the base64 of the digest without its padding."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode("ascii").rstrip("=")


def md5_fingerprint(blob: bytes) -> str:
    """``MD5:`` and the digest in hexadecimal, a colon between bytes. For comparing with old notes only."""
    return "MD5:" + hashlib.md5(blob, usedforsecurity=False).digest().hex(":")


def randomart(blob: bytes, title: str, digest_name: str = "SHA256") -> str:
    """The picture of ``ssh-keygen -lv``: eleven lines. `title` stands in its top border (see `randomart_title`), the digest below.

    The walk is that of Loss, Limmer and von Gernler, "The drunken bishop: an analysis of the OpenSSH fingerprint visualization
    algorithm" (2009): two bits a step, least significant first, always diagonally, sliding along the walls.
    """
    digest = hashlib.new(digest_name.lower(), blob, usedforsecurity=False).digest()
    visits = [[0] * _WIDTH for _ in range(_HEIGHT)]
    x, y = _WIDTH // 2, _HEIGHT // 2
    for step in (byte >> shift & 3 for byte in digest for shift in (0, 2, 4, 6)):
        x = min(max(x + (1 if step & 1 else -1), 0), _WIDTH - 1)
        y = min(max(y + (1 if step & 2 else -1), 0), _HEIGHT - 1)
        visits[y][x] += 1
    rows = [[_SHADES[min(count, len(_SHADES) - 1)] for count in row] for row in visits]
    rows[_HEIGHT // 2][_WIDTH // 2] = _START
    rows[y][x] = _END
    return "\n".join([_border(title), *(f"|{''.join(row)}|" for row in rows), _border(digest_name)])


def randomart_title(key_type: str, bits: int) -> str:
    """What stands in the picture's top border, such as ``ED25519 256``."""
    family = {"ssh-ed25519": "ED25519", "ssh-rsa": "RSA"}.get(key_type, "ECDSA")
    return f"{family} {bits}"


def _border(text: str) -> str:
    shown = f"[{text}]"
    left = (_WIDTH - len(shown)) // 2
    return "+" + "-" * left + shown + "-" * (_WIDTH - len(shown) - left) + "+"
